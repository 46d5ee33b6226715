//! The five file formats: each loads a [`Document`] and emits plain text.

use super::metadata::Metadata;
use super::tree::Tree;
use super::{Reading, SopsError};

/// A file format, chosen by suffix as sops does (`cmd/sops/formats/formats.go`, case-sensitive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON envelope around bytes; whatever has no known suffix.
    Binary,
    /// `.env`
    Dotenv,
    /// `.ini`
    Ini,
    /// `.json`
    Json,
    /// `.yaml`, `.yml`
    Yaml,
}

/// An encrypted file in memory.
pub struct Document {
    /// Its content, still encrypted.
    pub tree: Tree,
    /// Its `sops` stanza.
    pub metadata: Metadata,
}

impl Format {
    /// The format that sops takes a path for.
    pub fn from_path(path: &str) -> Self {
        if path.ends_with(".yaml") || path.ends_with(".yml") {
            Self::Yaml
        } else if path.ends_with(".json") {
            Self::Json
        } else if path.ends_with(".env") {
            Self::Dotenv
        } else if path.ends_with(".ini") {
            Self::Ini
        } else {
            Self::Binary
        }
    }

    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Dotenv => "dotenv",
            Self::Ini => "INI",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        }
    }

    /// Reads an encrypted file.
    ///
    /// # Errors
    /// [`SopsError::Format`].
    pub fn load(self, file: &[u8]) -> Result<Document, SopsError> {
        load(self, file, Reading::Current)
    }
}

/// Reads an encrypted file.
///
/// # Errors
/// [`SopsError::Format`].
pub fn load(_format: Format, _file: &[u8], _reading: Reading) -> Result<Document, SopsError> {
    unimplemented!()
}

/// Prints a tree as `sops -d` does.
///
/// # Errors
/// Fixed words where the format cannot hold the tree.
pub fn emit_plain(_format: Format, _tree: &Tree) -> Result<crate::secret::SecretBytes, &'static str> {
    unimplemented!()
}

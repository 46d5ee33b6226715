//! The five file formats, as the stores of sops read and print them: bytes to [`Document`], [`Tree`] to plain text.
//!
//! Each store is one module with `load` (text to tree, metadata still inside) and `emit` (tree to text). The order
//! of entries, duplicate keys and comments survive, since the MAC and the printed text depend on them.

mod binary;
mod dotenv;
mod ini;
mod json;
mod looks_like;
mod value_text;
mod yaml;

#[cfg(test)]
mod tests;

use super::metadata::Metadata;
use super::tree::{Item, Tree};
use super::{Reading, SopsError};
use crate::limits;
use crate::secret::SecretBytes;
use crate::yaml::Position;

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

    /// [`load`] in the current reading.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(self, file: &[u8]) -> Result<Document, SopsError> {
        load(self, file, Reading::Current)
    }

    /// Whether the first document has what sops takes for metadata.
    fn has_metadata(self, tree: &Tree) -> bool {
        let is_metadata = |key: &str| if self == Self::Dotenv { key.starts_with("sops_") } else { key == "sops" };
        tree.documents.first().is_some_and(|branch| {
            branch.items.iter().any(|item| matches!(item, Item::Entry(entry) if is_metadata(&entry.key)))
        })
    }

    /// What a file that is not encrypted lacks.
    fn missing_metadata(self) -> &'static str {
        match self {
            Self::Binary | Self::Json => "no `sops` key at the top level",
            Self::Dotenv => "no `sops_` keys",
            Self::Ini => "no `[sops]` section",
            Self::Yaml => "no `sops` key at the top level of the first document",
        }
    }
}

/// The format in which a text has `sops` metadata, by the look of its lines, whatever its name is.
pub fn guess(text: &[u8]) -> Option<Format> {
    looks_like::guess(text)
}

/// Reads an encrypted file.
///
/// # Errors
/// [`SopsError::Format`]: larger than [`limits::FILE_BYTES`], not well-formed, or without `sops` metadata. Where the
/// content looks like a SOPS file of another format, the reason says so.
pub fn load(format: Format, file: &[u8], reading: Reading) -> Result<Document, SopsError> {
    check_size(file)?;
    if file.trim_ascii().is_empty() {
        return Err(format_error("not encrypted by sops: the file is empty", None));
    }
    let explain = |reason: String, position| {
        let reason = if format == Format::Binary { binary::explain(&reason) } else { reason };
        match looks_like::hint(format, file) {
            Some(hint) => format_error(reason + &hint, None),
            None => format_error(reason, position),
        }
    };
    let mut tree = match load_tree(format, file, reading) {
        Err(SopsError::Format { reason, position, path: None }) => return Err(explain(reason, position)),
        other => other?,
    };
    if !format.has_metadata(&tree) {
        return Err(explain(format!("not encrypted by sops: {}", format.missing_metadata()), None));
    }
    if format == Format::Binary && binary::data(&tree).is_err() {
        return Err(format_error(binary::explain(binary::NO_DATA), None));
    }
    let metadata = match format {
        Format::Binary | Format::Json | Format::Yaml => Metadata::take_nested(&mut tree)?,
        Format::Dotenv => Metadata::take_prefixed(&mut tree)?,
        Format::Ini => Metadata::take_section(&mut tree)?,
    };
    Ok(Document { tree, metadata })
}

/// Reads a text that is not encrypted (or not taken apart yet): what `sops -e` would see. Metadata stays in the tree.
///
/// Bytes are the single value `data` of a binary tree.
///
/// # Errors
/// [`SopsError::Format`].
pub fn load_plain(format: Format, text: &[u8]) -> Result<Tree, SopsError> {
    check_size(text)?;
    if format == Format::Binary { Ok(binary::load_plain(text)) } else { load_tree(format, text, Reading::Current) }
}

/// Prints a tree as `sops -d` does (3.13.3), byte for byte.
///
/// # Errors
/// Fixed words where the format cannot hold the tree.
pub fn emit_plain(format: Format, tree: &Tree) -> Result<SecretBytes, &'static str> {
    let text = match format {
        Format::Binary => binary::emit(tree),
        Format::Dotenv => dotenv::emit(tree),
        Format::Ini => ini::emit(tree),
        Format::Json => json::emit(tree),
        Format::Yaml => yaml::emit(tree),
    };
    text.map(SecretBytes::new)
}

/// The bytes of a binary file, which [`emit_plain`] prints as they are.
pub(super) fn binary_data(tree: &Tree) -> Result<&SecretBytes, &'static str> {
    binary::data(tree)
}

fn load_tree(format: Format, text: &[u8], reading: Reading) -> Result<Tree, SopsError> {
    match format {
        Format::Binary | Format::Json => json::load(text, reading),
        Format::Dotenv => dotenv::load(text),
        Format::Ini => ini::load(text),
        Format::Yaml => yaml::load(text, reading),
    }
}

fn check_size(text: &[u8]) -> Result<(), SopsError> {
    if text.len() > limits::FILE_BYTES {
        return Err(format_error(format!("larger than {} MiB", limits::FILE_BYTES >> 20), None));
    }
    Ok(())
}

/// Entries, elements and comments that a tree may still take in ([`limits::TREE_NODES`]).
struct NodeBudget(usize);

impl NodeBudget {
    fn new() -> Self {
        Self(limits::TREE_NODES)
    }

    /// Counts one node.
    fn take(&mut self) -> Result<(), SopsError> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(format_error(format!("more than {} values", limits::TREE_NODES), None)),
        }
    }
}

fn format_error(reason: impl Into<String>, position: Option<Position>) -> SopsError {
    SopsError::Format { reason: reason.into(), position, path: None }
}

/// Saturates: lines and columns beyond four billion do not occur within [`limits::FILE_BYTES`].
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

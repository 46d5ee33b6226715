//! A decrypted file whose MAC was verified.

use std::borrow::Cow;

use super::Reading;
use super::mac::MacVerified;
use super::store::{self, Format};
use super::tree::Tree;
use crate::secret::{Secret, SecretBytes, SecretSlice};

/// A verified tree: the only form in which plaintext leaves `sops`.
pub struct Cleartext {
    tree: Tree,
    format: Format,
    reading: Reading,
    proof: MacVerified,
}

impl Cleartext {
    /// The only constructor asks for the proof.
    pub(super) fn new(tree: Tree, format: Format, reading: Reading, proof: MacVerified) -> Self {
        Self { tree, format, reading, proof }
    }

    /// The verified tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The format of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The reading of the file's plain scalars for which the MAC matched.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// The proof, for copies of the file.
    pub(super) fn proof(&self) -> &MacVerified {
        &self.proof
    }

    /// The text in another format than the file's.
    ///
    /// # Errors
    /// Fixed words where that format cannot hold the content.
    pub fn text_as(&self, format: Format) -> Result<SecretBytes, &'static str> {
        store::emit_plain(format, &self.tree)
    }

    /// The text that `sops -d` prints for this file, byte for byte. That of a binary file is not copied.
    ///
    /// # Errors
    /// Fixed words where the format cannot hold the content (a binary file without `data`, NaN in JSON).
    pub fn text(&self) -> Result<SecretSlice<'_>, &'static str> {
        let text = match self.format {
            Format::Binary => Cow::Borrowed(store::binary_data(&self.tree)?.expose().as_slice()),
            format => Cow::Owned(store::emit_plain(format, &self.tree)?.into_exposed()),
        };
        Ok(Secret::new(text))
    }
}

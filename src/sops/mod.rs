//! The SOPS format, pure: bytes in, [`Cleartext`] out. No I/O, no environment, no clock, no threads.

pub mod cipher;
pub mod cleartext;
pub mod creation_rules;
pub mod data_key;
mod fields;
mod flatten;
pub mod inspect;
mod kinds;
pub mod mac;
pub mod metadata;
mod open;
mod pattern;
mod place;
pub mod placeholder;
pub mod redacted;
pub mod reordered;
pub mod rules;
pub mod shamir;
pub mod store;
#[cfg(test)]
pub(crate) mod test_encryptor;
#[cfg(test)]
mod tests;
pub mod tree;

pub use cleartext::Cleartext;
pub use data_key::{Attempt, IdentityRule, KeyService, KeyShare, Refusal, RefusedKey, ShareRequest};
pub use inspect::{Inspection, inspect};
pub use kinds::KeyKinds;
pub use metadata::{KeyGroup, MasterKey, Metadata};
pub use place::Step;
pub use redacted::Redacted;
pub use store::Format;

use self::cipher::Cipher;
use self::data_key::Recovered;
use self::mac::StoredMac;
use self::store::Document;
use crate::text::Printable;
use crate::yaml::Position;

/// Why a file does not open. Fields are numbers, positions, fixed words and [`Printable`] names: never a value.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    /// The file is not in its format, or not encrypted by sops, or uses what sops never wrote (exit 5).
    #[error("{}", at(.reason, .position, .path))]
    Format {
        /// The broken rule.
        reason: String,
        /// Where in the text, if known.
        position: Option<Position>,
        /// Key path of the value, if it is about one.
        path: Option<Printable>,
    },
    /// No key service opened enough shares (exit 6, or 8 if any of them may work later).
    #[error("{}", .0.summary())]
    Key(KeyFailure),
    /// A tag or the MAC does not verify (exit 7).
    #[error("{}", at(.reason, .position, .path))]
    Integrity {
        /// What does not verify.
        reason: &'static str,
        /// Where in the text, if known.
        position: Option<Position>,
        /// Key path of the value, if it is about one.
        path: Option<Printable>,
    },
}

/// What was tried to recover a data key.
#[derive(Debug)]
pub struct KeyFailure {
    /// Key groups of the file.
    pub groups: usize,
    /// Shares that were needed.
    pub needed: usize,
    /// Shares that were opened.
    pub opened: usize,
    /// One entry per key that was tried and did not open.
    pub refused: Vec<RefusedKey>,
}

/// How the text of a file is read. Writers of different age typed plain scalars differently, and the MAC covers the
/// typed values: where it does not match for the first reading, the format's other one is tried
/// (`sops-format.md` 2.5 and 8.2). Encrypted values are authenticated either way; a reading only changes how
/// *unencrypted* leaves are typed.
///
/// A store is asked to load the file again in the other reading: `store::load(format, file, reading)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As sops 3.13.3 reads the file; every format.
    Current,
    /// JSON and binary: every number is a float, as in sops up to 3.13.1.
    JsonFloats,
    /// YAML: a plain scalar of the data (not of the stanza) is a string with its raw text if yaml.v3 takes it for
    /// a timestamp, or for a float that yaml.v2 took for a string, as sops up to 3.6.1 wrote it. yaml.v2 knew a float
    /// by `^[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$` (no `1.`, no `1e3`), and `.inf`, `.nan`.
    YamlV2,
}

impl Reading {
    /// The readings that a format has besides [`Reading::Current`].
    pub fn others(format: Format) -> &'static [Self] {
        match format {
            Format::Binary | Format::Json => &[Self::JsonFloats],
            Format::Dotenv | Format::Ini => &[],
            Format::Yaml => &[Self::YamlV2],
        }
    }
}

impl KeyFailure {
    fn summary(&self) -> String {
        match (self.groups, self.opened) {
            (0 | 1, 0) => "none of this file's keys could be opened".to_owned(),
            (0 | 1, _) => "this file's data key could not be recovered".to_owned(),
            (groups, opened) if opened < self.needed => {
                format!("{opened} of this file's {groups} key groups could be opened, and {} are needed", self.needed)
            }
            (groups, opened) => {
                format!("the shares of {opened} of this file's {groups} key groups do not fit together")
            }
        }
    }
}

/// `value data.password: REASON (line 4, column 13)`
fn at(reason: &str, position: &Option<Position>, path: &Option<Printable>) -> String {
    let mut out = String::new();
    if let Some(path) = path {
        out.push_str(&format!("value {path}: "));
    }
    out.push_str(reason);
    if let Some(position) = position.filter(|p| p.line > 0) {
        out.push_str(&format!(" ({position})"));
    }
    out
}

/// Decrypts and verifies a SOPS file.
///
/// # Errors
/// See [`SopsError`].
pub fn decrypt(file: &[u8], format: Format, keys: &dyn KeyService) -> Result<Cleartext, SopsError> {
    let Document { mut tree, metadata } = store::load(format, file, Reading::Current)?;
    let Recovered { key, doubt } = data_key::recover(&metadata, keys)?;
    let cipher = Cipher::new(&key);
    let stored = match (StoredMac::open(&metadata, &cipher), doubt) {
        (Ok(stored), _) => stored,
        (Err(_), Some(failure)) if !metadata.mac.is_empty() => return Err(SopsError::Key(failure)),
        (Err(error), _) => return Err(error),
    };
    let computed = open::open(&mut tree, &cipher, &metadata)?;
    if let Some(proof) = computed.verify(&stored) {
        return Ok(Cleartext::new(tree, format, Reading::Current, proof));
    }
    // An old writer may have meant other values by the same text. A MAC over encrypted values only does not depend on it.
    let others = if metadata.mac_only_encrypted { &[] } else { Reading::others(format) };
    for &reading in others {
        let Ok(Document { mut tree, .. }) = store::load(format, file, reading) else { continue };
        let Ok(computed) = open::open(&mut tree, &cipher, &metadata) else { continue };
        if let Some(proof) = computed.verify(&stored) {
            return Ok(Cleartext::new(tree, format, reading, proof));
        }
    }
    Err(SopsError::Integrity { reason: MISMATCH, position: None, path: None })
}

const MISMATCH: &str = "the MAC does not match: values were changed, added, removed or moved after sops wrote the file";

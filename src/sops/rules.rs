//! Which values are encrypted: suffixes, regexes, comment regexes.

use super::SopsError;
use super::fields::Fields;

/// The file's encryption rule (at most one is set; none means `unencrypted_suffix: _unencrypted`).
pub struct Rules {}

impl Rules {
    /// Reads the six rule fields of the stanza.
    pub(super) fn read(_fields: &Fields<'_>) -> Result<Self, SopsError> {
        Ok(Self {})
    }
}

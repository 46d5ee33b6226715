//! Which values are encrypted: suffixes, regexes, comment regexes.

/// The file's encryption rule (at most one is set; none means `unencrypted_suffix: _unencrypted`).
pub struct Rules {}

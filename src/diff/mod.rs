//! What changed between two states of a SOPS file or of a Secret, without showing a value.
//!
//! A [`Snapshot`] holds of each value where it stands, its type, its length, and what tells whether it is the same: a hash
//! of its token, and where it could be decrypted a digest under a key that this process drew and forgets. [`compare`] takes
//! two of them; `report` writes what came of it.

mod compare;
mod report;
mod snapshot;
#[cfg(test)]
mod tests;

pub use compare::{Basis, Change, FileDiff, MetadataChange, Status, Verdict, compare};
pub use report::{Tone, to_json, to_text};
pub use snapshot::{DigestKey, Look, Snapshot};

//! From wrapped shares to the data key.

use super::metadata::{KeyGroup, MasterKey};
use crate::secret::Secret;
use crate::secret::SecretBytes;
use crate::text::Printable;

/// The AES-256 key of one file.
pub struct DataKey(pub Secret<[u8; 32]>);

/// What a master key opens to: the data key itself, or one Shamir share of it (33 bytes).
pub struct KeyShare(pub SecretBytes);

/// The shares that a file needs.
pub struct ShareRequest<'a> {
    /// The file's key groups.
    pub groups: &'a [KeyGroup],
    /// How many groups must open; trying may stop as soon as that many have.
    pub needed: usize,
}

/// Opens shares: the port that `keys` implements. The implementation owns the order of trying, concurrency,
/// deadlines and caching; `sops` owns what is done with the shares.
pub trait KeyService: Sync {
    /// Opens up to `needed` groups, at most one share per group.
    fn open(&self, request: &ShareRequest<'_>) -> Attempt;
}

/// What a [`KeyService`] achieved.
#[derive(Default)]
pub struct Attempt {
    /// Opened shares with the index of their group.
    pub shares: Vec<(usize, KeyShare)>,
    /// Every key that was tried and did not open.
    pub refused: Vec<RefusedKey>,
}

/// A key that did not open, and why.
#[derive(Clone, Debug)]
pub struct RefusedKey {
    /// Index of its group.
    pub group: usize,
    /// `age age1…`, `aws-kms arn:…`: the provider and the key's public name.
    pub key: Printable,
    /// Why.
    pub refusal: Refusal,
    /// The next step for the operator, if there is a telling one.
    pub hint: Option<Printable>,
}

/// Why one key did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Ours to open, but it did not: wrong or damaged ciphertext, no permission, refused host.
    Denied(Printable),
    /// No identity or credential of ours is for this key.
    NotMine(Printable),
    /// The provider did not answer or asked to come back later.
    Unavailable(Printable),
}

/// The name of a master key in messages.
pub fn display_name(_key: &MasterKey) -> Printable {
    unimplemented!()
}

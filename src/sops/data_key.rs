//! From wrapped shares to the data key.

use super::metadata::{KeyGroup, MasterKey, Metadata};
use super::shamir::{self, Mismatch};
use super::{KeyFailure, SopsError};
use crate::limits;
use crate::secret::{Secret, SecretBytes};
use crate::text::Printable;

/// The AES-256 key of one file.
// Boxed: the allocator wipes it when it is freed.
pub struct DataKey(Secret<Box<[u8; 32]>>);

/// What a master key opens to: the data key itself, or one Shamir share of it (33 bytes).
pub struct KeyShare(pub SecretBytes);

/// The shares that a file needs.
pub struct ShareRequest<'a> {
    /// The file's key groups.
    pub groups: &'a [KeyGroup],
    /// How many groups must open; trying may stop as soon as that many have.
    pub needed: usize,
    /// Which identities may be used; `None` means all.
    pub identities: Option<&'a dyn IdentityRule>,
}

/// Decides which of the operator's identities may be used.
///
/// Whom an age or PGP key is wrapped for stands in the file as a claim that nothing authenticates: the identities of a
/// keyring are tried whatever it says. So a rule about them has to be asked about the identity that is about to be used.
/// Keys of a key service need none: the service itself opens the key that the file names, and no other.
pub trait IdentityRule: Sync {
    /// Whether the age identity with this public half (`age1…`, `ssh-ed25519 AAAA…`) may be used.
    fn allows_age(&self, public_half: &str) -> bool;
    /// Whether a PGP key may be used: its fingerprint and that of its primary key, in upper-case hex.
    fn allows_pgp(&self, fingerprint: &str, primary: &str) -> bool;
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

/// A data key and how sure it is.
pub(super) struct Recovered {
    /// The key.
    pub key: DataKey,
    /// Set where the file does not say how many groups it needs and not all of them opened: if the key turns out to
    /// be wrong, this is why.
    pub doubt: Option<KeyFailure>,
}

impl DataKey {
    /// Takes the bytes that a master key or the shares opened to; `None` unless there are 32.
    pub(super) fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.expose().as_slice().try_into().ok()?;
        Some(Self(Secret::new(Box::new(*bytes))))
    }

    /// Shows the key to the cipher.
    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Recovers the data key from the file's key groups.
///
/// One group opens to the key itself, whatever the threshold. Several open to Shamir shares: `shamir_threshold` of
/// them are needed; where the file does not say, all groups are asked for and two are enough to try, as in sops.
///
/// # Errors
/// [`SopsError::Key`] with one refusal per key that was tried, and one for a share that does not belong.
///
/// Source: getsops/sops v3.13, `sops.go`, `GetDataKeyWithKeyServices`.
pub(super) fn recover(metadata: &Metadata, keys: &dyn KeyService) -> Result<Recovered, SopsError> {
    let groups = metadata.key_groups.len();
    let threshold = metadata.shamir_threshold;
    let needed = metadata.needed_groups();
    let Attempt { mut shares, refused } =
        keys.open(&ShareRequest { groups: &metadata.key_groups, needed, identities: None });
    shares.retain(|(group, _)| *group < groups);
    shares.sort_by_key(|(group, _)| *group);
    shares.dedup_by_key(|(group, _)| *group);
    let mut failure = KeyFailure { groups, needed, opened: shares.len(), refused };

    let enough = if groups > 1 { threshold.unwrap_or(2) } else { 1 };
    if shares.len() < enough {
        return Err(SopsError::Key(failure));
    }
    let joined = if groups > 1 { join(&shares) } else { take(&shares) };
    match joined {
        Ok(key) => {
            let doubt = (threshold.is_none() && shares.len() < groups).then_some(failure);
            Ok(Recovered { key, doubt })
        }
        Err((group, reason)) => {
            failure.refused.push(RefusedKey {
                group,
                key: Printable::new(&format!("key_groups[{group}]")),
                refusal: Refusal::Denied(Printable::new(reason)),
                hint: None,
            });
            Err(SopsError::Key(failure))
        }
    }
}

/// A group whose share is to blame, and why.
type Blame = (usize, &'static str);

fn take(shares: &[(usize, KeyShare)]) -> Result<DataKey, Blame> {
    let Some((group, share)) = shares.first() else { return Err((0, "opened to nothing")) };
    DataKey::from_bytes(&share.0).ok_or((*group, "opened to something that is not a data key of 32 bytes"))
}

fn join(shares: &[(usize, KeyShare)]) -> Result<DataKey, Blame> {
    let parts: Vec<&SecretBytes> = shares.iter().map(|(_, share)| &share.0).collect();
    let (index, reason) = match shamir::combine(&parts) {
        Ok(key) => match DataKey::from_bytes(&key) {
            Some(key) => return Ok(key),
            None => (0, "opened to something that is not a share of a data key of 32 bytes"),
        },
        Err(Mismatch::Length(index)) => (index, "opened to a share of another length"),
        Err(Mismatch::SameX(index)) => (index, "opened to a share that an earlier group has too (same x)"),
        Err(Mismatch::TooFew) => (0, "opened to the only share"),
        Err(Mismatch::ZeroX(index)) => (index, "opened to a share that no split makes (x = 0)"),
    };
    Err((shares.get(index).map_or(0, |(group, _)| *group), reason))
}

/// The name of a master key in messages: the provider and what sops prints for the key.
///
/// Source: getsops/sops v3.13, `ToString` of each `keysource.go`.
pub fn display_name(key: &MasterKey) -> Printable {
    // What a message has no room for is not worth copying: each field may be as long as the file.
    let name = match key {
        MasterKey::Age { recipient, .. } => format!("age {}", Printable::new(recipient)),
        MasterKey::AwsKms { arn, role, context, aws_profile, .. } => {
            let mut name = format!("aws-kms {}", Printable::new(arn));
            if let Some(role) = role {
                name.push_str(&format!("+{}", Printable::new(role)));
            }
            if aws_profile.is_some() || !context.is_empty() {
                let pairs: Vec<String> = context
                    .iter()
                    .take(limits::PRINTABLE_CHARS)
                    .map(|(key, value)| format!("{}:{}", Printable::new(key), Printable::new(value)))
                    .collect();
                name.push_str(&format!("|{}", pairs.join(",")));
            }
            if let Some(profile) = aws_profile {
                name.push_str(&format!("|{}", Printable::new(profile)));
            }
            name
        }
        MasterKey::AzureKeyVault { vault_url, name, version, .. } => {
            format!("azure-kv {}/keys/{}/{}", Printable::new(vault_url), Printable::new(name), Printable::new(version))
        }
        MasterKey::GcpKms { resource_id, .. } => format!("gcp-kms {}", Printable::new(resource_id)),
        MasterKey::HcVault { vault_address, engine_path, key_name, .. } => format!(
            "hc-vault {}/v1/{}/keys/{}",
            Printable::new(vault_address),
            Printable::new(engine_path),
            Printable::new(key_name)
        ),
        MasterKey::HuaweiKms { key_id } => format!("hckms {}", Printable::new(key_id)),
        MasterKey::Pgp { fingerprint, .. } => format!("pgp {}", Printable::new(fingerprint)),
    };
    Printable::new(&name)
}

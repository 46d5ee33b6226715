//! Whose key a wrapped key is, told without opening it: for reports that start no program, ask nobody and call no
//! service.

use super::Keyring;
use super::age::AgeClaims;
use crate::sops::metadata::MasterKey;
use crate::text::Printable;

/// What the keyring knows of a wrapped key before it is opened. The recipient in a file is not authentic: a claim is
/// what the file says, and opening is the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// An identity of ours is for it; the source is where that stands.
    Mine(Printable),
    /// An identity of ours may be for it, but wants a passphrase, a token or a program.
    Locked(Printable),
    /// Only the key's service can tell.
    AskService(&'static str),
    /// No identity of ours is for it.
    NotMine,
    /// Nothing in this program can open such a key.
    Unsupported,
}

/// A name that a key file gives to a public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// `age1…`, a PGP fingerprint.
    pub recipient: String,
    /// The comment above the identity, or the PGP user id.
    pub name: String,
    /// The key file.
    pub source: Printable,
}

/// Answers whose wrapped keys are; our public halves are computed once.
pub struct Claims<'k> {
    age: AgeClaims,
    #[cfg_attr(not(feature = "pgp"), expect(dead_code, reason = "asked for PGP keys"))]
    keyring: &'k Keyring<'k>,
}

impl Claims<'_> {
    /// Says whose a wrapped key is.
    pub fn of(&self, key: &MasterKey) -> Claim {
        match key {
            MasterKey::Age { recipient, .. } => self.age.of(recipient),
            MasterKey::AwsKms { .. } => service(cfg!(feature = "aws"), "AWS KMS"),
            MasterKey::AzureKeyVault { .. } => service(cfg!(feature = "azure"), "Azure Key Vault"),
            MasterKey::GcpKms { .. } => service(cfg!(feature = "gcp"), "GCP KMS"),
            MasterKey::HcVault { .. } => service(cfg!(feature = "vault"), "Vault"),
            MasterKey::HuaweiKms { .. } => Claim::Unsupported,
            #[cfg(feature = "pgp")]
            MasterKey::Pgp { fingerprint, enc } => self.keyring.pgp.claim(fingerprint, enc),
            #[cfg(not(feature = "pgp"))]
            MasterKey::Pgp { .. } => Claim::Unsupported,
        }
    }
}

fn service(is_in_this_build: bool, name: &'static str) -> Claim {
    if is_in_this_build { Claim::AskService(name) } else { Claim::Unsupported }
}

impl Keyring<'_> {
    /// Prepares to say whose wrapped keys are. Reads key files; starts no program and asks for nothing.
    pub fn claims(&self) -> Claims<'_> {
        Claims { age: self.age.claims(), keyring: self }
    }

    /// The names that our key files give to public halves: comments above age identities, user ids of PGP keys.
    pub fn names(&self) -> Vec<KnownName> {
        let names = self.age.names();
        #[cfg(feature = "pgp")]
        let names = [names, self.pgp.names()].concat();
        names
    }
}

/// Fingerprints (of subkeys too) and user ids of the public keys in a file, armored or binary.
pub fn pgp_user_ids(file: &[u8]) -> Vec<(String, String)> {
    #[cfg(feature = "pgp")]
    return super::pgp::claim::user_ids(file);
    #[cfg(not(feature = "pgp"))]
    {
        _ = file;
        Vec::new()
    }
}

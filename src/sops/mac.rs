//! The message authentication code over all values: SHA-512 of what stands in the file, in order, typed.
//!
//! Neither digest is ever shown: both are unsalted hashes of the plaintext.
//!
//! Source: getsops/sops v3.13, `sops.go`, `Decrypt`, `ToBytes`; `decrypt/decrypt.go`.

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::SopsError;
use super::cipher::Cipher;
use super::metadata::Metadata;
use super::tree::Value;
use crate::number;
use crate::secret::{Secret, SecretBytes};

/// Proof that what was decrypted is what sops wrote: a file's MAC was compared and equal, or a re-ordered copy was held
/// against such a file ([`MacVerified::of_copy`]). Only this module makes one.
pub struct MacVerified(());

/// An encrypted value of a copy, and what stands at the same place of the file that it was copied from.
pub struct Pair<'a> {
    /// The token in the copy.
    pub copied: &'a [u8],
    /// The token in the file, if there is one at that place.
    pub original: Option<&'a [u8]>,
}

/// The operator's word that a copy which cannot be held against its file may come out. Every value of it is still
/// authenticated with its place (AES-GCM), but values may be missing, or come from another file with the same data key.
pub struct Unordered;

/// SHA-256 of `sops`: what a MAC over encrypted values only begins with, so that it differs from a full one.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A MAC being computed.
pub struct MacHash(Sha512);

/// The MAC of the values that were read: 128 upper-case hexadecimal digits.
pub struct ComputedMac(Secret<[u8; 128]>);

/// The MAC that the file carries, decrypted.
pub struct StoredMac(SecretBytes);

impl MacHash {
    /// Begins a MAC; with `mac_only_encrypted` it differs from the first byte on.
    pub fn new(is_only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if is_only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self(hash)
    }

    /// Adds a decrypted leaf: not its bytes in the file, but its typed value printed again. Comments, null and
    /// containers add nothing of their own.
    ///
    /// sops 3.13.2 alone hashed comments in lists when reading (getsops/sops#2245); no version did when writing.
    pub fn add(&mut self, leaf: &Value) {
        match leaf {
            Value::Bool(true) => self.0.update(b"True"),
            Value::Bool(false) => self.0.update(b"False"),
            Value::Float(number) => self.0.update(number::format_f(*number)),
            Value::Int(number) => self.0.update(number.to_string()),
            Value::Str(text) => self.0.update(text.expose()),
            Value::Time(time) => self.0.update(time.rfc3339_nano()),
            Value::Branch(_) | Value::Comment(_) | Value::List(_) | Value::Null => {}
        }
    }

    /// Ends the MAC.
    pub fn finish(self) -> ComputedMac {
        let mut text = [0; 128];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0.finalize()) {
            if let [high, low] = digits {
                (*high, *low) = (hexadecimal(byte >> 4), hexadecimal(byte & 0x0f));
            }
        }
        ComputedMac(Secret::new(text))
    }
}

/// An upper-case digit; no table, so that time does not depend on it.
fn hexadecimal(nibble: u8) -> u8 {
    // 9 - nibble borrows, and so sets the high bits, exactly for ten and above.
    let is_letter = 9_u8.wrapping_sub(nibble) >> 7;
    b'0' + nibble + is_letter * (b'A' - b'0' - 10)
}

impl StoredMac {
    /// Decrypts the file's MAC. It is bound to `lastmodified`, printed again to the second.
    ///
    /// # Errors
    /// [`SopsError::Integrity`]: none there, or not this file's. A stripped MAC is an attack, not a format.
    pub fn open(metadata: &Metadata, cipher: &Cipher) -> Result<Self, SopsError> {
        let refuse = |reason| SopsError::Integrity { reason, position: None, path: None };
        if metadata.mac.is_empty() {
            return Err(refuse("the file has no MAC: it was removed, or sops did not write this file"));
        }
        match cipher.open(metadata.mac.as_bytes(), metadata.last_modified.rfc3339().as_bytes()) {
            Ok(Value::Str(mac)) => Ok(Self(mac)),
            _ => Err(refuse(
                "the MAC does not decrypt: the sops metadata was changed, or the data key is another file's",
            )),
        }
    }
}

impl MacVerified {
    /// Proof for a copy that was re-ordered, after which its MAC cannot be computed: each of its encrypted values, and
    /// its MAC, stand at the same place of a file whose own MAC was verified.
    pub fn of_copy<'a>(_original: &Self, pairs: impl IntoIterator<Item = Pair<'a>>) -> Option<Self> {
        let mut has_any = false;
        let are_equal = pairs.into_iter().all(|Pair { copied, original }| {
            has_any = true;
            original.is_some_and(|original| bool::from(copied.ct_eq(original)))
        });
        (has_any && are_equal).then_some(Self(()))
    }

    /// No proof, but the operator's word for it.
    pub fn waived(_by_operator: &Unordered) -> Self {
        Self(())
    }
}

impl ComputedMac {
    /// Compares in constant time.
    pub fn verify(&self, stored: &StoredMac) -> Option<MacVerified> {
        let is_equal = self.0.expose().as_slice().ct_eq(stored.0.expose());
        bool::from(is_equal).then_some(MacVerified(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proves(pairs: &[(&str, Option<&str>)]) -> bool {
        let pairs = pairs
            .iter()
            .map(|(copied, original)| Pair { copied: copied.as_bytes(), original: original.map(str::as_bytes) });
        MacVerified::of_copy(&MacVerified(()), pairs).is_some()
    }

    #[test]
    fn copy_is_proven_only_if_every_value_stands_in_its_file() {
        assert!(proves(&[("mac", Some("mac")), ("a", Some("a"))]));
        assert!(!proves(&[("mac", Some("mac")), ("a", Some("b"))]));
        assert!(!proves(&[("mac", Some("mac")), ("a", None)]));
        assert!(!proves(&[("mac", Some("ma")), ("a", Some("a"))]));
        assert!(!proves(&[]));
    }
}

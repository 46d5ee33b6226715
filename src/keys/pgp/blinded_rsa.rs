//! RSA session keys, opened with blinding.
//!
//! The `rsa` crate does not compute in constant time (RUSTSEC-2023-0071), and rPGP calls it without blinding: then the
//! time that a file takes depends on the private key and on what the file's author chose. Blinding multiplies the
//! ciphertext by a random number first, so that nobody chooses what the private key is applied to.

use pgp::composed::{PlainSessionKey, RawSessionKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::types::{EskType, PkeskBytes, PlainSecretParams, PublicParams, RsaPublicParams};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Encrypt, RsaPrivateKey};

use crate::secret::{Secret, SecretBytes};

/// Opens a session key of an RSA key; outer `None` where key or session key are of another kind, inner `None` where it
/// does not open.
pub(super) fn open(
    public: &PublicParams,
    secret: &PlainSecretParams,
    values: &PkeskBytes,
    kind: EskType,
) -> Option<Option<PlainSessionKey>> {
    let PlainSecretParams::RSA(secret) = secret else { return None };
    let (d, p, q, _) = secret.to_bytes();
    RsaNumbers([d, p, q].map(Secret::new)).open(public, values, kind)
}

/// What is secret of an RSA key, as bytes. To check a key and to prepare it takes as long as to use it, and of the keys
/// of a home one is used.
pub(super) struct RsaNumbers(pub(super) [SecretBytes; 3]);

impl RsaNumbers {
    /// Their names in GnuPG's files: the private exponent and the primes.
    pub(super) const NAMES: [&str; 3] = ["d", "p", "q"];

    /// As [`open`].
    pub(super) fn open(
        &self,
        public: &PublicParams,
        values: &PkeskBytes,
        kind: EskType,
    ) -> Option<Option<PlainSessionKey>> {
        let (PublicParams::RSA(public), PkeskBytes::Rsa { mpi }) = (public, values) else { return None };
        Some(self.session_key(public, mpi.as_ref(), kind))
    }

    fn session_key(&self, public: &RsaPublicParams, ciphertext: &[u8], kind: EskType) -> Option<PlainSessionKey> {
        let [d, p, q] = self.0.each_ref().map(|number| BigUint::from_bytes_be(number.expose()));
        let (n, e) = (public.key.n().clone(), public.key.e().clone());
        let key = RsaPrivateKey::from_components(n, e, d, vec![p, q]).ok()?;
        let plain = key.decrypt_blinded(&mut OsRng, Pkcs1v15Encrypt, ciphertext).ok()?;
        session_key(&plain, kind)
    }
}

/// Takes the session key out of its frame: algorithm (not in version 6), key, sum of its bytes.
///
/// Source: RFC 9580, 5.1.
fn session_key(plain: &[u8], kind: EskType) -> Option<PlainSessionKey> {
    let (framed, sum) = plain.split_last_chunk::<2>()?;
    let (algorithm, key) = match kind {
        EskType::V3_4 => {
            let (algorithm, key) = framed.split_first()?;
            (Some(SymmetricKeyAlgorithm::from(*algorithm)), key)
        }
        EskType::V6 => (None, framed),
    };
    let is_whole = key.iter().fold(0, |sum: u16, byte| sum.wrapping_add((*byte).into())) == u16::from_be_bytes(*sum);
    let key_size = algorithm.map_or(key.len(), |algorithm| algorithm.key_size());
    if !is_whole || key.is_empty() || key.len() != key_size {
        return None;
    }
    let key = RawSessionKey::from(key);
    Some(match algorithm {
        Some(sym_alg) => PlainSessionKey::V3_4 { sym_alg, key },
        None => PlainSessionKey::V6 { key },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(algorithm: u8, key: &[u8]) -> Vec<u8> {
        let sum = key.iter().fold(0, |sum: u16, byte| sum.wrapping_add((*byte).into()));
        [&[algorithm], key, &sum.to_be_bytes()].concat()
    }

    #[test]
    fn takes_the_key_out_of_its_frame() {
        let key = [0xfe; 32];
        let whole = framed(9, &key);
        let found = session_key(&whole, EskType::V3_4);
        let Some(PlainSessionKey::V3_4 { sym_alg, key: found }) = &found else { panic!("a session key") };
        assert!(*sym_alg == SymmetricKeyAlgorithm::AES256 && found.as_ref() == key);
        assert!(matches!(session_key(whole.get(1..).unwrap(), EskType::V6), Some(PlainSessionKey::V6 { .. })));
    }

    #[test]
    fn refuses_frames_that_do_not_fit() {
        let whole = framed(9, &[1; 32]);
        for cut in 0..whole.len() {
            assert!(session_key(whole.get(..cut).unwrap(), EskType::V3_4).is_none(), "{cut}");
        }
        let mut wrong_sum = whole.clone();
        *wrong_sum.last_mut().unwrap() ^= 1;
        for wrong in [wrong_sum, framed(7, &[1; 32]), framed(9, &[1; 16]), framed(0, &[]), framed(200, &[1; 32])] {
            assert!(session_key(&wrong, EskType::V3_4).is_none());
        }
    }
}

//! RSA session keys, opened in a time that tells nothing of the private key.
//!
//! The `rsa` crate, which rPGP calls, does not compute in constant time (RUSTSEC-2023-0071): then the time that a file
//! takes depends on the private key and on what the file's author chose. So the private-key operation is our own.

use std::io::Cursor;

use pgp::composed::{PlainSessionKey, RawSessionKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::ser::Serialize;
use pgp::types::{EskType, Mpi, PkeskBytes, PublicParams};
use unsops_rsa::PrivateKey;

use crate::secret::{Secret, SecretBytes};

/// What is secret of an RSA key, as bytes. To check a key and to prepare it takes as long as to use it, and of the keys
/// of a home one is used.
pub(super) struct RsaNumbers(pub(super) [SecretBytes; 4]);

impl RsaNumbers {
    /// Their names in GnuPG's files, in the order of OpenPGP: the private exponent, the primes, and the inverse of the
    /// first modulo the second.
    pub(super) const NAMES: [&str; 4] = ["d", "p", "q", "u"];

    /// Reads them as OpenPGP writes them; nothing may follow.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Cursor::new(bytes);
        let [d, p, q, u] = Self::NAMES.map(|_| Mpi::try_from_reader(&mut rest).ok());
        let is_all = usize::try_from(rest.position()) == Ok(bytes.len());
        let numbers = [d?, p?, q?, u?].map(|number| Secret::new(number.as_ref().to_vec()));
        is_all.then_some(Self(numbers))
    }

    /// Opens a session key; `None` where it does not open.
    pub(super) fn open(&self, public: &PublicParams, values: &PkeskBytes, kind: EskType) -> Option<PlainSessionKey> {
        let PkeskBytes::Rsa { mpi } = values else { return None };
        let [n, e] = public_numbers(public)?;
        let [d, p, q, u] = self.0.each_ref().map(|number| number.expose().as_slice());
        let key = PrivateKey { n: n.as_ref(), e: e.as_ref(), d, p, q, u };
        let plain = key.decrypt(mpi.as_ref()).ok()?;
        session_key(&plain, kind)
    }
}

/// Modulus and exponent; `None` where the key is of another kind.
fn public_numbers(public: &PublicParams) -> Option<[Mpi; 2]> {
    let PublicParams::RSA(_) = public else { return None };
    let mut numbers = Cursor::new(public.to_bytes().ok()?);
    Some([Mpi::try_from_reader(&mut numbers).ok()?, Mpi::try_from_reader(&mut numbers).ok()?])
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

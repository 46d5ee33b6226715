//! RSA session keys, opened in a time that tells nothing of the private key, nor of the padding.
//!
//! rPGP calls version 0.9 of the `rsa` crate, which does not compute in constant time (RUSTSEC-2023-0071): then the time
//! that a file takes depends on the private key and on what the file's author chose. Version 0.10 does compute so, blinds
//! the ciphertext, the exponents and the primes by random numbers, encrypts the result again before it lets it out, and
//! makes a message up where the padding is wrong (draft-irtf-cfrg-rsa-guidance, 7.2), so that nothing shows that it was.

use std::io::Cursor;

use pgp::composed::{PlainSessionKey, RawSessionKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::ser::Serialize;
use pgp::types::{EskType, Mpi, PkeskBytes, PublicParams};
use rsa::{BoxedUint, PrivateKey};
use zeroize::Zeroizing;

use crate::secret::{Secret, SecretBytes};

/// Largest modulus, in bytes: 8,192 bits, the most that rPGP reads.
const MOST_MODULUS_BYTES: usize = 1024;

/// What is secret of an RSA key, as bytes. To check a key and to prepare it takes time, and of the keys of a home one is
/// used.
pub(super) struct RsaNumbers(pub(super) [SecretBytes; 3]);

impl RsaNumbers {
    /// Their names in GnuPG's files: the private exponent and the primes.
    pub(super) const NAMES: [&str; 3] = ["d", "p", "q"];

    /// Reads them as OpenPGP writes them, with the inverse of a prime, which is computed anew; nothing may follow.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Cursor::new(bytes);
        let [d, p, q, inverse] = [(); 4].map(|()| Mpi::try_from_reader(&mut rest).ok());
        let is_all = inverse.is_some() && usize::try_from(rest.position()) == Ok(bytes.len());
        let numbers = [d?, p?, q?].map(|number| Secret::new(number.as_ref().to_vec()));
        is_all.then_some(Self(numbers))
    }

    /// Opens a session key; `None` where it does not open.
    pub(super) fn open(&self, public: &PublicParams, values: &PkeskBytes, kind: EskType) -> Option<PlainSessionKey> {
        let PkeskBytes::Rsa { mpi } = values else { return None };
        let [n, e] = public_numbers(public)?;
        let plain = self.decrypt(n.as_ref(), e.as_ref(), mpi.as_ref())?;
        session_key(&plain, kind)
    }

    /// Applies the private key of modulus `n` and public exponent `e`, and takes the padding off. Where that is wrong, the
    /// message is a made-up one, always the same for a ciphertext.
    pub(super) fn decrypt(&self, n: &[u8], e: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (n, ciphertext) = (without_zeros(n), without_zeros(ciphertext));
        if n.len() > MOST_MODULUS_BYTES {
            return None;
        }
        // OpenPGP leaves zeros in front out.
        let zeros = n.len().checked_sub(ciphertext.len())?;
        let ciphertext = [&vec![0; zeros], ciphertext].concat();
        let key = self.key(n, e)?;
        key.pkcs1v15_decrypt(&ciphertext).ok().map(Zeroizing::new)
    }

    /// The key, once the numbers are found to make one: odd, different factors that give the modulus, exponents that fit
    /// each other.
    fn key(&self, n: &[u8], e: &[u8]) -> Option<PrivateKey> {
        let bits = u32::try_from(n.len()).ok()?.checked_mul(8)?;
        // Every number as wide as the modulus: its own size is nobody's business.
        let read = |number: &[u8]| BoxedUint::from_be_slice(without_zeros(number), bits).ok();
        let [d, p, q] = self.0.each_ref().map(|number| read(number.expose()));
        let (n, e, d, primes) = (read(n)?, read(e)?, d?, vec![p?, q?]);
        match PrivateKey::from_components(n.clone(), e.clone(), d.clone(), primes.clone()) {
            // One may be longer than half of the modulus, which is rare.
            Err(rsa::Error::InvalidPrime) => PrivateKey::from_components_with_wide_primes(n, e, d, primes).ok(),
            key => key.ok(),
        }
    }
}

/// A number without zeros in front.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
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

//! RSA secret key packets. The OpenPGP library would compute with the secret numbers while it reads them, through the
//! `rsa` crate: in a time that depends on them, and with a panic on some that are no key.
//!
//! Source: RFC 9580, 5.5.3 and 5.5.5.1.

use std::io::Cursor;

use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PacketHeader, PublicKey, PublicSubkey};
use pgp::ser::Serialize;
use pgp::types::{
    EncryptedSecretParams, Fingerprint, KeyDetails, KeyId, KeyVersion, Password, PlainSecretParams, PublicParams,
    S2kParams, SecretParams, StringToKey, Tag, Timestamp,
};

use super::gnupg_home::Public;
use super::rsa_session_key::RsaNumbers;
use super::secret_keys::PgpSecret;

/// Reads the body of a packet; `None` where it is no secret key or not RSA, inner `None` where it is malformed.
pub(super) fn read(tag: Tag, body: &[u8], primary: &str) -> Option<Option<PgpSecret>> {
    let mut rest = Cursor::new(body);
    let public = match tag {
        Tag::SecretKey => {
            let header = PacketHeader::new_fixed(Tag::PublicKey, 0);
            Public::Primary(PublicKey::try_from_reader(header, &mut rest).ok()?)
        }
        Tag::SecretSubkey => {
            let header = PacketHeader::new_fixed(Tag::PublicSubkey, 0);
            Public::Sub(PublicSubkey::try_from_reader(header, &mut rest).ok()?, primary.to_owned())
        }
        _ => return None,
    };
    let PublicParams::RSA(_) = public.params() else { return None };
    let secret = body.get(usize::try_from(rest.position()).ok()?..)?;
    Some(with_secret(public, secret))
}

fn with_secret(public: Public, secret: &[u8]) -> Option<PgpSecret> {
    let (version, algorithm) = match &public {
        Public::Primary(key) => (key.version(), key.algorithm()),
        Public::Sub(key, _) => (key.version(), key.algorithm()),
    };
    if let Some((0, numbers)) = secret.split_first() {
        let numbers = match version {
            KeyVersion::V6 => RsaNumbers::parse(numbers)?,
            _ => with_sum(numbers)?,
        };
        return Some(PgpSecret::Rsa(Box::new(public), numbers));
    }
    match SecretParams::from_slice(secret, version, algorithm, public.params()).ok()? {
        SecretParams::Encrypted(ref locked) => Some(PgpSecret::LockedRsa(Box::new(public), Box::new(locked.clone()))),
        SecretParams::Plain(_) => None,
    }
}

/// The numbers, after which stands the sum of their bytes.
fn with_sum(numbers: &[u8]) -> Option<RsaNumbers> {
    let (numbers, sum) = numbers.split_last_chunk::<2>()?;
    let is_whole =
        numbers.iter().fold(0, |sum: u16, byte| sum.wrapping_add((*byte).into())) == u16::from_be_bytes(*sum);
    is_whole.then(|| RsaNumbers::parse(numbers)).flatten()
}

/// Opens a protected key; `None` where the passphrase is wrong, or the protection not known.
pub(super) fn unlock(public: &Public, locked: &EncryptedSecretParams, passphrase: &Password) -> Option<RsaNumbers> {
    if let S2kParams::MalleableCfb { sym_alg, s2k, iv } = locked.string_to_key_params() {
        if matches!(s2k, StringToKey::Argon2 { .. }) {
            return None;
        }
        let key = s2k.derive_key(&passphrase.read(), sym_alg.key_size()).ok()?;
        let mut plain = locked.data().to_vec();
        sym_alg.decrypt_with_iv_regular(key.as_ref(), iv, &mut plain).ok()?;
        return with_sum(&plain);
    }
    let plain = match public {
        Public::Primary(key) => locked.unlock(passphrase, &Opaque::new(key), Some(Tag::SecretKey)),
        Public::Sub(key, _) => locked.unlock(passphrase, &Opaque::new(key), Some(Tag::SecretSubkey)),
    };
    match plain.ok()? {
        PlainSecretParams::Unknown { ref data, .. } => RsaNumbers::parse(data),
        _ => None,
    }
}

/// A key that says to be of an unknown kind. Of such a key the library hands out the secret part as it is, once it has
/// verified it.
#[derive(Debug)]
struct Opaque<'key, Key> {
    key: &'key Key,
    params: PublicParams,
}

impl<'key, Key> Opaque<'key, Key> {
    fn new(key: &'key Key) -> Self {
        Self { key, params: PublicParams::Unknown { data: Vec::new().into() } }
    }
}

impl<Key: KeyDetails> KeyDetails for Opaque<'_, Key> {
    fn version(&self) -> KeyVersion {
        self.key.version()
    }

    fn legacy_key_id(&self) -> KeyId {
        self.key.legacy_key_id()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    fn algorithm(&self) -> PublicKeyAlgorithm {
        PublicKeyAlgorithm::Unknown(0)
    }

    fn created_at(&self) -> Timestamp {
        self.key.created_at()
    }

    fn legacy_v3_expiration_days(&self) -> Option<u16> {
        self.key.legacy_v3_expiration_days()
    }

    fn public_params(&self) -> &PublicParams {
        &self.params
    }
}

impl<Key: Serialize> Serialize for Opaque<'_, Key> {
    fn to_writer<W: std::io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
        self.key.to_writer(writer)
    }

    fn write_len(&self) -> usize {
        self.key.write_len()
    }
}

#[cfg(test)]
mod tests {
    use pgp::crypto::aead::AeadAlgorithm;
    use pgp::crypto::hash::HashAlgorithm;
    use pgp::crypto::sym::SymmetricKeyAlgorithm;
    use pgp::types::{EskType, Mpi, PkeskBytes};
    use rsa9::traits::{PrivateKeyParts, PublicKeyParts};
    use rsa9::{BigUint, RsaPrivateKey};

    use super::*;
    use crate::keys::pgp::rsa_tests::Seeded;

    const TAGS: [Tag; 2] = [Tag::SecretKey, Tag::SecretSubkey];

    fn key() -> RsaPrivateKey {
        RsaPrivateKey::new(&mut Seeded(1), 512).unwrap()
    }

    fn mpis(numbers: &[&BigUint]) -> Vec<u8> {
        numbers.iter().flat_map(|number| Mpi::from_slice(&number.to_bytes_be()).to_bytes().unwrap()).collect()
    }

    /// Version 4, a time, RSA, modulus and exponent.
    fn public(n: &BigUint) -> Vec<u8> {
        [&[4, 0, 0, 0, 1, 1][..], &mpis(&[n, &BigUint::from(65_537_u32)])].concat()
    }

    fn summed(numbers: &[u8]) -> Vec<u8> {
        let sum = numbers.iter().fold(0, |sum: u16, byte| sum.wrapping_add((*byte).into()));
        [numbers, &sum.to_be_bytes()].concat()
    }

    fn secret(key: &RsaPrivateKey) -> Vec<u8> {
        let [q, p] = key.primes() else { panic!("two primes") };
        mpis(&[key.d(), p, q, &key.crt_coefficient().unwrap()])
    }

    fn assert_is(numbers: &RsaNumbers, key: &RsaPrivateKey) {
        let found: Vec<Vec<u8>> = numbers.0.iter().map(|number| number.expose().clone()).collect();
        assert_eq!(found, [key.d(), &key.primes()[1], &key.primes()[0]].map(BigUint::to_bytes_be));
    }

    #[test]
    fn reads_keys_in_clear_and_none_that_is_cut_or_changed() {
        let key = key();
        let whole = [public(key.n()), vec![0], summed(&secret(&key))].concat();
        for tag in TAGS {
            let Some(Some(PgpSecret::Rsa(public, numbers))) = read(tag, &whole, "PRIMARY") else { panic!("a key") };
            assert_is(&numbers, &key);
            let primary = if tag == Tag::SecretKey { public.fingerprint() } else { "PRIMARY".to_owned() };
            assert_eq!(public.primary(), primary);
            for cut in 0..whole.len() {
                assert!(read(tag, whole.get(..cut).unwrap(), "").flatten().is_none(), "{cut}");
            }
            let mut changed = whole.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert!(read(tag, &changed, "").is_some_and(|key| key.is_none()));
            assert!(read(tag, &[&whole[..], &[0]].concat(), "").is_some_and(|key| key.is_none()));
        }
        assert!(read(Tag::PublicKey, &whole, "").is_none());
    }

    #[test]
    fn prime_that_stands_there_twice_opens_nothing() {
        let key = key();
        let p = &key.primes()[0];
        let numbers = mpis(&[key.d(), p, p, &BigUint::from(1_u8)]);
        let whole = [public(&(p * p)), vec![0], summed(&numbers)].concat();
        let Some(Some(PgpSecret::Rsa(public, numbers))) = read(Tag::SecretKey, &whole, "") else { panic!("a key") };
        let values = PkeskBytes::Rsa { mpi: Mpi::from_slice(&[1; 60]) };
        assert!(numbers.open(public.params(), &values, EskType::V3_4).is_none());
    }

    #[test]
    fn unlocks_every_protection_with_the_right_passphrase_only() {
        let key = key();
        let s2k = || StringToKey::IteratedAndSalted { hash_alg: HashAlgorithm::Sha256, salt: [7; 8], count: 96 };
        let sym_alg = SymmetricKeyAlgorithm::AES256;
        let (iv, nonce) = (vec![3; 16], vec![3; 15]);
        for tag in TAGS {
            let [mut cursor, mut again] = [(); 2].map(|()| Cursor::new(public(key.n())));
            let public = match tag {
                Tag::SecretKey => {
                    let header = PacketHeader::new_fixed(Tag::PublicKey, 0);
                    Public::Primary(PublicKey::try_from_reader(header, &mut cursor).unwrap())
                }
                _ => {
                    let header = PacketHeader::new_fixed(Tag::PublicSubkey, 0);
                    Public::Sub(PublicSubkey::try_from_reader(header, &mut cursor).unwrap(), String::new())
                }
            };
            let named = PublicKey::try_from_reader(PacketHeader::new_fixed(Tag::PublicKey, 0), &mut again).unwrap();
            let plain = PlainSecretParams::RSA(key.clone().into());
            let encrypt = |params| plain.encrypt(b"right", params, &named, Some(tag)).unwrap();
            let mut data = summed(&secret(&key));
            let derived = s2k().derive_key(b"right", sym_alg.key_size()).unwrap();
            sym_alg.encrypt_with_iv_regular(derived.as_ref(), &iv, &mut data).unwrap();
            let malleable = S2kParams::MalleableCfb { sym_alg, s2k: s2k(), iv: iv.clone().into() };
            let aead_mode = AeadAlgorithm::Ocb;
            for locked in [
                encrypt(S2kParams::Cfb { sym_alg, s2k: s2k(), iv: iv.clone().into() }),
                encrypt(S2kParams::Aead { sym_alg, aead_mode, s2k: s2k(), nonce: nonce.clone().into() }),
                EncryptedSecretParams::new(data.into(), malleable),
            ] {
                let numbers = unlock(&public, &locked, &Password::from("right")).expect("the right passphrase");
                assert_eq!(numbers.0.iter().map(|number| number.expose().len()).sum::<usize>(), 128);
                assert!(unlock(&public, &locked, &Password::from("wrong")).is_none());
            }
        }
    }
}

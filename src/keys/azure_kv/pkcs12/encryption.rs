//! How a PKCS#12 file is protected: the MAC over all, and encryption with keys made of a password. The old way is what Go,
//! Windows and OpenSSL 1 write (3DES, RC2 with 40 bits); the new one is that of OpenSSL 3 and Java (AES, PBKDF2).
//!
//! Source: RFC 7292, appendices B and C; RFC 8018, 5.2, 6.2 and A.4.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecryptMut, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::digest::core_api::BlockSizeUser;
use sha2::{Digest, Sha256};

use super::Problem;
use super::der::{Der, IDENTIFIER, OCTETS};
use crate::limits;
use crate::secret::{Secret, SecretBytes};

const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 7];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
const PBE_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 3];
const PBE_RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 6];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const AES_128: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2];
const AES_256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];

/// Bytes that SHA-1 and SHA-256 take at a time.
const BLOCK: usize = 64;

/// What a derived key is for, in the old way.
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// A password in the two forms that there are, and how much work may still be done with it.
pub(super) struct Password {
    utf8: SecretBytes,
    /// UTF-16, big-endian, with a zero at its end.
    utf16: SecretBytes,
    hashes_left: u32,
}

impl Password {
    pub(super) fn new(text: &str) -> Self {
        let utf16 = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
        Self { utf8: text.into(), utf16: Secret::new(utf16), hashes_left: limits::PKCS12_HASHES }
    }

    /// Whether the MAC over `content` is right; `mac` is what follows it in the file. Some programs take no bytes at all
    /// for an empty password: if it is that, then for the encryption, too.
    pub(super) fn verifies(&mut self, mut mac: Der<'_>, content: &[u8]) -> Result<bool, Problem> {
        let mut digest_info = mac.sequence().ok_or(Problem::Malformed)?;
        let mut algorithm = digest_info.sequence().ok_or(Problem::Malformed)?;
        let algorithm = algorithm.take(IDENTIFIER).ok_or(Problem::Malformed)?;
        let digest = digest_info.take(OCTETS).ok_or(Problem::Malformed)?;
        let salt = mac.take(OCTETS).ok_or(Problem::Malformed)?;
        let rounds = if mac.is_empty() { 1 } else { mac.number().ok_or(Problem::Malformed)? };
        if self.has_mac(algorithm, digest, salt, rounds, content)? {
            return Ok(true);
        }
        if !self.utf8.expose().is_empty() {
            return Ok(false);
        }
        self.utf16 = Secret::new(Vec::new());
        self.has_mac(algorithm, digest, salt, rounds, content)
    }

    fn has_mac(
        &mut self,
        algorithm: &[u8],
        digest: &[u8],
        salt: &[u8],
        rounds: u32,
        content: &[u8],
    ) -> Result<bool, Problem> {
        match algorithm {
            SHA1 => {
                let key = self.derive::<Sha1>(Purpose::Mac, salt, rounds, 20)?;
                let mac = <Hmac<Sha1> as Mac>::new_from_slice(key.expose()).map_err(|_| Problem::Malformed)?;
                Ok(mac.chain_update(content).verify_slice(digest).is_ok())
            }
            SHA256 => {
                let key = self.derive::<Sha256>(Purpose::Mac, salt, rounds, 32)?;
                let mac = <Hmac<Sha256> as Mac>::new_from_slice(key.expose()).map_err(|_| Problem::Malformed)?;
                Ok(mac.chain_update(content).verify_slice(digest).is_ok())
            }
            _ => Err(Problem::Unsupported),
        }
    }

    /// Decrypts what `algorithm` says how.
    pub(super) fn decrypt(&mut self, mut algorithm: Der<'_>, encrypted: &[u8]) -> Result<SecretBytes, Problem> {
        let name = algorithm.take(IDENTIFIER).ok_or(Problem::Malformed)?;
        let mut parameters = algorithm.sequence().ok_or(Problem::Malformed)?;
        if name == PBES2 {
            return self.decrypt_new(parameters, encrypted);
        }
        let key_length = match name {
            PBE_3DES => 24,
            PBE_RC2_40 => 5,
            _ => return Err(Problem::Unsupported),
        };
        let salt = parameters.take(OCTETS).ok_or(Problem::Malformed)?;
        let rounds = parameters.number().ok_or(Problem::Malformed)?;
        let key = self.derive::<Sha1>(Purpose::Key, salt, rounds, key_length)?;
        let iv = self.derive::<Sha1>(Purpose::Iv, salt, rounds, 8)?;
        match name {
            PBE_3DES => cbc::<des::TdesEde3>(key.expose(), iv.expose(), encrypted),
            _ => cbc::<rc2::Rc2>(key.expose(), iv.expose(), encrypted),
        }
    }

    fn decrypt_new(&mut self, mut parameters: Der<'_>, encrypted: &[u8]) -> Result<SecretBytes, Problem> {
        let mut derivation = parameters.sequence().ok_or(Problem::Malformed)?;
        let mut cipher = parameters.sequence().ok_or(Problem::Malformed)?;
        let (name, iv) = cipher.take(IDENTIFIER).zip(cipher.take(OCTETS)).ok_or(Problem::Unsupported)?;
        let key_length = match name {
            AES_128 => 16,
            AES_256 => 32,
            _ => return Err(Problem::Unsupported),
        };
        if derivation.take(IDENTIFIER) != Some(PBKDF2) {
            return Err(Problem::Unsupported);
        }
        let mut derivation = derivation.sequence().ok_or(Problem::Malformed)?;
        let salt = derivation.take(OCTETS).ok_or(Problem::Malformed)?;
        let rounds = derivation.number().ok_or(Problem::Malformed)?;
        // The length of the key is that of the cipher.
        _ = derivation.number();
        let function = match derivation.sequence() {
            Some(mut function) => function.take(IDENTIFIER).ok_or(Problem::Malformed)?,
            None => HMAC_SHA1,
        };
        let mut key = vec![0; key_length];
        let password = self.utf8.expose();
        match function {
            HMAC_SHA1 => {
                spend(&mut self.hashes_left, rounds, 2 * key_length.div_ceil(20))?;
                pbkdf2::pbkdf2::<Hmac<Sha1>>(password, salt, rounds, &mut key).map_err(|_| Problem::Malformed)?;
            }
            HMAC_SHA256 => {
                spend(&mut self.hashes_left, rounds, 2)?;
                pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, rounds, &mut key).map_err(|_| Problem::Malformed)?;
            }
            _ => return Err(Problem::Unsupported),
        }
        let key = Secret::new(key);
        match name {
            AES_128 => cbc::<aes::Aes128>(key.expose(), iv, encrypted),
            _ => cbc::<aes::Aes256>(key.expose(), iv, encrypted),
        }
    }

    /// Makes a key of the password, in the old way (RFC 7292, B.2).
    fn derive<D: Digest + BlockSizeUser>(
        &mut self,
        purpose: Purpose,
        salt: &[u8],
        rounds: u32,
        length: usize,
    ) -> Result<SecretBytes, Problem> {
        spend(&mut self.hashes_left, rounds, length.div_ceil(<D as Digest>::output_size()))?;
        let whole = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK)).collect()
        };
        let mut input = [whole(salt), whole(self.utf16.expose())].concat();
        let mut key = Vec::with_capacity(length);
        while key.len() < length {
            let mut hash = D::new().chain_update([purpose as u8; BLOCK]).chain_update(&input).finalize();
            for _ in 1..rounds {
                hash = D::digest(&hash);
            }
            key.extend(hash.iter().take(length - key.len()));
            // Each block of the input, as a number, grows by the hash, repeated to a block, and one.
            let added: Vec<u8> = hash.iter().copied().cycle().take(BLOCK).collect();
            for block in input.chunks_exact_mut(BLOCK) {
                let mut carry = 1;
                for (byte, added) in block.iter_mut().zip(&added).rev() {
                    let [high, low] = (u16::from(*byte) + u16::from(*added) + carry).to_be_bytes();
                    (*byte, carry) = (low, u16::from(high));
                }
            }
        }
        Ok(Secret::new(key))
    }
}

/// Takes the work for a key from what is left.
fn spend(hashes_left: &mut u32, rounds: u32, times: usize) -> Result<(), Problem> {
    let hashes = u32::try_from(times).ok().and_then(|times| rounds.checked_mul(times));
    *hashes_left = hashes.and_then(|hashes| hashes_left.checked_sub(hashes)).ok_or(Problem::TooSlow)?;
    Ok(())
}

/// Decrypts in CBC mode and takes the padding away; a wrong one cannot be told from a wrong password.
fn cbc<C>(key: &[u8], iv: &[u8], encrypted: &[u8]) -> Result<SecretBytes, Problem>
where
    C: KeyInit + BlockCipher + BlockDecryptMut,
{
    let cipher = C::new_from_slice(key).map_err(|_| Problem::Malformed)?;
    let mode = cbc::Decryptor::<C>::inner_iv_slice_init(cipher, iv).map_err(|_| Problem::Malformed)?;
    let mut buffer = encrypted.to_vec();
    let length = mode.decrypt_padded_mut::<Pkcs7>(&mut buffer).map_err(|_| Problem::Malformed)?.len();
    buffer.truncate(length);
    Ok(Secret::new(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of golang.org/x/crypto, `pkcs12/pbkdf_test.go`.
    #[test]
    fn makes_the_keys_that_others_make() {
        let key = |password: &str, salt: &[u8]| {
            let key = Password::new(password).derive::<Sha1>(Purpose::Key, salt, 2048, 24);
            key.unwrap_or_else(|problem| panic!("{problem:?}")).into_exposed()
        };
        assert_eq!(
            key("sesame", &[0xff; 8]),
            b"\x7c\xd9\xfd\x3e\x2b\x3b\xe7\x69\x1a\x44\xe3\xbe\xf0\xf9\xea\x0f\xb9\xb8\x97\xd4\xe3\x25\xd9\xd1"
        );
        assert_eq!(
            key("", b"\xf3\x7e\x05\xb5\x18\x32\x4b\x4b"),
            b"\x00\xf7\x59\xff\x47\xd1\x4d\xd0\x36\x65\xd5\x94\x3c\xb3\xc4\xa3\x9a\x25\x55\xc0\x2a\xed\x66\xe1"
        );
    }

    #[test]
    fn the_work_of_a_whole_file_is_bounded() {
        let mut password = Password::new("sesame");
        assert_eq!(password.derive::<Sha1>(Purpose::Key, b"12345678", u32::MAX, 24).err(), Some(Problem::TooSlow));
        let half = limits::PKCS12_HASHES / 2;
        assert_eq!(spend(&mut password.hashes_left, half, 1), Ok(()));
        assert_eq!(spend(&mut password.hashes_left, half + 1, 1), Err(Problem::TooSlow));
        assert_eq!(spend(&mut password.hashes_left, half, 1), Ok(()));
    }

    #[test]
    fn no_way_of_encryption_is_without_that_bound() {
        let oid = |oid: &[u8]| element(6, oid);
        let salt_and_rounds = [element(4, b"12345678"), element(2, &[0x7f, 0xff, 0xff, 0xff])].concat();
        let old = |name| [oid(name), element(0x30, &salt_and_rounds)].concat();
        let new = |function| {
            let derivation = [&salt_and_rounds[..], &element(0x30, &oid(function))].concat();
            let derivation = element(0x30, &[oid(PBKDF2), element(0x30, &derivation)].concat());
            let cipher = element(0x30, &[oid(AES_256), element(4, &[0; 16])].concat());
            [oid(PBES2), element(0x30, &[derivation, cipher].concat())].concat()
        };
        for algorithm in [old(PBE_3DES), old(PBE_RC2_40), new(HMAC_SHA1), new(HMAC_SHA256)] {
            let refused = Password::new("sesame").decrypt(Der(&algorithm), &[0; 16]).err();
            assert_eq!(refused, Some(Problem::TooSlow), "{algorithm:x?}");
        }
        for algorithm in [old(PBKDF2), new(SHA256), new(AES_128)] {
            let refused = Password::new("sesame").decrypt(Der(&algorithm), &[0; 16]).err();
            assert_eq!(refused, Some(Problem::Unsupported), "{algorithm:x?}");
        }
    }

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80).expect("short");
        [&[tag, length], content].concat()
    }
}

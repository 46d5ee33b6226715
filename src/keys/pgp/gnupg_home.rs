//! A GnuPG home read without any gpg program: public keys from `pubring.kbx` or `pubring.gpg`, their secret halves from
//! `private-keys-v1.d`, or everything from an old `secring.gpg`.
//!
//! Sources: GnuPG `kbx/keybox-blob.c` (keybox), `agent/keyformat.txt` (private keys), `agent/protect.c` (protection).

use std::io::Cursor;

use aes::Aes128;
use aes::cipher::{BlockDecrypt, KeyInit};
use ocb3::Ocb3;
use ocb3::aead::AeadInPlace;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{
    Packet, PacketParser, PublicKey, PublicKeyEncryptedSessionKey, PublicSubkey, SecretKey, SecretSubkey,
};
use pgp::ser::Serialize;
use pgp::types::{
    EncryptedSecretParams, KeyDetails, Mpi, PlainSecretParams, PublicParams, S2kParams, SecretParams, StringToKey,
};
use sha1::{Digest, Sha1};

use super::rsa_session_key::RsaNumbers;
use super::secret_keys::PgpSecret;
use super::sexp::Sexp;
use crate::secret::{Secret, SecretBytes};

/// What a GnuPG home holds, as read from disk.
pub struct GnupgHome {
    /// Content of `pubring.kbx` or `pubring.gpg`.
    pub public_keyring: Vec<u8>,
    /// Contents of the files of `private-keys-v1.d`.
    pub private_keys: Vec<SecretBytes>,
}

/// The secret keys of a home, and how many more there are that want a passphrase which we do not have.
pub struct Unlocked {
    /// Keys that can be used, or that still want their OpenPGP passphrase.
    pub keys: Vec<PgpSecret>,
    /// Fingerprints of keys that stay locked.
    pub locked: Vec<String>,
}

impl GnupgHome {
    /// Joins secret halves to their public keys.
    pub fn unlock(&self, passphrase: Option<&SecretBytes>) -> Unlocked {
        let private: Vec<PrivateKey> =
            self.private_keys.iter().filter_map(|file| PrivateKey::parse(file.expose())).collect();
        let mut unlocked = Unlocked { keys: Vec::new(), locked: Vec::new() };
        for public in public_keys(&self.public_keyring) {
            let params = public.params();
            let Some(point) = public_value(params) else { continue };
            let Some(key) = private.iter().find(|key| key.public_value == point) else { continue };
            match key.secret_params(&public, passphrase) {
                Some(secret) => unlocked.keys.extend(public.with_secret(secret)),
                None => unlocked.locked.push(public.fingerprint()),
            }
        }
        unlocked
    }
}

/// A public key of a keyring.
pub enum Public {
    /// A primary key.
    Primary(PublicKey),
    /// A subkey, and the fingerprint of its primary key.
    Sub(PublicSubkey, String),
}

impl Public {
    /// Its public values.
    pub fn params(&self) -> &PublicParams {
        match self {
            Self::Primary(key) => key.public_params(),
            Self::Sub(key, _) => key.public_params(),
        }
    }

    /// Whether a session key packet is for this key, or for nobody in particular (hidden recipient).
    pub fn is_named_by(&self, packet: &PublicKeyEncryptedSessionKey) -> bool {
        match self {
            Self::Primary(key) => packet.match_identity(key),
            Self::Sub(key, _) => packet.match_identity(key),
        }
    }

    /// The key's fingerprint in upper-case hex.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Primary(key) => key.fingerprint().to_string().to_uppercase(),
            Self::Sub(key, _) => key.fingerprint().to_string().to_uppercase(),
        }
    }

    /// The fingerprint of the primary key that it belongs to, or that it is.
    pub fn primary(&self) -> String {
        match self {
            Self::Primary(_) => self.fingerprint(),
            Self::Sub(_, primary) => primary.clone(),
        }
    }

    fn plain(&self, material: &[u8]) -> Option<SecretParams> {
        let plain = match self {
            Self::Primary(key) => PlainSecretParams::try_from_reader_no_checksum(
                material,
                key.version(),
                key.algorithm(),
                key.public_params(),
            ),
            Self::Sub(key, _) => PlainSecretParams::try_from_reader_no_checksum(
                material,
                key.version(),
                key.algorithm(),
                key.public_params(),
            ),
        };
        plain.ok().map(SecretParams::Plain)
    }

    fn with_secret(self, secret: Material) -> Option<PgpSecret> {
        match (self, secret) {
            (public, Material::Rsa(numbers)) => Some(PgpSecret::Rsa(Box::new(public), numbers)),
            (public, Material::Params(secret)) if matches!(public.params(), PublicParams::RSA(_)) => match *secret {
                SecretParams::Encrypted(ref locked) => {
                    Some(PgpSecret::LockedRsa(Box::new(public), Box::new(locked.clone())))
                }
                SecretParams::Plain(_) => None,
            },
            (Self::Primary(key), Material::Params(secret)) => SecretKey::new(key, *secret).ok().map(PgpSecret::Primary),
            (Self::Sub(key, primary), Material::Params(secret)) => {
                SecretSubkey::new(key, *secret).ok().map(|key| PgpSecret::Sub(key, primary))
            }
        }
    }
}

/// All public keys of a keyring, in a keybox or as plain packets.
pub fn public_keys(keyring: &[u8]) -> Vec<Public> {
    let blocks = if is_keybox(keyring) { keybox_blocks(keyring) } else { vec![keyring] };
    let mut primary = String::new();
    blocks
        .into_iter()
        .flat_map(|block| PacketParser::new(Cursor::new(block)).flatten())
        .filter_map(|packet| match packet {
            Packet::PublicKey(key) => {
                primary = key.fingerprint().to_string().to_uppercase();
                Some(Public::Primary(key))
            }
            Packet::PublicSubkey(key) => Some(Public::Sub(key, primary.clone())),
            _ => None,
        })
        .collect()
}

pub(super) fn is_keybox(keyring: &[u8]) -> bool {
    keyring.get(8..12) == Some(b"KBXf")
}

/// The OpenPGP keyblocks of a keybox. A blob begins with its length (32 bits, big-endian) and its type (2 is
/// OpenPGP); offset and length of the keyblock stand at 8 and 12.
pub(super) fn keybox_blocks(keybox: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    let mut rest = keybox;
    while let Some(length) = number(rest, 0).filter(|length| *length >= 16) {
        let Some((blob, after)) = rest.split_at_checked(length) else { break };
        if blob.get(4) == Some(&2)
            && let (Some(offset), Some(length)) = (number(blob, 8), number(blob, 12))
            && let Some(block) = blob.get(offset..).and_then(|from| from.get(..length))
        {
            blocks.push(block);
        }
        rest = after;
    }
    blocks
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

/// What identifies a key in both worlds: the modulus of RSA, the point of a curve; leading zeros taken off.
fn public_value(params: &PublicParams) -> Option<Vec<u8>> {
    let bytes = params.to_bytes().ok()?;
    let mpi = match params {
        PublicParams::RSA(_) => bytes.as_slice(),
        PublicParams::ECDH(_) => bytes.get(1 + usize::from(*bytes.first()?)..)?,
        _ => return None,
    };
    let bits = u16::from_be_bytes(mpi.first_chunk().copied()?);
    let value = mpi.get(2..)?.get(..usize::from(bits).div_ceil(8))?;
    Some(without_zeros(value).to_vec())
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// One file of `private-keys-v1.d`.
struct PrivateKey {
    sexp: Sexp,
    public_value: Vec<u8>,
}

/// Secret parameters of the algorithms that can decrypt, in the order in which OpenPGP writes them.
fn secret_names(algorithm: &[u8]) -> Option<&'static [&'static str]> {
    match algorithm {
        b"rsa" | b"openpgp-rsa" => Some(&["d", "p", "q", "u"]),
        b"ecc" | b"ecdh" => Some(&["d"]),
        _ => None,
    }
}

impl PrivateKey {
    /// Reads either form: a bare S-expression, or (GnuPG 2.3 and later) `Name: value` lines with one under `Key:`.
    fn parse(file: &[u8]) -> Option<Self> {
        let sexp = match file.first() {
            Some(b'(') => Sexp::parse(file)?,
            _ => Sexp::parse(key_line(&unfold(file))?)?,
        };
        let key = sexp.list()?.get(1)?;
        let public = key.value("n").or_else(|| key.value("q")).map(<[u8]>::to_vec);
        let public_value = without_zeros(&public.or_else(|| native_public(&sexp))?).to_vec();
        Some(Self { sexp, public_value })
    }

    /// The secret parameters for this public key; `None` if locked or not understood.
    fn secret_params(&self, public: &Public, passphrase: Option<&SecretBytes>) -> Option<Material> {
        let key = self.sexp.list()?.get(1)?;
        match self.sexp.name()? {
            b"private-key" => material(key, key.name()?, public),
            b"protected-private-key" => {
                let protected = key.child("protected")?;
                match protected.first()?.atom()? {
                    b"openpgp-native" => native_params(protected.get(1)?, public),
                    mode => {
                        let plain = unprotect(key, mode, protected, passphrase?.expose())?;
                        material(plain.list()?.first()?, key.name()?, public)
                    }
                }
            }
            _ => None,
        }
    }
}

/// Takes the line folding out: a line that begins with a blank continues the one before, in the middle of a word even.
fn unfold(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(file.len());
    let mut lines = file.split(|byte| *byte == b'\n');
    out.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines {
        match line.strip_prefix(b" ") {
            Some(continuation) => out.extend_from_slice(continuation),
            None => {
                out.push(b'\n');
                out.extend_from_slice(line);
            }
        }
    }
    out
}

/// The value of `Key:`.
fn key_line(unfolded: &[u8]) -> Option<&[u8]> {
    let lines = unfolded.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split_at_checked(4))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"Key:"))
        .map(|(_, key)| key)
}

/// The secret half of a key.
enum Material {
    Rsa(RsaNumbers),
    Params(Box<SecretParams>),
}

/// The secret half out of its parameters in clear.
fn material(parameters: &Sexp, algorithm: &[u8], public: &Public) -> Option<Material> {
    let names = secret_names(algorithm)?;
    if let PublicParams::RSA(_) = public.params() {
        let [d, p, q] = RsaNumbers::NAMES.map(|name| parameter(parameters, name));
        return Some(Material::Rsa(RsaNumbers([d?, p?, q?].map(|number| Secret::new(number.to_vec())))));
    }
    let mut material = Vec::new();
    for name in names {
        Mpi::from_slice(parameter(parameters, name)?).to_writer(&mut material).ok()?;
    }
    public.plain(&material).map(|params| Material::Params(Box::new(params)))
}

/// A named parameter. The first element of a parameter list may itself be one.
fn parameter<'s>(parameters: &'s Sexp, name: &str) -> Option<&'s [u8]> {
    parameters.list()?.iter().find(|e| e.name() == Some(name.as_bytes()))?.list()?.get(1)?.atom()
}

/// Opens a protected part: `(protected MODE ((sha1 SALT COUNT) IV) CIPHERTEXT)`, AES-128 under an iterated and salted
/// SHA-1 of the passphrase.
fn unprotect(key: &Sexp, mode: &[u8], protected: &[Sexp], passphrase: &[u8]) -> Option<Sexp> {
    let parameters = protected.get(1)?.list()?;
    let s2k = parameters.first()?.list()?;
    let (salt, count) = (s2k.get(1)?.atom()?, s2k.get(2)?.atom()?);
    let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
    let iv = parameters.get(1)?.atom()?;
    let ciphertext = protected.get(2)?.atom()?;
    let aes_key = Secret::new(derive(passphrase, salt, count)?);
    let mut plain = ciphertext.to_vec();
    match mode {
        b"openpgp-s2k3-ocb-aes" => {
            let mut authenticated = Vec::new();
            key.canonical_without("protected", &mut authenticated);
            let tag_at = plain.len().checked_sub(16)?;
            let tag = plain.split_off(tag_at);
            let nonce: [u8; 12] = iv.try_into().ok()?;
            Ocb3::<Aes128, aes::cipher::consts::U12>::new_from_slice(aes_key.expose())
                .ok()?
                .decrypt_in_place_detached(&nonce.into(), &authenticated, &mut plain, tag.as_slice().into())
                .ok()?;
        }
        b"openpgp-s2k3-sha1-aes-cbc" => {
            decrypt_cbc(aes_key.expose(), iv.try_into().ok()?, &mut plain)?;
            let sexp = Sexp::parse(&plain)?;
            let mut hashed = Vec::new();
            with_secrets(key, sexp.list()?.first()?).canonical_without("protected", &mut hashed);
            let stored = sexp.child("hash")?.get(1)?.atom()?;
            return (Sha1::digest(&hashed).as_slice() == stored).then_some(sexp);
        }
        _ => return None,
    }
    Sexp::parse(&plain)
}

/// The key with its secret parameters put in the place of the protected part: what the SHA-1 of the CBC mode covers.
fn with_secrets(key: &Sexp, secrets: &Sexp) -> Sexp {
    let mut elements = Vec::new();
    for element in key.list().unwrap_or_default() {
        if element.name() == Some(b"protected") {
            elements.extend(secrets.list().unwrap_or_default().iter().map(duplicate));
        } else {
            elements.push(duplicate(element));
        }
    }
    Sexp::List(elements)
}

fn duplicate(sexp: &Sexp) -> Sexp {
    match sexp {
        Sexp::Atom(bytes) => Sexp::Atom(bytes.duplicate()),
        Sexp::List(elements) => Sexp::List(elements.iter().map(duplicate).collect()),
    }
}

fn decrypt_cbc(key: &[u8; 16], iv: [u8; 16], data: &mut [u8]) -> Option<()> {
    if data.is_empty() || !data.len().is_multiple_of(16) {
        return None;
    }
    let cipher = Aes128::new(key.into());
    let mut previous = iv;
    for block in data.chunks_exact_mut(16) {
        let ciphertext: [u8; 16] = (&*block).try_into().ok()?;
        cipher.decrypt_block(block.into());
        block.iter_mut().zip(previous).for_each(|(byte, mask)| *byte ^= mask);
        previous = ciphertext;
    }
    Some(())
}

/// Most octets that a passphrase is stretched to; gpg-agent calibrates to 0.1 s, about 65 million.
const MOST_S2K_OCTETS: usize = 1 << 30;

/// OpenPGP's iterated and salted S2K with SHA-1, 128 bits of it. GnuPG stores the octet count itself, not the
/// one-octet code.
fn derive(passphrase: &[u8], salt: &[u8], count: usize) -> Option<[u8; 16]> {
    let unit = [salt, passphrase].concat();
    let mut left = count.max(unit.len());
    if left > MOST_S2K_OCTETS {
        return None;
    }
    let block = SecretBytes::new(unit.repeat((8192 / unit.len().max(1)).max(1)));
    let mut hash = Sha1::new();
    while left > 0 {
        let part = block.expose().get(..left).unwrap_or(block.expose());
        hash.update(part);
        left -= part.len();
    }
    hash.finalize().first_chunk().copied()
}

/// `(openpgp-private-key (version V) (algo A) (curve C)? (skey _ P1 … ) (csum N) (protection TYPE CIPHER IV MODE HASH SALT COUNT))`: what
/// `gpg --batch --import` leaves until the key is first used.
fn native_params(native: &Sexp, public: &Public) -> Option<Material> {
    let protection = native.child("protection")?;
    let values = skey(native)?;
    match protection.first()?.atom()? {
        b"none" => {
            let secret = values.get(public_count(public.params())?..)?;
            if let PublicParams::RSA(_) = public.params() {
                let [(_, d), (_, p), (_, q), _] = secret else { return None };
                return Some(Material::Rsa(RsaNumbers([d, p, q].map(|number| Secret::new(number.to_vec())))));
            }
            let mut material = Vec::new();
            for (_, value) in secret {
                Mpi::from_slice(value).to_writer(&mut material).ok()?;
            }
            public.plain(&material).map(|params| Material::Params(Box::new(params)))
        }
        kind => {
            let (marker, ciphertext) = values.last()?;
            if *marker != b"e" {
                return None;
            }
            let text = |at: usize| std::str::from_utf8(protection.get(at)?.atom()?).ok();
            let sym_alg = match text(1)?.to_ascii_lowercase().as_str() {
                "aes" | "aes128" => SymmetricKeyAlgorithm::AES128,
                "aes192" => SymmetricKeyAlgorithm::AES192,
                "aes256" => SymmetricKeyAlgorithm::AES256,
                "cast5" => SymmetricKeyAlgorithm::CAST5,
                "3des" => SymmetricKeyAlgorithm::TripleDES,
                _ => return None,
            };
            let hash_alg = match text(4)?.to_ascii_lowercase().as_str() {
                "sha1" => HashAlgorithm::Sha1,
                "sha256" => HashAlgorithm::Sha256,
                "sha512" => HashAlgorithm::Sha512,
                _ => return None,
            };
            let count: u8 = text(6)?.parse().ok()?;
            let salt: [u8; 8] = protection.get(5)?.atom()?.try_into().ok()?;
            let s2k = StringToKey::IteratedAndSalted { hash_alg, salt, count };
            let iv = protection.get(2)?.atom()?.to_vec().into();
            let s2k = match kind {
                b"sha1" => S2kParams::Cfb { sym_alg, s2k, iv },
                b"sum" => S2kParams::MalleableCfb { sym_alg, s2k, iv },
                _ => return None,
            };
            let encrypted = EncryptedSecretParams::new(ciphertext.to_vec().into(), s2k);
            Some(Material::Params(Box::new(SecretParams::Encrypted(encrypted))))
        }
    }
}

fn public_count(params: &PublicParams) -> Option<usize> {
    match params {
        PublicParams::RSA(_) => Some(2),
        PublicParams::ECDH(_) => Some(1),
        _ => None,
    }
}

/// Pairs of marker (`_` plain, `e` encrypted) and value.
fn skey(native: &Sexp) -> Option<Vec<(&[u8], &[u8])>> {
    let elements = native.child("skey")?;
    elements.chunks_exact(2).map(|pair| Some((pair.first()?.atom()?, pair.get(1)?.atom()?))).collect()
}

fn native_public(sexp: &Sexp) -> Option<Vec<u8>> {
    let native = sexp.list()?.get(1)?.child("protected")?.get(1)?;
    skey(native)?.first().map(|(_, value)| value.to_vec())
}

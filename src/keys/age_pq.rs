//! Hybrid post-quantum age identities: `AGE-SECRET-KEY-PQ-1…`, stanzas `mlkem768x25519`. The `age` crate has none.
//!
//! A stanza is HPKE (RFC 9180) in base mode with the KEM MLKEM768-X25519 (draft-ietf-hpke-pq, 0x647a), HKDF-SHA256 and
//! ChaCha20-Poly1305: its argument is the encapsulated key, its body the sealed file key.
//!
//! Source: filippo.io/age v1.3.1, `pq.go`; filippo.io/hpke v0.4.0, `pq.go` and `hpke.go`.

use std::sync::OnceLock;

use age::DecryptError;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use ml_kem::kem::{Decapsulate, DecapsulationKey};
use ml_kem::{B32, EncodedSizeUser, KemCore, MlKem768, MlKem768Params};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::secret::Secret;

/// Kind of stanza that these identities open.
pub(super) const STANZA: &str = "mlkem768x25519";

const IDENTITY: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
const RECIPIENT: Hrp = Hrp::parse_unchecked("age1pq");
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// "HPKE", KEM, KDF, AEAD.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
/// Label of the KEM's combiner.
const COMBINER: &[u8] = br"\.//^\";
const MLKEM_CIPHERTEXT_BYTES: usize = 1088;
const X25519_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// A hybrid identity. Its keys are made from the seed when it is first used.
pub(super) struct Identity {
    seed: Secret<[u8; 32]>,
    keys: OnceLock<Keys>,
}

struct Keys {
    mlkem: DecapsulationKey<MlKem768Params>,
    mlkem_public: Vec<u8>,
    x25519: StaticSecret,
    x25519_public: PublicKey,
}

impl Identity {
    /// Reads an identity; none where the text is no such or its checksum does not match.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let seed = bech32_decode(
            text,
            |_| (),
            |hrp| if hrp == IDENTITY { Ok(()) } else { Err(()) },
            |_, bytes| bytes.collect::<Vec<u8>>().try_into().map_err(|_| ()),
        );
        Some(Self { seed: Secret::new(seed.ok()?), keys: OnceLock::new() })
    }

    /// `age1pq1…`, 1,959 characters.
    pub(super) fn public_half(&self) -> String {
        let keys = self.keys();
        bech32_encode(RECIPIENT, &[keys.mlkem_public.as_slice(), keys.x25519_public.as_bytes()].concat())
    }

    fn keys(&self) -> &Keys {
        self.keys.get_or_init(|| {
            let mut hash = Shake256::default();
            hash.update(self.seed.expose());
            let mut expanded = hash.finalize_xof();
            let (mut d, mut z, mut x25519) = (B32::default(), B32::default(), [0; X25519_BYTES]);
            expanded.read(&mut d);
            expanded.read(&mut z);
            expanded.read(&mut x25519);
            let (mlkem, mlkem_public) = MlKem768::generate_deterministic(&d, &z);
            let x25519 = StaticSecret::from(x25519);
            Keys {
                mlkem,
                mlkem_public: mlkem_public.as_bytes().to_vec(),
                x25519_public: PublicKey::from(&x25519),
                x25519,
            }
        })
    }

    /// The shared secret of the KEM; none where the encapsulated key is malformed.
    fn decapsulate(&self, encapsulated: &[u8]) -> Option<[u8; 32]> {
        let (mlkem_part, x25519_part) = encapsulated.split_at_checked(MLKEM_CIPHERTEXT_BYTES)?;
        let x25519_part: [u8; X25519_BYTES] = x25519_part.try_into().ok()?;
        let keys = self.keys();
        let mlkem_shared = keys.mlkem.decapsulate(&mlkem_part.try_into().ok()?).ok()?;
        let x25519_shared = keys.x25519.diffie_hellman(&PublicKey::from(x25519_part));
        if !x25519_shared.was_contributory() {
            return None;
        }
        let mut combined = Sha3_256::new();
        Digest::update(&mut combined, mlkem_shared);
        Digest::update(&mut combined, x25519_shared.as_bytes());
        Digest::update(&mut combined, x25519_part);
        Digest::update(&mut combined, keys.x25519_public.as_bytes());
        Digest::update(&mut combined, COMBINER);
        Some(combined.finalize().into())
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let shared = match stanza.args.as_slice() {
            [argument] if stanza.body.len() == FILE_KEY_BYTES + TAG_BYTES => {
                BASE64_STANDARD_NO_PAD.decode(argument).ok().and_then(|encapsulated| self.decapsulate(&encapsulated))
            }
            _ => None,
        };
        let Some(shared) = shared else { return Some(Err(DecryptError::InvalidHeader)) };
        // A key that does not match only shows here: ML-KEM rejects implicitly.
        let file_key = hpke_open(&shared, &stanza.body)?;
        let file_key = <[u8; FILE_KEY_BYTES]>::try_from(file_key).ok()?;
        Some(Ok(FileKey::new(Box::new(file_key))))
    }
}

/// Opens the one message of an HPKE context in base mode, without associated data.
///
/// Source: RFC 9180, 5.1 (key schedule) and 5.2.
fn hpke_open(shared: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let psk_id_hash = extract(&[], b"psk_id_hash", &[]).0;
    let info_hash = extract(&[], b"info_hash", INFO).0;
    let context = [&[0], psk_id_hash.as_slice(), info_hash.as_slice()].concat();
    let (_, secret) = extract(shared, b"secret", &[]);
    let (mut key, mut nonce) = (Key::default(), Nonce::default());
    expand(&secret, b"key", &context, &mut key)?;
    expand(&secret, b"base_nonce", &context, &mut nonce)?;
    ChaCha20Poly1305::new(&key).decrypt(&nonce, sealed).ok()
}

/// `LabeledExtract` (RFC 9180, 4).
fn extract(salt: &[u8], label: &[u8], material: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let (key, expander) = Hkdf::<Sha256>::extract(Some(salt), &[b"HPKE-v1", SUITE, label, material].concat());
    (key.into(), expander)
}

/// `LabeledExpand` (RFC 9180, 4).
fn expand(secret: &Hkdf<Sha256>, label: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    secret.expand(&[length.as_slice(), b"HPKE-v1", SUITE, label, info].concat(), out).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// An identity made for tests, and its public half as `age-keygen -y` (1.3.1) prints it.
    const TEST_ONLY: &str = include_str!("../../tests/keys/age-pq.txt");

    #[test]
    fn derives_the_same_public_half_as_age_keygen() {
        let public = TEST_ONLY.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        let secret = TEST_ONLY.lines().find(|line| line.starts_with("AGE-SECRET-KEY-PQ-1")).unwrap();
        assert_eq!(Identity::parse(secret).unwrap().public_half(), public);
    }

    #[test]
    fn refuses_text_that_is_no_hybrid_identity() {
        let secret = TEST_ONLY.lines().find(|line| line.starts_with("AGE-SECRET-KEY-PQ-1")).unwrap();
        let classic =
            age::secrecy::ExposeSecret::expose_secret(&age::x25519::Identity::generate().to_string()).to_owned();
        let shorter: String = secret.chars().take(secret.len() - 1).collect();
        for text in ["", "AGE-SECRET-KEY-PQ-1", &shorter, &classic] {
            assert!(Identity::parse(text).is_none());
        }
    }

    /// The hybrid vectors of C2SP/CCTV, read from the Go module `c2sp.org/CCTV/age` that `UNSOPS_CCTV_AGE` names.
    #[test]
    fn agrees_with_the_cctv_vectors() {
        #[expect(clippy::disallowed_methods, reason = "tests are told by variables where third-party vectors are")]
        let (folder, ci) = (std::env::var_os("UNSOPS_CCTV_AGE"), std::env::var_os("CI"));
        let Some(folder) = folder else {
            assert!(ci.is_none_or(|ci| ci != "true"), "CI must set UNSOPS_CCTV_AGE");
            eprintln!("SKIPPED: UNSOPS_CCTV_AGE does not name the folder of the module c2sp.org/CCTV/age");
            return;
        };
        let mut checked = 0;
        for entry in std::fs::read_dir(std::path::Path::new(&folder).join("testdata")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.contains("hybrid") {
                continue;
            }
            let mut bytes = Vec::new();
            std::fs::OpenOptions::new().read(true).open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            let end = bytes.windows(2).position(|window| window == b"\n\n").unwrap();
            let (header, file) = (std::str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 2..]);
            let field = |name: &str| header.lines().filter_map(move |line| line.strip_prefix(name)).collect::<Vec<_>>();
            if field("compressed: ") == ["zlib"] {
                eprintln!("{name} is compressed: not read");
                continue;
            }
            let hybrid: Vec<_> = field("identity: ").into_iter().filter_map(Identity::parse).collect();
            let classic: Vec<age::x25519::Identity> =
                field("identity: ").into_iter().filter_map(|text| text.parse().ok()).collect();
            let identities: Vec<&dyn age::Identity> =
                hybrid.iter().map(|id| id as _).chain(classic.iter().map(|id| id as _)).collect();
            let plain = open(file, &identities);
            assert_eq!(plain.is_some(), field("expect: ") == ["success"], "{name}");
            if let Some(plain) = plain {
                let hash: String = Sha256::digest(&plain).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(field("payload: "), [hash], "{name}");
            }
            checked += 1;
        }
        println!("figure: {checked} vectors of C2SP for hybrid keys agree");
        assert!(checked >= 17, "{checked}");
    }

    fn open(file: &[u8], identities: &[&dyn age::Identity]) -> Option<Vec<u8>> {
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(file)).ok()?;
        let mut plain = Vec::new();
        decryptor.decrypt(identities.iter().copied()).ok()?.read_to_end(&mut plain).ok()?;
        Some(plain)
    }
}

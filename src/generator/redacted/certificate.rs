//! A key and a certificate that fit together and stand for encrypted ones: Ed25519, self-signed, derived from
//! placeholders. They open nothing: whoever reads them has the private key.
//!
//! Sources: RFC 5280 (certificate), RFC 8410 (Ed25519 in it), RFC 5958 (private key).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use crate::sops::placeholder::Seed;

/// `AlgorithmIdentifier` of Ed25519: the object identifier 1.3.101.112 in a sequence.
const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

/// The object identifier of a common name, 2.5.4.3.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

const BIT_STRING: u8 = 0x03;
const EXPLICIT_VERSION: u8 = 0xa0;
const GENERALIZED_TIME: u8 = 0x18;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const UTF8_STRING: u8 = 0x0c;

/// Columns of base64 in a PEM text (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// A key pair with a name in its certificate.
pub(super) struct Pair {
    key: SigningKey,
    name: String,
}

impl Pair {
    /// Derives the pair.
    pub fn new(seed: &Seed, name: &str) -> Self {
        Self { key: SigningKey::from_bytes(seed.bytes()), name: name.to_owned() }
    }

    /// The certificate as PEM; valid from 2000 until the end of 9999.
    pub fn certificate(&self) -> String {
        let name =
            der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[&COMMON_NAME, &der(UTF8_STRING, &[self.name.as_bytes()])])])]);
        let validity =
            der(SEQUENCE, &[&der(UTC_TIME, &[b"000101000000Z"]), &der(GENERALIZED_TIME, &[b"99991231235959Z"])]);
        let public_key = der(SEQUENCE, &[&ED25519, &bits(self.key.verifying_key().as_bytes())]);
        let body = der(
            SEQUENCE,
            &[
                &der(EXPLICIT_VERSION, &[&der(INTEGER, &[&[2]])]),
                &der(INTEGER, &[&[1]]),
                &ED25519,
                &name,
                &validity,
                &name,
                &public_key,
            ],
        );
        let signature = self.key.sign(&body).to_bytes();
        pem("CERTIFICATE", &der(SEQUENCE, &[&body, &ED25519, &bits(&signature)]))
    }

    /// The private key as PEM.
    pub fn private_key(&self) -> String {
        let key = der(OCTET_STRING, &[&der(OCTET_STRING, &[self.key.as_bytes()])]);
        pem("PRIVATE KEY", &der(SEQUENCE, &[&der(INTEGER, &[&[0]]), &ED25519, &key]))
    }
}

/// One DER element. What is built here is shorter than 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(low),
        0x80..=0xff => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// Whole bytes as a bit string.
fn bits(bytes: &[u8]) -> Vec<u8> {
    der(BIT_STRING, &[&[0], bytes])
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(PEM_COLUMNS) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_holds_the_key_and_is_signed_by_it() {
        let pair = Pair::new(&Seed::of_text("x"), "name");
        let text = pair.certificate();
        let encoded: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let whole = STANDARD.decode(encoded).expect("base64");
        let key = pair.key.verifying_key();
        let key_bits = [&[BIT_STRING, 33, 0][..], key.as_bytes()].concat();
        assert!(whole.windows(key_bits.len()).any(|window| window == key_bits));
        let (rest, signature) = whole.split_at(whole.len() - 64);
        let rest = rest.strip_suffix(&[BIT_STRING, 65, 0]).expect("the header of the signature");
        // The header of an element of 128 to 255 bytes is around all.
        let body = rest[3..].strip_suffix(&ED25519[..]).expect("how it is signed");
        assert!(key.verify_strict(body, &signature.try_into().expect("64 bytes")).is_ok());
    }

    #[test]
    fn lengths_take_as_many_bytes_as_der_says() {
        for (length, header) in [
            (0, &[SEQUENCE, 0][..]),
            (0x7f, &[SEQUENCE, 0x7f]),
            (0x80, &[SEQUENCE, 0x81, 0x80]),
            (0xff, &[SEQUENCE, 0x81, 0xff]),
            (0x100, &[SEQUENCE, 0x82, 1, 0]),
            (0x1234, &[SEQUENCE, 0x82, 0x12, 0x34]),
        ] {
            let content = vec![7; length];
            assert_eq!(der(SEQUENCE, &[&content]), [header, &content].concat(), "{length}");
        }
    }
}

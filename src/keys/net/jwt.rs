//! Signed assertions (RFC 7523): how service accounts of Google and applications of Entra prove who they are.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::{Value, json};

/// An RSA key that signs assertions.
pub(in crate::keys) struct AssertionKey(std::sync::Arc<dyn SigningKey>);

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum JwtAlgorithm {
    /// RSASSA-PSS with SHA-256, what Entra asks for.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, what Google asks for.
    Rs256,
}

impl AssertionKey {
    /// Reads the first private key of a PEM text, PKCS#8 or PKCS#1, without a passphrase.
    ///
    /// # Errors
    /// Fixed words: encrypted, none, not RSA.
    pub(in crate::keys) fn from_pem(pem: &[u8]) -> Result<Self, &'static str> {
        const ENCRYPTED: &[u8] = b"ENCRYPTED";
        let Ok(key) = PrivateKeyDer::from_pem_slice(pem) else {
            let is_encrypted = pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
            return Err(if is_encrypted { "holds a private key behind a passphrase" } else { "holds no private key" });
        };
        Self::new(&key)
    }

    /// Reads a PKCS#8 key in DER.
    ///
    /// # Errors
    /// Fixed words: malformed, not RSA.
    #[cfg(feature = "azure")]
    pub(in crate::keys) fn from_pkcs8(key: &[u8]) -> Result<Self, &'static str> {
        Self::new(&PrivateKeyDer::Pkcs8(key.into()))
    }

    fn new(key: &PrivateKeyDer<'_>) -> Result<Self, &'static str> {
        let key = any_supported_type(key).map_err(|_| "holds a private key that cannot be read")?;
        match key.algorithm() {
            rustls::SignatureAlgorithm::RSA => Ok(Self(key)),
            _ => Err("holds a private key that is not RSA"),
        }
    }

    /// Whether a certificate, in DER, is for this key: it holds the public half as it stands there.
    #[cfg(feature = "azure")]
    pub(in crate::keys) fn is_of(&self, certificate: &[u8]) -> bool {
        self.0.public_key().is_some_and(|public| memchr::memmem::find(certificate, &public).is_some())
    }

    /// `HEADER.CLAIMS.SIGNATURE`; `header` is what there is beside `alg` and `typ`.
    pub(in crate::keys) fn sign(&self, algorithm: JwtAlgorithm, mut header: Value, claims: &Value) -> Option<String> {
        let (name, scheme) = match algorithm {
            JwtAlgorithm::Ps256 => ("PS256", SignatureScheme::RSA_PSS_SHA256),
            JwtAlgorithm::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        };
        let fields = header.as_object_mut()?;
        fields.insert("alg".into(), json!(name));
        fields.insert("typ".into(), json!("JWT"));
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.0.choose_scheme(&[scheme])?.sign(signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", encode(&signature)))
    }
}

/// Seconds since 1970, a little in the past: a server whose clock is behind takes no assertion from the future.
#[expect(clippy::disallowed_methods, reason = "assertions carry the time; no output depends on it")]
pub(in crate::keys) fn issued_at() -> u64 {
    const SKEW: Duration = Duration::from_secs(30);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(SKEW).as_secs()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::alg_id;

    use super::*;

    /// A key made for this test with `openssl genrsa 2048`.
    const KEY: &str = include_str!("../../../tests/keys/assertion.pem");

    #[test]
    fn signs_what_a_verifier_takes() {
        let key = AssertionKey::from_pem(KEY.as_bytes()).unwrap();
        for (algorithm, id) in
            [(JwtAlgorithm::Rs256, alg_id::RSA_PKCS1_SHA256), (JwtAlgorithm::Ps256, alg_id::RSA_PSS_SHA256)]
        {
            let jwt = key.sign(algorithm, json!({"kid": "k"}), &json!({"iss": "me"})).unwrap();
            let (signed, signature) = jwt.rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            let public = key.0.public_key().unwrap();
            let verifiers = rustls::crypto::ring::default_provider().signature_verification_algorithms;
            // The key inside SubjectPublicKeyInfo: what webpki takes.
            let rsa = public.as_ref().get(24..).unwrap();
            let verified = verifiers.all.iter().any(|verifier| {
                verifier.signature_alg_id() == id
                    && verifier.verify_signature(rsa, signed.as_bytes(), &signature).is_ok()
            });
            assert!(verified, "{algorithm:?}");
        }
    }

    #[test]
    fn says_why_a_key_is_no_use() {
        let why = |pem: &str| AssertionKey::from_pem(pem.as_bytes()).err();
        assert_eq!(why(""), Some("holds no private key"));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(why(encrypted), Some("holds a private key behind a passphrase"));
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(why(nonsense), Some("holds a private key that cannot be read"));
    }
}

//! A client certificate signs what proves to Entra who we are.
//!
//! Source: learn.microsoft.com/entra/identity-platform/certificate-credentials.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use memchr::memmem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::pkcs12::{Pkcs12, Problem};
use crate::keys::net::{AssertionKey, JwtAlgorithm, issued_at};

/// How long an assertion is valid, in seconds.
const VALID: u64 = 600;

/// A certificate with its key, for one application of a tenant.
pub(super) struct ClientCertificate {
    key: AssertionKey,
    /// DER, the application's own first.
    chain: Vec<Vec<u8>>,
    sends_chain: bool,
    audience: String,
    application: String,
}

impl ClientCertificate {
    /// Reads certificates and their key from a PEM text or a PKCS#12 file. `password` is for the latter; a key in PEM behind a
    /// password is refused, as in Go.
    ///
    /// # Errors
    /// Fixed words: neither, encrypted, wrong password, no certificate, none of the key.
    pub(super) fn read(content: &[u8], password: &str, sends_chain: bool) -> Result<Self, &'static str> {
        let (key, mut chain) = if memmem::find(content, b"-----BEGIN ").is_some() {
            let key = AssertionKey::from_pem(content)?;
            let certificates = CertificateDer::pem_slice_iter(content).filter_map(Result::ok);
            (key, certificates.map(|certificate| certificate.as_ref().to_vec()).collect())
        } else {
            let found = Pkcs12::read(content, password).map_err(Problem::words)?;
            (AssertionKey::from_pkcs8(found.key.expose())?, found.certificates)
        };
        if chain.is_empty() {
            return Err("holds no certificate");
        }
        // Windows writes those of the authorities first.
        let own = chain.iter().position(|certificate| key.is_of(certificate));
        let own = chain.remove(own.ok_or("holds no certificate of its private key")?);
        chain.insert(0, own);
        Ok(Self { key, chain, sends_chain, audience: String::new(), application: String::new() })
    }

    /// The same for an application; `authority` is `https://login.microsoftonline.com`.
    pub(super) fn of(self, authority: &str, tenant: &str, application: &str) -> Self {
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'));
        Self { audience, application: application.to_owned(), ..self }
    }

    fn assertion(&self) -> Option<String> {
        let own = self.chain.first()?;
        let mut header = json!({ "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(own)) });
        if self.sends_chain {
            let chain: Vec<String> = self.chain.iter().map(|certificate| BASE64_STANDARD.encode(certificate)).collect();
            header.as_object_mut()?.insert("x5c".into(), json!(chain));
        }
        let now = issued_at();
        let claims = json!({
            "aud": self.audience, "iss": self.application, "sub": self.application, "iat": now, "nbf": now,
            "exp": now.saturating_add(VALID),
            // Unique, not secret.
            "jti": format!("{:016x}{:016x}", RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8)),
        });
        self.key.sign(JwtAlgorithm::Ps256, header, &claims)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

#[async_trait::async_trait]
impl ClientAssertion for ClientCertificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.assertion()
            .ok_or_else(|| Error::with_message(ErrorKind::Credential, "the certificate's key does not sign"))
    }
}

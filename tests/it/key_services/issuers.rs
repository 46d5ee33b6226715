//! What hands out credentials: token services, metadata servers and container endpoints of the clouds, as far as the real
//! sops and unsops ask them. All give the one token that the stand-ins take.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, alg_id};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::stand_in::{Request, token};

/// The test-only key of a service account, and of an application in Entra.
pub const KEY: &str = include_str!("../../keys/assertion.pem");
/// A certificate for it.
pub const CERTIFICATE: &str = include_str!("../../keys/assertion-cert.pem");

/// Both as the real openssl exports them to PKCS#12; `None` after saying so where there is none.
pub fn pkcs12(password: &str, way: &[&str]) -> Option<Vec<u8>> {
    let folder = crate::harness::tests_dir().join("keys");
    let mut command = std::process::Command::new("openssl");
    command.args(["pkcs12", "-export", "-inkey", "assertion.pem", "-in", "assertion-cert.pem", "-passout"]);
    let Ok(made) = command.arg(format!("pass:{password}")).args(way).current_dir(folder).output() else {
        crate::harness::skip("openssl is not installed");
        return None;
    };
    assert!(made.status.success(), "{way:?}: {}", String::from_utf8_lossy(&made.stderr));
    Some(made.stdout)
}

/// What another provider's token looks like here.
pub const SUBJECT_TOKEN: &str = "subject-token-of-the-cluster";

/// The answer of an issuer; `None` where the request is for another service.
pub fn reply(request: &Request) -> Option<(u16, Value)> {
    let path = request.path.split('?').next().unwrap_or_default();
    let form = form(request);
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let google = json!({ "access_token": token(), "expires_in": 3599, "token_type": "Bearer" });
    Some(match path {
        "/google/token" => {
            let claims = claims(field("assertion"), "RS256");
            let is_account = claims.is_some_and(|claims| {
                claims["iss"] == "reader@p.iam.gserviceaccount.com"
                    && claims["scope"].as_str().is_some_and(|scope| scope.contains("/auth/cloudkms"))
                    && claims["aud"].as_str().is_some_and(|audience| audience.ends_with("/google/token"))
                    && claims["exp"].as_u64() > claims["iat"].as_u64()
            });
            let is_user = field("grant_type") == "refresh_token" && field("refresh_token") == "refresh-token";
            match is_account || is_user {
                true => (200, google),
                false => (400, json!({ "error": "invalid_grant", "error_description": token() })),
            }
        }
        "/google/sts" => match is_subject(field("subject_token")) && field("audience") == "//iam.googleapis.com/pool" {
            true => (
                200,
                json!({ "access_token": "federated", "issued_token_type": field("requested_token_type"), "token_type": "Bearer", "expires_in": 3599 }),
            ),
            false => (400, json!({ "error": "invalid_grant", "error_description": token() })),
        },
        "/google/impersonate" => match request.header("authorization") == "Bearer federated" {
            true => (200, json!({ "accessToken": token(), "expireTime": "2999-01-01T00:00:00Z" })),
            false => (403, json!({ "error": { "status": "PERMISSION_DENIED", "message": token() } })),
        },
        "/subject" => (200, json!({ "value": SUBJECT_TOKEN })),
        "/computeMetadata/v1/instance/service-accounts/default/token" => match request.header("metadata-flavor") {
            "Google" => (200, google),
            _ => (403, json!({})),
        },
        _ if path.starts_with("/computeMetadata/") => (200, json!("p")),
        "/latest/api/token" => (200, json!("imds-session")),
        _ if path.starts_with("/latest/") && request.header("x-aws-ec2-metadata-token") != "imds-session" => {
            (401, json!(""))
        }
        "/latest/meta-data/placement/availability-zone" => (200, json!("us-east-1d")),
        "/latest/meta-data/iam/security-credentials" | "/latest/meta-data/iam/security-credentials/" => {
            (200, json!("node"))
        }
        "/latest/meta-data/iam/security-credentials/node" => {
            let mut credentials = aws_credentials();
            credentials["Code"] = json!("Success");
            credentials["Type"] = json!("AWS-HMAC");
            credentials["LastUpdated"] = json!("2026-01-01T00:00:00Z");
            (200, credentials)
        }
        _ if path.starts_with("/latest/") => (404, json!("")),
        "/aws/container" => match request.header("authorization") == token() {
            true => (200, aws_credentials()),
            false => (401, json!({ "message": token() })),
        },
        "/federation/credentials" => match request.header("x-amz-sso_bearer_token") == token() {
            true => {
                let credentials = json!({ "accessKeyId": "AKIATEST", "secretAccessKey": token(), "sessionToken": token(), "expiration": 32_503_680_000_000_u64 });
                (200, json!({ "roleCredentials": credentials }))
            }
            false => (401, json!({ "message": token() })),
        },
        // Virtual machines of Azure.
        "/metadata/identity/oauth2/token" => match request.header("metadata") {
            "true" if request.path.contains("resource=https%3A%2F%2Fvault.azure.net") => (
                200,
                json!({ "access_token": token(), "expires_in": "86399", "expires_on": "32503680000", "resource": "https://vault.azure.net", "token_type": "Bearer" }),
            ),
            _ => (400, json!({ "error": "invalid_request", "error_description": token() })),
        },
        "/msi/token" => match request.header("x-identity-header") == "identity-header" {
            true => (
                200,
                json!({ "access_token": token(), "expires_on": "32503680000", "resource": "https://vault.azure.net", "token_type": "Bearer" }),
            ),
            false => (401, json!({})),
        },
        _ => return None,
    })
}

/// The other provider's token, or the request of AWS that says who signed it.
fn is_subject(token: &str) -> bool {
    let aws: Value = serde_json::from_str(&decode(token)).unwrap_or_default();
    let names: Vec<_> = aws["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| header["key"].to_string().to_lowercase())
        .collect();
    let is_aws = ["authorization", "host", "x-amz-date", "x-goog-cloud-target-resource"]
        .iter()
        .all(|name| names.contains(&format!("\"{name}\"")));
    token == SUBJECT_TOKEN || is_aws && aws["url"].as_str().is_some_and(|url| url.contains("GetCallerIdentity"))
}

/// What a container endpoint and a `credential_process` answer.
pub fn aws_credentials() -> Value {
    json!({
        "Version": 1, "AccessKeyId": "AKIATEST", "SecretAccessKey": token(), "Token": token(), "SessionToken": token(),
        "Expiration": "2999-01-01T00:00:00Z",
    })
}

/// Whether a request to Entra proves that it knows the key of [`CERTIFICATE`].
pub fn is_signed_by_certificate(request: &Request) -> bool {
    let form = form(request);
    let assertion = form.iter().find(|(name, _)| name == "client_assertion").map_or("", |(_, value)| value.as_str());
    let header = assertion.split('.').next().and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok());
    let header: Value = header.and_then(|header| serde_json::from_slice(&header).ok()).unwrap_or_default();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let thumbprint = Sha256::digest(certificate.as_ref());
    // Go's library writes it in the standard alphabet.
    let named = [BASE64_URL_SAFE_NO_PAD.encode(thumbprint), BASE64_STANDARD.encode(thumbprint)];
    let is_named = named.iter().any(|thumbprint| header["x5t#S256"] == thumbprint.as_str());
    let claims = claims(assertion, header["alg"].as_str().unwrap_or_default());
    is_named
        && claims.is_some_and(|claims| {
            claims["iss"] == "client"
                && claims["sub"] == "client"
                && claims["aud"].as_str().is_some_and(|audience| audience.contains("/tenant/"))
        })
}

/// The claims of an assertion that [`KEY`] signed.
fn claims(assertion: &str, algorithm: &str) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("RSA");
    let public = key.public_key().expect("its public half");
    // Inside SubjectPublicKeyInfo of RSA with 2048 bits.
    let public = public.get(24..)?;
    let id = if algorithm == "PS256" { alg_id::RSA_PSS_SHA256 } else { alg_id::RSA_PKCS1_SHA256 };
    let verifiers = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let is_signed = verifiers.all.iter().any(|verifier| {
        verifier.signature_alg_id() == id && verifier.verify_signature(public, signed.as_bytes(), &signature).is_ok()
    });
    let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(1)?).ok()?;
    is_signed.then(|| serde_json::from_slice(&claims).ok())?
}

/// The fields of a form.
fn form(request: &Request) -> Vec<(String, String)> {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

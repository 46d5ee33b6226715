//! GCP KMS opens a share, over REST.
//!
//! Source: getsops/sops v3.13, `gcpkms/keysource.go`; its variables `SOPS_GCP_KMS_ENDPOINT` and
//! `SOPS_GCP_KMS_UNIVERSE_DOMAIN` are honoured. `SOPS_GCP_KMS_CLIENT_TYPE` makes no difference: every endpoint speaks REST.

mod aws_subject;
mod credentials;
mod source;
mod target;
mod token;

use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::OnceCell;

use self::credentials::Credentials;
use super::directory::KeyDirectory;
use super::net::{Network, Reply, decode_base64, denied, is_code};
use super::{Answer, KeyPolicy, KeySource, RefusedReason};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::KeyShare;

/// Opens keys of the GCP kind.
pub(super) struct GcpKms<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    directory: Arc<KeyDirectory>,
    /// With the token: a run is over before it expires.
    headers: OnceCell<Result<HeaderMap, RefusedReason>>,
}

impl<'env> GcpKms<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        Self { environment, policy, directory, headers: OnceCell::new() }
    }

    /// Asks KMS to decrypt a share.
    pub(super) async fn open(&self, network: &Network<'_>, resource: &str, enc: &str) -> Answer {
        let endpoint = self.environment.non_empty("SOPS_GCP_KMS_ENDPOINT");
        let universe = self.environment.non_empty("SOPS_GCP_KMS_UNIVERSE_DOMAIN");
        let url = target::decrypt_url(target::endpoint(endpoint, universe)?, resource)?;
        if enc.len() > limits::NETWORK_KEY_BYTES {
            return Err(denied("the wrapped key is larger than 128 KiB"));
        }
        let Some(ciphertext) = decode_base64(enc) else { return Err(denied("the wrapped key is not base64")) };
        let client = network.client().map_err(|error| denied(&error.to_string()))?;
        let until = network.call_deadline();
        let headers = self.headers.get_or_init(|| self.find_headers(network)).await.as_ref().map_err(Clone::clone)?;
        let body = serde_json::json!({
            "ciphertext": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &ciphertext),
            "ciphertextCrc32c": crc32c(&ciphertext).to_string(),
        });
        let body = body.to_string();
        let json = HeaderValue::from_static("application/json");
        let ask =
            || client.post(url.clone()).headers(headers.clone()).header(CONTENT_TYPE, json.clone()).body(body.clone());
        let reply = Reply::get(ask, until).await.map_err(super::net::CallError::refusal)?;
        match reply.status {
            200 => read_share(&reply),
            _ => Err(explain(&reply)),
        }
    }

    /// Where credentials are looked for.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        vec![credentials::place(self.environment, &self.directory)]
    }

    async fn find_headers(&self, network: &Network<'_>) -> Result<HeaderMap, RefusedReason> {
        let credentials = Credentials::find(self.environment, &self.directory, network)?;
        credentials.headers(network, self.environment, &self.policy).await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decrypted {
    plaintext: String,
    /// An int64, which JSON of Google writes as text.
    plaintext_crc32c: Option<String>,
}

fn read_share(reply: &Reply) -> Answer {
    let Ok(answer) = serde_json::from_slice::<Decrypted>(reply.body.expose()) else {
        return Err(denied("the answer (HTTP 200) is not one of GCP KMS"));
    };
    let Some(share) = decode_base64(&answer.plaintext) else {
        return Err(denied("the answer of GCP KMS holds no base64"));
    };
    if answer.plaintext_crc32c.is_some_and(|sum| sum != crc32c(&share).to_string()) {
        return Err(denied("the answer of GCP KMS was damaged on its way"));
    }
    Ok(KeyShare(Secret::new(share)))
}

fn explain(reply: &Reply) -> RefusedReason {
    #[derive(Deserialize)]
    struct Body {
        error: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    let code = serde_json::from_slice::<Body>(reply.body.expose()).ok().map(|body| body.error.status);
    let code = code.as_deref().filter(|code| is_code(code));
    let meaning = match code {
        Some("INVALID_ARGUMENT") => Some("the ciphertext is damaged, or was made with another key"),
        Some("FAILED_PRECONDITION") => Some("the key version is disabled or destroyed"),
        Some("NOT_FOUND") => Some("there is no such key"),
        Some("UNAUTHENTICATED") => Some("GCP does not accept the credentials"),
        _ => None,
    };
    let said = format!("HTTP {}, {}", reply.status, code.unwrap_or_default());
    let reason = reply.refusal(code).explained(meaning, &said);
    match code {
        Some("PERMISSION_DENIED") => {
            reason.with_hint("grant roles/cloudkms.cryptoKeyDecrypter on the key to this service account")
        }
        Some("UNAUTHENTICATED") => reason.with_hint(credentials::HINT),
        _ => reason,
    }
}

/// The checksum that GCP KMS takes and gives (Castagnoli, reflected).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82F6_3B78 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_castagnolis() {
        // RFC 3720, B.4, and the usual check value.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}

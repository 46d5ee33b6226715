//! HashiCorp Vault and OpenBao: the transit engine opens a share, over REST.
//!
//! The file names the server. The token goes there only if the operator approved it: see [`target::approve`].
//!
//! Source: getsops/sops v3.13, `hcvault/keysource.go`; hashicorp/vault `api/client.go` for the variables.

mod settings;
mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use reqwest::header::{HOST, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;

use self::settings::Token;
use self::target::Approval;
use super::directory::KeyDirectory;
use super::net::{Network, Reply, TlsError, decode_base64, denied, not_mine};
use super::order::lock;
use super::{Answer, KeySource, RefusedReason};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::KeyShare;

/// Opens keys of the Vault kind with this process's token.
pub(super) struct HcVault<'env> {
    environment: &'env Environment,
    directory: Arc<KeyDirectory>,
    approval: Approval,
    token: OnceLock<Token>,
    /// By host where `VAULT_TLS_SERVER_NAME` renames it, else one.
    clients: Mutex<BTreeMap<Option<String>, Result<Client, TlsError>>>,
}

impl<'env> HcVault<'env> {
    pub(super) fn new(environment: &'env Environment, directory: Arc<KeyDirectory>) -> Self {
        let approval = Approval::from_environment(environment);
        Self { environment, directory, approval, token: OnceLock::new(), clients: Mutex::default() }
    }

    /// Asks the transit engine to decrypt a share.
    pub(super) async fn open(
        &self,
        network: &Network<'_>,
        address: &str,
        engine: &str,
        key: &str,
        enc: &str,
    ) -> Answer {
        let base = target::approve(&self.approval, address)?;
        let url = target::decrypt_url(base, engine, key)?;
        if enc.len() > limits::NETWORK_KEY_BYTES {
            return Err(denied("the wrapped key is larger than 128 KiB"));
        }
        let mut headers = self.headers(network)?;
        let renamed = settings::server_name(self.environment, &url).map_err(|error| denied(&error.to_string()))?;
        let (url, host) = match renamed {
            None => (url, None),
            Some(renamed) => {
                headers.insert(HOST, renamed.header);
                (renamed.url, Some(renamed.host))
            }
        };
        let client = self.client(network, host).map_err(|error| denied(&error.to_string()))?;
        let body = serde_json::json!({ "ciphertext": enc }).to_string();
        let ask = || client.request(Method::PUT, url.clone()).headers(headers.clone()).body(body.clone());
        let reply = Reply::get(ask, network.call_deadline()).await.map_err(|error| self.explain_call(error, &url))?;
        match reply.status {
            200 => read_share(&reply),
            _ => Err(explain(&reply)),
        }
    }

    /// Where tokens are looked for, and what is there.
    pub(super) fn describe(&self, network: &Network<'_>) -> Vec<KeySource> {
        self.token(network).sources.clone()
    }

    fn client(&self, network: &Network<'_>, host: Option<String>) -> Result<Client, TlsError> {
        let mut clients = lock(&self.clients);
        let make = |host: &Option<String>| settings::client(self.environment, network, host.as_deref());
        clients.entry(host).or_insert_with_key(make).clone()
    }

    fn token(&self, network: &Network<'_>) -> &Token {
        self.token.get_or_init(|| Token::find(self.environment, &self.directory, network.file_deadline()))
    }

    fn headers(&self, network: &Network<'_>) -> Result<HeaderMap, RefusedReason> {
        let mut headers = settings::headers(self.environment).map_err(denied)?;
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        match &self.token(network).value {
            Some(token) => {
                let mut token = HeaderValue::from_bytes(token.expose())
                    .map_err(|_| not_mine("the Vault token holds characters that no token has"))?;
                token.set_sensitive(true);
                headers.insert("x-vault-token", token);
            }
            // An agent may add a token of its own.
            None if self.approval.has_agent() => {}
            None => return Err(not_mine(&self.token(network).absence()).with_hint("set VAULT_TOKEN")),
        }
        if let Some(namespace) = self.environment.non_empty("VAULT_NAMESPACE") {
            let namespace = HeaderValue::from_str(namespace)
                .map_err(|_| not_mine("VAULT_NAMESPACE holds characters that no namespace has"))?;
            headers.insert("x-vault-namespace", namespace);
        }
        Ok(headers)
    }

    fn explain_call(&self, error: super::net::CallError, url: &Url) -> RefusedReason {
        match error {
            super::net::CallError::CertificateUnknown => {
                error.refusal().with_hint(&format!("name the certificate authority of {} in VAULT_CACERT", host(url)))
            }
            _ => error.refusal(),
        }
    }
}

/// `https://vault.example.com:8200`
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[derive(Deserialize)]
struct Decrypted {
    data: DecryptedData,
}

#[derive(Deserialize)]
struct DecryptedData {
    plaintext: String,
}

fn read_share(reply: &Reply) -> Answer {
    let Ok(answer) = serde_json::from_slice::<Decrypted>(reply.body.expose()) else {
        return Err(denied("the answer (HTTP 200) is not one of Vault's transit engine"));
    };
    match decode_base64(&answer.data.plaintext) {
        Some(share) => Ok(KeyShare(Secret::new(share))),
        None => Err(denied("the answer of Vault's transit engine holds no base64")),
    }
}

/// What the texts of Vault and OpenBao mean. They are compared, not shown: a body may repeat what was sent.
const MEANINGS: [(&str, &str); 9] = [
    ("message authentication failed", "the ciphertext is damaged, or was made with another key"),
    ("invalid ciphertext", "the ciphertext is damaged"),
    ("encryption key not found", "there is no transit key of that name"),
    ("no handler for route", "there is no transit engine at that path"),
    ("namespace not found", "the namespace of VAULT_NAMESPACE does not exist"),
    ("too old", "the key version is below min_decryption_version"),
    ("soft-deleted key", "the key is deleted"),
    ("Vault is sealed", "Vault is sealed"),
    ("rate limit quota exceeded", "a rate limit quota is exceeded"),
];

fn explain(reply: &Reply) -> RefusedReason {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    let texts = serde_json::from_slice::<Errors>(reply.body.expose()).map(|errors| errors.errors).unwrap_or_default();
    let is_said = |text: &str| texts.iter().any(|said| said.contains(text));
    let meaning = MEANINGS.iter().find(|(text, _)| is_said(text)).map(|(_, meaning)| *meaning);
    let reason = reply.refusal(None).explained(meaning, &format!("HTTP {}", reply.status));
    match reply.status {
        403 => reason.with_hint("the token needs `update` on transit/decrypt/KEY; it may also have expired"),
        300..=399 => reason.with_hint("set VAULT_ADDR to the active node"),
        _ => reason,
    }
}

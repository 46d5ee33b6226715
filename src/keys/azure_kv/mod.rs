//! Azure Key Vault and Managed HSM open a share, through the Azure SDK on our HTTP client.
//!
//! The SDK asks without credentials first and takes the token's audience from the vault's challenge, which must be a
//! parent domain of the vault.
//!
//! Source: getsops/sops v3.13, `azkv/keysource.go`.

mod certificate;
mod cli;
mod credentials;
mod federated;
mod kind;
mod missing;
mod pkcs12;
mod target;
mod transport;

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, OnceLock};

use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_security_keyvault_keys::models::{EncryptionAlgorithm, KeyOperationParameters};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use self::credentials::Chain;
use self::missing::NoCredential;
use super::directory::KeyDirectory;
use super::net::{CallError, Network, clock_hint, denied, is_code, not_mine, unavailable};
use super::order::lock;
use super::{Answer, KeyPolicy, KeySource, RefusedReason};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::KeyShare;

/// Opens keys of the Azure kind.
pub(super) struct AzureKeyVault<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    directory: Arc<KeyDirectory>,
    credentials: OnceLock<Result<Arc<Chain>, RefusedReason>>,
    clients: Mutex<HashMap<String, Arc<KeyClient>>>,
}

impl<'env> AzureKeyVault<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        Self { environment, policy, directory, credentials: OnceLock::new(), clients: Mutex::default() }
    }

    /// Asks the vault to decrypt a share.
    pub(super) async fn open(
        &self,
        network: &Network<'_>,
        vault: &str,
        name: &str,
        version: &str,
        enc: &str,
    ) -> Answer {
        let vault = target::vault(vault)?;
        target::check_key(name, version)?;
        if enc.len() > limits::NETWORK_KEY_BYTES {
            return Err(denied("the wrapped key is larger than 128 KiB"));
        }
        let Some(ciphertext) = decode(enc) else { return Err(denied("the wrapped key is not base64")) };
        let client = self.client(network, &vault)?;
        let parameters = KeyOperationParameters {
            algorithm: Some(EncryptionAlgorithm::RsaOaep256),
            value: Some(ciphertext),
            ..Default::default()
        };
        let call = async {
            let parameters = parameters.try_into()?;
            client.decrypt(name, version, parameters, None).await?.into_model()
        };
        match tokio::time::timeout_at(network.call_deadline().into(), call).await {
            Err(_) => Err(unavailable("no answer in time")),
            Ok(Err(error)) => Err(explain(&error)),
            Ok(Ok(answer)) => match answer.result {
                Some(share) => Ok(KeyShare(Secret::new(share))),
                None => Err(denied("the answer of the vault holds no value")),
            },
        }
    }

    /// Where credentials are looked for.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        credentials::places(self.environment, self.policy, &self.directory)
    }

    fn client(&self, network: &Network<'_>, vault: &str) -> Result<Arc<KeyClient>, RefusedReason> {
        let http = network.client().map_err(|error| denied(&error.to_string()))?.clone();
        let options = || ClientOptions {
            transport: Some(Transport::new(Arc::new(transport::Client::new(http.clone())))),
            // The transport repeats by the rules of all our services.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let credentials = self.credentials.get_or_init(|| {
            let deadline = network.file_deadline();
            Chain::find(self.environment, self.policy, &self.directory, deadline, options).map(Arc::new)
        });
        let credentials = credentials.as_ref().map_err(Clone::clone)?;
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(vault) {
            return Ok(Arc::clone(client));
        }
        let settings = KeyClientOptions { client_options: options(), ..KeyClientOptions::default() };
        let credentials: Arc<Chain> = Arc::clone(credentials);
        let client =
            KeyClient::new(vault, credentials, Some(settings)).map_err(|_| denied("no client for the vault"))?;
        let client = Arc::new(client);
        clients.insert(vault.to_owned(), Arc::clone(&client));
        Ok(client)
    }
}

/// Decodes the base64 of sops' Azure keys: URL-safe, without padding; line breaks are ignored.
fn decode(text: &str) -> Option<Vec<u8>> {
    const GO: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone),
    );
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GO.decode(text).ok()
}

/// From the SDK's errors to reasons. Their texts hold the bodies of the services and are not shown.
fn explain(error: &azure_core::Error) -> RefusedReason {
    let mut is_credential = matches!(error.kind(), ErrorKind::Credential);
    let mut response = of_response(error);
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<CallError>() {
            let reason = failure.refusal();
            return if is_credential { reason.while_getting("an Azure token") } else { reason };
        }
        if let Some(none) = cause.downcast_ref::<NoCredential>() {
            return not_mine(&none.to_string()).with_hint(credentials::HINT);
        }
        if let Some(inner) = cause.downcast_ref::<azure_core::Error>() {
            is_credential |= matches!(inner.kind(), ErrorKind::Credential);
            response = response.or_else(|| of_response(inner));
        }
        source = cause.source();
    }
    match response {
        Some((status, code, date)) if is_credential => {
            // Entra's codes are numbers, which its documentation writes with this prefix.
            let code = code.map(|code| if is_number(&code) { format!("AADSTS{code}") } else { code });
            let said = said(status, code.as_deref());
            match status {
                429 | 500..=599 => {
                    unavailable(&format!("no Azure token for now: the token service is unavailable ({said})"))
                }
                _ => {
                    let clock = clock_hint(date.as_deref());
                    denied(&format!("the token service gave no Azure token ({said})"))
                        .with_hint(clock.as_deref().unwrap_or(credentials::HINT))
                }
            }
        }
        Some((status, code, _)) => of_vault(status, code.as_deref()),
        None if is_credential => not_mine("no Azure token could be obtained").with_hint(credentials::HINT),
        None if matches!(error.kind(), ErrorKind::DataConversion) => denied("the answer is not one of a key vault"),
        None => denied("the vault's challenge is for another service; no token is sent"),
    }
}

/// Status, error code, and the date of an answer.
fn of_response(error: &azure_core::Error) -> Option<(u16, Option<String>, Option<String>)> {
    const DATE: HeaderName = HeaderName::from_static("date");
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, raw_response } => {
            let date = raw_response.as_ref().and_then(|raw| raw.headers().get_optional_string(&DATE));
            Some((u16::from(*status), error_code.clone(), date))
        }
        _ => None,
    }
}

fn of_vault(status: u16, code: Option<&str>) -> RefusedReason {
    let said = said(status, code);
    match status {
        300..=399 => denied(&format!("the service answered with a redirect (HTTP {status}), which is not followed")),
        400 if code == Some("BadParameter") => {
            denied(&format!("the ciphertext is damaged, or was made with another key ({said})"))
        }
        401 => denied(&format!("the vault does not accept the credentials ({said})")).with_hint(credentials::HINT),
        403 => denied(&format!("access denied, or the key is disabled ({said})"))
            .with_hint("grant `Key Vault Crypto User` (or the key permission `decrypt`) to this identity"),
        404 => denied(&format!("there is no such key, or no such version of it ({said})")),
        429 => unavailable(&format!("too many requests ({said})")),
        408 | 500..=599 => unavailable(&format!("the service is unavailable ({said})")),
        _ => denied(&format!("the service refused ({said})")),
    }
}

/// `HTTP 403, Forbidden`
fn said(status: u16, code: Option<&str>) -> String {
    // Where there is no code the SDK repeats the status.
    match code.filter(|code| is_code(code) && !is_number(code)) {
        Some(code) => format!("HTTP {status}, {code}"),
        None => format!("HTTP {status}"),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

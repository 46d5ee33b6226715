//! AWS KMS opens a share, through the AWS SDK on our HTTP client.
//!
//! Credentials come from the SDK's default chain: environment, web identity (IRSA), shared files with SSO and
//! `credential_process`, container endpoint (EKS Pod Identity, ECS), instance metadata. A profile that the file names
//! beats the environment, as in sops. `AWS_ENDPOINT_URL*` are the operator's and are honoured.
//!
//! Source: getsops/sops v3.13, `kms/keysource.go`.

mod connector;
mod explain;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_kms::primitives::Blob;
use tokio::sync::OnceCell;

use super::net::{Network, Roots, TlsConfig, TlsError, decode_base64, denied, unavailable};
use super::order::lock;
use super::{Answer, KeySource, KeySourceState};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::KeyShare;

/// Opens keys of the AWS kind.
pub(super) struct AwsKms<'env> {
    environment: &'env Environment,
    http: OnceLock<Result<SharedHttpClient, TlsError>>,
    clients: Mutex<HashMap<Identity, Arc<OnceCell<Client>>>>,
}

/// Who asks, and where: keys with the same have one client and one set of credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity {
    region: String,
    role: Option<String>,
    profile: Option<String>,
}

impl<'env> AwsKms<'env> {
    pub(super) fn new(environment: &'env Environment) -> Self {
        Self { environment, http: OnceLock::new(), clients: Mutex::default() }
    }

    /// Asks KMS to decrypt a share.
    pub(super) async fn open(
        &self,
        network: &Network<'_>,
        arn: &str,
        role: Option<&str>,
        profile: Option<&str>,
        context: &BTreeMap<String, String>,
        enc: &str,
    ) -> Answer {
        let region = target::region(arn)?;
        let role = role.filter(|role| !role.is_empty()).map(target::role).transpose()?;
        let profile = profile.filter(|profile| !profile.is_empty());
        if enc.len() > limits::NETWORK_KEY_BYTES {
            return Err(denied("the wrapped key is larger than 128 KiB"));
        }
        let Some(blob) = decode_base64(enc) else { return Err(denied("the wrapped key is not base64")) };
        let http = self.http.get_or_init(|| self.http_client(network));
        let http = http.as_ref().map_err(|error| denied(&error.to_string()))?;
        let identity =
            Identity { region: region.to_owned(), role: role.map(str::to_owned), profile: profile.map(str::to_owned) };
        let cell = Arc::clone(lock(&self.clients).entry(identity.clone()).or_default());
        let context = (!context.is_empty()).then(|| context.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        let call = async {
            let client = cell.get_or_init(|| identity.client(http)).await;
            client.decrypt().key_id(arn).ciphertext_blob(Blob::new(blob)).set_encryption_context(context).send().await
        };
        match tokio::time::timeout_at(network.call_deadline().into(), call).await {
            Err(_) => Err(unavailable("no answer in time")),
            Ok(Err(error)) => Err(explain::refusal(&error)),
            Ok(Ok(reply)) => match reply.plaintext {
                Some(share) => Ok(KeyShare(Secret::new(share.into_inner()))),
                None => Err(denied("the answer of KMS holds no plaintext")),
            },
        }
    }

    /// The SDK's sources of credentials; they are looked at when a key needs them.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        vec![KeySource { name: "AWS credentials (default chain)".into(), found: KeySourceState::OnDemand }]
    }

    fn http_client(&self, network: &Network<'_>) -> Result<SharedHttpClient, TlsError> {
        let client = match self.environment.var_os("AWS_CA_BUNDLE").filter(|bundle| !bundle.is_empty()) {
            Some(bundle) => {
                let roots = Roots::from_file("AWS_CA_BUNDLE", Path::new(bundle), network.file_deadline())?;
                network.build_client(&TlsConfig::new(roots, None)?, None)?
            }
            None => network.client()?.clone(),
        };
        Ok(connector::http_client(client))
    }
}

impl Identity {
    async fn client(&self, http: &SharedHttpClient) -> Client {
        let region = Region::new(self.region.clone());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(limits::NETWORK_CONNECT)
            .operation_attempt_timeout(limits::NETWORK_ATTEMPT)
            .operation_timeout(limits::NETWORK_CALL)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .region(region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(limits::NETWORK_ATTEMPTS))
            .timeout_config(timeouts);
        if let Some(profile) = &self.profile {
            let provider = ProfileFileCredentialsProvider::builder()
                .profile_name(profile)
                .configure(&ProviderConfig::default().with_http_client(http.clone()).with_region(Some(region.clone())))
                .build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        let config = loader.load().await;
        let config = match &self.role {
            Some(role) => assume(role, region, &config).await,
            None => config,
        };
        Client::new(&config)
    }
}

async fn assume(role: &str, region: Region, config: &SdkConfig) -> SdkConfig {
    let hostname = rustix::system::uname();
    let provider = AssumeRoleProvider::builder(role)
        .session_name(target::session_name(&hostname.nodename().to_string_lossy()))
        .region(region)
        .configure(config)
        .build()
        .await;
    config.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

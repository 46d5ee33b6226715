//! AWS KMS opens a share, through the AWS SDK on our HTTP client.
//!
//! Credentials are those of the key directory, or come from the SDK's default chain: environment, web identity (IRSA),
//! shared files with SSO, container endpoint (EKS Pod Identity, ECS), instance metadata. `credential_process` of a
//! profile is run by [`process`]. A profile that the file names beats the environment, as in sops. `AWS_ENDPOINT_URL*` are
//! the operator's and are honoured.
//!
//! Source: getsops/sops v3.13, `kms/keysource.go`.

mod connector;
mod explain;
mod process;
mod profile;
mod retry;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_kms::primitives::Blob;
use rustix::fs::FileType;
use tokio::sync::OnceCell;

use self::process::Role;
use self::profile::Remark;
use super::directory::{Fields, KeyDirectory, KeyFileKind};
use super::local::{self, KeyFileError};
use super::net::{Network, Roots, TlsConfig, TlsError, decode_base64, denied, not_mine, unavailable};

use super::order::lock;
use super::{Answer, KeyPolicy, KeySource, KeySourceState, RefusedReason};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::KeyShare;

/// Opens keys of the AWS kind.
pub(super) struct AwsKms<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    directory: Arc<KeyDirectory>,
    /// Those of the key directory.
    own: OnceLock<Option<Result<Credentials, RefusedReason>>>,
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
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        let (own, http) = (OnceLock::new(), OnceLock::new());
        Self { environment, policy, directory, own, http, clients: Mutex::default() }
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
        self.check_files()?;
        let own = self.own().as_ref().map(Result::as_ref).transpose().map_err(Clone::clone)?;
        let http = self.http.get_or_init(|| self.http_client(network));
        let http = http.as_ref().map_err(|error| denied(&error.to_string()))?;
        let identity =
            Identity { region: region.to_owned(), role: role.map(str::to_owned), profile: profile.map(str::to_owned) };
        let cell = Arc::clone(lock(&self.clients).entry(identity.clone()).or_default());
        let context = (!context.is_empty()).then(|| context.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        let call = async {
            let client = cell.get_or_init(|| self.client(&identity, own, http)).await;
            client.decrypt().key_id(arn).ciphertext_blob(Blob::new(blob)).set_encryption_context(context).send().await
        };
        match tokio::time::timeout_at(network.call_deadline().into(), call).await {
            Err(_) => Err(unavailable("no answer in time")),
            Ok(Err(error)) => {
                let remark = if error.raw_response().is_none() { Remark::find(profile).await } else { None };
                Err(explain::refusal(&error, profile, remark))
            }
            Ok(Ok(reply)) => match reply.plaintext {
                Some(share) => Ok(KeyShare(Secret::new(share.into_inner()))),
                None => Err(denied("the answer of KMS holds no plaintext")),
            },
        }
    }

    /// The credentials of the key directory, or the SDK's sources, which are looked at when a key needs them.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        match self.directory.credential(KeyFileKind::AwsKms) {
            Some(file) => vec![file.describe(|content| credentials(content).map(drop))],
            None => vec![KeySource::new("AWS credentials (default chain)".into(), KeySourceState::OnDemand)],
        }
    }

    /// Refuses files that the SDK would read without bound or wait for: it takes whatever the variables name.
    fn check_files(&self) -> Result<(), RefusedReason> {
        for (variable, usual) in FILES {
            let named = self.environment.var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
            let usual = || Some(self.environment.home()?.join(usual?));
            let Some(path) = named.or_else(usual) else { continue };
            // What cannot be looked at is for the SDK to judge.
            let Ok(metadata) = rustix::fs::stat(&path) else { continue };
            let is_file = FileType::from_raw_mode(metadata.st_mode) == FileType::RegularFile;
            let is_small = usize::try_from(metadata.st_size).is_ok_and(|size| size <= limits::KEY_FILE_BYTES);
            if !is_file || !is_small {
                let why = if is_file { KeyFileError::TooLarge } else { KeyFileError::NotRegular };
                let place = local::named(variable, &path);
                return Err(not_mine(&format!("no AWS credentials: {place} {}", why.words())).with_hint(FILES_HINT));
            }
        }
        Ok(())
    }

    fn own(&self) -> &Option<Result<Credentials, RefusedReason>> {
        self.own.get_or_init(|| {
            let file = self.directory.credential(KeyFileKind::AwsKms)?;
            let content = file.content.as_ref().map_err(|error| error.words());
            let credentials = content.and_then(|content| credentials(content.expose()));
            Some(credentials.map_err(|why| not_mine(&format!("{} {why}", file.name)).with_hint(FILE_HINT)))
        })
    }

    fn http_client(&self, network: &Network<'_>) -> Result<SharedHttpClient, TlsError> {
        let client = match self.environment.var_os("AWS_CA_BUNDLE").filter(|bundle| !bundle.is_empty()) {
            Some(bundle) => {
                let roots = Roots::from_file("AWS_CA_BUNDLE", Path::new(bundle), network.file_deadline())?;
                network.build_client(&TlsConfig::new(roots, None)?, None, None)?
            }
            None => network.client()?.clone(),
        };
        Ok(connector::http_client(client))
    }
}

/// Variables that name files of the SDK, and where those are without, below the home.
const FILES: [(&str, Option<&str>); 4] = [
    ("AWS_CONFIG_FILE", Some(".aws/config")),
    ("AWS_SHARED_CREDENTIALS_FILE", Some(".aws/credentials")),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", None),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", None),
];

/// What to do about one of [`FILES`] that is none.
const FILES_HINT: &str = "let the variable name a regular file, or unset it";

/// What `sops.aws-kms` holds.
const FILE_HINT: &str = "sops.aws-kms is YAML with aws_access_key_id, aws_secret_access_key and, for temporary \
                         credentials, aws_session_token";

/// The access key of `sops.aws-kms`.
///
/// Source: fluxcd/kustomize-controller, `internal/sops/awskms/credentials.go`.
fn credentials(content: &[u8]) -> Result<Credentials, &'static str> {
    let fields = Fields::read(content)?;
    let key = fields.get("aws_access_key_id").ok_or("has no aws_access_key_id")?;
    let secret = fields.get("aws_secret_access_key").ok_or("has no aws_secret_access_key")?;
    let token = fields.get("aws_session_token").map(str::to_owned);
    Ok(Credentials::new(key, secret, token, None, "sops.aws-kms"))
}

impl AwsKms<'_> {
    async fn client(&self, identity: &Identity, own: Option<&Credentials>, http: &SharedHttpClient) -> Client {
        let region = Region::new(identity.region.clone());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(limits::NETWORK_CONNECT)
            .operation_attempt_timeout(limits::NETWORK_ATTEMPT)
            .operation_timeout(limits::NETWORK_CALL)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .region(region.clone())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(limits::NETWORK_ATTEMPTS)
                    .with_initial_backoff(limits::NETWORK_PAUSE),
            )
            // Our connector bounds time and size; this would end an attempt after five seconds, with an error of its own.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The usual five seconds would end in the middle of a second attempt, as if there were no credentials.
            .identity_cache(IdentityCache::lazy().load_timeout(limits::NETWORK_CALL).build())
            .timeout_config(timeouts);
        let profile = identity.profile.as_deref();
        let mut chain = None;
        if let Some(own) = own {
            loader = loader.credentials_provider(SharedCredentialsProvider::new(own.clone()));
        } else if profile.is_none() && self.has_keys() {
            // The first link of the SDK's chain. The others would set up a client of STS that nobody needs, which takes as
            // long as all the rest.
            loader = loader.credentials_provider(EnvironmentVariableCredentialsProvider::new());
        } else if let Some(found) = process::Chain::load(profile).await {
            loader = loader
                .credentials_provider(SharedCredentialsProvider::new(found.provider(self.environment, self.policy)));
            chain = Some(found);
        } else if let Some(profile) = profile {
            let provider = ProfileFileCredentialsProvider::builder()
                .profile_name(profile)
                .configure(&ProviderConfig::default().with_http_client(http.clone()).with_region(Some(region.clone())))
                .build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        let mut config = loader.load().await;
        for role in chain.into_iter().flat_map(|chain| chain.roles) {
            config = assume(&role, region.clone(), &config).await;
        }
        if let Some(arn) = &identity.role {
            let hostname = rustix::system::uname();
            let session_name = target::session_name(&hostname.nodename().to_string_lossy());
            let role = Role { arn: arn.clone(), external_id: None, session_name: Some(session_name) };
            config = assume(&role, region, &config).await;
        }
        let config = aws_sdk_kms::config::Builder::from(&config);
        Client::from_conf(config.retry_classifier(retry::TemporaryStatus).build())
    }

    /// Whether there are keys in the environment: they beat every profile but one that the file names.
    fn has_keys(&self) -> bool {
        let is_set = |name: &str| self.environment.non_empty(name).is_some_and(|value| !value.trim().is_empty());
        is_set("AWS_ACCESS_KEY_ID") && is_set("AWS_SECRET_ACCESS_KEY")
    }
}

async fn assume(role: &Role, region: Region, config: &SdkConfig) -> SdkConfig {
    let mut builder = AssumeRoleProvider::builder(&role.arn).region(region).configure(config);
    if let Some(name) = &role.session_name {
        builder = builder.session_name(name);
    }
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(builder.build().await);
    config.clone().into_builder().credentials_provider(provider).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_access_key_that_flux_reads() {
        let yaml = b"\naws_access_key_id: test-id\naws_secret_access_key: test-secret\naws_session_token: test-token\n";
        let read = credentials(yaml).unwrap();
        assert_eq!((read.access_key_id(), read.secret_access_key()), ("test-id", "test-secret"));
        assert_eq!(read.session_token(), Some("test-token"));
        assert_eq!(credentials(b"aws_access_key_id: a").err(), Some("has no aws_secret_access_key"));
        assert_eq!(credentials(b"[default]").err(), Some("is not an object of fields"));
    }
}

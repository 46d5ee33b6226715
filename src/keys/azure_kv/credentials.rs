//! Credentials for Azure: those of the key directory, else in the order of `DefaultAzureCredential`: environment, workload
//! identity, managed identity, Azure CLI, Azure Developer CLI. The Rust SDK has no such chain. What sops has beyond that is
//! named where nothing else is found ([`PassedOver`]).

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};

use super::certificate::ClientCertificate;
use super::cli::{AzureCli, Cli, CliError};
use super::federated::FederatedToken;
use super::kind::{Kind, kinds};
use super::missing::{NoCredential, PassedOver};
use crate::environment::Environment;
use crate::keys::directory::{Fields, KeyDirectory, KeyFileKind};
use crate::keys::exec::ProgramError;
use crate::keys::net::not_mine;
use crate::keys::{KeyPolicy, KeySource, KeySourceState, RefusedReason, local};
use crate::limits;

pub(super) const HINT: &str = "give this process an Azure identity: workload identity, managed identity, AZURE_TENANT_ID \
                               and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, or `az login`";

/// Longest time that the Azure CLI has; it is slow to start.
const AZURE_CLI: Duration = Duration::from_secs(15);

/// The places that are looked at.
pub(super) fn places(environment: &Environment, policy: KeyPolicy, directory: &KeyDirectory) -> Vec<KeySource> {
    if let Some(file) = directory.credential(KeyFileKind::AzureKeyVault) {
        return vec![file.describe(|content| Settings::of_directory(content).map(drop))];
    }
    let kinds = kinds(environment, policy).into_iter();
    kinds.map(|kind| KeySource::new(kind.name().into(), KeySourceState::OnDemand)).collect()
}

/// Who we are for Azure.
#[derive(Default)]
struct Settings {
    tenant: Option<String>,
    application: Option<String>,
    secret: Option<String>,
    certificate: Option<ClientCertificate>,
    federated: Option<FederatedToken>,
    authority: Option<String>,
}

impl Settings {
    /// The variables, with the certificate that one of them names.
    fn of_environment(environment: &Environment, kind: Kind, deadline: Instant) -> Result<Self, String> {
        let text = |name: &str| environment.non_empty(name).map(str::to_owned);
        let certificate = match environment.non_empty("AZURE_CLIENT_CERTIFICATE_PATH") {
            Some(path) if kind == Kind::ClientCertificate => {
                let sends_chain = environment
                    .non_empty("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")
                    .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
                let password = environment.non_empty("AZURE_CLIENT_CERTIFICATE_PASSWORD").unwrap_or_default();
                let content = local::read(Path::new(path), deadline).map_err(|error| error.words());
                let certificate =
                    content.and_then(|content| ClientCertificate::read(content.expose(), password, sends_chain));
                Some(certificate.map_err(|why| {
                    format!("{} {why}", local::named("AZURE_CLIENT_CERTIFICATE_PATH", Path::new(path)))
                })?)
            }
            _ => None,
        };
        let federated =
            match environment.non_empty("AZURE_FEDERATED_TOKEN_FILE") {
                Some(path) if kind == Kind::WorkloadIdentity => {
                    let content = local::read(Path::new(path), deadline).map_err(|error| error.words());
                    let token = content.and_then(|content| FederatedToken::new(&content));
                    Some(token.map_err(|why| {
                        format!("{} {why}", local::named("AZURE_FEDERATED_TOKEN_FILE", Path::new(path)))
                    })?)
                }
                _ => None,
            };
        Ok(Self {
            tenant: text("AZURE_TENANT_ID"),
            application: text("AZURE_CLIENT_ID"),
            secret: text("AZURE_CLIENT_SECRET"),
            certificate,
            federated,
            authority: None,
        })
    }

    /// `sops.azure-kv`: an application with a secret or a certificate, what `az ad sp create-for-rbac` prints, or the
    /// client id of a managed identity.
    ///
    /// Source: fluxcd/kustomize-controller, `internal/sops/azkv/config.go`.
    fn of_directory(content: &[u8]) -> Result<(Kind, Self), &'static str> {
        let fields = Fields::read(content)?;
        let text = |name: &str| fields.get(name).map(str::to_owned);
        let authority = text("authorityHost");
        let (tenant, application) = (text("tenantId"), text("clientId"));
        if tenant.is_some() && application.is_some() {
            if let Some(secret) = text("clientSecret") {
                let secret = Some(secret);
                return Ok((Kind::ClientSecret, Self { tenant, application, secret, authority, ..Self::default() }));
            }
            if let Some(pem) = text("clientCertificate") {
                let sends_chain = fields.get("clientCertificateSendChain") == Some("true");
                let certificate = Some(ClientCertificate::read(pem.as_bytes(), "", sends_chain)?);
                let settings = Self { tenant, application, certificate, authority, ..Self::default() };
                return Ok((Kind::ClientCertificate, settings));
            }
        }
        if let (Some(tenant), Some(application), Some(secret)) = (text("tenant"), text("appId"), text("password")) {
            let (tenant, application, secret) = (Some(tenant), Some(application), Some(secret));
            return Ok((Kind::ClientSecret, Self { tenant, application, secret, authority, ..Self::default() }));
        }
        match application {
            Some(_) => Ok((Kind::ManagedIdentity, Self { application, ..Self::default() })),
            None => Err("has neither clientId, nor tenantId, clientId and clientSecret or clientCertificate"),
        }
    }
}

/// The credentials that are tried one after the other; the first that gives a token stays.
pub(super) struct Chain {
    links: Vec<Link>,
    chosen: OnceLock<usize>,
    passed_over: Vec<PassedOver>,
}

struct Link {
    kind: Kind,
    /// Whether its failure is the answer.
    is_final: bool,
    limit: Duration,
    credential: Arc<dyn TokenCredential>,
}

impl Chain {
    /// Finds what is there; asks no server yet.
    pub(super) fn find(
        environment: &Environment,
        policy: KeyPolicy,
        directory: &KeyDirectory,
        deadline: Instant,
        options: impl Fn() -> ClientOptions,
    ) -> Result<Self, RefusedReason> {
        let refuse = |why: &str| not_mine(why).with_hint(HINT);
        let unusable = |place: &str| refuse(&format!("the Azure credentials are unusable ({place})"));
        if let Some(file) = directory.credential(KeyFileKind::AzureKeyVault) {
            let content = file.content.as_ref().map_err(|error| error.words());
            let settings = content.and_then(|content| Settings::of_directory(content.expose()));
            let (kind, settings) = settings.map_err(|why| refuse(&format!("{} {why}", file.name)))?;
            let credential = settings.credential(kind, environment, policy, options());
            let credential = credential.map_err(|_| unusable(file.name.as_str()))?;
            let link = Link { kind, is_final: true, limit: limits::NETWORK_CALL, credential };
            return Ok(Self { links: vec![link], chosen: OnceLock::new(), passed_over: Vec::new() });
        }
        let (mut links, mut passed_over) = (Vec::new(), PassedOver::find(environment, policy));
        for kind in kinds(environment, policy) {
            let limit = match kind {
                Kind::AzureCli | Kind::AzureDeveloperCli => AZURE_CLI,
                Kind::ManagedIdentity if !kind.is_configured(environment) => limits::METADATA_SERVER,
                _ => limits::NETWORK_CALL,
            };
            let settings = Settings::of_environment(environment, kind, deadline).map_err(|why| refuse(&why))?;
            let is_final = kind.is_configured(environment);
            match settings.credential(kind, environment, policy, options()) {
                Ok(credential) => links.push(Link { kind, is_final, limit, credential }),
                // The SDK knows these machines and has nothing for them.
                Err(_) if kind == Kind::ManagedIdentity && !is_final => passed_over.push(PassedOver::Machine),
                Err(_) => return Err(unusable(kind.name())),
            }
        }
        if links.is_empty() {
            return Err(refuse(&NoCredential { cli: None, passed_over }.to_string()));
        }
        Ok(Self { links, chosen: OnceLock::new(), passed_over })
    }
}

impl Settings {
    fn credential(
        self,
        kind: Kind,
        environment: &Environment,
        policy: KeyPolicy,
        mut client_options: ClientOptions,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let (tenant, application) = (self.tenant.unwrap_or_default(), self.application.unwrap_or_default());
        if let Some(authority) = &self.authority {
            let mut cloud = CustomConfiguration::default();
            cloud.authority_host.clone_from(authority);
            client_options.cloud = Some(Arc::new(cloud.into()));
        }
        Ok(match kind {
            Kind::ClientSecret => ClientSecretCredential::new(
                &tenant,
                application,
                Secret::new(self.secret.unwrap_or_default()),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            Kind::ClientCertificate => {
                let none = || Error::with_message(ErrorKind::Credential, "no certificate");
                let authority = self.authority.as_deref().or_else(|| environment.non_empty("AZURE_AUTHORITY_HOST"));
                let authority = authority.unwrap_or("https://login.microsoftonline.com");
                let certificate = self.certificate.ok_or_else(none)?.of(authority, &tenant, &application);
                let options = Some(ClientAssertionCredentialOptions { client_options });
                ClientAssertionCredential::new(tenant, application, certificate, options)?
            }
            Kind::WorkloadIdentity => {
                let none = || Error::with_message(ErrorKind::Credential, "no token");
                let options = Some(ClientAssertionCredentialOptions { client_options });
                ClientAssertionCredential::new(tenant, application, self.federated.ok_or_else(none)?, options)?
            }
            Kind::ManagedIdentity => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: Some(application).filter(|id| !id.is_empty()).map(UserAssignedId::ClientId),
                client_options,
            }))?,
            Kind::AzureCli | Kind::AzureDeveloperCli => {
                let cli = if kind == Kind::AzureCli { Cli::Az } else { Cli::Azd };
                let tenant = Some(tenant.as_str()).filter(|tenant| !tenant.is_empty());
                Arc::new(AzureCli::new(cli, environment, policy, tenant))
            }
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.links.iter().map(|link| link.kind)).finish()
    }
}

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let chosen = self.chosen.get().copied();
        let mut cli = None;
        for (index, link) in self.links.iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != index) {
                continue;
            }
            let token = link.credential.get_token(scopes, options.clone());
            match tokio::time::timeout(link.limit, token).await {
                Ok(Ok(token)) => {
                    _ = self.chosen.set(index);
                    return Ok(token);
                }
                Ok(Err(error)) if link.is_final || chosen.is_some() => {
                    return Err(Error::with_error(ErrorKind::Credential, error, "no token"));
                }
                Ok(Err(error)) => {
                    let failed = std::error::Error::source(&error).and_then(|error| error.downcast_ref::<CliError>());
                    // That there is no such program is no news to those who never had one.
                    let failed = failed.filter(|error| !matches!(error, CliError::Program(_, ProgramError::NotFound)));
                    cli = cli.or(failed.copied());
                }
                Err(_) => {}
            }
        }
        let none = NoCredential { cli, passed_over: self.passed_over.clone() };
        Err(Error::with_error(ErrorKind::Credential, none, "no token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_flux_reads() {
        let kind = |text: &str| Settings::of_directory(text.as_bytes()).map(|(kind, _)| kind).map_err(|_| ());
        let application = "tenantId: some-tenant-id\nclientId: some-client-id\n";
        assert_eq!(kind(&format!("{application}clientSecret: some-client-secret")), Ok(Kind::ClientSecret));
        let pem =
            [include_str!("../../../tests/keys/assertion.pem"), include_str!("../../../tests/keys/assertion-cert.pem")];
        let pem = pem.concat().replace('\n', "\n  ");
        assert_eq!(kind(&format!("{application}clientCertificate: |\n  {pem}")), Ok(Kind::ClientCertificate));
        assert_eq!(kind(&format!("{application}clientCertificate: some-certificate")), Err(()));
        let az = r#"{"appId": "some-app-id", "tenant": "some-tenant", "password": "some-password"}"#;
        let (found, settings) = Settings::of_directory(az.as_bytes()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((found, settings.application.as_deref()), (Kind::ClientSecret, Some("some-app-id")));
        assert_eq!(kind("clientId: some-client-id"), Ok(Kind::ManagedIdentity));
        assert_eq!(kind("authorityHost: https://example.com"), Err(()));
        assert_eq!(kind("some string"), Err(()));
    }
}

//! Credentials for Azure: those of the key directory, else in the order of `DefaultAzureCredential`: environment, workload
//! identity, managed identity, Azure CLI, Azure Developer CLI. The Rust SDK has no such chain. What sops has beyond that is
//! named where nothing else is found ([`PassedOver`]).
//!
//! Source: azure-sdk-for-go, `sdk/azidentity` 1.14, `default_azure_credential.go`, `environment_credential.go`.

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

/// One kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AzureCli,
    AzureDeveloperCli,
    ClientCertificate,
    ClientSecret,
    ManagedIdentity,
    WorkloadIdentity,
}

impl Kind {
    /// In the order of `DefaultAzureCredential`.
    const ALL: [Self; 6] = [
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::AzureCli,
        Self::AzureDeveloperCli,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AzureCli => "Azure CLI",
            Self::AzureDeveloperCli => "Azure Developer CLI",
            Self::ClientCertificate => "AZURE_CLIENT_CERTIFICATE_PATH",
            Self::ClientSecret => "AZURE_CLIENT_SECRET",
            Self::ManagedIdentity => "managed identity",
            Self::WorkloadIdentity => "AZURE_FEDERATED_TOKEN_FILE",
        }
    }

    /// Whether it is worth trying, and whether the operator chose it by setting its variables.
    fn is_configured(self, environment: &Environment) -> bool {
        let is_set = |name: &str| environment.non_empty(name).is_some();
        let is_application = is_set("AZURE_TENANT_ID") && is_set("AZURE_CLIENT_ID");
        match self {
            Self::AzureCli | Self::AzureDeveloperCli => false,
            Self::ClientCertificate => is_application && is_set("AZURE_CLIENT_CERTIFICATE_PATH"),
            Self::ClientSecret => is_application && is_set("AZURE_CLIENT_SECRET"),
            // App Service, Container Apps, Functions; with less it is Azure Arc's, with more Service Fabric's.
            Self::ManagedIdentity => {
                is_set("IDENTITY_ENDPOINT") && is_set("IDENTITY_HEADER") && !is_set("IDENTITY_SERVER_THUMBPRINT")
            }
            Self::WorkloadIdentity => is_application && is_set("AZURE_FEDERATED_TOKEN_FILE"),
        }
    }

    /// Whether `AZURE_TOKEN_CREDENTIALS` leaves it in.
    fn is_selected(self, selection: Option<&str>) -> bool {
        let Some(selection) = selection else { return true };
        match selection.to_ascii_lowercase().as_str() {
            "prod" => !matches!(self, Self::AzureCli | Self::AzureDeveloperCli),
            "dev" => matches!(self, Self::AzureCli | Self::AzureDeveloperCli),
            "azureclicredential" => self == Self::AzureCli,
            "azuredeveloperclicredential" => self == Self::AzureDeveloperCli,
            "environmentcredential" => matches!(self, Self::ClientCertificate | Self::ClientSecret),
            "managedidentitycredential" => self == Self::ManagedIdentity,
            "workloadidentitycredential" => self == Self::WorkloadIdentity,
            _ => false,
        }
    }
}

/// The kinds to try, in order. One that the operator configured is the only one: if it fails, that is the answer.
fn kinds(environment: &Environment, policy: KeyPolicy) -> Vec<Kind> {
    let selection = environment.non_empty("AZURE_TOKEN_CREDENTIALS");
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_selected(selection)).collect();
    if let Some(configured) = kinds.iter().copied().find(|kind| kind.is_configured(environment)) {
        return vec![configured];
    }
    kinds.retain(|kind| match kind {
        Kind::AzureCli | Kind::AzureDeveloperCli => policy.allow_exec,
        Kind::ManagedIdentity => true,
        Kind::ClientCertificate | Kind::ClientSecret | Kind::WorkloadIdentity => false,
    });
    kinds
}

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

/// No credential gave a token, and none was configured.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no Azure credentials (environment, workload identity, managed identity, Azure CLI, Azure Developer CLI){}", self.more())]
pub(super) struct NoCredential {
    cli: Option<CliError>,
    passed_over: Vec<PassedOver>,
}

impl NoCredential {
    fn more(&self) -> String {
        let passed_over = self.passed_over.iter().map(ToString::to_string);
        self.cli.iter().map(ToString::to_string).chain(passed_over).map(|why| format!("; {why}")).collect()
    }
}

/// What was set up for sops, or halfway, and is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum PassedOver {
    #[error("AZURE_TENANT_ID or AZURE_CLIENT_ID is missing beside {0}")]
    Incomplete(&'static str),
    #[error("AZURE_USERNAME with AZURE_PASSWORD is not supported")]
    User,
    #[error("the managed identity of Azure Arc, Cloud Shell, Machine Learning or Service Fabric is not supported")]
    Machine,
    #[error("Azure PowerShell is not supported, and AZURE_TOKEN_CREDENTIALS leaves no other kind")]
    PowerShell,
    #[error("AZURE_TOKEN_CREDENTIALS names no kind of credential")]
    Selection,
    #[error("az and azd were not run (key programs are switched off)")]
    Programs,
}

impl PassedOver {
    fn find(environment: &Environment, policy: KeyPolicy) -> Vec<Self> {
        let is_set = |name: &&str| environment.non_empty(name).is_some();
        let selection = environment.non_empty("AZURE_TOKEN_CREDENTIALS");
        let selects = |kind: Kind| kind.is_selected(selection);
        let mut found = Vec::new();
        if selection.is_some_and(|selection| selection.eq_ignore_ascii_case("AzurePowerShellCredential")) {
            found.push(Self::PowerShell);
        } else if !Kind::ALL.into_iter().any(selects) {
            found.push(Self::Selection);
        }
        if !["AZURE_TENANT_ID", "AZURE_CLIENT_ID"].iter().all(is_set) {
            let secret = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"];
            let secret = secret.iter().filter(|_| selects(Kind::ClientSecret));
            let token = ["AZURE_FEDERATED_TOKEN_FILE"].iter().filter(|_| selects(Kind::WorkloadIdentity));
            found.extend(secret.chain(token).copied().find(|name| is_set(name)).map(Self::Incomplete));
        } else if selects(Kind::ClientSecret) && ["AZURE_USERNAME", "AZURE_PASSWORD"].iter().all(is_set) {
            found.push(Self::User);
        }
        if !policy.allow_exec && (selects(Kind::AzureCli) || selects(Kind::AzureDeveloperCli)) {
            found.push(Self::Programs);
        }
        found
    }
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

    fn found(variables: &[(&str, &str)], allow_exec: bool) -> Vec<&'static str> {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
        let policy = KeyPolicy { allow_exec, ..KeyPolicy::default() };
        kinds(&environment, policy).into_iter().map(Kind::name).collect()
    }

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

    #[test]
    fn what_is_configured_is_used_alone() {
        let application = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let with = |more: &[(&'static str, &'static str)]| found(&[&application, more].concat(), true);
        assert_eq!(with(&[("AZURE_CLIENT_SECRET", "s")]), ["AZURE_CLIENT_SECRET"]);
        assert_eq!(with(&[("AZURE_CLIENT_CERTIFICATE_PATH", "/c")]), ["AZURE_CLIENT_CERTIFICATE_PATH"]);
        assert_eq!(with(&[("AZURE_FEDERATED_TOKEN_FILE", "/f")]), ["AZURE_FEDERATED_TOKEN_FILE"]);
        let machine = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1"), ("IDENTITY_HEADER", "h")];
        assert_eq!(with(&machine), ["managed identity"]);
        let every = ["managed identity", "Azure CLI", "Azure Developer CLI"];
        assert_eq!(with(&[]), every);
        // Of Service Fabric, of Azure Arc.
        assert_eq!(with(&[&machine[..], &[("IDENTITY_SERVER_THUMBPRINT", "t")]].concat()), every);
        assert_eq!(with(&[machine[0], ("IMDS_ENDPOINT", "http://127.0.0.1:1")]), every);
    }

    #[test]
    fn no_program_is_run_where_none_may_be() {
        assert_eq!(found(&[], false), ["managed identity"]);
        assert_eq!(found(&[("AZURE_TOKEN_CREDENTIALS", "dev")], false), [""; 0]);
    }

    #[test]
    fn the_operator_may_leave_kinds_out() {
        assert_eq!(found(&[("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")], true), [""; 0]);
        assert_eq!(found(&[("AZURE_TOKEN_CREDENTIALS", "prod")], true), ["managed identity"]);
        let azd = [("AZURE_TOKEN_CREDENTIALS", "AzureDeveloperCLICredential")];
        assert_eq!(found(&azd, true), ["Azure Developer CLI"]);
    }

    #[test]
    fn says_what_is_set_up_and_not_used() {
        let said = |variables: &[(&str, &str)], allow_exec: bool| {
            let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
            PassedOver::find(&environment, KeyPolicy { allow_exec, ..KeyPolicy::default() })
        };
        let application = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let user = [("AZURE_USERNAME", "u"), ("AZURE_PASSWORD", "p")];
        let select = |selection| ("AZURE_TOKEN_CREDENTIALS", selection);
        assert_eq!(said(&[], true), []);
        assert_eq!(said(&[], false), [PassedOver::Programs]);
        assert_eq!(said(&[select("prod")], false), []);
        assert_eq!(said(&[application, user].concat(), true), [PassedOver::User]);
        assert_eq!(said(&[&application[..], &user, &[select("dev")]].concat(), true), []);
        assert_eq!(said(&[select("AzurePowerShellCredential")], true), [PassedOver::PowerShell]);
        assert_eq!(said(&[select("VisualStudioCodeCredential")], true), [PassedOver::Selection]);
        for name in ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"] {
            assert_eq!(said(&[(name, "x"), application[0]], true), [PassedOver::Incomplete(name)]);
            assert_eq!(said(&[(name, "x"), application[1], select("ManagedIdentityCredential")], true), []);
        }
    }
}

//! Credentials for Azure, in the order of `DefaultAzureCredential`: environment, workload identity, managed identity,
//! Azure CLI. The Rust SDK has no such chain.

use std::fmt;
use std::process::{Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::environment::Environment;
use crate::keys::net::not_mine;
use crate::keys::{KeyPolicy, RefusedReason};

pub(super) const HINT: &str = "give this process an Azure identity: workload identity, managed identity, AZURE_TENANT_ID \
                               with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or `az login`";

/// Longest time that the metadata server of a virtual machine has. It is link-local and answers within milliseconds
/// where there is one.
const METADATA_SERVER: Duration = Duration::from_secs(2);

/// Longest time that the Azure CLI has; it is slow to start.
const AZURE_CLI: Duration = Duration::from_secs(15);

/// One kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AzureCli,
    Environment,
    ManagedIdentity,
    WorkloadIdentity,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::AzureCli => "Azure CLI",
            Self::Environment => "AZURE_CLIENT_SECRET",
            Self::ManagedIdentity => "managed identity",
            Self::WorkloadIdentity => "AZURE_FEDERATED_TOKEN_FILE",
        }
    }

    /// Whether it is worth trying, and whether the operator chose it by setting its variables.
    fn is_configured(self, environment: &Environment) -> bool {
        let is_set = |name: &str| environment.non_empty(name).is_some();
        let is_application = is_set("AZURE_TENANT_ID") && is_set("AZURE_CLIENT_ID");
        match self {
            Self::AzureCli => false,
            Self::Environment => is_application && is_set("AZURE_CLIENT_SECRET"),
            Self::ManagedIdentity => is_set("IDENTITY_ENDPOINT"),
            Self::WorkloadIdentity => is_application && is_set("AZURE_FEDERATED_TOKEN_FILE"),
        }
    }

    /// Whether `AZURE_TOKEN_CREDENTIALS` leaves it in.
    fn is_selected(self, selection: Option<&str>) -> bool {
        let Some(selection) = selection else { return true };
        match selection.to_ascii_lowercase().as_str() {
            "prod" => self != Self::AzureCli,
            "dev" | "azureclicredential" => self == Self::AzureCli,
            "environmentcredential" => self == Self::Environment,
            "managedidentitycredential" => self == Self::ManagedIdentity,
            "workloadidentitycredential" => self == Self::WorkloadIdentity,
            _ => false,
        }
    }
}

/// The kinds to try, in order. One that the operator configured is the only one: if it fails, that is the answer.
fn kinds(environment: &Environment, policy: KeyPolicy) -> Vec<Kind> {
    let selection = environment.non_empty("AZURE_TOKEN_CREDENTIALS");
    let all = [Kind::Environment, Kind::WorkloadIdentity, Kind::ManagedIdentity, Kind::AzureCli];
    let mut kinds: Vec<Kind> = all.into_iter().filter(|kind| kind.is_selected(selection)).collect();
    if let Some(configured) = kinds.iter().copied().find(|kind| kind.is_configured(environment)) {
        return vec![configured];
    }
    kinds.retain(|kind| match kind {
        Kind::AzureCli => policy.allow_exec,
        Kind::ManagedIdentity => true,
        Kind::Environment | Kind::WorkloadIdentity => false,
    });
    kinds
}

/// The names of the places that are looked at.
pub(super) fn places(environment: &Environment, policy: KeyPolicy) -> Vec<&'static str> {
    kinds(environment, policy).into_iter().map(Kind::name).collect()
}

/// The credentials that are tried one after the other; the first that gives a token stays.
pub(super) struct Chain {
    links: Vec<Link>,
    chosen: OnceLock<usize>,
}

struct Link {
    kind: Kind,
    /// Whether its failure is the answer.
    is_final: bool,
    limit: Duration,
    credential: Arc<dyn TokenCredential>,
}

/// No credential gave a token, and none was configured.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no Azure credentials (environment, workload identity, managed identity, Azure CLI)")]
pub(super) struct NoCredential;

impl Chain {
    /// Finds what is there; asks no server yet.
    pub(super) fn find(
        environment: &Environment,
        policy: KeyPolicy,
        options: impl Fn() -> ClientOptions,
    ) -> Result<Self, RefusedReason> {
        let mut links = Vec::new();
        for kind in kinds(environment, policy) {
            let limit = match kind {
                Kind::AzureCli => AZURE_CLI,
                Kind::ManagedIdentity if !kind.is_configured(environment) => METADATA_SERVER,
                _ => crate::limits::NETWORK_CALL,
            };
            let credential = credential(kind, environment, options()).map_err(|_| {
                not_mine(&format!("the Azure credentials are unusable ({})", kind.name())).with_hint(HINT)
            })?;
            links.push(Link { kind, is_final: kind.is_configured(environment), limit, credential });
        }
        if links.is_empty() {
            return Err(not_mine(&NoCredential.to_string()).with_hint(HINT));
        }
        Ok(Self { links, chosen: OnceLock::new() })
    }
}

fn credential(
    kind: Kind,
    environment: &Environment,
    client_options: ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let text = |name: &str| environment.non_empty(name).map(str::to_owned);
    let (tenant, application) = (text("AZURE_TENANT_ID"), text("AZURE_CLIENT_ID"));
    Ok(match kind {
        Kind::Environment => ClientSecretCredential::new(
            &tenant.unwrap_or_default(),
            application.unwrap_or_default(),
            Secret::new(text("AZURE_CLIENT_SECRET").unwrap_or_default()),
            Some(ClientSecretCredentialOptions { client_options }),
        )?,
        Kind::WorkloadIdentity => WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            client_id: application,
            tenant_id: tenant,
            token_file_path: text("AZURE_FEDERATED_TOKEN_FILE").map(Into::into),
        }))?,
        Kind::ManagedIdentity => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: application.map(UserAssignedId::ClientId),
            client_options,
        }))?,
        Kind::AzureCli => AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: tenant,
            executor: Some(Arc::new(AzureCli)),
            ..AzureCliCredentialOptions::default()
        }))?,
    })
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
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(Error::with_error(ErrorKind::Credential, NoCredential, "no token"))
    }
}

/// Runs `az` with nothing on its standard input, and not beyond our patience.
#[derive(Debug)]
struct AzureCli;

#[async_trait::async_trait]
impl Executor for AzureCli {
    async fn run(&self, program: &std::ffi::OsStr, args: &[&std::ffi::OsStr]) -> std::io::Result<Output> {
        tokio::process::Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], allow_exec: bool) -> Vec<&'static str> {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
        places(&environment, KeyPolicy { allow_exec, ..KeyPolicy::default() })
    }

    #[test]
    fn what_is_configured_is_used_alone() {
        let application = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let with = |more: &[(&'static str, &'static str)]| found(&[&application, more].concat(), true);
        assert_eq!(with(&[("AZURE_CLIENT_SECRET", "s")]), ["AZURE_CLIENT_SECRET"]);
        assert_eq!(with(&[("AZURE_FEDERATED_TOKEN_FILE", "/f")]), ["AZURE_FEDERATED_TOKEN_FILE"]);
        assert_eq!(with(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1")]), ["managed identity"]);
        assert_eq!(with(&[]), ["managed identity", "Azure CLI"]);
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
    }
}

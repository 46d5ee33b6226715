//! The token of the Azure CLI, or of the Azure Developer CLI, through our own bounded way of starting programs.
//!
//! Source: azure-sdk-for-go, `sdk/azidentity/azure_cli_credential.go`, `azure_developer_cli_credential.go`.

use std::fmt;
use std::path::Path;

use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::{Duration, OffsetDateTime};
use serde::Deserialize;

use crate::environment::Environment;
use crate::keys::KeyPolicy;
use crate::keys::exec::{Program, ProgramError, Start, find};

/// How long a token is kept whose end the program does not say in a form that we read; a run is shorter.
const VALID: Duration = Duration::minutes(5);

/// The programs that know who has logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cli {
    /// `az account get-access-token`
    Az,
    /// `azd auth token`
    Azd,
}

impl Cli {
    fn name(self) -> &'static str {
        match self {
            Self::Az => "az",
            Self::Azd => "azd",
        }
    }

    fn arguments(self, scope: &str, tenant: Option<&str>) -> Vec<String> {
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let (words, tenant_flag) = match self {
            Self::Az => (vec!["account", "get-access-token", "-o", "json", "--resource", resource], "--tenant"),
            Self::Azd => (vec!["auth", "token", "-o", "json", "--no-prompt", "--scope", scope], "--tenant-id"),
        };
        let tenant = tenant.into_iter().flat_map(|tenant| [tenant_flag, tenant]);
        words.into_iter().chain(tenant).map(str::to_owned).collect()
    }
}

/// A person's own token.
pub(super) struct AzureCli {
    cli: Cli,
    environment: Environment,
    policy: KeyPolicy,
    tenant: Option<String>,
}

/// Why the program gave no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CliError {
    #[error("{} {}", .0.name(), .1.words())]
    Program(Cli, ProgramError),
    #[error("{} gave something else than a token", .0.name())]
    Malformed(Cli),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(alias = "token")]
    access_token: String,
    /// Seconds since 1970; since version 2.54.
    #[serde(rename = "expires_on")]
    expires_on: Option<i64>,
}

impl AzureCli {
    /// The program on the PATH of this environment. `tenant` may come from outside only as the operator's variable.
    pub(super) fn new(cli: Cli, environment: &Environment, policy: KeyPolicy, tenant: Option<&str>) -> Self {
        let is_tenant = |tenant: &&str| tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let tenant = tenant.filter(is_tenant).map(str::to_owned);
        Self { cli, environment: environment.clone(), policy, tenant }
    }

    async fn token(&self, scope: &str) -> Result<AccessToken, CliError> {
        let cli = self.cli;
        let fail = |error: ProgramError| CliError::Program(cli, error);
        let program = find(cli.name(), &self.environment).ok_or(fail(ProgramError::NotFound))?;
        let arguments = cli.arguments(scope, self.tenant.as_deref());
        let start = Start {
            program: &program,
            arguments: &arguments,
            variable: None,
            // `az` is Python, which takes modules from the working directory; that belongs to the manifest's author.
            directory: Some(Path::new("/")),
            with_stdin: false,
        };
        let program = Program::start(&start, &self.environment, &self.policy).map_err(fail)?;
        let output = program.output_async().await.map_err(fail)?;
        let answer: Answer = serde_json::from_slice(output.expose()).map_err(|_| CliError::Malformed(cli))?;
        let expires_on = answer.expires_on.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
        let expires_on = expires_on.unwrap_or_else(|| OffsetDateTime::now_utc().saturating_add(VALID));
        Ok(AccessToken::new(Secret::new(answer.access_token), expires_on))
    }
}

impl fmt::Debug for AzureCli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureCli")
    }
}

#[async_trait::async_trait]
impl TokenCredential for AzureCli {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let fail = |error: CliError| Error::with_error(ErrorKind::Credential, error, "no token");
        self.token(scopes.first().copied().unwrap_or_default()).await.map_err(fail)
    }
}

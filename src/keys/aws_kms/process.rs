//! `credential_process` of a profile, through our own bounded way of starting programs. The SDK's is left out of the
//! build: it cannot be switched off, and reads without end.
//!
//! Source: aws-config 1.13, `profile/credentials/repr.rs` (`resolve_chain`), for which profile counts.

use std::borrow::Cow;
use std::fmt;

use aws_config::profile::ProfileSet;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use serde::Deserialize;

use crate::environment::Environment;
use crate::keys::KeyPolicy;
use crate::keys::exec::{self, ProgramError};

/// A profile whose credentials begin with a program.
pub(super) struct Chain {
    command: String,
    /// Roles to assume one after the other.
    pub(super) roles: Vec<Role>,
}

/// A role of a profile.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
}

impl Chain {
    /// Reads the shared config files. `None` where the profile does not begin with a program, or where they cannot be
    /// read: the SDK says what is wrong with them.
    pub(super) async fn load(profile: Option<&str>) -> Option<Self> {
        let selected = profile.map(|profile| Cow::Owned(profile.to_owned()));
        let (fs, env, files) = (Fs::real(), Env::real(), EnvConfigFiles::default());
        Self::of(&aws_config::profile::load(&fs, &env, &files, selected).await.ok()?)
    }

    fn of(profiles: &ProfileSet) -> Option<Self> {
        let mut name = profiles.selected_profile();
        let (mut visited, mut roles) = (Vec::new(), Vec::new());
        let command = loop {
            let profile = profiles.get_profile(name)?;
            let has = |key: &str| profile.get(key).is_some();
            let has_keys = has("aws_access_key_id") && has("aws_secret_access_key");
            if visited.contains(&name) || has("web_identity_token_file") || (!visited.is_empty() && has_keys) {
                return None;
            }
            visited.push(name);
            if let Some(arn) = profile.get("role_arn") {
                let text = |key: &str| profile.get(key).map(str::to_owned);
                let (external_id, session_name) = (text("external_id"), text("role_session_name"));
                roles.push(Role { arn: arn.to_owned(), external_id, session_name });
                match profile.get("source_profile") {
                    Some(source) if source != name => {
                        name = source;
                        continue;
                    }
                    Some(_) => {}
                    None => return None,
                }
            }
            let others = [
                "credential_source",
                "sso_account_id",
                "sso_region",
                "sso_role_name",
                "sso_start_url",
                "sso_session",
                "login_session",
            ];
            if others.into_iter().any(has) {
                return None;
            }
            break profile.get("credential_process")?.to_owned();
        };
        roles.reverse();
        Some(Self { command, roles })
    }

    /// What runs the program when credentials are needed.
    pub(super) fn provider(&self, environment: &Environment, policy: KeyPolicy) -> CredentialProcess {
        CredentialProcess { command: self.command.clone(), environment: environment.clone(), policy }
    }
}

/// Runs a program for credentials.
pub(super) struct CredentialProcess {
    command: String,
    environment: Environment,
    policy: KeyPolicy,
}

/// Why the program gave no credentials.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum ProcessError {
    #[error("credential_process {}", .0.words())]
    Program(ProgramError),
    #[error("credential_process gave something else than credentials")]
    Malformed,
}

/// What the program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl CredentialProcess {
    async fn run(&self) -> Result {
        let fail = |error: ProcessError| CredentialsError::provider_error(error);
        let output = exec::shell_output_of(&self.command, &self.environment, &self.policy).await;
        let output = output.map_err(|error| fail(ProcessError::Program(error)))?;
        let output: Output = serde_json::from_slice(output.expose()).map_err(|_| fail(ProcessError::Malformed))?;
        if output.version != 1 {
            return Err(fail(ProcessError::Malformed));
        }
        // A run is over before they expire; KMS says so if they have.
        let (key, secret) = (output.access_key_id, output.secret_access_key);
        Ok(Credentials::new(key, secret, output.session_token, None, "credential_process"))
    }
}

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.run())
    }
}

impl fmt::Debug for CredentialProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialProcess")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn chain(profile: &str, config: &str) -> Option<Chain> {
        let files = EnvConfigFiles::builder()
            .with_contents(aws_runtime::env_config::file::EnvConfigFileKind::Config, config)
            .build();
        let (fs, env) = (Fs::from_slice(&[]), Env::from_slice(&[]));
        let profiles =
            aws_config::profile::load(&fs, &env, &files, Some(Cow::Owned(profile.to_owned()))).await.unwrap();
        Chain::of(&profiles)
    }

    #[test]
    fn follows_profiles_to_the_program_as_the_sdk_does() {
        let config = "
[profile plain]
credential_process = /bin/program --flag
[profile role]
role_arn = arn:r1
external_id = x
source_profile = plain
[profile two]
role_arn = arn:r2
source_profile = role
[profile self]
role_arn = arn:r3
source_profile = self
credential_process = p
[profile keys]
aws_access_key_id = a
aws_secret_access_key = b
credential_process = p
[profile through-keys]
role_arn = arn:r4
source_profile = keys
[profile sso]
sso_session = s
credential_process = p
[profile loop]
role_arn = arn:r5
source_profile = loop2
[profile loop2]
role_arn = arn:r5
source_profile = loop
[profile web]
role_arn = arn:r6
web_identity_token_file = /t
credential_process = p
";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = |name: &str| {
            let chain = runtime.block_on(chain(name, config))?;
            Some((chain.command, chain.roles.into_iter().map(|role| role.arn).collect::<Vec<_>>()))
        };
        let plain = "/bin/program --flag".to_owned();
        assert_eq!(found("plain"), Some((plain.clone(), vec![])));
        assert_eq!(found("role"), Some((plain.clone(), vec!["arn:r1".into()])));
        assert_eq!(found("two"), Some((plain, vec!["arn:r1".into(), "arn:r2".into()])));
        assert_eq!(found("self"), Some(("p".into(), vec!["arn:r3".into()])));
        // The SDK prefers the program to the keys where both stand in the first profile.
        assert_eq!(found("keys"), Some(("p".into(), vec![])));
        for other in ["through-keys", "sso", "loop", "web", "missing"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}

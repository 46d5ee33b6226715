//! What there is to say where no credential was found: what sops has and we have not, what is set up halfway.

use super::cli::CliError;
use super::kind::Kind;
use crate::environment::Environment;
use crate::keys::KeyPolicy;

/// No credential gave a token, and none was configured.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no Azure credentials (environment, workload identity, managed identity, Azure CLI, Azure Developer CLI){}", self.more())]
pub(super) struct NoCredential {
    /// What became of `az` or `azd`.
    pub(super) cli: Option<CliError>,
    pub(super) passed_over: Vec<PassedOver>,
}

impl NoCredential {
    fn more(&self) -> String {
        let passed_over = self.passed_over.iter().map(ToString::to_string);
        self.cli.iter().map(ToString::to_string).chain(passed_over).map(|why| format!("; {why}")).collect()
    }
}

/// What was set up for sops, or halfway, and is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PassedOver {
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
    /// Looks at the variables.
    pub(super) fn find(environment: &Environment, policy: KeyPolicy) -> Vec<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

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

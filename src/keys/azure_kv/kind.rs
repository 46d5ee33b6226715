//! The kinds of credential in the order of `DefaultAzureCredential`, and which of them are tried.
//!
//! Source: azure-sdk-for-go, `sdk/azidentity` 1.14, `default_azure_credential.go`, `environment_credential.go`.

use crate::environment::Environment;
use crate::keys::KeyPolicy;

/// One kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AzureCli,
    AzureDeveloperCli,
    ClientCertificate,
    ClientSecret,
    ManagedIdentity,
    WorkloadIdentity,
}

impl Kind {
    /// In the order of `DefaultAzureCredential`.
    pub(super) const ALL: [Self; 6] = [
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::AzureCli,
        Self::AzureDeveloperCli,
    ];

    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn is_configured(self, environment: &Environment) -> bool {
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
    pub(super) fn is_selected(self, selection: Option<&str>) -> bool {
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
pub(super) fn kinds(environment: &Environment, policy: KeyPolicy) -> Vec<Kind> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], allow_exec: bool) -> Vec<&'static str> {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
        let policy = KeyPolicy { allow_exec, ..KeyPolicy::default() };
        kinds(&environment, policy).into_iter().map(Kind::name).collect()
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
}

//! What this run may do.

use std::path::Path;

use super::custody::{self, CustodyError};
use super::{Applicant, Guard, Policy, PolicyError, Rule};
use crate::environment::Environment;
use crate::sops::{KeyKinds, KeyService};
use crate::text::Printable;

/// What this run may do: everything where there is no policy, else what one rule grants.
pub struct Authority(Option<Ruled>);

struct Ruled {
    policy: Policy,
    /// Index of the rule in force.
    rule: usize,
    applicant: Applicant,
}

/// Why something is not allowed, and who can change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Names the rule.
    pub reason: Printable,
    /// Who can change what.
    pub hint: Printable,
}

/// Why it is not known what this run may do; then it may do nothing.
#[derive(Debug)]
pub enum Unsettled {
    /// The file cannot be relied on.
    Custody(Printable, CustodyError),
    /// The file is no valid policy.
    Malformed(Printable, Vec<PolicyError>),
    /// No rule is for this application.
    NoRule(Denial),
}

impl Authority {
    /// No policy: everything is allowed.
    pub fn unrestricted() -> Self {
        Self(None)
    }

    /// Reads the policy that the environment names ([`custody::locate`]) and finds the rule for this application.
    ///
    /// # Errors
    /// [`Unsettled`]: a policy that is there but cannot be relied on is none that can be passed over.
    pub fn in_force(environment: &Environment) -> Result<Self, Unsettled> {
        let Some(path) = custody::locate(environment) else { return Ok(Self::unrestricted()) };
        let source = Printable::new(&path.to_string_lossy());
        let text = custody::read(&path).map_err(|error| Unsettled::Custody(source.clone(), error))?;
        let policy = Policy::parse(&text, source.clone()).map_err(|errors| Unsettled::Malformed(source, errors))?;
        Self::under(policy, Applicant::from_environment(environment))
    }

    /// What an application may do under a policy.
    ///
    /// # Errors
    /// [`Unsettled::NoRule`]
    pub fn under(policy: Policy, applicant: Applicant) -> Result<Self, Unsettled> {
        let found = policy.rules.iter().position(|rule| rule.applies_to.covers(&applicant));
        match found {
            Some(rule) => Ok(Self(Some(Ruled { policy, rule, applicant }))),
            None => Err(Unsettled::NoRule(Denial {
                reason: Printable::reason(&format!(
                    "no rule of the policy {} is for this application: {}",
                    policy.source,
                    applicant.describe()
                )),
                hint: Printable::reason(&format!("{} can add a rule for it to {}", owner(&policy), policy.source)),
            })),
        }
    }

    /// The rule in force; `None` where everything is allowed.
    pub fn rule(&self) -> Option<&Rule> {
        self.0.as_ref().and_then(|ruled| ruled.policy.rules.get(ruled.rule))
    }

    /// The policy in force, if there is one.
    pub fn policy(&self) -> Option<&Policy> {
        self.0.as_ref().map(|ruled| &ruled.policy)
    }

    /// A key service that keeps to the rule in force.
    pub fn guard<'a>(&'a self, keys: &'a dyn KeyService) -> Guard<'a> {
        Guard::new(self, keys)
    }

    /// The kinds of keys that the rule in force lists any of.
    pub fn key_kinds(&self) -> KeyKinds {
        let Some(rule) = self.rule() else { return KeyKinds::ALL };
        let grant = &rule.grant;
        KeyKinds {
            age: !grant.age.is_empty(),
            aws_kms: !grant.aws_kms.is_empty(),
            azure_key_vault: !grant.azure_key_vault.is_empty(),
            gcp_kms: !grant.gcp_kms.is_empty(),
            hc_vault: !grant.vault.is_empty(),
            pgp: !grant.pgp.is_empty(),
        }
    }

    /// Whether it matters in which directory a file lies.
    pub fn restricts_directories(&self) -> bool {
        self.rule().is_some_and(|rule| rule.grant.directories.is_some())
    }

    /// Whether a decrypted object of a kind may come out. Of a kind only well-known names are repeated: apiVersion and kind
    /// may have been encrypted, too.
    ///
    /// # Errors
    /// [`Denial`]
    pub fn check_kind(&self, api_version: &str, kind: &str) -> Result<(), Denial> {
        match self.rule() {
            Some(rule) if !rule.allows_kind(api_version, kind) => {
                let what = match WELL_KNOWN_KINDS.iter().find(|known| **known == kind) {
                    Some(known) => format!("decrypted objects of kind {known}"),
                    None => "a decrypted object of the kind that this one has".to_owned(),
                };
                let reason = format!("rule {} of the policy does not allow {what}", rule.name);
                Err(self.denial(rule, &reason, "kinds"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a file may be opened. `root` is the allowed root; `path` is relative to it, without links and `..`.
    ///
    /// # Errors
    /// [`Denial`]
    pub fn check_path(&self, root: &Path, path: &Path) -> Result<(), Denial> {
        let Some(ruled) = &self.0 else { return Ok(()) };
        let Some(rule) = self.rule().filter(|rule| rule.grant.directories.is_some()) else { return Ok(()) };
        let path = in_repository(root, path, ruled.applicant.path().as_deref());
        if path.as_deref().is_some_and(|path| rule.allows_path(path)) {
            return Ok(());
        }
        let reason = match &path {
            Some(path) => format!(
                "rule {} of the policy does not allow files in this place of the repository: {}",
                rule.name,
                Printable::new(path)
            ),
            None => format!("rule {} of the policy allows no file whose name is not UTF-8", rule.name),
        };
        Err(self.denial(rule, &reason, "directories"))
    }

    pub(super) fn denial_of_key(&self, rule: &Rule, list: &str) -> Denial {
        self.denial(rule, &format!("rule {} of the policy does not allow this key", rule.name), list)
    }

    fn denial(&self, rule: &Rule, reason: &str, list: &str) -> Denial {
        let hint = match self.policy() {
            Some(policy) => {
                format!("{} can change the policy {}: rule {}, allow.{list}", owner(policy), policy.source, rule.name)
            }
            None => String::new(),
        };
        Denial { reason: Printable::reason(reason), hint: Printable::reason(&hint) }
    }
}

const WELL_KNOWN_KINDS: [&str; 16] = [
    "Application",
    "Certificate",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "HelmRelease",
    "Ingress",
    "Issuer",
    "Job",
    "Namespace",
    "Pod",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];

/// Who can change a policy.
fn owner(policy: &Policy) -> String {
    match &policy.contact {
        Some(contact) => contact.to_string(),
        None => "only the operator of this sidecar".to_owned(),
    }
}

/// A path beneath the root as a path of the repository.
///
/// Argo CD may stream a part of the repository only (`manifest-generate-paths`); then the root is a directory of it. Where
/// the application lies in the repository is known, and where it lies beneath the root can be seen: what is missing in
/// front is the place of the root.
fn in_repository(root: &Path, path: &Path, application: Option<&str>) -> Option<String> {
    let path = path.to_str()?.trim_start_matches("./");
    let parts: Vec<&str> = application.unwrap_or_default().split('/').filter(|part| !part.is_empty()).collect();
    let narrowed = (0..=parts.len()).find(|&cut| {
        let rest = parts.get(cut..).unwrap_or_default();
        root.join(rest.join("/")).symlink_metadata().is_ok()
    });
    let before = parts.get(..narrowed.unwrap_or_default()).unwrap_or_default().join("/");
    Some(if before.is_empty() { path.to_owned() } else { format!("{before}/{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_a_part_of_the_repository_is_put_in_its_place() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("app/overlays")).unwrap();
        for (application, want) in [
            (Some("app/overlays"), "app/x.yaml"),
            (Some("teams/a/app"), "teams/a/app/x.yaml"),
            (Some("teams/a"), "teams/a/app/x.yaml"),
            (Some(""), "app/x.yaml"),
            (None, "app/x.yaml"),
        ] {
            let found = in_repository(root.path(), Path::new("app/x.yaml"), application);
            assert_eq!(found.as_deref(), Some(want), "{application:?}");
        }
    }
}

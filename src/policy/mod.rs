//! The operator's policy: which application may use which keys, and for what.
//!
//! One sidecar serves many tenants with one keyring. Whoever can read a ciphertext can commit a copy of it to an
//! application of their own; without a policy the sidecar decrypts it there. A policy file, which neither tenants nor the
//! sidecar itself can change ([`custody`]), says what each application may use.
//!
//! ```text
//!   ARGOCD_APP_… -> Applicant -> Policy: the first rule that matches -> Authority
//!                                                                          |
//!              sops::KeyService <- Guard (keys, identities)    kinds <-----+-----> directories
//! ```
//!
//! **The first rule that matches is the only one.** So a refusal can name the rule it comes from, and what a rule grants
//! is read in one place. A union of rules would let the keys of one be used with the kinds and directories of another,
//! which nobody wrote down. It is also what people know from `.sops.yaml`. Where no rule matches, nothing is allowed.
//!
//! **A file's own words are not believed.** For whom an age or PGP key is wrapped is a claim that nothing authenticates.
//! So the keyring is told, too, which identities it may use ([`crate::sops::IdentityRule`]). A key service opens the
//! key that the file names and no other; there the name is enough.

mod applicant;
mod authority;
pub mod custody;
mod document;
mod guard;
mod pattern;
#[cfg(test)]
mod tests;

pub use applicant::Applicant;
pub use authority::{Authority, Denial, Unsettled};
pub use document::PolicyError;
pub use guard::Guard;

use self::document::{plain_fingerprint, plain_recipient};
use self::pattern::Pattern;
use crate::limits;
use crate::sops::{IdentityRule, MasterKey};
use crate::text::Printable;
use crate::yaml::Position;

/// A policy.
pub struct Policy {
    source: Printable,
    contact: Option<Printable>,
    rules: Vec<Rule>,
}

/// One rule: whom it is for, and what it grants.
pub struct Rule {
    name: Printable,
    position: Position,
    applies_to: Match,
    grant: Grant,
}

/// Which applications a rule is for. What is not mentioned does not matter; what is mentioned must be said by Argo CD and
/// be covered by one of the patterns.
struct Match {
    projects: Option<Vec<Pattern>>,
    repositories: Option<Vec<Pattern>>,
    paths: Option<Vec<Pattern>>,
    namespaces: Option<Vec<Pattern>>,
}

/// What a rule grants. Empty is nothing.
struct Grant {
    age: Vec<String>,
    pgp: Vec<String>,
    aws_kms: Vec<Pattern>,
    aws_roles: Vec<Pattern>,
    aws_profiles: Vec<Pattern>,
    gcp_kms: Vec<Pattern>,
    azure_key_vault: Vec<Pattern>,
    vault: Vec<Pattern>,
    /// Patterns of `apiVersion/kind`.
    kinds: Vec<Pattern>,
    /// Of the repository; `None` is all of it.
    directories: Option<Vec<Pattern>>,
}

/// What may be a mistake in a policy that is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The rule.
    pub rule: Printable,
    /// Where it stands.
    pub position: Position,
    /// What is odd.
    pub reason: String,
}

impl Policy {
    /// Reads a policy. `source` is its name in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to [`limits::ERRORS`].
    pub fn parse(text: &[u8], source: Printable) -> Result<Self, Vec<PolicyError>> {
        document::parse(text, source)
    }

    /// Its name in messages: the path of its file.
    pub fn source(&self) -> &Printable {
        &self.source
    }

    /// Whom to ask for a change, where the policy says so.
    pub fn contact(&self) -> Option<&Printable> {
        self.contact.as_ref()
    }

    /// Its rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule for an application: the first that matches.
    pub fn rule_for(&self, applicant: &Applicant) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.applies_to.covers(applicant))
    }

    /// What is valid and probably not meant, in order of the rules.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let mut remark = |reason: String| {
                remarks.push(Remark { rule: rule.name.clone(), position: rule.position, reason });
            };
            let earlier = self.rules.iter().take(index).find(|earlier| earlier.applies_to.hides(&rule.applies_to));
            if let Some(earlier) = earlier {
                remark(format!("is never reached: rule {} before it matches all that it matches", earlier.name));
            }
            if rule.applies_to.projects.is_none() {
                remark("names no projects: it is for an application of any project".to_owned());
            }
            let hosts = rule.applies_to.repositories.iter().flatten().filter(|pattern| has_wildcard_host(pattern));
            for pattern in hosts {
                remark(format!(
                    "{} has a wildcard in the host, which anyone may own",
                    Printable::new(pattern.as_str())
                ));
            }
            let opens = !rule.grant.allows_no_key();
            if opens && rule.grant.kinds.is_empty() {
                remark("allows keys, but no kind of output".to_owned());
            }
        }
        remarks
    }
}

impl Rule {
    /// Its name.
    pub fn name(&self) -> &Printable {
        &self.name
    }

    /// Whether a key may be asked, by what the file says of it.
    ///
    /// # Errors
    /// The list of the rule that would have to name it.
    pub fn allows_key(&self, key: &MasterKey) -> Result<(), &'static str> {
        self.grant.allows_key(key)
    }

    /// Whether an object of a kind may come out.
    pub fn allows_kind(&self, api_version: &str, kind: &str) -> bool {
        let full = format!("{api_version}/{kind}");
        self.grant.kinds.iter().any(|pattern| pattern.covers(&full))
    }

    /// Whether a file may be opened. `path` is relative to the top of the repository, without links and `..`.
    pub fn allows_path(&self, path: &str) -> bool {
        self.grant.directories.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.covers(path)))
    }
}

impl IdentityRule for Rule {
    fn allows_age(&self, public_half: &str) -> bool {
        let plain = plain_recipient(public_half);
        self.grant.age.contains(&plain)
    }

    fn allows_pgp(&self, fingerprint: &str, primary: &str) -> bool {
        self.grant.pgp.iter().any(|allowed| allowed == fingerprint || allowed == primary)
    }
}

impl Match {
    fn covers(&self, applicant: &Applicant) -> bool {
        let covers = |patterns: &Option<Vec<Pattern>>, value: Option<String>| match (patterns, value) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(patterns), Some(value)) => patterns.iter().any(|pattern| pattern.covers(&value)),
        };
        covers(&self.projects, applicant.project.clone())
            && covers(&self.repositories, applicant.repository())
            && covers(&self.paths, applicant.path())
            && covers(&self.namespaces, applicant.namespace.clone())
    }

    /// Whether it matches everything that another one matches, as far as equal or all-covering patterns show it.
    fn hides(&self, other: &Self) -> bool {
        let hides = |mine: &Option<Vec<Pattern>>, theirs: &Option<Vec<Pattern>>| match (mine, theirs) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs
                .iter()
                .all(|their| mine.iter().any(|mine| mine.as_str() == their.as_str() || mine.covers(their.as_str()))),
        };
        hides(&self.projects, &other.projects)
            && hides(&self.repositories, &other.repositories)
            && hides(&self.paths, &other.paths)
            && hides(&self.namespaces, &other.namespaces)
    }
}

impl Grant {
    fn allows_key(&self, key: &MasterKey) -> Result<(), &'static str> {
        let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.covers(text));
        match key {
            MasterKey::Age { recipient, .. } => {
                let is_short = recipient.len() <= limits::PATTERN_BYTES;
                if is_short && self.age.contains(&plain_recipient(recipient)) { Ok(()) } else { Err("age") }
            }
            MasterKey::Pgp { fingerprint, .. } => {
                let plain = plain_fingerprint(fingerprint);
                // A short id is the end of the fingerprint. Which key really opens the file, the keyring tells.
                let is_listed = plain.len() >= 16 && self.pgp.iter().any(|allowed| allowed.ends_with(&plain));
                if is_listed { Ok(()) } else { Err("pgp") }
            }
            MasterKey::AwsKms { arn, role, aws_profile, .. } => {
                if !applicant::is_unambiguous(arn) || !any(&self.aws_kms, arn) {
                    return Err("awsKms");
                }
                // Both choose other credentials than the operator's own.
                if role.as_deref().is_some_and(|role| !role.is_empty() && !any(&self.aws_roles, role)) {
                    return Err("awsRoles");
                }
                if aws_profile.as_deref().is_some_and(|name| !name.is_empty() && !any(&self.aws_profiles, name)) {
                    return Err("awsProfiles");
                }
                Ok(())
            }
            MasterKey::GcpKms { resource_id, .. } => {
                let is_listed = applicant::is_unambiguous(resource_id) && any(&self.gcp_kms, resource_id);
                if is_listed { Ok(()) } else { Err("gcpKms") }
            }
            MasterKey::AzureKeyVault { vault_url, name, .. } => {
                let key = format!("{}/keys/{name}", vault_url.trim_end_matches('/'));
                let is_listed = is_address(&key) && !name.contains('/') && any(&self.azure_key_vault, &key);
                if is_listed { Ok(()) } else { Err("azureKeyVault") }
            }
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                let address = vault_address.trim_end_matches('/');
                let key = format!("{address}/v1/{}/keys/{key_name}", engine_path.trim_matches('/'));
                let is_listed = is_address(&key) && !key_name.contains('/') && any(&self.vault, &key);
                if is_listed { Ok(()) } else { Err("vault") }
            }
            MasterKey::HuaweiKms { .. } => Err("nothing: keys of this kind are not supported"),
        }
    }

    fn allows_no_key(&self) -> bool {
        self.age.is_empty()
            && self.pgp.is_empty()
            && [&self.aws_kms, &self.gcp_kms, &self.azure_key_vault, &self.vault].iter().all(|list| list.is_empty())
    }
}

/// A URL that every reader takes apart in the same way, without a user.
fn is_address(text: &str) -> bool {
    text.len() <= limits::PATH_BYTES && applicant::is_unambiguous(text) && !text.contains('@')
}

fn has_wildcard_host(pattern: &Pattern) -> bool {
    let text = pattern.as_str();
    let host = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    text.starts_with('*') || host.contains(['*', '?'])
}

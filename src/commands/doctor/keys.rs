//! Keys, who may read them, and the policy in force.

use std::path::PathBuf;

use super::printable;
use super::report::Report;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::keys::{KeyPolicy, KeySource, KeySourceState, Keyring};
use crate::policy::{Applicant, Policy, custody};
use crate::text::Printable;

const KEYS: &str = "keys";
const POLICY: &str = "policy";

/// Most public halves that are named of one source.
const MOST_NAMES: usize = 8;

/// Looks where keys are looked for, and who else may read them. No key program is run.
pub fn look(env: &Environment, deadline: Deadline, report: &mut Report) {
    let policy = KeyPolicy { allow_exec: false, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = match Keyring::from_environment(env, policy) {
        Ok(keyring) => keyring,
        Err(error) => return report.error(KEYS, error.to_string(), "unset it, or name each kind once"),
    };
    let sources = keyring.describe();
    let mut absent = Vec::new();
    let mut is_anything_there = false;
    for source in &sources {
        let name = &source.name;
        match &source.found {
            KeySourceState::Absent => absent.push(name.to_string()),
            KeySourceState::Keys(keys) => {
                is_anything_there |= !keys.is_empty();
                report.ok(KEYS, format!("{name}: {}", names(keys)));
            }
            KeySourceState::OnDemand => {
                report.note(KEYS, format!("{name}: looked at when a key needs it"));
            }
            KeySourceState::Unusable(why) => {
                report.error(KEYS, format!("{name} {why}"), "mend it, or unset the variable that names it");
            }
        }
        readable(source, env, report);
    }
    if !absent.is_empty() {
        report.note(KEYS, format!("not there: {}", absent.join(", ")));
    }
    if !is_anything_there {
        report.note(KEYS, "no key lies here: only key programs and key services could open files");
    }
}

fn names(keys: &[Printable]) -> String {
    let mut names: Vec<String> = keys.iter().take(MOST_NAMES).map(ToString::to_string).collect();
    match keys.len().saturating_sub(MOST_NAMES) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    if names.is_empty() { "holds no key".to_owned() } else { names.join(", ") }
}

/// Warns of a key file that others may read or write.
fn readable(source: &KeySource, env: &Environment, report: &mut Report) {
    let Some(path) = file_of(source.name.as_str(), env) else { return };
    let Ok(stat) = rustix::fs::stat(&path) else { return };
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
    let mode = stat.st_mode & 0o777;
    if !is_file {
        return;
    }
    if mode & 0o022 != 0 {
        let message = format!("{} may be written by others (mode {mode:03o})", printable(&path));
        report.error(KEYS, message, "chmod 0400; in a Pod, a Secret volume is read-only");
    } else if mode & 0o004 != 0 {
        let message = format!("{} may be read by everyone (mode {mode:03o})", printable(&path));
        report.warning(KEYS, message, "chmod 0400; in a Pod, defaultMode: 0440 of the Secret volume, with fsGroup");
    }
}

/// The file in the name of a source: `SOPS_AGE_KEY_FILE=/keys/keys.txt`, `~/.config/sops/age/keys.txt`.
fn file_of(name: &str, env: &Environment) -> Option<PathBuf> {
    match name.split_once('=') {
        Some((_, path)) => Some(env.current_dir()?.join(path)),
        None => Some(env.home()?.join(name.strip_prefix("~/")?)),
    }
}

/// Looks at the operator's policy.
pub fn policy(env: &Environment, report: &mut Report) {
    let Some(path) = custody::locate(env) else {
        return report.note(POLICY, "none: whoever runs this may use every key (UNSOPS_POLICY names one)");
    };
    let source = printable(&path);
    let text = match custody::read(&path) {
        Ok(text) => text,
        Err(error) => {
            let hint = "mount it read-only (a ConfigMap), and run as another user than root and than its owner";
            return report.error(
                POLICY,
                format!("{source} cannot be relied on, so nothing is decrypted: {error}"),
                hint,
            );
        }
    };
    let policy = match Policy::parse(&text, source.clone()) {
        Ok(policy) => policy,
        Err(errors) => {
            for error in errors {
                report.error(POLICY, format!("{source}: {error}"), "");
            }
            return;
        }
    };
    let contact = policy.contact().map(|contact| format!(", changed by {contact}")).unwrap_or_default();
    report.ok(POLICY, format!("{source}: {} rules{contact}; this user cannot change it", policy.rules().len()));
    for remark in policy.remarks() {
        report.warning(POLICY, format!("rule {} {}", remark.rule, remark.reason), "");
    }
    let applicant = Applicant::from_environment(env);
    if applicant == Applicant::default() {
        report.note(POLICY, "no application is named here (ARGOCD_APP_PROJECT_NAME): nothing would be decrypted");
        return;
    }
    match policy.rule_for(&applicant) {
        Some(rule) => report.ok(POLICY, format!("rule {} is for {}", rule.name(), applicant.describe())),
        None => report.error(POLICY, format!("no rule is for {}", applicant.describe()), "add a rule to the policy"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn finds_the_file_in_the_name_of_a_source() {
        let env = Environment::new([("HOME".into(), "/home/me".into())], Some("/here".into()));
        for (name, want) in [
            ("SOPS_AGE_KEY_FILE=/keys/keys.txt", Some("/keys/keys.txt")),
            ("SOPS_AGE_KEY_FILE=keys.txt", Some("/here/keys.txt")),
            ("UNSOPS_PGP_KEY_FILE=/keys/a=b", Some("/keys/a=b")),
            ("~/.config/sops/age/keys.txt", Some("/home/me/.config/sops/age/keys.txt")),
            ("SOPS_AGE_KEY", None),
            ("AWS credentials (default chain)", None),
        ] {
            assert_eq!(file_of(name, &env).as_deref(), want.map(Path::new), "{name}");
        }
    }
}

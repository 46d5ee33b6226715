//! `unsops check --policy`: is a policy valid, and may an application open these files? No key is needed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::of_custody;
use crate::cli::PolicyArgs;
use crate::commands::records;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::{self, Root};
use crate::limits;
use crate::policy::custody::CustodyError;
use crate::policy::{Applicant, Authority, Policy, Rule, Unsettled};
use crate::process::Output;
use crate::secret::Secret;
use crate::sops::data_key::display_name;
use crate::sops::{self, Format};
use crate::text::Printable;

/// Everything that was asked, answered.
#[derive(Serialize)]
struct Answer {
    policy: String,
    /// What is wrong with it; then nothing else is answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    rules: usize,
    /// What is valid, and probably not meant.
    remarks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Application>,
    files: Vec<File>,
}

#[derive(Serialize)]
struct Application {
    name: String,
    /// The rule that is for it; none: nothing is allowed.
    rule: Option<String>,
    reason: String,
}

#[derive(Serialize)]
struct File {
    file: String,
    allowed: bool,
    reason: String,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    key: String,
    group: usize,
    allowed: bool,
    /// The list of the rule that would have to name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'static str>,
}

/// Checks a policy and answers for files.
///
/// # Errors
/// The policy cannot be read, or files are named and no application is.
pub fn check(args: &PolicyArgs, files: &[PathBuf], is_json: bool, env: &Environment) -> Result<Output, Error> {
    let Some(path) = &args.policy else {
        return Err(Record::new(Failure::Usage, "no policy is named").hint("--policy FILE").into());
    };
    let source = printable(path);
    let text = jail::read_argument(path, limits::POLICY_BYTES).map_err(records::of_file)?;
    let mut answer = Answer {
        policy: source.to_string(),
        errors: Vec::new(),
        rules: 0,
        remarks: Vec::new(),
        application: None,
        files: Vec::new(),
    };
    let applicant = applicant(args);
    if applicant == Applicant::default() && !files.is_empty() {
        return Err(Record::new(Failure::Usage, "files are named, and no application that would open them")
            .hint("--project NAME, and --repo, --path and --namespace where the policy looks at them")
            .into());
    }
    match Policy::parse(text.as_slice(), source) {
        Err(errors) => answer.errors = errors.iter().map(ToString::to_string).collect(),
        Ok(policy) => {
            answer.rules = policy.rules().len();
            answer.remarks = policy
                .remarks()
                .iter()
                .map(|remark| format!("rule {} {} ({})", remark.rule, remark.reason, remark.position))
                .collect();
            if applicant != Applicant::default() {
                answer.ask(policy, applicant, files, env)?;
            }
        }
    }
    let shown = if is_json { answer.json()? } else { answer.text() };
    let bytes = Secret::new(shown.into_bytes());
    Ok(if answer.has_findings() { Output::findings(bytes) } else { Output::new(bytes) })
}

fn applicant(args: &PolicyArgs) -> Applicant {
    Applicant {
        project: args.project.clone(),
        repository: args.repo.clone(),
        path: args.path.clone(),
        namespace: args.namespace.clone(),
    }
}

impl Answer {
    fn ask(
        &mut self,
        policy: Policy,
        applicant: Applicant,
        files: &[PathBuf],
        env: &Environment,
    ) -> Result<(), Record> {
        let name = applicant.describe();
        match Authority::under(policy, applicant) {
            Ok(authority) => {
                let rule = authority.rule().map(|rule| rule.name().to_string());
                let reason = rule.as_ref().map(|rule| format!("rule {rule} is for it")).unwrap_or_default();
                self.application = Some(Application { name, rule, reason });
                self.files = files.iter().map(|file| look_at(file, &authority, env)).collect::<Result<_, _>>()?;
            }
            Err(Unsettled::NoRule(denial)) => {
                let reason = format!("{}; {}", denial.reason, denial.hint);
                self.application = Some(Application { name, rule: None, reason });
                let refuse = |file: &PathBuf| File {
                    file: printable(file).to_string(),
                    allowed: false,
                    reason: "no rule is for this application".to_owned(),
                    keys: Vec::new(),
                };
                self.files = files.iter().map(refuse).collect();
            }
            Err(Unsettled::Custody(source, error)) => return Err(of_custody(source, &error)),
            Err(Unsettled::Malformed(source, _)) => return Err(of_custody(source, &CustodyError::NotRegular)),
        }
        Ok(())
    }

    fn has_findings(&self) -> bool {
        !self.errors.is_empty()
            || !self.remarks.is_empty()
            || self.application.as_ref().is_some_and(|application| application.rule.is_none())
            || self.files.iter().any(|file| !file.allowed)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let policy = &self.policy;
        match self.errors.as_slice() {
            [] => out.push_str(&format!("{policy}: a valid policy, rules: {}\n", self.rules)),
            errors => errors.iter().for_each(|error| out.push_str(&format!("{policy}: error: {error}\n"))),
        }
        self.remarks.iter().for_each(|remark| out.push_str(&format!("{policy}: warning: {remark}\n")));
        if let Some(application) = &self.application {
            out.push_str(&format!("{}: {}\n", application.name, application.reason));
        }
        for File { file, allowed, reason, keys } in &self.files {
            out.push_str(&format!("{file}: {}: {reason}\n", if *allowed { "yes" } else { "no" }));
            for key in keys {
                let list = key.list.map(|list| format!("not in allow.{list}"));
                out.push_str(&format!("  {}: {}\n", key.key, list.unwrap_or_else(|| "allowed".to_owned())));
            }
        }
        out
    }

    fn json(&self) -> Result<String, Record> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|_| Record::new(Failure::Internal, "the answer could not be written as JSON"))?;
        Ok(text + "\n")
    }
}

/// Whether the rule allows enough of a file's keys, and the place that it lies in.
fn look_at(path: &Path, authority: &Authority, env: &Environment) -> Result<File, Record> {
    let file = printable(path).to_string();
    let refuse = |reason: String| File { file: file.clone(), allowed: false, reason, keys: Vec::new() };
    let Some(rule) = authority.rule() else { return Ok(refuse("no rule is for this application".to_owned())) };
    let bytes = jail::read_argument(path, limits::FILE_BYTES).map_err(records::of_file)?;
    let inspection = match sops::inspect(Format::from_path(&path.to_string_lossy()), bytes.as_slice()) {
        Ok(inspection) => inspection,
        Err(error) => return Ok(refuse(error.to_string())),
    };
    if let Err(reason) = check_place(path, authority, env) {
        return Ok(refuse(reason));
    }
    let groups = &inspection.metadata.key_groups;
    let keys: Vec<Key> = groups.iter().enumerate().flat_map(|(group, keys)| keys_of(rule, group, &keys.0)).collect();
    let open = (0..groups.len()).filter(|group| keys.iter().any(|key| key.group == *group && key.allowed)).count();
    let needed = inspection.metadata.needed_groups();
    let allowed = open >= needed;
    let reason = match (allowed, groups.len()) {
        (true, _) => format!("rule {} allows it, if its own list of keys is true", rule.name()),
        (false, 1) => format!("rule {} allows none of its keys", rule.name()),
        (false, count) => {
            format!("rule {} allows keys of {open} of its {count} key groups, {needed} are needed", rule.name())
        }
    };
    Ok(File { file, allowed, reason, keys })
}

fn keys_of(rule: &Rule, group: usize, keys: &[sops::MasterKey]) -> Vec<Key> {
    let ask = |key| {
        let list = rule.allows_key(key).err();
        Key { key: display_name(key).to_string(), group, allowed: list.is_none(), list }
    };
    keys.iter().map(ask).collect()
}

/// Whether the rule allows files where this one lies in its repository.
fn check_place(path: &Path, authority: &Authority, env: &Environment) -> Result<(), String> {
    if !authority.restricts_directories() {
        return Ok(());
    }
    let unknown = || "its place in a repository is not known".to_owned();
    let file = path.canonicalize().map_err(|_| unknown())?;
    let root = file.parent().and_then(|dir| Root::discover_from(env, dir).ok()).ok_or_else(unknown)?;
    let inside = file.strip_prefix(root.path()).map_err(|_| unknown())?;
    authority.check_path(root.path(), inside).map_err(|denial| denial.reason.to_string())
}

fn printable(path: &Path) -> Printable {
    Printable::new(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft";

    /// What is said of a fixture, and the exit code.
    fn ask(policy: &str, project: Option<&str>, files: &[&str], is_json: bool) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        std::io::Write::write_all(&mut std::fs::File::create_new(&path).unwrap(), policy.as_bytes()).unwrap();
        let args = PolicyArgs { policy: Some(path), project: project.map(str::to_owned), ..PolicyArgs::default() };
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/enc");
        let files: Vec<PathBuf> = files.iter().map(|file| base.join(file)).collect();
        let env = Environment::new([], None);
        let output = check(&args, &files, is_json, &env).map_err(|error| error.report())?;
        let text = String::from_utf8(output.into_bytes().into_exposed()).unwrap();
        Ok(text.replace(&base.display().to_string(), "ENC").replace(&dir.path().display().to_string(), "DIR"))
    }

    fn policy(allow: &str) -> String {
        format!(
            "apiVersion: unsops.dev/v1\nkind: Policy\nrules:\n- name: a\n  match: {{projects: [team-a]}}\n  allow: {{{allow}}}\n"
        )
    }

    #[test]
    fn answers_for_each_file_without_a_key() {
        let text =
            ask(&policy(&format!("age: [{OWN}]")), Some("team-a"), &["3.13.3/scalars.yaml", "3.6.1/app.env"], false);
        let text = text.unwrap();
        assert!(
            text.starts_with("DIR/policy.yaml: a valid policy, rules: 1\nproject team-a: rule a is for it\n"),
            "{text}"
        );
        assert!(
            text.contains("ENC/3.13.3/scalars.yaml: yes: rule a allows it, if its own list of keys is true\n"),
            "{text}"
        );
        assert!(text.contains("ENC/3.6.1/app.env: no: rule a allows none of its keys\n"), "{text}");
        assert!(text.contains("  pgp 9079EE2D03BD5FEE8507B6FC38F772487EF68456: not in allow.pgp\n"), "{text}");
    }

    #[test]
    fn counts_key_groups() {
        let text = ask(&policy(&format!("age: [{OWN}]")), Some("team-a"), &["3.13.3/shamir.yaml"], false).unwrap();
        assert!(text.contains("no: rule a allows keys of 1 of its"), "{text}");
    }

    #[test]
    fn says_what_is_wrong_with_a_policy_and_answers_nothing_then() {
        let text = ask(&policy("age: [x]"), Some("team-a"), &["3.13.3/scalars.yaml"], false).unwrap();
        assert!(text.starts_with("DIR/policy.yaml: error: rules[0].allow.age[0]: x is not an age recipient"), "{text}");
        assert!(!text.contains("scalars"), "{text}");
    }

    #[test]
    fn an_application_without_a_rule_may_open_nothing() {
        let text = ask(&policy(""), Some("team-b"), &["3.13.3/scalars.yaml"], true).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["application"]["rule"], serde_json::Value::Null);
        assert_eq!(answer["files"][0]["allowed"], false);
        assert!(ask(&policy(""), None, &["3.13.3/scalars.yaml"], false).unwrap_err().contains("--project NAME"));
    }
}

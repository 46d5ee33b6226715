//! Every file of the listing, several at a time: what it is, and what is wrong with it by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::objects::Object;
use super::sops_file::{self, SopsFile};
use crate::commands::narrator::Progress;
use crate::deadline::Deadline;
use crate::findings::{Excerpt, Finding, Silences, rules};
use crate::jail::{Reason, Root};
use crate::kustomization::FILE_NAMES;
use crate::limits;
use crate::path::SourcePath;
use crate::sops::creation_rules::{self, CreationRules};
use crate::workers;
use crate::yaml::{self, Position, YamlError};

/// A file in a few words.
pub struct Scanned {
    pub class: Class,
    pub findings: Vec<Finding>,
    pub silences: Silences,
}

/// What a file is.
pub enum Class {
    /// `.sops.yaml`
    Config(CreationRules),
    /// Objects of Kubernetes in clear; none where it holds something else.
    Objects(Vec<Object>),
    Other,
    Sops(Box<SopsFile>),
    /// YAML that does not parse, since a template engine fills it in first.
    Template,
    /// YAML that does not parse.
    Unparsed(YamlError),
}

impl Class {
    /// What it is, for those who want to know what was looked at.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Config(_) => "creation rules",
            Self::Objects(_) => "YAML in clear",
            Self::Other => "of no interest",
            Self::Sops(_) => "SOPS file",
            Self::Template => "template",
            Self::Unparsed(_) => "YAML that does not parse",
        }
    }
}

/// Files by their paths from the root.
pub type Files = BTreeMap<String, Scanned>;

/// Scans all files. What is left when the deadline passes stays out, and is counted.
pub fn scan(root: &Root, paths: &[String], deadline: Deadline, progress: &Progress) -> (Files, usize) {
    let skipped = AtomicUsize::new(0);
    let scanned = workers::map(workers::processors().min(8), paths, &|path| {
        if deadline.left().is_zero() {
            skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        progress.step();
        one(root, path)
    });
    let scanned = paths.iter().zip(scanned).filter_map(|(path, scanned)| Some((path.clone(), scanned?)));
    (scanned.collect(), skipped.into_inner())
}

/// Suffixes of files that hold no text.
const NO_TEXT: [&str; 20] = [
    ".avif", ".bz2", ".eot", ".gif", ".gz", ".ico", ".jar", ".jpeg", ".jpg", ".mp4", ".pdf", ".png", ".tar", ".tgz",
    ".ttf", ".webp", ".woff", ".woff2", ".xz", ".zip",
];

/// Suffixes of files that sops reads as text; and JSON envelopes have any other.
const FORMATS: [&str; 5] = [".yaml", ".yml", ".json", ".env", ".ini"];

/// Largest file of another suffix that is looked at, in bytes: the envelope of a Secret.
const ENVELOPE_BYTES: usize = 2 << 20;

fn one(root: &Root, path: &str) -> Option<Scanned> {
    let lower = path.to_ascii_lowercase();
    if NO_TEXT.iter().any(|suffix| lower.ends_with(suffix)) {
        return None;
    }
    let has_format = FORMATS.iter().any(|suffix| lower.ends_with(suffix));
    let source = SourcePath::parse(path).ok()?;
    let limit = if has_format { limits::FILE_BYTES } else { ENVELOPE_BYTES };
    let text = match root.read(root.path(), &source, limit) {
        Ok(text) => text.into_vec(),
        Err(error) => {
            // Of a file that no rule is about, size and permissions do not matter.
            if !has_format || error.reason == Reason::Missing {
                return None;
            }
            let finding = Finding::new(&rules::UNREADABLE, path, Position::default(), error.reason.to_string());
            return Some(Scanned { class: Class::Other, findings: vec![finding], silences: Silences::default() });
        }
    };
    let mut findings = Vec::new();
    let silences = Silences::read(&text);
    // Pages about these comments quote them.
    let is_page = [".md", ".markdown", ".adoc", ".rst"].iter().any(|suffix| lower.ends_with(suffix));
    for (line, word) in silences.unknown.iter().filter(|_| !is_page) {
        let message = format!("there is no rule {}", crate::text::Printable::new(word));
        let position = Position { line: *line, column: 1 };
        findings.push(Finding::new(&rules::UNKNOWN_SILENCE, path, position, message));
    }
    let class = classify(path, &text, has_format, &mut findings);
    let is_dull = matches!(class, Class::Other) && findings.is_empty() && silences.is_empty();
    (!is_dull || has_format).then_some(Scanned { class, findings, silences })
}

fn classify(path: &str, text: &[u8], has_format: bool, findings: &mut Vec<Finding>) -> Class {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == creation_rules::FILE_NAME {
        return config(path, text, findings);
    }
    if name == creation_rules::IGNORED_FILE_NAME {
        let message = "sops does not read this file";
        let finding = Finding::new(&rules::SOPS_CONFIG, path, Position::default(), message);
        findings.push(finding.hint("rename it to .sops.yaml"));
        return Class::Other;
    }
    if sops_file::is_sops(text) {
        return sops_file::look(path, text, findings).map_or(Class::Other, |file| Class::Sops(Box::new(file)));
    }
    let is_yaml = path.ends_with(".yaml") || path.ends_with(".yml") || path.ends_with(".json");
    if !is_yaml || text.len() > limits::MANIFEST_BYTES {
        if has_format {
            name_hint(path, text, None, findings);
        }
        return Class::Other;
    }
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(_) if contains(text, b"{{") || contains(text, b"{%") => return Class::Template,
        Err(error) => return Class::Unparsed(error),
    };
    let objects: Vec<Object> = documents.iter().flat_map(|document| Object::of(&document.root)).collect();
    let before = findings.len();
    for object in &objects {
        if let Some(shape) = &object.secret {
            sops_file::plaintext(path, &object.name, object.position, shape, findings);
        }
    }
    let is_empty = documents.iter().all(|document| yaml::fields::is_null(&document.root));
    if findings.len() == before && !is_empty && !FILE_NAMES.contains(&name) {
        name_hint(path, text, Some(&objects), findings);
    }
    Class::Objects(objects)
}

fn config(path: &str, text: &[u8], findings: &mut Vec<Finding>) -> Class {
    let rules = match CreationRules::parse(text) {
        Ok(rules) => rules,
        Err(error) => {
            let YamlError::Syntax { position, .. } = error;
            let excerpt = Excerpt::line(text, position.line, position.column);
            let finding = Finding::new(&rules::SOPS_CONFIG, path, position, error.to_string());
            findings.push(finding.excerpt(excerpt));
            return Class::Other;
        }
    };
    for problem in &rules.problems {
        let excerpt = Excerpt::line(text, problem.position.line, problem.position.column);
        let finding = Finding::new(&rules::SOPS_CONFIG, path, problem.position, problem.message.clone());
        findings.push(finding.excerpt(excerpt));
    }
    let list = rules.rules.as_deref().unwrap_or_default();
    if let Some(catch_all) = list.iter().position(|rule| rule.path_regex.is_none())
        && let Some(next) = list.get(catch_all.saturating_add(1))
    {
        let message =
            format!("rule {} has no path_regex and takes every file: the rules after it are never used", catch_all + 1);
        let excerpt = Excerpt::line(text, next.position.line, next.position.column);
        findings.push(Finding::new(&rules::UNREACHABLE_RULE, path, next.position, message).excerpt(excerpt));
    }
    Class::Config(rules)
}

/// A file whose name says that it is encrypted.
fn name_hint(path: &str, text: &[u8], objects: Option<&[Object]>, findings: &mut Vec<Finding>) {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let says_encrypted = [".sops.", ".enc.", ".encrypted."].iter().any(|part| name.contains(part));
    if !says_encrypted || name.starts_with(".sops.") || text.trim_ascii().is_empty() {
        return;
    }
    // Other ways of encrypting have the same habits.
    let is_other = text.starts_with(b"$ANSIBLE_VAULT")
        || text.starts_with(b"\0GITCRYPT")
        || text.starts_with(b"-----BEGIN")
        || std::str::from_utf8(text).is_err();
    // Objects that hold no secret themselves: references, policies, templates.
    let has_no_secret = objects.is_some_and(|objects| !objects.is_empty());
    if is_other || has_no_secret || contains(text, b"{{") || contains(text, b"${") {
        return;
    }
    findings.push(Finding::new(&rules::NAME_HINT, path, Position::default(), "the file is not encrypted"));
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

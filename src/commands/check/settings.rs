//! Settings of a check: `.unsops.yaml` at the root, and the arguments, which win.

use std::collections::BTreeMap;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::cli::{CheckArgs, CheckSeverity};
use crate::error::{Failure, Record};
use crate::findings::{self, Finding, Severity};
use crate::jail::{self, Lead, Root};
use crate::limits;
use crate::path::SourcePath;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, is_null, scalar};
use crate::yaml::{self, Kind, Node};

/// The file at the root.
pub const FILE_NAME: &str = ".unsops.yaml";

/// What a check looks for and what it leaves out.
pub struct Settings {
    /// The least severity that is shown and counts.
    pub severity: Severity,
    /// Days after which an unchanged file is stale.
    pub max_age_days: Option<u64>,
    /// Severities of rules, where they are not the rule's own; `None`: off.
    severities: BTreeMap<&'static str, Option<Severity>>,
    ignored: Vec<Ignored>,
    only: Vec<&'static str>,
}

/// An entry of `ignore`.
pub struct Ignored {
    /// Empty: all.
    rules: Vec<&'static str>,
    paths: Option<Gitignore>,
    /// Which entry it is, from 1, and the reason that it gives.
    pub number: usize,
    pub reason: Option<Printable>,
}

impl Settings {
    /// Reads the file, if there is one, and then the arguments.
    ///
    /// # Errors
    /// A usage record: a rule or field that does not exist, a file that cannot be read.
    pub fn read(args: &CheckArgs, root: &Root) -> Result<Self, Record> {
        let mut settings = Self {
            severity: match args.severity {
                CheckSeverity::Error => Severity::Error,
                CheckSeverity::Note => Severity::Note,
                CheckSeverity::Warning => Severity::Warning,
            },
            max_age_days: None,
            severities: BTreeMap::new(),
            ignored: Vec::new(),
            only: Vec::new(),
        };
        if let Some((name, text)) = text(args, root)? {
            let of = |message: String| Record::new(Failure::Usage, message).about(name.clone());
            let documents = yaml::parse(&text).map_err(|error| of(error.to_string()))?;
            if let Some(document) = documents.first().filter(|document| !is_null(&document.root)) {
                settings
                    .read_file(&document.root)
                    .map_err(|(message, node)| of(format!("{message} ({})", node.position)))?;
            }
        }
        if let Some(age) = &args.max_age {
            settings.max_age_days = Some(days(age).ok_or_else(|| {
                Record::new(Failure::Usage, "--max-age is not an age")
                    .hint("write a number and d, w, m or y: 180d, 26w, 1y")
            })?);
        }
        settings.only = args.only.iter().map(|id| rule(id)).collect::<Result<_, _>>().map_err(unknown_rule)?;
        for id in &args.skip {
            settings.severities.insert(rule(id).map_err(unknown_rule)?, None);
        }
        Ok(settings)
    }

    fn read_file<'a>(&mut self, root: &'a Node) -> Result<(), (String, &'a Node)> {
        if !matches!(root.kind, Kind::Mapping(..)) {
            return Err(("the settings must be a mapping".to_owned(), root));
        }
        for (name, _, value) in entries(root) {
            // Other sections belong to other commands.
            if name != "check" || is_null(value) {
                continue;
            }
            for (name, key, value) in entries(value) {
                match name {
                    "ignore" => {
                        for (number, item) in (1..).zip(elements(value)) {
                            self.ignored.push(ignored(item, number)?);
                        }
                    }
                    "max_age" => {
                        let age = scalar(value).and_then(days);
                        self.max_age_days = Some(age.ok_or_else(|| ("max_age is not an age".to_owned(), value))?);
                    }
                    "severity" => {
                        for (id, key, value) in entries(value) {
                            let id = rule(id).map_err(|id| (format!("there is no rule {id}"), key))?;
                            let severity = match scalar(value) {
                                Some("off" | "false") => None,
                                Some(word) => {
                                    Some(Severity::parse(word).ok_or_else(|| {
                                        ("a severity is error, warning, note or off".to_owned(), value)
                                    })?)
                                }
                                None => return Err(("a severity is error, warning, note or off".to_owned(), value)),
                            };
                            self.severities.insert(id, severity);
                        }
                    }
                    _ => return Err((format!("there is no setting check.{}", Printable::new(name)), key)),
                }
            }
        }
        Ok(())
    }

    /// Sets the severity of a finding.
    ///
    /// # Errors
    /// The settings leave it out; why, in words.
    pub fn judge(&self, mut finding: Finding) -> Result<Finding, &'static str> {
        if !self.only.is_empty() && !self.only.contains(&finding.rule.id) {
            return Err("--only asks for others");
        }
        if let Some(severity) = self.severities.get(finding.rule.id) {
            finding.severity = severity.ok_or("the settings or --skip turn the rule off")?;
        }
        if finding.severity >= self.severity { Ok(finding) } else { Err("below --severity") }
    }

    /// What in the settings silences a finding.
    pub fn ignores(&self, finding: &Finding) -> Option<&Ignored> {
        self.ignored.iter().find(|ignored| {
            let is_rule = ignored.rules.is_empty() || ignored.rules.contains(&finding.rule.id);
            let is_path = ignored.paths.as_ref().is_none_or(|paths| {
                let path = Path::new(&finding.file);
                !path.has_root() && paths.matched_path_or_any_parents(path, false).is_ignore()
            });
            is_rule && is_path
        })
    }
}

fn text(args: &CheckArgs, root: &Root) -> Result<Option<(Printable, Vec<u8>)>, Record> {
    let of_error = |error: jail::JailError| Record::new(Failure::Usage, error.reason.to_string()).about(error.path);
    if let Some(path) = &args.config {
        let bytes = jail::read_argument(path, limits::MANIFEST_BYTES).map_err(of_error)?;
        return Ok(Some((Printable::from_bytes(path.as_os_str().as_encoded_bytes()), bytes.into_vec())));
    }
    if root.lead(FILE_NAME) != Lead::File {
        return Ok(None);
    }
    let source = SourcePath::parse(FILE_NAME).map_err(|error| Record::new(Failure::Internal, error.to_string()))?;
    let bytes = root.read(root.path(), &source, limits::MANIFEST_BYTES).map_err(of_error)?;
    Ok(Some((Printable::new(FILE_NAME), bytes.into_vec())))
}

fn ignored(item: &Node, number: usize) -> Result<Ignored, (String, &Node)> {
    let mut ignored = Ignored { rules: Vec::new(), paths: None, number, reason: None };
    if !matches!(item.kind, Kind::Mapping(..)) {
        return Err(("an entry of ignore is a mapping with rules, paths and reason".to_owned(), item));
    }
    for (name, key, value) in entries(item) {
        match name {
            "rules" => {
                for item in elements(value) {
                    let id = scalar(item).unwrap_or_default();
                    ignored.rules.push(rule(id).map_err(|id| (format!("there is no rule {id}"), item))?);
                }
            }
            "paths" => {
                let mut builder = GitignoreBuilder::new("");
                for item in elements(value) {
                    let glob = scalar(item).unwrap_or_default();
                    builder.add_line(None, glob).map_err(|_| ("this is no pattern of paths".to_owned(), item))?;
                }
                let paths = builder.build().map_err(|_| ("these are no patterns of paths".to_owned(), value))?;
                ignored.paths = Some(paths);
            }
            "reason" => ignored.reason = scalar(value).map(Printable::new),
            _ => return Err((format!("there is no setting {} here", Printable::new(name)), key)),
        }
    }
    if ignored.rules.is_empty() && ignored.paths.is_none() {
        return Err(("an entry of ignore needs rules or paths".to_owned(), item));
    }
    Ok(ignored)
}

/// The name of a rule as the table has it.
fn rule(id: &str) -> Result<&'static str, Printable> {
    findings::find(id).map(|rule| rule.id).ok_or_else(|| Printable::new(id))
}

/// The record for a rule that does not exist.
pub fn unknown_rule(id: Printable) -> Record {
    Record::new(Failure::Usage, format!("there is no rule {id}")).hint("`unsops check --list-rules` lists them")
}

/// `180d`, `26w`, `6m`, `1y`; months of 30 days, years of 365.
fn days(age: &str) -> Option<u64> {
    let age = age.trim();
    let split = age.find(|c: char| !c.is_ascii_digit()).unwrap_or(age.len());
    let (number, unit) = age.split_at_checked(split)?;
    let factor = match unit.trim() {
        "" | "d" => 1,
        "m" => 30,
        "w" => 7,
        "y" => 365,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_numbers_with_a_unit() {
        for (text, want) in [
            ("180d", Some(180)),
            ("26w", Some(182)),
            ("1y", Some(365)),
            ("30", Some(30)),
            ("d", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(days(text), want, "{text}");
        }
        assert_eq!(days("99999999999999999999y"), None);
    }
}

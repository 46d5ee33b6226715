//! Findings of a check, and how they are shown: to people, to scripts (JSON), to code scanning (SARIF), to GitHub's log,
//! to test reports (JUnit). Pure: nothing here looks at a file.
//!
//! A finding holds fixed words, numbers, names made printable, and at most a line of a kustomization or generator manifest
//! with every token taken out; of a file with values it holds the key and never the line.

mod excerpt;
mod github;
mod json;
mod junit;
mod rule;
pub mod rules;
mod sarif;
mod silence;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Ordering;

pub use excerpt::Excerpt;
pub use rule::{Rule, Severity, find};
pub use rules::RULES;
pub use silence::{Silence, Silences};
pub use text::Tint;

use crate::limits;
use crate::text::Printable;
use crate::yaml::Position;

/// One thing that is wrong, and where.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// How bad; the rule's own unless the settings say otherwise.
    pub severity: Severity,
    /// The file, from the root of the check.
    pub file: String,
    /// Where in the file; line 0 for the file as a whole.
    pub position: Position,
    /// What is wrong here: fixed words, numbers, printable names.
    pub message: String,
    /// What stands there.
    pub excerpt: Option<Excerpt>,
    /// What to do here, where that is more than the rule says.
    pub hint: Option<String>,
    /// What can be mended without a person.
    pub edit: Option<Edit>,
}

/// A replacement of text at the place of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where the old text begins.
    pub position: Position,
    /// What must stand there.
    pub old: String,
    /// What takes its place.
    pub new: String,
}

impl Finding {
    /// A finding at a place of a file.
    pub fn new(rule: &'static Rule, file: &str, position: Position, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.severity,
            file: file.to_owned(),
            position,
            message: message.into(),
            excerpt: None,
            hint: None,
            edit: None,
        }
    }

    /// Says what stands there.
    pub fn excerpt(self, excerpt: Option<Excerpt>) -> Self {
        Self { excerpt, ..self }
    }

    /// Says what to do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says how it can be mended without a person.
    pub fn edit(self, edit: Option<Edit>) -> Self {
        Self { edit, ..self }
    }

    /// The file, fit for a message.
    pub fn printable_file(&self) -> Printable {
        Printable::new(&self.file)
    }

    /// What to do: here, or in general.
    pub fn fix(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.rule.fix)
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.position.line, finding.position.column, finding.rule.id);
        self.file
            .cmp(&other.file)
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.message.cmp(&other.message))
    }
}

/// The findings of a check in order, and how much was looked at.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// Findings that a comment or the settings silence.
    pub silenced: usize,
    /// Findings beyond [`limits::FINDINGS`], or beyond [`limits::FINDINGS_OF_A_RULE`] of one rule in one file.
    pub left_out: usize,
    /// Files that were looked at.
    pub files: usize,
    /// SOPS files among them.
    pub sops_files: usize,
    /// Kustomizations among them.
    pub kustomizations: usize,
    /// Generator manifests of ours.
    pub generators: usize,
}

impl Report {
    /// Sorts findings, drops doubles, and cuts what no one would read.
    pub fn take(&mut self, mut findings: Vec<Finding>) {
        findings.append(&mut self.findings);
        findings.sort_by(Finding::order);
        findings.dedup_by(|one, other| one.order(other) == Ordering::Equal);
        let mut kept: Vec<Finding> = Vec::new();
        let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for finding in findings {
            if kept.last().is_none_or(|last| last.file != finding.file) {
                counts.clear();
            }
            let count = counts.entry(finding.rule.id).or_default();
            *count = count.saturating_add(1);
            if *count > limits::FINDINGS_OF_A_RULE || kept.len() >= limits::FINDINGS {
                self.left_out = self.left_out.saturating_add(1);
            } else {
                kept.push(finding);
            }
        }
        self.findings = kept;
    }

    /// The findings by file, line, column and rule.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// `2 errors, 1 warning`
    fn summary(&self) -> String {
        let counts: Vec<String> =
            [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")]
                .into_iter()
                .map(|(severity, word)| (self.count(severity), word))
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| plural(count, word))
                .collect();
        if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") }
    }
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

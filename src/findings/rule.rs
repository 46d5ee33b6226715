//! What a rule of `unsops check` is.

use super::rules::RULES;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; shown on request.
    Note,
    /// Probably not meant, or a risk.
    Warning,
    /// Does not work, or is published.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }

    /// Reads the word for it.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Error, Self::Note, Self::Warning].into_iter().find(|severity| severity.as_str() == word)
    }
}

/// A rule. Its texts are fixed words: lower case, no full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name; does not change once released.
    pub id: &'static str,
    /// How bad a finding is, unless the settings say otherwise.
    pub severity: Severity,
    /// What is found.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}

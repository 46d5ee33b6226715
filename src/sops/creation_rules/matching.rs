//! Finds the rule that a file falls under.

use super::{CreationRule, CreationRules};
use crate::sops::pattern::Pattern;

impl CreationRules {
    /// The rule for a file; `path` is relative to the directory of the configuration.
    pub fn matching(&self, path: &str, budget: &mut MatchBudget) -> Match<'_> {
        for (index, rule) in self.rules.iter().flatten().enumerate() {
            match rule.matches(path, budget) {
                Some(false) => {}
                Some(true) => return Match::Rule(index, rule),
                None => return Match::Unknown,
            }
        }
        Match::None
    }
}

/// The rule that a file falls under.
pub enum Match<'a> {
    /// None: sops refuses to encrypt the file.
    None,
    /// The first that matches, and its number from 0.
    Rule(usize, &'a CreationRule),
    /// Cannot be told.
    Unknown,
}

impl CreationRule {
    fn matches(&self, path: &str, budget: &mut MatchBudget) -> Option<bool> {
        match &self.pattern {
            Matcher::Everything => Some(true),
            Matcher::Regex(pattern) => budget.is_match(pattern, path),
            Matcher::Invalid | Matcher::Unknown => None,
        }
    }
}

/// Which paths a rule is for.
pub(super) enum Matcher {
    Everything,
    /// Go refuses the expression; sops fails on every file that gets here.
    Invalid,
    Regex(Pattern),
    /// Not read by this program; what matches is not known.
    Unknown,
}

/// Counts the steps of matching, of one worker.
pub struct MatchBudget(u64);

/// Most steps, a step being one state of a pattern at one byte of a path: four seconds at worst.
const MATCH_STEPS: u64 = 1 << 27;

impl Default for MatchBudget {
    fn default() -> Self {
        Self(MATCH_STEPS)
    }
}

impl MatchBudget {
    fn is_match(&mut self, pattern: &Pattern, path: &str) -> Option<bool> {
        let steps = (pattern.steps as u64).saturating_mul((path.len() as u64).saturating_add(1));
        self.0 = self.0.checked_sub(steps)?;
        Some(pattern.is_match(path))
    }
}

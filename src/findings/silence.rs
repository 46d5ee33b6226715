//! Comments that silence rules in place: `# unsops:ignore RULE` on the line of a finding or on the line before it, and
//! `# unsops:ignore-file RULE` anywhere in the file. Several rules are divided by commas; a word that is no rule ends
//! the list, so that a reason may follow. `all` stands for every rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;

/// What the comments of one file silence.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    /// Rules that the whole file is silent about.
    file: BTreeSet<String>,
    /// Rules by the line of the comment, from 1.
    lines: BTreeMap<u32, BTreeSet<String>>,
    /// Words that are no rule, with the line.
    pub unknown: Vec<(u32, String)>,
}

/// A comment that silences a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// `unsops:ignore-file`, somewhere in the file.
    File,
    /// `unsops:ignore` on this line.
    Line(u32),
}

const MARK: &str = "unsops:ignore";

impl Silences {
    /// Finds the comments of a text.
    pub fn read(text: &[u8]) -> Self {
        let mut silences = Self::default();
        // One search for most files, which have none.
        if !contains(text, MARK.as_bytes()) {
            return silences;
        }
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let Some((before, after)) = line.split_once(MARK) else { continue };
            if !before.contains('#') && !before.contains("//") && !before.contains(';') {
                continue;
            }
            let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
            let (is_file, rules) = match after.strip_prefix("-file") {
                Some(rules) => (true, rules),
                None => (false, after),
            };
            silences.add(number, is_file, rules);
        }
        silences
    }

    fn add(&mut self, line: u32, is_file: bool, rules: &str) {
        let rules = rules.trim_start_matches(':').trim_start();
        for (index, word) in rules.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty()).enumerate() {
            if word != "all" && super::find(word).is_none() {
                if index == 0 && self.unknown.len() < limits::ERRORS {
                    self.unknown.push((line, word.to_owned()));
                }
                return;
            }
            let set = if is_file { &mut self.file } else { self.lines.entry(line).or_default() };
            set.insert(word.to_owned());
        }
    }

    /// What silences a finding of a rule at a line (0: the file as a whole).
    pub fn covering(&self, rule: &str, line: u32) -> Option<Silence> {
        let has = |set: &BTreeSet<String>| set.contains(rule) || set.contains("all");
        if has(&self.file) {
            return Some(Silence::File);
        }
        let lines = [Some(line), line.checked_sub(1)];
        lines.into_iter().flatten().find(|line| self.lines.get(line).is_some_and(has)).map(Silence::Line)
    }

    /// Whether there is no such comment.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty() && self.lines.is_empty() && self.unknown.is_empty()
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(word) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

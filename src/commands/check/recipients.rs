//! SOPS files against `.sops.yaml`, against each other, and against the calendar.

use std::collections::{BTreeMap, HashMap};

use super::scan::{Class, Files};
use super::sops_file::SopsFile;
use crate::findings::{Finding, rules};
use crate::jail::Root;
use crate::kustomization::parent;
use crate::limits;
use crate::path::SourcePath;
use crate::sops::creation_rules::{CreationRule, CreationRules, Difference, FILE_NAME, KeyName, Match, MatchBudget};
use crate::text::Printable;
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

/// Most recipients that a finding lists.
const SHOWN: usize = 5;

/// Configurations by directory: those of the listing, and those above what was asked for.
pub struct Configs<'a> {
    listed: BTreeMap<&'a str, &'a CreationRules>,
    above: BTreeMap<String, CreationRules>,
}

impl<'a> Configs<'a> {
    /// Takes those of the listing and reads those above its files.
    pub fn new(root: &Root, files: &'a Files) -> Self {
        let listed = files.iter().filter_map(|(path, scanned)| match &scanned.class {
            Class::Config(config) => Some((parent(path), config)),
            _ => None,
        });
        let mut configs = Self { listed: listed.collect(), above: BTreeMap::new() };
        // Directories above the first file of the listing are above all that is not below it.
        let mut asked: BTreeMap<String, ()> = BTreeMap::new();
        for path in files.keys() {
            let mut directory = parent(path);
            while asked.insert(directory.to_owned(), ()).is_none() {
                if !configs.listed.contains_key(directory) {
                    configs.read(root, directory);
                }
                if directory.is_empty() {
                    break;
                }
                directory = parent(directory);
            }
        }
        configs
    }

    fn read(&mut self, root: &Root, directory: &str) {
        let path = if directory.is_empty() { FILE_NAME.to_owned() } else { format!("{directory}/{FILE_NAME}") };
        let Ok(source) = SourcePath::parse(&path) else { return };
        let Ok(text) = root.read(root.path(), &source, limits::MANIFEST_BYTES) else { return };
        if let Ok(config) = CreationRules::parse(text.as_slice()) {
            self.above.insert(directory.to_owned(), config);
        }
    }

    /// Configurations with rules that a file lies under, the nearest first, each with its directory.
    fn over<'b>(&'b self, file: &'b str) -> impl Iterator<Item = (&'b str, &'b CreationRules)> {
        let mut next = Some(parent(file));
        let directories = std::iter::from_fn(move || {
            let directory = next?;
            next = (!directory.is_empty()).then(|| parent(directory));
            Some(directory)
        });
        directories.filter_map(|directory| {
            let config = self.listed.get(directory).copied().or_else(|| self.above.get(directory))?;
            config.rules.is_some().then_some((directory, config))
        })
    }
}

/// Compares every SOPS file with the rule that it falls under.
pub fn check(files: &Files, configs: &Configs<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut unmatched: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut budget = MatchBudget::default();
    for (path, sops) in sops_files(files) {
        let mut verdicts = configs.over(path).map(|(directory, config)| {
            let relative = path.strip_prefix(directory).unwrap_or(path).trim_start_matches('/');
            (directory, config.matching(relative, &mut budget))
        });
        let Some((directory, nearest)) = verdicts.next() else { continue };
        let others: Vec<Match<'_>> = verdicts.map(|(_, matched)| matched).collect();
        // sops takes the configuration nearest to where it is run: the file may follow one further up.
        let follows_other = others.iter().any(|other| match other {
            Match::Rule(_, rule) => rule.difference(&sops.groups) == Difference::default(),
            Match::None | Match::Unknown => false,
        });
        match nearest {
            Match::Unknown => {}
            _ if follows_other => {}
            Match::None => {
                if !others.iter().any(|other| matches!(other, Match::Unknown)) {
                    unmatched.entry(directory).or_default().push(path);
                }
            }
            Match::Rule(index, rule) => compare(path, sops, rule, index, directory, &mut findings),
        }
    }
    for (directory, paths) in unmatched {
        findings.extend(of_unmatched(directory, &paths));
    }
    findings
}

/// Files that no rule covers: one by one, or, where they are many, once for the configuration.
fn of_unmatched(directory: &str, paths: &[&str]) -> Vec<Finding> {
    let config = config_name(directory);
    let Some(first) = paths.first() else { return Vec::new() };
    if paths.len() > UNMATCHED {
        let message =
            format!("{} SOPS files match no creation rule, {} among them", paths.len(), Printable::new(first));
        return vec![Finding::new(&rules::NO_CREATION_RULE, config.as_str(), Position::default(), message)];
    }
    let message = format!("no creation rule of {config} matches");
    paths
        .iter()
        .map(|path| Finding::new(&rules::NO_CREATION_RULE, path, Position::default(), message.clone()))
        .collect()
}

/// Most files without a rule that are reported one by one.
const UNMATCHED: usize = 10;

fn config_name(directory: &str) -> Printable {
    if directory.is_empty() { Printable::new(FILE_NAME) } else { Printable::new(&format!("{directory}/{FILE_NAME}")) }
}

fn compare(
    path: &str,
    sops: &SopsFile,
    rule: &CreationRule,
    index: usize,
    directory: &str,
    findings: &mut Vec<Finding>,
) {
    let which = format!("rule {} of {}", index.saturating_add(1), config_name(directory));
    // A rule without keys takes them from flags and variables of sops.
    if rule.groups.iter().any(|group| !group.is_empty()) {
        let difference = rule.difference(&sops.groups);
        if difference != Difference::default() {
            let mut parts = Vec::new();
            if !difference.missing.is_empty() {
                parts.push(format!("lacks {}", list(&difference.missing)));
            }
            if !difference.surplus.is_empty() {
                parts.push(format!("is still open to {}", list(&difference.surplus)));
            }
            let message = format!("the file {} ({which})", parts.join(" and "));
            let finding = Finding::new(&rules::RECIPIENTS_DIFFER, path, Position::default(), message);
            findings.push(finding.hint(format!(
                "run `sops updatekeys {}`{}",
                Printable::new(path),
                after(&difference)
            )));
        }
        let groups = rule.groups.len();
        let wanted = usize::try_from(rule.shamir_threshold).unwrap_or_default();
        if groups > 1 && wanted > 0 && sops.threshold.unwrap_or_default() != wanted {
            let found = sops.threshold.map_or("none".to_owned(), |threshold| threshold.to_string());
            let message = format!("the file's threshold is {found}, {which} says {wanted}");
            findings.push(Finding::new(&rules::THRESHOLD_DIFFERS, path, Position::default(), message));
        }
    }
    if let Some((field, text)) = &rule.encryption_rule
        && sops.rule.as_ref().is_none_or(|(own, own_text)| (own, own_text) != (field, text))
        && sops.format != crate::sops::Format::Binary
    {
        let found = sops.rule.as_ref().map_or("no rule", |(field, _)| field);
        let message = format!("the file has {found}, {which} says {field} {}", Printable::new(text));
        findings.push(Finding::new(&rules::ENCRYPTION_RULE_DIFFERS, path, Position::default(), message));
    }
}

fn after(difference: &Difference) -> &'static str {
    if difference.surplus.is_empty() { "" } else { "; whoever was removed has seen the values: change them too" }
}

fn list(names: &std::collections::BTreeSet<KeyName>) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| name.printable().to_string()).collect();
    let more = names.len().saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Files that share a data key: a wrapped key that is the same in two files was copied.
pub fn shared_keys(files: &Files) -> Vec<Finding> {
    let mut first: HashMap<[u8; 32], (&str, &SopsFile)> = HashMap::new();
    let mut findings = Vec::new();
    for (path, sops) in sops_files(files) {
        let mut copied: Option<(&str, &SopsFile)> = None;
        for wrapped in &sops.wrapped {
            let earlier = *first.entry(*wrapped).or_insert((path, sops));
            if earlier.0 != path {
                copied = Some(earlier);
            }
        }
        let Some((earlier, other)) = copied else { continue };
        let names = |sops: &SopsFile| -> std::collections::BTreeSet<KeyName> {
            sops.groups.iter().flat_map(|group| &group.0).map(KeyName::of).collect()
        };
        let rule = if names(sops) == names(other) { &rules::SHARED_DATA_KEY_COPY } else { &rules::SHARED_DATA_KEY };
        let message = format!("the data key is that of {}", Printable::new(earlier));
        findings.push(Finding::new(rule, path, Position::default(), message));
    }
    findings
}

/// Files that sops changed too long ago. `now` in seconds since 1970.
pub fn stale(files: &Files, max_age_days: u64, now: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, sops) in sops_files(files) {
        let age = now.saturating_sub(seconds(&sops.last_modified)) / 86_400;
        if age > max_age_days {
            let day = sops.last_modified.rfc3339().chars().take(10).collect::<String>();
            let message = format!("last changed {age} days ago ({day})");
            findings.push(Finding::new(&rules::STALE, path, Position::default(), message));
        }
    }
    findings
}

/// Seconds since 1970, leap seconds apart; earlier times are 0.
fn seconds(time: &Timestamp) -> u64 {
    // Days from civil (Howard Hinnant): years begin in March, so that the leap day is the last.
    let year = i64::from(time.year) - i64::from(time.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = (i64::from(time.month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(time.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let of_day = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
    u64::try_from(days * 86_400 + of_day - i64::from(time.offset_minutes) * 60).unwrap_or_default()
}

fn sops_files(files: &Files) -> impl Iterator<Item = (&str, &SopsFile)> {
    files.iter().filter_map(|(path, scanned)| match &scanned.class {
        Class::Sops(sops) => Some((path.as_str(), sops.as_ref())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_seconds_as_date_does() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-25T17:00:00+01:00", 1_795_622_400),
            ("1969-01-01T00:00:00Z", 0),
        ] {
            let time = Timestamp::parse_rfc3339(text).expect("a time");
            assert_eq!(seconds(&time), want, "{text}");
        }
    }
}

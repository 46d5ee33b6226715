//! The creation rules of `.sops.yaml`: which recipients, threshold and encryption rule sops gives a new file.
//!
//! Source: getsops/sops v3.13.3, `config/config.go`; `ToString` of each `keysource.go`; `cmd/sops/common`,
//! `DiffKeyGroups`.

use std::collections::BTreeSet;

use super::metadata::{KeyGroup, MasterKey};
use super::pattern::Pattern;
use crate::limits;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, is_null, scalar};
use crate::yaml::{self, Kind, Node, Position, YamlError};

/// The name that sops looks for, upwards from its working directory.
pub const FILE_NAME: &str = ".sops.yaml";

/// A name that people use and sops only warns about.
pub const IGNORED_FILE_NAME: &str = ".sops.yml";

/// A parsed configuration.
pub struct CreationRules {
    /// The rules in order; `None` where the file has none, which to sops is as if it were not there.
    pub rules: Option<Vec<CreationRule>>,
    /// What sops refuses, or silently takes otherwise than it seems to say.
    pub problems: Vec<ConfigProblem>,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug)]
pub struct ConfigProblem {
    /// Where.
    pub position: Position,
    /// What: fixed words and printable names.
    pub message: String,
    /// Whether sops refuses to work with the rule, or with the whole file.
    pub is_refused: bool,
}

/// One rule.
pub struct CreationRule {
    /// Where it begins.
    pub position: Position,
    /// The files that it is for; `None`: every file.
    pub path_regex: Option<String>,
    pattern: Matcher,
    /// The recipients by group.
    pub groups: Vec<BTreeSet<KeyName>>,
    /// 0 where the rule says nothing.
    pub shamir_threshold: i64,
    /// The encryption rule's field and text, where there is one.
    pub encryption_rule: Option<(&'static str, String)>,
    /// Whether keys carry an encryption context here; without one, the context of a file's keys came from a flag.
    has_context: bool,
}

enum Matcher {
    Everything,
    /// Go refuses the expression; sops fails on every file that gets here.
    Invalid,
    Regex(Pattern),
    /// Not read by this program; what matches is not known.
    Unknown,
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

/// A recipient as sops compares it: its text (`ToString`), letter case and context left out where people mean the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name of a key in a file's metadata.
    pub fn of(key: &MasterKey) -> Self {
        Self(match key {
            MasterKey::Age { recipient, .. } => recipient.trim().to_owned(),
            MasterKey::AwsKms { arn, role, context, aws_profile, .. } => {
                let role = role.as_deref().filter(|role| !role.is_empty());
                let context: Vec<String> = context.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                aws_name(arn, role, &context.join(","), aws_profile.as_deref().unwrap_or_default())
            }
            MasterKey::AzureKeyVault { vault_url, name, version, .. } => format!("{vault_url}/keys/{name}/{version}"),
            MasterKey::GcpKms { resource_id, .. } => resource_id.clone(),
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                format!("{vault_address}/v1/{engine_path}/keys/{key_name}")
            }
            MasterKey::HuaweiKms { key_id } => key_id.clone(),
            MasterKey::Pgp { fingerprint, .. } => fingerprint.replace(' ', "").to_ascii_uppercase(),
        })
    }

    /// The name, fit for a message.
    pub fn printable(&self) -> Printable {
        Printable::new(&self.0)
    }

    fn without_context(&self) -> Self {
        match self.0.split_once('|') {
            Some((arn, _)) if arn.starts_with("arn:") => Self(arn.to_owned()),
            _ => self.clone(),
        }
    }

    /// A key without version in a rule stands for the version of the day.
    fn without_version(&self) -> Option<Self> {
        let (key, _) = self.0.rsplit_once('/').filter(|(key, _)| key.contains(".vault.") && key.contains("/keys/"))?;
        Some(Self(format!("{key}/")))
    }
}

fn aws_name(arn: &str, role: Option<&str>, context: &str, profile: &str) -> String {
    let arn = match role {
        Some(role) => format!("{arn}+{role}"),
        None => arn.to_owned(),
    };
    match (context.is_empty(), profile.is_empty()) {
        (_, false) => format!("{arn}|{context}|{profile}"),
        (false, true) => format!("{arn}|{context}"),
        (true, true) => arn,
    }
}

/// How a file's groups differ from a rule's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Recipients of the rule that the file lacks.
    pub missing: BTreeSet<KeyName>,
    /// Recipients of the file that the rule does not have.
    pub surplus: BTreeSet<KeyName>,
}

impl CreationRule {
    /// Compares a file's recipients, group by group, as `sops updatekeys` does.
    pub fn difference(&self, groups: &[KeyGroup]) -> Difference {
        let mut difference = Difference::default();
        let nothing = BTreeSet::new();
        for index in 0..groups.len().max(self.groups.len()) {
            let wanted = self.groups.get(index).unwrap_or(&nothing);
            let keys = groups.get(index).map(|group| group.0.as_slice()).unwrap_or_default();
            let found: BTreeSet<KeyName> =
                keys.iter().map(|key| self.as_named_here(KeyName::of(key), wanted)).collect();
            difference.missing.extend(wanted.difference(&found).cloned());
            difference.surplus.extend(found.difference(wanted).cloned());
        }
        difference
    }

    fn as_named_here(&self, name: KeyName, wanted: &BTreeSet<KeyName>) -> KeyName {
        let name = if self.has_context { name } else { name.without_context() };
        match name.without_version().filter(|short| wanted.contains(short)) {
            Some(short) if !wanted.contains(&name) => short,
            _ => name,
        }
    }

    fn matches(&self, path: &str, budget: &mut MatchBudget) -> Option<bool> {
        match &self.pattern {
            Matcher::Everything => Some(true),
            Matcher::Regex(pattern) => budget.is_match(pattern, path),
            Matcher::Invalid | Matcher::Unknown => None,
        }
    }
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
        let steps = (pattern.steps as u64).saturating_mul(path.len() as u64 + 1);
        self.0 = self.0.checked_sub(steps)?;
        Some(pattern.is_match(path))
    }
}

/// Fields of a rule and of a key group, for misspelt ones.
const RULE_FIELDS: [&str; 18] = [
    "age",
    "aws_profile",
    "azure_keyvault",
    "encrypted_comment_regex",
    "encrypted_regex",
    "encrypted_suffix",
    "gcp_kms",
    "hc_vault_transit_uri",
    "hckms",
    "key_groups",
    "kms",
    "mac_only_encrypted",
    "path_regex",
    "pgp",
    "shamir_threshold",
    "unencrypted_comment_regex",
    "unencrypted_regex",
    "unencrypted_suffix",
];
const GROUP_FIELDS: [&str; 8] = ["age", "azure_keyvault", "gcp_kms", "hc_vault", "hckms", "kms", "merge", "pgp"];

const ENCRYPTION_RULES: [&str; 6] = [
    "encrypted_comment_regex",
    "encrypted_regex",
    "encrypted_suffix",
    "unencrypted_comment_regex",
    "unencrypted_regex",
    "unencrypted_suffix",
];

impl CreationRules {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Not YAML.
    pub fn parse(text: &[u8]) -> Result<Self, YamlError> {
        let mut reader = Reader { problems: Vec::new(), steps_left: PATTERN_STEPS };
        let documents = yaml::parse(text)?;
        let rules = match documents.first() {
            Some(document) if !is_null(&document.root) => reader.file(&document.root),
            _ => None,
        };
        Ok(Self { rules, problems: reader.problems })
    }

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

struct Reader {
    problems: Vec<ConfigProblem>,
    /// Steps that compiled patterns may still have, all together.
    steps_left: usize,
}

/// Most steps of all patterns of one configuration; a hundred long ones.
const PATTERN_STEPS: usize = 100_000;

impl Reader {
    fn problem(&mut self, position: Position, is_refused: bool, message: impl Into<String>) {
        if self.problems.len() < limits::ERRORS {
            self.problems.push(ConfigProblem { position, message: message.into(), is_refused });
        }
    }

    fn file(&mut self, root: &Node) -> Option<Vec<CreationRule>> {
        if !matches!(root.kind, Kind::Mapping(..)) {
            self.problem(root.position, true, "the configuration must be a mapping");
            return None;
        }
        if let Some(position) = root.duplicate_key() {
            self.problem(position, true, "a key is there twice");
        }
        for (name, key, _) in entries(root) {
            if ["creation_rule", "creationrules", "creation-rules"].contains(&name.to_ascii_lowercase().as_str()) {
                self.problem(key.position, false, "this field is ignored; did you mean creation_rules?");
            }
        }
        let (_, key, value) = entries(root).find(|(name, ..)| *name == "creation_rules")?;
        if is_null(value) {
            return None;
        }
        if !matches!(value.kind, Kind::Sequence(..)) {
            self.problem(key.position, true, "creation_rules must be a list");
            return None;
        }
        let nodes = elements(value);
        if nodes.len() > limits::CREATION_RULES {
            self.problem(
                key.position,
                false,
                format!("only the first {} rules were looked at", limits::CREATION_RULES),
            );
        }
        let mut rules: Vec<CreationRule> = Vec::new();
        for node in nodes.iter().take(limits::CREATION_RULES) {
            if !matches!(node.kind, Kind::Mapping(..)) {
                self.problem(node.position, true, "a rule must be a mapping");
                continue;
            }
            rules.push(self.rule(node));
        }
        Some(rules)
    }

    fn rule(&mut self, node: &Node) -> CreationRule {
        self.check_fields(node, &RULE_FIELDS);
        let get = |name: &str| entries(node).find(|(key, ..)| *key == name).map(|(.., value)| value);
        let text = |name: &str| get(name).and_then(scalar).filter(|text| !text.is_empty());
        let path_regex = text("path_regex").map(str::to_owned);
        let pattern = match &path_regex {
            None => Matcher::Everything,
            Some(_) if self.steps_left == 0 => Matcher::Unknown,
            Some(regex) => match Pattern::compile(regex) {
                Ok(pattern) if pattern.is_invalid() => {
                    let at = get("path_regex").map_or(node.position, |value| value.position);
                    self.problem(
                        at,
                        true,
                        "path_regex is no regular expression that sops reads: every file fails here",
                    );
                    Matcher::Invalid
                }
                Ok(pattern) => {
                    self.steps_left = self.steps_left.saturating_sub(pattern.steps);
                    Matcher::Regex(pattern)
                }
                Err(_) => Matcher::Unknown,
            },
        };
        let encryption_rule = self.encryption_rule(node);
        let shamir_threshold = match get("shamir_threshold").filter(|value| !is_null(value)) {
            None => 0,
            Some(value) => match scalar(value).and_then(|text| text.parse().ok()) {
                Some(threshold) => threshold,
                None => {
                    self.problem(value.position, true, "shamir_threshold must be a number");
                    0
                }
            },
        };
        let key_groups = get("key_groups").map(elements).unwrap_or_default();
        let mut groups = Vec::new();
        let mut has_context = false;
        for group in key_groups {
            let mut keys = BTreeSet::new();
            self.group(group, 0, &mut keys, &mut has_context);
            groups.push(keys);
        }
        if groups.is_empty() {
            groups.push(self.flat_keys(node));
        }
        self.check_groups(node, &groups, shamir_threshold);
        CreationRule {
            position: node.position,
            path_regex,
            pattern,
            groups,
            shamir_threshold,
            encryption_rule,
            has_context,
        }
    }

    fn check_fields(&mut self, node: &Node, known: &[&'static str]) {
        if let Some(position) = node.duplicate_key() {
            self.problem(position, true, "a key is there twice");
        }
        for (name, key, _) in entries(node).filter(|(name, ..)| !known.contains(name)) {
            let words = |text: &str| text.to_ascii_lowercase().replace('-', "_");
            let plain = words(name);
            let meant = match plain.as_str() {
                "azure_kv" | "azure_key_vault" => Some("azure_keyvault"),
                "hc_vault" | "vault" if known.contains(&"hc_vault_transit_uri") => Some("hc_vault_transit_uri"),
                "path" | "path_regexp" | "regex" => Some("path_regex").filter(|meant| known.contains(meant)),
                "aws_kms" | "arn" => Some("kms"),
                _ => known.iter().copied().find(|known| {
                    plain == *known
                        || plain.trim_end_matches('s') == *known
                        || plain.replace('_', "") == known.replace('_', "")
                }),
            };
            if let Some(meant) = meant {
                let name = Printable::new(name);
                self.problem(key.position, false, format!("{name} is ignored; did you mean {meant}?"));
            }
        }
    }

    fn encryption_rule(&mut self, node: &Node) -> Option<(&'static str, String)> {
        let mut found: Option<(&'static str, String)> = None;
        for (name, key, value) in entries(node) {
            let Some(field) = ENCRYPTION_RULES.into_iter().find(|field| *field == name) else { continue };
            let Some(text) = scalar(value).filter(|text| !text.is_empty()) else { continue };
            if found.is_some() {
                self.problem(
                    key.position,
                    true,
                    format!("{field} is a second encryption rule: a creation rule has one"),
                );
                continue;
            }
            if field.ends_with("regex") && Pattern::compile(text).is_ok_and(|pattern| pattern.is_invalid()) {
                let effect = if field.starts_with("un") { "everything" } else { "nothing" };
                let message = format!("{field} is no regular expression that sops reads: it encrypts {effect}");
                self.problem(value.position, false, message);
            }
            found = Some((field, text.to_owned()));
        }
        found
    }

    /// Keys that stand in the rule itself.
    fn flat_keys(&mut self, node: &Node) -> BTreeSet<KeyName> {
        let profile = entries(node).find(|(name, ..)| *name == "aws_profile").and_then(|(.., value)| scalar(value));
        let mut keys = BTreeSet::new();
        for (name, _, value) in entries(node) {
            if ["age", "azure_keyvault", "gcp_kms", "hc_vault_transit_uri", "hckms", "kms", "pgp"].contains(&name) {
                for text in self.key_texts(name, value) {
                    keys.extend(key_name(name, &text, profile.unwrap_or_default()));
                }
            }
        }
        keys
    }

    /// A text with commas, or a list of texts.
    fn key_texts(&mut self, field: &str, value: &Node) -> Vec<String> {
        let texts: Vec<&str> = match &value.kind {
            Kind::Scalar(text, _) => vec![text.as_str()],
            Kind::Sequence(items, _) => items.iter().filter_map(scalar).collect(),
            Kind::Mapping(..) => {
                let field = Printable::new(field);
                self.problem(value.position, true, format!("{field} must be a text or a list of texts"));
                Vec::new()
            }
        };
        let parts = texts.iter().flat_map(|text| text.split(','));
        parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).take(limits::MASTER_KEYS).collect()
    }

    /// Keys of one group, those of the groups that it merges first.
    fn group(&mut self, node: &Node, depth: usize, keys: &mut BTreeSet<KeyName>, has_context: &mut bool) {
        if depth > MERGE_DEPTH || keys.len() > limits::MASTER_KEYS {
            return;
        }
        if !matches!(node.kind, Kind::Mapping(..)) {
            if !is_null(node) {
                self.problem(node.position, true, "a key group must be a mapping");
            }
            return;
        }
        self.check_fields(node, &GROUP_FIELDS);
        for (name, key, value) in entries(node) {
            if !GROUP_FIELDS.contains(&name) || is_null(value) {
                continue;
            }
            if !matches!(value.kind, Kind::Sequence(..)) {
                let name = Printable::new(name);
                self.problem(key.position, true, format!("{name} of a key group must be a list"));
                continue;
            }
            for item in elements(value) {
                match (name, &item.kind) {
                    ("merge", _) => self.group(item, depth.saturating_add(1), keys, has_context),
                    ("age" | "pgp" | "hc_vault", Kind::Scalar(text, _)) => {
                        let texts: Vec<&str> = if name == "age" { text.split(',').collect() } else { vec![text] };
                        keys.extend(texts.into_iter().filter_map(|text| key_name(name, text.trim(), "")));
                    }
                    ("kms" | "gcp_kms" | "hckms" | "azure_keyvault", Kind::Mapping(..)) => {
                        keys.extend(key_of_mapping(name, item, has_context));
                    }
                    _ => {
                        let name = Printable::new(name);
                        self.problem(item.position, true, format!("an entry of {name} has the wrong type"));
                    }
                }
            }
        }
    }

    fn check_groups(&mut self, node: &Node, groups: &[BTreeSet<KeyName>], threshold: i64) {
        if groups.iter().all(BTreeSet::is_empty) {
            // Keys may come from flags or variables of sops.
            return;
        }
        if groups.iter().any(BTreeSet::is_empty) {
            self.problem(node.position, true, "a key group of this rule has no keys");
        }
        if usize::try_from(threshold).is_ok_and(|threshold| threshold > groups.len()) {
            let message = format!("shamir_threshold is {threshold}, but the rule has {} key groups", groups.len());
            self.problem(node.position, true, message);
        }
    }
}

/// Deepest nesting of `merge` that is read.
const MERGE_DEPTH: usize = 16;

/// The name of a key that is one text. `None`: not of the form that sops reads.
fn key_name(field: &str, text: &str, profile: &str) -> Option<KeyName> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(KeyName(match field {
        "pgp" => text.replace(' ', "").to_ascii_uppercase(),
        "kms" => {
            let text = text.replace(' ', "");
            let (arn, role) = split_role(&text);
            aws_name(arn, role, "", profile)
        }
        "azure_keyvault" => {
            let url = text.trim_end_matches('/');
            let (vault, rest) = url.split_once("/keys/")?;
            match rest.split_once('/') {
                Some((name, version)) => format!("{vault}/keys/{name}/{version}"),
                None => format!("{vault}/keys/{rest}/"),
            }
        }
        "hc_vault" | "hc_vault_transit_uri" => text.trim_end_matches('/').to_owned(),
        _ => text.to_owned(),
    }))
}

fn split_role(arn: &str) -> (&str, Option<&str>) {
    match arn.split_once("+arn:") {
        Some((key, role)) if !key.is_empty() => (key, arn.get(arn.len().saturating_sub(role.len() + 4)..)),
        _ => (arn, None),
    }
}

fn key_of_mapping(field: &str, node: &Node, has_context: &mut bool) -> Option<KeyName> {
    let get = |name: &str| entries(node).find(|(key, ..)| *key == name).map(|(.., value)| value);
    let text = |name: &str| get(name).and_then(scalar).unwrap_or_default();
    Some(KeyName(match field {
        "kms" => {
            let mut context: Vec<String> = Vec::new();
            if let Some(node) = get("context") {
                context.extend(
                    entries(node).map(|(key, _, value)| format!("{key}:{}", scalar(value).unwrap_or_default())),
                );
            }
            context.sort();
            *has_context |= !context.is_empty();
            let arn = text("arn").replace(' ', "");
            let (arn, in_arn) = split_role(&arn);
            let role = in_arn.or(Some(text("role")).filter(|role| !role.is_empty()));
            aws_name(arn, role, &context.join(","), text("aws_profile"))
        }
        "gcp_kms" => text("resource_id").to_owned(),
        "hckms" => text("key_id").to_owned(),
        _ => format!("{}/keys/{}/{}", text("vaultUrl"), text("key"), text("version")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CreationRules {
        CreationRules::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn rule_for(config: &CreationRules, path: &str) -> Option<usize> {
        match config.matching(path, &mut MatchBudget::default()) {
            Match::Rule(index, _) => Some(index),
            Match::None | Match::Unknown => None,
        }
    }

    fn messages(text: &str) -> Vec<String> {
        parse(text).problems.iter().map(|problem| format!("{} {}", problem.position.line, problem.message)).collect()
    }

    #[test]
    fn first_rule_that_matches_wins() {
        let config = parse(
            "creation_rules:\n- path_regex: \\.prod\\.yaml$\n  age: a\n- path_regex: ^secrets/\n  age: b\n- age: c\n- path_regex: .*\n",
        );
        assert_eq!(rule_for(&config, "x/a.prod.yaml"), Some(0));
        assert_eq!(rule_for(&config, "secrets/a.yaml"), Some(1));
        assert_eq!(rule_for(&config, "x/secrets/a.yaml"), Some(2));
    }

    #[test]
    fn file_without_rules_is_as_if_it_were_not_there() {
        assert!(parse("").rules.is_none());
        assert!(parse("destination_rules: []\n").rules.is_none());
        assert!(parse("creation_rules: []\n").rules.is_some());
    }

    #[test]
    fn keys_are_read_from_every_place() {
        let text = "\
x: &us [age1a, age1b]
creation_rules:
- age: >-
    age1a,
    age1b
  pgp: 'AB CD, ef'
  kms: arn:aws:kms:x:1:key/1+arn:aws:iam::1:role/r
  aws_profile: p
- key_groups:
  - age: *us
    merge:
    - pgp: [abcd]
    kms:
    - {arn: 'arn:k', role: 'arn:r', context: {b: 1, a: 2}}
    azure_keyvault:
    - {vaultUrl: 'https://v.vault.azure.net', key: k, version: v}
    hc_vault: ['https://vault:8200/v1/transit/keys/k']
";
        let rules = parse(text).rules.expect("rules");
        let names = |index: usize| -> Vec<String> {
            rules[index].groups[0].iter().map(|name| name.printable().to_string()).collect()
        };
        assert_eq!(names(0), ["ABCD", "EF", "age1a", "age1b", "arn:aws:kms:x:1:key/1+arn:aws:iam::1:role/r||p"]);
        assert_eq!(
            names(1),
            [
                "ABCD",
                "age1a",
                "age1b",
                "arn:k+arn:r|a:2,b:1",
                "https://v.vault.azure.net/keys/k/v",
                "https://vault:8200/v1/transit/keys/k"
            ]
        );
    }

    #[test]
    fn compares_group_by_group() {
        let rules = parse("creation_rules:\n- key_groups:\n  - age: [a]\n  - age: [b]\n").rules.expect("rules");
        let key = |name: &str| MasterKey::Age { recipient: name.to_owned(), enc: String::new() };
        let groups = [KeyGroup(vec![key("a")]), KeyGroup(vec![key("c")])];
        let difference = rules[0].difference(&groups);
        assert_eq!(difference.missing, BTreeSet::from([KeyName("b".to_owned())]));
        assert_eq!(difference.surplus, BTreeSet::from([KeyName("c".to_owned())]));
        assert_eq!(rules[0].difference(&[KeyGroup(vec![key("a")]), KeyGroup(vec![key("b")])]), Difference::default());
    }

    #[test]
    fn version_of_the_day_and_context_from_a_flag_are_no_difference() {
        let rules = parse("creation_rules:\n- azure_keyvault: https://v.vault.azure.net/keys/k\n  kms: arn:k\n");
        let azure = MasterKey::AzureKeyVault {
            vault_url: "https://v.vault.azure.net".to_owned(),
            name: "k".to_owned(),
            version: "0123".to_owned(),
            enc: String::new(),
        };
        let aws = MasterKey::AwsKms {
            arn: "arn:k".to_owned(),
            role: None,
            context: [("a".to_owned(), "b".to_owned())].into(),
            aws_profile: None,
            enc: String::new(),
        };
        let rules = rules.rules.expect("rules");
        assert_eq!(rules[0].difference(&[KeyGroup(vec![azure, aws])]), Difference::default());
    }

    #[test]
    fn says_what_sops_refuses_and_what_it_ignores() {
        let text = "\
creation_rules:
- path_regexp: x
  encrypted_regex: '^(data'
  age: a
- encrypted_suffix: x
  unencrypted_suffix: y
  age: a
- path_regex: '('
  shamir_threshold: 3
  key_groups:
  - age: [a]
  - age: b
- pgp: {a: b}
- x
";
        assert_eq!(
            messages(text),
            [
                "2 path_regexp is ignored; did you mean path_regex?",
                "3 encrypted_regex is no regular expression that sops reads: it encrypts nothing",
                "6 unencrypted_suffix is a second encryption rule: a creation rule has one",
                "8 path_regex is no regular expression that sops reads: every file fails here",
                "12 age of a key group must be a list",
                "8 a key group of this rule has no keys",
                "8 shamir_threshold is 3, but the rule has 2 key groups",
                "13 pgp must be a text or a list of texts",
                "14 a rule must be a mapping"
            ]
        );
    }

    #[test]
    fn patterns_of_a_hostile_file_end() {
        let rules = "- path_regex: '(a{0,30}){0,30}x'\n".repeat(limits::CREATION_RULES);
        let config = parse(&format!("creation_rules:\n{rules}"));
        let mut budget = MatchBudget::default();
        assert!(matches!(config.matching(&"a".repeat(400), &mut budget), Match::Unknown));
    }
}

//! Reads a configuration, and says what sops refuses in it or silently takes otherwise than it seems to say.

use std::collections::BTreeSet;

use super::key_name::{key_name, key_of_mapping};
use super::matching::Matcher;
use super::{ConfigProblem, CreationRule, CreationRules, KeyName};
use crate::limits;
use crate::sops::pattern::Pattern;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, is_null, scalar};
use crate::yaml::{self, Kind, Node, Position, YamlError};

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

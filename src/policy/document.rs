//! The text of a policy: strict, since a field that is misspelt and passed over would open what it should close.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::pattern::{Grammar, Pattern};
use super::{Grant, Match, Policy, Rule, applicant};
use crate::limits;
use crate::spelling::nearest;
use crate::text::Printable;
use crate::yaml::{self, Kind, Node, Position, YamlError, resolve};

const API_VERSION: &str = "unsops.dev/v1";
const KIND: &str = "Policy";

/// One thing that is wrong with a policy. A policy is no secret: its names may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// `rules[0].match`; empty for the policy as a whole.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// Where in the text; 0 means unknown.
    pub position: Position,
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.reason)?;
        match self.position.line {
            0 => Ok(()),
            _ => write!(f, " ({})", self.position),
        }
    }
}

/// Reads a policy. `source` is its name in messages.
///
/// # Errors
/// Everything that is wrong with it, up to [`limits::ERRORS`].
pub(super) fn parse(text: &[u8], source: Printable) -> Result<Policy, Vec<PolicyError>> {
    let mut reader = Reader::default();
    let policy = reader.policy(text, source);
    match policy {
        Some(policy) if reader.errors.is_empty() => Ok(policy),
        _ => Err(reader.errors),
    }
}

#[derive(Default)]
struct Reader {
    errors: Vec<PolicyError>,
    patterns: usize,
}

/// A mapping and its place.
struct Fields<'a> {
    path: String,
    position: Position,
    pairs: Vec<(&'a str, &'a Node)>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Reader {
    fn error(&mut self, field: &str, position: Position, reason: impl Into<String>) {
        if self.errors.len() < limits::ERRORS {
            self.errors.push(PolicyError { field: field.to_owned(), reason: reason.into(), position });
        }
    }

    fn policy(&mut self, text: &[u8], source: Printable) -> Option<Policy> {
        if text.len() > limits::POLICY_BYTES {
            self.error("", Position::default(), format!("is larger than {} bytes", limits::POLICY_BYTES));
            return None;
        }
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(YamlError::Syntax { rule, position }) => {
                self.error("", position, format!("is not YAML: {rule}"));
                return None;
            }
        };
        let [document] = documents.as_slice() else {
            self.error("", Position::default(), "must be one YAML document");
            return None;
        };
        let fields = self.fields(&document.root, "", &["apiVersion", "kind", "contact", "rules"])?;
        self.constant(&fields, "apiVersion", API_VERSION);
        self.constant(&fields, "kind", KIND);
        let contact =
            fields.get("contact").and_then(|node| self.text(node, "contact")).map(|text| Printable::new(&text));
        let rules = self.items(&fields, "rules");
        if rules.is_empty() {
            self.error("rules", fields.position, "must list at least one rule");
        }
        if rules.len() > limits::POLICY_RULES {
            self.error("rules", fields.position, format!("more than {} rules", limits::POLICY_RULES));
            return None;
        }
        let rules: Vec<Rule> =
            rules.into_iter().enumerate().filter_map(|(index, node)| self.rule(node, index)).collect();
        let mut names = BTreeSet::new();
        for rule in &rules {
            if !names.insert(rule.name.as_str()) {
                self.error("rules", rule.position, format!("two rules have the name {}", rule.name));
            }
        }
        Some(Policy { source, contact, rules })
    }

    fn rule(&mut self, node: &Node, index: usize) -> Option<Rule> {
        let path = format!("rules[{index}]");
        let fields = self.fields(node, &path, &["name", "match", "allow"])?;
        let name = match fields.get("name") {
            Some(node) => self.text(node, &fields.path_of("name")).unwrap_or_default(),
            None => String::new(),
        };
        if name.is_empty() {
            self.error(&path, node.position, "has no name, by which a refusal could name it");
        }
        let applies_to = self.match_of(&fields)?;
        let grant = match fields.get("allow") {
            Some(node) => self.grant(node, &fields.path_of("allow"))?,
            None => {
                self.error(&path, fields.position, "has no allow; a rule that allows nothing says: allow: {}");
                return None;
            }
        };
        Some(Rule { name: Printable::new(&name), position: fields.position, applies_to, grant })
    }

    fn match_of(&mut self, rule: &Fields<'_>) -> Option<Match> {
        let path = rule.path_of("match");
        let Some(node) = rule.get("match") else {
            self.error(&rule.path, rule.position, "has no match: say which projects it is for");
            return None;
        };
        let fields = self.fields(node, &path, &["projects", "repositories", "paths", "namespaces"])?;
        if matches!(&node.kind, Kind::Mapping(pairs, _) if pairs.is_empty()) {
            self.error(&path, node.position, "is empty: for every project, write projects: ['*']");
        }
        Some(Match {
            projects: self.patterns_of(&fields, "projects", |text| Pattern::parse(text, Grammar::Path)),
            repositories: self.patterns_of(&fields, "repositories", |text| {
                let address = applicant::repository_pattern(text);
                Pattern::parse(&address, Grammar::Url)
            }),
            paths: self.patterns_of(&fields, "paths", Pattern::parse_directory),
            namespaces: self.patterns_of(&fields, "namespaces", |text| Pattern::parse(text, Grammar::Path)),
        })
    }

    fn grant(&mut self, node: &Node, path: &str) -> Option<Grant> {
        let known = [
            "age",
            "awsKms",
            "awsProfiles",
            "awsRoles",
            "azureKeyVault",
            "directories",
            "gcpKms",
            "kinds",
            "pgp",
            "vault",
        ];
        let fields = self.fields(node, path, &known)?;
        let kind = |text: &str| {
            let text = if text.contains('/') || text == "**" { text.to_owned() } else { format!("v1/{text}") };
            Pattern::parse(&text, Grammar::Path)
        };
        let secret_only = || vec![kind("Secret").expect("a plain word is a pattern")];
        Some(Grant {
            age: self.patterns_of(&fields, "age", age_recipient).unwrap_or_default(),
            pgp: self.patterns_of(&fields, "pgp", pgp_fingerprint).unwrap_or_default(),
            aws_kms: self.patterns_of(&fields, "awsKms", arn).unwrap_or_default(),
            aws_roles: self.patterns_of(&fields, "awsRoles", arn).unwrap_or_default(),
            aws_profiles: self
                .patterns_of(&fields, "awsProfiles", |text| Pattern::parse(text, Grammar::Path))
                .unwrap_or_default(),
            gcp_kms: self
                .patterns_of(&fields, "gcpKms", |text| match text.starts_with("projects/") || text.starts_with("**") {
                    true => Pattern::parse(text, Grammar::Path),
                    false => Err("must begin with projects/"),
                })
                .unwrap_or_default(),
            azure_key_vault: self
                .patterns_of(&fields, "azureKeyVault", |text| below(text, "/keys/", "/keys/*"))
                .unwrap_or_default(),
            vault: self.patterns_of(&fields, "vault", |text| below(text, "/v1/", "/v1/**")).unwrap_or_default(),
            kinds: self.patterns_of(&fields, "kinds", kind).unwrap_or_else(secret_only),
            directories: self.patterns_of(&fields, "directories", Pattern::parse_directory),
        })
    }

    /// The entries of a list; `None` where the field is missing. An empty list is one: it grants nothing.
    fn patterns_of<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        fields.get(name)?;
        let path = fields.path_of(name);
        let mut patterns = Vec::new();
        for (index, item) in self.items(fields, name).into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.patterns = self.patterns.saturating_add(1);
            if self.patterns > limits::POLICY_PATTERNS {
                self.error(&path, item.position, format!("more than {} patterns", limits::POLICY_PATTERNS));
                break;
            }
            let Some(text) = self.text(item, &path) else { continue };
            match read(&text) {
                Ok(pattern) => patterns.push(pattern),
                // Someone may have pasted the other half of a key.
                Err(why) if text.contains("SECRET-KEY") || text.contains("PRIVATE KEY") => {
                    self.error(&path, item.position, why);
                }
                Err(why) => self.error(&path, item.position, format!("{} {why}", Printable::new(&text))),
            }
        }
        Some(patterns)
    }

    /// The items of a field that must be a list where it is there.
    fn items<'a>(&mut self, fields: &Fields<'a>, name: &str) -> Vec<&'a Node> {
        match fields.get(name) {
            None => Vec::new(),
            Some(Node { kind: Kind::Sequence(items, _), .. }) => items.iter().collect(),
            Some(other) => {
                self.error(&fields.path_of(name), other.position, "must be a list");
                Vec::new()
            }
        }
    }

    /// A mapping with none but these fields, each of them once.
    fn fields<'a>(&mut self, node: &'a Node, path: &str, known: &[&'static str]) -> Option<Fields<'a>> {
        let Kind::Mapping(pairs, _) = &node.kind else {
            self.error(path, node.position, "must be a mapping");
            return None;
        };
        let mut fields = Fields { path: path.to_owned(), position: node.position, pairs: Vec::new() };
        for (key, value) in pairs {
            let Kind::Scalar(name, _) = &key.kind else {
                self.error(path, key.position, "has a key that is not text");
                continue;
            };
            if !known.contains(&name.as_str()) {
                let reason = match nearest(name, known) {
                    Some(meant) => format!("unknown field {}; did you mean {meant}?", Printable::new(name)),
                    None => format!("unknown field {}; known are {}", Printable::new(name), known.join(", ")),
                };
                self.error(path, key.position, reason);
            } else if fields.get(name).is_some() {
                self.error(path, key.position, format!("has {} twice", Printable::new(name)));
            } else {
                fields.pairs.push((name, value));
            }
        }
        Some(fields)
    }

    fn constant(&mut self, fields: &Fields<'_>, name: &str, wanted: &str) {
        let found = fields.get(name).and_then(|node| self.text(node, name));
        if found.as_deref() != Some(wanted) {
            self.error(name, fields.position, format!("must be {wanted}"));
        }
    }

    fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = resolve::text(node).map(Cow::into_owned);
        if text.is_none() {
            self.error(path, node.position, "must be text; put it in quotes");
        }
        text
    }
}

/// An age recipient as patterns see it: of an SSH key its type and its key, without the comment.
pub(super) fn plain_recipient(recipient: &str) -> String {
    let words: Vec<&str> = recipient.split_whitespace().take(2).collect();
    words.join(" ")
}

fn age_recipient(text: &str) -> Result<String, &'static str> {
    let is_recipient = text.starts_with("age1") || text.starts_with("ssh-ed25519 ") || text.starts_with("ssh-rsa ");
    if text.len() > limits::PATTERN_BYTES {
        Err("is longer than a recipient")
    } else if text.starts_with("AGE-") {
        Err("is a secret key; the policy lists recipients: age1...")
    } else if text.contains('*') {
        Err("is a pattern; recipients are listed in full")
    } else if is_recipient {
        Ok(plain_recipient(text))
    } else {
        Err("is not an age recipient: age1..., ssh-ed25519 ... or ssh-rsa ...")
    }
}

/// A fingerprint as patterns see it: upper-case hex, without `0x`, blanks and `!`.
pub(super) fn plain_fingerprint(text: &str) -> String {
    let text = text.trim().trim_start_matches("0x").trim_end_matches('!');
    text.chars().filter(|c| !c.is_whitespace()).take(limits::PRINTABLE_CHARS).collect::<String>().to_ascii_uppercase()
}

fn pgp_fingerprint(text: &str) -> Result<String, &'static str> {
    let plain = plain_fingerprint(text);
    let is_fingerprint = matches!(plain.len(), 40 | 64) && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_fingerprint { Ok(plain) } else { Err("is not the fingerprint of a PGP key: 40 or 64 hexadecimal digits") }
}

fn arn(text: &str) -> Result<Pattern, &'static str> {
    if !text.starts_with("arn:") {
        return Err("is not an ARN: it must begin with arn:");
    }
    if text.split(':').count() < 6 {
        return Err("has less than the six parts of an ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)");
    }
    Pattern::parse(text, Grammar::Arn)
}

/// A server, or a key of it: where only the server is named, every key.
fn below(text: &str, mark: &str, everything: &str) -> Result<Pattern, &'static str> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("is not a URL: it must begin with https://");
    }
    let text = text.trim_end_matches('/');
    let text = if text.contains(mark) { text.to_owned() } else { format!("{text}{everything}") };
    Pattern::parse(&text, Grammar::Url)
}

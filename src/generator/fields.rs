//! The fields of a generator manifest, read as the two original plugins read them.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{FieldPath, GeneratorError, Sentence};
use crate::limits;
use crate::number;
use crate::spelling::nearest;
use crate::text::Printable;
use crate::yaml::resolve::{Resolved, resolve};
use crate::yaml::{Kind, Node, Position, ScalarStyle};

/// How a manifest is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// KSOPS, sigs.k8s.io/yaml: names in any letter case; numbers and booleans become their text.
    Ksops,
    /// SopsSecretGenerator, yaml.v3: names exactly; every scalar is taken literally.
    SopsSecretGenerator,
}

impl Reading {
    fn is_same(self, written: &str, name: &str) -> bool {
        match self {
            Self::Ksops => written.eq_ignore_ascii_case(name),
            Self::SopsSecretGenerator => written == name,
        }
    }
}

/// Something that is accepted, but probably not meant. For `check`.
#[derive(Clone, Debug)]
pub struct Remark {
    /// The field.
    pub field: FieldPath,
    /// What about it.
    pub text: Sentence,
    /// Where.
    pub position: Position,
}

/// What is found while a manifest is read.
#[derive(Default)]
pub(super) struct Findings {
    pub errors: Vec<GeneratorError>,
    pub remarks: Vec<Remark>,
}

impl Findings {
    pub fn error(&mut self, error: GeneratorError) {
        if self.errors.len() < limits::ERRORS {
            self.errors.push(error);
        }
    }

    pub fn remark(&mut self, field: &FieldPath, text: Sentence, position: Position) {
        if self.remarks.len() < limits::ERRORS {
            self.remarks.push(Remark { field: field.clone(), text, position });
        }
    }

    fn wrong_type(&mut self, field: &FieldPath, node: &Node, wanted: &'static str, hint: Option<&'static str>) {
        let reason = Sentence::new("must be ").words(wanted).words(", not ").words(what_it_is(node));
        let error = GeneratorError::manifest(field, node.position, reason);
        self.error(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
}

/// A mapping with known field names. Duplicates are errors: the last would win without a word.
pub(super) struct Fields<'a> {
    /// Where the mapping begins.
    pub position: Position,
    path: FieldPath,
    reading: Reading,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: &'a str,
    position: Position,
    value: &'a Node,
    is_known: bool,
}

impl<'a> Fields<'a> {
    /// Opens a mapping; nothing but an error where the node is none.
    pub fn open(node: &'a Node, path: FieldPath, reading: Reading, findings: &mut Findings) -> Option<Self> {
        let Kind::Mapping(pairs, _) = &node.kind else {
            findings.wrong_type(&path, node, "a mapping", None);
            return None;
        };
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        collect(pairs, &path, &mut seen, &mut entries, findings);
        Some(Self { position: node.position, path, reading, entries })
    }

    /// The path of a field of this mapping.
    pub fn path(&self, name: &'static str) -> FieldPath {
        self.path.field(name)
    }

    /// The path of the mapping itself.
    pub fn own_path(&self) -> &FieldPath {
        &self.path
    }

    /// A field that is there and not null.
    pub fn get(&mut self, name: &'static str, findings: &mut Findings) -> Option<&'a Node> {
        let mut found: Option<&Node> = None;
        for entry in self.entries.iter_mut().filter(|entry| self.reading.is_same(entry.name, name)) {
            entry.is_known = true;
            let path = self.path.field(name);
            if found.is_some() {
                findings.error(GeneratorError::manifest(&path, entry.position, "the field is there twice"));
            } else if entry.name != name {
                let text = Sentence::new("spelled ").name(&Printable::new(entry.name));
                findings.remark(&path, text, entry.position);
            }
            found = Some(entry.value);
        }
        found.filter(|node| !is_null(node))
    }

    /// A text field.
    pub fn string(&mut self, name: &'static str, findings: &mut Findings) -> Option<String> {
        let node = self.get(name, findings)?;
        string(node, &self.path.field(name), self.reading, findings)
    }

    /// A boolean field, by yaml.v3's rules for a Go `bool`.
    pub fn boolean(&mut self, name: &'static str, findings: &mut Findings) -> Option<bool> {
        let node = self.get(name, findings)?;
        let answer = match resolve(node) {
            Ok(Resolved::Bool(answer)) => Some(answer),
            Ok(Resolved::Str(text)) => match text.as_ref() {
                b"y" | b"Y" | b"yes" | b"Yes" | b"YES" | b"on" | b"On" | b"ON" => Some(true),
                b"n" | b"N" | b"no" | b"No" | b"NO" | b"off" | b"Off" | b"OFF" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if answer.is_none() {
            let hint = Some("write true or false, without quotes");
            findings.wrong_type(&self.path.field(name), node, "true or false", hint);
        }
        answer
    }

    /// A list; an empty one is an error, since a manifest that asks for nothing has lost something.
    pub fn list(&mut self, name: &'static str, findings: &mut Findings) -> Option<&'a [Node]> {
        let node = self.get(name, findings)?;
        match &node.kind {
            Kind::Sequence(elements, _) if elements.is_empty() => {
                let error = GeneratorError::manifest(&self.path.field(name), node.position, "the list is empty");
                findings.error(error.hint("name at least one entry, or remove the field"));
                None
            }
            Kind::Sequence(elements, _) => Some(elements),
            _ => {
                let hint = Some("write a list: one line `- …` for each entry");
                findings.wrong_type(&self.path.field(name), node, "a list", hint);
                None
            }
        }
    }

    /// A list of texts, each with its path and place; elements that are no text are left out, with an error.
    pub fn strings(&mut self, name: &'static str, findings: &mut Findings) -> Vec<(FieldPath, Position, String)> {
        let reading = self.reading;
        let path = self.path.field(name);
        let elements = self.list(name, findings).unwrap_or_default();
        let mut texts = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let path = path.index(index);
            if is_null(element) {
                findings.error(GeneratorError::manifest(&path, element.position, "the entry is empty"));
            } else if let Some(text) = string(element, &path, reading, findings) {
                texts.push((path, element.position, text));
            }
        }
        texts
    }

    /// A mapping of texts, as labels and annotations are.
    pub fn string_map(&mut self, name: &'static str, findings: &mut Findings) -> BTreeMap<String, (String, Position)> {
        let mut map = BTreeMap::new();
        let Some(node) = self.get(name, findings) else { return map };
        let Some(fields) = Fields::open(node, self.path.field(name), self.reading, findings) else { return map };
        for entry in fields.entries {
            let text = if is_null(entry.value) {
                Some(String::new())
            } else {
                string(entry.value, &fields.path, self.reading, findings)
            };
            if let Some(text) = text {
                map.insert(entry.name.to_owned(), (text, entry.position));
            }
        }
        map
    }

    /// Whether a field is there and not null.
    pub fn is_set(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| self.reading.is_same(entry.name, name) && !is_null(entry.value))
    }

    /// Marks what belongs to every manifest of a plugin, whether its kind reads it or not.
    pub fn expect_plugin_fields(&mut self) {
        let fields = ["apiVersion", "argsFromFile", "argsOneLiner", "kind", "metadata"];
        for entry in self.entries.iter_mut().filter(|entry| fields.contains(&entry.name)) {
            entry.is_known = true;
        }
    }

    /// A field nobody asked for whose name is close to one of these, with the name that was meant.
    pub fn misspelt(&self, known: &[&'static str]) -> Option<(Printable, &'static str)> {
        self.entries
            .iter()
            .filter(|entry| !entry.is_known)
            .find_map(|entry| Some((Printable::new(entry.name), nearest(entry.name, known)?)))
    }

    /// Remarks every field that nobody asked for.
    pub fn finish(self, known: &[&'static str], findings: &mut Findings) {
        for entry in self.entries.iter().filter(|entry| !entry.is_known) {
            let text = Sentence::new("unknown field ").name(&Printable::new(entry.name));
            let text = match nearest(entry.name, known) {
                Some(meant) => text.words("; did you mean ").words(meant).words("?"),
                None => text.words(" is ignored"),
            };
            findings.remark(&self.path, text, entry.position);
        }
    }
}

/// Takes the entries of a mapping, then those that `<<` merges in and that are not there yet.
fn collect<'a>(
    pairs: &'a [(Node, Node)],
    path: &FieldPath,
    seen: &mut BTreeSet<&'a str>,
    entries: &mut Vec<Entry<'a>>,
    findings: &mut Findings,
) {
    let mut merged = Vec::new();
    for (key, value) in pairs {
        let Kind::Scalar(name, _) = &key.kind else {
            findings.wrong_type(path, key, "a field name", None);
            continue;
        };
        if is_merge(key) {
            merged.push(value);
            continue;
        }
        if !seen.insert(name) {
            let reason = Sentence::new("key ").name(&Printable::new(name)).words(" is there twice");
            findings.error(GeneratorError::manifest(path, key.position, reason));
            continue;
        }
        entries.push(Entry { name, position: key.position, value, is_known: false });
    }
    for value in merged {
        let sources = match &value.kind {
            Kind::Sequence(sources, _) => sources.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for source in sources {
            match &source.kind {
                Kind::Mapping(pairs, _) => {
                    let mut added = Vec::new();
                    let mut names = BTreeSet::new();
                    collect(pairs, path, &mut names, &mut added, findings);
                    entries.extend(added.into_iter().filter(|entry| seen.insert(entry.name)));
                }
                _ => findings.wrong_type(path, source, "a mapping to merge", None),
            }
        }
    }
}

/// Whether a key is the merge key of YAML 1.1, which yaml.v2 and yaml.v3 still obey.
pub(super) fn is_merge(key: &Node) -> bool {
    match (&key.kind, key.tag.as_deref()) {
        (Kind::Scalar(text, style), None) => text == "<<" && *style == ScalarStyle::Plain,
        (Kind::Scalar(text, _), Some("!!merge")) => text == "<<",
        _ => false,
    }
}

/// Whether a node stands for nothing.
pub(super) fn is_null(node: &Node) -> bool {
    matches!(node.kind, Kind::Scalar(..)) && matches!(resolve(node), Ok(Resolved::Null))
}

/// The text of a scalar that is not null.
fn string(node: &Node, path: &FieldPath, reading: Reading, findings: &mut Findings) -> Option<String> {
    let Kind::Scalar(text, style) = &node.kind else {
        findings.wrong_type(path, node, "text", None);
        return None;
    };
    let resolved = match resolve(node) {
        Ok(resolved) => resolved,
        Err(rule) => {
            findings.error(GeneratorError::manifest(path, node.position, rule));
            return None;
        }
    };
    let (text, is_same_everywhere) = match (resolved, reading) {
        (Resolved::Str(bytes), _) => {
            let Ok(decoded) = String::from_utf8(bytes.into_owned()) else {
                findings.error(GeneratorError::manifest(path, node.position, "the decoded text is not UTF-8"));
                return None;
            };
            let is_plain = *style == ScalarStyle::Plain && node.tag.is_none();
            (decoded, reading != Reading::Ksops || !is_plain || !is_bool_of_yaml_1_1(text))
        }
        (_, Reading::SopsSecretGenerator) | (Resolved::Timestamp(_), Reading::Ksops) => (text.clone(), true),
        // KSOPS prints the number or boolean that YAML 1.1 reads, kustomize the one of 1.2: only where both print
        // what is written there is it clear what is meant.
        (Resolved::Bool(answer), Reading::Ksops) => (text.clone(), *text == answer.to_string()),
        (Resolved::Int(number), Reading::Ksops) => (text.clone(), *text == number.to_string()),
        (Resolved::Uint(number), Reading::Ksops) => (text.clone(), *text == number.to_string()),
        (Resolved::Float(number), Reading::Ksops) => (text.clone(), *text == number::format_g(number)),
        (Resolved::Null, Reading::Ksops) => (String::new(), true),
    };
    if !is_same_everywhere {
        let reason = "without quotes this means different things to different YAML readers";
        findings.error(GeneratorError::manifest(path, node.position, reason).hint("put it in quotes"));
        return None;
    }
    Some(text)
}

/// What YAML 1.1 and yaml.v2 take for a boolean and YAML 1.2 for text.
fn is_bool_of_yaml_1_1(text: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn what_it_is(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Mapping(..) => "a mapping",
        Kind::Sequence(..) => "a list",
        Kind::Scalar(..) => match resolve(node) {
            Ok(Resolved::Bool(_)) => "a boolean",
            Ok(Resolved::Float(_) | Resolved::Int(_) | Resolved::Uint(_)) => "a number",
            Ok(Resolved::Null) => "null",
            Ok(Resolved::Str(_) | Resolved::Timestamp(_)) | Err(_) => "text",
        },
    }
}

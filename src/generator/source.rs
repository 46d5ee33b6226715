//! Sources: what a manifest names, and what it decrypts to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::error::{FieldPath, GeneratorError, Sentence};
use super::fields::Findings;
use super::validate;
use crate::path::{PathError, SourcePath};
use crate::secret::{Secret, SecretSlice};
use crate::sops::store::Format;
use crate::sops::tree::{Item, Tree};
use crate::sops::{Cleartext, Redacted};
use crate::text::Printable;
use crate::yaml::Position;

/// A file that a manifest names.
pub(super) struct Source {
    /// Which file.
    pub path: SourcePath,
    /// The entry that names it.
    pub field: FieldPath,
    /// Where that entry stands in the manifest.
    pub position: Position,
}

/// A file that becomes one value of a Secret.
pub(super) struct KeyedSource {
    /// The key of the value.
    pub key: String,
    /// The file.
    pub source: Source,
}

/// What an entry `a=b=c` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManyEquals {
    /// Key `a`, path `b=c`.
    FirstSplits,
    /// Nothing: SopsSecretGenerator refuses it.
    Refused,
}

impl Source {
    /// Reads an entry that is a path.
    pub fn parse(entry: (FieldPath, Position, String), findings: &mut Findings) -> Option<Self> {
        let (field, position, text) = entry;
        source(&field, position, &text, findings)
    }
}

impl KeyedSource {
    /// Reads an entry that is a path or `key=path`. Without a key, it is the last component of the path.
    pub fn parse(entry: (FieldPath, Position, String), many: ManyEquals, findings: &mut Findings) -> Option<Self> {
        let (field, position, text) = entry;
        let Some((key, path)) = text.split_once('=') else {
            let source = source(&field, position, &text, findings)?;
            let key = source.path.base_name().to_owned();
            return Self::checked(key, source, findings);
        };
        if many == ManyEquals::Refused && path.contains('=') {
            let error = GeneratorError::manifest(&field, position, "more than one '=' in the entry");
            findings.error(error.hint("neither keys nor paths can hold '=' in this kind; rename the file"));
            return None;
        }
        if key.is_empty() {
            let error = GeneratorError::manifest(&field, position, "the key before '=' is empty");
            findings.error(error.hint("write key=path, or only the path to take the file's name as the key"));
            return None;
        }
        let source = source(&field, position, path, findings)?;
        Self::checked(key.to_owned(), source, findings)
    }

    fn checked(key: String, source: Source, findings: &mut Findings) -> Option<Self> {
        if let Err(rule) = validate::secret_key(&key) {
            let reason = Sentence::new("key ").name(&Printable::new(&key)).words(" ").words(rule);
            let error = GeneratorError::manifest(&source.field, source.position, reason);
            findings.error(error.hint("give the file a valid key: key=path"));
            return None;
        }
        Some(Self { key, source })
    }
}

/// Refuses a key that two entries make.
pub(super) fn check_same_key<'a>(sources: impl IntoIterator<Item = &'a KeyedSource>, findings: &mut Findings) {
    let mut first_by_key: BTreeMap<&str, &Source> = BTreeMap::new();
    for KeyedSource { key, source } in sources {
        let first = first_by_key.entry(key).or_insert(source);
        if !std::ptr::eq(*first, source) {
            let reason = Sentence::new("key ").name(&Printable::new(key)).words(" is made twice, first by ");
            let error = GeneratorError::manifest(&source.field, source.position, reason.field(&first.field));
            findings.error(error.hint("only one of the two would reach the cluster; rename one: key=path"));
        }
    }
}

fn source(field: &FieldPath, position: Position, text: &str, findings: &mut Findings) -> Option<Source> {
    match SourcePath::parse(text) {
        Ok(path) => Some(Source { path, field: field.clone(), position }),
        Err(rule) => {
            let error = GeneratorError::manifest(field, position, path_rule(rule));
            findings.error(match rule {
                PathError::Absolute => error.hint("write the path relative to the kustomization"),
                PathError::Empty | PathError::Nul | PathError::TooLong => error,
            });
            None
        }
    }
}

fn path_rule(rule: PathError) -> &'static str {
    match rule {
        PathError::Absolute => "absolute paths are not allowed",
        PathError::Empty => "the path is empty",
        PathError::Nul => "the path contains a NUL byte",
        PathError::TooLong => "the path is too long",
    }
}

/// The plaintext of a source.
pub(super) struct Opened<'a> {
    /// Which file.
    pub source: &'a Source,
    /// Its format.
    pub format: Format,
    /// Its tree.
    pub tree: &'a Tree,
    /// What `sops -d` prints for it.
    pub text: SecretSlice<'a>,
}

/// What a source becomes: it decides what can stand for it where it is redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Kubernetes objects.
    Manifest,
    /// One value of a Secret.
    Value,
    /// One value for each variable.
    Variables,
}

impl<'a> Opened<'a> {
    /// Takes what stands for the text of a file.
    pub fn redacted(source: &'a Source, redacted: &'a Redacted, purpose: Purpose) -> Result<Self, GeneratorError> {
        let text = match purpose {
            Purpose::Manifest => redacted.manifest_text(),
            Purpose::Value => redacted.text(),
            Purpose::Variables => super::redacted::variables(redacted),
        };
        let text = text.map_err(|rule| GeneratorError::content(&source.path, &source.field, rule))?;
        let text = Secret::new(Cow::Owned(text.into_exposed()));
        Ok(Self { source, format: redacted.format(), tree: redacted.tree(), text })
    }

    /// Takes the text of a decrypted file.
    pub fn new(source: &'a Source, cleartext: &'a Cleartext) -> Result<Self, GeneratorError> {
        let text = cleartext.text().map_err(|rule| GeneratorError::content(&source.path, &source.field, rule))?;
        Ok(Self { source, format: cleartext.format(), tree: cleartext.tree(), text })
    }

    /// An error of this file's content.
    pub fn error(&self, reason: impl Into<Sentence>) -> GeneratorError {
        GeneratorError::content(&self.source.path, &self.source.field, reason)
    }

    /// The names that stand unencrypted in the file and may therefore be printed: its top-level keys, as the dotenv
    /// dialects take them.
    pub fn public_names(&self) -> PublicNames<'a> {
        let mut names = BTreeSet::new();
        if self.format != Format::Binary {
            let items = self.tree.documents.iter().flat_map(|branch| &branch.items);
            for key in items.filter_map(|item| match item {
                Item::Entry(entry) => Some(entry.key.as_str()),
                Item::Comment(_) => None,
            }) {
                let name = key.split(':').next().unwrap_or(key).trim();
                let exported = name.strip_prefix("export").map_or(name, str::trim_start);
                names.extend([key, name, exported]);
            }
        }
        PublicNames(names)
    }
}

/// Names that may be printed.
pub(super) struct PublicNames<'a>(BTreeSet<&'a str>);

impl PublicNames<'_> {
    /// The name in printable form, if it is one of them.
    pub fn printable(&self, name: &[u8]) -> Option<Printable> {
        let name = std::str::from_utf8(name).ok()?;
        self.0.contains(name).then(|| Printable::new(name))
    }
}

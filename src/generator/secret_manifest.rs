//! A Kubernetes Secret under construction.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{Fault, FieldPath, GeneratorError, Sentence};
use super::metadata::{Behavior, Metadata};
use super::piece::{Piece, Resource};
use super::source::Source;
use super::validate;
use crate::limits;
use crate::secret::SecretBytes;
use crate::sops::placeholder::is_placeholder;
use crate::text::Printable;
use crate::yaml::writer::carries;
use crate::yaml::{CollectionStyle, Kind, Node, Position, ScalarStyle};

/// In which field of the Secret values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// All of them base64 in `data`.
    Data,
    /// Text in `stringData`, the rest in `data`.
    StringData,
}

/// A Secret with the values collected so far.
pub(super) struct SecretManifest<'a> {
    metadata: &'a Metadata,
    secret_type: Option<&'a str>,
    encoding: Encoding,
    entries: BTreeMap<String, Entry<'a>>,
}

struct Entry<'a> {
    value: SecretBytes,
    is_binary: bool,
    source: &'a Source,
}

impl<'a> SecretManifest<'a> {
    /// An empty one. In a merge all values go to `data`, since kustomize up to 5.8.1 merges nothing else.
    pub fn new(metadata: &'a Metadata, secret_type: Option<&'a str>, encoding: Encoding) -> Self {
        let is_merge = metadata.behavior == Some(Behavior::Merge);
        let encoding = if is_merge { Encoding::Data } else { encoding };
        Self { metadata, secret_type, encoding, entries: BTreeMap::new() }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// The key is there already. `printable` is the key where it may be printed.
    pub fn insert(
        &mut self,
        key: String,
        printable: Option<&Printable>,
        value: SecretBytes,
        is_binary: bool,
        source: &'a Source,
    ) -> Result<(), GeneratorError> {
        let Some(first) = self.entries.get(&key) else {
            self.entries.insert(key, Entry { value, is_binary, source });
            return Ok(());
        };
        let reason = match printable {
            Some(name) => Sentence::new("key ").name(name).words(" is made twice"),
            None => Sentence::new("a key is made twice"),
        };
        if first.source.field == source.field {
            let hint = "keep one of the two lines";
            return Err(GeneratorError::content(&source.path, &source.field, reason).hint(hint));
        }
        let reason = reason.words(", first by ").field(&first.source.field);
        let hint = "only one of the two would reach the cluster; rename or remove the other";
        Err(GeneratorError::manifest(&source.field, source.position, reason).hint(hint))
    }

    /// Checks what the API server would refuse, and writes the Secret.
    pub fn render(self, field: &FieldPath, origin: Sentence) -> Result<Piece<'static>, Vec<GeneratorError>> {
        let errors = self.check(field);
        if !errors.is_empty() {
            return Err(errors);
        }
        let Self { metadata, secret_type, encoding, entries } = self;
        let mut data = Vec::new();
        let mut string_data = Vec::new();
        for (key, entry) in entries {
            let is_text = encoding == Encoding::StringData && !entry.is_binary;
            match String::from_utf8(entry.value.into_exposed()) {
                Ok(text) if is_text && carries(&text) => string_data.push((string(&key), string(&text))),
                Ok(text) => data.push((string(&key), string(&STANDARD.encode(text)))),
                Err(bytes) => data.push((string(&key), string(&STANDARD.encode(bytes.as_bytes())))),
            }
        }
        let mut root = vec![
            (string("apiVersion"), string("v1")),
            (string("kind"), string("Secret")),
            (string("metadata"), metadata_node(metadata)),
        ];
        if let Some(secret_type) = secret_type {
            root.push((string("type"), string(secret_type)));
        }
        if !data.is_empty() {
            root.push((string("data"), mapping(data)));
        }
        if !string_data.is_empty() {
            root.push((string("stringData"), mapping(string_data)));
        }
        Ok(Piece::of_resource(Resource::of_secret(mapping(root), metadata, origin)))
    }

    fn check(&self, field: &FieldPath) -> Vec<GeneratorError> {
        let mut errors = Vec::new();
        let total: usize = self.entries.values().map(|entry| entry.value.expose().len()).sum();
        if total > limits::SECRET_BYTES {
            let reason = Sentence::new("the Secret's data are ").number(total).words(" bytes long; Kubernetes takes ");
            let reason = reason.number(limits::SECRET_BYTES);
            errors.push(GeneratorError::manifest(field, Position::default(), reason).fault(Fault::Content));
        }
        // A merge may hold a part of the keys; the rest is in the other one.
        if self.metadata.behavior != Some(Behavior::Merge) {
            errors.extend(self.check_type(&field.field("type")));
        }
        errors
    }

    /// The keys that Kubernetes' own types must have.
    fn check_type(&self, field: &FieldPath) -> Option<GeneratorError> {
        let needs = |reason: &'static str| Some(GeneratorError::manifest(field, Position::default(), reason));
        let has = |key: &str| self.entries.contains_key(key);
        match self.secret_type? {
            "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
                needs("kubernetes.io/basic-auth needs the key username or password")
            }
            "kubernetes.io/dockercfg" => {
                self.check_json(field, ".dockercfg", "kubernetes.io/dockercfg needs the key .dockercfg")
            }
            "kubernetes.io/dockerconfigjson" => self.check_json(
                field,
                ".dockerconfigjson",
                "kubernetes.io/dockerconfigjson needs the key .dockerconfigjson",
            ),
            "kubernetes.io/service-account-token"
                if self.metadata.annotations.get("kubernetes.io/service-account.name").is_none_or(String::is_empty) =>
            {
                needs("kubernetes.io/service-account-token needs the annotation kubernetes.io/service-account.name")
            }
            "kubernetes.io/ssh-auth" if !has("ssh-privatekey") => {
                needs("kubernetes.io/ssh-auth needs the key ssh-privatekey")
            }
            "kubernetes.io/tls" if !has("tls.crt") || !has("tls.key") => {
                needs("kubernetes.io/tls needs the keys tls.crt and tls.key")
            }
            _ => None,
        }
    }

    fn check_json(&self, field: &FieldPath, key: &str, missing: &'static str) -> Option<GeneratorError> {
        let Some(entry) = self.entries.get(key) else {
            return Some(GeneratorError::manifest(field, Position::default(), missing).hint("name the file: key=path"));
        };
        // What stands for a whole file in a redacted run gets its form when the run is finished (`redacted`).
        if validate::is_json_object(entry.value.expose()) || is_placeholder(entry.value.expose()) {
            return None;
        }
        let reason = "a Secret of this type needs a JSON object here, and this is none";
        Some(GeneratorError::content(&entry.source.path, &entry.source.field, reason))
    }
}

fn metadata_node(metadata: &Metadata) -> Node {
    let texts =
        |map: &BTreeMap<String, String>| mapping(map.iter().map(|(key, text)| (string(key), string(text))).collect());
    let mut pairs = vec![(string("name"), string(&metadata.name))];
    if let Some(namespace) = &metadata.namespace {
        pairs.push((string("namespace"), string(namespace)));
    }
    if !metadata.labels.is_empty() {
        pairs.push((string("labels"), texts(&metadata.labels)));
    }
    if !metadata.annotations.is_empty() {
        pairs.push((string("annotations"), texts(&metadata.annotations)));
    }
    mapping(pairs)
}

/// A string, whatever its text looks like: the writer drops the quotes only where every reader agrees.
fn string(text: &str) -> Node {
    Node { kind: Kind::Scalar(text.to_owned(), ScalarStyle::DoubleQuoted), ..Node::default() }
}

fn mapping(pairs: Vec<(Node, Node)>) -> Node {
    Node { kind: Kind::Mapping(pairs, CollectionStyle::Block), ..Node::default() }
}

//! A decrypted file that is a Kubernetes manifest itself (`files` of KSOPS): it goes out as it is, once it is known
//! that kustomize will neither drop, damage nor print it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::error::{Fault, GeneratorError, Sentence};
use super::fields::{is_merge, is_null};
use super::metadata::{BEHAVIOR, Behavior, LOCAL_CONFIG, NEEDS_HASH, check_for_kustomize};
use super::piece::{Piece, Resource, ResourceId};
use super::source::Opened;
use super::validate;
use crate::limits;
use crate::secret::{Secret, SecretSlice};
use crate::sops::store::Format;
use crate::yaml::resolve::{self, Resolved, resolve};
use crate::yaml::writer::carries;
use crate::yaml::{self, Document, Kind, Node, Position, ScalarStyle, YamlError};

/// Checks a decrypted manifest and takes it apart.
///
/// # Errors
/// Everything that is wrong with it, up to [`limits::ERRORS`]; only places are named, since names may have been
/// encrypted too.
pub(super) fn read<'a>(mut opened: Opened<'a>, origin: &Sentence) -> Result<Piece<'a>, Vec<GeneratorError>> {
    let text = std::mem::replace(&mut opened.text, Secret::new(Cow::Borrowed(&[])));
    let mut text = manifest_text(text, &opened).map_err(|error| vec![error])?;
    let mut reader = Reader { opened: &opened, origin, document: 0, errors: Vec::new(), resources: Vec::new() };
    let documents = match yaml::parse_text(&text) {
        Ok(documents) => documents,
        Err(YamlError::Syntax { rule, position }) => {
            let reason = Sentence::new("the decrypted text is not YAML: ").words(rule);
            return Err(vec![opened.error(reason).at(position)]);
        }
    };
    reader.separators(&text);
    for document in documents {
        reader.document(document);
    }
    let Reader { mut errors, resources, .. } = reader;
    if resources.is_empty() && errors.is_empty() {
        errors.push(opened.error("the decrypted file holds no Kubernetes object").fault(Fault::Manifest));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if !text.ends_with('\n') {
        text.to_mut().push('\n');
    }
    Ok(Piece { text: Secret::new(text), resources })
}

/// The text, which is not copied, as long as it may be.
fn manifest_text<'a>(text: SecretSlice<'a>, opened: &Opened<'_>) -> Result<Cow<'a, str>, GeneratorError> {
    let no_manifest = match opened.format {
        Format::Dotenv => Some("a dotenv file is no Kubernetes object"),
        Format::Ini => Some("an INI file is no Kubernetes object"),
        Format::Binary | Format::Json | Format::Yaml => None,
    };
    if let Some(reason) = no_manifest {
        let hint = "to make a Secret of it, name it under secretFrom: in envs (one key for each variable) or files";
        return Err(opened.error(reason).hint(hint));
    }
    let text = match text.into_exposed() {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.ok_or_else(|| opened.error("the decrypted file is no text, and no Kubernetes object"))
}

struct Reader<'a> {
    opened: &'a Opened<'a>,
    origin: &'a Sentence,
    /// Number of the document that is being read, from 1.
    document: usize,
    errors: Vec<GeneratorError>,
    resources: Vec<Resource>,
}

impl<'a> Reader<'a> {
    fn error(&mut self, position: Position, reason: impl Into<Sentence>) {
        self.error_with_hint(position, reason, None);
    }

    fn error_with_hint(&mut self, position: Position, reason: impl Into<Sentence>, hint: Option<&'static str>) {
        if self.errors.len() >= limits::ERRORS {
            return;
        }
        let error = self.opened.error(reason).at(position);
        self.errors.push(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }

    /// kustomize splits the text at lines that begin with `---`, and refuses (and prints) one with content behind it.
    /// It knows no directives.
    fn separators(&mut self, text: &str) {
        for (number, line) in (1u32..).zip(text.lines()) {
            let content = line.strip_prefix("---").map(str::trim_start).unwrap_or_default();
            if !content.is_empty() && !content.starts_with('#') {
                self.error(Position { line: number, column: 1 }, "only a comment may stand behind '---'");
            } else if line.starts_with('%') {
                self.error(Position { line: number, column: 1 }, "a YAML directive, which kustomize refuses");
            }
        }
    }

    fn document(&mut self, document: Document) {
        self.document += 1;
        let mut root = document.root;
        if !is_empty(&root) {
            self.check(&root);
            self.simplify(&mut root);
            self.object(root);
        }
    }

    /// Takes an object, or the items of a list (kustomize takes every kind that ends in `List` and has `items` apart).
    fn object(&mut self, mut object: Node) {
        let position = object.position;
        let Kind::Mapping(pairs, _) = &mut object.kind else {
            self.error(position, "a Kubernetes object must be a mapping");
            return;
        };
        if is_encrypted(pairs) {
            let hint = "it was encrypted twice; decrypt it once and commit the result";
            self.error_with_hint(position, "the object is still encrypted", Some(hint));
            return;
        }
        let kind = text(pairs, "kind");
        let is_list = kind.ends_with("List");
        if is_list && let Some((_, items)) = pairs.iter_mut().find(|(key, _)| is_text(key, "items")) {
            let items = std::mem::take(items);
            self.items(items);
            return;
        }
        let metadata = self.mapping(pairs, "metadata");
        let api_version = text(pairs, "apiVersion");
        let id = ResourceId { api_version, kind, namespace: text(metadata, "namespace"), name: text(metadata, "name") };
        let missing = [
            (&id.api_version, "the object has no apiVersion, or one that is not text"),
            (&id.kind, "the object has no kind, or one that is not text"),
            (&id.name, "the object has no metadata.name, or one that is not text"),
        ];
        for (value, reason) in missing.into_iter().take(if is_list { 2 } else { 3 }) {
            if value.is_empty() {
                self.error(position, reason);
            }
        }
        let (needs_hash, behavior) = self.annotations(metadata);
        let origin = self.origin.clone().words(", document ").number(self.document);
        self.resources.push(Resource { id, object, origin, public_name: None, needs_hash, behavior });
    }

    fn items(&mut self, items: Node) {
        match items.kind {
            Kind::Sequence(items, _) => {
                items.into_iter().filter(|item| !is_empty(item)).for_each(|item| self.object(item))
            }
            _ if is_null(&items) => {}
            _ => self.error(items.position, "the items of a list of objects must be a list"),
        }
    }

    fn annotations(&mut self, metadata: &[(Node, Node)]) -> (bool, Option<Behavior>) {
        let (mut needs_hash, mut behavior) = (false, None);
        let annotations = self.mapping(metadata, "annotations");
        for name in [BEHAVIOR, LOCAL_CONFIG, NEEDS_HASH] {
            let Some(value) = field(annotations, name) else { continue };
            // Quoted or not: kustomize takes the text of either.
            let Kind::Scalar(text, _) = &value.kind else {
                self.error(value.position, Sentence::new("the annotation ").words(name).words(" must be text"));
                continue;
            };
            match check_for_kustomize(name, text) {
                Err(rule) => {
                    let reason = Sentence::new("the annotation ").words(name).words(" ").words(rule);
                    self.error(value.position, reason);
                }
                Ok(()) if name == BEHAVIOR => behavior = Behavior::parse(text),
                Ok(()) if name == NEEDS_HASH => needs_hash = validate::parse_bool(text).unwrap_or_default(),
                Ok(()) => {}
            }
        }
        (needs_hash, behavior)
    }

    /// A field that must be a mapping where it is there: kustomize prints any other one in its error.
    fn mapping<'p>(&mut self, pairs: &'p [(Node, Node)], name: &'static str) -> &'p [(Node, Node)] {
        match field(pairs, name) {
            Some(Node { kind: Kind::Mapping(pairs, _), .. }) => return pairs,
            Some(other) if !is_null(other) => {
                self.error(other.position, Sentence::new(name).words(" must be a mapping"));
            }
            Some(_) | None => {}
        }
        &[]
    }

    /// Puts what it stands for in the place of what only YAML has: merge keys (sops prints them as `!!merge <<`) and
    /// `!!binary`.
    fn simplify(&mut self, node: &mut Node) {
        if node.tag.as_deref() == Some("!!binary")
            && let Some(text) = resolve::text(node)
        {
            node.kind = Kind::Scalar(text.into_owned(), ScalarStyle::DoubleQuoted);
            node.tag = None;
        }
        let pairs = match &mut node.kind {
            Kind::Mapping(pairs, _) => pairs,
            Kind::Sequence(elements, _) => return elements.iter_mut().for_each(|element| self.simplify(element)),
            Kind::Scalar(..) => return,
        };
        pairs.iter_mut().for_each(|(key, value)| {
            self.simplify(key);
            self.simplify(value);
        });
        let (merges, mut kept): (Vec<_>, Vec<_>) =
            std::mem::take(pairs).into_iter().partition(|(key, _)| is_merge(key));
        let mut names: BTreeSet<String> =
            if merges.is_empty() { BTreeSet::new() } else { kept.iter().map(name).collect() };
        for (_, value) in merges {
            let sources = match value.kind {
                Kind::Sequence(sources, _) => sources,
                Kind::Mapping(..) | Kind::Scalar(..) => vec![value],
            };
            for source in sources {
                match source.kind {
                    Kind::Mapping(merged, _) => kept.extend(merged.into_iter().filter(|pair| names.insert(name(pair)))),
                    _ => self.error(source.position, "'<<' must name a mapping"),
                }
            }
        }
        *pairs = kept;
    }

    /// Checks everything below a node. The reader bounds how deep that goes.
    fn check(&mut self, node: &Node) {
        match &node.kind {
            Kind::Mapping(pairs, _) => {
                let mut keys = BTreeSet::new();
                for (key, value) in pairs {
                    match &key.kind {
                        Kind::Scalar(name, _) if is_merge(key) || resolve::text(key).is_some() => {
                            if !keys.insert(name) {
                                self.error(key.position, "the key is there twice");
                            }
                            self.check_scalar(key);
                        }
                        _ => {
                            let hint = "put the key in quotes; kustomize would print the whole object in its error";
                            self.error_with_hint(key.position, "the key is not text", Some(hint));
                        }
                    }
                    self.check(value);
                }
            }
            Kind::Sequence(elements, _) => elements.iter().for_each(|element| self.check(element)),
            Kind::Scalar(..) => self.check_scalar(node),
        }
    }

    fn check_scalar(&mut self, node: &Node) {
        let text = match resolve(node) {
            Ok(Resolved::Str(_)) => resolve::text(node),
            Ok(Resolved::Float(float)) if !float.is_finite() => {
                return self.error(node.position, "a number that JSON, and with it Kubernetes, does not know");
            }
            Ok(_) => return,
            Err(rule) => return self.error(node.position, rule),
        };
        if text.as_deref().is_some_and(|text| text.starts_with("ENC[AES256_GCM,data:")) {
            self.error(node.position, "a value is still encrypted");
        }
        if !text.as_deref().is_some_and(carries) {
            let hint = "put the value base64-encoded under data, or make the Secret with secretFrom";
            let reason = "a text holds a character that kustomize damages or refuses";
            self.error_with_hint(node.position, reason, Some(hint));
        }
    }
}

/// What kustomize passes over: nothing, `{}` or `[]`.
fn is_empty(node: &Node) -> bool {
    match &node.kind {
        Kind::Mapping(pairs, _) => pairs.is_empty(),
        Kind::Sequence(elements, _) => elements.is_empty(),
        Kind::Scalar(..) => is_null(node),
    }
}

/// Whether it has the stanza of sops.
fn is_encrypted(pairs: &[(Node, Node)]) -> bool {
    field(pairs, "sops").is_some_and(|sops| match &sops.kind {
        Kind::Mapping(sops, _) => field(sops, "mac").is_some(),
        Kind::Sequence(..) | Kind::Scalar(..) => false,
    })
}

fn field<'a>(pairs: &'a [(Node, Node)], name: &str) -> Option<&'a Node> {
    pairs.iter().find(|(key, _)| is_text(key, name)).map(|(_, value)| value)
}

/// The text of a field; empty if it is none.
fn text(pairs: &[(Node, Node)], name: &str) -> String {
    field(pairs, name).and_then(resolve::text).unwrap_or_default().into_owned()
}

fn is_text(node: &Node, wanted: &str) -> bool {
    matches!(&node.kind, Kind::Scalar(text, _) if text == wanted)
}

/// The text of a key.
fn name(pair: &(Node, Node)) -> String {
    match &pair.0.kind {
        Kind::Scalar(text, _) => text.clone(),
        Kind::Mapping(..) | Kind::Sequence(..) => String::new(),
    }
}

//! The answer of a generator, in pieces that stand by themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::{FieldPath, GeneratorError, Sentence};
use super::metadata::{BEHAVIOR, Behavior, Metadata, NEEDS_HASH};
use super::validate::parse_bool;
use crate::secret::Secret;
use crate::text::Printable;
use crate::yaml::writer::write_manifest;
use crate::yaml::{Document, Kind, Node, Position, ScalarStyle};

/// Text that stands by itself as YAML documents, and the Kubernetes objects in it.
pub struct Piece<'a> {
    /// YAML without a `---` after it; ends in LF. It may be the very text of a decrypted file.
    pub text: Secret<Cow<'a, str>>,
    /// The objects in document order, lists taken apart as kustomize does. At least one.
    pub resources: Vec<Resource>,
}

/// One Kubernetes object. No `Debug`: it holds plaintext, even its name may be.
pub struct Resource {
    pub(super) id: ResourceId,
    pub(super) object: Node,
    pub(super) origin: Sentence,
    pub(super) public_name: Option<Printable>,
    pub(super) needs_hash: bool,
    pub(super) behavior: Option<Behavior>,
}

/// What makes two objects the same to kustomize and to the API server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceId {
    /// `v1`, `apps/v1`
    pub api_version: String,
    /// `Secret`
    pub kind: String,
    /// Empty where the object names none.
    pub namespace: String,
    /// `metadata.name`; empty for a list that is kept as it is.
    pub name: String,
}

/// What becomes of the annotations that ask kustomize for something (`needs-hash`, `behavior`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAnnotations {
    /// Nobody acts on them: they go.
    Drop,
    /// kustomize acts on them: they stay.
    Keep,
    /// A transformer's output, on which kustomize acts only through its own internal annotation.
    Translate,
}

impl Piece<'_> {
    /// A piece of one object that we wrote.
    pub(super) fn of_resource(resource: Resource) -> Piece<'static> {
        let text = resource.text(HostAnnotations::Keep).into_exposed();
        Piece { text: Secret::new(Cow::Owned(text)), resources: vec![resource] }
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Piece<'static> {
        let text = Cow::Owned(self.text.into_exposed().into_owned());
        Piece { text: Secret::new(text), resources: self.resources }
    }
}

impl Resource {
    /// A Secret made from a manifest.
    pub(super) fn of_secret(object: Node, metadata: &Metadata, origin: Sentence) -> Self {
        let id = ResourceId {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone(),
        };
        let public_name = Some(Printable::new(&format!("Secret/{}", metadata.name)));
        let needs_hash = metadata.needs_hash();
        Self { id, object, origin, public_name, needs_hash, behavior: metadata.behavior }
    }

    /// What identifies it.
    pub fn id(&self) -> &ResourceId {
        &self.id
    }

    /// Which generator made it, and from what; fit for a message.
    pub fn origin(&self) -> &str {
        self.origin.as_str()
    }

    /// Its content.
    pub fn object(&self) -> &Node {
        &self.object
    }

    /// Its own YAML, one document without `---`.
    pub fn text(&self, annotations: HostAnnotations) -> Secret<String> {
        Secret::new(text_of(self.object.clone(), annotations))
    }

    /// Whether it asks kustomize for a name with a hash.
    pub fn needs_hash(&self) -> bool {
        self.needs_hash
    }

    /// What it asks kustomize to do with one of the same name.
    pub fn behavior(&self) -> Option<Behavior> {
        self.behavior
    }
}

/// The YAML of an object, one document without `---`.
pub fn text_of(object: Node, annotations: HostAnnotations) -> String {
    write_manifest(&Document { root: for_host(object, annotations), ..Document::default() })
}

/// An object with the annotations that its host wants.
pub fn for_host(mut object: Node, annotations: HostAnnotations) -> Node {
    if annotations != HostAnnotations::Keep {
        rewrite_annotations(&mut object, annotations);
    }
    object
}

/// Joins pieces to one YAML stream, in order, as KSOPS does: with an empty line before `---`.
///
/// kustomize and Kubernetes cut a stream apart at `\n---`, so that without it the last value of a piece would lose its
/// final line break. A last value that keeps its line breaks (`|+`) would grow by one for readers that do not cut; a
/// comment line ends it for both.
pub fn join(pieces: Vec<Piece<'_>>) -> Secret<String> {
    // The objects go first: their memory is as large as the text, and serves for it.
    let mut texts: Vec<Cow<'_, str>> = pieces.into_iter().map(|piece| piece.text.into_exposed()).collect();
    if let [text] = texts.as_mut_slice() {
        return Secret::new(std::mem::take(text).into_owned());
    }
    let separator = |text: &str| if text.ends_with("\n\n") { "#\n---\n" } else { "\n---\n" };
    let mut stream = String::with_capacity(texts.iter().flat_map(|text| [text.len(), separator(text).len()]).sum());
    for text in &texts {
        if !stream.is_empty() {
            stream.push_str(separator(&stream));
        }
        stream.push_str(text);
    }
    Secret::new(stream)
}

/// Drops or translates the annotations that kustomize would act on in a generator's output.
fn rewrite_annotations(object: &mut Node, annotations: HostAnnotations) {
    let Some(metadata) = entries_of(object).and_then(|fields| value_of(fields, "metadata")) else { return };
    let Some(fields) = entries_of(metadata) else { return };
    let Some(entries) = value_of(fields, "annotations").and_then(entries_of) else { return };
    let asks_for_hash = |value: &Node| matches!(&value.kind, Kind::Scalar(text, _) if parse_bool(text) == Some(true));
    let needs_hash = entries.iter().any(|(key, value)| is_key(key, NEEDS_HASH) && asks_for_hash(value));
    entries.retain(|(key, _)| !is_key(key, NEEDS_HASH) && !is_key(key, BEHAVIOR));
    if needs_hash && annotations == HostAnnotations::Translate {
        let quoted =
            |text: &str| Node { kind: Kind::Scalar(text.to_owned(), ScalarStyle::DoubleQuoted), ..Node::default() };
        entries.push((quoted(NEEDS_HASH_SUFFIX), quoted("enabled")));
    }
    if entries.is_empty() {
        fields.retain(|(key, _)| !is_key(key, "annotations"));
    }
}

/// What kustomize itself makes of `needs-hash`; on the objects that a transformer adds, only this works.
const NEEDS_HASH_SUFFIX: &str = "internal.config.kubernetes.io/needsHashSuffix";

fn entries_of(node: &mut Node) -> Option<&mut Vec<(Node, Node)>> {
    match &mut node.kind {
        Kind::Mapping(entries, _) => Some(entries),
        _ => None,
    }
}

fn value_of<'a>(entries: &'a mut [(Node, Node)], name: &str) -> Option<&'a mut Node> {
    entries.iter_mut().find(|(key, _)| is_key(key, name)).map(|(_, value)| value)
}

fn is_key(key: &Node, name: &str) -> bool {
    matches!(&key.kind, Kind::Scalar(text, _) if text == name)
}

/// Checks that no object is made twice in a run: kustomize would refuse the stream, and a cluster would keep the last.
///
/// # Errors
/// One for each object that was there before. It names where both come from, never a name that was encrypted.
pub fn check_unique<'a>(pieces: impl IntoIterator<Item = &'a Piece<'a>>) -> Result<(), Vec<GeneratorError>> {
    let mut first_by_id = BTreeMap::new();
    let mut errors = Vec::new();
    for resource in pieces.into_iter().flat_map(|piece| &piece.resources) {
        let first: &mut &Resource = first_by_id.entry(resource.id.effective()).or_insert(resource);
        if std::ptr::eq(*first, resource) {
            continue;
        }
        let name = first.public_name.as_ref().or(resource.public_name.as_ref());
        let reason = match name {
            Some(name) => Sentence::new("").name(name).words(" is made twice: by "),
            None => Sentence::new("an object is made twice: by "),
        };
        let reason = reason.sentence(&first.origin).words(" and by ").sentence(&resource.origin);
        let error = GeneratorError::manifest(&FieldPath::default(), Position::default(), reason);
        errors.push(error.hint("only one of the two would reach the cluster; rename or remove the other"));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

impl ResourceId {
    /// With the namespace that kustomize takes for an empty one.
    fn effective(&self) -> (&str, &str, &str, &str) {
        let namespace = if self.namespace.is_empty() { "default" } else { self.namespace.as_str() };
        (&self.api_version, &self.kind, namespace, &self.name)
    }
}

//! Redacted manifests: what a generator makes of files with placeholders, and what makes the result fit to be looked
//! at, checked against schemas, and never applied.
//!
//! A [`RedactedPiece`] comes from the same code as a [`Piece`], but it is none: nothing that emits plaintext takes it.
//! [`finish`] goes over the objects of the whole answer, whoever made them: every value of a Secret becomes a placeholder,
//! in the form that its type asks for, and every object is marked.

mod certificate;
mod secrets;

use super::dotenv;
use super::error::GeneratorError;
use super::piece::{Piece, check_unique};
use crate::secret::SecretBytes;
use crate::sops::Redacted;
use crate::sops::store::Format;
use crate::yaml::writer::write_manifest;
use crate::yaml::{CollectionStyle, Document, Kind, Node, ScalarStyle};

/// Marks a redacted object; the value says how much of it was checked.
pub const MARK: &str = "unsops.dev/redacted";

/// A second mark, which no cluster takes: a blank in the key of an annotation is valid for every schema, but not for the
/// API server (k8s.io/apimachinery `ValidateAnnotations`).
pub const STOP: &str = "unsops.dev/do not apply";

/// What the second mark says to whoever meets it in an error.
const STOP_REASON: &str = "the values of this object are placeholders; render it with --reveal or unsops build";

/// What a redacted manifest is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// Without keys: what is inside encrypted values was not looked at.
    Keyless,
    /// Every source was decrypted and verified, and its content checked.
    Verified,
}

/// Objects that a generator made of redacted files.
pub struct RedactedPiece(Piece<'static>);

impl RedactedPiece {
    pub(super) fn of(mut piece: Piece<'static>) -> Self {
        for resource in &mut piece.resources {
            if secrets::is_secret(&resource.object) {
                secrets::encode(&mut resource.object);
            }
        }
        Self(piece)
    }

    /// The objects.
    pub fn into_objects(self) -> impl Iterator<Item = Node> {
        self.0.resources.into_iter().map(|resource| resource.object)
    }

    /// As [`check_unique`].
    ///
    /// # Errors
    /// As [`check_unique`].
    pub fn check_unique<'a>(pieces: impl IntoIterator<Item = &'a Self>) -> Result<(), Vec<GeneratorError>> {
        check_unique(pieces.into_iter().map(|piece| &piece.0))
    }
}

/// What stands for a file of variables (`envs`). In a binary file even the names are encrypted.
pub(super) fn variables(redacted: &Redacted) -> Result<SecretBytes, &'static str> {
    if redacted.format() != Format::Binary {
        return redacted.text();
    }
    let mut text = Vec::new();
    match redacted.cleartext() {
        Some(cleartext) => {
            let clear = cleartext.text()?;
            for variable in dotenv::parse(clear.expose()).map_err(|error| error.reason)? {
                text.extend_from_slice(&variable.key);
                text.push(b'=');
                text.extend_from_slice(redacted.seed().named(&variable.key).text().as_bytes());
                text.push(b'\n');
            }
        }
        None => {
            let placeholder = redacted.seed().text();
            text.extend_from_slice(format!("{}={placeholder}\n", placeholder.replace('-', "_")).as_bytes());
        }
    }
    Ok(SecretBytes::new(text))
}

/// Takes the values out of an object that no generator of this run made: only what is a placeholder from end to end
/// stays, since anyone may have written one into a value.
pub fn without_plain_values(mut object: Node) -> Node {
    let is_list = secrets::text_field(&object, "kind").is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(Node { kind: Kind::Sequence(items, _), .. }) = field_mut(&mut object, "items") {
        for item in items {
            *item = without_plain_values(std::mem::take(item));
        }
    } else if secrets::is_secret(&object) {
        secrets::redact_plain(&mut object);
    }
    object
}

/// Finishes the objects of an answer, and writes them as one YAML stream. `has_stop` says whether they get the mark that
/// no API server takes.
pub fn finish(objects: impl IntoIterator<Item = Node>, assurance: Assurance, has_stop: bool) -> String {
    let mut stream = String::new();
    for mut object in objects {
        redact(&mut object, assurance, has_stop);
        if !stream.is_empty() {
            stream.push_str("---\n");
        }
        stream.push_str(&write_manifest(&Document { root: object, ..Document::default() }));
    }
    stream
}

fn redact(object: &mut Node, assurance: Assurance, has_stop: bool) {
    let is_list = secrets::text_field(object, "kind").is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(Node { kind: Kind::Sequence(items, _), .. }) = field_mut(object, "items") {
        return items.iter_mut().for_each(|item| redact(item, assurance, has_stop));
    }
    if secrets::is_secret(object) {
        secrets::redact(object);
    }
    mark(object, assurance, has_stop);
}

/// Whether an object is marked as redacted.
pub fn is_redacted(object: &Node) -> bool {
    let annotations = super::field(object, "metadata").and_then(|metadata| super::field(metadata, "annotations"));
    annotations.is_some_and(|annotations| super::field(annotations, MARK).is_some())
}

fn mark(object: &mut Node, assurance: Assurance, has_stop: bool) {
    let Some(metadata) = mapping_mut(object, "metadata") else { return };
    let Some(annotations) = mapping_mut(metadata, "annotations") else { return };
    let level = match assurance {
        Assurance::Keyless => "keyless",
        Assurance::Verified => "verified",
    };
    set(annotations, MARK, string(level));
    if has_stop {
        set(annotations, STOP, string(STOP_REASON));
    }
}

/// The mapping in a field, made where there is none; `None` where the object is no mapping.
fn mapping_mut<'n>(object: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    if !matches!(super::field(object, name), Some(Node { kind: Kind::Mapping(..), .. })) {
        set(object, name, Node { kind: Kind::Mapping(Vec::new(), CollectionStyle::Block), ..Node::default() });
    }
    field_mut(object, name)
}

fn field_mut<'n>(object: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Kind::Mapping(pairs, _) = &mut object.kind else { return None };
    let is_wanted = |key: &Node| matches!(&key.kind, Kind::Scalar(text, _) if text == name);
    pairs.iter_mut().find(|(key, _)| is_wanted(key)).map(|(_, value)| value)
}

/// Sets a field of a mapping, in its place or at the end.
fn set(object: &mut Node, name: &str, value: Node) {
    if let Some(field) = field_mut(object, name) {
        *field = value;
    } else if let Kind::Mapping(pairs, style) = &mut object.kind {
        *style = CollectionStyle::Block;
        pairs.push((string(name), value));
    }
}

fn string(text: &str) -> Node {
    Node { kind: Kind::Scalar(text.to_owned(), ScalarStyle::DoubleQuoted), ..Node::default() }
}

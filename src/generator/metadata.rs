//! Names, labels and annotations that a manifest gives a Secret.

use std::collections::BTreeMap;

use super::error::{FieldPath, GeneratorError, Sentence};
use super::fields::{Fields, Findings};
use super::validate;
use crate::text::Printable;
use crate::yaml::Position;
use crate::yaml::writer::carries;

/// kustomize puts a hash of the content behind the name if this annotation is true.
pub(super) const NEEDS_HASH: &str = "kustomize.config.k8s.io/needs-hash";

/// What kustomize does if the resource exists already: see [`Behavior`].
pub(super) const BEHAVIOR: &str = "kustomize.config.k8s.io/behavior";

/// kustomize drops a resource that has this annotation with anything but `false`.
pub(super) const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// What a resource is to one of the same name that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// There must be none.
    Create,
    /// Its data are added to the other's.
    Merge,
    /// It takes the other's place.
    Replace,
}

impl Behavior {
    /// Reads kustomize's word for it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "create" => Some(Self::Create),
            "merge" => Some(Self::Merge),
            "replace" => Some(Self::Replace),
            _ => None,
        }
    }

    /// kustomize's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Merge => "merge",
            Self::Replace => "replace",
        }
    }
}

/// Metadata of a Secret that is made from a manifest: public, checked.
pub(super) struct Metadata {
    pub name: String,
    pub namespace: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub behavior: Option<Behavior>,
}

impl Metadata {
    /// Whether kustomize is asked for a name with a hash.
    pub fn needs_hash(&self) -> bool {
        self.annotations.get(NEEDS_HASH).and_then(|text| validate::parse_bool(text)).unwrap_or(false)
    }

    /// Reads `metadata`, which must have a name. `is_copied` tells which annotations go to the Secret.
    pub fn parse(
        parent: &mut Fields<'_>,
        reading: super::fields::Reading,
        is_copied: fn(&str) -> bool,
        findings: &mut Findings,
    ) -> Option<Self> {
        let path = parent.path("metadata");
        let Some(node) = parent.get("metadata", findings) else {
            findings.error(no_name(&path, parent.position));
            return None;
        };
        let mut fields = Fields::open(node, path, reading, findings)?;
        let name = fields.string("name", findings).filter(|name| !name.is_empty());
        let namespace = fields.string("namespace", findings).filter(|namespace| !namespace.is_empty());
        let labels = fields.string_map("labels", findings);
        let mut annotations = fields.string_map("annotations", findings);
        annotations.retain(|key, _| is_copied(key));
        let at = fields.position;
        match &name {
            Some(name) => check(&fields.path("name"), at, "", name, validate::name(name), findings),
            None => findings.error(no_name(fields.own_path(), at)),
        }
        if let Some(namespace) = &namespace {
            check(&fields.path("namespace"), at, "", namespace, validate::namespace(namespace), findings);
        }
        check_labels(&fields.path("labels"), &labels, findings);
        let behavior = check_annotations(&fields.path("annotations"), at, &annotations, findings);
        fields.finish(&["name", "namespace", "labels", "annotations"], findings);
        let texts = |map: BTreeMap<String, (String, Position)>| map.into_iter().map(|(key, (text, _))| (key, text));
        Some(Self {
            name: name?,
            namespace,
            labels: texts(labels).collect(),
            annotations: texts(annotations).collect(),
            behavior,
        })
    }
}

fn no_name(path: &FieldPath, position: Position) -> GeneratorError {
    GeneratorError::manifest(path, position, "the Secret has no name").hint("set metadata.name")
}

fn check(
    field: &FieldPath,
    at: Position,
    what: &'static str,
    text: &str,
    result: Result<(), &'static str>,
    findings: &mut Findings,
) {
    if let Err(rule) = result {
        let reason = Sentence::new(what).name(&Printable::new(text)).words(" ").words(rule);
        findings.error(GeneratorError::manifest(field, at, reason));
    }
}

fn check_labels(field: &FieldPath, labels: &BTreeMap<String, (String, Position)>, findings: &mut Findings) {
    for (key, (value, at)) in labels {
        check(field, *at, "key ", key, validate::qualified_name(key), findings);
        check(field, *at, "value ", value, validate::label_value(value), findings);
    }
}

fn check_annotations(
    field: &FieldPath,
    at: Position,
    annotations: &BTreeMap<String, (String, Position)>,
    findings: &mut Findings,
) -> Option<Behavior> {
    let mut behavior = None;
    for (key, (value, at)) in annotations {
        check(field, *at, "key ", key, validate::qualified_name(&key.to_ascii_lowercase()), findings);
        if !carries(value) {
            let reason =
                Sentence::new("").name(&Printable::new(key)).words(" holds a character that kustomize damages");
            findings.error(GeneratorError::manifest(field, *at, reason));
        }
        if let Err(rule) = check_for_kustomize(key, value) {
            let reason = Sentence::new("").name(&Printable::new(key)).words(" ").words(rule);
            findings.error(GeneratorError::manifest(field, *at, reason));
        } else if key == BEHAVIOR {
            behavior = Behavior::parse(value);
        }
    }
    let total: usize = annotations.iter().map(|(key, (value, _))| key.len() + value.len()).sum();
    if total > validate::ANNOTATION_BYTES {
        findings.error(GeneratorError::manifest(field, at, "all annotations together are longer than 262144 bytes"));
    }
    behavior
}

/// The annotations of an output resource that mean something to kustomize.
pub(super) fn check_for_kustomize(key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        NEEDS_HASH if validate::parse_bool(value).is_none() => Err("must be true or false"),
        BEHAVIOR if Behavior::parse(value).is_none() => Err("must be create, merge or replace"),
        LOCAL_CONFIG if value != "false" => Err("would make kustomize drop the resource without a word"),
        _ => Ok(()),
    }
}

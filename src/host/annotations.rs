//! Annotations that the hosts write and read.

use super::object::{Object, field, text};
use crate::yaml::{Kind, Node};

/// Asks kustomize for a name suffix made from the content. `true` in every spelling of Go's `strconv.ParseBool`.
pub const NEEDS_HASH: &str = "kustomize.config.k8s.io/needs-hash";

/// Asks kustomize to `create`, `merge` or `replace`.
pub const BEHAVIOR: &str = "kustomize.config.k8s.io/behavior";

/// What kustomize itself makes of [`NEEDS_HASH`]: with the value `enabled` it works on what transformers add, too.
pub const NEEDS_HASH_SUFFIX: &str = "internal.config.kubernetes.io/needsHashSuffix";

/// With any value but `false` kustomize and kpt take an object for configuration: it silently vanishes from the output.
pub const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

pub(super) const KUSTOMIZE_ID: &str = "kustomize.config.k8s.io/id";
pub(super) const PACKAGE_PATH: &str = "internal.config.kubernetes.io/package-path";
pub(super) const SEQUENCE_INDENT: &str = "internal.config.kubernetes.io/seqindent";
/// What an author writes to have a function run; of what [`is_injected`] names, this stays in a package.
pub(super) const DECLARATIONS: [&str; 3] =
    ["config.k8s.io/function", "config.kubernetes.io/container", "config.kubernetes.io/function"];
const INDEX: [&str; 2] = ["internal.config.kubernetes.io/index", "config.kubernetes.io/index"];
const PATH: [&str; 2] = ["internal.config.kubernetes.io/path", "config.kubernetes.io/path"];

/// What happens to [`NEEDS_HASH`] and [`BEHAVIOR`] of a generated Secret, before it is rendered to text.
///
/// The caller takes it from [`super::ResourceList::annotation_policy`] or [`super::Legacy::annotation_policy`]
/// ([`AnnotationPolicy::Drop`] where no kustomize follows) and changes each Secret's annotations accordingly:
///
/// | policy | `needs-hash: "true"` | `needs-hash: "false"` | `behavior` |
/// | --- | --- | --- | --- |
/// | `Drop` | dropped | dropped | dropped |
/// | `Keep` | kept | kept | kept |
/// | `Translate` | becomes [`NEEDS_HASH_SUFFIX`]`: enabled` | dropped | dropped |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationPolicy {
    /// kpt and the command line: nobody acts on them, and in a cluster they would only be noise.
    Drop,
    /// A kustomize generator: kustomize acts on them and removes them.
    Keep,
    /// A kustomize transformer: kustomize would not act on them and would leave them in the output. What a transformer
    /// adds is always created, so `merge` and `replace` cannot be had there.
    Translate,
}

/// Whether a host wrote an annotation for itself: never copied to what we create, removed before a MAC is computed.
pub fn is_injected(name: &str) -> bool {
    name.starts_with("internal.config.kubernetes.io/")
        || name.starts_with("internal.config.k8s.io/")
        || matches!(
            name,
            "alpha.config.kubernetes.io/transformations"
                | "config.k8s.io/function"
                | "config.k8s.io/id"
                | "config.kubernetes.io/container"
                | "config.kubernetes.io/function"
                | "config.kubernetes.io/index"
                | "config.kubernetes.io/origin"
                | "config.kubernetes.io/path"
                | "kustomize.config.k8s.io/id"
        )
}

/// The path of the file that an item was read from, as the host says, relative to its package.
pub(super) fn path(object: Object<'_>) -> Option<&str> {
    PATH.iter().find_map(|name| object.annotation(name))
}

/// The number of an item among the documents of its file.
pub(super) fn index(object: Object<'_>) -> Option<usize> {
    INDEX.iter().find_map(|name| object.annotation(name))?.parse().ok()
}

/// Removes annotations that `is_unwanted`, and with the last one `annotations`, and with that an empty `metadata`.
pub(super) fn strip(object: &mut Node, is_unwanted: impl Fn(&str) -> bool) {
    let Kind::Mapping(fields, _) = &mut object.kind else { return };
    let Some((_, metadata)) = fields.iter_mut().find(|(key, _)| text(key) == Some("metadata")) else { return };
    let Kind::Mapping(of_metadata, _) = &mut metadata.kind else { return };
    let Some((_, annotations)) = of_metadata.iter_mut().find(|(key, _)| text(key) == Some("annotations")) else {
        return;
    };
    let Kind::Mapping(entries, _) = &mut annotations.kind else { return };
    let before = entries.len();
    entries.retain(|(key, _)| !text(key).is_some_and(&is_unwanted));
    if !entries.is_empty() || before == 0 {
        return;
    }
    of_metadata.retain(|(key, _)| text(key) != Some("annotations"));
    if field(object, "metadata")
        .is_some_and(|metadata| matches!(&metadata.kind, Kind::Mapping(left, _) if left.is_empty()))
        && let Kind::Mapping(fields, _) = &mut object.kind
    {
        fields.retain(|(key, _)| text(key) != Some("metadata"));
    }
}

//! What a Kubernetes object says of itself. Whatever is not as expected counts as not said.

use super::HostError;
use crate::text::Printable;
use crate::yaml::{Kind, Node, ScalarStyle};

/// A node seen as a Kubernetes object.
#[derive(Clone, Copy)]
pub(super) struct Object<'n>(pub &'n Node);

impl<'n> Object<'n> {
    pub fn api_version(self) -> &'n str {
        field(self.0, "apiVersion").and_then(text).unwrap_or_default()
    }

    pub fn kind(self) -> &'n str {
        field(self.0, "kind").and_then(text).unwrap_or_default()
    }

    fn metadata(self, name: &str) -> Option<&'n Node> {
        field(field(self.0, "metadata")?, name)
    }

    pub fn annotation(self, name: &str) -> Option<&'n str> {
        field(self.metadata("annotations")?, name).and_then(text)
    }

    /// Whether a KRM runtime takes the object for a function call (kyaml `runtimeutil.GetFunctionSpec`).
    pub fn is_function(self) -> bool {
        ["config.kubernetes.io/function", "config.k8s.io/function", "config.kubernetes.io/container"]
            .iter()
            .any(|name| self.annotation(name).is_some())
            || self.metadata("configFn").is_some()
    }

    /// Whether both are the same object of a cluster.
    pub fn has_id_of(self, other: Self) -> bool {
        let id = |object: Self| {
            let name = |name| object.metadata(name).and_then(text).unwrap_or_default();
            (object.api_version(), object.kind(), name("namespace"), name("name"))
        };
        id(self) == id(other)
    }

    pub fn is(self, is_ours: &dyn Fn(&str, &str) -> bool) -> bool {
        is_ours(self.api_version(), self.kind())
    }

    pub fn unknown_kind(self) -> HostError {
        HostError::UnknownKind {
            api_version: Printable::new(self.api_version()),
            kind: Printable::new(self.kind()),
            position: self.0.position,
        }
    }
}

/// The value of a mapping's field; the first, if it is there twice.
pub(super) fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    pairs.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

/// The text of a scalar.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(text, _) => Some(text),
        _ => None,
    }
}

/// Nothing, `~` or `null`.
pub(super) fn is_null(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(text, ScalarStyle::Plain) => {
            node.tag.as_deref().is_none_or(|tag| tag == "!!null")
                && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        }
        _ => false,
    }
}

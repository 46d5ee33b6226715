//! Two sets of Kubernetes objects: their Secrets, matched by name and compared.

use std::collections::BTreeMap;

use crate::diff::{DigestKey, FileDiff, Snapshot, compare};
use crate::generator::is_redacted;
use crate::text::Printable;
use crate::yaml::{Kind, Node};

/// Characters that kustomize's hashes are made of, and how many there are (`api/hasher`).
const HASH_CHARACTERS: &str = "bcdfghkmt2456789";
const HASH_LENGTH: usize = 10;

/// A Secret by namespace and name.
struct Named {
    namespace: String,
    name: String,
    node: Node,
}

/// The Secrets among objects; lists are taken apart.
pub(super) fn secrets(objects: Vec<Node>) -> Vec<Node> {
    let mut found = Vec::new();
    let mut open = objects;
    while let Some(mut object) = open.pop() {
        let kind = text(&object, "kind").unwrap_or_default().to_owned();
        if kind.ends_with("List")
            && let Kind::Mapping(pairs, _) = &mut object.kind
            && let Some((_, items)) = pairs.iter_mut().find(|(key, _)| is_text(key, "items"))
            && let Kind::Sequence(items, _) = &mut items.kind
        {
            open.append(items);
        } else if kind == "Secret" {
            found.push(object);
        }
    }
    found
}

/// Compares Secrets. `live` says on which side everything else of the cluster may be: there, what the other side does not
/// have is not looked at.
pub(super) fn compare_secrets(before: Vec<Node>, after: Vec<Node>, live: Live, key: &DigestKey) -> Vec<FileDiff> {
    let (before, mut after) = (named(before), named(after));
    let mut pairs: BTreeMap<String, (Option<Node>, Option<Node>)> = BTreeMap::new();
    for old in before {
        let found = best(&old, &after);
        let new = found.map(|at| after.swap_remove(at).node);
        if new.is_some() || live != Live::Before {
            let title = title(&old);
            pairs.insert(title, (Some(old.node), new));
        }
    }
    if live != Live::After {
        pairs.extend(after.into_iter().map(|new| (title(&new), (None, Some(new.node)))));
    }
    let snapshot = |node: Option<Node>| node.map(|node| Snapshot::of_secret(&node, is_redacted(&node), key));
    pairs
        .into_iter()
        .map(|(title, (before, after))| compare(Printable::new(&title), snapshot(before), snapshot(after)))
        .collect()
}

/// Which side comes from a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    After,
    Before,
    Neither,
}

fn named(secrets: Vec<Node>) -> Vec<Named> {
    let of = |node: Node| {
        let metadata = field(&node, "metadata");
        let part = |name| metadata.and_then(|metadata| text(metadata, name)).unwrap_or_default().to_owned();
        Named { namespace: part("namespace"), name: part("name"), node }
    };
    secrets.into_iter().map(of).collect()
}

fn title(secret: &Named) -> String {
    match secret.namespace.as_str() {
        "" => format!("Secret {}", secret.name),
        namespace => format!("Secret {namespace}/{}", secret.name),
    }
}

/// The Secret that this one is on the other side: of the same name, or of the same name but for kustomize's hash, of
/// several the one created last. A namespace that is not named may be any.
fn best(secret: &Named, others: &[Named]) -> Option<usize> {
    let in_namespace = |other: &Named| {
        other.namespace == secret.namespace || other.namespace.is_empty() || secret.namespace.is_empty()
    };
    let candidates = || others.iter().enumerate().filter(|(_, other)| in_namespace(other));
    if let Some((at, _)) = candidates().find(|(_, other)| other.name == secret.name) {
        return Some(at);
    }
    let base = without_hash(&secret.name);
    let is_same = |other: &Named| {
        let other_base = without_hash(&other.name);
        (base.is_some() || other_base.is_some()) && base.unwrap_or(&secret.name) == other_base.unwrap_or(&other.name)
    };
    candidates().filter(|(_, other)| is_same(other)).max_by_key(|(_, other)| created(&other.node)).map(|(at, _)| at)
}

/// The name before kustomize's hash, if it ends in what may be one.
fn without_hash(name: &str) -> Option<&str> {
    let (base, hash) = name.rsplit_once('-')?;
    (hash.len() == HASH_LENGTH && hash.chars().all(|c| HASH_CHARACTERS.contains(c))).then_some(base)
}

fn created(node: &Node) -> String {
    field(node, "metadata").and_then(|metadata| text(metadata, "creationTimestamp")).unwrap_or_default().to_owned()
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    pairs.iter().find(|(key, _)| is_text(key, name)).map(|(_, value)| value)
}

fn text<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    match &field(node, name)?.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::Mapping(..) | Kind::Sequence(..) => None,
    }
}

fn is_text(node: &Node, wanted: &str) -> bool {
    matches!(&node.kind, Kind::Scalar(text, _) if text == wanted)
}

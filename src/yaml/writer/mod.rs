//! Nodes to text, in two profiles.
//!
//! `yaml_v3` prints what go.yaml.in/yaml/v3 prints, since name hashes of Secrets depend on these bytes; `scalar` holds
//! that library's rules for a single scalar and `value` its way from Go values to nodes. `manifest` prints what we
//! build ourselves, for readers of any YAML version.

mod manifest;
mod scalar;
mod value;
mod yaml_v3;

pub use manifest::{carries, write_manifest};
pub use yaml_v3::write_like_sops;

use super::{Kind, Node};

/// The size of the output in bytes, about: growing would leave copies of plaintext behind until they are wiped.
fn estimate<'n>(roots: impl IntoIterator<Item = &'n Node>, indent: usize) -> usize {
    const PUNCTUATION: usize = 8;
    let mut bytes = 0;
    let mut open: Vec<(&Node, usize)> = roots.into_iter().map(|root| (root, 0)).collect();
    while let Some((node, margin)) = open.pop() {
        let inner = margin + indent;
        bytes += margin + PUNCTUATION;
        bytes += node.comments.as_ref().map_or(0, |c| c.head.len() + c.line.len() + c.foot.len());
        match &node.kind {
            Kind::Mapping(entries, _) => open.extend(entries.iter().flat_map(|(k, v)| [(k, inner), (v, inner)])),
            Kind::Scalar(text, _) => bytes += text.len() + text.matches('\n').count() * inner,
            Kind::Sequence(items, _) => open.extend(items.iter().map(|item| (item, inner))),
        }
    }
    bytes
}

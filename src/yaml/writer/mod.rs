//! Nodes to text, in two profiles.
//!
//! `yaml_v3` prints what go.yaml.in/yaml/v3 prints, since name hashes of Secrets depend on these bytes; `scalar` holds
//! that library's rules for a single scalar and `value` its way from Go values to nodes. `manifest` prints what we
//! build ourselves, for readers of any YAML version.

mod manifest;
#[cfg(test)]
mod sample;
mod scalar;
mod value;
mod yaml_v3;

pub use manifest::{carries, write_manifest};
pub use yaml_v3::write_like_sops;

use super::{Kind, Node};
use crate::limits;

/// The size of what is printed for these nodes, in bytes, about: escapes may make a text up to four times as long.
///
/// Deep indentation makes much out of little: ask before printing what came from outside.
pub fn printed_size<'n>(roots: impl IntoIterator<Item = &'n Node>, indent: usize) -> usize {
    const PUNCTUATION: usize = 8;
    let mut bytes = 0_usize;
    let mut open: Vec<(&Node, usize)> = roots.into_iter().map(|root| (root, 0)).collect();
    while let Some((node, margin)) = open.pop() {
        let inner = margin + indent;
        bytes = bytes.saturating_add(margin + PUNCTUATION);
        if let Some(comments) = &node.comments {
            for comment in [&comments.head, &comments.line, &comments.foot] {
                bytes = bytes.saturating_add(comment.len());
            }
        }
        match &node.kind {
            Kind::Mapping(entries, _) => open.extend(entries.iter().flat_map(|(k, v)| [(k, inner), (v, inner)])),
            Kind::Scalar(text, _) => {
                let breaks = text.matches('\n').count();
                bytes = bytes.saturating_add(text.len()).saturating_add(breaks.saturating_mul(inner));
            }
            Kind::Sequence(items, _) => open.extend(items.iter().map(|item| (item, inner))),
        }
    }
    bytes
}

/// A text of about that size that need not grow: growing leaves copies of plaintext behind until they are wiped.
fn text_of_size(bytes: usize) -> String {
    String::with_capacity(bytes.min(limits::DECRYPTED_BYTES))
}

#[cfg(test)]
mod tests {
    use super::sample::{document, list, literal, map, plain};
    use super::*;

    #[test]
    fn the_estimate_is_no_less_than_what_is_printed_and_not_much_more() {
        let mut deep = literal("a\nb\nc\n");
        for _ in 0..40 {
            deep = map(vec![(plain("key"), list(vec![deep, plain("x").line("# comment")]))]);
        }
        let wide = list((0..500).map(|number| plain(&number.to_string()).head("# head").foot("# foot")).collect());
        for root in [deep, wide, plain("x")] {
            let size = printed_size([&root], 4);
            let text = write_like_sops(&[document(root)], 4);
            assert!((text.len()..=4 * text.len() + 16).contains(&size), "{size} for {}", text.len());
            assert!(text_of_size(size).capacity() >= text.len());
        }
    }
}

//! Fields of mappings, read tolerantly.

use super::resolve::{Resolved, resolve};
use super::{Kind, Node, ScalarStyle};

/// Keys and values of a mapping, then those that `<<` merges in; nothing where the node is no mapping. Keys that are no
/// scalars are left out. A key may come twice.
pub fn entries(node: &Node) -> impl Iterator<Item = (&str, &Node, &Node)> {
    let own = pairs(node);
    let merged = pairs(node).iter().filter(|(key, _)| is_merge(key)).flat_map(|(_, value)| match &value.kind {
        Kind::Sequence(items, _) => items.as_slice(),
        _ => std::slice::from_ref(value),
    });
    own.iter().filter(|(key, _)| !is_merge(key)).chain(merged.flat_map(pairs)).filter_map(|(key, value)| {
        match &key.kind {
            Kind::Scalar(name, _) => Some((name.as_str(), key, value)),
            _ => None,
        }
    })
}

/// The value of a field by its exact name, the first where there are several.
pub fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    entries(node).find(|(key, ..)| *key == name).map(|(.., value)| value)
}

/// The text of a scalar field that is not null.
pub fn text<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    text_node(node, name).map(|(text, _)| text)
}

/// The text of a scalar field that is not null, and its node.
pub fn text_node<'a>(node: &'a Node, name: &str) -> Option<(&'a str, &'a Node)> {
    let value = field(node, name)?;
    scalar(value).map(|text| (text, value))
}

/// The text of a scalar that is not null.
pub fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(text, _) if !is_null(node) => Some(text),
        _ => None,
    }
}

/// The elements of a sequence; nothing for anything else.
pub fn elements(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Sequence(items, _) => items,
        _ => &[],
    }
}

/// Whether a node stands for nothing.
pub fn is_null(node: &Node) -> bool {
    matches!(node.kind, Kind::Scalar(..)) && matches!(resolve(node), Ok(Resolved::Null))
}

fn pairs(node: &Node) -> &[(Node, Node)] {
    match &node.kind {
        Kind::Mapping(pairs, _) => pairs,
        _ => &[],
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, Kind::Scalar(text, ScalarStyle::Plain) if text == "<<")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn root(text: &str) -> Node {
        let mut documents = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        documents.swap_remove(0).root
    }

    #[test]
    fn own_fields_come_before_those_that_are_merged_in() {
        let root = root("x: &x {a: 1, b: 2}\ny: {<<: [*x, {c: 3}], d: 4, [k]: 5, '<<': 6}\nz: {<<: *x}\n");
        let names = |name| {
            let fields = field(&root, name).expect("it is there");
            entries(fields).map(|(key, ..)| key).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((names("y").as_str(), names("z").as_str()), ("d << a b c", "a b"));
    }

    #[test]
    fn null_is_no_text() {
        let root = root("a: ~\nb: ''\nc: [d]\n");
        assert_eq!([text(&root, "a"), text(&root, "b"), text(&root, "c")], [None, Some(""), None]);
    }
}

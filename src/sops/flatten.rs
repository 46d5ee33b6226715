//! Metadata of formats without nesting: `pgp__list_0__map_enc` stands for `pgp: [{enc: …}]`.
//!
//! Source: getsops/sops v3.13, `stores/flatten.go`. Stricter than Go where no release differs: a list index is
//! plain digits.

use std::collections::BTreeMap;

use super::SopsError;
use super::tree::{Branch, Entry, Item, Value};
use crate::limits;
use crate::text::Printable;
use crate::yaml::Position;

const MAP: &str = "__map_";
const LIST: &str = "__list_";

/// Deepest path: `key_groups`, index, `kms`, index, `context`, key make six.
const DEPTH: usize = 16;

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Index(usize),
    Key(&'a str),
}

/// A path that is not one, in fixed words.
type Broken = &'static str;

/// What the lines read so far put at one path.
enum Node {
    Empty,
    Leaf(Entry),
    List(BTreeMap<usize, Node>),
    Map(BTreeMap<String, Node>),
}

/// Rebuilds the nested mapping from its flattened entries; their order does not matter.
///
/// # Errors
/// [`SopsError::Format`]: a path given twice, one that is both value and container, a list with gaps, a list
/// index that is not a number, too many or too deep entries.
pub(super) fn unflatten(entries: Vec<Entry>) -> Result<Branch, SopsError> {
    if entries.len() > limits::METADATA_ENTRIES {
        let reason = format!("the sops metadata has more than {} entries", limits::METADATA_ENTRIES);
        return Err(SopsError::Format { reason, position: None, path: None });
    }
    let mut root = BTreeMap::new();
    for entry in entries {
        let (key, position) = (entry.key.clone(), entry.position);
        tokenize(&key)
            .and_then(|path| place(&mut root, &path, entry))
            .map_err(|reason| broken(reason, &key, position))?;
    }
    rebuild_map(root).map_err(|(name, reason)| broken(reason, &name, Position::default()))
}

/// Splits a flattened key wherever a separator stands; there is no escaping.
fn tokenize(path: &str) -> Result<Vec<Token<'_>>, Broken> {
    let mut tokens = Vec::new();
    let mut rest = path;
    let mut is_index = false;
    loop {
        if tokens.len() == DEPTH {
            return Err("nested too deeply");
        }
        let next = match (rest.find(MAP), rest.find(LIST)) {
            (Some(map), Some(list)) => Some(map.min(list)),
            (map, list) => map.or(list),
        };
        let (component, separator) = rest.split_at(next.unwrap_or(rest.len()));
        tokens.push(if is_index { Token::Index(index(component)?) } else { Token::Key(component) });
        if let Some(after) = separator.strip_prefix(MAP) {
            (rest, is_index) = (after, false);
        } else if let Some(after) = separator.strip_prefix(LIST) {
            (rest, is_index) = (after, true);
        } else {
            return Ok(tokens);
        }
    }
}

fn index(digits: &str) -> Result<usize, Broken> {
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten().ok_or("the list index is not a number")
}

/// Puts a value where its path leads.
fn place(root: &mut BTreeMap<String, Node>, path: &[Token<'_>], entry: Entry) -> Result<(), Broken> {
    const MISMATCH: Broken = "both a value and a mapping or list (type mismatch)";
    let Some((Token::Key(first), path)) = path.split_first() else {
        return Err(MISMATCH);
    };
    let mut node = root.entry((*first).to_owned()).or_insert(Node::Empty);
    for token in path {
        node = match token {
            Token::Index(index) => {
                if matches!(node, Node::Empty) {
                    *node = Node::List(BTreeMap::new());
                }
                let Node::List(list) = node else { return Err(MISMATCH) };
                list.entry(*index).or_insert(Node::Empty)
            }
            Token::Key(key) => {
                if matches!(node, Node::Empty) {
                    *node = Node::Map(BTreeMap::new());
                }
                let Node::Map(map) = node else { return Err(MISMATCH) };
                map.entry((*key).to_owned()).or_insert(Node::Empty)
            }
        };
    }
    match node {
        Node::Empty => {
            *node = Node::Leaf(entry);
            Ok(())
        }
        Node::Leaf(_) => Err("written twice (duplicate value)"),
        Node::List(_) | Node::Map(_) => Err(MISMATCH),
    }
}

/// Turns nodes into a mapping; an error comes with the key below which it lies.
fn rebuild_map(nodes: BTreeMap<String, Node>) -> Result<Branch, (String, Broken)> {
    let mut items = Vec::with_capacity(nodes.len());
    for (key, node) in nodes {
        match rebuild(node) {
            Ok((value, position)) => items.push(Item::Entry(Entry { key, value, position })),
            Err(reason) => return Err((key, reason)),
        }
    }
    Ok(Branch { items })
}

/// Turns a node into a value with the place of its first line.
fn rebuild(node: Node) -> Result<(Value, Position), Broken> {
    match node {
        Node::Empty => Ok((Value::Null, Position::default())),
        Node::Leaf(entry) => Ok((entry.value, entry.position)),
        Node::List(nodes) => {
            let mut position = Position::default();
            let mut list = Vec::with_capacity(nodes.len());
            for (expected, (index, node)) in nodes.into_iter().enumerate() {
                if index != expected {
                    return Err("a list has gaps (incomplete list)");
                }
                let (value, at) = rebuild(node)?;
                if index == 0 {
                    position = at;
                }
                list.push(value);
            }
            Ok((Value::List(list), position))
        }
        Node::Map(nodes) => {
            let branch = rebuild_map(nodes).map_err(|(_, reason)| reason)?;
            let position = match branch.items.first() {
                Some(Item::Entry(entry)) => entry.position,
                _ => Position::default(),
            };
            Ok((Value::Branch(branch), position))
        }
    }
}

fn broken(reason: Broken, key: &str, position: Position) -> SopsError {
    let reason = format!("sops metadata {}: {reason}", Printable::new(key));
    SopsError::Format { reason, position: Some(position), path: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, line: u32) -> Entry {
        Entry { key: key.to_owned(), value: Value::Str("x".into()), position: Position { line, column: 1 } }
    }

    #[test]
    fn takes_as_many_entries_as_the_bound_and_no_more() {
        let entries = |count: usize| (0..count).map(|number| entry(&format!("a{number}"), 1)).collect::<Vec<_>>();
        assert!(unflatten(entries(limits::METADATA_ENTRIES)).is_ok());
        assert!(unflatten(entries(limits::METADATA_ENTRIES + 1)).is_err());
    }

    #[test]
    fn an_index_is_plain_digits() {
        assert!(unflatten(vec![entry("a__list_0", 1)]).is_ok());
        for index in ["", "+0", "-0", " 0", "0x0", "0__map_", "99999999999999999999"] {
            let path = format!("a__list_{index}__list_0");
            let is_mapping = index == "0__map_";
            assert_eq!(unflatten(vec![entry(&path, 1)]).is_ok(), is_mapping, "{path}");
        }
    }

    #[test]
    fn a_collection_stands_where_its_first_line_does() {
        let lines = vec![entry("a__list_1__map_b", 7), entry("a__list_0__map_c", 5), entry("a__list_0__map_b", 3)];
        let branch = unflatten(lines).unwrap_or_else(|error| panic!("{error}"));
        let Some(Item::Entry(Entry { position, value: Value::List(list), .. })) = branch.items.first() else {
            panic!("a list")
        };
        assert_eq!((position.line, list.len()), (3, 2));
    }
}

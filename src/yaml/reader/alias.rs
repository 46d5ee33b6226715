//! Aliases to copies of what they stand for, within a budget.
//!
//! Nodes are known by their number in the order in which they begin. Anchors cost nothing until an alias uses them:
//! one walk finds the nodes that are used, each alias then copies its own, and a second walk puts the copies in place.

use std::collections::HashMap;
use std::slice;

use super::YamlError;
use crate::limits;
use crate::yaml::{Comments, Document, Kind, Node, Position};

/// An alias in the stream.
pub(super) struct Alias {
    /// Its number as a node; a scalar without text holds its place.
    pub number: usize,
    /// Number of the node that it stands for, which ends before the alias.
    pub target: usize,
    /// Collections around it.
    pub depth: usize,
    pub position: Position,
}

/// Replaces the placeholders of all aliases, which come in order.
///
/// # Errors
/// The copies exceed [`limits::ALIAS_NODES`], [`limits::ALIAS_BYTES`], or lie deeper than [`limits::NESTING`].
pub(super) fn expand(documents: &mut [Document], aliases: &[Alias]) -> Result<(), YamlError> {
    if aliases.is_empty() {
        return Ok(());
    }
    let mut copies = Vec::with_capacity(aliases.len());
    let mut copier = Copier { aliases, targets: find_targets(documents, aliases), nodes: 0, bytes: 0 };
    for alias in aliases {
        copies.push(copier.copy(alias)?);
    }
    put_in_place(documents, aliases, copies);
    Ok(())
}

fn find_targets<'a>(documents: &'a [Document], aliases: &[Alias]) -> HashMap<usize, &'a Node> {
    let mut wanted: Vec<usize> = aliases.iter().map(|alias| alias.target).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut wanted = wanted.into_iter().peekable();
    let mut targets = HashMap::new();
    let mut number = 0;
    for document in documents {
        let mut walk = vec![Children::Items(slice::from_ref(&document.root).iter())];
        while let Some(children) = walk.last_mut() {
            let Some(node) = children.next() else {
                walk.pop();
                continue;
            };
            if wanted.next_if_eq(&number).is_some() {
                targets.insert(number, node);
            }
            number += 1;
            walk.push(Children::of(node));
        }
    }
    targets
}

/// Keys and values, or elements, of a node in order.
enum Children<'a> {
    Items(slice::Iter<'a, Node>),
    Pairs(slice::Iter<'a, (Node, Node)>, Option<&'a Node>),
}

impl<'a> Children<'a> {
    fn of(node: &'a Node) -> Self {
        match &node.kind {
            Kind::Mapping(pairs, _) => Self::Pairs(pairs.iter(), None),
            Kind::Sequence(items, _) => Self::Items(items.iter()),
            Kind::Scalar(..) => Self::Items([].iter()),
        }
    }

    fn next(&mut self) -> Option<&'a Node> {
        match self {
            Self::Items(items) => items.next(),
            Self::Pairs(pairs, value) => value.take().or_else(|| {
                let (key, next_value) = pairs.next()?;
                *value = Some(next_value);
                Some(key)
            }),
        }
    }
}

struct Copier<'a> {
    aliases: &'a [Alias],
    targets: HashMap<usize, &'a Node>,
    nodes: usize,
    bytes: usize,
}

/// A node that is being copied.
struct Copying<'a> {
    copy: Node,
    children: Children<'a>,
    key: Option<Node>,
    /// Number of the next node at this place of the stream, where the copy has left off for an alias.
    resume_at: Option<usize>,
}

impl<'a> Copier<'a> {
    /// Copies what an alias stands for, aliases inside of it included.
    fn copy(&mut self, alias: &Alias) -> Result<Node, YamlError> {
        let mut stack: Vec<Copying<'a>> = Vec::new();
        let mut next = (self.target(alias)?, alias.target);
        let mut resume_at = None;
        // Of an alias inside the copy, the node that holds its place.
        let mut placeholder: Option<&Node> = None;
        loop {
            let (node, number) = next;
            let alias_comments = placeholder.map(|placeholder| placeholder.comments.clone().unwrap_or_default());
            self.charge(node, alias_comments.as_deref(), alias)?;
            let is_collection = !matches!(node.kind, Kind::Scalar(..));
            if alias.depth + stack.len() + usize::from(is_collection) > limits::NESTING {
                return Err(alias.error("an alias nests too deeply"));
            }
            let copy = Node {
                kind: match &node.kind {
                    Kind::Mapping(_, style) => Kind::Mapping(Vec::new(), *style),
                    Kind::Sequence(_, style) => Kind::Sequence(Vec::new(), *style),
                    Kind::Scalar(text, style) => Kind::Scalar(text.clone(), *style),
                },
                tag: node.tag.clone(),
                comments: node.comments.clone(),
                alias_comments,
                position: placeholder.unwrap_or(node).position,
                offset: placeholder.unwrap_or(node).offset,
            };
            placeholder = None;
            stack.push(Copying { copy, children: Children::of(node), key: None, resume_at: resume_at.take() });

            // The next node to copy is the next child of the innermost that has any left.
            let mut following = number + 1;
            next = loop {
                let Some(top) = stack.last_mut() else {
                    return Err(alias.error("an alias without its anchor"));
                };
                if let Some(child) = top.children.next() {
                    match self.aliases.binary_search_by_key(&following, |inner| inner.number) {
                        Ok(place) => {
                            let Some(inner) = self.aliases.get(place) else {
                                return Err(alias.error("an alias without its anchor"));
                            };
                            resume_at = Some(following + 1);
                            placeholder = Some(child);
                            break (self.target(inner)?, inner.target);
                        }
                        Err(_) => break (child, following),
                    }
                }
                let Some(done) = stack.pop() else { return Err(alias.error("an alias without its anchor")) };
                if let Some(number) = done.resume_at {
                    following = number;
                }
                match stack.last_mut() {
                    Some(around) => around.place(done.copy),
                    None => return Ok(done.copy),
                }
            };
        }
    }

    fn target(&self, alias: &Alias) -> Result<&'a Node, YamlError> {
        self.targets.get(&alias.target).copied().ok_or_else(|| alias.error("an alias without its anchor"))
    }

    fn charge(&mut self, node: &Node, comments: Option<&Comments>, alias: &Alias) -> Result<(), YamlError> {
        let length = |comments: &Comments| comments.head.len() + comments.line.len() + comments.foot.len();
        let text = if let Kind::Scalar(text, _) = &node.kind { text.len() } else { 0 };
        let tag = node.tag.as_ref().map_or(0, String::len);
        let node_comments = node.comments.as_deref().map_or(0, length);
        self.nodes += 1;
        self.bytes += text + tag + node_comments + comments.map_or(0, length);
        if self.nodes > limits::ALIAS_NODES || self.bytes > limits::ALIAS_BYTES {
            return Err(alias.error("aliases stand for too much"));
        }
        Ok(())
    }
}

impl Copying<'_> {
    fn place(&mut self, child: Node) {
        match &mut self.copy.kind {
            Kind::Mapping(pairs, _) => match self.key.take() {
                None => self.key = Some(child),
                Some(key) => pairs.push((key, child)),
            },
            Kind::Sequence(items, _) => items.push(child),
            Kind::Scalar(..) => {}
        }
    }
}

impl Alias {
    fn error(&self, rule: &'static str) -> YamlError {
        YamlError::Syntax { rule, position: self.position }
    }
}

fn put_in_place(documents: &mut [Document], aliases: &[Alias], copies: Vec<Node>) {
    let mut pending = aliases.iter().map(|alias| alias.number).zip(copies).peekable();
    let mut number = 0;
    for document in documents {
        let mut walk = vec![ChildrenMut::Items(slice::from_mut(&mut document.root).iter_mut())];
        while let Some(children) = walk.last_mut() {
            let Some(node) = children.next() else {
                walk.pop();
                continue;
            };
            if let Some((_, copy)) = pending.next_if(|(alias, _)| *alias == number) {
                let Node { comments, position, offset, .. } = std::mem::take(node);
                *node = Node { alias_comments: Some(comments.unwrap_or_default()), position, offset, ..copy };
            } else {
                walk.push(ChildrenMut::of(node));
            }
            number += 1;
        }
    }
}

enum ChildrenMut<'a> {
    Items(slice::IterMut<'a, Node>),
    Pairs(slice::IterMut<'a, (Node, Node)>, Option<&'a mut Node>),
}

impl<'a> ChildrenMut<'a> {
    fn of(node: &'a mut Node) -> Self {
        match &mut node.kind {
            Kind::Mapping(pairs, _) => Self::Pairs(pairs.iter_mut(), None),
            Kind::Sequence(items, _) => Self::Items(items.iter_mut()),
            Kind::Scalar(..) => Self::Items([].iter_mut()),
        }
    }

    fn next(&mut self) -> Option<&'a mut Node> {
        match self {
            Self::Items(items) => items.next(),
            Self::Pairs(pairs, value) => value.take().or_else(|| {
                let (key, next_value) = pairs.next()?;
                *value = Some(next_value);
                Some(key)
            }),
        }
    }
}

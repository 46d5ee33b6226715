//! Events to nodes.
//!
//! Nothing here recurses: the collections that are open stand on a stack of at most [`limits::NESTING`].
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `decode.go`, the `parser` half.

use std::collections::HashMap;
use std::mem::take;

use super::YamlError;
use super::alias::{Alias, expand};
use super::parser::{Event, EventKind, Parser};
use super::source::Source;
use crate::limits;
use crate::yaml::{CollectionStyle, Comments, Document, Kind, Node, ScalarStyle};

/// Builds the documents of a stream.
pub(super) fn read_documents(source: Source<'_>) -> Result<Vec<Document>, YamlError> {
    let mut builder = Builder::new(source);
    builder.take_all()?;
    let Builder { mut documents, aliases, .. } = builder;
    expand(&mut documents, &aliases)?;
    Ok(documents)
}

/// A collection whose end has not come.
struct Open {
    node: Node,
    /// Number of the node in the stream.
    number: usize,
    /// The key whose value comes next.
    key: Option<Node>,
}

struct Builder<'a> {
    parser: Parser<'a>,
    documents: Vec<Document>,
    /// The document at hand.
    document: Document,
    open: Vec<Open>,
    /// Nodes so far; each is known by its number in the order in which they begin.
    nodes: usize,
    /// Number of the last node with that anchor; as in yaml.v3, documents of a stream share their anchors.
    anchors: HashMap<String, usize>,
    aliases: Vec<Alias>,
}

impl<'a> Builder<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            parser: Parser::new(source),
            documents: Vec::new(),
            document: Document::default(),
            open: Vec::new(),
            nodes: 0,
            anchors: HashMap::new(),
            aliases: Vec::new(),
        }
    }

    fn take_all(&mut self) -> Result<(), YamlError> {
        loop {
            let event = self.parser.next()?;
            match event.kind {
                EventKind::StreamEnd => return Ok(()),
                _ => self.take(event)?,
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), YamlError> {
        let Event { kind, mark, anchor, tag, comments } = event;
        if matches!(kind, EventKind::DocumentStart) {
            self.document = Document { comments, ..Document::default() };
            return Ok(());
        }
        if matches!(kind, EventKind::DocumentEnd) {
            self.document.comments.foot = comments.foot;
            self.documents.push(take(&mut self.document));
            return Ok(());
        }
        if matches!(kind, EventKind::MappingEnd | EventKind::SequenceEnd) {
            self.close(comments);
            return Ok(());
        }
        let number = self.nodes;
        self.nodes += 1;
        if self.nodes > limits::YAML_NODES {
            return Err(mark.error("too many nodes"));
        }
        let mut node = Node {
            kind: Kind::default(),
            tag,
            comments: boxed(comments),
            alias_comments: None,
            position: mark.position(),
            offset: self.parser.offset(mark),
        };
        if let EventKind::Alias(name) = &kind {
            let Some(target) = self.anchors.get(name).copied() else {
                return Err(mark.error("an alias without its anchor"));
            };
            if self.open.iter().any(|open| open.number == target) {
                return Err(mark.error("an alias inside of what it stands for"));
            }
            self.aliases.push(Alias { number, target, depth: self.open.len(), position: node.position });
        }
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, number);
        }
        match kind {
            EventKind::MappingStart(style) => node.kind = Kind::Mapping(Vec::new(), style),
            EventKind::SequenceStart(style) => node.kind = Kind::Sequence(Vec::new(), style),
            EventKind::Scalar(text, style) => {
                node.kind = Kind::Scalar(text, style);
                self.place(node);
                return Ok(());
            }
            _ => {
                // An alias: what it stands for comes here at the end.
                node.kind = Kind::Scalar(String::new(), ScalarStyle::Plain);
                self.place(node);
                return Ok(());
            }
        }
        if self.open.len() == limits::NESTING {
            return Err(mark.error("nested too deeply"));
        }
        self.open.push(Open { node, number, key: None });
        Ok(())
    }

    /// Ends the innermost collection. The comments of its end replace those of its start, but for the head.
    fn close(&mut self, end: Comments) {
        let Some(Open { mut node, .. }) = self.open.pop() else { return };
        let head = node.comments.take().map(|comments| comments.head).unwrap_or_default();
        let mut comments = Comments { head, line: end.line, foot: end.foot };
        match &mut node.kind {
            Kind::Mapping(pairs, style) => {
                pairs.shrink_to_fit();
                if let Some((last_key, _)) = pairs.last_mut()
                    && *style == CollectionStyle::Block
                    && !comments.foot.is_empty()
                {
                    set_foot(last_key, take(&mut comments.foot));
                }
            }
            Kind::Sequence(items, _) => items.shrink_to_fit(),
            Kind::Scalar(..) => {}
        }
        node.comments = boxed(comments);
        self.place(node);
    }

    /// Gives a complete node to the collection or document around it.
    fn place(&mut self, mut node: Node) {
        let Some(Open { node: around, key, .. }) = self.open.last_mut() else {
            self.document.root = node;
            return;
        };
        match &mut around.kind {
            Kind::Mapping(pairs, style) => match key.take() {
                None => {
                    // A foot on a key of a block mapping was written below the pair before it.
                    if *style == CollectionStyle::Block
                        && has_foot(&node)
                        && let Some((last_key, _)) = pairs.last_mut()
                    {
                        set_foot(last_key, take_foot(&mut node));
                    }
                    *key = Some(node);
                }
                Some(mut key) => {
                    if !has_foot(&key) && has_foot(&node) {
                        set_foot(&mut key, take_foot(&mut node));
                    }
                    pairs.push((key, node));
                }
            },
            Kind::Sequence(items, _) => items.push(node),
            Kind::Scalar(..) => {}
        }
    }
}

fn boxed(comments: Comments) -> Option<Box<Comments>> {
    let is_empty = comments.head.is_empty() && comments.line.is_empty() && comments.foot.is_empty();
    if is_empty { None } else { Some(Box::new(comments)) }
}

fn has_foot(node: &Node) -> bool {
    node.comments.as_ref().is_some_and(|comments| !comments.foot.is_empty())
}

fn take_foot(node: &mut Node) -> String {
    let Some(mut comments) = node.comments.take() else { return String::new() };
    let foot = take(&mut comments.foot);
    node.comments = boxed(*comments);
    foot
}

fn set_foot(node: &mut Node, foot: String) {
    node.comments.get_or_insert_default().foot = foot;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_as_many_nodes_as_the_bound_says() {
        let is_read_after = |nodes| {
            let mut builder = Builder::new(Source::new(b"- a\n").unwrap_or_else(|error| panic!("{error}")));
            builder.nodes = nodes;
            builder.take_all().is_ok()
        };
        assert!(is_read_after(limits::YAML_NODES - 2));
        assert!(!is_read_after(limits::YAML_NODES - 1));
        assert!(!is_read_after(limits::YAML_NODES));
    }
}

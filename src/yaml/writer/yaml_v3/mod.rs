//! Nodes as yaml.v3's encoder prints them.
//!
//! The encoder turns nodes into events, keeps the comments of the events it has seen in one slot per kind, and
//! writes a slot out at certain places. Where a comment lands, and whether it is lost, follows from that order, so it
//! is kept here: [`Printer::announce`] is the arrival of an event, the functions named after a collection are what
//! the encoder does with it. Open collections stand on a stack of our own: nesting costs no machine stack.
//!
//! Output that yaml.v3 itself could not read back as the same value is not copied: where the comments say "Differs", here,
//! in the modules below and in `scalar`, the value wins over the bytes.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `emitterc.go`, `encode.go` (`node`).

mod flow;
mod page;
mod scalars;
mod tag;

use std::slice;

use self::page::Page;
use self::tag::Tag;
use super::scalar::{Allowed, Context, is_break};
use super::{printed_size, text_of_size};
use crate::yaml::{CollectionStyle, Document, Kind, Node, ScalarStyle};

/// Longest key that is written without `? `, in bytes, its tag included.
const SIMPLE_KEY_BYTES: usize = 128;

/// Prints documents as yaml.v3's encoder prints nodes: the text of decrypted files, byte for byte as sops gives it.
///
/// `indent` is the encoder's indentation (sops: 4; what is not within 2 to 9 counts as 2, and 0 as 4). Lines are
/// never folded.
pub fn write_like_sops(documents: &[Document], indent: usize) -> String {
    let size = printed_size(documents.iter().map(|document| &document.root), indent);
    let mut printer = Printer {
        page: Page::new(indent, text_of_size(size)),
        flow_level: 0,
        comments: Pending::default(),
        open: Vec::new(),
    };
    for (index, document) in documents.iter().enumerate() {
        printer.document(document, index == 0);
    }
    printer.page.out
}

/// The encoder: its output, and what is still to be written.
struct Printer<'n> {
    page: Page,
    flow_level: usize,
    comments: Pending<'n>,
    open: Vec<Collection<'n>>,
}

/// Comments that arrived and are not written yet.
#[derive(Default)]
struct Pending<'n> {
    head: &'n str,
    line: &'n str,
    foot: &'n str,
    /// The foot comment of the previous key, which comes after that key's value.
    tail: &'n str,
    /// The line comment of a key, which belongs to its value.
    key_line: &'n str,
}

impl Pending<'_> {
    fn has_trailing(&self) -> bool {
        !(self.line.is_empty() && self.foot.is_empty() && self.tail.is_empty())
    }
}

/// A mapping or sequence that is being written.
struct Collection<'n> {
    children: Children<'n>,
    /// Comments that arrive with its end.
    end_line: &'n str,
    end_foot: &'n str,
    is_flow: bool,
    /// Whether it is itself an item of a block sequence.
    is_in_block_sequence: bool,
    /// Indentation around it, known once it is entered.
    outer_indent: Option<usize>,
    is_entered: bool,
    /// Whether the comma after the last item is already written (flow).
    has_comma: bool,
}

enum Children<'n> {
    Entries {
        rest: slice::Iter<'n, (Node, Node)>,
        /// The value of the key just written, and whether the key was a simple one.
        value: Option<(&'n Node, bool)>,
        tail: &'n str,
    },
    Items(slice::Iter<'n, Node>),
}

/// What a node is to the collection around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BlockItem,
    Other,
    SimpleKey,
}

impl<'n> Printer<'n> {
    fn document(&mut self, document: &'n Document, is_first: bool) {
        keep_if_any(&mut self.comments.head, &document.comments.head);
        if !is_first {
            self.page.write_indent();
            self.page.write_word("---");
            self.page.write_indent();
        }
        if !self.comments.head.is_empty() {
            self.write_head_comment();
            self.page.put_break();
        }

        self.announce(&document.root, "", false);
        self.write_head_comment();
        self.begin(&document.root, Place::Other, false);
        self.write_end_comments();
        while let Some(collection) = self.open.pop() {
            self.go_on(collection);
        }

        keep_if_any(&mut self.comments.foot, &document.comments.foot);
        // Differs: yaml.v3 sets this comment off by a blank line, which a block scalar that keeps line breaks would
        // take for its own.
        self.page.foot_indent = (!self.page.is_after_kept_breaks).then_some(0);
        self.write_foot_comment();
        self.page.foot_indent = None;
        self.page.write_indent();
    }

    /// Takes the comments that arrive with the beginning of a node. Comments of collections' ends come later; the
    /// foot of a key waits for the key's value.
    fn announce(&mut self, node: &'n Node, tail: &'n str, is_key: bool) {
        let comments = node.comments.as_deref();
        keep_if_any(&mut self.comments.head, comments.map_or("", |c| &c.head));
        match &node.kind {
            Kind::Mapping(..) => keep_if_any(&mut self.comments.tail, tail),
            Kind::Scalar(..) => {
                keep_if_any(&mut self.comments.line, comments.map_or("", |c| &c.line));
                if !is_key {
                    keep_if_any(&mut self.comments.foot, comments.map_or("", |c| &c.foot));
                }
                keep_if_any(&mut self.comments.tail, tail);
            }
            // yaml.v3 loses the tail here.
            Kind::Sequence(..) => {}
        }
    }

    /// Writes a scalar, or the tag of a collection, whose content then waits on the stack.
    fn begin(&mut self, node: &'n Node, place: Place, is_key: bool) {
        let (children, style) = match &node.kind {
            Kind::Mapping(entries, style) => (Children::Entries { rest: entries.iter(), value: None, tail: "" }, style),
            Kind::Scalar(text, style) => return self.write_scalar(node, text, *style, place),
            Kind::Sequence(items, style) => (Children::Items(items.iter()), style),
        };
        self.page.write_tag(node);
        let comments = node.comments.as_deref();
        self.open.push(Collection {
            children,
            end_line: comments.map_or("", |c| &c.line),
            end_foot: comments.filter(|_| !is_key).map_or("", |c| &c.foot),
            is_flow: self.flow_level > 0 || *style == CollectionStyle::Flow || is_empty_collection(node),
            is_in_block_sequence: place == Place::BlockItem,
            outer_indent: None,
            is_entered: false,
            has_comma: false,
        });
    }

    /// Writes the next child of the innermost collection, or its end.
    fn go_on(&mut self, mut collection: Collection<'n>) {
        let is_first = !collection.is_entered;
        match (&mut collection.children, collection.is_flow) {
            (Children::Items(items), false) => {
                let item = items.next();
                self.block_item(item, collection, is_first);
            }
            (Children::Items(items), true) => {
                let item = items.next();
                self.flow_item(item, collection, is_first);
            }
            (Children::Entries { value, .. }, is_flow) => {
                let value = value.take();
                match (value, is_flow) {
                    (None, false) => self.block_key(collection, is_first),
                    (None, true) => self.flow_key(collection, is_first),
                    (Some((value, is_simple)), false) => self.block_value(value, is_simple, collection),
                    (Some((value, is_simple)), true) => self.flow_value(value, is_simple, collection),
                }
            }
        }
    }

    fn block_item(&mut self, item: Option<&'n Node>, mut collection: Collection<'n>, is_first: bool) {
        match item {
            Some(item) => self.announce(item, "", false),
            None => self.announce_end(&collection, ""),
        }
        if is_first {
            self.enter(&mut collection, false);
        }
        let Some(item) = item else {
            self.page.indent = collection.outer_indent;
            return;
        };
        self.write_head_comment();
        self.page.write_indent();
        self.page.write_block_indicator("-");
        self.open.push(collection);
        self.begin(item, Place::BlockItem, false);
        self.write_comments_after_begin(item);
    }

    fn block_key(&mut self, mut collection: Collection<'n>, is_first: bool) {
        let key = self.next_key(&mut collection);
        if is_first {
            self.enter(&mut collection, false);
        }
        self.write_head_comment();
        let Some((key, is_simple)) = key else {
            self.page.indent = collection.outer_indent;
            return;
        };
        self.page.write_indent();
        if !self.comments.line.is_empty() {
            self.comments.key_line = std::mem::take(&mut self.comments.line);
        }
        if !is_simple {
            self.page.write_block_indicator("?");
        }
        self.open.push(collection);
        self.begin(key, if is_simple { Place::SimpleKey } else { Place::Other }, true);
    }

    fn block_value(&mut self, value: &'n Node, is_simple: bool, collection: Collection<'n>) {
        self.announce(value, "", false);
        if is_simple {
            self.page.write_closing(":");
        } else {
            self.page.write_indent();
            self.page.write_block_indicator(":");
        }
        if !self.comments.key_line.is_empty() {
            self.write_or_pass_on_key_line_comment(value);
        }
        self.open.push(collection);
        self.begin(value, Place::Other, false);
        self.write_comments_after_begin(value);
    }

    /// The line comment of a key goes to a scalar value that has none; before an indented block it is written at once.
    ///
    /// Differs: yaml.v3 takes an empty collection for an indented block, see [`Self::write_comments_after_begin`].
    fn write_or_pass_on_key_line_comment(&mut self, value: &Node) {
        let (is_scalar, is_block) = match &value.kind {
            Kind::Mapping(_, style) | Kind::Sequence(_, style) => (false, *style == CollectionStyle::Block),
            Kind::Scalar(..) => (true, false),
        };
        if is_scalar || is_block && is_empty_collection(value) {
            if self.comments.line.is_empty() {
                self.comments.line = std::mem::take(&mut self.comments.key_line);
            }
        } else if is_block {
            let comment = std::mem::take(&mut self.comments.key_line);
            let waiting = std::mem::replace(&mut self.comments.line, comment);
            self.write_line_comment();
            self.comments.line = waiting;
        }
    }

    /// Writes the comments that follow a scalar, and those left over from before a collection.
    ///
    /// Differs: yaml.v3 writes leftovers in front of `{}` and `[]` too, which then stand at the start of a line, where
    /// nothing reads them as the value; here they come after the collection.
    fn write_comments_after_begin(&mut self, node: &Node) {
        let is_before_flow = match &node.kind {
            Kind::Mapping(_, style) | Kind::Sequence(_, style) => {
                *style == CollectionStyle::Flow || is_empty_collection(node)
            }
            Kind::Scalar(..) => false,
        };
        if !is_before_flow {
            self.write_end_comments();
        }
    }

    /// Announces the next key of a mapping and whether it is a simple one, or the mapping's end.
    fn next_key(&mut self, collection: &mut Collection<'n>) -> Option<(&'n Node, bool)> {
        let Children::Entries { rest, value, tail } = &mut collection.children else { return None };
        let tail_before = std::mem::take(tail);
        let Some((key, its_value)) = rest.next() else {
            self.announce_end(collection, tail_before);
            return None;
        };
        let is_simple = is_simple_key(key);
        *value = Some((its_value, is_simple));
        *tail = key.comments.as_deref().map_or("", |c| &c.foot);
        self.announce(key, tail_before, true);
        Some((key, is_simple))
    }

    fn announce_end(&mut self, collection: &Collection<'n>, tail: &'n str) {
        keep_if_any(&mut self.comments.line, collection.end_line);
        keep_if_any(&mut self.comments.foot, collection.end_foot);
        keep_if_any(&mut self.comments.tail, tail);
    }

    fn enter(&mut self, collection: &mut Collection<'n>, is_flow: bool) {
        collection.is_entered = true;
        collection.outer_indent = self.page.indent;
        self.page.indent = Some(self.page.inner_indent(is_flow, collection.is_in_block_sequence));
        if is_flow {
            self.flow_level += 1;
        }
    }

    fn write_scalar(&mut self, node: &Node, text: &str, style: ScalarStyle, place: Place) {
        let context = Context { is_in_flow: self.flow_level > 0, is_simple_key: place == Place::SimpleKey };
        let wanted = match style {
            ScalarStyle::Plain if text.contains('\n') => ScalarStyle::Literal,
            style => style,
        };
        let style = Allowed::by(text).style(wanted, context);
        self.page.write_tag(node);
        let outer_indent = self.page.indent;
        let inner = self.page.inner_indent(true, place == Place::BlockItem);
        self.page.indent = Some(inner);
        match style {
            ScalarStyle::DoubleQuoted => self.page.write_double_quoted(text),
            ScalarStyle::Folded => {
                let comment = std::mem::take(&mut self.comments.line);
                self.page.write_block_header(">", text, inner - outer_indent.unwrap_or(0), comment);
                self.page.write_folded(text);
            }
            ScalarStyle::Literal => {
                let comment = std::mem::take(&mut self.comments.line);
                self.page.write_block_header("|", text, inner - outer_indent.unwrap_or(0), comment);
                self.page.write_literal(text);
            }
            ScalarStyle::Plain => self.page.write_plain(text),
            ScalarStyle::SingleQuoted => self.page.write_single_quoted(text),
        }
        self.page.indent = outer_indent;
    }

    fn write_head_comment(&mut self) {
        let tail = std::mem::take(&mut self.comments.tail);
        if !tail.is_empty() {
            self.page.write_indent();
            self.page.write_comment(tail);
            self.page.foot_indent = Some(self.page.indent.unwrap_or(0));
        }
        let head = std::mem::take(&mut self.comments.head);
        if !head.is_empty() {
            self.page.write_indent();
            self.page.write_comment(head);
        }
    }

    fn write_end_comments(&mut self) {
        self.write_line_comment();
        self.write_foot_comment();
    }

    fn write_line_comment(&mut self) {
        let line = std::mem::take(&mut self.comments.line);
        if !line.is_empty() {
            self.page.write_space();
            self.page.write_comment(line);
        }
    }

    fn write_foot_comment(&mut self) {
        let foot = std::mem::take(&mut self.comments.foot);
        if !foot.is_empty() {
            self.page.write_indent();
            self.page.write_comment(foot);
            self.page.foot_indent = Some(self.page.indent.unwrap_or(0));
        }
    }
}

fn is_empty_collection(node: &Node) -> bool {
    match &node.kind {
        Kind::Mapping(entries, _) => entries.is_empty(),
        Kind::Scalar(..) => false,
        Kind::Sequence(items, _) => items.is_empty(),
    }
}

/// Whether a key fits on its line without `? ` (`yaml_emitter_check_simple_key`).
fn is_simple_key(key: &Node) -> bool {
    let tag_bytes = Tag::of(key).map_or(0, |tag| tag.len());
    match &key.kind {
        Kind::Scalar(text, _) => tag_bytes + text.len() <= SIMPLE_KEY_BYTES && !text.contains(is_break),
        _ => is_empty_collection(key) && tag_bytes <= SIMPLE_KEY_BYTES,
    }
}

fn keep_if_any<'n>(slot: &mut &'n str, comment: &'n str) {
    if !comment.is_empty() {
        *slot = comment;
    }
}

#[cfg(test)]
mod tests;

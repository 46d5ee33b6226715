//! Nodes as yaml.v3's encoder prints them.
//!
//! The encoder turns nodes into events, keeps the comments of the events it has seen in one slot per kind, and
//! writes a slot out at certain places. Where a comment lands, and whether it is lost, follows from that order, so it
//! is kept here: [`Printer::announce`] is the arrival of an event, the functions named after a collection are what
//! the encoder does with it. Open collections stand on a stack of our own: nesting costs no machine stack.
//!
//! Output that yaml.v3 itself could not read back as the same value is not copied. There are five such places, each
//! marked "differs" below or in `scalar`.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `emitterc.go`, `encode.go` (`node`).

use std::slice;

use super::scalar::{Allowed, Chomping, Context, is_blank, is_break, is_readable, push_escaped};
use crate::yaml::{CollectionStyle, Document, Kind, Node, ScalarStyle};

/// Longest key that is written without `? `, in bytes, its tag included.
const SIMPLE_KEY_BYTES: usize = 128;

/// Prints documents as yaml.v3's encoder prints nodes: the text of decrypted files, byte for byte as sops gives it.
///
/// `indent` is the encoder's indentation (sops: 4; what is not within 2 to 9 counts as 2, and 0 as 4). Lines are
/// never folded.
pub fn write_like_sops(documents: &[Document], indent: usize) -> String {
    let mut printer = Printer::new(indent, estimate(documents, indent));
    for (index, document) in documents.iter().enumerate() {
        printer.document(document, index == 0);
    }
    printer.out
}

/// The size of the output in bytes, about: growing would leave copies of plaintext behind until they are wiped.
fn estimate(documents: &[Document], indent: usize) -> usize {
    const PUNCTUATION: usize = 8;
    let mut bytes = 0;
    let mut open: Vec<(&Node, usize)> = documents.iter().map(|document| (&document.root, 0)).collect();
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

/// The encoder: its output, the state of the line, and what is still to be written.
struct Printer<'n> {
    out: String,
    best_indent: usize,
    /// Characters on the line.
    column: usize,
    /// Indentation of the innermost collection; none before the root.
    indent: Option<usize>,
    /// Whether the last thing written separates words.
    is_after_space: bool,
    /// Whether the line holds nothing but indentation and indicators.
    is_margin: bool,
    /// Indentation of a foot comment just written: what follows at that indentation is set off by a blank line.
    foot_indent: Option<usize>,
    flow_level: usize,
    comments: Pending<'n>,
    open: Vec<Collection<'n>>,
    /// Whether a block scalar was written last that keeps all line breaks after it.
    is_after_kept_breaks: bool,
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
    fn new(indent: usize, capacity: usize) -> Self {
        let best_indent = match indent {
            0 => 4,
            2..=9 => indent,
            _ => 2,
        };
        Self {
            out: String::with_capacity(capacity),
            best_indent,
            column: 0,
            indent: None,
            is_after_space: true,
            is_margin: true,
            foot_indent: None,
            flow_level: 0,
            comments: Pending::default(),
            open: Vec::new(),
            is_after_kept_breaks: false,
        }
    }

    fn document(&mut self, document: &'n Document, is_first: bool) {
        keep_if_any(&mut self.comments.head, &document.comments.head);
        if !is_first {
            self.write_indent();
            self.write_indicator("---", true, false, false);
            self.write_indent();
        }
        if !self.comments.head.is_empty() {
            self.write_head_comment();
            self.put_break();
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
        self.foot_indent = (!self.is_after_kept_breaks).then_some(0);
        self.write_foot_comment();
        self.foot_indent = None;
        self.write_indent();
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
        self.write_tag(node);
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
            self.indent = collection.outer_indent;
            return;
        };
        self.write_head_comment();
        self.write_indent();
        self.write_indicator("-", true, false, true);
        self.open.push(collection);
        self.begin(item, Place::BlockItem, false);
        self.write_comments_after_begin(item);
    }

    fn flow_item(&mut self, item: Option<&'n Node>, mut collection: Collection<'n>, is_first: bool) {
        match item {
            Some(item) => self.announce(item, "", false),
            None => self.announce_end(&collection, ""),
        }
        if is_first {
            self.write_indicator("[", true, true, false);
            self.enter(&mut collection, true);
        }
        let Some(item) = item else {
            self.flow_level = self.flow_level.saturating_sub(1);
            self.indent = collection.outer_indent;
            if self.column == 0 {
                self.write_indent();
            }
            self.write_indicator("]", false, false, false);
            self.write_end_comments();
            return;
        };
        self.write_comma_between(&collection, is_first);
        self.write_head_comment();
        if self.column == 0 {
            self.write_indent();
        }
        collection.has_comma = self.comments.has_trailing();
        self.open.push(collection);
        self.begin(item, Place::Other, false);
        if self.comments.has_trailing() {
            self.write_indicator(",", false, false, false);
        }
        self.write_end_comments();
    }

    fn block_key(&mut self, mut collection: Collection<'n>, is_first: bool) {
        let key = self.next_key(&mut collection);
        if is_first {
            self.enter(&mut collection, false);
        }
        self.write_head_comment();
        let Some((key, is_simple)) = key else {
            self.indent = collection.outer_indent;
            return;
        };
        self.write_indent();
        if !self.comments.line.is_empty() {
            self.comments.key_line = std::mem::take(&mut self.comments.line);
        }
        if !is_simple {
            self.write_indicator("?", true, false, true);
        }
        self.open.push(collection);
        self.begin(key, if is_simple { Place::SimpleKey } else { Place::Other }, true);
    }

    fn block_value(&mut self, value: &'n Node, is_simple: bool, collection: Collection<'n>) {
        self.announce(value, "", false);
        if is_simple {
            self.write_indicator(":", false, false, false);
        } else {
            self.write_indent();
            self.write_indicator(":", true, false, true);
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

    fn flow_key(&mut self, mut collection: Collection<'n>, is_first: bool) {
        let key = self.next_key(&mut collection);
        if is_first {
            self.write_indicator("{", true, true, false);
            self.enter(&mut collection, true);
        }
        let Some((key, is_simple)) = key else {
            let comments = &self.comments;
            let has_comments = !(comments.head.is_empty() && comments.foot.is_empty() && comments.tail.is_empty());
            if has_comments && !is_first && !collection.has_comma {
                self.write_indicator(",", false, false, false);
            }
            self.write_head_comment();
            self.flow_level = self.flow_level.saturating_sub(1);
            self.indent = collection.outer_indent;
            self.write_indicator("}", false, false, false);
            self.write_end_comments();
            return;
        };
        self.write_comma_between(&collection, is_first);
        self.write_head_comment();
        if self.column == 0 {
            self.write_indent();
        }
        if !is_simple {
            self.write_indicator("?", true, false, false);
        }
        self.open.push(collection);
        self.begin(key, if is_simple { Place::SimpleKey } else { Place::Other }, true);
    }

    fn flow_value(&mut self, value: &'n Node, is_simple: bool, mut collection: Collection<'n>) {
        self.announce(value, "", false);
        self.write_indicator(":", !is_simple, false, false);
        collection.has_comma = self.comments.has_trailing();
        self.open.push(collection);
        self.begin(value, Place::Other, false);
        if self.comments.has_trailing() {
            self.write_indicator(",", false, false, false);
        }
        self.write_end_comments();
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

    fn write_comma_between(&mut self, collection: &Collection<'n>, is_first: bool) {
        if !is_first && !collection.has_comma {
            self.write_indicator(",", false, false, false);
        }
    }

    fn enter(&mut self, collection: &mut Collection<'n>, is_flow: bool) {
        collection.is_entered = true;
        collection.outer_indent = self.indent;
        self.indent = Some(self.inner_indent(is_flow, collection.is_in_block_sequence));
        if is_flow {
            self.flow_level += 1;
        }
    }

    /// The indentation of what is inside: two columns after a `-`, otherwise the next multiple of the chosen one.
    fn inner_indent(&self, is_flow_or_scalar: bool, is_in_block_sequence: bool) -> usize {
        match self.indent {
            None if is_flow_or_scalar => self.best_indent,
            None => 0,
            Some(indent) if is_in_block_sequence => indent + 2,
            Some(indent) => self.best_indent * (indent / self.best_indent + 1),
        }
    }

    fn write_scalar(&mut self, node: &Node, text: &str, style: ScalarStyle, place: Place) {
        let context = Context { is_in_flow: self.flow_level > 0, is_simple_key: place == Place::SimpleKey };
        let wanted = match style {
            ScalarStyle::Plain if text.contains('\n') => ScalarStyle::Literal,
            style => style,
        };
        let style = Allowed::by(text).style(wanted, context);
        self.write_tag(node);
        let outer_indent = self.indent;
        let inner = self.inner_indent(true, place == Place::BlockItem);
        self.indent = Some(inner);
        match style {
            ScalarStyle::DoubleQuoted => self.write_double_quoted(text),
            ScalarStyle::Folded => {
                self.write_block_header(">", text, inner - outer_indent.unwrap_or(0));
                self.write_folded(text);
            }
            ScalarStyle::Literal => {
                self.write_block_header("|", text, inner - outer_indent.unwrap_or(0));
                self.write_literal(text);
            }
            ScalarStyle::Plain => self.write_plain(text),
            ScalarStyle::SingleQuoted => self.write_single_quoted(text),
        }
        self.indent = outer_indent;
    }

    fn write_tag(&mut self, node: &Node) {
        let Some(Tag { handle, suffix }) = Tag::of(node) else { return };
        if !self.is_after_space {
            self.put(' ');
        }
        if handle.is_empty() {
            self.put_str("!<");
            self.put_tag_suffix(suffix);
            self.put('>');
        } else {
            self.put_str(handle);
            self.put_tag_suffix(suffix);
        }
        self.is_after_space = false;
        self.is_margin = false;
        self.is_after_kept_breaks = false;
    }

    fn put_tag_suffix(&mut self, suffix: &str) {
        let mut buffer = [0; 4];
        for c in suffix.chars() {
            if c.is_ascii_alphanumeric() || "-_;/?:@&=+$,.~*'()[]".contains(c) {
                self.put(c);
                continue;
            }
            for byte in c.encode_utf8(&mut buffer).bytes() {
                self.put_str(&format!("%{byte:02X}"));
            }
        }
    }

    fn write_plain(&mut self, text: &str) {
        if !text.is_empty() && !self.is_after_space {
            self.put(' ');
        }
        // Plain text is one line: `Allowed` quotes what has breaks.
        self.put_str(text);
        if !text.is_empty() {
            self.is_after_space = false;
        }
        self.is_margin = false;
        self.is_after_kept_breaks = false;
    }

    fn write_single_quoted(&mut self, text: &str) {
        self.write_indicator("'", true, false, false);
        let mut is_after_break = false;
        for c in text.chars() {
            if is_break(c) {
                if !is_after_break && c == '\n' {
                    self.put_break();
                }
                self.put_text_break(c);
                is_after_break = true;
            } else {
                // A space after a break is double-quoted.
                if is_after_break {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
        self.write_indicator("'", false, false, false);
        self.is_margin = false;
    }

    fn write_double_quoted(&mut self, text: &str) {
        self.write_indicator("\"", true, false, false);
        let start = self.out.len();
        push_escaped(&mut self.out, text);
        self.column += self.out.len() - start;
        self.write_indicator("\"", false, false, false);
        self.is_margin = false;
    }

    /// Writes `|` or `>`, the indentation where it cannot be told from the first line, the chomping, the line comment.
    ///
    /// Differs: yaml.v3 always gives the chosen indentation. Below a `-` that is not the real one, and a text could not
    /// be read back; elsewhere both are the same, and blank lines alone have none.
    fn write_block_header(&mut self, indicator: &str, text: &str, indentation: usize) {
        self.write_indicator(indicator, true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            let is_blank_lines = text.chars().all(is_break);
            let indentation = if is_blank_lines { self.best_indent } else { indentation };
            self.write_indicator(&indentation.to_string(), false, false, false);
        }
        let chomping = Chomping::of(text);
        if !chomping.indicator().is_empty() {
            self.write_indicator(chomping.indicator(), false, false, false);
        }
        if self.comments.line.is_empty() {
            self.put_break();
        } else {
            self.write_header_comment();
        }
        self.is_after_space = true;
        self.is_after_kept_breaks = chomping == Chomping::Keep;
    }

    /// Writes the line comment of a block scalar. Differs: a second line of it would become part of the text, so line
    /// breaks inside the comment become spaces.
    fn write_header_comment(&mut self) {
        let comment = std::mem::take(&mut self.comments.line);
        if !self.is_after_space {
            self.put(' ');
        }
        if !comment.starts_with('#') {
            self.put_str("# ");
        }
        let last = comment.chars().next_back().filter(|c| is_break(*c));
        let comment = last.and_then(|c| comment.strip_suffix(c)).unwrap_or(comment);
        for c in comment.chars() {
            self.put(if is_break(c) { ' ' } else { in_comment(c) });
        }
        match last {
            Some(c) => self.put_text_break(c),
            None => self.put_break(),
        }
    }

    fn write_literal(&mut self, text: &str) {
        let mut is_after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_text_break(c);
                is_after_break = true;
            } else {
                if is_after_break {
                    self.write_indent();
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
    }

    fn write_folded(&mut self, text: &str) {
        let begins_blank = text.chars().find(|c| !is_break(*c)).is_none_or(is_blank);
        let mut is_after_break = true;
        let mut is_indented_line = true;
        for (offset, c) in text.char_indices() {
            if is_break(c) {
                if !is_after_break && !is_indented_line && c == '\n' {
                    let rest = text.get(offset..).unwrap_or_default();
                    let breaks_twice = match rest.chars().find(|c| !is_break(*c)) {
                        // Differs: yaml.v3 looks at the first line of the text instead of the next one.
                        Some(next) => !is_blank(next),
                        None => !begins_blank && Chomping::of(text) == Chomping::Clip,
                    };
                    if breaks_twice {
                        self.put_break();
                    }
                }
                self.put_text_break(c);
                is_after_break = true;
            } else {
                if is_after_break {
                    self.write_indent();
                    is_indented_line = is_blank(c);
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
    }

    fn write_head_comment(&mut self) {
        let tail = std::mem::take(&mut self.comments.tail);
        if !tail.is_empty() {
            self.write_indent();
            self.write_comment(tail);
            self.foot_indent = Some(self.indent.unwrap_or(0));
        }
        let head = std::mem::take(&mut self.comments.head);
        if !head.is_empty() {
            self.write_indent();
            self.write_comment(head);
        }
    }

    fn write_end_comments(&mut self) {
        self.write_line_comment();
        self.write_foot_comment();
    }

    fn write_line_comment(&mut self) {
        let line = std::mem::take(&mut self.comments.line);
        if !line.is_empty() {
            if !self.is_after_space {
                self.put(' ');
            }
            self.write_comment(line);
        }
    }

    fn write_foot_comment(&mut self) {
        let foot = std::mem::take(&mut self.comments.foot);
        if !foot.is_empty() {
            self.write_indent();
            self.write_comment(foot);
            self.foot_indent = Some(self.indent.unwrap_or(0));
        }
    }

    /// Writes the lines of a comment; a line without `#` gets one.
    fn write_comment(&mut self, comment: &str) {
        let mut is_after_break = false;
        let mut has_marker = false;
        for c in comment.chars() {
            if is_break(c) {
                self.put_text_break(c);
                is_after_break = true;
                has_marker = false;
            } else {
                if is_after_break {
                    self.write_indent();
                }
                if !has_marker {
                    if c != '#' {
                        self.put_str("# ");
                    }
                    has_marker = true;
                }
                self.put(in_comment(c));
                self.is_margin = false;
                is_after_break = false;
            }
        }
        if !is_after_break {
            self.put_break();
        }
        self.is_after_space = true;
        self.is_after_kept_breaks = false;
    }

    /// Begins a new line unless this one is still empty, and fills it up to the indentation.
    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.is_margin || self.column > indent || self.column == indent && !self.is_after_space {
            self.put_break();
        }
        if self.foot_indent == Some(indent) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.is_after_space = true;
        self.foot_indent = None;
    }

    fn write_indicator(&mut self, text: &str, needs_space: bool, is_space: bool, is_margin: bool) {
        if needs_space && !self.is_after_space {
            self.put(' ');
        }
        self.put_str(text);
        self.is_after_space = is_space;
        self.is_margin = self.is_margin && is_margin;
        self.is_after_kept_breaks = false;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn put_break(&mut self) {
        self.put_text_break('\n');
    }

    fn put_text_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
        self.is_margin = true;
    }
}

/// The tag that is written before a node.
struct Tag<'n> {
    handle: &'static str,
    suffix: &'n str,
}

impl<'n> Tag<'n> {
    fn of(node: &'n Node) -> Option<Self> {
        let tag = match node.tag.as_deref() {
            Some("" | "!") | None => {
                // yaml.v3 tags a plain `<<` when it reads or makes the node.
                let is_merge = matches!(&node.kind, Kind::Scalar(text, ScalarStyle::Plain) if text == "<<");
                return is_merge.then_some(Tag { handle: "!!", suffix: "merge" });
            }
            Some(tag) => tag,
        };
        let core = tag.strip_prefix("!!").or_else(|| tag.strip_prefix("tag:yaml.org,2002:"));
        Some(match (core, tag.strip_prefix('!')) {
            (Some(suffix), _) => Tag { handle: "!!", suffix },
            (None, Some(suffix)) => Tag { handle: "!", suffix },
            (None, None) => Tag { handle: "", suffix: tag },
        })
    }

    fn len(&self) -> usize {
        self.handle.len() + self.suffix.len()
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

/// Differs: yaml.v3 prints a control character in a comment, and then refuses the whole text.
fn in_comment(c: char) -> char {
    if is_readable(c) { c } else { char::REPLACEMENT_CHARACTER }
}

fn keep_if_any<'n>(slot: &mut &'n str, comment: &'n str) {
    if !comment.is_empty() {
        *slot = comment;
    }
}

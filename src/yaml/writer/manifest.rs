//! Manifests of our own, for readers of any YAML version.
//!
//! A manifest passes through many hands: yaml.v3 and yaml.v2 in kustomize, the JSON conversion of Kubernetes, and tools
//! that keep to YAML 1.1. So a string is written without quotes only where all of them take it for that very string.

use std::slice;

use super::scalar::{Allowed, Context, is_blank, is_break, is_printable, is_readable, push_escape};
use super::{printed_size, text_of_size};
use crate::text::printable_run;
use crate::yaml::resolve::{Resolved, resolve_plain};
use crate::yaml::{Comments, Document, Kind, Node, ScalarStyle};

/// Columns by which a mapping stands further in than its key.
const INDENT: usize = 2;

/// Longest key on a line of its own, in bytes as written: readers look at most 1024 characters ahead for the `:`.
const SIMPLE_KEY_BYTES: usize = 1000;

/// Prints one manifest without `---`: block style, indent 2, no tags, no anchors, LF only.
///
/// A scalar is a string if it is quoted, a block, or tagged with anything but `!!bool`, `!!float`, `!!int`, `!!null` and
/// `!!timestamp`, or if yaml.v3 takes its plain text for one; such strings are quoted where any reader would take them
/// for something else. Other plain scalars stand as they are. `!!binary` is to be decoded before.
pub fn write_manifest(document: &Document) -> String {
    let mut printer = Printer::new(&document.root);
    printer.write_comment(&document.comments.head, 0);
    printer.root(&document.root);
    printer.write_comment(&document.comments.foot, 0);
    printer.out
}

/// Whether kustomize and the YAML readers of Kubernetes give a string of `stringData` back unchanged.
///
/// kustomize writes U+007F to U+009F, U+FFFE and U+FFFF as they are and then fails on them, with the whole object in its
/// message; U+0085 it turns into a blank. Every other character passes, when quoted: observed with kustomize 5.0 to
/// 5.8.1.
pub fn carries(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.get(printable_run(rest.as_bytes(), &[])..).unwrap_or_default();
        let mut characters = rest.chars();
        match characters.next() {
            None => return true,
            Some('\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}') => return false,
            Some(_) => rest = characters.as_str(),
        }
    }
}

struct Printer<'n> {
    out: String,
    open: Vec<Collection<'n>>,
    /// Whether the line holds indentation, `- `, `? ` or `: ` up to here and the next thing goes on it.
    is_on_line: bool,
    /// The scalar that ends the document.
    last: Option<&'n Node>,
}

/// A collection that is being written.
struct Collection<'n> {
    children: Children<'n>,
    indent: usize,
    /// Comments after the child just written.
    feet: [&'n str; 2],
}

enum Children<'n> {
    /// Entries, and the value of a key that stands on a line of its own.
    Entries(slice::Iter<'n, (Node, Node)>, Option<&'n Node>),
    Items(slice::Iter<'n, Node>),
}

impl<'n> Printer<'n> {
    fn new(root: &'n Node) -> Self {
        Self {
            out: text_of_size(printed_size([root], INDENT)),
            open: Vec::new(),
            is_on_line: false,
            last: last_scalar(root),
        }
    }

    fn root(&mut self, root: &'n Node) {
        let comments = comments(root);
        self.write_comment(&comments.head, 0);
        self.write_comment(if is_block(root) { &comments.line } else { "" }, 0);
        self.value(root, 0, if is_block(root) { "" } else { &comments.line });
        while let Some(collection) = self.open.pop() {
            self.go_on(collection);
        }
        self.write_comment(&comments.foot, 0);
    }

    /// Writes the next child of the innermost collection.
    fn go_on(&mut self, mut collection: Collection<'n>) {
        let indent = collection.indent;
        if let Children::Entries(_, waiting) = &mut collection.children
            && let Some(value) = waiting.take()
        {
            self.open.push(collection);
            return self.explicit_value(value, indent);
        }
        for foot in std::mem::take(&mut collection.feet) {
            self.write_comment(foot, indent);
        }
        match &mut collection.children {
            Children::Entries(entries, _) => {
                if let Some((key, value)) = entries.next() {
                    self.entry(key, value, collection);
                }
            }
            Children::Items(items) => {
                if let Some(item) = items.next() {
                    self.item(item, collection);
                }
            }
        }
    }

    fn item(&mut self, item: &'n Node, mut collection: Collection<'n>) {
        let indent = collection.indent;
        let comments = comments(item);
        self.write_comment(&comments.head, indent);
        self.write_comment(if is_block(item) { &comments.line } else { "" }, indent);
        collection.feet = [&comments.foot, ""];
        self.open.push(collection);
        self.begin_line(indent);
        self.out.push_str("- ");
        self.is_on_line = true;
        self.value(item, indent + INDENT, if is_block(item) { "" } else { &comments.line });
    }

    fn entry(&mut self, key: &'n Node, value: &'n Node, mut collection: Collection<'n>) {
        let indent = collection.indent;
        let (of_key, of_value) = (comments(key), comments(value));
        self.write_comment(&of_key.head, indent);
        self.write_comment(&of_value.head, indent);
        let line = if of_value.line.is_empty() { &of_key.line } else { &of_value.line };
        collection.feet = [&of_value.foot, &of_key.foot];
        let simple = match &key.kind {
            Kind::Scalar(text, style) => Some(key_text(text, *style, key.tag.as_deref())),
            _ => None,
        };
        let Some(simple) = simple.filter(|text| text.len() <= SIMPLE_KEY_BYTES) else {
            self.write_comment(line, indent);
            if let Children::Entries(_, waiting) = &mut collection.children {
                *waiting = Some(value);
            }
            self.open.push(collection);
            self.begin_line(indent);
            self.out.push_str("? ");
            self.is_on_line = true;
            self.value(key, indent + INDENT, "");
            return;
        };
        self.open.push(collection);
        self.begin_line(indent);
        self.out.push_str(&simple);
        self.out.push(':');
        match &value.kind {
            Kind::Mapping(entries, _) if !entries.is_empty() => {
                self.end_line(line);
                self.value(value, indent + INDENT, "");
            }
            Kind::Sequence(items, _) if !items.is_empty() => {
                self.end_line(line);
                self.value(value, indent, "");
            }
            _ => {
                self.out.push(' ');
                self.value(value, indent + INDENT, line);
            }
        }
    }

    fn explicit_value(&mut self, value: &'n Node, indent: usize) {
        self.begin_line(indent);
        self.out.push_str(": ");
        self.is_on_line = true;
        self.value(value, indent + INDENT, "");
    }

    /// Writes what goes on the line, or opens a collection whose entries stand at `indent`.
    fn value(&mut self, node: &'n Node, indent: usize, line_comment: &str) {
        let children = match &node.kind {
            Kind::Mapping(entries, _) if entries.is_empty() => return self.word("{}", line_comment),
            Kind::Sequence(items, _) if items.is_empty() => return self.word("[]", line_comment),
            Kind::Mapping(entries, _) => Children::Entries(entries.iter(), None),
            Kind::Sequence(items, _) => Children::Items(items.iter()),
            Kind::Scalar(text, style) => return self.scalar(node, text, *style, indent, line_comment),
        };
        self.open.push(Collection { children, indent, feet: ["", ""] });
    }

    fn scalar(&mut self, node: &Node, text: &str, style: ScalarStyle, indent: usize, line_comment: &str) {
        if is_typed(text, style, node.tag.as_deref()) {
            return self.word(if text.is_empty() { "null" } else { text }, line_comment);
        }
        let is_last = self.last.is_some_and(|last| std::ptr::eq(last, node));
        if !is_literal(text, is_last) {
            return self.word(&string_text(text), line_comment);
        }
        self.is_on_line = false;
        self.out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
        self.end_line(line_comment);
        // A root would need no indentation by the grammar, but `---` inside it does.
        let margin = indent.max(INDENT);
        for line in text.lines() {
            if !line.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', margin));
            }
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    fn word(&mut self, text: &str, line_comment: &str) {
        self.is_on_line = false;
        self.out.push_str(text);
        self.end_line(line_comment);
    }

    fn begin_line(&mut self, indent: usize) {
        if !std::mem::take(&mut self.is_on_line) {
            self.out.extend(std::iter::repeat_n(' ', indent));
        }
    }

    /// Ends the line with its comment; a comment of several lines becomes one.
    fn end_line(&mut self, comment: &str) {
        let words: Vec<&str> = comment.split(is_break).filter(|line| !line.is_empty()).collect();
        if !words.is_empty() {
            self.out.push(' ');
            self.push_comment_line(&words.join(" "));
        }
        self.out.push('\n');
    }

    /// Writes comment lines, each marked with `#`. On a line that already has a `- ` they would come between it and
    /// its content, which is allowed.
    fn write_comment(&mut self, comment: &str, indent: usize) {
        for line in comment.split(is_break).filter(|line| !line.is_empty()) {
            self.begin_line(indent);
            self.push_comment_line(line);
            self.out.push('\n');
        }
    }

    fn push_comment_line(&mut self, line: &str) {
        if !line.starts_with('#') {
            self.out.push_str("# ");
        }
        // What readers refuse would cost the whole manifest.
        self.out.extend(
            line.chars().map(|c| if is_readable(c) && c != '\u{feff}' { c } else { char::REPLACEMENT_CHARACTER }),
        );
    }
}

fn last_scalar(root: &Node) -> Option<&Node> {
    let mut node = root;
    loop {
        node = match &node.kind {
            Kind::Mapping(entries, _) => &entries.last()?.1,
            Kind::Scalar(..) => return Some(node),
            Kind::Sequence(items, _) => items.last()?,
        };
    }
}

fn comments(node: &Node) -> &Comments {
    const NONE: &Comments = &Comments { head: String::new(), line: String::new(), foot: String::new() };
    node.comments.as_deref().unwrap_or(NONE)
}

fn is_block(node: &Node) -> bool {
    match &node.kind {
        Kind::Mapping(entries, _) => !entries.is_empty(),
        Kind::Scalar(..) => false,
        Kind::Sequence(items, _) => !items.is_empty(),
    }
}

/// Whether a scalar is to be typed by its text.
fn is_typed(text: &str, style: ScalarStyle, tag: Option<&str>) -> bool {
    let is_of_core_type = matches!(tag, Some("!!bool" | "!!float" | "!!int" | "!!null" | "!!timestamp"));
    let is_untagged = matches!(tag, None | Some("" | "!"));
    (is_of_core_type || is_untagged && style == ScalarStyle::Plain)
        && !matches!(resolve_plain(text), Resolved::Str(_))
        // Numbers, dates and words never need quotes; this is the proof against what a wrong text could do.
        && Allowed::by(text).style(ScalarStyle::Plain, Context::default()) == ScalarStyle::Plain
}

fn key_text(text: &str, style: ScalarStyle, tag: Option<&str>) -> String {
    let is_merge = text == "<<" && style == ScalarStyle::Plain && matches!(tag, None | Some("!!merge"));
    if is_merge || !text.is_empty() && is_typed(text, style, tag) { text.to_owned() } else { string_text(text) }
}

/// A string on one line: plain, or in double quotes.
fn string_text(text: &str) -> String {
    if is_plain_everywhere(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '\n' | '\u{a0}' => push_escape(&mut out, c),
            // yaml.v2 and v3 read what is beyond the basic plane, they only do not write it.
            '\u{10000}'.. => out.push(c),
            _ if is_printable(c) && !is_break(c) => out.push(c),
            _ => push_escape(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// Whether every reader takes a text without quotes for the string it is.
///
/// Numbers and dates of any YAML version begin with a digit, a sign or a dot, indicators are punctuation; a letter in
/// front leaves the words that stand for a bool, nothing, or no number.
fn is_plain_everywhere(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    begins_well && !is_typed_word(text) && has_plain_characters_only(text)
}

fn is_typed_word(text: &str) -> bool {
    const WORDS: [&str; 13] = ["f", "false", "inf", "n", "nan", "no", "null", "off", "on", "t", "true", "y", "yes"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn has_plain_characters_only(text: &str) -> bool {
    let mut previous = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_plain = match c {
            ' ' => previous != ':' && chars.peek().is_some_and(|next| !matches!(next, ' ' | '#')),
            ':' => chars.peek().is_some_and(|next| !is_blank(*next)),
            _ => c.is_ascii_alphanumeric() || "_-./+=@~%$^*()<>;!?&|'".contains(c),
        };
        if !is_plain {
            return false;
        }
        previous = c;
    }
    true
}

/// Whether a text is written as a literal block: free of loss, and readable.
///
/// Its first line must show the indentation. Blanks at the end of a line go unseen or get trimmed by editors. Of the line
/// breaks at its end only one is sure to be kept, and none where the block ends the document: some tools cut documents
/// apart in front of the line break before `---`.
fn is_literal(text: &str, is_last: bool) -> bool {
    let begins_badly = text.starts_with(|c| is_blank(c) || c == '\n');
    let ends_badly = text.ends_with("\n\n") || is_last && text.ends_with('\n');
    let is_visible = |c: char| c == '\t' || c == '\n' || c >= '\u{10000}' || is_printable(c) && !is_break(c);
    let ends_visibly = |line: &str| !line.ends_with(is_blank);
    text.contains('\n')
        && !begins_badly
        && !ends_badly
        && text.chars().all(is_visible)
        && text.split('\n').all(ends_visibly)
}

#[cfg(test)]
mod tests;

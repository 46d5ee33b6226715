//! YAML as Go's yaml.v3 reads and writes it: sops, kustomize and Kubernetes all sit on that library, and
//! its rules decide what was hashed into a MAC.
//!
//! `reader` turns text into [`Node`]s, `resolve` types a scalar, `fields` finds what is in a mapping, `json` shows nodes to serde, `writer` turns nodes into
//! text.

pub mod fields;
pub mod json;
pub mod reader;
pub mod resolve;
pub mod timestamp;
pub mod writer;

use std::collections::HashSet;
use std::fmt;

pub use json::to_json;
pub use reader::{YamlError, parse, parse_text};

/// A place in a text; both numbers count from 1, columns in characters. 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One document of a stream. Its comments are those that yaml.v3 gives the document node.
#[derive(Default)]
pub struct Document {
    /// The content; an empty document has a null scalar here.
    pub root: Node,
    /// Comments before and after the whole content.
    pub comments: Comments,
}

/// Comments of a node, attached as yaml.v3 attaches them: with their `#`, several lines joined by LF.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Comments {
    /// On the lines before the node.
    pub head: String,
    /// At the end of the node's line.
    pub line: String,
    /// On the lines after the node, before a blank line or a dedent.
    pub foot: String,
}

/// A YAML node. No `Debug`: after decryption its text is plaintext.
#[derive(Clone, Default)]
pub struct Node {
    /// What it is and what it holds.
    pub kind: Kind,
    /// The tag, where one is written out: `!!binary`, `!custom`, or `!` (non-specific); long forms of the
    /// `tag:yaml.org,2002:` family are shortened to `!!`.
    pub tag: Option<String>,
    /// Comments, where there are any (rare, hence boxed).
    pub comments: Option<Box<Comments>>,
    /// Set where the node is the copy that an alias (`*name`) stands for: the comments of the alias itself, which may be
    /// empty. `comments` are those of the anchored node.
    pub alias_comments: Option<Box<Comments>>,
    /// Where the node begins; of a copy, where its alias does.
    pub position: Position,
    /// Byte offset at which the node begins, counted as `position` is.
    pub offset: usize,
}

impl Node {
    /// The place of the first key of this mapping whose text another key before it has; looks no deeper.
    ///
    /// As yaml.v3 compares keys: `1` and `"1"` are equal, and so are two mappings, and two sequences.
    pub fn duplicate_key(&self) -> Option<Position> {
        let Kind::Mapping(pairs, _) = &self.kind else { return None };
        let mut seen = HashSet::with_capacity(pairs.len());
        let mut keys = pairs.iter().map(|(key, _)| key);
        let duplicate = keys.find(|key| {
            let text = if let Kind::Scalar(text, _) = &key.kind { text.as_str() } else { "" };
            !seen.insert((std::mem::discriminant(&key.kind), text))
        });
        duplicate.map(|key| key.position)
    }

    /// The error that `rule` is broken at this node.
    pub fn error(&self, rule: &'static str) -> YamlError {
        YamlError::Syntax { rule, position: self.position }
    }
}

/// The content of a [`Node`]. Aliases are expanded by the reader, within a budget.
#[derive(Clone)]
pub enum Kind {
    /// Keys and values in order, duplicates kept.
    Mapping(Vec<(Node, Node)>, CollectionStyle),
    /// Elements in order.
    Sequence(Vec<Node>, CollectionStyle),
    /// Text after unescaping and line folding, and how it was written.
    Scalar(String, ScalarStyle),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Scalar(String::new(), ScalarStyle::Plain)
    }
}

/// How a mapping or sequence is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectionStyle {
    /// One entry a line.
    #[default]
    Block,
    /// `{}` or `[]`.
    Flow,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    /// "…"
    DoubleQuoted,
    /// `>`
    Folded,
    /// `|`
    Literal,
    /// Without quotes: typed by [`resolve`].
    Plain,
    /// '…'
    SingleQuoted,
}

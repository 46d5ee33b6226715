//! YAML as Go's yaml.v3 reads and writes it: sops, kustomize and Kubernetes all sit on that library, and
//! its rules decide what was hashed into a MAC.
//!
//! `reader` turns text into [`Node`]s, `resolve` types a plain scalar, `writer` turns nodes into text.

pub mod reader;
pub mod resolve;
pub mod timestamp;
pub mod writer;

use std::fmt;

pub use reader::{YamlError, parse};

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

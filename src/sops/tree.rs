//! The document model of sops (`sops.go`: `TreeBranches`, `TreeBranch`, `TreeItem`, `Comment`).

use crate::secret::SecretBytes;
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

/// A file's content: one branch per YAML document, exactly one for every other format.
#[derive(Default)]
pub struct Tree {
    /// The documents in order.
    pub documents: Vec<Branch>,
}

/// An ordered mapping; duplicate keys are representable.
#[derive(Default)]
pub struct Branch {
    /// Entries and comments in document order.
    pub items: Vec<Item>,
}

/// What stands in a [`Branch`].
pub enum Item {
    /// A comment between entries.
    Comment(Comment),
    /// A key with its value.
    Entry(Entry),
}

/// A key with its value.
pub struct Entry {
    /// The key; keys are never encrypted.
    pub key: String,
    /// The value, encrypted or not.
    pub value: Value,
    /// Where the value begins in the file.
    pub position: Position,
}

/// A leaf or container. No `Debug`: after opening it holds plaintext.
pub enum Value {
    /// `True` and `False` in the MAC.
    Bool(bool),
    /// A mapping.
    Branch(Branch),
    /// A comment inside a list.
    Comment(Comment),
    /// A 64-bit float.
    Float(f64),
    /// A signed integer.
    Int(i64),
    /// A list.
    List(Vec<Value>),
    /// Nothing; never encrypted, not hashed.
    Null,
    /// Bytes, not necessarily UTF-8. Before opening: an `ENC[…]` token or text in clear.
    Str(SecretBytes),
    /// A point in time (sops 3.10 and later).
    Time(Timestamp),
}

/// A comment without its marker (`#`, `;`).
pub struct Comment {
    /// The text; encrypted comments hold an `ENC[…]` token here.
    pub text: SecretBytes,
    /// Written at the end of its entry's line.
    pub is_inline: bool,
}

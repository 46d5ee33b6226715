//! Text to nodes, exactly as yaml.v3 reads it.
//!
//! A general YAML parser will not do: the MAC of a SOPS file is over what yaml.v3 made of it, comments are encrypted
//! values, and to which node yaml.v3 ties a comment decides the bytes of the decrypted file. That in turn depends on what
//! its scanner had looked at when it met the comment, which no event of another parser tells. So the stages follow that
//! library: `source` gives characters; `scanner` with `keys`, `scalars`, `properties` and `comments` makes tokens of them;
//! `parser` with `collections` events; `tree` with `alias` nodes.

mod alias;
mod collections;
mod comments;
mod keys;
mod parser;
mod properties;
mod scalars;
mod scanner;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use super::{Document, Position};
use source::Source;

/// Why a text is not read. Carries rules and places, never content.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// Not well-formed.
    #[error("{rule} at {position}")]
    Syntax {
        /// The broken rule, in fixed words.
        rule: &'static str,
        /// Where.
        position: Position,
    },
}

/// Reads a stream of documents: none where there is nothing but blanks and comments.
///
/// UTF-8 only; a byte order mark is skipped. Line breaks inside scalars come out as LF. Aliases are expanded. Keys may
/// be there twice ([`super::Node::duplicate_key`] tells).
///
/// # Errors
/// What yaml.v3 refuses, and whatever exceeds `NESTING`, `YAML_NODES`, `ALIAS_NODES` or `ALIAS_BYTES` of
/// [`crate::limits`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Document>, YamlError> {
    tree::read_documents(Source::new(bytes)?)
}

/// [`parse`] for what is known to be UTF-8 already, which may be megabytes.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &str) -> Result<Vec<Document>, YamlError> {
    tree::read_documents(Source::of_text(text)?)
}

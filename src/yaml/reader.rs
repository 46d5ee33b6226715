//! Text to nodes.

use super::{Document, Position};

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

/// Reads a stream of documents.
pub fn parse(_bytes: &[u8]) -> Result<Vec<Document>, YamlError> {
    unimplemented!()
}

//! What is wrong with a generator manifest or with what its sources decrypt to.

use std::fmt;

use crate::path::SourcePath;
use crate::text::Printable;
use crate::yaml::Position;

/// Who has to act, and with it the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The decrypted content is malformed or unsupported (exit 5).
    Content,
    /// The generator manifest is invalid, or gives nothing to generate (exit 3).
    Manifest,
}

/// One thing that is wrong. It holds fixed words, names of fields, numbers and [`Printable`] names, never a value.
#[derive(Debug)]
pub struct GeneratorError {
    /// Who has to act.
    pub fault: Fault,
    /// The source whose content is meant, where it is not the manifest.
    pub source: Option<Printable>,
    /// The field of the manifest, `secretFrom[0].files[2]`; empty for the manifest as a whole.
    pub field: FieldPath,
    /// What is wrong.
    pub reason: Sentence,
    /// Where: in the manifest, or in the decrypted text of `source`. Unknown is 0.
    pub position: Position,
    /// The next step, where there is a telling one.
    pub hint: Option<Sentence>,
}

impl GeneratorError {
    /// An error of the manifest (exit 3).
    pub(super) fn manifest(field: &FieldPath, position: Position, reason: impl Into<Sentence>) -> Self {
        Self { fault: Fault::Manifest, source: None, field: field.clone(), reason: reason.into(), position, hint: None }
    }

    /// An error of what a source decrypts to (exit 5).
    pub(super) fn content(source: &SourcePath, field: &FieldPath, reason: impl Into<Sentence>) -> Self {
        Self {
            fault: Fault::Content,
            source: Some(source.printable()),
            field: field.clone(),
            reason: reason.into(),
            position: Position::default(),
            hint: None,
        }
    }

    /// Says who has to act.
    pub(super) fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Says where.
    pub(super) fn at(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// Says what to do.
    pub(super) fn hint(self, hint: impl Into<Sentence>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for GeneratorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        if !self.field.0.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.reason)?;
        match self.position {
            Position { line: 0, .. } => Ok(()),
            Position { line, column: 0 } => write!(f, " (line {line})"),
            position => write!(f, " ({position})"),
        }
    }
}

impl std::error::Error for GeneratorError {}

/// Fixed words with printable names between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence(String);

impl Sentence {
    /// Begins with fixed words.
    pub(super) fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// Goes on with fixed words.
    pub(super) fn words(mut self, words: &'static str) -> Self {
        self.0.push_str(words);
        self
    }

    /// Goes on with a name.
    pub(super) fn name(mut self, name: &Printable) -> Self {
        self.0.push_str(name.as_str());
        self
    }

    /// Goes on with the path of a field.
    pub(super) fn field(mut self, field: &FieldPath) -> Self {
        self.0.push_str(&field.0);
        self
    }

    /// Goes on with another sentence.
    pub(super) fn sentence(mut self, sentence: &Self) -> Self {
        self.0.push_str(&sentence.0);
        self
    }

    /// Goes on with a number.
    pub(super) fn number(mut self, number: usize) -> Self {
        self.0.push_str(&number.to_string());
        self
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Sentence {
    fn from(words: &'static str) -> Self {
        Self::new(words)
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The way to a field of the manifest: known field names and indices only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// A field below this one.
    pub(super) fn field(&self, name: &'static str) -> Self {
        let dot = if self.0.is_empty() { "" } else { "." };
        Self(format!("{}{dot}{name}", self.0))
    }

    /// An element of this list, from 0.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

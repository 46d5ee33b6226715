//! Where a value stands in a tree: its path, for messages and reports.

use std::fmt::Write as _;

use super::SopsError;
use crate::limits;
use crate::text::Printable;
use crate::yaml::Position;

/// The way to a value, for messages.
pub(super) struct Path<'a> {
    pub(super) parent: Option<&'a Path<'a>>,
    pub(super) step: Step<'a>,
    depth: usize,
    pub(super) position: Position,
}

/// One step on the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The element of a list, from 0; comments of the list count, too.
    Index(usize),
    /// The key of a mapping.
    Key(&'a str),
    /// The top of a document.
    Root,
}

impl<'a> Path<'a> {
    pub(super) const ROOT: Self =
        Self { parent: None, step: Step::Root, depth: 0, position: Position { line: 0, column: 0 } };

    pub(super) fn below(&'a self, step: Step<'a>, position: Option<Position>) -> Result<Path<'a>, SopsError> {
        let depth = self.depth + 1;
        let path = Path { parent: Some(self), step, depth, position: position.unwrap_or(self.position) };
        // Documents are read no deeper than this; the walk's own stack does not rely on it.
        if depth > 2 * limits::NESTING { Err(path.malformed("nested too deeply")) } else { Ok(path) }
    }

    /// The steps from the top of the document, without the top.
    pub(super) fn steps(&self) -> Vec<Step<'a>> {
        let mut steps = Vec::with_capacity(self.depth);
        let mut path = Some(self);
        while let Some(Path { parent, step, .. }) = path {
            steps.push(*step);
            path = *parent;
        }
        steps.pop();
        steps.reverse();
        steps
    }

    /// `spec.env[2].name`; keys are not secret.
    pub(super) fn name(&self) -> Printable {
        let mut name = String::new();
        for step in self.steps() {
            match step {
                Step::Index(index) => write!(name, "[{index}]").expect("writing to a String does not fail"),
                Step::Key(key) => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    // What a message has no room for is not worth copying: a key may be as long as the file.
                    name.extend(key.chars().take(limits::PRINTABLE_CHARS + 1));
                }
                Step::Root => {}
            }
        }
        Printable::new(&name)
    }

    pub(super) fn not_encrypted(&self) -> SopsError {
        self.malformed("not encrypted, though the file's rules say so: take it out and add it again with sops")
    }

    pub(super) fn too_costly(&self) -> SopsError {
        self.malformed("the regular expression of the sops metadata would take too long on this file")
    }

    pub(super) fn malformed(&self, reason: &'static str) -> SopsError {
        let (position, path) = self.place();
        SopsError::Format { reason: reason.to_owned(), position, path }
    }

    pub(super) fn tampered(&self, reason: &'static str) -> SopsError {
        let (position, path) = self.place();
        SopsError::Integrity { reason, position, path }
    }

    fn place(&self) -> (Option<Position>, Option<Printable>) {
        (Some(self.position), Some(self.name()).filter(|name| !name.as_str().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deepest(path: &Path<'_>) -> usize {
        path.below(Step::Index(0), None).map_or(path.depth, |path| deepest(&path))
    }

    #[test]
    fn no_walk_goes_deeper_than_twice_the_nesting_of_a_document() {
        assert_eq!(deepest(&Path::ROOT), 2 * limits::NESTING);
    }

    #[test]
    fn a_long_key_is_cut_as_any_name() {
        for length in [limits::PRINTABLE_CHARS - 1, limits::PRINTABLE_CHARS, limits::PRINTABLE_CHARS + 1, 10_000] {
            let key = "k".repeat(length);
            let path = Path::ROOT.below(Step::Key(&key), None).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(path.name().as_str(), Printable::new(&key).as_str(), "{length}");
        }
    }
}

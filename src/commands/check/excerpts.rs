//! Lines of kustomizations and generator manifests for reports. The file at hand stays in memory with its lines counted,
//! so that many findings in one file cost one read.

use std::cell::RefCell;

use crate::findings::Excerpt;
use crate::jail::Root;
use crate::limits;
use crate::path::SourcePath;
use crate::yaml::Position;

/// Gives lines of files beneath the root.
pub struct Excerpts<'a> {
    root: &'a Root,
    at_hand: RefCell<Option<Lines>>,
}

struct Lines {
    file: String,
    text: Vec<u8>,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Excerpts<'a> {
    /// Nothing is read yet.
    pub fn new(root: &'a Root) -> Self {
        Self { root, at_hand: RefCell::new(None) }
    }

    /// The line of a place; the file must be one that holds no values.
    pub fn line(&self, file: &str, position: Position) -> Option<Excerpt> {
        let mut at_hand = self.at_hand.borrow_mut();
        if at_hand.as_ref().is_none_or(|lines| lines.file != file) {
            *at_hand = Some(self.read(file));
        }
        let lines = at_hand.as_ref()?;
        let index = usize::try_from(position.line).ok()?.checked_sub(1)?;
        let start = *lines.starts.get(index)?;
        let end = lines.starts.get(index.saturating_add(1)).map_or(lines.text.len(), |next| next.saturating_sub(1));
        Excerpt::of_line(lines.text.get(start..end)?, position.column)
    }

    fn read(&self, file: &str) -> Lines {
        let source = SourcePath::parse(file).ok();
        let text = source.and_then(|source| self.root.read(self.root.path(), &source, limits::MANIFEST_BYTES).ok());
        let text = text.map(crate::jail::FileBytes::into_vec).unwrap_or_default();
        let breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at.saturating_add(1));
        let starts = std::iter::once(0).chain(breaks).collect();
        Lines { file: file.to_owned(), text, starts }
    }
}

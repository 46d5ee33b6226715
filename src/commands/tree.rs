//! The files of a tree, for the walk through kustomizations: `kustomization::walk(&Tree::new(&root), ["overlays/x"])`.

use crate::jail::{Lead, Root};
use crate::kustomization::{FileKind, Files, Unread};
use crate::limits;
use crate::path::SourcePath;

/// Files beneath the allowed root.
pub struct Tree<'a> {
    root: &'a Root,
}

impl<'a> Tree<'a> {
    /// The tree beneath a root.
    pub fn new(root: &'a Root) -> Self {
        Self { root }
    }
}

impl Files for Tree<'_> {
    fn kind(&self, path: &str) -> FileKind {
        match self.root.lead(path) {
            Lead::Directory => FileKind::Directory,
            Lead::File => FileKind::File,
            Lead::Nothing => FileKind::Missing,
            Lead::Other => FileKind::Unusable,
            Lead::Outside => FileKind::Outside,
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Unread> {
        let source = SourcePath::parse(path).map_err(|error| Unread(error.to_string()))?;
        match self.root.read(self.root.path(), &source, limits::MANIFEST_BYTES) {
            Ok(bytes) => Ok(bytes.into_vec()),
            Err(error) => Err(Unread(error.reason.to_string())),
        }
    }
}

//! Where the root is, and where paths lead; by name only, nothing is opened here.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::text::Printable;

/// Name of the directory in which `argocd-cmp-server` unpacks each request's tree.
const CMP_WORK_DIR: &str = "_cmp_server";

/// Finds the root that a directory lies in.
///
/// Where several directories are named `_cmp_server`, the nearest counts: a tree that brings one along can then only
/// narrow its root. Nothing above a streamed tree is looked at.
pub(super) fn enclosing_root(current_dir: &Path) -> &Path {
    let streamed = current_dir
        .ancestors()
        .find(|dir| dir.parent().and_then(Path::file_name).is_some_and(|parent| parent == CMP_WORK_DIR));
    if let Some(tree) = streamed {
        return tree;
    }
    // A directory, or a file in work trees and submodules.
    current_dir.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok()).unwrap_or(current_dir)
}

/// Whether the `..` of a path alone lead above where it starts; symbolic links may still change that.
pub(super) fn escapes(path: &Path) -> bool {
    let mut depth = 0_usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth = depth.saturating_add(1),
            Component::ParentDir => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return true,
        }
    }
    false
}

/// The path, or `.` for nothing.
pub(super) fn or_dot(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

/// A path fit for a message.
pub(super) fn printable(path: &Path) -> Printable {
    Printable::from_bytes(path.as_os_str().as_bytes())
}

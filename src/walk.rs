//! The files of a directory as git sees them: those that it tracks, and those that `.gitignore` does not name; without
//! `.git`, in order of their names.
//!
//! Symbolic links are not followed, so that there are no cycles and nothing outside is found; their targets in the
//! directory are found by their own names.

mod index;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::limits;
use crate::text::Printable;

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Regular files, relative to the directory, sorted by path component.
    pub files: Vec<PathBuf>,
    /// What could not be listed, and why.
    pub problems: Vec<(Printable, &'static str)>,
}

/// Lists the files below a directory, at most [`limits::WALK_ENTRIES`] of them and [`limits::NESTING`] deep. A
/// directory that is itself a symbolic link is listed.
pub fn files(directory: &Path) -> Listing {
    let mut listing = Listing::default();
    let canonical = directory.canonicalize().ok();
    let work_tree = canonical.as_deref().and_then(work_tree);
    let is_in_work_tree = work_tree.is_some();
    let walk = WalkBuilder::new(directory)
        // Hidden files are not hidden from git; `.ignore` files and the user's own excludes say nothing about a repository.
        .hidden(false)
        .ignore(false)
        .git_global(false)
        // An unpacked archive has its .gitignore, but no .git; what lies above it says nothing about it.
        .require_git(is_in_work_tree)
        .parents(is_in_work_tree)
        .follow_links(false)
        .max_depth(Some(limits::NESTING))
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .build();
    for (count, entry) in walk.enumerate() {
        if count == limits::WALK_ENTRIES {
            listing.problems.push((printable(directory), "holds too many files: the others were not looked at"));
            break;
        }
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                listing.files.extend(entry.path().strip_prefix(directory).map(Path::to_owned));
            }
            Ok(_) => {}
            Err(error) => listing.problems.push(problem(directory, &error)),
        }
    }
    if let (Some(work_tree), Some(directory)) = (work_tree, canonical.as_deref()) {
        let mut files: BTreeSet<PathBuf> = index::tracked(work_tree, directory).into_iter().collect();
        files.extend(std::mem::take(&mut listing.files));
        listing.files.extend(files);
    }
    listing
}

/// What [`files`] reads outside of a directory: git's index, and what is ignored further up in the work tree.
pub fn beside(directory: &Path) -> Vec<PathBuf> {
    let Some(work_tree) = work_tree(directory) else { return Vec::new() };
    let git = index::git_directory(work_tree);
    let mut places = vec![git.join("index"), git.join("info/exclude"), git.join("commondir")];
    places.extend(index::common_directory(&git).map(|common| common.join("info/exclude")));
    let link = work_tree.join(".git");
    places.extend(Some(link).filter(|link| link.is_file()));
    let above = directory.ancestors().skip(1).take_while(|above| above.starts_with(work_tree));
    places.extend(above.map(|above| above.join(".gitignore")));
    places
}

/// The ancestor that holds `.git`.
fn work_tree(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|above| above.join(".git").symlink_metadata().is_ok())
}

/// A path fit for a message.
pub fn printable(path: &Path) -> Printable {
    Printable::from_bytes(path.as_os_str().as_encoded_bytes())
}

fn problem(directory: &Path, error: &ignore::Error) -> (Printable, &'static str) {
    let why = match error.io_error().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::NotFound) => "does not exist",
        Some(std::io::ErrorKind::PermissionDenied) => "may not be read (permission denied)",
        Some(_) => "cannot be read",
        None => "cannot be listed",
    };
    (path_of(error).map_or_else(|| printable(directory), printable), why)
}

/// The path that an error is about.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Loop { child, .. } => Some(child),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        dir
    }

    fn listed(dir: &Path) -> Vec<String> {
        files(dir).files.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn lists_what_git_would_in_order() {
        let dir = tree(&[
            (".gitignore", "*.log\n/out/\n!keep.log\n"),
            (".git/config", ""),
            (".hidden/a", ""),
            ("b.log", ""),
            ("keep.log", ""),
            ("out/c", ""),
            ("sub/out/d", ""),
            ("sub/.gitignore", "e\n"),
            ("sub/e", ""),
            (".ignore", "f\n"),
            ("f", ""),
        ]);
        assert_eq!(
            listed(dir.path()),
            [".gitignore", ".hidden/a", ".ignore", "f", "keep.log", "sub/.gitignore", "sub/out/d"]
        );
    }

    #[test]
    fn what_lies_above_counts_within_a_work_tree_only() {
        let dir = tree(&[
            (".gitignore", "*\n"),
            ("plain/a", ""),
            ("repo/.git/HEAD", ""),
            ("repo/.gitignore", "b\n"),
            ("repo/sub/b", ""),
            ("repo/sub/c", ""),
        ]);
        assert_eq!(listed(&dir.path().join("plain")), ["a"]);
        assert_eq!(listed(&dir.path().join("repo/sub")), ["c"]);
    }

    /// With the real git, in each version of its index.
    #[test]
    fn lists_what_git_tracks_though_it_is_ignored() {
        for version in ["2", "3", "4"] {
            let dir = tree(&[
                (".gitignore", "old/\n*.log\n"),
                ("old/kept.yaml", ""),
                ("old/kept-too.yaml", ""),
                ("sub/old/a", ""),
                ("b", ""),
            ]);
            std::os::unix::fs::symlink("b", dir.path().join("link.log")).unwrap();
            let git = |args: &[&str]| {
                let mut git = std::process::Command::new("git");
                let run =
                    git.args(["-c", &format!("index.version={version}")]).args(args).current_dir(dir.path()).output();
                assert!(run.is_ok_and(|run| run.status.success()), "git {args:?}");
            };
            git(&["init", "-q"]);
            git(&["add", "-f", "old/kept.yaml", "old/kept-too.yaml", "sub/old/a", "link.log"]);
            // What only version 3 and later can say of an entry.
            if version != "2" {
                git(&["add", "-N", "b"]);
            }
            git(&["update-index", "--index-version", version]);
            std::fs::write(dir.path().join("old/new.yaml"), "").unwrap();
            let all = [".gitignore", "b", "old/kept-too.yaml", "old/kept.yaml", "sub/old/a"];
            assert_eq!(listed(dir.path()), all, "version {version}");
            // Whoever names an ignored directory wants what is in it.
            assert_eq!(listed(&dir.path().join("old")), ["kept-too.yaml", "kept.yaml", "new.yaml"]);
            std::fs::remove_file(dir.path().join("old/kept.yaml")).unwrap();
            assert_eq!(listed(dir.path()), [".gitignore", "b", "old/kept-too.yaml", "sub/old/a"]);
        }
    }

    #[test]
    fn ends_in_a_cycle_and_does_not_leave_the_directory() {
        let dir = tree(&[("a/file", ""), ("target", "")]);
        std::os::unix::fs::symlink("..", dir.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/out")).unwrap();
        std::os::unix::fs::symlink("../target", dir.path().join("a/in")).unwrap();
        assert_eq!(listed(dir.path()), ["a/file", "target"]);
    }

    #[test]
    fn says_what_it_could_not_list() {
        let listing = files(Path::new("/no/such/directory"));
        assert_eq!(listing.problems, [("/no/such/directory".into(), "does not exist")]);
    }
}

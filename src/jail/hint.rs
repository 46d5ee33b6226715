//! The next step after a refusal.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::place::{or_dot, printable};
use super::{Reason, Root};
use crate::limits;
use crate::path::SourcePath;

/// Says what to do about a source that was not opened. `start` is `base` relative to the root.
pub(super) fn for_source(
    root: &Root,
    base: &Path,
    start: &Path,
    source: &SourcePath,
    reason: Reason,
) -> Option<String> {
    match reason {
        Reason::LinkOutsideRoot | Reason::OutsideRoot => Some(outside(root)),
        Reason::Missing => Some(missing(root, base, start, source)),
        _ => None,
    }
}

/// Names the root and how it is changed.
pub(super) fn outside(root: &Root) -> String {
    format!("the allowed root is {}; the operator can set UNSOPS_ROOT", printable(&root.path))
}

/// Says how an absolute path inside the root is written.
pub(super) fn for_absolute(root: &Root, base: &Path, absolute: &str) -> Option<String> {
    let target = Path::new(absolute);
    target.strip_prefix(&root.path).ok()?;
    base.strip_prefix(&root.path).ok()?;
    let relative = relative_to(base, target)?;
    Some(format!("write {}; paths start at {}", printable(&relative), printable(base)))
}

/// What a near name may be, and else where the path starts: the usual mistake is to count from the manifest's own
/// directory instead of the kustomization's.
fn missing(root: &Root, base: &Path, start: &Path, source: &SourcePath) -> String {
    let written = Path::new(source.as_str());
    match (written.parent(), written.file_name()) {
        (Some(parent), Some(name)) => match nearest(root, &start.join(parent), name.as_bytes()) {
            Search::Found(near) => {
                let near = parent.join(std::ffi::OsStr::from_bytes(&near));
                format!("did you mean {}?", printable(&near))
            }
            Search::Dangling => "a symbolic link on the way points to nothing".to_owned(),
            Search::NoDirectory => {
                format!("{} is missing too; paths start at {}", printable(&or_dot(parent)), printable(base))
            }
            Search::Nothing => starts_at(base),
        },
        _ => starts_at(base),
    }
}

fn starts_at(base: &Path) -> String {
    format!("paths start at {}", printable(base))
}

enum Search {
    /// The very name is there, so it is a link to nothing.
    Dangling,
    Found(Vec<u8>),
    NoDirectory,
    Nothing,
}

/// The name in a directory that differs least: in letter case only, else in one or two characters.
fn nearest(root: &Root, parent: &Path, name: &[u8]) -> Search {
    let Ok(entries) = root.dir.read_dir(or_dot(parent)) else {
        return Search::NoDirectory;
    };
    let mut best: Option<(usize, Vec<u8>)> = None;
    for entry in entries.take(limits::DIRECTORY_ENTRIES).flatten() {
        let candidate = entry.file_name().as_bytes().to_vec();
        if candidate == name {
            return Search::Dangling;
        }
        let distance = if candidate.eq_ignore_ascii_case(name) { 0 } else { edits(&candidate, name) };
        // The name breaks ties: the order of a directory differs from one machine to the next.
        if distance <= tolerated(name) && best.as_ref().is_none_or(|found| (distance, &candidate) < (found.0, &found.1))
        {
            best = Some((distance, candidate));
        }
    }
    best.map_or(Search::Nothing, |(_, name)| Search::Found(name))
}

/// Short names are near to everything.
fn tolerated(name: &[u8]) -> usize {
    match name.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Bytes to insert, delete or replace, ignoring letter case. Both are file names, so at most 255 bytes.
fn edits(one: &[u8], other: &[u8]) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (b, above) in other.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// `target` as seen from `base`; both absolute.
fn relative_to(base: &Path, target: &Path) -> Option<PathBuf> {
    if target.components().any(|component| component == Component::ParentDir) {
        return None;
    }
    let shared = base.components().zip(target.components()).take_while(|(one, other)| one == other).count();
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    Some(up.chain(target.components().skip(shared)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bytes_to_insert_delete_or_replace() {
        let cases = [
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("", "ab", 2),
            ("abcd", "ab", 2),
            ("abcd", "acbd", 2),
            ("db.yaml", "DB.yml", 1),
            ("same", "same", 0),
            ("abcd", "wxyz", 4),
            ("a", "abcd", usize::MAX),
        ];
        for (one, other, count) in cases {
            assert_eq!(edits(one.as_bytes(), other.as_bytes()), count, "{one} {other}");
            assert_eq!(edits(other.as_bytes(), one.as_bytes()), count, "{other} {one}");
        }
    }

    #[test]
    fn the_longer_a_name_the_more_it_may_differ() {
        let tolerated: Vec<usize> = (0..=9).map(|length| tolerated(&b"123456789"[..length])).collect();
        assert_eq!(tolerated, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn a_path_goes_up_only_as_far_as_it_must() {
        let seen = |base: &str, target: &str| relative_to(Path::new(base), Path::new(target));
        assert_eq!(seen("/r/a/b", "/r/a/b/c"), Some("c".into()));
        assert_eq!(seen("/r/a/b", "/r/c/d"), Some("../../c/d".into()));
        assert_eq!(seen("/r/a", "/r/b/../a/c"), None);
    }
}

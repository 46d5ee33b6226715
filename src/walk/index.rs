//! Which files git tracks: `.git/index`. A file that was added once stays in the repository though `.gitignore` names it
//! by now.
//!
//! Source: git, `Documentation/gitformat-index.adoc`, versions 2 to 4 with SHA-1. What is not understood is no file.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use crate::limits;

/// Regular files that git tracks below a directory of its work tree, relative to the directory. `directory` is
/// canonical; `work_tree` is the one of its ancestors that holds `.git`.
pub(super) fn tracked(work_tree: &Path, directory: &Path) -> Vec<PathBuf> {
    let Ok(below) = directory.strip_prefix(work_tree) else { return Vec::new() };
    let Some(index) = read(&git_directory(work_tree).join("index"), limits::GIT_INDEX_BYTES) else { return Vec::new() };
    let is_plain = |path: &Path| {
        path.components().all(|part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")))
    };
    paths(&index)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| path.strip_prefix(below).map(Path::to_owned).ok())
        .filter(|path| is_plain(path) && directory.join(path).symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect()
}

/// `.git`, or where the file `.git` of a linked work tree or submodule leads.
pub(super) fn git_directory(work_tree: &Path) -> PathBuf {
    let git = work_tree.join(".git");
    let Some(link) = read(&git, limits::PATH_BYTES) else { return git };
    match link.strip_prefix(b"gitdir: ") {
        Some(path) => work_tree.join(OsStr::from_bytes(path.trim_ascii_end())),
        None => git,
    }
}

/// Where a linked work tree leads for what all work trees of a repository have in common.
pub(super) fn common_directory(git: &Path) -> Option<PathBuf> {
    let link = read(&git.join("commondir"), limits::PATH_BYTES)?;
    Some(git.join(OsStr::from_bytes(link.trim_ascii_end())))
}

/// A regular file of at most `limit` bytes.
fn read(path: &Path, limit: usize) -> Option<Vec<u8>> {
    // A FIFO must not block the open.
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || usize::try_from(metadata.len()).ok()? > limit {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(u64::try_from(limit).ok()?).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Bytes of an entry before its flags: stat data and a SHA-1.
const FIXED: usize = 60;

/// The regular files of an index; `None` for what is none, or not understood.
fn paths(index: &[u8]) -> Option<Vec<PathBuf>> {
    let (header, mut rest) = index.split_at_checked(12)?;
    let version = number(header.strip_prefix(b"DIRC")?)?;
    let count = usize::try_from(number(header.get(8..)?)?).ok()?;
    if !(2..=4).contains(&version) || count > limits::WALK_ENTRIES {
        return None;
    }
    let mut found = Vec::new();
    let mut previous: Vec<u8> = Vec::new();
    for _ in 0..count {
        let kind = number(rest.get(24..)?)? >> 12;
        let flags = u16::from_be_bytes(rest.get(FIXED..)?.first_chunk().copied()?);
        let is_extended = version > 2 && flags & 0x4000 != 0;
        let name_at = FIXED + if is_extended { 4 } else { 2 };
        let mut name = rest.get(name_at..)?;
        if version == 4 {
            // The path shares its beginning with the one before.
            let dropped = offset(&mut name)?;
            previous.truncate(previous.len().checked_sub(dropped)?);
        } else {
            previous.clear();
        }
        let length = name.iter().position(|byte| *byte == 0)?;
        previous.extend_from_slice(name.get(..length)?);
        if previous.len() > limits::PATH_BYTES {
            return None;
        }
        if kind == 0o10 {
            found.push(PathBuf::from(OsStr::from_bytes(&previous)));
        }
        rest = match version {
            4 => name.get(length + 1..)?,
            // One to eight NULs, so that entries begin at multiples of eight.
            _ => rest.get((name_at + length + 8) / 8 * 8..)?,
        };
    }
    Some(found)
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.first_chunk().copied()?))
}

/// A number as in pack files: seven bits a byte, each further byte adds one to what came before.
fn offset(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value = value.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_no_index() {
        let header =
            |version: u32, count: u32| [b"DIRC".as_slice(), &version.to_be_bytes(), &count.to_be_bytes()].concat();
        assert_eq!(paths(&header(2, 0)), Some(Vec::new()));
        for bytes in [Vec::new(), b"DIRC".to_vec(), header(1, 0), header(5, 0), header(2, 1), header(4, u32::MAX)] {
            assert_eq!(paths(&bytes), None);
        }
        for version in 2..=4 {
            for filler in [0, 1, 0x80, 0xff] {
                for length in 0..200 {
                    _ = paths(&[header(version, 3), vec![filler; length]].concat());
                }
            }
        }
    }
}

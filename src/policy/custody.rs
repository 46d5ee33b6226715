//! In whose hands the policy file is.
//!
//! A policy that the sidecar's own user could change would bind nobody: a tenant who finds a way to run something there
//! would rewrite it. So every file and directory on the way to it is looked at, links included, since each of them could
//! be put in the place of another. The kernel is asked whether it lets this user write, which also answers for read-only
//! mounts (ConfigMaps and Secrets are such) and for groups.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat, StatVfsMountFlags};
use rustix::io::Errno;

use crate::environment::Environment;
use crate::limits;

/// Names the policy, for whoever sets the environment.
const VARIABLE: &str = "UNSOPS_POLICY";

/// Where the policy of a sidecar is expected.
const DEFAULT: &str = "/etc/unsops/policy.yaml";

/// Most symbolic links on the way, as in Linux.
const MOST_LINKS: usize = 40;

/// Why a policy file cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// `UNSOPS_POLICY` is empty or relative.
    #[error("UNSOPS_POLICY must be an absolute path")]
    NotAbsolute,
    /// Nothing there.
    #[error("there is no such file")]
    Missing,
    /// No permission.
    #[error("this user may not read it")]
    Unreadable,
    /// A directory, a device, or the like.
    #[error("not a regular file")]
    NotRegular,
    /// Larger than [`limits::POLICY_BYTES`].
    #[error("larger than {} bytes", limits::POLICY_BYTES)]
    TooLarge,
    /// Too many links, or a part of the way is no directory.
    #[error("the way to it cannot be followed")]
    Way,
    /// The user of this process could change the file.
    #[error("the user of this process could change it, so it binds nobody")]
    Writable,
    /// The user of this process could put another file in its place.
    #[error("the user of this process could change the directory {0}, and so put another file in its place")]
    WritableDirectory(String),
}

/// The policy that is in force: `UNSOPS_POLICY`, or, where Argo CD runs us, the one at the default place if there is
/// one. Set but empty is not unset: it names no file, which [`read`] refuses.
///
/// Under `argocd-cmp-server` every run of ours has `ARGOCD_APP_NAME`, the plugin calls below it too.
pub fn locate(environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = environment.var_os(VARIABLE) {
        return Some(PathBuf::from(path));
    }
    let is_argocd = environment.var_os("ARGOCD_APP_NAME").is_some()
        || environment.current_dir().is_some_and(|dir| dir.components().any(|part| part.as_os_str() == "_cmp_server"));
    // Whatever keeps us from looking is no proof of absence.
    let is_there = || !matches!(rustix::fs::lstat(DEFAULT), Err(Errno::NOENT));
    (is_argocd && is_there()).then(|| PathBuf::from(DEFAULT))
}

/// Reads a policy file that this user cannot change.
///
/// # Errors
/// [`CustodyError`]
pub fn read(path: &Path) -> Result<Vec<u8>, CustodyError> {
    let file = follow(path)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let descriptor = rustix::fs::open(&file, flags, Mode::empty()).map_err(reason)?;
    let stat = rustix::fs::fstat(&descriptor).map_err(reason)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(CustodyError::NotRegular);
    }
    if may_change(&file, &stat, is_read_only_descriptor(&descriptor)) {
        return Err(CustodyError::Writable);
    }
    let mut bytes = Vec::new();
    let bound = u64::try_from(limits::POLICY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::from(descriptor).take(bound).read_to_end(&mut bytes).map_err(|_| CustodyError::Unreadable)?;
    if bytes.len() > limits::POLICY_BYTES { Err(CustodyError::TooLarge) } else { Ok(bytes) }
}

/// Follows a path link by link, and refuses where this user could lead it elsewhere. Gives the file without links.
fn follow(path: &Path) -> Result<PathBuf, CustodyError> {
    if !path.is_absolute() {
        return Err(CustodyError::NotAbsolute);
    }
    let mut rest: VecDeque<OsString> = parts(path);
    let mut current = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            current.pop();
            continue;
        }
        let next = current.join(&name);
        let stat = rustix::fs::lstat(&next).map_err(reason)?;
        if could_replace(&current, &stat)? {
            return Err(CustodyError::WritableDirectory(current.display().to_string()));
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            current = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(CustodyError::Way);
        }
        let target = rustix::fs::readlink(&next, Vec::new()).map_err(reason)?;
        let target = PathBuf::from(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(target.into_bytes()));
        if target.is_absolute() {
            current = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            rest.push_front(part);
        }
    }
    Ok(current)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
    });
    names.collect()
}

/// Whether this user could put something else in the place of an entry of a directory.
fn could_replace(directory: &Path, entry: &Stat) -> Result<bool, CustodyError> {
    let stat = rustix::fs::stat(directory).map_err(reason)?;
    let is_read_only = is_read_only(directory);
    let own = rustix::process::geteuid().as_raw();
    // In a sticky directory (`/tmp`) an entry is moved only by its owner, by the directory's, or by root.
    let is_sticky = stat.st_mode & Mode::SVTX.bits() != 0;
    if is_sticky && own != 0 && entry.st_uid != own && stat.st_uid != own {
        return Ok(false);
    }
    Ok(may_change(directory, &stat, is_read_only))
}

/// Whether this user may write, or could give itself the permission.
fn may_change(path: &Path, stat: &Stat, is_read_only: bool) -> bool {
    let is_own = stat.st_uid == rustix::process::geteuid().as_raw();
    !is_read_only && (is_own || is_writable(path))
}

fn is_writable(path: &Path) -> bool {
    let asked = rustix::fs::accessat(rustix::fs::CWD, path, Access::WRITE_OK, AtFlags::EACCESS);
    match asked {
        Err(Errno::NOSYS | Errno::INVAL) => rustix::fs::access(path, Access::WRITE_OK).is_ok(),
        other => other.is_ok(),
    }
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|file_system| file_system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn is_read_only_descriptor(descriptor: impl AsFd) -> bool {
    rustix::fs::fstatvfs(descriptor).is_ok_and(|file_system| file_system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn reason(errno: Errno) -> CustodyError {
    match errno {
        Errno::NOENT => CustodyError::Missing,
        Errno::ACCESS | Errno::PERM => CustodyError::Unreadable,
        Errno::LOOP => CustodyError::NotRegular,
        _ => CustodyError::Way,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn environment(variables: &[(&str, &str)], dir: &str) -> Environment {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Environment::new(variables, Some(PathBuf::from(dir)))
    }

    #[test]
    fn the_variable_decides_and_empty_is_not_unset() {
        let located = |variables: &[(&str, &str)]| locate(&environment(variables, "/somewhere"));
        assert_eq!(located(&[]), None);
        assert_eq!(located(&[("UNSOPS_POLICY", "/p.yaml")]), Some(PathBuf::from("/p.yaml")));
        assert_eq!(located(&[("UNSOPS_POLICY", "")]), Some(PathBuf::new()));
        assert_eq!(read(Path::new("")), Err(CustodyError::NotAbsolute));
        assert_eq!(read(Path::new("policy.yaml")), Err(CustodyError::NotAbsolute));
    }

    #[test]
    fn a_file_of_our_own_binds_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        assert!(matches!(read(&path), Err(CustodyError::Missing | CustodyError::WritableDirectory(_))));
        drop(std::fs::File::create_new(&path).unwrap());
        // The directory is ours, so it is refused before the file.
        assert!(matches!(read(&path), Err(CustodyError::WritableDirectory(_))));
    }

    #[test]
    fn links_are_followed_one_by_one_and_loops_end() {
        assert!(matches!(follow(Path::new("/proc/self/../version")), Ok(_) | Err(CustodyError::WritableDirectory(_))));
        let dir = tempfile::tempdir().unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(follow(&dir.path().join("loop/x")).is_err());
    }

    #[test]
    fn devices_and_directories_are_no_policies() {
        for path in ["/proc", "/proc/self/fd"] {
            assert!(read(Path::new(path)).is_err(), "{path}");
        }
    }
}

//! Why a file is not read.

use std::io;

use rustix::io::Errno;

use crate::text::Printable;

/// Why a file is not read. Holds names and fixed words, never content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct JailError {
    /// The path as the manifest has it; the directory or variable where one of those is at fault.
    pub path: Printable,
    /// What is wrong.
    pub reason: Reason,
    /// The next step, fit for a message, where there is a telling one.
    pub hint: Option<String>,
}

/// What is wrong with a file, the base directory or the root (exit 4, but for [`Reason::Resources`]: 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// EACCES, EPERM.
    #[error("not readable by this user")]
    Denied,
    /// A character or block device.
    #[error("a device, not a regular file")]
    Device,
    /// Where a file is wanted.
    #[error("a directory, not a regular file")]
    Directory,
    /// A named pipe.
    #[error("a FIFO, not a regular file")]
    Fifo,
    /// Whatever else the operating system says.
    #[error("cannot be read ({0})")]
    Io(io::ErrorKind),
    /// A symbolic link on the way is absolute or leads out.
    #[error("a symbolic link leads outside the allowed root")]
    LinkOutsideRoot,
    /// ELOOP.
    #[error("too many symbolic links")]
    LinkLoop,
    /// ENOENT.
    #[error("no such file")]
    Missing,
    /// ENAMETOOLONG.
    #[error("the path, or a name in it, is too long")]
    NameTooLong,
    /// `getcwd` failed.
    #[error("the working directory was deleted or cannot be read")]
    NoCurrentDir,
    /// A component in the middle, or the root itself, is no directory.
    #[error("not a directory")]
    NotADirectory,
    /// The path itself leads out.
    #[error("outside the allowed root")]
    OutsideRoot,
    /// Memory or descriptors ran out (exit 1).
    #[error("out of memory or file descriptors")]
    Resources,
    /// No root was asked for and the one found is `/`.
    #[error("the working directory is /, which bounds nothing")]
    RootIsEverything,
    /// A root that depends on the working directory would differ from one kustomization to the next.
    #[error("not an absolute path")]
    RootNotAbsolute,
    /// A UNIX socket.
    #[error("a socket, not a regular file")]
    Socket,
    /// More bytes than allowed.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// A directory with more entries than allowed.
    #[error("more than {limit} entries in one directory")]
    TooManyEntries {
        /// How many are allowed.
        limit: usize,
    },
}

impl JailError {
    pub(super) fn new(path: Printable, reason: Reason) -> Self {
        Self { path, reason, hint: reason.hint() }
    }
}

impl Reason {
    /// Maps what the operating system said of a source. `path_escapes`: its `..` alone lead above the root.
    pub(super) fn of_source(error: &io::Error, path_escapes: bool) -> Self {
        match Errno::from_io_error(error) {
            // cap-std's own verdict is the one without a number.
            None if error.kind() == io::ErrorKind::PermissionDenied && path_escapes => Self::OutsideRoot,
            None if error.kind() == io::ErrorKind::PermissionDenied => Self::LinkOutsideRoot,
            None if error.kind() == io::ErrorKind::OutOfMemory => Self::Resources,
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::ISDIR) => Self::Directory,
            Some(Errno::LOOP) => Self::LinkLoop,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Self::Resources,
            Some(Errno::NAMETOOLONG) => Self::NameTooLong,
            Some(Errno::NODEV | Errno::NXIO) => Self::Device,
            Some(Errno::NOENT) => Self::Missing,
            Some(Errno::NOTDIR) => Self::NotADirectory,
            _ => Self::Io(error.kind()),
        }
    }

    /// Maps what the operating system said of the root.
    pub(super) fn of_root(error: &io::Error) -> Self {
        Self::of_source(error, false)
    }

    fn hint(self) -> Option<String> {
        let hint = match self {
            Self::NoCurrentDir => "change into a directory that exists",
            Self::RootIsEverything => "set UNSOPS_ROOT to the directory that holds the manifests and their sources",
            Self::RootNotAbsolute => "give UNSOPS_ROOT an absolute path, or unset it",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_reason_of_its_own() {
        let of =
            |errno: Errno, escapes| Reason::of_source(&io::Error::from_raw_os_error(errno.raw_os_error()), escapes);
        for (errnos, reason) in [
            (&[Errno::ACCESS, Errno::PERM][..], Reason::Denied),
            (&[Errno::ISDIR], Reason::Directory),
            (&[Errno::LOOP], Reason::LinkLoop),
            (&[Errno::MFILE, Errno::NFILE, Errno::NOMEM], Reason::Resources),
            (&[Errno::NAMETOOLONG], Reason::NameTooLong),
            (&[Errno::NODEV, Errno::NXIO], Reason::Device),
            (&[Errno::NOENT], Reason::Missing),
            (&[Errno::NOTDIR], Reason::NotADirectory),
        ] {
            for &errno in errnos {
                // Where a path leads is the jail's verdict, not the kernel's.
                assert_eq!((of(errno, false), of(errno, true)), (reason, reason), "{errno:?}");
            }
        }
        assert!(matches!(of(Errno::IO, false), Reason::Io(_)));
    }

    #[test]
    fn the_verdict_of_the_jail_tells_paths_from_links() {
        let of = |kind: io::ErrorKind, escapes| Reason::of_source(&io::Error::from(kind), escapes);
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!((of(denied, true), of(denied, false)), (Reason::OutsideRoot, Reason::LinkOutsideRoot));
        assert_eq!(of(io::ErrorKind::OutOfMemory, true), Reason::Resources);
        let other = io::ErrorKind::InvalidInput;
        assert_eq!((of(other, true), of(other, false)), (Reason::Io(other), Reason::Io(other)));
    }

    #[test]
    fn a_root_that_cannot_be_comes_with_the_next_step() {
        for (reason, step) in [
            (Reason::NoCurrentDir, Some("change into a directory")),
            (Reason::RootIsEverything, Some("set UNSOPS_ROOT")),
            (Reason::RootNotAbsolute, Some("absolute path")),
            (Reason::Missing, None),
        ] {
            let hint = JailError::new(Printable::from("x"), reason).hint;
            assert_eq!(hint.is_some(), step.is_some(), "{reason:?}");
            assert!(step.is_none_or(|step| hint.is_some_and(|hint| hint.contains(step))), "{reason:?}");
        }
    }
}

//! Opens files beneath the allowed root: race-free, regular files only, bounded.
//!
//! A generator manifest is written by whoever may commit; kustomize's own load restrictor does not see what a plugin
//! opens. So the root's directory is opened once and every path is resolved beneath that handle by the kernel
//! (`openat2`, `RESOLVE_BENEATH`; component by component where that is missing). Nothing is resolved here by string
//! surgery: `dir/../x` means what the kernel makes of it, also where `dir` is a symbolic link.
//!
//! | what | opens |
//! | --- | --- |
//! | `../x` that stays inside | yes |
//! | symbolic link, relative, that stays inside | yes |
//! | symbolic link that leaves, or is absolute | no |
//! | directory, FIFO, device, socket | no, at once |

mod error;
mod hint;
mod place;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, FileType, FileTypeExt, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use crate::environment::Environment;
use crate::path::SourcePath;
use crate::text::Printable;

pub use error::{JailError, Reason};

/// Names the root, for whoever sets the environment.
const VARIABLE: &str = "UNSOPS_ROOT";

/// The directory beneath which sources may be opened.
pub struct Root {
    dir: Dir,
    path: PathBuf,
}

/// The content of a file, still encrypted.
pub struct FileBytes(Vec<u8>);

/// A name in a directory.
pub struct Listed {
    /// The name.
    pub name: OsString,
    /// It is a symbolic link.
    pub is_link: bool,
    /// It is, or leads to, a regular file beneath the root.
    pub is_file: bool,
    /// It is, or leads to, a directory beneath the root.
    pub is_directory: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Nothing.
    Nothing,
    /// A device, a FIFO, a socket, a loop of links, something that may not be looked at.
    Other,
    /// Somewhere outside of the root.
    Outside,
}

impl Root {
    /// Opens the root that the environment asks for, or that the working directory lies in.
    ///
    /// First that applies: `UNSOPS_ROOT` (absolute); the tree that `argocd-cmp-server` streamed, which is the ancestor
    /// of the working directory whose parent is named `_cmp_server`; the nearest directory upwards that holds `.git`;
    /// the working directory.
    ///
    /// # Errors
    /// The working directory was deleted or cannot be read, the root cannot be opened, or the root that was found
    /// is `/`, which bounds nothing and therefore has to be asked for.
    pub fn discover(environment: &Environment) -> Result<Self, JailError> {
        match environment.current_dir() {
            // Linux reports a directory out of reach as `(unreachable)/…`.
            Some(dir) if dir.is_absolute() => Self::discover_from(environment, dir),
            _ if environment.var_os(VARIABLE).is_some() => Self::discover_from(environment, Path::new("/")),
            _ => Err(JailError::new(Printable::from("."), Reason::NoCurrentDir)),
        }
    }

    /// Opens the root as [`Root::discover`] does, from an absolute directory that the operator names instead of the
    /// working directory.
    ///
    /// # Errors
    /// As for [`Root::discover`].
    pub fn discover_from(environment: &Environment, dir: &Path) -> Result<Self, JailError> {
        if let Some(root) = environment.var_os(VARIABLE) {
            let root = Path::new(root);
            return if root.is_absolute() {
                Self::with(root)
            } else {
                Err(JailError::new(Printable::from(VARIABLE), Reason::RootNotAbsolute))
            };
        }
        let root = place::enclosing_root(dir);
        if root.parent().is_none() {
            return Err(JailError::new(Printable::from("/"), Reason::RootIsEverything));
        }
        Self::with(root)
    }

    /// Opens the root that the operator names. A relative path starts at the working directory of the process.
    ///
    /// # Errors
    /// The path cannot be opened or is not a directory.
    pub fn with(path: &Path) -> Result<Self, JailError> {
        let refuse = |error: io::Error| JailError::new(place::printable(path), Reason::of_root(&error));
        let canonical = path.canonicalize().map_err(refuse)?;
        let dir = Dir::open_ambient_dir(&canonical, ambient_authority()).map_err(refuse)?;
        Ok(Self { dir, path: canonical })
    }

    /// The root's path, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a whole file.
    ///
    /// `base` is the absolute directory at which `source` starts, at or beneath the root. `limit` is the largest size
    /// in bytes; a file that grows while it is read ends at the limit too.
    ///
    /// # Errors
    /// [`JailError`], with a [`Reason`] and, where there is a telling one, the next step. Never content.
    pub fn read(&self, base: &Path, source: &SourcePath, limit: usize) -> Result<FileBytes, JailError> {
        let refuse = |reason| JailError::new(source.printable(), reason);
        let start = self.beneath(base).map_err(|reason| {
            let mut error = JailError::new(place::printable(base), reason);
            if reason == Reason::OutsideRoot {
                error.hint = Some(hint::outside(self));
            }
            error
        })?;
        // Joined as text: `Path` would drop a final slash, and with it that the kernel wants a directory there.
        let path = start.join(source.as_str());
        match open_regular(&self.dir, &path).and_then(|(file, size)| read_bounded(file, size, limit)) {
            Ok(bytes) => Ok(FileBytes(bytes)),
            Err(Refused::Io(error)) => {
                let reason = Reason::of_source(&error, place::escapes(&path));
                let mut refusal = refuse(reason);
                refusal.hint = hint::for_source(self, base, &start, source, reason);
                Err(refusal)
            }
            Err(Refused::Rule(reason)) => Err(refuse(reason)),
        }
    }

    /// Puts new text into a file beneath the root: complete or not at all, with the same permissions. For `--fix` only.
    ///
    /// # Errors
    /// The file is a symbolic link or not regular, or the directory takes no new file.
    pub fn replace(&self, path: &str, text: &[u8]) -> io::Result<()> {
        let metadata = self.dir.symlink_metadata(path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let new = format!("{path}.unsops-{}", std::process::id());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let written = self.dir.open_with(&new, &options).and_then(|mut file| {
            file.write_all(text)?;
            file.set_permissions(metadata.permissions())?;
            file.sync_all()?;
            self.dir.rename(&new, &self.dir, path)
        });
        if written.is_err() {
            _ = self.dir.remove_file(&new);
        }
        written
    }

    /// Says what a path beneath the root leads to, symbolic links followed; the empty path is the root.
    pub fn lead(&self, path: &str) -> Lead {
        let path = place::or_dot(Path::new(path));
        match self.dir.metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Lead::Directory,
            Ok(metadata) if metadata.is_file() => Lead::File,
            Ok(_) => Lead::Other,
            Err(error) => match Reason::of_source(&error, place::escapes(&path)) {
                Reason::LinkOutsideRoot | Reason::OutsideRoot => Lead::Outside,
                Reason::Missing => Lead::Nothing,
                _ => Lead::Other,
            },
        }
    }

    /// What to write instead of an absolute path, where that path lies in the root.
    pub fn hint_for_absolute(&self, base: &Path, absolute: &str) -> Option<String> {
        hint::for_absolute(self, base, absolute)
    }

    /// Lists a directory, in the order of the bytes of its names. `base` is as in [`Root::read`]; a link is listed as what
    /// it leads to.
    ///
    /// # Errors
    /// There is no such directory beneath the root, it cannot be read, or it has more than `limit` entries.
    pub fn list(&self, base: &Path, directory: &Path, limit: usize) -> Result<Vec<Listed>, JailError> {
        let refuse = |reason| JailError::new(place::printable(directory), reason);
        let path = self.beneath(base).map_err(refuse)?.join(directory);
        let read = |error: io::Error| refuse(Reason::of_source(&error, place::escapes(&path)));
        let mut listed = Vec::new();
        for entry in self.dir.read_dir(&path).map_err(read)? {
            let entry = entry.map_err(read)?;
            if listed.len() >= limit {
                return Err(refuse(Reason::TooManyEntries { limit }));
            }
            let name = entry.file_name();
            let file_type = entry.file_type().map_err(read)?;
            let is_link = file_type.is_symlink();
            let target =
                if is_link { self.dir.metadata(path.join(&name)).ok().map(|m| m.file_type()) } else { Some(file_type) };
            let is = |test: fn(&FileType) -> bool| target.as_ref().is_some_and(test);
            listed.push(Listed { name, is_link, is_file: is(FileType::is_file), is_directory: is(FileType::is_dir) });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// `base` relative to the root.
    fn beneath(&self, base: &Path) -> Result<PathBuf, Reason> {
        if let Ok(relative) = base.strip_prefix(&self.path) {
            return Ok(place::or_dot(relative));
        }
        // A base that another program named (kpt's package path) may hold symbolic links. Resolving them by name is
        // no race: what comes out is only a path, which is opened beneath the root like any other.
        let canonical = base.canonicalize().map_err(|error| Reason::of_source(&error, false))?;
        canonical.strip_prefix(&self.path).map(place::or_dot).map_err(|_| Reason::OutsideRoot)
    }
}

impl FileBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Gives up the bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a file that the operator or the calling program named on the command line: anywhere, but regular and bounded.
///
/// # Errors
/// [`JailError`], as for [`Root::read`].
pub fn read_argument(path: &Path, limit: usize) -> Result<FileBytes, JailError> {
    let refuse = |reason| JailError::new(place::printable(path), reason);
    let opened = File::open_ambient_with(path, &read_only(), ambient_authority());
    opened
        .and_then(|file| Ok((file.metadata()?, file)))
        .map_err(Refused::Io)
        .and_then(|(metadata, file)| require_regular(&metadata).map(|()| (file, metadata.len())))
        .and_then(|(file, size)| read_bounded(file, size, limit))
        .map(FileBytes)
        .map_err(|refused| match refused {
            Refused::Io(error) => refuse(Reason::of_source(&error, false)),
            Refused::Rule(reason) => refuse(reason),
        })
}

/// Why nothing was read.
enum Refused {
    Io(io::Error),
    Rule(Reason),
}

fn open_regular(root: &Dir, path: &Path) -> Result<(File, u64), Refused> {
    // Looked at before it is opened, since opening a device may already do something; looked at again afterwards,
    // since the name may by then stand for something else.
    require_regular(&root.metadata(path).map_err(Refused::Io)?)?;
    let file = root.open_with(path, &read_only()).map_err(Refused::Io)?;
    let metadata = file.metadata().map_err(Refused::Io)?;
    require_regular(&metadata)?;
    Ok((file, metadata.len()))
}

/// Without `O_NONBLOCK` a FIFO would wait for a writer.
fn read_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY);
    options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    options
}

fn require_regular(metadata: &Metadata) -> Result<(), Refused> {
    let kind: FileType = metadata.file_type();
    let reason = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        Reason::Directory
    } else if kind.is_fifo() {
        Reason::Fifo
    } else if kind.is_socket() {
        Reason::Socket
    } else {
        Reason::Device
    };
    Err(Refused::Rule(reason))
}

/// `size` is what the file system says; the file may hold more or less.
fn read_bounded(file: File, size: u64, limit: usize) -> Result<Vec<u8>, Refused> {
    let too_large = Refused::Rule(Reason::TooLarge { limit });
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= limit) else {
        return Err(too_large);
    };
    let mut bytes = Vec::new();
    // One more, so that the end of the file is seen without growing.
    bytes.try_reserve_exact(size.saturating_add(1)).map_err(|_| Refused::Io(io::ErrorKind::OutOfMemory.into()))?;
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    // The standard library's file reads into fresh memory without wiping it first.
    file.into_std().take(bound).read_to_end(&mut bytes).map_err(Refused::Io)?;
    if bytes.len() > limit { Err(too_large) } else { Ok(bytes) }
}

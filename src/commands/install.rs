//! `unsops install`: this program copied to where another container, or kustomize, looks for it.
//!
//! ```text
//!  source: /proc/self/exe, or kustomize      target: DIR/NAME, DIR open as a descriptor
//!     open, regular?                            a directory, device, FIFO or socket there? refuse
//!     copy -> DIR/.NAME.installing-PID  (new, never followed)  -> mode 0755, fsync -> rename over DIR/NAME -> fsync DIR
//! ```
//!
//! Who runs NAME meanwhile sees the old program or the new one, never a part. A symbolic link at NAME is replaced, not
//! followed; one on the way of a plugin home is refused.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{plugin_home, programs};
use crate::cli::InstallArgs;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::limits;
use crate::process::{self, Output};
use crate::secret::Secret;
use crate::text::Printable;

/// What a program's file must allow: everyone may run it, only its owner may change it.
const PROGRAM_MODE: Mode = Mode::from_bits_truncate(0o755);

/// Copies this program, and kustomize if asked for, and says what was written.
///
/// # Errors
/// The first copy that fails; copies made before it stay, each of them whole.
pub fn install(args: &InstallArgs, env: &Environment) -> Result<Output, Error> {
    let copies = plan(args, env)?;
    if args.plugin_home {
        make_directories(&args.dir)?;
    }
    let dir = Directory::open(&args.dir)?;
    let mut report = String::new();
    for Copy { source, folder, name } in copies {
        let target = dir.below(&folder)?;
        target.install(&source, &name)?;
        report.push_str(&format!("installed {}\n", printable(&target.path.join(&name))));
    }
    Ok(Output::new(Secret::new(report.into_bytes())))
}

/// One file to be written.
struct Copy {
    source: PathBuf,
    /// Relative to the directory that was asked for.
    folder: PathBuf,
    name: OsString,
}

/// Decides what is copied where, before anything is written.
fn plan(args: &InstallArgs, env: &Environment) -> Result<Vec<Copy>, Record> {
    let own = process::executable_to_read()
        .ok_or_else(|| Record::new(Failure::File, "this program's own file is not known"))?;
    let mut copies = Vec::new();
    let mut copy = |source: &Path, folder: PathBuf, name: &OsStr| {
        copies.push(Copy { source: source.to_owned(), folder, name: name.to_owned() });
    };
    if args.plugin_home {
        for (api_version, kind) in plugin_home::PLUGINS {
            let place = plugin_home::place_of(api_version, kind);
            copy(&own, place.parent().unwrap_or(&place).to_owned(), OsStr::new(kind));
        }
    } else if args.names.is_empty() {
        copy(&own, PathBuf::new(), &called_by());
    } else {
        for name in &args.names {
            copy(&own, PathBuf::new(), OsStr::new(checked(name)?));
        }
    }
    if args.with_kustomize {
        let beside = || process::executable()?.parent().map(|folder| folder.join("kustomize"));
        let beside = || beside().filter(|path| programs::is_program(path));
        let kustomize = programs::find("kustomize", env).or_else(beside).ok_or_else(|| {
            Record::new(Failure::File, "kustomize is neither on PATH nor beside this program")
                .hint("install it: go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1")
        })?;
        copy(&kustomize, PathBuf::new(), OsStr::new("kustomize"));
    }
    Ok(copies)
}

/// The name that this program was called by, so that KSOPS' `ksops install DIR` makes `DIR/ksops`.
fn called_by() -> OsString {
    let name = process::program_name().and_then(|name| Path::new(&name).file_name().map(OsStr::to_owned));
    name.filter(|name| checked(&name.to_string_lossy()).is_ok()).unwrap_or_else(|| "unsops".into())
}

/// A name that can only be a file of the directory itself.
fn checked(name: &str) -> Result<&str, Record> {
    let is_name = !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['.', '-'])
        && !name.contains(['/', '\\'])
        && !name.contains(|c: char| c.is_control() || c.is_whitespace());
    if is_name {
        return Ok(name);
    }
    let reason = "not a name for a program: one word without '/', not beginning with '.' or '-'";
    Err(Record::new(Failure::Usage, reason).about(Printable::new(&format!("--as {name}"))))
}

/// `mkdir -p` for a plugin home, which the person who installs names; what we make, everyone may read.
fn make_directories(path: &Path) -> Result<(), Record> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && dir.symlink_metadata().is_err()).collect();
    for dir in missing.into_iter().rev() {
        open_or_make(rustix::fs::CWD, dir).map_err(|errno| refuse(dir, errno))?;
    }
    Ok(())
}

/// Opens a directory, no symbolic link; where it is missing, it is made with mode 0755 whatever the umask.
fn open_or_make(at: impl AsFd, name: &Path) -> Result<OwnedFd, Errno> {
    let is_new = match rustix::fs::mkdirat(&at, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(errno),
    };
    let descriptor = rustix::fs::openat(&at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    if is_new {
        rustix::fs::fchmod(&descriptor, PROGRAM_MODE)?;
    }
    Ok(descriptor)
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// An open directory. Everything below is done by its descriptor, so that a name that changes meanwhile leads nowhere
/// else.
struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory that the person who installs names; symbolic links to it are theirs.
    fn open(path: &Path) -> Result<Self, Record> {
        match rustix::fs::open(path, DIRECTORY, Mode::empty()) {
            Ok(descriptor) => Ok(Self { descriptor, path: path.to_owned() }),
            Err(Errno::NOENT) => Err(refuse(path, Errno::NOENT).hint("make the directory first, or mount it")),
            Err(errno) => Err(refuse(path, errno)),
        }
    }

    /// A directory below, made where it is missing. No symbolic link is followed.
    fn below(&self, folder: &Path) -> Result<Self, Record> {
        let mut path = self.path.clone();
        let mut current =
            rustix::io::fcntl_dupfd_cloexec(&self.descriptor, 0).map_err(|errno| refuse(&self.path, errno))?;
        for name in folder {
            path.push(name);
            current = open_or_make(&current, Path::new(name)).map_err(|errno| match errno {
                Errno::LOOP | Errno::NOTDIR => {
                    let message = "is in the way: not a directory of its own (a symbolic link or a file)";
                    Record::new(Failure::File, message).about(printable(&path)).hint("remove it, then install again")
                }
                errno => refuse(&path, errno),
            })?;
        }
        Ok(Self { descriptor: current, path })
    }

    /// Writes a program under a name, whole or not at all.
    fn install(&self, source: &Path, name: &OsStr) -> Result<(), Record> {
        let target = self.path.join(name);
        self.check_target(name, &target)?;
        let (source, length) = open_program(source)?;
        let temporary = Temporary::create(self, name)?;
        let file = File::from(
            rustix::io::fcntl_dupfd_cloexec(&temporary.descriptor, 0).map_err(|errno| refuse(&target, errno))?,
        );
        let wanted = u64::try_from(limits::PROGRAM_BYTES).unwrap_or(u64::MAX);
        let copied = io::copy(&mut source.take(wanted), &mut { &file })
            .map_err(|error| refuse(&target, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        if copied != length {
            return Err(Record::new(Failure::File, "the program changed while it was copied").about(printable(&target)));
        }
        let finished = rustix::fs::fchmod(&file, PROGRAM_MODE).and_then(|()| rustix::fs::fsync(&file));
        finished.map_err(|errno| refuse(&target, errno))?;
        temporary.rename_to(name).map_err(|errno| refuse(&target, errno))?;
        // A file system that cannot sync a directory has renamed all the same.
        _ = rustix::fs::fsync(&self.descriptor);
        Ok(())
    }

    /// Only a regular file or a symbolic link makes way for a program.
    fn check_target(&self, name: &OsStr, target: &Path) -> Result<(), Record> {
        let kind = match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(refuse(target, errno)),
        };
        let what = match kind {
            FileType::RegularFile | FileType::Symlink => return Ok(()),
            FileType::Directory => "a directory is in the way",
            FileType::Fifo => "a FIFO is in the way",
            FileType::Socket => "a socket is in the way",
            _ => "a device is in the way",
        };
        Err(Record::new(Failure::File, what)
            .about(printable(target))
            .hint("remove it, or choose another name: --as NAME"))
    }
}

/// A file that is removed unless it was renamed.
struct Temporary<'d> {
    directory: &'d Directory,
    name: OsString,
    descriptor: OwnedFd,
    is_renamed: bool,
}

impl<'d> Temporary<'d> {
    /// Makes a new file beside the target; whatever has its name already is not touched.
    fn create(directory: &'d Directory, target: &OsStr) -> Result<Self, Record> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let process = rustix::process::getpid().as_raw_nonzero();
        let mut refused = Errno::EXIST;
        for attempt in 0..limits::TEMPORARY_NAMES {
            let mut name = OsString::from(".");
            name.push(target);
            name.push(format!(".installing-{process}-{attempt}"));
            match rustix::fs::openat(&directory.descriptor, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(descriptor) => return Ok(Self { directory, name, descriptor, is_renamed: false }),
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    refused = errno;
                    break;
                }
            }
        }
        Err(refuse(&directory.path, refused))
    }

    fn rename_to(mut self, name: &OsStr) -> Result<(), Errno> {
        let directory = &self.directory.descriptor;
        rustix::fs::renameat(directory, &self.name, directory, name)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            _ = rustix::fs::unlinkat(&self.directory.descriptor, &self.name, AtFlags::empty());
        }
    }
}

/// Opens a program to be copied, and its length in bytes.
fn open_program(path: &Path) -> Result<(File, u64), Record> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| refuse(path, errno))?;
    let stat = rustix::fs::fstat(&descriptor).map_err(|errno| refuse(path, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Record::new(Failure::File, "not a regular file").about(printable(path)));
    }
    match u64::try_from(stat.st_size) {
        Ok(length) if usize::try_from(length).is_ok_and(|length| (1..=limits::PROGRAM_BYTES).contains(&length)) => {
            Ok((File::from(descriptor), length))
        }
        _ => Err(Record::new(Failure::File, "empty, or larger than a program can be").about(printable(path))),
    }
}

fn refuse(path: &Path, errno: Errno) -> Record {
    let why = match errno {
        Errno::ACCESS | Errno::PERM => "permission denied",
        Errno::EXIST => "the names for a temporary file are taken",
        Errno::LOOP => "too many symbolic links",
        Errno::NAMETOOLONG => "the path is too long",
        Errno::NOENT => "no such file or directory",
        Errno::NOSPC | Errno::DQUOT => "no space is left on the device",
        Errno::NOTDIR => "not a directory",
        Errno::ROFS => "the file system is read-only",
        _ => "the operating system refuses",
    };
    Record::new(Failure::File, why).about(printable(path))
}

fn printable(path: &Path) -> Printable {
    Printable::new(&path.to_string_lossy())
}

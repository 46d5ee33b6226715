//! The private directory of one build: links to this executable where kustomize looks for plugins, the socket, and
//! kustomize's own temporary files. Nothing decrypted is ever written there.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::interruption::{self, Guard};
use crate::limits;

/// Names that are tried before giving up: another build of the same process id may have left one behind.
const ATTEMPTS: u32 = 1000;

/// How the directories are named, before the process id.
const PREFIX: &str = "unsops-build-";

/// Removes the directories of builds that were killed, where no other process namespace shares the temporary directory (a
/// sidecar). There is nothing decrypted in them, but they would fill the memory that they lie in.
pub fn remove_abandoned(env: &Environment) {
    let Ok(entries) = fs::read_dir(parent(env)) else { return };
    for entry in entries.flatten().take(limits::APP_ENTRIES) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
        let is_gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        let is_ours = entry.metadata().is_ok_and(|own| own.is_dir() && own.uid() == rustix::process::getuid().as_raw());
        if is_gone && is_ours {
            _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn parent(env: &Environment) -> PathBuf {
    env.var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// A directory that is removed with everything in it when dropped.
pub(super) struct PrivateDir {
    path: PathBuf,
    _guard: Guard,
}

impl PrivateDir {
    /// Makes the directory, readable by this user only, below `TMPDIR`.
    pub(super) fn create(env: &Environment) -> Result<Self, Record> {
        let refuse = |what: &str| {
            Record::new(Failure::Internal, format!("no private directory for kustomize: {what}"))
                .hint("set TMPDIR to a directory that this user can write to (in a sidecar, an emptyDir in memory)")
        };
        // kustomize refuses directories that are reached through symbolic links in some places.
        let parent = parent(env).canonicalize().map_err(|_| refuse("the temporary directory does not exist"))?;
        for number in 0..ATTEMPTS {
            let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match interruption::make_dir(&path, |path| DirBuilder::new().mode(0o700).create(path)) {
                Ok(guard) => {
                    let made = Self { path, _guard: guard };
                    for part in ["bin", "home", "plugins", "tmp"] {
                        made.make_dir(Path::new(part))?;
                    }
                    return Ok(made);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(_) => return Err(refuse("the temporary directory is not writable")),
            }
        }
        Err(refuse("the temporary directory is full of those of earlier builds"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Stands for the programs that must not run.
    pub(super) fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// `HOME` of a kustomize that has no business in the user's.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// `KUSTOMIZE_PLUGIN_HOME`.
    pub(super) fn plugins(&self) -> PathBuf {
        self.path.join("plugins")
    }

    /// `TMPDIR` of kustomize: plugin configs, which it leaves behind on failure, and clones of remote bases.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }

    /// Makes a directory and those above it; `place` is relative.
    pub(super) fn make_dir(&self, place: &Path) -> Result<(), Record> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.path.join(place)).map_err(|_| self.full())
    }

    /// Links to a program; `place` is relative. What is there already stays.
    pub(super) fn link(&self, program: &Path, place: &Path) -> Result<(), Record> {
        if let Some(parent) = place.parent() {
            self.make_dir(parent)?;
        }
        match symlink(program, self.path.join(place)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(self.full()),
            _ => Ok(()),
        }
    }

    pub(super) fn full(&self) -> Record {
        Record::new(Failure::Internal, "the private directory for kustomize cannot be written to")
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A process that is being stopped may still add to it.
        for _ in 0..3 {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {}
                _ => return,
            }
        }
    }
}

//! The private directory of one build: links to this executable where kustomize looks for plugins, the socket, and
//! kustomize's own temporary files. Nothing decrypted is ever written there.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{Failure, Record};

/// Names that are tried before giving up: another build of the same process id may have left one behind.
const ATTEMPTS: u32 = 1000;

/// A directory that is removed with everything in it when dropped.
pub(super) struct PrivateDir {
    path: PathBuf,
}

impl PrivateDir {
    /// Makes the directory, readable by this user only, below `TMPDIR`.
    pub(super) fn create(env: &Environment) -> Result<Self, Record> {
        let parent = env.var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from);
        let refuse = |what: &str| {
            Record::new(Failure::Internal, format!("no private directory for kustomize: {what}"))
                .hint("set TMPDIR to a directory that this user can write to (in a sidecar, an emptyDir in memory)")
        };
        // kustomize refuses directories that are reached through symbolic links in some places.
        let parent = parent.canonicalize().map_err(|_| refuse("the temporary directory does not exist"))?;
        for number in 0..ATTEMPTS {
            let path = parent.join(format!("unsops-build-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let made = Self { path };
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
        remove(&self.path);
    }
}

/// Removes a private directory with everything in it.
pub(super) fn remove(path: &Path) {
    // A process that is being stopped may still add to it.
    for _ in 0..3 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {}
            _ => return,
        }
    }
}

//! Programs on `PATH`, found and not run.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType};

use crate::environment::Environment;

/// The first program of a name on `PATH`. Entries that are not absolute are passed over, as Go does: the working directory
/// belongs to whoever wrote the manifests.
pub fn find(name: impl AsRef<Path>, env: &Environment) -> Option<PathBuf> {
    let path = env.var_os("PATH")?;
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(&name)).find(|path| is_program(path))
}

/// Whether a path names a regular file that this user may run; symbolic links are followed.
pub fn is_program(path: &Path) -> bool {
    let is_regular =
        rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    is_regular && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

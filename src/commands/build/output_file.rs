//! The file of `--output`: complete or untouched, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::secret::SecretBytes;
use crate::text::Printable;

/// Writes beside the file and renames.
///
/// # Errors
/// The path is a directory or a device, or cannot be written.
pub(super) fn write(path: &Path, bytes: &SecretBytes, env: &Environment) -> Result<(), Record> {
    let about = Printable::from_bytes(path.as_os_str().as_encoded_bytes());
    let refuse = |what: &str| Record::new(Failure::Output, what).about(about.clone());
    let path = env.current_dir().map_or_else(|| path.to_owned(), |dir| dir.join(path));
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => {
            return Err(refuse("a directory: --output takes a file").hint(
                "kustomize writes one file per object there, \
                with mode 0644; unsops does not",
            ));
        }
        Ok(found) if !found.is_file() => return Err(refuse("not a regular file").hint("redirect standard output")),
        _ => {}
    }
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Err(refuse("not the name of a file"));
    };
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes.expose()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|error| {
        _ = fs::remove_file(&beside);
        refuse(&format!("cannot be written ({})", error.kind()))
    })
}

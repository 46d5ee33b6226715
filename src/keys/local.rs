//! Bounded reading of key files: files that the operator named, outside every root.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::limits;
use crate::secret::{Secret, SecretBytes};

/// Why a key file gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFileError {
    Missing,
    NoPermission,
    Directory,
    NotADirectory,
    NotAFile,
    NotRegular,
    TooLarge,
    TooMany,
    TimedOut,
    Unreadable,
}

impl KeyFileError {
    /// The reason, to be read after the name of the file.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Missing => "does not exist",
            Self::NoPermission => "may not be read (permission denied)",
            Self::Directory => "is a directory",
            Self::NotADirectory => "is not a directory",
            Self::NotAFile => "is neither a regular file nor a pipe",
            Self::NotRegular => "is not a regular file",
            Self::TooLarge => "is larger than 16 MiB",
            Self::TooMany => "is one too many, the files before it hold 16 MiB",
            Self::TimedOut => "is a pipe that nobody wrote to in time",
            Self::Unreadable => "cannot be read",
        }
    }
}

/// `VARIABLE=PATH`, for messages. Where a key stands in the place of its path, or could, it is not shown.
pub(super) fn named(variable: &str, path: &Path) -> String {
    if holds_a_key(path.as_os_str()) || has_letters_of_a_key(path.as_os_str()) {
        return format!("{variable} (its value looks like a key and is not shown)");
    }
    format!("{variable}={}", path.display())
}

/// Whether a variable for a path holds a key or a token instead. Its value must not be shown.
pub(super) fn holds_a_key(path: &OsStr) -> bool {
    let text = path.to_string_lossy();
    let upper = text.to_ascii_uppercase();
    ["SECRET-KEY", "AGE-PLUGIN-", "-----BEGIN", "PRIVATE KEY"].iter().any(|mark| upper.contains(mark))
        // JSON and its tokens; access tokens of Google, tokens of Vault.
        || ["{", "eyJ", "ya29.", "hvs."].iter().any(|mark| text.starts_with(mark))
        || text.contains(char::is_control)
        // Longer than any name of a file.
        || text.split('/').any(|name| name.len() > 255)
}

/// Whether a name could as well be an encoded key: long, and nothing but letters of base64.
pub(super) fn has_letters_of_a_key(path: &OsStr) -> bool {
    let text = path.to_string_lossy();
    let of_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    !text.starts_with('/') && text.chars().count() >= 32 && text.chars().all(of_base64)
}

impl From<std::io::Error> for KeyFileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            ErrorKind::PermissionDenied => Self::NoPermission,
            ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Unreadable,
        }
    }
}

/// Why a directory of keys could not be listed.
pub(super) fn of_directory(error: std::io::Error) -> KeyFileError {
    match error.kind() {
        ErrorKind::NotADirectory => KeyFileError::NotADirectory,
        _ => error.into(),
    }
}

/// Whether accounts other than the owner's and the group's may read a file.
pub(super) fn is_readable_by_all(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Reads a key file of at most [`limits::KEY_FILE_BYTES`]. Follows symlinks (mounted Kubernetes Secrets are symlinks).
/// Pipes are read to their end, so that `SOPS_AGE_KEY_FILE=<(command)` works as in sops; a silent one is given up.
pub(super) fn read(path: &Path, deadline: Instant) -> Result<SecretBytes, KeyFileError> {
    read_with(path, Some(deadline))
}

/// As [`read`], but a pipe is refused: nobody waits for a file of a directory.
pub(super) fn read_file(path: &Path) -> Result<SecretBytes, KeyFileError> {
    read_with(path, None)
}

/// Reads a key file, or a pipe until then.
fn read_with(path: &Path, until: Option<Instant>) -> Result<SecretBytes, KeyFileError> {
    // A FIFO without a writer must not block the open.
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(KeyFileError::Directory);
    }
    let refused = if until.is_some() { KeyFileError::NotAFile } else { KeyFileError::NotRegular };
    let until = until.filter(|_| metadata.file_type().is_fifo());
    if !metadata.is_file() && until.is_none() {
        return Err(refused);
    }
    let most = u64::try_from(limits::KEY_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(most)).unwrap_or_default().saturating_add(1));
    match until {
        Some(until) => read_pipe(&file, until, &mut bytes)?,
        None => _ = (&file).take(most.saturating_add(1)).read_to_end(&mut bytes)?,
    }
    if bytes.len() > limits::KEY_FILE_BYTES {
        return Err(KeyFileError::TooLarge);
    }
    Ok(Secret::new(bytes))
}

/// The files of a directory of keys, sorted; hidden ones (`..data` of a mounted Kubernetes Secret) left out.
#[cfg(any(feature = "pgp", feature = "vault"))]
pub(super) fn list(directory: &Path) -> Result<Vec<std::path::PathBuf>, KeyFileError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(limits::KEY_FILES) {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Adds a place of keys: the path and, where it is a directory, the targets of the links in it.
pub(super) fn add_place(path: &Path, places: &mut Vec<std::path::PathBuf>) {
    places.push(path.to_owned());
    let entries = std::fs::read_dir(path).into_iter().flatten().take(limits::KEY_FILES).flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    places.extend(links.filter_map(|link| link.path().canonicalize().ok()));
}

fn read_pipe(mut file: &std::fs::File, deadline: Instant, bytes: &mut Vec<u8>) -> Result<(), KeyFileError> {
    let mut chunk = [0; 4096];
    while bytes.len() <= limits::KEY_FILE_BYTES {
        if !wait_readable(file, deadline) {
            return Err(KeyFileError::TimedOut);
        }
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => bytes.extend(chunk.iter().take(count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until a descriptor has bytes or is at its end; false at the deadline.
pub(super) fn wait_readable(descriptor: impl AsFd, deadline: Instant) -> bool {
    wait(descriptor, PollFlags::IN, deadline)
}

/// Waits until a descriptor is ready for something; false at the deadline.
pub(super) fn wait(descriptor: impl AsFd, what: PollFlags, deadline: Instant) -> bool {
    loop {
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| *left > Duration::ZERO) else {
            return false;
        };
        let Ok(timeout) = Timespec::try_from(left) else { return false };
        let mut descriptors = [PollFd::new(&descriptor, what)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[test]
    fn reads_regular_files_through_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("keys.txt"), dir.path().join("link"));
        write(&file, b"content");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, soon()).unwrap_or_else(|e| panic!("{e:?}")).expose(), b"content");
    }

    #[test]
    fn names_a_path_and_never_a_key_in_its_place() {
        for path in ["keys.txt", "~/keys", "/var/run/secrets/keys/age.agekey", "C=x"] {
            assert_eq!(named("V", Path::new(path)), format!("V={path}"));
        }
        for key in [
            "AGE-SECRET-KEY-1QQQ",
            "age-plugin-x-1qqq",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "{\"private_key\": \"x\"}\n",
            "eyJhbGciOi",
            "{}",
            "ya29.a0",
            "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAA",
            &"k".repeat(256),
        ] {
            assert_eq!(named("V", Path::new(key)), "V (its value looks like a key and is not shown)", "{key}");
        }
    }

    #[test]
    fn says_why_a_file_gave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none"), soon()).err(), Some(KeyFileError::Missing));
        assert_eq!(read(dir.path(), soon()).err(), Some(KeyFileError::Directory));
        assert_eq!(read(Path::new("/dev/zero"), soon()).err(), Some(KeyFileError::NotAFile));
    }

    #[test]
    fn refuses_a_file_one_byte_above_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.txt");
        write(&path, &vec![b'#'; limits::KEY_FILE_BYTES]);
        assert!(read(&path, soon()).is_ok());
        write(&path, &vec![b'#'; limits::KEY_FILE_BYTES + 1]);
        assert_eq!(read(&path, soon()).err(), Some(KeyFileError::TooLarge));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn reads_a_pipe_to_its_end_and_gives_up_on_a_silent_one() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"from a pipe").unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert_eq!(read(Path::new(&path), soon()).err(), Some(KeyFileError::TimedOut));
        assert_eq!(read_file(Path::new(&path)).err(), Some(KeyFileError::NotRegular));
        std::io::Write::write_all(&mut writer, b"from a pipe").unwrap();
        drop(writer);
        let got = read(Path::new(&path), soon()).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(got.expose(), b"from a pipe");
    }

    fn write(path: &Path, content: &[u8]) {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, content).unwrap();
    }
}

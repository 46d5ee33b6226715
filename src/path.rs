//! Paths as generator manifests write them.

use crate::limits;
use crate::text::Printable;

/// A relative path that a generator manifest names: not empty, not absolute, no NUL, of bounded length.
///
/// `../` is allowed here; whether it leaves the allowed root is decided when the file is opened (`jail`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePath(String);

/// Why a path is refused before anything is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// An absolute path, even one inside the root: a manifest must mean the same on every machine.
    #[error("absolute paths are not allowed")]
    Absolute,
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// A NUL byte, which no file name can hold.
    #[error("the path contains a NUL byte")]
    Nul,
    /// Longer than [`limits::PATH_BYTES`].
    #[error("the path is longer than {} bytes", limits::PATH_BYTES)]
    TooLong,
}

impl SourcePath {
    /// Checks the form of a path.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            Err(PathError::Empty)
        } else if path.contains('\0') {
            Err(PathError::Nul)
        } else if path.len() > limits::PATH_BYTES {
            Err(PathError::TooLong)
        } else if path.starts_with('/') {
            Err(PathError::Absolute)
        } else {
            Ok(Self(path.to_owned()))
        }
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component: what KSOPS and SopsSecretGenerator take as the key of an entry without `key=`.
    pub fn base_name(&self) -> &str {
        self.0.trim_end_matches('/').rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path, fit for a message.
    pub fn printable(&self) -> Printable {
        Printable::new(&self.0)
    }
}

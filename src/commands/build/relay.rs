//! The line between a plugin call and the build that it belongs to.
//!
//! kustomize starts this executable for each generator; that process hands over what it was given, and passes on the
//! answer. So keys are loaded once, in the build's own process, and neither kustomize nor its other children see them.
//!
//! ```text
//! call  ──▶ 'c', directory, config, stdin     each: length in 8 bytes (big-endian), bytes
//!       ◀── exit code (1 byte), answer
//! clone ──▶ 'g', directory
//!       ◀── exit code (1 byte), nothing
//! ```

use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Failure, Record};
use crate::jail;
use crate::limits;
use crate::process::{self, Output};
use crate::secret::{Secret, SecretBytes};

/// What reaches the build.
pub(super) enum Message {
    /// A plugin was called.
    Call(Call),
    /// git has checked out a remote base in this directory.
    Clone(PathBuf),
}

/// What a plugin call was given.
pub(super) struct Call {
    /// The working directory: that of the kustomization that lists the plugin.
    pub dir: PathBuf,
    /// The manifest, as kustomize writes it.
    pub config: Vec<u8>,
    /// Resources to transform, if any.
    pub stdin: Vec<u8>,
}

/// Hands a plugin call to the build and passes on its answer.
///
/// # Errors
/// The build refused; it says why itself, so that this process only fails.
pub fn relay(config: &Path, socket: &Path, current_dir: Option<&Path>, deadline: Deadline) -> Result<Output, Error> {
    let lost = || Record::new(Failure::Internal, "the build that this plugin call belongs to is gone");
    let dir = current_dir.ok_or_else(lost)?;
    let config = jail::read_argument(config, limits::STDIN_BYTES).map_err(super::super::records::of_file)?;
    let stdin = process::read_stdin(limits::STDIN_BYTES, deadline)?;
    let mut stream = UnixStream::connect(socket).map_err(|_| lost())?;
    let parts = [dir.as_os_str().as_bytes(), config.as_slice(), &stdin];
    let answer = exchange(&mut stream, CALL, &parts, deadline).map_err(|_| lost())?;
    match answer {
        (0, bytes) => Ok(Output::new(bytes)),
        _ => Err(Record::new(Failure::Generator, REFUSED).into()),
    }
}

/// Tells the build of a clone, before kustomize looks at it.
///
/// # Errors
/// The build refuses it; it says why itself.
pub(super) fn announce_clone(socket: &Path, dir: &Path, deadline: Deadline) -> Result<(), Record> {
    let refused = || Record::new(Failure::Generator, REFUSED);
    let mut stream = UnixStream::connect(socket).map_err(|_| refused())?;
    match exchange(&mut stream, CLONE, &[dir.as_os_str().as_bytes()], deadline) {
        Ok((0, _)) => Ok(()),
        _ => Err(refused()),
    }
}

const CALL: u8 = b'c';
const CLONE: u8 = b'g';

/// What a refused call says; kustomize wraps it into its own message, which is then dropped.
pub(super) const REFUSED: &str = "the build refused it";

fn exchange(
    stream: &mut UnixStream,
    kind: u8,
    parts: &[&[u8]],
    deadline: Deadline,
) -> std::io::Result<(u8, SecretBytes)> {
    limit(stream, deadline)?;
    stream.write_all(&[kind])?;
    parts.iter().try_for_each(|part| write_part(stream, part))?;
    let mut code = [0];
    stream.read_exact(&mut code)?;
    let [code] = code;
    Ok((code, Secret::new(read_part(stream, limits::BUILD_BYTES)?)))
}

impl Message {
    /// Reads what the other end of a stream has to say.
    pub(super) fn read(stream: &mut UnixStream, deadline: Deadline) -> std::io::Result<Self> {
        limit(stream, deadline)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        let dir = PathBuf::from(std::ffi::OsString::from_vec(read_part(stream, limits::PATH_BYTES)?));
        match kind {
            [CALL] => {
                let config = read_part(stream, limits::STDIN_BYTES)?;
                let stdin = read_part(stream, limits::STDIN_BYTES)?;
                Ok(Self::Call(Call { dir, config, stdin }))
            }
            [CLONE] => Ok(Self::Clone(dir)),
            _ => Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Answers a call.
pub(super) fn respond(stream: &mut UnixStream, answer: Result<&SecretBytes, Failure>) -> std::io::Result<()> {
    match answer {
        Ok(bytes) => {
            stream.write_all(&[0])?;
            write_part(stream, bytes.expose())
        }
        Err(failure) => {
            stream.write_all(&[failure.code()])?;
            write_part(stream, &[])
        }
    }
}

/// Nobody waits longer than the run may take.
fn limit(stream: &UnixStream, deadline: Deadline) -> std::io::Result<()> {
    let left = deadline.left().max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))
}

fn write_part(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(bytes)
}

fn read_part(stream: &mut UnixStream, most: usize) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = u64::from_be_bytes(length);
    if usize::try_from(length).map_or(true, |length| length > most) {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read == length) {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

//! kustomize: found, started with next to nothing in its environment, and stopped at the deadline. The only place that
//! starts it.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::limits;
use crate::secret::{Secret, SecretBytes};

/// How to get a version that works.
pub const INSTALL: &str = "install kustomize 5.8.1: go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1, or \
                                  https://kubectl.docs.kubernetes.io/installation/kustomize";

/// A run of a program that has ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    pub stdout: SecretBytes,
    /// Its beginning, [`limits::MESSAGE_BYTES`] at most.
    pub stderr: SecretBytes,
}

/// How kustomize is started.
pub(super) struct Start<'a> {
    pub program: &'a Path,
    pub args: &'a [OsString],
    pub dir: &'a Path,
    /// The whole environment.
    pub variables: &'a [(OsString, OsString)],
}

/// The program that is named, or `kustomize` on PATH. A named one without a slash is looked for there, too.
///
/// # Errors
/// There is none that can be executed.
pub(super) fn find(named: Option<&Path>, env: &Environment) -> Result<PathBuf, Record> {
    let name = named.unwrap_or(Path::new("kustomize"));
    if name.components().count() > 1 || name.has_root() {
        let path = env.current_dir().map_or_else(|| name.to_owned(), |dir| dir.join(name));
        return Some(path).filter(|path| is_executable(path)).ok_or_else(|| missing("is not an executable file"));
    }
    on_path(name.as_os_str(), env).ok_or_else(|| missing("is not on PATH"))
}

fn missing(what: &str) -> Record {
    Record::new(Failure::Usage, format!("kustomize {what}")).hint(INSTALL).hint("or name its program with --kustomize")
}

/// Finds a program on PATH. Entries that are not absolute are passed over, as Go does: the working directory belongs to
/// whoever wrote the manifests.
pub(super) fn on_path(name: &OsStr, env: &Environment) -> Option<PathBuf> {
    std::env::split_paths(env.var_os("PATH")?)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs it to its end. Standard input is empty.
///
/// # Errors
/// It cannot be started, prints too much, or is not done by the deadline; then it was stopped with what it started.
pub(super) fn run(start: &Start<'_>, deadline: Deadline) -> Result<Ended, Record> {
    let mut running = Running { child: spawn(start)? };
    let (stdout, stderr) = running.read(deadline)?;
    let status = running.wait(deadline)?;
    Ok(Ended { status, stdout, stderr })
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts kustomize")]
fn spawn(start: &Start<'_>) -> Result<Child, Record> {
    let refuse = |what: &str| Record::new(Failure::Usage, format!("kustomize {what}")).hint(INSTALL);
    Command::new(start.program)
        .args(start.args)
        .current_dir(start.dir)
        .env_clear()
        .envs(start.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // It can then be stopped with everything that it started.
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => refuse("or its interpreter does not exist"),
            ErrorKind::PermissionDenied => refuse("is not executable by this user"),
            _ => refuse("cannot be started"),
        })
}

struct Running {
    child: Child,
}

impl Running {
    /// Reads both streams to their ends.
    fn read(&mut self, deadline: Deadline) -> Result<(SecretBytes, SecretBytes), Record> {
        let (mut stdout, mut stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (mut answer, mut message) = (Vec::new(), Vec::new());
        let mut chunk = vec![0; 64 << 10];
        while stdout.is_some() || stderr.is_some() {
            let fds = [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
            let mut polled: Vec<_> =
                fds.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
            let left = deadline.left();
            if left == Duration::ZERO {
                return Err(too_slow());
            }
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match rustix::event::poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Record::new(Failure::Internal, "kustomize cannot be waited for")),
            }
            let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
            let (is_stdout_ready, is_stderr_ready) = (
                stdout.is_some() && ready.next().unwrap_or_default(),
                stderr.is_some() && ready.next().unwrap_or_default(),
            );
            drop(polled);
            if is_stdout_ready && read_some(&mut stdout, &mut chunk, |bytes| answer.extend_from_slice(bytes)) {
                stdout = None;
            }
            let keep = |bytes: &[u8]| {
                let room = limits::MESSAGE_BYTES.saturating_sub(message.len()).min(bytes.len());
                message.extend_from_slice(bytes.get(..room).unwrap_or_default());
            };
            if is_stderr_ready && read_some(&mut stderr, &mut chunk, keep) {
                stderr = None;
            }
            if answer.len() > limits::BUILD_BYTES {
                let message = format!("kustomize printed more than {} MiB", limits::BUILD_BYTES >> 20);
                return Err(Record::new(Failure::Generator, message).hint("split the kustomization"));
            }
        }
        Ok((Secret::new(answer), Secret::new(message)))
    }

    fn wait(&mut self, deadline: Deadline) -> Result<ExitStatus, Record> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if deadline.left() > Duration::ZERO => {
                    _ = rustix::event::poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 500_000 }));
                }
                Ok(None) => return Err(too_slow()),
                Err(_) => return Err(Record::new(Failure::Internal, "kustomize cannot be waited for")),
            }
        }
    }
}

/// Whether the stream has ended.
fn read_some<R: Read>(stream: &mut Option<R>, chunk: &mut [u8], mut take: impl FnMut(&[u8])) -> bool {
    let Some(reader) = stream else { return true };
    match reader.read(chunk) {
        Ok(0) => true,
        Ok(count) => {
            take(chunk.get(..count).unwrap_or_default());
            false
        }
        Err(error) => error.kind() != ErrorKind::Interrupted,
    }
}

fn too_slow() -> Record {
    Record::new(Failure::Unavailable, "kustomize was not done before the deadline, and was stopped")
}

impl Drop for Running {
    /// Stops what still runs. Until `wait` has returned, the process id and its group cannot belong to anyone else.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        match i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            Some(group) => _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL),
            None => _ = self.child.kill(),
        }
        _ = self.child.wait();
    }
}

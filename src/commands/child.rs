//! A program of the operator's (kustomize, helm): started with next to nothing in its environment, read to its end, and
//! stopped at the deadline with everything that it started. The only place that starts them.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::deadline::Deadline;
use crate::error::{Failure, Record};
use crate::interruption::{self, Guard};
use crate::limits;
use crate::secret::{Secret, SecretBytes};

/// A run of a program that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: SecretBytes,
    /// Its beginning, [`limits::MESSAGE_BYTES`] at most.
    pub stderr: SecretBytes,
}

/// How a program is started.
pub struct Start<'a> {
    /// What it is called in messages.
    pub name: &'static str,
    /// How to get one that works.
    pub install: &'static str,
    pub program: &'a Path,
    pub args: &'a [OsString],
    pub dir: &'a Path,
    /// The whole environment.
    pub variables: &'a [(OsString, OsString)],
    /// It stays in our process group, because someone may stop that as a whole (`argocd-cmp-server`); else it has one of its
    /// own, and is stopped with everything that it started.
    pub stays_in_group: bool,
}

/// Runs it to its end. Standard input is empty.
///
/// # Errors
/// It cannot be started, prints too much, or is not done by the deadline; then it was stopped with what it started.
pub fn run(start: &Start<'_>, deadline: Deadline) -> Result<Ended, Record> {
    let (child, guard) = spawn(start)?;
    let mut running = Running { name: start.name, child, _guard: guard };
    let (stdout, stderr) = running.read(deadline)?;
    let status = running.wait(deadline)?;
    Ok(Ended { status, stdout, stderr })
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts kustomize and helm")]
fn spawn(start: &Start<'_>) -> Result<(Child, Guard), Record> {
    let refuse = |what: &str| Record::new(Failure::Usage, format!("{} {what}", start.name)).hint(start.install);
    let mut command = Command::new(start.program);
    if !start.stays_in_group {
        // It can then be stopped with everything that it started.
        command.process_group(0);
    }
    command
        .args(start.args)
        .current_dir(start.dir)
        .env_clear()
        .envs(start.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    interruption::start(|| command.spawn()).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refuse("or its interpreter does not exist"),
        ErrorKind::PermissionDenied => refuse("is not executable by this user"),
        _ => refuse("cannot be started"),
    })
}

struct Running {
    name: &'static str,
    child: Child,
    _guard: Guard,
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
                return Err(self.too_slow());
            }
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match rustix::event::poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(self.lost()),
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
                let message = format!("{} printed more than {} MiB", self.name, limits::BUILD_BYTES >> 20);
                return Err(Record::new(Failure::Generator, message).hint("split the kustomization or chart"));
            }
        }
        Ok((Secret::new(answer), Secret::new(message)))
    }

    fn too_slow(&self) -> Record {
        let message = format!("{} was not done before the deadline, and was stopped", self.name);
        Record::new(Failure::Unavailable, message)
    }

    fn lost(&self) -> Record {
        Record::new(Failure::Internal, format!("{} cannot be waited for", self.name))
    }

    fn wait(&mut self, deadline: Deadline) -> Result<ExitStatus, Record> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if deadline.left() > Duration::ZERO => {
                    _ = rustix::event::poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 500_000 }));
                }
                Ok(None) => return Err(self.too_slow()),
                Err(_) => return Err(self.lost()),
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

impl Drop for Running {
    /// Stops what still runs. Until `wait` has returned, the process id and its group cannot belong to anyone else.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

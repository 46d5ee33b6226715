//! Key programs: `SOPS_AGE_KEY_CMD` and its like, age plugins, gpg, `az`. The only place that starts them.
//!
//! A program gets the environment that we were given, no standard input of ours, no standard error, and a pipe of its
//! own as standard output. It is stopped at its deadline together with whatever it started.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::event::PollFlags;

use super::KeyPolicy;
pub(super) use super::command_line::find;
use super::command_line::split;
use super::local::{wait, wait_readable};
use crate::environment::Environment;
use crate::interruption::{self, Guard};
use crate::limits;
use crate::secret::{Secret, SecretBytes};

/// Why a key program gave nothing. Never its command line or its output, which may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramError {
    /// Programs are switched off.
    Forbidden,
    /// The command has no words.
    Empty,
    /// The command ends inside quotes or after a backslash.
    Unbalanced,
    NotFound,
    NotStarted,
    /// Exit status, or none where a signal ended it.
    Failed(Option<i32>),
    TimedOut,
    TooMuchOutput,
    TooManyRuns,
    /// It ended, or closed its pipes, in the middle of a conversation.
    Hung,
}

impl ProgramError {
    /// The reason, to be read after the name of the variable or program.
    pub(super) fn words(self) -> String {
        match self {
            Self::Forbidden => "was not run (key programs are switched off)".to_owned(),
            Self::Empty => "is set but empty".to_owned(),
            Self::Unbalanced => "has unbalanced quotes".to_owned(),
            Self::NotFound => "names a program that does not exist or is not on PATH".to_owned(),
            Self::NotStarted => "could not be started".to_owned(),
            Self::Failed(Some(status)) => format!("failed with exit status {status}"),
            Self::Failed(None) => "was ended by a signal".to_owned(),
            Self::TimedOut => "did not finish in time".to_owned(),
            Self::TooMuchOutput => "wrote more than 16 MiB".to_owned(),
            Self::TooManyRuns => "was run too often and is not run again".to_owned(),
            Self::Hung => "ended before it had answered".to_owned(),
        }
    }
}

/// A program that was started, with its own ends of stdin and stdout. Stopped and reaped when dropped.
pub(super) struct Program {
    child: Child,
    owns_group: bool,
    deadline: Instant,
    /// Only where the group is its own: another's is not ours to stop.
    _guard: Option<Guard>,
}

/// How to start a program.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [String],
    /// A variable beside the inherited ones.
    pub(super) variable: Option<(&'static str, &'a str)>,
    pub(super) directory: Option<&'a Path>,
    /// The program is written to; else it reads end of file.
    pub(super) with_stdin: bool,
}

/// When a key program or a pipe is given up: [`limits::KEY_PROGRAM_TIME`] from now, or the end of the run.
pub(super) fn deadline(policy: &KeyPolicy) -> Instant {
    let limit = Instant::now() + limits::KEY_PROGRAM_TIME;
    policy.deadline.map_or(limit, |deadline| deadline.min(limit))
}

/// Runs a command line as sops does: split into words, no shell; its output is the answer.
///
/// Source: getsops/sops v3.13, `age/keysource.go`, `getOutputFromCmd`.
pub(super) fn output_of(
    command: &str,
    variable: (&'static str, &str),
    environment: &Environment,
    policy: &KeyPolicy,
) -> Result<SecretBytes, ProgramError> {
    if !policy.allow_exec {
        return Err(ProgramError::Forbidden);
    }
    let words = split(command).ok_or(ProgramError::Unbalanced)?;
    let (name, arguments) = words.split_first().ok_or(ProgramError::Empty)?;
    let program = find(name, environment).ok_or(ProgramError::NotFound)?;
    let start = Start { program: &program, arguments, variable: Some(variable), directory: None, with_stdin: false };
    Program::start(&start, environment, policy)?.output()
}

/// Runs a command line as the AWS tools do, through a shell; where there is none, split into words. Its output is the
/// answer.
///
/// Source: aws-sdk-go-v2, `credentials/processcreds/provider.go`.
#[cfg(feature = "aws")]
pub(super) async fn shell_output_of(
    command: &str,
    environment: &Environment,
    policy: &KeyPolicy,
) -> Result<SecretBytes, ProgramError> {
    if !policy.allow_exec {
        return Err(ProgramError::Forbidden);
    }
    let (program, arguments) = match find("sh", environment) {
        Some(shell) => (shell, vec!["-c".to_owned(), command.to_owned()]),
        None => {
            let mut words = split(command).ok_or(ProgramError::Unbalanced)?.into_iter();
            let name = words.next().ok_or(ProgramError::Empty)?;
            (find(&name, environment).ok_or(ProgramError::NotFound)?, words.collect())
        }
    };
    let start = Start { program: &program, arguments: &arguments, variable: None, directory: None, with_stdin: false };
    Program::start(&start, environment, policy)?.output_async().await
}

/// Runs a command line split into words, for a task.
#[cfg(feature = "gcp")]
pub(super) async fn words_output_of(
    command: &str,
    environment: &Environment,
    policy: &KeyPolicy,
) -> Result<SecretBytes, ProgramError> {
    let words = split(command).ok_or(ProgramError::Unbalanced)?;
    let (name, arguments) = words.split_first().ok_or(ProgramError::Empty)?;
    let program = find(name, environment).ok_or(ProgramError::NotFound)?;
    let start = Start { program: &program, arguments, variable: None, directory: None, with_stdin: false };
    Program::start(&start, environment, policy)?.output_async().await
}

impl Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts key programs; the caller asked the policy"
    )]
    pub(super) fn start(
        start: &Start<'_>,
        environment: &Environment,
        policy: &KeyPolicy,
    ) -> Result<Self, ProgramError> {
        if !policy.allow_exec {
            return Err(ProgramError::Forbidden);
        }
        let mut command = Command::new(start.program);
        command
            .args(start.arguments)
            .env_clear()
            .envs(environment.variables())
            .envs(start.variable)
            .stdin(if start.with_stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(directory) = start.directory {
            command.current_dir(directory);
        }
        // Its own group can be stopped as a whole, but may not read from the terminal.
        let owns_group = !policy.terminal;
        if owns_group {
            command.process_group(0);
        }
        let started = if owns_group {
            interruption::start(|| command.spawn()).map(|(child, guard)| (child, Some(guard)))
        } else {
            command.spawn().map(|child| (child, None))
        };
        match started {
            Ok((child, guard)) => Ok(Self { child, owns_group, deadline: deadline(policy), _guard: guard }),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(ProgramError::NotFound),
            Err(_) => Err(ProgramError::NotStarted),
        }
    }

    /// Reads the output to its end and waits for success.
    pub(super) fn output(mut self) -> Result<SecretBytes, ProgramError> {
        let mut output = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.read(&mut chunk)? {
                0 => break,
                count => output.extend(chunk.iter().take(count)),
            }
            if output.len() > limits::KEY_FILE_BYTES {
                return Err(ProgramError::TooMuchOutput);
            }
        }
        self.wait()?;
        Ok(Secret::new(output))
    }

    /// Gives the program its whole input, then reads its output to the end. The input must be small enough for a program
    /// that writes before it has read all of it.
    #[cfg(feature = "pgp")]
    pub(super) fn answer_to(mut self, input: &[u8]) -> Result<SecretBytes, ProgramError> {
        match self.write(input) {
            // A program that stops reading says why with its exit status.
            Ok(()) | Err(ProgramError::Hung) => {}
            Err(error) => return Err(error),
        }
        drop(self.child.stdin.take());
        self.output()
    }

    /// As [`Self::output`], for a task: other questions go on meanwhile. The program is stopped when the task is dropped.
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(super) async fn output_async(mut self) -> Result<SecretBytes, ProgramError> {
        use std::time::Duration;

        use tokio::time::{sleep, timeout_at};

        let deadline = self.deadline.into();
        let stdout = self.child.stdout.take().map(std::os::fd::OwnedFd::from).ok_or(ProgramError::NotStarted)?;
        let stdout = tokio::net::unix::pipe::Receiver::from_owned_fd(stdout).map_err(|_| ProgramError::NotStarted)?;
        let talk = async {
            let mut output = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                stdout.readable().await.map_err(|_| ProgramError::Hung)?;
                match stdout.try_read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => output.extend(chunk.iter().take(count)),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(_) => return Err(ProgramError::Hung),
                }
                if output.len() > limits::KEY_FILE_BYTES {
                    return Err(ProgramError::TooMuchOutput);
                }
            }
            loop {
                match self.ended()? {
                    Some(()) => return Ok(Secret::new(output)),
                    None => sleep(Duration::from_millis(1)).await,
                }
            }
        };
        timeout_at(deadline, talk).await.unwrap_or(Err(ProgramError::TimedOut))
    }

    /// Reads what the program has written; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ProgramError> {
        let Some(stdout) = &mut self.child.stdout else { return Ok(0) };
        loop {
            if !wait_readable(&*stdout, self.deadline) {
                return Err(ProgramError::TimedOut);
            }
            match stdout.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(|_| ProgramError::Hung),
            }
        }
    }

    /// Writes to the program.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ProgramError> {
        let Some(stdin) = &mut self.child.stdin else { return Err(ProgramError::Hung) };
        // A pipe that polls as writable takes 512 bytes (POSIX PIPE_BUF) without blocking.
        for chunk in bytes.chunks(512) {
            if !wait(&*stdin, PollFlags::OUT, self.deadline) {
                return Err(ProgramError::TimedOut);
            }
            stdin.write_all(chunk).map_err(|_| ProgramError::Hung)?;
        }
        Ok(())
    }

    /// Closes the program's stdin and lets it end by itself for a moment.
    pub(super) fn finish(mut self) {
        drop(self.child.stdin.take());
        drop(self.child.stdout.take());
        self.deadline = self.deadline.min(Instant::now() + limits::KEY_PROGRAM_END);
        _ = self.wait();
    }

    /// Waits for the program to end with status 0.
    fn wait(&mut self) -> Result<(), ProgramError> {
        loop {
            match self.ended()? {
                Some(()) => return Ok(()),
                None if Instant::now() < self.deadline => pause(),
                None => return Err(ProgramError::TimedOut),
            }
        }
    }

    /// Whether the program has ended, with status 0.
    fn ended(&mut self) -> Result<Option<()>, ProgramError> {
        match self.child.try_wait() {
            Ok(Some(status)) if status.success() => Ok(Some(())),
            Ok(Some(status)) => Err(ProgramError::Failed(status.code())),
            Ok(None) => Ok(None),
            Err(_) => Err(ProgramError::Hung),
        }
    }
}

impl Drop for Program {
    /// Stops what still runs. Until `wait` has returned, the process id and its group cannot belong to anyone else.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        match i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).filter(|_| self.owns_group) {
            Some(group) => _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL),
            None => _ = self.child.kill(),
        }
        _ = self.child.wait();
    }
}

/// Lets a program that has closed its output come to its end.
fn pause() {
    let millisecond = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    _ = rustix::event::poll(&mut [], Some(&millisecond));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn environment() -> Environment {
        Environment::new([("PATH".into(), "/usr/bin:/bin".into()), ("INHERITED".into(), "yes".into())], None)
    }

    fn run(command: &str, seconds: f32) -> Result<String, ProgramError> {
        let deadline = Some(Instant::now() + Duration::from_secs_f32(seconds));
        let policy = KeyPolicy { allow_exec: true, terminal: false, deadline };
        let output = output_of(command, ("SOPS_AGE_RECIPIENT", "age1x"), &environment(), &policy)?;
        Ok(String::from_utf8(output.into_exposed()).unwrap())
    }

    #[test]
    fn runs_without_a_shell_and_with_the_recipient() {
        assert_eq!(run("echo '$HOME'  a\\ b", 9.0).unwrap(), "$HOME a b\n");
        assert_eq!(run("sh -c 'echo $SOPS_AGE_RECIPIENT $INHERITED; cat'", 9.0).unwrap(), "age1x yes\n");
    }

    #[test]
    fn says_why_a_program_gave_nothing() {
        assert_eq!(run("", 9.0), Err(ProgramError::Empty));
        assert_eq!(run("# nothing", 9.0), Err(ProgramError::Empty));
        assert_eq!(run("echo 'a", 9.0), Err(ProgramError::Unbalanced));
        assert_eq!(run("no-such-program-at-all", 9.0), Err(ProgramError::NotFound));
        assert_eq!(run("/no/such/program", 9.0), Err(ProgramError::NotFound));
        assert_eq!(run("sh -c 'echo x; exit 3'", 9.0), Err(ProgramError::Failed(Some(3))));
        assert_eq!(run("sh -c 'kill -9 $$'", 9.0), Err(ProgramError::Failed(None)));
        assert_eq!(run("head -c 17000000 /dev/zero", 9.0), Err(ProgramError::TooMuchOutput));
    }

    #[test]
    fn starts_nothing_when_programs_are_forbidden() {
        let refused = output_of("true", ("A", "b"), &environment(), &KeyPolicy::default());
        assert_eq!(refused.err(), Some(ProgramError::Forbidden));
    }

    #[test]
    fn stops_a_program_and_what_it_started_at_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        // The grandchild holds the pipe open and would leave a mark a second after the deadline.
        let command = format!("sh -c '(sleep 1; touch {}) & exec sleep 20'", mark.display());
        let begun = Instant::now();
        assert_eq!(run(&command, 0.2), Err(ProgramError::TimedOut));
        assert!(begun.elapsed() < Duration::from_secs(5));
        let later = rustix::event::Timespec { tv_sec: 1, tv_nsec: 300_000_000 };
        _ = rustix::event::poll(&mut [], Some(&later));
        assert!(!mark.exists(), "the grandchild was left running");
    }
}

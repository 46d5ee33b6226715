//! The process: hardening, standard streams, and the only writers of stdout and stderr.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Access, FileType, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use signal_hook::consts::{SIGABRT, SIGXFSZ};

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::interruption;
use crate::secret::SecretBytes;

/// The complete answer. Consumed by [`emit`], so that it is written once.
pub struct Output {
    bytes: SecretBytes,
    has_findings: bool,
}

impl Output {
    /// Takes the finished bytes: manifests, or a report that finds nothing to complain of. Exit code 0.
    pub fn new(bytes: SecretBytes) -> Self {
        Self { bytes, has_findings: false }
    }

    /// Gives the bytes up, for a command that goes on with them.
    pub fn into_bytes(self) -> SecretBytes {
        self.bytes
    }

    /// Takes a finished report with findings or differences (`check`, `diff`): exit code 1, though it is complete.
    pub fn findings(bytes: SecretBytes) -> Self {
        Self { bytes, has_findings: true }
    }
}

/// Closes the ways on which plaintext could leave by accident: core dumps, other processes of the same user
/// reading our memory, panic messages that quote values, world-readable files.
///
/// Best effort: a kernel that refuses does not stop a render.
#[expect(clippy::disallowed_methods, reason = "after a panic nothing else is to be done, on any thread")]
pub fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    _ = rustix::process::setrlimit(Resource::Core, none);
    _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Where memory runs out, the standard library says so and aborts: a failure like any other, not a crash.
    let always = Arc::new(AtomicBool::new(true));
    _ = signal_hook::flag::register_conditional_shutdown(SIGABRT, Failure::Internal.code().into(), always);
    // A file that may not grow (`ulimit -f`) is then an error of the write, as a full disk is. Programs that are started
    // have the signal back.
    _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    panic::set_hook(Box::new(|info| {
        // The payload may quote a value (slicing errors do), so only the place is shown.
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        interruption::clean_up();
        write_stderr(&format!("unsops: error: internal error{place}\nunsops: hint: please report this place\n"));
        // At once, whichever thread it was: standard output is untouched until everything has succeeded, and release
        // builds have no unwinding, which would end in SIGABRT.
        std::process::exit(Failure::Internal.code().into());
    }));
}

/// Reads the environment; the one place that does.
#[expect(clippy::disallowed_methods, reason = "this is the place where the environment is read once")]
pub fn environment() -> Environment {
    Environment::new(std::env::vars_os(), std::env::current_dir().ok())
}

/// The arguments after the program's name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// The name by which the program was called (`argv[0]`), whatever its file is named.
pub fn program_name() -> Option<OsString> {
    std::env::args_os().next()
}

/// The path of the program's own file. `None` where the system does not tell.
pub fn executable() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// A path to read the program's own file by: on Linux the link in `/proc`, which leads to the very file that runs even
/// if another one has its name by now.
pub fn executable_to_read() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    let is_there = cfg!(target_os = "linux") && rustix::fs::access(own, Access::READ_OK).is_ok();
    if is_there { Some(own.to_owned()) } else { executable() }
}

/// Whether a person sits at standard input.
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether a person reads standard output.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a person reads standard error: only then is progress shown.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// The time, in seconds since 1970: `SOURCE_DATE_EPOCH` where it is set (reproducible-builds.org), else the clock's.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the clock; only reports about ages use it")]
pub fn now(env: &Environment) -> u64 {
    let asked = env.non_empty("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok());
    asked.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    })
}

/// Reads standard input to its end.
///
/// # Errors
/// More than `limit` bytes, silence beyond the deadline, or a read error.
pub fn read_stdin(limit: usize, deadline: Deadline) -> Result<Vec<u8>, Record> {
    let stdin = rustix::stdio::stdin();
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        wait_for(stdin, PollFlags::IN, deadline)
            .map_err(|_| Record::new(Failure::Usage, "standard input did not end before the deadline"))?;
        match rustix::io::read(stdin, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return Err(Record::new(Failure::Usage, "standard input cannot be read")),
        }
        if limit.checked_sub(bytes.len()).is_none() {
            return Err(Record::new(Failure::Generator, format!("standard input is larger than {limit} bytes")));
        }
    }
}

/// Writes the answer to standard output, completely or with an error; gives the exit code.
///
/// # Errors
/// [`Failure::Output`] if standard output is closed, full, read-only, or its reader is gone.
pub fn emit(output: Output, deadline: Deadline) -> Result<u8, Error> {
    let Output { bytes, has_findings } = output;
    let stdout = rustix::stdio::stdout();
    if was_closed(stdout) {
        let what = "standard output is closed, or /dev/null opened for reading as well, which cannot be told apart";
        return Err(Record::new(Failure::Output, what)
            .hint("redirect standard output to a file or a pipe; `>/dev/null` discards it, as does /dev/null opened for writing")
            .into());
    }
    let start = place_in_file(stdout);
    write_all(stdout, bytes.expose(), deadline).map_err(|errno| {
        // Half an answer in a file is taken back; what a pipe has, it has.
        _ = start.map(|start| rustix::fs::ftruncate(stdout, start));
        refused(errno)
    })?;
    Ok(u8::from(has_findings))
}

fn write_all(stdout: BorrowedFd<'_>, mut rest: &[u8], deadline: Deadline) -> Result<(), Errno> {
    while !rest.is_empty() {
        match rustix::io::write(stdout, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(stdout, PollFlags::OUT, deadline)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Where the answer begins, if that is the end of a regular file.
fn place_in_file(stdout: BorrowedFd<'_>) -> Option<u64> {
    let stat =
        rustix::fs::fstat(stdout).ok().filter(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile)?;
    let size = u64::try_from(stat.st_size).ok()?;
    let appends = rustix::fs::fcntl_getfl(stdout).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    let is_at_end = appends || rustix::fs::tell(stdout).is_ok_and(|place| place == size);
    is_at_end.then_some(size)
}

/// Prints a report on standard error. Nothing is left to do if that fails.
pub fn write_stderr(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn refused(errno: Errno) -> Error {
    let why = match errno {
        Errno::PIPE => "its reader is gone",
        Errno::NOSPC => "no space is left on the device",
        Errno::BADF => "it is closed or not open for writing",
        Errno::TIMEDOUT => "its reader took nothing before the deadline",
        _ => "the write failed",
    };
    Record::new(Failure::Output, format!("standard output refused the answer: {why}")).into()
}

/// Whether standard output was closed when the process started.
///
/// Rust's runtime opens `/dev/null` for reading and writing in place of a closed standard stream, before `main`:
/// an answer written there would be lost with exit 0. `>/dev/null` opens it for writing only; Python's `DEVNULL` and
/// Node's `ignore` open it as Rust does. Nothing that the kernel shows of a descriptor tells the two apart (flags,
/// position, inode, times of the link in `/proc`), and nothing of ours runs earlier without `unsafe`. So it is refused, and
/// the message names both.
fn was_closed(stdout: BorrowedFd<'_>) -> bool {
    let Ok(stat) = rustix::fs::fstat(stdout) else { return true };
    let Ok(null) = rustix::fs::stat("/dev/null") else { return false };
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == null.st_rdev
        && rustix::fs::fcntl_getfl(stdout).is_ok_and(|flags| flags & OFlags::ACCMODE == OFlags::RDWR)
}

/// Waits until the descriptor is ready (or closed: the next call then says so), at most until the deadline.
fn wait_for(fd: BorrowedFd<'_>, what: PollFlags, deadline: Deadline) -> Result<(), Errno> {
    loop {
        let left = deadline.left();
        if left == Duration::ZERO {
            return Err(Errno::TIMEDOUT);
        }
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn open(path: &Path, options: &mut std::fs::OpenOptions) -> std::fs::File {
        options.open(path).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn only_a_null_device_that_can_be_read_and_written_counts_as_closed() {
        use std::fs::OpenOptions;
        let file = tempfile::NamedTempFile::new().expect("a file");
        let null = Path::new("/dev/null");
        for (path, options, is_closed) in [
            (null, OpenOptions::new().read(true).write(true), true),
            (null, OpenOptions::new().write(true), false),
            (null, OpenOptions::new().read(true), false),
            (Path::new("/dev/zero"), OpenOptions::new().read(true).write(true), false),
            (file.path(), OpenOptions::new().read(true).write(true), false),
        ] {
            assert_eq!(was_closed(open(path, options).as_fd()), is_closed, "{path:?} {options:?}");
        }
    }

    #[test]
    fn an_answer_begins_at_the_end_of_a_regular_file_or_it_cannot_be_taken_back() {
        use std::fs::OpenOptions;
        use std::io::{Read, Seek, SeekFrom};
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut writer = open(file.path(), OpenOptions::new().write(true));
        assert_eq!(place_in_file(writer.as_fd()), Some(0));
        let environment = Environment::new([], None);
        assert_eq!(write_all(writer.as_fd(), b"answer", Deadline::start(&environment)), Ok(()));
        let mut written = String::new();
        open(file.path(), OpenOptions::new().read(true)).read_to_string(&mut written).expect("UTF-8");
        assert_eq!(written, "answer");
        assert_eq!(place_in_file(writer.as_fd()), Some(6));
        writer.seek(SeekFrom::Start(3)).expect("a regular file");
        assert_eq!(place_in_file(writer.as_fd()), None);
        assert_eq!(place_in_file(open(file.path(), OpenOptions::new().append(true)).as_fd()), Some(6));
        assert_eq!(place_in_file(open(Path::new("/dev/null"), OpenOptions::new().append(true)).as_fd()), None);
        assert_eq!(
            write_all(
                open(Path::new("/dev/full"), OpenOptions::new().write(true)).as_fd(),
                b"x",
                Deadline::start(&environment)
            ),
            Err(Errno::NOSPC)
        );
    }

    #[test]
    fn a_refused_answer_says_why() {
        for (errno, why) in [
            (Errno::PIPE, "its reader is gone"),
            (Errno::NOSPC, "no space is left on the device"),
            (Errno::BADF, "it is closed or not open for writing"),
            (Errno::TIMEDOUT, "its reader took nothing before the deadline"),
            (Errno::IO, "the write failed"),
        ] {
            let report = refused(errno).report();
            assert!(report.contains(&format!("standard output refused the answer: {why}")), "{report}");
        }
    }

    #[test]
    fn the_clock_is_asked_unless_the_operator_gives_a_time() {
        let at = |value: &str| now(&Environment::new([("SOURCE_DATE_EPOCH".into(), value.into())], None));
        assert_eq!((at("0"), at("1700000000")), (0, 1_700_000_000));
        // After this was written, and before the Sun is gone.
        for asked in ["", "soon", "-1"] {
            assert!((1_700_000_000..1 << 60).contains(&at(asked)), "{asked}");
        }
    }

    #[test]
    fn the_program_finds_itself() {
        assert_eq!(executable(), std::env::current_exe().ok());
        assert_eq!(program_name(), std::env::args_os().next());
        let own = executable_to_read().expect("a path");
        assert_eq!(own.canonicalize().ok(), executable().and_then(|path| path.canonicalize().ok()));
    }
}

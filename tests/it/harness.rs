//! One run of a program in a world of its own: empty environment, own `HOME`, own temporary directory, own root.
//!
//! Every run of unsops, whatever a test looks at, is checked against the rules that hold always (`Run::check`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

/// In every secret value of every fixture.
pub const CANARY: &str = "CANARY-7f3a";

/// Longer than any run should take on a busy machine: a guard against hanging.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The directory `tests` of this repository.
pub fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The executable under test.
pub fn unsops() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_unsops"))
}

/// A real counterpart, or `None` after saying loudly that the test is skipped. It is looked for in `UNSOPS_TEST_TOOLS`
/// or, if that is not set, where `tests/run` installs it; programs of Debian (gpg, chromium) also on `PATH`.
///
/// # Panics
/// Where it is missing and `CI=true`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let installed = std::env::var_os("UNSOPS_TEST_TOOLS").map_or_else(|| tests_dir().join(".tools"), PathBuf::from);
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|p| p.is_file());
    let found = Some(installed.join(name)).filter(|path| path.is_file());
    let found = if matches!(name, "chromium" | "gpg") { found.or_else(on_path) } else { found };
    if found.is_none() {
        skip(&format!("{name} is not installed; tests/run installs it"));
    }
    found
}

/// A peer's binary that the developer names in a variable (`UNSOPS_TEST_KSOPS`); absence is no failure even under CI,
/// since recorded results of the peer are compared in any case.
pub fn peer(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    assert!(path.is_file(), "{variable} does not name a file");
    Some(path)
}

/// Says on the real stderr, which libtest does not capture, that the running test is skipped.
///
/// # Panics
/// Where `CI=true`.
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true, and {reason}");
    // One write, so that lines of parallel tests do not mix.
    let _ = std::io::stderr().write_all(format!("\nSKIPPED {test}: {reason}\n").as_bytes());
}

/// Encrypts a file for the test key with the real sops, which is installed where the other counterparts are. Its name
/// decides the format.
pub fn encrypted(plain: impl AsRef<[u8]>, name: &str, args: &[&str]) -> Option<Vec<u8>> {
    let sops = tool("sops")?;
    let recipient = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let recipient = recipient.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    let made =
        Case::new().file(name, plain).args(["--encrypt", "--age", recipient]).args(args).arg(name).run_unchecked(&sops);
    assert_eq!(made.status, Some(0), "{}", made.redacted());
    Some(made.stdout)
}

/// What a run starts from.
pub struct Case {
    world: TempDir,
    cwd: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    is_report: bool,
}

impl Case {
    /// An empty root that is a Git work tree, no keys, nothing on stdin.
    pub fn new() -> Self {
        let case = Self::without_git();
        fs::create_dir(case.root().join(".git")).expect("a fresh directory");
        case
    }

    /// As [`Self::new`], but the root is no Git work tree.
    pub fn without_git() -> Self {
        let world = tempfile::Builder::new().prefix("unsops-test-").tempdir().expect("a temporary directory");
        for part in ["root", "home", "tmp"] {
            fs::create_dir(world.path().join(part)).expect("a fresh directory");
        }
        let cwd = world.path().join("root");
        Self { world, cwd, args: Vec::new(), env: Vec::new(), stdin: Vec::new(), is_report: false }
    }

    /// The test-only age identity that every fixture is encrypted for, or another file of `tests/keys`.
    pub fn key(self, file: &str) -> Self {
        let path = tests_dir().join("keys").join(file);
        assert!(path.is_file(), "no such key: {file}");
        self.env("SOPS_AGE_KEY_FILE", path)
    }

    /// The directory that sources may be opened in.
    pub fn root(&self) -> PathBuf {
        self.world.path().join("root")
    }

    pub fn home(&self) -> PathBuf {
        self.world.path().join("home")
    }

    pub fn tmp(&self) -> PathBuf {
        self.world.path().join("tmp")
    }

    /// Writes a file below the root.
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("create the parent");
        fs::write(path, content).expect("write a file");
        self
    }

    /// Copies a file of `tests/fixtures` to a place below the root.
    pub fn fixture(self, fixture: &str, path: impl AsRef<Path>) -> Self {
        let content = fs::read(tests_dir().join("fixtures").join(fixture)).expect(fixture);
        self.file(path, content)
    }

    /// Copies a directory of `tests` to a place below the root, symlinks and modes included.
    pub fn tree(self, from: &str, to: impl AsRef<Path>) -> Self {
        copy_tree(&tests_dir().join(from), &self.root().join(to));
        self
    }

    /// Starts in a directory below the root, which is made if need be.
    pub fn cwd(mut self, path: impl AsRef<Path>) -> Self {
        self.cwd = self.root().join(path);
        fs::create_dir_all(&self.cwd).expect("create the working directory");
        self
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// These arguments and no others.
    pub fn only_args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.clear();
        self.args(args)
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().to_owned();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub fn stdin(mut self, content: impl AsRef<[u8]>) -> Self {
        self.stdin = content.as_ref().to_vec();
        self
    }

    /// The run prints findings, which stay on stdout when it fails (`check`, `explain`, `diff`, `doctor`).
    pub fn report(mut self) -> Self {
        self.is_report = true;
        self
    }

    /// Runs unsops, and checks what holds for every run of it.
    pub fn run(&self) -> Run {
        let run = self.run_program(&unsops());
        run.check(self.is_report);
        let left: Vec<_> = [self.tmp(), self.home()].iter().flat_map(|dir| files_below(dir)).collect();
        assert!(left.is_empty(), "left behind: {left:?}\n{}", run.redacted());
        run
    }

    /// Runs another program in the same world; only `PATH` is added, with the counterparts first. Its stderr must be free
    /// of canaries too, as must the files that it leaves in the temporary directory.
    pub fn run_program(&self, program: &Path) -> Run {
        self.run_with::<&str>(program, [])
    }

    /// As [`Self::run_program`], with more arguments.
    pub fn run_with<A: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = A>) -> Run {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let run = self.start(program, &args);
        assert_no_canary("stderr", &run.stderr);
        for file in files_below(&self.tmp()) {
            assert_no_canary(&file.display().to_string(), &fs::read(&file).expect("a file"));
        }
        run
    }

    /// As [`Self::run_program`], for programs that may say what they like (the real sops quotes values).
    pub fn run_unchecked(&self, program: &Path) -> Run {
        self.start(program, &[])
    }

    fn start(&self, program: &Path, more: &[OsString]) -> Run {
        let mut command = assert_cmd::Command::new(program);
        command
            .args(&self.args)
            .args(more)
            .env_clear()
            .current_dir(&self.cwd)
            .timeout(TIMEOUT)
            .write_stdin(self.stdin.clone());
        command.env("HOME", self.home()).env("TMPDIR", self.tmp());
        if program != unsops() {
            let own = program.parent().map(Path::to_owned);
            let system = std::env::var_os("PATH").unwrap_or_default();
            let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&system)));
            command.env("PATH", path.expect("a path without a colon"));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the program starts");
        count_run();
        Run {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
            names: vec![(self.root(), "ROOT"), (self.home(), "HOME"), (self.tmp(), "TMP"), (tests_dir(), "TESTS")],
        }
    }
}

/// What a run came to.
pub struct Run {
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    names: Vec<(PathBuf, &'static str)>,
}

impl Run {
    /// What holds for every run of unsops: it ends by itself with a documented code; a failure says something and prints
    /// no answer; a success says nothing.
    fn check(&self, is_report: bool) {
        let status = self.status.unwrap_or_else(|| panic!("ended by a signal\n{}", self.redacted()));
        assert!((0..=9).contains(&status) && status != 1 || is_report, "exit status {status}\n{}", self.redacted());
        if is_report {
            return;
        }
        if status == 0 {
            assert!(!self.stdout.is_empty(), "success without an answer\n{}", self.redacted());
        } else {
            assert_eq!(self.stdout.len(), 0, "an answer beside failure {status}\n{}", self.redacted());
            assert!(self.stderr.starts_with(b"unsops: error: "), "no reason given\n{}", self.redacted());
        }
        let control = self.stderr.iter().find(|&&byte| (byte < 0x20 && byte != b'\n') || byte == 0x7f);
        assert!(control.is_none(), "control byte {control:?} on stderr");
    }

    /// The answer of a successful, silent run.
    #[track_caller]
    pub fn answer(&self) -> &[u8] {
        assert_eq!(self.status, Some(0), "{}", self.redacted());
        assert!(self.stderr.is_empty(), "not silent\n{}", self.redacted());
        &self.stdout
    }

    /// As [`Self::answer`], as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.answer()).expect("UTF-8")
    }

    /// The message of a run that failed with this code.
    #[track_caller]
    pub fn failure(&self, code: i32) -> String {
        assert_eq!(self.status, Some(code), "{}", self.redacted());
        self.replaced(&self.stderr)
    }

    /// The whole run for `insta::assert_snapshot!`, with the world's paths replaced by names.
    pub fn snapshot(&self) -> String {
        let status = self.status.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let mut out = format!("[exit status: {status}]\n");
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !bytes.is_empty() {
                out.push_str(&format!("----- {name}\n{}", self.replaced(bytes)));
            }
        }
        out
    }

    /// For failing assertions: without stdout, which may hold what a log should not.
    pub fn redacted(&self) -> String {
        let status = self.status.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        format!(
            "[exit status: {status}], {} bytes on stdout, stderr:\n{}",
            self.stdout.len(),
            self.replaced(&self.stderr)
        )
    }

    fn replaced(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for (path, name) in &self.names {
            text = text.replace(&path.display().to_string(), name);
        }
        text
    }
}

/// Signals that end a process; without those that whoever started the tests ignores (`nohup`, `&` of a script), since unsops
/// then ignores them, too.
pub fn ending_signals() -> Vec<Signal> {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask").trim();
    let ignored = u64::from_str_radix(mask, 16).expect("hexadecimal");
    let all = [Signal::TERM, Signal::INT, Signal::HUP].into_iter();
    all.filter(|signal| ignored & (1 << (signal.as_raw() - 1)) == 0).collect()
}

/// One byte in the file that `UNSOPS_TEST_RUNS` names: `tests/run promises` says how many runs were looked at.
fn count_run() {
    if let Some(path) = std::env::var_os("UNSOPS_TEST_RUNS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(b".")).expect("UNSOPS_TEST_RUNS can be written");
    }
}

/// Fails if bytes hold the canary or any three-byte-aligned piece of its base64 (at each of the three alignments).
#[track_caller]
pub fn assert_no_canary(place: &str, bytes: &[u8]) {
    for needle in canary_traces() {
        let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "a secret value leaked to {place}");
    }
}

/// The canary, most of it, and its base64 at each alignment.
fn canary_traces() -> Vec<String> {
    use base64::Engine;
    let mut traces = vec![CANARY.to_owned(), "CANARY-7".to_owned(), "ARY-7f3a".to_owned()];
    for skipped in 0..3 {
        // Only whole groups of three bytes are the same whatever stands around them.
        let whole = &CANARY.as_bytes()[skipped..];
        let whole = &whole[..whole.len() / 3 * 3];
        traces.push(base64::engine::general_purpose::STANDARD.encode(whole));
    }
    traces
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a directory");
    for entry in fs::read_dir(from).unwrap_or_else(|_| panic!("{} is missing", from.display())) {
        let entry = entry.expect("a directory entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            copy_tree(&from, &to);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from).expect("a link"), &to).expect("copy a link");
        } else {
            fs::copy(&from, &to).expect("copy a file");
        }
    }
}

#[test]
fn canary_traces_find_base64_at_every_alignment() {
    use base64::Engine;
    for before in ["", "x", "xy"] {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{before}{CANARY} and more"));
        assert!(canary_traces().iter().any(|trace| text.contains(trace.as_str())), "{before}");
    }
}

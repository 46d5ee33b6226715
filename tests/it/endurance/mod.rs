//! What failing machines and hostile surroundings do to a run: scarce resources, streams that are closed or full, signals
//! at any moment, other processes that look into it.
//!
//! `tests/promises.md` names the promise that each of these tests holds. A line that begins with `figure:` on standard
//! output of any test is what `tests/run promises` prints beside it.

mod full_disks;
mod hostile;
mod memory;
mod scarcity;
mod signals;
mod streams;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::harness::{Case, Run, tests_dir, unsops};

/// Longer than anything here takes on a busy machine: a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A generator of one Secret with so many keys, all from the same source of 32 bytes or so.
fn generator(keys: usize) -> Case {
    let entries: String = (0..keys).map(|key| format!("  - k{key:05}=./secret.enc.txt\n")).collect();
    Case::new()
        .key("age.txt")
        .file(
            "gen.yaml",
            format!(
                "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nsecretFrom:\n- metadata: {{name: s}}\n  files:\n{entries}"
            ),
        )
        .fixture("enc/3.13.3/text.txt", "secret.enc.txt")
}

/// The same of as many sources, each a file of its own.
fn generator_of_files(files: usize) -> Case {
    let entries: String = (0..files).map(|file| format!("  - ./f{file:05}\n")).collect();
    let case = Case::new().key("age.txt").file(
        "gen.yaml",
        format!(
            "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nsecretFrom:\n- metadata: {{name: s}}\n  files:\n{entries}"
        ),
    );
    (0..files).fold(case, |case, file| case.fixture("enc/3.13.3/text.txt", format!("f{file:05}")))
}

/// unsops with arguments in the world of a case, to be started by hand.
fn command(case: &Case, args: &[&str]) -> Command {
    let mut command = Command::new(unsops());
    command
        .args(args)
        .env_clear()
        .env("HOME", case.home())
        .env("TMPDIR", case.tmp())
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .current_dir(case.root());
    command
}

/// Runs unsops after a line of shell: limits, redirections.
fn after(shell: &str, case: &Case, args: &[&str]) -> Run {
    let script = format!("{shell}\nexec \"$0\" \"$@\"");
    let program = unsops();
    let all = ["-c", &script, program.to_str().expect("a path in UTF-8")].into_iter().chain(args.iter().copied());
    case.run_with(Path::new("/bin/sh"), all)
}

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited for {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for the end of a process, and kills it where that does not come.
#[track_caller]
fn end_of(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            _ = child.kill();
            panic!("still running after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Names of processes whose environment names the home of this case: unsops and what it started.
fn processes_of(case: &Case) -> Vec<String> {
    let home = case.home().display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        // Processes end while one looks at them, and those of others cannot be read.
        let Ok(environ) = fs::read(entry.path().join("environ")) else { continue };
        if String::from_utf8_lossy(&environ).contains(&home) {
            found.push(fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned());
        }
    }
    found
}

/// What a test measured, for the table of `tests/run promises`.
#[expect(clippy::print_stdout, reason = "libtest captures it, and shows it where asked")]
pub fn figure(text: &str) {
    println!("figure: {text}");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

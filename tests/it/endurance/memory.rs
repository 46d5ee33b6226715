//! What another process could see of a run, and what a run leaves in its own memory.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;

use super::{command, end_of, figure, generator, generator_of_files, is_root, wait_until};
use crate::harness::{CANARY, Case, tests_dir, unsops};

/// Keys of the answer: more than a pipe takes, so that the run stops while it writes.
const KEYS: usize = 2000;

/// A run that has done its work and waits for somebody to read its answer.
fn blocked(case: &Case) -> Child {
    let child = command(case, &["gen.yaml"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let pipe = child.stdout.as_ref().expect("piped");
    wait_until("the pipe is full", || rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes >= 60_000));
    child
}

fn proc_file(child: &Child, name: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{name}", child.id())).expect("a file of /proc")
}

/// Occurrences of each needle in the writable memory of a process.
fn occurrences(child: &Child, needles: &[&[u8]]) -> std::io::Result<Vec<usize>> {
    let memory = File::open(format!("/proc/{}/mem", child.id()))?;
    let mut counts = vec![0; needles.len()];
    for line in proc_file(child, "maps").lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).expect("hex"));
        let mut bytes = vec![0; usize::try_from(to - from).expect("fits")];
        // Pages that were never touched may not be readable.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (count, needle) in counts.iter_mut().zip(needles) {
            *count += bytes.windows(needle.len()).filter(|window| window == needle).count();
        }
    }
    Ok(counts)
}

#[test]
fn plaintext_is_in_memory_once_and_the_key_no_more() {
    let case = generator(KEYS);
    let mut child = blocked(&case);
    let identity = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let identity = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("an identity");
    let found = occurrences(&child, &[CANARY.as_bytes(), identity.as_bytes(), &identity.as_bytes()[20..40]]);
    let mut answer = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut answer).expect("the answer");
    assert!(end_of(&mut child).success());
    let in_answer = answer.windows(CANARY.len()).filter(|window| *window == CANARY.as_bytes()).count();
    assert!(in_answer >= KEYS);
    if !is_root() {
        assert_eq!(found.expect_err("not for us").kind(), ErrorKind::PermissionDenied);
        return;
    }
    let found = found.expect("root reads it");
    figure(&format!(
        "{} copies of plaintext beside the answer's {in_answer}, {} of the key",
        found[0].saturating_sub(in_answer),
        found[1] + found[2]
    ));
    assert_eq!(found[0], in_answer, "copies of plaintext in memory, and in the answer");
    assert_eq!(found[1..], [0, 0], "the identity is still in memory");
}

/// The secret scalar of the test identity, and the data key of the fixture that [`generator`] uses.
fn keys_in_bytes(identity: &str) -> (Vec<u8>, Vec<u8>) {
    let (_, scalar) = bech32::decode(&identity.to_lowercase()).expect("an identity");
    let file = fs::read_to_string(tests_dir().join("fixtures/enc/3.13.3/text.txt")).expect("a fixture");
    let file: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    let armor = file["sops"]["age"][0]["enc"].as_str().expect("a wrapped key");
    let identity: age::x25519::Identity = identity.parse().expect("an identity");
    (scalar, age::decrypt(&identity, armor.as_bytes()).expect("it opens"))
}

/// No copy anywhere, also where a thread had its stack: neither as text nor as bytes, in whole or in part.
#[test]
fn no_form_of_a_key_is_left_behind_by_threads() {
    if !is_root() {
        return;
    }
    let identity = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let identity = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("an identity");
    let (scalar, data_key) = keys_in_bytes(identity);
    let needles: [(&str, &[u8]); 6] = [
        ("the identity", identity.as_bytes()),
        ("a part of the identity", &identity.as_bytes()[20..40]),
        ("the scalar", &scalar),
        ("half of the scalar", &scalar[16..]),
        ("the data key", &data_key),
        ("half of the data key", &data_key[16..]),
    ];
    for (case, what) in [(generator(KEYS), "one file"), (generator_of_files(1500), "1,500 files on 20 threads")] {
        let mut child = blocked(&case);
        let wanted: Vec<&[u8]> = needles.iter().map(|(_, bytes)| *bytes).chain([CANARY.as_bytes()]).collect();
        let found = occurrences(&child, &wanted);
        let mut answer = Vec::new();
        child.stdout.take().expect("piped").read_to_end(&mut answer).expect("the answer");
        assert!(end_of(&mut child).success());
        let found = found.expect("root reads it");
        let in_answer = answer.windows(CANARY.len()).filter(|window| *window == CANARY.as_bytes()).count();
        assert_eq!(found.last(), Some(&in_answer), "{what}: copies of plaintext in memory, and in the answer");
        let left: Vec<_> =
            needles.iter().zip(&found).filter(|(_, count)| **count > 0).map(|((name, _), n)| (name, n)).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        figure(&format!("{what}: 0 copies of the identity, its scalar, the data key, or halves of them"));
    }
}

#[test]
fn a_run_that_waits_holds_nothing_but_its_streams() {
    let case = generator(KEYS);
    let mut child = blocked(&case);
    // What this test was started with, its children inherit.
    let inherited = |name: &str| {
        let target = |process: &str| fs::read_link(format!("/proc/{process}/fd/{name}")).ok();
        target("self") == target(&child.id().to_string())
    };
    let mut open: Vec<String> = fs::read_dir(format!("/proc/{}/fd", child.id()))
        .expect("descriptors")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| matches!(name.as_str(), "0" | "1" | "2") || !inherited(name))
        .collect();
    open.sort();
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).expect("threads").count();
    let children = proc_file(&child, &format!("task/{}/children", child.id()));
    let limits = proc_file(&child, "limits");
    let status = proc_file(&child, "status");
    child.kill().expect("ours");
    end_of(&mut child);
    assert_eq!(open, ["0", "1", "2"]);
    assert_eq!((threads, children.as_str()), (1, ""), "threads and children");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    assert!(status.contains("Umask:\t0077"), "{status}");
    figure("3 descriptors, 1 thread, no child, core limit 0, umask 077");
}

#[test]
fn an_abort_leaves_no_core() {
    // What the standard library does where memory runs out is a failure; a signal from outside still ends the process.
    for (signal, end) in [(Signal::ABORT, (Some(1), None)), (Signal::QUIT, (None, Some(3)))] {
        let status = end_by(signal);
        assert_eq!((status.code(), status.signal()), end);
        assert!(!status.core_dumped());
    }
    figure("SIGABRT and SIGQUIT with ulimit -c unlimited: 0 cores");
}

/// Sends a signal to a run that has unlimited room for a core.
fn end_by(signal: Signal) -> ExitStatus {
    let case = generator(KEYS);
    let child = Command::new("/bin/sh")
        .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" gen.yaml"])
        .arg(unsops())
        .env_clear()
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .current_dir(case.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("it starts");
    let pipe = child.stdout.as_ref().expect("piped");
    wait_until("the pipe is full", || rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes >= 60_000));
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("sent");
    end_of(&mut child)
}

#[test]
fn other_processes_of_the_same_user_cannot_look_in() {
    // Its files in /proc belong to root once it is not dumpable; that is what the kernel asks before ptrace, too.
    let mut run = if is_root() {
        let mut run = Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(unsops());
        run
    } else {
        Command::new(unsops())
    };
    let child = run
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.expect("it starts");
    let silent = child.stdin.take();
    let file = |name: &str| format!("/proc/{}/{name}", child.id());
    let user = if is_root() { 65534 } else { fs::metadata("/proc/self").expect("/proc").uid() };
    wait_until("its files are not its user's", || {
        let comm = fs::read_to_string(file("comm")).unwrap_or_default();
        comm.trim() == "unsops" && fs::metadata(file("environ")).is_ok_and(|file| file.uid() != user)
    });
    let status = proc_file(&child, "status");
    assert!(status.contains(&format!("Uid:\t{user}\t{user}\t")), "{status}");
    for name in ["mem", "environ", "maps"] {
        let refused = if is_root() {
            let cat = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat", &file(name)])
                .stderr(Stdio::null())
                .output();
            !cat.expect("cat").status.success()
        } else {
            File::open(file(name)).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        };
        assert!(refused, "{name} can be read");
    }
    drop(silent);
    end_of(&mut child);
    figure("3 of 3 files in /proc refused (mem, environ, maps)");
}

/// The child of the next test: a panic with a secret in its message.
#[test]
#[ignore = "run by a_panic_shows_its_place_and_no_value"]
fn panics_with_a_secret() {
    unsops::process::harden();
    panic!("{CANARY}");
}

#[test]
fn a_panic_shows_its_place_and_no_value() {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "endurance::memory::panics_with_a_secret", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("unsops: error: internal error at ") && stderr.contains("memory.rs:"), "{stderr}");
    assert!(!stderr.contains(CANARY) && !String::from_utf8_lossy(&output.stdout).contains(CANARY));
    figure("1 panic with a secret alive: exit 1, 0 traces of the value");
}

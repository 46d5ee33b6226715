//! Standard streams that are closed, full, slow, endless or silent.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{after, command, end_of, figure, generator};
use crate::harness::{CANARY, Case, unsops};

/// An answer of more than a pipe takes.
const MANY: usize = 1500;

#[test]
fn closed_streams_are_noticed_and_nothing_goes_astray() {
    let case = generator(2);
    let answer = case.run_with(&unsops(), ["gen.yaml"]);
    assert_eq!(after("exec <&-", &case, &["gen.yaml"]).text(), answer.text());
    assert_eq!(after("exec 2>&-", &case, &["gen.yaml"]).text(), answer.text());
    for (closed, why) in [
        ("exec >&-", "standard output is closed"),
        ("exec >&- 2>&-", ""),
        ("exec <&- >&-", "standard output is closed"),
        ("exec <&- >&- 2>&-", ""),
        ("exec 1</dev/null", "it is closed or not open for writing"),
        ("exec >/dev/full", "no space is left on the device"),
    ] {
        let run = after(closed, &case, &["gen.yaml"]);
        assert_eq!((run.status, run.stdout.len()), (Some(9), 0), "{closed}");
        let message = String::from_utf8_lossy(&run.stderr);
        assert!(message.contains(why), "{closed}: {message}");
    }
    // As a terminal is: a device, open for reading and writing.
    assert_eq!(after("exec 1<>/dev/zero", &case, &["gen.yaml"]).status, Some(0));
    // Nothing on stdin and no manifest: the exit code stands even where nobody can be told.
    for closed in ["exec <&- 2>&-", "exec <&- >&- 2>&-", "exec <&- 2>/dev/full"] {
        assert_eq!(after(closed, &case, &[]).status, Some(2), "{closed}");
    }
    // Descriptors 0 to 2 were free: had a source taken one of them, messages or the answer would stand in it.
    let source = fs::read(case.root().join("secret.enc.txt")).expect("a source");
    assert!(!source.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    figure("6 of 6 closed or full streams noticed (exit 9), 0 bytes astray");
}

#[test]
fn a_reader_that_goes_away_is_a_failure() {
    let case = generator(MANY);
    for taken in [0, 1, 4096, 70_000] {
        let mut child = command(&case, &["gen.yaml"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdout = child.stdout.take().expect("piped");
        let mut some = vec![0; taken];
        stdout.read_exact(&mut some).expect("that much is written");
        drop(stdout);
        assert_eq!(end_of(&mut child).code(), Some(9), "after {taken} bytes");
        let message = child.wait_with_output().expect("ended").stderr;
        assert!(String::from_utf8_lossy(&message).contains("its reader is gone"), "after {taken} bytes");
    }
    figure("4 of 4: after 0, 1, 4,096 and 70,000 bytes");
}

#[test]
fn a_stream_that_does_not_block_is_waited_for() {
    let case = generator(MANY);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("non-blocking");
    let mut child = command(&case, &["gen.yaml"])
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .expect("it starts");
    let (mut got, mut chunk) = (Vec::new(), [0; 1000]);
    loop {
        match ours.read(&mut chunk).expect("readable") {
            0 => break,
            count => got.extend_from_slice(&chunk[..count]),
        }
    }
    assert!(end_of(&mut child).success());
    assert!(got == want.answer(), "{} bytes of {}", got.len(), want.answer().len());
}

#[test]
fn a_reader_that_takes_nothing_is_given_up_at_the_deadline() {
    let case = generator(MANY);
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("non-blocking");
    let start = Instant::now();
    let mut child = command(&case, &["gen.yaml"])
        .env("UNSOPS_DEADLINE", "3")
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    assert_eq!(end_of(&mut child).code(), Some(9));
    figure(&format!("deadline of 3 s, ended after {:.1} s", start.elapsed().as_secs_f64()));
    drop(ours);
    let message = child.wait_with_output().expect("ended").stderr;
    assert!(String::from_utf8_lossy(&message).contains("its reader took nothing before the deadline"));
}

#[test]
fn endless_standard_input_is_bounded() {
    // With its copy while the buffer grows, the input takes less than three times its limit of 64 MiB.
    let run = after("ulimit -v 300000; exec </dev/zero", &Case::new(), &[]);
    run.failure(3);
    figure("/dev/zero refused within 300 MB of address space");
}

#[test]
fn silence_after_half_a_document_ends_at_the_deadline() {
    let case = generator(1);
    let start = Instant::now();
    let mut child = command(&case, &[])
        .env("UNSOPS_DEADLINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, b"apiVersion: viaduct.ai/v1\nkind: ks").expect("written");
    assert_eq!(end_of(&mut child).code(), Some(2));
    figure(&format!("deadline of 1 s, ended after {:.1} s", start.elapsed().as_secs_f64()));
    let output = child.wait_with_output().expect("ended");
    assert!(output.stdout.is_empty() && output.stderr.starts_with(b"unsops: error: standard input did not end"));
    drop(stdin);
}

#[test]
fn sources_that_are_no_files_are_refused_at_once() {
    let case = generator(1);
    Command::new("mkfifo").arg(case.root().join("pipe")).status().expect("mkfifo");
    let _socket = std::os::unix::net::UnixListener::bind(case.root().join("socket")).expect("a socket");
    for (link, to) in [("zero", "/dev/zero"), ("stdin", "/dev/stdin"), ("environ", "/proc/self/environ")] {
        std::os::unix::fs::symlink(to, case.root().join(link)).expect("a link");
    }
    fs::create_dir(case.root().join("directory")).expect("a directory");
    let mut slowest = Duration::ZERO;
    for source in ["pipe", "socket", "zero", "stdin", "environ", "directory"] {
        let manifest = format!(
            "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nsecretFrom:\n- metadata: {{name: s}}\n  files: [./{source}]\n"
        );
        fs::write(case.root().join("gen.yaml"), manifest).expect("written");
        let begun = Instant::now();
        case.run_with(&unsops(), ["gen.yaml"]).failure(4);
        slowest = slowest.max(begun.elapsed());
    }
    figure(&format!("6 of 6 refused, the slowest run in {} ms", slowest.as_millis()));
}

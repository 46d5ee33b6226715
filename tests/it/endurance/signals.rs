//! Signals, and the death of whoever started us, at any moment: nothing is left behind, and no half answer.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{command, end_of, figure, generator, processes_of, wait_until};
use crate::harness::{Case, ending_signals, files_below, tests_dir, tool, unsops};

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    // It may have ended; until it is waited for, its id is its own.
    _ = kill_process(pid, signal);
}

#[track_caller]
fn nothing_is_left(case: &Case) {
    let left: Vec<_> = [case.tmp(), case.home()].iter().flat_map(|dir| files_below(dir)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let made: Vec<_> = fs::read_dir(case.tmp()).expect("a directory").flatten().map(|entry| entry.path()).collect();
    assert!(made.is_empty(), "left behind: {made:?}");
    wait_until("no process of the run is left", || processes_of(case).is_empty());
}

#[test]
fn a_signal_at_any_point_gives_the_whole_answer_or_none() {
    let case = generator(20);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    let signals: Vec<_> = ending_signals().into_iter().chain([Signal::KILL]).collect();
    let (mut ended, mut complete) = (0, 0);
    for round in 0..60_u64 {
        let signal = signals[round as usize % signals.len()];
        let mut child = command(&case, &["gen.yaml"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_micros(round * 700));
        send(&child, signal);
        let status = end_of(&mut child);
        let output = child.wait_with_output().expect("it ended");
        if status.success() {
            complete += 1;
            assert!(output.stdout == want.answer(), "round {round}");
        } else {
            ended += 1;
            assert_eq!(status.signal(), Some(signal.as_raw()), "round {round}");
            assert!(output.stdout.is_empty() || output.stdout == want.answer(), "round {round}: half an answer");
        }
        nothing_is_left(&case);
    }
    figure(&format!("60 signals: {ended} ended the run, {complete} came too late, 0 half answers, 0 files"));
}

#[test]
fn a_signal_ends_a_run_that_waits() {
    let case = generator(1);
    let mut longest = Duration::ZERO;
    for signal in ending_signals() {
        let mut child = command(&case, &[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let _silent = child.stdin.take();
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        send(&child, signal);
        assert_eq!(end_of(&mut child).signal(), Some(signal.as_raw()));
        longest = longest.max(start.elapsed());
    }
    figure(&format!("longest time from signal to end: {} ms", longest.as_millis()));
    nothing_is_left(&case);
}

#[test]
fn a_signal_stops_the_key_program_too() {
    let case = generator(1);
    for signal in ending_signals() {
        let mut child = command(&case, &["gen.yaml"])
            .env_remove("SOPS_AGE_KEY_FILE")
            .env("SOPS_AGE_KEY_CMD", "/bin/sleep 300")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_until("the key program runs", || processes_of(&case).iter().any(|name| name == "sleep"));
        send(&child, signal);
        assert_eq!(end_of(&mut child).signal(), Some(signal.as_raw()));
        nothing_is_left(&case);
    }
}

#[test]
fn a_signal_during_a_build_leaves_no_directory_and_no_kustomize() {
    let Some(kustomize) = tool("kustomize") else { return };
    let case = Case::new().key("age.txt").tree("golden/several", "app").cwd("app");
    let build = |case: &Case| {
        command(case, &["build", "app", "--kustomize", kustomize.to_str().expect("UTF-8")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    };
    let start = Instant::now();
    let whole = build(&case).wait_with_output().expect("it ends");
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let usual = start.elapsed();
    let signals = ending_signals();
    let mut ended = 0;
    for round in 0..24_u32 {
        let signal = signals[round as usize % signals.len()];
        let mut child = build(&case);
        std::thread::sleep(usual * round / 24);
        send(&child, signal);
        let status = end_of(&mut child);
        let output = child.wait_with_output().expect("it ended");
        ended += u32::from(status.signal() == Some(signal.as_raw()));
        assert!(status.success() || status.signal() == Some(signal.as_raw()), "{status:?}");
        assert!(output.stdout.is_empty() || output.stdout == whole.stdout, "half an answer");
        nothing_is_left(&case);
    }
    figure(&format!("24 signals during a build: {ended} ended it, 0 directories and 0 processes left"));
    assert!(ended > 0);
}

#[test]
fn the_death_of_the_parent_ends_the_run() {
    let case = generator(1);
    // A shell that starts us and is killed: our standard input ends with it, as under kustomize.
    let script = "exec 3<&0; \"$0\" <&3 3<&- & echo started; wait";
    let mut shell = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(unsops())
        .env_clear()
        .env("HOME", case.home())
        .env("TMPDIR", case.tmp())
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .current_dir(case.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut started = [0; 7];
    shell.stdout.as_mut().expect("piped").read_exact(&mut started).expect("the shell says so");
    wait_until("unsops runs", || processes_of(&case).len() == 2 || is_hidden(&case));
    send(&shell, Signal::KILL);
    end_of(&mut shell);
    drop(shell);
    nothing_is_left(&case);
}

/// Without root, a process that is not dumpable does not show its environment.
fn is_hidden(case: &Case) -> bool {
    !super::is_root() && processes_of(case).len() == 1
}

//! Few descriptors, little memory, no place to write, many runs at once.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::{after, command, figure, generator, generator_of_files};
use crate::harness::{CANARY, Case, files_below, tests_dir, unsops};
use crate::sandbox::traced;

#[test]
fn sixteen_descriptors_are_enough() {
    let case = generator_of_files(40);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    assert_eq!(after("ulimit -n 16", &case, &["gen.yaml"]).text(), want.text());
    figure("40 files with 16 descriptors, the same answer");
}

#[test]
fn where_no_key_is_waited_for_there_are_as_many_threads_as_processors() {
    let case = generator_of_files(40);
    let key = tests_dir().join("keys/age.txt");
    let Some(calls) = traced(&case, &["gen.yaml"], &[("SOPS_AGE_KEY_FILE", key.as_os_str())]) else { return };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // A call that the sandbox does not know has no thread as its result.
    let is_started = |call: &&String| {
        let result = call.rsplit_once(" = ").and_then(|(_, result)| result.trim().parse::<u32>().ok());
        call.contains("clone") && result.is_some_and(|thread| thread > 0)
    };
    let started = calls.iter().filter(is_started).count();
    assert!(started <= processors.min(19), "{started} threads beside the first, {processors} processors");
    figure(&format!("40 files: {started} threads beside the first"));
}

#[test]
fn too_few_descriptors_are_a_clean_failure() {
    let case = generator_of_files(40);
    for descriptors in 3..16 {
        // Below four, the loader of the program itself may not come up (127).
        let run = after(&format!("ulimit -n {descriptors}"), &case, &["gen.yaml"]);
        let code = run.status.expect("not a signal");
        assert!(code == 0 || run.stdout.is_empty(), "{descriptors}: {code}");
        assert!(code == 127 || code <= 9, "{descriptors}: {}", run.redacted());
    }
}

#[test]
fn an_address_space_of_128_mib_is_enough() {
    let case = generator_of_files(40);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    for _ in 0..20 {
        assert_eq!(after("ulimit -v 131072", &case, &["gen.yaml"]).text(), want.text());
    }
    figure("128 MiB: the whole answer in 20 of 20 runs");
}

/// From what the loader needs to 128 MiB more, on as many threads as there may be.
#[test]
fn a_small_address_space_gives_the_whole_answer_or_a_clean_failure() {
    const RUNS: u32 = 200;
    let case = generator_of_files(40);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    let starts = |mib: &u32| after(&format!("ulimit -v {}", mib * 1024), &case, &["--version"]).status == Some(0);
    let least = (8..200).find(starts).expect("it starts in 200 MiB") * 1024;
    let (whole, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= RUNS {
                        return;
                    }
                    // Most of them where it is tight.
                    let kib = least + if at < RUNS / 2 { at * 64 } else { at * 640 };
                    let run = after(&format!("ulimit -v {kib}"), &case, &["gen.yaml"]);
                    let said = String::from_utf8_lossy(&run.stderr).into_owned();
                    let status = run.status.unwrap_or_else(|| panic!("{kib} KiB: a signal\n{said}"));
                    if status == 0 {
                        assert!(run.answer() == want.answer(), "{kib} KiB");
                        whole.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert!(status <= 9 && run.stdout.is_empty(), "{kib} KiB: {status}\n{said}");
                        assert!(
                            said.starts_with("unsops: error: ") || said.starts_with("memory allocation of "),
                            "{kib} KiB: {said}"
                        );
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    // Input for which there is no room: the standard library gives up, and that is a failure like others.
    for mib in [4, 16, 32, 48, 64] {
        let input = format!("ulimit -v {}; exec </dev/zero", least + mib * 1024);
        let run = after(&input, &Case::new(), &[]);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status, Some(1), "{mib} MiB: {said}");
        assert!(run.stdout.is_empty() && said.starts_with("memory allocation of "), "{mib} MiB: {said}");
    }
    figure(&format!(
        "{RUNS} runs in {} to {} MiB: {} whole answers, {} clean failures, 0 signals",
        least / 1024,
        (least + RUNS * 640) / 1024,
        whole.into_inner(),
        failed.into_inner()
    ));
}

#[test]
fn no_file_is_written() {
    // Nothing can be written to a file under this limit. Pipes are no files.
    let case = generator(3);
    let before = files_below(&case.root());
    let answer = after("ulimit -f 0", &case, &["gen.yaml"]);
    assert!(answer.text().contains(CANARY));
    let refused = after("ulimit -f 0", &case, &["missing.yaml"]);
    refused.failure(4);
    assert_eq!(files_below(&case.root()), before);
    assert!(files_below(&case.home()).is_empty() && files_below(&case.tmp()).is_empty());
    figure("0 bytes to files (RLIMIT_FSIZE 0)");
}

#[test]
fn no_place_to_write_and_no_home_are_no_obstacle() {
    let case = generator(1);
    let want = case.run_with(&unsops(), ["gen.yaml"]);
    for place in
        ["unset HOME TMPDIR", "HOME=/nonexistent TMPDIR=/nonexistent", "HOME= TMPDIR=", "HOME=/proc TMPDIR=/proc"]
    {
        assert_eq!(after(place, &case, &["gen.yaml"]).text(), want.text(), "{place}");
    }
    figure("4 of 4 surroundings, the same answer");
}

#[test]
fn two_thousand_files_in_one_generator() {
    let case = generator_of_files(2000);
    let start = Instant::now();
    let run = after("ulimit -n 32", &case, &["gen.yaml"]);
    assert_eq!(run.text().matches("BEGIN CANARY-7f3a").count(), 2000);
    figure(&format!("2,000 files with 32 descriptors in {:.1} s (unoptimised build)", start.elapsed().as_secs_f64()));
}

#[test]
fn output_is_the_same_however_many_threads_there_are() {
    let case = generator_of_files(40);
    let mut outputs = BTreeSet::new();
    for run in 0..21 {
        let threads = ["1", "2", "20"][run % 3];
        let output = command(&case, &["gen.yaml"]).env("KSOPS_CONCURRENCY_LIMIT", threads).output().expect("it starts");
        assert!(output.status.success() && output.stderr.is_empty());
        outputs.insert(output.stdout);
    }
    figure(&format!("21 runs of 40 files on 1, 2 and 20 threads: {} output", outputs.len()));
    assert_eq!(outputs.len(), 1);
}

#[test]
fn two_hundred_runs_at_once_give_the_same_answer() {
    let case = generator(5);
    let start = Instant::now();
    let children: Vec<_> = (0..200)
        .map(|_| {
            command(&case, &["gen.yaml"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut outputs = BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{:?}", output.status);
        outputs.insert(output.stdout);
    }
    figure(&format!("200 processes at once: {} output, {:.1} s", outputs.len(), start.elapsed().as_secs_f64()));
    assert_eq!(outputs.len(), 1);
}

#[test]
fn one_failing_source_at_any_place_of_fifty_empties_the_answer() {
    let sources = |bad: usize| -> String {
        (0..50).map(|at| format!("  - k{at}=./{}\n", if at == bad { "missing" } else { "secret.enc.txt" })).collect()
    };
    for bad in (0..50).step_by(7) {
        let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nsecretFrom:\n- metadata: {name: s}\n  files:\n";
        let case: Case = generator(1).file("gen.yaml", format!("{manifest}{}", sources(bad)));
        case.arg("gen.yaml").run().failure(4);
    }
    figure("8 places of 50, 0 bytes on standard output in all");
}

//! How a run ends: exit codes, messages, and an answer that is complete or empty.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::endurance::figure;
use crate::harness::{CANARY, Case, tests_dir, unsops};

const KSOPS: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n";

fn generator(body: &str) -> Case {
    Case::new()
        .key("age.txt")
        .file("gen.yaml", format!("{KSOPS}{body}"))
        .fixture("enc/3.13.3/text.txt", "secret.enc.txt")
        .fixture("enc/3.13.3/multi.yaml", "multi.enc.yaml")
        .arg("gen.yaml")
}

fn from_files(files: &[&str]) -> Case {
    generator(&format!("secretFrom:\n- metadata: {{name: s}}\n  files: {files:?}\n"))
}

/// Encrypts a manifest for the test key with the real sops, which is installed where the other counterparts are.
fn encrypted(case: Case, manifest: &str, path: &str) -> Option<Case> {
    let sops = crate::harness::tool("sops")?;
    let recipient = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let recipient = recipient.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    let made = Case::new()
        .file("plain.yaml", manifest)
        .args(["--encrypt", "--age", recipient, "--encrypted-regex", "^(data|stringData)$", "plain.yaml"])
        .run_unchecked(&sops);
    assert_eq!(made.status, Some(0), "{}", made.redacted());
    Some(case.file(path, made.stdout))
}

#[test]
fn manifest_on_stdin_is_the_same_as_in_a_file() {
    let manifest = format!("{KSOPS}secretFrom:\n- metadata: {{name: s}}\n  files: [./secret.enc.txt]\n");
    let by_file = from_files(&["./secret.enc.txt"]).run();
    let by_stdin = Case::new().key("age.txt").fixture("enc/3.13.3/text.txt", "secret.enc.txt").stdin(manifest).run();
    assert_eq!(by_file.text(), by_stdin.text());
    assert!(by_file.text().contains(CANARY));
}

#[test]
fn two_runs_print_the_same_bytes() {
    let case =
        generator("files: [./multi.enc.yaml]\nsecretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n");
    assert_eq!(case.run().text(), case.run().text());
}

#[test]
fn nothing_on_stdin_is_usage() {
    for stdin in ["", "\n", " \n\t\n"] {
        Case::new().stdin(stdin).run().failure(2);
    }
}

#[test]
fn unknown_arguments_are_usage() {
    Case::new().arg("--no-such-flag").run().failure(2);
    Case::new().args(["a", "b"]).run().failure(2);
}

#[test]
fn named_manifest_does_not_wait_for_stdin() {
    let case = from_files(&["./secret.enc.txt"]);
    let mut child = Command::new(unsops())
        .arg("gen.yaml")
        .env_clear()
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .current_dir(case.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let _open = child.stdin.take();
    let started = Instant::now();
    let mut answer = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut answer).expect("UTF-8");
    assert!(child.wait().expect("ends").success());
    assert!(answer.contains(CANARY) && started.elapsed() < Duration::from_secs(30));
}

#[test]
fn no_key_names_the_recipient_and_the_places_looked_at() {
    let run = from_files(&["./secret.enc.txt"]).key("age-stranger.txt").run();
    insta::assert_snapshot!(run.snapshot(), @r#"
    [exit status: 6]
    ----- stderr
    unsops: error: ./secret.enc.txt: none of this file's keys could be opened
    unsops:   age age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft: no identity matches (1 tried: SOPS_AGE_KEY_FILE=TESTS/keys/age-stranger.txt [age1zk...0wtxq]); ~/.config/sops/age/keys.txt does not exist
    unsops: hint: add an identity for age16h...fv4ft
    "#);
}

#[test]
fn every_failing_file_is_listed_and_nothing_printed() {
    let run = from_files(&["./secret.enc.txt", "./missing.enc.txt", "./plain.txt", "../../etc/passwd"])
        .file("plain.txt", "not a SOPS file")
        .run();
    insta::assert_snapshot!(run.snapshot(), @r#"
    [exit status: 5]
    ----- stderr
    unsops: error: ./missing.enc.txt: no such file
    unsops: error: ./plain.txt: not a SOPS file: a file without known suffix must be sops' binary JSON envelope (the top level is not a JSON object) (line 1, column 1)
    unsops: error: ../../etc/passwd: outside the allowed root
    unsops: hint: paths start at ROOT
    unsops: hint: the allowed root is ROOT; the operator can set UNSOPS_ROOT
    "#);
}

#[test]
fn one_failing_file_among_many_empties_the_answer() {
    for bad in 0..12 {
        let files: Vec<String> = (0..12)
            .map(|at| if at == bad { format!("k{at}=missing") } else { format!("k{at}=./secret.enc.txt") })
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        from_files(&files).run().failure(4);
    }
    figure("12 places of 12, 0 bytes on standard output in all");
}

fn tampered(change: impl Fn(String) -> String) -> Case {
    let case = from_files(&["./secret.enc.txt"]);
    let path = case.root().join("secret.enc.txt");
    let text = change(fs::read_to_string(&path).expect("UTF-8"));
    fs::write(&path, text).expect("write");
    case
}

#[test]
fn changed_value_is_an_integrity_failure() {
    let run = tampered(|text| {
        let at = text.find("data:").expect("a token") + 5;
        let other = if text[at..].starts_with('A') { "B" } else { "A" };
        [&text[..at], other, &text[at + 1..]].concat()
    })
    .run();
    insta::assert_snapshot!(run.snapshot(), @r#"
    [exit status: 7]
    ----- stderr
    unsops: error: ./secret.enc.txt: value data: does not decrypt: it was changed, moved, or encrypted with another key (line 2, column 10)
    unsops: hint: do not retry: the file was changed after sops wrote it; compare it with its history, or encrypt it anew
    "#);
}

#[test]
fn removed_mac_is_an_integrity_failure() {
    let without = |text: String| {
        let mac = text.lines().find(|line| line.contains("\"mac\"")).expect("a MAC").to_owned();
        text.replace(&format!("{mac}\n"), "")
    };
    insta::assert_snapshot!(tampered(without).run().snapshot(), @r#"
    [exit status: 7]
    ----- stderr
    unsops: error: ./secret.enc.txt: the file has no MAC: it was removed, or sops did not write this file
    unsops: hint: do not retry: the file was changed after sops wrote it; compare it with its history, or encrypt it anew
    "#);
}

#[test]
fn shifted_lastmodified_is_an_integrity_failure() {
    let shift = |text: String| {
        let at = text.find("lastmodified").expect("a time") + "lastmodified\": \"2026".len();
        [&text[..at - 1], if text[at - 1..].starts_with('0') { "1" } else { "0" }, &text[at..]].concat()
    };
    tampered(shift).run().failure(7);
}

#[test]
fn integrity_outranks_a_missing_key_and_a_missing_file() {
    let case = tampered(|text| text.replacen("type:str", "type:int", 1));
    let case = case.file(
        "gen.yaml",
        format!("{KSOPS}secretFrom:\n- metadata: {{name: s}}\n  files: [./missing.enc.txt, ./secret.enc.txt]\n"),
    );
    let code = case.run().status;
    assert!(matches!(code, Some(7 | 4)), "{code:?}");
}

#[test]
fn a_secret_written_twice_is_a_generator_error() {
    let run = generator("secretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n").run();
    insta::assert_snapshot!(run.snapshot(), @r#"
    [exit status: 3]
    ----- stderr
    unsops: error: ksops/gen: secretFrom[1]: Secret s is made twice, first by secretFrom[0]
    unsops: hint: only one of the two would reach the cluster; put the sources under one entry
    "#);
}

#[test]
fn generators_without_anything_to_generate_are_errors() {
    for body in
        ["", "files: []\n", "secretFrom: []\n", "secretFrom:\n- metadata: {name: s}\n", "fils: [./secret.enc.txt]\n"]
    {
        generator(body).run().failure(3);
    }
    let run =
        Case::new().stdin("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\ndata:\n  a: CANARY-7f3a\n").run();
    insta::assert_snapshot!(run.snapshot(), @r#"
    [exit status: 3]
    ----- stderr
    unsops: error: apiVersion "v1", kind "ConfigMap" is not known (line 1, column 1)
    unsops: hint: known are ResourceList of config.kubernetes.io, ksops of viaduct.ai/v1 and SopsSecretGenerator of goabout.com/v1beta1
    "#);
    figure("6 of 6 refused, 0 blank successes");
}

#[test]
fn decrypted_documents_that_kustomize_would_drop_or_dump_are_refused() {
    let local = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    config.kubernetes.io/local-config: \"true\"\nstringData:\n  a: CANARY-7f3a\n";
    let no_kind = "apiVersion: v1\nmetadata:\n  name: s\nstringData:\n  a: CANARY-7f3a\n";
    let no_name = "apiVersion: v1\nkind: Secret\nstringData:\n  a: CANARY-7f3a\n";
    for manifest in [local, no_kind, no_name] {
        let Some(case) = encrypted(generator("files: [./made.enc.yaml]\n"), manifest, "made.enc.yaml") else { return };
        case.run().failure(5);
    }
}

#[test]
fn full_stdout_is_noticed() {
    let case = from_files(&["./secret.enc.txt"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = Command::new(unsops())
        .arg("gen.yaml")
        .env_clear()
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .current_dir(case.root())
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::null())
        .status();
    assert_eq!(status.expect("starts").code(), Some(9));
}

/// The shell counts 512-byte blocks; with the signal ignored, a file that would grow larger is refused as on a full disk.
#[test]
fn half_an_answer_is_taken_back_from_a_file() {
    for (redirection, before) in [(">out", ""), (">>out", "kept\n")] {
        let files: Vec<String> = (0..40).map(|key| format!("key{key}=./secret.enc.txt")).collect();
        let case = from_files(&files.iter().map(String::as_str).collect::<Vec<_>>()).file("out", before);
        assert!(case.run().text().len() > 1024, "fits into the limit");
        let script = format!("trap '' XFSZ; ulimit -f 1; exec \"$0\" gen.yaml {redirection}");
        let status = Command::new("sh")
            .args(["-c", &script])
            .arg(unsops())
            .env_clear()
            .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
            .current_dir(case.root())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.expect("starts").code(), Some(9), "{redirection}");
        assert_eq!(fs::read_to_string(case.root().join("out")).expect("there"), before);
    }
}

#[test]
fn traces_and_backtraces_show_no_value() {
    let noisy = |case: Case| case.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
    noisy(from_files(&["./secret.enc.txt"])).run().answer();
    noisy(tampered(|text| text.replacen("type:str", "type:int", 1))).run();
    noisy(from_files(&["./secret.enc.txt", "./plain.txt"]).file("plain.txt", "CANARY-7f3a")).run().failure(5);
    noisy(from_files(&["./plain.yaml"]).file("plain.yaml", "a: CANARY-7f3a\nsops: {}\n")).run().failure(5);
}

/// Built without the flags of .cargo/config.toml, the allocator prints its settings, and how much memory a run took.
#[test]
fn variables_of_the_allocator_are_not_heeded() {
    if !std::env::var("CFLAGS").is_ok_and(|flags| flags.contains("MI_NO_GETENV")) {
        // Not `skip`: nothing is missing, whoever builds wants it so.
        println!("not tried: CFLAGS has taken the place of the flags in .cargo/config.toml");
        return;
    }
    let run = from_files(&["./secret.enc.txt"]).env("MIMALLOC_VERBOSE", "3").env("MIMALLOC_SHOW_STATS", "1").run();
    run.answer();
    assert!(run.stderr.is_empty(), "{}", run.redacted());
}

#[test]
fn hostile_names_stay_on_one_line() {
    let run = from_files(&["key=./\\u001b[31mred\\nunsops: error: forged\\u202e.enc.txt"]).run();
    let stderr = run.failure(4);
    assert!(!stderr.contains("\u{202e}") && !stderr.contains("\nunsops: error: forged"), "{stderr}");
    figure("0 control bytes, 0 forged lines");
}

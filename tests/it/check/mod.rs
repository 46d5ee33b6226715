//! `unsops check`, as people and machines call it.

mod files;
mod pipelines;
mod real;
mod twins;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use self::files::{ksops, plain_secret, pod, secret};
use self::twins::{Twin, twins};
use crate::harness::{CANARY, Case, Run, tests_dir, tool};

/// The day on which all this happens.
const TODAY: &str = "1780000000";

fn case(files: &[(&str, String)]) -> Case {
    let case = Case::new().report().env("SOURCE_DATE_EPOCH", TODAY);
    files.iter().fold(case, |case, (path, text)| case.file(path, text))
}

/// Rules of the findings, each once, and the exit code.
fn found(case: &Case) -> (BTreeSet<String>, i32) {
    let run = case.run();
    assert!(!run.stdout.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "a value is shown");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("no JSON: {}", run.redacted()));
    let findings = report["findings"].as_array().expect("findings");
    let rules = findings.iter().map(|finding| finding["rule"].as_str().expect("a rule").to_owned()).collect();
    (rules, run.status.expect("ends by itself"))
}

fn check(files: &[(&str, String)], args: &[&str]) -> (BTreeSet<String>, i32) {
    found(&case(files).args(["check", "--output", "json"]).args(args))
}

#[test]
fn bad_twin_of_every_rule_is_found_and_the_good_one_is_clean() {
    let mut failures = Vec::new();
    for Twin { rule, args, bad, good } in twins() {
        let all: Vec<&str> = ["--severity", "note"].iter().chain(args).copied().collect();
        let (rules, code) = check(&bad, &all);
        if !rules.contains(rule) || code != 1 {
            failures.push(format!("{rule}: bad twin gives {rules:?}, exit {code}"));
        }
        let (rules, _) = check(&good, &all);
        if rules.contains(rule) {
            failures.push(format!("{rule}: found in the good twin"));
        }
        let (rules, code) = check(&good, args);
        if code != 0 {
            failures.push(format!("{rule}: good twin gives {rules:?}, exit {code}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_has_twins() {
    // With keys: `real.rs`.
    let with_keys = ["decrypt-failed", "dotenv-hazard", "mac-mismatch"];
    let covered: BTreeSet<&str> = twins().iter().map(|twin| twin.rule).chain(with_keys).collect();
    let all: BTreeSet<&str> = unsops::findings::RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(covered, all);
}

#[test]
fn a_comment_or_the_settings_silence_a_rule() {
    let bad = ("s.yaml", plain_secret("db"));
    let text = bad.1.replace("    password", "    # unsops:ignore plaintext-secret made up\n    password");
    assert_eq!(check(&[("s.yaml", text)], &[]).1, 0);
    let whole = format!("# unsops:ignore-file plaintext-secret\n{}", bad.1);
    assert_eq!(check(&[("s.yaml", whole)], &[]).1, 0);
    for (settings, code) in [
        ("check: {ignore: [{rules: [plaintext-secret], paths: ['s.*'], reason: x}]}", 0),
        ("check: {ignore: [{paths: ['other/**']}]}", 1),
        ("check: {severity: {plaintext-secret: off}}", 0),
        ("check: {severity: {plaintext-secret: note}}", 0),
        ("check: {severity: {plaintext-secret: warning}}", 1),
    ] {
        let files = [bad.clone(), (".unsops.yaml", settings.to_owned())];
        assert_eq!(check(&files, &[]).1, code, "{settings}");
    }
    assert_eq!(check(std::slice::from_ref(&bad), &["--skip", "plaintext-secret"]).1, 0);
    assert_eq!(check(&[bad], &["--only", "stale"]).1, 0);
}

#[test]
fn usage_errors_are_2_and_say_why() {
    for (args, settings) in [
        (&["check", "no-such-path"][..], ""),
        (&["check", "--only", "no-such-rule"][..], ""),
        (&["check", "--max-age", "soon"][..], ""),
        (&["check", "--output", "xml"][..], ""),
        (&["check", "--explain", "no-such-rule"][..], ""),
        (&["check", ".", "/etc"][..], ""),
        (&["check"][..], "check: {severities: {}}"),
        (&["check"][..], "check: {severity: {no-such-rule: off}}"),
        (&["check"][..], "check: [a"),
        (&["check"][..], "- a"),
    ] {
        let run = case(&[(".unsops.yaml", settings.to_owned())]).args(args).run();
        assert_eq!(run.status, Some(2), "{args:?} {settings}: {}", run.redacted());
        assert!(run.stdout.is_empty() && run.stderr.starts_with(b"unsops: error: "), "{}", run.redacted());
    }
}

#[test]
fn report_for_people_shows_place_reason_and_fix() {
    let files = [
        ("kustomization.yaml", "generators: [gen.yaml]\n".to_owned()),
        ("gen.yaml", ksops("files:\n- ./s.enc.yaml\n- ./gone.enc.yaml\n")),
        ("s.enc.yaml", secret("db").replace("sops:\n", &format!("    added: {CANARY}\nsops:\n"))),
    ];
    let run = case(&files).arg("check").run();
    assert_eq!(run.status, Some(1));
    let text = String::from_utf8(run.stdout.clone()).expect("UTF-8");
    let want = "\
gen.yaml:7:3: error[missing-file]: ./gone.enc.yaml does not exist
     7 | - ./gone.enc.yaml
       |   ^
       = why: rendering fails for everyone
       = fix: paths start at ROOT

s.enc.yaml:7:12: error[partly-encrypted]: value stringData.added is in clear, though the file's rule says encrypted
     7 | added: …
       = why: the file's own rule says that this value is encrypted, but it was added by hand: it is published, and the file does not decrypt
       = fix: take the value out, add it again with `sops FILE`, and change the secret: it was published

2 errors: 1 SOPS file, 1 generator, 1 kustomization in 3 files
";
    let text = text.replace(case_root(&run).as_str(), "ROOT");
    assert_eq!(text, want);
    assert!(run.stderr.is_empty());
}

/// The root in what a run prints.
fn case_root(run: &Run) -> String {
    let text = String::from_utf8_lossy(&run.stdout);
    text.split_once("paths start at ")
        .map(|(_, rest)| rest.lines().next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

#[test]
fn fix_mends_names_and_letter_case_and_touches_no_values() {
    let files = [
        ("kustomization.yaml", "genrators: [gen.yaml]\n".to_owned()),
        ("app/kustomization.yaml", "generators: [gen.yaml]\n".to_owned()),
        ("app/gen.yaml", ksops("Files: [./S.enc.yaml] # kept\n")),
        ("app/s.enc.yaml", secret("db").replace("sops:\n", "    added: in clear\nsops:\n")),
        ("gen.yaml", ksops("files: [./app/s.enc.yaml]\n")),
    ];
    let case = case(&files).args(["check", "--fix", "--output", "json"]);
    let before = fs::read(case.root().join("app/s.enc.yaml")).expect("a file");
    let (rules, code) = found(&case);
    assert_eq!((rules, code), (BTreeSet::from(["partly-encrypted".to_owned()]), 1));
    let read = |path: &str| fs::read_to_string(case.root().join(path)).expect("a file");
    assert_eq!(read("kustomization.yaml"), "generators: [gen.yaml]\n");
    assert_eq!(read("app/gen.yaml"), ksops("files: [./s.enc.yaml] # kept\n"));
    assert_eq!(fs::read(case.root().join("app/s.enc.yaml")).expect("a file"), before);
    // What is mended stays mended.
    let (rules, _) = found(&case);
    assert_eq!(rules, BTreeSet::from(["partly-encrypted".to_owned()]));
}

#[test]
fn output_for_machines_is_valid() {
    let hostile = "we\u{1b}ird \"<name>&'\u{202e}.yaml";
    let files = [
        ("kustomization.yaml", "generators: [gen.yaml]\nresources: [pod.yaml]\n".to_owned()),
        ("gen.yaml", ksops("files: ['x\"<&.yaml', ./s.enc.yaml]\n")),
        ("s.enc.yaml", secret("db").replace("3.10.2", "3.5.0")),
        ("pod.yaml", pod("db")),
        (hostile, plain_secret("<b>\\u001b[31m")),
    ];
    let output = |format: &str| {
        let run = case(&files).args(["check", "--severity", "note", "--output", format]).run();
        assert_eq!(run.status, Some(1), "{format}: {}", run.redacted());
        assert!(!run.stdout.contains(&0x1b), "{format}: a control character");
        run.stdout
    };
    let Some(python) = tool("venv/bin/python") else { return };
    let Some(schema) = tool("sarif-schema-2.1.0.json") else { return };
    let own = tests_dir().parent().expect("the repository").join("examples/check/findings.schema.json");
    for (format, schema) in [("sarif", schema), ("json", own)] {
        let script =
            "import sys, json, jsonschema\njsonschema.validate(json.load(sys.stdin), json.load(open(sys.argv[1])))";
        let run = Case::new().stdin(output(format)).args(["-c", script]).arg(schema).run_program(&python);
        assert_eq!(run.status, Some(0), "{format}: {}", String::from_utf8_lossy(&run.stderr));
    }
    let script = "import sys, xml.etree.ElementTree as e\nr = e.parse(sys.stdin).getroot()\nprint(len(r.findall('.//testcase')), len(r.findall('.//failure')))";
    let run = Case::new().stdin(output("junit")).args(["-c", script]).run_program(&python);
    assert_eq!((run.status, run.stdout.as_slice()), (Some(0), &b"3 2\n"[..]), "{}", run.redacted());
    let github = String::from_utf8(output("github")).expect("UTF-8");
    assert_eq!(github.lines().filter(|line| line.starts_with("::")).count(), 3, "{github}");
    assert!(github.contains("::error file=gen.yaml,line=5,col=9,title=unsops missing-file::"), "{github}");
}

#[test]
fn pages_of_rules_are_those_of_the_program() {
    let path = tests_dir().parent().expect("the repository").join("examples/check/rules.md");
    let sections: Vec<String> =
        unsops::findings::RULES.iter().map(|rule| unsops::commands::check::explain(rule)).collect();
    let page = format!(
        "# Rules of `unsops check`\n\n`unsops check --explain RULE` prints a section of this page.\n\n{}",
        sections.join("\n")
    );
    if std::env::var_os("UNSOPS_UPDATE_PAGES").is_some() {
        fs::write(&path, &page).expect("write the page");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "UNSOPS_UPDATE_PAGES=1 writes the page anew");
    let run = Case::new().args(["check", "--explain", "stale"]).run();
    assert!(page.contains(run.text()));
    assert_eq!(Case::new().args(["check", "--list-rules"]).run().text().lines().count(), unsops::findings::RULES.len());
}

#[test]
fn hostile_files_are_reported_and_the_rest_is_still_checked() {
    let deep = format!("{}x", "[".repeat(100_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let wide: String = (0..2000).map(|number| format!("- ../k{number}\n")).collect();
    let mut files = vec![
        ("deep/kustomization.yaml", deep.clone()),
        ("bomb/kustomization.yaml", bomb.to_owned()),
        ("bomb/x.yaml", bomb.to_owned()),
        ("self/kustomization.yaml", "resources: [., ../self, ../, ../../../..]\n".to_owned()),
        ("wide/kustomization.yaml", format!("resources:\n{wide}")),
        (".sops.yaml", format!("creation_rules:\n{}", "- path_regex: '(a{0,30}){0,30}x'\n".repeat(500))),
        ("x.sops.json", format!("{{\"sops\": {}", deep)),
        ("y.enc.env", "sops_lastmodified=\u{0}\nENC[AES256_GCM,\n".to_owned()),
        ("z.enc.ini", "[sops]\nmac = ENC[AES256_GCM,\nlastmodified = x\n".to_owned()),
        ("gen.yaml", ksops(&format!("files: [{}]\n", "x,".repeat(5000)))),
        ("kustomization.yaml", "generators: [gen.yaml]\n".to_owned()),
        ("last.yaml", plain_secret("last")),
    ];
    files.push(("s.enc.yaml", secret("db")));
    let started = std::time::Instant::now();
    let (rules, code) = check(&files, &[]);
    assert_eq!(code, 1);
    for rule in ["kustomization-invalid", "malformed-sops", "plaintext-secret", "outside-root"] {
        assert!(rules.contains(rule), "{rule}: {rules:?}");
    }
    // A guard against hanging on a busy machine; the release takes well under a second.
    assert!(started.elapsed().as_secs() < 60, "took {:?}", started.elapsed());
}

#[test]
fn links_and_special_files_end_nothing() {
    let case = case(&[
        ("kustomization.yaml", "generators: [gen.yaml]\n".to_owned()),
        ("gen.yaml", ksops("files: [out.enc.yaml, pipe.enc.yaml, in.enc.yaml]\n")),
        ("real/s.enc.yaml", secret("db")),
    ]);
    let root = case.root();
    std::os::unix::fs::symlink("/etc/passwd", root.join("out.enc.yaml")).expect("a link");
    std::os::unix::fs::symlink("real/s.enc.yaml", root.join("in.enc.yaml")).expect("a link");
    std::os::unix::fs::symlink(".", root.join("loop")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.enc.yaml")).status().expect("mkfifo");
    assert!(made.success());
    let (rules, code) = found(&case.args(["check", "--output", "json"]));
    assert_eq!((rules, code), (BTreeSet::from(["outside-root".to_owned(), "unreadable".to_owned()]), 1));
}

#[test]
fn what_git_ignores_and_what_is_not_asked_for_is_not_looked_at() {
    let files = [
        (".gitignore", "build/\n".to_owned()),
        ("build/s.yaml", plain_secret("a")),
        ("apps/ok.yaml", pod("x")),
        ("other/s.yaml", plain_secret("b")),
    ];
    assert_eq!(check(&files, &["apps"]).1, 0);
    assert_eq!(check(&files, &[]).1, 1);
    assert_eq!(check(&files, &["apps/ok.yaml", "other/s.yaml"]).1, 1);
    assert_eq!(case(&files).args(["check", "-qq"]).run().stdout, b"");
}

#[test]
fn directory_above_what_is_asked_for_gives_its_rules() {
    let files = [
        (".sops.yaml", format!("creation_rules:\n- path_regex: ^apps/\n  age: {}\n", files::OTHER_AGE)),
        ("apps/s.enc.yaml", secret("db")),
    ];
    assert_eq!(check(&files, &["apps"]).0, BTreeSet::from(["recipients-differ".to_owned()]));
}

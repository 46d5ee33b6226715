//! `unsops doctor`: what it says of a plugin is what the real kustomize then does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::harness::{Case, Run, assert_no_canary, tool, unsops};

/// An application in one of the two styles, and a directory `bin` with kustomize on PATH.
fn application(is_legacy: bool) -> Option<Case> {
    let kustomize = tool("kustomize")?;
    let case = Case::new().key("age.txt").tree("golden/ksops-file", "app").file("bin/.keep", "").file("home/.keep", "");
    let bin = case.root().join("bin");
    fs::copy(&kustomize, bin.join("kustomize")).expect("copied");
    if is_legacy {
        let generator = case.root().join("app/generator.yaml");
        let text = fs::read_to_string(&generator).expect("golden");
        let is_of_annotation =
            |line: &&str| ["annotations:", "/function", "exec:", "path: "].iter().any(|part| line.contains(part));
        let legacy: Vec<&str> = text.lines().filter(|line| !is_of_annotation(line)).collect();
        fs::write(&generator, legacy.join("\n")).expect("written");
    }
    let path = std::env::join_paths([bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).expect("a PATH");
    Some(case.env("PATH", path))
}

/// Puts a copy of this program, or something else, at a place below the root.
fn put(case: &Case, place: &str, mode: u32) {
    let path = case.root().join(place);
    fs::create_dir_all(path.parent().expect("below the root")).expect("made");
    fs::copy(unsops(), &path).expect("copied");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
}

fn doctor(case: Case, args: &[&str]) -> (Run, Case) {
    let case = case.args(["doctor", "app"]).args(args).report();
    let run = case.run();
    assert_no_canary("stdout", &run.stdout);
    (run, case)
}

fn text(run: &Run) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// The real kustomize in the same world; the arguments of doctor are not its.
fn kustomize(make: impl Fn() -> Option<Case>, flags: &[&str]) -> Run {
    let case = make().expect("as before");
    let program = case.root().join("bin/kustomize");
    case.args(["build", "app"]).args(flags).run_unchecked(&program)
}

const LEGACY: &[&str] = &["--enable-alpha-plugins"];
const FUNCTION: &[&str] = &["--enable-alpha-plugins", "--enable-exec"];

/// One arrangement: how it is made, what kustomize is given, what doctor says, what kustomize says.
fn agrees(make: impl Fn() -> Option<Case>, flags: &[&str], said: &str, by_kustomize: Option<&str>) {
    let Some(case) = make() else { return };
    let given = format!("--kustomize-flags={}", flags.join(" "));
    let (report, _case) = doctor(case, &[&given]);
    let shown = text(&report);
    assert!(shown.contains(said), "doctor does not say {said}:\n{shown}");
    let run = kustomize(make, flags);
    match by_kustomize {
        None => {
            assert_eq!(run.status, Some(0), "{}", run.redacted());
            assert!(String::from_utf8_lossy(&run.stdout).contains("kind: Secret"));
            assert!(!shown.contains("  error "), "{shown}");
        }
        Some("") => {
            assert_eq!(run.status, Some(0), "{}", run.redacted());
            assert_eq!(run.stdout.len(), 0, "kustomize did run it");
            assert_eq!(report.status, Some(1), "{shown}");
        }
        Some(message) => {
            assert_ne!(run.status, Some(0));
            let error = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(error.contains(message), "kustomize does not say {message}: {error}");
            assert_eq!(report.status, Some(1), "{shown}");
        }
    }
}

#[test]
fn a_function_that_is_found_runs() {
    let make = || {
        let case = application(false)?;
        put(&case, "bin/ksops", 0o755);
        Some(case)
    };
    agrees(make, FUNCTION, "bin/ksops, this program", None);
}

#[test]
fn a_function_without_its_flag_is_passed_over_without_a_word() {
    let make = || {
        let case = application(false)?;
        put(&case, "bin/ksops", 0o755);
        Some(case)
    };
    agrees(make, LEGACY, "without --enable-exec kustomize passes over the functions without a word", Some(""));
    let none = "without --enable-alpha-plugins kustomize runs no plugin at all";
    agrees(make, &["--enable-exec"], none, Some("external plugins disabled"));
}

#[test]
fn a_function_whose_program_is_missing_fails() {
    let said = "kustomize would not find the program ksops on PATH";
    agrees(|| application(false), FUNCTION, said, Some("executable file not found"));
}

#[test]
fn a_legacy_plugin_that_is_found_runs() {
    let make = || {
        let case = application(true)?;
        put(&case, "home/viaduct.ai/v1/ksops/ksops", 0o755);
        let home = case.root().join("home");
        Some(case.env("KUSTOMIZE_PLUGIN_HOME", home))
    };
    agrees(make, LEGACY, "ksops/ksops, this program", None);
}

#[test]
fn a_legacy_plugin_is_not_called_where_it_cannot_be_executed() {
    let make = || {
        let case = application(true)?;
        put(&case, "home/viaduct.ai/v1/ksops/ksops", 0o644);
        let home = case.root().join("home");
        Some(case.env("KUSTOMIZE_PLUGIN_HOME", home))
    };
    let said = "viaduct.ai/v1/ksops/ksops is not a program that this user may run";
    agrees(make, LEGACY, said, Some("unexecutable plugin"));
}

#[test]
fn a_legacy_plugin_is_not_called_from_a_directory_in_other_letters() {
    let make = || {
        let case = application(true)?;
        put(&case, "home/viaduct.ai/v1/Ksops/ksops", 0o755);
        let home = case.root().join("home");
        Some(case.env("KUSTOMIZE_PLUGIN_HOME", home))
    };
    let said = "viaduct.ai/v1/ksops/ksops is missing, but viaduct.ai/v1/Ksops/ksops is there";
    agrees(make, LEGACY, said, Some("expected file with Go object code"));
}

#[test]
fn a_legacy_plugin_is_not_called_from_the_second_directory() {
    let make = || {
        let case = application(true)?;
        put(&case, "second/kustomize/plugin/viaduct.ai/v1/ksops/ksops", 0o755);
        let (home, second) = (case.root().join("home"), case.root().join("second"));
        Some(case.env("KUSTOMIZE_PLUGIN_HOME", home).env("XDG_CONFIG_HOME", second))
    };
    let said = "kustomize looks in the first directory that exists, and in no other";
    agrees(make, LEGACY, said, Some("expected file with Go object code"));
}

#[test]
fn a_legacy_plugin_is_not_called_from_nowhere() {
    let said = "no directory for legacy plugins; kustomize looks for";
    agrees(|| application(true), LEGACY, said, Some("unable to find plugin root"));
}

#[test]
fn a_legacy_plugin_is_not_called_from_a_relative_directory() {
    let make = || {
        let case = application(true)?;
        put(&case, "home/viaduct.ai/v1/ksops/ksops", 0o755);
        Some(case.env("KUSTOMIZE_PLUGIN_HOME", "home"))
    };
    agrees(
        make,
        LEGACY,
        "is relative: kustomize finds plugins there and cannot run them",
        Some("no such file or directory"),
    );
}

#[test]
fn says_which_key_opens_and_who_may_read_it_and_shows_no_secret() {
    let Some(case) = application(false) else { return };
    let keys = case.root().join("keys.txt");
    fs::write(&keys, fs::read(super::harness::tests_dir().join("keys/age.txt")).expect("a key")).expect("written");
    for (mode, want) in
        [(0o400, None), (0o604, Some("may be read by everyone (mode 604)")), (0o620, Some("may be written by others"))]
    {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).expect("chmod");
        let case = application(false).expect("as before").env("SOPS_AGE_KEY_FILE", &keys);
        put(&case, "bin/ksops", 0o755);
        let (run, _case) = doctor(case, &[]);
        let shown = text(&run);
        assert!(shown.contains("age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft"), "{shown}");
        assert!(!shown.contains("AGE-SECRET-KEY"), "{shown}");
        match want {
            Some(want) => assert!(shown.contains(want) && run.status == Some(1), "{shown}"),
            None => assert!(shown.ends_with("nothing needs attention\n") && run.status == Some(0), "{shown}"),
        }
    }
}

#[test]
fn runs_no_key_program_and_gives_kustomize_nothing() {
    let Some(case) = application(false) else { return };
    let (bin, log) = (case.root().join("bin"), case.root().join("log"));
    let script = format!("#!/bin/sh\nenv > {}\necho v5.8.1\n", log.display());
    fs::write(bin.join("kustomize"), script).expect("written");
    let spy = format!("touch {}", case.root().join("ran").display());
    let case = case.env("SOPS_AGE_KEY_CMD", &spy).env("SOPS_AGE_KEY", "CANARY-7f3a").env("VAULT_TOKEN", "CANARY-7f3a");
    let (run, case) = doctor(case, &[]);
    let shown = text(&run);
    assert!(shown.contains("SOPS_AGE_KEY_CMD: looked at when a key needs it"), "{shown}");
    assert!(!case.root().join("ran").exists());
    assert_no_canary("kustomize's environment", &fs::read(&log).expect("it ran"));
}

#[test]
fn warns_where_argo_cd_would_log_manifests() {
    for (variable, value, is_warned) in [
        ("ARGOCD_CMP_SERVER_LOGLEVEL", "debug", true),
        ("ARGOCD_REPO_SERVER_LOGLEVEL", "TRACE", true),
        ("ARGOCD_LOG_LEVEL", "debug", true),
        ("ARGOCD_LOG_LEVEL", "info", false),
    ] {
        let case = Case::new().file("app/.keep", "").env(variable, value).env("ARGOCD_APP_NAME", "x");
        let (run, _case) = doctor(case, &[]);
        assert_eq!(text(&run).contains("Argo CD logs manifests, Secrets included"), is_warned, "{variable}={value}");
    }
    let case =
        Case::new().file("app/.keep", "").env("ARGOCD_APP_NAME", "x").env("ARGOCD_GIT_AUTH_HEADER", "CANARY-7f3a");
    let (run, _case) = doctor(case, &[]);
    assert!(text(&run).contains("provideGitCreds: false"));
}

#[test]
fn says_how_the_allowed_root_was_found() {
    let with_git = Case::new().file("app/.keep", "");
    assert!(text(&doctor(with_git, &[]).0).contains("(the enclosing Git work tree)"));
    let without = Case::without_git().file("app/.keep", "");
    assert!(text(&doctor(without, &[]).0).contains("no Git work tree around it"));
    let streamed = Case::without_git().file("_cmp_server/0b7e/app/.keep", "").cwd("_cmp_server/0b7e");
    assert!(text(&doctor(streamed, &[]).0).contains("_cmp_server/0b7e (the repository that Argo CD streamed)"));
    let case = Case::new().file("app/.keep", "");
    let root = case.root().join("app");
    assert!(text(&doctor(case.env("UNSOPS_ROOT", root), &[]).0).contains("(UNSOPS_ROOT)"));
}

#[test]
fn is_read_by_programs_too() {
    let case = Case::new().file("app/.keep", "").env("ARGOCD_LOG_LEVEL", "debug");
    let (run, _case) = doctor(case, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list");
    let findings = checks.iter().filter(|check| ["warning", "error"].contains(&check["state"].as_str().unwrap_or("")));
    assert_eq!(report["findings"].as_u64(), Some(findings.count() as u64));
    assert_eq!(run.status, Some(1));
}

#[test]
fn connects_only_on_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let address = format!("http://user:CANARY-7f3a@{}", listener.local_addr().expect("bound"));
    let case = || Case::new().file("app/.keep", "").env("VAULT_ADDR", &address);
    let (quiet, _case) = doctor(case(), &[]);
    assert!(listener.accept().is_err(), "connected without being asked to\n{}", text(&quiet));
    let (asked, _case) = doctor(case(), &["--network"]);
    assert!(text(&asked).contains("(VAULT_ADDR) answers"), "{}", text(&asked));
    assert!(listener.accept().is_ok());
}

#[test]
fn a_directory_that_is_not_there_is_a_usage_error() {
    let run = Case::new().args(["doctor", "nowhere"]).run();
    assert!(run.failure(2).contains("nowhere: no such directory"));
}

//! `unsops diff`: what the real sops does to a file, over the real git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{CANARY, Case, Run, assert_no_canary, skip, tests_dir, tool, unsops};

const RECIPIENT_2: &str = "age1fnhyupglqulmna9yjl7w89pfg3694mt363ffz0vwpz85dnhfwf2qjsfyha";

/// A repository of the real git with one commit: `secrets/db.yaml`, encrypted by the real sops, and a plain file.
struct Repository {
    case: Case,
}

impl Repository {
    fn new() -> Option<Self> {
        if !Path::new("/usr/bin/git").is_file() {
            skip("git is not installed");
            return None;
        }
        let case = Case::without_git().key("age.txt").file("plain.yaml", "a: 1\n");
        let repository = Self { case };
        repository.git(&["init", "-q", "-b", "main", "."]);
        repository.write("secrets/db.yaml", &format!("user: {CANARY} user\npassword: {CANARY} pass\nport: 5432\n"));
        repository.sops(&["-e", "-i", "--age", &recipient(), "secrets/db.yaml"])?;
        repository.commit("one");
        Some(repository)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.case.root().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
        fs::write(path, content).expect("write");
    }

    fn git(&self, args: &[&str]) -> String {
        let output = self.git_command(args).output().expect("git starts");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn git_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/git");
        command.args(["-c", "user.name=x", "-c", "user.email=x@example.com"]).args(args);
        command.current_dir(self.case.root()).env_clear().env("HOME", self.case.home()).env("PATH", "/usr/bin:/bin");
        command.env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"));
        command
    }

    fn sops(&self, args: &[&str]) -> Option<()> {
        let run = self.case.run_with(&tool("sops")?, args);
        assert_eq!(run.status, Some(0), "{}", run.redacted());
        Some(())
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn diff(&self, args: &[&str]) -> Run {
        let mut case = Case::without_git().env("PATH", "/usr/bin:/bin");
        if !args.contains(&"--no-key") {
            case = case.key("age.txt");
        }
        let args = args.iter().filter(|arg| **arg != "--no-key");
        let run = case.in_dir(self.case.root()).arg("diff").args(args).report().run();
        assert_no_canary("stdout", &run.stdout);
        assert_no_canary("stderr", &run.stderr);
        run
    }
}

/// The recipient of `tests/keys/age.txt`.
fn recipient() -> String {
    let text = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let line = text.lines().find(|line| line.contains("age1")).expect("its recipient in a comment");
    line[line.find("age1").expect("found")..].split_whitespace().next().expect("a word").to_owned()
}

#[track_caller]
fn lines(run: &Run, status: i32) -> Vec<String> {
    assert_eq!(run.status, Some(status), "{}\n{}", run.redacted(), String::from_utf8_lossy(&run.stdout));
    let text = String::from_utf8(run.stdout.clone()).expect("UTF-8");
    text.lines().map(str::trim_start).filter(|line| !line.contains("last modified")).map(str::to_owned).collect()
}

#[test]
fn edits_of_the_real_sops_are_told_apart() {
    let Some(repository) = Repository::new() else { return };
    let steps: [(&[&str], &[&str], &[&str]); 4] = [
        (
            &["set", "secrets/db.yaml", "[\"password\"]", "\"CANARY-7f3a Pass\""],
            &["secrets/db.yaml", "~ password: changed"],
            &["secrets/db.yaml", "~ password: re-encrypted; cannot tell if the value changed"],
        ),
        (
            &["set", "secrets/db.yaml", "[\"token\"]", "\"CANARY-7f3a a token that is long\""],
            &["secrets/db.yaml", "+ token: str, encrypted, 32-63 bytes"],
            &["secrets/db.yaml", "+ token: str, encrypted, 32-63 bytes"],
        ),
        (
            &["unset", "secrets/db.yaml", "[\"port\"]"],
            &["secrets/db.yaml", "- port: int, encrypted, 1-15 bytes"],
            &["secrets/db.yaml", "- port: int, encrypted, 1-15 bytes"],
        ),
        (
            &["rotate", "-i", "secrets/db.yaml"],
            &["secrets/db.yaml", "+ data key: rotated", "3 values were encrypted anew and are the same"],
            &[
                "secrets/db.yaml",
                "+ data key: rotated",
                "~ user: re-encrypted; cannot tell if the value changed",
                "~ password: re-encrypted; cannot tell if the value changed",
                "~ token: re-encrypted; cannot tell if the value changed",
            ],
        ),
    ];
    for (command, with_keys, keyless) in steps {
        let Some(()) = repository.sops(command) else { return };
        assert_eq!(lines(&repository.diff(&["HEAD"]), 1), with_keys, "{command:?} in the working tree");
        repository.commit("next");
        assert_eq!(lines(&repository.diff(&["HEAD~1", "HEAD"]), 1), with_keys, "{command:?}");
        assert_eq!(lines(&repository.diff(&["HEAD~1", "HEAD", "--keyless"]), 1), keyless, "{command:?} keyless");
        assert_eq!(lines(&repository.diff(&["HEAD~1..HEAD", "--no-key"]), 1), keyless, "{command:?} without a key");
    }
    assert!(lines(&repository.diff(&["HEAD", "HEAD"]), 0).is_empty());
    assert!(lines(&repository.diff(&["HEAD"]), 0).is_empty());
    assert!(lines(&repository.diff(&["HEAD~2", "HEAD", "--quiet"]), 1).is_empty());
    assert!(lines(&repository.diff(&["HEAD~2", "HEAD", "--", "plain.yaml"]), 0).is_empty());
    assert_eq!(lines(&repository.diff(&["HEAD~2", "HEAD", "--", "secrets"]), 1)[0], "secrets/db.yaml");
}

#[test]
fn recipients_that_leave_without_a_new_data_key_are_a_warning() {
    let Some(repository) = Repository::new() else { return };
    let rules = |keys: &str| repository.write(".sops.yaml", &format!("creation_rules:\n- age: '{keys}'\n"));
    rules(&format!("{},{RECIPIENT_2}", recipient()));
    let Some(()) = repository.sops(&["updatekeys", "-y", "secrets/db.yaml"]) else { return };
    repository.commit("two");
    let added = lines(&repository.diff(&["HEAD~1", "HEAD"]), 1);
    assert_eq!(added, ["secrets/db.yaml".to_owned(), format!("+ recipient: age {RECIPIENT_2}")]);
    rules(&recipient());
    repository.sops(&["updatekeys", "-y", "secrets/db.yaml"]);
    repository.commit("three");
    let removed = lines(&repository.diff(&["HEAD~1", "HEAD", "--no-key"]), 1);
    assert!(removed[1].starts_with("! a recipient was removed, but the data key stayed"), "{removed:?}");
    assert_eq!(removed[2], format!("- recipient: age {RECIPIENT_2}"));
}

#[test]
fn encryption_that_is_gone_new_files_and_broken_ones_are_reported() {
    let Some(repository) = Repository::new() else { return };
    let encrypted = fs::read_to_string(repository.case.root().join("secrets/db.yaml")).expect("the file");
    repository.write("secrets/new.yaml", &encrypted);
    repository.write("secrets/broken.yaml", &encrypted.replace("sops:", "sops: ["));
    repository.write("secrets/db.yaml", &format!("user: {CANARY}\n"));
    repository.commit("two");
    let report = lines(&repository.diff(&["HEAD~1", "HEAD"]), 1);
    for want in [
        "secrets/db.yaml (was encrypted, and now lies there in clear)",
        "! the encryption was removed: whoever can read the repository can read these values",
        "secrets/new.yaml (new)",
    ] {
        assert!(report.iter().any(|line| line == want), "{report:?}");
    }
    assert!(report.iter().any(|line| line.starts_with("secrets/broken.yaml: cannot be compared: ")), "{report:?}");
    let back = lines(&repository.diff(&["HEAD", "HEAD~1"]), 1);
    assert!(back.iter().any(|line| line == "secrets/db.yaml (was not encrypted, and now is)"), "{back:?}");
}

#[test]
fn a_changed_file_that_does_not_verify_is_said_so() {
    let Some(repository) = Repository::new() else { return };
    repository.sops(&["set", "secrets/db.yaml", "[\"note_unencrypted\"]", "\"x\""]);
    let text = fs::read_to_string(repository.case.root().join("secrets/db.yaml")).expect("the file");
    repository.write("secrets/db.yaml", &text.replace("note_unencrypted: x", "note_unencrypted: y"));
    let report = lines(&repository.diff(&["HEAD"]), 1);
    assert!(report[1].starts_with("! one side does not decrypt: the MAC does not match"), "{report:?}");
}

#[test]
fn nothing_that_the_repository_names_is_run() {
    let Some(repository) = Repository::new() else { return };
    repository.write("secrets/db.yaml", "a: 1\n");
    repository.commit("two");
    let marker = repository.case.home().join("ran");
    let program = repository.case.home().join("evil");
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).expect("write");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let evil = program.display().to_string();
    for setting in [
        "core.pager",
        "core.fsmonitor",
        "core.sshCommand",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.smudge",
        "filter.evil.clean",
        "filter.evil.process",
        "pager.diff-tree",
        "pager.cat-file",
        "core.alternateRefsCommand",
        "credential.helper",
        "core.askPass",
        "core.editor",
        "alias.cat-file",
        "alias.rev-parse",
    ] {
        repository.git(&["config", setting, &evil]);
    }
    fs::create_dir_all(repository.case.root().join(".git/hooks")).expect("hooks");
    for hook in ["post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"] {
        fs::copy(&program, repository.case.root().join(".git/hooks").join(hook)).expect("a hook");
    }
    fs::write(repository.case.root().join(".git/info/attributes"), "* diff=evil filter=evil\n").expect("attributes");
    // A partial clone whose objects are missing would be fetched from here.
    repository.git(&["config", "remote.origin.url", "ssh://example.invalid/x"]);
    repository.git(&["config", "remote.origin.promisor", "true"]);
    repository.git(&["config", "extensions.partialClone", "origin"]);
    let blob = repository.git(&["rev-parse", "HEAD:secrets/db.yaml"]);
    let (folder, rest) = blob.trim().split_at(2);
    fs::remove_file(repository.case.root().join(".git/objects").join(folder).join(rest)).expect("the object");
    // git as anyone runs it falls for it.
    _ = repository.git_command(&["cat-file", "-p", blob.trim()]).output();
    assert!(marker.exists(), "the trap does not work");
    for args in [&["HEAD~1", "HEAD"][..], &["HEAD"], &["HEAD~1...HEAD"], &["main", "--", "secrets"]] {
        _ = fs::remove_file(&marker);
        let run = repository.diff(args);
        assert!(run.status == Some(0) || run.status == Some(1), "{args:?}: {}", run.redacted());
        assert!(!marker.exists(), "{args:?} ran a program of the repository");
    }
}

#[test]
fn revisions_that_look_like_options_are_refused() {
    let Some(repository) = Repository::new() else { return };
    for args in [
        &["--", "--output=x"][..],
        &["-x", "HEAD"],
        &["HEAD", "--exec=x"],
        &["HEAD..--help"],
        &["..-x"],
        &["nothing", "HEAD"],
    ] {
        let run = repository.diff(args);
        assert_eq!(run.status, Some(2), "{args:?}: {}", run.redacted());
        assert!(run.stdout.is_empty());
    }
    let outside = Case::without_git().env("PATH", "/usr/bin:/bin").args(["diff", "main", "HEAD"]).report().run();
    assert_eq!(outside.status, Some(2));
    assert!(String::from_utf8_lossy(&outside.stderr).contains("in no git repository"), "{}", outside.redacted());
    let no_git = Case::new().env("PATH", "/nothing").args(["diff", "main", "HEAD"]).report().run();
    assert!(String::from_utf8_lossy(&no_git.stderr).contains("git is not on PATH"), "{}", no_git.redacted());
}

#[test]
fn file_names_do_what_they_like_and_reach_nobody() {
    let Some(repository) = Repository::new() else { return };
    let encrypted = fs::read_to_string(repository.case.root().join("secrets/db.yaml")).expect("the file");
    for name in ["-x.yaml", "a\nb.yaml", "\x1b[31mred.yaml", ":(glob)*.yaml", "ключ.yaml"] {
        repository.write(name, &encrypted);
    }
    repository.commit("two");
    let report = lines(&repository.diff(&["HEAD~1", "HEAD"]), 1);
    assert_eq!(report.iter().filter(|line| line.ends_with(" (new)")).count(), 5, "{report:?}");
    assert!(!report.iter().any(|line| line.contains('\x1b')));
    assert_eq!(lines(&repository.diff(&["HEAD~1", "HEAD", "--", ":(glob)*.yaml"]), 1)[0], ":(glob)*.yaml (new)");
}

#[test]
fn symbolic_links_of_the_working_tree_are_not_followed_out_of_it() {
    let Some(repository) = Repository::new() else { return };
    let outside = repository.case.home().join("other.yaml");
    fs::copy(repository.case.root().join("secrets/db.yaml"), &outside).expect("copy");
    fs::remove_file(repository.case.root().join("secrets/db.yaml")).expect("remove");
    std::os::unix::fs::symlink(&outside, repository.case.root().join("secrets/db.yaml")).expect("a link");
    assert_eq!(lines(&repository.diff(&["HEAD"]), 1)[0], "secrets/db.yaml (removed)");
}

#[test]
fn git_runs_it_as_a_diff_driver_and_as_a_textconv() {
    let Some(repository) = Repository::new() else { return };
    let Some(()) = repository.sops(&["set", "secrets/db.yaml", "[\"password\"]", "\"CANARY-7f3a Pass\""]) else {
        return;
    };
    repository.write(".gitattributes", "secrets/* diff=sops\n");
    let program = unsops().display().to_string();
    repository.git(&["config", "diff.sops.command", &format!("{program} diff")]);
    let shown = repository.git(&["diff"]);
    assert_no_canary("git diff", shown.as_bytes());
    assert!(shown.contains("secrets/db.yaml\n") && shown.contains("~ password: changed"), "{shown}");
    let added = repository.git(&["diff", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "HEAD", "--", "secrets"]);
    assert!(added.contains("secrets/db.yaml (new)"), "{added}");
    repository.git(&["config", "--unset", "diff.sops.command"]);
    repository.git(&["config", "diff.sops.textconv", &format!("{program} diff --textconv")]);
    let shown = repository.git(&["diff", "-U0"]);
    assert_no_canary("git diff", shown.as_bytes());
    let changed: Vec<&str> =
        shown.lines().filter(|line| line.starts_with("+password") || line.starts_with("-password")).collect();
    assert_eq!(changed.len(), 2, "{shown}");
    assert!(!shown.contains("+user") && !shown.contains("ENC["), "{shown}");
}

#[test]
fn a_driver_for_a_file_that_is_not_encrypted_says_so() {
    let Some(repository) = Repository::new() else { return };
    repository.write("plain.yaml", &format!("a: {CANARY}\n"));
    let output = repository
        .git_command(&["diff"])
        .env("GIT_EXTERNAL_DIFF", format!("{} diff", unsops().display()))
        .output()
        .expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_no_canary("git diff", &output.stdout);
    assert!(String::from_utf8_lossy(&output.stdout).contains("plain.yaml: cannot be compared: not encrypted by sops"));
}

#[test]
fn textconv_shows_keys_recipients_and_placeholders_of_every_format() {
    for name in ["app.env", "app.ini", "simple.json", "nested.yaml", "bytes.bin", "text.txt"] {
        let case = Case::new().fixture(&format!("enc/3.13.3/{name}"), name);
        let run = case.args(["diff", "--textconv", name]).run();
        let text = run.text();
        assert!(
            text.contains("encrypted by sops") && text.contains("# age age1") && text.contains("redacted-"),
            "{name}"
        );
        assert!(!text.contains("ENC["), "{name}");
    }
    let plain = Case::new().file("p.yaml", "a: 1\n").args(["diff", "--textconv", "p.yaml"]).run();
    assert_eq!(plain.text(), "a: 1\n");
    let broken =
        Case::new().file("b.yaml", "sops: [\na: ENC[AES256_GCM,data:\n").args(["diff", "--textconv", "b.yaml"]).run();
    assert!(broken.text().starts_with("# sops could not read this file: "));
}

#[test]
fn two_files_are_compared_whatever_their_names() {
    let case = |old: &str, new: &str| {
        let copy = |case: Case, path: &str, to: &str| case.fixture(&format!("enc/{path}"), to);
        let case = copy(copy(Case::new().key("age.txt"), old, "old/a.yaml"), new, "new/a.yaml");
        case.args(["diff", "old/a.yaml", "new/a.yaml"]).report().run()
    };
    let same = case("3.13.3/nested.yaml", "3.13.3/nested.yaml");
    assert!(lines(&same, 0).is_empty());
    let versions = lines(&case("3.9.4/nested.yaml", "3.13.3/nested.yaml"), 1);
    assert!(versions.iter().any(|line| line == "~ sops version: 3.9.4 -> 3.13.3"), "{versions:?}");
    assert!(versions.iter().any(|line| line.ends_with("values were encrypted anew and are the same")), "{versions:?}");
    assert!(!versions.iter().any(|line| line.contains(": changed")), "{versions:?}");
}

/// What `kubectl get secrets -o yaml` prints.
fn live(name: &str, values: &[(&str, &str)]) -> String {
    let data: String = values.iter().map(|(key, value)| format!("    {key}: {}\n", STANDARD.encode(value))).collect();
    format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: other, namespace: prod}}\n  \
         data: {{x: eA==}}\n- apiVersion: v1\n  kind: Secret\n  type: Opaque\n  metadata:\n    name: {name}\n    \
         namespace: prod\n    creationTimestamp: '2026-01-01T00:00:00Z'\n  data:\n{data}"
    )
}

#[test]
fn a_generator_is_compared_with_what_is_live() {
    let Some(sops) = tool("sops") else { return };
    let case = Case::new().key("age.txt").file("v.env", format!("A={CANARY} a\nB={CANARY} b\n"));
    let run = case.run_with(&sops, ["-e", "-i", "--age", &recipient(), "v.env"]);
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nsecretFrom:\n- metadata:\n    name: app\n    \
                    annotations: {kustomize.config.k8s.io/needs-hash: 'true'}\n  type: Opaque\n  envs: [v.env]\n";
    let encrypted = fs::read(case.root().join("v.env")).expect("the file");
    let diff = |live: String, args: &[&str]| {
        let case = Case::new().key("age.txt").file("v.env", &encrypted).file("g.yaml", manifest).stdin(live);
        let run = case.args(["diff"]).args(args).report().run();
        assert_no_canary("stdout", &run.stdout);
        run
    };
    let (a, b) = (format!("{CANARY} a"), format!("{CANARY} b"));
    let same = live("app-7t77h4kbkt", &[("A", &a), ("B", &b)]);
    assert!(lines(&diff(same.clone(), &["g.yaml", "-"]), 0).is_empty());
    assert!(lines(&diff(same, &["-", "g.yaml"]), 0).is_empty());
    let other = live("app", &[("A", &b), ("C", "x")]);
    let report = lines(&diff(other.clone(), &["-", "g.yaml"]), 1);
    assert_eq!(
        report,
        ["Secret prod/app", "~ A: changed", "- C: str, in clear, 1-15 bytes", "+ B: str, in clear, 1-15 bytes"]
    );
    let json = diff(other, &["g.yaml", "-", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["files"].as_array().map(Vec::len), Some(1));
    let gone = live("unrelated", &[]);
    assert_eq!(lines(&diff(gone, &["g.yaml", "-"]), 1)[0], "Secret app (removed)");
}

#[test]
fn redacted_renderings_are_compared_by_their_placeholders() {
    let rendered = |name: &str| {
        let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nsecretFrom:\n- metadata: {name: s}\n  files: [a.env]\n";
        let case = Case::new().fixture(name, "a.env").file("g.yaml", manifest);
        case.args(["render", "--keyless", "g.yaml"]).run().text().to_owned()
    };
    let case =
        Case::new().file("old.yaml", rendered("enc/3.13.3/app.env")).file("new.yaml", rendered("enc/3.12.2/app.env"));
    let report = lines(&case.args(["diff", "old.yaml", "new.yaml"]).report().run(), 1);
    assert_eq!(report, ["Secret s", "~ a.env: re-encrypted; cannot tell if the value changed"]);
}

#[test]
fn wrong_calls_are_usage() {
    for args in [
        &["diff"][..],
        &["diff", "-", "-"],
        &["diff", "a", "b", "c"],
        &["diff", "--textconv"],
        &["diff", "--output", "x"],
    ] {
        let run = Case::new().args(args).report().run();
        assert_eq!(run.status, Some(2), "{args:?}: {}", run.redacted());
    }
    let gone = Case::new()
        .file("a.yaml", "a: 1\n")
        .args(["diff", "a.yaml", "gone.yaml"])
        .env("PATH", "/usr/bin")
        .report()
        .run();
    assert_eq!(gone.status, Some(2), "{}", gone.redacted());
}

impl Case {
    /// Starts in a directory of another case.
    fn in_dir(self, dir: PathBuf) -> Self {
        self.cwd(dir)
    }
}

//! More or less than usual on standard error: what a command does, never a value; progress where a person waits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::{CANARY, Case, Run, assert_no_canary, tool, unsops};

const KSOPS: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nsecretFrom:\n- metadata: {name: app}\n  envs: [app.env]\n";

/// A kustomization with a generator, one encrypted file that nothing names, and a plaintext Secret whose finding is
/// silenced.
fn repository() -> Case {
    let plain = format!(
        "# unsops:ignore-file plaintext-secret made up\napiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\nstringData: {{password: {CANARY}-hunter2}}\n"
    );
    Case::new()
        .fixture("enc/3.13.3/app.env", "app.env")
        .fixture("enc/3.13.3/nested.yaml", "other.yaml")
        .file("kustomization.yaml", "generators: [gen.yaml]\n")
        .file("gen.yaml", KSOPS)
        .file("plain.yaml", plain)
        .report()
}

fn stderr(run: &Run) -> String {
    assert_no_canary("stderr", &run.stderr);
    String::from_utf8(run.stderr.clone()).expect("UTF-8")
}

/// The arguments of every command that has these flags, with keys and without.
fn commands() -> Vec<(Vec<&'static str>, bool)> {
    let mut commands = vec![
        (vec!["check"], true),
        (vec!["check", "--decrypt"], true),
        (vec!["explain"], true),
        (vec!["explain", "--try", "app.env"], true),
        (vec!["render", "gen.yaml"], false),
        (vec!["render", "--keyless", "gen.yaml"], false),
        (vec!["diff", "app.env", "app.env"], true),
        (vec!["diff", "--keyless", "app.env", "app.env"], true),
        (vec!["filter", "--source", "."], false),
    ];
    if tool("kustomize").is_some() {
        commands.extend([
            (vec!["build", "."], false),
            (vec!["render", "."], false),
            (vec!["diff", ".", "gen.yaml"], true),
        ]);
    }
    commands
}

fn called(args: &[&str], more: &[&str], has_key: bool) -> Run {
    let case = repository().args(args).args(more).stdin("a: b\n");
    let case = if has_key { case.key("age.txt") } else { case };
    let path = tool("kustomize").and_then(|path| path.parent().map(PathBuf::from)).unwrap_or_default();
    case.env("PATH", path).run()
}

#[test]
fn verbose_tells_steps_and_never_a_value_and_changes_no_answer() {
    for (args, _) in commands() {
        for has_key in [true, false] {
            let usual = called(&args, &[], has_key);
            for more in ["-v", "-vv", "--verbose"] {
                let verbose = called(&args, &[more], has_key);
                let said = stderr(&verbose);
                let same_result = usual.status == verbose.status && usual.stdout.len() == verbose.stdout.len();
                assert!(same_result, "{args:?} {more}: {}", verbose.redacted());
                assert!(said.lines().any(|line| line.starts_with("unsops: info: ")), "{args:?} {more}:\n{said}");
                let is_known = |line: &str| {
                    ["info: ", "debug: ", "note: ", "error: ", "hint: ", "  "]
                        .iter()
                        .any(|word| line.strip_prefix("unsops: ").is_some_and(|rest| rest.starts_with(word)))
                };
                assert!(said.lines().all(is_known), "{args:?} {more}:\n{said}");
                assert!(more == "-vv" || !said.contains("unsops: debug: "), "{args:?} {more}:\n{said}");
            }
        }
    }
}

#[test]
fn verbose_names_places_of_keys_what_was_walked_and_what_silenced() {
    let said = stderr(&called(&["check", "--decrypt"], &["-vv"], true));
    for want in [
        "info: root: ",
        ": 5 files listed, as git sees them (",
        "info: looked at: 2 SOPS file",
        "info: kustomizations gone through: 1, generators of ours: 1",
        "info: keys: SOPS_AGE_KEY_FILE=",
        "info: keys: nothing in: SOPS_AGE_KEY, ~/.config/sops/age/keys.txt, ",
        "info: silenced: plaintext-secret at plain.yaml:5: by unsops:ignore-file in the file",
        "debug: app.env: opens (",
        "debug: plain.yaml: YAML in clear",
    ] {
        assert!(said.contains(want), "{want}\n{said}");
    }
    let settings = "check: {ignore: [{rules: [stale]}, {paths: [plain.yaml], reason: made up}]}\n";
    let plain = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\nstringData: {{password: {CANARY}-x}}\n");
    let case = Case::new().report().file(".unsops.yaml", settings).file("plain.yaml", plain).args(["check", "-v"]);
    let said = stderr(&case.run());
    let want = "silenced: plaintext-secret at plain.yaml:4: by entry 2 of check.ignore in the settings: made up";
    assert!(said.contains(want), "{said}");
}

#[test]
fn verbose_says_why_a_file_was_rendered_without_keys() {
    let said = stderr(&called(&["render", "gen.yaml"], &["-v"], false));
    assert!(said.contains("info: app.env: none of this file's keys could be opened; age age1"), "{said}");
    assert!(said.contains("note: no key opened 1 file"), "{said}");
}

#[test]
fn quiet_leaves_results_and_errors() {
    for (args, _) in commands() {
        let run = called(&args, &["--quiet"], false);
        let said = stderr(&run);
        let is_error =
            |line: &str| ["error: ", "hint: ", "  "].iter().any(|word| line.starts_with(&format!("unsops: {word}")));
        assert!(said.lines().all(is_error), "{args:?}:\n{said}");
        assert_eq!(called(&args, &["-q", "-v"], false).status, Some(2), "{args:?}: one or the other");
    }
    // Without a summary, and with nothing at all.
    let clean = |args: &[&str]| Case::new().report().file("a.yaml", "a: b\n").args(args).run().stdout;
    assert!(clean(&["check"]).starts_with(b"no findings"));
    assert!(clean(&["check", "-q"]).is_empty());
    let bad = |args: &[&str]| Case::new().report().file("a.enc.yaml", "a: b\n").args(args).run();
    let text = String::from_utf8(bad(&["check", "-q"]).stdout).expect("UTF-8");
    assert!(text.contains("error[name-hint]") && !text.contains("1 error:"), "{text}");
    let run = bad(&["check", "-qq"]);
    assert_eq!((run.status, run.stdout.as_slice(), run.stderr.as_slice()), (Some(1), &b""[..], &b""[..]));
}

/// What a terminal is sent, standard output aside; util-linux's `script` gives the program one.
fn at_a_terminal(case: Case, command: &str) -> Option<String> {
    let script = ["/usr/bin/script", "/bin/script"].iter().map(PathBuf::from).find(|path| path.is_file())?;
    let run = case.run_with(&script, ["-q", "-e", "-c", command, "/dev/null"]);
    assert_no_canary("the terminal", &run.stdout);
    Some(String::from_utf8_lossy(&run.stdout).into_owned())
}

#[test]
fn progress_is_drawn_on_terminals_after_a_second_and_erased() {
    let Some(kustomize) = tool("kustomize") else { return };
    let slow = |case: &Case, name: &str, line: &str| {
        let path = case.root().join(name);
        fs::write(&path, format!("#!/bin/sh\nsleep 2\n{line}\n")).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    };
    let line = format!("exec {} \"$@\"", kustomize.display());
    let render = |variables: &[(&str, &str)], more: &str| {
        let case = variables.iter().fold(repository(), |case, (name, value)| case.env(name, value));
        slow(&case, "slow", &line);
        let command = format!("{} render --keyless --kustomize ./slow {more} . >/dev/null", unsops().display());
        at_a_terminal(case, &command)
    };
    let Some(drawn) = render(&[("TERM", "xterm")], "") else { return };
    assert!(drawn.contains("\r\x1b[Kunsops: kustomize build, generators carried out"), "{drawn:?}");
    assert!(drawn.ends_with("\r\x1b[K"), "{drawn:?}");
    for (variables, more) in [
        (&[("TERM", "dumb")][..], ""),
        (&[][..], ""),
        (&[("TERM", "xterm")][..], "-q"),
        (&[("TERM", "xterm")][..], "2>&1 | cat"),
    ] {
        let drawn = render(variables, more).expect("a terminal");
        assert!(!drawn.contains("generators carried out"), "{variables:?} {more}: {drawn:?}");
    }
    // Nobody can be asked for a passphrase through a pipe, so that progress disturbs nothing.
    let case = repository().env("TERM", "xterm").env("SOPS_AGE_KEY_CMD", "./none");
    slow(&case, "none", "echo '# no key'");
    let drawn =
        at_a_terminal(case, &format!("{} explain --try . | tail -n 0", unsops().display())).expect("a terminal");
    assert!(drawn.contains("unsops: looking at files: "), "{drawn:?}");
}

#[test]
fn quick_commands_draw_nothing_at_a_terminal() {
    let command = format!("{} check >/dev/null", unsops().display());
    let Some(drawn) = at_a_terminal(repository().env("TERM", "xterm"), &command) else { return };
    assert!(!drawn.contains('\x1b'), "{drawn:?}");
}

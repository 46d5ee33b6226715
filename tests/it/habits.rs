//! What people expect of any command: completions that their shell reads, manual pages without warnings, documented exit
//! codes, and help that names every sub-command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Case, unsops};

const COMMANDS: [&str; 5] = ["build", "completions", "diff", "man", "render"];

/// A program of this machine; none is needed to use unsops, so that none has to be there.
fn installed(name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("{name} is not installed; not tried");
    }
    found
}

fn saved(content: &str, name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("write");
    (dir, path)
}

fn run(program: &Path, args: &[&str]) -> (bool, String) {
    let home = tempfile::tempdir().expect("a directory");
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .env("TERM", "dumb")
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn shells_read_their_completions_and_complete_sub_commands() {
    let script = |shell: &str| Case::new().args(["completions", shell]).run().text().to_owned();
    // The shell's own way of asking, as far as it has one without a terminal.
    let ask = "source \"$1\"; COMP_WORDS=(unsops re); COMP_CWORD=1; _unsops unsops re unsops; echo \"${COMPREPLY[@]}\"";
    let shells: [(&str, &[&str], Option<&str>); 3] =
        [("bash", &["-n"], Some(ask)), ("zsh", &["-n"], None), ("fish", &["--no-execute"], None)];
    for (shell, parse, ask) in shells {
        let (_dir, path) = saved(&script(shell), "completions");
        let path = path.to_str().expect("UTF-8");
        let Some(program) = installed(shell) else { continue };
        let (is_read, said) = run(&program, &[parse, &[path]].concat());
        assert!(is_read && said.is_empty(), "{shell}: {said}");
        if let Some(ask) = ask {
            let (_, said) = run(&program, &["--norc", "--noprofile", "-c", ask, "ask", path]);
            assert_eq!(said.trim(), "render", "{shell}");
        }
    }
    if let Some(fish) = installed("fish") {
        let (_dir, path) = saved(&script("fish"), "unsops.fish");
        let ask = format!("source {}; complete -C 'unsops ren'", path.display());
        assert!(run(&fish, &["--no-config", "-c", &ask]).1.contains("render"));
    }
    for shell in ["elvish", "powershell"] {
        assert!(script(shell).contains("render"), "{shell}");
    }
}

#[test]
fn manual_pages_have_no_warnings() {
    for command in [None].into_iter().chain(COMMANDS.map(Some)) {
        let page = Case::new().args(["man"]).args(command).run().text().to_owned();
        let (_dir, path) = saved(&page, "unsops.1");
        let path = path.to_str().expect("UTF-8");
        if let Some(groff) = installed("groff") {
            let (is_read, said) = run(&groff, &["-man", "-ww", "-z", "-K", "utf8", path]);
            assert!(is_read && said.is_empty(), "{command:?}: {said}");
        }
        if let Some(man) = installed("man") {
            let (is_read, said) = run(&man, &["--warnings", "-E", "UTF-8", "-l", "-Z", "-T", "utf8", path]);
            assert!(is_read && !said.contains("warning"), "{command:?}");
        }
        if let Some(mandoc) = installed("mandoc") {
            let (_, said) = run(&mandoc, &["-T", "lint", "-W", "error", path]);
            assert_eq!(said, "", "{command:?}");
        }
        let name = command.map_or("unsops".to_owned(), |command| format!("unsops-{command}"));
        assert!(page.contains(&name.replace('-', "\\-")) || page.contains(&name), "{command:?}");
    }
    assert_eq!(Case::new().args(["man", "nothing"]).run().status, Some(2));
}

#[test]
fn help_names_every_sub_command_and_each_has_its_own() {
    let help = Case::new().arg("--help").run().text().to_owned();
    for command in COMMANDS {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in --help");
        let own = Case::new().args([command, "--help"]).run().text().to_owned();
        assert!(own.contains("Usage: unsops"), "{command}: {own}");
    }
}

#[test]
fn reports_are_coloured_on_terminals_only() {
    let files = || {
        let case = Case::new().fixture("enc/3.13.3/app.env", "a.env").fixture("enc/3.12.2/app.env", "b.env");
        case.args(["diff", "--keyless", "a.env", "b.env"])
    };
    let is_coloured = |case: Case| case.report().run().stdout.contains(&0x1b);
    assert!(!is_coloured(files()));
    assert!(is_coloured(files().args(["--color", "always"])));
    // util-linux's script gives the program a terminal.
    let Some(script) = installed("script") else { return };
    for (variable, value, want) in [("TERM", "xterm", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)] {
        let command = format!("{} diff --keyless a.env b.env", unsops().display());
        let case = Case::new().fixture("enc/3.13.3/app.env", "a.env").fixture("enc/3.12.2/app.env", "b.env");
        let run = case.env("TERM", "xterm").env(variable, value).run_with(&script, ["-q", "-c", &command, "/dev/null"]);
        assert_eq!(run.stdout.contains(&0x1b), want, "{variable}={value}");
    }
}

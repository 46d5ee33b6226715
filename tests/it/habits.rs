//! What people expect of any command: completions that their shell reads, manual pages without warnings, documented exit
//! codes, and help that names every sub-command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Case, unsops};

/// The sub-commands, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = Case::new().arg("--help").run().text().to_owned();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<String> = listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(["build", "diff", "man", "render"].iter().all(|name| commands.iter().any(|command| command == name)));
    commands
}

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
    let commands = commands();
    for command in [None].into_iter().chain(commands.iter().map(Some)) {
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
        let name = command.map_or("unsops".to_owned(), |command: &String| format!("unsops-{command}"));
        assert!(page.contains(&name.replace('-', "\\-")) || page.contains(&name), "{command:?}");
    }
    assert_eq!(Case::new().args(["man", "nothing"]).run().status, Some(2));
}

#[test]
fn every_sub_command_has_help_of_its_own() {
    for command in commands() {
        let own = Case::new().args([command.as_str(), "--help"]).run().text().to_owned();
        assert!(own.contains(&format!("Usage: unsops {command}")), "{own}");
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

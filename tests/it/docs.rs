//! README and `examples/` do what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{copy_tree, tests_dir, tool, unsops};

fn root() -> PathBuf {
    tests_dir().parent().expect("the project").to_owned()
}

fn run(program: &Path, args: &[&str], dir: &Path, path: &str) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", path)
        .env("SOPS_AGE_KEY_FILE", root().join("examples/keys.txt"))
        .output()
        .expect("the program starts")
}

/// Every folder below `examples/` with a kustomization.
fn kustomizations(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.join("kustomization.yaml").exists() {
            found.push(entry);
        } else if entry.is_dir() {
            found.extend(kustomizations(&entry));
        }
    }
    found
}

#[test]
fn first_command_of_the_readme_prints_a_secret() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README");
    let command = "SOPS_AGE_KEY_FILE=examples/keys.txt cargo run --release -- examples/quickstart/generator.yaml";
    assert!(readme.contains(command));
    let output = run(&unsops(), &["examples/quickstart/generator.yaml"], &root(), "");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("kind: Secret") && text.contains("password: correct horse battery staple"));
}

#[test]
fn every_example_is_in_the_readme_and_builds() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README");
    let Some(kustomize) = tool("kustomize") else { return };
    let bin = tempfile::tempdir().expect("a folder");
    for name in ["unsops", "ksops", "SopsSecretGenerator"] {
        std::os::unix::fs::symlink(unsops(), bin.path().join(name)).expect("a link");
    }
    let examples = kustomizations(&root().join("examples"));
    assert!(examples.len() >= 7, "{examples:?}");
    for example in examples {
        let name = example.strip_prefix(root().join("examples")).expect("below examples");
        let first = name.iter().next().expect("a name").to_string_lossy();
        assert!(readme.contains(&format!("`{first}`")), "README does not name {first}");
        let args = ["build", "--enable-alpha-plugins", "--enable-exec", "."];
        let output = run(&kustomize, &args, &example, &bin.path().to_string_lossy());
        assert!(output.status.success(), "{name:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("kind: Secret"), "{name:?}");
    }
}

/// The transcript in the README that begins with this command.
fn transcript(command: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).expect("README");
    let (_, rest) = readme.split_once(&format!("$ {command}\n")).unwrap_or_else(|| panic!("README has no {command}"));
    rest.split_once("```").expect("an end").0.to_owned()
}

#[test]
fn transcripts_of_the_readme_are_true() {
    let path = std::env::var("PATH").unwrap_or_default();
    // As after `git clone`, in a home without keys.
    let folder = tempfile::tempdir().expect("a folder");
    let clone = folder.path().canonicalize().expect("a path");
    fs::create_dir_all(clone.join(".git")).expect("a folder");
    copy_tree(&root().join("examples"), &clone.join("examples"));
    let call = |words: &[&str]| -> Output {
        let mut command = Command::new(unsops());
        command.args(words).current_dir(&clone).env_clear().env("PATH", &path).env("HOME", clone.join("home"));
        command.output().expect("the program starts")
    };
    let check = "unsops check -v examples/quickstart";
    let checked = call(&check.split(' ').skip(1).collect::<Vec<_>>());
    let lines = |text: &str| -> Vec<String> {
        let text = text.replace(&clone.display().to_string(), "/home/me/shop");
        text.lines().map(|line| line.split(" (0.").next().unwrap_or(line).to_owned()).collect()
    };
    let said = [checked.stderr, checked.stdout].concat();
    assert_eq!(lines(&String::from_utf8(said).expect("UTF-8")), lines(&transcript(check)));

    if let Some(kustomize) = tool("kustomize") {
        let render = "unsops render --keyless examples/merge-hash/overlay";
        let program = kustomize.display().to_string();
        let words = ["render", "--keyless", "--kustomize", &program, "examples/merge-hash/overlay"];
        let rendered = String::from_utf8(call(&words).stdout).expect("UTF-8");
        let shown = transcript(render);
        let shown = shown.strip_suffix("...\n").expect("cut short");
        assert!(rendered.starts_with(shown), "{rendered}");
    }
}

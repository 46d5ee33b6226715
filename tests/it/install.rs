//! `unsops install`, and whether the real kustomize then runs what was installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::harness::{Case, Run, tool, unsops};

/// A generator in legacy style and the key that opens it.
fn application() -> Case {
    Case::new().key("age.txt").tree("golden/ksops-file", "app")
}

fn install(case: Case, args: &[&str]) -> (Case, Run) {
    let case = case.args(args);
    let run = case.run();
    (case, run)
}

fn assert_is_our_program(path: &Path) {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    assert!(metadata.is_file(), "{}", path.display());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
    assert!(fs::read(path).expect("readable") == fs::read(unsops()).expect("readable"), "another program");
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn makes_one_executable_copy_and_leaves_nothing_else() {
    let case = Case::new().file("tools/other", "stays");
    let tools = case.root().join("tools");
    let (_case, run) = install(case, &["install", "tools"]);
    assert_eq!(run.text(), "installed tools/unsops\n");
    assert_is_our_program(&tools.join("unsops"));
    assert_eq!(names_in(&tools), ["other", "unsops"]);
}

#[test]
fn names_are_the_callers_choice() {
    let case = Case::new().file("tools/SopsSecretGenerator", "an old version");
    let tools = case.root().join("tools");
    let (_case, run) = install(case, &["install", "--as", "ksops", "tools", "--as", "SopsSecretGenerator"]);
    assert_eq!(run.text(), "installed tools/ksops\ninstalled tools/SopsSecretGenerator\n");
    assert_is_our_program(&tools.join("ksops"));
    assert_is_our_program(&tools.join("SopsSecretGenerator"));
}

/// `command: ["/usr/local/bin/ksops", "install", "--with-kustomize", "/custom-tools"]`, as in KSOPS' README.
#[test]
fn the_init_container_of_ksops_works_unchanged_and_kustomize_runs_what_it_made() {
    let Some(kustomize) = tool("kustomize") else { return };
    let case = application().file("image/.keep", "").file("custom-tools/.keep", "");
    let image = case.root().join("image");
    let tools = case.root().join("custom-tools");
    fs::copy(unsops(), image.join("ksops")).expect("the image's ksops");
    fs::copy(&kustomize, image.join("kustomize")).expect("the image's kustomize");
    let init = case.run_with(&image.join("ksops"), ["install", "--with-kustomize", &tools.display().to_string()]);
    assert_eq!(init.status, Some(0), "{}", init.redacted());
    assert_is_our_program(&tools.join("ksops"));
    assert_eq!(fs::read(tools.join("kustomize")).expect("copied"), fs::read(&kustomize).expect("a file"));
    assert_eq!(names_in(&tools), [".keep", "ksops", "kustomize"]);

    // `run_program` puts the program's own directory first on PATH, as the mounts over /usr/local/bin do.
    let args = ["build", "--enable-alpha-plugins", "--enable-exec", "app"];
    let run = case.run_with(&tools.join("kustomize"), args);
    let want = fs::read_to_string(case.root().join("app/want.yaml")).expect("golden");
    assert_eq!(run.text(), want);
}

#[test]
fn kustomize_on_path_is_preferred_to_none_at_all() {
    let Some(kustomize) = tool("kustomize") else { return };
    let folder = kustomize.parent().expect("a folder").to_owned();
    let case = Case::new().file("tools/.keep", "").env("PATH", folder);
    let tools = case.root().join("tools");
    let (_case, run) = install(case, &["install", "tools", "--with-kustomize"]);
    assert_eq!(run.text(), "installed tools/unsops\ninstalled tools/kustomize\n");
    assert_eq!(fs::read(tools.join("kustomize")).expect("copied"), fs::read(&kustomize).expect("a file"));

    let (_case, run) = install(Case::new().file("tools/.keep", ""), &["install", "tools", "--with-kustomize"]);
    assert!(run.failure(4).contains("kustomize is neither on PATH nor beside this program"));
}

#[test]
fn kustomize_finds_the_legacy_plugins_of_a_plugin_home() {
    let Some(kustomize) = tool("kustomize") else { return };
    let case = application();
    let home = case.home().join("new/plugins");
    let run = case.run_with(&unsops(), ["install", "--plugin-home", &home.display().to_string()]);
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    assert_is_our_program(&home.join("viaduct.ai/v1/ksops/ksops"));
    assert_is_our_program(&home.join("goabout.com/v1beta1/sopssecretgenerator/SopsSecretGenerator"));
    for dir in [home.parent().expect("new"), &home, &home.join("viaduct.ai/v1")] {
        assert_eq!(fs::metadata(dir).expect("made").permissions().mode() & 0o7777, 0o755, "{}", dir.display());
    }
    // The golden case is in function style; without its annotation it is a legacy plugin.
    let generator = case.root().join("app/generator.yaml");
    let text = fs::read_to_string(&generator).expect("golden");
    let legacy: Vec<&str> = text.lines().filter(|line| !is_of_annotation(line)).collect();
    fs::write(&generator, legacy.join("\n")).expect("written");
    let case = case.env("KUSTOMIZE_PLUGIN_HOME", &home);
    let run = case.run_with(&kustomize, ["build", "--enable-alpha-plugins", "app"]);
    let want = fs::read_to_string(case.root().join("app/want.yaml")).expect("golden");
    assert_eq!(run.text(), want);
}

fn is_of_annotation(line: &str) -> bool {
    ["annotations:", "config.kubernetes.io/function", "exec:", "path: "].iter().any(|part| line.contains(part))
}

#[test]
fn a_symbolic_link_at_the_target_is_replaced_and_not_followed() {
    let case = Case::new().file("victim", "stays as it is").file("tools/.keep", "");
    let (victim, link) = (case.root().join("victim"), case.root().join("tools/unsops"));
    symlink(&victim, &link).expect("a link");
    let (_case, run) = install(case, &["install", "tools"]);
    run.text();
    assert_is_our_program(&link);
    assert_eq!(fs::read_to_string(&victim).expect("still there"), "stays as it is");
}

#[test]
fn a_symbolic_link_inside_a_plugin_home_is_refused() {
    let case = Case::new().file("elsewhere/.keep", "").file("home/.keep", "");
    let elsewhere = case.root().join("elsewhere");
    symlink(&elsewhere, case.root().join("home/viaduct.ai")).expect("a link");
    let (_case, run) = install(case, &["install", "--plugin-home", "home"]);
    let message = run.failure(4);
    assert!(message.contains("home/viaduct.ai: is in the way: not a directory of its own"), "{message}");
    assert_eq!(names_in(&elsewhere), [".keep"]);
}

#[test]
fn odd_targets_are_refused_and_left_alone() {
    let case = Case::new().file("tools/unsops/inside", "kept");
    let (_case, run) = install(case, &["install", "tools"]);
    assert!(run.failure(4).contains("tools/unsops: a directory is in the way"));

    let case = Case::new().file("tools/.keep", "");
    let fifo = case.root().join("tools/unsops");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    let (_case, run) = install(case, &["install", "tools"]);
    assert!(run.failure(4).contains("tools/unsops: a FIFO is in the way"));

    for (args, code, message) in [
        (&["install", "nowhere"][..], 4, "nowhere: no such file or directory"),
        (&["install", "file"], 4, "file: not a directory"),
        (&["install", "/proc/self"], 4, "/proc/self"),
        (&["install"], 2, "a required argument is missing"),
        (&["install", "", "--plugin-home"], 2, "a value that is not possible"),
        (&["install", "tools", "--as", "../up"], 2, "not a name for a program"),
        (&["install", "tools", "--as", ""], 2, "not a name for a program"),
        (&["install", "tools", "--as", ".hidden"], 2, "not a name for a program"),
        (&["install", "tools", "--as", "a b"], 2, "not a name for a program"),
        (&["install", "tools", "--as", "a", "--plugin-home"], 2, "exclude each other"),
        (&["install", "tools", "more"], 2, "too many arguments"),
    ] {
        let case = Case::new().file("file", "").file("tools/.keep", "");
        let tools = case.root().join("tools");
        let (_case, run) = install(case, args);
        let failure = run.failure(code);
        assert!(failure.contains(message), "{args:?}: {failure}");
        assert_eq!(names_in(&tools), [".keep"], "{args:?}");
    }
}

/// Whoever starts the program while it is replaced runs the old one or the new one.
#[test]
fn replacing_a_program_is_atomic() {
    let case = Case::new().file("tools/.keep", "");
    let tools = case.root().join("tools");
    let program = tools.join("unsops");
    fs::copy(unsops(), &program).expect("a first version");
    let old = fs::File::open(&program).expect("it runs");
    let (_case, run) = install(case, &["install", "tools"]);
    run.text();
    assert_is_our_program(&program);
    let (old, new) = (old.metadata().expect("open"), fs::metadata(&program).expect("there"));
    assert_ne!(std::os::unix::fs::MetadataExt::ino(&old), std::os::unix::fs::MetadataExt::ino(&new));
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&old), 0);
}

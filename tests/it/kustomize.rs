//! The real kustomize (KRM exec function and legacy exec plugin), kubectl and kpt around the real executable.
//!
//! `tests/golden/CASE` are kustomizations with `want.yaml`, the bytes that `kustomize build` prints for them
//! (`tests/golden/README.md`). The generator manifests carry the KRM annotation; for legacy engines it is taken out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::endurance::figure;
use crate::harness::{Case, Run, assert_no_canary, peer, tests_dir, tool, unsops};

/// Who runs the plugin, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// `kustomize build --enable-exec`: a ResourceList on stdin.
    Exec,
    /// `kustomize build` with the binary in the plugin directory: a config file as argument.
    Legacy,
    /// The same within kubectl.
    Kubectl,
}

const ENGINES: [Engine; 3] = [Engine::Exec, Engine::Legacy, Engine::Kubectl];

impl Engine {
    fn program(self) -> Option<PathBuf> {
        tool(if self == Self::Kubectl { "kubectl" } else { "kustomize" })
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Exec => &["build", "--enable-alpha-plugins", "--enable-exec"],
            Self::Legacy => &["build", "--enable-alpha-plugins"],
            Self::Kubectl => &["kustomize", "--enable-alpha-plugins"],
        }
    }
}

/// The plugins' names under which the binary is installed, and their place in the plugin directory.
const PLUGINS: [(&str, &str); 2] =
    [("ksops", "viaduct.ai/v1/ksops"), ("SopsSecretGenerator", "goabout.com/v1beta1/sopssecretgenerator")];

/// Installs a binary under the plugins' names, for lookup by `PATH` and in the plugin directory.
fn install(case: Case, plugins: &[(&str, &Path)]) -> Case {
    let bin = case.root().join("../bin");
    let home = case.root().join("../plugins");
    fs::create_dir_all(&bin).expect("create a directory");
    for (name, binary) in plugins {
        symlink(binary, bin.join(name)).expect("a fresh link");
        let (_, place) = PLUGINS.iter().find(|(plugin, _)| plugin == name).expect("a known plugin");
        fs::create_dir_all(home.join(place)).expect("create a directory");
        symlink(binary, home.join(place).join(name)).expect("a fresh link");
    }
    let path = std::env::join_paths(
        std::iter::once(bin).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    case.env("KUSTOMIZE_PLUGIN_HOME", home).env("PATH", path.expect("a path"))
}

fn install_unsops(case: Case) -> Case {
    let binary = unsops();
    install(case, &PLUGINS.map(|(name, _)| (name, binary.as_path())))
}

/// Takes the KRM annotation out of every manifest below a directory.
pub fn make_legacy(dir: &Path) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            make_legacy(&path);
        } else if path.extension().is_some_and(|ext| ext == "yaml") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            if text.contains("config.kubernetes.io/function") {
                fs::write(&path, without_function(&text)).expect("write");
            }
        }
    }
}

/// Drops `annotations:` blocks that hold only the function annotation.
fn without_function(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < lines.len() {
        let is_function = lines.get(at + 1).is_some_and(|next| next.contains("config.kubernetes.io/function"));
        if lines[at].trim() == "annotations:" && is_function {
            let outer = indent(lines[at]);
            at += 1;
            while at < lines.len() && indent(lines[at]) > outer {
                at += 1;
            }
            continue;
        }
        out.push_str(lines[at]);
        out.push('\n');
        at += 1;
    }
    out
}

/// A case of `tests/golden` in a root of its own.
fn golden(name: &str, engine: Engine) -> Case {
    let case = Case::new().key("age.txt").tree(&format!("golden/{name}"), "app");
    let _ = fs::remove_file(case.root().join("app/want.yaml"));
    if engine != Engine::Exec {
        make_legacy(&case.root().join("app"));
    }
    case
}

fn build(case: &Case, engine: Engine, dir: &str) -> Option<Run> {
    let program = engine.program()?;
    Some(case.run_with(&program, engine.args().iter().copied().chain([dir])))
}

fn assert_builds(name: &str) {
    let want = fs::read_to_string(tests_dir().join("golden").join(name).join("want.yaml")).expect("want.yaml");
    for engine in ENGINES {
        let Some(run) = build(&install_unsops(golden(name, engine)), engine, "app") else { return };
        assert_eq!(run.status, Some(0), "{name} with {engine:?}: {}", run.redacted());
        let stderr = String::from_utf8_lossy(&run.stderr);
        let chatter = stderr.lines().find(|line| !line.starts_with("# Warning: '"));
        assert_eq!(chatter, None, "{name} with {engine:?} is not silent");
        // kubectl's kustomize is another release, which signs with its own version.
        let got = String::from_utf8_lossy(&run.stdout).replace("kustomize-v0.0.0-master", "kustomize-v5.8.1");
        let version =
            got.lines().find(|line| line.contains("managed-by: kustomize-")).map(str::trim).map(str::to_owned);
        let got = match version.filter(|_| engine == Engine::Kubectl) {
            Some(version) => got.replace(&version, "app.kubernetes.io/managed-by: kustomize-v5.8.1"),
            None => got,
        };
        assert!(got == want, "{name} with {engine:?}, want.yaml against the result:\n{}", difference(&want, &got));
    }
}

/// Golden cases hold no real secret, so that the lines that differ may be shown.
pub fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<_>, Vec<_>) = (want.lines().collect(), got.lines().collect());
    let same = want.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let show = |lines: &[&str]| lines.iter().skip(same).take(8).copied().collect::<Vec<_>>().join("\n");
    format!("line {}\n--- want\n{}\n--- got\n{}", same + 1, show(&want), show(&got))
}

/// One test a case: what it shows.
macro_rules! golden {
    ($($(#[$attribute:meta])* $test:ident: $case:literal;)*) => {$(
        #[test]
        $(#[$attribute])*
        fn $test() {
            assert_builds($case);
        }
    )*
    const CASES: &[&str] = &[$($case),*];
    };
}

golden! {
    decrypts_a_manifest: "ksops-single";
    decrypts_several_manifests_and_a_secret_from_a_file: "ksops-multiple";
    name_hash_asked_for_in_the_plaintext: "ksops-hash";
    behavior_replace_in_the_plaintext: "ksops-replace";
    secret_from_files_of_each_text_format: "ksops-file";
    secret_from_binary_files: "ksops-binaryfile";
    secret_from_dotenv: "ksops-envs";
    keys_renamed: "ksops-override";
    metadata_of_an_entry: "ksops-metadata";
    references_follow_the_name_hash: "references";
    prefix_suffix_namespace_and_labels_apply: "transformed";
    patches_apply_before_the_name_hash: "patched";
    merge_keeps_the_data_of_the_base: "merge";
    base_overlay_and_component_generate_each: "layers";
    multi_document_inline_and_directory_generators: "several";
    replacements_and_build_metadata_apply: "replacements";
    manifests_of_any_kind_and_lists: "kinds";
    values_that_yaml_would_change_survive: "hostile";
    ssg_files_and_dotenv_into_data: "ssg-files";
    ssg_maps_become_keys: "ssg-envs";
    ssg_merge: "ssg-merge";
}

#[test]
fn every_golden_case_is_run() {
    for entry in fs::read_dir(tests_dir().join("golden")).expect("tests/golden") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        assert!(!entry.path().is_dir() || CASES.contains(&name.as_str()), "{name} is not run");
    }
}

/// Cases in which we differ from KSOPS on purpose: what it does there.
const UNLIKE_KSOPS: &[(&str, &str)] =
    &[("merge", "emits stringData into a merge, which leaves the old value beside the new one")];

#[test]
fn builds_what_the_peers_build() {
    let (Some(ksops), Some(ssg)) = (peer("UNSOPS_TEST_KSOPS"), peer("UNSOPS_TEST_SSG")) else { return };
    for case in CASES {
        if UNLIKE_KSOPS.iter().any(|(unlike, _)| unlike == case) {
            continue;
        }
        for engine in ENGINES {
            let theirs = install(golden(case, engine), &[("ksops", &ksops), ("SopsSecretGenerator", &ssg)]);
            let Some(theirs) = build(&theirs, engine, "app") else { return };
            let ours = build(&install_unsops(golden(case, engine)), engine, "app").expect("the engine is there");
            assert_eq!(ours.status, theirs.status, "{case} with {engine:?}");
            let (ours, theirs) = (String::from_utf8_lossy(&ours.stdout), String::from_utf8_lossy(&theirs.stdout));
            assert!(ours == theirs, "{case} with {engine:?}, the peer against us:\n{}", difference(&theirs, &ours));
        }
    }
}

const KSOPS: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: generator\n";
const FUNCTION: &str = "  annotations:\n    config.kubernetes.io/function: |\n      exec:\n        path: ksops\n";

/// A kustomization with one generator, in the form that the engine wants.
fn app(engine: Engine, generator: &str) -> Case {
    let function = if engine == Engine::Exec { FUNCTION } else { "" };
    let case = Case::new()
        .key("age.txt")
        .file("app/kustomization.yaml", "generators:\n- generator.yaml\n")
        .file("app/generator.yaml", format!("{KSOPS}{function}{generator}"))
        .fixture("enc/3.13.3/text.txt", "app/secret.enc.txt");
    install_unsops(case)
}

/// Every engine fails, prints nothing on stdout, and shows our words.
fn assert_fails(prepare: impl Fn(Engine) -> Case, words: &[&str]) {
    for engine in ENGINES {
        let Some(run) = build(&prepare(engine), engine, "app") else { return };
        assert_ne!(run.status, Some(0), "{engine:?}");
        assert!(run.stdout.is_empty(), "{engine:?} prints");
        let stderr = String::from_utf8_lossy(&run.stderr);
        for word in words {
            assert!(stderr.contains(word), "{engine:?}: {word:?} is not in\n{stderr}");
        }
        // kustomize leaves its config file behind on failure; it must hold no value.
        assert_no_canary("stderr", &run.stderr);
    }
}

#[test]
fn missing_key_fails_the_build() {
    let prepare = |engine| {
        app(engine, "secretFrom:\n- metadata:\n    name: s\n  files:\n  - ./secret.enc.txt\n").key("age-stranger.txt")
    };
    assert_fails(prepare, &["unsops: error: ", "secret.enc.txt: none of this file's keys could be opened", "age1"]);
}

#[test]
fn missing_file_fails_the_build() {
    let generator = "secretFrom:\n- metadata:\n    name: s\n  files:\n  - ./secret.enc.txt\n  - ./missing.enc.txt\n";
    assert_fails(|engine| app(engine, generator), &["unsops: error: ", "missing.enc.txt"]);
}

#[test]
fn tampered_file_fails_the_build() {
    let prepare = |engine| {
        let case = app(engine, "secretFrom:\n- metadata:\n    name: s\n  files:\n  - ./secret.enc.txt\n");
        let path = case.root().join("app/secret.enc.txt");
        let text = fs::read_to_string(&path).expect("UTF-8");
        let at = text.find("data:").expect("a token") + "data:".len();
        let other = if text[at..].starts_with('A') { "B" } else { "A" };
        fs::write(&path, [&text[..at], other, &text[at + 1..]].concat()).expect("write");
        case
    };
    assert_fails(prepare, &["unsops: error: ", "secret.enc.txt"]);
}

#[test]
fn create_twice_and_merge_without_base_are_refused_by_kustomize() {
    let twice = "secretFrom:\n- metadata:\n    name: s\n  files: [./secret.enc.txt]\n";
    let prepare = |engine| {
        app(engine, twice)
            .file("app/kustomization.yaml", "generators:\n- generator.yaml\nresources:\n- base.yaml\n")
            .file("app/base.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n")
    };
    assert_fails(prepare, &["exists; ", "behavior must be merge or replace"]);
    let merge = "secretFrom:\n- metadata:\n    name: s\n    annotations:\n      kustomize.config.k8s.io/behavior: merge\n  files: [./secret.enc.txt]\n";
    assert_fails(|engine| app(engine, merge), &["does not exist; cannot merge or replace"]);
}

#[test]
fn the_same_secret_twice_is_our_error() {
    let generator = "secretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n";
    assert_fails(|engine| app(engine, generator), &["unsops: error: "]);
}

#[test]
fn files_outside_the_root_are_refused() {
    for path in ["../../outside.enc.txt", "/etc/passwd", "./link.enc.txt", "../../../../../../etc/passwd"] {
        let prepare = |engine| {
            let case = app(engine, &format!("secretFrom:\n- metadata: {{name: s}}\n  files: [{path}]\n"));
            let outside = case.root().join("../outside.enc.txt");
            fs::copy(tests_dir().join("fixtures/enc/3.13.3/text.txt"), &outside).expect("copy");
            let _ = symlink(&outside, case.root().join("app/link.enc.txt"));
            case
        };
        assert_fails(prepare, &["unsops: error: "]);
    }
}

#[test]
fn files_elsewhere_in_the_work_tree_are_read() {
    for engine in ENGINES {
        let case = app(engine, "secretFrom:\n- metadata: {name: s}\n  files: [../shared/text.txt]\n")
            .fixture("enc/3.13.3/text.txt", "shared/text.txt");
        let Some(run) = build(&case, engine, "app") else { return };
        assert_eq!(run.status, Some(0), "{engine:?}");
    }
}

#[test]
fn paths_are_relative_to_the_kustomization_whatever_pwd_says() {
    for engine in ENGINES {
        for dir in ["with blank", "ключ", "a/b/c"] {
            let case = app(engine, "secretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n").env("PWD", "/");
            let moved = case.root().join(dir);
            fs::create_dir_all(moved.parent().expect("a parent")).expect("create");
            fs::rename(case.root().join("app"), &moved).expect("move");
            let Some(run) = build(&case, engine, dir) else { return };
            assert_eq!(run.status, Some(0), "{engine:?} in {dir}");
        }
    }
}

#[test]
fn remote_base_is_its_own_root() {
    let Some(kustomize) = tool("kustomize") else { return };
    let git = |case: &Case, args: &[&str]| {
        let run = case.run_with(Path::new("/usr/bin/git"), args.iter().copied());
        assert_eq!(run.status, Some(0), "git {args:?}");
    };
    for (path, works) in [("./secret.enc.txt", true), ("../../../etc/passwd", false)] {
        let case = app(Engine::Legacy, &format!("secretFrom:\n- metadata: {{name: s}}\n  files: [{path}]\n"));
        fs::rename(case.root().join("app"), case.root().join("../remote")).expect("move");
        let remote = case.root().join("../remote").canonicalize().expect("the repository");
        let directory = remote.to_str().expect("UTF-8");
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        git(&case, &["init", "-q", "-b", "main", directory]);
        git(&case, &["-C", directory, "add", "."]);
        git(&case, &[&["-C", directory], &who[..], &["commit", "-qm", "base"]].concat());
        let overlay = format!("resources:\n- git::file://{directory}?ref=main\n");
        let case = case.file("overlay/kustomization.yaml", overlay);
        let run = case.run_with(&kustomize, ["build", "--enable-alpha-plugins", "overlay"]);
        assert_eq!(run.status == Some(0), works, "{path}: {}", run.redacted());
    }
}

#[test]
fn a_config_too_long_for_the_environment_is_read_from_its_file() {
    let mut generator = "secretFrom:\n- metadata:\n    name: s\n    annotations:\n".to_owned();
    for index in 0..1500 {
        generator.push_str(&format!("      example.com/note-{index}: \"{}\"\n", "x".repeat(80)));
    }
    generator.push_str("  files: [./secret.enc.txt]\n");
    for engine in [Engine::Legacy, Engine::Kubectl] {
        let Some(run) = build(&app(engine, &generator), engine, "app") else { return };
        assert_eq!(run.status, Some(0), "{engine:?}: {}", run.redacted());
    }
}

#[test]
fn arguments_from_the_manifest_are_refused_in_legacy_mode() {
    let generator = "argsOneLiner: check\nsecretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n";
    for engine in [Engine::Legacy, Engine::Kubectl] {
        let Some(run) = build(&app(engine, generator), engine, "app") else { return };
        assert_ne!(run.status, Some(0));
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(stderr.contains("a plugin call takes no arguments"), "{stderr}");
    }
}

#[test]
fn many_generators_and_many_files_keep_their_order() {
    let mut kustomization = "sortOptions: {order: fifo}\ngenerators:\n".to_owned();
    let mut case = app(Engine::Legacy, "");
    let mut want = Vec::new();
    for index in 0..20 {
        let name = format!("g{}", (index * 7) % 20);
        let entries =
            (0..5).map(|entry| format!("- metadata: {{name: {name}-{entry}}}\n  files: [./secret.enc.txt]\n"));
        let manifest = format!("{}secretFrom:\n{}", KSOPS.replace("generator", &name), entries.collect::<String>());
        kustomization.push_str(&format!("- {name}.yaml\n"));
        want.extend((0..5).map(|entry| format!("  name: {name}-{entry}")));
        case = case.file(format!("app/{name}.yaml"), manifest);
    }
    let case = case.file("app/kustomization.yaml", kustomization);
    let Some(run) = build(&case, Engine::Legacy, "app") else { return };
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let got: Vec<_> = text.lines().filter(|line| line.starts_with("  name: ")).collect();
    assert_eq!(got, want);
}

/// A legacy transformer is sent every resource, and what it does not return is gone.
#[test]
fn transformer_returns_every_resource_and_adds_its_own() {
    for engine in ENGINES {
        let case = app(engine, "secretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n")
            .file("app/kustomization.yaml", "namePrefix: p-\nresources:\n- pod.yaml\ntransformers:\n- generator.yaml\n")
            .file("app/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pod\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: enc\nstringData:\n  a: ENC[x]\n");
        let Some(run) = build(&case, engine, "app") else { return };
        assert_eq!(run.status, Some(0), "{engine:?}: {}", run.redacted());
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        for name in ["  name: p-pod", "  name: p-enc", "  a: ENC[x]", "  name: s"] {
            assert!(text.lines().any(|line| line == name), "{engine:?}: {name} is missing");
        }
    }
    figure("3 of 3 engines (function, legacy, kubectl), nothing lost");
}

#[test]
fn transformer_without_resources_adds_its_own() {
    for engine in ENGINES {
        let case = app(engine, "secretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n")
            .file("app/kustomization.yaml", "transformers:\n- generator.yaml\n");
        let Some(run) = build(&case, engine, "app") else { return };
        assert_eq!(run.status, Some(0), "{engine:?}: {}", run.redacted());
        assert!(String::from_utf8_lossy(&run.stdout).contains("  name: s\n"), "{engine:?}");
    }
}

/// kpt sends every file of a package and removes those that do not come back; it runs functions where the user stands.
fn package() -> Case {
    let function = "  annotations:\n    config.kubernetes.io/local-config: \"true\"\n";
    let generator = format!("{KSOPS}{function}secretFrom:\n- metadata: {{name: s}}\n  files: [./secret.enc.txt]\n");
    Case::new()
        .key("age.txt")
        .file("pkg/Kptfile", "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: pkg\n")
        .file("pkg/generator.yaml", generator)
        .file(
            "pkg/cm.yaml",
            "# kept\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\ndata:\n  a: \"1\" # kept too\n",
        )
        .file(
            "pkg/secret.enc.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: enc\nstringData:\n  a: ENC[x]\nsops:\n  mac: ENC[x]\n",
        )
        .fixture("enc/3.13.3/text.txt", "pkg/secret.enc.txt")
}

fn kpt_eval(case: &Case, output: &[&str]) -> Option<Run> {
    let program = tool("kpt")?;
    let unsops = unsops();
    let exec = unsops.to_str().expect("UTF-8");
    let args = ["fn", "eval", ".", "--exec", exec, "--fn-config", "generator.yaml"];
    Some(case.run_with(&program, args.into_iter().chain(output.iter().copied())))
}

#[test]
fn kpt_prints_the_package_and_the_secret() {
    let Some(run) = kpt_eval(&package().cwd("pkg"), &["-o", "unwrap"]) else { return };
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    for line in ["# kept", "  a: \"1\" # kept too", "  name: s", "  name: enc", "  a: ENC[x]", "kind: Kptfile"] {
        assert!(text.lines().any(|got| got == line), "{line} is missing");
    }
}

#[test]
fn kpt_in_place_loses_no_file() {
    let case = package().cwd("pkg");
    let Some(run) = kpt_eval(&case, &[]) else { return };
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    for (file, before) in [
        ("Kptfile", "kind: Kptfile"),
        ("generator.yaml", "kind: ksops"),
        ("cm.yaml", "# kept too"),
        ("secret.enc.yaml", "ENC[x]"),
    ] {
        let after = fs::read_to_string(case.root().join("pkg").join(file)).expect(file);
        assert!(after.contains(before), "{file} was changed");
    }
}

#[test]
fn kpt_failure_writes_nothing() {
    let case = package().key("age-stranger.txt").cwd("pkg");
    let before = fs::read_dir(case.root().join("pkg")).expect("the package").count();
    let Some(run) = kpt_eval(&case, &[]) else { return };
    assert_ne!(run.status, Some(0));
    assert_eq!(fs::read_dir(case.root().join("pkg")).expect("the package").count(), before);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(stderr.contains("unsops: error: "), "{stderr}");
}

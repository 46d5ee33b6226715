//! `unsops build` with the real kustomize, three releases of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{CANARY, Case, Run, assert_no_canary, ending_signals, tests_dir, tool, unsops};

/// Releases from the oldest that is supported to the newest.
const RELEASES: [&str; 3] = ["kustomize", "kustomize-5.4.3", "kustomize-5.0.3"];

const GENERATOR: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nsecretFrom:\n- metadata: {name: s}\n  files: [secret.enc.txt]\n";

const FUNCTION: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ksops}\nsecretFrom:\n- metadata: {name: s}\n  files: [secret.enc.txt]\n";

/// A root with a kustomization in `app`, a secret beside it, and the test key.
fn app(kustomization: &str) -> Case {
    Case::new()
        .key("age.txt")
        .file("app/kustomization.yaml", kustomization)
        .fixture("enc/3.13.3/text.txt", "app/secret.enc.txt")
        .arg("build")
        .arg("app")
}

/// Runs with a release of kustomize; `None` where it is not installed.
fn with(case: Case, kustomize: &str) -> Option<Case> {
    let program = tool(kustomize)?;
    Some(case.arg("--kustomize").arg(program))
}

fn run(case: Case) -> Option<Run> {
    with(case, "kustomize").map(|case| case.run())
}

fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
}

/// Says how a build of golden case `name` differs from what the peers' plugins make of it with kustomize 5.8.1.
fn assert_golden(name: &str, legacy: bool) {
    let want = fs::read_to_string(tests_dir().join("golden").join(name).join("want.yaml")).expect("want.yaml");
    for release in RELEASES {
        let case = Case::new().key("age.txt").tree(&format!("golden/{name}"), "app").args(["build", "app"]);
        if legacy {
            crate::kustomize::make_legacy(&case.root().join("app"));
        }
        let Some(case) = with(case, release) else { return };
        let got = case.run().text().replace("kustomize-(devel)", "kustomize-v5.8.1");
        assert!(got == want, "{name} with {release} differs:\n{}", crate::kustomize::difference(&want, &got));
    }
}

#[test]
fn builds_what_the_plugins_build() {
    let mut cases = 0;
    for entry in fs::read_dir(tests_dir().join("golden")).expect("golden cases").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if entry.path().join("want.yaml").is_file() {
            assert_golden(&name, false);
            cases += 1;
        }
    }
    assert!(cases > 15, "only {cases} cases");
}

#[test]
fn builds_legacy_manifests_too() {
    for name in ["layers", "several", "references", "transformed", "merge"] {
        assert_golden(name, true);
    }
}

#[test]
fn reads_generators_inline_in_directories_components_and_lists() {
    let Some(run) = run(app("generators:\n- |-\n  # inline\n  apiVersion: viaduct.ai/v1\n  kind: ksops\n  metadata:\n    name: one\n    annotations:\n      config.kubernetes.io/function: |\n        exec:\n          path: ./not/there\n  secretFrom:\n  - metadata: {name: one}\n    files: [secret.enc.txt]\n- gens\n- list.yaml\ncomponents: [comp]\n")
        .file("app/gens/kustomization.yaml", "resources: [g.yaml]\nnamePrefix: x-\n")
        .file("app/gens/g.yaml", FUNCTION.replace("name: s", "name: two"))
        .file("app/list.yaml", format!("apiVersion: v1\nkind: List\nitems:\n- {}", FUNCTION.replace("name: s", "name: three").replace("name: gen", "name: gen3").replace('\n', "\n  ").trim_end()))
        .file("app/comp/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ngenerators: [g.yaml]\n")
        .file("app/comp/g.yaml", GENERATOR.replace("name: s", "name: four"))
        .fixture("enc/3.13.3/text.txt", "app/comp/secret.enc.txt"))
    else {
        return;
    };
    let text = run.text();
    for name in ["one", "two", "three", "four"] {
        assert!(text.contains(&format!("name: {name}\n")), "{name} is missing:\n{}", run.redacted());
    }
}

#[test]
fn base_through_two_overlays_and_a_link() {
    for manifest in [FUNCTION, GENERATOR] {
        let case = app("resources: [../a, ../b]\n")
            .file("a/kustomization.yaml", "resources: [../link]\nnamePrefix: a-\n")
            .file("b/kustomization.yaml", "resources: [../base]\nnamePrefix: b-\n")
            .file("base/kustomization.yaml", "generators: [g.yaml]\n")
            .file("base/g.yaml", manifest)
            .fixture("enc/3.13.3/text.txt", "base/secret.enc.txt");
        symlink("base", case.root().join("link")).expect("a link");
        let Some(run) = run(case) else { return };
        assert!(run.text().contains("name: a-s\n") && run.text().contains("name: b-s\n"));
    }
}

#[test]
fn without_git_the_working_directory_is_the_root() {
    let case = Case::without_git()
        .key("age.txt")
        .file("overlay/kustomization.yaml", "resources: [../base]\n")
        .file("base/kustomization.yaml", "generators: [g.yaml]\n")
        .file("base/g.yaml", FUNCTION)
        .fixture("enc/3.13.3/text.txt", "base/secret.enc.txt")
        .args(["build", "overlay"]);
    let Some(run) = run(case) else { return };
    assert!(run.text().contains("name: s\n"));
}

#[test]
fn lists_within_lists_hide_nothing() {
    for manifest in [
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: viaduct.ai/v1\n  kind: SomeList\n  metadata: {name: l}\n  items:\n  - {apiVersion: v1, kind: ../../../../../../../../../bin/sh, metadata: {name: e}}\n",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: builtin\n  kind: SomeList\n  metadata: {name: l}\n  items:\n  - {apiVersion: x/v1, kind: Evil, metadata: {name: e}}\n",
    ] {
        let Some(run) = run(app("generators: [l.yaml]\n").file("app/l.yaml", manifest)) else { return };
        let message = run.failure(3);
        assert!(message.contains("an apiVersion or kind that no plugin can have"), "{message}");
    }
}

#[test]
fn load_restrictor_none_reaches_beside_the_kustomization() {
    let case = app("generators: [../gens/g.yaml]\nconfigMapGenerator:\n- name: c\n  files: [../beside.txt]\n")
        .file("gens/g.yaml", FUNCTION)
        .file("beside.txt", "beside")
        .args(["--load-restrictor", "LoadRestrictionsNone"]);
    let Some(run) = run(case) else { return };
    assert!(run.text().contains("beside.txt: beside") && run.text().contains("name: s\n"));
}

#[test]
fn foreign_programs_are_refused_and_do_not_run() {
    let mark = |case: &Case| case.root().join("app/ran");
    let evil = "#!/bin/sh\necho ran > ran\n";
    for (what, manifest) in [
        (
            "exec",
            "apiVersion: x.example/v1\nkind: Evil\nmetadata:\n  name: e\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./evil.sh}'\n",
        ),
        (
            "old annotation",
            "apiVersion: x.example/v1\nkind: Evil\nmetadata:\n  name: e\n  annotations:\n    config.k8s.io/function: 'exec: {path: ./evil.sh}'\n",
        ),
        (
            "container",
            "apiVersion: x.example/v1\nkind: Evil\nmetadata:\n  name: e\n  annotations:\n    config.kubernetes.io/function: 'container: {image: evil}'\n",
        ),
        ("legacy", "apiVersion: x.example/v1\nkind: Evil\nmetadata: {name: e}\n"),
        (
            "climbing kind",
            "apiVersion: viaduct.ai/v1\nkind: ../../../../../../../../../../bin/sh\nmetadata: {name: e}\n$(touch ran): x\n",
        ),
        ("climbing group", "apiVersion: ../v1\nkind: sh\nmetadata: {name: e}\n"),
        ("version that looks built in", "apiVersion: builtin/v1\nkind: Evil\nmetadata: {name: e}\n"),
    ] {
        for list in ["generators", "transformers", "validators"] {
            let case = app(&format!("{list}: [e.yaml]\nresources: [cm.yaml]\n"))
                .file("app/e.yaml", manifest)
                .file("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
                .file("app/evil.sh", evil);
            make_executable(&case.root().join("app/evil.sh"));
            let path = mark(&case);
            let Some(case) = with(case, "kustomize") else { return };
            let message = case.run().failure(3);
            assert!(message.contains("app/e.yaml:1: ") && message.lines().count() <= 2, "{what} in {list}: {message}");
            assert!(!path.exists(), "{what} in {list} ran");
        }
    }
}

#[test]
fn plugin_manifests_that_are_patched_are_refused() {
    let case = app("generators: [gens]\n")
        .file("app/gens/kustomization.yaml", "resources: [g.yaml]\npatches:\n- target: {kind: ksops}\n  options: {allowKindChange: true}\n  patch: |-\n    - {op: replace, path: /kind, value: ../../../../../../../bin/sh}\n")
        .file("app/gens/g.yaml", GENERATOR);
    let Some(run) = run(case) else { return };
    let message = run.failure(3);
    assert!(message.contains("app/gens/kustomization.yaml:2: patches could turn plugin manifests"), "{message}");
}

#[test]
fn operator_may_allow_foreign_programs() {
    let case = app("generators: [e.yaml, g.yaml]\n")
        .file("app/g.yaml", FUNCTION)
        .file("app/e.yaml", "apiVersion: x.example/v1\nkind: Other\nmetadata:\n  name: e\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./other.sh}'\n")
        .file("app/other.sh", "#!/bin/sh\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: from-other}\\n'\n")
        .env("PATH", "/usr/bin:/bin")
        .arg("--allow-exec");
    make_executable(&case.root().join("app/other.sh"));
    let Some(run) = run(case) else { return };
    assert!(run.text().contains("name: from-other") && run.text().contains("name: s\n"), "{}", run.redacted());
}

#[test]
fn bad_trees_are_refused_with_a_line_each() {
    let cases: [(&str, Case, i32, &str); 7] = [
        ("cycle", app("resources: [../app]\n"), 3, "app/kustomization.yaml:1: ../app: a cycle"),
        ("outside", app("resources: [../../../etc]\n"), 4, "outside the allowed root"),
        ("absolute", app("resources: [/etc]\n"), 4, "absolute paths are not allowed"),
        ("missing", app("generators: [no.yaml]\n"), 4, "app/kustomization.yaml:1: no.yaml: no such file"),
        ("malformed", app("generators: [\n"), 3, "app/kustomization.yaml"),
        ("url", app("resources: ['https://example.com/x.yaml']\n"), 3, "would be fetched, which is not allowed"),
        ("url of a patch", app("patches: [{path: 'https://127.0.0.1/x.yaml'}]\n"), 3, "would be fetched"),
    ];
    for (name, case, code, words) in cases {
        let Some(run) = run(case) else { return };
        let message = run.failure(code);
        assert!(message.contains(words) && message.lines().count() <= 2, "{name}: {message}");
    }
}

#[test]
fn link_out_of_the_root_is_refused() {
    let case = app("resources: [out]\n");
    symlink(case.tmp(), case.root().join("app/out")).expect("a link");
    fs::write(case.tmp().join("kustomization.yaml"), "resources: []\n").expect("a file");
    let program = tool("kustomize");
    let Some(program) = program else { return };
    let run = case.arg("--kustomize").arg(program).run_with::<&str>(&unsops(), []);
    assert!(run.failure(4).contains("outside the allowed root"));
}

#[test]
fn ten_thousand_files_are_no_trouble() {
    let mut case = app("generators: [g.yaml]\n").file("app/g.yaml", FUNCTION);
    for number in 0..10_000 {
        case = case.file(format!("app/d{}/f{number}.yaml", number % 100), "a: b\n");
    }
    let begun = Instant::now();
    let Some(run) = run(case) else { return };
    assert!(run.text().contains("name: s\n"));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn ciphertext_in_the_output_is_refused() {
    let secret = fs::read_to_string(tests_dir().join("golden/ksops-single/secret.enc.yaml")).expect("a fixture");
    let plain = app("resources: [s.yaml]\n").file("app/s.yaml", &secret);
    let Some(first) = run(plain) else { return };
    assert!(first.failure(5).contains("Secret/mysecret: encrypted content came out undecrypted"));
    let kept = app("resources: [s.yaml]\ncommonAnnotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}\n")
        .file("app/s.yaml", secret);
    run(kept).expect("kustomize").text();
    let value = app("secretGenerator:\n- name: v\n  files: [secret.enc.txt]\n");
    assert!(run(value).expect("kustomize").failure(5).contains("data.secret.enc.txt"));
    let empty = app("resources: []\n");
    run(empty).expect("kustomize").failure(3);
}

#[test]
fn a_generator_that_did_not_run_is_an_error() {
    // A kustomize that leaves generators out, as the real one does for functions without --enable-exec.
    let case = app("generators: [g.yaml]\n").file("app/g.yaml", GENERATOR).file(
        "kustomize",
        "#!/bin/sh\n[ \"$1\" = version ] && echo v5.8.1 && exit\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: c}\\n'\n",
    );
    let program = case.root().join("kustomize");
    make_executable(&program);
    let message = case.arg("--kustomize").arg(program).run().failure(3);
    assert!(message.contains("app/g.yaml:1: ksops/gen: this generator did not run"), "{message}");
}

#[test]
fn keys_do_not_reach_kustomize() {
    let Some(real) = tool("kustomize") else { return };
    let script = format!("#!/bin/sh\n/usr/bin/env >> {{}}/seen\nexec {} \"$@\"\n", real.display());
    let case = app("generators: [g.yaml]\n").file("app/g.yaml", FUNCTION).env("AWS_SECRET_ACCESS_KEY", CANARY);
    let script = script.replace("{}", &case.root().display().to_string());
    let case = case.file("wrapper", script);
    let (program, seen) = (case.root().join("wrapper"), case.root().join("seen"));
    make_executable(&program);
    let case = case.arg("--kustomize").arg(program);
    case.run().text();
    let seen = fs::read_to_string(seen).expect("the wrapper ran");
    for name in ["SOPS_AGE", "AWS", CANARY] {
        assert!(!seen.contains(name), "{name} reached kustomize");
    }
}

#[test]
fn failing_keys_are_told_as_by_the_plugin() {
    let case = app("generators: [g.yaml]\n").file("app/g.yaml", FUNCTION).env("SOPS_AGE_KEY_FILE", "/nonexistent");
    let Some(run) = run(case) else { return };
    let message = run.failure(6);
    assert!(
        message.starts_with("unsops: error: secret.enc.txt: none of this file's keys could be opened"),
        "{message}"
    );
    assert!(!message.contains("kustomize") && !message.contains("unsops-build"), "{message}");
}

/// Errors in which kustomize prints whole Secrets.
#[test]
fn messages_of_kustomize_lose_their_secrets() {
    let secret = |name: &str, namespace: &str| {
        format!("  - metadata: {{name: {name}, namespace: {namespace}}}\n    files: [k=secret.enc.txt]\n")
    };
    let two = format!(
        "{}secretFrom:\n{}{}",
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\n",
        secret("s", "a"),
        secret("s", "b")
    )
    .replace("  - ", "- ")
    .replace("    files", "  files");
    let cases = [
        ("namespace conflict", app("generators: [g.yaml]\nnamespace: one\n").file("app/g.yaml", &two)),
        (
            "replacement out of range",
            app("generators: [g.yaml]\nresources: [cm.yaml]\nreplacements:\n- source: {kind: Secret, name: s, fieldPath: stringData.k, options: {delimiter: '/', index: 7}}\n  targets:\n  - {select: {kind: ConfigMap}, fieldPaths: [data.x]}\n")
                .file("app/g.yaml", GENERATOR.replace("[secret.enc.txt]", "[k=secret.enc.txt]"))
                .file("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {x: y}\n"),
        ),
        (
            "replacement below a string",
            app("generators: [g.yaml]\nresources: [cm.yaml]\nreplacements:\n- source: {kind: ConfigMap, name: c, fieldPath: data.x}\n  targets:\n  - {select: {kind: Secret}, fieldPaths: [stringData.k.deeper]}\n")
                .file("app/g.yaml", GENERATOR.replace("[secret.enc.txt]", "[k=secret.enc.txt]"))
                .file("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {x: y}\n"),
        ),
        (
            "merge of two",
            app("resources: [../a, ../b]\ngenerators: [g.yaml]\n")
                .file("a/kustomization.yaml", "resources: [../base]\nnamePrefix: a-\n")
                .file("b/kustomization.yaml", "resources: [../base]\nnamePrefix: b-\n")
                .file("base/kustomization.yaml", "generators: [g.yaml]\n")
                .file("base/g.yaml", GENERATOR)
                .fixture("enc/3.13.3/text.txt", "base/secret.enc.txt")
                .file("app/g.yaml", GENERATOR.replace("{name: s}", "{name: s, annotations: {kustomize.config.k8s.io/behavior: merge}}")),
        ),
    ];
    for (name, case) in cases {
        let Some(run) = run(case) else { return };
        // The harness has looked for canaries.
        let message = run.failure(3);
        assert!(message.contains("kustomize failed"), "{name}: {message}");
        assert!(message.len() < 1500 && !message.contains("unsops-build"), "{name}: {message}");
    }
}

#[test]
fn old_or_missing_kustomize_is_said_with_the_install_line() {
    let missing = app("resources: []\n").env("PATH", "/nonexistent").run().failure(2);
    assert!(missing.contains("kustomize is not on PATH") && missing.contains("go install sigs.k8s.io"), "{missing}");
    for said in ["v4.5.7", "{kustomize/v4.5.7  2022-08-02T16:35:54Z  }", "{Version:kustomize/v3.8.7 GitCommit:ad092c}"]
    {
        let case = app("generators: [g.yaml]\n").file("app/g.yaml", GENERATOR).file(
            "old",
            format!(
                "#!/bin/sh\n[ \"$1\" = version ] && echo '{said}' && exit\necho 'Error: unknown flag' >&2; exit 1\n"
            ),
        );
        let program = case.root().join("old");
        make_executable(&program);
        let message = case.arg("--kustomize").arg(program).run().failure(2);
        assert!(message.contains("is too old") && message.contains("go install"), "{said}: {message}");
    }
}

fn git(dir: &Path, args: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("git").success(), "git {args:?}");
}

/// A repository with a base whose generator is written for the exec function.
fn repository(files: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("in the directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    fs::create_dir_all(dir.path().join("base")).expect("a directory");
    fs::copy(tests_dir().join("fixtures/enc/3.13.3/text.txt"), dir.path().join("base/secret.enc.txt"))
        .expect("a fixture");
    git(dir.path(), &["init", "-q", "-b", "main"]);
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "x"]);
    let url = format!("file://{}//base?ref=main", dir.path().display());
    (dir, url)
}

#[test]
fn remote_base_is_built_where_allowed() {
    let (_kept, url) = repository(&[
        ("base/kustomization.yaml", "generators: [g.yaml]\n"),
        ("base/g.yaml", FUNCTION),
        // Never looked at by kustomize, so no business of ours.
        ("other/kustomization.yaml", "generators: [e.yaml]\n"),
        ("other/e.yaml", "apiVersion: x.example/v1\nkind: Evil\nmetadata: {name: e}\n"),
    ]);
    let case = || app(&format!("resources: ['{url}']\n")).env("PATH", "/usr/bin:/bin");
    for release in RELEASES {
        let Some(case) = with(case().arg("--allow-remote"), release) else { return };
        let run = case.run();
        assert!(run.text().contains("name: s\n"), "{release}: {}", run.redacted());
    }
    let message = run(case()).expect("kustomize").failure(3);
    assert!(message.contains("would be fetched, which is not allowed"), "{message}");
}

#[test]
fn remote_base_is_looked_through_before_it_is_built() {
    for (what, files) in [
        (
            "exec",
            [
                ("base/kustomization.yaml", "generators: [e.yaml]\n"),
                (
                    "base/e.yaml",
                    "apiVersion: x.example/v1\nkind: Evil\nmetadata:\n  name: e\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./e.sh}'\n",
                ),
            ],
        ),
        (
            "climbing",
            [
                ("base/kustomization.yaml", "generators: [e.yaml]\n"),
                (
                    "base/e.yaml",
                    "apiVersion: viaduct.ai/v1\nkind: ../../../../../../../../../../../bin/sh\nmetadata: {name: e}\n",
                ),
            ],
        ),
    ] {
        let (_kept, url) = repository(&files);
        let case = app(&format!("resources: ['{url}']\n")).env("PATH", "/usr/bin:/bin").arg("--allow-remote");
        let Some(run) = run(case) else { return };
        let message = run.failure(3);
        assert!(message.contains("base/e.yaml:1: "), "{what}: {message}");
    }
}

#[test]
fn output_file_is_complete_and_private() {
    let case = app("generators: [g.yaml]\n").file("app/g.yaml", FUNCTION).args(["-o", "out.yaml"]).report();
    let out = case.root().join("out.yaml");
    fs::write(&out, "before").expect("a file");
    let Some(case) = with(case, "kustomize") else { return };
    let run = case.run();
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    assert!(run.stdout.is_empty());
    assert!(fs::read_to_string(&out).expect("written").contains(CANARY));
    assert_eq!(fs::metadata(&out).expect("written").permissions().mode() & 0o777, 0o600);

    let case = app("generators: [no.yaml]\n").args(["-o", "out.yaml"]);
    let out = case.root().join("out.yaml");
    fs::write(&out, "before").expect("a file");
    let case = with(case, "kustomize").expect("kustomize");
    case.run().failure(4);
    assert_eq!(fs::read_to_string(&out).expect("untouched"), "before");
    self::run(app("generators: [g.yaml]\n").file("app/g.yaml", FUNCTION).args(["-o", "app"]))
        .expect("kustomize")
        .failure(9);
}

#[test]
fn a_build_that_is_stopped_leaves_nothing() {
    let case = app("generators: [g.yaml]\n")
        .file("app/g.yaml", FUNCTION)
        .file("slow", "#!/bin/sh\n[ \"$1\" = version ] && echo v5.8.1 && exit\nexec /bin/sleep 60\n");
    let program = case.root().join("slow");
    make_executable(&program);
    for signal in ending_signals() {
        let mut child = Command::new(unsops())
            .args(["build", "app", "--kustomize"])
            .arg(&program)
            .current_dir(case.root())
            .env_clear()
            .env("TMPDIR", case.tmp())
            .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
            .stdout(Stdio::null())
            .spawn()
            .expect("unsops");
        let begun = Instant::now();
        let left = |case: &Case| -> Vec<PathBuf> {
            fs::read_dir(case.tmp()).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
        };
        while left(&case).is_empty() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(300));
        let id = child.id().to_string();
        Command::new("sh").args(["-c", &format!("kill -{} {id}", signal.as_raw())]).status().expect("kill");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), None, "ended by the signal");
        assert!(left(&case).is_empty(), "{signal:?}: left behind {:?}", left(&case));
    }
}

#[test]
fn helm_charts_are_rendered_and_bring_no_plugins() {
    let (Some(kustomize), Some(helm)) = (tool("kustomize"), tool("helm")) else { return };
    let case = app("helmCharts:\n- name: c\n  releaseName: r\nhelmGlobals: {chartHome: charts, configHome: home}\ngenerators: [g.yaml]\n")
        .file("app/g.yaml", FUNCTION)
        .file("app/charts/c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n")
        .file("app/charts/c/values.yaml", "")
        .file("app/charts/c/templates/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {v: '{{ .Capabilities.KubeVersion }}'}\n")
        .env("PATH", "/usr/bin:/bin");
    let case = case
        .args(["--enable-helm", "--helm-kube-version", "1.30.0", "--helm-command"])
        .arg(helm)
        .arg("--kustomize")
        .arg(kustomize);
    let run = case.run();
    assert!(run.text().contains("v: v1.30.0") && run.text().contains("name: s\n"), "{}", run.redacted());
    assert_no_canary("stderr", &run.stderr);
}

/// `configHome` of a kustomization makes a directory of the repository the place of helm's plugins, and the scheme of a
/// chart's repository chooses one of them.
#[test]
fn helm_plugins_of_a_repository_do_not_run() {
    let (Some(kustomize), Some(helm)) = (tool("kustomize"), tool("helm")) else { return };
    let case = Case::new()
        .file("kustomization.yaml", "helmCharts: [{name: c, repo: 'evil://x', version: 1.0.0}]\nhelmGlobals: {configHome: home}\n")
        .file("home/.data/plugins/evil/plugin.yaml", "name: evil\nversion: 0.1.0\nusage: x\ndescription: x\ncommand: x\ndownloaders: [{command: bin/evil, protocols: [evil]}]\n")
        .file("home/.data/plugins/evil/bin/evil", "#!/bin/sh\n: > \"$HELM_PLUGIN_DIR/ran\"\nexit 1\n")
        .env("PATH", "/usr/bin:/bin")
        .args(["build", ".", "--enable-helm", "--helm-command"])
        .arg(&helm);
    let ran = case.root().join("home/.data/plugins/evil/ran");
    make_executable(&case.root().join("home/.data/plugins/evil/bin/evil"));
    // kustomize itself does run it: otherwise this test would show nothing.
    assert_ne!(case.run_program(&kustomize).status, Some(0));
    assert!(ran.exists(), "helm has changed where it looks for plugins");
    fs::remove_file(&ran).expect("made just now");
    let case = case.arg("--kustomize").arg(kustomize);
    case.run().failure(3);
    assert!(!ran.exists(), "a plugin of the repository ran");
}

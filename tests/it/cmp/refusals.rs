//! Hostile repositories, requests and circumstances: one clear message each, nothing decrypted anywhere.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::sidecar::{Repo, Setup, Sidecar};
use crate::endurance::figure;
use crate::harness::{CANARY, tests_dir};

/// A kustomization of one encrypted manifest, `app/object.enc.yaml`.
fn app() -> Repo {
    let enc = fs::read(tests_dir().join("golden/kinds/object.enc.json")).expect("a fixture");
    Repo::new()
        .file("app/object.enc.json", enc)
        .file("app/generator.yaml", generator("files: [object.enc.json]"))
        .file("app/kustomization.yaml", "generators: [generator.yaml]\n")
}

fn generator(lines: &str) -> String {
    format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: g}}\n{lines}\n")
}

#[track_caller]
fn refused(sidecar: &Sidecar, repo: &Repo, status: i32, words: &str) {
    let rendered = sidecar.render(repo.path(), "app");
    let message = rendered.refusal(status);
    assert!(message.contains(words), "{message}");
}

#[test]
fn no_key() {
    let Some(sidecar) = Setup::new().without_keys().start() else { return };
    refused(&sidecar, &app(), 6, "object.enc.json: none of this file's keys could be opened");
}

#[test]
fn changed_after_sops_wrote_it() {
    let key = super::sidecar::project().join("examples/keys.txt").display().to_string();
    let Some(sidecar) = Setup::new().env("SOPS_AGE_KEY_FILE", &key).start() else { return };
    let repo = Repo::new().tree("examples/plain", "app");
    let path = repo.path().join("app/database.enc.yaml");
    let text = fs::read_to_string(&path).expect("a file");
    let changed = text.replacen("name: database", "name: databases", 1);
    assert_ne!(text, changed);
    fs::write(&path, changed).expect("written");
    refused(&sidecar, &repo, 7, "do not retry");
}

#[test]
fn plugin_env_that_would_be_the_operators() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = app();
    let touched = sidecar.outside().join("touched");
    for name in [
        "SOPS_AGE_KEY_CMD",
        "sops.age-key_cmd",
        "SOPS_AGE_KEY_FILE",
        "UNSOPS_ROOT",
        "UNSOPS_ALLOW_EXEC",
        "PATH",
        "AWS_ENDPOINT_URL",
    ] {
        let env = json!([{"name": name, "value": format!("/usr/bin/touch {}", touched.display())}]);
        let source = json!({"path": "app", "plugin": {"name": "unsops", "env": env}});
        let rendered = sidecar.render_source(repo.path(), &source, &[]);
        let message = rendered.refusal(2);
        assert!(message.contains(&format!("plugin.env {name}: an Application cannot set this variable")), "{message}");
    }
    assert!(!touched.exists());
    // Others have no effect, and do no harm.
    let source = json!({"path": "app", "plugin": {"name": "unsops", "env": [{"name": "COLOUR", "value": "blue"}]}});
    assert_eq!(sidecar.render_source(repo.path(), &source, &[]).names().len(), 1);
}

#[test]
fn committed_source_file_cannot_lead_us() {
    let Some(sidecar) = Setup::new().start() else { return };
    let override_with = |plugin: &str| app().file("app/.argocd-source.yaml", format!("plugin:\n{plugin}"));
    let env = override_with("  env: [{name: SOPS_AGE_KEY_CMD, value: /bin/true}]\n");
    refused(&sidecar, &env, 2, "plugin.env SOPS_AGE_KEY_CMD");
    let parameters = override_with("  parameters: [{name: sops-age-key-file, string: /proc/self/environ}]\n");
    refused(&sidecar, &parameters, 2, "parameter sops-age-key-file: does not exist");
    let elsewhere = override_with("  parameters: [{name: recurse, string: \"true\"}]\n");
    refused(&sidecar, &elsewhere, 2, "parameter recurse: has no effect here");
    let harmless = override_with("  env: [{name: COLOUR, value: blue}]\n");
    assert_eq!(sidecar.render(harmless.path(), "app").names().len(), 1);
}

#[test]
fn sources_out_of_the_repository() {
    let Some(sidecar) = Setup::new().start() else { return };
    let secret = sidecar.outside().join("plugin.yaml").display().to_string();
    for (path, words) in [
        ("../../../../../../../../etc/passwd", "outside the allowed root"),
        (secret.as_str(), "absolute paths are not allowed"),
        ("/proc/self/environ", "absolute paths are not allowed"),
        ("../../../log", "outside the allowed root"),
    ] {
        let repo = app().file("app/generator.yaml", generator(&format!("files: [{path:?}]")));
        let rendered = sidecar.render(repo.path(), "app");
        let Err(message) = &rendered.result else { panic!("{path} was read") };
        assert!(message.contains(words), "{path}: {message}");
    }
}

#[test]
fn links_out_of_the_repository() {
    let Some(sidecar) = Setup::new().start() else { return };
    // repo-server refuses them before we are asked.
    let absolute = app().link("/etc/passwd", "app/passwd");
    let message = sidecar.render(absolute.path(), "app").result.expect_err("refused");
    assert!(message.contains("out-of-bounds"), "{message}");
    // Without it, the server turns an absolute link into one that leads nowhere, and refuses one that climbs out.
    let repo = app().file("app/generator.yaml", generator("files: [passwd]")).link("/etc/passwd", "app/passwd");
    let message = sidecar.call("generate", repo.path(), "app", &[]).expect_err("refused");
    assert!(message.contains("failed exit status 4"), "{message}");
    let repo = app().link("../../../../etc/passwd", "app/passwd");
    let message = sidecar.call("generate", repo.path(), "app", &[]).expect_err("refused");
    assert!(message.contains("escapes"), "{message}");
}

#[test]
fn programs_of_the_repository() {
    let Some(sidecar) = Setup::new().start() else { return };
    let touched = sidecar.outside().join("touched");
    let script = format!("#!/bin/sh\n/usr/bin/touch {}\n", touched.display());
    let annotated = |spec: &str| {
        format!(
            "apiVersion: example.com/v1\nkind: Evil\nmetadata:\n  name: e\n  annotations:\n    config.kubernetes.io/function: |\n      {spec}\n"
        )
    };
    for (manifest, words) in [
        (annotated("exec: {path: ./evil.sh}"), "would run the program ./evil.sh"),
        (annotated("exec: {path: /bin/sh, args: [evil.sh]}"), "would run the program /bin/sh"),
        (annotated("container: {image: example.com/evil}"), "would run the container example.com/evil"),
        ("apiVersion: ../../../bin\nkind: sh\nmetadata: {name: e}\n".to_owned(), "not allowed"),
        ("apiVersion: example.com/v1\nkind: Evil\nmetadata: {name: e}\n".to_owned(), "not allowed"),
    ] {
        for field in ["generators", "transformers", "validators"] {
            let kustomization = format!("resources: [cm.yaml]\n{field}: [evil.yaml]\n");
            let repo = Repo::new()
                .file("app/evil.sh", &script)
                .file("app/evil.yaml", &manifest)
                .file("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n")
                .file("app/kustomization.yaml", kustomization);
            let rendered = sidecar.render(repo.path(), "app");
            let Err(message) = &rendered.result else { panic!("{field} {manifest}: rendered") };
            assert!(message.contains(words), "{message}");
        }
    }
    assert!(!touched.exists());
}

#[test]
fn what_would_be_fetched() {
    let Some(sidecar) = Setup::new().start() else { return };
    for kustomization in [
        "resources: [https://evil.example.com/x.yaml]\n",
        "resources: ['git@evil.example.com:org/repo.git//base?ref=main']\n",
        "resources: [github.com/org/repo//base]\n",
        "components: [https://evil.example.com/org/repo//c]\n",
        "generators: [https://evil.example.com/g.yaml]\n",
    ] {
        let repo = Repo::new().file("app/kustomization.yaml", kustomization);
        let begin = Instant::now();
        let rendered = sidecar.render(repo.path(), "app");
        let Err(message) = &rendered.result else { panic!("{kustomization}: rendered") };
        assert!(message.contains("not allowed"), "{kustomization}: {message}");
        assert!(!message.contains("--allow-"), "flags that an Application does not have: {message}");
        assert!(begin.elapsed() < Duration::from_secs(20), "was it fetched?");
    }
}

#[test]
fn charts_of_a_kustomization_start_no_helm() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = Repo::new().file(
        "app/kustomization.yaml",
        "helmCharts:\n- {name: x, repo: \"https://evil.example.com\", version: 1.0.0, releaseName: x}\n",
    );
    let message = sidecar.render(repo.path(), "app").result.expect_err("refused");
    assert!(message.contains("unsops: error: "), "{message}");
}

#[test]
fn nothing_to_give_is_a_failure() {
    let Some(sidecar) = Setup::new().start() else { return };
    for repo in [
        Repo::new().file("app/kustomization.yaml", "resources: []\n"),
        Repo::new().file("app/kustomization.yaml", "resources: [x.yaml]\n").file("app/x.yaml", "# nothing\n"),
        Repo::new().file("app/README.md", "nothing\n"),
        Repo::new().file("app/values.yaml", "replicas: 1\n"),
        app().file("app/generator.yaml", generator("files: []")),
        app().file("app/generator.yaml", "# nothing\n"),
    ] {
        let rendered = sidecar.render(repo.path(), "app");
        assert!(rendered.result.is_err(), "rendered: {:?}", rendered.names());
        rendered.refusal(3);
    }
}

#[test]
fn encrypted_manifest_beside_the_generators() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo =
        Repo::new().tree("examples/plain", "app").file("app/kustomization.yaml", "resources: [database.enc.yaml]\n");
    refused(&sidecar, &repo, 5, "Secret/database: encrypted content came out undecrypted");
}

#[test]
fn many_failures_are_counted_not_listed() {
    let Some(sidecar) = Setup::new().without_keys().start() else { return };
    let repo = app();
    let enc = fs::read(repo.path().join("app/object.enc.json")).expect("a file");
    let names: Vec<String> = (0..300).map(|n| format!("secret-of-some-team-{n}.enc.json")).collect();
    let repo = names.iter().fold(repo, |repo, name| repo.file(&format!("app/{name}"), &enc));
    let repo = repo.file("app/generator.yaml", generator(&format!("files: [{}]", names.join(", "))));
    refused(&sidecar, &repo, 6, "more failures");
}

#[test]
fn ten_thousand_files() {
    let Some(sidecar) = Setup::new().start() else { return };
    let plain = (0..10_000).fold(Repo::new(), |repo, n| {
        repo.file(&format!("app/{n}.yaml"), format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\n"))
    });
    refused(&sidecar, &plain, 4, "more than 4096 manifests in one directory");
    let names: Vec<String> = (0..10_000).map(|n| format!("x{n}.enc.yaml")).collect();
    let repo = app().file("app/generator.yaml", generator(&format!("files: [{}]", names.join(", "))));
    refused(&sidecar, &repo, 3, "more than 4096 sources");
}

#[test]
fn bases_that_go_round() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = Repo::new()
        .file("app/kustomization.yaml", "resources: [../other]\n")
        .file("other/kustomization.yaml", "resources: [../app]\n");
    refused(&sidecar, &repo, 3, "kustomization.yaml");
}

/// kustomize prints both Secrets in this error.
#[test]
fn errors_of_kustomize_that_print_secrets() {
    let Some(sidecar) = Setup::new().start() else { return };
    let enc = fs::read(tests_dir().join("golden/kinds/list.enc.yaml")).expect("a fixture");
    let repo = Repo::new()
        .file("base/object.enc.yaml", &enc)
        .file("base/generator.yaml", generator("files: [object.enc.yaml]"))
        .file("base/kustomization.yaml", "generators: [generator.yaml]\n")
        .file("one/kustomization.yaml", "resources: [../base]\nnamespace: one\n")
        .file("two/kustomization.yaml", "resources: [../base]\nnamespace: two\n")
        .file("app/kustomization.yaml", "resources: [../one, ../two]\nnamespace: same\n");
    refused(&sidecar, &repo, 3, "kustomize failed");
}

#[test]
fn key_program_that_never_ends() {
    let setup = Setup::new().without_keys().env("UNSOPS_ALLOW_EXEC", "1").env("UNSOPS_DEADLINE", "2");
    let Some(sidecar) = setup.env("SOPS_AGE_KEY_CMD", "/bin/sleep 987").start() else { return };
    let begin = Instant::now();
    let rendered = sidecar.render(app().path(), "app");
    assert!(rendered.result.is_err());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let left = processes.filter(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sleep\x00987"))
    });
    assert_eq!(left.count(), 0, "left running");
    figure(&format!("deadline of 2 s, given up after {:.1} s, 0 processes left", begin.elapsed().as_secs_f64()));
}

/// The server kills us when the caller is gone; nobody but the next rendering can clean up then.
#[test]
fn rendering_that_is_cancelled_leaves_no_process_and_no_file_for_long() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("kustomize");
    let (seconds, own) = ("986", std::process::id());
    fs::write(&script, format!("#!/bin/sh\nexec /bin/sleep {seconds}.{own}\n")).expect("a script");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let Some(sidecar) = Setup::new().program("kustomize", &script).start() else { return };
    assert!(sidecar.call_and_leave(app().path(), "app", "2s").is_err());
    let running = || {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let wanted = format!("/bin/sleep\0{seconds}.{own}");
        let is_it = |line: Vec<u8>| line.starts_with(wanted.as_bytes());
        processes.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(is_it)).count()
    };
    let begin = Instant::now();
    while running() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(15), "kustomize goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is left is swept by the next one, which `render` checks.
    fs::write(&script, "#!/bin/sh\nexit 1\n").expect("a script");
    assert!(sidecar.render(app().path(), "app").result.is_err());
}

/// kustomize reads files for its own generators and patches; the keys lie on the same disk.
#[test]
fn kustomize_reads_nothing_out_of_the_repository() {
    let Some(sidecar) = Setup::new().start() else { return };
    let secret = sidecar.outside().join("secret.yaml");
    let object = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: {CANARY}}}\n");
    fs::write(&secret, &object).expect("a file");
    let climb = format!("../../../../../../../../../../..{}", secret.display());
    for path in [secret.display().to_string(), climb] {
        for kustomization in [
            format!("resources: [{path:?}]\n"),
            format!("components: [{path:?}]\n"),
            format!("configMapGenerator: [{{name: c, files: [{path:?}]}}]\n"),
            format!("secretGenerator: [{{name: c, envs: [{path:?}]}}]\n"),
            format!("resources: [cm.yaml]\npatches: [{{path: {path:?}}}]\n"),
            format!("resources: [cm.yaml]\npatchesStrategicMerge: [{path:?}]\n"),
            format!("resources: [cm.yaml]\nreplacements: [{{path: {path:?}}}]\n"),
            format!("resources: [cm.yaml]\nconfigurations: [{path:?}]\n"),
            format!("resources: [cm.yaml]\ncrds: [{path:?}]\n"),
            format!("resources: [cm.yaml]\nopenapi: {{path: {path:?}}}\n"),
            format!("resources: [cm.yaml]\ntransformers: [{path:?}]\n"),
            format!(
                "generators: [\"{{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {{name: g}}, name: g, files: ['{path}']}}\"]\n"
            ),
        ] {
            let repo = Repo::new()
                .file("app/kustomization.yaml", &kustomization)
                .file("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
            let rendered = sidecar.render(repo.path(), "app");
            assert!(rendered.result.is_err(), "{kustomization}: {:?}", rendered.names());
        }
    }
}

/// The search itself must be able to find something.
#[test]
fn search_for_secrets_finds_what_argocd_logs_at_debug() {
    let Some(sidecar) = Setup::new().start() else { return };
    let rendered = sidecar.render(app().path(), "app");
    assert!(serde_json::to_string(&rendered.answer).expect("JSON").contains(CANARY));
    let log = sidecar.log();
    assert!(log.contains("Plugin command successful") && !log.contains(CANARY));
    assert!(std::panic::catch_unwind(|| crate::harness::assert_no_canary("x", CANARY.as_bytes())).is_err());
}

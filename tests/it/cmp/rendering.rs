//! What renders, and in which circumstances.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use super::sidecar::{Repo, Setup, Sidecar, project};
use crate::harness::{CANARY, tests_dir, tool};

/// The value that Argo CD's tracking label and annotation take away again.
fn without_tracking(mut object: Value) -> Value {
    let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return object };
    let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
    if annotations.is_some_and(|annotations| {
        annotations.remove("argocd.argoproj.io/tracking-id");
        annotations.is_empty()
    }) {
        metadata.remove("annotations");
    }
    object
}

fn yaml(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

#[test]
fn every_golden_kustomization_renders_as_kustomize_builds_it() {
    let Some(sidecar) = Setup::new().start() else { return };
    let mut count = 0;
    for entry in fs::read_dir(tests_dir().join("golden")).expect("tests/golden") {
        let entry = entry.expect("an entry");
        let Ok(want) = fs::read_to_string(entry.path().join("want.yaml")) else { continue };
        let name = entry.file_name().into_string().expect("UTF-8");
        let repo = Repo::new().tree(&format!("tests/golden/{name}"), "app");
        let start = if entry.path().join("kustomization.yaml").exists() { "app" } else { "app/overlay" };
        let got: Vec<Value> =
            sidecar.render(repo.path(), start).manifests().iter().cloned().map(without_tracking).collect();
        let want: Vec<Value> = yaml(&want).into_iter().map(without_tracking).collect();
        assert_eq!(got, want, "{name}");
        count += 1;
    }
    assert!(count >= 15, "only {count} cases");
}

#[test]
fn example_applications_render() {
    let key = project().join("examples/keys.txt").display().to_string();
    let Some(helm) = tool("helm") else { return };
    let setup = Setup::new().env("SOPS_AGE_KEY_FILE", &key).env("UNSOPS_HELM", &helm.display().to_string());
    let Some(sidecar) = setup.start() else { return };
    let repo = Repo::new().tree("examples", "examples");
    for (file, want) in [
        ("app-kustomize", &["Secret/app-config", "Secret/registry-c8bhk2cd46", "Deployment/shop"][..]),
        ("app-plain", &["ConfigMap/settings", "Secret/database", "Secret/extra"]),
        ("app-helm", &["Secret/metrics-login", "Deployment/metrics"]),
    ] {
        let text = fs::read_to_string(project().join(format!("argocd/examples/{file}.yaml"))).expect(file);
        let application = yaml(&text).remove(0);
        let rendered = sidecar.render_source(repo.path(), &application["spec"]["source"], &[]);
        let (mut names, mut want) = (rendered.names(), want.to_vec());
        names.sort();
        want.sort_unstable();
        assert_eq!(names, want, "{file}");
        assert!(rendered.answer.to_string().contains(CANARY) || file == "app-kustomize", "{file}: not decrypted");
    }
}

/// A kustomization in `apps/one` that reads from beside itself and from the repository's root.
fn spread_out() -> Repo {
    Repo::new()
        .tree("tests/golden/ksops-single", "apps/one")
        .file("base/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\n")
        .file("base/kustomization.yaml", "resources: [cm.yaml]\n")
        .file("apps/both/kustomization.yaml", "resources: [../one, ../../base]\n")
}

#[test]
fn renders_with_and_without_git_and_with_a_narrowed_tree() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = spread_out();
    let source = |path: &str| json!({"path": path, "plugin": {"name": "unsops"}});
    let whole = sidecar.render_source(repo.path(), &source("apps/both"), &[]).names();
    assert_eq!(whole.len(), 2, "{whole:?}");
    for exclude in [".git", ".git/*", ".git/**"] {
        let names = sidecar.render_source(repo.path(), &source("apps/both"), &["--exclude", exclude]).names();
        assert_eq!(names, whole, "{exclude}");
    }
    // Narrowed to `apps`: what lies beneath still renders, and the rest of the repository is out of reach.
    let narrowed = ["--manifest-generate-paths", "/apps"];
    assert_eq!(sidecar.render_source(repo.path(), &source("apps/one"), &narrowed).names().len(), 1);
    let refused = sidecar.render_source(repo.path(), &source("apps/both"), &narrowed);
    assert!(refused.refusal(4).contains("argocd.argoproj.io/manifest-generate-paths"));
    let narrowed = ["--manifest-generate-paths", "."];
    assert_eq!(sidecar.render_source(repo.path(), &source("apps/one"), &narrowed).names().len(), 1);
}

#[test]
fn links_within_the_repository_are_followed() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = Repo::new().tree("tests/golden/ksops-single", "real").link("real", "linked");
    assert_eq!(sidecar.render(repo.path(), "linked").names(), sidecar.render(repo.path(), "real").names());
    let encrypted = fs::read_dir(project().join("tests/golden/ksops-single"))
        .expect("a golden case")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .find(|name| name.contains(".enc."))
        .expect("an encrypted file");
    let moved = Repo::new().tree("tests/golden/ksops-single", "app");
    fs::create_dir(moved.path().join("secrets")).expect("a directory");
    fs::rename(moved.path().join("app").join(&encrypted), moved.path().join("secrets").join(&encrypted))
        .expect("moved");
    let moved = moved.link(format!("../secrets/{encrypted}"), &format!("app/{encrypted}"));
    assert_eq!(sidecar.render(moved.path(), "app").names(), sidecar.render(repo.path(), "real").names());
}

#[test]
fn many_at_a_time_do_not_disturb_each_other() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = spread_out();
    let alone = sidecar.call("generate", repo.path(), "apps/one", &[]).expect("rendered");
    let sidecar: &Sidecar = &sidecar;
    thread::scope(|scope| {
        let runs: Vec<_> =
            (0..8).map(|_| scope.spawn(|| sidecar.call_while_others("generate", repo.path(), "apps/one"))).collect();
        for run in runs {
            assert_eq!(run.join().expect("no panic").expect("rendered"), alone);
        }
    });
    sidecar.search_for_secrets();
}

#[test]
fn key_programs_stay_off_unless_the_operator_turns_them_on() {
    let key = tests_dir().join("keys/age.txt").display().to_string();
    let cat = |setup: Setup| setup.without_keys().env("SOPS_AGE_KEY_CMD", &format!("/bin/cat {key}"));
    let repo = Repo::new().tree("tests/golden/ksops-single", "app");
    let Some(sidecar) = cat(Setup::new()).start() else { return };
    let message = sidecar.render(repo.path(), "app").refusal(6).to_owned();
    assert!(message.contains("SOPS_AGE_KEY_CMD was not run (key programs are switched off)"), "{message}");
    drop(sidecar);
    let Some(sidecar) = cat(Setup::new()).env("UNSOPS_ALLOW_EXEC", "1").start() else { return };
    assert_eq!(sidecar.render(repo.path(), "app").names().len(), 1);
}

/// A kustomize that writes down its environment before the real one runs.
fn spying_kustomize(dir: &Path) -> Option<std::path::PathBuf> {
    let (kustomize, script) = (tool("kustomize")?, dir.join("kustomize"));
    let text =
        format!("#!/bin/sh\n/usr/bin/env > {}\nexec {} \"$@\"\n", dir.join("env").display(), kustomize.display());
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
    Some(script)
}

#[test]
fn git_credentials_and_the_request_reach_no_child() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(kustomize) = spying_kustomize(dir.path()) else { return };
    let Some(sidecar) = Setup::new().program("kustomize", &kustomize).spec("  provideGitCreds: true\n").start() else {
        return;
    };
    let repo = Repo::new().tree("tests/golden/ksops-single", "app");
    let source = json!({
        "path": "app",
        "plugin": {"name": "unsops", "env": [{"name": "COLOUR", "value": "blue"}]},
    });
    let credentials = json!({
        "repo": "https://git.example.com/org/repo.git",
        "username": "robot", "password": format!("{CANARY}-git"), "forceHttpBasicAuth": true,
    });
    let rendered = sidecar.render_source(repo.path(), &source, &["--repo", &credentials.to_string()]);
    assert_eq!(rendered.names().len(), 1);
    let seen = fs::read_to_string(dir.path().join("env")).expect("kustomize ran");
    let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    for name in &names {
        assert!(
            !["GIT_", "ARGOCD_", "SSH_", "PARAM_", "SOPS_", "KUBE_"].iter().any(|prefix| name.starts_with(prefix)),
            "kustomize sees {name}"
        );
    }
    assert!(names.contains(&"KUSTOMIZE_PLUGIN_HOME"), "{names:?}");
}

/// The other deployment form: Argo CD's own kustomize runs us as a legacy plugin; nothing of a sidecar is involved.
#[test]
fn renders_as_a_plugin_of_argocds_own_kustomize() {
    let Some(sidecar) = Setup::new().start() else { return };
    let Some(kustomize) = tool("kustomize") else { return };
    let home = tempfile::tempdir().expect("a directory");
    for plugin in ["viaduct.ai/v1/ksops/ksops", "goabout.com/v1beta1/sopssecretgenerator/SopsSecretGenerator"] {
        let path = home.path().join(plugin);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::os::unix::fs::symlink(crate::harness::unsops(), path).expect("a link");
    }
    let generator = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nfiles: [database.enc.yaml]\n";
    let repo = Repo::new()
        .tree("examples/plain", "app")
        .file("app/generator.yaml", generator)
        .file("app/kustomization.yaml", "generators: [generator.yaml]\n");
    let options = json!({"BuildOptions": "--enable-alpha-plugins", "BinaryPath": kustomize}).to_string();
    let source = json!({"path": "app"});
    let key = project().join("examples/keys.txt");
    let rendered = sidecar.render_beside(
        repo.path(),
        &source,
        &["--kustomize-options", &options],
        &[("KUSTOMIZE_PLUGIN_HOME", home.path()), ("SOPS_AGE_KEY_FILE", &key)],
    );
    assert_eq!(rendered.names(), ["Secret/database"]);
    assert_eq!(rendered.answer["sourceType"], "Kustomize");
    let missing = sidecar.render_beside(
        repo.path(),
        &source,
        &["--kustomize-options", &options],
        &[("KUSTOMIZE_PLUGIN_HOME", home.path())],
    );
    let message = missing.result.expect_err("no key");
    assert!(message.contains("none of this file's keys could be opened"), "{message}");
}

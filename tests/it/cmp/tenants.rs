//! One sidecar, many tenants: the operator's policy under the real server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::sidecar::{Repo, Setup, Sidecar, project};
use crate::harness::tool;

/// A policy in a directory of this process' own.
fn policy_file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("policy.yaml");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("read-only");
    (dir, path)
}

fn start(policy: &Path) -> Option<Sidecar> {
    let key = project().join("examples/keys.txt").display().to_string();
    Setup::new().env("SOPS_AGE_KEY_FILE", &key).env("UNSOPS_POLICY", &policy.display().to_string()).start()
}

#[test]
fn policy_that_the_sidecar_could_change_binds_nobody_and_is_refused() {
    let (_dir, path) =
        policy_file(&fs::read_to_string(project().join("argocd/sidecar/policy.yaml")).expect("a policy"));
    let Some(sidecar) = start(&path) else { return };
    let repo = Repo::new().tree("examples", "examples");
    for app in ["examples/ksops", "examples/plain"] {
        let rendered = sidecar.render(repo.path(), app);
        let Err(message) = &rendered.result else { panic!("{app}: rendered") };
        assert!(message.contains("this policy cannot be relied on"), "{message}");
    }
}

#[test]
fn policy_that_is_missing_denies_everything() {
    let Some(sidecar) = start(Path::new("/nonexistent/policy.yaml")) else { return };
    let repo = Repo::new().tree("examples", "examples");
    for app in ["examples/ksops", "examples/plain"] {
        assert!(sidecar.render(repo.path(), app).result.is_err(), "{app}");
    }
    let source = json!({"path": "examples/plain", "plugin": {"name": "unsops", "env": [{"name": "UNSOPS_POLICY", "value": ""}]}});
    sidecar.render_source(repo.path(), &source, &[]).refusal(2);
}

const RECIPIENT: &str = "age16ms9fur8fe3w40cr03uktvd78r9r20dcpnlx3tx93cchl7z0l57sx3cc6y";

/// Team A may use the key of `examples` for Secrets, team B no key, team C the key for ConfigMaps of one directory.
fn three_tenants() -> Option<Sidecar> {
    let policy = format!(
        "apiVersion: unsops.dev/v1\nkind: Policy\ncontact: the platform team\nrules:\n\
         - {{name: a, match: {{projects: [a]}}, allow: {{age: [{RECIPIENT}]}}}}\n\
         - {{name: b, match: {{projects: [b]}}, allow: {{age: []}}}}\n\
         - {{name: c, match: {{projects: [c]}}, allow: {{age: [{RECIPIENT}], kinds: [v1/ConfigMap]}}}}\n\
         - {{name: d, match: {{projects: [d]}}, allow: {{age: [{RECIPIENT}], directories: [elsewhere]}}}}\n"
    );
    // Where the server is another user, the key must be one that it can read.
    let key = fs::read_to_string(project().join("examples/keys.txt")).expect("keys");
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("a key");
    let setup = Setup::new().without_keys().env("SOPS_AGE_KEY", key);
    match tool("helm") {
        Some(helm) => setup.env("UNSOPS_HELM", &helm.display().to_string()).policy(&policy).start(),
        None => None,
    }
}

#[test]
fn policy_decides_by_project_whatever_is_rendered() {
    let Some(sidecar) = three_tenants() else { return };
    let repo = Repo::new().tree("examples", "examples");
    for app in ["examples/ksops", "examples/ssg", "examples/plain", "examples/helm"] {
        let source = json!({"path": app, "plugin": {"name": "unsops"}});
        let render = |project: &str| sidecar.render_source(repo.path(), &source, &["--project", project]);
        assert!(render("a").names().iter().any(|name| name.starts_with("Secret/")), "{app}");
        for (project, status, words) in [
            ("b", 6, "rule b of the policy does not allow this key"),
            ("c", 3, "rule c of the policy does not allow decrypted objects of kind Secret"),
            ("d", 4, "rule d of the policy does not allow files in this place"),
            ("stranger", 6, "no rule"),
        ] {
            let rendered = render(project);
            let message = rendered.refusal(status);
            assert!(message.contains(words) && message.contains("the platform team"), "{app}, {project}: {message}");
        }
    }
}

#[test]
fn values_within_plain_secrets_are_under_the_policy_too() {
    use base64::Engine;
    let Some(sidecar) = three_tenants() else { return };
    let file = fs::read(project().join("examples/plain/database.enc.yaml")).expect("an example");
    let value = base64::engine::general_purpose::STANDARD.encode(file);
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: files}}\ndata:\n  database.yaml: {value}\n");
    let repo = Repo::new().file("app/x.yaml", secret);
    let source = json!({"path": "app", "plugin": {"name": "unsops"}});
    let render = |project: &str| sidecar.render_source(repo.path(), &source, &["--project", project]);
    assert_eq!(render("a").names(), ["Secret/files"]);
    for (project, status) in [("b", 6), ("c", 3), ("d", 4), ("stranger", 6)] {
        render(project).refusal(status);
    }
}

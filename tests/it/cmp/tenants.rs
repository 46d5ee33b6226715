//! One sidecar, many tenants: the operator's policy under the real server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::sidecar::{Repo, Setup, Sidecar, project};

/// A policy that this process cannot change. Root can change everything, so the tests that need one are skipped there
/// unless the file lies on a read-only mount; the refusal itself is tested in either case.
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

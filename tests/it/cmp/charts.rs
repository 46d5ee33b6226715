//! Helm charts: rendered by the real helm, whatever whoever commits does to it.

use serde_json::{Value, json};

use super::sidecar::{Repo, Setup, Sidecar, project};
use crate::harness::tool;

fn sidecar() -> Option<Sidecar> {
    let helm = tool("helm")?.display().to_string();
    let key = project().join("examples/keys.txt").display().to_string();
    Setup::new().env("SOPS_AGE_KEY_FILE", &key).env("UNSOPS_HELM", &helm).start()
}

fn chart() -> Repo {
    Repo::new().tree("examples/helm", "app")
}

fn with(parameters: &Value) -> Value {
    json!({"path": "app", "plugin": {"name": "unsops", "parameters": parameters}})
}

fn values(files: &[&str]) -> Value {
    with(&json!([{"name": "value-files", "array": files}]))
}

#[test]
fn needs_the_operators_helm() {
    let Some(sidecar) = Setup::new().start() else { return };
    let rendered = sidecar.render(chart().path(), "app");
    assert!(rendered.refusal(2).contains("no helm is configured"));
}

#[test]
fn takes_release_namespace_and_values_from_the_application() {
    let Some(sidecar) = sidecar() else { return };
    let repo = chart().file("values/more.yaml", "replicas: 7\n");
    let parameters = json!([
        {"name": "release-name", "string": "shop"},
        {"name": "value-files", "array": ["values-prod.yaml", "../values/more.yaml"]},
    ]);
    let rendered = sidecar.render_source(repo.path(), &with(&parameters), &[]);
    let deployment = rendered.manifests().iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    assert_eq!(deployment["metadata"]["name"], "shop");
    assert_eq!(deployment["metadata"]["namespace"], "demo-ns");
    assert_eq!(deployment["spec"]["replicas"], 7);
    // Without parameters, the release is named after the Application.
    assert!(sidecar.render(repo.path(), "app").names().contains(&"Deployment/demo".to_owned()));
}

#[test]
fn names_cannot_be_flags_or_templates() {
    let Some(sidecar) = sidecar() else { return };
    for name in ["--post-renderer=/bin/sh", "-f/etc/passwd", "{{ env \"HOME\" }}", "a b", "A", "x\n", &"x".repeat(54)] {
        let rendered =
            sidecar.render_source(chart().path(), &with(&json!([{"name": "release-name", "string": name}])), &[]);
        assert!(rendered.refusal(2).contains("is not a name that helm takes"), "{name}");
    }
}

#[test]
fn values_files_stay_files_of_the_repository() {
    let Some(sidecar) = sidecar() else { return };
    let repo = chart()
        .file("app/a.yaml,/etc/passwd", "x: 1\n")
        .tree("examples/plain", "plain")
        .file("app/https:/evil.example.com/x.yaml", "x: 1\n");
    for (file, status) in [
        ("/etc/passwd", 4),
        ("../../../../../../etc/passwd", 4),
        ("a.yaml,/etc/passwd", 4),
        ("https://evil.example.com/x.yaml", 4),
        ("-", 4),
        ("missing.yaml", 4),
        ("../plain/database.enc.yaml", 5),
    ] {
        let rendered = sidecar.render_source(repo.path(), &values(&[file]), &[]);
        assert!(rendered.refusal(status).contains("value-files"), "{file}");
    }
    let wrong = with(&json!([{"name": "value-files", "string": "values-prod.yaml"}]));
    assert!(sidecar.render_source(repo.path(), &wrong, &[]).refusal(2).contains("is not an array"));
}

/// helm follows references of a values schema to URLs and to any file.
#[test]
fn values_schema_leads_nowhere() {
    let Some(sidecar) = sidecar() else { return };
    let outside = sidecar.outside().join("plugin.yaml");
    let schema = json!({"$ref": format!("file://{}", outside.display())});
    let repo = chart().file("app/values.schema.json", schema.to_string());
    assert_eq!(sidecar.render(repo.path(), "app").names().len(), 2);
}

/// What is in clear may be templated; what is encrypted must stand where a committed file has it.
#[test]
fn encrypted_values_cannot_be_moved_by_a_template() {
    let Some(sidecar) = sidecar() else { return };
    let template = |pipe: &str| format!("{{{{ .Files.Get \"secrets/login.enc.yaml\" | {pipe} }}}}\n");
    let named = chart().file("app/templates/secrets.yaml", template("replace \"metrics-login\" .Release.Name"));
    assert_eq!(sidecar.render(named.path(), "app").names(), ["Secret/demo", "Deployment/demo"]);
    let moved = chart().file("app/templates/secrets.yaml", template("replace \"password:\" \"user:\""));
    let rendered = sidecar.render(moved.path(), "app");
    assert!(rendered.result.is_err(), "rendered: {:?}", rendered.names());
    rendered.refusal(7);
}

#[test]
fn failures_of_helm_are_short_and_say_why() {
    let Some(sidecar) = sidecar() else { return };
    let repo = chart().file("app/templates/fail.yaml", "{{ fail \"no such colour\" }}\n");
    assert!(sidecar.render(repo.path(), "app").refusal(3).contains("no such colour"));
    let repo = chart().file("app/templates/kindless.yaml", "password: x\n");
    assert!(sidecar.render(repo.path(), "app").refusal(3).contains("has no kind"));
    let repo = Repo::new().file("app/Chart.yaml", "apiVersion: v2\nname: empty\nversion: 0.1.0\n");
    sidecar.render(repo.path(), "app").refusal(3);
    let dependent = "apiVersion: v2\nname: x\nversion: 0.1.0\ndependencies: [{name: y, version: 1.0.0, repository: \"https://evil.example.com\"}]\n";
    let repo = chart().file("app/Chart.yaml", dependent);
    assert!(sidecar.render(repo.path(), "app").refusal(3).contains("found in Chart.yaml, but missing in charts"));
}

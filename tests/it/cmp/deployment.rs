//! The manifests of `argocd/`: built by kustomize together with Argo CD's own, read by the types of Argo CD and
//! Kubernetes with every unknown field an error, and checked with Kubernetes' schemas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::sidecar::project;
use crate::endurance::figure;
use crate::harness::tool;

/// The manifests that Argo CD installs, from the module that the plugin server was built from.
fn upstream() -> Option<PathBuf> {
    let go = Command::new("go")
        .args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3"])
        .current_dir(project().join("tests/cmp"))
        .env("GOFLAGS", "")
        .output();
    let dir = String::from_utf8(go.ok()?.stdout).ok()?;
    let manifests = Path::new(dir.trim()).join("manifests");
    if manifests.is_dir() {
        return Some(manifests);
    }
    crate::harness::skip("Argo CD's module is not in Go's cache; tests/run downloads it");
    None
}

/// Argo CD's installation with one of our components.
fn installation(component: &str) -> Option<(tempfile::TempDir, Vec<Value>)> {
    let kustomize = tool("kustomize")?;
    let dir = tempfile::tempdir().expect("a directory");
    crate::harness::copy_tree(&upstream()?, &dir.path().join("upstream"));
    crate::harness::copy_tree(&project().join("argocd").join(component), &dir.path().join("component"));
    fs::create_dir(dir.path().join("install")).expect("a directory");
    let kustomization = "namespace: argocd\nresources: [../upstream/cluster-install]\ncomponents: [../component]\n";
    fs::write(dir.path().join("install/kustomization.yaml"), kustomization).expect("written");
    let built = Command::new(kustomize).arg("build").arg(dir.path().join("install")).output().expect("it starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::write(dir.path().join("all.yaml"), &built.stdout).expect("written");
    let objects = documents(std::str::from_utf8(&built.stdout).expect("UTF-8"));
    Some((dir, objects))
}

fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).expect("YAML")).collect()
}

/// Argo CD's types, strictly, and then Kubernetes' schemas.
#[track_caller]
fn lint(files: &[PathBuf]) {
    let Some(cmp) = tool("argocd-cmp") else { return };
    let linted = Command::new(cmp).arg("lint").args(files).output().expect("it starts");
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stderr));
    let Some(validate) = tool("kubernetes-validate") else { return };
    let core: Vec<Value> = files
        .iter()
        .flat_map(|file| documents(&fs::read_to_string(file).expect("a file")))
        .filter(|object| !object["apiVersion"].as_str().is_none_or(|version| version.starts_with("argoproj.io")))
        .filter(|object| object["kind"] != "CustomResourceDefinition" && object["kind"] != "Component")
        .collect();
    if core.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let texts: Vec<String> = core.iter().map(Value::to_string).collect();
    let file = dir.path().join("core.yaml");
    fs::write(&file, texts.join("\n---\n")).expect("written");
    let validated = Command::new(validate).args(["--strict", "--quiet"]).arg(&file).output().expect("it starts");
    let output = [validated.stdout, validated.stderr].concat();
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&output));
}

fn repo_server(objects: &[Value]) -> &Value {
    let is_it = |object: &&Value| object["kind"] == "Deployment" && object["metadata"]["name"] == "argocd-repo-server";
    &objects.iter().find(is_it).expect("the Deployment")["spec"]["template"]["spec"]
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().expect("a list").iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// What every container of ours must be.
#[track_caller]
fn assert_confined(container: &Value) {
    let context = &container["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["runAsUser"], 999);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    assert!(
        container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string()
    );
}

#[test]
fn sidecar_joins_argocds_own_installation() {
    let Some((dir, objects)) = installation("sidecar") else { return };
    lint(&[dir.path().join("all.yaml")]);
    let pod = repo_server(&objects);
    assert_eq!(pod["automountServiceAccountToken"], false);
    let sidecar = named(&pod["containers"], "unsops");
    assert_confined(sidecar);
    let preflight = named(&pod["initContainers"], "unsops-preflight");
    assert_confined(preflight);
    assert_eq!(preflight["image"], sidecar["image"]);
    assert_eq!(preflight["env"], sidecar["env"], "the preflight looks at something else");
    assert!(!named(&pod["containers"], "argocd-repo-server").is_null());
    let volumes = &pod["volumes"];
    for mount in sidecar["volumeMounts"].as_array().expect("mounts") {
        named(volumes, mount["name"].as_str().expect("a name"));
    }
    assert_eq!(named(volumes, "unsops-tmp")["emptyDir"]["medium"], "Memory");
    let policy = named(volumes, "unsops-policy")["configMap"]["name"].as_str().expect("a name");
    let config = objects.iter().find(|object| object["metadata"]["name"] == policy).expect("the generated ConfigMap");
    assert!(config["data"]["policy.yaml"].is_string() && policy.starts_with("unsops-policy-"), "{policy}");
    // Neither keys nor the streamed repositories are anybody else's.
    for container in
        pod["containers"].as_array().expect("containers").iter().chain(pod["initContainers"].as_array().expect("init"))
    {
        let mounts = container["volumeMounts"].to_string();
        let is_ours = container["name"].as_str().is_some_and(|name| name.starts_with("unsops"));
        assert!(is_ours || !mounts.contains("unsops-"), "{}", container["name"]);
    }
}

#[test]
fn build_options_join_argocds_own_installation() {
    let Some((dir, objects)) = installation("build-options") else { return };
    lint(&[dir.path().join("all.yaml")]);
    let pod = repo_server(&objects);
    assert_confined(named(&pod["initContainers"], "unsops-install"));
    let config = objects.iter().find(|object| object["metadata"]["name"] == "argocd-cm").expect("argocd-cm");
    assert_eq!(config["data"]["kustomize.buildOptions"], "--enable-alpha-plugins");
}

#[test]
fn helm_values_describe_the_same_sidecar() {
    let argocd = project().join("argocd");
    let values = documents(&fs::read_to_string(argocd.join("helm-values.yaml")).expect("a file")).remove(0);
    let patch = documents(&fs::read_to_string(argocd.join("sidecar/repo-server.yaml")).expect("a file")).remove(0);
    let (chart, pod) = (&values["repoServer"], &patch["spec"]["template"]["spec"]);
    assert_eq!(chart["extraContainers"], pod["containers"]);
    assert_eq!(chart["volumes"], pod["volumes"]);
    assert_eq!(chart["initContainers"], pod["initContainers"]);
    assert_eq!(chart["automountServiceAccountToken"], pod["automountServiceAccountToken"]);
}

#[test]
fn examples_and_plugin_are_what_argocd_reads() {
    let mut files: Vec<PathBuf> = fs::read_dir(project().join("argocd/examples"))
        .expect("examples")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(files.len() >= 4, "{files:?}");
    files.push(project().join("plugin.yaml"));
    lint(&files);
    figure(&format!("{} files read by Argo CD's own types", files.len()));
}

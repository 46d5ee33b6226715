//! The transformer `Decrypt` within the real kustomize: as legacy plugin, as function, and in `unsops build`.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Case, Run, encrypted, tool, unsops};

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  zeta: CANARY-7f3a z\n  alpha: CANARY-7f3a a\n";

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec:\n  containers:\n  - name: c\n    image: x\n    envFrom:\n    - secretRef: {name: db}\n    - secretRef: {name: envs}\n    - secretRef: {name: files}\n";

const KUSTOMIZATION: &str = "resources: [s.enc.yaml, pod.yaml]\nnamePrefix: p-\ntransformers: [decrypt.yaml]\nsecretGenerator:\n- name: envs\n  envs: [v.enc.env]\n- name: files\n  files: [f.enc.yaml]\n";

fn manifest(more: &str) -> String {
    format!("apiVersion: unsops.dev/v1\nkind: Decrypt\nmetadata:\n  name: decrypt\n{more}")
}

fn with_function(more: &str) -> String {
    manifest(&format!(
        "  annotations:\n    config.kubernetes.io/function: |\n      exec: {{path: {}}}\n{more}",
        unsops().display()
    ))
}

fn app(decrypt: &str) -> Option<Case> {
    let secret = encrypted(SECRET, "s.yaml", &["--encrypted-regex", "^(data|stringData)$"])?;
    let variables = encrypted("ZED=CANARY-7f3a zed\nABLE=CANARY-7f3a able\n", "v.env", &[])?;
    let yaml = encrypted("b: CANARY-7f3a\n", "f.yaml", &[])?;
    Some(
        Case::new()
            .key("age.txt")
            .file("app/s.enc.yaml", secret)
            .file("app/v.enc.env", variables)
            .file("app/f.enc.yaml", yaml)
            .file("app/pod.yaml", POD)
            .file("app/decrypt.yaml", decrypt)
            .file("app/kustomization.yaml", KUSTOMIZATION),
    )
}

fn build(case: Case) -> Option<Run> {
    Some(case.args(["build", "app", "--kustomize"]).arg(tool("kustomize")?).run())
}

/// kustomize itself, with this executable in its plugin directory.
fn legacy(case: Case) -> Option<Run> {
    let kustomize = tool("kustomize")?;
    let place = case.root().join("../plugins/unsops.dev/v1/decrypt");
    fs::create_dir_all(&place).expect("a directory");
    symlink(unsops(), place.join("Decrypt")).expect("a link");
    let home = case.root().join("../plugins");
    let case = case.env("KUSTOMIZE_PLUGIN_HOME", home).args(["build", "app", "--enable-alpha-plugins"]);
    Some(case.run_program(&kustomize))
}

fn function(case: Case) -> Option<Run> {
    let kustomize = tool("kustomize")?;
    Some(case.args(["build", "app", "--enable-alpha-plugins", "--enable-exec"]).run_program(&kustomize))
}

#[test]
fn every_engine_gives_the_same_and_hashes_follow_the_plaintext() {
    let (Some(plain), Some(func)) = (app(&manifest("")), app(&with_function(""))) else { return };
    let (Some(by_build), Some(by_legacy), Some(by_function)) =
        (build(app(&with_function("")).expect("sops")), legacy(plain), function(func))
    else {
        return;
    };
    let text = by_build.text();
    assert!(text.contains("zeta: CANARY-7f3a z") && !text.contains("ENC[") && !text.contains("sops"));
    // The plaintext is the same, though each was encrypted anew.
    assert_eq!(text, String::from_utf8_lossy(&by_legacy.stdout), "{}", by_legacy.redacted());
    assert_eq!(text, String::from_utf8_lossy(&by_function.stdout), "{}", by_function.redacted());
    // Known from a secretGenerator over the same content in clear.
    let clear = Case::new()
        .file("v.env", "ZED=CANARY-7f3a zed\nABLE=CANARY-7f3a able\n")
        .file("kustomization.yaml", "namePrefix: p-\nsecretGenerator:\n- name: envs\n  envs: [v.env]\n")
        .arg("build");
    let clear = clear.run_program(&tool("kustomize").expect("kustomize"));
    let clear = String::from_utf8_lossy(&clear.stdout).into_owned();
    let name = clear.lines().find_map(|line| line.trim_start().strip_prefix("name: ")).expect("a name");
    assert_eq!(text.matches(name).count(), 2, "the Secret {name} and its reference");
}

#[test]
fn other_releases_of_kustomize_do_the_same() {
    for release in ["kustomize-5.4.3", "kustomize-5.0.3"] {
        let (Some(case), Some(program)) = (app(&with_function("")), tool(release)) else { return };
        let run = case.args(["build", "app", "--kustomize"]).arg(program).run();
        assert!(run.text().contains("zeta: CANARY-7f3a z"), "{release}");
    }
}

#[test]
fn sources_may_be_named() {
    let Some(case) = app(&manifest("sources: [s.enc.yaml, v.enc.env]\n")) else { return };
    let Some(run) = build(case) else { return };
    run.text();
    let run = build(app(&manifest("sources: [v.enc.env]\n")).expect("sops")).expect("kustomize");
    let message = run.failure(7);
    assert!(message.contains("Secret/p-db: the MAC does not match") && message.contains("sources"), "{message}");
    let run = build(app(&manifest("sources: [.]\n")).expect("sops")).expect("kustomize");
    run.text();
}

#[test]
fn mistakes_in_the_manifest_are_refused() {
    for (more, words) in [
        ("source: [s.enc.yaml]\n", "source is not a field of Decrypt"),
        ("files: [s.enc.yaml]\n", "files is not a field of Decrypt"),
        ("sources: s.enc.yaml\n", "sources must be a list"),
        ("sources: []\n", "sources is empty"),
        ("sources: [no.yaml]\n", "source no.yaml: no such file"),
        ("sources: [../../x]\n", "outside the allowed root"),
        ("sources: [/etc/passwd]\n", "/etc/passwd is an absolute path"),
    ] {
        let Some(case) = app(&manifest(more)) else { return };
        let Some(run) = build(case) else { return };
        let message = run.failure(3);
        assert!(message.contains(words), "{more}: {message}");
    }
}

#[test]
fn among_generators_it_is_refused() {
    let Some(case) = app(&manifest("")) else { return };
    let case = case.file("app/kustomization.yaml", "resources: [s.enc.yaml]\ngenerators: [decrypt.yaml]\n");
    let Some(run) = build(case) else { return };
    let message = run.failure(3);
    assert!(message.contains("list it under `transformers`"), "{message}");
}

#[test]
fn a_patch_in_clear_over_an_encrypted_secret_comes_out() {
    let Some(case) = app(&manifest("")) else { return };
    let case = case.file("app/kustomization.yaml", format!("{KUSTOMIZATION}patches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {{name: db}}\n    stringData: {{added: in clear}}\n"));
    let Some(run) = build(case) else { return };
    assert!(run.text().contains("added: in clear") && run.text().contains("alpha: CANARY-7f3a a"));
}

#[test]
fn encrypted_patches_are_sources_too() {
    let Some(patch) = encrypted(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: clear\nstringData:\n  b: CANARY-7f3a\n  a: CANARY-7f3a\n",
        "p.yaml",
        &["--encrypted-regex", "^(data|stringData)$"],
    ) else {
        return;
    };
    let case = Case::new()
        .key("age.txt")
        .file("app/clear.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: clear}\nstringData: {c: d}\n")
        .file("app/p.enc.yaml", patch)
        .file("app/decrypt.yaml", manifest(""))
        .file(
            "app/kustomization.yaml",
            "resources: [clear.yaml]\npatches: [{path: p.enc.yaml}]\ntransformers: [decrypt.yaml]\n",
        );
    let Some(run) = build(case) else { return };
    assert!(run.text().contains("a: CANARY-7f3a") && run.text().contains("c: d"));
}

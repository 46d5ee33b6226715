//! Directories of manifests, and what Argo CD asks beside rendering. No server is needed for most of it.

use serde_json::{Value, json};

use super::sidecar::{Repo, Setup};
use crate::harness::Case;

/// Where `argocd-cmp-server` puts an Application.
const APP: &str = "_cmp_server/6f1c/app";

fn generate() -> Case {
    Case::without_git().cwd(APP).args(["cmp", "generate"]).key("age.txt")
}

fn example(case: Case, name: &str, to: &str) -> Case {
    let key = super::sidecar::project().join("examples/keys.txt");
    let content = std::fs::read(super::sidecar::project().join("examples").join(name)).expect("an example");
    case.file(format!("{APP}/{to}"), content).env("SOPS_AGE_KEY_FILE", key)
}

const CONFIG_MAP: &str =
    "# a comment\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {on: \"yes\", n: '010'}\n";

#[test]
fn plain_files_pass_byte_for_byte_in_the_order_of_their_names() {
    let case = generate()
        .file(format!("{APP}/b.yml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n")
        .file(format!("{APP}/a.yaml"), CONFIG_MAP)
        .file(
            format!("{APP}/c.json"),
            "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"c\"}}",
        )
        .file(format!("{APP}/B.yaml"), "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: B}");
    let want = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: B}\n---\n# a comment\napiVersion: v1\nkind: ConfigMap\n\
                metadata: {name: cm}\ndata: {on: \"yes\", n: '010'}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n\
                ---\n{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"c\"}}\n";
    assert_eq!(case.run().text(), want);
}

#[test]
fn files_without_a_kind_are_something_else() {
    let case = generate()
        .file(format!("{APP}/cm.yaml"), CONFIG_MAP)
        .file(format!("{APP}/values.yaml"), "replicas: 1\n")
        .file(format!("{APP}/.sops.yaml"), "creation_rules: []\n")
        .file(format!("{APP}/broken.yaml"), "{{ template }}\n")
        .file(format!("{APP}/skipped.yaml"), "# +argocd:skip-file-rendering\napiVersion: v1\nkind: X\n")
        .file(format!("{APP}/sub/more.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n");
    assert_eq!(case.run().text(), CONFIG_MAP);
    let recurse = case.env("ARGOCD_APP_PARAMETERS", r#"[{"name":"recurse","string":"true"}]"#).run();
    assert!(recurse.text().contains("{name: more}"));
}

#[test]
fn what_argocd_would_lose_or_quote_is_refused() {
    for (text, words) in [
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a}\n...\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n",
            "drops what follows",
        ),
        ("--- {apiVersion: v1, kind: A}\n", "only a comment"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\npassword: x\n", "without apiVersion or kind"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a\n", "line"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a}\ndata: {x: \"ENC[AES256_GCM,data:xx\"}\n", "encrypted"),
        ("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: a}\n", "only a kustomization can run"),
    ] {
        let run = generate().file(format!("{APP}/x.yaml"), text).run();
        let message = run.failure(5);
        assert!(message.contains("x.yaml: ") && message.contains(words), "{text}: {message}");
    }
}

/// As Flux does: a value of a Secret may be a SOPS file.
#[test]
fn values_of_secrets_that_are_sops_files_are_decrypted() {
    use base64::Engine;
    let file = std::fs::read(super::sidecar::project().join("examples/plain/database.enc.yaml")).expect("an example");
    let value = base64::engine::general_purpose::STANDARD.encode(file);
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: files}}\ndata:\n  database.yaml: {value}\n");
    let run = example(generate(), "plain/config.yaml", "a.yaml").file(format!("{APP}/x.yaml"), secret).run();
    let objects = run.text().split("---\n").last().expect("a document");
    let object: Value = serde_yaml::from_str(objects).expect("YAML");
    let value = object["data"]["database.yaml"].as_str().expect("a value");
    let plain = base64::engine::general_purpose::STANDARD.decode(value).expect("base64");
    assert!(String::from_utf8(plain).expect("UTF-8").contains("password: CANARY-7f3a plain"));
}

#[test]
fn encrypted_files_are_decrypted_and_never_twice() {
    let case = example(generate(), "plain/database.enc.yaml", "z.yaml").file(format!("{APP}/a.yaml"), CONFIG_MAP);
    let run = case.run();
    assert!(run.text().starts_with("# a comment\n") && run.text().contains("password: CANARY-7f3a plain"));
    let twice = example(case, "plain/database.enc.yaml", "again.yaml").run();
    let message = twice.failure(3);
    assert!(message.contains("z.yaml: an object is there twice, also in again.yaml"), "{message}");
}

#[test]
fn parameters_are_announced_for_what_the_directory_is() {
    let announced = |case: Case| -> Vec<String> {
        let run = case.cwd(APP).args(["cmp", "parameters"]).run();
        let answer: Value = serde_json::from_slice(run.answer()).expect("JSON");
        answer.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let file = |name: &str| Case::without_git().file(format!("{APP}/{name}"), "kind: x\n");
    assert_eq!(announced(file("x.yaml")), ["recurse"]);
    assert_eq!(announced(file("kustomization.yaml")), Vec::<String>::new());
    assert_eq!(announced(file("Chart.yaml")), ["release-name", "value-files"]);
}

#[test]
fn parameters_reach_argocd_as_announcements() {
    let Some(sidecar) = Setup::new().start() else { return };
    let repo = Repo::new().file("app/x.yaml", CONFIG_MAP);
    let answer = sidecar.call("params", repo.path(), "app", &[]).expect("announced");
    let announced = &answer["parameterAnnouncements"];
    assert_eq!(announced[0]["name"], "recurse", "{answer}");
    assert_eq!(announced[0]["itemType"], "boolean");
}

fn discovered(case: Case) -> String {
    let run = case.args(["cmp", "discover"]).report().run();
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    String::from_utf8(run.stdout).expect("UTF-8")
}

#[test]
fn discovers_generators_and_sops_files_and_nothing_else() {
    let empty = || Case::without_git().cwd(APP);
    assert_eq!(discovered(empty()), "");
    assert_eq!(discovered(empty().file(format!("{APP}/kustomization.yaml"), "resources: [x.yaml]\n")), "");
    assert_eq!(
        discovered(empty().file(format!("{APP}/x.yaml"), "# viaduct.ai/v1 sops ENC[AES256_GCM,data\nkind: x\n")),
        ""
    );
    assert_eq!(discovered(empty().file(format!("{APP}/huge.yaml"), vec![b'a'; 3 << 20])), "");
    let sops = example(empty(), "plain/database.enc.yaml", "deep/in/it.yaml");
    assert_eq!(discovered(sops), "unsops: app/deep/in/it.yaml\n");
    let generator = "apiVersion: viaduct.ai/v1\nkind: ksops\nfiles: [x]\n";
    assert_eq!(discovered(empty().file(format!("{APP}/sub/g.yaml"), generator)), "unsops: app/sub/g.yaml\n");
    assert_eq!(discovered(Case::without_git().cwd(APP).env("ARGOCD_APP_PARAMETERS", "nonsense")), "");
}

/// A base beside the application may hold the generators.
#[test]
fn discovers_generators_of_bases() {
    let case = Case::without_git()
        .cwd(APP)
        .file("_cmp_server/6f1c/base/kustomization.yaml", "generators: [g.yaml]\n")
        .file(
            "_cmp_server/6f1c/base/g.yaml",
            "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nfiles: [x]\n",
        )
        .file(format!("{APP}/kustomization.yaml"), "resources: [../base]\n");
    assert_eq!(discovered(case), "unsops: base/g.yaml\n");
}

#[test]
fn discovery_of_thousands_of_files_is_bounded() {
    let case = (0..3000).fold(Case::without_git().cwd(APP), |case, n| {
        case.file(format!("{APP}/{:02}/{n}.yaml", n % 50), format!("n: {}\n", "x".repeat(20_000)))
    });
    let begin = std::time::Instant::now();
    assert_eq!(discovered(case), "");
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn auto_detection_finds_the_plugin_and_leaves_other_applications_alone() {
    let setup = Setup::new().spec("  discover:\n    find:\n      command: [unsops, cmp, discover]\n");
    let Some(sidecar) = setup.start() else { return };
    let ours = Repo::new().tree("tests/golden/ksops-single", "app").file("plain/cm.yaml", CONFIG_MAP);
    let rendered = sidecar.render_source(ours.path(), &json!({"path": "app"}), &[]);
    assert_eq!(rendered.answer["sourceType"], "Plugin");
    assert_eq!(rendered.names().len(), 1);
    let rendered = sidecar.render_source(ours.path(), &json!({"path": "plain"}), &[]);
    assert_eq!(rendered.answer["sourceType"], "Directory");
    assert_eq!(sidecar.call("match", ours.path(), "app", &[]).expect("matched")["isSupported"], true);
}

//! `unsops filter` behind the real kustomize and helm, over files that the real sops encrypted.

use std::fs;
use std::path::Path;

use crate::harness::{CANARY, Case, Run, encrypted, tool};

/// Keys in an order that kustomize changes.
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\nstringData:\n  zeta: CANARY-7f3a z\n  alpha: CANARY-7f3a a\n  number: \"0777\"\ndata:\n  binary: Q0FOQVJZLTdmM2E=\n";

const FLUX_STYLE: [&str; 2] = ["--encrypted-regex", "^(data|stringData)$"];

fn filter() -> Case {
    Case::new().key("age.txt").arg("filter")
}

fn secret() -> Option<String> {
    encrypted(SECRET, "s.yaml", &FLUX_STYLE).map(|text| String::from_utf8(text).expect("UTF-8"))
}

fn kustomize(dir: &Path) -> Option<Vec<u8>> {
    let output = std::process::Command::new(tool("kustomize")?).arg("build").arg(dir).output().expect("kustomize");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// A kustomization over every way in which encrypted content gets among manifests.
fn overlay(case: Case) -> Option<Case> {
    let variables = encrypted("ZED=CANARY-7f3a zed\nABLE=CANARY-7f3a able\n", "v.env", &[])?;
    let yaml = encrypted("b: CANARY-7f3a\na: 1\n", "f.yaml", &[])?;
    let binary = encrypted([CANARY.as_bytes(), &[0, 159, 146, 150], &[7; 300]].concat(), "b.bin", &[])?;
    let json = encrypted("{\"auths\": {\"x\": \"CANARY-7f3a\"}}", "d.json", &[])?;
    let ini = encrypted("[one]\nkey = CANARY-7f3a\n", "i.ini", &[])?;
    Some(
        case.file("app/s.enc.yaml", secret()?)
            .file("app/v.enc.env", variables)
            .file("app/f.enc.yaml", yaml)
            .file("app/b.enc", binary)
            .file("app/d.json", json)
            .file("app/i.enc.ini", ini)
            .file("app/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {a: 'b'}\n")
            .file(
                "app/kustomization.yaml",
                "resources: [s.enc.yaml, plain.yaml]\nnamePrefix: p-\nnamespace: prod\nsecretGenerator:\n- name: envs\n  envs: [v.enc.env]\n- name: files\n  files: [f.yaml=f.enc.yaml, raw=b.enc, .dockerconfigjson=d.json, i.ini=i.enc.ini]\n",
            ),
    )
}

fn values(run: &Run) -> serde_yaml::Value {
    let documents = serde_yaml::Deserializer::from_slice(run.answer());
    let all: Vec<serde_yaml::Value> =
        documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML")).collect();
    serde_yaml::Value::Sequence(all)
}

fn get<'v>(all: &'v serde_yaml::Value, name: &str, list: &str, key: &str) -> &'v str {
    let found = all.as_sequence().expect("documents").iter().find(|object| {
        object["metadata"]["name"].as_str().is_some_and(|full| full == name || full.starts_with(&format!("{name}-")))
    });
    found.unwrap_or_else(|| panic!("no {name}"))[list][key].as_str().unwrap_or_else(|| panic!("no {name} {list} {key}"))
}

fn decoded(all: &serde_yaml::Value, name: &str, key: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(get(all, name, "data", key)).expect("base64 on one line")
}

#[test]
fn everything_behind_kustomize_is_held_against_its_source() {
    let Some(case) = overlay(filter().args(["--source", "app"])) else { return };
    let Some(built) = kustomize(&case.root().join("app")) else { return };
    assert!(!String::from_utf8_lossy(&built).contains(CANARY));
    let all = values(&case.stdin(&built).run());
    assert_eq!(get(&all, "p-db", "stringData", "zeta"), "CANARY-7f3a z");
    assert_eq!(get(&all, "p-db", "stringData", "alpha"), "CANARY-7f3a a");
    assert_eq!(get(&all, "p-db", "stringData", "number"), "0777");
    assert_eq!(get(&all, "p-db", "data", "binary"), "Q0FOQVJZLTdmM2E=");
    assert_eq!(decoded(&all, "p-envs", "ZED"), b"CANARY-7f3a zed");
    assert_eq!(decoded(&all, "p-envs", "ABLE"), b"CANARY-7f3a able");
    assert_eq!(decoded(&all, "p-files", "f.yaml"), b"b: CANARY-7f3a\na: 1\n");
    assert!(decoded(&all, "p-files", "raw").ends_with(&[7; 300]));
    assert!(decoded(&all, "p-files", ".dockerconfigjson").starts_with(b"{"));
    assert!(decoded(&all, "p-files", "i.ini").starts_with(b"[one]"));
    let text = serde_yaml::to_string(&all).expect("YAML");
    assert!(!text.contains("sops") && !text.contains("ENC["));
}

#[test]
fn without_a_source_what_was_reordered_is_refused() {
    let Some(case) = overlay(filter()) else { return };
    let Some(built) = kustomize(&case.root().join("app")) else { return };
    let message = case.stdin(&built).run().failure(7);
    assert!(message.contains("Secret/p-db: the MAC does not match") && message.contains("--source DIR"), "{message}");
    // Whole files as values have their order, and their MAC: they are not among the refused.
    assert!(!message.contains("p-files"), "{message}");
}

#[test]
fn operator_may_accept_what_was_reordered() {
    let Some(case) = overlay(filter().arg("--accept-reordered")) else { return };
    let Some(built) = kustomize(&case.root().join("app")) else { return };
    let all = values(&case.stdin(&built).run());
    assert_eq!(get(&all, "p-db", "stringData", "zeta"), "CANARY-7f3a z");
    assert_eq!(decoded(&all, "p-envs", "ABLE"), b"CANARY-7f3a able");
}

#[test]
fn order_that_survived_needs_no_source() {
    let Some(secret) = secret() else { return };
    let plain =
        "# comment\napiVersion: v1\nkind: ConfigMap\nmetadata:   {name: c}\ndata: {v: 'ENC of sorts', t:  \"x\"}\n";
    let run = filter().stdin(format!("{plain}---\n{secret}---\n{plain}")).run();
    let text = run.text();
    assert!(text.starts_with(plain) && text.ends_with(&format!("---\n{plain}")), "not byte for byte");
    assert!(text.contains("zeta: \"CANARY-7f3a z\"") || text.contains("zeta: CANARY-7f3a z"), "not decrypted");
    assert!(!text.contains("sops:"));
}

#[test]
fn what_is_not_encrypted_passes_byte_for_byte() {
    for text in [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: 'not base64!', b: aGk=}\n",
        "---\n# Source: x\napiVersion: v1\nkind: A\n---\n\n---\n# nothing\n---\nkind: B\r\nx: \"\\u00e9\"\n...\n---\nkind: C",
        "{\"kind\": \"X\", \"a\":\t[1, 2.0]}\n",
        "\u{feff}kind: A\n",
    ] {
        assert_eq!(filter().stdin(text).run().text(), text);
    }
}

#[test]
fn several_documents_of_one_file_prove_each_other() {
    let plain = format!("{}---\n{}", SECRET, SECRET.replace("name: db", "name: other"));
    let Some(file) = encrypted(plain, "m.yaml", &FLUX_STYLE) else { return };
    let all = values(&filter().stdin(&file).run());
    assert_eq!(get(&all, "db", "stringData", "zeta"), get(&all, "other", "stringData", "zeta"));
    let text = String::from_utf8(file).expect("UTF-8");
    let (one, two) = text.split_once("\n---\n").expect("two documents");
    filter().stdin(format!("{two}\n---\n{one}\n")).run().failure(7);
}

#[test]
fn lists_are_looked_into() {
    let Some(secret) = secret() else { return };
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", secret.trim_end().replace('\n', "\n  "));
    let Some(case) = Some(filter().args(["--source", "."]).file("s.enc.yaml", secret)) else { return };
    let text = case.stdin(list).run().text().to_owned();
    assert!(text.contains("CANARY-7f3a z") && text.starts_with("apiVersion: v1\nkind: List\n"), "a list stays one");
}

/// Everything that one could do to a copy without the key.
#[test]
fn copies_that_were_tampered_with_are_refused() {
    let Some(made) = overlay(Case::new()) else { return };
    let Some(built) = kustomize(&made.root().join("app")) else { return };
    let built = String::from_utf8(built).expect("UTF-8");
    let against_source = |text: &str| filter().arg("--source").arg(made.root().join("app")).stdin(text).run();
    against_source(&built).answer();
    let token = |key: &str| {
        let line = built.lines().find(|line| line.trim_start().starts_with(&format!("{key}: ENC["))).expect("a token");
        line.trim_start().split_once(": ").expect("a value").1.to_owned()
    };
    let (zeta, alpha, mac) = (token("zeta"), token("alpha"), token("mac"));
    let flipped = zeta.replace("data:", "data:A");
    for (what, text) in [
        ("two values swapped", built.replace(&zeta, "@").replace(&alpha, &zeta).replace('@', &alpha)),
        ("a value twice", built.replace(&alpha, &zeta)),
        ("a value changed", built.replace(&zeta, &flipped)),
        ("a value moved to another key", built.replace("zeta: ENC", "omega: ENC")),
        ("the type changed", built.replacen(&zeta, &zeta.replace("type:str", "type:bytes"), 1)),
        ("another MAC", built.replace(&mac, &zeta)),
        ("a value of the metadata", built.replace("lastmodified: \"20", "lastmodified: \"19").replace(&mac, &alpha)),
    ] {
        assert_ne!(text, built, "{what}: nothing was changed");
        let run = against_source(&text);
        assert!(matches!(run.status, Some(5 | 7)), "{what}: {}", run.redacted());
    }
    // Taking values away is what kustomize's patches do, too.
    let without = built.lines().filter(|line| !line.contains("zeta: ")).collect::<Vec<_>>().join("\n");
    against_source(&without).answer();
}

#[test]
fn values_of_another_file_with_the_same_data_key_are_refused() {
    let Some(secret) = secret() else { return };
    // The same data key, other values: what `sops edit` makes of a file.
    let Some(sops) = tool("sops") else { return };
    let case = Case::new().key("age.txt").file("s.yaml", &secret).args([
        "set",
        "s.yaml",
        "[\"stringData\"][\"zeta\"]",
        "\"CANARY-7f3a new\"",
    ]);
    let root = case.root();
    assert_eq!(case.run_unchecked(&sops).status, Some(0));
    let edited = fs::read_to_string(root.join("s.yaml")).expect("the edited file");
    let line = |text: &str| text.lines().find(|line| line.contains("zeta: ENC")).expect("a token").to_owned();
    let mixed = secret.replace(&line(&secret), &line(&edited));
    assert_ne!(mixed, secret);
    let case = filter().args(["--source", "."]).file("old.yaml", secret).file("new.yaml", edited);
    case.stdin(mixed).run().failure(7);
}

#[test]
fn source_that_does_not_verify_is_no_witness() {
    let Some(case) = overlay(filter().args(["--source", "app"])) else { return };
    let Some(built) = kustomize(&case.root().join("app")) else { return };
    let path = case.root().join("app/s.enc.yaml");
    let broken = fs::read_to_string(&path).expect("a file").replace("name: db", "name: dbx");
    fs::write(&path, broken).expect("a file");
    let message = case.stdin(&built).run().failure(7);
    assert!(message.contains("s.enc.yaml: the MAC does not match"), "{message}");
}

#[test]
fn annotation_opts_out() {
    let Some(secret) = secret() else { return };
    let marked = secret
        .replace("name: db\n", "name: db\n    annotations:\n        kustomize.toolkit.fluxcd.io/decrypt: disabled\n");
    assert_ne!(marked, secret);
    assert_eq!(filter().stdin(&marked).run().text(), marked);
}

#[test]
fn templates_of_helm_are_filtered() {
    let (Some(helm), Some(secret)) = (tool("helm"), secret()) else { return };
    let values = encrypted("password: CANARY-7f3a\n", "v.yaml", &[]).expect("sops");
    let case = filter()
        .file("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n")
        .file("c/templates/s.yaml", secret)
        .file("c/files/v.yaml", values)
        .file("c/templates/f.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}'}\ndata:\n  v.yaml: {{ .Files.Get \"files/v.yaml\" | b64enc }}\n");
    let output =
        std::process::Command::new(helm).args(["template", "r"]).arg(case.root().join("c")).output().expect("helm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = self::values(&case.stdin(output.stdout).run());
    assert_eq!(get(&all, "db", "stringData", "zeta"), "CANARY-7f3a z");
    assert_eq!(decoded(&all, "r", "v.yaml"), b"password: CANARY-7f3a\n");
}

#[test]
fn nothing_in_is_nothing_out() {
    for text in ["", "\n\n"] {
        filter().stdin(text).run().failure(2);
    }
    for text in ["# only a comment\n", "---\n---\n", "just text\n"] {
        filter().stdin(text).run().failure(3);
    }
    filter().stdin("kind: [\n").run().failure(3);
    let Some(secret) = secret() else { return };
    filter().env("SOPS_AGE_KEY_FILE", "/nonexistent").stdin(secret).run().failure(6);
    // Encrypted where nothing is decrypted.
    let Some(file) = encrypted("a: CANARY-7f3a\n", "a.yaml", &[]) else { return };
    let text = String::from_utf8(file).expect("UTF-8").replace('\n', "\n    ");
    filter().stdin(format!("kind: ConfigMap\ndata:\n  x: |\n    {text}\n")).run().failure(5);
}

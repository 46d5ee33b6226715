//! `files` of `viaduct.ai`: manifests that go out as they are.

use super::{failure, objects, render};
use crate::generator::HostAnnotations;
use crate::generator::join;
use serde_json::json;

const MANIFEST: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nfiles: [a.yaml]\n";

fn one(text: &str) -> String {
    let pieces = render(MANIFEST, &[("a.yaml", text.as_bytes())]).unwrap_or_else(|errors| panic!("{errors:?}"));
    join(pieces).into_exposed()
}

fn names(text: &str) -> Vec<String> {
    let pieces = render(MANIFEST, &[("a.yaml", text.as_bytes())]).unwrap_or_else(|errors| panic!("{errors:?}"));
    pieces.iter().flat_map(|piece| &piece.resources).map(|resource| resource.id().name.clone()).collect()
}

fn refused(text: &str) -> String {
    failure(MANIFEST, &[("a.yaml", text.as_bytes())])
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: s\n";

#[test]
fn gives_the_decrypted_text_byte_for_byte() {
    let text = format!("# comment\n{SECRET}stringData:\n    a: |\n        x\n    b: \"1\" # why\n");
    assert_eq!(one(&text), text);
    assert_eq!(
        one("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"}}"),
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"}}\n"
    );
}

#[test]
fn joins_pieces_without_touching_a_last_value_that_keeps_its_line_breaks() {
    let manifest = MANIFEST.replace("[a.yaml]", "[a.yaml, b.yaml]");
    let keeps = format!("{SECRET}stringData:\n    a: |+\n        x\n\n");
    let other = SECRET.replace("name: s", "name: t");
    let objects = objects(&manifest, &[("a.yaml", keeps.as_bytes()), ("b.yaml", other.as_bytes())]);
    assert_eq!(objects.first().expect("two")["stringData"], json!({"a": "x\n\n"}));
    assert_eq!(objects.len(), 2);
}

#[test]
fn takes_lists_apart_as_kustomize_does() {
    let item = |name: &str| format!("- apiVersion: v1\n  kind: Secret\n  metadata: {{name: {name}}}\n");
    assert_eq!(names(&format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item("a"), item("b"))), ["a", "b"]);
    assert_eq!(names(&format!("kind: SecretList\nitems:\n{}", item("a"))), ["a"]);
    assert_eq!(names(&format!("{SECRET}---\nkind: List\nitems: null\n")), ["s"]);
    assert_eq!(names("apiVersion: example.com/v1\nkind: AllowList\nspec: {}\n"), [""]);
    assert!(refused("kind: List\nitems: x\n").contains("must be a list"));
    assert!(refused("kind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n").contains("no metadata.name"));
}

#[test]
fn passes_over_empty_documents_but_not_over_an_empty_file() {
    assert_eq!(names(&format!("---\n# nothing\n---\n{SECRET}---\n{{}}\n---\n")), ["s"]);
    for empty in ["", "---\n", "# comment\n", "{}\n", "kind: List\nitems: []\n"] {
        assert_eq!(refused(empty), "3 a.yaml: files[0]: the decrypted file holds no Kubernetes object", "{empty:?}");
    }
}

#[test]
fn refuses_what_is_no_object() {
    for (text, rule) in [
        ("- a\n", "a Kubernetes object must be a mapping"),
        ("CANARY-7f3a\n", "a Kubernetes object must be a mapping"),
        ("kind: Secret\nmetadata: {name: s}\n", "the object has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: s}\n", "the object has no kind"),
        ("apiVersion: v1\nkind: Secret\n", "the object has no metadata.name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: 1}\n", "the object has no metadata.name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: ''}\n", "the object has no metadata.name"),
        ("a: [CANARY-7f3a\n", "the decrypted text is not YAML"),
    ] {
        let message = refused(text);
        assert!(message.starts_with("5 a.yaml: files[0]: ") && message.contains(rule), "{text:?}: {message}");
    }
}

#[test]
fn refuses_formats_that_hold_no_objects() {
    for path in ["a.env", "a.ini"] {
        let message = failure(&MANIFEST.replace("a.yaml", path), &[(path, b"A=CANARY-7f3a\n")]);
        assert!(message.starts_with(&format!("5 {path}: files[0]: a")) && message.contains("secretFrom"), "{message}");
    }
    let message = failure(&MANIFEST.replace("a.yaml", "a.bin"), &[("a.bin", b"\xff\xfe")]);
    assert!(message.contains("is no text"), "{message}");
    assert_eq!(objects(&MANIFEST.replace("a.yaml", "a.yaml.enc"), &[("a.yaml.enc", SECRET.as_bytes())]).len(), 1);
}

#[test]
fn refuses_what_is_still_encrypted() {
    let value = format!("{SECRET}data:\n    a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\n");
    assert_eq!(refused(&value), "5 a.yaml: files[0]: a value is still encrypted (line 6, column 8)");
    let stanza = format!("{SECRET}sops:\n    mac: x\n");
    assert!(refused(&stanza).contains("still encrypted"));
    assert_eq!(names(&format!("{SECRET}sops:\n    other: x\n")), ["s"]);
    assert_eq!(names(&format!("{SECRET}stringData:\n    doc: see ENC[AES256_GCM,data:...]\n")), ["s"]);
}

#[test]
fn refuses_keys_that_clash_or_are_no_text() {
    let twice = format!("{SECRET}stringData:\n    a: CANARY-7f3a\n    a: x\n");
    assert!(refused(&twice).contains("twice"));
    for key in ["1", "true", "~", "1.5", "[a]"] {
        let message = refused(&format!("{SECRET}stringData:\n    ? {key}\n    : CANARY-7f3a\n"));
        assert!(message.contains("the key is not text") || message.contains("not YAML"), "{key}: {message}");
    }
    assert_eq!(names(&format!("{SECRET}stringData:\n    '1': x\n    y: z\n")), ["s"]);
}

#[test]
fn refuses_what_kustomize_would_drop_damage_or_print() {
    let annotated = |annotation: &str| format!("{SECRET}    annotations:\n        {annotation}\n");
    assert!(refused(&annotated("config.kubernetes.io/local-config: 'true'")).contains("drop the resource"));
    assert!(refused(&annotated("kustomize.config.k8s.io/needs-hash: 'yes'")).contains("must be true or false"));
    assert!(refused(&annotated("kustomize.config.k8s.io/behavior: x")).contains("create, merge or replace"));
    assert_eq!(names(&annotated("kustomize.config.k8s.io/needs-hash: true")), ["s"]);
    assert!(
        refused(&format!("{SECRET}stringData:\n    a: \"CANARY-7f3a\\x7f\"\n")).contains("a character that kustomize")
    );
    assert!(refused(&format!("{SECRET}--- CANARY-7f3a\n")).contains("only a comment may stand behind '---'"));
    assert!(refused(&format!("{SECRET}...\n{SECRET}")).contains("not YAML"));
    assert!(
        refused(&format!("--- {{CANARY-7f3a: x}}\n---\n{SECRET}")).contains("only a comment may stand behind '---'")
    );
    assert!(refused(&format!("%YAML 1.1\n---\n{SECRET}")).contains("directive"));
    assert!(refused("apiVersion: v1\nkind: PodList\nmetadata: CANARY-7f3a\n").contains("metadata must be a mapping"));
    assert!(refused(&annotated("- CANARY-7f3a")).contains("annotations must be a mapping"));
    for value in [".nan", "-.inf", "!!int CANARY-7f3a", "!!binary //4="] {
        assert_eq!(refused(&format!("{SECRET}stringData:\n    a: {value}\n")).lines().count(), 1, "{value}");
    }
    assert_eq!(names(&format!("{SECRET}--- # comment\n")), ["s"]);
    assert_eq!(names(&format!("{SECRET}...\n# comment\n")), ["s"]);
}

#[test]
fn numbers_documents_and_reports_all_of_them() {
    let message =
        refused(&format!("{SECRET}---\nkind: Secret\nmetadata: {{name: s}}\n---\napiVersion: v1\nkind: Secret\n"));
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn gives_each_object_its_own_text() {
    let pieces = render(
        MANIFEST,
        &[(
            "a.yaml",
            format!(
                "{SECRET}---\nkind: List\nitems:\n- {{apiVersion: v1, kind: \
     ConfigMap, metadata: {{name: c}}, data: {{a: '1'}}}}\n"
            )
            .as_bytes(),
        )],
    )
    .expect("valid");
    let texts: Vec<_> = pieces
        .iter()
        .flat_map(|piece| &piece.resources)
        .map(|resource| super::read(resource.text(HostAnnotations::Keep).expose()))
        .collect();
    assert_eq!(
        texts,
        [
            vec![json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})],
            vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}})],
        ]
    );
}

#[test]
fn puts_merged_mappings_in() {
    let merged = "x-base: &base\n    name: s\n    labels: {a: b}\napiVersion: v1\nkind: Secret\nmetadata:\n    \
     !!merge <<: *base\n    labels: {c: d}\n";
    let pieces = render(MANIFEST, &[("a.yaml", merged.as_bytes())]).expect("valid");
    let resource = pieces.iter().flat_map(|piece| &piece.resources).next().expect("one");
    let object = super::read(resource.text(HostAnnotations::Keep).expose()).pop().expect("one");
    assert_eq!(object["metadata"], json!({"name": "s", "labels": {"c": "d"}}));
    assert!(refused("apiVersion: v1\nkind: Secret\n<<: x\nmetadata: {name: s}\n").contains("must name a mapping"));
}

#[test]
fn decodes_binary_scalars_for_other_readers() {
    let text = format!("{SECRET}stringData:\n    a: !!binary aGk=\n");
    assert_eq!(one(&text), text);
    let pieces = render(MANIFEST, &[("a.yaml", text.as_bytes())]).expect("valid");
    let resource = pieces.iter().flat_map(|piece| &piece.resources).next().expect("one");
    let object = super::read(resource.text(HostAnnotations::Keep).expose()).pop().expect("one");
    assert_eq!(object["stringData"], json!({"a": "hi"}));
}

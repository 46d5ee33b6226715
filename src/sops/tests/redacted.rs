//! What is seen of a file whose values may not be.

use super::*;
use crate::sops::placeholder::is_placeholder;
use crate::sops::store;
use crate::sops::tree::{Branch, Comment, Item};
use crate::sops::{Format, Redacted};
use crate::yaml::timestamp::Timestamp;
use serde_json::Value as Json;

fn encrypted_as(mut tree: Tree, format: Format, rule: Rule<'_>) -> Vec<u8> {
    encrypt(&mut tree, &KEY, rule, false);
    store::emit_plain(format, &tree).expect("a file").expose().clone()
}

fn file(tree: Tree) -> Vec<u8> {
    encrypted_as(tree, Format::Yaml, None)
}

fn without_keys(file: &[u8]) -> Redacted {
    Redacted::without_keys(file, Format::Yaml).unwrap_or_else(|error| panic!("{error}"))
}

fn with_keys(file: &[u8], format: Format) -> Redacted {
    Redacted::with_keys(file, format, &FixedKey(KEY.to_vec())).unwrap_or_else(|error| panic!("{error}"))
}

fn shown(redacted: &Redacted) -> String {
    let text = redacted.text().expect("printable").expose().clone();
    String::from_utf8(text).expect("UTF-8")
}

fn manifest(redacted: &Redacted) -> String {
    let text = redacted.manifest_text().expect("printable").expose().clone();
    String::from_utf8(text).expect("UTF-8")
}

fn parsed(text: &str) -> Json {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn is_hidden(value: &Json) -> bool {
    value.as_str().is_some_and(|text| is_placeholder(text.as_bytes()))
}

/// An object with what kustomize reads, and a canary wherever a value may be.
fn object(kind: &str) -> Vec<Item> {
    let canary = || text("CANARY-7f3a");
    vec![
        entry("apiVersion", text("v1")),
        entry("kind", text(kind)),
        entry("type", text("Opaque")),
        Item::Comment(comment(" CANARY-7f3a")),
        entry(
            "metadata",
            branch(vec![
                entry("name", text("db")),
                entry("namespace", text("web")),
                entry("labels", branch(vec![entry("name", canary())])),
                entry(
                    "annotations",
                    branch(vec![
                        entry("kustomize.config.k8s.io/needs-hash", Value::Bool(true)),
                        entry("kustomize.config.k8s.io/behavior", text("merge")),
                        entry("other", canary()),
                        entry("config.kubernetes.io/local-config", Value::Int(1)),
                    ]),
                ),
            ]),
        ),
        entry("data", branch(vec![entry("kind", canary()), entry("name", canary()), entry("empty", text(""))])),
        entry("list", Value::List(vec![canary(), Value::Comment(comment(" CANARY-7f3a")), canary()])),
    ]
}

#[test]
fn every_type_of_value_is_hidden_behind_its_own() {
    let time = Timestamp::parse_rfc3339("2001-02-03T04:05:06Z").expect("a time");
    let file = file(tree(vec![
        entry("text", text("CANARY-7f3a")),
        entry("number", Value::Int(1)),
        entry("ratio", Value::Float(0.25)),
        entry("truth", Value::Bool(true)),
        entry("since", Value::Time(time)),
        entry("nothing", Value::Null),
        entry("clear_unencrypted", text("clear")),
    ]));
    let json = parsed(&shown(&without_keys(&file)));
    assert!(is_hidden(&json["text"]));
    assert!(json["number"].as_i64().is_some_and(|number| number >= 10_000));
    assert!(json["ratio"].as_f64().is_some_and(|number| number >= 10_000.0));
    assert_eq!(json["truth"], false);
    assert!(json["since"].as_str().is_some_and(|time| time.starts_with("2000-01-01T")));
    assert_eq!((&json["nothing"], json["clear_unencrypted"].as_str()), (&Json::Null, Some("clear")));
    assert!(!shown(&without_keys(&file)).contains("CANARY"));
}

#[test]
fn keys_add_proof_and_change_no_placeholder() {
    let file = file(tree(object("Secret")));
    let (closed, open) = (without_keys(&file), with_keys(&file, Format::Yaml));
    assert!(closed.cleartext().is_none() && open.cleartext().is_some());
    assert_eq!(shown(&closed), shown(&open));
    assert_eq!(to_json(closed.tree()), to_json(open.tree()));
    assert_eq!(closed.tree().documents.iter().map(|document| document.items.len()).collect::<Vec<_>>(), [7]);
    assert!(closed.seed() == open.seed());
    assert_eq!((closed.format(), open.format()), (Format::Yaml, Format::Yaml));
    let wrong = Redacted::with_keys(&file, Format::Yaml, &FixedKey(vec![7; 32]));
    assert_eq!(code(&wrong), 7);
}

#[test]
fn with_keys_an_object_shows_what_it_is_and_nothing_else() {
    let text = manifest(&with_keys(&file(tree(object("Secret"))), Format::Yaml));
    assert!(!text.contains("CANARY"), "{text}");
    let json = parsed(&text);
    assert_eq!((&json["apiVersion"], &json["kind"], &json["type"]), (&"v1".into(), &"Secret".into(), &"Opaque".into()));
    assert_eq!((&json["metadata"]["name"], &json["metadata"]["namespace"]), (&"db".into(), &"web".into()));
    let annotations = &json["metadata"]["annotations"];
    assert_eq!(annotations["kustomize.config.k8s.io/needs-hash"], true);
    assert_eq!(annotations["kustomize.config.k8s.io/behavior"], "merge");
    assert!(annotations["config.kubernetes.io/local-config"].as_i64() > Some(1));
    for hidden in
        [&annotations["other"], &json["metadata"]["labels"]["name"], &json["data"]["kind"], &json["data"]["name"]]
    {
        assert!(is_hidden(hidden), "{hidden}");
    }
    // Only a Secret's type is its own; elsewhere the field may hold anything.
    let other = parsed(&manifest(&with_keys(&file(tree(object("ConfigMap"))), Format::Yaml)));
    assert_eq!(other["kind"], "ConfigMap");
    assert!(is_hidden(&other["type"]));
}

#[test]
fn what_is_no_object_shows_nothing() {
    for missing in ["kind", "apiVersion"] {
        let mut items = object("Secret");
        items.retain(|item| !matches!(item, Item::Entry(entry) if entry.key == missing));
        let json = parsed(&manifest(&with_keys(&file(tree(items)), Format::Yaml)));
        assert!(is_hidden(&json["metadata"]["name"]) && is_hidden(&json["type"]), "{missing}");
    }
}

#[test]
fn items_of_a_list_are_objects_and_other_items_are_not() {
    let list = |kind: &str| {
        let items = vec![
            Value::Branch(Branch { items: object("Secret") }),
            text("CANARY-7f3a"),
            Value::Branch(Branch { items: object("ConfigMap") }),
        ];
        let items =
            vec![entry("apiVersion", text("v1")), entry("kind", text(kind)), entry("items", Value::List(items))];
        parsed(&manifest(&with_keys(&file(tree(items)), Format::Yaml)))
    };
    for kind in ["List", "SecretList"] {
        let json = list(kind);
        assert_eq!((&json["items"][0]["kind"], &json["items"][2]["kind"]), (&"Secret".into(), &"ConfigMap".into()));
        assert!(is_hidden(&json["items"][1]), "{kind}");
    }
    let json = list("Menu");
    assert!(is_hidden(&json["items"][0]["kind"]) && is_hidden(&json["items"][2]["metadata"]["name"]));
}

#[test]
fn without_keys_an_object_of_hidden_kind_is_an_encrypted_object() {
    let mut two = tree(object("Secret"));
    two.documents.push(Branch { items: object("Secret") });
    let text = manifest(&without_keys(&file(two)));
    let documents: Vec<Json> = text.split("---\n").map(parsed).collect();
    assert_eq!(documents.len(), 2);
    for document in &documents {
        assert_eq!((&document["apiVersion"], &document["kind"]), (&"unsops.dev/v1".into(), &"EncryptedObject".into()));
        assert!(is_hidden(&document["metadata"]["name"]));
        assert_eq!(document.as_object().map(serde_json::Map::len), Some(3));
    }
    assert_ne!(documents[0], documents[1], "two objects are two names");

    // Where only data is encrypted, the object is what it says.
    let open =
        encrypted_as(tree(object("Secret")), Format::Yaml, Some(("encrypted_regex", "^(data|list|other|labels)$")));
    let json = parsed(&manifest(&without_keys(&open)));
    assert_eq!((&json["kind"], &json["metadata"]["name"]), (&"Secret".into(), &"db".into()));
    assert!(is_hidden(&json["data"]["name"]));
    for hidden in ["^kind$", "^apiVersion$"] {
        let half = encrypted_as(tree(object("Secret")), Format::Yaml, Some(("encrypted_regex", hidden)));
        assert_eq!(parsed(&manifest(&without_keys(&half)))["kind"], "EncryptedObject", "{hidden}");
    }
}

#[test]
fn json_stays_json_and_a_binary_file_that_holds_a_manifest_is_taken_apart() {
    let items: Vec<Item> = object("Secret").into_iter().filter(|item| !matches!(item, Item::Comment(_))).collect();
    let mut json_tree = tree(items);
    json_tree.documents[0].items.retain(|item| !matches!(item, Item::Entry(entry) if entry.key == "list"));
    let text = manifest(&with_keys(&encrypted_as(json_tree, Format::Json, None), Format::Json));
    let json: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["kind"], "Secret");
    assert!(is_hidden(&json["data"]["name"]));

    let inside = "# CANARY-7f3a\napiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData:\n  a: CANARY-7f3a\n  empty: ''\n  list: [CANARY-7f3a, 1, 2.5, true, null]\n";
    let binary = |inside: &str| encrypted_as(tree(vec![entry("data", self::text(inside))]), Format::Json, None);
    let open = with_keys(&binary(inside), Format::Binary);
    let text = manifest(&open);
    assert!(!text.contains("CANARY"), "{text}");
    let json = parsed(&text);
    assert_eq!((&json["kind"], &json["metadata"]["name"]), (&"Secret".into(), &"db".into()));
    assert!(is_hidden(&json["stringData"]["a"]) && is_hidden(&json["stringData"]["list"][0]));
    assert_eq!((&json["stringData"]["empty"], &json["stringData"]["list"][4]), (&"".into(), &Json::Null));
    assert!(json["stringData"]["list"][1].as_i64() > Some(2) && json["stringData"]["list"][2].as_f64() > Some(3.0));
    assert_eq!(json["stringData"]["list"][3], false);
    assert_ne!(json["stringData"]["a"], json["stringData"]["list"][0], "a placeholder belongs to its place");
    assert!(is_placeholder(shown(&open).trim_end().as_bytes()), "the file itself is one value");

    // What is no YAML of mappings is one value, and without keys nothing is known of it.
    for inside in ["CANARY-7f3a", "[1]", "# CANARY-7f3a\n"] {
        let text = manifest(&with_keys(&binary(inside), Format::Binary));
        assert!(is_placeholder(text.trim_end().as_bytes()), "{text}");
    }
    let closed = Redacted::without_keys(&binary(inside), Format::Binary).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parsed(&manifest(&closed))["kind"], "EncryptedObject");
}

#[test]
fn the_seed_of_a_file_changes_with_its_content_only() {
    let of = |tree: Tree| without_keys(&file(tree)).seed();
    let base = || vec![entry("a", branch(vec![entry("b_unencrypted", text("x"))])), entry("c", text("y"))];
    let first = of(tree(base()));
    assert!(first == of(tree(base())));
    let variants = [
        tree(vec![entry("a", branch(vec![entry("b_unencrypted", text("z"))])), entry("c", text("y"))]),
        tree(vec![entry("a", branch(vec![entry("B_unencrypted", text("x"))])), entry("c", text("y"))]),
        tree(vec![entry("a", branch(vec![entry("b_unencrypted", text("x"))])), entry("c", text("other"))]),
        tree(vec![
            entry("a_unencrypted", Value::List(vec![text("x"), text("y")])),
            Item::Comment(Comment { text: " note".into(), is_inline: false }),
        ]),
        tree(vec![entry("a_unencrypted", Value::List(vec![text("x"), text("z")]))]),
        tree(vec![]),
    ];
    let mut seeds: Vec<_> = variants.into_iter().map(of).collect();
    seeds.push(first);
    seeds.sort();
    seeds.dedup();
    assert_eq!(seeds.len(), 7);
}

//! Copies whose order was lost: what opens beside its file, and what an attacker would try.

use super::*;
use crate::sops::mac::Unordered;
use crate::sops::reordered::{Mismatch, Witness, open_unordered};
use crate::sops::store::{self, Document};
use crate::sops::tree::{Branch, Item};
use crate::sops::{Cleartext, Format, Reading};
use crate::yaml::timestamp::Timestamp;

/// Two documents with a value of every type.
fn plain() -> Tree {
    let time = Timestamp::parse_rfc3339("2001-02-03T04:05:06Z").expect("a time");
    let mut tree = tree(vec![
        Item::Comment(comment(" of the file")),
        entry("name", text("db")),
        entry("port", Value::Int(5432)),
        entry("ratio", Value::Float(0.25)),
        entry("tls", Value::Bool(true)),
        entry("since", Value::Time(time)),
        entry("nothing", Value::Null),
        entry("kind_unencrypted", text("Secret")),
        entry("users", Value::List(vec![text("alice"), Value::Comment(comment(" none")), text("bob")])),
        entry(
            "nested",
            branch(vec![
                Item::Comment(comment(" within")),
                entry("deep", branch(vec![entry("name", text("inner"))])),
                entry(
                    "list",
                    Value::List(vec![branch(vec![entry("a", text("x"))]), branch(vec![entry("a", text("y"))])]),
                ),
            ]),
        ),
    ]);
    tree.documents.push(Branch { items: vec![entry("name", text("second")), entry("other", text("value"))] });
    tree
}

/// The file, as text.
fn file() -> Vec<u8> {
    let mut tree = plain();
    encrypt(&mut tree, &KEY, None, false);
    store::emit_plain(Format::Yaml, &tree).expect("a YAML file").expose().clone()
}

fn witness(file: &[u8]) -> Witness {
    Witness::open(file, Format::Yaml, &FixedKey(KEY.to_vec())).unwrap_or_else(|error| panic!("{error}"))
}

/// One document of the file, as a reader of a re-ordered copy finds it.
fn copy_of(file: &[u8], index: usize) -> Document {
    let mut copy = store::load(Format::Yaml, file, Reading::Current).unwrap_or_else(|error| panic!("{error}"));
    copy.tree.documents = vec![copy.tree.documents.swap_remove(index)];
    copy
}

fn backwards(value: &mut Value) {
    match value {
        Value::Branch(branch) => all_backwards(branch),
        Value::List(list) => list.iter_mut().for_each(backwards),
        _ => {}
    }
}

/// The entries in another order, everywhere.
fn all_backwards(branch: &mut Branch) {
    branch.items.reverse();
    for item in &mut branch.items {
        if let Item::Entry(entry) = item {
            backwards(&mut entry.value);
        }
    }
}

fn value<'a>(copy: &'a mut Document, key: &str) -> &'a mut Value {
    below(&mut copy.tree.documents[0], key)
}

fn below<'a>(branch: &'a mut Branch, key: &str) -> &'a mut Value {
    let entry = branch.items.iter_mut().find_map(|item| match item {
        Item::Entry(entry) if entry.key == key => Some(entry),
        _ => None,
    });
    &mut entry.expect("the key is there").value
}

fn as_branch(value: &mut Value) -> &mut Branch {
    match value {
        Value::Branch(branch) => branch,
        _ => panic!("a mapping"),
    }
}

fn as_list(value: &mut Value) -> &mut Vec<Value> {
    match value {
        Value::List(list) => list,
        _ => panic!("a list"),
    }
}

fn same(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(text.duplicate()),
        _ => panic!("a text"),
    }
}

/// What a copy opens to, keys sorted and without comments.
fn sorted(cleartext: &Cleartext) -> serde_json::Value {
    let text = cleartext.text_as(Format::Yaml).expect("YAML");
    serde_yaml::from_slice(text.expose()).expect("YAML")
}

fn refused(change: impl FnOnce(&mut Document)) -> Option<Mismatch> {
    let file = file();
    let mut copy = copy_of(&file, 0);
    change(&mut copy);
    witness(&file).open_copy(copy).err()
}

#[test]
fn a_text_in_the_place_of_a_token_stays() {
    let file = file();
    let mut copy = copy_of(&file, 0);
    *value(&mut copy, "name") = text("of a patch");
    let opened = witness(&file).open_copy(copy).unwrap_or_else(|mismatch| panic!("{mismatch:?}"));
    assert_eq!((&sorted(&opened)["name"], &sorted(&opened)["port"]), (&"of a patch".into(), &5432.into()));
}

#[test]
fn a_copy_in_any_order_opens_to_the_values_of_its_file() {
    let file = file();
    let expected: [serde_json::Value; 2] = [
        serde_json::json!({
            "name": "db", "port": 5432, "ratio": 0.25, "tls": true, "since": "2001-02-03T04:05:06Z", "nothing": null,
            "kind_unencrypted": "Secret", "users": ["alice", "bob"],
            "nested": { "deep": { "name": "inner" }, "list": [{ "a": "x" }, { "a": "y" }] },
        }),
        serde_json::json!({ "name": "second", "other": "value" }),
    ];
    let witness = witness(&file);
    for (index, expected) in expected.into_iter().enumerate() {
        let mut copy = copy_of(&file, index);
        all_backwards(&mut copy.tree.documents[0]);
        let opened = witness.open_copy(copy).unwrap_or_else(|mismatch| panic!("{mismatch:?}"));
        assert_eq!(sorted(&opened), expected);
        let text = opened.text_as(Format::Yaml).expect("YAML").expose().clone();
        assert!(!String::from_utf8(text).expect("UTF-8").contains("ENC["), "encrypted comments are dropped");
    }
}

#[test]
fn what_was_in_clear_is_the_copys_own() {
    // kustomize adds labels and renames: that is why a copy is no file any more.
    let file = file();
    let mut copy = copy_of(&file, 0);
    *value(&mut copy, "kind_unencrypted") = text("ConfigMap");
    copy.tree.documents[0].items.insert(0, entry("added", text("label")));
    copy.tree.documents[0].items.insert(0, Item::Comment(comment(" in clear")));
    *below(as_branch(value(&mut copy, "nested")), "list") = text("mine");
    let opened = witness(&file).open_copy(copy).unwrap_or_else(|mismatch| panic!("{mismatch:?}"));
    let json = sorted(&opened);
    assert_eq!(json["nested"]["list"], "mine");
    assert_eq!((json["kind_unencrypted"].as_str(), json["added"].as_str()), (Some("ConfigMap"), Some("label")));
    assert_eq!(json["name"], "db");
    let text = opened.text_as(Format::Yaml).expect("YAML").expose().clone();
    assert!(String::from_utf8(text).expect("UTF-8").contains("# in clear"), "comments in clear stay");
}

#[test]
fn values_that_were_taken_out_are_no_forgery() {
    assert_eq!(refused(|copy| copy.tree.documents[0].items.truncate(2)), None);
    // With no value left, the copy could be of any document.
    assert_eq!(refused(|copy| copy.tree.documents[0].items.clear()), None);
}

#[test]
fn a_value_at_another_place_is_refused() {
    let moves: [fn(&mut Document); 8] = [
        |copy| *value(copy, "name") = same(value(copy, "port")),
        |copy| {
            let inner = same(below(as_branch(below(as_branch(value(copy, "nested")), "deep")), "name"));
            *value(copy, "name") = inner;
        },
        |copy| {
            let token = same(value(copy, "name"));
            copy.tree.documents[0].items.push(entry("name2", token));
        },
        |copy| {
            let token = same(value(copy, "name"));
            copy.tree.documents[0].items.push(entry("name", token));
        },
        |copy| as_list(value(copy, "users")).reverse(),
        |copy| {
            let users = as_list(value(copy, "users"));
            users.insert(0, text("mallory"));
        },
        |copy| as_list(below(as_branch(value(copy, "nested")), "list")).reverse(),
        |copy| {
            // A place that no two keys may share, however they are written.
            let token = same(below(as_branch(below(as_branch(value(copy, "nested")), "deep")), "name"));
            copy.tree.documents[0].items.push(entry("nested:deep", branch(vec![entry("name", token)])));
        },
    ];
    for (index, change) in moves.into_iter().enumerate() {
        assert_eq!(refused(change), Some(Mismatch::Value), "{index}");
    }
}

#[test]
fn a_value_of_another_file_or_document_is_refused() {
    let mut other = tree(vec![entry("name", text("other")), entry("port", Value::Int(1))]);
    encrypt(&mut other, &KEY, None, false);
    // The same data key and place: it would authenticate.
    let mut stranger = Some(same(below(&mut other.documents[0], "port")));
    assert_eq!(refused(|copy| *value(copy, "port") = stranger.take().expect("once")), Some(Mismatch::Value));

    let file = file();
    let mut second = copy_of(&file, 1);
    let token = same(value(&mut second, "name"));
    let mut copy = copy_of(&file, 0);
    *value(&mut copy, "name") = token;
    assert_eq!(witness(&file).open_copy(copy).err(), Some(Mismatch::Value));
}

#[test]
fn a_copy_with_another_mac_or_of_several_documents_is_no_copy() {
    assert_eq!(refused(|copy| copy.metadata.mac.push(' ')), Some(Mismatch::OtherFile));
    assert_eq!(refused(|copy| copy.metadata.mac.clear()), Some(Mismatch::OtherFile));
    assert_eq!(refused(|copy| copy.tree.documents.push(Branch::default())), Some(Mismatch::OtherFile));
    assert_eq!(refused(|copy| copy.tree.documents.clear()), Some(Mismatch::OtherFile));
    let file = file();
    let stored = copy_of(&file, 0).metadata.mac;
    assert_eq!(witness(&file).mac(), stored);
}

#[test]
fn only_a_verified_file_is_a_witness() {
    let text = String::from_utf8(file()).expect("UTF-8");
    let changed = text.replace("kind_unencrypted: Secret", "kind_unencrypted: Other");
    assert_ne!(text, changed);
    let result = Witness::open(changed.as_bytes(), Format::Yaml, &FixedKey(KEY.to_vec()));
    assert_eq!(code(&result), 7);
}

fn unordered(change: impl FnOnce(&mut Document)) -> Result<Cleartext, SopsError> {
    let mut copy = copy_of(&file(), 0);
    all_backwards(&mut copy.tree.documents[0]);
    change(&mut copy);
    open_unordered(copy, &FixedKey(KEY.to_vec()), &Unordered)
}

#[test]
fn on_the_operators_word_each_value_opens_at_its_place() {
    // A comment of a list stands there as a string, and cannot be told from a value whose type was changed.
    let opened = unordered(|copy| {
        as_list(value(copy, "users")).remove(1);
    });
    let json = sorted(&opened.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(
        json,
        serde_json::json!({
            "name": "db", "port": 5432, "ratio": 0.25, "tls": true, "since": "2001-02-03T04:05:06Z", "nothing": null,
            "kind_unencrypted": "Secret", "users": ["alice", "bob"],
            "nested": { "deep": { "name": "inner" }, "list": [{ "a": "x" }, { "a": "y" }] },
        })
    );
}

#[test]
fn on_the_operators_word_a_value_that_moved_or_changed_is_refused() {
    let changes: [fn(&mut Document); 4] = [
        |_| {}, // the comment of the list
        |copy| *value(copy, "name") = same(value(copy, "port")),
        |copy| {
            let inner = same(below(as_branch(below(as_branch(value(copy, "nested")), "deep")), "name"));
            *value(copy, "name") = inner;
        },
        |copy| {
            let Value::Str(token) = same(value(copy, "name")) else { panic!("a token") };
            let token = String::from_utf8(token.expose().clone()).expect("ASCII");
            *value(copy, "name") = text(&token.replace("type:str", "type:comment"));
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let result = unordered(|copy| {
            if index > 0 {
                as_list(value(copy, "users")).remove(1);
            }
            change(copy);
        });
        assert_eq!(code(&result), 7, "{index}");
        let place = if index == 0 { "users" } else { "name" };
        assert!(error(result).starts_with(&format!("value {place}: does not decrypt")), "{index}");
    }
    let wrong_key = open_unordered(copy_of(&file(), 0), &FixedKey(vec![7; 32]), &Unordered);
    assert_eq!(code(&wrong_key), 7);
}

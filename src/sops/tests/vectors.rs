//! Trees that the Go library of sops 3.13.3 encrypted: `testdata/make_vectors.go` made them and says how.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::*;
use crate::secret::Secret;
use crate::sops::tree::{Branch, Comment, Item};
use crate::yaml::timestamp::Timestamp;

#[test]
fn reads_what_the_go_library_wrote() {
    let mut opened = 0;
    for (number, line) in include_str!("../testdata/vectors.jsonl").lines().enumerate() {
        let vector: Json = serde_json::from_str(line).expect("a line is JSON");
        let word = |name: &str| vector[name].as_str().expect("a word").to_owned();
        let mut tree = from_json(&vector["encrypted"]);
        let mut stanza = vec![
            entry("lastmodified", text(&word("modified"))),
            entry("mac", text(&word("mac"))),
            entry("mac_only_encrypted", Value::Bool(vector["only"] == true)),
            entry("age", branch(vec![entry("enc", text("enc"))])),
        ];
        if !word("rule").is_empty() {
            stanza.push(entry(&word("rule"), text(&word("pattern"))));
        }
        tree.documents[0].items.push(entry("sops", branch(stanza)));
        let result = decrypt_tree(tree, &FixedKey(bytes(&vector["key"])));
        if word("go") == "ok" {
            assert_eq!(code(&result), 0, "vector {number}: {}", error(result));
            assert_eq!(to_json(&result.expect("code 0")), vector["plain"], "vector {number}");
            opened += 1;
        } else {
            assert_ne!(code(&result), 0, "vector {number}: Go says {}", word("go"));
        }
    }
    assert!(opened >= 50, "{opened}");
    println!("figure: {opened} vectors made by sops' Go library opened to the same");
}

fn bytes(text: &Json) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("base64")).expect("base64")
}

fn from_json(documents: &Json) -> Tree {
    Tree { documents: documents.as_array().expect("documents").iter().map(branch_from).collect() }
}

fn branch_from(json: &Json) -> Branch {
    let item = |item: &Json| match item[0].as_str() {
        Some(key) => entry(key, value_from(&item[1])),
        None => Item::Comment(comment_from(&item[1])),
    };
    Branch { items: json["m"].as_array().expect("items").iter().map(item).collect() }
}

fn comment_from(json: &Json) -> Comment {
    Comment { text: Secret::new(bytes(json)), is_inline: false }
}

fn value_from(json: &Json) -> Value {
    let Some((kind, content)) = json.as_object().and_then(|object| object.iter().next()) else { return Value::Null };
    let word = || content.as_str().expect("a word");
    match kind.as_str() {
        "b" => Value::Bool(content == true),
        "c" => Value::Comment(comment_from(content)),
        "f" => Value::Float(f64::from_bits(word().parse().expect("bits"))),
        "i" => Value::Int(word().parse().expect("an integer")),
        "l" => Value::List(content.as_array().expect("a list").iter().map(value_from).collect()),
        "m" => Value::Branch(branch_from(json)),
        "s" => Value::Str(Secret::new(bytes(content))),
        "t" => Value::Time(Timestamp::parse_rfc3339(word()).expect("a time")),
        other => panic!("kind {other}"),
    }
}

//! Expected texts were printed by sops 3.13.3 (`yaml.NewStore`, `LoadPlainFile` and `EmitPlainFile`).

use super::*;
use crate::sops::tree::{Branch, Item, Value};
use crate::yaml::{Comments, Document};

fn printed(yaml: &str) -> String {
    let tree = load(yaml.as_bytes(), Reading::Current).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
    String::from_utf8(emit(&tree).unwrap()).unwrap()
}

fn refusal(yaml: &str) -> String {
    load(yaml.as_bytes(), Reading::Current).map(|_| ()).unwrap_err().to_string()
}

/// The values of the first document, short: type and text.
fn values(yaml: &str, reading: Reading) -> Vec<String> {
    let tree = load(yaml.as_bytes(), reading).unwrap();
    let entries = tree.documents[0].items.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some(&entry.value),
        Item::Comment(_) => None,
    });
    let short = entries.map(|value| match value {
        Value::Float(value) => format!("float {value}"),
        Value::Int(value) => format!("int {value}"),
        Value::Null => "null".to_owned(),
        Value::Str(text) => format!("string {}", String::from_utf8_lossy(text.expose())),
        Value::Time(time) => format!("time {}", time.rfc3339_nano()),
        _ => "other".to_owned(),
    });
    short.collect()
}

/// The comments of a branch and of the lists in it, in order; inline ones with two marks.
fn comments(branch: &Branch) -> Vec<String> {
    let short = |comment: &crate::sops::tree::Comment| {
        let mark = if comment.is_inline { "##" } else { "#" };
        format!("{mark}{}", String::from_utf8_lossy(comment.text.expose()))
    };
    let mut all = Vec::new();
    for item in &branch.items {
        match item {
            Item::Comment(comment) => all.push(short(comment)),
            Item::Entry(entry) => {
                all.push(entry.key.clone());
                match &entry.value {
                    Value::Branch(branch) => all.extend(comments(branch)),
                    Value::List(list) => all.extend(list.iter().map(|value| match value {
                        Value::Comment(comment) => short(comment),
                        _ => "-".to_owned(),
                    })),
                    _ => {}
                }
            }
        }
    }
    all
}

#[test]
fn puts_comments_where_sops_puts_them() {
    for (yaml, want) in [
        (
            "# head\n\n# key\na: 1 # in\n# foot\n\n# next\nb:\n  # inner\n  - x # i\n  # f\n  - y\n# end\n",
            "# head|# key|## in|a|# foot|# next|b|# inner|## i|-|# f|-|# end",
        ),
        ("a:\n    # c\n    b: # d\n        - e\n        # f\n    # g\n# h\n", "a|# c|# d|b|-|# f|# g|# h"),
        ("# a\n---\nb: 1\n", "# a|b"),
        ("#\n#ENC[x]\na: 1\n", "#|#ENC[x]|a"),
    ] {
        let tree = load(yaml.as_bytes(), Reading::Current).unwrap();
        assert_eq!(comments(&tree.documents[0]).join("|"), want, "{yaml:?}");
    }
}

#[test]
fn prints_comments_where_sops_prints_them() {
    for (yaml, want) in [
        (
            "# head\n\n# key\na: 1 # in\n# foot\n\n# next\nb:\n  # inner\n  - x # i\n  # f\n  - y\n# end\n",
            "# head\n# key\na: 1 # in\n# foot\n# next\nb:\n    # inner\n    - x # i\n    # f\n    - \"y\"\n# end\n",
        ),
        (
            "a:\n    # c\n    b: # d\n        - e\n        # f\n    # g\n# h\n",
            "a:\n    # c\n    # d\n    b:\n        - e\n        # f\n    # g\n# h\n",
        ),
        ("a: []\nb:\n# x\nc: {}\n", "a: []\nb: null\n# x\nc: {}\n"),
        ("a: 1\n---\n# only\n---\n", "a: 1\n---\n# only\n{}\n---\n{}\n"),
    ] {
        assert_eq!(printed(yaml), want, "{yaml:?}");
    }
}

#[test]
fn prints_values_as_sops_does() {
    for (yaml, want) in [
        (
            "a: &x {b: 1}\nc: *x\n<<: *x\nd: !foo 12\ne: !!binary aGk=\nf: 0755\n",
            "a:\n    b: 1\nc:\n    b: 1\n!!merge <<:\n    b: 1\nd: \"12\"\ne: hi\nf: 493\n",
        ),
        (
            "a: 2020-01-01\nb: 1e3\nc: .inf\nd: '1'\ne: 1000000.0\n",
            "a: 2020-01-01T00:00:00Z\nb: 1000\nc: .inf\nd: \"1\"\ne: 1e+06\n",
        ),
        ("a: |\n  x\n  y\nb: >\n  z\n", "a: |\n    x\n    y\nb: |\n    z\n"),
        ("---\n", "{}\n"),
        ("", ""),
    ] {
        assert_eq!(printed(yaml), want, "{yaml:?}");
    }
}

#[test]
fn a_key_in_base64_is_its_text() {
    assert_eq!(printed("!!binary aGk=: 1\n"), "hi: 1\n");
    assert!(refusal("!!binary /w==: 1\n").contains("a YAML key that is not UTF-8"));
}

#[test]
fn checks_the_first_document_only_for_repeated_keys_and_tags() {
    assert_eq!(printed("a: 1\n---\nb: 1\nb: 2\n"), "a: 1\n---\nb: 1\nb: 2\n");
    assert_eq!(printed("a: 1\n---\nb: !!int x\n"), "a: 1\n---\nb: null\n");
    assert_eq!(printed("a: 1\n--- !!null x\n---\n"), "a: 1\n---\n{}\n---\n{}\n");
    assert!(refusal("b: !!int x\n").contains("!!int"));
    assert_eq!(refusal("b: 1\nc: 3\nb: 2\n"), "value b: a YAML key written twice, first in line 1 (line 3, column 1)");
}

#[test]
fn keeps_repeated_keys_below_the_top_but_not_in_the_stanza() {
    // sops up to 3.12 decrypts such a file; both values are in its MAC.
    assert_eq!(printed("a: {b: 1, b: 2}\n"), "a:\n    b: 1\n    b: 2\n");
    assert!(refusal("sops:\n  age:\n    - a: 1\n      a: 2\n").contains("written twice, first in line 3"));
}

#[test]
fn prints_the_comments_of_aliases_and_anchors_where_sops_prints_them() {
    let yaml =
        "a: &x # of a\n    # of b\n    b: 1\n# of c\nc: *x # after c\nd:\n    # of item\n    - *x # after item\n";
    let want = "a:\n    # of b\n    # of a\n    b: 1\n# of c\nc:\n    # of b\n    # of a\n    b: 1\nd: # after c\n    \
                # of b\n    # of a\n    - b: 1\n";
    assert_eq!(printed(yaml), want);
}

#[test]
fn refuses_documents_that_are_not_mappings() {
    assert_eq!(refusal("- x\n"), "a YAML document that is a list (line 1, column 1)");
    assert_eq!(refusal("x\n"), "a YAML document that is a single value (line 1, column 1)");
    assert_eq!(refusal("a: 1\n---\n- x\n"), "a YAML document that is a list (line 3, column 1)");
    println!("figure: 3 of 3 refused");
}

#[test]
fn refuses_keys_that_are_not_strings() {
    for yaml in ["1: a\n", "~: a\n", "a: {2020-01-01: b}\n", "a: 1\n---\ntrue: b\n", "? [a]\n: b\n"] {
        assert!(refusal(yaml).contains("a YAML key that is not a string"), "{yaml:?}");
    }
    assert_eq!(printed("yes: a\n'1': b\n"), "\"yes\": a\n\"1\": b\n");
    println!("figure: 5 of 5 kinds of keys refused");
}

#[test]
fn names_the_path_of_an_integer_that_sops_cannot_hold() {
    assert_eq!(
        refusal("a:\n  b:\n    - 18446744073709551615\n"),
        "value a.b: an integer above 9223372036854775807, which sops cannot hold (line 3, column 7)"
    );
}

#[test]
fn reads_plain_scalars_of_old_writers_as_strings_where_asked() {
    // sops up to 3.6.1 left these strings unquoted (yaml.v2); yaml.v3 takes them for floats and a date.
    let yaml =
        "a: 1e3\nb: 12e03\nc: 1.\nd: 2001-1-2\ne: 1e21\nf: 1.5\ng: 1.5e+3\nh: 0755\ni: .5\nj: .inf\nk: !!float 1e3\n";
    let current = "float 1000|float 12000|float 1|time 2001-01-02T00:00:00Z|float 1000000000000000000000|float 1.5|float \
                   1500|int 493|float 0.5|float inf|float 1000";
    assert_eq!(values(yaml, Reading::Current).join("|"), current);
    let old = "string 1e3|string 12e03|string 1.|string 2001-1-2|string 1e21|float 1.5|float 1500|int 493|float \
               0.5|float inf|float 1000";
    assert_eq!(values(yaml, Reading::YamlV2).join("|"), old);
}

#[test]
fn never_re_types_the_stanza() {
    let tree = load(b"sops: {lastmodified: 2020-01-01}\na: 2020-01-01\n", Reading::YamlV2).unwrap();
    let [Item::Entry(stanza), Item::Entry(data)] = tree.documents[0].items.as_slice() else { panic!() };
    let Value::Branch(stanza) = &stanza.value else { panic!() };
    assert!(matches!(&stanza.items[0], Item::Entry(entry) if matches!(entry.value, Value::Time(_))));
    assert!(matches!(data.value, Value::Str(_)));
}

#[test]
fn prints_a_comment_that_lost_its_place_above_its_entry() {
    // What decryption leaves of an encrypted end-of-line comment: the entry's own line is over.
    let mut tree = load(b"a: 1 # x\nb: 2\n", Reading::Current).unwrap();
    if let Item::Comment(comment) = &mut tree.documents[0].items[0] {
        comment.is_inline = false;
    }
    assert_eq!(emit(&tree).unwrap(), b"# x\na: 1\nb: 2\n");
}

#[test]
fn counts_every_comment_against_the_bound() {
    let lines = |count| Document {
        comments: Comments { head: "#\n".repeat(count), ..Default::default() },
        ..Default::default()
    };
    // The document itself is one more.
    assert!(from_nodes::tree(vec![lines(crate::limits::TREE_NODES - 1)], Reading::Current).is_ok());
    assert!(from_nodes::tree(vec![lines(crate::limits::TREE_NODES)], Reading::Current).is_err());
}

#[test]
fn comments_before_an_element_and_within_it_stand_together() {
    use crate::sops::tree::{Comment, Entry};
    let comment = |text: &str| Comment { text: text.into(), is_inline: false };
    let entry = |key: &str, value| Item::Entry(Entry { key: key.to_owned(), value, position: Default::default() });
    let element = Branch { items: vec![Item::Comment(comment(" within")), entry("k", Value::Int(1))] };
    let list = vec![Value::Int(0), Value::Comment(comment(" before")), Value::Branch(element)];
    let tree = Tree { documents: vec![Branch { items: vec![entry("a", Value::List(list))] }] };
    let text = String::from_utf8(emit(&tree).unwrap()).unwrap();
    assert_eq!(text, "a:\n    - 0\n    # before\n    # within\n    - k: 1\n");
}

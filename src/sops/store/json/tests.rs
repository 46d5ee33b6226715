//! Expected texts were printed by sops 3.13.3 (`json.NewStore`, `LoadPlainFile` and `EmitPlainFile`).

use super::{emit, load};
use crate::sops::Reading;
use crate::sops::tree::{Branch, Entry, Item, Tree, Value};

fn printed(json: &[u8]) -> String {
    String::from_utf8(emit(&load(json, Reading::Current).unwrap()).unwrap()).unwrap()
}

fn refusal(json: &str) -> String {
    load(json.as_bytes(), Reading::Current).map(|_| ()).unwrap_err().to_string()
}

fn first_value(json: &str, reading: Reading) -> Value {
    let mut tree = load(json.as_bytes(), reading).unwrap();
    match tree.documents.remove(0).items.remove(0) {
        Item::Entry(entry) => entry.value,
        Item::Comment(_) => panic!("JSON has no comments"),
    }
}

#[test]
fn prints_with_tabs_keeping_order_and_duplicates() {
    let json = br#" {"b":[1,{"c":null}, [],{}],"a":true,"b":"x"} ignored"#;
    let want = "{\n\t\"b\": [\n\t\t1,\n\t\t{\n\t\t\t\"c\": null\n\t\t},\n\t\t[],\n\t\t{}\n\t],\n\t\"a\": true,\n\t\"b\": \"x\"\n}\n";
    assert_eq!(printed(json), want);
}

#[test]
fn escapes_as_go_does() {
    let json = "{\"k<\":\"&<>\u{2028}\u{7f}é😀\\u0001\\b\\f\\n\\r\\t\\\"\\\\\\/\"}";
    let want = "{\n\t\"k\\u003c\": \"\\u0026\\u003c\\u003e\\u2028\u{7f}é😀\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\"\n}\n";
    assert_eq!(printed(json.as_bytes()), want);
}

#[test]
fn replaces_each_byte_that_is_not_utf_8_and_lone_surrogates() {
    for (json, want) in [
        (&b"{\"a\":\"\xe2\x82x\xff\"}"[..], "\u{fffd}\u{fffd}x\u{fffd}"),
        (br#"{"a":"\ud83d\ude00"}"#, "😀"),
        (br#"{"a":"\ud83d"}"#, "\u{fffd}"),
        (br#"{"a":"\ude00\ud83d"}"#, "\u{fffd}\u{fffd}"),
        (br#"{"a":"\ud83d\u0041"}"#, "\u{fffd}A"),
        (br#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}😀"),
    ] {
        assert_eq!(printed(json), format!("{{\n\t\"a\": \"{want}\"\n}}\n"));
    }
}

#[test]
fn prints_bytes_that_are_not_utf_8_as_an_escape() {
    let value = Value::Str(crate::secret::Secret::new(b"a\xff".to_vec()));
    let entry = Entry { key: "k".to_owned(), value, position: Default::default() };
    let tree = Tree { documents: vec![Branch { items: vec![Item::Entry(entry)] }] };
    assert_eq!(emit(&tree).unwrap(), b"{\n\t\"k\": \"a\\ufffd\"\n}\n");
}

#[test]
fn keeps_integers_apart_from_floats() {
    for (json, want) in [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854776000"),
        ("100000000000000000000000", "1e+23"),
        ("-0", "0"),
        ("-0.0", "-0"),
        ("1.0", "1"),
        ("1e-7", "1e-7"),
        ("1e20", "100000000000000000000"),
        ("1e-400", "0"),
    ] {
        assert_eq!(printed(format!("{{\"a\":{json}}}").as_bytes()), format!("{{\n\t\"a\": {want}\n}}\n"));
    }
}

#[test]
fn reads_every_number_as_float_where_asked() {
    let value = first_value("{\"a\":-0}", Reading::JsonFloats);
    assert!(matches!(value, Value::Float(x) if x == 0.0 && x.is_sign_negative()));
    assert!(matches!(first_value("{\"a\":-0}", Reading::Current), Value::Int(0)));
}

#[test]
fn refuses_what_go_refuses() {
    for (json, reason) in [
        ("[1]", "the top level is a JSON array, sops knows objects only (line 1, column 1)"),
        ("\"a\"", "the top level is not a JSON object (line 1, column 1)"),
        ("\u{feff}{}", "the top level is not a JSON object (line 1, column 1)"),
        ("{\"a\":1,}", "expected a JSON key in double quotes (line 1, column 8)"),
        ("{\"a\":[1,]}", "expected a JSON value (line 1, column 9)"),
        (
            &format!("{{\"a\": \"{}\", \"é\": \"{}\", x}}", "b".repeat(300), "c".repeat(256)),
            "expected a JSON key in double quotes (line 1, column 576)",
        ),
        ("{\"a\" 1}", "expected `:` after a JSON key (line 1, column 6)"),
        ("{\n\"é\": tru}", "expected a JSON value (line 2, column 6)"),
        ("{\"a\":01}", "expected `,` or `}` in a JSON object (line 1, column 7)"),
        ("{\"a\":[0 1]}", "expected `,` or `]` in a JSON array (line 1, column 9)"),
        ("{\"a\":-}", "a malformed JSON number (line 1, column 6)"),
        ("{\"a\":1.}", "a malformed JSON number (line 1, column 6)"),
        ("{\"a\":1e}", "a malformed JSON number (line 1, column 6)"),
        ("{\"a\":1e400}", "a JSON number out of range (line 1, column 6)"),
        ("{\"a\":\"\t\"}", "a control character in a JSON string (line 1, column 7)"),
        ("{\"a\":\"\\x\"}", "an unknown escape in a JSON string (line 1, column 7)"),
        ("{\"a\":\"\\u12g4\"}", "`\\u` without four hexadecimal digits in a JSON string (line 1, column 7)"),
    ] {
        assert_eq!(refusal(json), reason, "{json:?}");
    }
}

#[test]
fn refuses_a_cut_off_text_that_go_takes() {
    // Go ends the object at the end of input where a value is missing, and drops the key.
    for json in ["{\"a\":1,\"b\":", "{\"a\":1,\"b\"", "{\"a\":[1"] {
        assert!(refusal(json).starts_with("the JSON text is cut off"));
    }
}

#[test]
fn bounds_nesting() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(load(nested(254).as_bytes(), Reading::Current).is_ok());
    assert_eq!(refusal(&nested(255)), "JSON nested deeper than 255 (line 1, column 260)");
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(load(nested(255).as_bytes(), Reading::Current).is_ok());
    assert_eq!(refusal(&nested(256)), "JSON nested deeper than 255 (line 1, column 1276)");
}

#[test]
fn refuses_to_print_what_json_has_no_text_for() {
    let entry = Entry { key: "k".to_owned(), value: Value::Float(f64::NAN), position: Default::default() };
    assert!(emit(&Tree { documents: vec![Branch { items: vec![Item::Entry(entry)] }] }).is_err());
    assert!(emit(&Tree::default()).is_err());
}

#[test]
fn reads_every_word() {
    let tree = load(b"{\"a\": true, \"b\": false, \"c\": null}", Reading::Current).unwrap();
    let text = String::from_utf8(emit(&tree).unwrap()).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read, serde_json::json!({ "a": true, "b": false, "c": null }));
}

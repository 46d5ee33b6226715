use proptest::prelude::*;
use serde_yaml::Value;

use super::{carries, write_manifest};
use crate::yaml::Node;
use crate::yaml::writer::sample::{any_node, any_text, document, double, lines, list, literal, map, plain, single};

fn printed(root: Node) -> String {
    write_manifest(&document(root))
}

/// `k: ` and a value, in the middle of a manifest.
fn printed_value(value: Node) -> String {
    let text = printed(map(vec![(plain("k"), value), (plain("z"), plain("0"))]));
    text.strip_prefix("k: ").and_then(|text| text.strip_suffix("\nz: 0\n")).expect("two entries").to_owned()
}

#[test]
fn writes_a_manifest_in_blocks() {
    let containers = list(vec![map(vec![
        (plain("image"), plain("a/b:1")),
        (plain("args"), list(vec![double("-c"), double("x y")])),
        (plain("env"), list(vec![]).flow()),
    ])]);
    let spec =
        map(vec![(plain("replicas"), plain("3")), (plain("containers"), containers), (plain("affinity"), map(vec![]))]);
    let root = map(vec![(double("apiVersion"), double("v1")), (plain("spec"), spec.flow())]);
    assert_eq!(
        printed(root),
        lines(&[
            "apiVersion: v1",
            "spec:",
            "  replicas: 3",
            "  containers:",
            "  - image: a/b:1",
            "    args:",
            "    - \"-c\"",
            "    - x y",
            "    env: []",
            "  affinity: {}",
        ])
    );
}

#[test]
fn the_line_comment_of_a_block_stands_above_it() {
    let block = || map(vec![(plain("a"), plain("1"))]);
    assert_eq!(printed(block().line("# root")), "# root\na: 1\n");
    assert_eq!(printed(map(vec![]).line("# root")), "{} # root\n");
    let items = list(vec![
        block().line("# map"),
        list(vec![plain("x")]).line("# list"),
        map(vec![]).line("# empty"),
        list(vec![]).line("# none"),
        plain("y").line("# text"),
    ]);
    assert_eq!(
        printed(items),
        lines(&["# map", "- a: 1", "# list", "- - x", "- {} # empty", "- [] # none", "- \"y\" # text",])
    );
}

#[test]
fn a_literal_text_stands_two_columns_further_in_than_its_key() {
    let leaf = map(vec![(plain("c"), literal("x\n\ny\n")), (plain("d"), plain("z"))]);
    let nested = map(vec![(plain("a"), map(vec![(plain("b"), leaf)]))]);
    assert_eq!(printed(nested), lines(&["a:", "  b:", "    c: |", "      x", "", "      y", "    d: z"]));
}

#[test]
fn a_literal_text_stands_two_columns_further_in_than_its_dash() {
    let deep = map(vec![
        (plain("a"), map(vec![(plain("b"), map(vec![(plain("c"), list(vec![literal("x\n")]))]))])),
        (plain("z"), plain("0")),
    ]);
    assert_eq!(printed(deep), lines(&["a:", "  b:", "    c:", "    - |", "      x", "z: 0"]));
}

#[test]
fn keys_that_are_no_strings_stay_what_they_are() {
    for key in ["1", "true", "~", "1.5"] {
        assert_eq!(printed(map(vec![(plain(key), plain("x"))])), format!("{key}: x\n"));
    }
    assert_eq!(printed(map(vec![(plain(""), plain("x"))])), "\"\": x\n");
}

#[test]
fn leaves_typed_scalars_as_they_stand() {
    for text in ["3", "-1.5", "0o17", "1_000", "true", "null", "~", ".inf", "2001-01-01"] {
        assert_eq!(printed_value(plain(text)), text);
    }
    assert_eq!(printed_value(plain("")), "null");
    assert_eq!(printed_value(double("12").tagged("!!int")), "12");
    assert_eq!(printed(map(vec![(plain("<<"), map(vec![(plain("a"), plain("b"))]))])), "<<:\n  a: b\n");
}

#[test]
fn quotes_strings_that_any_reader_would_type() {
    for text in [
        "",
        "y",
        "N",
        "yes",
        "No",
        "ON",
        "off",
        "true",
        "FALSE",
        "null",
        "Null",
        "~",
        "1",
        "010",
        "0o17",
        "0b1",
        "0x1F",
        "1e3",
        "1_000",
        "685_230.15",
        "+1",
        "-1",
        ".5",
        "5.",
        ".inf",
        "-.INF",
        ".nan",
        "12:30",
        "190:20:30",
        "2001-01-01",
        "=",
        "<<",
        "nan",
        "inf",
    ] {
        assert_eq!(printed_value(double(text)), format!("\"{text}\""));
        assert_eq!(printed_value(plain(text).tagged("!!str")), format!("\"{text}\""));
        assert!(printed(map(vec![(single(text), plain("1"))])).starts_with(&format!("\"{text}\": ")), "{text}");
    }
    // Strings for yaml.v3, bools for YAML 1.1.
    assert_eq!(printed_value(plain("yes")), "\"yes\"");
    assert_eq!(printed_value(plain("<<")), "\"<<\"");
}

#[test]
fn quotes_what_is_not_plain_and_spares_the_rest() {
    for (text, expected) in [
        ("word", "word"),
        ("/path/to", "/path/to"),
        ("a: b", "\"a: b\""),
        ("a:", "\"a:\""),
        ("https://x:80/a?b=c&d", "https://x:80/a?b=c&d"),
        ("a #b", "\"a #b\""),
        ("two words", "two words"),
        ("two  words", "\"two  words\""),
        ("trailing ", "\"trailing \""),
        ("TVFNPQ==", "TVFNPQ=="),
        ("a\"b\\c", "\"a\\\"b\\\\c\""),
        ("\u{7}\u{8}\u{b}\u{c}", "\"\\a\\b\\v\\f\""),
        ("tab\there", "\"tab\\there\""),
        ("a\r\nb", "\"a\\r\\nb\""),
        ("\0\u{1b}\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}", "\"\\0\\e\\x7F\\N\\L\\uFEFF\\uFFFF\""),
        ("é\u{a0}😀", "\"é\\_😀\""),
    ] {
        assert_eq!(printed_value(double(text)), expected);
    }
}

#[test]
fn writes_blocks_where_that_loses_nothing() {
    assert_eq!(printed_value(double("a\n\tb\n\nc😀\n")), "|\n  a\n  \tb\n\n  c😀");
    assert_eq!(printed_value(double("a\nb")), "|-\n  a\n  b");
    for text in
        ["\na", " a\nb", "\ta\nb", "a \nb", "a\t\nb", "a\nb ", "a\n\n", "a\r\nb\n", "a\n\u{85}", "a\n\u{feff}", "\n"]
    {
        assert!(printed_value(literal(text)).starts_with('"'), "{text:?}");
    }
}

#[test]
fn ends_no_document_with_a_line_break_that_counts() {
    assert_eq!(printed(map(vec![(plain("a"), double("b\n"))])), "a: \"b\\n\"\n");
    assert_eq!(printed(map(vec![(plain("a"), list(vec![double("b\nc\n")]))])), "a:\n- \"b\\nc\\n\"\n");
    assert_eq!(printed(map(vec![(plain("a"), double("b\nc"))])), "a: |-\n  b\n  c\n");
}

#[test]
fn writes_keys_apart_that_no_reader_would_find() {
    let long = "x".repeat(1001);
    assert_eq!(printed(map(vec![(double(&long), plain("1"))])), format!("? {long}\n: 1\n"));
    let nested =
        map(vec![(list(vec![plain("a"), plain("b")]), map(vec![(plain("c"), plain("1")), (plain("d"), plain("2"))]))]);
    assert_eq!(printed(nested), lines(&["? - a", "  - b", ": c: 1", "  d: 2"]));
}

#[test]
fn writes_comments_and_nothing_but_comments() {
    let entries = map(vec![
        (plain("a").head("# head"), plain("1").line("# line")),
        (plain("b").foot("# foot\u{2028}injected: true"), list(vec![plain("2").line("x\ny: z")])),
        (plain("c"), literal("d\ne").line("# l")),
    ]);
    assert_eq!(
        printed(entries.foot("\u{1b}[2J")),
        lines(&[
            "# head",
            "a: 1 # line",
            "b:",
            "- 2 # x y: z",
            "# foot",
            "# injected: true",
            "c: |- # l",
            "  d",
            "  e",
            "# \u{fffd}[2J",
        ])
    );
}

#[test]
fn tells_what_kustomize_cannot_carry() {
    for text in ["\u{7f}", "a\u{80}b", "\u{85}", "\u{9f}", "\u{fffe}", "\u{ffff}"] {
        assert!(!carries(text), "{text:?}");
    }
    for text in ["", "\0\u{1}\u{1b}", "\r\n\t", "\u{a0}", "\u{2028}", "\u{feff}", "\u{fffd}", "\u{1f600}", "\u{10ffff}"]
    {
        assert!(carries(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_string_is_read_back(text in any_text(), key in any_text()) {
        let root = map(vec![
            (double("value"), double(&text)),
            (double("map"), map(vec![(double(&key), literal(&text))])),
            (double("list"), list(vec![single(&text), list(vec![double(&text)]), map(vec![(double(&key), double(&text))])])),
            (double("last"), double(&text)),
        ]);
        let string = |text: &str| Value::String(text.to_owned());
        let pair = || Value::Mapping([(string(&key), string(&text))].into_iter().collect());
        let read: Value = serde_yaml::from_str(&printed(root)).expect("well-formed");
        prop_assert_eq!(read.get("value"), Some(&string(&text)));
        prop_assert_eq!(read.get("map"), Some(&pair()));
        let items = vec![string(&text), Value::Sequence(vec![string(&text)]), pair()];
        prop_assert_eq!(read.get("list"), Some(&Value::Sequence(items)));
        prop_assert_eq!(read.get("last"), Some(&string(&text)));
    }

    #[test]
    fn any_tree_is_well_formed(shape in any_node()) {
        let text = printed(shape.node());
        let read: Result<Value, _> = serde_yaml::from_str(&text);
        // A reader may refuse what a manifest never has: the same key twice, and `<<` beside other keys.
        let is_known = |error: &str| error.contains("duplicate entry");
        prop_assert!(read.as_ref().err().is_none_or(|error| is_known(&error.to_string())), "{text}\n{:?}", read.err());
    }
}

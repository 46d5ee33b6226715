//! Expected texts: printed by go.yaml.in/yaml/v3 v3.0.4 from the same nodes, except where a test is about a difference.

use proptest::prelude::*;

use super::write_like_sops;
use crate::yaml::writer::sample::{any_node, document, double, folded, lines, list, literal, map, plain, single};
use crate::yaml::writer::scalar::is_break;
use crate::yaml::{Document, Node};

fn print(documents: Vec<Document>) -> String {
    write_like_sops(&documents, 4)
}

#[test]
fn writes_blocks_with_sequences_indented() {
    assert_eq!(
        print(vec![document(map(vec![
            (plain("a"), map(vec![(plain("b"), plain("1")), (plain("c"), map(vec![]))])),
            (
                plain("d"),
                list(vec![
                    plain("x"),
                    map(vec![(plain("k"), plain("v")), (plain("n"), list(vec![plain("y")]))]),
                    list(vec![plain("p"), list(vec![plain("q")])]),
                    list(vec![])
                ])
            )
        ]))]),
        lines(&[
            "a:",
            "    b: 1",
            "    c: {}",
            "d:",
            "    - x",
            "    - k: v",
            "      n:",
            "        - y",
            "    - - p",
            "      - - q",
            "    - []",
        ])
    );
}

#[test]
fn separates_documents() {
    assert_eq!(
        print(vec![
            document(map(vec![(plain("a"), plain("1"))])),
            document(map(vec![])),
            document(map(vec![(plain("b"), plain("2"))]))
        ]),
        lines(&["a: 1", "---", "{}", "---", "b: 2",])
    );
}

#[test]
fn writes_comments_of_keys_and_values() {
    assert_eq!(
        print(vec![document(
            map(vec![
                (plain("a").head("# head\n# two"), plain("1").line("# line")),
                (
                    plain("b").foot("# foot of b"),
                    map(vec![(plain("c").foot("# foot of c"), plain("2"))]).head("# in b")
                ),
                (plain("d"), plain("3"))
            ])
            .head("# top")
        )]),
        lines(&[
            "# top",
            "# head",
            "# two",
            "a: 1 # line",
            "b:",
            "    # in b",
            "    c: 2",
            "    # foot of c",
            "# foot of b",
            "",
            "d: 3",
        ])
    );
}

#[test]
fn writes_comments_of_items() {
    assert_eq!(
        print(vec![document(map(vec![
            (
                plain("a"),
                list(vec![
                    plain("1").head("# head").line("# line"),
                    map(vec![(plain("b"), plain("2"))]),
                    plain("3").foot("# foot")
                ])
                .head("# first")
            ),
            (plain("z"), plain("0"))
        ]))]),
        lines(&["a:", "    # head", "    - 1 # line", "    - b: 2", "    - 3", "    # foot", "z: 0",])
    );
}

#[test]
fn sets_document_comments_off() {
    assert_eq!(
        print(vec![
            document(map(vec![(plain("a"), plain("1"))])).head("# head").foot("# foot"),
            document(map(vec![(plain("b"), plain("2"))])).head("# second")
        ]),
        lines(&["# head", "", "a: 1", "", "# foot", "---", "# second", "", "b: 2",])
    );
}

#[test]
fn writes_the_line_comment_of_a_key_before_its_block() {
    assert_eq!(
        print(vec![document(map(vec![
            (plain("a").line("# line"), map(vec![(plain("b"), plain("1"))])),
            (plain("c").line("# kept"), plain("2")),
            (plain("d").line("# lost"), plain("3").line("# wins"))
        ]))]),
        lines(&["a: # line", "    b: 1", "c: 2 # kept", "d: 3 # wins",])
    );
}

#[test]
fn lets_the_comment_of_a_block_collection_slip_to_the_next_value() {
    assert_eq!(
        print(vec![document(map(vec![
            (plain("a"), list(vec![map(vec![(plain("b"), plain("1"))]).line("# slips"), plain("2")])),
            (plain("c"), plain("3"))
        ]))]),
        lines(&["a:", "    - b: 1", "    - 2 # slips", "c: 3",])
    );
}

#[test]
fn writes_long_and_multiline_keys_apart() {
    assert_eq!(
        print(vec![document(map(vec![
            (plain(&"x".repeat(128)), plain("1")),
            (plain(&"y".repeat(129)), map(vec![(plain("a"), plain("b"))])),
            (literal("a\nb"), list(vec![plain("c")])),
            (plain("p\u{2028}q"), plain("2"))
        ]))]),
        lines(&[
            &format!("{}: 1", "x".repeat(128)),
            &format!("? {}", "y".repeat(129)),
            ":   a: b",
            "? |-",
            "    a",
            "    b",
            ":   - c",
            "? 'p\u{2028}    q'",
            ": 2",
        ])
    );
}

#[test]
fn writes_comments_within_flow_collections_after_their_comma() {
    let flow = |node: Node| print(vec![document(map(vec![(plain("a"), node.flow()), (plain("z"), plain("0"))]))]);
    let two = |key: Node, value: Node| map(vec![(key, value), (plain("l"), plain("y"))]);
    for (node, expected) in [
        (list(vec![plain("x").line("# line"), plain("y")]), ["[x, # line", "    y]"].as_slice()),
        (list(vec![plain("x").foot("# foot"), plain("y")]), &["[x,", "    # foot", "", "    y]"]),
        (list(vec![plain("x").head("# 1"), plain("y").head("# 2")]), &["[", "    # 1", "    x,", "    # 2", "    y]"]),
        (two(plain("k"), plain("x").line("# line")), &["{k: x, # line", "    l: y}"]),
        (two(plain("k"), plain("x").foot("# foot")), &["{k: x,", "    # foot", "", "    l: y}"]),
        (two(plain("k").foot("# tail"), plain("x")), &["{k: x,", "    # tail", "", "    l: y}"]),
        (map(vec![(plain("k").foot("# tail"), plain("x"))]), &["{k: x,", "    # tail", "}"]),
        (two(plain("k").head("# 1"), plain("x")), &["{", "    # 1", "    k: x, l: y}"]),
        (two(plain(&"k".repeat(129)), plain("1")), &[&format!("{{? {} : 1, l: y}}", "k".repeat(129))]),
    ] {
        assert_eq!(flow(node), format!("a: {}\nz: 0\n", expected.join("\n")));
    }
}

#[test]
fn a_flow_mapping_with_a_foot_comment_ends_in_a_comma() {
    let node = map(vec![(plain("x"), plain("y"))]).flow().foot("# foot");
    let nodes = map(vec![(plain("a"), node), (plain("z"), plain("0"))]);
    assert_eq!(print(vec![document(nodes)]), lines(&["a: {x: y,}", "# foot", "", "z: 0"]));
}

#[test]
fn marks_every_line_of_a_comment() {
    let nodes = map(vec![
        (plain("a").head("one\ntwo"), plain("1")),
        (plain("b").head("three\n# four"), plain("2").foot("five")),
    ]);
    assert_eq!(print(vec![document(nodes)]), lines(&["# one", "# two", "a: 1", "# three", "# four", "b: 2", "# five"]));
}

#[test]
fn folds_nothing_and_keeps_every_break() {
    let nodes = map(vec![
        (plain("k"), folded("a\n b\n c\nd\n")),
        (plain("l"), folded("a\nb")),
        (plain("m"), folded("a\n")),
        (plain("n"), folded("a\n\n")),
        (plain("o"), folded(" a\n")),
        (plain("p"), literal("a\n").line("# c\n")),
    ]);
    let text = print(vec![document(nodes)]);
    let read: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for (key, value) in
        [("k", "a\n b\n c\nd\n"), ("l", "a\nb"), ("m", "a\n"), ("n", "a\n\n"), ("o", " a\n"), ("p", "a\n")]
    {
        assert_eq!(read[key].as_str(), Some(value), "{text}");
    }
    assert!(text.ends_with("p: | # c\n    a\n"), "{text}");
}

#[test]
fn sets_a_tag_without_text_off_by_one_blank() {
    let empty = || plain("").tagged("!x");
    let nodes = list(vec![empty(), plain("y").tagged("!x"), list(vec![empty(), plain("q").tagged("!z")]).flow()]);
    assert_eq!(print(vec![document(nodes)]), lines(&["- !x", "- !x y", "- [!x '', !z q]"]));
}

#[test]
fn writes_collections_as_keys() {
    assert_eq!(
        print(vec![document(map(vec![
            (map(vec![]), plain("1")),
            (list(vec![]).flow(), plain("2")),
            (map(vec![(plain("a"), plain("b"))]).flow(), map(vec![(plain("x"), plain("y"))])),
            (list(vec![plain("c")]).foot("# foot"), plain("3")),
            (plain("z"), plain("4")),
        ]))]),
        lines(&["{}: 1", "[]: 2", "? {a: b}", ":   x: y", "?   - c", ": 3", "# foot", "", "z: 4",])
    );
}

#[test]
fn counts_the_tag_to_the_length_of_a_key() {
    let (fits, too_long) = (format!("!{}", "t".repeat(27)), format!("!{}", "t".repeat(28)));
    let (key, tag) = ("k".repeat(100), "t".repeat(127));
    assert_eq!(
        print(vec![document(map(vec![
            (plain(&key).tagged(&fits), plain("1")),
            (plain(&key).tagged(&too_long), plain("2")),
            (map(vec![]).tagged(&format!("!{tag}")), plain("3")),
            (map(vec![]).tagged(&format!("!{tag}t")), plain("4")),
        ]))]),
        lines(&[
            &format!("{fits} {key}: 1"),
            &format!("? {too_long} {key}"),
            ": 2",
            &format!("!{tag} {{}}: 3"),
            &format!("? !{tag}t {{}}"),
            ": 4",
        ])
    );
}

#[test]
fn gives_the_indentation_of_a_text_that_a_blank_begins() {
    let nodes = map(vec![(plain("k"), map(vec![(plain("a"), folded(" x\ny")), (plain("b"), literal(" x\ny"))]))]);
    assert_eq!(
        print(vec![document(nodes)]),
        lines(&["k:", "    a: >4-", "         x", "        y", "    b: |4-", "         x", "        y"])
    );
}

#[test]
fn keeps_a_comment_that_slips_apart_from_the_keys_own() {
    let slipping = || list(vec![map(vec![(plain("b"), plain("1"))]).line("# slips")]);
    assert_eq!(
        print(vec![document(map(vec![
            (plain("a"), slipping()),
            (plain("c").line("# key"), map(vec![(plain("d"), plain("2"))])),
            (plain("e").line("# after"), list(vec![plain("x")]).flow()),
            (plain("z"), plain("0")),
        ]))]),
        lines(&["a:", "    - b: 1", "c: # key", "    d: 2", "e: [x]", "z: 0 # after"])
    );
    let nodes = list(vec![map(vec![(plain("b"), plain("1"))]).line("# slips"), list(vec![plain("x")])]);
    assert_eq!(print(vec![document(nodes)]), lines(&["- b: 1", "- # slips", "  - x"]));
}

#[test]
fn writes_flow_collections() {
    assert_eq!(
        print(vec![document(map(vec![
            (
                plain("a"),
                map(vec![(plain("b"), plain("")), (plain("c,d"), list(vec![plain("x: y"), plain("1")]))]).flow()
            ),
            (plain("e"), list(vec![map(vec![(plain("f"), plain("g\nh"))]), list(vec![])]).flow())
        ]))]),
        lines(&["a: {b: '', 'c,d': ['x: y', 1]}", "e: [{f: \"g\\nh\"}, []]",])
    );
}

#[test]
fn writes_tags() {
    assert_eq!(
        print(vec![document(map(vec![
            (plain("<<"), map(vec![(plain("a"), plain("b"))])),
            (plain("c"), plain("YQ==").tagged("!!binary")),
            (plain("d"), map(vec![(plain("e"), plain("f"))]).tagged("!custom")),
            (plain("g"), double("12").tagged("tag:example.com,2000:x")),
            (plain("h"), plain("x").tagged("!é")),
            (plain("i"), list(vec![plain("<<")]))
        ]))]),
        lines(&[
            "!!merge <<:",
            "    a: b",
            "c: !!binary YQ==",
            "d: !custom",
            "    e: f",
            "g: !<tag:example.com,2000:x> \"12\"",
            "h: !%C3%A9 x",
            "i:",
            "    - !!merge <<",
        ])
    );
}

#[test]
fn honours_styles_where_the_text_allows() {
    assert_eq!(
        print(vec![document(map(vec![
            (double("a"), single("b")),
            (plain("c"), literal("d")),
            (plain("e"), folded("f g\nh\n")),
            (plain("i"), single("tab\there")),
            (plain("j"), literal("x ")),
            (plain("k"), single("a\nb"))
        ]))]),
        lines(&[
            "\"a\": 'b'",
            "c: |-",
            "    d",
            "e: >",
            "    f g",
            "",
            "    h",
            "",
            "i: \"tab\\there\"",
            "j: \"x \"",
            "k: 'a",
            "",
            "    b'",
        ])
    );
}

#[test]
fn gives_the_real_indentation_below_a_dash() {
    // yaml.v3: `|4-` in both places, which nothing reads.
    let item = || literal(" a\nb");
    let nodes = map(vec![(plain("k"), list(vec![item(), map(vec![(plain("m"), item())])]))]);
    assert_eq!(
        print(vec![document(nodes)]),
        lines(&["k:", "    - |2-", "       a", "      b", "    - m: |2-", "         a", "        b"])
    );
}

#[test]
fn quotes_a_text_that_a_tab_begins() {
    // yaml.v3: a literal block that it cannot read; sops then prints `null`.
    let nodes = map(vec![(plain("a"), literal("\tb\nc")), (plain("d"), Node::from_str_like_go("\te\nf"))]);
    assert_eq!(print(vec![document(nodes)]), lines(&["a: \"\\tb\\nc\"", "d: \"\\te\\nf\""]));
}

#[test]
fn keeps_empty_collections_on_the_line_of_their_key() {
    // yaml.v3: `b: # slips` and `[]` at the start of the next line.
    let inner = map(vec![(plain("x"), plain("1"))]).line("# slips");
    let nodes = map(vec![(plain("a"), list(vec![inner])), (plain("b"), list(vec![]))]);
    assert_eq!(print(vec![document(nodes)]), lines(&["a:", "    - x: 1", "b: [] # slips"]));
}

#[test]
fn keeps_comments_out_of_block_scalars() {
    // yaml.v3: the second line of the comment becomes the first of the text; the blank line before the last comment
    // becomes the third line break of `b`.
    let nodes = map(vec![(plain("a"), literal("x").line("# one\n# two")), (plain("b"), literal("y\n\n"))]);
    assert_eq!(
        print(vec![document(nodes).foot("# foot")]),
        lines(&["a: |- # one # two", "    x", "b: |+", "    y", "", "# foot"])
    );
}

#[test]
fn replaces_control_characters_in_comments() {
    // yaml.v3 prints them and refuses to read them.
    let nodes = map(vec![(plain("a"), plain("1").line("#\u{1b}[31m\0"))]);
    assert_eq!(print(vec![document(nodes)]), "a: 1 #\u{fffd}[31m\u{fffd}\n");
}

#[test]
fn the_last_break_of_a_folded_text_is_single_if_the_first_line_is_indented() {
    let nodes = map(vec![(plain("k"), folded(" a\nb\n"))]);
    assert_eq!(print(vec![document(nodes)]), lines(&["k: >4", "     a", "    b"]));
}

#[test]
fn a_comment_stands_apart_from_the_only_scalar_of_a_document() {
    assert_eq!(print(vec![document(plain("a").line("# c"))]), "a # c\n");
}

#[test]
fn looks_at_the_next_line_when_it_folds() {
    // yaml.v3 looks at the first line of the text: three line breaks after `a`.
    assert_eq!(print(vec![document(folded("a\n b\nc"))]), lines(&[">-", "    a", "     b", "    c"]));
}

#[test]
fn takes_other_indentations() {
    let nodes = || vec![document(map(vec![(plain("a"), list(vec![map(vec![(plain("b"), plain("c\n"))])]))]))];
    assert_eq!(write_like_sops(&nodes(), 2), lines(&["a:", "  - b: |", "      c"]));
    assert_eq!(write_like_sops(&nodes(), 3), lines(&["a:", "   - b: |", "      c"]));
    assert_eq!(write_like_sops(&nodes(), 10), lines(&["a:", "  - b: |", "      c"]));
    assert_eq!(write_like_sops(&nodes(), 0), lines(&["a:", "    - b: |", "        c"]));
}

#[test]
fn nesting_takes_no_stack() {
    const DEPTH: usize = 50_000;
    let mut nodes = plain("x");
    for _ in 0..DEPTH {
        nodes = list(vec![nodes]);
    }
    let documents = vec![document(nodes)];
    let text = write_like_sops(&documents, 4);
    // Dropping would take stack.
    std::mem::forget(documents);
    assert_eq!(text, format!("{}x\n", "- ".repeat(DEPTH)));
}

proptest! {
    #[test]
    fn never_panics_and_ends_with_a_break(shape in any_node(), indent in 0..12_usize) {
        prop_assert!(write_like_sops(&[document(shape.node())], indent).ends_with(is_break));
    }
}

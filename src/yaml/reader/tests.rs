use std::time::Instant;

use proptest::prelude::*;

use crate::limits;
use crate::yaml::{CollectionStyle, Comments, Document, Kind, Node, Position, ScalarStyle, YamlError, parse, to_json};

/// A node on one line: text of scalars, `[…]`, `{…}`; `<head|line|foot>` where there are comments.
fn show(node: &Node) -> String {
    let mut text = node.tag.as_ref().map(|tag| format!("{tag} ")).unwrap_or_default();
    text.push_str(&match &node.kind {
        Kind::Mapping(pairs, _) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}: {}", show(key), show(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Kind::Sequence(items, _) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Kind::Scalar(text, _) => text.replace('\n', "\\n"),
    });
    text.push_str(&show_comments(node.comments.as_deref()));
    if let Some(comments) = &node.alias_comments {
        text.push('*');
        text.push_str(&show_comments(Some(comments.as_ref())));
    }
    text
}

fn show_comments(comments: Option<&Comments>) -> String {
    match comments {
        Some(Comments { head, line, foot }) if !(head.is_empty() && line.is_empty() && foot.is_empty()) => {
            format!("<{head}|{line}|{foot}>").replace('\n', "\\n")
        }
        _ => String::new(),
    }
}

fn show_document(document: &Document) -> String {
    show(&document.root) + &show_comments(Some(&document.comments))
}

fn read(text: &str) -> Result<String, String> {
    let documents = parse(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(shown(&documents))
}

fn shown(documents: &[Document]) -> String {
    documents.iter().map(show_document).collect::<Vec<_>>().join(" --- ")
}

#[track_caller]
fn reads(text: &str, want: &str) {
    assert_eq!(read(text).as_deref(), Ok(want), "{text}");
}

#[track_caller]
fn refuses(text: &str, want: &str) {
    assert_eq!(read(text).err().as_deref(), Some(want), "{text}");
}

// Expected values of comments and values in this file: go.yaml.in/yaml/v3 v3.0.4.

/// Line and column of each node, in order.
fn places(node: &Node) -> Vec<String> {
    let below: Vec<_> = match &node.kind {
        Kind::Mapping(pairs, _) => {
            pairs.iter().flat_map(|(key, value)| [places(key), places(value)].concat()).collect()
        }
        Kind::Sequence(items, _) => items.iter().flat_map(places).collect(),
        Kind::Scalar(..) => Vec::new(),
    };
    let Position { line, column } = node.position;
    [vec![format!("{line}:{column}")], below].concat()
}

/// A text; values and comments, and the places of nodes, as yaml.v3 reads them, or none where it refuses the text:
/// `testdata/make_read.go` made the table.
#[test]
fn reads_as_yaml_v3_or_refuses() {
    let mut differences = Vec::new();
    for line in include_str!("../testdata/read.jsonl").lines() {
        let [text, theirs, their_places]: [Option<String>; 3] = serde_json::from_str(line).expect("JSON");
        let text = text.expect("a text");
        let documents = parse(text.as_bytes()).ok();
        let ours = documents.as_ref().map(|documents| shown(documents));
        let our_places = documents.map(|documents| {
            documents.iter().flat_map(|document| places(&document.root)).collect::<Vec<_>>().join(" ")
        });
        if (&ours, &our_places) != (&theirs, &their_places) {
            differences.push(format!("{text:?}: {ours:?} {our_places:?}, yaml.v3: {theirs:?} {their_places:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn ties_comments_to_keys_values_and_items() {
    reads(
        "# top\n\n# head\na: 1 # line\n# foot\n\nb:\n  # item\n  - c\n",
        "{a<# head||# foot>: 1<|# line|>, b: [c<# item||>]}<# top||>",
    );
    reads("a:\n  b: 1\n  # in\n# out\nc: 2\n", "{a: {b<||# in>: 1}, c<# out||>: 2}");
    reads("a: # after\n  b: 1\n", "{a<|# after|>: {b: 1}}");
    reads("- # head\n  a: 1\n", "[{a<# head||>: 1}]");
    reads("- # head\n  # more\n  - 1\n  - 2\n", "[[1<# head\\n# more||>, 2]]");
    reads("# list\n- # head\n  - 1\n", "[[1<# head||>]<# list||>]");
    reads("a: {} # empty\n", "{a: {}<|# empty|>}");
    reads("a: [ # start\n  b, # item\n  # tail\n] # end\n", "{a: [b<|# item|# tail>]<|# end|>}");
}

#[test]
fn ties_comments_to_documents() {
    reads("# only\n", "");
    reads("a: 1\n\n# end\n", "{a: 1}<||# end>");
    reads("--- # first\na: 1\n--- # second\nb: 2\n", "{a<# first||>: 1} --- {b<# second||>: 2}");
    reads("a: 1\n---\n", "{a: 1} --- ");
}

#[test]
fn leaves_number_signs_in_block_scalars_alone() {
    reads("a: |  # line\n  # text\n# foot\n", "{a<||# foot>: # text\\n<|# line|>}");
}

#[test]
fn folds_scalars() {
    reads("a: b\n  c\n\n  d\n", "{a: b c\\nd}");
    reads("a: >-\n  b\n  c\n\n   d\n", "{a: b c\\n\\n d}");
    reads("a: |+\n  b\n\n", "{a: b\\n\\n}");
    reads("a: |2-\n   b\n", "{a:  b}");
    reads("a: \"b\n  c\\\n  d\\x41\\u00e9\\U0001F600\"\n", "{a: b cdAé😀}");
    reads("a: 'b''c\n\n  d'\n", "{a: b'c\\nd}");
    reads("a: b\r\nc: |\r\n  d\r\n", "{a: b, c: d\\n}");
}

#[test]
fn keeps_duplicate_keys_and_finds_them() {
    let documents = parse(b"a: 1\nb: 2\n'a': 3\n").ok().unwrap_or_default();
    let root = &documents.first().expect("one document was written").root;
    assert_eq!(show(root), "{a: 1, b: 2, a: 3}");
    assert_eq!(root.duplicate_key().map(|position| position.to_string()).as_deref(), Some("line 3, column 1"));
    assert_eq!(Node::default().duplicate_key(), None);
}

#[test]
fn shortens_tags() {
    reads(
        "a: !!binary aGk=\nb: !<tag:yaml.org,2002:int> 1\nc: !x 1\nd: ! 1\n",
        "{a: !!binary aGk=, b: !!int 1, c: !x 1, d: ! 1}",
    );
    reads("%TAG !e! tag:example.com,2000:\n---\n!e!a%21 b\n", "tag:example.com,2000:a! b");
    refuses("!e!a b\n", "a tag with an unknown handle at line 1, column 1");
}

#[test]
fn tells_styles_and_places() {
    let text = "\u{feff}a:\n  - {é: x, b: |\n";
    assert!(parse(text.as_bytes()).is_err());
    let documents = parse("\u{feff}a:\n  - {é: 'x', b: }\n".as_bytes()).ok().unwrap_or_default();
    let root = &documents.first().expect("one document was written").root;
    let Kind::Mapping(pairs, CollectionStyle::Block) = &root.kind else { panic!("a block mapping was written") };
    let Kind::Sequence(items, CollectionStyle::Block) = &pairs[0].1.kind else { panic!("a sequence was written") };
    let Kind::Mapping(pairs, CollectionStyle::Flow) = &items[0].kind else { panic!("a flow mapping was written") };
    assert!(matches!(&pairs[0].1.kind, Kind::Scalar(text, ScalarStyle::SingleQuoted) if text == "x"));
    assert_eq!((pairs[0].1.position.line, pairs[0].1.position.column), (2, 9));
    // Offsets count bytes, the byte order mark included.
    assert_eq!(pairs[0].1.offset, 15);
}

#[test]
fn expands_aliases_with_their_own_comments() {
    reads(
        "a: &x # anchored\n  b: 1 # one\nc: *x # alias\nd: [*x]\n",
        "{a: {b<|# anchored|>: 1<|# one|>}, c: {b<|# anchored|>: 1<|# one|>}*<|# alias|>, \
         d: [{b<|# anchored|>: 1<|# one|>}*]}",
    );
    reads("a: &x 1\nb: &y [*x]\nc: [*y, *x]\n", "{a: 1, b: [1*], c: [[1*]*, 1*]}");
    reads("a: &x 1\n---\nb: *x\n", "{a: 1} --- {b: 1*}");
    reads("- &x 1\n- *x\n- &x 2\n- *x\n", "[1, 1*, 2, 2*]");
    refuses("a: *x\n", "an alias without its anchor at line 1, column 4");
    refuses("a: &x [*x]\n", "an alias inside of what it stands for at line 1, column 8");
}

#[test]
fn refuses_alias_bombs() {
    let begun = Instant::now();
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(read(&bomb).err().is_some_and(|error| error.starts_with("aliases stand for too much")));

    // Each alias is one level deeper than the one before.
    let mut tower = "- &a0 []\n".to_owned();
    for level in 1..300 {
        tower.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
    }
    assert!(read(&tower).err().is_some_and(|error| error.starts_with("an alias nests too deeply")));

    let comment = "x".repeat(100_000);
    let comments = format!("- &a 1\n- &b\n  - *a # {comment}\n{}", "- *b\n".repeat(1000));
    assert!(read(&comments).err().is_some_and(|error| error.starts_with("aliases stand for too much")));
    println!(
        "figure: 10^12 elements, 300 levels, and 100 MB of comments: 3 of 3 refused, in {} ms",
        begun.elapsed().as_millis()
    );
}

#[test]
fn aliases_may_add_as_much_as_the_bounds_say() {
    let list = vec!["x"; 999].join(", ");
    let nodes = |more: &str| {
        let aliases = "- *a\n".repeat(limits::ALIAS_NODES / 1000);
        parse(format!("- &a [{list}]\n- &b x\n{aliases}{more}").as_bytes())
            .map(drop)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(nodes(""), None);
    assert_eq!(nodes("- *b\n").as_deref(), Some("aliases stand for too much at line 103, column 3"));

    // Of what is copied, text, tag and comments count, the comments of an alias in it too: 768 bytes of `a`, 1 KiB of `c`.
    let [scalar, tag, comment, rest] = [511, 63, 63, 256].map(|length| "x".repeat(length));
    let bytes = |more: &str| {
        let a = format!("#{comment}\n- &a !{tag} y{scalar} #{comment}\n#{comment}\n\n");
        let c = format!("- &c\n  - z\n  #{comment}\n  - *a #{comment}\n  #{comment}{comment}\n\n");
        let aliases = "- *c\n".repeat(limits::ALIAS_BYTES / 1024 - 1);
        parse(format!("- &b {rest}\n{a}{c}{aliases}- *b\n{more}").as_bytes())
            .map(drop)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(bytes(""), None);
    assert!(bytes("- *b\n").is_some_and(|error| error.starts_with("aliases stand for too much")));
}

#[test]
fn many_anchors_cost_nothing() {
    let text: String = (0..100_000).map(|number| format!("- &a{number} v\n")).collect();
    let documents = parse(text.as_bytes()).ok().unwrap_or_default();
    assert!(matches!(&documents[0].root.kind, Kind::Sequence(items, _) if items.len() == 100_000));
}

#[test]
fn refuses_other_encodings_and_control_characters() {
    let error = |bytes: &[u8]| parse(bytes).err().map(|error| error.to_string());
    assert_eq!(error(b"\xff\xfea\0").as_deref(), Some("the text is UTF-16, only UTF-8 is read at line 1, column 1"));
    assert_eq!(error(b"a: b\nc: \xff\n").as_deref(), Some("the text is not UTF-8 at line 2, column 4"));
    assert_eq!(error(b"a: \x1b\n").as_deref(), Some("control characters are not allowed at line 1, column 4"));
    assert_eq!(
        error("a: \u{80}\n".as_bytes()).as_deref(),
        Some("control characters are not allowed at line 1, column 4")
    );
    assert!(error(b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n").is_some());
    assert_eq!(read("\u{feff}a: 1\n").as_deref(), Ok("{a: 1}"));
    println!("figure: 5 of 5 refused, 1 byte order mark skipped");
}

#[test]
fn refuses_ill_formed_text() {
    refuses("a: b: c\n", "mapping values are not allowed here at line 1, column 5");
    refuses("a: [b\n", "a ',' or ']' is needed here at line 2, column 1");
    refuses("a: 'b\n", "a quoted scalar without its closing quote at line 1, column 4");
    refuses("a\nb: c\n", "mapping values are not allowed here at line 2, column 2");
    refuses("a: 1\nb\n", "a key without its ':' at line 2, column 1");
    refuses("a: \"\\q\"\n", "an unknown escape in a quoted scalar at line 1, column 4");
    refuses("\ta: 1\n", "a character that can begin no token at line 1, column 1");
    refuses("%FOO\n---\n", "an unknown directive at line 1, column 1");
    refuses("'\\qb{", "a quoted scalar without its closing quote at line 1, column 1");
    refuses(">\n\t\n", "a tab indents a block scalar at line 1, column 1");
    refuses(">1\n\t\n", "a tab indents a block scalar at line 1, column 1");
    refuses("{|\n", "a character that can begin no token at line 1, column 2");
    refuses("[>]\n", "a character that can begin no token at line 1, column 2");
}

#[test]
fn an_error_stands_where_the_token_does_that_nothing_allows() {
    refuses(":\r\n&x v", "a key is needed here at line 1, column 1");
    refuses(": v}\u{feff}?a\n", "a key is needed here at line 1, column 1");
    refuses("[]k: ", "a value is needed here at line 1, column 1");
    refuses(" ? [a, \n", "a value is needed here at line 2, column 1");
    refuses("[? ],\n- b\n]\n", "a value is needed here at line 2, column 1");
    // Line breaks of comments count, CRLF once.
    let text = "# c\n\n# d\r\n-\n- &x {~}\n \n- [ # c\n ? b, ? ] # c # d\n # d\n#e\n# c\n \n# end";
    refuses(text, "a ',' or ']' is needed here at line 12, column 2");
    // Columns count characters.
    refuses("é日: \u{1b}\n", "control characters are not allowed at line 1, column 5");
    refuses("é日: 'b\n", "a quoted scalar without its closing quote at line 1, column 5");
}

#[test]
fn refuses_noncharacters_and_takes_their_neighbours() {
    for c in ['\u{fffe}', '\u{ffff}'] {
        refuses(&format!("a: {c}"), "control characters are not allowed at line 1, column 4");
    }
    for c in ['\u{fffd}', '\u{f7bf}', '\u{ffbf}'] {
        reads(&format!("a: {c}"), &format!("{{a: {c}}}"));
    }
}

/// Runs on a stack as small as a thread may have.
fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread starts");
    thread.join().expect("the stack holds")
}

#[test]
fn bounds_nesting_on_a_small_stack() {
    let nested = |open: &str, close: &str, levels: usize| open.repeat(levels) + &close.repeat(levels);
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("[a: ", "]"), ("- ", "")] {
        let levels = if open == "[a: " { limits::NESTING / 2 } else { limits::NESTING };
        let deepest = nested(open, close, levels);
        let deeper = nested(open, close, levels + 1);
        let much_deeper = nested(open, close, 100_000);
        on_small_stack(move || {
            assert!(parse(deepest.as_bytes()).is_ok());
            assert!(parse(deeper.as_bytes()).is_err());
            assert!(parse(much_deeper.as_bytes()).is_err());
        });
    }
    let lines: String = (0..limits::NESTING).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    on_small_stack(move || drop(parse(lines.as_bytes()).expect("within the bound")));
    println!("figure: {} levels read, one more and 100,000 refused, 4 ways, in 256 KiB of stack", limits::NESTING);
}

#[test]
fn bounds_nodes() {
    let text = "[".to_owned() + &",".repeat(10) + "]";
    assert!(parse(text.as_bytes()).is_err());
    let text = "-\n".repeat(limits::YAML_NODES);
    assert!(matches!(parse(text.as_bytes()), Err(YamlError::Syntax { rule: "too many nodes", .. })));
}

/// A text that uses most of the grammar.
const RICH: &str = "%TAG !e! tag:e,2000:\n---\n# head\na: &x !e!t 'q''q' # line\n\"b\\u00e9\": |2-\n   lit # no\n\n  x\n# foot\n\n? [k, {l: m}]\n: - - 1\n    # c\n  - >+\n    folded\n    text\n\n  - *x\n'd': {e: !!str f, ? g, h: [i, # j\n    k: l]} # end\n...\n---\n~\n";

#[test]
fn truncation_at_every_byte_never_panics() {
    assert!(parse(RICH.as_bytes()).is_ok());
    for length in 0..RICH.len() {
        let _ = parse(&RICH.as_bytes()[..length]);
        let _ = parse(&RICH.as_bytes()[length..]);
    }
    println!("figure: {} beginnings and ends of one YAML text, 0 panics", 2 * RICH.len());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn arbitrary_indicators_never_panic(text in "[ \t\n\r#:?,\\[\\]{}&*!|>'\"%@`a0\\\\~.é\u{85}-]{0,80}") {
        if let Ok(documents) = parse(text.as_bytes()) {
            for document in &documents {
                let _ = to_json(&document.root);
                let _ = document.root.duplicate_key();
            }
        }
    }

    #[test]
    fn a_changed_byte_never_panics(place in 0..RICH.len(), byte in any::<u8>()) {
        let mut bytes = RICH.as_bytes().to_vec();
        bytes[place] = byte;
        let _ = parse(&bytes);
    }
}

#[test]
fn an_alias_may_nest_as_deep_as_what_it_stands_in() {
    let text = |inner: usize, outer: usize| {
        format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(inner), "]".repeat(inner), "[".repeat(outer), "]".repeat(outer))
    };
    // The mapping is a level too.
    assert!(parse(text(100, limits::NESTING - 101).as_bytes()).is_ok());
    assert!(parse(text(100, limits::NESTING - 100).as_bytes()).is_err());
    let scalar = |outer: usize| format!("a: &a x\nb: {}*a{}\n", "[".repeat(outer), "]".repeat(outer));
    assert!(parse(scalar(limits::NESTING - 1).as_bytes()).is_ok());
}

#[test]
fn an_alias_within_what_an_alias_stands_for_is_put_in_its_own_place() {
    reads(
        "x: &x 1\na: &a [*x, {k: *x, l: 2}, 3]\nb: *a\nc: [*a, 4]\n",
        "{x: 1, a: [1*, {k: 1*, l: 2}, 3], b: [1*, {k: 1*, l: 2}, 3]*, c: [[1*, {k: 1*, l: 2}, 3]*, 4]}",
    );
}

#[test]
fn an_alias_stands_where_it_is_written() {
    let documents = parse(b"a: &a\n  b: 1\nc:\n\n  *a\n").unwrap_or_else(|error| panic!("{error}"));
    let Kind::Mapping(pairs, _) = &documents[0].root.kind else { panic!("a mapping") };
    assert_eq!((pairs[1].1.position.line, pairs[1].1.offset), (5, 19));
}

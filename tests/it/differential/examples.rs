//! An example of each row of `tests/differences.md`, before the real sops.

use std::collections::BTreeSet;

use unsops::sops::Format;

use super::pair::{Pair, Verdict};
use super::{differences, godotenv, recipients, with_pair};
use crate::harness::tests_dir;
use crate::oracle::{Answer, Options};

/// A text that shows a row.
struct Example {
    name: &'static str,
    format: Format,
    text: Vec<u8>,
    is_file: bool,
}

const YAML: &str = "a: x\nb: y\nc: {d: z}\n";

/// A file that sops makes, changed.
fn changed(pair: &mut Pair<'_>, format: Format, plain: &str, options: &Options, from: &str, to: &str) -> Vec<u8> {
    let encrypted = pair.oracle.encrypt(format, plain.as_bytes(), options, 1).expect("encrypted");
    let file = String::from_utf8(encrypted.file).expect("UTF-8");
    assert!(file.contains(from), "no {from:?} in\n{file}");
    file.replacen(from, to, 1).into_bytes()
}

fn examples(pair: &mut Pair<'_>) -> Vec<Example> {
    let recipients = recipients();
    let plain = Options {
        groups: vec![vec![recipients[0].clone()]],
        unencrypted_suffix: "_unencrypted".to_owned(),
        ..Options::default()
    };
    let shared = Options {
        groups: recipients.iter().map(|recipient| vec![recipient.clone()]).collect(),
        shamir_threshold: 2,
        ..Options::default()
    };
    let all = Options { shamir_threshold: 3, ..shared.clone() };
    let letters = Options { encrypted_regex: "\\pL".to_owned(), groups: plain.groups.clone(), ..Options::default() };
    let mut examples = Vec::new();
    for (name, format, text) in [
        ("ini-empty-comment", Format::Ini, &b";\n;\na="[..]),
        ("misprint-tab", Format::Yaml, b"a: |2#\n  \t\n"),
        ("merge-of-no-mapping", Format::Yaml, b"a: 1\n<<: null\n"),
        ("nested-key-twice", Format::Yaml, b"c:\n  k: 1\n  k: 2\n"),
        ("no-document", Format::Yaml, b"# nothing\n"),
        ("not-utf8", Format::Dotenv, b"\xff=1\n"),
        ("not-utf8", Format::Ini, b"[\xff]\n"),
        ("not-utf8", Format::Yaml, b"!!binary /w==: 1\n"),
        ("not-utf8", Format::Yaml, b"a: !%c0%80 b\n"),
        ("byte-order-mark-twice", Format::Yaml, b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n"),
        ("json-cut-off", Format::Json, b"{\"a\": 1, \"b\""),
        ("misprint", Format::Yaml, b"a:\n- \" x\\ny\"\n"),
    ] {
        examples.push(Example { name, format, text: text.to_vec(), is_file: false });
    }
    let directives: String = (0..17).map(|number| format!("%TAG !{number}! tag:x\n")).collect();
    let text = format!("{directives}---\na: 1\n").into_bytes();
    examples.push(Example { name: "tag-directives", format: Format::Yaml, text, is_file: false });
    // Where sops' reader fills its buffer of 512 bytes again.
    let text = format!("{}\na: '\u{feff}'\nb: 1\n", "#".repeat(502)).into_bytes();
    examples.push(Example { name: "byte-order-mark-within", format: Format::Yaml, text, is_file: false });
    for (name, format, text, options, from, to) in [
        ("older-reading", Format::Json, "{\"a_unencrypted\": -0.0}", &plain, "", ""),
        ("unquoted-time", Format::Yaml, YAML, &plain, "\"2026-01-02T03:04:05Z\"", "2026-01-02T03:04:05Z"),
        ("ignored-key-groups", Format::Yaml, YAML, &plain, "    version:", "    key_groups: x\n    version:"),
        (
            "threshold-with-fraction",
            Format::Dotenv,
            "a=x\n",
            &shared,
            "shamir_threshold=2",
            "shamir_threshold=2.000000",
        ),
        ("share-twice", Format::Dotenv, "a=x\n", &shared, "", ""),
        ("armor-returns", Format::Dotenv, "a=x\n", &plain, "", ""),
        ("empty-key", Format::Yaml, YAML, &plain, "        - enc:", "        -\n        - enc:"),
        ("stanza-integer", Format::Yaml, YAML, &plain, "    version:", "    x: 0xffffffffffffffff\n    version:"),
        ("threshold-lowered", Format::Yaml, YAML, &all, "shamir_threshold: 3", "shamir_threshold: 2"),
        ("type-bytes", Format::Yaml, YAML, &plain, ",type:str]", ",type:bytes]"),
        ("armor-blanks", Format::Dotenv, "a=x\n", &plain, "enc=-----", "enc= -----"),
        ("armor-blanks", Format::Yaml, YAML, &plain, "END AGE ENCRYPTED FILE-----", "END AGE ENCRYPTED FILE----- "),
        ("token-form", Format::Yaml, YAML, &plain, ",type:str]", ",type:str]x"),
        ("token-form", Format::Json, "{\"a\": \"x\"}", &plain, ",type:str]", ",type:str]\\n"),
        ("token-form", Format::Json, "{\"a\": \"x\"}", &plain, "type:str]", "type:str]"),
        (
            "stanza-field-twice",
            Format::Json,
            "{\"a\": \"x\"}",
            &plain,
            "\"version\":",
            "\"version\": \"1\", \"version\":",
        ),
        ("threshold", Format::Yaml, YAML, &shared, "shamir_threshold: 2", "shamir_threshold: 1"),
        ("pattern", Format::Yaml, YAML, &letters, "", ""),
        ("later-stanza", Format::Yaml, "a: x\n---\nb: y\n", &plain, "3.13.3\n---", "3.13.3\n---"),
        ("list-index", Format::Dotenv, "a=x\n", &plain, "", ""),
        ("comment-for-value", Format::Yaml, "k:\n  - a: \"\"\n    # c\n    b: \"\"\n  - v\n", &plain, "", ""),
    ] {
        let mut text = changed(pair, format, text, options, from, to);
        match name {
            "later-stanza" => text.extend(b"    1: x\n"),
            "list-index" => {
                text = String::from_utf8(text).expect("UTF-8").replace("age__list_0", "age__list_x").into_bytes();
            }
            "share-twice" => text = with_share_twice(&text),
            // Within the last line, which is shorter than the others.
            "armor-returns" => {
                let at = text.windows(7).position(|piece| piece == b"-----EN").expect("an end");
                text.insert(at - 8, b'\r');
            }
            // The last digit of one byte has four bits too many.
            "token-form" if format == Format::Json => {
                let at = text.windows(6).position(|piece| piece == b"==,iv:").expect("one byte");
                text[at - 1] += 1;
            }
            "comment-for-value" => text = with_comment_for_value(&text),
            _ => {}
        }
        examples.push(Example { name, format, text, is_file: true });
    }
    examples.extend(together(pair, &plain, &all));
    examples
}

/// Files in which the difference of a row meets another one, or other line ends.
fn together(pair: &mut Pair<'_>, options: &Options, all: &Options) -> Vec<Example> {
    let with_merge = changed(pair, Format::Yaml, "a: x\n\"<<\": y\n", options, ",type:str]", ",type:str]x");
    let with_merge = String::from_utf8(with_merge).expect("UTF-8").replace("!!merge <<:", "\"<<\":");
    let with_empty_comment = changed(pair, Format::Ini, ";x\n;\na=1\n", options, ",type:comment]", ",type:comment]\\");
    let carriage_returns =
        changed(pair, Format::Yaml, YAML, options, "END AGE ENCRYPTED FILE-----\n", "END AGE ENCRYPTED FILE----- \n");
    let carriage_returns = carriage_returns.into_iter().map(|byte| if byte == b'\n' { b'\r' } else { byte });
    let lowered = changed(pair, Format::Yaml, YAML, all, "shamir_threshold: 3", "shamir_threshold: 2");
    let lowered = String::from_utf8(lowered).expect("UTF-8").replacen(",type:str]", ",type:str]x", 1);
    let escaped = changed(
        pair,
        Format::Json,
        "{\"a\": \"x\"}",
        options,
        "\"version\":",
        "\"v\\u0065rsion\": \"1\", \"version\":",
    );
    [
        ("threshold-lowered", Format::Yaml, lowered.into_bytes()),
        ("stanza-field-twice", Format::Json, escaped),
        ("token-form", Format::Yaml, with_merge.into_bytes()),
        ("token-form", Format::Ini, with_empty_comment),
        ("armor-blanks", Format::Yaml, carriage_returns.collect()),
    ]
    .map(|(name, format, text)| Example { name, format, text, is_file: true })
    .into()
}

/// The third group has the first one's share; it is not needed.
fn with_share_twice(file: &[u8]) -> Vec<u8> {
    let file = String::from_utf8(file.to_vec()).expect("UTF-8");
    let enc = |group: usize| {
        let start = format!("sops_key_groups__list_{group}__map_age__list_0__map_enc=");
        file.lines().find_map(|line| line.strip_prefix(&start)).expect("a share").to_owned()
    };
    file.replacen(&enc(2), &enc(0), 1).into_bytes()
}

/// The first element and the comment change places: they have the same path, and the MAC does not say which is which.
fn with_comment_for_value(file: &[u8]) -> Vec<u8> {
    let file = String::from_utf8(file.to_vec()).expect("UTF-8");
    let line =
        |start: &str| file.lines().find(|line| line.trim().starts_with(start)).expect("a line").trim().to_owned();
    let (element, comment) = (line("- ENC["), line("#ENC["));
    let (value, text) = (element[2..].to_owned(), comment[1..].to_owned());
    file.replacen(&value, "VALUE", 1).replacen(&text, &value, 1).replacen("VALUE", &text, 1).into_bytes()
}

fn judge(pair: &mut Pair<'_>, example: &Example, theirs: &Answer) -> Verdict {
    if example.is_file {
        pair.judge_file(example.format, &example.text, theirs)
    } else {
        pair.judge_text(example.format, &example.text, theirs)
    }
}

#[test]
fn each_row_of_the_table_is_seen_before_the_real_sops() {
    with_pair(|pair| {
        let examples = examples(pair);
        for example in &examples {
            let theirs = if example.is_file {
                pair.oracle.decrypt(example.format, &example.text)
            } else {
                pair.oracle.print(example.format, &example.text)
            };
            match judge(pair, example, &theirs) {
                Verdict::Listed(name) => assert_eq!(name, example.name),
                Verdict::Same => panic!("{}: the same, so the row is not needed any more", example.name),
                Verdict::Refused(classes) => panic!("{}: refused by both: {classes}", example.name),
                Verdict::Finding { kind, reason } => panic!("{}: not recognised: {kind}\n{reason}", example.name),
            }
            // Other plaintext is never what a row or a repair stands for.
            if differences::REPAIRS.iter().any(|repair| repair.name == example.name) && theirs.is_ok() {
                let verdict = judge(pair, example, &Ok(b"something else".to_vec()));
                assert!(matches!(verdict, Verdict::Finding { .. }), "{}: anything goes", example.name);
            }
        }
        let rows = differences::ROWS.iter().map(|row| row.name);
        let rows: BTreeSet<&str> = rows.chain(differences::REPAIRS.iter().map(|repair| repair.name)).collect();
        let shown: BTreeSet<&str> = examples.iter().map(|example| example.name).collect();
        assert_eq!(rows, shown, "rows with an example");
    });
}

#[test]
fn the_table_has_the_rows_of_the_code() {
    let text = std::fs::read_to_string(tests_dir().join("differences.md")).expect("tests/differences.md");
    let written: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let rows = differences::ROWS.iter().map(|row| row.name);
    let repairs = differences::REPAIRS.iter().map(|repair| repair.name);
    let variables = godotenv::ROWS.iter().map(|row| row.name);
    let known: BTreeSet<&str> = rows.chain(repairs).chain(variables).chain([godotenv::BYTES]).collect();
    assert_eq!(written, known);
}

use proptest::prelude::*;

use super::*;
use crate::sops::tree::{Branch, Value};

/// Every way a value may hide: refused texts must not show it.
const CANARY: &str = "CANARY-7f3a";

const ALL: [Format; 5] = [Format::Binary, Format::Dotenv, Format::Ini, Format::Json, Format::Yaml];

/// A file in the layout of sops 3.13.3, with placeholders for tokens.
fn encrypted(format: Format) -> &'static str {
    match format {
        Format::Binary => {
            r#"{"data": "ENC[1]", "sops": {"age": [{"recipient": "age1x", "enc": "armored"}],
                "lastmodified": "2026-11-25T14:07:24Z", "mac": "ENC[2]", "version": "3.13.3"}}"#
        }
        Format::Json => {
            r#"{"b": "ENC[1]", "a": {"empty": "", "none": null, "ü": [1, "ENC[3]"]}, "b": "ENC[4]",
                "sops": {"age": [{"recipient": "age1x", "enc": "armored"}],
                "lastmodified": "2026-11-25T14:07:24Z", "mac": "ENC[2]", "version": "3.13.3"}}"#
        }
        Format::Dotenv => {
            "#ENC[0]\nb=ENC[1]\na =\nb=ENC[4]\nsops_age__list_0__map_enc=armored\n\
             sops_age__list_0__map_recipient=age1x\nsops_lastmodified=2026-11-25T14:07:24Z\nsops_mac=ENC[2]\n"
        }
        Format::Ini => {
            "; ENC[0]\n[s]\nb = ENC[1]\na = \n; ENC[3]\nü = ENC[4]\n\n[sops]\nage__list_0__map_enc = armored\n\
             age__list_0__map_recipient = age1x\nlastmodified = 2026-11-25T14:07:24Z\nmac = ENC[2]\n"
        }
        Format::Yaml => {
            "#ENC[0]\nb: ENC[1]\na:\n    empty: \"\"\n    none: null\n    ü:\n        - 1\n        - ENC[3]\nsops:\n    \
             age:\n        - recipient: age1x\n          enc: armored\n    lastmodified: \"2026-11-25T14:07:24Z\"\n    \
             mac: ENC[2]\n    version: 3.13.3\n"
        }
    }
}

fn outline(tree: &Tree) -> String {
    tree.documents.iter().map(outline_of_branch).collect::<Vec<_>>().join("\n")
}

fn outline_of_branch(branch: &Branch) -> String {
    let items = branch.items.iter().map(|item| match item {
        Item::Comment(comment) => format!("#{}", String::from_utf8_lossy(comment.text.expose())),
        Item::Entry(entry) => format!("{}={}", entry.key, outline_of_value(&entry.value)),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(" "))
}

fn outline_of_value(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Branch(branch) => outline_of_branch(branch),
        Value::Comment(comment) => format!("#{}", String::from_utf8_lossy(comment.text.expose())),
        Value::Float(value) => format!("{value:?}"),
        Value::Int(value) => value.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(outline_of_value).collect::<Vec<_>>().join(" ")),
        Value::Null => "null".to_owned(),
        Value::Str(text) => format!("'{}'", String::from_utf8_lossy(text.expose())),
        Value::Time(time) => time.rfc3339_nano(),
    }
}

fn refusal(format: Format, text: &[u8]) -> String {
    match load(format, text, Reading::Current) {
        Ok(_) => panic!("{} accepted", format.name()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn splits_every_format_into_tree_and_metadata_in_order() {
    for (format, want) in [
        (Format::Binary, "{data='ENC[1]'}"),
        (Format::Dotenv, "{#ENC[0] b='ENC[1]' a ='' b='ENC[4]'}"),
        (Format::Ini, "{DEFAULT={} s={#ENC[0] b='ENC[1]' a='' ü='ENC[4]' #ENC[3]}}"),
        (Format::Json, "{b='ENC[1]' a={empty='' none=null ü=[1 'ENC[3]']} b='ENC[4]'}"),
        (Format::Yaml, "{#ENC[0] b='ENC[1]' a={empty='' none=null ü=[1 'ENC[3]']}}"),
    ] {
        let document = load(format, encrypted(format).as_bytes(), Reading::Current)
            .unwrap_or_else(|error| panic!("{}: {error}", format.name()));
        assert_eq!(outline(&document.tree), want);
        assert_eq!(document.metadata.mac, "ENC[2]");
        assert_eq!(document.metadata.key_groups.len(), 1);
    }
}

#[test]
fn says_what_a_file_that_is_not_encrypted_lacks() {
    for (format, text, want) in [
        (Format::Dotenv, "a=b\n", "not encrypted by sops: no `sops_` keys"),
        (Format::Ini, "[a]\nb = c\n", "not encrypted by sops: no `[sops]` section"),
        (Format::Json, "{}", "not encrypted by sops: no `sops` key at the top level"),
        (Format::Yaml, "a: b\n", "not encrypted by sops: no `sops` key at the top level of the first document"),
        (
            Format::Binary,
            "{}",
            "not a SOPS file: a file without known suffix must be sops' binary JSON envelope (not encrypted by sops: no \
             `sops` key at the top level)",
        ),
    ] {
        assert_eq!(refusal(format, text.as_bytes()), want);
    }
}

#[test]
fn says_that_a_file_is_empty() {
    for format in ALL {
        for text in ["", " \r\n\n"] {
            assert_eq!(refusal(format, text.as_bytes()), "not encrypted by sops: the file is empty");
        }
    }
}

#[test]
fn hints_at_the_format_of_a_misnamed_file() {
    for read_as in ALL {
        for written_as in ALL.into_iter().filter(|&format| format != Format::Binary) {
            // YAML is a superset of JSON, and the envelope of a binary file is JSON.
            let reads_json = matches!(read_as, Format::Binary | Format::Json | Format::Yaml);
            if read_as == written_as || written_as == Format::Json && reads_json {
                continue;
            }
            let message = refusal(read_as, encrypted(written_as).as_bytes());
            let (name, suffix) = match written_as {
                Format::Binary => unreachable!("left out above"),
                Format::Dotenv => ("dotenv", ".env"),
                Format::Ini => ("INI", ".ini"),
                Format::Json => ("JSON", ".json"),
                Format::Yaml => ("YAML", ".yaml"),
            };
            let hint = format!("it looks like a SOPS {name} file, whose name must end in `{suffix}`");
            assert!(message.contains(&hint), "{} as {}: {message}", written_as.name(), read_as.name());
        }
    }
}

#[test]
fn hints_at_json_where_an_envelope_holds_no_data() {
    let want = "not a SOPS file: a file without known suffix must be sops' binary JSON envelope (no string `data` at the \
                top level; if it is a SOPS JSON file, its name must end in `.json`)";
    assert_eq!(refusal(Format::Binary, encrypted(Format::Json).as_bytes()), want);
}

#[test]
fn gives_no_hint_for_its_own_format() {
    for format in ALL {
        let cut = encrypted(format).replace("lastmodified", "Lost");
        assert!(!refusal(format, cut.as_bytes()).contains("looks like"));
    }
}

#[test]
fn takes_a_file_of_the_bound() {
    assert!(check_size(&vec![b' '; limits::FILE_BYTES]).is_ok());
}

#[test]
fn refuses_a_file_above_the_bound() {
    let mut text = encrypted(Format::Json).as_bytes().to_vec();
    text.resize(limits::FILE_BYTES + 1, b' ');
    for format in ALL {
        assert!(refusal(format, &text).contains("larger than 32 MiB"));
    }
    println!("figure: {} bytes and one more: refused in {} formats", limits::FILE_BYTES, ALL.len());
}

#[test]
fn refuses_more_values_than_the_bound() {
    for (format, unit) in [(Format::Dotenv, "=\n"), (Format::Ini, "[a]\n"), (Format::Json, "0,")] {
        let text = match format {
            Format::Json => format!("{{\"a\":[{}0]}}", unit.repeat(limits::TREE_NODES)),
            _ => unit.repeat(limits::TREE_NODES + 1),
        };
        assert!(refusal(format, text.as_bytes()).contains("more than 1000000 values"));
    }
}

#[test]
fn survives_truncation_at_every_byte_without_showing_a_value() {
    let mut cuts = 0;
    for format in ALL {
        let text = encrypted(format).replace("ENC[", CANARY);
        cuts += text.len();
        for end in 0..text.len() {
            let cut = &text.as_bytes()[..end];
            if let Err(error) = load(format, cut, Reading::Current) {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(CANARY), "{} cut at {end}", format.name());
            }
            if let Ok(tree) = load_plain(format, cut) {
                let _ = emit_plain(format, &tree);
            }
        }
    }
    println!("figure: {cuts} beginnings of files in {} formats, 0 panics, 0 values shown", ALL.len());
}

#[test]
fn survives_every_replaced_byte_without_showing_a_value() {
    let mut changes = 0;
    for format in ALL {
        let text = encrypted(format).replace("ENC[", CANARY).into_bytes();
        changes += 10 * text.len();
        for at in 0..text.len() {
            for byte in [0, b'\n', b'"', b'\\', b'[', b'#', b':', b' ', b'`', 0xff] {
                let mut changed = text.clone();
                changed[at] = byte;
                if let Err(error) = load(format, &changed, Reading::Current) {
                    let shown = format!("{error} {error:?}");
                    assert!(!shown.contains(CANARY), "{} changed at {at}", format.name());
                }
                if let Ok(tree) = load_plain(format, &changed) {
                    let _ = emit_plain(format, &tree);
                }
            }
        }
    }
    println!("figure: {changes} replaced bytes, 0 panics, 0 values shown");
}

/// Reads a text as each of the formats, and prints what came of it.
fn read_and_print(text: &[u8]) {
    for format in ALL {
        let _ = load(format, text, Reading::Current);
        if let Ok(tree) = load_plain(format, text) {
            let _ = emit_plain(format, &tree);
        }
    }
}

#[test]
fn never_panics_on_nothing() {
    read_and_print(b"");
}

proptest! {
    #[test]
    fn never_panics_on_arbitrary_bytes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_and_print(&text);
    }

    #[test]
    fn never_panics_on_text_of_syntax(text in "[a\\-=:#;\\[\\]{}\"'`\\\\\n\r\t ,|>&*!é0.n]{0,60}") {
        read_and_print(text.as_bytes());
    }

    #[test]
    fn prints_dotenv_that_reads_the_same(text in "([a-z ]{0,5}=[a-z\\\\n =#]{0,9}\n|#[a-z ]{0,5}\n){0,6}") {
        let tree = load_plain(Format::Dotenv, text.as_bytes()).unwrap();
        let printed = emit_plain(Format::Dotenv, &tree).unwrap();
        prop_assert_eq!(outline(&load_plain(Format::Dotenv, printed.expose()).unwrap()), outline(&tree));
    }

    #[test]
    fn prints_any_bytes_of_a_binary_file(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let tree = load_plain(Format::Binary, &bytes).unwrap();
        let printed = emit_plain(Format::Binary, &tree).unwrap();
        prop_assert_eq!(printed.expose(), &bytes);
    }
}

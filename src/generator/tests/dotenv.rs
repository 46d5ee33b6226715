//! The godotenv dialect against results of the real library.

use std::collections::BTreeMap;

use crate::generator::dotenv::{Change, parse};

/// Inputs and results of godotenv 1.5.1 (`UnmarshalBytes`); a row without variables is one that it refuses.
const GODOTENV: &str = include_str!("../testdata/godotenv-1.5.1.json");

#[derive(serde::Deserialize)]
struct Row {
    text: String,
    variables: Option<Vec<(String, String)>>,
}

#[test]
fn reads_as_godotenv_or_says_what_it_would_change() {
    let rows: Vec<Row> = serde_json::from_str(GODOTENV).expect("JSON");
    let count = rows.len();
    for row in rows {
        let text = &row.text;
        let Some(theirs) = row.variables else {
            assert!(parse(text.as_bytes()).is_err(), "godotenv refuses {text:?}");
            continue;
        };
        let ours = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        if ours.iter().any(|variable| variable.change.is_some()) {
            continue;
        }
        let ours: BTreeMap<_, _> =
            ours.into_iter().map(|variable| (variable.key, variable.value.into_exposed())).collect();
        let theirs: BTreeMap<_, _> =
            theirs.into_iter().map(|(key, value)| (key.into_bytes(), value.into_bytes())).collect();
        assert_eq!(ours, theirs, "{text:?}");
    }
    println!("figure: {count} texts read as by godotenv, or the change is named");
}

fn change(text: &str) -> Option<Change> {
    let mut variables = parse(text.as_bytes()).expect("readable");
    variables.pop().expect("one variable").change
}

#[test]
fn sees_what_godotenv_would_expand() {
    for text in ["A=p$ECRET", "A=${B}", "A=$(B)", "A=\"$B\"", "A=$1", "A=$_"] {
        assert_eq!(change(text), Some(Change::Expansion), "{text}");
    }
    for text in ["A=p$ecret", "A=$", "A=$$", "A=\\$B", "A='$B'", "A=\"\\$B\"", "A=${}"] {
        assert_eq!(change(text), None, "{text}");
    }
}

#[test]
fn sees_where_godotenv_would_cut_a_comment_off() {
    for text in ["A=b #c", "A=b\t#c", "A=b # c", "A=b c #"] {
        assert_eq!(change(text), Some(Change::Comment), "{text}");
    }
    for text in ["A=b#c", "A=#c", "A= #c", "A='b #c'", "A=\"b #c\"", "A=\"b\" #c"] {
        assert_eq!(change(text), None, "{text}");
    }
}

#[test]
fn keeps_bytes_that_are_not_utf_8() {
    let mut variables = parse(b"A= \xff\xfe \nB=\"\xc3\"\n").expect("readable");
    let second = variables.pop().expect("two");
    let first = variables.pop().expect("two");
    assert_eq!(first.value.expose(), b"\xff\xfe");
    assert_eq!(second.value.expose(), b"\xc3");
}

#[test]
fn counts_lines() {
    let lines: Vec<u32> =
        parse(b"\n# c\nA=1\r\nB=\"x\ny\"\n\nC=3").expect("readable").iter().map(|variable| variable.line).collect();
    assert_eq!(lines, [3, 4, 7]);
    assert_eq!(parse(b"A=1\nB-C=2\n").err().expect("'-' is refused").line, 2);
}

#[test]
fn reads_a_long_file_in_one_pass() {
    let text = "A=x # y\n\n#\n".repeat(200_000);
    assert_eq!(parse(text.as_bytes()).expect("readable").len(), 200_000);
}

#[test]
fn reads_escaped_line_breaks_between_double_quotes() {
    let value = |text: &str| {
        let mut variables = parse(text.as_bytes()).expect("readable");
        String::from_utf8(variables.pop().expect("one variable").value.into_exposed()).expect("UTF-8")
    };
    assert_eq!(value("A=\"x\\ry\\nz\\tq\""), "x\ry\nztq");
    assert_eq!(value("A='x\\ry'"), "x\\ry");
}

#[test]
fn names_the_variables_that_readers_take_differently() {
    use crate::generator::dotenv_hazards;
    use crate::sops::store::{Format, emit_plain};
    use crate::sops::test_encryptor::{FixedKey, LAST_MODIFIED, encrypt_tree, entry, text, tree};
    let open = |format: Format| {
        let mut file = tree(
            [("PLAIN", "x"), ("QUOTED", "'x'"), ("HASH", "x #y"), ("DOLLAR", "x$Y"), ("export SHELL", "'z'")]
                .map(|(key, value)| entry(key, text(value)))
                .into(),
        );
        let mac = encrypt_tree(&mut file, &[7; 32], None, false);
        let stanza = [("age__list_0__map_enc", "e"), ("lastmodified", LAST_MODIFIED), ("mac", mac.as_str())];
        file.documents[0].items.extend(stanza.map(|(key, value)| entry(&format!("sops_{key}"), text(value))));
        let encrypted = emit_plain(format, &file).expect("a file").expose().clone();
        crate::sops::decrypt(&encrypted, format, &FixedKey(vec![7; 32])).unwrap_or_else(|error| panic!("{error}"))
    };
    let hazards = dotenv_hazards(&open(Format::Dotenv));
    let about = |name: &str| -> Vec<bool> {
        hazards.iter().filter(|hazard| hazard.is_about(name)).map(|hazard| hazard.is_loss).collect()
    };
    assert_eq!(hazards.len(), 4);
    assert_eq!((about("QUOTED"), about("HASH"), about("DOLLAR")), (vec![false], vec![true], vec![true]));
    assert_eq!((about("PLAIN"), about("SHELL"), about(" export  SHELL ")), (vec![], vec![false], vec![false]));
}

//! The reader that KSOPS puts behind sops: what an `envs` entry makes of a text, here and there.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use unsops::generator::Generator;
use unsops::sops::{Cleartext, Format};
use unsops::yaml;

use super::rng::Rng;
use super::{FOUND, LISTED, REFUSED, Report, SAME, documents, mutate, pair, recipients, shrink, with_pair};
use crate::oracle::{Answer, Options};

type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

const MANIFEST: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nsecretFrom:\n- metadata: {name: s}\n  envs: [e.bin]\n";

/// What our generator puts into the Secret.
fn ours(cleartext: &Cleartext) -> Result<Variables, String> {
    let config = yaml::parse(MANIFEST.as_bytes()).ok().and_then(|mut documents| documents.pop()).expect("a manifest");
    let Ok(generator) = Generator::parse(&config.root, false) else { panic!("no generator") };
    let pieces = match generator.render(&|_| cleartext) {
        Ok(pieces) => pieces,
        Err(errors) => return Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    let text: String = pieces.iter().map(|piece| piece.text.expose().as_ref()).collect();
    let secret: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML of our own");
    let field = |name: &str| -> BTreeMap<String, String> {
        secret.get(name).map_or_else(BTreeMap::new, |field| BTreeMap::deserialize(field).expect("a map of strings"))
    };
    let mut variables: Variables =
        field("stringData").into_iter().map(|(key, value)| (key.into_bytes(), value.into_bytes())).collect();
    variables.extend(field("data").into_iter().map(|(key, value)| {
        let value: String = value.split_whitespace().collect();
        (key.into_bytes(), STANDARD.decode(value).expect("base64"))
    }));
    Ok(variables)
}

fn theirs(answer: &Answer) -> Result<Variables, String> {
    let variables: BTreeMap<String, String> = serde_json::from_slice(answer.as_ref()?).expect("JSON");
    Ok(variables.into_iter().map(|(key, value)| (key.into_bytes(), STANDARD.decode(value).expect("base64"))).collect())
}

/// What comes of comparing: an outcome and a word on it.
fn judge(text: &[u8], ours: &Result<Variables, String>, theirs: &Result<Variables, String>) -> (&'static str, String) {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => (SAME, String::new()),
        (Ok(ours), Ok(theirs)) if std::str::from_utf8(text).is_err() && are_alike(ours, theirs) => {
            (LISTED, BYTES.to_owned())
        }
        (Ok(ours), Ok(theirs)) => (FOUND, format!("other variables\nours: {}\ntheirs: {}", shown(ours), shown(theirs))),
        (Err(ours), Err(theirs)) => (REFUSED, format!("{} / {}", pair::class(ours), pair::class(theirs))),
        (Ok(ours), Err(theirs)) => (FOUND, format!("only godotenv refuses: {theirs}\nours: {}", shown(ours))),
        (Err(reason), Ok(theirs)) => {
            match ROWS.iter().find(|row| reason.contains(row.says) && (row.is_so)(text, theirs)) {
                Some(row) => (LISTED, row.name.to_owned()),
                None => (FOUND, format!("only we refuse: {reason}\ntheirs: {}", shown(theirs))),
            }
        }
    }
}

/// A row of `differences.md`.
pub struct Row {
    pub name: &'static str,
    /// Part of our message.
    says: &'static str,
    is_so: fn(&[u8], &Variables) -> bool,
}

/// What godotenv takes and we refuse.
pub const ROWS: &[Row] = &[
    Row { name: "dotenv-expansion", says: "would put another variable", is_so: |text, _| text.contains(&b'$') },
    Row {
        name: "dotenv-comment",
        says: "would drop the rest of the line",
        is_so: |text, _| has_blank_before_hash(text),
    },
    Row { name: "dotenv-key", says: "key ", is_so: |_, theirs| theirs.keys().any(|key| !is_secret_key(key)) },
    Row { name: "dotenv-key", says: "a line has no name", is_so: |_, theirs| theirs.keys().any(|key| key.is_empty()) },
    Row {
        name: "dotenv-twice",
        says: "is made twice",
        is_so: |text, theirs| text.iter().filter(|byte| matches!(byte, b'=' | b':')).count() > theirs.len(),
    },
    Row { name: "dotenv-empty", says: "no variable", is_so: |_, theirs| theirs.is_empty() },
];

/// The row for values that hold bytes which are not UTF-8.
pub const BYTES: &str = "dotenv-bytes";

/// Whether values differ only in such bytes, each of which godotenv replaces.
fn are_alike(ours: &Variables, theirs: &Variables) -> bool {
    let replaced = |variables: &Variables| -> Vec<(Vec<u8>, String)> {
        let text = |value: &Vec<u8>| {
            let mut text = String::from_utf8_lossy(value).into_owned();
            while text.contains("\u{fffd}\u{fffd}") {
                text = text.replace("\u{fffd}\u{fffd}", "\u{fffd}");
            }
            text
        };
        variables.iter().map(|(key, value)| (key.clone(), text(value))).collect()
    };
    replaced(ours) == replaced(theirs)
}

fn has_blank_before_hash(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.match_indices('#').any(|(at, _)| text[..at].ends_with(|c: char| c.is_whitespace()))
}

fn is_secret_key(key: &[u8]) -> bool {
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    !key.is_empty() && key.len() <= 253 && key != b"." && !key.starts_with(b"..") && key.iter().all(is_good)
}

fn shown(variables: &Variables) -> String {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}", variables.iter().map(|(key, value)| (text(key), text(value))).collect::<Vec<_>>())
}

fn text(rng: &mut Rng) -> Vec<u8> {
    const LINES: &[&str] = &[
        "A=b",
        "export A=b",
        "A='b c'",
        "A=\"b\\nc\"",
        "A=\"b",
        "A='b",
        "A=b # c",
        "A=b#c",
        "A=$B",
        "A=${B}",
        "A=\\$B",
        "A='$B'",
        "A: b",
        "A:b=c",
        "A =b",
        "A= b ",
        "A=\"b\" # c",
        "A=\"b\"c",
        "A='it\\'s'",
        "A=\"\\\"b\\\"\"",
        "# x",
        "  # x",
        "",
        "A",
        "=b",
        "a.b=c",
        "a-b=c",
        "A=\"\"",
        "A=''",
        "A=",
        "A=\"a\nb\"",
        "A='a\nb'",
        "export",
        "export =b",
        "exportA=b",
        "A=b\r",
        "\tA=b",
        "A=\"b\\r\\t\\x\"",
        "A=é",
        "é=b",
        "A=\u{a0}b",
        "A=`b`",
        "A=b\\",
        "A=\"$B\"",
        "A=\"\\$B\"",
        "A=$",
        "A=$b",
        "A=$(B)",
        "A=\"b\"\"c\"",
        "A=''b''",
        "A=b=c",
        "A=#b",
        "A= #b",
        "A=\"#b\"",
        "A b=c",
        "1=2",
        "A=\\\\n",
        "A=\"\\\\n\"",
    ];
    let mut text = String::new();
    for number in 0..1 + rng.below(6) {
        let line = rng.pick(LINES).replacen('A', &format!("{}{number}", rng.pick(&["A", "B", "K_"])), 1);
        text.push_str(&line);
        text.push_str(rng.pick(&["\n", "\n", "\n", "\n", "\r\n", "\n\n"]));
    }
    let mut text = if rng.chance(20) { documents::random(rng, Format::Dotenv).text() } else { text.into_bytes() };
    if rng.chance(60) {
        text = mutate::text(rng, Format::Dotenv, &text).1;
    }
    text
}

#[test]
fn reads_dotenv_files_as_ksops_does() {
    with_pair(|pair| {
        let options = Options { groups: vec![vec![recipients()[0].clone()]], ..Options::default() };
        let mut report = Report::new("dotenv as KSOPS reads it", 3000);
        let mut compare = |text: &[u8], seed: u64| {
            let encrypted = pair.oracle.ask_encrypt(Format::Binary, text, &options, seed);
            let variables = pair.oracle.ask_godotenv(text);
            let encrypted = pair.oracle.encrypted(encrypted);
            let theirs = theirs(&pair.oracle.answer(variables));
            let file = encrypted.expect("any bytes are encrypted").file;
            let cleartext = pair.open(Format::Binary, &file).expect("what sops wrote opens");
            judge(text, &ours(&cleartext), &theirs)
        };
        while let Some((case, mut rng)) = report.next() {
            let text = text(&mut rng);
            let (outcome, word) = compare(&text, case);
            report.count(Format::Dotenv, outcome, (!word.is_empty() && outcome != FOUND).then(|| word.clone()));
            let kind = word.lines().next().unwrap_or_default().to_owned();
            if outcome != FOUND || report.findings.contains_key(&kind) || report.findings.len() > 20 {
                continue;
            }
            let smallest = shrink::text(&text, |text| {
                let (outcome, word) = compare(text, case);
                outcome == FOUND && word.lines().next() == Some(&kind)
            });
            let (_, word) = compare(&smallest, case);
            let text = format!(
                "UNSOPS_DIFF_SEED={} case {case}: {:?}\n{word}",
                report.seed,
                String::from_utf8_lossy(&smallest)
            );
            report.findings.insert(kind, text);
        }
        report.finish(200);
    });
}

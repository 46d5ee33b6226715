//! Random documents, tricky ones first: what go-yaml, go-ini and sops' own readers treat in surprising ways.

use unsops::sops::Format;

use super::rng::Rng;
use crate::harness::CANARY;
use crate::oracle::Options;

/// A plaintext.
#[derive(Clone, Debug)]
pub enum Document {
    Bytes(Vec<u8>),
    /// dotenv and INI.
    Lines(Vec<String>),
    Json(Vec<Entry>),
    Yaml(Vec<Vec<Entry>>),
}

/// An item of a map, or an element of a list (without key).
#[derive(Clone, Debug)]
pub struct Entry {
    head: Vec<String>,
    key: String,
    value: Value,
    side: Option<String>,
    foot: Vec<String>,
}

#[derive(Clone, Debug)]
enum Value {
    /// As written, quotes, tags and anchors included.
    Scalar(String),
    /// Header of a block scalar, and its lines.
    Block(String, Vec<String>),
    Map {
        flow: bool,
        prefix: String,
        entries: Vec<Entry>,
    },
    List {
        flow: bool,
        prefix: String,
        indented: bool,
        elements: Vec<Entry>,
    },
}

/// A random document.
pub fn random(rng: &mut Rng, format: Format) -> Document {
    match format {
        Format::Binary => Document::Bytes(bytes(rng)),
        Format::Dotenv => Document::Lines(lines(rng, dotenv_line)),
        Format::Ini => Document::Lines(ini_lines(rng)),
        Format::Json => Document::Json(Yaml { json: true, ..Yaml::default() }.entries(rng, 0)),
        Format::Yaml => {
            let count = if rng.chance(25) { 1 + rng.below(3) } else { 1 };
            let comments = rng.chance(60);
            let mut documents = Vec::new();
            for _ in 0..count {
                documents.push(Yaml { comments, json: false, ..Yaml::default() }.entries(rng, 0));
            }
            Document::Yaml(documents)
        }
    }
}

/// Encryption rules and keys.
pub fn options(rng: &mut Rng, format: Format, recipients: &[String]) -> Options {
    let mut options = Options { groups: vec![vec![recipients[0].clone()]], ..Options::default() };
    match rng.below(12) {
        // The command line ignores rules for binary files.
        _ if format == Format::Binary => {}
        0 => options.unencrypted_suffix = rng.pick(&["_unencrypted", "_enc", "a", "data"]).to_owned(),
        1 => options.encrypted_suffix = rng.pick(&["_enc", "Data", "1", "e"]).to_owned(),
        2 | 3 => {
            let pattern =
                rng.pick(&["^(data|stringData)$", "_enc$", "a", "^k[0-4]", "(?i)DATA", "[[:digit:]]", "^$", "\\W"]);
            options.encrypted_regex = pattern.to_owned();
        }
        4 => {
            let pattern =
                rng.pick(&["^(apiVersion|metadata|kind|type)$", "_unencrypted$", "^k", "\\d", "a|e|i", "^.{2}$"]);
            options.unencrypted_regex = pattern.to_owned();
        }
        5 => options.encrypted_comment_regex = rng.pick(&["sops:enc", "^ ", "e", "."]).to_owned(),
        6 => options.unencrypted_comment_regex = rng.pick(&["sops:clear", "^ ", "e", "CANARY"]).to_owned(),
        // What the command line takes where no rule is given.
        _ => options.unencrypted_suffix = "_unencrypted".to_owned(),
    }
    options.mac_only_encrypted = format != Format::Binary && rng.chance(15);
    match rng.below(12) {
        0 => {
            options.groups = recipients.iter().map(|recipient| vec![recipient.clone()]).collect();
            options.shamir_threshold = 2 + rng.below(2);
        }
        // Two groups, all of which are needed where nothing is said.
        1 => options.groups = vec![recipients[..2].to_vec(), vec![recipients[2].clone()]],
        2 => options.groups = vec![recipients.to_vec()],
        _ => {}
    }
    options
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => Vec::new(),
        1 => format!("{CANARY}\n").into_bytes(),
        2 => (0..=255).chain(*b"CANARY-7f3a").collect(),
        _ => (0..rng.below(400)).map(|_| rng.byte()).collect(),
    }
}

fn lines(rng: &mut Rng, line: fn(&mut Rng) -> String) -> Vec<String> {
    (0..1 + rng.below(12)).map(|_| line(rng)).collect()
}

fn dotenv_line(rng: &mut Rng) -> String {
    match rng.below(14) {
        0 => String::new(),
        1 => format!("#{}", rng.text()),
        2 => rng.pick(&["# sops:enc", "# sops:clear", "#", "##", "# é", "#ENC[x]"]).to_owned(),
        3 => rng
            .pick(&["A=", "=b", "=", "A==", " A = b ", "export A=b", "A=\\n", "A=\\\\n\\n", "A=b\r", "A='b'", "\tA=1"])
            .to_owned(),
        4 => rng
            .pick(&["A=ENC[x]", "A=\u{feff}b", "sop=1", "SOPS_x=1", "A=true", "A=1.50", "k_enc=1", "b_unencrypted=\\n"])
            .to_owned(),
        5 => format!("{}={}", rng.pick(KEYS), rng.pick(PLAIN)),
        _ => format!("{}{}={}", rng.pick(&["K", "data", "pass_enc", "x_unencrypted", "k"]), rng.below(30), rng.text()),
    }
}

fn ini_lines(rng: &mut Rng) -> Vec<String> {
    let mut lines = lines(rng, ini_line);
    if rng.chance(80) {
        lines.insert(0, format!("[{}]", rng.pick(&["section", "data", "DEFAULT", "a b", "é", "x_unencrypted"])));
    }
    lines
}

fn ini_line(rng: &mut Rng) -> String {
    match rng.below(16) {
        0 => String::new(),
        1 => format!("{} {}", rng.pick(&[";", "#", " ;", ";;"]), rng.text()),
        2 => rng
            .pick(&["[section]", "[data]", "[a.b]", "[DEFAULT]", "[x_enc]", "[[odd]]", "[ blank ]", "[s] ; note"])
            .to_owned(),
        3 => rng
            .pick(&[
                "key: colon",
                "a = b = c",
                "a:b=c",
                "\"quoted key\" = 1",
                "`k` = 1",
                "a =",
                "- = x",
                "a=b ; note",
                "a=b#c",
            ])
            .to_owned(),
        4 => rng
            .pick(&[
                "a = \"two\"",
                "a = 'one'",
                "a = `b`",
                "a = \"\"\"x\"\"\"",
                "a = \"\"\"x\ny\"\"\"",
                "a = b\\\nc",
                "a = \"b",
                "a = \\n",
            ])
            .to_owned(),
        5 => rng
            .pick(&[
                "a = `b#c`",
                "a = `x \"\"\" y`",
                "a = ' b '",
                "a = \" b \"",
                "  a = 1",
                "a =\t1\t",
                "é = ü",
                "a = %(b)s",
                "a = ENC[x]",
            ])
            .to_owned(),
        _ => format!(
            "{}{} = {}",
            rng.pick(&["key", "data", "pass_enc", "x_unencrypted", "k"]),
            rng.below(30),
            rng.text()
        ),
    }
}

#[derive(Default)]
struct Yaml {
    json: bool,
    comments: bool,
    anchors: usize,
    nodes: usize,
}

impl Yaml {
    fn entries(&mut self, rng: &mut Rng, depth: usize) -> Vec<Entry> {
        let count = if depth == 0 { 1 + rng.below(7) } else { rng.below(5) };
        (0..count).map(|_| self.entry(rng, depth, true)).collect()
    }

    fn entry(&mut self, rng: &mut Rng, depth: usize, keyed: bool) -> Entry {
        self.nodes += 1;
        let head = self.comment_lines(rng, 20);
        let key = if keyed { self.key(rng) } else { String::new() };
        let value = self.value(rng, depth);
        let side = (self.comments && rng.chance(12)).then(|| comment(rng));
        Entry { head, key, value, side, foot: self.comment_lines(rng, 6) }
    }

    fn comment_lines(&self, rng: &mut Rng, percent: usize) -> Vec<String> {
        if !self.comments || !rng.chance(percent) {
            return Vec::new();
        }
        (0..1 + rng.below(3)).map(|_| if rng.chance(15) { "\n".to_owned() } else { comment(rng) }).collect()
    }

    fn key(&self, rng: &mut Rng) -> String {
        let key = match rng.below(6) {
            0 if self.json => json_string(&rng.text()),
            0 => double_quoted(&rng.text()),
            1 => rng.pick(if self.json { JSON_KEYS } else { YAML_KEYS }).to_owned(),
            2 => rng.pick(KEYS).to_owned(),
            _ => format!("{}{}", rng.pick(&["k", "data", "pass_enc", "x_unencrypted", "a"]), rng.below(100)),
        };
        if self.json && !key.starts_with('"') { format!("\"{key}\"") } else { key }
    }

    fn value(&mut self, rng: &mut Rng, depth: usize) -> Value {
        let can_nest = depth < 4 && self.nodes < 40;
        match rng.below(10) {
            0 | 1 if can_nest => {
                let flow = rng.chance(15);
                let (comments, prefix) = (self.comments, self.prefix(rng));
                self.comments &= !flow;
                let entries = self.entries(rng, depth + 1);
                self.comments = comments;
                Value::Map { flow, prefix, entries }
            }
            2 | 3 if can_nest => {
                let flow = rng.chance(15);
                let (comments, prefix, indented) = (self.comments, self.prefix(rng), rng.chance(50));
                self.comments &= !flow;
                let elements = (0..rng.below(5)).map(|_| self.entry(rng, depth + 1, false)).collect();
                self.comments = comments;
                Value::List { flow, prefix, indented, elements }
            }
            4 if !self.json => {
                let header = format!("{}{}", rng.pick(&["|", ">"]), rng.pick(&["", "-", "+"]));
                let lines = (0..1 + rng.below(4)).map(|_| block_line(rng)).collect();
                Value::Block(header, lines)
            }
            _ if self.json => Value::Scalar(json_scalar(rng)),
            _ => Value::Scalar(self.scalar(rng)),
        }
    }

    /// An anchor, sometimes, or a tag that changes nothing.
    fn prefix(&mut self, rng: &mut Rng) -> String {
        if self.json || !rng.chance(8) {
            return String::new();
        }
        self.anchors += 1;
        format!("&a{} ", self.anchors)
    }

    fn scalar(&mut self, rng: &mut Rng) -> String {
        match rng.below(12) {
            0..4 => rng.pick(PLAIN).to_owned(),
            4 => rng.pick(SCALARS).to_owned(),
            5 if self.anchors > 0 => format!("*a{}", 1 + rng.below(self.anchors)),
            6 => format!("'{}'", rng.text().replace('\'', "''").replace(|c: char| c.is_control(), "")),
            7 => format!("\"{}\"", rng.pick(PLAIN).replace(['"', '\\'], "")),
            8 => number(rng),
            _ => double_quoted(&rng.text()),
        }
    }
}

fn comment(rng: &mut Rng) -> String {
    match rng.below(5) {
        0 => rng
            .pick(&["", " sops:enc", " sops:clear", "#", " ", "\t", " a: b", " - x", "!", " é 😀", "ENC[x]"])
            .to_owned(),
        _ => format!("{}{CANARY} {}", rng.pick(&["", " ", "  "]), rng.pick(PLAIN).replace('\n', "")),
    }
}

fn block_line(rng: &mut Rng) -> String {
    match rng.below(6) {
        0 => String::new(),
        1 => rng.pick(&["# not a comment", "---", "  indented", "a: b", "trailing ", "\ttab", "😀", "é"]).to_owned(),
        _ => format!("{CANARY} {}", rng.pick(PLAIN).replace('\n', "")),
    }
}

pub fn number(rng: &mut Rng) -> String {
    let digits = 1 + rng.below(18);
    let mut text: String = (0..digits).map(|_| char::from(b'0' + rng.byte() % 10)).collect();
    if rng.chance(50) {
        text.insert(rng.below(text.len() + 1), '.');
    }
    if rng.chance(25) {
        text.push_str(&format!("{}{}{}", rng.pick(&["e", "E"]), rng.pick(&["", "+", "-"]), rng.below(320)));
    }
    if rng.chance(15) {
        text.insert(1, '_');
    }
    format!("{}{text}", rng.pick(&["", "", "-", "+", "0", "0x", "0o", "0b"]))
}

fn json_scalar(rng: &mut Rng) -> String {
    match rng.below(6) {
        0 | 1 => rng.pick(JSON_SCALARS).to_owned(),
        2 => {
            let number =
                format!("{}{}", rng.below(1000), rng.pick(&["", ".5", ".0", "e3", "E-7", "e300", "000000000000"]));
            format!("{}{number}", rng.pick(&["", "-"]))
        }
        _ => json_string(&rng.text()),
    }
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string")
}

/// A YAML double-quoted scalar for any text.
fn double_quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out + "\""
}

impl Document {
    /// The text of the file.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Lines(lines) => lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect(),
            Self::Json(entries) => {
                let mut out = String::new();
                write_json(&mut out, &Value::Map { flow: true, prefix: String::new(), entries: entries.clone() });
                out.push('\n');
                out.into_bytes()
            }
            Self::Yaml(documents) => {
                let mut out = String::new();
                for (index, entries) in documents.iter().enumerate() {
                    if index > 0 {
                        out.push_str("---\n");
                    }
                    write_map(&mut out, entries, 0);
                }
                out.into_bytes()
            }
        }
    }
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Scalar(text) => out.push_str(text),
        Value::Block(..) => out.push_str("null"),
        Value::Map { entries, .. } => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&entry.key);
                out.push_str(": ");
                write_json(out, &entry.value);
            }
            out.push('}');
        }
        Value::List { elements, .. } => {
            out.push('[');
            for (index, entry) in elements.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                write_json(out, &entry.value);
            }
            out.push(']');
        }
    }
}

fn write_comments(out: &mut String, comments: &[String], indent: usize) {
    for comment in comments {
        if comment == "\n" {
            out.push('\n');
        } else {
            out.push_str(&format!("{:indent$}#{comment}\n", ""));
        }
    }
}

fn write_map(out: &mut String, entries: &[Entry], indent: usize) {
    for entry in entries {
        write_comments(out, &entry.head, indent);
        out.push_str(&format!("{:indent$}{}:", "", entry.key));
        write_value(out, entry, indent, false);
        write_comments(out, &entry.foot, indent);
    }
}

/// Writes what follows `key:` or `-`, the line break included.
fn write_value(out: &mut String, entry: &Entry, indent: usize, in_list: bool) {
    let side = entry.side.as_ref().map(|side| format!(" #{side}")).unwrap_or_default();
    match &entry.value {
        Value::Scalar(text) => out.push_str(&format!(" {text}{side}\n")),
        Value::Block(header, lines) => {
            // The first line decides the indentation; an indicator is needed where it starts with a blank.
            let indicator =
                if lines.iter().find(|line| !line.is_empty()).is_some_and(|line| line.starts_with([' ', '\t'])) {
                    "2"
                } else {
                    ""
                };
            out.push_str(&format!(" {header}{indicator}{side}\n"));
            for line in lines {
                out.push_str(&format!("{:1$}{line}\n", "", if line.is_empty() { 0 } else { indent + 2 }));
            }
        }
        Value::Map { prefix, entries, .. } if entries.is_empty() => out.push_str(&format!(" {prefix}{{}}{side}\n")),
        Value::List { prefix, elements, .. } if elements.is_empty() => out.push_str(&format!(" {prefix}[]{side}\n")),
        Value::Map { flow: true, prefix, .. } | Value::List { flow: true, prefix, .. } => {
            out.push_str(&format!(" {prefix}"));
            write_flow(out, &entry.value);
            out.push_str(&format!("{side}\n"));
        }
        Value::Map { prefix, entries, .. } if in_list && prefix.is_empty() && side.is_empty() => {
            // `- key: value`: the first line stands beside the dash.
            let mut inner = String::new();
            write_map(&mut inner, entries, indent + 2);
            let first = inner.trim_start_matches([' ', '\n']);
            out.push_str(&format!(" {first}"));
        }
        Value::Map { prefix, entries, .. } => {
            out.push_str(&format!("{}{side}\n", with_blank(prefix)));
            write_map(out, entries, indent + 2 + 2 * (entries.len() % 2));
        }
        Value::List { prefix, indented, elements, .. } => {
            out.push_str(&format!("{}{side}\n", with_blank(prefix)));
            let indent = if *indented || in_list { indent + 2 } else { indent };
            for element in elements {
                write_comments(out, &element.head, indent);
                out.push_str(&format!("{:indent$}-", ""));
                write_value(out, element, indent, true);
                write_comments(out, &element.foot, indent);
            }
        }
    }
}

fn with_blank(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!(" {}", prefix.trim_end()) }
}

fn write_flow(out: &mut String, value: &Value) {
    match value {
        Value::Scalar(text) if text.contains(['[', ']', '{', '}', ',']) && !text.starts_with(['"', '\'']) => {
            out.push_str("flow")
        }
        Value::Scalar(text) => out.push_str(text),
        Value::Block(..) => out.push_str("block"),
        Value::Map { entries, .. } => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&format!("{}: ", entry.key));
                write_flow(out, &entry.value);
            }
            out.push('}');
        }
        Value::List { elements, .. } => {
            out.push('[');
            for (index, entry) in elements.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_flow(out, &entry.value);
            }
            out.push(']');
        }
    }
}

const KEYS: &[&str] = &[
    "data",
    "stringData",
    "apiVersion",
    "metadata",
    "kind",
    "type",
    "password",
    "a.b/c",
    "key with blank",
    "ключ",
    "k_enc",
    "note_unencrypted",
    "UPPER",
    "sopsish",
    "b-c",
];

const YAML_KEYS: &[&str] = &[
    "\"a:b\"",
    "'it''s'",
    "\"\"",
    "yes",
    "on",
    "n",
    "\"1\"",
    "\"true\"",
    "\"null\"",
    "\"2024-01-01\"",
    "<<x",
    "\"<<\"",
    "\"#h\"",
    "\"new\\nline\"",
    "\"😀\"",
    "-a",
    "?b",
    "\"- x\"",
    "~x",
    "=",
    ".a",
    "1:30",
    "\"1.0\"",
    "!!str 1",
];

const JSON_KEYS: &[&str] =
    &["\"\"", "\"a:b\"", "\"<&>\"", "\"\\u2028\"", "\"new\\nline\"", "\"\\ud83d\\ude00\"", "\"a\"", "\"1\""];

/// Plain scalars that YAML types in surprising ways, or that look like something else.
pub const PLAIN: &[&str] = &[
    "CANARY-7f3a",
    "0",
    "1",
    "-1",
    "+1",
    "0755",
    "0o17",
    "0x1F",
    "0X1f",
    "0b101",
    "08",
    "089",
    "1_000",
    "1__0",
    "_1",
    "1_",
    "-0",
    "-0.0",
    "0.0",
    "1.0",
    "1.50",
    "1.",
    ".5",
    "-.5",
    "+.5",
    ".5e3",
    "1e3",
    "1E3",
    "1e+3",
    "1.5e-7",
    "12e03",
    "1e21",
    "1e20",
    "100000.0",
    "1000000.0",
    "1234567.5",
    "123456789012",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e400",
    "1.7976931348623157e308",
    "5e-324",
    ".inf",
    "-.inf",
    "+.inf",
    ".Inf",
    ".nan",
    ".NaN",
    "inf",
    "nan",
    "0x",
    "0b",
    "0b2",
    "0o8",
    "1:30",
    "12:30:45",
    "true",
    "True",
    "TRUE",
    "tRUE",
    "false",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "N",
    "null",
    "Null",
    "NULL",
    "nULL",
    "~",
    "=",
    "2024-02-29",
    "2023-02-29",
    "2024-2-9",
    "2001-1-2",
    "2024-02-29T12:34:56Z",
    "2024-02-29t12:34:56.789z",
    "2024-02-29 12:34:56",
    "2024-02-29 12:34:56.5 +01:00",
    "2001-12-14T21:59:43.10-05:00",
    "2001-12-14T21:59:43-5",
    "10000-01-01",
    "0001-01-01",
    "2024-02-29T24:00:00Z",
    "a: b",
    "a:b",
    "a #b",
    "a#b",
    "http://x/y?z=1&w",
    "-x",
    "--",
    "---x",
    "?x",
    "...x",
    "x y  z",
    "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]",
    "é",
    "😀",
    "ключ",
    "日本語",
    "a\\b",
    "\"q",
    "a\"b\"",
    "a'b",
    "$x",
    "%x",
    "a%",
    "@x",
    "`x",
    "<<",
    "a&b",
    "<b>",
    "!x",
    "a!b",
    "sops",
];

/// Scalars with tags, quotes, escapes.
pub const SCALARS: &[&str] = &[
    "",
    "\"\"",
    "''",
    "!!str 12",
    "!!int \"12\"",
    "!!float 1",
    "!!binary Q0FOQVJZ",
    "!!binary \"/w==\"",
    "!custom 12",
    "!custom x",
    "! 12",
    "!!null \"\"",
    "!!bool \"true\"",
    "!!timestamp \"2024-01-01\"",
    "\"\\x85\"",
    "\"\\u2028x\"",
    "\"\\0\"",
    "\"\\e[1m\"",
    "\"\\U0001F600\"",
    "\"a\\\n  b\"",
    "\"a\n\n  b\"",
    "'a\n  b'",
    "\"\\ttab\"",
    "\" lead\"",
    "\"trail \"",
    "\"a\\n\"",
    "\"a\\nb\"",
    "\"\\na\"",
    "\" a\\nb\"",
    "\"a \\nb\"",
    "\"a\\nb \"",
    "\"a\\r\\nb\"",
    "\"a\\tb\\nc\"",
    "\"---\"",
    "\"--- a\"",
    "\"...\"",
    "\"a\\n---\\nb\"",
    "\"# a\"",
    "\"\\uFEFF\"",
    "\"\\xff\"",
    "\"\\n\"",
    "\"\\n\\n\"",
    "\"a\\n\\n\"",
];

const JSON_SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1.0",
    "1e3",
    "1E+2",
    "1e21",
    "1e20",
    "1e-6",
    "1e-7",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "123456789012345678901234567890",
    "0.1",
    "1.7976931348623157e308",
    "\"\"",
    "\"1\"",
    "\"true\"",
    "\"null\"",
    "\"\\u0000\"",
    "\"\\u2028\\u2029\"",
    "\"<>&\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\/\\b\\f\"",
    "\"\u{7f}\"",
    "\"CANARY-7f3a\"",
    "\"ENC[x]\"",
];

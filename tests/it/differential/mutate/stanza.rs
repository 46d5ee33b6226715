//! Changes to sops' metadata.

use unsops::sops::Format;

use super::super::rng::Rng;
use super::{Mutation, lines_of, lossy};

pub const ALL: &[Mutation] = &[
    ("a field away", remove),
    ("another name of a field", rename),
    ("another value of a field", revalue),
    ("another value of a field", revalue),
    ("another time", retime),
    ("a field more", add),
    ("a field twice", repeat),
    ("a digit of a field", digit),
    ("the stanza elsewhere", relocate),
    ("no stanza", spoil),
    ("a key more", add_key),
];

const FIELDS: &[&str] = &[
    "lastmodified",
    "mac",
    "mac",
    "version",
    "unencrypted_suffix",
    "encrypted_suffix",
    "encrypted_regex",
    "unencrypted_regex",
    "encrypted_comment_regex",
    "unencrypted_comment_regex",
    "mac_only_encrypted",
    "shamir_threshold",
    "enc",
    "recipient",
    "age",
    "key_groups",
];

/// Where a line says what a field is: the last such line, or one of several.
fn line_of(rng: &mut Rng, format: Format, lines: &[String], name: &str) -> Option<usize> {
    let is_field = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '-', '"']);
        let line = if format == Format::Dotenv { line.strip_prefix("sops_").unwrap_or("") } else { line };
        let rest = line.strip_prefix(name).or_else(|| line.split_once(&format!("__map_{name}")).map(|(_, rest)| rest));
        rest.is_some_and(|rest| rest.starts_with([':', '=', ' ', '"', '_']))
    };
    let places: Vec<usize> = (0..lines.len()).rev().filter(|&at| is_field(&lines[at])).take(4).collect();
    (!places.is_empty()).then(|| rng.pick(&places))
}

fn edit(
    rng: &mut Rng,
    format: Format,
    text: &[u8],
    name: &str,
    edit: impl FnOnce(&mut Rng, &str) -> Option<String>,
) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    let at = line_of(rng, format, &lines, name)?;
    lines[at] = edit(rng, &lines[at])?;
    Some(lines.concat().into_bytes())
}

/// Where the value of a field stands in its line: after the separator, up to the line's end or comma.
fn value(format: Format, line: &str) -> Option<(usize, usize)> {
    let separator = match format {
        Format::Dotenv | Format::Ini => "=",
        _ => ":",
    };
    let start = line.find(separator)? + 1;
    let start = start + (line[start..].len() - line[start..].trim_start_matches(' ').len());
    let end = line.trim_end_matches(['\n', '\r', ',']).len();
    (start <= end).then_some((start, end))
}

fn with_value(format: Format, line: &str, by: &str) -> Option<String> {
    let (start, end) = value(format, line)?;
    Some(format!("{}{by}{}", &line[..start], &line[end..]))
}

fn remove(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let name = rng.pick(FIELDS);
    edit(rng, format, text, name, |_, _| Some(String::new()))
}

fn rename(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let name = rng.pick(FIELDS);
    edit(rng, format, text, name, |rng, line| {
        let other = match rng.below(5) {
            0 => name.to_uppercase(),
            1 => {
                let (first, rest) = name.split_at(1);
                first.to_uppercase() + rest
            }
            2 => rng.pick(FIELDS).to_owned(),
            3 => name.replace('_', ""),
            _ => "other".to_owned(),
        };
        Some(line.replacen(name, &other, 1))
    })
}

fn quoted(rng: &mut Rng, format: Format, text: &str) -> String {
    match format {
        Format::Json | Format::Binary if rng.chance(80) => format!("\"{text}\""),
        Format::Yaml => {
            let quote = rng.pick(&["", "", "\"", "'"]);
            format!("{quote}{text}{quote}")
        }
        _ => text.to_owned(),
    }
}

fn revalue(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let name = rng.pick(FIELDS);
    edit(rng, format, text, name, |rng, line| {
        let values: &[&str] = match name {
            "mac_only_encrypted" => &[
                "true", "false", "True", "TRUE", "1", "0", "2", "t", "yes", "", "null", "1.0", "tRUE", "0.5", "[]",
                "{}", "-1",
            ],
            "shamir_threshold" => &[
                "0",
                "1",
                "2",
                "3",
                "4",
                "-1",
                "2.0",
                "2.5",
                "0x2",
                "02",
                "0b10",
                "1_0",
                "",
                "null",
                "true",
                "two",
                "[]",
                "1e0",
                "99999999999999999999",
                "+2",
                " 2",
                "2.000000",
            ],
            "unencrypted_suffix" | "encrypted_suffix" => {
                &["", "_unencrypted", "_enc", "a", "null", "1", "é", "0x1", "1.50"]
            }
            "version" => &["", "3.7.3", "1.0", "x", "null", "3", "3.8.1", "2024-01-01", "[]", "{}"],
            "mac" => &["", "null", "x", "ENC[]", "[]", "{}", "1"],
            "age" => &["null", "[]", "{}", "\"\"", "x", "1"],
            "key_groups" => &["null", "[]", "{}", "x"],
            "recipient" => &["", "x", "null", "1", "[]", "age1x"],
            "enc" => &["", "x", "null", "|", "[]", "1"],
            "lastmodified" => &["", "null", "x", "0", "[]", "2026-01-02"],
            _ => &[
                "",
                "^x",
                "[",
                "a**",
                "(?i)a",
                ".*",
                "\\d",
                "^(data|stringData)$",
                "\\p{L}",
                "x{1001}",
                "null",
                "1",
                "[]",
            ],
        };
        let value = rng.pick(values);
        with_value(format, line, &quoted(rng, format, value))
    })
}

fn retime(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    const TIMES: &[&str] = &[
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05.5Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-02T03:04:06Z",
        "2026-01-02t03:04:05z",
        "2026-01-02 03:04:05Z",
        "2026-1-2T3:4:5Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05.123456789123Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:60Z",
        "02026-01-02T03:04:05Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+0000",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05Z ",
        "2026-01-02T3:04:05Z",
        "0000-01-01T00:00:00Z",
        "2026-01-02T03:04:05+00:60",
        "2026-01-02T03:04:05.Z",
    ];
    edit(rng, format, text, "lastmodified", |rng, line| {
        let time = rng.pick(TIMES);
        with_value(format, line, &quoted(rng, format, time))
    })
}

fn add(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[(&str, &str)] = &[
        ("encrypted_regex", "^x"),
        ("unencrypted_regex", "^x"),
        ("encrypted_suffix", "_enc"),
        ("unencrypted_suffix", "_enc"),
        ("encrypted_comment_regex", "x"),
        ("unencrypted_comment_regex", ""),
        ("mac_only_encrypted", "true"),
        ("mac_only_encrypted", "false"),
        ("shamir_threshold", "1"),
        ("shamir_threshold", "2"),
        ("kms", "null"),
        ("pgp", "null"),
        ("attention", "x"),
        ("mac", ""),
        ("Mac", "x"),
        ("VERSION", "3.0.0"),
        ("version_", "1"),
        ("key_groups", "null"),
        ("hc_vault", "null"),
        ("a b", "1"),
        ("kms", "x"),
        ("unencrypted_suffix", ""),
        ("gcp_kms", "1"),
    ];
    let (name, new) = rng.pick(NEW);
    let new = quoted(rng, format, new);
    let old = rng.pick(&["lastmodified", "mac", "version"]);
    edit(rng, format, text, old, |rng, line| {
        let changed = with_value(format, line, &new)?.replacen(old, name, 1);
        Some(if rng.chance(50) || !line.ends_with(['\n', ',']) { changed + line } else { line.to_owned() + &changed })
    })
}

fn repeat(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let name = rng.pick(FIELDS);
    edit(rng, format, text, name, |_, line| Some(format!("{line}{line}")))
}

fn digit(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let name = rng.pick(FIELDS);
    edit(rng, format, text, name, |rng, line| {
        let at = line.rfind(|c: char| c.is_ascii_digit())?;
        Some(format!("{}{}{}", &line[..at], rng.pick(&["0", "1", "2", "9", "x"]), &line[at + 1..]))
    })
}

/// Lines of the stanza.
fn stanza(format: Format, lines: &[String]) -> Option<(usize, usize)> {
    let starts: &[&str] = match format {
        Format::Yaml => &["sops:"],
        Format::Ini => &["[sops]"],
        Format::Dotenv => &["sops_"],
        Format::Json | Format::Binary => &["\t\"sops\": {"],
    };
    let at = lines.iter().position(|line| starts.iter().any(|start| line.starts_with(start)))?;
    let is_inside = |line: &&String| match format {
        Format::Yaml => line.starts_with(' '),
        Format::Ini => !line.starts_with('['),
        Format::Dotenv => line.starts_with("sops_"),
        Format::Json | Format::Binary => line.starts_with("\t\t") || line.starts_with("\t}"),
    };
    Some((at, at + 1 + lines[at + 1..].iter().take_while(is_inside).count()))
}

fn relocate(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    let (start, end) = stanza(format, &lines)?;
    let moved: Vec<String> = lines[start..end].to_vec();
    if rng.chance(80) {
        lines.drain(start..end);
    }
    let to = if rng.chance(50) { 0 } else { rng.below(lines.len() + 1) };
    lines.splice(to..to, moved);
    Some(lines.concat().into_bytes())
}

fn spoil(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    let (start, end) = stanza(format, &lines)?;
    match (format, rng.below(3)) {
        (_, 0) => drop(lines.drain(start..end)),
        (Format::Yaml, 1) => {
            let by = rng.pick(&["sops: null\n", "sops: []\n", "sops: x\n", "sops: {}\n", "sops:\n", "\"sops\": {}\n"]);
            lines.splice(start..end, [by.to_owned()]);
        }
        (Format::Yaml, _) => {
            lines[start] = rng
                .pick(&["'sops':\n", "SOPS:\n", "sops: &a\n", "!x sops:\n", "? sops\n:\n", "sops: !!map\n"])
                .to_owned();
        }
        (Format::Json | Format::Binary, 1) => lines[start] = "\t\"SOPS\": {\n".to_owned(),
        (Format::Json | Format::Binary, _) => {
            let by = rng.pick(&["\t\"sops\": null\n", "\t\"sops\": []\n", "\t\"sops\": {}\n", "\t\"sops\": \"x\"\n"]);
            lines.splice(start..end, [by.to_owned()]);
        }
        (Format::Ini, _) => {
            lines[start] = rng
                .pick(&["[SOPS]\n", "[sops ]\n", "[ sops]\n", "[sops]]\n", "[sops] ; x\n", "[\"sops\"]\n"])
                .to_owned();
        }
        (Format::Dotenv, _) => {
            let at = start + rng.below(end - start);
            lines[at] =
                lines[at].replacen("sops_", rng.pick(&["SOPS_", "sops", " sops_", "sops__", "export sops_"]), 1);
        }
    }
    Some(lines.concat().into_bytes())
}

/// A master key that nobody here can use, beside the one that works.
fn add_key(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    let at = line_of(rng, format, &lines, "lastmodified")?;
    let time = rng.pick(&["2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\"", "x", "", "2026-01-02"]);
    let (kind, name) = rng.pick(&[
        ("pgp", "fp"),
        ("kms", "arn"),
        ("gcp_kms", "resource_id"),
        ("hc_vault", "key_name"),
        ("azure_kv", "name"),
        ("hckms", "key_id"),
        ("hckms", "key_id"),
    ]);
    let id = rng.pick(&["x", "eu:1", "", "a:b:c"]);
    let new = match format {
        Format::Yaml => {
            format!("    {kind}:\n        - {name}: \"{id}\"\n          created_at: {time}\n          enc: x\n")
        }
        Format::Ini => {
            let prefix = format!("{kind}__list_0__map_");
            format!("{prefix}{name} = {id}\n{prefix}created_at = {time}\n{prefix}enc = x\n")
        }
        Format::Dotenv => {
            let prefix = format!("sops_{kind}__list_0__map_");
            format!("{prefix}{name}={id}\n{prefix}created_at={time}\n{prefix}enc=x\n")
        }
        Format::Json | Format::Binary => {
            let time = time.trim_matches('"');
            format!("\t\t\"{kind}\": [{{\"{name}\": \"{id}\", \"created_at\": \"{time}\", \"enc\": \"x\"}}],\n")
        }
    };
    lines.insert(at, new);
    Some(lines.concat().into_bytes())
}

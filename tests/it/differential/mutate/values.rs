//! Changes to keys and to values in clear.

use unsops::sops::Format;

use super::super::documents::{PLAIN, SCALARS, number};
use super::super::rng::Rng;
use super::{Mutation, lines_of, lossy, one_line};

pub const ALL: &[Mutation] = &[
    ("another value", replace),
    ("another value", replace),
    ("a tag or an anchor", tag),
    ("other quotes", requote),
    ("a value over several lines", fold),
    ("a number for a number", renumber),
    ("another key", rename),
    ("a key of another type", retype_key),
    ("swap keys", swap_keys),
    ("a key in two places", copy_key),
    ("no value", drop_value),
    ("values trade places", swap_values),
];

/// Where the value of a line begins and ends, if it has one; the line without its end is given.
fn value_of(format: Format, line: &str) -> Option<(usize, usize)> {
    let start = match format {
        Format::Dotenv => line.find('=')? + 1,
        Format::Ini => line.find('=').map(|at| at + 1)?,
        Format::Json | Format::Binary => line.find(": ").map(|at| at + 2).or_else(|| line.find(|c: char| c != '\t'))?,
        Format::Yaml => match line.find(": ") {
            Some(at) => at + 2,
            None => line.find("- ")? + 2,
        },
    };
    let end = match format {
        Format::Json | Format::Binary => line.trim_end_matches(',').len(),
        _ => line.len(),
    };
    let start = start + (line[start..].len() - line[start..].trim_start_matches(' ').len());
    (start <= end).then_some((start, end))
}

fn edit_value(
    rng: &mut Rng,
    format: Format,
    text: &[u8],
    edit: impl FnOnce(&mut Rng, &str) -> Option<String>,
) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let body = line.trim_end_matches('\n');
        let (start, end) = value_of(format, body)?;
        let value = edit(rng, &body[start..end])?;
        Some(format!("{}{value}{}{}", &line[..start], &body[end..], &line[body.len()..]))
    })
}

fn replace(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit_value(rng, format, text, |rng, _| {
        Some(match format {
            Format::Json | Format::Binary => json_value(rng),
            Format::Yaml if rng.chance(30) => rng.pick(SCALARS).to_owned(),
            _ if rng.chance(20) => number(rng),
            _ => rng.pick(PLAIN).to_owned(),
        })
    })
}

fn json_value(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => rng.pick(PLAIN).to_owned(),
        1 => format!("\"{}\"", rng.pick(PLAIN)),
        _ => rng
            .pick(&[
                "\"\\u0041\"",
                "\"\\ud800\"",
                "\"\\uD83D\\uDE00\"",
                "\"\\x\"",
                "\"\t\"",
                "[]",
                "{}",
                "[1, 2]",
                "{\"a\": 1}",
                "nul",
                "True",
                "-",
                "01",
                "1.",
                ".5",
                "+1",
                "1e",
                "1E5",
                "-0",
                "-0.0",
                "1e400",
                "0x1",
                "'a'",
                "NaN",
                "[1,]",
                "{\"a\":1,}",
                "\"\\u00e9\"",
                "9223372036854775807",
                "9223372036854775808",
                "1.0",
                "1e2",
                "\"\u{7f}\"",
                "[[[]]]",
            ])
            .to_owned(),
    }
}

fn tag(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    const PROPERTIES: &[&str] = &[
        "!!str ",
        "!!int ",
        "!!float ",
        "!!bool ",
        "!!null ",
        "!!binary ",
        "!!timestamp ",
        "!!map ",
        "!!seq ",
        "!!set ",
        "!!merge ",
        "!!omap ",
        "!!foo ",
        "! ",
        "!x ",
        "!<tag:yaml.org,2002:str> ",
        "!<x> ",
        "&a ",
        "&b ",
        "*a ",
        "!!str &a ",
        "&a !!int ",
        "!e!x ",
        "!",
        "&",
        "*",
        "&a &b ",
        "!!str !!int ",
        "!<tag:yaml.org,2002:int> ",
        "!!%73tr ",
    ];
    if format != Format::Yaml {
        return None;
    }
    one_line(rng, text, |rng, line| {
        let properties = rng.pick(PROPERTIES);
        let body = line.trim_end_matches('\n');
        match value_of(format, body) {
            // On a key.
            _ if rng.chance(15) => {
                let at = line.len() - line.trim_start_matches([' ', '-']).len();
                Some(format!("{}{properties}{}", &line[..at], &line[at..]))
            }
            Some((start, _)) => Some(format!("{}{properties}{}", &line[..start], &line[start..])),
            // On what follows.
            None => Some(format!("{body} {}{}", properties.trim_end(), &line[body.len()..])),
        }
    })
}

fn requote(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit_value(rng, format, text, |rng, value| {
        let inner = value.trim_matches(['"', '\'', '`']);
        let quote = rng.pick(&["\"", "'", "`", "\"\"\"", "", "\\\"", "''"]);
        Some(format!("{quote}{inner}{quote}"))
    })
}

fn fold(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let depth = 2 * rng.below(6);
    edit_value(rng, format, text, |rng, value| {
        let indent = " ".repeat(depth);
        Some(match (format, rng.below(6)) {
            (Format::Yaml, 0) => {
                format!("|{}\n{indent}{value}\n{indent}{value}", rng.pick(&["", "-", "+", "2", "4-", "1+"]))
            }
            (Format::Yaml, 1) => {
                format!(">{}\n{indent}{value}\n\n{indent} {value}", rng.pick(&["", "-", "+", "2", "+1"]))
            }
            (Format::Yaml, 2) => format!("{value}\n{indent}{value}"),
            (Format::Yaml, 3) => format!("\"{}\n{indent}{0}\\\n  {0}\"", value.replace(['"', '\\'], "")),
            (Format::Yaml, 4) => format!("'{}\n\n{indent}{0}'", value.replace('\'', "")),
            (Format::Yaml, _) => format!("\n{indent}{value}"),
            (Format::Ini, 0) => format!("\"\"\"{value}\n{value}\"\"\""),
            (Format::Ini, 1) => format!("{value}\\\n{value}"),
            (Format::Ini, 2) => format!("`{value}\n{value}`"),
            (Format::Json, _) => format!("\n\t{value}\n"),
            _ => format!("{value}\\n{value}"),
        })
    })
}

fn renumber(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit_value(rng, format, text, |rng, value| {
        value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)).then(|| number(rng))
    })
}

/// Where the key of a line begins and ends.
fn key_of(format: Format, line: &str) -> Option<(usize, usize)> {
    let separator = if matches!(format, Format::Dotenv | Format::Ini) { '=' } else { ':' };
    let start = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
    let end = line.find(separator)?;
    let end = line[..end].trim_end().len();
    (start < end).then_some((start, end))
}

fn edit_key(
    rng: &mut Rng,
    format: Format,
    text: &[u8],
    edit: impl FnOnce(&mut Rng, &str) -> String,
) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let (start, end) = key_of(format, line)?;
        Some(format!("{}{}{}", &line[..start], edit(rng, &line[start..end]), &line[end..]))
    })
}

fn rename(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit_key(rng, format, text, |rng, key| match rng.below(6) {
        0 => format!("{key}_unencrypted"),
        1 => key.to_uppercase(),
        2 => format!("{key} "),
        3 => format!("x{key}"),
        4 => rng.pick(&["data", "a", "sops", "SOPS", "k1", "b_enc", "\"\"", "''", "-", "``"]).to_owned(),
        _ => {
            let quote = rng.pick(&["\"", "'", "`"]);
            format!("{quote}{}{quote}", key.trim_matches(['"', '\'']))
        }
    })
}

fn retype_key(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    const KEYS: &[&str] = &[
        "1",
        "true",
        "null",
        "~",
        "1.5",
        "2024-01-01",
        "yes",
        "<<",
        "\"<<\"",
        "!!str 1",
        "!x 1",
        "!!int \"1\"",
        "[a]",
        "{a: b}",
        "*a",
        "&k key",
        "? a\n",
        "? ",
        "'1'",
        "!!binary YQ==",
        "!!merge <<",
        "0x10",
        ".inf",
        "18446744073709551615",
        "=",
        "!!null x",
        "!!float 1",
        "\"\\x85\"",
        "\"a\\nb\"",
        "!!timestamp 2024-01-01",
        "|\n  a\n",
    ];
    (format == Format::Yaml).then(|| edit_key(rng, format, text, |rng, _| rng.pick(KEYS).to_owned()))?
}

fn swap_keys(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    swap_parts(rng, text, |line| key_of(format, line))
}

fn swap_values(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    swap_parts(rng, text, |line| value_of(format, line.trim_end_matches('\n')))
}

fn swap_parts(rng: &mut Rng, text: &[u8], part: impl Fn(&str) -> Option<(usize, usize)>) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    if lines.len() < 2 {
        return None;
    }
    let (a, b) = (rng.below(lines.len()), rng.below(lines.len()));
    let ((a0, a1), (b0, b1)) = (part(&lines[a])?, part(&lines[b])?);
    let (one, other) = (lines[a][a0..a1].to_owned(), lines[b][b0..b1].to_owned());
    if a == b {
        return None;
    }
    lines[a].replace_range(a0..a1, &other);
    lines[b].replace_range(b0..b1, &one);
    Some(lines.concat().into_bytes())
}

fn copy_key(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let lines = lines_of(&lossy(text));
    let line = lines.get(rng.below(lines.len().max(1)))?;
    let (start, end) = key_of(format, line)?;
    let key = line[start..end].to_owned();
    edit_key(rng, format, text, |_, _| key)
}

fn drop_value(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit_value(rng, format, text, |rng, _| Some(rng.pick(&["", "\"\"", "null", "[]", "{}"]).to_owned()))
}

//! Changes to encrypted values.

use unsops::sops::Format;

use super::super::rng::Rng;
use super::{Mutation, lossy};

pub const ALL: &[Mutation] = &[
    ("flip a bit of a token", flip),
    ("swap two tokens", swap),
    ("copy a token over another", copy),
    ("a plain value for a token", replace),
    ("another type", retype),
    ("cut a token", cut),
    ("another letter case in a token", recase),
    ("text around a token", surround),
    ("other base64", recode),
    ("an empty token", empty),
];

const PREFIX: &str = "ENC[AES256_GCM,";

/// Places of the `ENC[...]` tokens.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let starts = text.match_indices(PREFIX).map(|(at, _)| at);
    starts.filter_map(|at| text[at..].find(']').map(|length| (at, at + length + 1))).collect()
}

fn some_token(rng: &mut Rng, text: &str) -> Option<(usize, usize)> {
    let tokens = tokens(text);
    (!tokens.is_empty()).then(|| rng.pick(&tokens))
}

/// Lets `edit` change one token.
fn one_token(rng: &mut Rng, text: &[u8], edit: impl FnOnce(&mut Rng, &str) -> Option<String>) -> Option<Vec<u8>> {
    let text = lossy(text);
    let (start, end) = some_token(rng, &text)?;
    let token = edit(rng, &text[start..end])?;
    Some([&text[..start], &token, &text[end..]].concat().into_bytes())
}

fn flip(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let (start, end) = some_token(rng, &lossy(text))?;
    let mut text = text.to_vec();
    // Where the text is not UTF-8, places may be off: any bit is good.
    let at = (start + rng.below(end - start)).min(text.len() - 1);
    text[at] ^= 1 << rng.below(8);
    Some(text)
}

fn swap(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let text = lossy(text);
    let (a, b) = (some_token(rng, &text)?, some_token(rng, &text)?);
    let ((a0, a1), (b0, b1)) = (a.min(b), a.max(b));
    (a1 <= b0).then(|| [&text[..a0], &text[b0..b1], &text[a1..b0], &text[a0..a1], &text[b1..]].concat().into_bytes())
}

fn copy(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let owned = lossy(text);
    let (start, end) = some_token(rng, &owned)?;
    one_token(rng, text, |_, _| Some(owned[start..end].to_owned()))
}

fn replace(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const BY: &[&str] = &[
        "",
        "x",
        "null",
        "~",
        "ENC[]",
        "ENC[AES256_GCM]",
        "12",
        "true",
        "1.5",
        "2024-01-01",
        "{}",
        "[]",
        "\"\"",
        "''",
        "[ENC[AES256_GCM,data:YQ==,iv:,tag:,type:str]]",
        "!!str",
        "*a",
        "|",
        "# x",
    ];
    one_token(rng, text, |rng, _| Some(rng.pick(BY).to_owned()))
}

fn retype(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const TYPES: &[&str] =
        &["str", "int", "float", "bool", "comment", "time", "bytes", "x", "", "STR", "str ", "nil", "str,type:int"];
    one_token(rng, text, |rng, token| {
        let (start, _) = token.split_once(",type:")?;
        Some(format!("{start},type:{}]", rng.pick(TYPES)))
    })
}

fn cut(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_token(rng, text, |rng, token| {
        let at = rng.below(token.len());
        Some(if rng.chance(50) { token[..at].to_owned() } else { token[at..].to_owned() })
    })
}

fn recase(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_token(rng, text, |rng, token| {
        let (from, to) = rng.pick(&[
            ("ENC", "enc"),
            ("AES256_GCM", "aes256_gcm"),
            ("AES256_GCM", "AES128_GCM"),
            ("data:", "Data:"),
            ("iv:", "IV:"),
            ("type:", "TYPE:"),
        ]);
        Some(token.replacen(from, to, 1))
    })
}

fn surround(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_token(rng, text, |rng, token| {
        let by = rng.pick(&[
            (" ", ""),
            ("", " "),
            ("", "x"),
            ("x", ""),
            ("", "]"),
            ("[", "]"),
            ("\"", "\""),
            ("'", "'"),
            ("", "\r"),
            ("", "\t"),
            ("", " # note"),
            ("!!str ", ""),
            ("!x ", ""),
            ("&b ", ""),
            ("|-\n      ", ""),
            (">-\n  ", ""),
            ("{", "}"),
            ("`", "`"),
            ("\"\"\"", "\"\"\""),
            ("", "\\n"),
            ("\\n", ""),
            ("", "\\"),
            ("", "\n"),
            ("", "\u{a0}"),
        ]);
        let by = if format == Format::Json && by.0 == "\"" { ("", "\\n") } else { by };
        Some(format!("{}{token}{}", by.0, by.1))
    })
}

/// The same bytes in other characters, or nearly.
fn recode(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_token(rng, text, |rng, token| {
        let field = rng.pick(&["data:", "iv:", "tag:"]);
        let start = token.find(field)? + field.len();
        let length = token[start..].find(',')?;
        let value = &token[start..start + length];
        let last = value.trim_end_matches('=').len().checked_sub(1)?;
        let value = match rng.below(9) {
            0 => value.trim_end_matches('=').to_owned(),
            1 => value.replace('+', "-").replace('/', "_"),
            2 => format!("{value}="),
            // Bits that no byte has.
            3 | 4 => {
                let other = char::from(value.as_bytes()[last].wrapping_add(1));
                format!("{}{other}{}", &value[..last], &value[last + 1..])
            }
            5 => format!("{} {}", &value[..last], &value[last..]),
            6 => format!("{}\\n{}", &value[..last], &value[last..]),
            7 => format!("{value}AAAA"),
            _ => value.to_ascii_lowercase(),
        };
        Some(format!("{}{value}{}", &token[..start], &token[start + length..]))
    })
}

fn empty(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_token(rng, text, |rng, token| {
        let field = rng.pick(&["data:", "iv:", "tag:", "type:"]);
        let start = token.find(field)? + field.len();
        let length = token[start..].find([',', ']'])?;
        Some(format!("{}{}", &token[..start], &token[start + length..]))
    })
}

//! Changes that know nothing about the format.

use unsops::sops::Format;

use super::super::rng::Rng;
use super::Mutation;

pub const ALL: &[Mutation] = &[
    ("flip a bit", flip),
    ("another byte", replace),
    ("insert a piece", insert),
    ("delete some bytes", delete),
    ("repeat some bytes", repeat),
    ("move some bytes", shift),
    ("cut off the end", truncate),
];

/// What means something in one of the formats.
const PIECES: &[&str] = &[
    "x",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\r\n",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "😀",
    "#",
    " #",
    "# ",
    ";",
    "\"",
    "'",
    "`",
    "\\",
    "\\n",
    ":",
    ": ",
    "=",
    ",",
    "-",
    "- ",
    "? ",
    "]",
    "[",
    "{",
    "}",
    "[]",
    "{}",
    "&a ",
    "*a",
    "!",
    "!!str ",
    "!!int ",
    "!x ",
    "|",
    ">",
    "|-\n",
    "%",
    "@",
    "~",
    "0",
    "1",
    "-1",
    "0x",
    "1e3",
    "null",
    "true",
    "a: b\n",
    "---\n",
    "...\n",
    "--- ",
    "<<: ",
    "\"\"\"",
    "[s]\n",
    "a=b\n",
    "ENC[",
    "2024-01-01",
    "_",
    ".",
];

fn flip(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let mut text = text.to_vec();
    if text.is_empty() {
        return None;
    }
    let at = rng.below(text.len());
    text[at] ^= 1 << rng.below(8);
    Some(text)
}

fn replace(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let at = place(rng, text)?;
    let piece = rng.pick(PIECES);
    Some([&text[..at], piece.as_bytes(), &text[at + 1..]].concat())
}

fn insert(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let at = rng.below(text.len() + 1);
    let piece = rng.pick(PIECES);
    Some([&text[..at], piece.as_bytes(), &text[at..]].concat())
}

fn delete(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let (from, to) = span(rng, text)?;
    Some([&text[..from], &text[to..]].concat())
}

fn repeat(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let (from, to) = span(rng, text)?;
    Some([&text[..to], &text[from..]].concat())
}

fn shift(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let (from, to) = span(rng, text)?;
    let rest = [&text[..from], &text[to..]].concat();
    let at = rng.below(rest.len() + 1);
    Some([&rest[..at], &text[from..to], &rest[at..]].concat())
}

fn truncate(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let at = place(rng, text)?;
    Some(text[..at].to_vec())
}

fn place(rng: &mut Rng, text: &[u8]) -> Option<usize> {
    (!text.is_empty()).then(|| rng.below(text.len()))
}

/// A short stretch.
fn span(rng: &mut Rng, text: &[u8]) -> Option<(usize, usize)> {
    let from = place(rng, text)?;
    let length = 1 + rng.below(12);
    Some((from, (from + length).min(text.len())))
}

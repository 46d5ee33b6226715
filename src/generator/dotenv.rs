//! The dotenv dialect of KSOPS: godotenv 1.5.1, reproduced (`parser.go`).
//!
//! People rely on its quotes, escapes and `export`, so these stay. Two of its habits replace what was encrypted with
//! something else; they are reported with the variable ([`Change`]), and the caller refuses. Unlike godotenv, bytes
//! that are not UTF-8 stay as they are, and no error holds any part of the text.

use crate::secret::SecretBytes;

/// One `KEY=value`. No `Debug`: keys may be plaintext too, where the text does not hold what its lines suggest.
pub(super) struct Variable {
    /// The key as godotenv takes it; not necessarily UTF-8, may be empty.
    pub key: Vec<u8>,
    /// The value after unquoting and unescaping.
    pub value: SecretBytes,
    /// Line on which the variable begins, from 1.
    pub line: u32,
    /// How godotenv would replace the value.
    pub change: Option<Change>,
}

/// A habit of godotenv that changes a value without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// An unquoted value ends at ` #`.
    Comment,
    /// `$NAME` becomes the value of an earlier variable, or nothing.
    Expansion,
}

/// Why a text is not in the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DotenvError {
    /// The broken rule.
    pub reason: &'static str,
    /// Line on which the variable begins, from 1.
    pub line: u32,
}

/// Reads all variables in order, duplicates kept.
///
/// # Errors
/// [`DotenvError`]: godotenv stops at the first one, so there is only one.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Variable>, DotenvError> {
    let text = without_crlf(text);
    let mut lines = LineCounter { text: &text, counted: 0, line: 1 };
    let mut variables = Vec::new();
    let mut rest = text.as_slice();
    while let Some(statement) = statement_start(rest) {
        let line = lines.line_at(text.len() - statement.len());
        let error = |reason| DotenvError { reason, line };
        let (key, after_key) = key(statement).ok_or_else(|| error("a line is not NAME=value"))?;
        let value = value(after_key).ok_or_else(|| error("a quoted value has no closing quote"))?;
        variables.push(Variable {
            key: key.to_vec(),
            value: SecretBytes::new(value.bytes),
            line,
            change: value.change,
        });
        rest = value.rest;
    }
    Ok(variables)
}

fn without_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&&b'\n') {
            out.push(byte);
        }
    }
    out
}

/// Line numbers of growing offsets, in one pass.
struct LineCounter<'a> {
    text: &'a [u8],
    counted: usize,
    line: u32,
}

impl LineCounter<'_> {
    fn line_at(&mut self, offset: usize) -> u32 {
        let passed = self.text.get(self.counted..offset).unwrap_or_default();
        let breaks = passed.iter().filter(|&&byte| byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.counted = offset;
        self.line
    }
}

/// Skips blanks, empty lines and comment lines.
fn statement_start(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = trim_start(text, char::is_whitespace);
        match text.first()? {
            b'#' => text = text.get(text.iter().position(|&byte| byte == b'\n')?..)?,
            _ => return Some(text),
        }
    }
}

/// Splits at the first `=` or `:`; `None` where no name stands before it. A last line without either is a value under
/// the empty key, as in godotenv.
fn key(statement: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut text = trim_start(statement, is_blank);
    if let Some(rest) = text.strip_prefix(b"export")
        && first_char(rest).is_some_and(|(c, _)| is_blank(c))
    {
        text = trim_start(rest, is_blank);
    }
    text.first()?;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'=' | b':' => {
                let (key, rest) = text.split_at(at);
                let rest = rest.get(1..).unwrap_or_default();
                return Some((trim_end(key, char::is_whitespace), trim_start(rest, is_blank)));
            }
            _ if is_name_byte(byte) => {}
            _ => return None,
        }
    }
    Some((b"", trim_start(text, is_blank)))
}

/// godotenv looks at single bytes here and takes each for the Latin-1 character of that number.
fn is_name_byte(byte: u8) -> bool {
    let c = char::from(byte);
    byte == b'_' || byte == b'.' || is_blank(c) || c.is_alphabetic() || c.is_numeric()
}

struct Value<'a> {
    bytes: Vec<u8>,
    rest: &'a [u8],
    change: Option<Change>,
}

/// Reads a value; `None` where a quote is not closed.
fn value(text: &[u8]) -> Option<Value<'_>> {
    match text.first() {
        Some(&quote @ (b'"' | b'\'')) => quoted(text, quote),
        _ => Some(unquoted(text)),
    }
}

fn unquoted(text: &[u8]) -> Value<'_> {
    let end = text.iter().position(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    let comment = line
        .iter()
        .enumerate()
        .rev()
        .find(|&(at, &byte)| byte == b'#' && last_char(line.get(..at).unwrap_or_default()).is_some_and(is_blank));
    let kept = match comment {
        Some((at, _)) => line.get(..at).unwrap_or_default(),
        None => line,
    };
    let kept = trim_end(trim_start(kept, is_blank), is_blank);
    let (bytes, expands) = without_escaped_dollars(kept);
    let change = match (comment, expands) {
        (Some(_), _) => Some(Change::Comment),
        (None, true) => Some(Change::Expansion),
        (None, false) => None,
    };
    Value { bytes, rest, change }
}

fn quoted(text: &[u8], quote: u8) -> Option<Value<'_>> {
    let mut previous = quote;
    let end = text.iter().enumerate().skip(1).find_map(|(at, &byte)| {
        let closes = byte == quote && previous != b'\\';
        previous = byte;
        closes.then_some(at)
    })?;
    let (inside, rest) = text.split_at(end);
    let rest = rest.get(1..).unwrap_or_default();
    // godotenv strips any number of quotes at both ends, an escaped one at the end included.
    let first = inside.iter().position(|&byte| byte != quote).unwrap_or(inside.len());
    let last = inside.iter().rposition(|&byte| byte != quote).map_or(first, |at| at + 1);
    let inside = inside.get(first..last).unwrap_or_default();
    if quote == b'\'' {
        return Some(Value { bytes: inside.to_vec(), rest, change: None });
    }
    let (bytes, expands) = without_escaped_dollars(&unescape(inside));
    Some(Value { bytes, rest, change: expands.then_some(Change::Expansion) })
}

/// `\n` and `\r` become line breaks, then every other backslash that does not stand before `$` goes away.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut breaks = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b'n')) => breaks.push(b'\n'),
            (b'\\', Some(b'r')) => breaks.push(b'\r'),
            (b'\\', Some(&next)) => breaks.extend([byte, next]),
            _ => {
                breaks.push(byte);
                continue;
            }
        }
        bytes.next();
    }
    let mut out = Vec::with_capacity(breaks.len());
    let mut bytes = breaks.into_iter().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(&next)) if next != b'$' => {
                out.push(next);
                bytes.next();
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Takes the backslash off every `\$`, and says whether there is a `$NAME` that godotenv would expand
/// (`(\\)?(\$)(\()?\{?([A-Z0-9_]+)?\}?`).
fn without_escaped_dollars(text: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len());
    let mut expands = false;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\\', [b'$', name @ ..]) => {
                out.push(b'$');
                rest = name;
                continue;
            }
            (b'$', name) => expands |= names_a_variable(name),
            _ => {}
        }
        out.push(byte);
    }
    (out, expands)
}

fn names_a_variable(after_dollar: &[u8]) -> bool {
    let text = after_dollar.strip_prefix(b"(").unwrap_or(after_dollar);
    let text = text.strip_prefix(b"{").unwrap_or(text);
    text.first().is_some_and(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// White space other than LF, as godotenv's own `isSpace`.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

fn trim_start(mut text: &[u8], is_trimmed: fn(char) -> bool) -> &[u8] {
    while let Some((c, rest)) = first_char(text)
        && is_trimmed(c)
    {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8], is_trimmed: fn(char) -> bool) -> &[u8] {
    while let Some(c) = last_char(text)
        && is_trimmed(c)
    {
        text = text.get(..text.len().saturating_sub(c.len_utf8())).unwrap_or_default();
    }
    text
}

/// The first character and what follows it; a byte that begins none counts as U+FFFD.
fn first_char(text: &[u8]) -> Option<(char, &[u8])> {
    let one = |length: usize| {
        let (head, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(head).ok()?.chars().next()?, rest))
    };
    let (_, rest) = text.split_first()?;
    Some((1..=4).find_map(one).unwrap_or((char::REPLACEMENT_CHARACTER, rest)))
}

/// The last character; a byte that ends none counts as U+FFFD (and is never trimmed).
fn last_char(text: &[u8]) -> Option<char> {
    let one = |length: usize| {
        let tail = text.get(text.len().checked_sub(length)?..)?;
        std::str::from_utf8(tail).ok()?.chars().next()
    };
    text.last()?;
    Some((1..=4).find_map(one).unwrap_or(char::REPLACEMENT_CHARACTER))
}

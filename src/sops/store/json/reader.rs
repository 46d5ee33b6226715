//! Text to tree, token by token as Go's `json.Decoder` does.
//!
//! A reader of our own, since none keeps all of this: duplicate keys, integers apart from floats, U+FFFD for bytes
//! that are not UTF-8 and for lone surrogates, a string of megabytes copied once.

use crate::limits;
use crate::secret::SecretBytes;
use crate::sops::store::{NodeBudget, count, format_error};
use crate::sops::tree::{Branch, Entry, Item, Tree, Value};
use crate::sops::{Reading, SopsError};
use crate::text::{characters, printable_run};
use crate::yaml::Position;

/// Reads one object; whatever follows it is ignored, as sops does.
///
/// Integers that fit `i64` stay exact, other numbers are floats (sops 3.13.2 and later); in
/// [`Reading::JsonFloats`] every number is a float.
pub(in crate::sops::store) fn load(text: &[u8], reading: Reading) -> Result<Tree, SopsError> {
    let keeps_integers = reading != Reading::JsonFloats;
    let mut reader = Reader { text, keeps_integers, at: 0, place: Place::default(), nodes: NodeBudget::new() };
    reader.skip_blanks();
    match reader.peek() {
        Some(b'{') => Ok(Tree { documents: vec![reader.object(1)?] }),
        Some(b'[') => Err(reader.error("the top level is a JSON array, sops knows objects only")),
        _ => Err(reader.error("the top level is not a JSON object")),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    keeps_integers: bool,
    /// Offset of the next byte; never goes back.
    at: usize,
    place: Place,
    nodes: NodeBudget,
}

impl<'a> Reader<'a> {
    /// Reads from `{` to `}`; `depth` counts the containers that are open, this one included.
    fn object(&mut self, depth: usize) -> Result<Branch, SopsError> {
        self.enter(depth)?;
        let mut branch = Branch::default();
        if self.next_is(b'}') {
            return Ok(branch);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a JSON key in double quotes"));
            }
            let key = self.string()?;
            if !self.next_is(b':') {
                return Err(self.error("expected `:` after a JSON key"));
            }
            self.skip_blanks();
            let position = self.position();
            let value = self.value(depth)?;
            branch.items.push(Item::Entry(Entry { key, value, position }));
            if self.next_is(b'}') {
                return Ok(branch);
            }
            if !self.next_is(b',') {
                return Err(self.error("expected `,` or `}` in a JSON object"));
            }
            self.skip_blanks();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, SopsError> {
        self.enter(depth)?;
        let mut list = Vec::new();
        if self.next_is(b']') {
            return Ok(list);
        }
        loop {
            list.push(self.value(depth)?);
            if self.next_is(b']') {
                return Ok(list);
            }
            if !self.next_is(b',') {
                return Err(self.error("expected `,` or `]` in a JSON array"));
            }
            self.skip_blanks();
        }
    }

    /// Takes the opening bracket.
    fn enter(&mut self, depth: usize) -> Result<(), SopsError> {
        if depth > limits::NESTING {
            return Err(self.error(format!("JSON nested deeper than {}", limits::NESTING)));
        }
        self.at += 1;
        self.skip_blanks();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, SopsError> {
        self.nodes.take()?;
        match self.peek() {
            Some(b'{') => Ok(Value::Branch(self.object(depth + 1)?)),
            Some(b'[') => Ok(Value::List(self.array(depth + 1)?)),
            Some(b'"') => Ok(Value::Str(SecretBytes::new(self.string()?.into_bytes()))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.error("expected a JSON value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, SopsError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.error("expected a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, SopsError> {
        let (digits, is_integer) = number_prefix(self.rest());
        let Some(text) = digits.and_then(|length| std::str::from_utf8(self.rest().get(..length)?).ok()) else {
            return Err(self.error("a malformed JSON number"));
        };
        let value = match text.parse::<i64>() {
            Ok(value) if is_integer && self.keeps_integers => Value::Int(value),
            _ => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Float(value),
                _ => return Err(self.error("a JSON number out of range")),
            },
        };
        self.at += text.len();
        Ok(value)
    }

    /// Reads a string with its quotes.
    fn string(&mut self) -> Result<String, SopsError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let mut run = printable_run(rest, b"\"\\");
            self.place.pass_ascii(self.text, self.at, run);
            while rest.get(run).is_some_and(|byte| *byte >= 0x7f) {
                run += 1;
                run += printable_run(rest.get(run..).unwrap_or_default(), b"\"\\");
            }
            push_utf8(rest.get(..run).unwrap_or_default(), &mut out);
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(self.error("a control character in a JSON string")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), SopsError> {
        let c = match self.rest().get(1) {
            Some(&letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let Some(unit) = utf16_escape(self.rest()) else {
                    return Err(self.error("`\\u` without four hexadecimal digits in a JSON string"));
                };
                self.at += 6;
                // Two halves of a pair are one character; a half alone is U+FFFD, what follows stands for itself.
                let low = utf16_escape(self.rest());
                let decoded = char::decode_utf16([Some(unit), low].into_iter().flatten()).next();
                let c = decoded.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
                if c.len_utf16() == 2 {
                    self.at += 6;
                }
                out.push(c);
                return Ok(());
            }
            _ => return Err(self.error("an unknown escape in a JSON string")),
        };
        self.at += 2;
        out.push(c);
        Ok(())
    }

    /// Skips blanks; if the given byte follows, takes it.
    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn position(&mut self) -> Position {
        self.place.advance(self.text, self.at)
    }

    /// The broken rule, or that nothing is left: Go drops the entry which a cut-off text ends in, we refuse the text.
    fn error(&mut self, reason: impl Into<String>) -> SopsError {
        let position = Some(self.position());
        if self.rest().is_empty() {
            format_error("the JSON text is cut off", position)
        } else {
            format_error(reason, position)
        }
    }
}

/// Line and column of an offset that only grows: each byte is counted once.
#[derive(Default)]
struct Place {
    counted: usize,
    line_feeds: usize,
    /// Characters since the last line feed.
    characters: usize,
}

impl Place {
    /// Passes a run of printable ASCII characters that begins at `at`; only long ones are worth it.
    fn pass_ascii(&mut self, text: &[u8], at: usize, run: usize) {
        if run >= 256 {
            self.advance(text, at);
            self.counted += run;
            self.characters += run;
        }
    }

    fn advance(&mut self, text: &[u8], at: usize) -> Position {
        let passed = text.get(self.counted..at).unwrap_or_default();
        let mut line = passed;
        while let Some((_, after)) = next_line_feed(line).and_then(|at| line.split_at_checked(at + 1)) {
            self.line_feeds += 1;
            self.characters = 0;
            line = after;
        }
        self.characters += characters(line);
        self.counted = at;
        Position { line: count(self.line_feeds + 1), column: count(self.characters + 1) }
    }
}

fn next_line_feed(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += printable_run(text.get(at..).unwrap_or_default(), &[]);
        if *text.get(at)? == b'\n' {
            return Some(at);
        }
        at += 1;
    }
}

/// The length of the number that the text begins with, if it is well-formed, and whether it is an integer.
fn number_prefix(text: &[u8]) -> (Option<usize>, bool) {
    let digits_from = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = if text.get(start) == Some(&b'0') { start + 1 } else { digits_from(start) };
    if end == start {
        return (None, false);
    }
    let mut is_integer = true;
    if text.get(end) == Some(&b'.') {
        let fraction = end + 1;
        end = digits_from(fraction);
        if end == fraction {
            return (None, false);
        }
        is_integer = false;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        end = digits_from(exponent);
        if end == exponent {
            return (None, false);
        }
        is_integer = false;
    }
    (Some(end), is_integer)
}

/// The UTF-16 unit of `\u` and four hexadecimal digits at the beginning of the text.
fn utf16_escape(text: &[u8]) -> Option<u16> {
    let &[b'\\', b'u', a, b, c, d] = text.first_chunk::<6>()? else {
        return None;
    };
    let mut unit = 0;
    for digit in [a, b, c, d] {
        unit = unit * 16 + char::from(digit).to_digit(16)?;
    }
    u16::try_from(unit).ok()
}

/// Appends bytes; each that is not part of a character becomes U+FFFD (Go decodes byte by byte, unlike
/// `String::from_utf8_lossy`).
fn push_utf8(bytes: &[u8], out: &mut String) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return out.push_str(text);
    }
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

//! Text to [`File`], by the rules of go-ini's `parser.go`, its accidents included: they decide what was hashed.

use super::file::{File, Section};
use super::spaces::{trim, trim_start};
use crate::secret::Secret;
use crate::sops::SopsError;
use crate::sops::store::{NodeBudget, count, format_error};
use crate::text::characters;
use crate::yaml::Position;

/// The section of keys that stand before any `[section]`. It exists in every file.
const DEFAULT_SECTION: &str = "DEFAULT";

/// Byte order marks, which are skipped; go-ini goes on in bytes whatever they promise.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];

/// Reads a file. Names are UTF-8, values and comments may be any bytes.
pub(super) fn parse(text: &[u8]) -> Result<File, SopsError> {
    let text = BYTE_ORDER_MARKS.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(text);
    Parser { rest: text, line: b"", number: 0, comment: Vec::new(), nodes: NodeBudget::new() }.file()
}

struct Parser<'a> {
    /// What is not read yet.
    rest: &'a [u8],
    /// The line read last, and its number from 1.
    line: &'a [u8],
    number: usize,
    /// Comment lines and end-of-line comments since the last key or section.
    comment: Vec<u8>,
    nodes: NodeBudget,
}

impl<'a> Parser<'a> {
    fn file(mut self) -> Result<File, SopsError> {
        let mut sections = Vec::new();
        let mut section = Section::new(DEFAULT_SECTION.to_owned(), Position { line: 1, column: 1 });
        // Keys called `-` in this section.
        let mut dashes = 0_usize;
        while self.next_line() {
            let line = trim_start(self.line);
            match line.first() {
                None => {}
                Some(b'#' | b';') => self.comment.extend_from_slice(line),
                Some(b'[') => {
                    self.nodes.take()?;
                    sections.push(std::mem::replace(&mut section, self.section(line)?));
                    dashes = 0;
                }
                Some(_) => {
                    self.nodes.take()?;
                    let start = self.position_of(line);
                    let (name, value) = split_key(line).map_err(|reason| format_error(reason, Some(start)))?;
                    let Ok(name) = std::str::from_utf8(name) else {
                        return Err(format_error("an INI key that is not UTF-8", Some(start)));
                    };
                    let numbered;
                    let name = if name == "-" {
                        dashes += 1;
                        numbered = format!("#{dashes}");
                        &numbered
                    } else {
                        name
                    };
                    let position = self.position_of(trim_start(value));
                    let value = self.value(value)?;
                    let comment = self.take_comment();
                    let key = section.set(name, value, position).and_then(|index| section.keys.get_mut(index));
                    key.ok_or_else(|| format_error("an INI key without a name", Some(start)))?.comment = comment;
                }
            }
        }
        sections.push(section);
        Ok(File { sections })
    }

    /// Reads a line with its LF into `line`; false at the end.
    fn next_line(&mut self) -> bool {
        let length = self.rest.iter().position(|&byte| byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        (self.line, self.rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.number += 1;
        length > 0
    }

    /// The name reaches to the last `]` of the line.
    fn section(&mut self, line: &[u8]) -> Result<Section, SopsError> {
        let position = self.position_of(line);
        let error = |reason| format_error(reason, Some(position));
        let end = line.iter().rposition(|&byte| byte == b']').ok_or_else(|| error("an INI section without `]`"))?;
        let name = std::str::from_utf8(line.get(1..end).unwrap_or_default())
            .map_err(|_| error("an INI section whose name is not UTF-8"))?;
        if name.is_empty() {
            return Err(error("an INI section without a name"));
        }
        if let Some(comment) = from_comment_marker(line.get(end..).unwrap_or_default()) {
            self.comment.extend_from_slice(comment);
        }
        let mut section = Section::new(name.to_owned(), position);
        section.comment = self.take_comment();
        Ok(section)
    }

    /// Reads what stands after the delimiter, and following lines if the value goes on there.
    fn value(&mut self, after_delimiter: &[u8]) -> Result<Vec<u8>, SopsError> {
        let line = trim_start(after_delimiter);
        let quote: &[u8] = if line.len() > 3 && line.starts_with(b"\"\"\"") {
            b"\"\"\""
        } else if line.starts_with(b"`") {
            b"`"
        } else {
            return Ok(self.unquoted_value(trim(line)));
        };
        let content = line.strip_prefix(quote).unwrap_or_default();
        match rfind(content, quote) {
            Some(end) => Ok(content.get(..end).unwrap_or_default().to_vec()),
            None => self.lines_to_quote(content, quote),
        }
    }

    fn unquoted_value(&mut self, line: &[u8]) -> Vec<u8> {
        if let Some(beginning) = line.strip_suffix(b"\\") {
            return self.continuation_lines(beginning);
        }
        let mut value = line;
        if let Some(comment) = from_comment_marker(line) {
            self.comment.extend_from_slice(comment);
            value = trim(line.strip_suffix(comment).unwrap_or_default());
        }
        [b'\'', b'"'].into_iter().find_map(|quote| without_quotes(value, quote)).unwrap_or(value).to_vec()
    }

    /// Joins lines, trimmed, as long as they end in a backslash. They hold no comments.
    fn continuation_lines(&mut self, beginning: &[u8]) -> Vec<u8> {
        let mut value = beginning.to_vec();
        while self.next_line() {
            let line = trim(self.line);
            if line.is_empty() {
                break;
            }
            value.extend_from_slice(line);
            if value.pop_if(|&mut last| last == b'\\').is_none() {
                break;
            }
        }
        value
    }

    /// Joins whole lines up to the last quote of the first line that has one, unless a backslash ends that line.
    fn lines_to_quote(&mut self, beginning: &[u8], quote: &[u8]) -> Result<Vec<u8>, SopsError> {
        let start = self.position_of(self.line);
        let mut value = beginning.to_vec();
        while self.next_line() {
            let line = self.line;
            let closing = rfind(line, quote).and_then(|at| line.split_at_checked(at));
            match closing {
                Some((content, rest)) if !trim(rest.get(quote.len()..).unwrap_or_default()).ends_with(b"\\") => {
                    value.extend_from_slice(content);
                    if let Some(comment) = from_comment_marker(rest) {
                        self.comment.extend_from_slice(trim(comment));
                    }
                    return Ok(value);
                }
                _ => value.extend_from_slice(line),
            }
        }
        Err(format_error("an INI value whose quote is never closed", Some(start)))
    }

    fn take_comment(&mut self) -> Secret<Vec<u8>> {
        let comment = std::mem::take(&mut self.comment);
        Secret::new(trim(&comment).to_vec())
    }

    /// Where a part of the current line that reaches to its end begins.
    fn position_of(&self, tail: &[u8]) -> Position {
        let before = self.line.get(..self.line.len().saturating_sub(tail.len())).unwrap_or_default();
        Position { line: count(self.number), column: count(characters(before) + 1) }
    }
}

/// Splits a line into its key, quotes and blanks removed, and what follows the delimiter.
fn split_key(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    const NO_DELIMITER: &str = "an INI line without `=` or `:`";
    let quote: &[u8] = match line.first() {
        Some(b'"') if line.len() > 6 && line.starts_with(b"\"\"\"") => b"\"\"\"",
        Some(b'"') => b"\"",
        Some(b'`') => b"`",
        _ => b"",
    };
    if quote.is_empty() {
        let (name, value) = split_at_delimiter(line).ok_or(NO_DELIMITER)?;
        return if name.is_empty() { Err("an INI key without a name") } else { Ok((trim(name), value)) };
    }
    let content = line.strip_prefix(quote).unwrap_or_default();
    let end = find(content, quote).ok_or("an INI key whose quote is never closed")?;
    let (name, rest) = content.split_at_checked(end).unwrap_or_default();
    // Whatever stands between the closing quote and the delimiter is dropped.
    let (_, value) = split_at_delimiter(rest.strip_prefix(quote).unwrap_or_default()).ok_or(NO_DELIMITER)?;
    Ok((trim(name), value))
}

fn split_at_delimiter(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// The bytes from the first comment marker on.
fn from_comment_marker(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(bytes.iter().position(|byte| matches!(byte, b'#' | b';'))?..)
}

/// The content of a quoted value, if the quote stands at its two ends only.
fn without_quotes(value: &[u8], quote: u8) -> Option<&[u8]> {
    let content = value.strip_prefix(&[quote])?.strip_suffix(&[quote])?;
    (!content.contains(&quote)).then_some(content)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn rfind(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_quoted_thrice_only_if_something_can_follow() {
        // go-ini, `readKeyName`: `len(line) > 6`.
        assert_eq!(split_key(b"\"\"\"a=b").ok(), Some((&b""[..], &b"b"[..])));
        assert_eq!(split_key(b"\"\"\"a\"\"\"=b").ok(), Some((&b"a"[..], &b"b"[..])));
        assert!(split_key(b"\"\"\"ab=b").is_err());
    }
}

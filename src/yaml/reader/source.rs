//! The text under the scanner: a place in it, the bytes ahead, and how far the last line break lies back.

use super::YamlError;
use crate::text::printable_run;
use crate::yaml::Position;

/// A place in the text. Signed, because the scanner's rules also speak of places before the first byte and of the
/// column left of the margin.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    /// Bytes before it.
    pub index: i64,
    /// Lines before it.
    pub line: i32,
    /// Characters before it on its line.
    pub column: i32,
}

impl Mark {
    /// The place for people, counted from 1.
    pub fn position(self) -> Position {
        let from_one = |count: i32| u32::try_from(count).unwrap_or_default().saturating_add(1);
        Position { line: from_one(self.line), column: from_one(self.column) }
    }

    /// The error that `rule` is broken here.
    pub fn error(self, rule: &'static str) -> YamlError {
        YamlError::Syntax { rule, position: self.position() }
    }
}

/// Text that is known to be UTF-8 without characters that YAML forbids, and the place where the scanner is.
pub(super) struct Source<'a> {
    text: &'a str,
    /// Length of the byte order mark.
    bytes_before: usize,
    pub mark: Mark,
    /// Line breaks since the last character that is neither break nor blank.
    pub newlines: i32,
}

impl<'a> Source<'a> {
    /// Checks the encoding and the characters of a whole stream.
    ///
    /// A byte order mark is skipped; UTF-16, which go-yaml would decode, is refused.
    pub fn new(bytes: &'a [u8]) -> Result<Self, YamlError> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(Mark::default().error("the text is UTF-16, only UTF-8 is read"));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::of_text(text),
            Err(error) => {
                let (valid, _) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
                let valid = valid.strip_prefix("\u{feff}".as_bytes()).unwrap_or(valid);
                Err(mark_after(valid, valid.len()).error("the text is not UTF-8"))
            }
        }
    }

    /// Checks the characters of a whole stream that is known to be UTF-8.
    pub fn of_text(text: &'a str) -> Result<Self, YamlError> {
        let content = text.strip_prefix(BOM).unwrap_or(text);
        let bytes_before = text.len() - content.len();
        if let Some(index) = find_forbidden(content.as_bytes()) {
            return Err(mark_after(content.as_bytes(), index).error("control characters are not allowed"));
        }
        if content.starts_with(BOM) {
            // go-yaml would lose the first character of every line that follows.
            return Err(Mark::default().error("the byte order mark stands twice"));
        }
        Ok(Self { text: content, bytes_before, mark: Mark::default(), newlines: 0 })
    }

    /// Offset of a place in the bytes that were given.
    pub fn offset(&self, mark: Mark) -> usize {
        self.bytes_before + usize::try_from(mark.index).unwrap_or_default()
    }

    fn index(&self) -> usize {
        usize::try_from(self.mark.index).unwrap_or_default()
    }

    /// The bytes from here to the end.
    pub fn ahead(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.index()..).unwrap_or_default()
    }

    /// The byte so many bytes ahead, 0 beyond the end (the text has no 0).
    pub fn at(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.index() + ahead).copied().unwrap_or_default()
    }

    pub fn is_end(&self) -> bool {
        self.at(0) == 0
    }

    /// A blank is a space or a tab.
    pub fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.at(ahead), b' ' | b'\t')
    }

    /// CR, LF, NEL, LS, PS; CRLF counts as one break where it is consumed.
    pub fn is_break(&self, ahead: usize) -> bool {
        match self.at(ahead) {
            b'\r' | b'\n' => true,
            0xc2 => self.at(ahead + 1) == 0x85,
            0xe2 => self.at(ahead + 1) == 0x80 && matches!(self.at(ahead + 2), 0xa8 | 0xa9),
            _ => false,
        }
    }

    pub fn is_break_or_end(&self, ahead: usize) -> bool {
        self.at(ahead) == 0 || self.is_break(ahead)
    }

    pub fn is_blank_break_or_end(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_break_or_end(ahead)
    }

    /// `---` or `...` at the beginning of a line.
    pub fn is_document_indicator(&self) -> bool {
        self.mark.column == 0
            && (self.ahead().starts_with(b"---") || self.ahead().starts_with(b"..."))
            && self.is_blank_break_or_end(3)
    }

    /// Passes one character; nothing at the end.
    pub fn skip(&mut self) {
        let width = match self.at(0) {
            0 => return,
            1..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        if !self.is_blank(0) {
            self.newlines = 0;
        }
        self.mark.index += width;
        self.mark.column += 1;
    }

    pub fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    /// Moves one character to `to`.
    pub fn read(&mut self, to: &mut String) {
        let from = self.mark;
        self.skip();
        to.push_str(self.since(from));
    }

    /// Moves printable ASCII characters to `to`, up to the first of `stops`, which must name the space. Within a word only:
    /// what comes next is no blank and no break.
    pub fn read_word(&mut self, to: &mut String, stops: &[u8]) {
        self.newlines = 0;
        self.read_ascii(printable_run(self.ahead(), stops), to);
    }

    /// Moves characters to `to` as long as their bytes pass `belongs`, which must refuse blanks, breaks, and every byte
    /// above ASCII. Behind an indicator only: `newlines` is 0.
    pub fn read_ascii_run(&mut self, to: &mut String, belongs: impl Fn(u8) -> bool) {
        self.read_ascii(self.ahead().iter().take_while(|byte| belongs(**byte)).count(), to);
    }

    /// Moves that many ASCII characters to `to`.
    fn read_ascii(&mut self, count: usize, to: &mut String) {
        let from = self.mark;
        self.mark.index += i64::try_from(count).unwrap_or_default();
        self.mark.column = self.mark.column.saturating_add(i32::try_from(count).unwrap_or(i32::MAX));
        to.push_str(self.since(from));
    }

    /// Moves the rest of the line to `to`.
    pub fn read_line_content(&mut self, to: &mut String) {
        while !self.is_break_or_end(0) {
            let count = printable_run(self.ahead(), &[]);
            if self.ahead().iter().take(count).any(|byte| *byte != b' ') {
                self.newlines = 0;
            }
            self.read_ascii(count, to);
            if !self.is_break_or_end(0) {
                self.read(to);
            }
        }
    }

    /// Passes one line break, if there is one.
    pub fn skip_break(&mut self) {
        let width = match self.at(0) {
            b'\r' if self.at(1) == b'\n' => 2,
            b'\r' | b'\n' => 1,
            0xc2 => 2,
            _ => 3,
        };
        if self.is_break(0) {
            self.mark.index += width;
            self.mark.column = 0;
            self.mark.line += 1;
            self.newlines += 1;
        }
    }

    /// Moves one line break to `to`: LF for CRLF, CR, LF and NEL, LS and PS as they are.
    pub fn read_break(&mut self, to: &mut String) {
        match self.at(0) {
            b'\r' | b'\n' | 0xc2 => to.push('\n'),
            _ if self.at(2) == 0xa8 => to.push('\u{2028}'),
            _ => to.push('\u{2029}'),
        }
        self.skip_break();
    }

    /// The text from a former place to here.
    pub fn since(&self, from: Mark) -> &'a str {
        let from = usize::try_from(from.index).unwrap_or_default();
        self.text.get(from..self.index()).unwrap_or_default()
    }
}

const BOM: char = '\u{feff}';

/// The place of a byte, for errors only.
fn mark_after(content: &[u8], index: usize) -> Mark {
    let before = content.get(..index).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let line_bytes = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    // Bytes that continue a character do not count.
    let column = line_bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Mark { index: i64::try_from(index).unwrap_or_default(), line: number(line), column: number(column) }
}

/// Finds a character that YAML forbids: C0 but tab, LF and CR; DEL; C1 but NEL; U+FFFE and U+FFFF.
fn find_forbidden(content: &[u8]) -> Option<usize> {
    let mut index = 0;
    loop {
        index += printable_run(content.get(index..).unwrap_or_default(), &[]);
        let next = |ahead| content.get(index + ahead).copied().unwrap_or_default();
        let is_forbidden = match content.get(index)? {
            b'\t' | b'\n' | b'\r' => false,
            0..=0x1f | 0x7f => true,
            0xc2 => (0x80..0xa0).contains(&next(1)) && next(1) != 0x85,
            0xef => next(1) == 0xbf && next(2) >= 0xbe,
            _ => false,
        };
        if is_forbidden {
            return Some(index);
        }
        index += 1;
    }
}

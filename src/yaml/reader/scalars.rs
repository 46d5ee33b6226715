//! Scalars: plain, quoted, literal, folded.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `scannerc.go`.

use super::YamlError;
use super::scanner::{Scanner, Token, TokenType};
use super::source::Mark;
use crate::yaml::ScalarStyle;

impl Scanner<'_> {
    /// A plain or quoted scalar, which may be a key.
    pub(super) fn fetch_flow_scalar(&mut self, style: ScalarStyle) -> Result<(), YamlError> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let token = match style {
            ScalarStyle::Plain => self.scan_plain()?,
            ScalarStyle::SingleQuoted => self.scan_quoted(b'\'', style)?,
            _ => self.scan_quoted(b'"', style)?,
        };
        self.push(token);
        Ok(())
    }

    pub(super) fn fetch_block_scalar(&mut self, style: ScalarStyle) -> Result<(), YamlError> {
        self.keys.give_up()?;
        self.simple_key_allowed = true;
        let token = self.scan_block_scalar(style)?;
        self.push(token);
        Ok(())
    }

    fn scan_plain(&mut self) -> Result<Token, YamlError> {
        let start = self.source.mark;
        let mut end = start;
        let indent = self.indent + 1;
        let in_flow = self.flow_level > 0;
        let mut text = String::new();
        let mut gap = Gap::default();
        while !self.source.is_document_indicator() && self.source.at(0) != b'#' {
            while !self.source.is_blank_break_or_end(0) && !self.ends_plain(in_flow) {
                gap.join(&mut text);
                if in_flow {
                    self.source.read_word(&mut text, b" :,?[]{}");
                } else {
                    self.source.read_word(&mut text, b" :");
                }
                if !self.source.is_blank_break_or_end(0) && !self.ends_plain(in_flow) {
                    self.source.read(&mut text);
                }
                end = self.source.mark;
            }
            if !(self.source.is_blank(0) || self.source.is_break(0)) {
                break;
            }
            while self.source.is_blank(0) || self.source.is_break(0) {
                let violates_indentation =
                    gap.has_break && self.source.mark.column < indent && self.source.at(0) == b'\t';
                if violates_indentation {
                    return Err(start.error("a tab indents a plain scalar"));
                }
                self.take_gap(&mut gap);
            }
            if !in_flow && self.source.mark.column < indent {
                break;
            }
        }
        if gap.has_break {
            self.simple_key_allowed = true;
        }
        Ok(Token { text, ..Token::new(TokenType::Scalar, start, end) })
    }

    /// `: ` ends plain text, and inside a flow collection each of its indicators.
    fn ends_plain(&self, in_flow: bool) -> bool {
        let byte = self.source.at(0);
        byte == b':' && self.source.is_blank_break_or_end(1) || in_flow && is_flow_indicator(byte)
    }

    /// Moves one blank or line break into the gap.
    fn take_gap(&mut self, gap: &mut Gap) {
        if self.source.is_blank(0) {
            if gap.has_break {
                self.source.skip();
            } else {
                self.source.read(&mut gap.blanks);
            }
        } else if gap.has_break {
            self.source.read_break(&mut gap.more_breaks);
        } else {
            gap.blanks.clear();
            self.source.read_break(&mut gap.first_break);
            gap.has_break = true;
        }
    }

    fn scan_quoted(&mut self, quote: u8, style: ScalarStyle) -> Result<Token, YamlError> {
        let is_double = quote == b'"';
        let start = self.source.mark;
        self.source.skip();
        let mut text = String::new();
        let mut gap = Gap::default();
        loop {
            if self.source.is_document_indicator() {
                return Err(start.error("a document indicator inside a quoted scalar"));
            }
            if self.source.is_end() {
                return Err(start.error("a quoted scalar without its closing quote"));
            }
            while !self.source.is_blank_break_or_end(0) {
                self.source.read_word(&mut text, b" '\"\\");
                if self.source.is_blank_break_or_end(0) {
                    break;
                }
                match self.source.at(0) {
                    b'\'' if !is_double && self.source.at(1) == b'\'' => {
                        self.source.skip();
                        self.source.skip();
                        text.push('\'');
                    }
                    byte if byte == quote => break,
                    b'\\' if is_double && self.source.is_break(1) => {
                        // An escaped line break joins the lines without a space.
                        self.source.skip();
                        self.source.skip_break();
                        gap.has_break = true;
                        break;
                    }
                    b'\\' if is_double => text.push(self.scan_escape(start)?),
                    _ => self.source.read(&mut text),
                }
            }
            if self.source.at(0) == quote {
                break;
            }
            while self.source.is_blank(0) || self.source.is_break(0) {
                self.take_gap(&mut gap);
            }
            gap.join(&mut text);
        }
        self.source.skip();
        Ok(Token { text, style, ..Token::new(TokenType::Scalar, start, self.source.mark) })
    }

    fn scan_escape(&mut self, start: Mark) -> Result<char, YamlError> {
        let (character, code_digits) = match self.source.at(1) {
            b'0' => ('\0', 0),
            b'a' => ('\x07', 0),
            b'b' => ('\x08', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\x0b', 0),
            b'f' => ('\x0c', 0),
            b'r' => ('\r', 0),
            b'e' => ('\x1b', 0),
            b' ' => (' ', 0),
            b'"' => ('"', 0),
            b'\'' => ('\'', 0),
            b'\\' => ('\\', 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{a0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return Err(start.error("an unknown escape in a quoted scalar")),
        };
        self.source.skip();
        self.source.skip();
        if code_digits == 0 {
            return Ok(character);
        }
        let mut code: u32 = 0;
        for _ in 0..code_digits {
            let Some(digit) = char::from(self.source.at(0)).to_digit(16) else {
                return Err(start.error("an escape in a quoted scalar lacks a hexadecimal digit"));
            };
            // Eight digits at most: 32 bits.
            code = code * 16 + digit;
            self.source.skip();
        }
        char::from_u32(code).ok_or_else(|| start.error("an escape in a quoted scalar is no Unicode character"))
    }

    fn scan_block_scalar(&mut self, style: ScalarStyle) -> Result<Token, YamlError> {
        let is_literal = style == ScalarStyle::Literal;
        let start = self.source.mark;
        self.source.skip();
        let (chomping, increment) = self.scan_block_header(start)?;
        let mut end = self.source.mark;
        let mut indent = if increment > 0 { self.indent.max(0) + increment } else { 0 };
        let mut text = String::new();
        let mut first_break = String::new();
        let mut more_breaks = String::new();
        self.scan_block_breaks(&mut indent, &mut more_breaks, start, &mut end)?;

        let mut was_indented = false;
        while self.source.mark.column == indent && !self.source.is_end() {
            // Folding joins two lines by a space, unless one of them is indented further.
            let is_indented = self.source.is_blank(0);
            if !is_literal && !was_indented && !is_indented && first_break.starts_with('\n') {
                if more_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&first_break);
            }
            first_break.clear();
            text.push_str(&more_breaks);
            more_breaks.clear();
            was_indented = is_indented;
            self.source.read_line_content(&mut text);
            if self.source.is_break(0) {
                self.source.read_break(&mut first_break);
            }
            self.scan_block_breaks(&mut indent, &mut more_breaks, start, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(&first_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&more_breaks);
        }
        Ok(Token { text, style, ..Token::new(TokenType::Scalar, start, end) })
    }

    /// What follows `|` or `>` on its line: chomping and indentation in either order, a comment.
    fn scan_block_header(&mut self, start: Mark) -> Result<(Chomping, i32), YamlError> {
        let mut chomping = self.scan_chomping();
        let mut increment = 0;
        if self.source.at(0).is_ascii_digit() {
            increment = i32::from(self.source.at(0) - b'0');
            if increment == 0 {
                return Err(start.error("a block scalar indented by 0"));
            }
            self.source.skip();
            if chomping.is_none() {
                chomping = self.scan_chomping();
            }
        }
        self.source.skip_blanks();
        if self.source.at(0) == b'#' {
            self.scan_line_comment(start);
        }
        if !self.source.is_break_or_end(0) {
            return Err(start.error("text on the first line of a block scalar"));
        }
        self.source.skip_break();
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn scan_chomping(&mut self) -> Option<Chomping> {
        let chomping = match self.source.at(0) {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return None,
        };
        self.source.skip();
        Some(chomping)
    }

    /// Passes indentation and empty lines; the first line that is not empty settles an indentation not yet known (0).
    fn scan_block_breaks(
        &mut self,
        indent: &mut i32,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Result<(), YamlError> {
        *end = self.source.mark;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.source.mark.column < *indent) && self.source.at(0) == b' ' {
                self.source.skip();
            }
            deepest = deepest.max(self.source.mark.column);
            if (*indent == 0 || self.source.mark.column < *indent) && self.source.at(0) == b'\t' {
                return Err(start.error("a tab indents a block scalar"));
            }
            if !self.source.is_break(0) {
                break;
            }
            self.source.read_break(breaks);
            *end = self.source.mark;
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}

/// What becomes of the line breaks at the end of a block scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Clip,
    Keep,
    Strip,
}

/// Blanks or line breaks between two words of a scalar.
#[derive(Default)]
struct Gap {
    blanks: String,
    has_break: bool,
    first_break: String,
    more_breaks: String,
}

impl Gap {
    /// Folds: blanks stay, a single line break is a space, of several the first goes.
    fn join(&mut self, text: &mut String) {
        if self.has_break {
            if !self.first_break.starts_with('\n') {
                text.push_str(&self.first_break);
                text.push_str(&self.more_breaks);
            } else if self.more_breaks.is_empty() {
                text.push(' ');
            } else {
                text.push_str(&self.more_breaks);
            }
            self.has_break = false;
            self.first_break.clear();
            self.more_breaks.clear();
        } else if !self.blanks.is_empty() {
            text.push_str(&self.blanks);
            self.blanks.clear();
        }
    }
}

fn is_flow_indicator(byte: u8) -> bool {
    matches!(byte, b',' | b'?' | b'[' | b']' | b'{' | b'}')
}

//! Anchors, aliases, tags, and directives.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `scannerc.go`.

use super::YamlError;
use super::scanner::{Scanner, Token, TokenType};
use super::source::Mark;

impl Scanner<'_> {
    pub(super) fn fetch_anchor(&mut self, typ: TokenType) -> Result<(), YamlError> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.source.mark;
        self.source.skip();
        let mut text = String::new();
        self.source.read_ascii_run(&mut text, is_name);
        let may_follow = self.source.is_blank_break_or_end(0)
            || matches!(self.source.at(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if text.is_empty() || !may_follow {
            return Err(start.error("an anchor or alias needs a name of letters, digits, '_' and '-'"));
        }
        self.push(Token { text, ..Token::new(typ, start, self.source.mark) });
        Ok(())
    }

    pub(super) fn fetch_tag(&mut self) -> Result<(), YamlError> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.source.mark;
        let (handle, suffix) = if self.source.at(1) == b'<' {
            // `!<tag:example.com,2000:name>`
            self.source.skip();
            self.source.skip();
            let suffix = self.scan_tag_uri("", start)?;
            if self.source.at(0) != b'>' {
                return Err(start.error("a tag without its closing '>'"));
            }
            self.source.skip();
            (String::new(), suffix)
        } else {
            let handle = self.scan_tag_handle();
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri("", start)?;
                (handle, suffix)
            } else {
                // `!name` is a suffix of the handle `!`, and `!` alone is the non-specific tag.
                let suffix = self.scan_tag_uri(&handle, start)?;
                if suffix.is_empty() { (String::new(), handle) } else { ("!".to_owned(), suffix) }
            }
        };
        if !self.source.is_blank_break_or_end(0) {
            return Err(start.error("a tag needs a blank or line break behind it"));
        }
        self.push(Token { text: handle, suffix, ..Token::new(TokenType::Tag, start, self.source.mark) });
        Ok(())
    }

    /// `!`, and a name and a second `!` where they follow.
    fn scan_tag_handle(&mut self) -> String {
        let mut handle = String::new();
        self.source.read(&mut handle);
        self.source.read_ascii_run(&mut handle, is_name);
        if self.source.at(0) == b'!' {
            self.source.read(&mut handle);
        }
        handle
    }

    /// The rest of a tag; `head` is what was read for a handle and was none.
    fn scan_tag_uri(&mut self, head: &str, start: Mark) -> Result<String, YamlError> {
        let mut uri = head.get(1..).unwrap_or_default().to_owned();
        let mut has_tag = !head.is_empty();
        loop {
            let before = uri.len();
            self.source.read_ascii_run(&mut uri, is_uri);
            if self.source.at(0) == b'%' {
                uri.push(self.scan_uri_escape(start)?);
            } else if uri.len() == before {
                break;
            }
            has_tag = true;
        }
        if has_tag { Ok(uri) } else { Err(start.error("a tag without a name")) }
    }

    /// The `%XX` octets of one character.
    fn scan_uri_escape(&mut self, start: Mark) -> Result<char, YamlError> {
        let mut octets = Vec::with_capacity(4);
        let mut width = 1;
        while octets.len() < width {
            let hex_digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low), b'%') =
                (hex_digit(self.source.at(1)), hex_digit(self.source.at(2)), self.source.at(0))
            else {
                return Err(start.error("an escape in a tag lacks a hexadecimal digit"));
            };
            let octet = high * 16 + low;
            if octets.is_empty() {
                width = octet.leading_ones().max(1) as usize;
            }
            octets.push(octet);
            for _ in 0..3 {
                self.source.skip();
            }
            if width > 4 {
                break;
            }
        }
        let decoded = std::str::from_utf8(&octets).ok().and_then(|text| text.chars().next());
        decoded.ok_or_else(|| start.error("an escape in a tag is not UTF-8"))
    }

    /// `%YAML` and `%TAG`; others are refused.
    pub(super) fn scan_directive(&mut self) -> Result<(), YamlError> {
        let start = self.source.mark;
        self.source.skip();
        let mut name = String::new();
        self.source.read_ascii_run(&mut name, is_name);
        if !self.source.is_blank_break_or_end(0) {
            return Err(start.error(UNKNOWN_DIRECTIVE));
        }
        let token = match name.as_str() {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(start.error(UNKNOWN_DIRECTIVE)),
        };
        self.source.skip_blanks();
        if self.source.at(0) == b'#' {
            // yaml.v3 drops a comment here.
            self.source.read_line_content(&mut String::new());
        }
        if !self.source.is_break_or_end(0) {
            return Err(start.error("text behind a directive"));
        }
        self.source.skip_break();
        self.push(token);
        Ok(())
    }

    fn scan_version(&mut self, start: Mark) -> Result<Token, YamlError> {
        self.source.skip_blanks();
        let mut text = String::new();
        self.source.read_ascii_run(&mut text, |byte| byte.is_ascii_digit() || byte == b'.');
        Ok(Token { text, ..Token::new(TokenType::VersionDirective, start, self.source.mark) })
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<Token, YamlError> {
        self.source.skip_blanks();
        if self.source.at(0) != b'!' {
            return Err(start.error(BAD_TAG_DIRECTIVE));
        }
        let handle = self.scan_tag_handle();
        if !handle.ends_with('!') || !self.source.is_blank(0) {
            return Err(start.error(BAD_TAG_DIRECTIVE));
        }
        self.source.skip_blanks();
        let prefix = self.scan_tag_uri("", start)?;
        if !self.source.is_blank_break_or_end(0) {
            return Err(start.error(BAD_TAG_DIRECTIVE));
        }
        Ok(Token { text: handle, suffix: prefix, ..Token::new(TokenType::TagDirective, start, self.source.mark) })
    }
}

const UNKNOWN_DIRECTIVE: &str = "an unknown directive";
const BAD_TAG_DIRECTIVE: &str = "a %TAG directive needs a handle and a prefix";

/// A character of an anchor, handle or directive.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A character of a tag, `%` aside.
fn is_uri(byte: u8) -> bool {
    is_name(byte)
        || matches!(
            byte,
            b';' | b'/'
                | b'?'
                | b':'
                | b'@'
                | b'&'
                | b'='
                | b'+'
                | b'$'
                | b','
                | b'.'
                | b'!'
                | b'~'
                | b'*'
                | b'\''
                | b'('
                | b')'
                | b'['
                | b']'
        )
}

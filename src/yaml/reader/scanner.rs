//! Text to tokens: indentation, simple keys, indicators.
//!
//! Follows the libyaml scanner that yaml.v3 builds on, since what yaml.v3 accepts, how it folds text and to what it ties a
//! comment decide the MAC and the bytes of a decrypted file. A grammar by the book would differ.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `scannerc.go`.

use std::collections::VecDeque;

use super::YamlError;
use super::comments::PendingComment;
use super::keys::SimpleKeys;
use super::source::{Mark, Source};
use crate::yaml::ScalarStyle;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenType {
    Alias,
    Anchor,
    BlockEnd,
    BlockEntry,
    BlockMappingStart,
    BlockSequenceStart,
    DocumentEnd,
    DocumentStart,
    FlowEntry,
    FlowMappingEnd,
    FlowMappingStart,
    FlowSequenceEnd,
    FlowSequenceStart,
    Key,
    Scalar,
    StreamEnd,
    StreamStart,
    Tag,
    TagDirective,
    Value,
    VersionDirective,
}

/// A token and its text.
pub(super) struct Token {
    pub typ: TokenType,
    pub start: Mark,
    pub end: Mark,
    /// Scalar: content. Anchor, alias: name. Tag, `%TAG`: handle. `%YAML`: the version.
    pub text: String,
    /// Tag: suffix. `%TAG`: prefix.
    pub suffix: String,
    /// Of a scalar.
    pub style: ScalarStyle,
}

impl Token {
    pub fn new(typ: TokenType, start: Mark, end: Mark) -> Self {
        Self { typ, start, end, text: String::new(), suffix: String::new(), style: ScalarStyle::Plain }
    }
}

/// Type and place of a token that is looked at but not taken.
#[derive(Clone, Copy)]
pub(super) struct TokenHead {
    pub typ: TokenType,
    pub start: Mark,
    pub end: Mark,
}

/// The scanner. The parser above takes tokens from the front of the queue.
pub(super) struct Scanner<'a> {
    pub source: Source<'a>,
    /// Comments whose token has not been taken yet, in order.
    pub comments: VecDeque<PendingComment>,
    /// Column of the innermost block collection, -1 outside of any.
    pub indent: i32,
    pub flow_level: usize,
    /// A key may begin at the current place.
    pub simple_key_allowed: bool,
    tokens: VecDeque<Token>,
    tokens_taken: usize,
    /// The front token is certain: no key or mapping start will be put before it.
    is_front_ready: bool,
    is_stream_started: bool,
    /// Columns of the block collections around the innermost.
    indents: Vec<i32>,
    pub keys: SimpleKeys,
}

impl<'a> Scanner<'a> {
    pub fn new(source: Source<'a>) -> Self {
        Self {
            source,
            comments: VecDeque::new(),
            indent: -1,
            flow_level: 0,
            simple_key_allowed: true,
            tokens: VecDeque::new(),
            tokens_taken: 0,
            is_front_ready: false,
            is_stream_started: false,
            indents: Vec::new(),
            keys: SimpleKeys::new(),
        }
    }

    /// The next token.
    pub fn front(&mut self) -> Result<TokenHead, YamlError> {
        if !self.is_front_ready {
            self.fetch_more_tokens()?;
        }
        let Some(token) = self.tokens.front() else {
            return Err(self.source.mark.error("unexpected end of the stream"));
        };
        Ok(TokenHead { typ: token.typ, start: token.start, end: token.end })
    }

    /// Takes the token that `front` has shown.
    pub fn take(&mut self) -> Token {
        self.is_front_ready = false;
        self.tokens_taken += 1;
        match self.tokens.pop_front() {
            Some(token) => token,
            None => Token::new(TokenType::StreamEnd, self.source.mark, self.source.mark),
        }
    }

    /// The token that was read last but so many.
    pub fn last_token(&self, before: usize) -> TokenHead {
        match self.tokens.iter().rev().nth(before) {
            Some(token) => TokenHead { typ: token.typ, start: token.start, end: token.end },
            None => TokenHead { typ: TokenType::StreamStart, start: Mark::default(), end: Mark::default() },
        }
    }

    /// Reads until the front token is certain, and three tokens ahead: comments need to see what follows them.
    fn fetch_more_tokens(&mut self) -> Result<(), YamlError> {
        loop {
            if self.tokens.len() > 2 && !self.keys.may_begin_at(self.tokens_taken, self.source.mark)? {
                break;
            }
            self.fetch_next_token()?;
        }
        self.is_front_ready = true;
        Ok(())
    }

    fn fetch_next_token(&mut self) -> Result<(), YamlError> {
        if !self.is_stream_started {
            self.is_stream_started = true;
            self.push_token(TokenType::StreamStart, self.source.mark);
            return Ok(());
        }
        let scan_mark = self.source.mark;
        self.scan_to_next_token();
        self.unroll_indent(self.source.mark.column, scan_mark);
        if self.source.is_end() {
            return self.fetch_stream_end();
        }
        if self.source.mark.column == 0 && self.source.at(0) == b'%' {
            return self.fetch_directive();
        }
        if self.source.is_document_indicator() {
            return self.fetch_document_indicator();
        }

        let follows_a_token = match self.source.at(0) {
            b':' => self.flow_level == 0,
            b',' => self.flow_level > 0,
            _ => false,
        };
        // A comment behind `key:` or `item,` belongs to the key or item.
        let comment_mark = if follows_a_token { self.last_token(0).start } else { self.source.mark };
        self.fetch_content_token()?;
        // A comment behind `-` is a head of what follows.
        if self.last_token(0).typ != TokenType::BlockEntry {
            self.scan_line_comment(comment_mark);
        }
        Ok(())
    }

    fn fetch_content_token(&mut self) -> Result<(), YamlError> {
        let in_block = self.flow_level == 0;
        let is_indicator = self.source.is_blank_break_or_end(1);
        match self.source.at(0) {
            b'[' => self.fetch_flow_start(TokenType::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenType::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenType::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenType::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if is_indicator => self.fetch_block_entry(),
            b'?' if !in_block || is_indicator => self.fetch_key(),
            b':' if !in_block || is_indicator => self.fetch_value(),
            b'*' => self.fetch_anchor(TokenType::Alias),
            b'&' => self.fetch_anchor(TokenType::Anchor),
            b'!' => self.fetch_tag(),
            b'|' if in_block => self.fetch_block_scalar(ScalarStyle::Literal),
            b'>' if in_block => self.fetch_block_scalar(ScalarStyle::Folded),
            b'\'' => self.fetch_flow_scalar(ScalarStyle::SingleQuoted),
            b'"' => self.fetch_flow_scalar(ScalarStyle::DoubleQuoted),
            b'#' | b'%' | b'@' | b'`' | b'|' | b'>' => Err(self.source.mark.error(NO_TOKEN)),
            _ if self.source.is_blank_break_or_end(0) => Err(self.source.mark.error(NO_TOKEN)),
            _ => self.fetch_flow_scalar(ScalarStyle::Plain),
        }
    }

    /// Passes blanks, line breaks and comments.
    ///
    /// yaml.v3 would make a comment behind the token before the first `- ` of a sequence a head here. By then the parser has
    /// always taken it: three tokens are read ahead, and these are that token, the start of the sequence and the dash.
    fn scan_to_next_token(&mut self) {
        let scan_mark = self.source.mark;
        loop {
            // A tab indents nothing: it may not stand where a key may begin.
            let tab_allowed = self.flow_level > 0 || !self.simple_key_allowed;
            while self.source.at(0) == b' ' || tab_allowed && self.source.at(0) == b'\t' {
                self.source.skip();
            }
            if self.source.at(0) == b'#' {
                self.scan_comments(scan_mark);
            }
            if !self.source.is_break(0) {
                break;
            }
            self.source.skip_break();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    pub(super) fn push_token(&mut self, typ: TokenType, start: Mark) {
        self.tokens.push_back(Token::new(typ, start, self.source.mark));
    }

    pub(super) fn push(&mut self, token: Token) {
        self.tokens.push_back(token);
    }

    /// Number of the token that comes next into the queue.
    fn next_token_number(&self) -> usize {
        self.tokens_taken + self.tokens.len()
    }

    /// Puts a token without extent before the token of that number.
    fn insert_token(&mut self, number: usize, typ: TokenType, mark: Mark) {
        let place = number.saturating_sub(self.tokens_taken).min(self.tokens.len());
        self.tokens.insert(place, Token::new(typ, mark, mark));
    }

    /// Begins a block collection at `column`, if that is deeper than the one around.
    fn roll_indent(&mut self, column: i32, number: usize, typ: TokenType, mark: Mark) {
        if self.flow_level == 0 && self.indent < column {
            self.indents.push(self.indent);
            self.indent = column;
            self.insert_token(number, typ, mark);
        }
    }

    /// Ends the block collections that lie deeper than `column`.
    fn unroll_indent(&mut self, column: i32, scan_mark: Mark) {
        if self.flow_level > 0 {
            return;
        }
        let mut block_mark = scan_mark;
        block_mark.index -= 1;
        while self.indent > column {
            // The end goes before comments at the indentation of this block, so that they become its feet; not
            // further back than where comments follow each other.
            let mut stop_index = block_mark.index;
            for comment in self.comments.iter().rev() {
                if comment.end.index < stop_index {
                    break;
                }
                if comment.start.column == self.indent + 1 {
                    block_mark = comment.start;
                }
                stop_index = comment.scan_mark.index;
            }
            self.tokens.push_back(Token::new(TokenType::BlockEnd, block_mark, block_mark));
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Notes that the token to come may be a key, which it must be at the indentation of a block.
    pub(super) fn save_simple_key(&mut self) -> Result<(), YamlError> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let is_required = self.flow_level == 0 && self.indent == self.source.mark.column;
        self.keys.save(is_required, self.next_token_number(), self.source.mark)
    }

    /// Ends all blocks, and any key that was begun.
    fn end_blocks(&mut self) -> Result<(), YamlError> {
        self.unroll_indent(-1, self.source.mark);
        self.keys.give_up()?;
        self.simple_key_allowed = false;
        Ok(())
    }

    fn fetch_stream_end(&mut self) -> Result<(), YamlError> {
        if self.source.mark.column != 0 {
            self.source.mark.column = 0;
            self.source.mark.line += 1;
        }
        self.end_blocks()?;
        self.push_token(TokenType::StreamEnd, self.source.mark);
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), YamlError> {
        self.end_blocks()?;
        self.scan_directive()
    }

    fn fetch_document_indicator(&mut self) -> Result<(), YamlError> {
        self.end_blocks()?;
        let typ = if self.source.at(0) == b'-' { TokenType::DocumentStart } else { TokenType::DocumentEnd };
        let start = self.source.mark;
        for _ in 0..3 {
            self.source.skip();
        }
        self.push_token(typ, start);
        Ok(())
    }

    /// Passes a one-character indicator.
    fn fetch_indicator(&mut self, typ: TokenType) {
        let start = self.source.mark;
        self.source.skip();
        self.push_token(typ, start);
    }

    fn fetch_flow_start(&mut self, typ: TokenType) -> Result<(), YamlError> {
        self.save_simple_key()?;
        self.keys.enter_flow(self.next_token_number());
        self.flow_level += 1;
        self.simple_key_allowed = true;
        self.fetch_indicator(typ);
        Ok(())
    }

    fn fetch_flow_end(&mut self, typ: TokenType) -> Result<(), YamlError> {
        self.keys.give_up()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            self.keys.leave_flow();
        }
        self.simple_key_allowed = false;
        self.fetch_indicator(typ);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), YamlError> {
        self.keys.give_up()?;
        self.simple_key_allowed = true;
        self.fetch_indicator(TokenType::FlowEntry);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), YamlError> {
        // In a flow collection the parser reports it.
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.source.mark.error("block sequence entries are not allowed here"));
            }
            self.roll_indent_here(TokenType::BlockSequenceStart);
        }
        self.keys.give_up()?;
        self.simple_key_allowed = true;
        self.fetch_indicator(TokenType::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), YamlError> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.source.mark.error("mapping keys are not allowed here"));
            }
            self.roll_indent_here(TokenType::BlockMappingStart);
        }
        self.keys.give_up()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.fetch_indicator(TokenType::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), YamlError> {
        if let Some((number, mark)) = self.keys.take(self.source.mark)? {
            self.insert_token(number, TokenType::Key, mark);
            self.roll_indent(mark.column, number, TokenType::BlockMappingStart, mark);
            self.simple_key_allowed = false;
        } else {
            // The key began with `?`, or is empty.
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return Err(self.source.mark.error("mapping values are not allowed here"));
                }
                self.roll_indent_here(TokenType::BlockMappingStart);
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.fetch_indicator(TokenType::Value);
        Ok(())
    }

    fn roll_indent_here(&mut self, typ: TokenType) {
        let here = self.source.mark;
        self.roll_indent(here.column, self.next_token_number(), typ, here);
    }
}

const NO_TOKEN: &str = "a character that can begin no token";

//! Tokens to events, and comments to the events that carry them.
//!
//! A comment goes to the first event that asks for it after its token was looked at, so that the order in which tokens
//! are looked at is part of the rules.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `parserc.go`.

use super::YamlError;
use super::comments::CommentKind;
use super::scanner::{Scanner, Token, TokenHead, TokenType};
use super::source::{Mark, Source};
use crate::yaml::{CollectionStyle, Comments, ScalarStyle};

/// A step through the stream.
pub(super) struct Event {
    pub kind: EventKind,
    pub mark: Mark,
    pub anchor: Option<String>,
    pub tag: Option<String>,
    pub comments: Comments,
}

pub(super) enum EventKind {
    /// Names the anchor.
    Alias(String),
    DocumentEnd,
    DocumentStart,
    MappingEnd,
    MappingStart(CollectionStyle),
    Scalar(String, ScalarStyle),
    SequenceEnd,
    SequenceStart(CollectionStyle),
    StreamEnd,
}

/// What is expected next.
#[derive(Clone, Copy)]
pub(super) enum State {
    BlockMappingFirstKey,
    BlockMappingKey,
    BlockMappingValue,
    BlockNode,
    BlockSequenceEntry,
    BlockSequenceFirstEntry,
    DocumentContent,
    DocumentEnd,
    DocumentStart,
    End,
    FlowMappingEmptyValue,
    FlowMappingFirstKey,
    FlowMappingKey,
    FlowMappingValue,
    FlowSequenceEntry,
    FlowSequenceEntryMappingEnd,
    FlowSequenceEntryMappingKey,
    FlowSequenceEntryMappingValue,
    FlowSequenceFirstEntry,
    IndentlessSequenceEntry,
    StreamStart,
}

/// Where a node stands, as far as its grammar depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Block,
    /// A key or value of a block mapping: `- ` may stand at the indentation of the mapping.
    BlockOrIndentlessSequence,
    Flow,
}

/// The parser. `next` is called until it answers [`EventKind::StreamEnd`].
pub(super) struct Parser<'a> {
    pub scanner: Scanner<'a>,
    pub state: State,
    /// What is expected once the collection or node at hand is complete.
    states: Vec<State>,
    /// Comments of the tokens looked at so far, for the next event that takes some.
    pub gathered: Comments,
    /// Head of a list item that is a collection itself: belongs to the collection, not to its first key or item.
    pub stem: Option<String>,
    /// Handle and prefix of the document's `%TAG` directives, and the two defaults.
    tag_directives: Vec<(String, String)>,
}

impl<'a> Parser<'a> {
    pub fn new(source: Source<'a>) -> Self {
        Self {
            scanner: Scanner::new(source),
            state: State::StreamStart,
            states: Vec::new(),
            gathered: Comments::default(),
            stem: None,
            tag_directives: Vec::new(),
        }
    }

    pub fn next(&mut self) -> Result<Event, YamlError> {
        match self.state {
            State::StreamStart => {
                self.peek()?;
                self.scanner.take();
                self.parse_document_start(true)
            }
            State::DocumentStart => self.parse_document_start(false),
            State::DocumentContent => self.parse_document_content(),
            State::DocumentEnd => self.parse_document_end(),
            State::BlockNode => self.parse_node(Place::Block),
            State::BlockSequenceFirstEntry => self.parse_block_sequence_entry(true),
            State::BlockSequenceEntry => self.parse_block_sequence_entry(false),
            State::IndentlessSequenceEntry => self.parse_indentless_sequence_entry(),
            State::BlockMappingFirstKey => self.parse_block_mapping_key(true),
            State::BlockMappingKey => self.parse_block_mapping_key(false),
            State::BlockMappingValue => self.parse_block_mapping_value(),
            State::FlowSequenceFirstEntry => self.parse_flow_sequence_entry(true),
            State::FlowSequenceEntry => self.parse_flow_sequence_entry(false),
            State::FlowSequenceEntryMappingKey => self.parse_flow_sequence_entry_mapping_key(),
            State::FlowSequenceEntryMappingValue => self.parse_flow_sequence_entry_mapping_value(),
            State::FlowSequenceEntryMappingEnd => {
                let head = self.peek()?;
                self.state = State::FlowSequenceEntry;
                Ok(Event::new(EventKind::MappingEnd, head.start))
            }
            State::FlowMappingFirstKey => self.parse_flow_mapping_key(true),
            State::FlowMappingKey => self.parse_flow_mapping_key(false),
            State::FlowMappingValue => self.parse_flow_mapping_value(false),
            State::FlowMappingEmptyValue => self.parse_flow_mapping_value(true),
            State::End => Ok(Event::new(EventKind::StreamEnd, self.scanner.source.mark)),
        }
    }

    /// Offset of a place in the bytes that were given.
    pub fn offset(&self, mark: Mark) -> usize {
        self.scanner.source.offset(mark)
    }

    /// Looks at the next token and takes up the comments that belong to it.
    pub(super) fn peek(&mut self) -> Result<TokenHead, YamlError> {
        let token = self.scanner.front()?;
        while let Some(comment) = self.scanner.comments.front() {
            // The end of a block has no head: it waits for the token that follows.
            let waits = comment.kind == CommentKind::Head && token.typ == TokenType::BlockEnd;
            if token.start.index < comment.token_mark.index || waits {
                break;
            }
            let Some(comment) = self.scanner.comments.pop_front() else { break };
            let gathered = match comment.kind {
                CommentKind::Foot => &mut self.gathered.foot,
                CommentKind::Head => &mut self.gathered.head,
                CommentKind::Line => &mut self.gathered.line,
            };
            if gathered.is_empty() {
                *gathered = comment.text;
            } else {
                gathered.push('\n');
                gathered.push_str(&comment.text);
            }
        }
        Ok(token)
    }

    pub(super) fn take_comments(&mut self) -> Comments {
        self.stem = None;
        std::mem::take(&mut self.gathered)
    }

    pub(super) fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// Parses a node after which `then` is expected.
    pub(super) fn parse_node_then(&mut self, place: Place, then: State) -> Result<Event, YamlError> {
        self.states.push(then);
        self.parse_node(place)
    }

    /// An absent node, after which `then` is expected.
    pub(super) fn empty_then(&mut self, mark: Mark, then: State) -> Event {
        self.state = then;
        Event::new(EventKind::Scalar(String::new(), ScalarStyle::Plain), mark)
    }

    fn parse_document_start(&mut self, may_be_implicit: bool) -> Result<Event, YamlError> {
        let mut token = self.peek()?;
        if !may_be_implicit {
            while token.typ == TokenType::DocumentEnd {
                self.scanner.take();
                token = self.peek()?;
            }
        }
        let is_explicit =
            matches!(token.typ, TokenType::VersionDirective | TokenType::TagDirective | TokenType::DocumentStart);
        if token.typ == TokenType::StreamEnd {
            self.scanner.take();
            self.state = State::End;
            return Ok(Event::new(EventKind::StreamEnd, token.start));
        }
        let mut event = Event::new(EventKind::DocumentStart, token.start);
        self.process_directives()?;
        self.states.push(State::DocumentEnd);
        if may_be_implicit && !is_explicit {
            self.state = State::BlockNode;
            event.comments.head = self.split_document_head();
        } else {
            let token = self.peek()?;
            if token.typ != TokenType::DocumentStart {
                return Err(token.start.error("a document needs '---' before it here"));
            }
            self.scanner.take();
            self.state = State::DocumentContent;
        }
        Ok(event)
    }

    /// Of the comment before an implicit document, the part before the last blank line is the document's.
    fn split_document_head(&mut self) -> String {
        let head = &mut self.gathered.head;
        let (document_head, rest) = if let Some(before) = head.strip_suffix('\n') {
            (before.to_owned(), String::new())
        } else if let Some((before, rest)) = head.rsplit_once("\n\n") {
            (before.to_owned(), rest.to_owned())
        } else {
            return String::new();
        };
        *head = rest;
        document_head
    }

    fn process_directives(&mut self) -> Result<(), YamlError> {
        let mut has_version = false;
        loop {
            let token = self.peek()?;
            match token.typ {
                TokenType::VersionDirective => {
                    if has_version {
                        return Err(token.start.error("a second %YAML directive"));
                    }
                    if !is_version_1_1(&self.scanner.take().text) {
                        return Err(token.start.error("a %YAML directive of another version than 1.1"));
                    }
                    has_version = true;
                }
                TokenType::TagDirective => {
                    let Token { text: handle, suffix: prefix, .. } = self.scanner.take();
                    if self.tag_directives.len() == TAG_DIRECTIVES {
                        return Err(token.start.error("too many %TAG directives"));
                    }
                    if self.tag_directives.iter().any(|(known, _)| *known == handle) {
                        return Err(token.start.error("a second %TAG directive for the same handle"));
                    }
                    self.tag_directives.push((handle, prefix));
                }
                _ => break,
            }
        }
        for (handle, prefix) in [("!", "!"), ("!!", LONG_TAG_PREFIX)] {
            if !self.tag_directives.iter().any(|(known, _)| known == handle) {
                self.tag_directives.push((handle.to_owned(), prefix.to_owned()));
            }
        }
        Ok(())
    }

    fn parse_document_content(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        match token.typ {
            TokenType::VersionDirective
            | TokenType::TagDirective
            | TokenType::DocumentStart
            | TokenType::DocumentEnd
            | TokenType::StreamEnd => {
                self.pop_state();
                Ok(Event::new(EventKind::Scalar(String::new(), ScalarStyle::Plain), token.start))
            }
            _ => self.parse_node(Place::Block),
        }
    }

    fn parse_document_end(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        if token.typ == TokenType::DocumentEnd {
            self.scanner.take();
        }
        self.tag_directives.clear();
        self.state = State::DocumentStart;
        let mut event = Event { comments: self.take_comments(), ..Event::new(EventKind::DocumentEnd, token.start) };
        if event.comments.foot.is_empty() {
            event.comments.foot = std::mem::take(&mut event.comments.head);
        }
        Ok(event)
    }

    /// Properties, and an alias, a scalar, the start of a collection, or nothing.
    fn parse_node(&mut self, place: Place) -> Result<Event, YamlError> {
        let mut token = self.peek()?;
        if token.typ == TokenType::Alias {
            self.pop_state();
            let comments = self.take_comments();
            let name = self.scanner.take().text;
            return Ok(Event { comments, ..Event::new(EventKind::Alias(name), token.start) });
        }
        let mark = token.start;
        let mut anchor = None;
        let mut tag = None;
        loop {
            match token.typ {
                TokenType::Anchor if anchor.is_none() => anchor = Some(self.scanner.take().text),
                TokenType::Tag if tag.is_none() => tag = Some(self.scanner.take()),
                _ => break,
            }
            token = self.peek()?;
        }
        let tag = match tag {
            Some(tag) => Some(self.resolve_tag(tag)?),
            None => None,
        };
        let is_block = place != Place::Flow;
        let mut event = Event { anchor, tag, ..Event::new(EventKind::StreamEnd, mark) };
        match token.typ {
            TokenType::BlockEntry if place == Place::BlockOrIndentlessSequence => {
                self.state = State::IndentlessSequenceEntry;
                event.kind = EventKind::SequenceStart(CollectionStyle::Block);
            }
            TokenType::Scalar => {
                self.pop_state();
                event.comments = self.take_comments();
                let Token { text, style, .. } = self.scanner.take();
                event.kind = EventKind::Scalar(text, style);
            }
            TokenType::FlowSequenceStart => {
                self.state = State::FlowSequenceFirstEntry;
                event.comments = self.take_comments();
                event.kind = EventKind::SequenceStart(CollectionStyle::Flow);
            }
            TokenType::FlowMappingStart => {
                self.state = State::FlowMappingFirstKey;
                event.comments = self.take_comments();
                event.kind = EventKind::MappingStart(CollectionStyle::Flow);
            }
            TokenType::BlockSequenceStart if is_block => {
                self.state = State::BlockSequenceFirstEntry;
                event.comments.head = self.stem.take().unwrap_or_default();
                event.kind = EventKind::SequenceStart(CollectionStyle::Block);
            }
            TokenType::BlockMappingStart if is_block => {
                self.state = State::BlockMappingFirstKey;
                event.comments.head = self.stem.take().unwrap_or_default();
                event.kind = EventKind::MappingStart(CollectionStyle::Block);
            }
            _ if event.anchor.is_some() || event.tag.is_some() => {
                self.pop_state();
                event.kind = EventKind::Scalar(String::new(), ScalarStyle::Plain);
            }
            _ => return Err(token.start.error("a value is needed here")),
        }
        Ok(event)
    }

    /// The tag in full, then with the prefix of YAML's own tags shortened to `!!`.
    fn resolve_tag(&self, token: Token) -> Result<String, YamlError> {
        let Token { text: handle, suffix, start, .. } = token;
        let tag = if handle.is_empty() {
            suffix
        } else {
            match self.tag_directives.iter().find(|(known, _)| *known == handle) {
                Some((_, prefix)) => format!("{prefix}{suffix}"),
                None => return Err(start.error("a tag with an unknown handle")),
            }
        };
        Ok(match tag.strip_prefix(LONG_TAG_PREFIX) {
            Some(name) => format!("!!{name}"),
            None => tag,
        })
    }
}

impl Event {
    pub fn new(kind: EventKind, mark: Mark) -> Self {
        Self { kind, mark, anchor: None, tag: None, comments: Comments::default() }
    }
}

/// Prefix of YAML's own tags, shortened to `!!`.
const LONG_TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// Most `%TAG` directives of a document; each tag is looked up among them.
const TAG_DIRECTIVES: usize = 16;

/// Reads `1.1` as yaml.v3 does: two numbers of one or two digits.
fn is_version_1_1(text: &str) -> bool {
    text.split_once('.').is_some_and(|(major, minor)| matches!(major, "1" | "01") && matches!(minor, "1" | "01"))
}

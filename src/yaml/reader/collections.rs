//! Block and flow collections, token by token.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `parserc.go`.

use super::YamlError;
use super::parser::{Event, EventKind, Parser, Place, State};
use super::scanner::{TokenHead, TokenType};
use crate::yaml::CollectionStyle;

impl Parser<'_> {
    pub(super) fn parse_block_sequence_entry(&mut self, is_first: bool) -> Result<Event, YamlError> {
        if is_first {
            self.peek()?;
            self.scanner.take();
        }
        let token = self.peek()?;
        match token.typ {
            TokenType::BlockEntry => {
                let next = self.take_entry_indicator()?;
                if matches!(next.typ, TokenType::BlockEntry | TokenType::BlockEnd) {
                    return Ok(self.empty_then(token.end, State::BlockSequenceEntry));
                }
                self.parse_node_then(Place::Block, State::BlockSequenceEntry)
            }
            TokenType::BlockEnd => {
                self.pop_state();
                self.scanner.take();
                Ok(Event::new(EventKind::SequenceEnd, token.start))
            }
            _ => Err(token.start.error("a '-' is needed here")),
        }
    }

    pub(super) fn parse_indentless_sequence_entry(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        if token.typ != TokenType::BlockEntry {
            self.pop_state();
            return Ok(Event::new(EventKind::SequenceEnd, token.start));
        }
        let next = self.take_entry_indicator()?;
        if matches!(next.typ, TokenType::BlockEntry | TokenType::Key | TokenType::Value | TokenType::BlockEnd) {
            return Ok(self.empty_then(token.end, State::IndentlessSequenceEntry));
        }
        self.parse_node_then(Place::Block, State::IndentlessSequenceEntry)
    }

    /// Takes `-`, looks at what follows, and sets the head of the item aside where a collection follows.
    fn take_entry_indicator(&mut self) -> Result<TokenHead, YamlError> {
        let stem_bytes = self.gathered.head.len();
        self.scanner.take();
        let next = self.peek()?;
        if stem_bytes > 0 && matches!(next.typ, TokenType::BlockSequenceStart | TokenType::BlockMappingStart) {
            let head = std::mem::take(&mut self.gathered.head);
            if let Some((stem, rest)) = head.split_at_checked(stem_bytes) {
                self.stem = Some(stem.to_owned());
                // An LF joins the two.
                self.gathered.head = rest.get(1..).unwrap_or_default().to_owned();
            }
        }
        Ok(next)
    }

    pub(super) fn parse_block_mapping_key(&mut self, is_first: bool) -> Result<Event, YamlError> {
        if is_first {
            self.peek()?;
            self.scanner.take();
        }
        let token = self.peek()?;
        match token.typ {
            TokenType::Key => {
                self.scanner.take();
                let next = self.peek()?;
                if matches!(next.typ, TokenType::Key | TokenType::Value | TokenType::BlockEnd) {
                    return Ok(self.empty_then(token.end, State::BlockMappingValue));
                }
                self.parse_node_then(Place::BlockOrIndentlessSequence, State::BlockMappingValue)
            }
            TokenType::BlockEnd => {
                self.pop_state();
                let comments = self.take_comments();
                self.scanner.take();
                Ok(Event { comments, ..Event::new(EventKind::MappingEnd, token.start) })
            }
            _ => Err(token.start.error("a key is needed here")),
        }
    }

    pub(super) fn parse_block_mapping_value(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        if token.typ != TokenType::Value {
            return Ok(self.empty_then(token.start, State::BlockMappingKey));
        }
        self.scanner.take();
        let next = self.peek()?;
        if matches!(next.typ, TokenType::Key | TokenType::Value | TokenType::BlockEnd) {
            return Ok(self.empty_then(token.end, State::BlockMappingKey));
        }
        self.parse_node_then(Place::BlockOrIndentlessSequence, State::BlockMappingKey)
    }

    pub(super) fn parse_flow_sequence_entry(&mut self, is_first: bool) -> Result<Event, YamlError> {
        if is_first {
            self.peek()?;
            self.scanner.take();
        }
        let mut token = self.peek()?;
        if token.typ != TokenType::FlowSequenceEnd && !is_first {
            if token.typ != TokenType::FlowEntry {
                return Err(token.start.error("a ',' or ']' is needed here"));
            }
            self.scanner.take();
            token = self.peek()?;
        }
        match token.typ {
            TokenType::FlowSequenceEnd => self.end_flow_collection(EventKind::SequenceEnd, token),
            TokenType::Key => {
                self.scanner.take();
                self.state = State::FlowSequenceEntryMappingKey;
                Ok(Event::new(EventKind::MappingStart(CollectionStyle::Flow), token.start))
            }
            _ => self.parse_node_then(Place::Flow, State::FlowSequenceEntry),
        }
    }

    fn end_flow_collection(&mut self, kind: EventKind, token: TokenHead) -> Result<Event, YamlError> {
        self.pop_state();
        let comments = self.take_comments();
        self.scanner.take();
        Ok(Event { comments, ..Event::new(kind, token.start) })
    }

    pub(super) fn parse_flow_sequence_entry_mapping_key(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        if matches!(token.typ, TokenType::Value | TokenType::FlowEntry | TokenType::FlowSequenceEnd) {
            // As yaml.v3, which takes the ':' here already, so that the value of `[? : a]` is an error.
            self.scanner.take();
            return Ok(self.empty_then(token.end, State::FlowSequenceEntryMappingValue));
        }
        self.parse_node_then(Place::Flow, State::FlowSequenceEntryMappingValue)
    }

    pub(super) fn parse_flow_sequence_entry_mapping_value(&mut self) -> Result<Event, YamlError> {
        let token = self.peek()?;
        if token.typ == TokenType::Value {
            self.scanner.take();
            let next = self.peek()?;
            if !matches!(next.typ, TokenType::FlowEntry | TokenType::FlowSequenceEnd) {
                return self.parse_node_then(Place::Flow, State::FlowSequenceEntryMappingEnd);
            }
        }
        Ok(self.empty_then(token.start, State::FlowSequenceEntryMappingEnd))
    }

    pub(super) fn parse_flow_mapping_key(&mut self, is_first: bool) -> Result<Event, YamlError> {
        if is_first {
            self.peek()?;
            self.scanner.take();
        }
        let mut token = self.peek()?;
        if token.typ != TokenType::FlowMappingEnd && !is_first {
            if token.typ != TokenType::FlowEntry {
                return Err(token.start.error("a ',' or '}' is needed here"));
            }
            self.scanner.take();
            token = self.peek()?;
        }
        match token.typ {
            TokenType::FlowMappingEnd => self.end_flow_collection(EventKind::MappingEnd, token),
            TokenType::Key => {
                self.scanner.take();
                let next = self.peek()?;
                if matches!(next.typ, TokenType::Value | TokenType::FlowEntry | TokenType::FlowMappingEnd) {
                    return Ok(self.empty_then(next.start, State::FlowMappingValue));
                }
                self.parse_node_then(Place::Flow, State::FlowMappingValue)
            }
            _ => self.parse_node_then(Place::Flow, State::FlowMappingEmptyValue),
        }
    }

    pub(super) fn parse_flow_mapping_value(&mut self, is_empty: bool) -> Result<Event, YamlError> {
        let mut token = self.peek()?;
        if !is_empty && token.typ == TokenType::Value {
            self.scanner.take();
            token = self.peek()?;
            if !matches!(token.typ, TokenType::FlowEntry | TokenType::FlowMappingEnd) {
                return self.parse_node_then(Place::Flow, State::FlowMappingKey);
            }
        }
        Ok(self.empty_then(token.start, State::FlowMappingKey))
    }
}

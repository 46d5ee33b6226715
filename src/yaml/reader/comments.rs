//! Which token a comment belongs to, exactly as yaml.v3 decides it: the bytes of decrypted files depend on it, and
//! which values sops' `encrypted_comment_regex` covers.
//!
//! A comment is a *line* comment where it follows a token on its line, a *foot* of what stands before it where no blank
//! line separates the two, but one follows (or where it is dedented), and otherwise a *head* of what comes next.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `scannerc.go`, `yaml_parser_scan_comments` and `yaml_parser_scan_line_comment`.
//! The odd places are kept, since files were written by them; they are marked "as yaml.v3".

use super::scanner::{Scanner, TokenType};
use super::source::Mark;

/// What a comment is to its token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CommentKind {
    Foot,
    Head,
    Line,
}

/// A comment that waits for its token.
pub(super) struct PendingComment {
    pub kind: CommentKind,
    /// Lines with their `#`, joined by LF; a blank line inside a head leaves an LF of its own.
    pub text: String,
    /// Where the search for comments began that found it.
    pub scan_mark: Mark,
    /// The first token that does not begin before here takes the comment.
    pub token_mark: Mark,
    /// The place of its `#`; the column counts from 1, that of a line comment from 0 (as yaml.v3).
    pub start: Mark,
    /// The place behind it.
    pub end: Mark,
}

/// How far yaml.v3 looks ahead for the next comment line, in bytes of blanks and line breaks.
const LOOKAHEAD_BYTES: usize = 512;

impl Scanner<'_> {
    /// Takes a comment on the rest of the current line for the token at `token_mark`.
    pub(super) fn scan_line_comment(&mut self, token_mark: Mark) {
        if self.source.newlines > 0 {
            return;
        }
        let blanks = self.source.ahead().iter().take(LOOKAHEAD_BYTES);
        let blanks = blanks.take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if blanks == LOOKAHEAD_BYTES || self.source.at(blanks) != b'#' {
            return;
        }
        self.source.skip_blanks();
        let start = self.source.mark;
        let mut text = String::new();
        self.source.read_line_content(&mut text);
        let nowhere = Mark::default();
        self.comments.push_back(PendingComment {
            kind: CommentKind::Line,
            text,
            scan_mark: nowhere,
            token_mark,
            start,
            end: nowhere,
        });
    }

    /// Takes the comment lines from here on, and splits them into feet of the last token and a head of the next.
    pub(super) fn scan_comments(&mut self, scan_mark: Mark) {
        let mut last = self.last_token(0);
        if last.typ == TokenType::FlowEntry {
            last = self.last_token(1);
        }
        let mut lines = CommentLines {
            scan_mark,
            token_mark: last.start,
            start: Mark::default(),
            text: String::new(),
            is_after_value_indicator: last.typ == TokenType::Value,
            foot_line: self.foot_line(scan_mark),
        };
        let mut next_indent = self.indent.max(0);
        let mut is_after_blank_line = false;
        let mut may_be_first_blank_line = self.source.newlines <= 1;
        let Mark { mut line, mut column, .. } = self.source.mark;
        let mut peek = 0;
        while peek < LOOKAHEAD_BYTES {
            column += 1;
            if self.source.is_blank(peek) {
                peek += 1;
                continue;
            }
            let here = Mark { index: self.source.mark.index + peek as i64, line, column };
            let closes_flow = self.flow_level > 0 && matches!(self.source.at(peek), b']' | b'}');
            if closes_flow || self.source.is_break_or_end(peek) {
                if closes_flow || !is_after_blank_line {
                    if closes_flow || may_be_first_blank_line && lines.is_foot(next_indent) {
                        if !lines.text.is_empty() {
                            if lines.is_dedented(next_indent) {
                                lines.token_mark = lines.start;
                            }
                            self.push_foot(&mut lines, here);
                        }
                    } else if !lines.text.is_empty() && self.source.at(peek) != 0 {
                        lines.text.push('\n');
                    }
                }
                if !self.source.is_break(peek) {
                    break;
                }
                may_be_first_blank_line = false;
                is_after_blank_line = true;
                column = 0;
                line += 1;
                peek += 1;
                continue;
            }
            if !lines.text.is_empty() && column - 1 < next_indent && column != lines.start.column {
                // A comment further left than the one before it is a foot of what precedes.
                self.push_foot(&mut lines, here);
            }
            if self.source.at(peek) != b'#' {
                break;
            }
            if lines.text.is_empty() {
                lines.start = here;
            } else {
                lines.text.push('\n');
            }
            is_after_blank_line = false;
            self.take_comment_line(peek, &mut lines.text);

            // As yaml.v3: the search goes on one byte behind the comment, which is the line break, or, in a CRLF file,
            // the LF, which then counts as a blank line; and the line number is that of the comment just taken.
            peek = 1;
            column = 0;
            line = self.source.mark.line;
            next_indent = self.indent.max(0);
        }
        if !lines.text.is_empty() {
            let end = Mark { index: self.source.mark.index + peek as i64 - 1, line, column };
            self.comments.push_back(PendingComment {
                kind: CommentKind::Head,
                text: lines.text,
                scan_mark: lines.scan_mark,
                token_mark: lines.start,
                start: lines.start,
                end,
            });
        }
    }

    /// The line on which a comment must begin to be a foot of what precedes: the first after it. (yaml.v3 takes the second
    /// behind a `-`. It makes no difference: a comment there begins on the line of the dash, and one that follows it apart is
    /// dedented.)
    fn foot_line(&self, scan_mark: Mark) -> i32 {
        if scan_mark.line == 0 { -1 } else { self.source.mark.line - self.source.newlines + 1 }
    }

    /// Ends the comment gathered so far as a foot, and begins a new one behind it.
    fn push_foot(&mut self, lines: &mut CommentLines, end: Mark) {
        self.comments.push_back(PendingComment {
            kind: CommentKind::Foot,
            text: std::mem::take(&mut lines.text),
            scan_mark: lines.scan_mark,
            token_mark: lines.token_mark,
            start: lines.start,
            end,
        });
        lines.scan_mark = end;
        lines.token_mark = end;
    }

    /// Passes blanks and line breaks to the `#` that lies `ahead`, and moves its line to `to`.
    fn take_comment_line(&mut self, ahead: usize, to: &mut String) {
        let seen = self.source.mark.index + ahead as i64;
        while self.source.mark.index < seen {
            if self.source.is_break(0) {
                self.source.skip_break();
            } else {
                self.source.skip();
            }
        }
        self.source.read_line_content(to);
    }
}

/// Comment lines gathered by one search.
struct CommentLines {
    scan_mark: Mark,
    token_mark: Mark,
    start: Mark,
    text: String,
    is_after_value_indicator: bool,
    foot_line: i32,
}

impl CommentLines {
    fn is_dedented(&self, indent: i32) -> bool {
        self.start.column - 1 < indent
    }

    fn is_foot(&self, indent: i32) -> bool {
        self.start.line == self.foot_line && !self.is_after_value_indicator || self.is_dedented(indent)
    }
}

//! The text so far, and what the encoder knows of the line it writes on.

use crate::yaml::writer::scalar::{is_break, is_readable};

/// The output and the state of its last line.
pub(super) struct Page {
    pub out: String,
    pub best_indent: usize,
    /// Characters on the line.
    pub column: usize,
    /// Indentation of the innermost collection; none before the root.
    pub indent: Option<usize>,
    /// Whether the last thing written separates words.
    pub is_after_space: bool,
    /// Whether the line holds nothing but indentation and indicators.
    pub is_margin: bool,
    /// Indentation of a foot comment just written: what follows at that indentation is set off by a blank line.
    pub foot_indent: Option<usize>,
    /// Whether a block scalar was written last that keeps all line breaks after it.
    pub is_after_kept_breaks: bool,
}

impl Page {
    /// Begins an empty page for an encoder with this indentation.
    pub fn new(indent: usize, out: String) -> Self {
        let best_indent = match indent {
            0 => 4,
            2..=9 => indent,
            _ => 2,
        };
        Self {
            out,
            best_indent,
            column: 0,
            indent: None,
            is_after_space: true,
            is_margin: true,
            foot_indent: None,
            is_after_kept_breaks: false,
        }
    }

    pub fn is_at_line_start(&self) -> bool {
        self.column == 0
    }

    /// The indentation of what is inside: two columns after a `-`, otherwise the next multiple of the chosen one.
    pub fn inner_indent(&self, is_flow_or_scalar: bool, is_in_block_sequence: bool) -> usize {
        match self.indent {
            None if is_flow_or_scalar => self.best_indent,
            None => 0,
            Some(indent) if is_in_block_sequence => indent + 2,
            Some(indent) => self.best_indent * (indent / self.best_indent + 1),
        }
    }

    /// Writes the lines of a comment; a line without `#` gets one.
    pub fn write_comment(&mut self, comment: &str) {
        let mut is_after_break = false;
        let mut has_marker = false;
        for c in comment.chars() {
            if is_break(c) {
                self.put_text_break(c);
                is_after_break = true;
                has_marker = false;
            } else {
                if is_after_break {
                    self.write_indent();
                }
                if !has_marker {
                    if c != '#' {
                        self.put_str("# ");
                    }
                    has_marker = true;
                }
                self.put(in_comment(c));
                self.is_margin = false;
                is_after_break = false;
            }
        }
        if !is_after_break {
            self.put_break();
        }
        self.is_after_space = true;
        self.is_after_kept_breaks = false;
    }

    /// Begins a new line unless this one is still empty, and fills it up to the indentation.
    pub fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.is_margin || self.column > indent || self.column == indent && !self.is_after_space {
            self.put_break();
        }
        if self.foot_indent == Some(indent) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.is_after_space = true;
        self.foot_indent = None;
    }

    /// Writes what stands apart from the word before it.
    pub fn write_word(&mut self, text: &str) {
        self.write_space();
        self.write_closing(text);
    }

    /// Writes what follows without a space.
    pub fn write_closing(&mut self, text: &str) {
        self.put_str(text);
        self.is_after_space = false;
        self.is_margin = false;
        self.is_after_kept_breaks = false;
    }

    /// Writes what the next thing follows without a space.
    pub fn write_opening(&mut self, text: &str) {
        self.write_word(text);
        self.is_after_space = true;
    }

    /// Writes an indicator that a nested block may follow on the same line.
    pub fn write_block_indicator(&mut self, text: &str) {
        let is_margin = self.is_margin;
        self.write_word(text);
        self.is_margin = is_margin;
    }

    /// Separates what follows from the word before.
    pub fn write_space(&mut self) {
        if !self.is_after_space {
            self.put(' ');
        }
    }

    pub fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    pub fn put_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    pub fn put_break(&mut self) {
        self.put_text_break('\n');
    }

    pub fn put_text_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
        self.is_margin = true;
    }
}

/// Differs: yaml.v3 prints a control character in a comment, and then refuses the whole text.
pub(super) fn in_comment(c: char) -> char {
    if is_readable(c) { c } else { char::REPLACEMENT_CHARACTER }
}

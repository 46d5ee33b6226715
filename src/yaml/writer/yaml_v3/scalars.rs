//! Scalars in their five styles.

use super::page::{Page, in_comment};
use crate::yaml::writer::scalar::{Chomping, is_blank, is_break, push_escaped};

impl Page {
    pub fn write_plain(&mut self, text: &str) {
        let is_after_space = self.is_after_space;
        if !text.is_empty() {
            self.write_space();
        }
        // Plain text is one line: `Allowed` quotes what has breaks.
        self.write_closing(text);
        self.is_after_space = text.is_empty() && is_after_space;
    }

    pub fn write_single_quoted(&mut self, text: &str) {
        self.write_word("'");
        let mut is_after_break = false;
        for c in text.chars() {
            if is_break(c) {
                if !is_after_break && c == '\n' {
                    self.put_break();
                }
                self.put_text_break(c);
                is_after_break = true;
            } else {
                // A space after a break is double-quoted.
                if is_after_break {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
        self.write_closing("'");
    }

    pub fn write_double_quoted(&mut self, text: &str) {
        self.write_word("\"");
        let start = self.out.len();
        push_escaped(&mut self.out, text);
        self.column += self.out.len() - start;
        self.write_closing("\"");
    }

    /// Writes `|` or `>`, the indentation where it cannot be told from the first line, the chomping, the line comment.
    ///
    /// Differs: yaml.v3 always gives the chosen indentation. Below a `-` that is not the real one, and a text could not
    /// be read back; elsewhere both are the same, and blank lines alone have none.
    pub fn write_block_header(&mut self, indicator: &str, text: &str, indentation: usize, comment: &str) {
        self.write_word(indicator);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            let is_blank_lines = text.chars().all(is_break);
            let indentation = if is_blank_lines { self.best_indent } else { indentation };
            self.write_closing(&indentation.to_string());
        }
        let chomping = Chomping::of(text);
        if !chomping.indicator().is_empty() {
            self.write_closing(chomping.indicator());
        }
        self.write_header_comment(comment);
        self.is_after_space = true;
        self.is_after_kept_breaks = chomping == Chomping::Keep;
    }

    /// Writes the line comment of a block scalar, and ends the line. Differs: a second line of the comment would become
    /// part of the text, so line breaks inside it become spaces.
    fn write_header_comment(&mut self, comment: &str) {
        let last = comment.chars().next_back().filter(|c| is_break(*c) && *c != '\r');
        let comment = last.and_then(|c| comment.strip_suffix(c)).unwrap_or(comment);
        if !comment.is_empty() {
            self.write_space();
            if !comment.starts_with('#') {
                self.put_str("# ");
            }
            for c in comment.chars() {
                self.put(if is_break(c) { ' ' } else { in_comment(c) });
            }
        }
        self.put_text_break(last.unwrap_or('\n'));
    }

    pub fn write_literal(&mut self, text: &str) {
        let mut is_after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_text_break(c);
                is_after_break = true;
            } else {
                if is_after_break {
                    self.write_indent();
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
    }

    pub fn write_folded(&mut self, text: &str) {
        let begins_blank = text.chars().find(|c| !is_break(*c)).is_none_or(is_blank);
        let mut is_after_break = true;
        let mut is_indented_line = true;
        for (offset, c) in text.char_indices() {
            if is_break(c) {
                if !is_after_break && !is_indented_line && c == '\n' {
                    let rest = text.get(offset..).unwrap_or_default();
                    let breaks_twice = match rest.chars().find(|c| !is_break(*c)) {
                        // Differs: yaml.v3 looks at the first line of the text instead of the next one.
                        Some(next) => !is_blank(next),
                        None => !begins_blank && Chomping::of(text) == Chomping::Clip,
                    };
                    if breaks_twice {
                        self.put_break();
                    }
                }
                self.put_text_break(c);
                is_after_break = true;
            } else {
                if is_after_break {
                    self.write_indent();
                    is_indented_line = is_blank(c);
                }
                self.put(c);
                self.is_margin = false;
                is_after_break = false;
            }
        }
    }
}

//! What yaml.v3 allows for a single scalar: its styles and its escapes.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `emitterc.go`, `yamlprivateh.go`.

use crate::text::printable_run;
use crate::yaml::ScalarStyle;

/// Where a scalar stands, as far as its style depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Context {
    /// Within `{}` or `[]`.
    pub is_in_flow: bool,
    /// A key that is written without `? `.
    pub is_simple_key: bool,
}

/// The styles that a text allows.
pub(super) struct Allowed {
    is_empty: bool,
    is_multiline: bool,
    plain_in_block: bool,
    plain_in_flow: bool,
    single_quoted: bool,
    block: bool,
}

impl Allowed {
    /// Looks at a text once (`yaml_emitter_analyze_scalar`).
    pub fn by(text: &str) -> Self {
        let mut seen = Seen::default();
        if text.starts_with("---") || text.starts_with("...") {
            seen.block_indicator = true;
            seen.flow_indicator = true;
        }
        let mut previous = None;
        let mut rest = text;
        loop {
            if previous.is_some() {
                // Behind the first character, these mean nothing.
                let (run, after) = rest.split_at(printable_run(rest.as_bytes(), b" #,:?[]{}"));
                previous = run.chars().next_back().or(previous);
                rest = after;
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { break };
            rest = chars.as_str();
            let next = rest.chars().next();
            seen.indicator(c, previous, next.is_none_or(is_blank));
            seen.character(c, previous, next.is_none());
            previous = Some(c);
        }
        let is_ragged = seen.space_then_break || seen.unprintable;
        let plain =
            !(text.is_empty() || seen.outer_white || seen.line_break || seen.break_then_space || seen.tab || is_ragged);
        Self {
            is_empty: text.is_empty(),
            is_multiline: seen.line_break,
            plain_in_block: text.is_empty() || plain && !seen.block_indicator,
            plain_in_flow: plain && !seen.flow_indicator,
            single_quoted: !(seen.break_then_space || seen.tab || is_ragged),
            // Differs: yaml.v3 allows a tab in front and then cannot read its own text, since the first line is to tell
            // the indentation. sops prints `null` instead of such a value.
            block: !(text.is_empty() || text.starts_with('\t') || seen.trailing_space || is_ragged),
        }
    }

    /// The style that is written where `wanted` is asked for (`yaml_emitter_select_scalar_style`).
    pub fn style(&self, wanted: ScalarStyle, context: Context) -> ScalarStyle {
        let mut style = wanted;
        if context.is_simple_key && self.is_multiline {
            style = ScalarStyle::DoubleQuoted;
        }
        if style == ScalarStyle::Plain {
            let is_plain = if context.is_in_flow { self.plain_in_flow } else { self.plain_in_block };
            if !is_plain || self.is_empty && context.is_simple_key {
                style = ScalarStyle::SingleQuoted;
            }
        }
        let is_allowed = match style {
            ScalarStyle::SingleQuoted => self.single_quoted,
            ScalarStyle::Folded | ScalarStyle::Literal => self.block && !context.is_in_flow && !context.is_simple_key,
            ScalarStyle::DoubleQuoted | ScalarStyle::Plain => true,
        };
        if is_allowed { style } else { ScalarStyle::DoubleQuoted }
    }
}

/// What a text contains.
#[derive(Default)]
struct Seen {
    block_indicator: bool,
    flow_indicator: bool,
    line_break: bool,
    tab: bool,
    unprintable: bool,
    outer_white: bool,
    trailing_space: bool,
    break_then_space: bool,
    space_then_break: bool,
}

impl Seen {
    /// Notes a character that means something to a reader of plain text.
    fn indicator(&mut self, c: char, previous: Option<char>, is_before_blank: bool) {
        let (in_flow, in_block) = match (c, previous) {
            ('#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`', None) => {
                (true, true)
            }
            ('?', None) | (':', _) => (true, is_before_blank),
            ('-', None) => (is_before_blank, is_before_blank),
            (',' | '?' | '[' | ']' | '{' | '}', Some(_)) => (true, false),
            ('#', Some(before)) => {
                let is_after_white = is_blank(before) || is_break(before) || before == '\0';
                (is_after_white, is_after_white)
            }
            _ => (false, false),
        };
        self.flow_indicator |= in_flow;
        self.block_indicator |= in_block;
    }

    /// Notes white space, line breaks and what cannot be printed.
    fn character(&mut self, c: char, previous: Option<char>, is_last: bool) {
        if c == '\t' {
            self.tab = true;
        } else if !is_printable(c) {
            self.unprintable = true;
        }
        if c == ' ' || is_break(c) {
            self.outer_white |= previous.is_none() || is_last;
        }
        if c == ' ' {
            self.trailing_space |= is_last;
            self.break_then_space |= previous.is_some_and(is_break);
        } else if is_break(c) {
            self.line_break = true;
            self.space_then_break |= previous == Some(' ');
        }
    }
}

/// How the line breaks at the end of a block scalar are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chomping {
    /// Exactly one.
    Clip,
    /// All, more than one or nothing else.
    Keep,
    /// None there.
    Strip,
}

impl Chomping {
    /// The indicator that a text needs.
    pub fn of(text: &str) -> Self {
        let mut from_end = text.chars().rev();
        match (from_end.next(), from_end.next()) {
            (Some(last), _) if !is_break(last) => Self::Strip,
            (Some(_), Some(before)) if !is_break(before) => Self::Clip,
            (Some(_), _) => Self::Keep,
            (None, _) => Self::Strip,
        }
    }

    /// What is written after `|` or `>`.
    pub fn indicator(self) -> &'static str {
        match self {
            Self::Clip => "",
            Self::Keep => "+",
            Self::Strip => "-",
        }
    }
}

/// Appends what stands between the quotes of a double-quoted scalar.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    // yaml.v3 looks for a byte order mark at the start of the text whichever character it is about.
    let is_all_escaped = text.starts_with('\u{feff}');
    for c in text.chars() {
        if is_all_escaped || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
            push_escape(out, c);
        } else {
            out.push(c);
        }
    }
}

/// Appends the escape of a character; every reader since YAML 1.1 knows all of them.
pub(super) fn push_escape(out: &mut String, c: char) {
    out.push('\\');
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            let (letter, digits) = match code {
                0..=0xff => ('x', 2),
                0x100..=0xffff => ('u', 4),
                _ => ('U', 8),
            };
            out.push(letter);
            for shift in (0..digits).rev() {
                let digit = (code >> (4 * shift)) & 0xf;
                out.push(char::from_digit(digit, 16).map_or('0', |c| c.to_ascii_uppercase()));
            }
            return;
        }
    };
    out.push(short);
}

/// Whether yaml.v3 prints a character as it is (`is_printable`): no control characters, no byte order mark, and
/// nothing beyond the basic plane.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether yaml.v3 reads a character as it is, outside of an escape.
pub(super) fn is_readable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// A line break by YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A space or tab.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

//! From Go's grammar to the syntax that `regex-lite` reads alike.

use std::iter::Peekable;
use std::str::Chars;

use super::classes::{self, DIGIT, FOLDABLE, LAST, PERL_SPACE, POSIX, Ranges, WORD, class_text, clean, negate};
use super::{DEPTH, Refused, STEPS};

/// A translated part of a pattern.
#[derive(Clone, Default)]
pub(super) struct Piece {
    /// In the syntax of `regex-lite`.
    pub(super) text: String,
    /// States of the compiled part.
    pub(super) steps: usize,
    depth: u32,
    /// Most copies that nested counted repetitions make of one thing inside.
    copies: u32,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    is_dot_newline: bool,
    is_fold: bool,
    is_multi_line: bool,
}

/// An open group, or the whole pattern.
struct Group {
    alternatives: Vec<Vec<Piece>>,
    /// Flags that come back at the closing parenthesis.
    flags_outside: Flags,
}

/// Reads a pattern, one item at a time.
pub(super) struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    flags: Flags,
    groups: Vec<Group>,
}

impl<'a> Translator<'a> {
    /// Translates a whole pattern.
    pub(super) fn translate(pattern: &'a str) -> Result<Piece, Refused> {
        let mut translator = Self {
            rest: pattern.chars().peekable(),
            flags: Flags::default(),
            groups: vec![Group::new(Flags::default())],
        };
        let mut is_after_repetition = false;
        while let Some(c) = translator.rest.next() {
            is_after_repetition = translator.step(c, is_after_repetition)?;
        }
        match (translator.groups.pop(), translator.groups.is_empty()) {
            (Some(whole), true) => whole.close(),
            _ => Err(Refused::Invalid),
        }
    }

    /// Reads one item of the pattern; gives back whether it was a repetition.
    fn step(&mut self, c: char, is_after_repetition: bool) -> Result<bool, Refused> {
        let bounds = match c {
            '*' => Some((0, None)),
            '+' => Some((1, None)),
            '?' => Some((0, Some(1))),
            '{' => self.repetition()?,
            _ => None,
        };
        if let Some((min, max)) = bounds {
            self.rest.next_if_eq(&'?');
            if is_after_repetition {
                return Err(Refused::Invalid);
            }
            let piece = self.sequence()?.pop().ok_or(Refused::Invalid)?;
            let repeated = piece.repeat(min, max)?;
            self.sequence()?.push(repeated);
            return Ok(true);
        }
        match c {
            '(' => self.open_group()?,
            '|' => self.group()?.alternatives.push(Vec::new()),
            ')' => {
                let group = self.groups.pop().ok_or(Refused::Invalid)?;
                self.flags = group.flags_outside;
                let piece = group.close()?;
                self.sequence()?.push(piece);
            }
            '^' => self.assertion(if self.flags.is_multi_line { "(?m:^)" } else { r"\A" })?,
            '$' => self.assertion(if self.flags.is_multi_line { "(?m:$)" } else { r"\z" })?,
            '.' if self.flags.is_dot_newline => self.class(vec![(0, LAST)])?,
            '.' => self.class(vec![(0, 0x09), (0x0b, LAST)])?,
            '[' => {
                let ranges = self.bracket()?;
                self.class(ranges)?;
            }
            '\\' => self.escape()?,
            c => self.literal(u32::from(c))?,
        }
        Ok(false)
    }

    fn group(&mut self) -> Result<&mut Group, Refused> {
        self.groups.last_mut().ok_or(Refused::Invalid)
    }

    /// The sequence that the next item joins.
    fn sequence(&mut self) -> Result<&mut Vec<Piece>, Refused> {
        self.group()?.alternatives.last_mut().ok_or(Refused::Invalid)
    }

    fn assertion(&mut self, text: &str) -> Result<(), Refused> {
        self.sequence()?.push(Piece { text: text.to_owned(), steps: 1, depth: 1, copies: 1 });
        Ok(())
    }

    fn literal(&mut self, c: u32) -> Result<(), Refused> {
        let mut ranges = Ranges::new();
        self.add(&mut ranges, c, c)?;
        self.class(ranges)
    }

    fn class(&mut self, ranges: Ranges) -> Result<(), Refused> {
        self.sequence()?.push(Piece { text: class_text(&clean(ranges)), steps: 1, depth: 1, copies: 1 });
        Ok(())
    }

    /// Adds a range to a class, with its other cases under `(?i)`.
    fn add(&self, ranges: &mut Ranges, low: u32, high: u32) -> Result<(), Refused> {
        ranges.push((low, high));
        let is_full = low <= FOLDABLE.0 && high >= FOLDABLE.1;
        if !self.flags.is_fold || is_full {
            return Ok(());
        }
        for c in low.max(FOLDABLE.0)..=high.min(FOLDABLE.1) {
            match char::from_u32(c) {
                Some(letter @ ('A'..='Z' | 'a'..='z')) => {
                    let other = u32::from(letter) ^ 0x20;
                    ranges.push((other, other));
                    match letter {
                        'K' | 'k' => ranges.push((0x212A, 0x212A)),
                        'S' | 's' => ranges.push((0x17F, 0x17F)),
                        _ => {}
                    }
                }
                Some(letter) if !letter.is_ascii() && classes::has_cases(letter) => {
                    return Err(Refused::Unsupported("uses (?i) on letters beyond ASCII, which is not supported"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds `\d`, `[:alpha:]` and the like, or everything else.
    fn add_named(&self, ranges: &mut Ranges, class: &[(u32, u32)], is_negated: bool) -> Result<(), Refused> {
        let mut own = Ranges::new();
        for &(low, high) in class {
            self.add(&mut own, low, high)?;
        }
        let own = clean(own);
        ranges.extend(if is_negated { negate(&own) } else { own });
        Ok(())
    }

    /// Reads the inside of `{…}`; `None` if it is not a repetition, in which case `{` is a character.
    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, Refused> {
        let mut ahead = self.rest.clone();
        let Some(min) = count(&mut ahead) else { return Ok(None) };
        let mut max = Some(min);
        if ahead.next_if_eq(&',').is_some() {
            max = None;
            if ahead.peek() != Some(&'}') {
                let Some(count) = count(&mut ahead) else { return Ok(None) };
                max = Some(count);
            }
        }
        if ahead.next() != Some('}') {
            return Ok(None);
        }
        self.rest = ahead;
        let is_valid = min <= 1000 && max.is_none_or(|max| max <= 1000 && min <= max);
        if is_valid { Ok(Some((min, max))) } else { Err(Refused::Invalid) }
    }

    /// Reads what follows `(`: a plain or named group, or flags.
    fn open_group(&mut self) -> Result<(), Refused> {
        let mut flags = self.flags;
        let mut is_group = true;
        if self.rest.next_if_eq(&'?').is_some() {
            if self.is_named() {
                self.name()?;
            } else {
                is_group = self.read_flags(&mut flags)?;
            }
        }
        if is_group {
            // One level each for the group and what stands in it.
            if self.groups.len() > DEPTH as usize {
                return Err(Refused::Unsupported("is a regular expression nested too deeply"));
            }
            self.groups.push(Group::new(self.flags));
        }
        self.flags = flags;
        Ok(())
    }

    /// Takes `P<` or `<` where a name begins.
    fn is_named(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next_if_eq(&'P');
        let is_named = ahead.next() == Some('<') && ahead.peek().is_some();
        if is_named {
            self.rest = ahead;
        }
        is_named
    }

    fn name(&mut self) -> Result<(), Refused> {
        let mut length = 0;
        loop {
            match self.rest.next() {
                Some('>') if length > 0 => return Ok(()),
                Some(c) if c == '_' || c.is_ascii_alphanumeric() => length += 1,
                _ => return Err(Refused::Invalid),
            }
        }
    }

    /// Reads `i-s:` or `i-s)`; true if a group opens.
    fn read_flags(&mut self, flags: &mut Flags) -> Result<bool, Refused> {
        let mut is_set = true;
        let mut has_flag = false;
        loop {
            let c = self.rest.next().ok_or(Refused::Invalid)?;
            match c {
                'i' => flags.is_fold = is_set,
                'm' => flags.is_multi_line = is_set,
                's' => flags.is_dot_newline = is_set,
                // Greed does not change whether there is a match.
                'U' => {}
                '-' if is_set => {
                    is_set = false;
                    has_flag = false;
                    continue;
                }
                ':' | ')' if is_set || has_flag => return Ok(c == ':'),
                _ => return Err(Refused::Invalid),
            }
            has_flag = true;
        }
    }

    /// Reads what follows `\` outside of brackets.
    fn escape(&mut self) -> Result<(), Refused> {
        match self.rest.peek() {
            Some('A') => self.assertion(r"\A")?,
            Some('B') => self.assertion(r"\B")?,
            Some('b') => self.assertion(r"\b")?,
            Some('z') => self.assertion(r"\z")?,
            Some('Q') => {
                self.rest.next();
                return self.quotation();
            }
            Some(_) => {
                let mut ranges = Ranges::new();
                if !self.add_perl_class(&mut ranges)? {
                    let c = self.character()?;
                    return self.literal(c);
                }
                return self.class(ranges);
            }
            None => return Err(Refused::Invalid),
        }
        self.rest.next();
        Ok(())
    }

    /// Reads `\Q…\E`, or up to the end.
    fn quotation(&mut self) -> Result<(), Refused> {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            self.literal(u32::from(c))?;
        }
        Ok(())
    }

    /// Reads `d`, `S` and the like after a `\`; false if something else stands there.
    fn add_perl_class(&mut self, ranges: &mut Ranges) -> Result<bool, Refused> {
        let Some(&c) = self.rest.peek() else { return Ok(false) };
        let class = match c.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => PERL_SPACE,
            'w' => WORD,
            'p' => return Err(Refused::Unsupported(r"uses \p, which is not supported")),
            _ => return Ok(false),
        };
        self.rest.next();
        self.add_named(ranges, class, c.is_ascii_uppercase())?;
        Ok(true)
    }

    /// Reads one character after a `\`.
    fn character(&mut self) -> Result<u32, Refused> {
        let c = self.rest.next().ok_or(Refused::Invalid)?;
        match c {
            '0'..='7' => {
                let is_octal = |c: &char| ('0'..='7').contains(c);
                if c != '0' && !self.rest.peek().is_some_and(is_octal) {
                    return Err(Refused::Invalid);
                }
                let mut value = digit(c, 8)?;
                for _ in 0..2 {
                    if let Some(c) = self.rest.next_if(is_octal) {
                        value = value * 8 + digit(c, 8)?;
                    }
                }
                Ok(value)
            }
            'x' => self.hexadecimal(),
            'a' => Ok(0x07),
            'f' => Ok(0x0c),
            'n' => Ok(0x0a),
            'r' => Ok(0x0d),
            't' => Ok(0x09),
            'v' => Ok(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
            _ => Err(Refused::Invalid),
        }
    }

    /// Reads `41` or `{1F600}` after `\x`.
    fn hexadecimal(&mut self) -> Result<u32, Refused> {
        let first = self.rest.next().ok_or(Refused::Invalid)?;
        if first != '{' {
            let second = self.rest.next().ok_or(Refused::Invalid)?;
            return Ok(digit(first, 16)? * 16 + digit(second, 16)?);
        }
        let mut value = digit(self.rest.next().ok_or(Refused::Invalid)?, 16)?;
        loop {
            match self.rest.next().ok_or(Refused::Invalid)? {
                '}' => return Ok(value),
                c => value = value * 16 + digit(c, 16)?,
            }
            if value > LAST {
                return Err(Refused::Invalid);
            }
        }
    }

    /// Reads `[…]` after its opening bracket.
    fn bracket(&mut self) -> Result<Ranges, Refused> {
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Ranges::new();
        let mut is_first = true;
        while is_first || self.rest.peek() != Some(&']') {
            is_first = false;
            if self.add_posix_class(&mut ranges)? {
                continue;
            }
            let low = match self.bracket_character(Some(&mut ranges))? {
                Some(low) => low,
                None => continue,
            };
            let mut high = low;
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|&c| c != ']') {
                self.rest = ahead;
                high = self.bracket_character(None)?.ok_or(Refused::Invalid)?;
                if high < low {
                    return Err(Refused::Invalid);
                }
            }
            self.add(&mut ranges, low, high)?;
        }
        self.rest.next();
        let ranges = clean(ranges);
        Ok(if is_negated { negate(&ranges) } else { ranges })
    }

    /// Reads a character in brackets; `None` if it was a class like `\d`, which only the start of a range may be.
    fn bracket_character(&mut self, ranges: Option<&mut Ranges>) -> Result<Option<u32>, Refused> {
        match self.rest.next().ok_or(Refused::Invalid)? {
            '\\' => {
                if let Some(ranges) = ranges
                    && self.add_perl_class(ranges)?
                {
                    return Ok(None);
                }
                self.character().map(Some)
            }
            c => Ok(Some(u32::from(c))),
        }
    }

    /// Reads `[:alpha:]` in brackets; false if something else stands there.
    fn add_posix_class(&mut self, ranges: &mut Ranges) -> Result<bool, Refused> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('[') || ahead.next() != Some(':') {
            return Ok(false);
        }
        // `[:` without `:]` further on is two characters.
        let mut name = String::new();
        loop {
            match ahead.next() {
                None => return Ok(false),
                Some(':') if ahead.next_if_eq(&']').is_some() => break,
                Some(c) => name.push(c),
            }
        }
        let (is_negated, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name.as_str()),
        };
        let (_, class) = POSIX.iter().find(|(posix, _)| *posix == name).ok_or(Refused::Invalid)?;
        self.rest = ahead;
        self.add_named(ranges, class, is_negated)?;
        Ok(true)
    }
}

impl Group {
    fn new(flags_outside: Flags) -> Self {
        Self { alternatives: vec![Vec::new()], flags_outside }
    }

    fn close(self) -> Result<Piece, Refused> {
        let mut whole = Piece { text: "(?:".to_owned(), steps: 1, depth: 0, copies: 1 };
        for (index, sequence) in self.alternatives.into_iter().enumerate() {
            if index > 0 {
                whole.text.push('|');
                whole.steps += 1;
            }
            for piece in sequence {
                whole.text.push_str(&piece.text);
                whole.steps += piece.steps;
                whole.depth = whole.depth.max(piece.depth);
                whole.copies = whole.copies.max(piece.copies);
            }
        }
        whole.text.push(')');
        whole.depth += 1;
        whole.check()
    }
}

impl Piece {
    fn repeat(self, min: u32, max: Option<u32>) -> Result<Self, Refused> {
        let copies = match max {
            // Go does not look inside of what is repeated zero times.
            Some(0) => 1,
            max => self.copies * max.unwrap_or(min).max(1),
        };
        if copies > 1000 {
            return Err(Refused::Invalid);
        }
        let mut text = format!("(?:{})", self.text);
        match (min, max) {
            (0, None) => text.push('*'),
            (1, None) => text.push('+'),
            (0, Some(1)) => text.push('?'),
            (min, None) => text.push_str(&format!("{{{min},}}")),
            (min, Some(max)) => text.push_str(&format!("{{{min},{max}}}")),
        }
        let times = max.unwrap_or(min).max(1) as usize;
        Self { text, steps: self.steps * times + times, depth: self.depth + 1, copies }.check()
    }

    fn check(self) -> Result<Self, Refused> {
        if self.depth > DEPTH {
            Err(Refused::Unsupported("is a regular expression nested too deeply"))
        } else if self.steps > STEPS {
            Err(Refused::Unsupported("is a regular expression too large to compile"))
        } else {
            Ok(self)
        }
    }
}

/// Reads a count without leading zeros; one too large comes back as `u32::MAX`.
fn count(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    let first = rest.next_if(char::is_ascii_digit)?;
    let mut value = first.to_digit(10)?;
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        if first == '0' {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(digit.to_digit(10)?);
    }
    Some(value)
}

fn digit(c: char, radix: u32) -> Result<u32, Refused> {
    c.to_digit(radix).ok_or(Refused::Invalid)
}

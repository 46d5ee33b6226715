//! The one door through which names from outside enter a message.

use std::fmt;

pub use unsops_scan::{characters, printable_run};

use crate::limits;

/// Text from outside (a path, a key name, a recipient, a provider's error code) made fit for a message:
/// control and bidirectional characters escaped, length capped ([`limits::PRINTABLE_CHARS`]).
///
/// Never made from a decrypted value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Printable(String);

impl Printable {
    /// Makes text fit for a message.
    pub fn new(text: &str) -> Self {
        Self::capped(text, limits::PRINTABLE_CHARS)
    }

    /// Makes a reason that names several things fit for a message; capped at [`limits::REASON_CHARS`].
    pub fn reason(text: &str) -> Self {
        Self::capped(text, limits::REASON_CHARS)
    }

    fn capped(text: &str, most_chars: usize) -> Self {
        let mut out = String::new();
        for (count, c) in text.chars().enumerate() {
            if count == most_chars {
                out.push('…');
                break;
            }
            if is_unprintable(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        Self(out)
    }

    /// Makes bytes fit for a message; what is not UTF-8 shows as U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// The text, already fit for a message.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Printable {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Control characters, and those that reorder, hide or break a line: what a terminal or a log viewer could be
/// fooled with (Unicode Cc, bidi controls of UAX #9, zero-width and line separators, BOM, tags).
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ends_at_the_first_byte_that_does_not_belong() {
        for length in 0..80 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let belongs = (0x20..0x7f).contains(&byte);
                    assert_eq!(printable_run(&bytes, &[]), if belongs { length } else { place });
                    let is_word = belongs && byte != b' ';
                    assert_eq!(printable_run(&bytes, b" "), if is_word { length } else { place });
                    let belongs = belongs && byte != b':' && byte != b' ';
                    assert_eq!(printable_run(&bytes, b": "), if belongs { length } else { place });
                }
            }
        }
    }

    #[test]
    fn run_ends_among_any_other_bytes() {
        for filler in 0x20..0x7f_u8 {
            for byte in [b':', b' ', 0x1f, 0x7f, 0x80] {
                let mut bytes = [filler; 24];
                bytes[13] = byte;
                let end = if matches!(filler, b':' | b' ') { 0 } else { 13 };
                assert_eq!(printable_run(&bytes, b": "), end, "{byte} among {filler}");
            }
        }
    }

    #[test]
    fn counts_characters_as_std_does() {
        let text = "aé\u{800}\u{ffff}\u{10000}z";
        for length in 0..30 {
            let text: String = text.chars().cycle().take(length).collect();
            assert_eq!(characters(text.as_bytes()), length);
        }
    }
}

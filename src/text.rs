//! The one door through which names from outside enter a message.

use std::fmt;

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

/// Words of eight bytes, looked at together: at the size that release builds are optimized for, byte loops are the
/// larger part of reading a big file.
mod words {
    pub(super) const ONES: u64 = u64::from_ne_bytes([1; 8]);
    pub(super) const HIGH: u64 = ONES << 7;
    pub(super) const BLANKS: u64 = ONES * 0x20;
    pub(super) const DELETES: u64 = ONES * 0x7f;

    /// A high bit wherever a byte is zero, if every byte is below 0x80; above a zero there may be false ones.
    pub(super) fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES)
    }
}

/// How many bytes stand before the first that is no printable ASCII character (0x20 to 0x7e), or is one of `stops`.
pub fn printable_run<const N: usize>(bytes: &[u8], stops: [u8; N]) -> usize {
    use words::{BLANKS, DELETES, HIGH, ONES, zeros};
    let belongs = |byte: &u8| matches!(byte, 0x20..=0x7e) && !stops.contains(byte);
    // The high bits of what ends a run in eight bytes.
    let ends = |chunk: &[u8; 8]| {
        let word = u64::from_ne_bytes(*chunk);
        // Below a blank, or DEL, or not ASCII.
        let mut found = word | word.wrapping_sub(BLANKS) | zeros(word ^ DELETES);
        for stop in stops {
            found |= zeros(word ^ (ONES * u64::from(stop)));
        }
        found & HIGH
    };
    // Four words are looked at without a branch between them, as long as runs are long.
    let (blocks, _) = bytes.as_chunks::<32>();
    let is_run = |block: &&[u8; 32]| block.as_chunks::<8>().0.iter().fold(0, |found, chunk| found | ends(chunk)) == 0;
    let before = 32 * blocks.iter().take_while(is_run).count();
    let (words, _) = bytes.get(before..).unwrap_or_default().as_chunks::<8>();
    let before = before + 8 * words.iter().take_while(|chunk| ends(chunk) == 0).count();
    before + bytes.get(before..).unwrap_or_default().iter().take_while(|byte| belongs(byte)).count()
}

/// The number of characters in UTF-8; a byte that is not UTF-8 counts as one or none.
pub fn characters(bytes: &[u8]) -> usize {
    // Continuation bytes are 10xxxxxx.
    let (whole, rest) = bytes.as_chunks::<8>();
    let of_word = |chunk: &[u8; 8]| {
        let word = u64::from_ne_bytes(*chunk);
        (word & !(word << 1) & words::HIGH).count_ones() as usize
    };
    let continuations =
        whole.iter().map(of_word).sum::<usize>() + rest.iter().filter(|byte| **byte & 0xc0 == 0x80).count();
    bytes.len() - continuations
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
                    assert_eq!(printable_run(&bytes, []), if belongs { length } else { place });
                    let is_word = belongs && byte != b' ';
                    assert_eq!(printable_run(&bytes, [b' ']), if is_word { length } else { place });
                    let belongs = belongs && byte != b':' && byte != b' ';
                    assert_eq!(printable_run(&bytes, [b':', b' ']), if belongs { length } else { place });
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
                assert_eq!(printable_run(&bytes, [b':', b' ']), end, "{byte} among {filler}");
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

//! Values that stand for encrypted ones where nothing decrypted may be seen.
//!
//! A placeholder is made from the ciphertext and its place, never from plaintext: it changes when sops encrypts the
//! value anew (an edited value, a rotated data key) and stays when recipients change. A token's initialisation vector
//! and tag are random to whoever lacks the data key, so a placeholder is no means to test guesses.

use sha2::{Digest, Sha256};

use super::cipher::{CipherError, EncryptedValue, Kind, Unseal};
use super::tree::{Comment, Value};
use crate::secret::Secret;
use crate::yaml::timestamp::Timestamp;

/// What every textual placeholder begins with; sixteen hexadecimal digits follow.
pub const PREFIX: &str = "redacted-";

/// What stands for a value of a Secret that was not encrypted: nothing is derived from it.
pub const UNENCRYPTED: &str = "redacted-unencrypted";

/// Hexadecimal digits of a placeholder.
const DIGITS: usize = 16;

/// What placeholders are derived from: a hash of ciphertext and place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed of a token at a place (`additional`: the path with `:` after each key).
    pub fn of_token(token: &[u8], additional: &[u8]) -> Self {
        Self::of(&[b"token", additional, token])
    }

    /// The seed of a text that is a placeholder itself, or public.
    pub fn of_text(text: &str) -> Self {
        Self::of(&[b"text", text.as_bytes()])
    }

    /// The seed of something that has a name within what this seed stands for.
    pub fn named(&self, name: &[u8]) -> Self {
        Self::of(&[b"part", &self.0, name])
    }

    /// A hash of parts, each with its length before it.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"unsops placeholder v1");
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The bytes, as a seed for test keys and the like.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `redacted-0123456789abcdef`
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = PREFIX.to_owned();
        for byte in self.0.iter().take(DIGITS / 2) {
            _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// A number from 10,000 to 59,999: small enough for a port.
    fn number(&self) -> i64 {
        let [a, b, c, ..] = self.0;
        10_000 + i64::from(u32::from_be_bytes([0, a, b, c]) % 50_000)
    }

    /// A value of a kind. Two booleans would tell nothing apart, so that a boolean is always false.
    pub(super) fn value(&self, kind: Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(false),
            Kind::Comment => Value::Comment(Comment { text: Secret::new(self.text().into_bytes()), is_inline: false }),
            Kind::Float => Value::Float(self.number() as f64 + 0.5),
            Kind::Int => Value::Int(self.number()),
            Kind::Time => Value::Time(self.time()),
            Kind::Bytes | Kind::Str => Value::Str(Secret::new(self.text().into_bytes())),
        }
    }

    /// A time of day on the first of January 2000.
    fn time(&self) -> Timestamp {
        let [hour, minute, second, ..] = self.0;
        let text = format!("2000-01-01T{:02}:{:02}:{:02}Z", hour % 24, minute % 60, second % 60);
        Timestamp::parse_rfc3339(&text).expect("hours below 24, minutes and seconds below 60")
    }
}

/// Whether a text is a placeholder and nothing else.
pub fn is_placeholder(text: &[u8]) -> bool {
    let digits = text.strip_prefix(PREFIX.as_bytes());
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(is_digit))
}

/// Whether a placeholder stands somewhere in a text.
pub fn holds_placeholder(text: &[u8]) -> bool {
    text.windows(PREFIX.len() + DIGITS).any(is_placeholder)
}

fn is_digit(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Puts a placeholder of the same type in the place of each token, without a key.
pub(super) struct Placeholders;

impl Unseal for Placeholders {
    fn unseal(&self, token: &[u8], additional: &[u8]) -> Result<Value, CipherError> {
        let kind = EncryptedValue::parse(token).map_err(CipherError::Malformed)?.kind();
        Ok(Seed::of_token(token, additional).value(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(token: &str) -> Seed {
        Seed::of_token(token.as_bytes(), b"a:")
    }

    #[test]
    fn text_is_recognised_alone_and_within() {
        let text = seed("x").text();
        assert!(is_placeholder(text.as_bytes()));
        assert!(holds_placeholder(format!("a: {text}\n").as_bytes()));
        for other in ["", "redacted-", UNENCRYPTED, "redacted-0123456789ABCDEF", "redacted-0123456789abcdef0"] {
            assert!(!is_placeholder(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn depends_on_token_place_and_name() {
        let all = [seed("x"), seed("y"), Seed::of_token(b"x", b"b:"), seed("x").named(b"n"), seed("x").named(b"m")];
        let texts: std::collections::BTreeSet<String> = all.iter().map(Seed::text).collect();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn numbers_are_ports_and_times_are_times() {
        let mut numbers = std::collections::BTreeSet::new();
        for n in 0..1000 {
            let seed = seed(&n.to_string());
            assert!((10_000..60_000).contains(&seed.number()));
            numbers.insert(seed.number());
            assert!(matches!(seed.value(Kind::Float), Value::Float(float) if float == seed.number() as f64 + 0.5));
            assert!(seed.time().rfc3339().starts_with("2000-01-01T"));
        }
        assert!(numbers.len() > 900, "they tell values apart: {}", numbers.len());
    }

    #[test]
    fn what_is_derived_from_a_seed_differs_with_it() {
        assert_ne!(seed("x").bytes(), seed("y").bytes());
        assert_eq!(seed("x").bytes(), seed("x").bytes());
    }

    #[test]
    fn text_without_a_placeholder_holds_none() {
        for text in ["", "redacted", "redacted-", "redacted-0123456789abcde", "a redacted-0123456789abcdeX b"] {
            assert!(!holds_placeholder(text.as_bytes()), "{text}");
        }
    }
}

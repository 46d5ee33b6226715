//! Nodes as yaml.v3's `Node.Encode` makes them from Go values: sops builds its output from these.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `encode.go`, `yaml.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scalar::{Allowed, Context};
use crate::number;
use crate::yaml::resolve::{Resolved, resolve_plain};
use crate::yaml::timestamp::Timestamp;
use crate::yaml::{Kind, Node, ScalarStyle};

/// Characters on a line of base64.
const BASE64_LINE: usize = 70;

impl Node {
    /// Makes the node of a string: plain where the text stays a string, quoted where it would be typed, literal
    /// where it has several lines. The text `<<` is tagged `!!merge`, as yaml.v3 does it for keys and values alike.
    pub fn from_str_like_go(text: &str) -> Self {
        let wanted = if text.contains('\n') {
            ScalarStyle::Literal
        } else if is_string_when_plain(text) {
            ScalarStyle::Plain
        } else {
            ScalarStyle::DoubleQuoted
        };
        // yaml.v3 prints the value as a document of its own and takes the node from that text.
        let style = Allowed::by(text).style(wanted, Context::default());
        let tag = (style == ScalarStyle::Plain && text == "<<").then(|| "!!merge".to_owned());
        Self { kind: Kind::Scalar(text.to_owned(), style), tag, ..Self::default() }
    }

    /// Makes the node of a string that may not be UTF-8; then it is `!!binary`, base64 in lines of 70 characters.
    pub fn from_bytes_like_go(bytes: &[u8]) -> Self {
        if let Ok(text) = str::from_utf8(bytes) {
            return Self::from_str_like_go(text);
        }
        let encoded = STANDARD.encode(bytes);
        let tag = Some("!!binary".to_owned());
        if encoded.len() < BASE64_LINE {
            return Self { kind: Kind::Scalar(encoded, ScalarStyle::Plain), tag, ..Self::default() };
        }
        let mut lines = String::with_capacity(encoded.len() + encoded.len() / BASE64_LINE + 1);
        for (count, c) in encoded.chars().enumerate() {
            if count > 0 && count % BASE64_LINE == 0 {
                lines.push('\n');
            }
            lines.push(c);
        }
        lines.push('\n');
        Self { kind: Kind::Scalar(lines, ScalarStyle::Literal), tag, ..Self::default() }
    }

    /// Makes the node of a bool.
    pub fn from_bool_like_go(value: bool) -> Self {
        Self::plain(if value { "true" } else { "false" })
    }

    /// Makes the node of a float: shortest digits, `.inf`, `-.inf`, `.nan`. A whole number looks like an integer.
    pub fn from_float_like_go(value: f64) -> Self {
        if value.is_nan() {
            Self::plain(".nan")
        } else if value.is_infinite() {
            Self::plain(if value > 0.0 { ".inf" } else { "-.inf" })
        } else {
            Self::plain(number::format_g(value))
        }
    }

    /// Makes the node of an integer.
    pub fn from_int_like_go(value: i64) -> Self {
        Self::plain(value.to_string())
    }

    /// Makes the node of a point in time.
    pub fn from_time_like_go(value: &Timestamp) -> Self {
        Self::plain(value.rfc3339_nano())
    }

    /// Makes the node of nothing.
    pub fn null_like_go() -> Self {
        Self::plain("null")
    }

    fn plain(text: impl Into<String>) -> Self {
        Self { kind: Kind::Scalar(text.into(), ScalarStyle::Plain), ..Self::default() }
    }
}

/// Whether yaml.v3 leaves a string without quotes; it spares readers of YAML 1.1 their bools and base-60 numbers.
fn is_string_when_plain(text: &str) -> bool {
    matches!(resolve_plain(text), Resolved::Str(_)) && !is_old_bool(text) && !is_base_60(text)
}

fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF"
    )
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digit_or_separator = |c: char| c.is_ascii_digit() || c == '_';
    let mut places = whole.split(':');
    let is_first_place =
        |place: &str| place.starts_with(|c: char| c.is_ascii_digit()) && place.chars().all(is_digit_or_separator);
    let is_next_place = |place: &str| match place.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => matches!(ten, b'0'..=b'5') && one.is_ascii_digit(),
        _ => false,
    };
    places.next().is_some_and(is_first_place)
        && whole.contains(':')
        && places.all(is_next_place)
        && fraction.chars().all(is_digit_or_separator)
}

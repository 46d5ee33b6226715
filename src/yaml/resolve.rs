//! The type of a scalar, by yaml.v3's rules (go.yaml.in/yaml/v3 v3.0.4, `resolve.go` and `decode.go`).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::timestamp::Timestamp;
use super::{Kind, Node, ScalarStyle};

/// What a scalar stands for.
pub enum Resolved<'t> {
    /// `true`, `false`.
    Bool(bool),
    /// A float, integers beyond 64 bits included.
    Float(f64),
    /// An integer that fits `i64`.
    Int(i64),
    /// `null`, `~`, or nothing.
    Null,
    /// Bytes: text as it stands (borrowed), or the decoded content of `!!binary`.
    Str(Cow<'t, [u8]>),
    /// A date or a date with time.
    Timestamp(Timestamp),
    /// An integer above `i64` that fits `u64`: sops cannot walk it.
    Uint(u64),
}

/// Types a scalar node. `Err` names the rule where an explicit tag does not fit the text.
///
/// The tag `!` alone counts as none; an unknown tag makes a string of any text.
pub fn resolve(scalar: &Node) -> Result<Resolved<'_>, &'static str> {
    let Kind::Scalar(text, style) = &scalar.kind else { return Err("a scalar is needed") };
    let as_string = || Resolved::Str(Cow::Borrowed(text.as_bytes()));
    let plain = resolve_plain_or_tagged;
    match scalar.tag.as_deref() {
        None | Some("!") if *style != ScalarStyle::Plain => Ok(as_string()),
        None | Some("!") => Ok(resolve_plain(text)),
        Some("!!binary") => decode_binary(text).map(|bytes| Resolved::Str(Cow::Owned(bytes))),
        Some("!!bool") => match plain(text, false) {
            resolved @ Resolved::Bool(_) => Ok(resolved),
            _ => Err("the text is not what the tag !!bool asks for"),
        },
        Some("!!float") => match plain(text, false) {
            Resolved::Int(int) => Ok(Resolved::Float(int as f64)),
            resolved @ Resolved::Float(_) => Ok(resolved),
            _ => Err("the text is not what the tag !!float asks for"),
        },
        Some("!!int") => match plain(text, false) {
            resolved @ (Resolved::Int(_) | Resolved::Uint(_)) => Ok(resolved),
            _ => Err("the text is not what the tag !!int asks for"),
        },
        Some("!!null") => match plain(text, false) {
            Resolved::Null => Ok(Resolved::Null),
            _ => Err("the text is not what the tag !!null asks for"),
        },
        Some("!!timestamp") => match plain(text, true) {
            resolved @ Resolved::Timestamp(_) => Ok(resolved),
            _ => Err("the text is not what the tag !!timestamp asks for"),
        },
        Some(_) => Ok(as_string()),
    }
}

/// The text of a scalar that is a string; of any other node none.
pub fn text(node: &Node) -> Option<Cow<'_, str>> {
    match (&node.kind, resolve(node)) {
        (Kind::Scalar(text, _), Ok(Resolved::Str(Cow::Borrowed(_)))) => Some(Cow::Borrowed(text)),
        (Kind::Scalar(..), Ok(Resolved::Str(Cow::Owned(bytes)))) => String::from_utf8(bytes).ok().map(Cow::Owned),
        _ => None,
    }
}

/// Types a plain scalar without a tag.
pub fn resolve_plain(text: &str) -> Resolved<'_> {
    resolve_plain_or_tagged(text, true)
}

/// The rules for plain text; a tag other than `!!timestamp` rules out timestamps.
fn resolve_plain_or_tagged(text: &str, may_be_timestamp: bool) -> Resolved<'_> {
    // Most text is told by its first character.
    let resolved = match text.as_bytes().first() {
        None => Some(Resolved::Null),
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => word(text),
        Some(b'.') => not_a_finite_number(text).or_else(|| parse_dotted_float(text)),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            not_a_finite_number(text).or_else(|| time(text, may_be_timestamp)).or_else(|| number(text))
        }
        Some(_) => None,
    };
    resolved.unwrap_or(Resolved::Str(Cow::Borrowed(text.as_bytes())))
}

fn word(text: &str) -> Option<Resolved<'static>> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(Resolved::Null),
        "true" | "True" | "TRUE" => Some(Resolved::Bool(true)),
        "false" | "False" | "FALSE" => Some(Resolved::Bool(false)),
        _ => None,
    }
}

fn not_a_finite_number(text: &str) -> Option<Resolved<'static>> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(Resolved::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Resolved::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Resolved::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn time(text: &str, may_be_timestamp: bool) -> Option<Resolved<'static>> {
    if may_be_timestamp { Timestamp::parse_yaml(text).map(Resolved::Timestamp) } else { None }
}

/// Go `strconv.ParseFloat` of text that begins with a dot: an underscore may stand between two digits.
fn parse_dotted_float(text: &str) -> Option<Resolved<'static>> {
    if !text.contains('_') {
        return parse_float(text).map(Resolved::Float);
    }
    let bytes = text.as_bytes();
    let is_separator = |window: &[u8]| match window {
        [before, b'_', after] => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => true,
    };
    let all_separate = !text.ends_with('_') && bytes.windows(3).all(is_separator);
    if all_separate { parse_float(&text.replace('_', "")).map(Resolved::Float) } else { None }
}

fn number(text: &str) -> Option<Resolved<'static>> {
    let text = if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    let text = text.as_ref();
    parse_int(text)
        .map(Resolved::Int)
        .or_else(|| parse_uint(text).map(Resolved::Uint))
        .or_else(|| parse_float(text).map(Resolved::Float))
        .or_else(|| parse_signed_after_prefix(text).map(Resolved::Int))
}

/// Go `strconv.ParseInt(text, 0, 64)` without underscores.
fn parse_int(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.strip_prefix('-')?),
        b'+' => (false, text.strip_prefix('+')?),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(if is_negative { -magnitude } else { magnitude }).ok()
}

/// Go `strconv.ParseUint(text, 0, 64)` without underscores: a leading `0` alone means octal.
fn parse_uint(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, text.get(2..)?),
        [b'0', b'b' | b'B', _, ..] => (2, text.get(2..)?),
        [b'0'] => (10, text),
        [b'0', ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    // Rust would take a sign here.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// A float of the form `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`; one that overflows is none.
fn parse_float(text: &str) -> Option<f64> {
    // Rust reads that form, and words that stand for what is not finite.
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// yaml.v3 hands what follows `0b` or `0o` to Go's `ParseInt` once more, which takes a sign there: `0b-101` is -5.
fn parse_signed_after_prefix(text: &str) -> Option<i64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'b', ..] => (2, text.get(2..)?),
        [b'0', b'o', ..] => (8, text.get(2..)?),
        _ => return None,
    };
    i64::from_str_radix(digits, radix).ok()
}

/// Go `base64.StdEncoding`: padding is required, line breaks are skipped, bits beyond the last byte are ignored.
fn decode_binary(text: &str) -> Result<Vec<u8>, &'static str> {
    const GO_STD_ENCODING: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GO_STD_ENCODING.decode(text).map_err(|_| "the text is not the base64 that the tag !!binary asks for")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names type and value; floats by their bits.
    fn show(resolved: Resolved<'_>) -> String {
        match resolved {
            Resolved::Bool(value) => format!("bool {value}"),
            Resolved::Float(value) => format!("float {value:?}"),
            Resolved::Int(value) => format!("int {value}"),
            Resolved::Null => "null".to_owned(),
            Resolved::Str(value) => format!("str {}", String::from_utf8_lossy(&value)),
            Resolved::Timestamp(value) => format!("time {}", value.rfc3339_nano()),
            Resolved::Uint(value) => format!("uint {value}"),
        }
    }

    fn tagged(tag: &str, text: &str, style: ScalarStyle) -> Result<String, &'static str> {
        let node = Node { kind: Kind::Scalar(text.to_owned(), style), tag: Some(tag.to_owned()), ..Node::default() };
        resolve(&node).map(show)
    }

    // Expected values: go.yaml.in/yaml/v3 v3.0.4.

    #[test]
    fn types_plain_text_as_yaml_v3_does() {
        let scalars = [
            ("", "null"),
            ("~", "null"),
            ("NULL", "null"),
            ("nULL", "str nULL"),
            ("True", "bool true"),
            ("tRUE", "str tRUE"),
            ("yes", "str yes"),
            ("on", "str on"),
            ("0", "int 0"),
            ("-0", "int 0"),
            ("+5", "int 5"),
            ("+-5", "str +-5"),
            ("0755", "int 493"),
            ("0o17", "int 15"),
            ("0O17", "int 15"),
            ("0o1777777777777777777777", "uint 18446744073709551615"),
            ("0B11", "int 3"),
            ("0x1F", "int 31"),
            ("-0b101", "int -5"),
            ("0b-101", "int -5"),
            ("0o+7", "int 7"),
            ("08", "float 8.0"),
            ("1_000", "int 1000"),
            ("0x_F", "int 15"),
            ("_1", "str _1"),
            ("1e3", "float 1000.0"),
            ("1.", "float 1.0"),
            ("+.5e-3", "float 0.0005"),
            ("1.e3", "float 1000.0"),
            ("1e", "str 1e"),
            ("1e+", "str 1e+"),
            ("e5", "str e5"),
            (".", "str ."),
            ("1.5.2", "str 1.5.2"),
            ("1e5e5", "str 1e5e5"),
            (".5", "float 0.5"),
            (".5_5", "float 0.55"),
            (".5_", "str .5_"),
            ("._5", "str ._5"),
            ("-.5", "float -0.5"),
            ("1e400", "str 1e400"),
            (".inf", "float inf"),
            ("-.INF", "float -inf"),
            (".nan", "float NaN"),
            ("inf", "str inf"),
            ("infinity", "str infinity"),
            ("nan", "str nan"),
            ("-inf", "str -inf"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "uint 9223372036854775808"),
            ("-9223372036854775808", "int -9223372036854775808"),
            ("-9223372036854775809", "float -9.223372036854776e18"),
            ("18446744073709551616", "float 1.8446744073709552e19"),
            ("1:30", "str 1:30"),
            ("0x", "str 0x"),
            ("+", "str +"),
            ("-", "str -"),
            ("<<", "str <<"),
            ("2001-1-2", "time 2001-01-02T00:00:00Z"),
            ("2001-01-01 ", "str 2001-01-01 "),
        ];
        for (text, want) in scalars {
            assert_eq!(show(resolve_plain(text)), want, "{text}");
        }
        println!("figure: {} scalars typed as by yaml.v3", scalars.len());
    }

    #[test]
    fn lets_a_tag_decide_the_type() {
        let quoted = ScalarStyle::DoubleQuoted;
        assert_eq!(tagged("!!bool", "true", quoted).as_deref(), Ok("bool true"));
        assert_eq!(tagged("!!null", "~", quoted).as_deref(), Ok("null"));
        assert_eq!(tagged("!!int", "18446744073709551615", quoted).as_deref(), Ok("uint 18446744073709551615"));
        assert_eq!(tagged("!!float", "1.5", quoted).as_deref(), Ok("float 1.5"));
        assert_eq!(tagged("!!int", "12", quoted).as_deref(), Ok("int 12"));
        assert_eq!(tagged("!!float", "12", quoted).as_deref(), Ok("float 12.0"));
        assert_eq!(tagged("!!timestamp", "2001-01-01", quoted).as_deref(), Ok("time 2001-01-01T00:00:00Z"));
        assert_eq!(tagged("!!str", "12", ScalarStyle::Plain).as_deref(), Ok("str 12"));
        assert_eq!(tagged("!custom", "12", ScalarStyle::Plain).as_deref(), Ok("str 12"));
        assert_eq!(tagged("!", "12", ScalarStyle::Plain).as_deref(), Ok("int 12"));
        assert_eq!(tagged("!", "12", quoted).as_deref(), Ok("str 12"));
        assert_eq!(tagged("!!binary", "aGk=", ScalarStyle::Plain).as_deref(), Ok("str hi"));
        assert_eq!(tagged("!!binary", "aG\nk=\n", ScalarStyle::Literal).as_deref(), Ok("str hi"));
    }

    #[test]
    fn refuses_text_that_a_tag_does_not_fit() {
        for (tag, text) in [
            ("!!int", "ab"),
            ("!!int", "1.5"),
            ("!!int", "2001-01-01"),
            ("!!bool", "yes"),
            ("!!float", "9223372036854775808"),
            ("!!null", "x"),
            ("!!timestamp", "12"),
            ("!!binary", "aGk"),
        ] {
            assert!(tagged(tag, text, ScalarStyle::Plain).is_err(), "{tag} {text}");
        }
    }
}

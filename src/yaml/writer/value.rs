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
        Self { kind: Kind::Scalar(text.to_owned(), style), ..Self::default() }
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
            Self::plain(if value.is_sign_positive() { ".inf" } else { "-.inf" })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::writer::write_like_sops;
    use crate::yaml::{CollectionStyle, Comments, Document};

    /// What stands after `k: `, without the last line break.
    fn printed(value: Node) -> String {
        let root = Node {
            kind: Kind::Mapping(vec![(Node::from_str_like_go("k"), value)], CollectionStyle::Block),
            ..Node::default()
        };
        let text = write_like_sops(&[Document { root, comments: Comments::default() }], 4);
        text.strip_prefix("k: ").and_then(|text| text.strip_suffix('\n')).expect("one entry").to_owned()
    }

    // Expected texts: `EmitPlainFile` of sops 3.13.3.

    #[test]
    fn prints_strings_as_sops_does() {
        for (text, expected) in [
            ("", "\"\""),
            (" ", "' '"),
            ("a", "a"),
            ("é", "é"),
            ("a b", "a b"),
            ("y", "\"y\""),
            ("Off", "\"Off\""),
            ("true", "\"true\""),
            ("~", "\"~\""),
            ("null", "\"null\""),
            ("12", "\"12\""),
            ("010", "\"010\""),
            ("0o17", "\"0o17\""),
            ("1_000", "\"1_000\""),
            ("1e3", "\"1e3\""),
            (".5", "\".5\""),
            (".inf", "\".inf\""),
            ("12:30", "\"12:30\""),
            ("-1:2:3.4", "\"-1:2:3.4\""),
            ("12:60", "12:60"),
            ("2001-01-01", "\"2001-01-01\""),
            ("=", "="),
            ("<", "<"),
            ("-", "'-'"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("---", "'---'"),
            ("?", "'?'"),
            ("? a", "'? a'"),
            ("?a", "?a"),
            (":a", ":a"),
            ("a:", "'a:'"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("#a", "'#a'"),
            ("%a", "'%a'"),
            ("@a", "'@a'"),
            ("`a", "'`a'"),
            ("!a", "'!a'"),
            ("&a", "'&a'"),
            ("*a", "'*a'"),
            ("[a", "'[a'"),
            ("]a", "']a'"),
            ("{a", "'{a'"),
            (",a", "',a'"),
            ("a,b", "a,b"),
            ("'a", "'''a'"),
            ("it's", "it's"),
            ("\"a", "'\"a'"),
            ("a\"b", "a\"b"),
            ("a\\b", "a\\b"),
            (" a", "' a'"),
            ("a ", "'a '"),
            ("a\tb", "\"a\\tb\""),
            ("\ta", "\"\\ta\""),
            ("a\nb", "|-\n    a\n    b"),
            ("a\nb\n", "|\n    a\n    b"),
            ("a\n\n", "|+\n    a\n"),
            ("\n", "|4+\n"),
            ("\na", "|4-\n\n    a"),
            (" a\nb", "|4-\n     a\n    b"),
            ("a\n b", "|-\n    a\n     b"),
            ("a \nb", "\"a \\nb\""),
            ("a\nb ", "\"a\\nb \""),
            ("a\n\tb", "|-\n    a\n    \tb"),
            ("\ta\nb\u{2029}c \n", "\"\\ta\\nb\\Pc \\n\""),
            ("a\rb", "\"a\\rb\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("\0", "\"\\0\""),
            ("\u{1b}", "\"\\e\""),
            ("\u{7f}", "\"\\x7F\""),
            ("\u{85}", "\"\\N\""),
            ("\u{a0}", "\u{a0}"),
            ("\u{2028}", "'\u{2028}'"),
            ("a\u{2028}b", "'a\u{2028}    b'"),
            ("a\u{2028} b", "\"a\\L b\""),
            ("\u{feff}", "\"\\uFEFF\""),
            ("\u{feff}a", "\"\\uFEFF\\x61\""),
            ("a\u{feff}", "\"a\\uFEFF\""),
            ("😀", "\"\\U0001F600\""),
            ("😀\n", "\"\\U0001F600\\n\""),
            ("\u{ffff}", "\"\\uFFFF\""),
            ("", ""),
        ] {
            assert_eq!(printed(Node::from_str_like_go(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn prints_other_values_as_sops_does() {
        for (node, expected) in [
            (Node::null_like_go(), "null"),
            (Node::from_bool_like_go(true), "true"),
            (Node::from_int_like_go(i64::MIN), "-9223372036854775808"),
            (Node::from_float_like_go(1.0), "1"),
            (Node::from_float_like_go(1e6), "1e+06"),
            (Node::from_float_like_go(-1.5e-7), "-1.5e-07"),
            (Node::from_float_like_go(f64::INFINITY), ".inf"),
            (Node::from_float_like_go(f64::NEG_INFINITY), "-.inf"),
            (Node::from_float_like_go(f64::NAN), ".nan"),
            (Node::from_str_like_go("<<"), "!!merge <<"),
        ] {
            assert_eq!(printed(node), expected);
        }
    }

    #[test]
    fn prints_bytes_as_binary_unless_they_are_text() {
        assert_eq!(printed(Node::from_bytes_like_go(b"text")), "text");
        assert_eq!(printed(Node::from_bytes_like_go(b"\xff\xfe")), "!!binary //4=");
        // 51 bytes are 68 characters, 52 are 72: a line of 70 and the rest.
        assert_eq!(printed(Node::from_bytes_like_go(&[0xff; 51])), format!("!!binary {}", "/".repeat(68)));
        assert_eq!(
            printed(Node::from_bytes_like_go(&[0xff; 52])),
            format!("!!binary |\n    {}w\n    ==", "/".repeat(69))
        );
    }

    #[test]
    fn tells_base_60_numbers() {
        for (text, expected) in
            [("1:0", true), ("+1_0:59.", true), ("1:60", false), ("1:", false), ("_1:0", false), ("1:0.5.", false)]
        {
            assert_eq!(is_base_60(text), expected, "{text}");
        }
    }
}

//! Regular expressions of the metadata rules, as Go's `regexp` (RE2 syntax) reads them.
//!
//! A pattern is parsed by Go's grammar and written out again in the small part of the syntax that `regex-lite` and Go
//! read alike: characters, explicit ranges, groups, repetitions, anchors. So nothing is left to a resemblance of two
//! dialects: `\s` has no vertical tab, `[a&&b]` has two `&`, `$` is the end of the text.
//!
//! Source: Go 1.26, `regexp/syntax/parse.go`, flags `Perl`.

mod classes;
mod translator;

use regex_lite::{Regex, RegexBuilder};

use self::translator::{Piece, Translator};
use crate::limits;

/// Deepest nesting of groups and repetitions that is read; Go reads about 1,000.
const DEPTH: u32 = 40;

/// Most steps of a compiled pattern; `x{1000}` makes 1,000.
const STEPS: usize = 10_000;

/// A compiled pattern.
pub(super) struct Pattern {
    matcher: Matcher,
    /// Steps of the compiled pattern: what a byte of text costs at most.
    pub(super) steps: usize,
}

/// What a pattern is held against a text by.
enum Matcher {
    /// Go refuses the pattern, which sops takes for "never matches".
    Nothing,
    /// The text is one of these words.
    Words(Vec<String>),
    /// The pattern occurs in the text.
    Regex(Regex),
}

/// The words of `^(data|stringData)$`, the form in which nearly all patterns are written; to compile it as an expression
/// takes longer than to decrypt a small file.
fn words(pattern: &str) -> Option<Vec<String>> {
    let words = pattern.strip_prefix("^(")?.strip_suffix(")$")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'|');
    words.bytes().all(is_plain).then(|| words.split('|').map(str::to_owned).collect())
}

/// Why a pattern is not compiled.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Go refuses it.
    Invalid,
    /// Go reads it, this program does not; the words say why.
    Unsupported(&'static str),
}

impl Pattern {
    /// Compiles a pattern. `Err` says in fixed words why a pattern that Go reads is not read here.
    pub(super) fn compile(pattern: &str) -> Result<Self, &'static str> {
        if pattern.len() > limits::REGEX_BYTES {
            return Err("is a regular expression of more than 4096 bytes");
        }
        if let Some(words) = words(pattern) {
            return Ok(Self { matcher: Matcher::Words(words), steps: pattern.len() });
        }
        match Translator::translate(pattern) {
            Err(Refused::Invalid) => Ok(Self { matcher: Matcher::Nothing, steps: 0 }),
            Err(Refused::Unsupported(reason)) => Err(reason),
            Ok(Piece { text, steps, .. }) => RegexBuilder::new(&text)
                .nest_limit(4 * DEPTH)
                .build()
                .map(|regex| Self { matcher: Matcher::Regex(regex), steps })
                .map_err(|_| "is a regular expression too large to compile"),
        }
    }

    /// Whether Go refuses the pattern.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self.matcher, Matcher::Nothing)
    }

    /// Says whether the pattern occurs anywhere in the text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Nothing => false,
            Matcher::Words(words) => words.iter().any(|word| word == text),
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `testdata/make_patterns.go` made the table; 200,000 such patterns were compared when this was written.
    #[test]
    fn matches_where_go_matches() {
        let mut lines = include_str!("../testdata/patterns.jsonl").lines();
        let texts: Vec<String> = serde_json::from_str(lines.next().expect("texts")).expect("JSON");
        for line in lines {
            let [go_pattern, go_matches]: [String; 2] = serde_json::from_str(line).expect("JSON");
            let Ok(pattern) = Pattern::compile(&go_pattern) else { panic!("{go_pattern:?} is not read") };
            if pattern.is_invalid() {
                assert_eq!(go_matches, "invalid", "{go_pattern:?}");
            } else {
                let matches: String = texts.iter().map(|text| if pattern.is_match(text) { '1' } else { '0' }).collect();
                assert_eq!(matches, go_matches, "{go_pattern:?}");
            }
        }
    }

    #[test]
    fn reads_what_people_write() {
        for (pattern, yes, no) in [
            ("^(data|stringData)$", "stringData", "metadata"),
            ("(?i)password|token$", "dbPassWord", "tokens"),
            ("^[[:alpha:]_]+$", "ab_c", "ab1"),
            (r"\Qa.b\E", "xa.b", "axb"),
            ("(?P<n>secret)", "my-secret", "my-secre"),
            (r"^\S+$", "a\u{b}b", "a b"),
            ("^.*_(pass|pw)$", "db_pw", "db_pwd"),
            ("[^[:ascii:]]", "ключ", "key"),
            ("(?i)^k", "\u{212a}", "\u{43a}"),
        ] {
            let Ok(compiled) = Pattern::compile(pattern) else { panic!("{pattern}") };
            assert!(compiled.is_match(yes), "{pattern} {yes}");
            assert!(!compiled.is_match(no), "{pattern} {no}");
        }
    }

    #[test]
    fn reads_the_corners_of_the_grammar_as_go() {
        let deep = format!("{}a{}", "(".repeat(38), ")".repeat(38));
        for (pattern, yes, no) in [
            ("(?s)a.b", "a\nb", "ab"),
            ("a.b", "a b", "a\nb"),
            ("(?s-s:a.b)", "a b", "a\nb"),
            ("(?i)^s$", "\u{17f}", "\u{212a}"),
            ("(?i)^[a-z]$", "\u{212a}", "\u{e9}"),
            ("(?i)^\u{4e2d}$", "\u{4e2d}", "x"),
            (r"(?i)^[\x00-\x{10FFFF}]$", "\u{e9}", ""),
            ("^a{2,3}$", "aaa", "aaaa"),
            ("^a{2,}$", "aaaa", "a"),
            ("^a{0,2}$", "", "aaa"),
            ("^(?P<a_1>x)(?<Z>y)$", "xy", "x"),
            ("^(?i-s:X)$", "x", "y"),
            (r"^[\f]\f$", "\u{c}\u{c}", "ff"),
            (r"^\a\v\t\r\n$", "\u{7}\u{b}\t\r\n", "avtrn"),
            (r"^\x{10FFFF}$", "\u{10ffff}", "x"),
            ("^[a-a]$", "a", "b"),
            ("^[^a-zb-c]$", "1", "x"),
            ("^[a-zb-cx]$", "y", "1"),
            (&deep, "a", "b"),
        ] {
            let compiled = Pattern::compile(pattern).unwrap_or_else(|reason| panic!("{pattern} {reason}"));
            assert!(compiled.is_match(yes), "{pattern} {yes}");
            assert!(!compiled.is_match(no), "{pattern} {no}");
        }
        for pattern in [
            "a{2,1}",
            "a{1001,}",
            "a{1,1001}",
            "a{1001}",
            "(?P<>a)",
            "(?P<a-b>a)",
            "(?P<a",
            "(?i--s:a)",
            "(?-:a)",
            "(?-)",
            "(?i-:a)",
            "(?x:a)",
            "[b-a]",
            r"\x{110000}",
            r"\x{}",
            r"\xg0",
            r"\y",
        ] {
            let compiled = Pattern::compile(pattern).unwrap_or_else(|reason| panic!("{pattern} {reason}"));
            assert!(compiled.is_invalid(), "{pattern}");
        }
        assert!(Pattern::compile(r"(?i)[\x{42}-\x{10FFFF}]").is_err(), "letters beyond ASCII");
    }

    #[test]
    fn words_match_as_the_expression_does() {
        for pattern in ["^(data|stringData)$", "^(a)$", "^()$", "^(a|)$", "^(a||b-c)$", "^(A_1|a)$"] {
            let Ok(Pattern { matcher: Matcher::Words(_), .. }) = Pattern::compile(pattern) else { panic!("{pattern}") };
            let Ok(words) = Pattern::compile(pattern) else { panic!("{pattern}") };
            // A group without a name means the same.
            let expression = pattern.replace('(', "(?:");
            let Ok(expression) = Pattern::compile(&expression) else { panic!("{expression}") };
            assert!(matches!(expression.matcher, Matcher::Regex(_)));
            for text in
                ["data", "stringData", "Data", "data\n", "\ndata", "xdata", "", "a", "b", "b-c", "A_1", "|", "a|"]
            {
                assert_eq!(words.is_match(text), expression.is_match(text), "{pattern} {text:?}");
            }
        }
        for pattern in ["^(a.b)$", "^(a|b)", "(a|b)$", "^(a|(b))$", "^(a\\|b)$", "^(a|b)$$", "^(é)$"] {
            assert!(words(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn takes_a_pattern_of_the_bound() {
        assert!(Pattern::compile(&"a|".repeat(limits::REGEX_BYTES / 2)).is_ok());
    }

    #[test]
    fn pattern_that_go_refuses_never_matches() {
        for pattern in ["[", "(?=a)", "a**", "*", "a{1001}", r"\8", "((a{100}){100})", "(?<n", ")"] {
            let Ok(compiled) = Pattern::compile(pattern) else { panic!("{pattern}") };
            assert!(compiled.is_invalid(), "{pattern}");
            assert!(!compiled.is_match("a"), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_it_would_read_differently_or_too_slowly() {
        let nested = format!("{}a{}", "(".repeat(500), ")".repeat(500));
        let long = "a".repeat(limits::REGEX_BYTES + 1);
        let wide = "(abcdefghij){1000}".repeat(2);
        for pattern in [r"\p{L}", r"[\pL]", "(?i)ü", "(?i)[à-ö]", &nested, &long, &wide] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
        println!("figure: 7 of 7 refused");
    }

    #[test]
    fn compiles_the_longest_pattern_of_any_kind() {
        for unit in ["a", "(a)", "a|", r"\W", "[a-z]", "a?", "(?i)k", "[[:", "{1", r"\Q"] {
            let pattern = unit.repeat(limits::REGEX_BYTES / unit.len());
            // Whatever comes of it, it comes soon and without a panic.
            let _ = Pattern::compile(&pattern).map(|compiled| compiled.is_match(&"k".repeat(1000)));
        }
    }
}

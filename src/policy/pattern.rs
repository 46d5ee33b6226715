//! The patterns of a policy.
//!
//! `*` is any run of characters and `?` any one, but neither crosses a separator; `**` between slashes is any number of
//! whole parts, none included. Everything else stands for itself. A pattern covers the whole text.

use std::sync::OnceLock;

use regex_lite::Regex;

use crate::limits;

/// What `*` and `?` do not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Amazon resource names.
    Arn,
    /// Paths and plain names.
    Path,
    /// URLs: a wildcard for a part of a host cannot bring in a port, a user or another host.
    Url,
}

impl Grammar {
    /// The separators, fit for a character class.
    fn separators(self) -> &'static str {
        match self {
            Self::Arn => "/:",
            Self::Path => "/",
            Self::Url => "/:@?#",
        }
    }
}

/// One pattern.
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

enum Matcher {
    /// No wildcard in it.
    Exact,
    Wildcards {
        regex: String,
        /// Compiled when it is first needed: of a policy's many rules a run asks a few. `None` covers nothing.
        compiled: OnceLock<Option<Regex>>,
    },
}

impl Matcher {
    fn wildcards(regex: String) -> Self {
        Self::Wildcards { regex, compiled: OnceLock::new() }
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Fixed words: what a pattern cannot hold.
    pub fn parse(text: &str, grammar: Grammar) -> Result<Self, &'static str> {
        check(text)?;
        let has_wildcards = text.contains(['*', '?']);
        let matcher = if has_wildcards { Matcher::wildcards(translate(text, grammar, "")) } else { Matcher::Exact };
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// Reads a pattern for directories: it covers them and everything beneath. `.` is the top.
    ///
    /// # Errors
    /// As [`Pattern::parse`], and a path that is absolute or holds `..`.
    pub fn parse_directory(text: &str) -> Result<Self, &'static str> {
        check(text)?;
        if text.starts_with('/') {
            return Err("must be relative to the top of the repository");
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err("may not hold '..'");
        }
        let regex = match parts.as_slice() {
            [] => "(?s)^.*$".to_owned(),
            parts => translate(&parts.join("/"), Grammar::Path, "(?:/.*)?"),
        };
        Ok(Self { text: text.to_owned(), matcher: Matcher::wildcards(regex) })
    }

    /// Whether it covers a text. Nothing covers a text that is longer than any real name.
    pub fn covers(&self, text: &str) -> bool {
        text.len() <= limits::PATH_BYTES
            && match &self.matcher {
                Matcher::Exact => self.text == text,
                Matcher::Wildcards { regex, compiled } => {
                    let compiled = compiled.get_or_init(|| Regex::new(regex).ok());
                    compiled.as_ref().is_some_and(|regex| regex.is_match(text))
                }
            }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.len() > limits::PATTERN_BYTES {
        Err("is longer than a pattern may be")
    } else if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        Err("holds a blank or a control character")
    } else if text.contains(['{', '}', '\\']) || text.starts_with('!') {
        Err("holds '{', '}', '\\' or '!': only *, ** and ? are special, write one entry for each alternative")
    } else if text.bytes().filter(|byte| matches!(byte, b'*' | b'?')).count() > limits::PATTERN_WILDCARDS {
        Err("has too many wildcards")
    } else if text.split('/').any(|part| part.contains("**") && part != "**") {
        Err("has '**' beside other characters: it must stand alone between slashes")
    } else {
        Ok(())
    }
}

/// The regular expression for a pattern, with something after it.
fn translate(pattern: &str, grammar: Grammar, after: &str) -> String {
    let separators = grammar.separators();
    let mut parts: Vec<&str> = pattern.split('/').collect();
    parts.dedup_by(|next, part| *next == "**" && *part == "**");
    let mut out = String::from("(?s)^");
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        match (*part, index) {
            ("**", 0) if last == 0 => out.push_str(".*"),
            // `a/**` is `a` and everything beneath: the slash before it went with the part before.
            ("**", index) if index == last => out.push_str("(?:/.*)?"),
            ("**", _) => out.push_str("(?:.*/)?"),
            (part, index) => {
                for c in part.chars() {
                    match c {
                        '*' => out.push_str(&format!("[^{separators}]*")),
                        '?' => out.push_str(&format!("[^{separators}]")),
                        c => out.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4]))),
                    }
                }
                let is_before_end =
                    parts.get(index.saturating_add(1)) == Some(&"**") && index.saturating_add(1) == last;
                if index < last && !is_before_end {
                    out.push('/');
                }
            }
        }
    }
    out.push_str(after);
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_a_part() {
        for (grammar, pattern, text, want) in [
            (Grammar::Path, "team-a", "team-a", true),
            (Grammar::Path, "team-a", "team-ab", false),
            (Grammar::Path, "team-*", "team-", true),
            (Grammar::Path, "team-*", "team-a/b", false),
            (Grammar::Path, "team-?", "team-a", true),
            (Grammar::Path, "team-?", "team-", false),
            (Grammar::Path, "*", "a.b", true),
            (Grammar::Path, "*", "a/b", false),
            (Grammar::Path, "**", "a/b\nc", true),
            (Grammar::Path, "a.c", "abc", false),
            (Grammar::Path, "a/**", "a", true),
            (Grammar::Path, "a/**", "a/b/c", true),
            (Grammar::Path, "a/**", "ab", false),
            (Grammar::Path, "**/c", "c", true),
            (Grammar::Path, "**/c", "a/b/c", true),
            (Grammar::Path, "**/c", "a/bc", false),
            (Grammar::Path, "a/**/c", "a/c", true),
            (Grammar::Path, "a/**/c", "a/b/b/c", true),
            (Grammar::Path, "a/**/c", "ac", false),
            (Grammar::Path, "a/**/**", "a", true),
            (Grammar::Url, "https://git.test/org/*", "https://git.test/org/repo", true),
            (Grammar::Url, "https://git.test/org/*", "https://git.test/org/a/b", false),
            (Grammar::Url, "https://*.test/x", "https://a@evil.test/x", false),
            (Grammar::Url, "https://*.test/x", "https://evil:1.test/x", false),
            (Grammar::Url, "https://*.test/x", "https://evil/.test/x", false),
            (Grammar::Url, "https://*.vault.azure.net/**", "https://a.vault.azure.net/keys/k", true),
            (Grammar::Arn, "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu-west-1:111122223333:key/1", true),
            (Grammar::Arn, "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu-west-1:999:111122223333:key/1", false),
            (Grammar::Arn, "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu-west-1:999988887777:key/1", false),
            (Grammar::Arn, "arn:aws:kms:*:1:alias/team-a/*", "arn:aws:kms:x:1:alias/team-a/db", true),
            (Grammar::Arn, "arn:aws:kms:*:1:alias/team-a/*", "arn:aws:kms:x:1:alias/team-b/db", false),
        ] {
            let parsed = Pattern::parse(pattern, grammar).unwrap_or_else(|why| panic!("{pattern} {why}"));
            assert_eq!(parsed.covers(text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn a_directory_covers_what_lies_beneath() {
        for (pattern, path, want) in [
            ("teams/a", "teams/a", true),
            ("teams/a", "teams/a/x/y.yaml", true),
            ("teams/a", "teams/ab/x", false),
            ("./teams//a/", "teams/a/x", true),
            ("teams/*/secrets", "teams/b/secrets/db.yaml", true),
            ("teams/*/secrets", "teams/b/other/db.yaml", false),
            ("**/secrets", "a/b/secrets/x", true),
            ("teams/**", "teams", true),
            (".", "anything/x", true),
            (".", "", true),
            ("**", "", true),
        ] {
            let parsed = Pattern::parse_directory(pattern).unwrap_or_else(|why| panic!("{pattern} {why}"));
            assert_eq!(parsed.covers(path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn refuses_what_looks_like_more_than_it_is() {
        for text in ["", "a b", "a{b,c}", "!a", "a\\*", "a**", "**b/c", "a\n", &"?".repeat(100), &"x".repeat(10_000)] {
            assert!(Pattern::parse(text, Grammar::Path).is_err(), "{text}");
        }
        for text in ["/a", "../a", "a/../b"] {
            assert!(Pattern::parse_directory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_text_costs_linear_time() {
        let pattern = Pattern::parse("**/a*a*a*a*a*b", Grammar::Path).unwrap_or_else(|why| panic!("{why}"));
        let start = std::time::Instant::now();
        assert!(!pattern.covers(&"a".repeat(limits::PATH_BYTES)));
        assert!(!pattern.covers(&"a".repeat(32 << 20)));
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }
}

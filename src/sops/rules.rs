//! Which values are encrypted: suffixes, regexes, comment regexes.
//!
//! Whether a value is decrypted is decided by the file's rule, never by how the value looks.
//!
//! Source: getsops/sops v3.13, `sops.go`, `shouldBeEncrypted`, `walkBranch`, `walkSlice`.

use super::SopsError;
use super::fields::Fields;
use super::pattern::Pattern;

/// The file's encryption rule (at most one is set; none means `unencrypted_suffix: _unencrypted`).
pub struct Rules {
    /// The field of the stanza that says so.
    field: &'static str,
    /// Its text.
    text: String,
    /// Whether the stanza has that field; else it is what sops assumes.
    is_written: bool,
    condition: Condition,
    /// What the condition makes of a value that meets it; any other value is the opposite.
    encrypts_matches: bool,
}

/// The rule in words, for reports. The text is as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInForce<'a> {
    /// `encrypted_regex`
    pub field: &'static str,
    /// `^(data|stringData)$`
    pub text: &'a str,
    /// Whether the file says so; else it is what sops assumes.
    pub is_written: bool,
    /// Whether what meets the condition is encrypted, and all else is not; or the other way round.
    pub encrypts_matches: bool,
}

enum Condition {
    /// A comment above the value, or above anything it is in, matches.
    CommentRegex(Pattern),
    /// A key on the way from the root to the value matches.
    KeyRegex(Pattern),
    /// A key on the way ends with this.
    KeySuffix(String),
}

/// What sops assumes where no rule is written.
const DEFAULT_UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// Most steps of regex matching in one file, a step being one state of the pattern at one byte of a key: two seconds
/// at worst, measured with `(a{0,30}){0,30}x`. A pattern of 30 steps over two megabytes of keys stays below it.
const BUDGET: u64 = 1 << 26;

/// What the rule says at one level of a walk. Verdicts are inherited: once a key or a comment has matched, everything
/// below is decided, and each key and each comment is looked at only once.
#[derive(Clone, Copy)]
pub struct Scope {
    /// Something on the way to this level matched.
    is_inherited: bool,
    /// A comment of this level matched since the last value.
    is_matched: bool,
    /// The same, without the latest comment.
    is_matched_before: bool,
}

/// Counts the steps of matching.
pub struct Budget {
    left: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BUDGET }
    }
}

/// The rule would take too long on this file.
pub struct TooCostly;

impl Rules {
    /// Reads the six rule fields of the stanza. An empty one counts as not set.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, SopsError> {
        const FIELDS: [(&str, bool); 6] = [
            ("unencrypted_suffix", false),
            ("encrypted_suffix", true),
            ("unencrypted_regex", false),
            ("encrypted_regex", true),
            ("unencrypted_comment_regex", false),
            ("encrypted_comment_regex", true),
        ];
        let mut rules = None;
        for (field, encrypts_matches) in FIELDS {
            let Some(text) = fields.optional_text(field)? else { continue };
            if rules.is_some() {
                return Err(fields.broken(field, "is a second encryption rule: a file has only one"));
            }
            let pattern = |text: &str| Pattern::compile(text).map_err(|reason| fields.broken(field, reason));
            let condition = if field.ends_with("suffix") {
                Condition::KeySuffix(text.clone())
            } else if field.ends_with("comment_regex") {
                Condition::CommentRegex(pattern(&text)?)
            } else {
                Condition::KeyRegex(pattern(&text)?)
            };
            rules = Some(Self { field, text, is_written: true, condition, encrypts_matches });
        }
        Ok(rules.unwrap_or_default())
    }

    /// The rule in words.
    pub fn in_force(&self) -> RuleInForce<'_> {
        RuleInForce {
            field: self.field,
            text: &self.text,
            is_written: self.is_written,
            encrypts_matches: self.encrypts_matches,
        }
    }

    /// The scope above a document.
    pub fn root(&self) -> Scope {
        Scope { is_inherited: false, is_matched: false, is_matched_before: false }
    }

    /// The scope of the value with this key.
    pub fn at_key(&self, outer: &Scope, key: &str, budget: &mut Budget) -> Result<Scope, TooCostly> {
        let is_inherited = outer.is_inherited
            || match &self.condition {
                Condition::CommentRegex(_) => false,
                Condition::KeyRegex(pattern) => budget.is_match(pattern, key)?,
                Condition::KeySuffix(suffix) => key.ends_with(suffix),
            };
        Ok(Scope { is_inherited, ..*outer })
    }

    /// The scope in which the entries of a mapping or the elements of a list begin: comments above it stay active.
    pub fn enter(&self, outer: &Scope) -> Scope {
        Scope { is_inherited: outer.is_inherited || outer.is_matched, is_matched: false, is_matched_before: false }
    }

    /// Notes a comment, as it stands in the file, before its own fate is decided.
    pub fn note_comment(&self, scope: &mut Scope, comment: &[u8], budget: &mut Budget) -> Result<(), TooCostly> {
        if let Condition::CommentRegex(pattern) = &self.condition {
            scope.is_matched_before = scope.is_matched;
            // Nothing more can change once a comment of this level has matched.
            scope.is_matched = scope.is_matched || budget.is_match(pattern, &as_go_reads(comment))?;
        }
        Ok(())
    }

    /// Forgets the comments of this level: they count up to the first value after them.
    pub fn forget_comments(&self, scope: &mut Scope) {
        scope.is_matched = false;
        scope.is_matched_before = false;
    }

    /// Says whether a value at this place is encrypted.
    pub fn encrypts_value(&self, scope: &Scope) -> bool {
        (scope.is_inherited || scope.is_matched) == self.encrypts_matches
    }

    /// Says whether the comment noted last is encrypted. The one that turns `encrypted_comment_regex` on is not.
    pub fn encrypts_comment(&self, scope: &Scope) -> bool {
        let is_matched = if self.encrypts_matches { scope.is_matched_before } else { scope.is_matched };
        (scope.is_inherited || is_matched) == self.encrypts_matches
    }
}

impl Scope {
    /// Whether the condition of the rule is met here, by a key or comment above or by a comment right before.
    pub fn is_met(&self) -> bool {
        self.is_inherited || self.is_matched
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            field: "unencrypted_suffix",
            text: DEFAULT_UNENCRYPTED_SUFFIX.to_owned(),
            is_written: false,
            condition: Condition::KeySuffix(DEFAULT_UNENCRYPTED_SUFFIX.to_owned()),
            encrypts_matches: false,
        }
    }
}

impl Budget {
    fn is_match(&mut self, pattern: &Pattern, text: &str) -> Result<bool, TooCostly> {
        let steps = (pattern.steps as u64).saturating_mul((text.len() as u64).saturating_add(1));
        self.left = self.left.checked_sub(steps).ok_or(TooCostly)?;
        Ok(pattern.is_match(text))
    }
}

/// Go's regexp takes each byte that is not UTF-8 for one U+FFFD.
fn as_go_reads(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

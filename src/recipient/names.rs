//! The names that people give recipients: anchors and comments of `.sops.yaml`, comments of key files, PGP user ids.

use std::collections::HashMap;

use crate::sops::MasterKey;
use crate::text::Printable;

/// Most names that are kept; a team has tens.
const MOST_NAMES: usize = 10_000;

/// Longest comment, in characters, that is taken for a name.
const NAME_CHARS: usize = 60;

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `alice`, `Alice <alice@example.com>`
    pub text: Printable,
    /// `.sops.yaml`, `~/.gnupg`
    pub source: Printable,
}

/// Names by recipient. The first name that a recipient is given stays.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: HashMap<String, Name>,
    /// Full fingerprints by their last 16 and 8 digits, for files that hold a short one.
    fingerprints: HashMap<String, String>,
}

impl Names {
    /// Gives a recipient a name, unless it has one.
    pub fn add(&mut self, recipient: &str, text: &str, source: &Printable) {
        let text = text.trim();
        let Some(key) = normal(recipient) else { return };
        if text.is_empty() || self.names.len() >= MOST_NAMES || self.names.contains_key(&key) {
            return;
        }
        for digits in [16, 8] {
            if let Some(end) = key.len().checked_sub(digits).and_then(|at| key.get(at..)).filter(|_| is_hex(&key)) {
                self.fingerprints.insert(end.to_owned(), key.clone());
            }
        }
        self.names.insert(key, Name { text: Printable::new(text), source: source.clone() });
    }

    /// What a master key's recipient is looked up by; `None` for what is longer than any.
    pub fn key_of(key: &MasterKey) -> Option<String> {
        match key {
            MasterKey::Age { recipient, .. } => normal(recipient),
            MasterKey::AwsKms { arn, .. } => normal(arn),
            MasterKey::AzureKeyVault { vault_url, name, version, .. } => {
                normal(&format!("{}/keys/{name}/{version}", vault_url.trim_end_matches('/')))
            }
            MasterKey::GcpKms { resource_id, .. } => normal(resource_id),
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                normal(&format!("{}/v1/{engine_path}/keys/{key_name}", vault_address.trim_end_matches('/')))
            }
            MasterKey::HuaweiKms { key_id } => normal(key_id),
            MasterKey::Pgp { fingerprint, .. } => Some(normal_fingerprint(fingerprint)),
        }
    }

    /// The name of the recipient with this key ([`Names::key_of`]).
    pub fn find(&self, key: &str) -> Option<&Name> {
        self.names.get(key).or_else(|| self.names.get(self.fingerprints.get(key)?))
    }

    /// Takes names over from others; names that are here stay.
    pub fn extend(&mut self, others: Self) {
        for (key, name) in others.names {
            self.add(&key, name.text.as_str(), &name.source);
        }
    }

    /// Takes the names out of a text that lists recipients, `.sops.yaml` above all: the anchor of a line
    /// (`- &alice age1…`), the comment at its end, or the comment lines right above it if no other recipient follows
    /// them.
    ///
    /// Lines, not YAML: a configuration that does not parse still names its recipients.
    pub fn read(&mut self, text: &str, source: &Printable) {
        let mut above = Above::default();
        for line in text.lines() {
            let (content, comment) = split_comment(line);
            let recipients = recipients_in(content);
            match recipients.as_slice() {
                [] if content.trim().is_empty() && comment.is_some() => {
                    above.comment_line(self, comment.and_then(as_name), source);
                }
                [] => above.end(self, source),
                [recipient] => match anchor(content).or_else(|| comment.and_then(as_name)) {
                    Some(name) => self.add(recipient, &name, source),
                    None => above.recipients.push(recipient.clone()),
                },
                several => above.recipients.extend_from_slice(several),
            }
        }
        above.end(self, source);
    }
}

/// Comment lines, and the recipients without a name of their own that follow.
#[derive(Default)]
struct Above {
    comment: Option<String>,
    recipients: Vec<String>,
}

impl Above {
    fn comment_line(&mut self, names: &mut Names, comment: Option<String>, source: &Printable) {
        if self.recipients.is_empty() && self.comment.is_some() {
            // A second line of words is an explanation, not a name.
            self.comment = Some(String::new());
            return;
        }
        self.end(names, source);
        self.comment = Some(comment.unwrap_or_default());
    }

    /// A comment above several recipients names none of them.
    fn end(&mut self, names: &mut Names, source: &Printable) {
        if let ([recipient], Some(comment)) = (self.recipients.as_slice(), &self.comment) {
            names.add(recipient, comment, source);
        }
        *self = Self::default();
    }
}

/// Splits a line at a `#` that begins a comment.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            let (content, comment) = line.split_at_checked(at).unwrap_or((line, ""));
            return (content, Some(comment.trim_start_matches('#').trim()));
        }
        before = c;
    }
    (line, None)
}

/// A comment that may be a name: short, and no recipient, address or directive.
fn as_name(comment: &str) -> Option<String> {
    // What editors, linters and people leave for each other: read here, not left here.
    let is_directive =
        ["yaml-", "yamllint", "vim:", "prettier", "TODO", "FIXME"].iter().any(|begin| comment.starts_with(begin));
    let is_name = !comment.is_empty()
        && comment.chars().count() <= NAME_CHARS
        && comment.chars().any(char::is_alphanumeric)
        && !is_directive
        && !comment.contains("://")
        && recipients_in(comment).is_empty();
    is_name.then(|| comment.to_owned())
}

/// `&alice` before the recipient.
fn anchor(content: &str) -> Option<String> {
    let name = content.split_whitespace().find_map(|word| word.strip_prefix('&'))?;
    let is_name = !name.is_empty() && name.chars().count() <= NAME_CHARS && recipients_in(name).is_empty();
    is_name.then(|| name.to_owned())
}

/// The recipients of a line, in any of the ways in which lists are written.
fn recipients_in(content: &str) -> Vec<String> {
    if content.len() > LINE_BYTES {
        return Vec::new();
    }
    let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '[' | ']' | '{' | '}' | '>' | '|');
    let words: Vec<&str> = content.split(is_between).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if matches!(*word, "ssh-ed25519" | "ssh-rsa") {
            found.extend(words.get(index + 1).map(|key| format!("{word} {key}")));
        } else if is_recipient(word) {
            found.push((*word).to_owned());
        }
    }
    found
}

/// Longest line that is looked at, in bytes: a list of 60 recipients on a line.
const LINE_BYTES: usize = 4096;

fn is_recipient(word: &str) -> bool {
    (word.starts_with("age1") && word.len() >= 20 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        || (is_hex(word) && matches!(word.len(), 40 | 64))
        || (word.starts_with("arn:aws") && word.contains(":kms:"))
        || (word.starts_with("projects/") && word.contains("/cryptoKeys/"))
        || (word.starts_with("http") && word.contains("://") && word.contains("/keys/"))
}

/// The form in which recipients are compared; `None` for what is longer than any.
fn normal(recipient: &str) -> Option<String> {
    let recipient = recipient.trim();
    if recipient.len() > LINE_BYTES {
        return None;
    }
    let mut words = recipient.split_whitespace();
    Some(match (words.next()?, words.next()) {
        (kind, Some(key)) if kind.starts_with("ssh-") => format!("{kind} {key}"),
        (word, _) if word.starts_with("age1") => word.to_ascii_lowercase(),
        (word, None) if is_hex(word.trim_end_matches('!').trim_start_matches("0x")) => normal_fingerprint(word),
        _ => recipient.to_owned(),
    })
}

/// Upper-case digits without `0x`, blanks and the final `!` that stands for "this very subkey".
pub(super) fn normal_fingerprint(fingerprint: &str) -> String {
    let digits = fingerprint.trim().trim_end_matches('!').trim_start_matches("0x");
    digits.chars().filter(|c| !c.is_whitespace()).take(LINE_BYTES).collect::<String>().to_ascii_uppercase()
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "age16ms9fur8fe3w40cr03uktvd78r9r20dcpnlx3tx93cchl7z0l57sx3cc6y";
    const B: &str = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";
    const C: &str = "age1yubikey1qdh9c9v9aacptlgy5hcq6vf4ws36fnkxpk6x2s7n8p4ce0jhqvcx7k9xf2q";
    const P: &str = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4";

    fn names(text: &str) -> Names {
        let mut names = Names::default();
        names.read(text, &".sops.yaml".into());
        names
    }

    fn find<'a>(names: &'a Names, key: &MasterKey) -> Option<&'a Name> {
        names.find(&Names::key_of(key)?)
    }

    fn age(names: &Names, recipient: &str) -> Option<String> {
        find(names, &MasterKey::Age { recipient: recipient.into(), enc: String::new() })
            .map(|name| name.text.to_string())
    }

    fn pgp(names: &Names, fingerprint: &str) -> Option<String> {
        find(names, &MasterKey::Pgp { fingerprint: fingerprint.into(), enc: String::new() })
            .map(|name| name.text.to_string())
    }

    #[test]
    fn anchors_and_comments_are_names() {
        let book = names(&format!(
            "keys:\n  - &alice {A} # not this\n  - {B}   # Bob's laptop\n  # Carol\n  - '{C}'\n  - &ops {P}\ncreation_rules: []\n"
        ));
        assert_eq!(age(&book, A).as_deref(), Some("alice"));
        assert_eq!(age(&book, &format!(" {B} ")).as_deref(), Some("Bob's laptop"));
        assert_eq!(age(&book, C).as_deref(), Some("Carol"));
        assert_eq!(pgp(&book, P).as_deref(), Some("ops"));
        assert_eq!(pgp(&book, "0x3D16CEE4A27381B4").as_deref(), Some("ops"));
        assert_eq!(pgp(&book, &P.to_lowercase()).as_deref(), Some("ops"));
    }

    #[test]
    fn a_comment_above_several_recipients_names_none() {
        let book = names(&format!("# Admins\n- {A}\n- {B}\n"));
        assert_eq!((age(&book, A), age(&book, B)), (None, None));
        let book = names(&format!("age: >-\n  {A},\n  {B}\n# Carol\n{C}"));
        assert_eq!((age(&book, A), age(&book, C).as_deref()), (None, Some("Carol")));
    }

    #[test]
    fn not_every_comment_is_a_name() {
        for above in [
            "# https://example.com/keys".to_owned(),
            "# yaml-language-server: $schema=x".to_owned(),
            format!("# - {B}"),
            "# one line of words\n# and another".to_owned(),
            format!("# {}", "long ".repeat(20)),
            "# ---".to_owned(),
            "# Somebody\n".to_owned(),
            "# Somebody\nage:".to_owned(),
        ] {
            assert_eq!(age(&names(&format!("{above}\n- {A}\n")), A), None, "{above}");
        }
    }

    #[test]
    fn other_kinds_are_named_too() {
        let arn = "arn:aws:kms:eu-west-1:111122223333:alias/prod";
        let book = names(&format!("kms:\n  - arn: {arn} # prod key\nssh:\n - ssh-ed25519 AAAA x@y # Dan\n"));
        let key = MasterKey::AwsKms {
            arn: arn.into(),
            role: None,
            context: Default::default(),
            aws_profile: None,
            enc: String::new(),
        };
        assert_eq!(find(&book, &key).map(|name| name.text.as_str()), Some("prod key"));
        assert_eq!(age(&book, "ssh-ed25519 AAAA other@comment").as_deref(), Some("Dan"));
    }

    #[test]
    fn hostile_texts_end_soon() {
        let many: String = (0..200_000).map(|n| format!("- &n{n} age1{n:020}\n")).collect();
        assert_eq!(names(&many).names.len(), MOST_NAMES);
        names(&format!("- &{} {A}", "#a ".repeat(1 << 20)));
        assert_eq!(age(&names(&format!("- &x\u{202e}y {A}")), A).as_deref(), Some("x\\u{202e}y"));
    }
}

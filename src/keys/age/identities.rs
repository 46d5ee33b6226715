//! The text of identity files.

use age_core::format::{FileKey, Stanza};

use super::passphrase::PassphraseFile;
use super::plugin::PluginIdentity;
#[cfg(feature = "age-ssh")]
use super::ssh::SshKey;
use super::x25519;
use crate::environment::Environment;
use crate::keys::{KeyPolicy, age_pq};
use crate::limits;
use crate::text::Printable;

/// One identity.
pub(super) enum Identity {
    /// `AGE-SECRET-KEY-1…`
    X25519(x25519::Identity),
    /// `AGE-SECRET-KEY-PQ-1…`
    Hybrid(Box<age_pq::Identity>),
    /// `AGE-PLUGIN-NAME-1…`
    Plugin(PluginIdentity),
    /// One of the others, with the comment above it in its file.
    Named(Box<Self>, Printable),
    /// A whole file of native identities, behind a passphrase.
    Passphrase(PassphraseFile),
    /// An SSH private key.
    #[cfg(feature = "age-ssh")]
    Ssh(Box<SshKey>),
}

/// What trying an identity costs beside time, from the cheapest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    Nothing,
    /// A program is started.
    Program,
    /// A person is asked.
    Person,
}

/// What an identity made of a header.
pub(super) enum Unwrapped {
    /// It opened a stanza.
    FileKey(FileKey),
    /// No stanza is for it.
    NoMatch,
    /// A stanza of its kind is malformed, or is for it but does not open.
    Damaged,
    /// It could not be tried, and why.
    Failed(Printable),
    /// It did not answer in time.
    TimedOut(Printable),
}

/// What identities need that start programs or ask people.
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    pub(super) policy: &'a KeyPolicy,
}

impl Identity {
    pub(super) fn effort(&self) -> Effort {
        match self {
            Self::X25519(_) | Self::Hybrid(_) => Effort::Nothing,
            Self::Plugin(_) => Effort::Program,
            Self::Named(identity, _) => identity.effort(),
            Self::Passphrase(_) => Effort::Person,
            #[cfg(feature = "age-ssh")]
            Self::Ssh(key) => key.effort(),
        }
    }

    /// Tries to unwrap the file key from any of a header's stanzas.
    pub(super) fn unwrap(&self, stanzas: &[Stanza], context: &Context<'_>) -> Unwrapped {
        match self {
            Self::X25519(identity) => age::Identity::unwrap_stanzas(identity, stanzas).into(),
            Self::Hybrid(identity) => age::Identity::unwrap_stanzas(identity.as_ref(), stanzas).into(),
            Self::Plugin(identity) => identity.unwrap(stanzas, context),
            Self::Named(identity, _) => identity.unwrap(stanzas, context),
            // Only native identities are in such a file: nobody is bothered in vain.
            Self::Passphrase(_) if !stanzas.iter().any(is_native) => Unwrapped::NoMatch,
            Self::Passphrase(file) => file.unwrap(stanzas, context),
            #[cfg(feature = "age-ssh")]
            Self::Ssh(key) => key.unwrap(stanzas, context),
        }
    }

    /// Public halves, for messages: none behind a passphrase that was not asked for; of a plugin its name.
    pub(super) fn public_halves(&self) -> Vec<String> {
        match self {
            Self::X25519(identity) => vec![identity.public_half()],
            Self::Hybrid(identity) => vec![identity.public_half()],
            Self::Plugin(identity) => vec![identity.program()],
            Self::Named(identity, _) => identity.public_halves(),
            Self::Passphrase(file) => file.public_halves(),
            #[cfg(feature = "age-ssh")]
            Self::Ssh(key) => vec![key.public_half()],
        }
    }
}

fn is_native(stanza: &Stanza) -> bool {
    stanza.tag == x25519::STANZA || stanza.tag == age_pq::STANZA
}

impl From<Option<Result<FileKey, age::DecryptError>>> for Unwrapped {
    fn from(unwrapped: Option<Result<FileKey, age::DecryptError>>) -> Self {
        match unwrapped {
            Some(Ok(file_key)) => Self::FileKey(file_key),
            Some(Err(_)) => Self::Damaged,
            None => Self::NoMatch,
        }
    }
}

/// Why a source of identities is of no use: a line and what it is. Never the line itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    line: usize,
    what: &'static str,
}

impl Malformed {
    pub(super) fn words(self) -> Printable {
        Printable::new(&format!("line {} {}", self.line, self.what))
    }
}

/// Reads identities: one a line, or several separated by blanks where `several` (only `SOPS_AGE_KEY`, since 3.13).
/// Empty lines and lines that begin with `#` are skipped. One bad line discards the whole source.
///
/// More is read than in sops, which refuses blanks around an identity and a byte order mark.
///
/// Source: getsops/sops v3.13, `age/keysource.go`, `parseIdentities`.
pub(super) fn parse(text: &[u8], several: bool) -> Result<Vec<Identity>, Malformed> {
    parse_with(text, several, |word| parse_one(word).ok_or_else(|| misplaced(word, several)))
}

/// Reads the content of a passphrase-protected file: native identities only, one a line.
pub(super) fn parse_native(text: &[u8]) -> Result<Vec<Identity>, Malformed> {
    parse_with(text, false, |word| match parse_one(word) {
        Some(identity @ (Identity::X25519(_) | Identity::Hybrid(_))) => Ok(identity),
        Some(_) => Err("is an identity of a plugin, which cannot stand in a protected file"),
        None => Err(misplaced(word, false)),
    })
}

fn parse_with(
    text: &[u8],
    several: bool,
    parse_one: impl Fn(&str) -> Result<Identity, &'static str>,
) -> Result<Vec<Identity>, Malformed> {
    let mut identities = Vec::new();
    let mut name = None;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        // sops stops reading at such a line without a word and keeps what came before.
        if line.len() > limits::KEY_LINE_BYTES {
            break;
        }
        let malformed = |what| Malformed { line: index.saturating_add(1), what };
        let line = std::str::from_utf8(line).map_err(|_| malformed("is not text"))?.trim();
        if let Some(comment) = line.strip_prefix('#') {
            name = name_in(comment).or(name);
            continue;
        }
        let words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        match several {
            true => {
                for word in words {
                    identities.push(parse_one(word).map_err(malformed)?);
                }
            }
            false if line.is_empty() => {}
            false => {
                let identity = parse_one(line).map_err(malformed)?;
                identities.push(match name.take() {
                    Some(name) => Identity::Named(Box::new(identity), name),
                    None => identity,
                });
            }
        }
    }
    Ok(identities)
}

/// The name in a comment, which is neither a line of age-keygen nor a key that was commented out.
fn name_in(comment: &str) -> Option<Printable> {
    let comment = comment.trim_start_matches('#').trim();
    let upper = comment.to_ascii_uppercase();
    let is_name = (1..=60).contains(&comment.chars().count())
        && comment.chars().any(char::is_alphanumeric)
        && !["CREATED:", "PUBLIC KEY:", "RECIPIENT:"].iter().any(|begin| upper.starts_with(begin))
        && !["AGE-", "-----", "://"].iter().any(|mark| upper.contains(mark));
    is_name.then(|| Printable::new(comment))
}

fn parse_one(text: &str) -> Option<Identity> {
    if text.starts_with("AGE-PLUGIN-") {
        PluginIdentity::parse(text).map(Identity::Plugin)
    } else if text.starts_with("AGE-SECRET-KEY-PQ-1") {
        age_pq::Identity::parse(text).map(|identity| Identity::Hybrid(Box::new(identity)))
    } else {
        text.starts_with("AGE-SECRET-KEY-1").then(|| x25519::Identity::parse(text).map(Identity::X25519))?
    }
}

/// Recognises what people put in place of an identity.
fn misplaced(text: &str, in_variable: bool) -> &'static str {
    const TABLE: &[(&str, &str)] = &[
        ("AGE-", "is a damaged identity (its checksum does not match)"),
        ("age1", "is a public key (age1...), not an identity (AGE-SECRET-KEY-1...)"),
        ("age-secret-key-", "is an identity in lower case, it must be in upper case"),
        ("ssh-", "is an SSH public key, not an identity"),
        ("-----BEGIN OPENSSH", "begins an SSH private key, which belongs in SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
        ("-----BEGIN RSA", "begins an SSH private key, which belongs in SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
        ("-----BEGIN PGP PRIVATE", "begins a PGP private key, not an age identity"),
        ("-----BEGIN PGP", "begins PGP data, not an age identity"),
        ("-----BEGIN", "begins a PEM block, not an age identity"),
        ("QUdFLVNFQ1JFVC1LRVkt", "is base64 of an identity, it must be decoded first"),
        ("IyBjcmVhdGVk", "is base64 of an identity file, it must be decoded first"),
        ("\"", "begins with a quotation mark"),
        ("'", "begins with a quotation mark"),
    ];
    if text.starts_with("AGE-") && text.contains(char::is_whitespace) {
        return "holds more than one identity, which only SOPS_AGE_KEY may";
    }
    if let Some((_, what)) = TABLE.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return what;
    }
    if text.contains("AGE-SECRET-KEY-") || text.contains("AGE-PLUGIN-") {
        return "has something before its identity";
    }
    if in_variable && (text.starts_with(['/', '~', '.']) || text.ends_with(".txt")) {
        return "is a path, which belongs in SOPS_AGE_KEY_FILE";
    }
    "is not an age identity"
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::age::secrecy::ExposeSecret;

    fn identity() -> (String, String) {
        let identity = age::x25519::Identity::generate();
        (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
    }

    fn publics(text: &str, several: bool) -> Result<Vec<String>, Malformed> {
        Ok(parse(text.as_bytes(), several)?.iter().flat_map(Identity::public_halves).collect())
    }

    #[test]
    fn reads_lines_comments_and_crlf() {
        let ((a, a_public), (b, b_public)) = (identity(), identity());
        let text = format!("\u{feff}# created: now\r\n# public key: {a_public}\r\n{a}\r\n\r\n  {b}\t\n#{b}");
        assert_eq!(publics(&text, false), Ok(vec![a_public, b_public]));
    }

    #[test]
    fn reads_several_on_a_line_only_where_allowed() {
        let ((a, a_public), (b, b_public)) = (identity(), identity());
        let text = format!("#x\n{a} \t{b}\u{3000}{a} # comment\n");
        assert_eq!(publics(&text, true), Ok(vec![a_public.clone(), b_public, a_public]));
        assert_eq!(publics(&text, false).map_err(|malformed| malformed.line), Err(2));
    }

    #[test]
    fn discards_a_source_with_a_bad_line_and_names_the_line() {
        let (a, _) = identity();
        for (bad, what) in [
            ("age1qqqq", "line 2 is a public key (age1...), not an identity (AGE-SECRET-KEY-1...)"),
            ("AGE-SECRET-KEY-1QQQQ", "line 2 is a damaged identity (its checksum does not match)"),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "line 2 begins a PGP private key, not an age identity"),
            (
                "AGE-SECRET-KEY-1QQ AGE-SECRET-KEY-1QQ",
                "line 2 holds more than one identity, which only SOPS_AGE_KEY may",
            ),
            ("\u{1}hello", "line 2 is not an age identity"),
            ("x AGE-SECRET-KEY-1", "line 2 has something before its identity"),
        ] {
            let malformed = publics(&format!("{a}\n{bad}\n"), false).unwrap_err();
            assert_eq!(malformed.words().as_str(), what);
        }
    }

    #[test]
    fn ends_at_a_line_that_sops_does_not_read() {
        let ((a, a_public), (b, _)) = (identity(), identity());
        let text = format!("{a}\n#{}\n{b}\n", "x".repeat(limits::KEY_LINE_BYTES));
        assert_eq!(publics(&text, false), Ok(vec![a_public]));
    }

    #[test]
    fn says_nothing_of_the_content() {
        let (a, _) = identity();
        for text in [format!("\"{a}\""), format!("KEY={a}"), a.to_lowercase(), format!("{a}X")] {
            let words = publics(&text, false).unwrap_err().words();
            assert!(!words.as_str().to_uppercase().contains(a.trim_start_matches("AGE-SECRET-KEY-1")));
        }
    }
}

//! The real sops and us, asked about the same text.

use std::collections::HashMap;
use std::sync::Mutex;

use unsops::keys::Keyring;
use unsops::secret::SecretBytes;
use unsops::sops::store::{emit_plain, load_plain};
use unsops::sops::{
    self, Attempt, Cleartext, Format, KeyGroup, KeyService, KeyShare, MasterKey, Reading, Refusal, RefusedKey,
    ShareRequest, SopsError,
};

use super::differences;
use crate::oracle::{Answer, Oracle};

/// Both programs.
pub struct Pair<'env> {
    pub oracle: Oracle,
    keys: Remembered<'env>,
}

/// A text, and what both made of it.
pub struct Case<'a> {
    pub format: Format,
    pub text: &'a [u8],
    /// Whether the text was decrypted; else it was only read and printed.
    pub is_file: bool,
    pub ours: Ours,
    pub theirs: &'a Answer,
}

/// What we make of a text: plaintext and how the file was read; or why not.
pub type Ours = Result<(Vec<u8>, Reading), OurRefusal>;

/// Why we refuse a text.
pub struct OurRefusal {
    /// `format`, `integrity`, `key`, `print`
    pub kind: &'static str,
    pub message: String,
}

/// What comes of comparing.
pub enum Verdict {
    /// The same plaintext.
    Same,
    /// Both refuse; ours and theirs, without values.
    Refused(String),
    /// They differ, as the row of this name in `differences.md` says.
    Listed(&'static str),
    /// They differ, and nobody knew.
    Finding {
        /// Findings of the same kind are shown once.
        kind: String,
        reason: String,
    },
}

impl<'env> Pair<'env> {
    pub fn new(oracle: Oracle, keyring: Keyring<'env>) -> Self {
        Self { oracle, keys: Remembered { keyring, known: Mutex::default() } }
    }

    /// An encrypted file, opened.
    pub fn open(&self, format: Format, file: &[u8]) -> Result<Cleartext, SopsError> {
        sops::decrypt(file, format, &self.keys)
    }

    /// What we make of an encrypted file.
    pub fn decrypt(&self, format: Format, file: &[u8]) -> Ours {
        match self.open(format, file) {
            Ok(cleartext) => match cleartext.text() {
                Ok(text) => Ok((text.into_owned().into_exposed(), cleartext.reading())),
                Err(reason) => Err(OurRefusal { kind: "print", message: reason.to_owned() }),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// What our reader and printer make of a text that is not encrypted.
    pub fn print(&self, format: Format, text: &[u8]) -> Ours {
        let tree = load_plain(format, text)?;
        match emit_plain(format, &tree) {
            Ok(text) => Ok((text.into_exposed(), Reading::Current)),
            Err(reason) => Err(OurRefusal { kind: "print", message: reason.to_owned() }),
        }
    }

    /// Compares what both make of an encrypted file.
    pub fn judge_file(&mut self, format: Format, file: &[u8], theirs: &Answer) -> Verdict {
        let ours = self.decrypt(format, file);
        self.judge(&Case { format, text: file, is_file: true, ours, theirs })
    }

    /// Compares what both make of a text that is not encrypted.
    pub fn judge_text(&mut self, format: Format, text: &[u8], theirs: &Answer) -> Verdict {
        let ours = self.print(format, text);
        self.judge(&Case { format, text, is_file: false, ours, theirs })
    }

    fn judge(&mut self, case: &Case<'_>) -> Verdict {
        let (kind, reason) = match (&case.ours, case.theirs) {
            (Ok((ours, _)), Ok(theirs)) if ours == theirs => return Verdict::Same,
            (Err(ours), Err(theirs)) => return Verdict::Refused(format!("{} / {}", ours.class(), class(theirs))),
            (Ok((ours, _)), Ok(theirs)) => ("other bytes".to_owned(), side_by_side(ours, theirs)),
            (Err(ours), Ok(theirs)) => {
                let theirs = String::from_utf8_lossy(theirs);
                (
                    format!("only we refuse: {}", ours.class()),
                    format!("{}: {}\ntheirs: {theirs:?}", ours.kind, ours.message),
                )
            }
            (Ok((ours, reading)), Err(theirs)) => {
                let ours = String::from_utf8_lossy(ours);
                (format!("only sops refuses: {}", class(theirs)), format!("{theirs}\nours ({reading:?}): {ours:?}"))
            }
        };
        match differences::recognise(self, case) {
            Some(name) => Verdict::Listed(name),
            None => Verdict::Finding { kind: format!("{} {kind}", case.format.name()), reason },
        }
    }
}

impl From<SopsError> for OurRefusal {
    fn from(error: SopsError) -> Self {
        let kind = match error {
            SopsError::Format { .. } => "format",
            SopsError::Integrity { .. } => "integrity",
            SopsError::Key(_) => "key",
        };
        Self { kind, message: error.to_string() }
    }
}

impl OurRefusal {
    fn class(&self) -> String {
        format!("{}: {}", self.kind, class(&self.message))
    }
}

/// A keyring that is asked only once about each wrapped share.
struct Remembered<'env> {
    keyring: Keyring<'env>,
    known: Mutex<HashMap<String, Result<Vec<u8>, Refusal>>>,
}

impl Remembered<'_> {
    fn share(&self, key: &MasterKey) -> Result<KeyShare, Refusal> {
        let MasterKey::Age { enc, .. } = key else {
            return Err(Refusal::NotMine(unsops::text::Printable::new("no such key service here")));
        };
        let mut known = self.known.lock().expect("no panic before");
        let answer = known.entry(enc.clone()).or_insert_with(|| {
            let groups = [KeyGroup(vec![key.clone()])];
            let mut attempt = self.keyring.open(&ShareRequest { groups: &groups, needed: 1, identities: None });
            match (attempt.shares.pop(), attempt.refused.pop()) {
                (Some((_, KeyShare(share))), _) => Ok(share.expose().clone()),
                (None, Some(refused)) => Err(refused.refusal),
                (None, None) => Err(Refusal::NotMine(unsops::text::Printable::new("nothing said"))),
            }
        });
        answer.clone().map(|share| KeyShare(SecretBytes::new(share)))
    }
}

impl KeyService for Remembered<'_> {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let mut attempt = Attempt::default();
        for (group, KeyGroup(keys)) in request.groups.iter().enumerate() {
            if attempt.shares.len() == request.needed {
                break;
            }
            for key in keys {
                match self.share(key) {
                    Ok(share) => {
                        attempt.shares.push((group, share));
                        break;
                    }
                    Err(refusal) => {
                        let key = sops::data_key::display_name(key);
                        attempt.refused.push(RefusedKey { group, key, refusal, hint: None });
                    }
                }
            }
        }
        attempt
    }
}

/// Both texts, escaped.
pub fn side_by_side(ours: &[u8], theirs: &[u8]) -> String {
    format!("ours:   {:?}\ntheirs: {:?}", String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs))
}

/// A class of messages: without quoted values and numbers.
pub fn class(message: &str) -> String {
    const BEFORE_VALUES: &[&str] = &[
        "Input string",
        "input line",
        "not found: ",
        "key name: ",
        "key quote",
        "section: ",
        "parsing time",
        "delimiter",
    ];
    // `value a.b: REASON` of ours.
    let message = match message.strip_prefix("value ") {
        Some(rest) => rest.split_once(": ").map_or(message, |(_, reason)| reason),
        None => message,
    };
    let end = BEFORE_VALUES.iter().filter_map(|before| Some(message.find(before)? + before.len())).min();
    let message = end.and_then(|end| message.get(..end)).unwrap_or(message);
    let message: String = message.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let mut out = String::new();
    for (index, part) in message.split(['"', '\'', '`']).enumerate() {
        out.push_str(if index % 2 == 0 { part } else { "…" });
    }
    while out.contains("00") {
        out = out.replace("00", "0");
    }
    out.lines().next().unwrap_or_default().chars().take(90).collect()
}

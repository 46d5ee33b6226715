//! A look at a SOPS file without any key: whom it is encrypted for, by which rule, and what stands at each place.
//!
//! Nothing here is verified, since only a key can verify it: anyone may have written the metadata. Plain values stay in
//! the tree and are never copied into what a [`Leaf`] says.

use sha2::{Digest, Sha256};

use super::Reading;
use super::SopsError;
use super::cipher::{EncryptedValue, Kind};
use super::metadata::Metadata;
use super::place::{Path, Step};
use super::rules::{Budget, Rules, Scope, TooCostly};
use super::store::{self, Document, Format};
use super::tree::{Branch, Comment, Item, Tree, Value};
use crate::text::Printable;
use crate::yaml::Position;

/// What every file that sops wrote holds at least once: the MAC is such a token.
const TOKEN_BEGIN: &[u8] = b"ENC[AES256_GCM,";

/// A SOPS file as it lies there. No `Debug`: the tree holds the plain values of partly encrypted files.
pub struct Inspection {
    /// The format in which it was read.
    pub format: Format,
    /// The `sops` stanza.
    pub metadata: Metadata,
    /// The content, still encrypted.
    pub tree: Tree,
}

/// A value or comment of the file, without its text.
pub struct Leaf<'a> {
    path: &'a Path<'a>,
    decided_by: Option<&'a Path<'a>>,
    /// The YAML document that it stands in, from 0.
    pub document: usize,
    /// Whether it is a comment. An encrypted comment of a list is a value of [`Kind::Comment`] in the file.
    pub is_comment: bool,
    /// What stands there.
    pub found: Found,
    /// Whether the file's own rule says that it is encrypted.
    pub should_be_encrypted: bool,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An empty text, comment or collection, or null: sops leaves it as it is.
    Empty,
    /// A well-formed token.
    Encrypted(Token),
    /// It begins like a token, but is none; fixed words say why.
    Malformed(&'static str),
    /// Something in clear.
    Plain,
}

/// What a token shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The declared type; not authenticated.
    pub kind: Kind,
    /// Bytes of ciphertext, as many as the plaintext has.
    pub length: usize,
    /// SHA-256 of the token: the same until the value is encrypted anew, and nothing that depends on the plaintext
    /// alone. For placeholders that change with the value.
    pub seed: [u8; 32],
}

/// What a leaf's state and the rule come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the rule says.
    AsRuled,
    /// In clear or not a token, though the rule says encrypted: sops refuses such a file. A comment is left as it is.
    LeftInClear,
    /// A token, though the rule says in clear: sops would pass the token on as if it were the value.
    NeverDecrypted,
}

/// The place of a value or comment for whoever replaces it.
pub enum Slot<'a> {
    /// A comment of a mapping.
    Comment(&'a mut Comment),
    /// A value, or a comment of a list ([`Value::Comment`]).
    Value(&'a mut Value),
}

/// Whether a text may be a SOPS file at all: one search, for walks through directories.
pub fn may_be_sops(text: &[u8]) -> bool {
    // `memchr` without the crate: the first byte is rare enough in text.
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'[') {
        let (before, after) = rest.split_at_checked(at).unwrap_or_default();
        if before.ends_with(b"ENC") && after.starts_with(TOKEN_BEGIN.get(3..).unwrap_or_default()) {
            return true;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    false
}

/// Looks at a file in the format that its name asks for.
///
/// # Errors
/// As [`store::load`].
pub fn inspect(format: Format, file: &[u8]) -> Result<Inspection, SopsError> {
    let Document { tree, metadata } = store::load(format, file, Reading::Current)?;
    Ok(Inspection { format, metadata, tree })
}

/// As [`inspect`], but where the content is a SOPS file of another format than its name says (sops was given
/// `--input-type`), it is read in that one: `Inspection::format` differs from `format` then.
///
/// # Errors
/// As [`store::load`] in the format that the name asks for.
pub fn inspect_any(format: Format, file: &[u8]) -> Result<Inspection, SopsError> {
    inspect(format, file).or_else(|error| match store::guess(file).filter(|&other| other != format) {
        Some(other) => inspect(other, file).map_err(|_| error),
        None => Err(error),
    })
}

impl Inspection {
    /// Shows every value and comment to `visit`, in the order of the file. What is in its slot may be replaced.
    ///
    /// Containers are not shown, unless they are empty.
    ///
    /// # Errors
    /// [`SopsError::Format`]: the regular expression of the rule would take too long on this file.
    pub fn walk(&mut self, visit: &mut dyn FnMut(&Leaf<'_>, Slot<'_>)) -> Result<(), SopsError> {
        let rules = &self.metadata.rules;
        let mut walker = Walker { budget: Budget::default(), document: 0, rules, visit };
        for (index, document) in self.tree.documents.iter_mut().enumerate() {
            walker.document = index;
            walker.branch(document, &Path::ROOT, None, &rules.root())?;
        }
        Ok(())
    }
}

impl Leaf<'_> {
    /// `spec.env[2].name`, cut to the length of a message; of a comment, what it stands in. Empty at the top.
    pub fn name(&self) -> Printable {
        self.path.name()
    }

    /// The keys and indexes from the top of the document; of a comment, those of what it stands in.
    pub fn steps(&self) -> Vec<Step<'_>> {
        self.path.steps()
    }

    /// Where the value begins; of list elements and comments, where the entry that they are in has its value.
    pub fn position(&self) -> Position {
        self.path.position
    }

    /// The path up to the key that met the rule's condition; `None` where none did, or where a comment did.
    pub fn decided_by(&self) -> Option<Printable> {
        self.decided_by.map(Path::name)
    }

    /// Holds what was found against the rule.
    pub fn verdict(&self) -> Verdict {
        match (&self.found, self.should_be_encrypted) {
            (Found::Malformed(_) | Found::Plain, true) => Verdict::LeftInClear,
            (Found::Encrypted(_), false) => Verdict::NeverDecrypted,
            _ => Verdict::AsRuled,
        }
    }
}

impl Found {
    fn in_text(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::Empty;
        }
        match EncryptedValue::parse(text) {
            Ok(token) => {
                let seed = Sha256::new().chain_update(b"unsops token\0").chain_update(text).finalize().into();
                Self::Encrypted(Token { kind: token.kind(), length: token.size_bytes(), seed })
            }
            Err(reason) if text.starts_with(TOKEN_BEGIN) => Self::Malformed(reason),
            Err(_) => Self::Plain,
        }
    }
}

struct Walker<'r, 'v> {
    budget: Budget,
    document: usize,
    rules: &'r Rules,
    visit: &'v mut dyn FnMut(&Leaf<'_>, Slot<'_>),
}

// The same walk as `open`, which decrypts; the two are compared by a test.
impl Walker<'_, '_> {
    fn branch(
        &mut self,
        branch: &mut Branch,
        path: &Path<'_>,
        decided_by: Option<&Path<'_>>,
        outer: &Scope,
    ) -> Result<(), SopsError> {
        let mut scope = self.rules.enter(outer);
        for item in &mut branch.items {
            match item {
                Item::Comment(comment) => self.comment(comment, path, decided_by, &mut scope)?,
                Item::Entry(entry) => {
                    let path = path.below(Step::Key(&entry.key), Some(entry.position))?;
                    let at_key = self
                        .rules
                        .at_key(&scope, &entry.key, &mut self.budget)
                        .map_err(|TooCostly| path.too_costly())?;
                    let decided_by = decided_by.or((at_key.is_met() && !scope.is_met()).then_some(&path));
                    self.value(&mut entry.value, &path, decided_by, &at_key)?;
                    self.rules.forget_comments(&mut scope);
                }
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &mut Value,
        path: &Path<'_>,
        decided_by: Option<&Path<'_>>,
        scope: &Scope,
    ) -> Result<(), SopsError> {
        let found = match value {
            Value::Branch(branch) if !branch.items.is_empty() => return self.branch(branch, path, decided_by, scope),
            Value::List(list) if !list.is_empty() => return self.list(list, path, decided_by, scope),
            Value::Branch(_) | Value::List(_) | Value::Null => Found::Empty,
            Value::Str(text) => Found::in_text(text.expose()),
            Value::Bool(_) | Value::Comment(_) | Value::Float(_) | Value::Int(_) | Value::Time(_) => Found::Plain,
        };
        let should_be_encrypted = self.rules.encrypts_value(scope);
        let leaf = Leaf { path, decided_by, document: self.document, is_comment: false, found, should_be_encrypted };
        (self.visit)(&leaf, Slot::Value(value));
        Ok(())
    }

    fn list(
        &mut self,
        list: &mut [Value],
        path: &Path<'_>,
        decided_by: Option<&Path<'_>>,
        outer: &Scope,
    ) -> Result<(), SopsError> {
        let mut scope = self.rules.enter(outer);
        for (index, element) in list.iter_mut().enumerate() {
            let path = path.below(Step::Index(index), None)?;
            if let Value::Comment(comment) = element {
                let (found, should_be_encrypted) = self.look_at_comment(comment, &path, &mut scope)?;
                let document = self.document;
                let leaf = Leaf { path: &path, decided_by, document, is_comment: true, found, should_be_encrypted };
                (self.visit)(&leaf, Slot::Value(element));
            } else {
                self.value(element, &path, decided_by, &scope)?;
                self.rules.forget_comments(&mut scope);
            }
        }
        Ok(())
    }

    fn comment(
        &mut self,
        comment: &mut Comment,
        path: &Path<'_>,
        decided_by: Option<&Path<'_>>,
        scope: &mut Scope,
    ) -> Result<(), SopsError> {
        let (found, should_be_encrypted) = self.look_at_comment(comment, path, scope)?;
        let leaf = Leaf { path, decided_by, document: self.document, is_comment: true, found, should_be_encrypted };
        (self.visit)(&leaf, Slot::Comment(comment));
        Ok(())
    }

    fn look_at_comment(
        &mut self,
        comment: &Comment,
        path: &Path<'_>,
        scope: &mut Scope,
    ) -> Result<(Found, bool), SopsError> {
        let text = comment.text.expose();
        self.rules.note_comment(scope, text, &mut self.budget).map_err(|TooCostly| path.too_costly())?;
        Ok((Found::in_text(text), self.rules.encrypts_comment(scope)))
    }
}

#[cfg(test)]
#[path = "inspect/tests.rs"]
mod tests;

//! The walk through an encrypted tree: decrypts what the rules say is encrypted and hashes what the MAC covers.
//!
//! Source: getsops/sops v3.13, `sops.go`, `Tree.Decrypt`, `walkBranch`, `walkSlice`.

use super::SopsError;
use super::cipher::{CipherError, Unseal};
use super::mac::{ComputedMac, MacHash};
use super::metadata::Metadata;
use super::place::{Path, Step};
use super::rules::{Budget, Rules, Scope, TooCostly};
use super::tree::{Branch, Comment, Item, Tree, Value};
use crate::secret::Secret;

/// Decrypts a tree in place and computes its MAC. Nothing of it is verified yet. With another [`Unseal`] than a cipher,
/// what the rules say is encrypted is replaced by what that gives, and the MAC means nothing.
///
/// # Errors
/// [`SopsError::Integrity`] for a value that does not authenticate, [`SopsError::Format`] for one that is not
/// encrypted though the rules say so; both with its key path.
pub(super) fn open(tree: &mut Tree, cipher: &dyn Unseal, metadata: &Metadata) -> Result<ComputedMac, SopsError> {
    let rules = &metadata.rules;
    let mut opener = Opener {
        additional: Vec::new(),
        budget: Budget::default(),
        cipher,
        hash: MacHash::new(metadata.mac_only_encrypted),
        is_only_encrypted: metadata.mac_only_encrypted,
        rules,
    };
    // Documents share one MAC, and each begins at the empty path.
    for document in &mut tree.documents {
        opener.branch(document, &Path::ROOT, &rules.root())?;
    }
    Ok(opener.hash.finish())
}

struct Opener<'a> {
    /// Every key on the way to the current value, each with `:` after it.
    additional: Vec<u8>,
    budget: Budget,
    cipher: &'a dyn Unseal,
    hash: MacHash,
    is_only_encrypted: bool,
    rules: &'a Rules,
}

impl Opener<'_> {
    fn branch(&mut self, branch: &mut Branch, path: &Path<'_>, outer: &Scope) -> Result<(), SopsError> {
        let mut scope = self.rules.enter(outer);
        for item in &mut branch.items {
            match item {
                Item::Comment(comment) => self.comment(comment, path, &mut scope)?,
                Item::Entry(entry) => {
                    let path = path.below(Step::Key(&entry.key), Some(entry.position))?;
                    let at_key = self
                        .rules
                        .at_key(&scope, &entry.key, &mut self.budget)
                        .map_err(|TooCostly| path.too_costly())?;
                    let length = self.additional.len();
                    self.additional.extend_from_slice(entry.key.as_bytes());
                    self.additional.push(b':');
                    self.value(&mut entry.value, &path, &at_key)?;
                    self.additional.truncate(length);
                    if matches!(entry.value, Value::Comment(_)) {
                        // `type:str` edited to `type:comment` would hide the value from the MAC.
                        return Err(path.tampered("a comment stands in the place of a value: its type was changed"));
                    }
                    self.rules.forget_comments(&mut scope);
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, list: &mut [Value], path: &Path<'_>, outer: &Scope) -> Result<(), SopsError> {
        let mut scope = self.rules.enter(outer);
        for (index, element) in list.iter_mut().enumerate() {
            let path = path.below(Step::Index(index), None)?;
            if let Value::Comment(comment) = element {
                self.comment(comment, &path, &mut scope)?;
                if comment.text.expose().is_empty() && self.rules.encrypts_comment(&scope) {
                    // sops decrypts an empty comment of a list to an empty string: `sops -d` prints an element `""`.
                    *element = Value::Str(Secret::new(Vec::new()));
                }
            } else {
                // An encrypted comment of a list stands there as a string, and counts as a value.
                self.value(element, &path, &scope)?;
                self.rules.forget_comments(&mut scope);
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Value, path: &Path<'_>, scope: &Scope) -> Result<(), SopsError> {
        match value {
            Value::Branch(branch) => return self.branch(branch, path, scope),
            Value::List(list) => return self.list(list, path, scope),
            Value::Null => return Ok(()),
            _ => {}
        }
        let is_encrypted = self.rules.encrypts_value(scope);
        if is_encrypted {
            let Value::Str(token) = value else { return Err(path.not_encrypted()) };
            // sops leaves an empty string as it is.
            if !token.expose().is_empty() {
                let is_token = token.expose().starts_with(b"ENC[");
                let token = std::mem::replace(token, Secret::new(Vec::new())).into_exposed();
                *value =
                    self.cipher.unseal_owned(token, additional(&self.additional)).map_err(|error| match error {
                        CipherError::Malformed(_) if !is_token => path.not_encrypted(),
                        CipherError::Malformed(reason) => path.malformed(reason),
                        CipherError::Tampered(reason) => path.tampered(reason),
                    })?;
            }
        }
        if is_encrypted || !self.is_only_encrypted {
            self.hash.add(value);
        }
        Ok(())
    }

    fn comment(&mut self, comment: &mut Comment, path: &Path<'_>, scope: &mut Scope) -> Result<(), SopsError> {
        self.rules
            .note_comment(scope, comment.text.expose(), &mut self.budget)
            .map_err(|TooCostly| path.too_costly())?;
        if !self.rules.encrypts_comment(scope) || comment.text.expose().is_empty() {
            return Ok(());
        }
        match self.cipher.unseal(comment.text.expose(), additional(&self.additional)) {
            Ok(Value::Comment(opened)) => *comment = opened,
            Ok(_) => return Err(path.tampered("a value stands in the place of a comment: its type was changed")),
            // Written by hand, or by sops before 3.0: kept as it stands.
            Err(_) => {}
        }
        Ok(())
    }
}

/// Additional data of a value: at the root, where only comments are, it is a lone `:`.
fn additional(path: &[u8]) -> &[u8] {
    if path.is_empty() { b":" } else { path }
}

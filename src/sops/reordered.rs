//! Copies of encrypted files whose order was lost: kustomize sorts keys, renames, adds labels. Their MAC, which covers
//! every value in order, cannot be computed any more.
//!
//! A [`Witness`] is a file whose MAC was verified, kept together with its ciphertext. A copy is opened by taking the
//! witness' plaintext for every token that the copy has at the same place, and only if it has no other.

use std::collections::HashMap;

use super::cipher::{Cipher, EncryptedValue};
use super::cleartext::Cleartext;
use super::data_key::{self, KeyService};
use super::mac::{MacVerified, Pair, Unordered};
use super::store::{self, Document, Format};
use super::tree::{Branch, Comment, Item, Value};
use super::{Reading, SopsError};
use crate::limits;
use crate::text::Printable;

/// A verified file and its ciphertext.
pub struct Witness {
    cleartext: Cleartext,
    mac: String,
    /// One per document of the file.
    tokens: Vec<Tokens>,
    /// The document that each token stands in. No two are the same: each has its own random IV.
    documents: HashMap<Vec<u8>, usize>,
}

/// Encrypted values by place; `None` where a place is there twice. Of each the token, and the way to its plaintext.
type Tokens = HashMap<Vec<u8>, Option<(Vec<u8>, Way)>>;

/// Indices from the document to a value.
type Way = Vec<usize>;

/// Why a copy is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is a copy of another file.
    OtherFile,
    /// A value is not the one that the file has at this place.
    Value,
}

impl Witness {
    /// Decrypts and verifies a file.
    ///
    /// # Errors
    /// As [`super::decrypt`].
    pub fn open(file: &[u8], format: Format, keys: &dyn KeyService) -> Result<Self, SopsError> {
        let cleartext = super::decrypt(file, format, keys)?;
        let Document { tree, metadata } = store::load(format, file, cleartext.reading())?;
        let tokens: Vec<Tokens> = tree.documents.iter().map(tokens_of).collect();
        let documents = tokens
            .iter()
            .enumerate()
            .flat_map(|(index, tokens)| tokens.values().flatten().map(move |(token, _)| (token.clone(), index)))
            .collect();
        Ok(Self { cleartext, mac: metadata.mac, tokens, documents })
    }

    /// The file's MAC, as it stands there.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// Opens a copy of one of the file's documents. Encrypted comments of the copy are dropped.
    ///
    /// # Errors
    /// See [`Mismatch`].
    pub fn open_copy(&self, copy: Document) -> Result<Cleartext, Mismatch> {
        let Document { mut tree, metadata } = copy;
        if metadata.mac != self.mac {
            return Err(Mismatch::OtherFile);
        }
        let found: Tokens = match tree.documents.as_slice() {
            [document] => tokens_of(document),
            _ => return Err(Mismatch::OtherFile),
        };
        // A copy from which every encrypted value was taken is one of any document.
        let index = match found.values().next() {
            Some(token) => token.as_ref().and_then(|(token, _)| self.documents.get(token)).ok_or(Mismatch::Value)?,
            None => &0,
        };
        let original = self.tokens.get(*index).ok_or(Mismatch::Value)?;
        let plain = self.cleartext.tree().documents.get(*index).ok_or(Mismatch::Value)?;
        let mac = Pair { copied: metadata.mac.as_bytes(), original: Some(self.mac.as_bytes()) };
        let values = found.iter().map(|(place, token)| Pair {
            // A place that is there twice is never equal.
            copied: token.as_ref().map_or(&[][..], |(token, _)| token),
            original: original.get(place).and_then(Option::as_ref).map(|(token, _)| token.as_slice()),
        });
        let proof = MacVerified::of_copy(self.cleartext.proof(), std::iter::once(mac).chain(values));
        let proof = proof.ok_or(Mismatch::Value)?;
        for document in &mut tree.documents {
            replace(document, &|place: &[u8]| value_at(plain, &original.get(place)?.as_ref()?.1));
        }
        Ok(Cleartext::new(tree, Format::Yaml, Reading::Current, proof))
    }
}

/// Opens a copy without its file, because the operator accepts that: every token by itself.
///
/// # Errors
/// No key opens it, or a value does not authenticate at its place.
pub fn open_unordered(copy: Document, keys: &dyn KeyService, accepted: &Unordered) -> Result<Cleartext, SopsError> {
    let Document { mut tree, metadata } = copy;
    let cipher = Cipher::new(&data_key::recover(&metadata, keys)?.key);
    for document in &mut tree.documents {
        open_branch(document, &cipher, &mut Vec::new())?;
    }
    Ok(Cleartext::new(tree, Format::Yaml, Reading::Current, MacVerified::waived(accepted)))
}

fn open_branch(branch: &mut Branch, cipher: &Cipher, additional: &mut Vec<u8>) -> Result<(), SopsError> {
    branch.items.retain(|item| !is_encrypted_comment(item));
    for item in &mut branch.items {
        let Item::Entry(entry) = item else { continue };
        let length = additional.len();
        additional.extend_from_slice(entry.key.as_bytes());
        additional.push(b':');
        open_value(&mut entry.value, cipher, additional, &Printable::new(&entry.key))?;
        additional.truncate(length);
    }
    Ok(())
}

fn open_value(value: &mut Value, cipher: &Cipher, additional: &mut Vec<u8>, name: &Printable) -> Result<(), SopsError> {
    match value {
        Value::Branch(branch) => open_branch(branch, cipher, additional)?,
        Value::List(list) => list.iter_mut().try_for_each(|item| open_value(item, cipher, additional, name))?,
        Value::Str(token) if is_token(token.expose()) => {
            *value = match cipher.open(token.expose(), additional) {
                Ok(Value::Comment(_)) | Err(_) => {
                    let reason = "does not decrypt: it was changed, moved, or encrypted with another key";
                    return Err(SopsError::Integrity { reason, position: None, path: Some(name.clone()) });
                }
                Ok(opened) => opened,
            };
        }
        _ => {}
    }
    Ok(())
}

/// The tokens of a document by place.
fn tokens_of(document: &Branch) -> Tokens {
    let mut tokens = Tokens::new();
    collect_branch(document, &mut Vec::new(), &mut Vec::new(), &mut tokens);
    tokens
}

fn collect_branch(branch: &Branch, place: &mut Vec<u8>, way: &mut Way, tokens: &mut Tokens) {
    for (index, item) in branch.items.iter().enumerate() {
        if let Item::Entry(entry) = item {
            let length = push_key(place, &entry.key);
            way.push(index);
            collect(&entry.value, place, way, tokens);
            way.pop();
            place.truncate(length);
        }
    }
}

fn collect(value: &Value, place: &mut Vec<u8>, way: &mut Way, tokens: &mut Tokens) {
    match value {
        Value::Branch(branch) => collect_branch(branch, place, way, tokens),
        Value::List(list) => {
            let mut number = 0;
            for (index, item) in list.iter().enumerate() {
                if matches!(item, Value::Comment(_)) {
                    continue;
                }
                let length = push_index(place, number);
                number += 1;
                way.push(index);
                collect(item, place, way, tokens);
                way.pop();
                place.truncate(length);
            }
        }
        Value::Str(token) if is_token(token.expose()) => {
            tokens
                .entry(place.clone())
                .and_modify(|token| *token = None)
                .or_insert_with(|| Some((token.expose().clone(), way.clone())));
        }
        _ => {}
    }
}

/// Puts plaintext in the place of tokens.
fn replace<'p>(branch: &mut Branch, take: &impl Fn(&[u8]) -> Option<&'p Value>) {
    replace_branch(branch, &mut Vec::new(), take);
}

fn replace_branch<'p>(branch: &mut Branch, place: &mut Vec<u8>, take: &impl Fn(&[u8]) -> Option<&'p Value>) {
    branch.items.retain(|item| !is_encrypted_comment(item));
    for item in &mut branch.items {
        if let Item::Entry(entry) = item {
            let length = push_key(place, &entry.key);
            replace_value(&mut entry.value, place, take);
            place.truncate(length);
        }
    }
}

fn replace_value<'p>(value: &mut Value, place: &mut Vec<u8>, take: &impl Fn(&[u8]) -> Option<&'p Value>) {
    match value {
        Value::Branch(branch) => replace_branch(branch, place, take),
        Value::List(list) => {
            list.retain(|item| !matches!(item, Value::Comment(_)));
            for (number, item) in list.iter_mut().enumerate() {
                let length = push_index(place, number);
                replace_value(item, place, take);
                place.truncate(length);
            }
            // An encrypted comment of a list stood there as a string.
            list.retain(|item| !matches!(item, Value::Comment(_)));
        }
        Value::Str(token) if is_token(token.expose()) => {
            if let Some(plain) = take(place).and_then(leaf) {
                *value = plain;
            }
        }
        _ => {}
    }
}

fn value_at<'t>(document: &'t Branch, way: &[usize]) -> Option<&'t Value> {
    let (first, rest) = way.split_first()?;
    let Some(Item::Entry(entry)) = document.items.get(*first) else { return None };
    let mut value = &entry.value;
    for index in rest {
        value = match value {
            Value::Branch(branch) => match branch.items.get(*index)? {
                Item::Entry(entry) => &entry.value,
                Item::Comment(_) => return None,
            },
            Value::List(list) => list.get(*index)?,
            _ => return None,
        };
    }
    Some(value)
}

/// A copy of a leaf; containers do not come out of a token.
fn leaf(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(value) => Value::Bool(*value),
        Value::Comment(comment) => {
            Value::Comment(Comment { text: comment.text.duplicate(), is_inline: comment.is_inline })
        }
        Value::Float(value) => Value::Float(*value),
        Value::Int(value) => Value::Int(*value),
        Value::Null => Value::Null,
        Value::Str(text) => Value::Str(text.duplicate()),
        Value::Time(time) => Value::Time(*time),
        Value::Branch(_) | Value::List(_) => return None,
    })
}

fn is_token(text: &[u8]) -> bool {
    EncryptedValue::parse(text).is_ok()
}

fn is_encrypted_comment(item: &Item) -> bool {
    matches!(item, Item::Comment(comment) if comment.text.expose().trim_ascii().starts_with(b"ENC["))
}

/// A key with its length, so that no two places look the same. Gives the length before.
fn push_key(place: &mut Vec<u8>, key: &str) -> usize {
    let length = place.len();
    place.push(b'k');
    place.extend_from_slice(&(key.len() as u64).to_be_bytes());
    place.extend_from_slice(key.as_bytes());
    length
}

fn push_index(place: &mut Vec<u8>, index: usize) -> usize {
    let length = place.len();
    place.push(b'i');
    place.extend_from_slice(&(index as u64).to_be_bytes());
    length
}

/// Documents are read no deeper than [`limits::NESTING`], which bounds every walk here.
const _: () = assert!(limits::NESTING < 1000);

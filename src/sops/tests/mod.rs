//! Trees from ciphertext to proof: what the real sops wrote, what a writer of our own makes, and what an attacker
//! would change.

mod integrity;
mod key_groups;
mod readings;
mod redacted;
mod reordered;
mod stanza;
mod vectors;

use super::cipher::Cipher;
use super::data_key::{self, KeyService};
use super::mac::StoredMac;
use super::test_encryptor::*;
use super::tree::{Tree, Value};
use super::{Metadata, SopsError, open};

const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

/// What `decrypt` does after the store has read the file.
fn decrypt_tree(mut tree: Tree, keys: &dyn KeyService) -> Result<Tree, SopsError> {
    let metadata = Metadata::take_nested(&mut tree)?;
    let recovered = data_key::recover(&metadata, keys)?;
    verify_tree(tree, &metadata, &Cipher::new(&recovered.key))
}

fn verify_tree(mut tree: Tree, metadata: &Metadata, cipher: &Cipher) -> Result<Tree, SopsError> {
    let stored = StoredMac::open(metadata, cipher)?;
    let computed = open::open(&mut tree, cipher, metadata)?;
    match computed.verify(&stored) {
        Some(_) => Ok(tree),
        None => Err(SopsError::Integrity { reason: super::MISMATCH, position: None, path: None }),
    }
}

/// The exit code of the class.
fn code<T>(result: &Result<T, SopsError>) -> u8 {
    match result {
        Ok(_) => 0,
        Err(SopsError::Format { .. }) => 5,
        Err(SopsError::Key(_)) => 6,
        Err(SopsError::Integrity { .. }) => 7,
    }
}

/// The error's text; a test that wants one has no use for the value.
fn error<T>(result: Result<T, SopsError>) -> String {
    match result {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

/// A tree as JSON, types and bytes kept apart: the notation of `testdata/vectors.jsonl`.
fn to_json(tree: &Tree) -> serde_json::Value {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    fn branch(branch: &super::tree::Branch) -> serde_json::Value {
        let items: Vec<_> = branch
            .items
            .iter()
            .map(|item| match item {
                super::tree::Item::Comment(comment) => json!([null, STANDARD.encode(comment.text.expose())]),
                super::tree::Item::Entry(entry) => json!([entry.key, value(&entry.value)]),
            })
            .collect();
        json!({ "m": items })
    }
    fn value(value_: &Value) -> serde_json::Value {
        match value_ {
            Value::Bool(is_set) => json!({ "b": is_set }),
            Value::Branch(inner) => branch(inner),
            Value::Comment(comment) => json!({ "c": STANDARD.encode(comment.text.expose()) }),
            Value::Float(number) => json!({ "f": number.to_bits().to_string() }),
            Value::Int(number) => json!({ "i": number.to_string() }),
            Value::List(list) => json!({ "l": list.iter().map(value).collect::<Vec<_>>() }),
            Value::Null => json!(null),
            Value::Str(text) => json!({ "s": STANDARD.encode(text.expose()) }),
            Value::Time(time) => json!({ "t": time.rfc3339_nano() }),
        }
    }
    tree.documents.iter().map(branch).collect()
}

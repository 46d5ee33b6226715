//! Any bytes, in a JSON envelope `{"data": "ENC[…]", "sops": {…}}` (`stores/json/store.go`, `BinaryStore`).

use crate::secret::SecretBytes;
use crate::sops::tree::{Branch, Entry, Item, Tree, Value};
use crate::yaml::Position;

/// Bytes as the single value `data`.
pub(super) fn load_plain(bytes: &[u8]) -> Tree {
    let value = Value::Str(SecretBytes::new(bytes.to_vec()));
    let entry = Entry { key: "data".to_owned(), value, position: Position { line: 1, column: 1 } };
    Tree { documents: vec![Branch { items: vec![Item::Entry(entry)] }] }
}

/// The bytes of `data`; other entries are verified but not printed.
pub(super) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    data(tree).map(|bytes| bytes.expose().clone())
}

/// The value of the first `data`.
pub(super) fn data(tree: &Tree) -> Result<&SecretBytes, &'static str> {
    let [branch] = tree.documents.as_slice() else {
        return Err("a binary file holds exactly one document");
    };
    let data = branch.items.iter().find_map(|item| match item {
        Item::Entry(entry) if entry.key == "data" => Some(&entry.value),
        _ => None,
    });
    match data {
        Some(Value::Str(bytes)) => Ok(bytes),
        Some(_) => Err("the value `data` of a binary file is not a string"),
        None => Err("a binary file has no value `data`"),
    }
}

/// What a JSON file with `sops` metadata lacks if it is no envelope, and what it may be.
pub(super) const NO_DATA: &str =
    "no string `data` at the top level; if it is a SOPS JSON file, its name must end in `.json`";

/// Why an envelope was expected, with the reason why this is none.
pub(super) fn explain(reason: &str) -> String {
    format!("not a SOPS file: a file without known suffix must be sops' binary JSON envelope ({reason})")
}

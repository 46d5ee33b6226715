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

/// The bytes of the first `data`; other entries are verified but not printed.
pub(super) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    let [branch] = tree.documents.as_slice() else {
        return Err("a binary file holds exactly one document");
    };
    let data = branch.items.iter().find_map(|item| match item {
        Item::Entry(entry) if entry.key == "data" => Some(&entry.value),
        _ => None,
    });
    match data {
        Some(Value::Str(bytes)) => Ok(bytes.expose().clone()),
        Some(_) => Err("the value `data` of a binary file is not a string"),
        None => Err("a binary file has no value `data`"),
    }
}

/// Why an envelope was expected, with the reason why this is none.
pub(super) fn explain(reason: &str) -> String {
    format!("not a SOPS file: a file without known suffix must be sops' binary JSON envelope ({reason})")
}

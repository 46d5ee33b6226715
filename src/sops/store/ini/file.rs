//! An INI file as go-ini holds it: sections in order, names not unique; keys in order, names unique in a section.

use std::collections::HashMap;

use crate::secret::{Secret, SecretBytes};
use crate::yaml::Position;

#[derive(Default)]
pub(super) struct File {
    pub sections: Vec<Section>,
}

pub(super) struct Section {
    pub name: String,
    /// Lines joined by LF; after parsing with their markers.
    pub comment: SecretBytes,
    pub keys: Vec<Key>,
    pub position: Position,
    /// Where each name stands in `keys`.
    by_name: HashMap<String, usize>,
}

pub(super) struct Key {
    pub name: String,
    pub value: SecretBytes,
    /// As in [`Section`].
    pub comment: SecretBytes,
    pub position: Position,
}

impl Section {
    pub fn new(name: String, position: Position) -> Self {
        let comment = Secret::new(Vec::new());
        Self { name, comment, keys: Vec::new(), position, by_name: HashMap::new() }
    }

    /// Adds a key, or gives the key of that name a new value; tells where it stands. `None` for an empty name.
    pub fn set(&mut self, name: &str, value: Vec<u8>, position: Position) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        let value = Secret::new(value);
        if let Some(&index) = self.by_name.get(name) {
            let key = self.keys.get_mut(index)?;
            key.value = value;
            key.position = position;
            return Some(index);
        }
        let index = self.keys.len();
        self.by_name.insert(name.to_owned(), index);
        self.keys.push(Key { name: name.to_owned(), value, comment: Secret::new(Vec::new()), position });
        Some(index)
    }
}

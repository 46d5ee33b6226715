//! INI as sops reads and prints it (`stores/ini/store.go`, on go-ini 1.67.3 with `AllowNonUniqueSections`).
//!
//! `file` is go-ini's own model, `parser` and `writer` its rules; this page turns the model into a tree and back.

mod file;
mod parser;
mod spaces;
mod writer;

#[cfg(test)]
mod tests;

use super::value_text;
use crate::secret::SecretBytes;
use crate::sops::SopsError;
use crate::sops::tree::{Branch, Comment, Entry, Item, Tree, Value};
use file::{File, Section};

/// Reads sections as branches of strings. A section's comment comes first in it, a key's comment after the key.
pub(super) fn load(text: &[u8]) -> Result<Tree, SopsError> {
    let file = parser::parse(text)?;
    let items = file.sections.into_iter().map(|section| {
        let mut branch = Branch::default();
        branch.items.extend(comment_item(&section.comment));
        for key in section.keys {
            let value = Value::Str(key.value);
            branch.items.push(Item::Entry(Entry { key: key.name, value, position: key.position }));
            branch.items.extend(comment_item(&key.comment));
        }
        Item::Entry(Entry { key: section.name, value: Value::Branch(branch), position: section.position })
    });
    Ok(Tree { documents: vec![Branch { items: items.collect() }] })
}

/// Prints sections and keys as go-ini does.
///
/// A comment that is the first item of a section belongs to the section, any other to the key before it (the last one
/// wins); comments between sections are lost.
pub(super) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    let mut file = File::default();
    for item in tree.documents.iter().flat_map(|branch| &branch.items) {
        let Item::Entry(entry) = item else { continue };
        let Value::Branch(branch) = &entry.value else {
            return Err("an INI file holds sections only, no values outside them");
        };
        if entry.key.is_empty() {
            return Err("an INI section without a name");
        }
        file.sections.push(section(&entry.key, branch)?);
    }
    Ok(writer::write(&file))
}

fn section(name: &str, branch: &Branch) -> Result<Section, &'static str> {
    let mut section = Section::new(name.to_owned(), Default::default());
    let mut last: Option<usize> = None;
    for (index, item) in branch.items.iter().enumerate() {
        match item {
            Item::Comment(comment) if index == 0 => section.comment = comment.text.duplicate(),
            Item::Comment(comment) => {
                if let Some(key) = last.and_then(|last| section.keys.get_mut(last)) {
                    key.comment = comment.text.duplicate();
                }
            }
            Item::Entry(entry) => {
                let mut value = Vec::new();
                value_text::push(&entry.value, &mut value)?;
                last = Some(section.set(&entry.key, value, entry.position).ok_or("an INI key without a name")?);
            }
        }
    }
    Ok(section)
}

/// A comment without its first marker and the blanks and markers right after it; nothing if there is no comment.
fn comment_item(comment: &SecretBytes) -> Option<Item> {
    let text = comment.expose().as_slice();
    let marker = *text.first()?;
    let stripped = if matches!(marker, b'#' | b';') {
        let skipped = text.iter().take_while(|&&byte| byte == marker || byte == b' ').count();
        text.get(skipped..).unwrap_or_default()
    } else {
        text
    };
    Some(Item::Comment(Comment { text: SecretBytes::new(stripped.to_vec()), is_inline: false }))
}

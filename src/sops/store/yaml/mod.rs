//! YAML as sops reads and prints it (`stores/yaml/store.go`, on yaml.v3's nodes).

mod from_nodes;
mod to_nodes;

#[cfg(test)]
mod tests;

use super::{NodeBudget, format_error};
use crate::sops::tree::Tree;
use crate::sops::{Reading, SopsError};
use crate::yaml;

/// Indentation that sops prints with.
const INDENT: usize = 4;

/// Reads every document of the stream. The first one is checked more strictly than the others, as in sops: there a
/// repeated key at the top level or in `sops`, and a tag that does not fit its text, are errors.
pub(super) fn load(text: &[u8], reading: Reading) -> Result<Tree, SopsError> {
    let documents = yaml::parse(text).map_err(|error| match error {
        yaml::YamlError::Syntax { rule, position } => format_error(rule, Some(position)),
    })?;
    from_nodes::tree(documents, reading)
}

/// Prints every document.
pub(super) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    let documents: Vec<_> = tree.documents.iter().map(to_nodes::document).collect();
    Ok(yaml::writer::write_like_sops(&documents, INDENT).into_bytes())
}

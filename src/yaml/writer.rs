//! Nodes to text, in two profiles.

use super::Document;

/// Prints documents as yaml.v3's encoder prints nodes: the text of decrypted files, byte for byte as sops gives it.
///
/// `indent` is the encoder's indentation (sops: 4).
pub fn write_like_sops(_documents: &[Document], _indent: usize) -> String {
    unimplemented!()
}

/// Prints one manifest (no `---`): block style, indent 2, and whatever YAML 1.1 or 1.2, yaml.v2 or yaml.v3
/// would read as something else than a string is quoted.
pub fn write_manifest(_document: &Document) -> String {
    unimplemented!()
}

/// Whether kustomize brings a text through a quoted scalar unchanged.
pub fn carries(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

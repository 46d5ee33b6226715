//! What can be mended without a person: names of fields that mean nothing otherwise, letter case of paths.
//!
//! A file with values is never written: every edit is in a kustomization or a generator manifest.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use crate::findings::{Edit, Finding};
use crate::jail::Root;
use crate::limits;
use crate::path::SourcePath;
use crate::text::Printable;

/// What came of mending.
#[derive(Default)]
pub struct Mended {
    /// Whether a file was changed.
    pub is_changed: bool,
    /// Files that could not be written, each as it was, and why.
    pub refused: Vec<(Printable, ErrorKind)>,
}

/// Applies the edits of findings.
pub fn apply(root: &Root, findings: &[Finding]) -> Mended {
    let mut by_file: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
    for finding in findings {
        if let Some(edit) = &finding.edit {
            by_file.entry(&finding.file).or_default().push(edit);
        }
    }
    let mut mended = Mended::default();
    for (file, mut edits) in by_file {
        // From the end, so that places before stay where they are.
        edits.sort_by_key(|edit| std::cmp::Reverse((edit.position.line, edit.position.column)));
        let source = SourcePath::parse(file).ok();
        let text = source.and_then(|source| root.read(root.path(), &source, limits::MANIFEST_BYTES).ok());
        let Some(before) = text.and_then(|text| String::from_utf8(text.into_vec()).ok()) else { continue };
        let mut text = before.clone();
        for edit in edits.into_iter().take(limits::FINDINGS_OF_A_RULE) {
            if let Some(new) = edited(&text, edit) {
                text = new;
            }
        }
        if text == before {
            continue;
        }
        match root.replace(file, text.as_bytes()) {
            Ok(()) => mended.is_changed = true,
            Err(error) => mended.refused.push((Printable::new(file), error.kind())),
        }
    }
    mended
}

/// The text with the edit; `None` where the old text is not there, or there twice.
fn edited(text: &str, edit: &Edit) -> Option<String> {
    if edit.old.is_empty() || edit.new.contains(['\n', '\r']) {
        return None;
    }
    let line = usize::try_from(edit.position.line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let (before, rest) = text.split_at_checked(start)?;
    let end = rest.find('\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at_checked(end)?;
    let column = usize::try_from(edit.position.column).ok()?.checked_sub(1)?;
    let skipped: usize = line.chars().take(column).map(char::len_utf8).sum();
    let (head, tail) = line.split_at_checked(skipped)?;
    if tail.matches(edit.old.as_str()).count() != 1 {
        return None;
    }
    Some([before, head, &tail.replacen(edit.old.as_str(), &edit.new, 1), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Position;

    #[test]
    fn edits_exactly_what_was_found() {
        let edit = |line, column, old: &str, new: &str| Edit {
            position: Position { line, column },
            old: old.to_owned(),
            new: new.to_owned(),
        };
        let text = "a: é\nFiles: [x, Files]\nb";
        assert_eq!(edited(text, &edit(2, 9, "x", "y")).as_deref(), Some("a: é\nFiles: [y, Files]\nb"));
        assert_eq!(edited(text, &edit(2, 1, "Files", "files")), None);
        assert_eq!(edited(text, &edit(1, 4, "é", "e")).as_deref(), Some("a: e\nFiles: [x, Files]\nb"));
        assert_eq!(edited(text, &edit(9, 1, "a", "b")), None);
        assert_eq!(edited(text, &edit(0, 0, "a", "b")), None);
    }
}

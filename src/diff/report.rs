//! What came of a comparison, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::compare::{Basis, Change, FileDiff, MetadataChange, Status, Verdict};
use super::snapshot::Look;

/// The version of the JSON form; it grows when a field changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// How to paint a line.
pub enum Tone {
    /// A heading.
    Heading,
    /// Something that is there now.
    Added,
    /// Something that is gone.
    Removed,
    /// Something that changed.
    Changed,
    /// Something to look at.
    Warning,
}

/// The report for people. `paint` puts colours on a line, or none.
pub fn to_text(diffs: &[FileDiff], paint: &dyn Fn(Tone, &str) -> String) -> String {
    let mut out = String::new();
    for diff in diffs.iter().filter(|diff| !diff.is_empty()) {
        _ = writeln!(out, "{}", paint(Tone::Heading, &heading(diff)));
        for warning in &diff.warnings {
            _ = writeln!(out, "  {}", paint(Tone::Warning, &format!("! {warning}")));
        }
        for change in &diff.metadata {
            let (tone, line) = metadata_line(change);
            _ = writeln!(out, "  {}", paint(tone, &line));
        }
        for change in &diff.changes {
            let (tone, line) = value_line(change, diff.basis);
            _ = writeln!(out, "  {}", paint(tone, &line));
        }
        if diff.more > 0 {
            _ = writeln!(out, "  and {} more values", diff.more);
        }
        match diff.same {
            0 => {}
            1 => out.push_str("  1 value was encrypted anew and is the same\n"),
            count => _ = writeln!(out, "  {count} values were encrypted anew and are the same"),
        }
    }
    out
}

fn heading(diff: &FileDiff) -> String {
    let what = match &diff.status {
        Status::Added => " (new)",
        Status::Changed => "",
        Status::Encrypted => " (was not encrypted, and now is)",
        Status::Exposed => " (was encrypted, and now lies there in clear)",
        Status::Removed => " (removed)",
        Status::Unreadable(reason) => return format!("{}: cannot be compared: {reason}", diff.path),
    };
    format!("{}{what}", diff.path)
}

fn metadata_line(change: &MetadataChange) -> (Tone, String) {
    let MetadataChange { name, before, after } = change;
    match (before, after) {
        (None, Some(after)) => (Tone::Added, format!("+ {name}: {after}")),
        (Some(before), None) => (Tone::Removed, format!("- {name}: {before}")),
        (Some(before), Some(after)) => (Tone::Changed, format!("~ {name}: {before} -> {after}")),
        (None, None) => (Tone::Changed, format!("~ {name}")),
    }
}

fn value_line(change: &Change, basis: Basis) -> (Tone, String) {
    let name = &change.name;
    let look = |look: Option<Look>| look.map(describe).unwrap_or_default();
    match change.verdict {
        Verdict::Added => (Tone::Added, format!("+ {name}: {}", look(change.after))),
        Verdict::Removed => (Tone::Removed, format!("- {name}: {}", look(change.before))),
        Verdict::Changed => {
            let by_length = basis == Basis::Ciphertext && change.after.is_some_and(|after| after.is_encrypted);
            let what = if by_length { "changed, as its length shows" } else { "changed" };
            (Tone::Changed, format!("~ {name}: {what}{}", transition(change)))
        }
        Verdict::Retyped => (Tone::Changed, format!("~ {name}: same text{}", transition(change))),
        Verdict::Reencrypted => {
            let what = "re-encrypted; cannot tell if the value changed";
            (Tone::Changed, format!("~ {name}: {what}{}", transition(change)))
        }
    }
}

/// `str, encrypted, 16-31 bytes`
fn describe(look: Look) -> String {
    let mut text = look.kind.to_owned();
    text.push_str(if look.is_encrypted { ", encrypted" } else { ", in clear" });
    if let Some(size) = look.size {
        text.push_str(&format!(", {}", size_class(size)));
    }
    text
}

/// What is different between the looks: type, whether encrypted, size class.
fn transition(change: &Change) -> String {
    let (Some(before), Some(after)) = (change.before, change.after) else { return String::new() };
    let mut parts = Vec::new();
    if before.kind != after.kind {
        parts.push(format!("type {} -> {}", before.kind, after.kind));
    }
    match (before.is_encrypted, after.is_encrypted) {
        (true, false) => parts.push("encrypted -> in clear".to_owned()),
        (false, true) => parts.push("in clear -> encrypted".to_owned()),
        _ => {}
    }
    if let (Some(before), Some(after)) = (before.size, after.size)
        && size_class(before) != size_class(after)
    {
        parts.push(format!("{} -> {}", size_class(before), size_class(after)));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// The length to the power of two: enough to see that something grew, too little to tell a PIN from another.
fn size_class(size: usize) -> String {
    match size {
        0 => "empty".to_owned(),
        1..=15 => "1-15 bytes".to_owned(),
        _ => {
            let low = 1_usize << size.ilog2();
            format!("{low}-{} bytes", low.saturating_mul(2).saturating_sub(1))
        }
    }
}

/// The report for programs; README has the schema.
pub fn to_json(diffs: &[FileDiff]) -> String {
    let files: Vec<Json> = diffs.iter().filter(|diff| !diff.is_empty()).map(file).collect();
    let mut text = format!("{:#}", json!({ "version": JSON_VERSION, "files": files }));
    text.push('\n');
    text
}

fn file(diff: &FileDiff) -> Json {
    let metadata: Vec<Json> = diff
        .metadata
        .iter()
        .map(|change| {
            let text = |text: &Option<crate::text::Printable>| text.as_ref().map(|text| text.as_str().to_owned());
            json!({ "name": change.name, "before": text(&change.before), "after": text(&change.after) })
        })
        .collect();
    let values: Vec<Json> = diff
        .changes
        .iter()
        .map(|change| {
            json!({
                "path": change.name.as_str(),
                "change": match change.verdict {
                    Verdict::Added => "added",
                    Verdict::Changed => "changed",
                    Verdict::Reencrypted => "re-encrypted",
                    Verdict::Removed => "removed",
                    Verdict::Retyped => "retyped",
                },
                "before": change.before.map(look),
                "after": change.after.map(look),
            })
        })
        .collect();
    let (status, reason) = match &diff.status {
        Status::Added => ("added", None),
        Status::Changed => ("changed", None),
        Status::Encrypted => ("encrypted", None),
        Status::Exposed => ("exposed", None),
        Status::Removed => ("removed", None),
        Status::Unreadable(reason) => ("unreadable", Some(reason.as_str())),
    };
    json!({
        "path": diff.path.as_str(),
        "status": status,
        "reason": reason,
        "compared": match diff.basis {
            Basis::Ciphertext => "ciphertext",
            Basis::Plaintext => "plaintext",
        },
        "warnings": diff.warnings,
        "metadata": metadata,
        "values": values,
        "more_values": diff.more,
        "re_encrypted_same": diff.same,
    })
}

fn look(look: Look) -> Json {
    json!({ "type": look.kind, "encrypted": look.is_encrypted, "size": look.size.map(size_class) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_powers_of_two() {
        for (size, class) in [
            (0, "empty"),
            (1, "1-15 bytes"),
            (15, "1-15 bytes"),
            (16, "16-31 bytes"),
            (31, "16-31 bytes"),
            (32, "32-63 bytes"),
        ] {
            assert_eq!(size_class(size), class);
        }
        assert!(size_class(usize::MAX).ends_with(" bytes"));
    }
}

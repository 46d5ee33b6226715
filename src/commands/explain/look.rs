//! One file, described.

use super::report::{Access, FileEntry, Finding, Rule, ValueEntry, Values};
use crate::sops::inspect::{Found, Leaf, Verdict};
use crate::sops::{Format, Inspection};
use crate::text::Printable;

/// Most findings of one kind that a file is shown with.
const MOST_FINDINGS: usize = 20;

/// Describes a file. `groups` are its recipients; who can open it is said later, when all of them are known.
pub fn describe(
    path: &str,
    by_name: Format,
    inspection: &mut Inspection,
    groups: Vec<Vec<usize>>,
    most_listed: usize,
) -> FileEntry {
    let mut values = Values::default();
    let mut findings = Findings::default();
    let walked = inspection.walk(&mut |leaf, _| {
        count(leaf, &mut values, most_listed);
        findings.note(leaf);
    });
    let mut findings = findings.finish();
    if let Err(error) = walked {
        findings.push(Finding { id: "costly-rule", message: error.to_string(), path: None, line: None });
    }
    let metadata = &inspection.metadata;
    if metadata.mac.is_empty() {
        let message = "the file has no MAC: it was removed, or sops did not write this file".to_owned();
        findings.push(Finding { id: "no-mac", message, path: None, line: None });
    }
    let rule = metadata.rules.in_force();
    FileEntry {
        path: path.to_owned(),
        format: inspection.format.name(),
        format_by_name: (inspection.format != by_name).then(|| by_name.name()),
        sops_version: metadata.version.as_deref().map(|version| Printable::new(version).to_string()),
        last_modified: metadata.last_modified.rfc3339(),
        rule: Rule { field: rule.field, text: Printable::new(rule.text).to_string(), written: rule.is_written },
        mac_only_encrypted: metadata.mac_only_encrypted,
        needed_groups: metadata.needed_groups(),
        groups,
        access: Access { state: "no", groups: 0, reason: String::new(), next: None },
        opens: None,
        values,
        findings,
    }
}

fn count(leaf: &Leaf<'_>, values: &mut Values, most_listed: usize) {
    let (state, token) = match &leaf.found {
        Found::Empty => ("empty", None),
        Found::Encrypted(token) => ("encrypted", Some(token)),
        Found::Malformed(_) => ("malformed", None),
        Found::Plain => ("clear", None),
    };
    let is_comment = leaf.is_comment || token.is_some_and(|token| token.kind.name() == "comment");
    if is_comment {
        values.comments += 1;
        values.encrypted_comments += usize::from(token.is_some());
        return;
    }
    match &leaf.found {
        Found::Empty => values.empty += 1,
        Found::Encrypted(_) => values.encrypted += 1,
        Found::Malformed(_) | Found::Plain => values.clear += 1,
    }
    if values.listed.len() >= most_listed {
        values.not_listed += 1;
        return;
    }
    values.listed.push(ValueEntry {
        path: leaf.name().to_string(),
        state,
        kind: token.map(|token| token.kind.name()),
        bytes: token.map(|token| token.length),
        line: line(leaf),
        decided_by: leaf.decided_by().map(|by| by.to_string()),
    });
}

fn line(leaf: &Leaf<'_>) -> Option<u32> {
    Some(leaf.position().line).filter(|line| *line > 0)
}

/// Values that are not as the file's own rule says; a few of each kind, and how many more.
#[derive(Default)]
struct Findings {
    left_in_clear: Vec<Finding>,
    more_left_in_clear: usize,
    never_decrypted: Vec<Finding>,
    more_never_decrypted: usize,
}

impl Findings {
    fn note(&mut self, leaf: &Leaf<'_>) {
        // sops leaves a comment that was written by hand as it is.
        let (list, more, id, message) = match leaf.verdict() {
            Verdict::LeftInClear if !leaf.is_comment => {
                let message = match leaf.found {
                    Found::Malformed(why) => format!("should be encrypted, but is {why}: sops cannot read this file"),
                    _ => "in clear, though the file's rule says encrypted: sops cannot read this file".to_owned(),
                };
                (&mut self.left_in_clear, &mut self.more_left_in_clear, "left-in-clear", message)
            }
            Verdict::NeverDecrypted if !leaf.is_comment => {
                let message = "encrypted, though the file's rule says in clear: it is never decrypted".to_owned();
                (&mut self.never_decrypted, &mut self.more_never_decrypted, "never-decrypted", message)
            }
            _ => return,
        };
        if list.len() < MOST_FINDINGS {
            list.push(Finding { id, message, path: Some(leaf.name().to_string()), line: line(leaf) });
        } else {
            *more += 1;
        }
    }

    fn finish(self) -> Vec<Finding> {
        let mut all = self.left_in_clear;
        let more =
            |id, count: usize| Finding { id, message: format!("and {count} more values"), path: None, line: None };
        all.extend((self.more_left_in_clear > 0).then(|| more("left-in-clear", self.more_left_in_clear)));
        all.extend(self.never_decrypted);
        all.extend((self.more_never_decrypted > 0).then(|| more("never-decrypted", self.more_never_decrypted)));
        all
    }
}

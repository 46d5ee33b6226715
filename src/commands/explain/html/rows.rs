//! The rows of the matrix.

use std::collections::HashMap;

use super::{COLUMNS, Escaped, MOST_IN_ROW, Page};
use crate::commands::explain::report::{FileEntry, YoursState};
use crate::text::Printable;

impl Page<'_> {
    /// A row: the file with its details, then a cell for each recipient that has a column.
    pub(super) fn file(&mut self, row: usize, file: &FileEntry) {
        let mut groups_of: HashMap<usize, usize> = HashMap::new();
        let mut members = Vec::new();
        for (group, recipients) in file.groups.iter().enumerate() {
            for one in recipients {
                groups_of.entry(*one).or_insert_with(|| {
                    members.push(*one);
                    group + 1
                });
            }
        }
        let state = file.access.state.chars().next().unwrap_or('n');
        let found = if file.findings.is_empty() { "" } else { "f" };
        let set = self.set_of.get(row).copied().unwrap_or_default();
        let list: Vec<String> = members.iter().map(usize::to_string).collect();
        self.add(format_args!(
            "<tr id=\"f{row}\" data-r=\"{}\" data-k=\"{set}\" data-s=\"{state}{found}\"><th scope=\"row\">",
            list.join(" ")
        ));
        self.details(file);
        let needs = match file.groups.len() {
            0 | 1 => "any one".to_owned(),
            groups => format!("{} of {groups} groups", file.needed_groups),
        };
        let all = file.values.encrypted + file.values.clear;
        self.add(format_args!(
            "<td class=\"n\">{}<td>{needs}<td class=\"n\">{} of {all}",
            Escaped(file.last_modified.get(..10).unwrap_or_default()),
            file.values.encrypted
        ));
        for (place, one) in self.report.recipients.iter().enumerate().take(COLUMNS) {
            match groups_of.get(&place) {
                None => self.out.push_str("<td class=\"o\">"),
                Some(group) => {
                    let yours = if one.yours.state == YoursState::Yes { " y" } else { "" };
                    if file.groups.len() > 1 {
                        self.add(format_args!("<td class=\"o{yours}\" aria-label=\"group {group}\">{group}"));
                    } else {
                        self.add(format_args!("<td class=\"o{yours}\" aria-label=\"opens\">●"));
                    }
                }
            }
        }
        if self.report.recipients.len() > COLUMNS {
            let others = members.iter().filter(|place| **place >= COLUMNS).count();
            let others = if others > 0 { format!("+{others}") } else { String::new() };
            self.add(format_args!("<td>{others}"));
        }
        self.out.push('\n');
    }

    fn details(&mut self, file: &FileEntry) {
        let report = self.report;
        let mark = if file.findings.is_empty() { "" } else { " <b class=\"bad\">⚠</b>" };
        self.add(format_args!(
            "<details><summary><bdi>{}</bdi>{mark}</summary><dl>",
            Escaped(Printable::new(&file.path).as_str())
        ));
        self.add(format_args!(
            "<dt>File<dd>{}, sops {}, changed {}",
            file.format,
            Escaped(file.sops_version.as_deref().unwrap_or("of unknown version")),
            Escaped(&file.last_modified)
        ));
        if let Some(by_name) = file.format_by_name {
            self.add(format_args!(", though its name says {by_name}"));
        }
        for (index, group) in file.groups.iter().enumerate() {
            match file.groups.len() {
                1 => self.out.push_str("<dt>Opens for<dd><ul>"),
                _ => self.add(format_args!("<dt>Group {}<dd><ul>", index + 1)),
            }
            for one in group.iter().take(MOST_IN_ROW).filter_map(|place| report.recipients.get(*place)) {
                self.add(format_args!("<li>{} <bdi>{}</bdi>", one.kind, Escaped(&one.shown())));
            }
            if let Some(more) = group.len().checked_sub(MOST_IN_ROW).filter(|more| *more > 0) {
                self.add(format_args!("<li>and {more} more"));
            }
            self.out.push_str("</ul>");
        }
        let (class, can) = match file.access.state {
            "yes" => ("ok", "you can open it"),
            "maybe" => ("warn", "you may be able to open it"),
            _ => ("dim", "you cannot open it"),
        };
        self.add(format_args!(
            "<dt>You<dd><span class=\"{class}\">{can}</span>: <bdi>{}</bdi>",
            Escaped(&file.access.reason)
        ));
        if let Some(opens) = &file.opens {
            if opens.ok {
                self.out.push_str("<dt>Tried<dd class=\"ok\">opens, MAC verified");
            } else {
                self.out.push_str("<dt>Tried<dd class=\"bad\">does not open<ul>");
                for reason in opens.reasons.iter().take(MOST_IN_ROW) {
                    self.add(format_args!("<li><bdi>{}</bdi>", Escaped(reason)));
                }
                self.out.push_str("</ul>");
            }
        }
        let by = if file.rule.written { "" } else { " (sops' default)" };
        self.add(format_args!(
            "<dt>Rule<dd>{} <code><bdi>{}</bdi></code>{by}{}",
            file.rule.field,
            Escaped(&file.rule.text),
            if file.mac_only_encrypted { "; the MAC covers encrypted values only" } else { "" }
        ));
        self.values(file, "encrypted", file.values.encrypted, "Encrypted");
        self.values(file, "clear", file.values.clear, "In clear");
        for finding in &file.findings {
            let line = finding.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            self.add(format_args!(
                "<dt class=\"bad\">Finding<dd><code><bdi>{}</bdi></code> {}{line}",
                Escaped(finding.path.as_deref().unwrap_or_default()),
                Escaped(&finding.message)
            ));
        }
        self.out.push_str("</dl></details>");
    }

    fn values(&mut self, file: &FileEntry, state: &str, count: usize, title: &str) {
        if count == 0 {
            return;
        }
        let listed = file.values.listed.iter().filter(|value| value.state == state).take(MOST_IN_ROW);
        let names: Vec<String> = listed.map(|value| format!("<bdi>{}</bdi>", Escaped(&value.path))).collect();
        let more = count.saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.add(format_args!("<dt>{title}<dd>{count}: <code>{}</code>{more}", names.join(", ")));
    }
}

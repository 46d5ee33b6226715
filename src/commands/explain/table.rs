//! The report as a table: one line a file.

use std::fmt::Write as _;

use super::report::{FileEntry, Report};
use crate::color::Paint;
use crate::text::Printable;

const HEADINGS: [&str; 8] = ["FILE", "FORMAT", "CHANGED", "GROUPS", "RECIPIENTS", "YOU", "ENCRYPTED", "FINDINGS"];

/// Draws the table. Columns are as wide as their widest cell.
pub fn table(report: &Report, paint: Paint) -> String {
    let rows: Vec<[String; 8]> = report.files.iter().map(|file| row(file, report)).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    line(&HEADINGS.map(str::to_owned), &widths, &mut out, |_, text| paint.bold(text));
    for row in &rows {
        line(row, &widths, &mut out, |column, text| match (column, text.trim_end()) {
            (5, "yes" | "opens") => paint.green(text),
            (5, _) => paint.yellow(text),
            (7, findings) if findings != "0" => paint.red(text),
            _ => text.to_owned(),
        });
    }
    for problem in &report.problems {
        _ = writeln!(out, "{} {}: {}", paint.red("not explained:"), Printable::new(&problem.path), problem.message);
    }
    out
}

fn row(file: &FileEntry, report: &Report) -> [String; 8] {
    let names: Vec<&str> = file
        .groups
        .iter()
        .flatten()
        .filter_map(|place| report.recipients.get(*place))
        .map(|one| one.name.as_deref().unwrap_or(&one.label))
        .take(MOST_NAMES)
        .collect();
    let more = file.recipients().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" +{more}") } else { String::new() };
    let you = match &file.opens {
        Some(opens) if opens.ok => "opens",
        Some(_) => "does not open",
        None => file.access.state,
    };
    [
        Printable::new(&file.path).to_string(),
        file.format.to_owned(),
        file.last_modified.get(..10).unwrap_or_default().to_owned(),
        format!("{}/{}", file.needed_groups, file.groups.len()),
        names.join(",") + &more,
        you.to_owned(),
        format!("{}/{}", file.values.encrypted, file.values.encrypted + file.values.clear),
        file.findings.len().to_string(),
    ]
}

/// Most recipients that are named in a line.
const MOST_NAMES: usize = 4;

fn line(cells: &[String; 8], widths: &[usize; 8], out: &mut String, painted: impl Fn(usize, &str) -> String) {
    let last = cells.len() - 1;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let blanks = if column == last { 0 } else { width.saturating_sub(cell.chars().count()) };
        // Blanks stand outside of the colour, so that a narrow terminal wraps no colour.
        out.push_str(&painted(column, cell));
        out.extend(std::iter::repeat_n(' ', blanks + if column == last { 0 } else { 2 }));
    }
    out.push('\n');
}

//! For people.

use std::fmt::Write as _;

use super::{Excerpt, Finding, Report, Severity, plural};

/// Colours, by the caller; the identity where there are none.
pub struct Tint<'a> {
    /// Errors.
    pub error: &'a dyn Fn(&str) -> String,
    /// Warnings.
    pub warning: &'a dyn Fn(&str) -> String,
    /// Notes, sources.
    pub dim: &'a dyn Fn(&str) -> String,
    /// Places.
    pub bold: &'a dyn Fn(&str) -> String,
}

impl Report {
    /// One block per finding and, unless it is unwanted, a line at the end.
    pub fn text(&self, tint: &Tint<'_>, has_summary: bool) -> String {
        let mut out = String::new();
        let mut explained: Vec<&str> = Vec::new();
        for finding in self.findings() {
            finding.write_text(&mut out, tint, !explained.contains(&finding.rule.id));
            if !explained.contains(&finding.rule.id) {
                explained.push(finding.rule.id);
            }
        }
        if !has_summary {
            return out;
        }
        let looked_at = [
            plural(self.sops_files, "SOPS file"),
            plural(self.generators, "generator"),
            plural(self.kustomizations, "kustomization"),
        ];
        _ = writeln!(out, "{}: {} in {}", self.summary(), looked_at.join(", "), plural(self.files, "file"));
        if self.silenced > 0 {
            _ = writeln!(out, "{} silenced", plural(self.silenced, "finding"));
        }
        if self.left_out > 0 {
            _ = writeln!(out, "{} left out", plural(self.left_out, "more finding"));
        }
        out
    }
}

impl Finding {
    /// `why` is said with the first finding of a rule only.
    fn write_text(&self, out: &mut String, tint: &Tint<'_>, says_why: bool) {
        let paint = match self.severity {
            Severity::Error => tint.error,
            Severity::Warning => tint.warning,
            Severity::Note => tint.dim,
        };
        let head = paint(&format!("{}[{}]", self.severity.as_str(), self.rule.id));
        let file = self.printable_file();
        let place = match (self.position.line, self.position.column) {
            (0, _) => file.to_string(),
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        };
        _ = writeln!(out, "{}: {head}: {}", (tint.bold)(&place), self.message);
        let line = self.position.line;
        match &self.excerpt {
            None => {}
            Some(Excerpt::Key(key)) => {
                _ = writeln!(out, "{}", (tint.dim)(&format!("{line:>6} | {key}: …")));
            }
            Some(Excerpt::Line { text, before }) => {
                _ = writeln!(out, "{}", (tint.dim)(&format!("{line:>6} | {text}")));
                if self.position.column > 0 {
                    _ = writeln!(out, "       | {}{}", " ".repeat(*before), paint("^"));
                }
            }
        }
        if says_why {
            _ = writeln!(out, "       = why: {}", self.rule.why);
        }
        _ = writeln!(out, "       = fix: {}\n", self.fix());
    }
}

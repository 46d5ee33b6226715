//! Workflow commands of GitHub Actions: annotations of a pull request.
//!
//! Source: docs.github.com, "Workflow commands for GitHub Actions"; escapes as in actions/toolkit, `command.ts`.

use std::fmt::Write as _;

use super::{Report, Severity};

impl Report {
    /// One line per finding. GitHub shows 10 of each kind per step.
    pub fn github(&self) -> String {
        let mut out = String::new();
        for finding in self.findings() {
            let command = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            _ = write!(out, "::{command} file={}", property(finding.printable_file().as_str()));
            if finding.position.line > 0 {
                _ = write!(out, ",line={}", finding.position.line);
                if finding.position.column > 0 {
                    _ = write!(out, ",col={}", finding.position.column);
                }
            }
            let text = format!("{}\n{}\nfix: {}", finding.message, finding.rule.why, finding.fix());
            _ = writeln!(out, ",title={}::{}", property(&format!("unsops {}", finding.rule.id)), data(&text));
        }
        _ = writeln!(out, "{}", data(&self.summary()));
        out
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

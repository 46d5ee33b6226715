//! Test reports: one suite, one failing case per finding, one passing case where there is none.
//!
//! Source: the dialect that Jenkins and GitLab read (testmoapp/junitxml).

use std::fmt::Write as _;

use super::{Report, Severity};

impl Report {
    /// An XML document. Notes are no failures.
    pub fn junit(&self) -> String {
        let failures = self.findings().iter().filter(|finding| finding.severity != Severity::Note).count();
        let tests = self.findings().len().max(1);
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        _ = writeln!(out, "<testsuites name=\"unsops check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
        _ = writeln!(out, "  <testsuite name=\"unsops check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
        if self.findings().is_empty() {
            _ = writeln!(out, "    <testcase name=\"no findings\" classname=\"unsops.check\"/>");
        }
        for finding in self.findings() {
            let name = format!("{}: {}", finding.rule.id, finding.message);
            let file = escape(&finding.file);
            _ = write!(out, "    <testcase name=\"{}\" classname=\"{file}\" file=\"{file}\"", escape(&name));
            if finding.position.line > 0 {
                _ = write!(out, " line=\"{}\"", finding.position.line);
            }
            if finding.severity == Severity::Note {
                _ = writeln!(out, "/>");
                continue;
            }
            let place = format!("{}:{}:{}", finding.file, finding.position.line, finding.position.column);
            let text = format!("{place}\nwhy: {}\nfix: {}", finding.rule.why, finding.fix());
            let (message, kind) = (escape(&finding.message), finding.severity.as_str());
            _ = writeln!(out, ">\n      <failure message=\"{message}\" type=\"{kind}\">{}</failure>", escape(&text));
            _ = writeln!(out, "    </testcase>");
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }
}

/// What XML 1.0 cannot hold becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

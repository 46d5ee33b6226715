//! The report as a page for a browser, complete in itself: nothing is loaded, and the policy in its head lets nothing
//! run but the one script whose digest it names.
//!
//! The page is whole without that script, which only filters and moves the focus. Everything from outside goes through
//! [`Escaped`].

mod rows;

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::report::{KeySet, RecipientEntry, Report, YoursState};
use super::text::counted;
use crate::text::Printable;

const CSS: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Recipients that have a column of their own, those of most files first; the others are told in the rows.
const COLUMNS: usize = 40;

/// Most entries of a list inside a row.
const MOST_IN_ROW: usize = 30;

/// Most recipients, key sets and findings that are listed.
const MOST_LISTED: usize = 2000;

/// Text made fit for HTML, in elements and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Draws the page.
pub fn page(report: &Report) -> String {
    let sets = report.key_sets();
    let mut set_of = vec![0; report.files.len()];
    for (place, set) in sets.iter().enumerate() {
        for file in &set.files {
            if let Some(of_file) = set_of.get_mut(*file) {
                *of_file = place;
            }
        }
    }
    let mut page = Page { report, sets, set_of, out: String::new() };
    page.head();
    page.findings();
    page.controls();
    page.files();
    page.key_sets();
    page.recipients();
    page.problems();
    page.foot();
    page.out
}

struct Page<'a> {
    report: &'a Report,
    sets: Vec<KeySet<'a>>,
    /// The place of each file's key set in `sets`.
    set_of: Vec<usize>,
    out: String,
}

/// `sha256-…` of a text, as a content security policy names it.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

impl Page<'_> {
    fn add(&mut self, arguments: fmt::Arguments<'_>) {
        self.out.write_fmt(arguments).expect("writing to a String does not fail");
    }

    fn head(&mut self) {
        let (style, script) = (digest(CSS), digest(SCRIPT));
        self.add(format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>Who can open what</title>\n<style>{CSS}</style>\n\
             <a class=\"skip\" href=\"#files\">To the files</a>\n<header>\n<h1>Who can open what</h1>\n"
        ));
        let report = self.report;
        let findings: usize = report.files.iter().map(|file| file.findings.len()).sum();
        self.add(format_args!(
            "<p>{}, {}, {}, {}.\n",
            counted(report.files.len(), "SOPS file"),
            counted(report.recipients.len(), "recipient"),
            counted(self.sets.len(), "key set"),
            counted(findings, "finding"),
        ));
        if let Some(asked) = &report.asked {
            self.add(format_args!(
                "Only files with a recipient meant by <b><bdi>{}</bdi></b>, of {} searched.\n",
                Escaped(&asked.who),
                asked.searched
            ));
        }
        self.out.push_str(if report.tried {
            "Files were opened with the keys at hand.</p>\n"
        } else {
            "This is what the files say; only opening them proves it.</p>\n"
        });
        self.out.push_str("</header>\n<main>\n");
    }

    fn findings(&mut self) {
        let report = self.report;
        let all = report
            .files
            .iter()
            .enumerate()
            .flat_map(|(row, file)| file.findings.iter().map(move |one| (row, file, one)));
        let mut left = MOST_LISTED;
        for (row, file, finding) in all {
            if left == MOST_LISTED {
                self.out.push_str("<h2>Findings</h2>\n<ul>\n");
            }
            left -= 1;
            if left == 0 {
                self.out.push_str("<li>more, see the files\n");
                break;
            }
            let place = finding.path.as_deref().unwrap_or_default();
            let line = finding.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            self.add(format_args!(
                "<li><a href=\"#f{row}\"><bdi>{}</bdi></a>{line}: <code><bdi>{}</bdi></code> {}\n",
                Escaped(Printable::new(&file.path).as_str()),
                Escaped(place),
                Escaped(&finding.message)
            ));
        }
        if left < MOST_LISTED {
            self.out.push_str("</ul>\n");
        }
    }

    fn controls(&mut self) {
        self.out.push_str(
            "<h2>Files</h2>\n<div id=\"controls\" hidden>\n<label>Search (/) <input id=\"search\" type=\"search\" \
             autocomplete=\"off\" placeholder=\"path, recipient, key, rule\"></label>\n<label>Recipient <select id=\"who\">\
             <option value=\"\">any\n",
        );
        for (place, one) in self.report.recipients.iter().enumerate().take(MOST_LISTED) {
            self.add(format_args!("<option value=\"{place}\">{}\n", Escaped(&one.shown())));
        }
        self.out.push_str("</select></label>\n<label>Key set <select id=\"set\"><option value=\"\">any\n");
        for place in 0..self.sets.len().min(MOST_LISTED) {
            let files = self.sets.get(place).map_or(0, |set| set.files.len());
            self.add(format_args!("<option value=\"{place}\">set {} ({})\n", place + 1, counted(files, "file")));
        }
        self.out.push_str(
            "</select></label>\n<label>Show <select id=\"state\"><option value=\"\">all\n<option value=\"f\">with findings\n\
             <option value=\"y\">you can open\n<option value=\"m\">you may open\n<option value=\"n\">you cannot open\n\
             </select></label>\n<button type=\"button\" id=\"reset\">Reset</button>\n\
             <button type=\"button\" id=\"all\">Details</button>\n<span id=\"shown\" class=\"dim\" role=\"status\"></span>\n</div>\n",
        );
    }

    fn files(&mut self) {
        let report = self.report;
        self.out.push_str(
            "<p class=\"dim\">● opens the file alone. A number: a recipient of that key group, of which several are \
             needed. Green: you.</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Files by recipients\">\n\
             <table id=\"files\">\n<thead><tr><th scope=\"col\">File<th scope=\"col\" class=\"n\">Changed<th scope=\"col\">Needs\
             <th scope=\"col\" class=\"n\">Encrypted",
        );
        for (place, one) in report.recipients.iter().enumerate().take(COLUMNS) {
            let shown = one.name.as_ref().unwrap_or(&one.label);
            self.add(format_args!(
                "<th scope=\"col\" class=\"r\"><button type=\"button\" data-r=\"{place}\" aria-pressed=\"false\" title=\"{} {}\">\
                 {}</button>",
                one.kind,
                Escaped(&one.id),
                Escaped(shown)
            ));
        }
        if report.recipients.len() > COLUMNS {
            self.out.push_str("<th scope=\"col\">Others");
        }
        self.out.push_str("\n<tbody>\n");
        for (row, file) in report.files.iter().enumerate() {
            self.file(row, file);
        }
        self.out.push_str("</table></div>\n");
    }

    fn key_sets(&mut self) {
        let report = self.report;
        self.out.push_str(
            "<h2>Key sets</h2>\n<p class=\"dim\">Files that the same recipients open. A set of one file is often a forgotten \
             <code>sops updatekeys</code>.</p>\n<div class=\"scroll\"><table class=\"list\">\n<thead><tr><th scope=\"col\">Set\
             <th scope=\"col\">Files<th scope=\"col\">Needs<th scope=\"col\">Recipients\n<tbody>\n",
        );
        let sets = std::mem::take(&mut self.sets);
        for (place, set) in sets.iter().enumerate().take(MOST_LISTED) {
            let needs = match set.groups.len() {
                0 | 1 => "any one".to_owned(),
                groups => format!("{} of {groups} groups", set.needed),
            };
            self.add(format_args!(
                "<tr><td><button type=\"button\" data-k=\"{place}\">set {}</button><td>{}<td>{needs}<td>",
                place + 1,
                set.files.len()
            ));
            let groups = set.groups.iter().take(MOST_IN_ROW).map(|group| {
                let names = group.iter().take(MOST_IN_ROW).filter_map(|one| report.recipients.get(*one));
                let names: Vec<String> = names.map(|one| format!("<bdi>{}</bdi>", Escaped(&one.shown()))).collect();
                let more = group.len().saturating_sub(MOST_IN_ROW);
                names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
            });
            let groups: Vec<String> = groups.collect();
            self.out.push_str(&groups.join(" <b>+</b> "));
            self.out.push('\n');
        }
        self.sets = sets;
        self.out.push_str("</table></div>\n");
    }

    fn recipients(&mut self) {
        let report = self.report;
        self.out.push_str(
            "<h2>Recipients</h2>\n<div class=\"scroll\"><table id=\"recipients\" class=\"list\">\n<thead><tr><th scope=\"col\">\
             Recipient<th scope=\"col\">Kind<th scope=\"col\">Files<th scope=\"col\">Alone<th scope=\"col\">What it is<th scope=\"col\">You\n<tbody>\n",
        );
        let mut alone = vec![0_usize; report.recipients.len()];
        for file in report.files.iter().filter(|file| file.groups.len() <= 1) {
            for one in file.groups.iter().flatten() {
                if let Some(count) = alone.get_mut(*one) {
                    *count += 1;
                }
            }
        }
        for (place, one) in report.recipients.iter().enumerate().take(MOST_LISTED) {
            let named =
                one.name.as_deref().map(|name| format!("<b><bdi>{}</bdi></b> ", Escaped(name))).unwrap_or_default();
            self.add(format_args!(
                "<tr><th scope=\"row\">{named}<code><bdi>{}</bdi></code><td>{}<td><button type=\"button\" data-r=\"{place}\" \
                 aria-pressed=\"false\">{}</button><td>{}<td>{}<td>{}\n",
                Escaped(&one.id),
                one.kind,
                counted(one.files, "file"),
                alone.get(place).copied().unwrap_or_default(),
                facts(one),
                yours(one)
            ));
        }
        if report.recipients.len() > MOST_LISTED {
            self.add(format_args!("<tr><td colspan=\"6\">and {} more\n", report.recipients.len() - MOST_LISTED));
        }
        self.out.push_str("</table></div>\n");
    }

    fn problems(&mut self) {
        let report = self.report;
        if report.problems.is_empty() {
            return;
        }
        self.out.push_str("<h2>Not explained</h2>\n<ul>\n");
        for problem in report.problems.iter().take(MOST_LISTED) {
            let path = Printable::new(&problem.path);
            self.add(format_args!("<li><bdi>{}</bdi>: {}\n", Escaped(path.as_str()), Escaped(&problem.message)));
        }
        self.out.push_str("</ul>\n");
    }

    fn foot(&mut self) {
        self.add(format_args!(
            "</main>\n<footer>Made by unsops {} explain. No value of a secret is in this page, only names, sizes and \
             recipients; who may read the repository may read it. Keys: / searches, arrows move from file to file, Enter \
             opens.</footer>\n<script>{SCRIPT}</script>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        ));
    }
}

fn facts(one: &RecipientEntry) -> String {
    let mut parts: Vec<String> =
        one.facts.iter().map(|fact| format!("{} <bdi>{}</bdi>", fact.name, Escaped(&fact.value))).collect();
    parts.extend(one.name_source.as_deref().map(|source| format!("named in <bdi>{}</bdi>", Escaped(source))));
    parts.join(", ")
}

fn yours(one: &RecipientEntry) -> String {
    let source = Escaped(one.yours.source.as_deref().unwrap_or_default());
    match one.yours.state {
        YoursState::Yes => format!("<span class=\"ok\">yes</span>, <bdi>{source}</bdi>"),
        YoursState::Locked => format!("<bdi>{source}</bdi> may hold it"),
        YoursState::AskService => format!("{source} can tell"),
        YoursState::No => "no".to_owned(),
        YoursState::Unsupported => "not supported".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_an_attribute_or_an_element() {
        assert_eq!(Escaped("a<b>&\"'").to_string(), "a&lt;b&gt;&amp;&quot;&#39;");
    }

    #[test]
    fn style_and_script_end_where_they_should() {
        assert!(!CSS.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval"));
    }
}

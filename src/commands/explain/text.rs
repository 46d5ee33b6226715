//! The report for people: a tree for each file.

use std::fmt::Write as _;

use super::report::{Asked, FileEntry, Opens, RecipientEntry, Report, Rule, ValueEntry, YoursState};
use crate::color::Paint;
use crate::text::Printable;

/// Most lines of a list; `--output json` has more.
const MOST_LINES: usize = 100;

/// A line with what belongs below it.
struct Branch {
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), below: Vec::new() }
    }

    fn draw(&self, indent: &str, paint: Paint, out: &mut String) {
        for (index, branch) in self.below.iter().enumerate() {
            let is_last = index + 1 == self.below.len();
            let (corner, line) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            _ = writeln!(out, "{}{}", paint.dim(format!("{indent}{corner}")), branch.text);
            branch.draw(&format!("{indent}{line}"), paint, out);
        }
    }

    /// Cuts a long list.
    fn shorten(mut self) -> Self {
        if self.below.len() > MOST_LINES {
            let more = self.below.len() - MOST_LINES;
            self.below.truncate(MOST_LINES);
            self.below.push(Self::new(format!("and {more} more (--output json)")));
        }
        self
    }
}

/// Draws the report: a single file (`with_values`: every file) whole, several by key set. `is_brief`: files alone.
pub fn tree(report: &Report, with_values: bool, is_brief: bool, paint: Paint) -> String {
    let mut out = String::new();
    match &report.asked {
        Some(asked) => answer(report, asked, paint, &mut out),
        None if report.files.is_empty() && report.problems.is_empty() => out.push_str("no SOPS file found\n"),
        None => {
            if with_values || report.files.len() == 1 {
                for file in &report.files {
                    file_tree(file, report, paint, &mut out);
                }
            } else {
                key_sets(report, paint, &mut out);
            }
            if !is_brief {
                identities(report, paint, &mut out);
                summary(report, paint, &mut out);
            }
        }
    }
    for problem in &report.problems {
        let path = Printable::new(&problem.path);
        _ = writeln!(out, "{} {path}: {}", paint.red("not explained:"), problem.message);
    }
    out
}

fn file_tree(file: &FileEntry, report: &Report, paint: Paint, out: &mut String) {
    let version =
        file.sops_version.as_deref().map_or_else(|| "sops of unknown version".to_owned(), |v| format!("sops {v}"));
    let name = file.format_by_name.map(|by_name| format!(" (its name says {by_name})")).unwrap_or_default();
    let mut root = Branch::new(format!(
        "{}  {}{name}, {version}, changed {}",
        paint.bold(Printable::new(&file.path)),
        file.format,
        file.last_modified
    ));
    root.below.push(recipients(file.needed_groups, &file.groups, report, paint));
    root.below.push(you(file, paint));
    root.below.extend(file.opens.as_ref().map(|opens| tried(opens, paint)));
    root.below.push(Branch::new(format!("rule: {}", rule(&file.rule, paint))));
    if file.mac_only_encrypted {
        root.below.push(Branch::new("the MAC covers encrypted values only: values in clear can be changed unnoticed"));
    }
    root.below.extend(values(file, paint));
    root.below.extend(findings(file, paint));
    _ = writeln!(out, "{}", root.text);
    root.draw("", paint, out);
    out.push('\n');
}

/// Files by key set: a repository has few of them.
fn key_sets(report: &Report, paint: Paint, out: &mut String) {
    for set in report.key_sets() {
        let files: Vec<&FileEntry> = set.files.iter().filter_map(|index| report.files.get(*index)).collect();
        let mut root = Branch::new("");
        root.below.push(recipients(set.needed, set.groups, report, paint));
        root.below.extend(files.first().map(|file| you(file, paint)));
        // What came of trying is said once where it is the same for all.
        let first = files.first().and_then(|file| file.opens.as_ref());
        let is_same = files.iter().all(|file| file.opens.as_ref() == first);
        root.below.extend(first.filter(|_| is_same).map(|opens| tried(opens, paint)));
        let mut list = Branch::new("files");
        list.below = files.iter().take(MOST_LINES).map(|file| short_file(file, !is_same, paint)).collect();
        let cut = files.len().saturating_sub(MOST_LINES);
        list.below.extend((cut > 0).then(|| Branch::new(format!("and {cut} more (--output table, json or html)"))));
        root.below.push(list);
        _ = writeln!(out, "{}", paint.bold(counted(files.len(), "file")));
        root.draw("", paint, out);
        out.push('\n');
    }
}

fn short_file(file: &FileEntry, with_opens: bool, paint: Paint) -> Branch {
    let values = &file.values;
    let name = file.format_by_name.map(|by_name| format!(", its name says {by_name}")).unwrap_or_default();
    let opens = match &file.opens {
        Some(opens) if with_opens && opens.ok => format!(" {}", paint.green("opens")),
        _ => String::new(),
    };
    let text = format!(
        "{}{opens}  {}",
        paint.bold(Printable::new(&file.path)),
        paint.dim(format!(
            "{}{name}, {} of {} encrypted, changed {}",
            file.format,
            values.encrypted,
            counted(values.encrypted + values.clear, "value"),
            file.last_modified.get(..10).unwrap_or_default()
        ))
    );
    let mut branch = Branch::new(text);
    branch.below.extend(file.opens.as_ref().filter(|opens| with_opens && !opens.ok).map(|opens| tried(opens, paint)));
    branch.below.extend(findings(file, paint));
    branch
}

fn tried(opens: &Opens, paint: Paint) -> Branch {
    if opens.ok {
        return Branch::new(paint.green("opens: decrypted with your keys, MAC verified"));
    }
    let mut branch = Branch::new(paint.red("does not open"));
    branch.below = opens.reasons.iter().map(Branch::new).collect();
    branch.below.extend(opens.hints.iter().map(|hint| Branch::new(format!("{} {hint}", paint.cyan("hint:")))));
    branch.shorten()
}

fn findings(file: &FileEntry, paint: Paint) -> Option<Branch> {
    let mut branch = Branch::new(paint.red(counted(file.findings.len(), "finding")));
    branch.below = file
        .findings
        .iter()
        .map(|finding| {
            let place = finding.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
            let line = finding.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            Branch::new(format!("{place}{}{line}", finding.message))
        })
        .collect();
    (!file.findings.is_empty()).then_some(branch)
}

fn recipients(needed: usize, groups: &[Vec<usize>], report: &Report, paint: Paint) -> Branch {
    let line = |place: &usize| report.recipients.get(*place).map(|one| Branch::new(recipient(one, paint)));
    match groups {
        [group] => {
            let mut branch = Branch::new(match group.len() {
                1 => "opens for one recipient".to_owned(),
                several => format!("opens for any of {several} recipients"),
            });
            branch.below = group.iter().filter_map(line).collect();
            branch.shorten()
        }
        groups => {
            let mut branch = Branch::new(format!("opens for {needed} of {} key groups together", groups.len()));
            branch.below = groups
                .iter()
                .enumerate()
                .map(|(index, group)| {
                    let any = if group.len() > 1 { ", any of" } else { "" };
                    let mut branch = Branch::new(format!("group {}{any}", index + 1));
                    branch.below = group.iter().filter_map(line).collect();
                    branch.shorten()
                })
                .collect();
            branch.shorten()
        }
    }
}

/// `age alice (age16m...3cc6y), named in .sops.yaml: yours, SOPS_AGE_KEY_FILE=/keys`
fn recipient(one: &RecipientEntry, paint: Paint) -> String {
    let named = one
        .name_source
        .as_ref()
        .filter(|source| one.yours.source.as_ref() != Some(source))
        .map(|source| paint.dim(format!(", named in {source}")))
        .unwrap_or_default();
    let facts: Vec<String> = one
        .facts
        .iter()
        .filter(|fact| !one.label.contains(&fact.value))
        .map(|fact| format!("{} {}", fact.name, fact.value))
        .collect();
    let facts = if facts.is_empty() { String::new() } else { format!(", {}", facts.join(", ")) };
    let source = one.yours.source.as_deref().unwrap_or_default();
    let yours = match one.yours.state {
        YoursState::Yes => format!(" {}", paint.green(format!("← you, {source}"))),
        YoursState::Locked => format!(" {}", paint.yellow(format!("← you? {source} may hold it"))),
        YoursState::AskService => paint.dim(format!(" ({source} can tell)")),
        YoursState::No => String::new(),
        YoursState::Unsupported => paint.dim(" (not supported)".to_owned()),
    };
    // Short ids are shown whole; a person may search for them.
    let whole = if one.kind == "pgp" || one.label.ends_with("...") { format!(" {}", one.id) } else { String::new() };
    let name = match &one.name {
        Some(name) if whole.is_empty() => format!("{} {}", paint.cyan(name), one.label),
        Some(name) => paint.cyan(name),
        None if whole.is_empty() => one.label.clone(),
        None => String::new(),
    };
    format!("{} {name}{whole}{named}{facts}{yours}", one.kind).replace("  ", " ")
}

fn you(file: &FileEntry, paint: Paint) -> Branch {
    let answer = match file.access.state {
        "yes" => paint.green("you can open it"),
        "maybe" => paint.yellow("you may be able to open it"),
        _ => paint.yellow("you cannot open it"),
    };
    let mut branch = Branch::new(format!("{answer}: {}", file.access.reason));
    if let (Some(next), None) = (&file.access.next, &file.opens) {
        branch.below.push(Branch::new(format!("{} {next}", paint.cyan("hint:"))));
    }
    branch
}

/// The rule, and what it means.
fn rule(rule: &Rule, paint: Paint) -> String {
    let below = if rule.field.ends_with("comment_regex") {
        "below a comment that matches"
    } else if rule.field.ends_with("suffix") {
        "under a key that ends so"
    } else {
        "under a key that matches"
    };
    let meaning = if rule.field.starts_with("encrypted") {
        format!("only values {below} are encrypted")
    } else {
        format!("everything is encrypted but values {below}")
    };
    let by = if rule.written { "" } else { " (sops' default, the file names no rule)" };
    format!("{} {}: {meaning}{by}", paint.bold(rule.field), rule.text)
}

fn values(file: &FileEntry, paint: Paint) -> Vec<Branch> {
    let values = &file.values;
    let comments = match (values.comments, values.encrypted_comments) {
        (0, _) => String::new(),
        (all, 0) => format!(", {} in clear", counted(all, "comment")),
        (all, encrypted) if all == encrypted => format!(", {} encrypted", counted(all, "comment")),
        (all, encrypted) => format!(", {encrypted} of {} encrypted", counted(all, "comment")),
    };
    let empty = if values.empty > 0 { format!(", {} empty", values.empty) } else { String::new() };
    let mut encrypted = Branch::new(format!("{} encrypted", counted(values.encrypted, "value")));
    let mut clear = Branch::new(format!("{} in clear{empty}{comments}", counted(values.clear, "value")));
    for value in &values.listed {
        match value.state {
            "encrypted" => encrypted.below.push(Branch::new(encrypted_value(value, &file.rule, paint))),
            "empty" => {}
            _ => clear.below.push(Branch::new(format!("{}{}", value.path, paint.dim(at_line(value))))),
        }
    }
    let mut branches = vec![encrypted.shorten(), clear.shorten()];
    if values.not_listed > 0 {
        branches.push(Branch::new(format!("{} more not listed", counted(values.not_listed, "value"))));
    }
    branches
}

fn encrypted_value(value: &ValueEntry, rule: &Rule, paint: Paint) -> String {
    let size = value.bytes.map(|bytes| counted(bytes, "byte")).unwrap_or_default();
    let by = match &value.decided_by {
        Some(by) if *by != value.path && rule.field == "encrypted_regex" => format!(", because of {by}"),
        _ => String::new(),
    };
    format!("{}  {}", value.path, paint.dim(format!("{}, {size}{}{by}", value.kind.unwrap_or("str"), at_line(value))))
}

fn at_line(value: &ValueEntry) -> String {
    value.line.map(|line| format!(", line {line}")).unwrap_or_default()
}

/// The answer to `--recipient`.
fn answer(report: &Report, asked: &Asked, paint: Paint, out: &mut String) {
    let meant: Vec<&RecipientEntry> =
        asked.recipients.iter().filter_map(|place| report.recipients.get(*place)).collect();
    if meant.is_empty() {
        _ = writeln!(
            out,
            "no recipient of {} is meant by {}; they have {}",
            counted(asked.searched, "file"),
            paint.bold(&asked.who),
            counted(report.recipients.len(), "recipient")
        );
        return;
    }
    let mut root = Branch::new(format!("{} means {}", paint.bold(&asked.who), counted(meant.len(), "recipient")));
    root.below = meant.iter().map(|one| Branch::new(recipient(one, paint))).collect();
    _ = writeln!(out, "{}", root.text);
    root.shorten().draw("", paint, out);
    let (alone, partly): (Vec<_>, Vec<_>) = report.files.iter().partition(|file| file.opens_for(&asked.recipients));
    _ = writeln!(out, "\n{} of {}", paint.bold(format!("opens {}", alone.len())), counted(asked.searched, "file"));
    for file in &alone {
        _ = writeln!(out, "  {}  {}", Printable::new(&file.path), paint.dim(format!("changed {}", file.last_modified)));
    }
    if !partly.is_empty() {
        _ = writeln!(out, "\n{} of {}", paint.bold("has a part of the key"), counted(partly.len(), "file"));
        for file in &partly {
            let (has, needed) = (file.groups_of(&asked.recipients), file.needed_groups);
            _ = writeln!(out, "  {}  {has} of {needed} needed key groups", Printable::new(&file.path));
        }
    }
    _ = writeln!(
        out,
        "\n{} to take it away: remove it from .sops.yaml, run `sops updatekeys` and `sops rotate -i` on each file, then change the \
         values themselves: whoever opened them once may have kept them, and Git keeps the old files",
        paint.cyan("hint:")
    );
}

fn identities(report: &Report, paint: Paint, out: &mut String) {
    let mut root = Branch::new("your identities");
    let has_keys = report.identities.iter().any(|source| !source.keys.is_empty());
    for source in &report.identities {
        let state = match source.state {
            "keys" if source.keys.is_empty() && has_keys && source.reason.is_none() => continue,
            "keys" => {
                let keys = match source.keys.is_empty() {
                    true => "no key, or one behind a passphrase".to_owned(),
                    false => source.keys.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", "),
                };
                let finding = source.reason.as_deref().map(|why| paint.red(format!(" ({why})")));
                keys + &finding.unwrap_or_default()
            }
            "unusable" => paint.red(source.reason.as_deref().unwrap_or("of no use")),
            _ => continue,
        };
        root.below.push(Branch::new(format!("{}: {state}", source.source)));
    }
    if !has_keys {
        let absent = report.identities.iter().filter(|source| source.state == "absent");
        let places: Vec<&str> = absent.map(|source| source.source.as_str()).collect();
        root.below.push(Branch::new(format!("none in {}", places.join(", "))));
    }
    _ = writeln!(out, "{}", root.text);
    root.shorten().draw("", paint, out);
}

fn summary(report: &Report, paint: Paint, out: &mut String) {
    let count = |state: &str| report.files.iter().filter(|file| file.access.state == state).count();
    if report.files.len() < 2 {
        return;
    }
    let opened = report.files.iter().filter(|file| file.opens.as_ref().is_some_and(|opens| opens.ok)).count();
    let you = match report.tried {
        true => format!("your keys opened {opened}"),
        false => {
            let counts = [(count("yes"), ""), (count("maybe"), "perhaps "), (count("no"), "not ")];
            let parts =
                counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{word}{count}"));
            match parts.collect::<Vec<_>>().join(", ") {
                none if count("yes") + count("maybe") == 0 && !none.is_empty() => {
                    "you can open none of them".to_owned()
                }
                parts => format!("you can open {parts}"),
            }
        }
    };
    let findings: usize = report.files.iter().map(|file| file.findings.len()).sum();
    let findings = if findings > 0 { format!("; {}", paint.red(counted(findings, "finding"))) } else { String::new() };
    _ = writeln!(
        out,
        "{}, {}; {you}{findings}",
        counted(report.files.len(), "SOPS file"),
        counted(report.recipients.len(), "recipient")
    );
}

/// `1 file`, `2 files`
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

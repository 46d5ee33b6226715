//! `unsops check`: what is wrong with secrets, generators and kustomizations, without a key.
//!
//! Files are listed as git sees them, scanned several at a time ([`scan`]), and then held against each other: against
//! kustomizations ([`kustomizations`], [`generators`], [`builds`]) and against `.sops.yaml` ([`recipients`]).

mod builds;
mod decrypt;
mod excerpts;
mod fix;
mod generators;
mod kustomizations;
mod objects;
mod own_kinds;
mod recipients;
mod scan;
mod settings;
mod sops_file;
mod weak_key;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::builds::Builds;
use self::excerpts::Excerpts;
use self::generators::Generators;
use self::own_kinds::OwnKinds;
use self::recipients::Configs;
use self::scan::{Class, Files};
use self::settings::{Settings, unknown_rule};
use super::narrator::Narrator;
use super::tree::Tree;
use super::{confine, policy, records};
use crate::cli::{CheckArgs, CheckOutput};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::findings::{self, Finding, RULES, Report, Rule, Severity, Silence, Tint, rules};
use crate::jail::Root;
use crate::kustomization;
use crate::limits;
use crate::process::{self, Output};
use crate::secret::Secret;
use crate::text::Printable;
use crate::walk;
use crate::yaml::Position;

/// Checks what is asked for and gives the report.
///
/// # Errors
/// [`Failure::Usage`]: paths, rules or settings that make no sense; there is no other.
pub fn check(args: &CheckArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    if args.list_rules {
        return Ok(text_output(list_rules()));
    }
    if let Some(id) = &args.explain {
        let rule = findings::find(id).ok_or_else(|| unknown_rule(Printable::new(id)))?;
        return Ok(text_output(explain(rule)));
    }
    if let Some(path) = &args.policy.policy {
        // It matters where a file lies beneath its root, which is opened to tell; with musl that is to read a directory.
        let root = |file: &PathBuf| {
            let file = file.canonicalize().ok()?;
            Some(Root::discover_from(env, file.parent()?).ok()?.path().to_owned())
        };
        let roots: Vec<PathBuf> = args.paths.iter().filter_map(root).collect();
        confine::whole(env, &[args.paths.as_slice(), std::slice::from_ref(path), &roots].concat())?;
        return policy::check(&args.policy, &args.paths, args.output == CheckOutput::Json, env);
    }
    let narrator = Narrator::of(args.more, args.quiet > 0, env);
    let asked = Asked::of(args, env)?;
    narrator.info(|| format!("root: {}", walk::printable(asked.root.path())));
    let confined = Confined::new(args, &asked, env)?;
    let (scope, settings) = confined.act(|| {
        let scope = Scope::list(asked, &narrator)?;
        let settings = Settings::read(args, &scope.root)?;
        Ok::<_, Record>((scope, settings))
    })?;
    let look = || look(&scope, &settings, args, env, deadline, &narrator, &confined);
    let (mut report, found) = look()?;
    let mended = if args.fix { fix::apply(&scope.root, &found) } else { fix::Mended::default() };
    for (file, why) in &mended.refused {
        process::write_stderr(&format!("unsops: warning: {file}: not mended, it cannot be written ({why})\n"));
    }
    if mended.is_changed {
        // What was mended may have hidden, or explained, other findings.
        narrator.info(|| "files were mended: everything is looked at again".to_owned());
        let (again, found) = look()?;
        report = again;
        report.take(found);
    } else {
        report.take(found);
    }
    Ok(show(&report, args, env))
}

/// Looks at everything once.
fn look(
    scope: &Scope,
    settings: &Settings,
    args: &CheckArgs,
    env: &Environment,
    deadline: Deadline,
    narrator: &Narrator,
    confined: &Confined<'_>,
) -> Result<(Report, Vec<Finding>), Error> {
    let (files, mut all, mut report) = confined.act(|| {
        let (files, mut all) = scan_all(scope, deadline, narrator);
        let mut report = Report::default();
        report.files = scope.paths.len();
        report.sops_files = files.values().filter(|scanned| matches!(scanned.class, Class::Sops(_))).count();
        all.extend(across(scope, &files, settings, env, &mut report, narrator));
        (files, all, report)
    });
    if args.decrypt {
        let start = Instant::now();
        all.extend(decrypt::check(&scope.root, &files, &confined.readable, env, deadline, narrator)?);
        narrator.took(start, || "files opened and generators carried out".to_owned());
    }
    let mut kept = Vec::new();
    for finding in all {
        let finding = as_example(finding);
        let place = place(&finding);
        let finding = match settings.judge(finding) {
            Ok(finding) => finding,
            Err(why) => {
                narrator.debug(|| format!("not shown: {place}: {why}"));
                continue;
            }
        };
        match silenced_by(&finding, &files, settings) {
            Some(what) => {
                narrator.info(|| format!("silenced: {place}: by {what}"));
                report.silenced = report.silenced.saturating_add(1);
            }
            None => kept.push(finding),
        }
    }
    Ok((report, kept))
}

/// `mac-missing at apps/db.enc.yaml:3`
fn place(finding: &Finding) -> String {
    let line = if finding.position.line > 0 { format!(":{}", finding.position.line) } else { String::new() };
    format!("{} at {}{line}", finding.rule.id, finding.printable_file())
}

/// What silences a finding, in words.
fn silenced_by(finding: &Finding, files: &Files, settings: &Settings) -> Option<String> {
    let silences = files.get(&finding.file).map(|scanned| &scanned.silences);
    match silences.and_then(|silences| silences.covering(finding.rule.id, finding.position.line)) {
        Some(Silence::File) => return Some("unsops:ignore-file in the file".to_owned()),
        Some(Silence::Line(line)) => return Some(format!("unsops:ignore on line {line}")),
        None => {}
    }
    let ignored = settings.ignores(finding)?;
    let reason = ignored.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("entry {} of check.ignore in the settings{reason}", ignored.number))
}

/// Names of directories whose Secrets are made up.
const EXAMPLES: [&str; 13] = [
    "doc",
    "docs",
    "example",
    "examples",
    "fixture",
    "fixtures",
    "sample",
    "samples",
    "test",
    "test_resources",
    "testdata",
    "tests",
    "testing",
];

/// Rules that examples and test data break on purpose.
const MADE_UP: [&Rule; 5] = [
    &rules::GENERATOR_UNUSED,
    &rules::HASH_UNREFERENCED,
    &rules::NAME_HINT,
    &rules::PLAINTEXT_SECRET,
    &rules::WEAK_KEY,
];

/// A Secret in clear, or a weak key, among examples and test data is worth a note.
fn as_example(mut finding: Finding) -> Finding {
    let is_made_up = MADE_UP.contains(&finding.rule);
    let mut parts: Vec<&str> = finding.file.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let is_example =
        parts.iter().any(|part| EXAMPLES.contains(part)) || name.starts_with("example") || name.contains(".example");
    if is_made_up && is_example {
        finding.severity = Severity::Note;
    }
    finding
}

fn show(report: &Report, args: &CheckArgs, env: &Environment) -> Output {
    let text = match args.output {
        _ if args.quiet > 1 => String::new(),
        CheckOutput::Github => report.github(),
        CheckOutput::Json => report.json(),
        CheckOutput::Junit => report.junit(),
        CheckOutput::Sarif => report.sarif(),
        CheckOutput::Text => {
            let paint = args.color.paint(env, process::stdout_is_terminal());
            let tint = Tint {
                error: &|text| paint.red(text),
                warning: &|text| paint.yellow(text),
                dim: &|text| paint.dim(text),
                bold: &|text| paint.bold(text),
            };
            report.text(&tint, args.quiet == 0)
        }
    };
    let bytes = Secret::new(text.into_bytes());
    if report.findings().is_empty() { Output::new(bytes) } else { Output::findings(bytes) }
}

fn text_output(text: String) -> Output {
    Output::new(Secret::new(text.into_bytes()))
}

fn list_rules() -> String {
    let width = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    RULES.iter().map(|rule| format!("{:width$}  {:7}  {}\n", rule.id, rule.severity.as_str(), rule.title)).collect()
}

/// The section of a rule, as `examples/check/rules.md` has it.
pub fn explain(rule: &Rule) -> String {
    format!(
        "## {}\n\n{} ({}).\n\nWhy: {}.\n\nFix: {}.\n\nSilence: `# unsops:ignore {}` on the line or the one before.\n",
        rule.id,
        rule.title,
        rule.severity.as_str(),
        rule.why,
        rule.fix,
        rule.id
    )
}

/// What a check looks at.
struct Scope {
    root: Root,
    /// Files from the root, in order.
    paths: Vec<String>,
    /// What was asked for, from the root; a directory covers what lies in it.
    asked: Vec<String>,
    findings: Vec<Finding>,
}

/// What is asked for, before anything of it is read.
struct Asked {
    root: Root,
    /// Without symbolic links.
    paths: Vec<PathBuf>,
}

impl Asked {
    fn of(args: &CheckArgs, env: &Environment) -> Result<Self, Record> {
        let here = env.current_dir().ok_or_else(|| Record::new(Failure::Usage, "there is no working directory"))?;
        let paths: Vec<PathBuf> = match args.paths.as_slice() {
            [] => vec![here.to_owned()],
            paths => paths.iter().map(|path| here.join(path)).collect(),
        };
        let paths: Vec<PathBuf> = paths
            .iter()
            .map(|path| {
                path.canonicalize().map_err(|_| {
                    Record::new(Failure::Usage, "does not exist or cannot be read").about(walk::printable(path))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { root: root(env, &paths)?, paths })
    }
}

/// Where files are taken apart, with nothing left but to read them: by the whole process, or on threads of their own where
/// something is mended or decrypted besides.
struct Confined<'a> {
    is_whole: bool,
    readable: Vec<PathBuf>,
    env: &'a Environment,
}

impl<'a> Confined<'a> {
    fn new(args: &CheckArgs, asked: &Asked, env: &'a Environment) -> Result<Self, Record> {
        let mut readable = vec![asked.root.path().to_owned()];
        readable.extend(walk::beside(asked.root.path()));
        readable.extend(asked.paths.iter().flat_map(|path| walk::beside(path)));
        readable.extend(args.config.clone());
        readable.sort_unstable();
        readable.dedup();
        let is_whole = !args.fix && !args.decrypt;
        if is_whole {
            confine::whole(env, &readable)?;
        }
        Ok(Self { is_whole, readable, env })
    }

    fn act<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        if self.is_whole { act() } else { confine::aside(self.env, &self.readable, act) }
    }
}

impl Scope {
    fn list(asked: Asked, narrator: &Narrator) -> Result<Self, Record> {
        let Asked { root, paths: asked } = asked;
        let mut scope = Self { root, paths: Vec::new(), asked: Vec::new(), findings: Vec::new() };
        let mut paths = BTreeSet::new();
        for path in &asked {
            let Ok(relative) = path.strip_prefix(scope.root.path()) else {
                let message = "lies outside of the repository of the other paths";
                return Err(Record::new(Failure::Usage, message).about(walk::printable(path)));
            };
            let start = Instant::now();
            let before = paths.len();
            scope.add(path, relative, &mut paths);
            let count = paths.len().saturating_sub(before);
            narrator.took(start, || format!("{}: {count} files listed, as git sees them", walk::printable(path)));
        }
        scope.paths = paths.into_iter().collect();
        Ok(scope)
    }

    fn add(&mut self, path: &Path, relative: &Path, paths: &mut BTreeSet<String>) {
        self.asked.extend(relative.to_str().map(str::to_owned));
        if !path.is_dir() {
            paths.extend(relative.to_str().map(str::to_owned));
            return;
        }
        let listing = walk::files(path);
        for file in &listing.files {
            let file = relative.join(file);
            match file.to_str() {
                Some(file) => _ = paths.insert(file.to_owned()),
                None => {
                    let name = walk::printable(&file).to_string();
                    let message = "the name is not UTF-8: the file was not looked at";
                    self.findings.push(Finding::new(&rules::UNREADABLE, &name, Position::default(), message));
                }
            }
        }
        for (name, why) in listing.problems {
            self.findings.push(Finding::new(&rules::UNREADABLE, name.as_str(), Position::default(), why));
        }
    }

    /// Whether a path lies in what was asked for.
    fn covers(&self, path: &str) -> bool {
        self.asked.iter().any(|asked| {
            asked.is_empty()
                || path.strip_prefix(asked.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The root of the working directory where it holds what was asked for, else that of the first path.
fn root(env: &Environment, asked: &[PathBuf]) -> Result<Root, Record> {
    let is_around = |root: &Root| asked.iter().all(|path| path.starts_with(root.path()));
    if let Ok(root) = Root::discover(env)
        && is_around(&root)
    {
        return Ok(root);
    }
    let first = asked.first().map_or(Path::new("/"), PathBuf::as_path);
    let directory = if first.is_dir() { first } else { first.parent().unwrap_or(first) };
    Root::discover_from(env, directory).map_err(|error| Record { failure: Failure::Usage, ..records::of_file(error) })
}

fn scan_all(scope: &Scope, deadline: Deadline, narrator: &Narrator) -> (Files, Vec<Finding>) {
    let start = Instant::now();
    let progress = narrator.progress("looking at files", scope.paths.len());
    let (files, skipped) = scan::scan(&scope.root, &scope.paths, deadline, &progress);
    drop(progress);
    narrator.took(start, || tally(&files));
    for (path, scanned) in &files {
        narrator.debug(|| format!("{}: {}", Printable::new(path), scanned.class.words()));
    }
    let mut findings = scope.findings.clone();
    if skipped > 0 {
        let message = format!("the time was up: {skipped} files were not looked at");
        findings.push(Finding::new(&rules::UNREADABLE, ".", Position::default(), message));
    }
    findings.extend(files.values().flat_map(|scanned| scanned.findings.iter().cloned()));
    (files, findings)
}

/// `SOPS files: 3, manifests: 4, …`
fn tally(files: &Files) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for scanned in files.values() {
        *counts.entry(scanned.class.words()).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(words, count)| format!("{count} {words}")).collect();
    format!("looked at: {}", counts.join(", "))
}

/// What shows only when files are held against each other.
fn across(
    scope: &Scope,
    files: &Files,
    settings: &Settings,
    env: &Environment,
    report: &mut Report,
    narrator: &Narrator,
) -> Vec<Finding> {
    let start = Instant::now();
    let root = &scope.root;
    let directories = kustomizations::directories(files);
    let walk = kustomization::walk(&Tree::new(root), directories.iter().map(String::as_str));
    report.kustomizations = walk.kustomizations.len();
    report.generators = walk.ours().count();
    narrator.took(start, || {
        format!("kustomizations gone through: {}, generators of ours: {}", report.kustomizations, report.generators)
    });
    let start = Instant::now();
    let excerpts = Excerpts::new(root);
    let is_listed = |path: &str| scope.covers(path);
    let mut findings = kustomizations::check(&walk, files, &excerpts);
    let (looks_left, hints_left) = (Cell::new(limits::WALK_LOOKS), Cell::new(limits::CHECK_HINTS));
    let generators =
        Generators { root, excerpts: &excerpts, walk: &walk, files, is_listed: &is_listed, looks_left, hints_left };
    findings.extend(generators.check());
    findings.extend(OwnKinds { root, excerpts: &excerpts, walk: &walk, files }.check());
    findings.extend(Builds { root, walk: &walk, files, excerpts: &excerpts }.check());
    findings.extend(recipients::check(files, &Configs::new(root, files)));
    findings.extend(recipients::shared_keys(files));
    if let Some(days) = settings.max_age_days {
        findings.extend(recipients::stale(files, days, process::now(env)));
    }
    narrator.took(start, || "files held against kustomizations and .sops.yaml".to_owned());
    findings
}

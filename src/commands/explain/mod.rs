//! `unsops explain`: who can open SOPS files, why, and what stands in them; without any key, and never a value.
//!
//! ```text
//!   paths -> gather (look: one file; access: is it you) -> Report -> text | table | json | html
//! ```

mod access;
mod gather;
mod html;
mod look;
mod report;
mod table;
mod text;

use std::path::PathBuf;
use std::time::Instant;

use self::gather::{Gathered, Gatherer};
use self::report::{Asked, Fact, FileEntry, IdentitySource, RecipientEntry, Report};
use super::confine::{self, Confinement};
use super::narrator::Narrator;
use crate::cli::{ExplainArgs, ExplainOutput};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::keys::{KeyPolicy, KeySource, KeySourceState, Keyring};
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::Secret;
use crate::sops::KeyKinds;
use crate::text::{self as printable, Printable};

/// The JSON schema of the report.
const SCHEMA: &str = include_str!("schema.json");

/// Explains files and directories.
///
/// # Errors
/// Arguments that make no sense; whatever is wrong with files is in the report.
pub fn explain(args: &ExplainArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    if args.output == ExplainOutput::Schema {
        return Ok(Output::new(Secret::new(SCHEMA.into())));
    }
    let is_terminal = process::stdin_is_terminal() && process::stdout_is_terminal();
    let policy =
        KeyPolicy { allow_exec: args.tries, terminal: args.tries && is_terminal, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let narrator = Narrator::new(args.verbosity, env);
    let narrator = if policy.terminal { narrator.without_progress() } else { narrator };
    // The operator's own files are read before anything is given up.
    let sources = keyring.describe();
    narrator.keys(|| sources.clone());
    let start = Instant::now();
    let gatherer = Gatherer::new(&keyring, args.tries, deadline, &narrator);
    confine(args, paths, &keyring, policy, env)?;
    let gathered = gatherer.gather(paths);
    narrator.took(start, || {
        let (files, recipients) = (gathered.files.len(), gathered.recipients.len());
        format!("SOPS files: {files}, recipients: {recipients}, problems: {}", gathered.problems.len())
    });
    let report = conclude(gathered, &sources, args);
    let paint = args.color.color.paint(env, process::stdout_is_terminal());
    let shown = match args.output {
        ExplainOutput::Html => html::page(&report),
        ExplainOutput::Json => json(&report)?,
        ExplainOutput::Table => table::table(&report, paint),
        ExplainOutput::Schema | ExplainOutput::Text => text::tree(&report, args.values, args.verbosity.quiet, paint),
    };
    let bytes = Secret::new(shown.into_bytes());
    Ok(if report.has_findings() { Output::findings(bytes) } else { Output::new(bytes) })
}

/// Gives up what is not needed before a file is taken apart. Whoever may be asked for a passphrase needs the terminal.
fn confine(
    args: &ExplainArgs,
    paths: &[PathBuf],
    keyring: &Keyring<'_>,
    policy: KeyPolicy,
    env: &Environment,
) -> Result<(), Record> {
    let readable = gather::readable(paths);
    if !args.tries {
        let keys = keyring.files(KeyKinds::ALL);
        return confine::whole(env, &[readable, keys].concat());
    }
    let mut confinement = Confinement::without_policy(env, keyring, Extent::Process)?;
    confinement.keep(readable.iter().map(PathBuf::as_path));
    if !policy.terminal {
        confinement.enter(KeyKinds::ALL);
    }
    Ok(())
}

/// Gives recipients their names and places, says of each file whether you can open it, and leaves what was asked for.
fn conclude(gathered: Gathered, sources: &[KeySource], args: &ExplainArgs) -> Report {
    let Gathered { mut files, recipients: known, names, problems } = gathered;
    let mut recipients: Vec<(usize, RecipientEntry, bool)> = known
        .into_iter()
        .enumerate()
        .map(|(place, known)| {
            let name = known.name_key.as_deref().and_then(|key| names.find(key));
            let is_asked_for = args.recipient.as_deref().is_some_and(|who| known.recipient.is_meant_by(who, name));
            let facts = known.recipient.facts;
            let entry = RecipientEntry {
                kind: known.recipient.kind,
                id: known.recipient.id.to_string(),
                label: known.recipient.label.to_string(),
                name: name.map(|name| name.text.to_string()),
                name_source: name.map(|name| name.source.to_string()),
                facts: facts.into_iter().map(|(name, value)| Fact { name, value: value.to_string() }).collect(),
                yours: (&known.claim).into(),
                files: 0,
            };
            (place, entry, is_asked_for)
        })
        .collect();
    count_files(&mut recipients, &files);
    recipients.sort_by(|(_, a, _), (_, b, _)| {
        (b.files, a.kind, &a.id, &a.facts.len()).cmp(&(a.files, b.kind, &b.id, &b.facts.len()))
    });
    let mut new_places = vec![0; recipients.len()];
    for (new, (old, ..)) in recipients.iter().enumerate() {
        if let Some(place) = new_places.get_mut(*old) {
            *place = new;
        }
    }
    for place in files.iter_mut().flat_map(|file| file.groups.iter_mut().flatten()) {
        *place = new_places.get(*place).copied().unwrap_or_default();
    }
    let asked = args.recipient.as_deref().map(|who| Asked {
        who: Printable::new(who).to_string(),
        searched: files.len(),
        recipients: recipients
            .iter()
            .enumerate()
            .filter(|(_, (.., is_meant))| *is_meant)
            .map(|(place, _)| place)
            .collect(),
    });
    let recipients: Vec<RecipientEntry> = recipients.into_iter().map(|(_, entry, _)| entry).collect();
    if let Some(asked) = &asked {
        files.retain(|file| file.groups_of(&asked.recipients) > 0);
    }
    let identities: Vec<IdentitySource> = sources.iter().map(identity_source).collect();
    let has_identities = identities.iter().any(|source| !source.keys.is_empty());
    for file in &mut files {
        file.access = access::judge(file, &recipients, has_identities);
    }
    Report { schema: Report::SCHEMA, tried: args.tries, asked, identities, recipients, files, problems }
}

fn count_files(recipients: &mut [(usize, RecipientEntry, bool)], files: &[FileEntry]) {
    for file in files {
        let mut places: Vec<usize> = file.groups.iter().flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            if let Some((_, entry, _)) = recipients.get_mut(place) {
                entry.files += 1;
            }
        }
    }
}

fn identity_source(source: &KeySource) -> IdentitySource {
    let (state, keys, reason) = match &source.found {
        KeySourceState::Absent => ("absent", Vec::new(), None),
        KeySourceState::Keys(keys) => {
            let finding = source.is_readable_by_all.then(|| "every account on this machine may read it".to_owned());
            ("keys", keys.iter().map(Printable::to_string).collect(), finding)
        }
        KeySourceState::OnDemand => ("on-demand", Vec::new(), None),
        KeySourceState::Unusable(why) => ("unusable", Vec::new(), Some(why.to_string())),
    };
    IdentitySource { source: source.name.to_string(), state, keys, reason }
}

/// The report as JSON, in which paths are whole; what a terminal could be fooled with is escaped there, too.
fn json(report: &Report) -> Result<String, Record> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|_| Record::new(Failure::Internal, "the report could not be written as JSON"))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && printable::is_unprintable(c) {
            // Only strings hold such characters; above U+FFFF an escape is a pair.
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Ok(out)
}

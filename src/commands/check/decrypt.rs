//! With keys: whether files open and their MACs hold, and what generators make of them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::scan::{Class, Files, Scanned};
use crate::commands::confine::{self, Confinement};
use crate::commands::decrypt::{Decryptor, Places};
use crate::commands::narrator::Narrator;
use crate::commands::tree::Tree;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::findings::{Excerpt, Finding, Severity, rules};
use crate::generator::{self, Fault, Generator};
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::kustomization::{self, Plugin, PluginKind, Visited, Walk};
use crate::limits;
use crate::path::SourcePath;
use crate::sandbox::Extent;
use crate::sops::{self, Format, KeyKinds, SopsError};
use crate::text::Printable;
use crate::workers;
use crate::yaml::Position;

/// Opens every SOPS file of the listing, and renders every generator of ours, on a thread that keeps what the keys need
/// that these name. `readable` is what was looked at.
///
/// # Errors
/// The keys that the environment names cannot be used.
pub fn check(
    root: &Root,
    files: &Files,
    readable: &[PathBuf],
    env: &Environment,
    deadline: Deadline,
    narrator: &Narrator,
) -> Result<Vec<Finding>, Record> {
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    narrator.keys(|| keyring.describe());
    let mut confinement = Confinement::without_policy(env, &keyring, Extent::Thread)?;
    confinement.keep(readable.iter().map(PathBuf::as_path));
    let directories = super::kustomizations::directories(files);
    let (walk, kinds) = confine::aside(env, readable, || {
        let walk = kustomization::walk(&Tree::new(root), directories.iter().map(String::as_str));
        let kinds = kinds(root, files, &walk);
        (walk, kinds)
    });
    Ok(confinement.aside(kinds, || {
        let mut findings = open_all(root, &sops_files(files), &keyring, deadline, narrator);
        for (plugin, visited) in generators(&walk) {
            // What does not open was said above.
            if deadline.left().is_zero() {
                break;
            }
            findings.extend(render(root, plugin, visited, &keyring, env, files));
        }
        findings
    }))
}

fn sops_files(files: &Files) -> Vec<&str> {
    let is_sops = |scanned: &Scanned| matches!(scanned.class, Class::Sops(_));
    files.iter().filter(|(_, scanned)| is_sops(scanned)).map(|(path, _)| path.as_str()).collect()
}

fn generators(walk: &Walk) -> impl Iterator<Item = (&Plugin, &Visited)> {
    let ours = walk.ours().filter(|plugin| plugin.kind != PluginKind::Unsops);
    ours.filter_map(|plugin| Some((plugin, walk.kustomizations.get(plugin.kustomization)?)))
}

/// The kinds of keys that are named by the files, and by what generators read besides.
fn kinds(root: &Root, files: &Files, walk: &Walk) -> KeyKinds {
    let (mut kinds, mut left) = (KeyKinds::default(), limits::DECRYPTED_BYTES);
    let mut add = |base: &Path, source: &SourcePath| {
        if let Ok(bytes) = root.read(base, source, limits::FILE_BYTES) {
            kinds = kinds.and(KeyKinds::of_file(bytes.as_slice()));
            left = left.saturating_sub(bytes.as_slice().len());
        }
        left > 0
    };
    let is_all_read =
        sops_files(files).iter().filter_map(|path| SourcePath::parse(path).ok()).all(|path| add(root.path(), &path))
            && generators(walk).all(|(plugin, visited)| {
                let base = root.path().join(&visited.directory);
                let generator = Generator::parse(&plugin.node, true);
                // One that cannot be read is not carried out.
                generator.map_or(true, |generator| generator.sources().into_iter().all(|source| add(&base, source)))
            });
    if is_all_read { kinds } else { KeyKinds::ALL }
}

fn open_all(
    root: &Root,
    paths: &[&str],
    keyring: &Keyring<'_>,
    deadline: Deadline,
    narrator: &Narrator,
) -> Vec<Finding> {
    let progress = narrator.progress("opening files", paths.len());
    let findings = workers::map(limits::CONCURRENCY.get(), paths, &|path| {
        let finding = if deadline.left().is_zero() {
            let message = "the time was up: not decrypted";
            Some(Finding::new(&rules::DECRYPT_FAILED, path, Position::default(), message))
        } else {
            let start = Instant::now();
            let finding = open(root, path, keyring);
            narrator.debug_took(start, || {
                let became = finding.as_ref().map_or("opens", |finding| finding.message.as_str());
                format!("{}: {became}", Printable::new(path))
            });
            finding
        };
        progress.step();
        finding
    });
    findings.into_iter().flatten().collect()
}

fn open(root: &Root, path: &str, keyring: &Keyring<'_>) -> Option<Finding> {
    let source = SourcePath::parse(path).ok()?;
    let bytes = root.read(root.path(), &source, limits::FILE_BYTES).ok()?;
    match sops::decrypt(bytes.as_slice(), Format::from_path(path), keyring) {
        Ok(_) => None,
        Err(error) => Some(of_error(path, &error)),
    }
}

fn of_error(path: &str, error: &SopsError) -> Finding {
    match error {
        SopsError::Format { position, .. } => {
            Finding::new(&rules::DECRYPT_FAILED, path, position.unwrap_or_default(), error.to_string())
        }
        SopsError::Integrity { position, .. } => {
            Finding::new(&rules::MAC_MISMATCH, path, position.unwrap_or_default(), error.to_string())
        }
        SopsError::Key(_) => Finding::new(&rules::DECRYPT_FAILED, path, Position::default(), error.to_string()),
    }
}

/// Renders a generator whose sources all open.
fn render(
    root: &Root,
    plugin: &Plugin,
    visited: &Visited,
    keyring: &Keyring<'_>,
    env: &Environment,
    files: &Files,
) -> Vec<Finding> {
    let Ok(generator) = Generator::parse(&plugin.node, true) else { return Vec::new() };
    let Ok(decryptor) = Decryptor::new(root, keyring, env) else { return Vec::new() };
    let base = root.path().join(&visited.directory);
    let bases: [&Path; 1] = [&base];
    let places = Places { bases: &bases, in_band: &|_| None, ahead: None };
    let Ok(opened) = decryptor.open_all(&generator.sources(), &places) else { return Vec::new() };
    let mut findings = Vec::new();
    for named in plugin.names.iter().filter(|named| named.list == "envs") {
        let path = kustomization::join(&visited.directory, &named.path);
        let source = SourcePath::parse(&named.path).ok();
        let (Some(path), Some(source)) = (path, source) else { continue };
        let (Some(cleartext), Some(scanned)) = (opened.get(&source), files.get(&path)) else { continue };
        let Class::Sops(sops) = &scanned.class else { continue };
        if plugin.kind != PluginKind::Ksops {
            continue;
        }
        for hazard in generator::dotenv_hazards(cleartext) {
            // A name is shown only where it stands in clear in the file.
            let Some((name, at)) = sops.variables.iter().find(|(name, _)| hazard.is_about(name)) else { continue };
            let name = Printable::new(name);
            let message = format!("{name} {}", hazard.words);
            let mut finding = Finding::new(&rules::DOTENV_HAZARD, &path, *at, message);
            if !hazard.is_loss {
                finding.severity = Severity::Note;
            }
            findings.push(finding.excerpt(Some(Excerpt::Key(name))));
        }
    }
    let opener = |source: &SourcePath| opened.get(source).expect("every source was opened");
    if let Err(errors) = generator.render(&opener) {
        for error in errors {
            // Said of the variable itself above.
            if error.fault == Fault::Content
                && findings
                    .iter()
                    .any(|finding| finding.severity != Severity::Note && finding.rule.id == rules::DOTENV_HAZARD.id)
            {
                continue;
            }
            let mut finding =
                Finding::new(&rules::GENERATOR_INVALID, &plugin.place.file, plugin.position(), error.to_string());
            finding.hint = error.hint.map(|hint| hint.to_string());
            findings.push(finding);
        }
    }
    findings
}

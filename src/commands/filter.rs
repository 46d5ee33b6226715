//! `unsops filter`: manifests in, the same manifests with what is encrypted among them decrypted.

use std::time::Instant;

use super::confine::Confinement;
use super::encrypted::{TOKEN, contains, documents_of};
use super::in_place::{Decryption, Sources, mac_of};
use super::narrator::Narrator;
use super::{encrypted, policy, records};
use crate::cli::FilterArgs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::limits;
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::{Secret, SecretBytes};
use crate::sops::mac::Unordered;
use crate::sops::reordered::Witness;
use crate::sops::{Format, KeyKinds};
use crate::walk;
use crate::yaml::writer::write_manifest;
use crate::yaml::{self, Document, Kind};

/// The next step where a proof is missing although there are sources.
const HINT_SOURCE: &str = "no file of --source has this MAC and verifies: name the directory with the files that kustomize read, as they were then";

/// The next step where a proof is missing.
const HINT: &str =
    "if kustomize has re-ordered it: `unsops filter --source DIR` holds it against the encrypted files in DIR";

/// Carries out the sub-command.
///
/// # Errors
/// Nothing on standard input, or as [`filter`].
pub fn run(args: &FilterArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    if process::stdin_is_terminal() {
        return Err(Record::new(Failure::Usage, "no manifests: standard input is a terminal")
            .hint("kustomize build DIR | unsops filter --source DIR, or helm template … | unsops filter")
            .into());
    }
    let narrator = Narrator::new(args.verbosity, env);
    let waiting = narrator.progress("waiting for the end of standard input", 0);
    let manifests = process::read_stdin(limits::STDIN_BYTES, deadline)?;
    drop(waiting);
    if manifests.trim_ascii().is_empty() {
        return Err(Record::new(Failure::Usage, "no input")
            .hint("the program before the pipe printed nothing: with `set -o pipefail` its failure is seen")
            .into());
    }
    let key_policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, key_policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let root = match &args.source {
        Some(dir) => Some(Root::with(dir).map_err(records::of_file)?),
        None => None,
    };
    let authority = policy::in_force(env)?;
    let keys = authority.guard(&keyring);
    let sources = match &root {
        Some(root) => Sources::below(root, &keys, &authority),
        None => Sources::none(&keys, &authority),
    };
    let mut confinement = Confinement::new(env, &keyring, Some(&authority), Extent::Process)?;
    confinement.keep(root.as_ref().map(Root::path));
    confinement.enter(KeyKinds::among_manifests(&manifests));
    let decryption = Decryption {
        keys: &keys,
        authority: &authority,
        sources: &sources,
        accepted: args.accept_reordered.then_some(Unordered),
        hint: if root.is_some() { HINT_SOURCE } else { HINT },
    };
    match &root {
        Some(root) => narrator.info(|| {
            format!(
                "proofs: MACs, and the encrypted files among {} below {}",
                sources.len(),
                walk::printable(root.path())
            )
        }),
        None => narrator.info(|| "proofs: MACs only, no --source is given".to_owned()),
    }
    narrator.keys(|| keyring.describe());
    let _progress = narrator.progress("decrypting", 0);
    let start = Instant::now();
    let filtered = filter(&manifests, &decryption)?;
    narrator.took(start, || {
        let changed = if *filtered.expose() == manifests { ", nothing was encrypted" } else { "" };
        format!("{} documents filtered{changed}", documents_of(&manifests).len())
    });
    Ok(Output::new(filtered))
}

/// Decrypts what is encrypted among manifests. What is not passes byte for byte.
///
/// # Errors
/// Not YAML; something does not open, or nothing proves it; something is still encrypted afterwards, or there is no
/// object at all.
pub fn filter(manifests: &[u8], decryption: &Decryption<'_>) -> Result<SecretBytes, Error> {
    let mut out = Vec::with_capacity(manifests.len());
    let mut failed = Vec::new();
    let mut has_object = false;
    let chunks = documents_of(manifests);
    if chunks.len() > limits::DOCUMENTS {
        let message = format!("more than {} documents", limits::DOCUMENTS);
        return Err(Record::new(Failure::Generator, message).into());
    }
    take_whole_files(manifests, decryption)?;
    for chunk in chunks {
        match filter_chunk(chunk, decryption, &mut has_object) {
            Ok(None) => out.extend_from_slice(chunk),
            Ok(Some(filtered)) => {
                if !out.is_empty() || chunk.starts_with(b"---") {
                    end_line(&mut out);
                    out.extend_from_slice(b"---\n");
                }
                out.extend_from_slice(filtered.expose().as_bytes());
            }
            Err(records) => failed.extend(records),
        }
        failed.truncate(limits::ERRORS);
    }
    if let Some(error) = Error::collect(failed) {
        return Err(error);
    }
    if has_object { Ok(Secret::new(out)) } else { Err(encrypted::nothing().into()) }
}

/// The text that takes the place of a document; `None` where nothing in it is encrypted.
fn filter_chunk(
    chunk: &[u8],
    decryption: &Decryption<'_>,
    has_object: &mut bool,
) -> Result<Option<Secret<String>>, Vec<Record>> {
    let mut documents = parse(chunk).map_err(|record| vec![record])?;
    let is_whole = documents.len() == 1;
    let mut has_any = false;
    for document in &mut documents {
        *has_object |= matches!(document.root.kind, Kind::Mapping(..));
        let original = is_whole.then_some(chunk);
        has_any |= decryption.object(&mut document.root, original).map_err(|record| vec![record])?;
    }
    let left: Vec<Record> = documents.iter().filter_map(|document| encrypted::left_in(&document.root)).collect();
    if !left.is_empty() {
        return Err(left);
    }
    if !has_any {
        return Ok(None);
    }
    let plain = documents.into_iter().map(|document| Document { root: document.root, ..Document::default() });
    let texts: Vec<String> = plain.map(|document| write_manifest(&document)).collect();
    Ok(Some(Secret::new(texts.join("---\n"))))
}

fn parse(chunk: &[u8]) -> Result<Vec<Document>, Record> {
    yaml::parse(chunk)
        .map_err(|error| Record::new(Failure::Generator, format!("a document of the input is not YAML: {error}")))
}

/// An encrypted file of several documents has one MAC, which stands in each of them: where they follow one another, as
/// in the file, they prove each other.
fn take_whole_files(stream: &[u8], decryption: &Decryption<'_>) -> Result<(), Record> {
    let mut chunks = Vec::new();
    for chunk in documents_of(stream) {
        // Few are encrypted, and only those are taken apart twice.
        let documents = if contains(chunk, TOKEN.as_bytes()) { parse(chunk)? } else { Vec::new() };
        let mac = match documents.as_slice() {
            [document] => mac_of(&document.root).map(str::to_owned),
            _ => None,
        };
        chunks.push((chunk, mac));
    }
    let mut start = 0;
    for run in chunks.chunk_by(|(_, one), (_, next)| one.is_some() && one == next) {
        let length: usize = run.iter().map(|(chunk, _)| chunk.len()).sum();
        let text = stream.get(start..start + length).unwrap_or_default();
        start += length;
        if run.len() > 1
            && let Ok(witness) = Witness::open(text, Format::Yaml, decryption.keys)
        {
            decryption.sources.add(witness);
        }
    }
    Ok(())
}

fn end_line(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

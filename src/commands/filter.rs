//! `unsops filter`: manifests in, the same manifests with what is encrypted among them decrypted.

use super::in_place::{Decryption, Sources};
use super::{encrypted, policy, records};
use crate::cli::FilterArgs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::limits;
use crate::process::{self, Output};
use crate::secret::{Secret, SecretBytes};
use crate::sops::mac::Unordered;
use crate::yaml::writer::write_manifest;
use crate::yaml::{self, Document, Kind};

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
    let manifests = process::read_stdin(limits::STDIN_BYTES, deadline)?;
    if manifests.trim_ascii().is_empty() {
        return Err(Record::new(Failure::Usage, "no input")
            .hint("the program before the pipe printed nothing: with `set -o pipefail` its failure is seen")
            .into());
    }
    let key_policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, key_policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let authority = policy::in_force(env)?;
    let keys = authority.guard(&keyring);
    let root = match &args.source {
        Some(dir) => Some(Root::with(dir).map_err(records::of_file)?),
        None => None,
    };
    let sources = match &root {
        Some(root) => Sources::below(root, &keys),
        None => Sources::none(&keys),
    };
    let decryption = Decryption {
        keys: &keys,
        authority: &authority,
        sources: &sources,
        accepted: args.accept_reordered.then_some(Unordered),
        hint: HINT,
    };
    filter(&manifests, &decryption).map(Output::new)
}

/// Decrypts what is encrypted among manifests. What is not passes byte for byte.
///
/// # Errors
/// Not YAML; something does not open, or nothing proves it; something is still encrypted afterwards, or there is no
/// object at all.
pub fn filter(manifests: &[u8], decryption: &Decryption<'_>) -> Result<SecretBytes, Error> {
    let mut out = Vec::with_capacity(manifests.len());
    let mut failed = Vec::new();
    for chunk in chunks(manifests) {
        match filter_chunk(chunk, decryption) {
            Ok(None) => out.extend_from_slice(chunk),
            Ok(Some(text)) => {
                if !out.is_empty() || chunk.starts_with(b"---") {
                    end_line(&mut out);
                    out.extend_from_slice(b"---\n");
                }
                out.extend_from_slice(text.expose().as_bytes());
            }
            Err(record) => failed.push(record),
        }
    }
    if let Some(error) = Error::collect(failed) {
        return Err(error);
    }
    encrypted::check(&out)?;
    Ok(Secret::new(out))
}

/// One document; `None` where nothing in it is encrypted.
fn filter_chunk(chunk: &[u8], decryption: &Decryption<'_>) -> Result<Option<Secret<String>>, Record> {
    let documents = yaml::parse(chunk).map_err(|error| {
        Record::new(Failure::Generator, format!("a document on standard input is not YAML: {error}"))
    })?;
    let mut filtered = Vec::new();
    let is_whole = documents.len() == 1;
    let mut has_any = false;
    for mut document in documents {
        if matches!(document.root.kind, Kind::Mapping(..)) {
            has_any |= decryption.object(&mut document.root, is_whole.then_some(chunk))?;
        }
        filtered.push(Document { root: document.root, ..Document::default() });
    }
    if !has_any {
        return Ok(None);
    }
    let texts: Vec<String> = filtered.iter().map(write_manifest).collect();
    Ok(Some(Secret::new(texts.join("---\n"))))
}

/// The documents of a stream: each begins with its `---`, where it has one.
fn chunks(stream: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        let is_separator = line
            .strip_prefix(b"---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ") || rest.trim_ascii_start().is_empty());
        if is_separator && at > start {
            chunks.extend(stream.get(start..at));
            start = at;
        }
        at += line.len();
    }
    chunks.extend(stream.get(start..).filter(|rest| !rest.is_empty()));
    chunks
}

fn end_line(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

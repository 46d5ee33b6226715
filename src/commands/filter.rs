//! `unsops filter`: manifests in, the same manifests with what is encrypted among them decrypted.

use super::in_place::{Decryption, Sources, mac_of};
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
use crate::sops::Format;
use crate::sops::mac::Unordered;
use crate::sops::reordered::Witness;
use crate::yaml::writer::write_manifest;
use crate::yaml::{self, Document};

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
    let manifests = process::read_stdin(limits::STDIN_BYTES, deadline)?;
    if manifests.trim_ascii().is_empty() {
        return Err(Record::new(Failure::Usage, "no input")
            .hint("the program before the pipe printed nothing: with `set -o pipefail` its failure is seen")
            .into());
    }
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
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
    let decryption = Decryption {
        keys: &keys,
        authority: &authority,
        sources: &sources,
        accepted: args.accept_reordered.then_some(Unordered),
        hint: if root.is_some() { HINT_SOURCE } else { HINT },
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
    let chunks: Vec<Chunk<'_>> = chunks(manifests).into_iter().map(Chunk::parse).collect::<Result<_, _>>()?;
    take_whole_files(manifests, &chunks, decryption);
    for chunk in chunks {
        let text = chunk.text;
        match chunk.filter(decryption) {
            Ok(None) => out.extend_from_slice(text),
            Ok(Some(filtered)) => {
                if !out.is_empty() || text.starts_with(b"---") {
                    end_line(&mut out);
                    out.extend_from_slice(b"---\n");
                }
                out.extend_from_slice(filtered.expose().as_bytes());
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

/// A piece of the stream that holds one document, rarely more (`...` ends one, too).
struct Chunk<'s> {
    text: &'s [u8],
    documents: Vec<Document>,
}

impl<'s> Chunk<'s> {
    fn parse(text: &'s [u8]) -> Result<Self, Record> {
        let refuse =
            |error| Record::new(Failure::Generator, format!("a document on standard input is not YAML: {error}"));
        Ok(Self { text, documents: yaml::parse(text).map_err(refuse)? })
    }

    /// The MAC of an encrypted document.
    fn mac(&self) -> Option<&str> {
        match self.documents.as_slice() {
            [document] => mac_of(&document.root),
            _ => None,
        }
    }

    /// The text that takes its place; `None` where nothing in it is encrypted.
    fn filter(mut self, decryption: &Decryption<'_>) -> Result<Option<Secret<String>>, Record> {
        let is_whole = self.documents.len() == 1;
        let mut has_any = false;
        for document in &mut self.documents {
            has_any |= decryption.object(&mut document.root, is_whole.then_some(self.text))?;
        }
        if !has_any {
            return Ok(None);
        }
        let plain = self.documents.into_iter().map(|document| Document { root: document.root, ..Document::default() });
        let texts: Vec<String> = plain.map(|document| write_manifest(&document)).collect();
        Ok(Some(Secret::new(texts.join("---\n"))))
    }
}

/// An encrypted file of several documents has one MAC, which stands in each of them: where they follow one another, as
/// in the file, they prove each other.
fn take_whole_files(stream: &[u8], chunks: &[Chunk<'_>], decryption: &Decryption<'_>) {
    let mut start = 0;
    for run in chunks.chunk_by(|one, next| one.mac().is_some() && one.mac() == next.mac()) {
        let length: usize = run.iter().map(|chunk| chunk.text.len()).sum();
        let text = stream.get(start..start + length).unwrap_or_default();
        start += length;
        if run.len() > 1
            && let Ok(witness) = Witness::open(text, Format::Yaml, decryption.keys)
        {
            decryption.sources.add(witness);
        }
    }
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

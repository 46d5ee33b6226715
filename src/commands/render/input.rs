//! What is to be rendered: generator manifests, encrypted manifests, plain objects, or the call of a function with all of
//! these in it; from a file or standard input.

use std::path::{Path, PathBuf};

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::generator::Generator;
use crate::host::{Config, ResourceList};
use crate::jail;
use crate::limits;
use crate::path::SourcePath;
use crate::process;
use crate::sops::{Format, inspect};
use crate::yaml::writer::write_like_sops;
use crate::yaml::{self, Document, Kind, Node};

use super::super::{encrypted, records, transform};

/// What was handed over.
pub(in crate::commands) struct Input {
    /// In order.
    pub parts: Vec<Part>,
    /// Where the file lies.
    pub folder: Option<PathBuf>,
    /// Whether plain objects may hold placeholders of this run.
    pub has_placeholders: bool,
    /// The call that the parts were taken from, if it was one.
    pub call: Option<ResourceList>,
}

/// One thing to render.
pub(in crate::commands) enum Part {
    /// A manifest that is encrypted itself: its name, which tells its format, and its bytes.
    Encrypted(SourcePath, Vec<u8>),
    /// The same within a stream: whoever made that has changed the order, so that no MAC fits.
    EncryptedInStream(SourcePath, Vec<u8>),
    /// The config of a function call, by its number.
    Function(usize),
    /// A manifest of a generator.
    Generator(Config),
    /// An object that is final already.
    Plain(Node),
}

impl Input {
    /// Reads a file, or standard input where none is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(target: Option<&Path>, deadline: Deadline) -> Result<Vec<u8>, Error> {
        match target {
            None if process::stdin_is_terminal() => {
                Err(Record::new(Failure::Usage, "nothing to render: standard input is a terminal")
                    .hint("unsops render FILE, or unsops render < manifests.yaml")
                    .into())
            }
            None => process::read_stdin(limits::STDIN_BYTES, deadline).map_err(Into::into),
            Some(path) => Ok(jail::read_argument(path, limits::STDIN_BYTES).map_err(records::of_file)?.into_vec()),
        }
    }

    /// Takes apart what kustomize made of redacted objects.
    ///
    /// # Errors
    /// It is not YAML, or empty.
    pub fn of_kustomize(bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self { parts: parts(bytes, None)?, folder: None, has_placeholders: true, call: None })
    }

    /// Whether there are encrypted manifests.
    pub fn has_encrypted(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Encrypted(..) | Part::EncryptedInStream(..)))
    }

    /// Whether there are encrypted manifests whose order may have changed, so that no MAC of theirs can be verified.
    pub fn has_reordered(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::EncryptedInStream(..)))
    }

    /// Takes apart what [`Self::bytes`] gave.
    ///
    /// # Errors
    /// It is not YAML, or something that has to be named otherwise.
    pub fn from(target: Option<&Path>, bytes: Vec<u8>, env: &Environment) -> Result<Self, Error> {
        let folder = target
            .and_then(|path| env.current_dir().map(|dir| dir.join(path)))
            .and_then(|path| Some(path.parent()?.to_owned()));
        if ResourceList::is_in(&bytes) {
            let call = ResourceList::parse(bytes, &Generator::is_known).map_err(|error| records::of_host(&error))?;
            return Ok(Self { parts: parts_of_call(&call)?, folder, has_placeholders: false, call: Some(call) });
        }
        let name = target.and_then(Path::file_name).and_then(|name| name.to_str());
        Ok(Self { parts: parts(bytes, name)?, folder, has_placeholders: false, call: None })
    }
}

/// What a function would give back: the items, decrypted by `Decrypt`, and what generators make.
fn parts_of_call(call: &ResourceList) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut encrypted = 0_usize;
    for (number, item) in (1_usize..).zip(call.echoed()) {
        if encrypted::field(&item, "sops").is_some_and(encrypted::is_stanza) && !encrypted::is_opted_out(&item) {
            encrypted = encrypted.saturating_add(1);
            if encrypted > limits::SOURCES {
                let message = format!("more than {} encrypted items", limits::SOURCES);
                return Err(Record::new(Failure::Generator, message).hint("split the package").into());
            }
            let name = format!("item-{number}.yaml");
            let text = write_like_sops(&[Document { root: item, ..Document::default() }], SOPS_INDENT);
            parts.push(Part::EncryptedInStream(path_of(Some(&name)), text.into_bytes()));
        } else {
            parts.push(Part::Plain(item));
        }
    }
    match call.configs() {
        [config] if config.is_handed_over() && transform::is_decrypt(config.manifest()) => {
            transform::check_caller(call, config.manifest())?;
        }
        configs => parts.extend((0..configs.len()).map(Part::Function)),
    }
    Ok(parts)
}

/// Indentation that sops writes with.
const SOPS_INDENT: usize = 4;

/// Takes a text apart. `name` is that of its file.
fn parts(bytes: Vec<u8>, name: Option<&str>) -> Result<Vec<Part>, Error> {
    let format = match name {
        Some(name) => Format::from_path(name),
        None => Format::Yaml,
    };
    if !matches!(format, Format::Yaml) && inspect::may_be_sops(&bytes) {
        return Ok(vec![Part::Encrypted(path_of(name), bytes)]);
    }
    let chunks = documents(&bytes);
    let has_stanza: Vec<bool> = chunks.iter().map(|chunk| begins_stanza(chunk)).collect();
    // One stanza at the beginning is a file of sops, which may have several documents; anything else is a stream.
    if has_stanza.first() == Some(&true) && has_stanza.iter().filter(|has| **has).count() == 1 {
        return Ok(vec![Part::Encrypted(path_of(name), bytes)]);
    }
    if has_stanza.iter().filter(|has| **has).count() > limits::SOURCES {
        let message = format!("more than {} encrypted documents", limits::SOURCES);
        return Err(Record::new(Failure::Generator, message).hint("split the stream").into());
    }
    let mut parts = Vec::new();
    for (number, (chunk, has_stanza)) in (1_usize..).zip(chunks.into_iter().zip(has_stanza)) {
        if has_stanza {
            let name = format!("document-{number}.yaml");
            parts.push(Part::EncryptedInStream(path_of(Some(&name)), chunk.to_vec()));
        } else if has_content(chunk)? {
            for config in Config::read(chunk).map_err(|error| records::of_host(&error))? {
                parts.push(plain_or_generator(config, name.is_some())?);
            }
        }
    }
    if parts.is_empty() {
        return Err(Record::new(Failure::Usage, "there is nothing to render: no YAML document").into());
    }
    Ok(parts)
}

fn path_of(name: Option<&str>) -> SourcePath {
    let path = name.and_then(|name| SourcePath::parse(name).ok());
    path.unwrap_or_else(|| SourcePath::parse("stdin.yaml").expect("a relative path"))
}

fn plain_or_generator(config: Config, is_file: bool) -> Result<Part, Error> {
    let node = config.manifest();
    let api_version = text_field(node, "apiVersion").unwrap_or_default();
    let kind = text_field(node, "kind").unwrap_or_default();
    if kind == "Kustomization" {
        return Err(Record::new(Failure::Usage, "a kustomization is rendered by its directory")
            .hint("unsops render DIR, where DIR holds the kustomization.yaml")
            .into());
    }
    let is_of_our_group = ["viaduct.ai/", "goabout.com/"].iter().any(|group| api_version.starts_with(group));
    let is_generator = Generator::is_known(api_version, kind)
        || is_of_our_group
        || is_file && ["files", "secretFrom"].iter().any(|name| yaml_field(node, name).is_some());
    if is_generator {
        return Ok(Part::Generator(config));
    }
    // What is no object has no values that are known to be secret, so none of it is shown: it may be any file at all.
    if api_version.is_empty() || kind.is_empty() {
        return Err(Record::new(Failure::Generator, "a document is no Kubernetes object: it lacks apiVersion or kind")
            .hint("unsops render takes generator manifests, encrypted manifests and Kubernetes objects")
            .into());
    }
    Ok(Part::Plain(node.clone()))
}

/// The documents of a stream as they stand there: a line that begins with `---` separates them, whatever is around it.
fn documents(bytes: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if at > start && line.starts_with(b"---") {
            chunks.extend(bytes.get(start..at));
            start = at;
        }
        at += line.len();
    }
    chunks.extend(bytes.get(start..));
    chunks.retain(|chunk| !chunk.strip_prefix(b"---").unwrap_or(chunk).trim_ascii().is_empty());
    chunks
}

/// Whether a document has the stanza of sops.
fn begins_stanza(chunk: &[u8]) -> bool {
    inspect::may_be_sops(chunk) && chunk.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"sops:"))
        || chunk.trim_ascii_start().starts_with(b"{") && inspect::may_be_sops(chunk)
}

/// Whether there is more than comments and separators.
fn has_content(chunk: &[u8]) -> Result<bool, Error> {
    let documents =
        yaml::parse(chunk).map_err(|error| Record::new(Failure::Generator, format!("not YAML: {error}")))?;
    Ok(documents.iter().any(|document| !matches!(&document.root.kind, Kind::Scalar(text, _) if text.is_empty())))
}

fn yaml_field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    pairs.iter().find(|(key, _)| matches!(&key.kind, Kind::Scalar(text, _) if text == name)).map(|(_, value)| value)
}

fn text_field<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    match &yaml_field(node, name)?.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::Mapping(..) | Kind::Sequence(..) => None,
    }
}

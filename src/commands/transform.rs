//! The transformer `Decrypt` of `unsops.dev/v1`: decrypts resources that stand in the kustomization already, in place, so
//! that name hashes and references follow the plaintext.
//!
//! ```yaml
//! apiVersion: unsops.dev/v1
//! kind: Decrypt
//! metadata:
//!   name: decrypt
//! # Optional. Without it: every file that this kustomization and those below it name.
//! sources: [secrets/db.enc.yaml]
//! ```
//!
//! kustomize has re-ordered what it hands over, so that its MAC cannot be computed; every encrypted value has to stand at
//! the same place in one of the sources, whose MAC is verified.

use std::path::Path;

use super::decrypt::Decryptor;
use super::encrypted::{self, field, text};
use super::filter;
use super::in_place::{Decryption, Sources, beneath};
use super::tree::Tree;
use crate::error::{Error, Failure, Record};
use crate::generator;
use crate::host::{Caller, Legacy, ResourceList};
use crate::jail::Lead;
use crate::kustomization::{self, Walk, join};
use crate::limits;
use crate::path::SourcePath;
use crate::secret::{Secret, SecretBytes};
use crate::spelling::nearest;
use crate::text::Printable;
use crate::walk;
use crate::yaml::fields::elements;
use crate::yaml::resolve::{Resolved, resolve};
use crate::yaml::writer::write_manifest;
use crate::yaml::{Document, Kind, Node, Position};

const API_VERSION: &str = "unsops.dev/v1";
const KIND: &str = "Decrypt";

/// The next step where a proof is missing.
const HINT: &str = "kustomize has re-ordered it, so the file that it comes from has to be among the sources: list it under `sources` of the Decrypt manifest";

/// The next step for a transformer that is sent nothing.
const HINT_LIST: &str = "list it under `transformers`, in a kustomization that has resources";

/// Whether a config is of this kind.
pub(super) fn is_decrypt(config: &Node) -> bool {
    field(config, "apiVersion").and_then(text) == Some(API_VERSION)
        && field(config, "kind").and_then(text) == Some(KIND)
}

/// The answer to a legacy call.
///
/// # Errors
/// The config is not understood; or as [`filter::filter`].
pub(super) fn legacy(call: &Legacy, decryptor: &Decryptor<'_>, dir: Option<&Path>) -> Result<SecretBytes, Error> {
    let config = call.config().manifest();
    if !call.is_transformer() {
        return Err(no_resources(config).into());
    }
    with_decryption(config, decryptor, dir, |decryption| filter::filter(call.resources().as_bytes(), decryption))
}

/// The answer to a function call.
///
/// # Errors
/// As [`legacy`].
pub(super) fn function(
    call: &ResourceList,
    config: &Node,
    decryptor: &Decryptor<'_>,
    dir: Option<&Path>,
) -> Result<SecretBytes, Error> {
    check_caller(call, config)?;
    with_decryption(config, decryptor, dir, |decryption| {
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for item in call.items() {
            let mut object = item.clone();
            match decryption.object(&mut object, None) {
                Ok(true) => {
                    let document = Document { root: object.clone(), ..Document::default() };
                    changed.push(Some(Secret::new(write_manifest(&document))));
                }
                Ok(false) => changed.push(None),
                Err(record) => {
                    failed.push(record);
                    continue;
                }
            }
            failed.extend(encrypted::left_in(&object));
        }
        match Error::collect(failed) {
            Some(error) => Err(error),
            None => Ok(call.respond_changed(&changed)),
        }
    })
}

/// Whether a caller may have its resources decrypted.
///
/// # Errors
/// It may not.
pub(super) fn check_caller(call: &ResourceList, config: &Node) -> Result<(), Record> {
    match call.caller() {
        Caller::KustomizeTransformer => Ok(()),
        Caller::KustomizeGenerator => Err(no_resources(config)),
        Caller::Kpt => Err(Record::new(Failure::Generator, "kpt could write what is decrypted into the package")
            .about(generator::display_name(config))
            .hint("print the package first: kpt fn source DIR | kpt fn sink …, or `kpt fn eval -o unwrap`, then `unsops filter`")),
    }
}

fn no_resources(config: &Node) -> Record {
    Record::new(Failure::Generator, "there are no resources to decrypt")
        .about(generator::display_name(config))
        .hint(HINT_LIST)
}

fn with_decryption(
    config: &Node,
    decryptor: &Decryptor<'_>,
    dir: Option<&Path>,
    run: impl FnOnce(&Decryption<'_>) -> Result<SecretBytes, Error>,
) -> Result<SecretBytes, Error> {
    let dir = dir.unwrap_or_else(|| decryptor.root().path());
    let sources =
        Sources::of(decryptor.root(), decryptor.keys(), decryptor.authority(), source_files(config, decryptor, dir)?);
    run(&Decryption {
        keys: decryptor.keys(),
        authority: decryptor.authority(),
        sources: &sources,
        accepted: None,
        hint: HINT,
    })
}

/// Something that is wrong with a config by itself.
pub(super) struct Mistake {
    /// Where.
    pub position: Position,
    /// What.
    pub message: String,
    /// What is written, and what was probably meant.
    pub meant: Option<(String, &'static str)>,
    /// It leads out of the root.
    pub is_outside: bool,
}

impl Mistake {
    fn at(position: Position, message: String) -> Self {
        Self { position, message, meant: None, is_outside: false }
    }
}

/// The fields of a config.
const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "sources"];

/// Everything that is wrong with a config by itself, up to [`limits::ERRORS`].
pub(super) fn mistakes(config: &Node) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut add = |mistake| {
        if mistakes.len() < limits::ERRORS {
            mistakes.push(mistake);
        }
    };
    let Kind::Mapping(fields, _) = &config.kind else {
        add(Mistake::at(config.position, "must be a mapping".to_owned()));
        return mistakes;
    };
    for (key, _) in fields {
        let name = text(key).unwrap_or("?");
        if !FIELDS.contains(&name) {
            let meant = nearest(name, &FIELDS).filter(|meant| field(config, meant).is_none());
            let message = format!("{} is not a field of Decrypt", Printable::new(name));
            let meant = meant.map(|meant| (name.to_owned(), meant));
            add(Mistake { meant, ..Mistake::at(key.position, message) });
        }
    }
    if let Some(position) = config.duplicate_key() {
        add(Mistake::at(position, "a field is there twice".to_owned()));
    }
    match field(config, "sources") {
        Some(Node { kind: Kind::Sequence(items, _), position, .. }) if items.is_empty() => {
            let message = "sources is empty: without it, every file that the kustomization names is one";
            add(Mistake::at(*position, message.to_owned()));
        }
        Some(Node { kind: Kind::Sequence(items, _), .. }) => {
            for item in items {
                if !is_path(item) {
                    let message = "a source must be the path of a file or directory, as text";
                    add(Mistake::at(item.position, message.to_owned()));
                } else if let Some(absolute) = text(item).filter(|path| path.starts_with('/')) {
                    let message = format!("source {} is an absolute path", Printable::new(absolute));
                    add(Mistake { is_outside: true, ..Mistake::at(item.position, message) });
                }
            }
        }
        Some(other) => add(Mistake::at(other.position, "sources must be a list".to_owned())),
        None => {}
    }
    mistakes
}

fn is_path(item: &Node) -> bool {
    matches!(&item.kind, Kind::Scalar(text, _) if !text.is_empty()) && matches!(resolve(item), Ok(Resolved::Str(_)))
}

/// The files that the config names, or all that the kustomization in `dir` does.
fn source_files(config: &Node, decryptor: &Decryptor<'_>, dir: &Path) -> Result<Vec<SourcePath>, Error> {
    let name = generator::display_name(config);
    let refuse = |message: String| Error::from(Record::new(Failure::Generator, message).about(name.clone()));
    let of_mistake = |Mistake { position, message, meant, .. }: Mistake| {
        let record = Record::new(Failure::Generator, format!("{message} ({position})")).about(name.clone());
        match meant {
            Some((_, meant)) => record.hint(format!("did you mean {meant}?")),
            None => record,
        }
    };
    if let Some(error) = Error::collect(mistakes(config).into_iter().map(of_mistake).collect()) {
        return Err(error);
    }
    let root = decryptor.root();
    let base = dir.strip_prefix(root.path()).ok().and_then(Path::to_str);
    let Some(base) = base else { return Err(refuse("its kustomization lies outside the allowed root".to_owned())) };
    let Some(sources) = field(config, "sources") else {
        let walk = kustomization::walk(&Tree::new(root), [base]);
        return Ok(beneath(root, root.path(), named_by(&walk)));
    };
    let mut files = Vec::new();
    for item in elements(sources) {
        let written = text(item).unwrap_or_default();
        let shown = Printable::new(written);
        let path = join(base, written).filter(|_| !written.is_empty());
        let Some(path) = path else { return Err(refuse(format!("source {shown} is outside the allowed root"))) };
        match root.lead(&path) {
            Lead::File => files.push(path),
            Lead::Directory => {
                let below = walk::files(&root.path().join(&path)).files;
                files.extend(below.iter().filter_map(|file| join(&path, file.to_str()?)));
            }
            Lead::Outside => return Err(refuse(format!("source {shown} is outside the allowed root"))),
            Lead::Nothing | Lead::Other => return Err(refuse(format!("source {shown}: no such file"))),
        }
    }
    Ok(beneath(root, root.path(), files))
}

/// Every file that kustomizations name: resources, patches, and what Secrets are made of.
fn named_by(walk: &Walk) -> Vec<String> {
    let mut files = Vec::new();
    for visited in &walk.kustomizations {
        files.extend(visited.edges.iter().filter(|edge| edge.kustomization.is_none()).map(|edge| edge.path.clone()));
        let patches = visited.kustomization.patches.iter().filter_map(|patch| patch.path.as_deref());
        let sources =
            visited.kustomization.sources.iter().flat_map(|sources| sources.files.iter().chain(&sources.envs));
        let named = patches.chain(sources.map(|source| source.path.as_str()));
        files.extend(named.filter_map(|file| join(&visited.directory, file)));
    }
    files.sort();
    files.dedup();
    files
}

//! A directory of YAML and JSON files without kustomization or chart: what Argo CD calls a directory application. Its
//! SOPS files are decrypted, everything else passes byte for byte.
//!
//! Which files count follows Argo CD (`reposerver/repository/repository.go`, `getObjsFromYAMLOrJSON`): a file in which
//! nothing has a kind is something else (values, `.sops.yaml`) and is passed over.

use std::collections::BTreeMap;

use super::app::App;
use super::in_place::{self, field, text};
use super::is_null;
use crate::commands::confine::Confinement;
use crate::commands::decrypt::{Decryptor, Places};
use crate::commands::in_place::Sources;
use crate::commands::{policy, records};
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Generator};
use crate::jail::Root;
use crate::limits;
use crate::path::SourcePath;
use crate::policy::Authority;
use crate::secret::{Secret, SecretBytes};
use crate::sops::KeyKinds;
use crate::text::Printable;
use crate::yaml::{self, Document, Kind, Node, Position};

/// The next step where an encrypted object does not verify.
const HINT: &str = "was it edited after sops wrote it?";

/// In a file that Argo CD is not to render.
const SKIP_MARKER: &[u8] = b"+argocd:skip-file-rendering";

/// What a file holds.
enum Part {
    /// Manifests in plain text: what identifies each, and the text.
    Plain(Vec<Id>, String),
    /// A SOPS file.
    Encrypted,
}

/// What makes two objects the same to the API server. Without `Debug`: a name may have been encrypted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    api_version: String,
    kind: String,
    namespace: String,
    /// Empty for a list, which has no name of its own.
    name: String,
}

/// Gives every manifest of the directory.
///
/// # Errors
/// Everything that is wrong with any file, and if there is nothing to give.
pub fn render(
    app: &App<'_>,
    recurse: bool,
    root: &Root,
    decryptor: &Decryptor<'_>,
    confinement: &mut Confinement<'_>,
) -> Result<SecretBytes, Error> {
    let mut parts = Vec::new();
    let mut failed = Vec::new();
    let mut bytes_left = limits::DECRYPTED_BYTES;
    let manifests = app.manifests(recurse)?;
    confine(app, &manifests, confinement);
    for path in manifests {
        match read(app, &path, &mut bytes_left) {
            Ok(Some(part)) => parts.push((path, part)),
            Ok(None) => {}
            Err(record) => failed.push(record),
        }
    }
    Error::collect(failed).map_or(Ok(()), Err)?;
    if parts.is_empty() {
        return Err(Record::new(Failure::Generator, "no Kubernetes objects in this directory")
            .hint("check spec.source.path; for files in sub-directories, set the parameter recurse to \"true\"")
            .into());
    }

    let encrypted: Vec<&SourcePath> =
        parts.iter().filter(|(_, part)| matches!(part, Part::Encrypted)).map(|(path, _)| path).collect();
    let places = Places { bases: &[app.dir()], in_band: &|_| None, ahead: None };
    let opened = decryptor.open_all(&encrypted, &places).map_err(several)?;

    // Values of Secrets may be SOPS files, too.
    let sources = Sources::none(decryptor.keys(), decryptor.authority());
    let file = |path: &SourcePath| app.dir().join(path.as_str());
    let mut stream = Stream::default();
    for (path, part) in &parts {
        match part {
            Part::Plain(ids, text) => {
                match in_place::decrypt(text.as_bytes(), &file(path), root, decryptor, &sources, HINT) {
                    Ok(filtered) => stream.push(path, ids.clone(), &String::from_utf8_lossy(filtered.expose())),
                    Err(error) => {
                        stream.failed.extend(error.into_records().into_iter().map(|record| within(path, record)))
                    }
                }
            }
            Part::Encrypted => {
                let cleartext = opened.get(path).expect("every source was opened, or `open_all` has failed");
                stream.push_decrypted(path, generator::manifest_file(path, cleartext), decryptor.authority());
            }
        }
    }
    stream.finish()
}

/// Gives up what is not needed, before a file is taken apart: first what no key needs, then what those of these files do
/// not. They are read for that, and once more later.
fn confine(app: &App<'_>, manifests: &[SourcePath], confinement: &mut Confinement<'_>) {
    confinement.enter(KeyKinds::ALL);
    if confinement.is_final() {
        return;
    }
    let (mut kinds, mut total) = (KeyKinds::default(), 0_usize);
    for path in manifests {
        // What is wrong with a file is said by whoever reads it next.
        let Ok(bytes) = app.read(path) else { continue };
        kinds = kinds.and(KeyKinds::among_manifests(&bytes));
        total = total.saturating_add(bytes.len());
        if total > limits::DECRYPTED_BYTES {
            return;
        }
    }
    confinement.enter(kinds);
}

/// Tells what a file is; nothing if it is no concern of ours.
fn read(app: &App<'_>, path: &SourcePath, bytes_left: &mut usize) -> Result<Option<Part>, Record> {
    let bytes = app.read(path)?;
    let refuse = |class, message: String| Record::new(class, message).about(path.printable());
    *bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(|| {
        refuse(
            Failure::File,
            format!("the files of this directory have more than {} MiB", limits::DECRYPTED_BYTES >> 20),
        )
    })?;
    if contains(&bytes, SKIP_MARKER) {
        return Ok(None);
    }
    let documents = match yaml::parse(&bytes) {
        Ok(documents) => documents,
        // Whoever decrypts it says best what is wrong with it.
        Err(_) if contains(&bytes, b"ENC[AES256_GCM,") => return Ok(Some(Part::Encrypted)),
        Err(error) if [&b"apiVersion"[..], b"kind", b"metadata"].iter().all(|word| contains(&bytes, word)) => {
            return Err(refuse(Failure::Format, error.to_string()));
        }
        Err(_) => return Ok(None),
    };
    if documents
        .first()
        .is_some_and(|document| matches!(field(&document.root, "sops"), Some(Node { kind: Kind::Mapping(..), .. })))
    {
        return Ok(Some(Part::Encrypted));
    }
    let documents: Vec<&Document> = documents.iter().filter(|document| !is_null(&document.root)).collect();
    if documents.iter().all(|document| text(&document.root, "kind").is_empty()) {
        return Ok(None);
    }
    let ids = documents.iter().map(|document| check(&document.root)).collect::<Result<Vec<Id>, _>>();
    let ids = ids.map_err(|(rule, position)| refuse(Failure::Format, format!("{rule} ({position})")))?;
    let text = String::from_utf8(bytes).map_err(|_| refuse(Failure::Format, "not UTF-8".to_owned()))?;
    check_lines(&text).map_err(|(rule, line)| refuse(Failure::Format, format!("{rule} (line {line})")))?;
    Ok(Some(Part::Plain(ids, text)))
}

/// Checks a document in plain text and tells what identifies it.
fn check(object: &Node) -> Result<Id, (&'static str, Position)> {
    let [api_version, kind] = ["apiVersion", "kind"].map(|name| text(object, name));
    if api_version.is_empty() || kind.is_empty() {
        return Err(("an object without apiVersion or kind among others that have them", object.position));
    }
    if Generator::is_known(api_version, kind) || api_version.starts_with("unsops.dev/") {
        return Err(("a generator, which only a kustomization can run: add a kustomization.yaml", object.position));
    }
    if api_version.starts_with("kustomize.config.k8s.io/") {
        return Err(("a kustomization in a sub-directory: make it an Application of its own", object.position));
    }
    let metadata = field(object, "metadata");
    let of_metadata = |name| metadata.map_or("", |metadata| text(metadata, name)).to_owned();
    Ok(Id {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: of_metadata("namespace"),
        name: of_metadata("name"),
    })
}

/// Argo CD cuts a stream apart at lines that begin with `---`, refuses those with content behind it, knows no
/// directives, and drops without a word what follows after `...`.
fn check_lines(text: &str) -> Result<(), (&'static str, usize)> {
    for (number, line) in (1..).zip(text.lines()) {
        let behind = line.strip_prefix("---").map(str::trim_start).unwrap_or_default();
        if !behind.is_empty() && !behind.starts_with('#') {
            return Err(("only a comment may stand behind '---'", number));
        } else if line.starts_with('%') {
            return Err(("a YAML directive, which Argo CD does not know", number));
        } else if line.strip_prefix("...").is_some_and(|behind| behind.trim().is_empty()) {
            return Err(("Argo CD drops what follows after '...'", number));
        }
    }
    Ok(())
}

/// The answer as it grows. Without `Debug`: it holds plaintext.
#[derive(Default)]
struct Stream {
    text: String,
    origins: BTreeMap<Id, Printable>,
    failed: Vec<Record>,
}

impl Stream {
    fn push(&mut self, path: &SourcePath, ids: Vec<Id>, text: &str) {
        for mut id in ids {
            if id.name.is_empty() {
                continue;
            }
            if id.namespace.is_empty() {
                "default".clone_into(&mut id.namespace);
            }
            if let Some(first) = self.origins.insert(id, path.printable()) {
                let record = Record::new(Failure::Generator, format!("an object is there twice, also in {first}"));
                self.failed
                    .push(record.about(path.printable()).hint("remove one; Argo CD would apply whichever comes last"));
            }
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let stream = &mut self.text;
        if !stream.is_empty() {
            // A last value that keeps its line breaks (`|+`) would grow by one; a comment line ends it.
            stream.push_str(if stream.ends_with("\n\n") { "#\n---\n" } else { "---\n" });
        }
        stream.push_str(text.strip_prefix("---\n").unwrap_or(text));
        if !stream.ends_with('\n') {
            stream.push('\n');
        }
    }

    fn push_decrypted(
        &mut self,
        path: &SourcePath,
        piece: Result<generator::Piece<'_>, Vec<generator::GeneratorError>>,
        authority: &Authority,
    ) {
        let piece = match piece {
            Ok(piece) => piece,
            Err(errors) => {
                // The errors name the file themselves.
                let record = |error| Record { subject: None, ..records::of_generator(&path.printable(), error) };
                return self.failed.extend(errors.iter().map(record));
            }
        };
        if piece.resources.iter().any(|resource| resource.needs_hash() || resource.behavior().is_some()) {
            let message = "asks kustomize for a hashed name or a merge, and there is no kustomization";
            let record = Record::new(Failure::Generator, message).about(path.printable());
            self.failed
                .push(record.hint("remove the kustomize.config.k8s.io annotations, or add a kustomization.yaml"));
        }
        if let Err(refused) = policy::check_kinds(authority, std::slice::from_ref(&piece)) {
            self.failed.extend(refused);
        }
        let ids = piece.resources.iter().map(|resource| {
            let generator::ResourceId { api_version, kind, namespace, name } = resource.id().clone();
            Id { api_version, kind, namespace, name }
        });
        self.push(path, ids.collect(), piece.text.expose());
    }

    fn finish(self) -> Result<SecretBytes, Error> {
        Error::collect(self.failed).map_or(Ok(()), Err)?;
        Ok(Secret::new(self.text.into_bytes()))
    }
}

/// Names the file before the object.
fn within(path: &SourcePath, record: Record) -> Record {
    let subject = match &record.subject {
        Some(object) => Printable::new(&format!("{}: {object}", path.printable())),
        None => path.printable(),
    };
    record.about(subject)
}

fn several(records: Vec<Record>) -> Error {
    let nothing = || Record::new(Failure::Internal, "a failure without a reason").into();
    Error::collect(records).unwrap_or_else(nothing)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

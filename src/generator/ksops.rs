//! The generator of KSOPS (`viaduct.ai`; viaduct-ai/kustomize-sops v4.5.1, `ksops.go`).

use std::collections::BTreeMap;

use super::dotenv::{self, Change};
use super::error::{Fault, FieldPath, GeneratorError, Sentence};
use super::fields::{Fields, Findings, Reading};
use super::metadata::Metadata;
use super::piece::Piece;
use super::secret_manifest::{Encoding, SecretManifest};
use super::source::{KeyedSource, ManyEquals, Opened, Purpose, Source};
use super::{Opener, decrypted_manifest};
use crate::limits;
use crate::text::Printable;
use crate::workers;
use crate::yaml::{Kind, Node, Position};

/// The annotation of the generator that sends all values to `data`; KSOPS ignores it.
const ENCODING: &str = "unsops.dev/encoding";

const FIELDS: [&str; 2] = ["files", "secretFrom"];
const ENTRY_FIELDS: [&str; 5] = ["binaryFiles", "envs", "files", "metadata", "type"];

/// A parsed manifest.
pub(super) struct Ksops {
    files: Vec<Source>,
    secrets: Vec<SecretFrom>,
    encoding: Encoding,
}

/// One entry of `secretFrom`: a Secret.
struct SecretFrom {
    field: FieldPath,
    metadata: Metadata,
    secret_type: Option<String>,
    files: Vec<KeyedSource>,
    binary_files: Vec<KeyedSource>,
    envs: Vec<Source>,
}

impl Ksops {
    /// Whether a manifest of any kind has one of the fields of this one.
    pub fn has_fields(config: &Node) -> bool {
        match &config.kind {
            Kind::Mapping(pairs, _) => pairs.iter().any(|(key, _)| match &key.kind {
                Kind::Scalar(name, _) => FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field)),
                _ => false,
            }),
            _ => false,
        }
    }

    /// Reads a manifest.
    pub fn parse(config: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::open(config, FieldPath::default(), Reading::Ksops, findings)?;
        let encoding = encoding(&mut fields, findings);
        let has_any = FIELDS.iter().any(|name| fields.is_set(name));
        let files: Vec<_> =
            fields.strings("files", findings).into_iter().filter_map(|entry| Source::parse(entry, findings)).collect();
        let entries = fields.list("secretFrom", findings).unwrap_or_default();
        let path = fields.path("secretFrom");
        let secrets: Vec<_> = entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| SecretFrom::parse(entry, path.index(index), findings))
            .collect();
        if !has_any {
            let error = GeneratorError::manifest(fields.own_path(), fields.position, "neither files nor secretFrom");
            let hint = match fields.misspelt(&FIELDS) {
                Some((name, meant)) => super::did_you_mean(&name, meant),
                None if fields.is_set("envs") || fields.is_set("binaryFiles") => {
                    "envs and binaryFiles belong to an entry of secretFrom".into()
                }
                None => "files lists encrypted manifests; secretFrom makes Secrets of encrypted files".into(),
            };
            findings.error(error.hint(hint));
        }
        fields.finish(&FIELDS, findings);
        check_same_secret(&secrets, findings);
        Some(Self { files, secrets, encoding })
    }

    /// Every source in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().chain(self.secrets.iter().flat_map(SecretFrom::sources))
    }

    /// One piece for each entry of `files`, then one for each of `secretFrom`.
    pub fn render<'a>(
        &'a self,
        open: &Opener<'a, '_>,
        origin: &Sentence,
    ) -> Result<Vec<Piece<'a>>, Vec<GeneratorError>> {
        let mut pieces = Vec::new();
        let mut errors = Vec::new();
        let files = workers::map(workers::for_small_items(self.files.len()), &self.files, &|source| {
            let origin = origin.clone().field(&source.field);
            decrypted_manifest::read(open(source, Purpose::Manifest).map_err(|error| vec![error])?, &origin)
        });
        let secrets = self.secrets.iter().map(|secret| secret.render(self.encoding, open, origin));
        for piece in files.into_iter().chain(secrets) {
            match piece {
                Ok(piece) => pieces.push(piece),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(pieces) } else { Err(errors) }
    }
}

impl SecretFrom {
    fn parse(entry: &Node, field: FieldPath, findings: &mut Findings) -> Option<Self> {
        if super::fields::is_null(entry) {
            findings.error(GeneratorError::manifest(&field, entry.position, "the entry is empty"));
            return None;
        }
        let mut fields = Fields::open(entry, field.clone(), Reading::Ksops, findings)?;
        let sources = ["files", "binaryFiles", "envs"];
        let has_any = sources.iter().any(|name| fields.is_set(name));
        let mut keyed = |name, fields: &mut Fields<'_>| -> Vec<_> {
            let entries = fields.strings(name, findings).into_iter();
            entries.filter_map(|entry| KeyedSource::parse(entry, ManyEquals::FirstSplits, findings)).collect()
        };
        let files = keyed("files", &mut fields);
        let binary_files = keyed("binaryFiles", &mut fields);
        let envs = fields.strings("envs", findings);
        let envs = envs.into_iter().filter_map(|entry| Source::parse(entry, findings)).collect();
        let secret_type = fields.string("type", findings).filter(|secret_type| !secret_type.is_empty());
        let metadata = Metadata::parse(&mut fields, Reading::Ksops, |_| true, findings);
        if !has_any {
            let error = GeneratorError::manifest(&field, fields.position, "the entry names no source");
            findings.error(match fields.misspelt(&sources) {
                Some((name, meant)) => error.hint(super::did_you_mean(&name, meant)),
                None => error.hint("add files, binaryFiles or envs"),
            });
        }
        fields.finish(&ENTRY_FIELDS, findings);
        super::source::check_same_key(files.iter().chain(&binary_files), findings);
        Some(Self { field, metadata: metadata?, secret_type, files, binary_files, envs })
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        let keyed = self.files.iter().chain(&self.binary_files).map(|keyed| &keyed.source);
        keyed.chain(&self.envs)
    }

    fn render<'a>(
        &'a self,
        encoding: Encoding,
        open: &Opener<'a, '_>,
        origin: &Sentence,
    ) -> Result<Piece<'static>, Vec<GeneratorError>> {
        let mut secret = SecretManifest::new(&self.metadata, self.secret_type.as_deref(), encoding);
        let mut errors = Vec::new();
        let text = self.files.iter().map(|keyed| (keyed, false));
        let binary = self.binary_files.iter().map(|keyed| (keyed, true));
        for (KeyedSource { key, source }, is_binary) in text.chain(binary) {
            let printable = Printable::new(key);
            let added = open(source, Purpose::Value).and_then(|opened| {
                secret.insert(key.clone(), Some(&printable), opened.text.into_owned(), is_binary, source)
            });
            errors.extend(added.err());
        }
        for source in &self.envs {
            match open(source, Purpose::Variables) {
                Ok(opened) => errors.extend(add_variables(&opened, &mut secret)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        secret.render(&self.field, origin.clone().field(&self.field))
    }
}

/// Adds the variables of a dotenv file.
fn add_variables<'a>(opened: &Opened<'a>, secret: &mut SecretManifest<'a>) -> Vec<GeneratorError> {
    let on_line = |line| Position { line, column: 0 };
    let variables = match dotenv::parse(opened.text.expose()) {
        Ok(variables) => variables,
        Err(error) => {
            let hint = "write NAME=value; names hold letters, digits, '_' and '.'";
            return vec![opened.error(error.reason).at(on_line(error.line)).hint(hint)];
        }
    };
    if variables.is_empty() {
        return vec![opened.error("the dotenv file holds no variable").fault(Fault::Manifest)];
    }
    let names = opened.public_names();
    let mut errors = Vec::new();
    for variable in variables {
        if errors.len() >= limits::ERRORS {
            break;
        }
        let name = names.printable(&variable.key);
        let at = on_line(variable.line);
        if let Some(change) = variable.change {
            errors.push(refuse(opened, name.as_ref(), change).at(at));
        }
        match super::env_key(opened, &variable.key, name.as_ref()) {
            Ok(key) => {
                let added = secret.insert(key, name.as_ref(), variable.value, false, opened.source);
                errors.extend(added.err().map(|error| if error.source.is_some() { error.at(at) } else { error }));
            }
            Err(error) => errors.push(error.at(at)),
        }
    }
    errors
}

/// What godotenv would do to a value, and the ways out.
fn refuse(opened: &Opened<'_>, name: Option<&Printable>, change: Change) -> GeneratorError {
    let (reason, hint) = match change {
        Change::Comment => (
            " holds ' #', and KSOPS would drop the rest of the line",
            "to keep it, put the value in single quotes; to drop it, remove it from the encrypted file",
        ),
        Change::Expansion => (
            " holds '$' and a name, and KSOPS would put another variable there, or nothing",
            "put the value in single quotes, or write \\$ for the dollar sign",
        ),
    };
    let subject = match name {
        Some(name) => Sentence::new("the value of ").name(name),
        None => Sentence::new("a value"),
    };
    opened.error(subject.words(reason)).hint(hint)
}

/// The generator's annotations may ask for `data`; everything else in its metadata is none of the Secrets' business.
fn encoding(fields: &mut Fields<'_>, findings: &mut Findings) -> Encoding {
    fields.expect_plugin_fields();
    let metadata = fields.get("metadata", findings);
    let annotations = metadata.and_then(|metadata| super::field(metadata, "annotations"));
    match annotations.and_then(|annotations| super::field(annotations, ENCODING)) {
        None => Encoding::StringData,
        Some(Node { kind: Kind::Scalar(text, _), .. }) if text == "data" => Encoding::Data,
        Some(node) => {
            let path = fields.path("metadata").field("annotations");
            let reason = Sentence::new(ENCODING).words(" must be data");
            findings.error(GeneratorError::manifest(&path, node.position, reason));
            Encoding::StringData
        }
    }
}

fn check_same_secret(secrets: &[SecretFrom], findings: &mut Findings) {
    let mut first_by_id: BTreeMap<(&str, &str), &SecretFrom> = BTreeMap::new();
    for secret in secrets {
        let metadata = &secret.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or("default");
        let first = first_by_id.entry((namespace, &metadata.name)).or_insert(secret);
        if !std::ptr::eq(*first, secret) {
            let name = Printable::new(&metadata.name);
            let reason = Sentence::new("Secret ").name(&name).words(" is made twice, first by ").field(&first.field);
            let error = GeneratorError::manifest(&secret.field, Position::default(), reason);
            findings.error(error.hint("only one of the two would reach the cluster; put the sources under one entry"));
        }
    }
}

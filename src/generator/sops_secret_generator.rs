//! The generator of SopsSecretGenerator (`goabout.com/v1beta1`; goabout/kustomize-sopssecretgenerator 1.6.0).

use super::error::{Fault, FieldPath, GeneratorError, Sentence};
use super::fields::{Fields, Findings, Reading};
use super::metadata::{BEHAVIOR, Behavior, LOCAL_CONFIG, Metadata, NEEDS_HASH};
use super::piece::Piece;
use super::secret_manifest::{Encoding, SecretManifest};
use super::source::{KeyedSource, ManyEquals, Opened, Purpose, Source};
use super::{Opener, env_key};
use crate::limits;
use crate::number;
use crate::secret::SecretBytes;
use crate::sops::store::Format;
use crate::sops::tree::{Item, Value};
use crate::text::Printable;
use crate::yaml::{Node, Position};

/// The only apiVersion.
pub(super) const API_VERSION: &str = "goabout.com/v1beta1";

/// The kind and its older name.
pub(super) const KINDS: [&str; 2] = ["SopsSecretGenerator", "SopsSecret"];

const FIELDS: [&str; 8] =
    ["apiVersion", "behavior", "disableNameSuffixHash", "envs", "files", "kind", "metadata", "type"];

/// A parsed manifest: one Secret, named as the generator is.
pub(super) struct SopsSecretGenerator {
    metadata: Metadata,
    secret_type: Option<String>,
    envs: Vec<Source>,
    files: Vec<KeyedSource>,
}

impl SopsSecretGenerator {
    /// Reads a manifest.
    pub fn parse(config: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::open(config, FieldPath::default(), Reading::SopsSecretGenerator, findings)?;
        fields.expect_plugin_fields();
        let has_any = fields.is_set("envs") || fields.is_set("files");
        let entries = fields.strings("envs", findings);
        let envs = entries.into_iter().filter_map(|entry| env_source(entry, findings)).collect();
        let entries = fields.strings("files", findings);
        let keyed = |entry| KeyedSource::parse(entry, ManyEquals::Refused, findings);
        let files: Vec<_> = entries.into_iter().filter_map(keyed).collect();
        super::source::check_same_key(&files, findings);
        let metadata = Metadata::parse(&mut fields, Reading::SopsSecretGenerator, is_copied, findings);
        let no_hash = fields.boolean("disableNameSuffixHash", findings).unwrap_or(false);
        let behavior = behavior(&mut fields, findings);
        let secret_type = fields.string("type", findings).filter(|secret_type| !secret_type.is_empty());
        if !has_any {
            let error = GeneratorError::manifest(fields.own_path(), fields.position, "neither envs nor files");
            findings.error(match fields.misspelt(&FIELDS) {
                Some((name, meant)) => error.hint(super::did_you_mean(&name, meant)),
                None => error.hint("files lists encrypted files, envs those with one key for each value"),
            });
        }
        fields.finish(&FIELDS, findings);
        let mut metadata = metadata?;
        if !no_hash {
            metadata.annotations.insert(NEEDS_HASH.to_owned(), "true".to_owned());
        }
        if let Some(behavior) = behavior {
            metadata.annotations.insert(BEHAVIOR.to_owned(), behavior.as_str().to_owned());
            metadata.behavior = Some(behavior);
        }
        Some(Self { metadata, secret_type, envs, files })
    }

    /// Every source in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.envs.iter().chain(self.files.iter().map(|keyed| &keyed.source))
    }

    /// One piece: the Secret, all values in `data`.
    pub fn render<'a>(
        &'a self,
        open: &Opener<'a, '_>,
        origin: &Sentence,
    ) -> Result<Vec<Piece<'a>>, Vec<GeneratorError>> {
        let mut secret = SecretManifest::new(&self.metadata, self.secret_type.as_deref(), Encoding::Data);
        let mut errors = Vec::new();
        for source in &self.envs {
            match open(source, Purpose::Variables) {
                Ok(opened) => errors.extend(add_variables(&opened, &mut secret)),
                Err(error) => errors.push(error),
            }
        }
        for KeyedSource { key, source } in &self.files {
            let printable = Printable::new(key);
            let added = open(source, Purpose::Value).and_then(|opened| {
                let text = text_of_old_sops(opened.text.into_owned(), opened.format);
                secret.insert(key.clone(), Some(&printable), text, true, source)
            });
            errors.extend(added.err());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        secret.render(&FieldPath::default(), origin.clone()).map(|piece| vec![piece])
    }
}

/// Which annotations of the generator go to the Secret: its author's, not those with which hosts and functions talk.
fn is_copied(key: &str) -> bool {
    let is_internal = key.starts_with("internal.config.kubernetes.io/") || key.starts_with("internal.config.k8s.io/");
    let of_protocol = [
        LOCAL_CONFIG,
        "alpha.config.kubernetes.io/transformations",
        "config.k8s.io/function",
        "config.k8s.io/id",
        "config.kubernetes.io/container",
        "config.kubernetes.io/function",
        "config.kubernetes.io/index",
        "config.kubernetes.io/origin",
        "config.kubernetes.io/path",
        "kustomize.config.k8s.io/id",
    ];
    !is_internal && !of_protocol.contains(&key)
}

fn behavior(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Behavior> {
    let text = fields.string("behavior", findings).filter(|text| !text.is_empty())?;
    let behavior = Behavior::parse(&text);
    if behavior.is_none() {
        let reason = Sentence::new("").name(&Printable::new(&text)).words(" is not create, merge or replace");
        findings.error(GeneratorError::manifest(&fields.path("behavior"), fields.position, reason));
    }
    behavior
}

fn env_source(entry: (FieldPath, Position, String), findings: &mut Findings) -> Option<Source> {
    let source = Source::parse(entry, findings)?;
    match Format::from_path(source.path.as_str()) {
        Format::Dotenv | Format::Json | Format::Yaml => Some(source),
        Format::Binary | Format::Ini => {
            let reason = "the file's name must end in .env, .yaml, .yml or .json";
            let error = GeneratorError::manifest(&source.field, source.position, reason);
            findings.error(error.hint("list it under files to take it as one value"));
            None
        }
    }
}

/// The sops 3.7.3 of the original ended JSON without a line break and INI with a blank line. The same bytes here keep
/// the hash in a Secret's name.
fn text_of_old_sops(text: SecretBytes, format: Format) -> SecretBytes {
    let mut bytes = text.into_exposed();
    match format {
        Format::Ini => bytes.push(b'\n'),
        Format::Json => _ = bytes.pop_if(|last| *last == b'\n'),
        Format::Binary | Format::Dotenv | Format::Yaml => {}
    }
    SecretBytes::new(bytes)
}

/// A variable of an `envs` file, or why it is none.
type Variable<'a> = (&'a [u8], Result<SecretBytes, &'static str>, Position);

fn add_variables<'a>(opened: &Opened<'a>, secret: &mut SecretManifest<'a>) -> Vec<GeneratorError> {
    let variables = match opened.format {
        Format::Dotenv => dotenv_variables(opened.text.expose()),
        _ => match tree_variables(opened) {
            Ok(variables) => variables,
            Err(error) => return vec![error],
        },
    };
    if variables.is_empty() {
        return vec![opened.error("the file holds no variable").fault(Fault::Manifest)];
    }
    let names = opened.public_names();
    let mut errors = Vec::new();
    for (key, value, at) in variables {
        if errors.len() >= limits::ERRORS {
            break;
        }
        let name = names.printable(key);
        let added = match value {
            Ok(value) => env_key(opened, key, name.as_ref())
                .and_then(|key| secret.insert(key, name.as_ref(), value, true, opened.source)),
            Err(rule) => Err(opened.error(match &name {
                Some(name) => Sentence::new("the value of ").name(name).words(" ").words(rule),
                None => Sentence::new("a line ").words(rule),
            })),
        };
        errors.extend(added.err().map(|error| if error.source.is_some() { error.at(at) } else { error }));
    }
    errors
}

/// The original's own dialect: no quotes, no escapes, split at the first `=`, blanks before the key dropped.
fn dotenv_variables(text: &[u8]) -> Vec<Variable<'_>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut variables = Vec::new();
    for (line_number, line) in (1u32..).zip(text.split(|&byte| byte == b'\n')) {
        let at = Position { line: line_number, column: 0 };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            variables.push((&b""[..], Err("is not UTF-8"), at));
            continue;
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        variables.push(match line.split_once('=') {
            Some((key, value)) => (key.as_bytes(), Ok(SecretBytes::from(value)), at),
            None => (&b""[..], Err("holds no '='"), at),
        });
    }
    variables
}

/// The original reads the decrypted text into a map of strings: YAML scalars as they are written, JSON strings only.
fn tree_variables<'a>(opened: &Opened<'a>) -> Result<Vec<Variable<'a>>, GeneratorError> {
    let [document] = opened.tree.documents.as_slice() else {
        return Err(opened.error("the file must hold one document, since only the first would be read"));
    };
    let is_json = opened.format == Format::Json;
    let entries = document.items.iter().filter_map(|item| match item {
        Item::Comment(_) => None,
        Item::Entry(entry) => Some(entry),
    });
    Ok(entries.map(|entry| (entry.key.as_bytes(), scalar_text(&entry.value, is_json), entry.position)).collect())
}

fn scalar_text(value: &Value, is_json: bool) -> Result<SecretBytes, &'static str> {
    let text = match value {
        Value::Str(text) => return Ok(text.duplicate()),
        Value::Null => String::new(),
        Value::Branch(_) => return Err("is a mapping; only text can become the value of a key"),
        Value::List(_) => return Err("is a list; only text can become the value of a key"),
        Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Time(_) if is_json => {
            return Err("must be a string in JSON; put it in quotes");
        }
        Value::Bool(truth) => truth.to_string(),
        Value::Comment(_) => return Err("is a comment"),
        Value::Float(float) if float.is_nan() => ".nan".to_owned(),
        Value::Float(float) if float.is_infinite() => {
            (if float.is_sign_positive() { ".inf" } else { "-.inf" }).to_owned()
        }
        Value::Float(float) => number::format_g(*float),
        Value::Int(int) => int.to_string(),
        Value::Time(time) => time.rfc3339_nano(),
    };
    Ok(SecretBytes::new(text.into_bytes()))
}

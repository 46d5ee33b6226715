//! Generator manifests: what they ask for, and the Kubernetes objects that come of it once their sources are open.
//!
//! [`Generator::parse`] reads a manifest, [`Generator::sources`] names what must be decrypted, and
//! [`Generator::render`] turns that into [`Piece`]s. Nothing here opens a file or decrypts.

mod decrypted_manifest;
mod dotenv;
mod error;
mod fields;
mod hazards;
mod ksops;
mod metadata;
mod piece;
mod redacted;
mod secret_manifest;
mod sops_secret_generator;
mod source;
#[cfg(test)]
mod tests;
mod validate;

pub use error::{Fault, FieldPath, GeneratorError, Sentence};
pub use fields::Remark;
pub use hazards::{Hazard, dotenv_hazards};
pub use metadata::Behavior;
pub use piece::{HostAnnotations, Piece, Resource, ResourceId, check_unique, for_host, join, text_of};
pub use redacted::{Assurance, RedactedPiece, finish, is_redacted, without_plain_values};
pub use validate::secret_key;

use fields::Findings;
use ksops::Ksops;
use sops_secret_generator::SopsSecretGenerator;
use source::{Opened, Purpose, Source};

use crate::limits;
use crate::path::SourcePath;
use crate::sops::{Cleartext, Redacted};
use crate::text::Printable;
use crate::yaml::{Kind, Node, Position};

/// Whose rules a manifest follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorKind {
    /// `viaduct.ai/*`
    Ksops,
    /// `goabout.com/v1beta1`
    SopsSecretGenerator,
}

/// One parsed generator manifest.
pub struct Generator {
    name: Printable,
    spec: Spec,
    remarks: Vec<Remark>,
}

enum Spec {
    Ksops(Ksops),
    SopsSecretGenerator(SopsSecretGenerator),
}

/// Gives the plaintext of a source, or what stands for it.
type Opener<'a, 'o> = dyn Fn(&'a Source, Purpose) -> Result<Opened<'a>, GeneratorError> + Sync + 'o;

impl Generator {
    /// Whether apiVersion and kind are of a generator of ours.
    pub fn is_known(api_version: &str, kind: &str) -> bool {
        kind_of(api_version, kind).is_some()
    }

    /// Reads a manifest.
    ///
    /// `is_handed_over` says that the host gave us this manifest as our configuration (argv, `functionConfig`): then
    /// any apiVersion and kind with `files` or `secretFrom` is read as KSOPS reads it, which looks at neither.
    ///
    /// # Errors
    /// Everything that is wrong with the manifest, up to [`crate::limits::ERRORS`].
    pub fn parse(config: &Node, is_handed_over: bool) -> Result<Self, Vec<GeneratorError>> {
        let api_version = text(config, "apiVersion").unwrap_or_default();
        let kind_name = text(config, "kind").unwrap_or_default();
        let kind = match kind_of(api_version, kind_name) {
            Some(kind) => kind,
            None if is_handed_over && is_free(api_version) && Ksops::has_fields(config) => GeneratorKind::Ksops,
            None => return Err(vec![unknown_kind(config, api_version, kind_name, is_handed_over)]),
        };
        let mut findings = Findings::default();
        let spec = match kind {
            GeneratorKind::Ksops => Ksops::parse(config, &mut findings).map(Spec::Ksops),
            GeneratorKind::SopsSecretGenerator => {
                SopsSecretGenerator::parse(config, &mut findings).map(Spec::SopsSecretGenerator)
            }
        };
        let Some(spec) = spec.filter(|_| findings.errors.is_empty()) else { return Err(findings.errors) };
        let generator = Self { name: display_name(config), spec, remarks: findings.remarks };
        if generator.sources().len() > limits::SOURCES {
            let reason = Sentence::new("more than ").number(limits::SOURCES).words(" sources");
            return Err(vec![GeneratorError::manifest(&FieldPath::default(), config.position, reason)]);
        }
        Ok(generator)
    }

    /// Whose rules it follows.
    pub fn kind(&self) -> GeneratorKind {
        match self.spec {
            Spec::Ksops(_) => GeneratorKind::Ksops,
            Spec::SopsSecretGenerator(_) => GeneratorKind::SopsSecretGenerator,
        }
    }

    /// `kind/name`, for messages.
    pub fn name(&self) -> &Printable {
        &self.name
    }

    /// What is accepted but probably not meant: unknown fields, unusual spellings. For `check`.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Every source in order; one may be named several times.
    pub fn sources(&self) -> Vec<&SourcePath> {
        match &self.spec {
            Spec::Ksops(ksops) => ksops.sources().map(|source| &source.path).collect(),
            Spec::SopsSecretGenerator(generator) => generator.sources().map(|source| &source.path).collect(),
        }
    }

    /// Makes the objects, in the order of the manifest. `opened` gives the cleartext of every source.
    ///
    /// # Errors
    /// Everything that is wrong with the content of the sources, and with what it would make.
    pub fn render<'a>(
        &'a self,
        opened: &(dyn Fn(&SourcePath) -> &'a Cleartext + Sync),
    ) -> Result<Vec<Piece<'a>>, Vec<GeneratorError>> {
        self.render_opened(&|source: &'a Source, _| Opened::new(source, opened(&source.path)))
    }

    /// As [`Generator::render`], of redacted files. Where these were opened with keys, everything is checked that
    /// [`Generator::render`] checks.
    ///
    /// # Errors
    /// As [`Generator::render`].
    pub fn render_redacted<'a>(
        &'a self,
        redacted: &'a (dyn Fn(&SourcePath) -> &'a Redacted + Sync),
    ) -> Result<Vec<RedactedPiece>, Vec<GeneratorError>> {
        self.check_opened(redacted)?;
        let open = |source: &'a Source, purpose| Opened::redacted(source, redacted(&source.path), purpose);
        Ok(self.render_opened(&open)?.into_iter().map(Piece::into_owned).map(RedactedPiece::of).collect())
    }

    /// Renders the plaintext of files that were opened, for its errors.
    fn check_opened<'a>(
        &'a self,
        redacted: &'a (dyn Fn(&SourcePath) -> &'a Redacted + Sync),
    ) -> Result<(), Vec<GeneratorError>> {
        if self.sources().into_iter().any(|source| redacted(source).cleartext().is_none()) {
            return Ok(());
        }
        let open = |source: &'a Source, _| match redacted(&source.path).cleartext() {
            Some(cleartext) => Opened::new(source, cleartext),
            None => Err(GeneratorError::content(&source.path, &source.field, "the file was not opened")),
        };
        self.render_opened(&open).map(|_| ())
    }

    fn render_opened<'a>(&'a self, open: &Opener<'a, '_>) -> Result<Vec<Piece<'a>>, Vec<GeneratorError>> {
        let origin = Sentence::new("").name(&self.name);
        match &self.spec {
            Spec::Ksops(ksops) => ksops.render(open, &origin.words(" ")),
            Spec::SopsSecretGenerator(generator) => generator.render(open, &origin),
        }
    }
}

/// Checks a decrypted file that holds Kubernetes objects and takes it apart, as an entry of KSOPS' `files` is; for callers
/// that have no generator manifest.
///
/// # Errors
/// Everything that is wrong with the content.
pub fn manifest_file(path: &SourcePath, cleartext: &Cleartext) -> Result<Piece<'static>, Vec<GeneratorError>> {
    let source = Source { path: path.clone(), field: FieldPath::default(), position: Position::default() };
    let opened = Opened::new(&source, cleartext).map_err(|error| vec![error])?;
    decrypted_manifest::read(opened, &Sentence::new("").name(&path.printable())).map(Piece::into_owned)
}

fn kind_of(api_version: &str, kind: &str) -> Option<GeneratorKind> {
    if api_version.starts_with("viaduct.ai/") {
        Some(GeneratorKind::Ksops)
    } else if api_version == sops_secret_generator::API_VERSION && sops_secret_generator::KINDS.contains(&kind) {
        Some(GeneratorKind::SopsSecretGenerator)
    } else {
        None
    }
}

/// Whether an apiVersion may stand over a manifest that is read as KSOPS'. Those two groups have kinds of their own.
fn is_free(api_version: &str) -> bool {
    !api_version.starts_with("goabout.com/") && !api_version.starts_with("unsops.dev/")
}

fn unknown_kind(config: &Node, api_version: &str, kind: &str, is_handed_over: bool) -> GeneratorError {
    let reason = if api_version.is_empty() || kind.is_empty() {
        Sentence::new("the manifest has no apiVersion or no kind")
    } else {
        let (api_version, kind) = (Printable::new(api_version), Printable::new(kind));
        Sentence::new("not a generator: ").name(&api_version).words(" ").name(&kind)
    };
    let error = GeneratorError::manifest(&FieldPath::default(), config.position, reason);
    if api_version.starts_with("goabout.com/") {
        error.hint("the only kind of this group is goabout.com/v1beta1 SopsSecretGenerator")
    } else if is_handed_over {
        error.hint(
            "a generator is viaduct.ai/v1 ksops with files or secretFrom, or goabout.com/v1beta1 SopsSecretGenerator",
        )
    } else {
        error
    }
}

/// `kind/name` of a manifest, for messages.
pub fn display_name(config: &Node) -> Printable {
    let kind = text(config, "kind").unwrap_or("generator");
    let metadata = field(config, "metadata");
    match metadata.and_then(|metadata| text(metadata, "name")) {
        Some(name) => Printable::new(&format!("{kind}/{name}")),
        None => Printable::new(kind),
    }
}

fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    let is_wanted = |key: &Node| matches!(&key.kind, Kind::Scalar(text, _) if text == name);
    pairs.iter().find(|(key, _)| is_wanted(key)).map(|(_, value)| value)
}

fn text<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    match &field(node, name)?.kind {
        Kind::Scalar(text, _) => Some(text),
        _ => None,
    }
}

/// The key of a variable as the key of a Secret. It is named in the error only where it stood unencrypted.
fn env_key(opened: &Opened<'_>, key: &[u8], name: Option<&Printable>) -> Result<String, GeneratorError> {
    let text = std::str::from_utf8(key).map_err(|_| "is not UTF-8");
    match text.and_then(|key| validate::secret_key(key).map(|()| key)) {
        Ok(key) => Ok(key.to_owned()),
        Err(rule) => {
            let subject = match name {
                Some(name) => Sentence::new("key ").name(name),
                None => Sentence::new("a key"),
            };
            Err(opened.error(subject.words(" ").words(rule)))
        }
    }
}

fn did_you_mean(name: &Printable, meant: &'static str) -> Sentence {
    Sentence::new("").name(name).words(" is ignored; did you mean ").words(meant).words("?")
}

//! `unsops render`: manifests with placeholders in the place of values, or with plaintext if that is asked for.

mod input;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::input::{Input, Part};
use super::decrypt::{Decryptor, Make, Places};
use super::generate::{collect, of_generator};
use super::{policy, records};
use crate::cli::RenderArgs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Assurance, Generator, Piece, RedactedPiece};
use crate::host::Config;
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::path::SourcePath;
use crate::process::{self, Output};
use crate::secret::Secret;
use crate::sops::{self, Format, KeyService, Redacted, SopsError};
use crate::text::Printable;
use crate::yaml::Node;
use crate::yaml::writer::write_manifest;

/// Variables that the Argo CD command line reads, on whatever machine; all others of that name are the server's.
const ARGOCD_CLIENT: [&str; 5] =
    ["ARGOCD_AUTH_TOKEN", "ARGOCD_CONFIG_DIR", "ARGOCD_CORE", "ARGOCD_OPTS", "ARGOCD_SERVER"];

/// Renders.
///
/// # Errors
/// Everything that failed; then there is no answer at all.
pub fn render(args: &RenderArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    refuse_under_argocd(env)?;
    if args.reveal && !args.yes && process::stdout_is_terminal() {
        return Err(Record::new(Failure::Usage, "--reveal would show plaintext on a terminal")
            .hint("redirect standard output, or add --yes if nobody else can see this screen and its history")
            .into());
    }
    let root = Root::discover(env).map_err(records::of_file)?;
    let policy = KeyPolicy { allow_exec: !args.keyless, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let decryptor = Decryptor::new(&root, &keyring, env)?;
    let target = args.target.as_deref().filter(|target| *target != Path::new("-"));
    let parts = Parts::of(Input::read(target, env, deadline)?, &decryptor, env)?;
    if args.reveal {
        return Ok(Output::new(parts.reveal()?));
    }
    let redaction = Redaction { keys: decryptor.keys(), level: Level::of(args), unopened: AtomicUsize::new(0) };
    let objects = parts.redact(&redaction)?;
    let unopened = redaction.unopened.into_inner();
    if unopened > 0 && !args.quiet {
        let files = if unopened == 1 { "file" } else { "files" };
        process::write_stderr(&format!(
            "unsops: note: no key opened {unopened} {files}, whose content is not checked; --verify says why\n"
        ));
    }
    let is_verified = !args.keyless && unopened == 0;
    let assurance = if is_verified { Assurance::Verified } else { Assurance::Keyless };
    Ok(Output::new(Secret::new(generator::finish(objects, assurance).into_bytes())))
}

/// A redacted manifest must not come out where the output is applied.
fn refuse_under_argocd(env: &Environment) -> Result<(), Record> {
    let is_of_server = |name: &str| name.starts_with("ARGOCD_") && !ARGOCD_CLIENT.contains(&name);
    let found = env.variables().filter_map(|(name, _)| name.to_str()).find(|name| is_of_server(name));
    match found {
        None => Ok(()),
        Some(name) => {
            let message = format!("redacted manifests must not reach a cluster, and {} is set", Printable::new(name));
            Err(Record::new(Failure::Usage, message).hint("under Argo CD, use unsops cmp generate or unsops build"))
        }
    }
}

/// Which keys are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// None.
    Keyless,
    /// Those that open a file; a file that none opens is redacted without.
    Any,
    /// A file that none opens is an error.
    Verified,
}

impl Level {
    fn of(args: &RenderArgs) -> Self {
        match (args.keyless, args.verify) {
            (true, _) => Self::Keyless,
            (false, true) => Self::Verified,
            (false, false) => Self::Any,
        }
    }
}

/// How files are redacted, and how many were not opened though keys were tried.
struct Redaction<'a> {
    keys: &'a dyn KeyService,
    level: Level,
    unopened: AtomicUsize,
}

impl Redaction<'_> {
    fn redact(&self, file: &[u8], format: Format) -> Result<Redacted, SopsError> {
        if self.level == Level::Keyless {
            return Redacted::without_keys(file, format);
        }
        match Redacted::with_keys(file, format, self.keys) {
            Err(SopsError::Key(_)) if self.level == Level::Any => {
                self.unopened.fetch_add(1, Ordering::Relaxed);
                Redacted::without_keys(file, format)
            }
            result => result,
        }
    }
}

/// The parts of an input, the generators among them parsed.
struct Parts<'a> {
    parts: Vec<Parsed>,
    places: Vec<&'a Path>,
    folder: Option<std::path::PathBuf>,
    decryptor: &'a Decryptor<'a>,
}

enum Parsed {
    /// Also an encrypted manifest: as the only file of a generator, with its bytes.
    Generator(Generator, Option<Vec<u8>>),
    Plain(Node),
}

impl<'a> Parts<'a> {
    fn of(input: Input, decryptor: &'a Decryptor<'a>, env: &'a Environment) -> Result<Self, Error> {
        let parts = collect(input.parts.into_iter().map(|part| match part {
            Part::Encrypted(path, bytes) => around(&path).map(|generator| Parsed::Generator(generator, Some(bytes))),
            Part::Generator(config) => parse(&config).map(|generator| Parsed::Generator(generator, None)),
            Part::Plain(node) => Ok(Parsed::Plain(node)),
        }))?;
        Ok(Self { parts, places: env.current_dir().into_iter().collect(), folder: input.folder, decryptor })
    }

    /// Reads the sources of a generator and makes something of each.
    fn map<T: Send>(
        &self,
        generator: &Generator,
        bytes: Option<&Vec<u8>>,
        make: &Make<'_, T>,
    ) -> Result<BTreeMap<SourcePath, T>, Vec<Record>> {
        let bases: Vec<&Path> = self.places.iter().copied().chain(self.folder.as_deref()).collect();
        let in_band = |_: &SourcePath| bytes.cloned();
        self.decryptor.map_all(&generator.sources(), &Places { bases: &bases, in_band: &in_band }, make)
    }

    /// All objects, redacted.
    fn redact(&self, redaction: &Redaction<'_>) -> Result<Vec<Node>, Error> {
        enum Done<'p> {
            Pieces(Vec<RedactedPiece>),
            Plain(&'p Node),
        }
        let make = |file: &[u8], format| redaction.redact(file, format);
        let done = collect(self.parts.iter().map(|part| match part {
            Parsed::Plain(node) => Ok(Done::Plain(node)),
            Parsed::Generator(generator, bytes) => {
                let redacted = self.map(generator, bytes.as_ref(), &make)?;
                let get =
                    |source: &SourcePath| redacted.get(source).expect("every source was read, or `map` has failed");
                let pieces = generator.render_redacted(&get);
                pieces.map(Done::Pieces).map_err(|errors| of_generator(generator.name(), &errors))
            }
        }))?;
        let pieces = done.iter().flat_map(|done| match done {
            Done::Pieces(pieces) => pieces.as_slice(),
            Done::Plain(_) => &[],
        });
        let unique = RedactedPiece::check_unique(pieces);
        collect([unique.map_err(|errors| of_generator(&"generators".into(), &errors))].into_iter())?;
        Ok(done
            .into_iter()
            .flat_map(|done| match done {
                Done::Pieces(pieces) => pieces.into_iter().flat_map(RedactedPiece::into_objects).collect(),
                Done::Plain(node) => vec![node.clone()],
            })
            .collect())
    }

    /// All objects in plaintext.
    fn reveal(&self) -> Result<Secret<Vec<u8>>, Error> {
        let make = |file: &[u8], format| sops::decrypt(file, format, self.decryptor.keys());
        let texts = collect(self.parts.iter().map(|part| match part {
            Parsed::Plain(node) => {
                let document = crate::yaml::Document { root: node.clone(), ..Default::default() };
                Ok((Secret::new(write_manifest(&document)), Vec::new()))
            }
            Parsed::Generator(generator, bytes) => {
                let opened = self.map(generator, bytes.as_ref(), &make)?;
                let get = |source: &SourcePath| opened.get(source).expect("every source was read, or `map` has failed");
                let pieces = generator.render(&get).map_err(|errors| of_generator(generator.name(), &errors))?;
                Ok((generator::join(&pieces), pieces))
            }
        }))?;
        let pieces: Vec<&Piece> = texts.iter().flat_map(|(_, pieces)| pieces).collect();
        collect([policy::check_kinds(self.decryptor.authority(), pieces.iter().copied())].into_iter())?;
        let unique = generator::check_unique(pieces);
        collect([unique.map_err(|errors| of_generator(&"generators".into(), &errors))].into_iter())?;
        let mut stream = String::new();
        for (text, _) in &texts {
            if !stream.is_empty() {
                stream.push_str("\n---\n");
            }
            stream.push_str(text.expose());
        }
        Ok(Secret::new(stream.into_bytes()))
    }
}

fn parse(config: &Config) -> Result<Generator, Vec<Record>> {
    let manifest = config.manifest();
    Generator::parse(manifest, config.is_handed_over())
        .map_err(|errors| of_generator(&generator::display_name(manifest), &errors))
}

/// A generator whose only file is this manifest.
fn around(path: &SourcePath) -> Result<Generator, Vec<Record>> {
    let manifest = serde_json::json!({
        "apiVersion": "viaduct.ai/v1", "kind": "ksops", "metadata": { "name": path.as_str() }, "files": [path.as_str()],
    });
    // JSON is YAML.
    let configs = Config::read(manifest.to_string().as_bytes()).map_err(|error| vec![records::of_host(&error)])?;
    let config = configs.first().ok_or_else(|| vec![Record::new(Failure::Internal, "no manifest around a file")])?;
    parse(config)
}

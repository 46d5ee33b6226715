//! The parts of an input, the generators among them carried out: over redacted files, or over plaintext.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Redaction;
use super::input::{Input, Part};
use crate::commands::decrypt::{Decryptor, Make, Places};
use crate::commands::generate::{annotations_of, collect, of_generator};
use crate::commands::{policy, records, transform};
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Generator, HostAnnotations, Piece, RedactedPiece};
use crate::host::{Config, Legacy, ResourceList};
use crate::path::SourcePath;
use crate::secret::{Secret, SecretBytes};
use crate::sops::{self, KeyKinds, Redacted};
use crate::yaml::writer::write_manifest;
use crate::yaml::{Document, Node};

/// The parts of an input, and how their sources are read.
pub(in crate::commands) struct Parts<'a> {
    parts: Vec<Parsed>,
    current_dir: Option<&'a Path>,
    folder: Option<PathBuf>,
    has_placeholders: bool,
    call: Option<ResourceList>,
    decryptor: &'a Decryptor<'a>,
}

enum Parsed {
    Generator(Generator, Content),
    Plain(Node),
}

/// Where the content of a generator's sources is.
enum Content {
    /// In files.
    Files,
    /// In files, or among the items of a function call; the number of its config there.
    Function(usize),
    /// Here: an encrypted manifest, as the only file of a generator.
    Given(Vec<u8>),
    /// The same, from a stream; it can be redacted only without keys.
    GivenInStream(Vec<u8>),
}

impl<'a> Parts<'a> {
    /// Parses what is to be generated. Sources start at `current_dir`, or else where the input lies.
    pub fn of(mut input: Input, decryptor: &'a Decryptor<'a>, current_dir: Option<&'a Path>) -> Result<Self, Error> {
        let call = input.call.take();
        let parts = collect(std::mem::take(&mut input.parts).into_iter().map(|part| match part {
            Part::Encrypted(path, bytes) => {
                around(&path).map(|generator| Parsed::Generator(generator, Content::Given(bytes)))
            }
            Part::EncryptedInStream(path, bytes) => {
                around(&path).map(|generator| Parsed::Generator(generator, Content::GivenInStream(bytes)))
            }
            Part::Generator(config) => parse(&config).map(|generator| Parsed::Generator(generator, Content::Files)),
            Part::Function(number) => match call.as_ref().and_then(|call| call.configs().get(number)) {
                Some(config) => parse(config).map(|generator| Parsed::Generator(generator, Content::Function(number))),
                None => Err(vec![Record::new(Failure::Internal, "a function call lost its config")]),
            },
            Part::Plain(node) => Ok(Parsed::Plain(node)),
        }))?;
        let Input { folder, has_placeholders, .. } = input;
        Ok(Self { parts, current_dir, folder, has_placeholders, call, decryptor })
    }

    /// Which kinds of keys the sources name. They are read for that, and once more later.
    pub fn kinds(&self) -> KeyKinds {
        let mut kinds = KeyKinds::default();
        for part in &self.parts {
            if let Parsed::Generator(generator, content) = part {
                let (_, named) = self.at_places(content, |places| {
                    // There is no room for what was read.
                    self.decryptor.look_ahead(&generator.sources(), places, &mut 0)
                });
                kinds = kinds.and(named);
            }
        }
        kinds
    }

    /// Reads the sources of a generator and makes something of each.
    fn map<T: Send>(
        &self,
        generator: &Generator,
        content: &Content,
        make: &Make<'_, T>,
    ) -> Result<BTreeMap<SourcePath, T>, Vec<Record>> {
        self.at_places(content, |places| self.decryptor.map_all(&generator.sources(), places, make))
    }

    /// Does something where the sources of one generator are.
    fn at_places<T>(&self, content: &Content, act: impl FnOnce(&Places<'_>) -> T) -> T {
        let config = match content {
            Content::Function(number) => self.call.as_ref().and_then(|call| Some((call, call.configs().get(*number)?))),
            Content::Files | Content::Given(_) | Content::GivenInStream(_) => None,
        };
        let current_dir = self.current_dir.map(|dir| config.map_or(dir, |(_, config)| config.base_dir(dir)));
        let bases: Vec<&Path> = current_dir.into_iter().chain(self.folder.as_deref()).collect();
        let in_band = |source: &SourcePath| match content {
            Content::Files => None,
            Content::Function(_) => config.and_then(|(call, config)| call.in_band(config, source)),
            Content::Given(bytes) | Content::GivenInStream(bytes) => Some(bytes.clone()),
        };
        act(&Places { bases: &bases, in_band: &in_band, ahead: None })
    }

    /// All objects, redacted.
    pub fn redact(&self, redaction: &Redaction) -> Result<Vec<Node>, Error> {
        enum Done<'p> {
            Pieces(Vec<RedactedPiece>),
            Plain(&'p Node),
        }
        let make =
            |source: &SourcePath, file: &[u8], format| redaction.file(source, file, format, self.decryptor.keys());
        let keyless = |_: &SourcePath, file: &[u8], format| Redacted::without_keys(file, format);
        let done = collect(self.parts.iter().map(|part| match part {
            Parsed::Plain(node) => Ok(Done::Plain(node)),
            Parsed::Generator(generator, content) => {
                let make: &Make<'_, Redacted> = match content {
                    Content::Files | Content::Function(_) | Content::Given(_) => &make,
                    Content::GivenInStream(_) => &keyless,
                };
                let redacted = self.map(generator, content, make)?;
                let get =
                    |source: &SourcePath| redacted.get(source).expect("every source was read, or `map` has failed");
                let pieces = generator.render_redacted(&get);
                pieces.map(Done::Pieces).map_err(|errors| of_generator(generator.name(), &errors))
            }
        }))?;
        let own = self.parts.iter().zip(&done).filter(|(part, _)| !self.is_echoed(part));
        let pieces = own.flat_map(|(_, done)| match done {
            Done::Pieces(pieces) => pieces.as_slice(),
            Done::Plain(_) => &[],
        });
        let unique = RedactedPiece::check_unique(pieces);
        collect([unique.map_err(|errors| of_generator(&"generators".into(), &errors))].into_iter())?;
        let annotations =
            self.call.as_ref().map_or(HostAnnotations::Keep, |call| annotations_of(call.annotation_policy()));
        let mut objects = Vec::new();
        for done in done {
            match done {
                Done::Pieces(pieces) => {
                    let made = pieces.into_iter().flat_map(RedactedPiece::into_objects);
                    objects.extend(made.map(|object| generator::for_host(object, annotations)));
                }
                Done::Plain(node) if self.has_placeholders => objects.push(node.clone()),
                Done::Plain(node) => objects.push(generator::without_plain_values(node.clone())),
            }
        }
        Ok(objects)
    }

    /// Whether a part is an item that a function gives back as it came: a package may hold an encrypted file beside the
    /// generator that decrypts it, so that both have the same name.
    fn is_echoed(&self, part: &Parsed) -> bool {
        self.call.is_some() && matches!(part, Parsed::Generator(_, Content::GivenInStream(_)))
    }

    /// The plaintext of all parts, in pieces.
    pub fn open(&self) -> Result<Vec<Revealed<'_>>, Error> {
        let make = |_: &SourcePath, file: &[u8], format| sops::decrypt(file, format, self.decryptor.keys());
        let revealed = collect(self.parts.iter().map(|part| match part {
            Parsed::Plain(node) => Ok(Revealed::Plain(node)),
            Parsed::Generator(generator, content) => {
                let opened = self.map(generator, content, &make)?;
                let get = |source: &SourcePath| opened.get(source).expect("every source was read, or `map` has failed");
                let pieces = generator.render(&get);
                let own = |pieces: Vec<Piece<'_>>| pieces.into_iter().map(Piece::into_owned).collect();
                pieces.map(own).map(Revealed::Pieces).map_err(|errors| of_generator(generator.name(), &errors))
            }
        }))?;
        let pieces = || {
            revealed.iter().flat_map(|revealed| match revealed {
                Revealed::Pieces(pieces) => pieces.as_slice(),
                Revealed::Plain(_) => &[],
            })
        };
        collect([policy::check_kinds(self.decryptor.authority(), pieces())].into_iter())?;
        let unique = generator::check_unique(pieces());
        collect([unique.map_err(|errors| of_generator(&"generators".into(), &errors))].into_iter())?;
        Ok(revealed)
    }

    /// All objects in plaintext, as text.
    pub fn reveal(&self) -> Result<SecretBytes, Error> {
        let mut stream = String::new();
        for revealed in self.open()? {
            if !stream.is_empty() {
                stream.push_str("\n---\n");
            }
            match revealed {
                Revealed::Pieces(pieces) => stream.push_str(generator::join(pieces).expose()),
                Revealed::Plain(node) => {
                    stream.push_str(&write_manifest(&Document { root: node.clone(), ..Document::default() }));
                }
            }
        }
        Ok(Secret::new(stream.into_bytes()))
    }
}

/// A part in plaintext.
pub(in crate::commands) enum Revealed<'p> {
    /// What a generator made.
    Pieces(Vec<Piece<'static>>),
    /// An object as it was.
    Plain(&'p Node),
}

/// Answers a plugin call with redacted objects.
///
/// # Errors
/// As `generate::answer_legacy`.
pub(super) fn answer_legacy(
    config: &[u8],
    stdin: Vec<u8>,
    dir: &Path,
    decryptor: &Decryptor<'_>,
    redaction: &Redaction,
) -> Result<SecretBytes, Error> {
    let legacy = Legacy::read(config, stdin).map_err(|error| records::of_host(&error))?;
    if transform::is_decrypt(legacy.config().manifest()) {
        // What is encrypted in resources is redacted where they come out.
        return Ok(legacy.respond(&[]));
    }
    let generator = collect([parse(legacy.config())].into_iter())?;
    let generators = generator.into_iter().map(|generator| Parsed::Generator(generator, Content::Files)).collect();
    let parts = Parts {
        parts: generators,
        current_dir: Some(dir),
        folder: None,
        has_placeholders: false,
        call: None,
        decryptor,
    };
    let annotations = annotations_of(legacy.annotation_policy());
    let objects = parts.redact(redaction)?;
    let texts: Vec<String> = objects.into_iter().map(|object| generator::text_of(object, annotations)).collect();
    if legacy.is_transformer() {
        return Ok(legacy.respond(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    Ok(Secret::new(texts.join("---\n").into_bytes()))
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

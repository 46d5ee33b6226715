//! The plugin path: a generator manifest in, Kubernetes manifests out.

use std::path::{Path, PathBuf};

use super::confine::{self, Confinement};
use super::decrypt::{Ahead, Decryptor, Opened, Places};
use super::{policy, records, transform};
use crate::cli::Invocation;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Generator, HostAnnotations, Piece, Resource};
use crate::host::{self, AnnotationPolicy, Config, HostError, Legacy, ResourceList};
use crate::jail::{self, Root};
use crate::keys::{KeyPolicy, Keyring};
use crate::limits;
use crate::path::SourcePath;
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::{Secret, SecretBytes};
use crate::sops::KeyKinds;
use crate::text::Printable;
use crate::walk;

/// Decrypts what the call's generators name and gives the complete answer.
///
/// # Errors
/// Everything that failed; then there is no answer at all.
pub fn generate(invocation: Invocation, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let input = Input::read(invocation, env, deadline)?;
    // Whatever the operator's setting lacks is said after what is wrong with the manifest, as kustomize's users expect.
    let root = Root::discover(env);
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy);
    let authority = policy::in_force(env);
    let mut confinement = match &keyring {
        Ok(keyring) => Some(Confinement::new(env, keyring, authority.as_ref().ok(), Extent::Process)?),
        Err(_) => None,
    };
    let mut given = KeyKinds::default();
    if let Some(confinement) = &mut confinement {
        if let Ok(root) = &root {
            confinement.keep([root.path()]);
            if input.has_resources() {
                // A transformer may list directories as git sees them.
                confinement.keep(walk::beside(root.path()).iter().map(PathBuf::as_path));
            }
        }
        confinement.enter(KeyKinds::ALL);
        if !confinement.is_final() {
            given = input.kinds();
        }
    }
    let read = || {
        let call = Call::read(input)?;
        let generators = call.generators()?;
        Ok::<_, Error>((call, generators))
    };
    // Where a key program may have to run, the process keeps what that needs; a manifest needs nothing.
    let (call, generators) = match &confinement {
        Some(confinement) if confinement.is_held_back() => confine::aside(env, &[] as &[&Path], read)?,
        _ => read()?,
    };
    let root = root.map_err(records::of_file)?;
    let keyring = keyring.as_ref().map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let decryptor = Decryptor::under(authority, &root, keyring, env)?;
    let ahead = match &mut confinement {
        Some(confinement) => call.confine(&generators, &decryptor, env.current_dir(), confinement, given),
        None => Vec::new(),
    };
    if confinement.is_some_and(|confinement| !confinement.waits()) {
        decryptor.expect_no_waiting();
    }
    call.answer(&generators, &decryptor, env.current_dir(), &ahead).map(Output::new)
}

/// The answer to a function call that was handed over otherwise than by calling the function.
///
/// # Errors
/// As [`generate`].
pub(super) fn answer_function(
    call: ResourceList,
    decryptor: &Decryptor<'_>,
    current_dir: Option<&Path>,
) -> Result<SecretBytes, Error> {
    let call = Call::ResourceList(call);
    let generators = call.generators()?;
    call.answer(&generators, decryptor, current_dir, &[])
}

/// Carries out a plugin call that a build took over: the config, what came on stdin, and the working directory of the
/// call, which is the directory of a kustomization.
///
/// # Errors
/// As [`generate`].
pub(super) fn answer_legacy(
    config: &[u8],
    stdin: Vec<u8>,
    current_dir: &Path,
    decryptor: &Decryptor<'_>,
) -> Result<SecretBytes, Error> {
    let call = Call::Legacy(Legacy::read(config, stdin).map_err(|error| records::of_host(&error))?);
    let generators = call.generators()?;
    call.answer(&generators, decryptor, Some(current_dir), &[])
}

/// What the host or person handed over, as it came.
enum Input {
    /// The config of a legacy call, and its stdin.
    Legacy(Vec<u8>, Vec<u8>),
    /// A manifest on the command line, and the folder it lies in.
    Manifest(Vec<u8>, Option<PathBuf>),
    Stdin(Vec<u8>),
}

impl Input {
    fn read(invocation: Invocation, env: &Environment, deadline: Deadline) -> Result<Self, Error> {
        let read = |path: &Path| jail::read_argument(path, limits::STDIN_BYTES).map_err(records::of_file);
        let stdin = || process::read_stdin(limits::STDIN_BYTES, deadline);
        Ok(match invocation {
            Invocation::Legacy(config) => Self::Legacy(read(&config)?.into_vec(), stdin()?),
            Invocation::LegacyVariable => {
                let config = env.var("KUSTOMIZE_PLUGIN_CONFIG_STRING").unwrap_or_default();
                Self::Legacy(config.as_bytes().to_vec(), stdin()?)
            }
            Invocation::Manifest(path) => {
                let folder =
                    env.current_dir().map(|dir| dir.join(&path)).and_then(|path| Some(path.parent()?.to_owned()));
                Self::Manifest(read(&path)?.into_vec(), folder)
            }
            // The others are carried out elsewhere.
            Invocation::Stdin | Invocation::Print(_) | Invocation::Command(_) | Invocation::Relayed { .. } => {
                Self::Stdin(stdin()?)
            }
        })
    }

    /// Whether there may be something to transform.
    fn has_resources(&self) -> bool {
        match self {
            Self::Legacy(_, stdin) | Self::Stdin(stdin) => !stdin.is_empty(),
            Self::Manifest(..) => false,
        }
    }

    /// The kinds of keys that encrypted resources on stdin name.
    fn kinds(&self) -> KeyKinds {
        match self {
            Self::Legacy(_, stdin) | Self::Stdin(stdin) => KeyKinds::among_manifests(stdin),
            Self::Manifest(..) => KeyKinds::default(),
        }
    }
}

/// What the host or person asks for.
enum Call {
    /// A manifest on the command line or on stdin, and the folder it lies in.
    Manifests(Vec<Config>, Option<PathBuf>),
    Legacy(Legacy),
    ResourceList(ResourceList),
}

impl Call {
    fn read(input: Input) -> Result<Self, Error> {
        match input {
            Input::Legacy(config, stdin) => Legacy::read(&config, stdin).map(Self::Legacy),
            Input::Manifest(manifest, folder) => {
                Config::read(&manifest).map(|configs| Self::Manifests(configs, folder))
            }
            Input::Stdin(stdin) => host::Input::read(stdin, &Generator::is_known).map(|input| match input {
                host::Input::Manifests(configs) => Self::Manifests(configs, None),
                host::Input::ResourceList(list) => Self::ResourceList(list),
            }),
        }
        .map_err(|error: HostError| records::of_host(&error).into())
    }

    fn configs(&self) -> &[Config] {
        match self {
            Self::Legacy(legacy) => std::slice::from_ref(legacy.config()),
            Self::Manifests(configs, _) => configs,
            Self::ResourceList(list) => list.configs(),
        }
    }

    /// None where the call is one of `Decrypt`.
    fn generators(&self) -> Result<Vec<Generator>, Error> {
        if self.decrypts() {
            return Ok(Vec::new());
        }
        collect(self.configs().iter().map(parse))
    }

    fn decrypts(&self) -> bool {
        matches!(self.configs(), [config] if config.is_handed_over() && transform::is_decrypt(config.manifest()))
    }

    /// Gives up what the keys of this call do not need, before anything encrypted is taken apart: its sources are read and
    /// looked at, one [`Ahead`] for each generator. `given` is what encrypted resources on stdin name.
    fn confine(
        &self,
        generators: &[Generator],
        decryptor: &Decryptor<'_>,
        current_dir: Option<&Path>,
        confinement: &mut Confinement<'_>,
        given: KeyKinds,
    ) -> Vec<Ahead> {
        if confinement.is_final() {
            return Vec::new();
        }
        if self.decrypts() {
            // Their sources are files that were copied to stdin, stanza and all.
            confinement.enter(given);
            return Vec::new();
        }
        let (mut room, mut kinds, mut aheads) = (limits::LOOK_AHEAD_BYTES, KeyKinds::default(), Vec::new());
        for (config, generator) in self.configs().iter().zip(generators) {
            let (ahead, named) = self.at_places(config, current_dir, None, |places| {
                decryptor.look_ahead(&generator.sources(), places, &mut room)
            });
            kinds = kinds.and(named);
            aheads.push(ahead);
        }
        confinement.enter(kinds);
        aheads
    }

    /// Decrypts, renders, and puts the answer into the caller's form. `ahead` is as [`Self::confine`] gave it, or empty.
    fn answer(
        &self,
        generators: &[Generator],
        decryptor: &Decryptor<'_>,
        current_dir: Option<&Path>,
        ahead: &[Ahead],
    ) -> Result<SecretBytes, Error> {
        if self.decrypts() {
            return match (self, self.configs()) {
                (Self::Legacy(call), _) => transform::legacy(call, decryptor, current_dir),
                (Self::ResourceList(call), [config]) => {
                    transform::function(call, config.manifest(), decryptor, current_dir)
                }
                _ => Err(Record::new(Failure::Generator, "Decrypt is a transformer of kustomize")
                    .hint("for manifests on standard input: unsops filter")
                    .into()),
            };
        }
        let ahead = ahead.iter().map(Some).chain(std::iter::repeat(None));
        let opened = collect(self.configs().iter().zip(generators).zip(ahead).map(|((config, generator), ahead)| {
            self.at_places(config, current_dir, ahead, |places| decryptor.open_all(&generator.sources(), places))
        }))?;
        let pieces: Vec<Piece<'_>> =
            collect(generators.iter().zip(&opened).map(|(generator, opened)| render(generator, opened)))?
                .into_iter()
                .flatten()
                .collect();
        collect([policy::check_kinds(decryptor.authority(), &pieces)].into_iter())?;
        let unique = generator::check_unique(&pieces);
        collect([unique.map_err(|errors| of_generator(&"generators".into(), &errors))].into_iter())?;
        Ok(self.respond(pieces))
    }

    /// Does something where the sources of one generator are.
    fn at_places<T>(
        &self,
        config: &Config,
        current_dir: Option<&Path>,
        ahead: Option<&Ahead>,
        act: impl FnOnce(&Places<'_>) -> T,
    ) -> T {
        let mut bases: Vec<&Path> = current_dir.map(|dir| config.base_dir(dir)).into_iter().collect();
        if let Self::Manifests(_, Some(folder)) = self {
            bases.push(folder);
        }
        let in_band = |source: &_| match self {
            Self::ResourceList(list) => list.in_band(config, source),
            _ => None,
        };
        act(&Places { bases: &bases, in_band: &in_band, ahead })
    }

    /// The answer, in the caller's form.
    fn respond(&self, pieces: Vec<Piece<'_>>) -> SecretBytes {
        let policy = match self {
            Self::Legacy(legacy) => legacy.annotation_policy(),
            Self::Manifests(..) => AnnotationPolicy::Keep,
            Self::ResourceList(list) => list.annotation_policy(),
        };
        match self {
            Self::Legacy(legacy) if legacy.is_transformer() => legacy.respond(&borrow(&texts(&pieces, policy))),
            // A generator's text goes out as it is, comments and all: what KSOPS prints.
            Self::Legacy(_) | Self::Manifests(..) => Secret::new(generator::join(pieces).into_exposed().into_bytes()),
            Self::ResourceList(list) => list.respond(&borrow(&texts(&pieces, policy)), &[]),
        }
    }
}

fn parse(config: &Config) -> Result<Generator, Vec<Record>> {
    let manifest = config.manifest();
    Generator::parse(manifest, config.is_handed_over())
        .map_err(|errors| of_generator(&generator::display_name(manifest), &errors))
}

fn render<'a>(generator: &'a Generator, opened: &'a Opened) -> Result<Vec<Piece<'a>>, Vec<Record>> {
    let open = |source: &SourcePath| opened.get(source).expect("every source was opened, or `collect` has failed");
    generator.render(&open).map_err(|errors| of_generator(generator.name(), &errors))
}

pub(super) fn of_generator(name: &Printable, errors: &[generator::GeneratorError]) -> Vec<Record> {
    errors.iter().map(|error| records::of_generator(name, error)).collect()
}

/// All results, or all failures.
pub(super) fn collect<T>(results: impl Iterator<Item = Result<T, Vec<Record>>>) -> Result<Vec<T>, Error> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(records) => failed.extend(records),
        }
    }
    match Error::collect(failed) {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

/// One document per object, with kustomize's annotations as the host wants them.
fn texts(pieces: &[Piece<'_>], policy: AnnotationPolicy) -> Vec<Secret<String>> {
    let annotations = annotations_of(policy);
    let resources = pieces.iter().flat_map(|piece| &piece.resources);
    resources.map(|resource: &Resource| resource.text(annotations)).collect()
}

/// A host's policy in the generator's words.
pub(super) fn annotations_of(policy: AnnotationPolicy) -> HostAnnotations {
    match policy {
        AnnotationPolicy::Drop => HostAnnotations::Drop,
        AnnotationPolicy::Keep => HostAnnotations::Keep,
        AnnotationPolicy::Translate => HostAnnotations::Translate,
    }
}

fn borrow(texts: &[Secret<String>]) -> Vec<&str> {
    texts.iter().map(|text| text.expose().as_str()).collect()
}

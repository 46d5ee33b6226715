//! The plugin path: a generator manifest in, Kubernetes manifests out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::decrypt::{self, Sources};
use super::records;
use crate::cli::Invocation;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Generator, Piece};
use crate::jail::{self, Root};
use crate::keys::{KeyPolicy, Keyring};
use crate::limits;
use crate::process::{self, Output};
use crate::secret::Secret;
use crate::text::Printable;
use crate::yaml;

/// Decrypts what the call's generators name and gives the complete answer.
///
/// # Errors
/// Everything that failed; then there is no answer at all.
pub fn generate(invocation: Invocation, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let (bytes, folder) = read(invocation, env, deadline)?;
    let generators = generators(&bytes)?;
    let root = Root::discover(env).map_err(records::of_file)?;
    let bases: Vec<&Path> = env.current_dir().into_iter().chain(folder.as_deref()).collect();
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let wanted: Vec<_> = generators.iter().flat_map(Generator::sources).collect();
    let sources = Sources { bases: &bases, root: &root, in_band: BTreeMap::new() };
    let opened = decrypt::decrypt_all(&wanted, &sources, &keyring, decrypt::concurrency(env)?)?;
    let pieces = render(&generators, &opened)?;
    Ok(Output::new(Secret::new(generator::join(&pieces).into_exposed().into_bytes())))
}

fn read(invocation: Invocation, env: &Environment, deadline: Deadline) -> Result<(Vec<u8>, Option<PathBuf>), Error> {
    match invocation {
        Invocation::Legacy(config) => {
            Ok((jail::read_argument(&config, limits::STDIN_BYTES).map_err(records::of_file)?.into_vec(), None))
        }
        Invocation::LegacyVariable => {
            Ok((env.var("KUSTOMIZE_PLUGIN_CONFIG_STRING").unwrap_or_default().as_bytes().to_vec(), None))
        }
        Invocation::Manifest(path) => {
            let bytes = jail::read_argument(&path, limits::STDIN_BYTES).map_err(records::of_file)?.into_vec();
            let folder =
                env.current_dir().map(|dir| dir.join(&path)).and_then(|path| path.parent().map(Path::to_owned));
            Ok((bytes, folder))
        }
        Invocation::Stdin | Invocation::Print(_) => Ok((process::read_stdin(limits::STDIN_BYTES, deadline)?, None)),
    }
}

fn generators(bytes: &[u8]) -> Result<Vec<Generator>, Error> {
    let documents = yaml::parse(bytes).map_err(|e| Record::new(Failure::Generator, e.to_string()))?;
    let mut generators = Vec::new();
    let mut failed = Vec::new();
    for document in documents.iter() {
        match Generator::parse(&document.root, true) {
            Ok(generator) => generators.push(generator),
            Err(errors) => failed.extend(errors.iter().map(|e| records::of_generator(&Printable::new("generator"), e))),
        }
    }
    match Error::collect(failed) {
        Some(error) => Err(error),
        None => Ok(generators),
    }
}

fn render(generators: &[Generator], opened: &decrypt::Opened) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    let mut failed = Vec::new();
    for generator in generators {
        let open = |source: &_| opened.get(source).expect("decrypt_all opened every source or failed");
        match generator.render(&open) {
            Ok(made) => pieces.extend(made),
            Err(errors) => failed.extend(errors.iter().map(|e| records::of_generator(generator.name(), e))),
        }
    }
    if let Err(errors) = generator::check_unique(&pieces) {
        failed.extend(errors.iter().map(|e| records::of_generator(&Printable::new("generators"), e)));
    }
    match Error::collect(failed) {
        Some(error) => Err(error),
        None => Ok(pieces),
    }
}

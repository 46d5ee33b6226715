//! `unsops render`: manifests with placeholders in the place of values, or with plaintext if that is asked for.
//!
//! ```text
//! FILE, stdin ──▶ Input ──▶ Parts ──▶ generators over redacted files ──▶ objects ──┐
//! DIR ──▶ build, its generators over redacted files ──▶ manifests ──▶ Input ──▶ … ─┴▶ finish ──▶ stdout
//! ```

mod input;
mod parts;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub(super) use self::input::Input;
pub(super) use self::parts::{Parts, Revealed};
use super::build::{self, Request};
use super::confine::{self, Confinement};
use super::decrypt::Decryptor;
use super::narrator::Narrator;
use super::{generate, policy, records};
use crate::cli::RenderArgs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::generator::{self, Assurance};
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::path::SourcePath;
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::Secret;
use crate::sops::{Format, KeyKinds, KeyService, Redacted, SopsError};
use crate::text::Printable;
use crate::walk;
use crate::yaml::Node;

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
    let key_policy = KeyPolicy { allow_exec: !args.keyless, terminal: false, deadline: Some(deadline.instant()) };
    let target = args.target.as_deref().filter(|target| *target != Path::new("-"));
    let narrator = Narrator::new(args.verbosity, env);
    let redaction = Redaction { level: Level::of(args), unopened: AtomicUsize::new(0), narrator: &narrator };
    narrator.info(|| redaction.level.words().to_owned());
    let (objects, assurance) = match target {
        Some(dir) if dir.is_dir() => {
            let request = request(args, dir, key_policy);
            if args.reveal {
                return build::build(&request, env, deadline, &narrator);
            }
            redaction.directory(&request, env, deadline)?
        }
        _ => {
            let bytes = Input::bytes(target, deadline)?;
            let start = Instant::now();
            let root = Root::discover(env);
            let keyring =
                Keyring::from_environment(env, key_policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
            if redaction.level != Level::Keyless {
                narrator.keys(|| keyring.describe());
            }
            let authority = policy::in_force(env);
            let mut confinement = Confinement::new(env, &keyring, authority.as_ref().ok(), Extent::Process)?;
            confinement.keep(root.as_ref().ok().map(Root::path));
            confinement.enter(if redaction.level == Level::Keyless { KeyKinds::default() } else { KeyKinds::ALL });
            let input = Input::from(target, bytes, env)?;
            let root = root.map_err(records::of_file)?;
            let decryptor = Decryptor::under(authority, &root, &keyring, env)?.narrated(&narrator);
            narrator.info(|| format!("root: {}; parts to render: {}", walk::printable(root.path()), input.parts.len()));
            let _progress = narrator.progress("rendering", 0);
            if args.reveal {
                return match input.call {
                    Some(call) => generate::answer_function(call, &decryptor, env.current_dir()),
                    None => {
                        let parts = Parts::of(input, &decryptor, env.current_dir())?;
                        if !confinement.is_final() {
                            confinement.enter(parts.kinds());
                        }
                        parts.reveal()
                    }
                }
                .map(Output::new);
            }
            let has_reordered = input.has_reordered();
            let parts = Parts::of(input, &decryptor, env.current_dir())?;
            if !confinement.is_final() {
                confinement.enter(parts.kinds());
            }
            let objects = parts.redact(&redaction)?;
            narrator.took(start, || format!("{} objects rendered", objects.len()));
            (objects, if has_reordered { Assurance::Keyless } else { redaction.assurance() })
        }
    };
    let unopened = redaction.unopened.into_inner();
    if unopened > 0 {
        let files = if unopened == 1 { "file" } else { "files" };
        narrator.note(format!(
            "no key opened {unopened} {files}, whose content is not checked; --verbose or --verify says why"
        ));
    }
    Ok(Output::new(Secret::new(generator::finish(objects, assurance, !args.for_validators).into_bytes())))
}

fn request(args: &RenderArgs, dir: &Path, keys: KeyPolicy) -> Request {
    Request {
        dir: dir.to_owned(),
        kustomize: args.kustomize.clone(),
        root: None,
        allow_exec: false,
        allow_remote: false,
        keys,
        variables: Vec::new(),
        flags: Vec::new(),
    }
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
    fn words(self) -> &'static str {
        match self {
            Self::Any => "keys: whatever opens a file; without, its values are redacted all the same",
            Self::Keyless => "keys: none is used",
            Self::Verified => "keys: every file has to open",
        }
    }

    fn of(args: &RenderArgs) -> Self {
        match (args.keyless, args.verify) {
            (true, _) => Self::Keyless,
            (false, true) => Self::Verified,
            (false, false) => Self::Any,
        }
    }
}

/// How files are redacted, and how many were not opened though keys were tried.
pub(super) struct Redaction<'a> {
    level: Level,
    unopened: AtomicUsize,
    narrator: &'a Narrator,
}

impl Redaction<'_> {
    /// The same without keys.
    fn keyless(&self) -> Self {
        Self { level: Level::Keyless, unopened: AtomicUsize::new(0), ..*self }
    }

    fn file(
        &self,
        source: &SourcePath,
        file: &[u8],
        format: Format,
        keys: &dyn KeyService,
    ) -> Result<Redacted, SopsError> {
        if self.level == Level::Keyless {
            return Redacted::without_keys(file, format);
        }
        match Redacted::with_keys(file, format, keys) {
            Err(error @ SopsError::Key(_)) if self.level == Level::Any => {
                self.unopened.fetch_add(1, Ordering::Relaxed);
                self.narrator.info(|| records::one_line(&records::of_source(source, error)));
                Redacted::without_keys(file, format)
            }
            result => result,
        }
    }

    fn assurance(&self) -> Assurance {
        let is_verified = self.level != Level::Keyless && self.unopened.load(Ordering::Relaxed) == 0;
        if is_verified { Assurance::Verified } else { Assurance::Keyless }
    }

    /// The objects of a kustomization. kustomize sees placeholders only, so that its hashes are of those.
    fn directory(
        &self,
        request: &Request,
        env: &Environment,
        deadline: Deadline,
    ) -> Result<(Vec<Node>, Assurance), Error> {
        let manifests = build::build_with(request, env, deadline, self.narrator, &|config, stdin, dir, decryptor| {
            parts::answer_legacy(config, stdin, dir, decryptor, self)
        })?;
        let root = Root::discover(env).map_err(records::of_file)?;
        // What kustomize passed through encrypted (for Flux' controller) has lost its order, and with it its MAC.
        let (objects, has_encrypted) = confine::aside(env, &[root.path()], || {
            let input = Input::of_kustomize(manifests.into_exposed())?;
            let has_encrypted = input.has_encrypted();
            let keyring = Keyring::from_environment(env, KeyPolicy::default())
                .map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
            let decryptor = Decryptor::new(&root, &keyring, env)?;
            let objects = Parts::of(input, &decryptor, None)?.redact(&self.keyless())?;
            Ok::<_, Error>((objects, has_encrypted))
        })?;
        Ok((objects, if has_encrypted { Assurance::Keyless } else { self.assurance() }))
    }
}

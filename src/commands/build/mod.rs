//! `unsops build`: `kustomize build`, with the generators of our kinds carried out here.
//!
//! ```text
//! unsops build ──▶ kustomize (own plugin directory, no keys) ──▶ unsops FILE, for each generator
//!      ▲  └───────────────────────── socket ◀──────────────────────────────┘
//!      └── keys, jail, deadline: one process
//! ```
//!
//! kustomize is never given `--enable-exec`, and its plugin directory holds nothing but links to this executable: so a
//! repository cannot have a program of its own run. The links are found by kind; what links do not cover, kustomize refuses.

mod clones;
mod kustomize;
mod message;
mod output_file;
mod plan;
mod private;
mod relay;
mod service;
mod shadow;
mod stand_in;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use super::child::{self, Ended, Start};
use super::confine::{self, Confinement};
use super::decrypt::Decryptor;
use super::narrator::Narrator;
use super::{encrypted, generate, plugin_home, programs, records};
use crate::cli::{BUILD_GIT, BUILD_SOCKET, BuildArgs};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::{JailError, Root};
use crate::keys::{KeyPolicy, Keyring};
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::{self, SecretBytes};
use crate::sops::KeyKinds;
use crate::text::Printable;
use crate::walk;

use clones::Clones;
use plan::{Allowed, Plan};
use private::PrivateDir;
use relay::Call;
use service::{Answered, Done, Service};

pub use kustomize::INSTALL;
pub use private::remove_abandoned;
pub use relay::relay;
pub use stand_in::stand_in;

/// What kustomize says its version is; it is given nothing of the environment.
pub fn version(program: &Path, deadline: Deadline) -> Option<String> {
    let args = [OsString::from("version")];
    let start = Start {
        name: "kustomize",
        install: INSTALL,
        program,
        args: &args,
        dir: Path::new("/"),
        variables: &[],
        stays_in_group: false,
    };
    let ended = child::run(&start, deadline).ok().filter(|ended| ended.status.success())?;
    Some(String::from_utf8_lossy(ended.stdout.expose()).into_owned())
}

/// What to build, and what the operator allows on the way.
pub struct Request {
    /// The directory with the kustomization; a relative path starts at the working directory.
    pub dir: PathBuf,
    /// kustomize's program; `None`: the one on PATH.
    pub kustomize: Option<PathBuf>,
    /// The directory beneath which files are decrypted; `None`: [`Root::discover_from`] `dir`.
    pub root: Option<PathBuf>,
    /// The kustomization may run programs and containers of its own.
    pub allow_exec: bool,
    /// kustomize may fetch what the kustomization names by URL.
    pub allow_remote: bool,
    /// What keys may be used for; its deadline is that of the run.
    pub keys: KeyPolicy,
    /// Names of variables that kustomize, helm and git see; `PATH`, `TMPDIR`, `HOME` and kustomize's own are set here.
    pub variables: Vec<&'static str>,
    /// Further flags for kustomize, written by the operator.
    pub flags: Vec<OsString>,
}

/// The flag with which kustomize starts helm.
const HELM: &str = "--enable-helm";

/// What helm and git may see of the caller's environment, where the caller lets them run.
const NETWORK_VARIABLES: [&str; 14] = [
    "GIT_SSH_COMMAND",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "USER",
];

/// Carries out the sub-command.
///
/// # Errors
/// As [`build`]; or the file of `--output` cannot be written.
pub fn run(args: &BuildArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let needs_network = args.allow_remote || args.flags.enable_helm;
    let request = Request {
        dir: args.dir.clone(),
        kustomize: args.kustomize.clone(),
        root: args.root.clone(),
        allow_exec: args.allow_exec,
        allow_remote: args.allow_remote,
        keys: KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) },
        variables: if needs_network { NETWORK_VARIABLES.to_vec() } else { Vec::new() },
        flags: args.flags.words(),
    };
    let output = build(&request, env, deadline, &Narrator::new(args.verbosity, env))?;
    match &args.output {
        None => Ok(output),
        Some(path) => {
            output_file::write(path, &output.into_bytes(), env)?;
            Ok(Output::new(SecretBytes::from("")))
        }
    }
}

/// Builds a kustomization.
///
/// # Errors
/// kustomize is missing or fails; a generator of ours fails or did not run; something encrypted came out, or nothing at
/// all.
pub fn build(request: &Request, env: &Environment, deadline: Deadline, narrator: &Narrator) -> Result<Output, Error> {
    let output = build_with(request, env, deadline, narrator, &generate::answer_legacy)?;
    confine::aside(env, &[] as &[&Path], || encrypted::check(output.expose()))?;
    Ok(Output::new(output))
}

/// Answers a plugin call: the config, what came on stdin, the directory of its kustomization, and what reads sources.
pub(super) type Answer<'a> = dyn Fn(&[u8], Vec<u8>, &Path, &Decryptor<'_>) -> Result<SecretBytes, Error> + Sync + 'a;

/// Builds a kustomization whose generators are carried out by `answer`. What comes out may still be encrypted.
///
/// # Errors
/// As [`build`].
pub(super) fn build_with(
    request: &Request,
    env: &Environment,
    deadline: Deadline,
    narrator: &Narrator,
    answer: &Answer<'_>,
) -> Result<SecretBytes, Error> {
    let start_time = Instant::now();
    let program = kustomize::find(request.kustomize.as_deref(), env)?;
    let dir = directory(&request.dir, env)?;
    let root = root(request, &dir, env).map_err(records::of_file)?;
    let keyring =
        Keyring::from_environment(env, request.keys).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let decryptor = Decryptor::new(&root, &keyring, env)?.narrated(narrator);

    let allowed = Allowed { exec: request.allow_exec, remote: request.allow_remote };
    let relative = dir.strip_prefix(root.path()).ok().and_then(Path::to_str).ok_or_else(|| outside(&dir))?;
    let (plan, rewritten) = confine::aside(env, &[root.path()], || {
        let plan = Plan::of(plan::walk(&root, [relative]), &root, allowed)?;
        let rewritten = shadow::rewrite(&plan.walk, &root)?;
        Ok::<_, Error>((plan, rewritten))
    })?;
    let generators = plan.walk.ours().count();
    narrator.info(|| format!("root: {}; kustomize: {}", walk::printable(root.path()), walk::printable(&program)));
    narrator.keys(|| keyring.describe());
    narrator.took(start_time, || {
        format!("kustomizations gone through: {}, generators of ours: {generators}", plan.walk.kustomizations.len())
    });

    let this = process::executable()
        .ok_or_else(|| Record::new(Failure::Internal, "the file of this executable cannot be found"))?;
    let private = prepare(&plan, &this, request, env)?;
    let start_dir = if rewritten.is_empty() {
        dir.clone()
    } else {
        let links_everything =
            request.flags.iter().any(|flag| flag.as_encoded_bytes().ends_with(b"LoadRestrictionsNone"));
        shadow::copy(&plan.walk, &root, &rewritten, links_everything, &private, Path::new(TREE))?;
        private.path().join(TREE).join(relative)
    };
    let tree = private.path().join(TREE);
    let real = |dir: &Path| match dir.strip_prefix(&tree) {
        Ok(relative) => root.path().join(relative),
        Err(_) => dir.to_owned(),
    };

    let service = Service::listen(&private.socket())?;
    let variables = variables(request, env, &private);
    let mut args: Vec<OsString> = vec!["build".into(), ".".into(), "--enable-alpha-plugins".into()];
    args.extend(request.allow_exec.then(|| "--enable-exec".into()));
    args.extend(request.flags.iter().cloned());
    let start = Start {
        name: "kustomize",
        install: kustomize::INSTALL,
        program: &program,
        args: &args,
        dir: &start_dir,
        variables: &variables,
        // Argo CD stops our process group as a whole.
        stays_in_group: env.var_os("ARGOCD_APP_NAME").is_some(),
    };
    let clones = Clones::of(&plan, &private, &this, allowed);
    let progress = narrator.progress("kustomize build, generators carried out", generators);
    let start_time = Instant::now();
    let carry_out = |call: &Call| match clones.root_of(&call.dir) {
        Some(clone) => {
            let root = Root::with(&clone).map_err(records::of_file)?;
            let decryptor = Decryptor::new(&root, &keyring, env)?.narrated(narrator);
            answer(&call.config, call.stdin.clone(), &call.dir, &decryptor)
        }
        None => answer(&call.config, call.stdin.clone(), &real(&call.dir), &decryptor),
    };
    // The thread that takes manifests and encrypted files apart; kustomize and what it starts need more.
    let mut confinement = Confinement::new(env, &keyring, Some(decryptor.authority()), Extent::Thread)?;
    confinement.keep([root.path(), private.path()]);
    confinement.accept();
    let answer_call = |call: &Call| {
        let start_time = Instant::now();
        let answered = carry_out(call);
        progress.step();
        narrator.debug_took(start_time, || {
            let became = if answered.is_ok() { "carried out" } else { "failed" };
            format!("generator in {}: {became}", walk::printable(&real(&call.dir)))
        });
        answered
    };
    // What else it may start wants more than its own directory.
    let is_alone = !request.allow_exec && !request.allow_remote && !request.flags.iter().any(|flag| flag == HELM);
    let own = [private.path()];
    let fence = is_alone.then_some(own.as_slice());
    let unread = || Err(Record::new(Failure::Internal, "kustomize's version could not be read"));
    let (version, ended) = thread::scope(|scope| {
        let serve = || {
            // Clones are rewritten where they stand. Key services are asked by whoever waits, so which ones this build
            // needs cannot be told from one of its calls.
            if !request.allow_remote {
                confinement.enter(KeyKinds::ALL);
            }
            service.serve(deadline, &answer_call, &|dir| clones.look_at(dir));
            secret::wipe_stack();
        };
        if thread::Builder::new().spawn_scoped(scope, serve).is_err() {
            service.close();
            return Err(Record::new(Failure::Internal, "no thread can be had to answer kustomize"));
        }
        // Beside the build, which need not wait for it.
        let version = thread::Builder::new()
            .spawn_scoped(scope, || confine::fenced(env, fence, || kustomize::require_version(&start, deadline)));
        let ended = confine::fenced(env, fence, || child::run(&start, deadline));
        service.close();
        let version = version.ok().and_then(|version| version.join().ok());
        Ok((version.unwrap_or_else(unread), ended))
    })?;
    drop(progress);
    version?;
    let Done { calls, failed } = service.finish();
    if let Some(error) = Error::collect(failed) {
        return Err(error);
    }
    let paths: [(&Path, &str); 4] =
        [(&start_dir, "."), (&tree, ""), (&private.tmp(), "TMPDIR"), (private.path(), "TMPDIR")];
    let output = succeeded(ended?, &calls, &paths)?;
    let calls: Vec<(PathBuf, &Answered)> =
        calls.iter().map(|call| (plan::without_links(real(&call.dir)), call)).collect();
    let mut missing = plan.check(&calls);
    missing.extend(clones.check(&calls));
    if let Some(error) = Error::collect(missing) {
        return Err(error);
    }
    narrator.took(start_time, || {
        format!("kustomize build: plugin calls: {}, bytes: {}", calls.len(), output.expose().len())
    });
    Ok(output)
}

/// The place of the copy in the private directory.
const TREE: &str = "tree";

fn outside(dir: &Path) -> Record {
    Record::new(Failure::File, "outside the allowed root")
        .about(Printable::from_bytes(dir.as_os_str().as_encoded_bytes()))
        .hint("the operator can set another root with --root or UNSOPS_ROOT")
}

/// The directory, without symbolic links, so that it is named as kustomize names it.
fn directory(dir: &Path, env: &Environment) -> Result<PathBuf, Record> {
    let refuse =
        |what: &str| Record::new(Failure::File, what).about(Printable::from_bytes(dir.as_os_str().as_encoded_bytes()));
    let path = env.current_dir().map_or_else(|| dir.to_owned(), |current| current.join(dir));
    let path = path.canonicalize().map_err(|_| refuse("no such directory"))?;
    if path.is_dir() { Ok(path) } else { Err(refuse("not a directory")) }
}

/// The allowed root: without a Git work tree it is the working directory, where that holds the kustomization.
fn root(request: &Request, dir: &Path, env: &Environment) -> Result<Root, JailError> {
    if let Some(root) = &request.root {
        return Root::with(root);
    }
    let found = Root::discover_from(env, dir)?;
    let is_alone = found.path() == dir && env.var_os("UNSOPS_ROOT").is_none() && !dir.join(".git").exists();
    match env.current_dir().and_then(|current| current.canonicalize().ok()) {
        Some(current) if is_alone && dir.starts_with(&current) && current.parent().is_some() => Root::with(&current),
        _ => Ok(found),
    }
}

/// Makes the private directory and its links.
fn prepare(plan: &Plan, this: &Path, request: &Request, env: &Environment) -> Result<PrivateDir, Record> {
    let private = PrivateDir::create(env)?;
    for link in &plan.links {
        private.link(this, &Path::new("plugins").join(link))?;
    }
    for link in &plan.foreign_links {
        if let Some(plugin) = own_plugin(link, env) {
            private.link(&plugin, &Path::new("plugins").join(link))?;
        }
    }
    for name in stand_in::NAMES {
        if name != "docker" || !request.allow_exec {
            private.link(this, &Path::new("bin").join(name))?;
        }
    }
    Ok(private)
}

/// The whole environment of kustomize and of what it starts.
fn variables(request: &Request, env: &Environment, private: &PrivateDir) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = vec![
        ("KUSTOMIZE_PLUGIN_HOME".into(), private.plugins().into()),
        ("TMPDIR".into(), private.tmp().into()),
        (BUILD_SOCKET.into(), private.socket().into()),
    ];
    let own = |name: &str| env.var_os(name).map(OsStr::to_owned);
    let path = own("PATH").unwrap_or_default();
    let home = own("HOME").filter(|_| !request.variables.is_empty()).unwrap_or_else(|| private.home().into());
    variables.push(("HOME".into(), home));
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let joined = std::env::join_paths(std::iter::once(private.bin()).chain(dirs));
    variables.push(("PATH".into(), joined.unwrap_or_else(|_| private.bin().into())));
    if request.allow_remote {
        let git = programs::find("git", env);
        variables.extend(git.map(|git| (OsString::from(BUILD_GIT), git.into())));
    } else if !request.flags.iter().any(|flag| flag == HELM) {
        // Downloads of single files go nowhere. This does not stop those from this machine; the plan has seen to it.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            variables.push((name.into(), "http://127.0.0.1:9".into()));
        }
    }
    // A repository may bring along a home for helm, with plugins.
    variables.push(("HELM_PLUGINS".into(), private.home().into()));
    variables.extend(request.variables.iter().filter_map(|name| Some((OsString::from(name), own(name)?))));
    variables
}

/// kustomize's output, or why there is none.
fn succeeded(ended: Ended, calls: &[Answered], paths: &[(&Path, &str)]) -> Result<SecretBytes, Record> {
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let record = Record::new(Failure::Generator, "kustomize failed");
    Err(match message::scrub(ended.stderr.expose(), calls, paths) {
        Some(message) => Record { details: vec![message.to_string()], ..record },
        None => record.hint("its message may hold values, and is not shown; `kustomize build` itself shows it"),
    })
}

/// A plugin in the operator's own plugin directory: the first directory that exists counts, as kustomize has it.
fn own_plugin(link: &Path, env: &Environment) -> Option<PathBuf> {
    let home = plugin_home::candidates(env).into_iter().map(|home| home.path).find(|home| home.is_dir())?;
    Some(home.join(link)).filter(|plugin| plugin.is_absolute() && plugin.is_file())
}

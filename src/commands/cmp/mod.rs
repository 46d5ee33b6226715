//! `unsops cmp`: what `argocd-cmp-server` runs (Argo CD v3, `cmpserver/plugin/plugin.go`).
//!
//! ```text
//!   environment --Request--> vetted environment, parameters
//!   working directory --App--> kustomization: commands::build   chart: helm, filtered   directory: its YAML files
//!   what failed --report--> short, without paths of this run
//! ```
//!
//! Whoever may commit to the repository writes all files and, by `.argocd-source.yaml`, the parameters and `plugin.env` of
//! the Application; only what the sidecar itself has in its environment is the operator's. So nothing of a request
//! chooses a key, a program, a root, or a variable. What stdout gives becomes the cluster's state, and what stderr gives
//! is shown to every user of the Application and kept in logs.

mod app;
mod chart;
mod directory;
mod discover;
mod in_place;
mod parameters;
mod report;
mod request;

use self::app::{App, AppKind};
use self::request::Request;
use super::confine::Confinement;
use super::decrypt::Decryptor;
use super::narrator::SILENT;
use super::{build, records};
use crate::cli::{CmpArgs, CmpCommand};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::keys::Keyring;
use crate::limits;
use crate::process::Output;
use crate::sandbox::Extent;
use crate::yaml::{Kind, Node, ScalarStyle};

/// Answers Argo CD.
///
/// # Errors
/// Whatever kept the manifests from being complete. `discover` never fails: Argo CD would go on without us.
pub fn run(args: &CmpArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let deadline = deadline.at_most(limits::DEADLINE_ARGOCD, env);
    match args.command {
        CmpCommand::Discover => Ok(discover::discover(env, deadline)),
        CmpCommand::Generate => generate(env, deadline).map_err(|error| report::shorten(error, env)),
        CmpCommand::Parameters => parameters::announce(env).map_err(|error| report::shorten(error, env)),
    }
}

fn generate(env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let request = Request::read(env)?;
    let env = request.environment();
    let root = Root::discover(env).map_err(records::of_file)?;
    let app = App::find(&root, env)?;
    request.check_parameters(app.kind())?;
    match app.kind() {
        AppKind::Kustomization => kustomization(&app, &request, &root, deadline),
        AppKind::Directory => directory(&app, &request, &root, deadline),
        AppKind::Chart => chart::render(&app, &request, &root, deadline),
    }
}

/// kustomize is the operator's, and so is whatever it may do: no program of the repository's, nothing fetched.
fn kustomization(app: &App<'_>, request: &Request, root: &Root, deadline: Deadline) -> Result<Output, Error> {
    let build = build::Request {
        dir: app.dir().to_owned(),
        kustomize: None,
        root: Some(root.path().to_owned()),
        allow_exec: false,
        allow_remote: request.may_fetch(),
        keys: request.keys(deadline),
        variables: Vec::new(),
        flags: Vec::new(),
    };
    build::remove_abandoned(request.environment());
    build::build(&build, request.environment(), deadline, &SILENT)
}

fn directory(app: &App<'_>, request: &Request, root: &Root, deadline: Deadline) -> Result<Output, Error> {
    let env = request.environment();
    let recurse = request.recurse()?;
    let keys = request.keys(deadline);
    let keyring = Keyring::from_environment(env, keys).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let decryptor = Decryptor::new(root, &keyring, env)?;
    let mut confinement = Confinement::new(env, &keyring, Some(decryptor.authority()), Extent::Process)?;
    confinement.keep([root.path()]);
    directory::render(app, recurse, root, &decryptor, &mut confinement).map(Output::new)
}

/// Whether a document has nothing in it.
fn is_null(root: &Node) -> bool {
    matches!(&root.kind, Kind::Scalar(text, ScalarStyle::Plain) if matches!(text.as_str(), "" | "~" | "null"))
}

//! `unsops doctor`: why a generator would not run, or a key would not open, where this is run.
//!
//! ```text
//!   host (kustomize, plugins)   keys   policy, root   process, sandbox, Argo CD   network on request -> Report -> text | json
//! ```
//!
//! It reads what the other commands read and changes nothing. The one program that it starts is kustomize, for its
//! version and with nothing in its environment; key programs are not run.

mod host;
mod keys;
mod network;
mod plugins;
mod report;
mod sandbox;
mod surroundings;

use std::path::{Path, PathBuf};

use self::report::Report;
use super::tree::Tree;
use crate::cli::{DoctorArgs, DoctorOutput};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::kustomization::{self, Walk};
use crate::process::{self, Output};
use crate::secret::Secret;
use crate::text::Printable;

/// Looks at everything and reports.
///
/// # Errors
/// The directory does not exist. Whatever else is wrong is in the report.
pub fn doctor(args: &DoctorArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    let dir = directory(&args.dir, env)?;
    let mut report = Report::default();
    let root = surroundings::root(&dir, env, &mut report);
    let walk = root.as_ref().and_then(|root| walk(root, &dir));
    host::look(env, deadline, &mut report);
    plugins::look(walk.as_ref(), root.as_ref(), args.kustomize_flags.as_deref(), env, &mut report);
    keys::look(env, deadline, &mut report);
    keys::policy(env, &mut report);
    surroundings::process(env, &mut report);
    sandbox::look(root.as_ref(), env, deadline, &mut report);
    surroundings::writable(env, &mut report);
    surroundings::argocd(env, &mut report);
    if args.network {
        network::look(env, deadline, &mut report);
    }
    let shown = match args.output {
        DoctorOutput::Json => report.json()?,
        DoctorOutput::Text => report.text(args.color.color.paint(env, process::stdout_is_terminal())),
    };
    let bytes = Secret::new(shown.into_bytes());
    Ok(if report.findings() > 0 { Output::findings(bytes) } else { Output::new(bytes) })
}

fn directory(dir: &Path, env: &Environment) -> Result<PathBuf, Record> {
    let path = env.current_dir().map_or_else(|| dir.to_owned(), |current| current.join(dir));
    let refuse = |why: &str| Record::new(Failure::Usage, why).about(printable(dir));
    let path = path.canonicalize().map_err(|_| refuse("no such directory"))?;
    if path.is_dir() { Ok(path) } else { Err(refuse("not a directory")) }
}

/// The kustomization of a directory and everything beneath it; none where the directory has none.
fn walk(root: &Root, dir: &Path) -> Option<Walk> {
    let relative = dir.strip_prefix(root.path()).ok()?.to_str()?;
    let walk = kustomization::walk(&Tree::new(root), [relative]);
    (!walk.kustomizations.is_empty()).then_some(walk)
}

fn printable(path: &Path) -> Printable {
    Printable::new(&path.to_string_lossy())
}

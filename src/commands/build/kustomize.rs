//! Where kustomize is found.

use std::path::{Path, PathBuf};

use crate::commands::child::{self, Start};
use crate::commands::programs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Failure, Record};

/// How to get a version that works.
pub const INSTALL: &str = "install kustomize 5.8.1: go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1, or \
                                  https://kubectl.docs.kubernetes.io/installation/kustomize";

/// The program that is named, or `kustomize` on PATH. A named one without a slash is looked for there, too.
///
/// # Errors
/// There is none that can be executed.
pub(super) fn find(named: Option<&Path>, env: &Environment) -> Result<PathBuf, Record> {
    let name = named.unwrap_or(Path::new("kustomize"));
    if name.components().count() > 1 || name.has_root() {
        let path = env.current_dir().map_or_else(|| name.to_owned(), |dir| dir.join(name));
        return Some(path)
            .filter(|path| programs::is_program(path))
            .ok_or_else(|| missing("is not an executable file"));
    }
    programs::find(name, env).ok_or_else(|| missing("is not on PATH"))
}

fn missing(what: &str) -> Record {
    Record::new(Failure::Usage, format!("kustomize {what}")).hint(INSTALL).hint("or name its program with --kustomize")
}

/// Refuses a kustomize that is too old: 5.0 is the first that is tested. A version that does not say its number is
/// taken as it is.
///
/// # Errors
/// It is older, or does not run.
pub(super) fn require_version(start: &Start<'_>, deadline: Deadline) -> Result<(), Record> {
    let ended = child::run(&Start { args: &["version".into()], ..*start }, deadline)?;
    let said = String::from_utf8_lossy(ended.stdout.expose()).into_owned();
    // `v5.8.1`, or in older ones `{kustomize/v4.5.7  2022-08-02T16:35:54Z  }`, `{Version:kustomize/v3.8.7 …`.
    let major = said.split('v').filter_map(|rest| rest.split_once('.')?.0.parse::<u32>().ok()).next();
    match major {
        Some(major) if major < 5 => {
            Err(Record::new(Failure::Usage, format!("kustomize {major} is too old: 5.0 is the first that works"))
                .hint(INSTALL))
        }
        _ => Ok(()),
    }
}

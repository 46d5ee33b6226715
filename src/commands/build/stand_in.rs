//! What this executable does where kustomize, within a build, starts it in place of another program: it is the first on
//! that PATH under these names.
//!
//! | name | where the operator does not allow it | where he does |
//! | --- | --- | --- |
//! | `docker` | refused | not there: kustomize starts the real one |
//! | `git` | refused | runs the real one; a fresh clone is shown to the build |

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use super::relay;
use crate::cli::{BUILD_GIT, BUILD_SOCKET};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};

/// Names under which kustomize finds this executable.
pub(super) const NAMES: [&str; 2] = ["docker", "git"];

/// Stands in for a program, if it was called by its name within a build; gives the exit code.
///
/// # Errors
/// It may not run, or the build refuses the clone.
pub fn stand_in(
    program: Option<&OsStr>,
    args: &[OsString],
    env: &Environment,
    deadline: Deadline,
) -> Result<Option<u8>, Error> {
    let name = program.and_then(|program| Path::new(program).file_name()?.to_str());
    let (Some(name), Some(socket)) = (name, env.var_os(BUILD_SOCKET)) else { return Ok(None) };
    if !NAMES.contains(&name) {
        return Ok(None);
    }
    let Some(git) = env.var_os(BUILD_GIT).filter(|_| name == "git") else {
        return Err(Record::new(Failure::Generator, format!("{name} may not run in this build")).into());
    };
    let code = run(Path::new(git), args, env)?;
    if code != 0 || args.first().is_none_or(|verb| verb != "checkout") {
        return Ok(Some(code));
    }
    let lost = || Record::new(Failure::Internal, "the clone's directory is gone");
    let dir = env.current_dir().ok_or_else(lost)?;
    if dir.join(".gitmodules").is_file() {
        // Before it is looked at; kustomize's own update then finds nothing to do. Where it fails, kustomize says so.
        let update = ["submodule", "update", "--init", "--recursive"].map(OsString::from);
        _ = run(Path::new(git), &update, env);
    }
    relay::announce_clone(Path::new(socket), dir, deadline)?;
    Ok(Some(0))
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts git, for kustomize")]
fn run(git: &Path, args: &[OsString], env: &Environment) -> Result<u8, Record> {
    // git finds its own parts, and not this executable again.
    let own = Path::new(env.var_os(BUILD_SOCKET).unwrap_or_default()).parent().map(|dir| dir.join("bin"));
    let path = env.var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(path).filter(|dir| Some(dir) != own.as_ref());
    let path = std::env::join_paths(dirs).unwrap_or_default();
    let inherited = env.variables().filter(|(name, _)| *name != BUILD_SOCKET && *name != BUILD_GIT && *name != "PATH");
    let status = Command::new(git)
        .args(args)
        .env_clear()
        .envs(inherited)
        .env("PATH", path)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .status()
        .map_err(|_| Record::new(Failure::Usage, "git cannot be started"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Failure::Internal.code()))
}

//! What the process gives up before it takes apart what others wrote.
//!
//! ```text
//!   Profile: what the run still needs
//!      |-- files.rs    Landlock: reads beneath some places, writes and runs nothing
//!      |-- calls.rs    seccomp: the system calls that remain     program.rs: the filter itself
//!      `-- here        no_new_privs, limits
//! ```
//!
//! All of it is best effort: what a kernel does not have or a container runtime refuses is left out, and the run goes on.
//! Nothing here can be undone, and children inherit it; so a run that may have to start a program of the operator's
//! gives up nothing. What a run needs is decided in `commands`, which knows the keys.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod program;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit};

use crate::environment::Environment;
use crate::limits;

/// The operator's switch.
pub const VARIABLE: &str = "UNSOPS_SANDBOX";

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// What the run does not need is given up.
    #[default]
    On,
    /// Nothing is given up.
    Off,
    /// As on, and key services and key programs are not used at all, whatever files name; and kustomize is fenced in
    /// ([`fence`]).
    Strict,
}

impl Switch {
    /// Reads [`VARIABLE`]; unset and empty are on.
    ///
    /// # Errors
    /// Another word: a misspelt `strict` must not pass for less.
    pub fn from_environment(env: &Environment) -> Result<Self, &'static str> {
        match env.var_os(VARIABLE).map(|value| value.as_encoded_bytes()) {
            None | Some(b"" | b"1" | b"on") => Ok(Self::On),
            Some(b"0" | b"off") => Ok(Self::Off),
            Some(b"strict") => Ok(Self::Strict),
            Some(_) => Err("UNSOPS_SANDBOX is neither on, off nor strict"),
        }
    }
}

/// What a run still needs. It reads what is open already, and starts threads; everything else is given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Files, and directories with everything beneath, that may be opened for reading; `None`: everything may.
    pub readable: Option<Vec<PathBuf>>,
    /// Connections to key services may be made.
    pub connects: bool,
    /// Connections may be taken from a socket that listens already.
    pub accepts: bool,
}

/// Whom a profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The calling thread, and those that it starts.
    Thread,
    /// The process, which has no other thread yet that reads anything: limits, too.
    Process,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Landlock.
    pub files: Layer,
    /// seccomp.
    pub calls: Layer,
    /// No program can give more rights.
    pub no_new_privileges: bool,
}

/// One of the kernel's mechanisms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// It is in force; Landlock with the version of its interface.
    InForce(Option<u32>),
    /// It is not, and why.
    Unavailable(&'static str),
}

/// Gives up what the profile does not keep. It stays so to the end of the process or thread; once more can only be stricter.
pub fn enter(profile: &Profile, extent: Extent) -> Outcome {
    if extent == Extent::Process {
        limit();
    }
    enforce(profile, None)
}

/// Gives up more, on a thread that has entered `before` with this outcome.
pub fn narrow(before: &Profile, outcome: &Outcome, profile: &Profile) -> Outcome {
    let before = Some(before).filter(|_| outcome.calls == Layer::InForce(None));
    enforce(profile, before)
}

/// Keeps the calling thread, and programs that it starts, from writing elsewhere than beneath these places, and from TCP.
#[cfg(target_os = "linux")]
pub fn fence(writable: &[PathBuf]) -> Layer {
    files::fence(writable)
}

/// As on Linux, where there is something to do it with.
#[cfg(not(target_os = "linux"))]
pub fn fence(_: &[PathBuf]) -> Layer {
    Layer::Unavailable("this is not Linux")
}

#[cfg(target_os = "linux")]
fn enforce(profile: &Profile, before: Option<&Profile>) -> Outcome {
    // Both rule new privileges out first: the kernel asks for that.
    let (files, no_new_privileges) = files::restrict(profile);
    let calls = calls::restrict(profile, before);
    let no_new_privileges = no_new_privileges || calls == Layer::InForce(None);
    Outcome { files, calls, no_new_privileges }
}

#[cfg(not(target_os = "linux"))]
fn enforce(_: &Profile, _: Option<&Profile>) -> Outcome {
    const NO_LINUX: &str = "this is not Linux";
    Outcome { files: Layer::Unavailable(NO_LINUX), calls: Layer::Unavailable(NO_LINUX), no_new_privileges: false }
}

/// Limits that hold where the kernel has none of the mechanisms. Not the address space: every thread reserves addresses
/// that it never uses, so that a limit low enough to stop anything would stop a run with many files.
fn limit() {
    let lower = |resource: Resource, most: u64| {
        let now = rustix::process::getrlimit(resource);
        if [now.current, now.maximum].into_iter().any(|limit| limit.is_none_or(|limit| limit > most)) {
            let least = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
            _ = rustix::process::setrlimit(
                resource,
                Rlimit { current: least(now.current), maximum: least(now.maximum) },
            );
        }
    };
    lower(Resource::Nofile, limits::DESCRIPTORS);
    // The answer and the messages may go into files that are open already.
    let is_file = |stream| {
        rustix::fs::fstat(stream).map_or(true, |stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    };
    if !is_file(rustix::stdio::stdout()) && !is_file(rustix::stdio::stderr()) {
        lower(Resource::Fsize, 0);
    }
}

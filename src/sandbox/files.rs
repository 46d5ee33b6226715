//! Landlock: which files may be opened from now on. What is open stays open.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Layer, Profile};

/// The newest rights that are known here: what a kernel does not know is left out, what it knows beyond stays as it was.
const NEWEST: ABI = ABI::V6;

/// Forbids the calling thread to write, to run programs, and to read elsewhere. Also says whether new privileges are ruled
/// out, which is done even where the rest is not possible.
pub(super) fn restrict(profile: &Profile) -> (Layer, bool) {
    let everything = [Path::new("/").to_owned()];
    let readable = profile.readable.as_deref().unwrap_or(&everything);
    match build(profile).map(|mut ruleset| {
        for path in readable {
            allow(&mut ruleset, path)?;
        }
        ruleset.restrict_self().map_err(|_| "the kernel refused the rules")
    }) {
        Ok(Ok(status)) => (layer(&status), status.no_new_privs),
        Ok(Err(why)) => (Layer::Unavailable(why), false),
        Err(_) => (Layer::Unavailable("the kernel refused a set of rules"), false),
    }
}

/// Rules that allow nothing yet.
fn build(profile: &Profile) -> Result<RulesetCreated, RulesetError> {
    let ports: BitFlags<AccessNet> =
        if profile.connects { AccessNet::BindTcp.into() } else { AccessNet::from_all(NEWEST) };
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(ports)?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

/// Lets a file, or what is beneath a directory, be read.
///
/// # Errors
/// It is there, and the rule cannot be made: without it the run would fail, so there are to be no rules at all.
fn allow(ruleset: &mut RulesetCreated, path: &Path) -> Result<(), &'static str> {
    let place = match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(place) => place,
        // What is not there, or may not be reached, is not read in any case.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP | Errno::NAMETOOLONG) => return Ok(()),
        Err(_) => return Err("out of descriptors or memory"),
    };
    let kind = rustix::fs::fstat(&place).map(|stat| FileType::from_raw_mode(stat.st_mode));
    let rights = match kind {
        Ok(FileType::Directory) => AccessFs::ReadFile | AccessFs::ReadDir,
        _ => AccessFs::ReadFile.into(),
    };
    match ruleset.add_rule(PathBeneath::new(&place, rights)) {
        Ok(_) => Ok(()),
        // A pipe (`<(command)`) has no place in the file system, and no rule forbids to read it.
        Err(_) if kind.is_ok_and(|kind| !matches!(kind, FileType::Directory | FileType::RegularFile)) => Ok(()),
        Err(_) => Err("the kernel refused a rule"),
    }
}

/// Forbids the calling thread, and programs that it starts, to write elsewhere than beneath these places, and TCP. They may
/// read and run what they like.
pub(super) fn fence(writable: &[PathBuf]) -> Layer {
    let rules = || -> Result<RestrictionStatus, RulesetError> {
        let reading = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
        let quiet = AccessFs::ReadFile | AccessFs::WriteFile;
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(["/"], reading))?
            .add_rules(path_beneath_rules(["/dev/null"], quiet))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(NEWEST)))?
            .restrict_self()
    };
    rules().map_or(Layer::Unavailable("the kernel refused the rules"), |status| layer(&status))
}

fn layer(status: &RestrictionStatus) -> Layer {
    match (&status.ruleset, &status.landlock) {
        (_, LandlockStatus::NotEnabled) => {
            Layer::Unavailable("the kernel has Landlock, but it is not switched on (lsm=)")
        }
        (_, LandlockStatus::NotImplemented) => {
            Layer::Unavailable("the kernel has no Landlock, or the container hides it")
        }
        (RulesetStatus::NotEnforced, _) => Layer::Unavailable("the kernel enforces none of the rules"),
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            let version = kernel_abi.unwrap_or(*effective_abi as i32);
            Layer::InForce(u32::try_from(version).ok())
        }
    }
}

//! What is given up here before something is taken apart: tried on a thread, and said.

use std::thread;

use super::report::Report;
use crate::commands::confine::Confinement;
use crate::commands::policy;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::jail::Root;
use crate::keys::{KeyPolicy, Keyring};
use crate::sandbox::{self, Extent, Layer, Outcome, Switch};
use crate::sops::KeyKinds;

const ABOUT: &str = "sandbox";

/// Enters the sandbox of a plugin call on a thread of its own.
pub fn look(root: Option<&Root>, env: &Environment, deadline: Deadline, report: &mut Report) {
    match Switch::from_environment(env) {
        Err(what) => return report.error(ABOUT, what, "nothing is decrypted until it is one of these words, or unset"),
        Ok(Switch::Off) => {
            return report.warning(ABOUT, "switched off (UNSOPS_SANDBOX)", "unset it, and report what fails then");
        }
        Ok(Switch::On | Switch::Strict) => {}
    }
    let switch = Switch::from_environment(env);
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    // What is wrong with them is said elsewhere.
    let Ok(keyring) = Keyring::from_environment(env, policy) else { return };
    let authority = policy::in_force(env);
    let Ok(mut confinement) = Confinement::new(env, &keyring, authority.as_ref().ok(), Extent::Thread) else { return };
    confinement.keep(root.map(Root::path));
    let local = KeyKinds { age: true, pgp: true, ..KeyKinds::default() };
    if let Some(program) = confinement.needs(local).programs {
        report.note(ABOUT, format!("nothing is given up where a key program may have to run: {program}"));
    }
    let age = KeyKinds { age: true, ..KeyKinds::default() };
    let profile = confinement.profile(age).unwrap_or_default();
    let tried = thread::scope(|scope| scope.spawn(|| sandbox::enter(&profile, Extent::Thread)).join());
    let Ok(Outcome { files, calls, no_new_privileges }) = tried else { return };
    match files {
        Layer::InForce(version) => {
            let version = version.map(|version| format!(" (Landlock ABI {version})")).unwrap_or_default();
            report.ok(
                ABOUT,
                format!(
                    "files: what others wrote is read beneath the root and key locations, nothing is written then{version}"
                ),
            );
        }
        Layer::Unavailable(why) => report.note(ABOUT, format!("files: Landlock is not available: {why}")),
    }
    match calls {
        Layer::InForce(_) => report.ok(ABOUT, "system calls: no programs, no sockets for local keys (seccomp)"),
        Layer::Unavailable(why) => report.note(ABOUT, format!("system calls: seccomp is not available: {why}")),
    }
    if switch == Ok(Switch::Strict) {
        report.ok(ABOUT, "kustomize writes in its private directory only, and has no TCP (UNSOPS_SANDBOX=strict)");
    }
    if no_new_privileges {
        report.ok(ABOUT, "no program gives new privileges (no_new_privs)");
    } else {
        report.note(ABOUT, "no_new_privs is not available");
    }
    let all = confinement.needs(KeyKinds::ALL);
    if all.network {
        report.note(
            ABOUT,
            "files that name a key service get sockets; a policy without key services, or UNSOPS_SANDBOX=strict, leaves none",
        );
    }
}

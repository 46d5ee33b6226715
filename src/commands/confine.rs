//! How a run enters the sandbox: what it needs is asked of the keys, and everything else is given up.
//!
//! ```text
//!   arguments, environment, policy --> needs of any key --> enter --> manifest is parsed
//!                     bytes of its sources --> needs of the keys that they name --> enter --> they are parsed
//! ```
//!
//! A run that may have to start a program gives up nothing, since the program would inherit it. What takes something apart
//! beside that, and what a command does that writes or runs programs afterwards, is done on a thread of its own ([`aside`]).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::keys::{Keyring, Needs};
use crate::limits;
use crate::policy::Authority;
use crate::sandbox::{self, Extent, Outcome, Profile, Switch};
use crate::secret;
use crate::sops::KeyKinds;

/// How far a run has confined itself.
pub struct Confinement<'a> {
    is_off: bool,
    keyring: &'a Keyring<'a>,
    /// Kinds that the policy lets be used.
    allowed: KeyKinds,
    readable: Vec<PathBuf>,
    accepts: bool,
    extent: Extent,
    /// The profile in force, and what came of it.
    entered: Option<(Profile, Outcome)>,
}

impl<'a> Confinement<'a> {
    /// Nothing is given up yet. Without an authority the run will fail, and needs no key.
    ///
    /// # Errors
    /// `UNSOPS_SANDBOX` is misspelt.
    pub fn new(
        env: &Environment,
        keyring: &'a Keyring<'a>,
        authority: Option<&Authority>,
        extent: Extent,
    ) -> Result<Self, Record> {
        let allowed = authority.map(Authority::key_kinds).unwrap_or_default();
        Self::of_kinds(env, keyring, allowed, extent)
    }

    /// For a command that shows nothing of what it opens, and so is under no policy.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn without_policy(env: &Environment, keyring: &'a Keyring<'a>, extent: Extent) -> Result<Self, Record> {
        Self::of_kinds(env, keyring, KeyKinds::ALL, extent)
    }

    fn of_kinds(
        env: &Environment,
        keyring: &'a Keyring<'a>,
        allowed: KeyKinds,
        extent: Extent,
    ) -> Result<Self, Record> {
        let is_off = switch(env)? == Switch::Off;
        Ok(Self { is_off, keyring, allowed, readable: Vec::new(), accepts: false, extent, entered: None })
    }

    /// Keeps places readable beside those of the keys.
    pub fn keep<'p>(&mut self, places: impl IntoIterator<Item = &'p Path>) {
        self.readable.extend(places.into_iter().map(Path::to_owned));
    }

    /// Keeps it possible to take connections.
    pub fn accept(&mut self) {
        self.accepts = true;
    }

    /// What keys of these kinds need under the policy.
    pub fn needs(&self, kinds: KeyKinds) -> Needs {
        self.keyring.needs(kinds.only(self.allowed))
    }

    /// Whether there is nothing left to give up.
    pub fn is_final(&self) -> bool {
        self.is_off || self.entered.as_ref().is_some_and(|(profile, _)| !profile.connects)
    }

    /// Whether nothing was given up so far, because a program may have to be started.
    pub fn is_held_back(&self) -> bool {
        !self.is_off && self.entered.is_none()
    }

    /// Whether opening the keys for which it was entered may wait for a key service or a program.
    pub fn waits(&self) -> bool {
        self.entered.as_ref().is_none_or(|(profile, _)| profile.connects)
    }

    /// Gives up what keys of these kinds do not need. A second time it can only be more.
    pub fn enter(&mut self, kinds: KeyKinds) {
        if self.is_final() {
            return;
        }
        let Some(profile) = self.profile(kinds) else { return };
        let outcome = match &self.entered {
            None => sandbox::enter(&profile, self.extent),
            Some((before, _)) if *before == profile => return,
            Some((before, outcome)) => sandbox::narrow(before, outcome, &profile),
        };
        self.entered = Some((profile, outcome));
    }

    /// Does something on a thread that gives up what keys of these kinds do not need; here, where a program may have to be
    /// started, or there can be no further thread.
    pub fn aside<T: Send>(&self, kinds: KeyKinds, act: impl FnOnce() -> T + Send) -> T {
        match self.profile(kinds) {
            Some(profile) if !self.is_off => on_thread(&|| _ = sandbox::enter(&profile, Extent::Thread), act),
            _ => act(),
        }
    }

    /// What is kept for keys of these kinds; `None` where a program may have to be started.
    pub fn profile(&self, kinds: KeyKinds) -> Option<Profile> {
        let needs = self.needs(kinds);
        if needs.programs.is_some() {
            return None;
        }
        // Credentials of clouds name further files, and names are resolved with the help of some more.
        let own = || [self.readable.clone(), self.keyring.files(kinds.only(self.allowed))].concat();
        let readable = if needs.network { None } else { Some(own()) };
        Some(Profile { readable, connects: needs.network, accepts: self.accepts })
    }
}

/// What tells how many processors this process may use.
const PROCESSORS: [&str; 2] = ["/proc/self/cgroup", "/sys/fs/cgroup"];

/// Takes something apart that needs no key, on a thread that keeps nothing but to read these places. Where there can be no
/// further thread, it is done here.
pub fn aside<T: Send, P: AsRef<Path>>(env: &Environment, readable: &[P], act: impl FnOnce() -> T + Send) -> T {
    if Switch::from_environment(env) == Ok(Switch::Off) {
        return act();
    }
    let profile = reading(readable);
    on_thread(&|| _ = sandbox::enter(&profile, Extent::Thread), act)
}

/// Gives up everything but to read these places, for the whole process.
///
/// # Errors
/// `UNSOPS_SANDBOX` is misspelt.
pub fn whole<P: AsRef<Path>>(env: &Environment, readable: &[P]) -> Result<(), Record> {
    if switch(env)? != Switch::Off {
        _ = sandbox::enter(&reading(readable), Extent::Process);
    }
    Ok(())
}

/// Runs a program of the operator's that may write beneath these places only, and has no TCP, if the operator asks for that
/// (`UNSOPS_SANDBOX=strict`): the program may be a wrapper that writes elsewhere, or want privileges. `None`: it may do more
/// in any case.
pub fn fenced<T: Send>(env: &Environment, writable: Option<&[&Path]>, run: impl FnOnce() -> T + Send) -> T {
    match writable {
        Some(writable) if Switch::from_environment(env) == Ok(Switch::Strict) => {
            let writable: Vec<PathBuf> = writable.iter().map(|place| place.to_path_buf()).collect();
            on_thread(&|| _ = sandbox::fence(&writable), run)
        }
        _ => run(),
    }
}

fn reading<P: AsRef<Path>>(places: &[P]) -> Profile {
    let places = places.iter().map(AsRef::as_ref).chain(PROCESSORS.map(Path::new));
    Profile { readable: Some(places.map(Path::to_owned).collect()), ..Profile::default() }
}

fn on_thread<T: Send>(give_up: &(dyn Fn() + Sync), act: impl FnOnce() -> T + Send) -> T {
    // What a thread that does not start was to do is not lost with it.
    let act = Mutex::new(Some(act));
    let take = || act.lock().unwrap_or_else(PoisonError::into_inner).take();
    let done = thread::scope(|scope| {
        let confined = || {
            give_up();
            let done = take().map(|act| act());
            secret::wipe_stack();
            done
        };
        let thread = thread::Builder::new().stack_size(limits::THREAD_STACK).spawn_scoped(scope, confined);
        thread.ok().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    done.flatten().unwrap_or_else(|| take().expect("no thread has taken it")())
}

fn switch(env: &Environment) -> Result<Switch, Record> {
    Switch::from_environment(env).map_err(|what| {
        Record::new(Failure::Usage, what)
            .hint("unset it, or set it to one of these words in the operator's environment")
    })
}

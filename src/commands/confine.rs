//! How a run enters the sandbox: what it needs is asked of the keys, and everything else is given up.
//!
//! ```text
//!   arguments, environment, policy --> needs of any key --> enter --> manifest is parsed
//!                     bytes of its sources --> needs of the keys that they name --> enter --> they are parsed
//! ```
//!
//! A run that may have to start a program gives up nothing, since the program would inherit it.

use std::path::{Path, PathBuf};
use std::thread;

use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::keys::{Keyring, Needs};
use crate::policy::Authority;
use crate::sandbox::{self, Extent, Profile, Switch};
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
    /// The profile in force.
    entered: Option<Profile>,
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
        let switch = Switch::from_environment(env).map_err(|what| {
            Record::new(Failure::Usage, what)
                .hint("unset it, or set it to one of these words in the operator's environment")
        })?;
        let allowed = authority.map(Authority::key_kinds).unwrap_or_default();
        Ok(Self {
            is_off: switch == Switch::Off,
            keyring,
            allowed,
            readable: Vec::new(),
            accepts: false,
            extent,
            entered: None,
        })
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
        self.is_off || self.entered.as_ref().is_some_and(|profile| !profile.connects)
    }

    /// Gives up what keys of these kinds do not need. A second time it can only be more.
    pub fn enter(&mut self, kinds: KeyKinds) {
        if self.is_final() {
            return;
        }
        let Some(profile) = self.profile(kinds) else { return };
        if self.entered.as_ref() != Some(&profile) {
            // Limits are set once.
            let extent = if self.entered.is_some() { Extent::Thread } else { self.extent };
            _ = sandbox::enter(&profile, extent);
            self.entered = Some(profile);
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

/// Takes something apart that needs no key, on a thread that keeps nothing but to read these places. Where there can be no
/// further thread, it is done here.
pub fn aside<T: Send>(env: &Environment, readable: &[&Path], act: impl Fn() -> T + Sync) -> T {
    if Switch::from_environment(env) == Ok(Switch::Off) {
        return act();
    }
    let readable = readable.iter().map(|place| place.to_path_buf()).collect();
    let profile = Profile { readable: Some(readable), ..Profile::default() };
    let done = thread::scope(|scope| {
        let confined = || {
            _ = sandbox::enter(&profile, Extent::Thread);
            act()
        };
        thread::Builder::new().spawn_scoped(scope, confined).ok().and_then(|thread| thread.join().ok())
    });
    done.unwrap_or_else(act)
}

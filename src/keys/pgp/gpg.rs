//! The last resort: the operator's own gpg, which reaches what no file holds, keys of an agent and of smartcards.
//!
//! It is started only where key programs are allowed, nothing in this process opened the message, and its public
//! keyring has a key that the message names. Its agent may ask for a passphrase or a PIN in a window of its own; a
//! terminal is lent to it only where someone sits at one.
//!
//! Source: getsops/sops v3.13, `pgp/keysource.go`, `decryptWithGnuPG`, for `SOPS_GPG_EXEC`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use pgp::packet::PublicKeyEncryptedSessionKey;

use super::gnupg_home::{Public, public_keys};
use crate::environment::Environment;
use crate::keys::exec::{self, Program, ProgramError, Start};
use crate::keys::order::lock;
use crate::keys::{KeyPolicy, local};
use crate::limits;
use crate::secret::SecretBytes;
use crate::sops::data_key::IdentityRule;

/// How to run gpg, and what is known of its home.
pub(super) struct Gpg<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    home: Option<PathBuf>,
    public_keys: OnceLock<PublicKeys>,
    /// Runs that opened nothing. Held while gpg runs: an agent serves one at a time, and many at once exhaust its secure
    /// memory.
    failures: Mutex<usize>,
}

/// The public keyring of a home.
enum PublicKeys {
    Keys(Vec<Public>),
    /// It is behind a program (keyboxd), or the operator's gpg is a wrapper with a home elsewhere.
    Unknown,
}

/// What came of asking gpg.
pub(super) enum GpgAnswer {
    /// What the message holds.
    Opened(SecretBytes),
    /// It was run, or would have been, and why there is nothing.
    Failed(ProgramError),
    /// It has no key for this message, or is not installed.
    NotAsked,
}

impl<'env> Gpg<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, home: Option<&Path>) -> Self {
        let home = home.map(Path::to_owned);
        Self { environment, policy, home, public_keys: OnceLock::new(), failures: Mutex::default() }
    }

    /// What makes it possible that gpg is started: it is there, and has a public keyring.
    pub(super) fn program(&self) -> Option<&'static str> {
        if let Some(own) = self.environment.non_empty("SOPS_GPG_EXEC") {
            return exec::find(own, self.environment).map(|_| "SOPS_GPG_EXEC");
        }
        let home = self.home.as_ref()?;
        let keyrings = ["pubring.kbx", "pubring.gpg", "public-keys.d/pubring.db"];
        let has_keyring = keyrings.iter().any(|keyring| home.join(keyring).exists());
        let gpg = if has_keyring { exec::find("gpg", self.environment) } else { None };
        gpg.map(|_| "gpg on PATH, and a public keyring")
    }

    /// Opens a message that nothing else could.
    pub(super) fn open(
        &self,
        message: &str,
        recipients: &[&PublicKeyEncryptedSessionKey],
        rule: Option<&dyn IdentityRule>,
    ) -> GpgAnswer {
        if !self.may_be_asked(recipients, rule) {
            return GpgAnswer::NotAsked;
        }
        if !self.policy.allow_exec {
            return GpgAnswer::Failed(ProgramError::Forbidden);
        }
        let own = self.environment.non_empty("SOPS_GPG_EXEC");
        let program = match (exec::find(own.unwrap_or("gpg"), self.environment), own) {
            (Some(program), _) => program,
            (None, None) => return GpgAnswer::NotAsked,
            (None, Some(_)) => return GpgAnswer::Failed(ProgramError::NotFound),
        };
        let mut failures = lock(&self.failures);
        if *failures >= limits::GPG_FAILURES {
            return GpgAnswer::Failed(ProgramError::TooManyRuns);
        }
        let arguments = ["--batch", "--no-tty", "--quiet", "--decrypt"].map(str::to_owned);
        let start = Start {
            program: &program,
            arguments: &arguments,
            // gpg tells its agent which terminal to ask at; in a plugin call that is none.
            variable: (!self.policy.terminal).then_some(("GPG_TTY", "")),
            directory: None,
            with_stdin: true,
        };
        let answer = Program::start(&start, self.environment, &self.policy)
            .and_then(|program| program.answer_to(message.as_bytes()));
        match answer {
            Ok(content) => GpgAnswer::Opened(content),
            Err(error) => {
                *failures = failures.saturating_add(1);
                GpgAnswer::Failed(error)
            }
        }
    }

    /// Whether the keyring has a key that the message names; a hidden recipient may be anyone.
    ///
    /// gpg uses whichever key it likes. So under a rule every recipient must be known, and every key that it may be must be
    /// allowed.
    fn may_be_asked(&self, recipients: &[&PublicKeyEncryptedSessionKey], rule: Option<&dyn IdentityRule>) -> bool {
        let keys = match self.public_keys.get_or_init(|| self.read_public_keys()) {
            PublicKeys::Unknown => return rule.is_none() && !recipients.is_empty(),
            PublicKeys::Keys(keys) => keys,
        };
        let Some(rule) = rule else {
            return recipients.iter().any(|recipient| keys.iter().any(|key| key.is_named_by(recipient)));
        };
        let is_allowed = |key: &Public| rule.allows_pgp(&key.fingerprint(), &key.primary());
        let is_known = |recipient: &&PublicKeyEncryptedSessionKey| {
            let is_hidden = recipient.id().map_or(true, |id| id.is_wildcard());
            let mut named = keys.iter().filter(|key| key.is_named_by(recipient)).peekable();
            !is_hidden && named.peek().is_some() && named.all(is_allowed)
        };
        !recipients.is_empty() && recipients.iter().all(is_known)
    }

    fn read_public_keys(&self) -> PublicKeys {
        if self.environment.non_empty("SOPS_GPG_EXEC").is_some() {
            return PublicKeys::Unknown;
        }
        let Some(home) = &self.home else { return PublicKeys::Keys(Vec::new()) };
        if home.join("public-keys.d").join("pubring.db").exists() {
            return PublicKeys::Unknown;
        }
        let deadline = Instant::now() + limits::KEY_PROGRAM_END;
        let keyring = local::read(&home.join("pubring.kbx"), deadline)
            .or_else(|_| local::read(&home.join("pubring.gpg"), deadline));
        PublicKeys::Keys(keyring.map(|keyring| public_keys(keyring.expose())).unwrap_or_default())
    }
}

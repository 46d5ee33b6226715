//! PGP keys in process: exported secret keys and GnuPG homes. The gpg program is the last resort, for agents and
//! smartcards.
//!
//! Any secret key that opens the message is good, as in sops (`pgp/keysource.go`): the fingerprint in the file is for
//! messages. Expired and revoked keys still decrypt. Of the packets, SEIPD v1, GnuPG's OCB (packet 20) and RFC 9580's
//! SEIPD v2 are read; unprotected (malleable) ones are refused.

pub(super) mod claim;
mod gnupg_home;
mod gpg;
mod rsa_packet;
mod rsa_session_key;
#[cfg(test)]
mod rsa_tests;
mod secret_keys;
mod sexp;
#[cfg(test)]
mod tests;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pgp::composed::{Esk, Message, PlainSessionKey};
use pgp::packet::PublicKeyEncryptedSessionKey;
use pgp::types::{EskType, Password, PkeskVersion};

use self::gnupg_home::GnupgHome;
use self::gpg::{Gpg, GpgAnswer};
use self::secret_keys::PgpSecret;
use super::directory::{KeyDirectory, KeyFileKind};
use super::exec::ProgramError;
use super::local::{self, KeyFileError};
use super::{KeyPolicy, KeySource, KeySourceState, RefusedReason};
use crate::environment::Environment;
use crate::limits;
use crate::secret::{Secret, SecretBytes};
use crate::sops::data_key::{IdentityRule, KeyShare, Refusal};
use crate::text::Printable;

/// The PGP keys of this process, loaded when the first PGP key is asked for.
pub(super) struct Pgp<'env> {
    sources: Sources,
    deadline: Option<Instant>,
    loaded: OnceLock<Loaded>,
    gpg: Gpg<'env>,
}

/// Where secret keys are looked for.
struct Sources {
    /// `UNSOPS_PGP_KEY_FILE`: a file, or a directory of files.
    key_file: Option<PathBuf>,
    /// `UNSOPS_PGP_PASSPHRASE_FILE`
    passphrase_file: Option<PathBuf>,
    /// `GNUPGHOME`, else `~/.gnupg`, and its name in messages.
    gnupg_home: Option<(PathBuf, Printable)>,
    /// `UNSOPS_KEYS`
    directory: Arc<KeyDirectory>,
}

struct Loaded {
    keys: Vec<PgpSecret>,
    /// Fingerprints of keys whose passphrase is missing or wrong.
    locked: Vec<String>,
    passphrase: Option<SecretBytes>,
    sources: Vec<KeySource>,
}

impl<'env> Pgp<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        let path = |name: &str| environment.var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let gnupg_home = path("GNUPGHOME")
            .map(|home| (home.clone(), Printable::new(&local::named("GNUPGHOME", &home))))
            .or_else(|| environment.home().map(|home| (home.join(".gnupg"), "~/.gnupg".into())));
        let gpg = Gpg::new(environment, policy, gnupg_home.as_ref().map(|(home, _)| home.as_path()));
        let sources = Sources {
            key_file: path("UNSOPS_PGP_KEY_FILE"),
            passphrase_file: path("UNSOPS_PGP_PASSPHRASE_FILE"),
            gnupg_home,
            directory,
        };
        Self { sources, deadline: policy.deadline, loaded: OnceLock::new(), gpg }
    }

    /// Opens a PGP message that holds a share.
    pub(super) fn open(
        &self,
        fingerprint: &str,
        enc: &str,
        rule: Option<&dyn IdentityRule>,
    ) -> Result<KeyShare, RefusedReason> {
        if enc.len() > limits::PGP_KEY_BYTES {
            return Err(denied("the PGP message is larger than a wrapped key can be"));
        }
        let loaded = self.loaded();
        let armored = enc.trim_ascii();
        let Ok((message, _)) = Message::from_armor(Cursor::new(armored.as_bytes().to_vec())) else {
            return Err(denied("not an armored PGP message"));
        };
        let Message::Encrypted { esk, .. } = &message else { return Err(denied("not an encrypted PGP message")) };
        let named: Vec<&PublicKeyEncryptedSessionKey> = esk
            .iter()
            .filter_map(|esk| match esk {
                Esk::PublicKeyEncryptedSessionKey(packet) => Some(packet),
                Esk::SymKeyEncryptedSessionKey(_) => None,
            })
            .take(limits::PGP_RECIPIENTS)
            .collect();
        match session_key(&named, loaded, rule) {
            Found::SessionKey(key) => share(message, key).map(KeyShare),
            Found::Forbidden(by) => {
                Err(denied(&format!("the secret key {by} is for this message, but the policy does not allow it")))
            }
            Found::Wrong => Err(denied(NOT_OPENED)),
            Found::Locked(by) => {
                let why = format!("the secret key {by} wants a passphrase");
                let hint = "name a file with the passphrase in UNSOPS_PGP_PASSPHRASE_FILE";
                self.last_resort(armored, &named, rule, &why, hint)
            }
            Found::None => {
                let (why, hint) = no_key(fingerprint, loaded);
                self.last_resort(armored, &named, rule, &why, &hint)
            }
        }
    }

    /// Asks gpg for what did not open in this process, and why.
    fn last_resort(
        &self,
        message: &str,
        recipients: &[&PublicKeyEncryptedSessionKey],
        rule: Option<&dyn IdentityRule>,
        why: &str,
        hint: &str,
    ) -> Result<KeyShare, RefusedReason> {
        let error = match self.gpg.open(message, recipients, rule) {
            GpgAnswer::Opened(content) if content.expose().is_empty() => {
                // Old ones pass over packets that they do not know, and are content.
                return Err(denied("gpg gave nothing for this message, it may be older than the gpg that made it"));
            }
            GpgAnswer::Opened(content) if content.expose().len() > MOST_SHARE_BYTES => {
                return Err(denied("the PGP message holds more than a data key"));
            }
            GpgAnswer::Opened(content) => return Ok(KeyShare(content)),
            GpgAnswer::NotAsked => None,
            GpgAnswer::Failed(error) => Some(error),
        };
        let (why, hint) = match error {
            None => (why.to_owned(), hint.to_owned()),
            Some(error) => {
                let unlock = "unlock the key for gpg-agent (gpg --decrypt on a terminal)";
                (format!("gpg {}; {why}", error.words()), format!("{unlock}, or {hint}"))
            }
        };
        let refusal = match error {
            Some(ProgramError::TimedOut) => Refusal::Unavailable(Printable::reason(&why)),
            _ => Refusal::NotMine(Printable::reason(&why)),
        };
        Err(RefusedReason { refusal, hint: Some(Printable::reason(&hint)) })
    }

    /// Where keys are looked for, and what is there.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        // What is wrong with the key directory as a whole is said once for all providers.
        let directory = self.sources.directory.name();
        let own = |source: &&KeySource| directory.as_ref() != Some(&source.name);
        self.loaded().sources.iter().filter(own).cloned().collect()
    }

    /// What makes it possible that gpg is started.
    pub(super) fn program(&self) -> Option<&'static str> {
        self.gpg.program()
    }

    /// Adds the files and directories with keys; the key directory is its own.
    pub(super) fn places(&self, places: &mut Vec<PathBuf>) {
        let Sources { key_file, passphrase_file, gnupg_home, directory: _ } = &self.sources;
        places.extend(passphrase_file.clone());
        if let Some(path) = key_file {
            local::add_place(path, places);
        }
        if let Some((home, _)) = gnupg_home {
            local::add_place(home, places);
            local::add_place(&home.join("private-keys-v1.d"), places);
        }
    }

    fn loaded(&self) -> &Loaded {
        self.loaded.get_or_init(|| self.sources.load(self.deadline))
    }
}

/// Says that no key is for the message, where they were looked for, and what to do.
fn no_key(fingerprint: &str, loaded: &Loaded) -> (String, String) {
    let tried = match loaded.keys.len() {
        0 => "no secret key found".to_owned(),
        1 => "no secret key matches (1 tried)".to_owned(),
        count => format!("no secret key matches ({count} tried)"),
    };
    let places: Vec<String> = loaded
        .sources
        .iter()
        .map(|source| match &source.found {
            KeySourceState::Keys(keys) => format!("{}: {} keys", source.name, keys.len()),
            KeySourceState::Absent => format!("{}: does not exist", source.name),
            KeySourceState::Unusable(why) => format!("{}: {why}", source.name),
            KeySourceState::OnDemand => source.name.to_string(),
        })
        .collect();
    let hint = format!(
        "export the secret key of {} and name the file in UNSOPS_PGP_KEY_FILE, or import it into GNUPGHOME",
        Printable::new(fingerprint)
    );
    (format!("{tried}; looked in {}", places.join("; ")), hint)
}

impl Sources {
    fn load(&self, deadline: Option<Instant>) -> Loaded {
        let deadline = deadline.unwrap_or_else(|| Instant::now() + limits::KEY_PROGRAM_TIME);
        let mut loaded = Loaded { keys: Vec::new(), locked: Vec::new(), passphrase: None, sources: Vec::new() };
        if let Some(path) = &self.passphrase_file {
            match local::read(path, deadline) {
                // One line; the newline that editors and `echo` append is no part of it.
                Ok(file) => loaded.passphrase = Some(first_line(&file)),
                Err(error) => loaded
                    .add_source(Printable::new(&local::named("UNSOPS_PGP_PASSPHRASE_FILE", path)), Err(error.words())),
            }
        }
        if let Some(path) = &self.key_file {
            load_exported(path, &Printable::new(&local::named("UNSOPS_PGP_KEY_FILE", path)), deadline, &mut loaded);
        }
        self.load_directory(&mut loaded);
        if let Some((home, name)) = &self.gnupg_home {
            load_home(home, name, deadline, &mut loaded);
        }
        loaded
    }

    /// The `*.asc` files of the key directory.
    fn load_directory(&self, loaded: &mut Loaded) {
        let Some(name) = self.directory.name() else { return };
        match self.directory.read(KeyFileKind::Pgp) {
            Err(error) => loaded.add_source(name, Err(error.words())),
            Ok(files) if files.is_empty() => loaded.add_source(name, Err("holds no *.asc")),
            Ok(files) => {
                for file in files {
                    let keys = file.content.as_ref().map_err(|error| error.words());
                    loaded.add_file(
                        file.name,
                        keys.and_then(|content| secret_keys::read(content.expose())),
                        &file.path,
                    );
                }
            }
        }
    }
}

impl Loaded {
    fn add_file(&mut self, name: Printable, found: Result<Vec<PgpSecret>, &str>, path: &Path) {
        self.add_source(name, found);
        if let Some(source) = self.sources.last_mut() {
            source.is_readable_by_all = local::is_readable_by_all(path);
        }
    }

    fn add_source(&mut self, name: Printable, found: Result<Vec<PgpSecret>, &str>) {
        let found = match found {
            Ok(keys) => {
                let names = keys.iter().map(|key| Printable::new(&key.fingerprint())).collect();
                self.keys.extend(keys);
                KeySourceState::Keys(names)
            }
            Err(why) => KeySourceState::Unusable(why.into()),
        };
        self.sources.push(KeySource::new(name, found));
    }
}

fn first_line(file: &SecretBytes) -> SecretBytes {
    let line = file.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// A file of exported secret keys, or a directory of such files (a mounted Secret).
fn load_exported(path: &Path, name: &Printable, deadline: Instant, loaded: &mut Loaded) {
    match local::read(path, deadline) {
        Ok(file) => loaded.add_file(name.clone(), secret_keys::read(file.expose()), path),
        Err(KeyFileError::Directory) => match local::list(path) {
            Ok(files) => {
                for file in files {
                    let name = Printable::new(&format!("{name}/{}", file.file_name().unwrap_or_default().display()));
                    match local::read(&file, deadline) {
                        Ok(content) => loaded.add_file(name.clone(), secret_keys::read(content.expose()), &file),
                        Err(KeyFileError::Directory) => {}
                        Err(error) => loaded.add_source(name, Err(error.words())),
                    }
                }
            }
            Err(error) => loaded.add_source(name.clone(), Err(error.words())),
        },
        Err(error) => loaded.add_source(name.clone(), Err(error.words())),
    }
}

/// A GnuPG home: `secring.gpg` of GnuPG 1 and 2.0, and `private-keys-v1.d` of 2.1 and later.
fn load_home(home: &Path, name: &Printable, deadline: Instant, loaded: &mut Loaded) {
    let old = local::read(&home.join("secring.gpg"), deadline);
    let has_old = old.is_ok();
    if let Ok(file) = old {
        let name = Printable::new(&format!("{name}/secring.gpg"));
        loaded.add_source(name.clone(), secret_keys::read(file.expose()));
    }
    let Ok(files) = local::list(&home.join("private-keys-v1.d")) else {
        if !has_old {
            loaded.sources.push(KeySource::new(name.clone(), KeySourceState::Absent));
        }
        return;
    };
    let private_keys = files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "key"))
        .filter_map(|file| local::read(file, deadline).ok())
        .collect();
    let keyring =
        local::read(&home.join("pubring.kbx"), deadline).or_else(|_| local::read(&home.join("pubring.gpg"), deadline));
    match keyring {
        Ok(keyring) => {
            let home = GnupgHome { public_keyring: keyring.into_exposed(), private_keys };
            let unlocked = home.unlock(loaded.passphrase.as_ref());
            loaded.locked.extend(unlocked.locked);
            loaded.add_source(name.clone(), Ok(unlocked.keys));
        }
        Err(_) => loaded.add_source(name.clone(), Err("holds neither pubring.kbx nor pubring.gpg")),
    }
}

enum Found {
    /// Opened.
    SessionKey(PlainSessionKey),
    /// A key of ours is named, but wants a passphrase.
    Locked(String),
    /// A key of ours is named, but the rule does not allow it.
    Forbidden(String),
    /// No key of ours is named.
    None,
    /// A key of ours is named, but the packet does not open with it.
    Wrong,
}

/// The session key, from the first packet that one of our keys opens.
fn session_key(packets: &[&PublicKeyEncryptedSessionKey], loaded: &Loaded, rule: Option<&dyn IdentityRule>) -> Found {
    let mut found = Found::None;
    let mut tries = 0;
    for packet in packets {
        let kind = match packet.version() {
            PkeskVersion::V3 => EskType::V3_4,
            PkeskVersion::V6 => EskType::V6,
            PkeskVersion::Other(_) => continue,
        };
        let Ok(values) = packet.values() else { continue };
        for key in loaded.keys.iter().filter(|key| key.is_named_by(packet)) {
            if rule.is_some_and(|rule| !rule.allows_pgp(&key.fingerprint(), &key.primary())) {
                found = Found::Forbidden(key.fingerprint());
                continue;
            }
            let passphrase = match (&loaded.passphrase, key.is_protected()) {
                (_, false) => Password::empty(),
                (Some(passphrase), true) => Password::from(passphrase.expose().as_slice()),
                (None, true) => {
                    found = Found::Locked(key.fingerprint());
                    continue;
                }
            };
            // Each try is a private-key operation, or a stretched passphrase; hidden recipients multiply them.
            tries += 1;
            if tries > limits::PGP_TRIES {
                return found;
            }
            match key.open(&passphrase, values, kind) {
                Ok(Some(session_key)) => return Found::SessionKey(session_key),
                Ok(None) => found = Found::Wrong,
                Err(_) => found = Found::Locked(key.fingerprint()),
            }
        }
        let is_locked = |id: &str| loaded.locked.iter().find(|locked| locked.ends_with(id)).cloned();
        if let Some(locked) = packet.id().ok().and_then(|id| is_locked(&id.to_string().to_uppercase())) {
            found = Found::Locked(locked);
        }
    }
    found
}

/// The content of the message, decompressed; a share has 33 bytes, so more than a few are never read.
fn share(message: Message<'_>, session_key: PlainSessionKey) -> Result<SecretBytes, RefusedReason> {
    let damaged = || denied(NOT_OPENED);
    let mut message = message.decrypt_with_session_key(session_key).map_err(|_| damaged())?;
    if message.is_compressed() {
        message = message.decompress().map_err(|_| damaged())?;
    }
    if !message.is_literal() {
        return Err(damaged());
    }
    let mut content = Vec::with_capacity(MOST_SHARE_BYTES + 1);
    // To the end: only there are the integrity tags of the message checked.
    message.take(MOST_SHARE_BYTES as u64 + 1).read_to_end(&mut content).map_err(|_| damaged())?;
    if content.len() > MOST_SHARE_BYTES {
        return Err(damaged());
    }
    Ok(Secret::new(content))
}

/// Whatever went wrong once a secret key was used says the same. Whoever writes files and reads our messages could
/// otherwise tell good RSA padding from bad, and decrypt what he has recorded (Bleichenbacher; RFC 9580, 13.5).
const NOT_OPENED: &str = "a secret key is for this message, but does not open it: the message is damaged";

/// A Shamir share of a 32-byte data key has 33.
const MOST_SHARE_BYTES: usize = 64;

fn denied(why: &str) -> RefusedReason {
    RefusedReason { refusal: Refusal::Denied(why.into()), hint: None }
}

//! Where identities come from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::identities::{self, Context, Effort, Identity};
use super::passphrase::PassphraseFile;
use super::report;
use crate::environment::Environment;
use crate::keys::directory::{KeyDirectory, KeyFileKind};
use crate::keys::exec::{self, ProgramError};
use crate::keys::local::{self, KeyFileError};
use crate::keys::order::lock;
use crate::keys::{KeyPolicy, KeySource, KeySourceState};
use crate::limits;
use crate::text::Printable;

/// Every place where sops looks for age identities. Each is read once, when it is first needed; a program is run once
/// for each recipient, since it is told which.
pub(super) struct Sources<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    directory: Arc<KeyDirectory>,
    files: OnceLock<Vec<Arc<Source>>>,
    ssh_files: OnceLock<Vec<Arc<Source>>>,
    commands: Mutex<BTreeMap<(KeyCommand, String), Slot>>,
}

/// Identities beneath the user's configuration directory.
const USER_FILE: &str = "sops/age/keys.txt";

/// SSH private keys in `~/.ssh`.
const SSH_FILES: [&str; 2] = ["id_ed25519", "id_rsa"];

/// A place that is filled by the first who needs it, while others wait.
type Slot = Arc<OnceLock<Arc<Source>>>;

/// A place and what it gave.
pub(super) struct Source {
    /// `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE=/keys/keys.txt`, `~/.config/sops/age/keys.txt`.
    pub(super) name: Printable,
    pub(super) found: Found,
    /// The file that it is, if it is one.
    path: Option<PathBuf>,
}

/// What a place gave.
pub(super) enum Found {
    /// Identities; none where it holds only comments.
    Identities(Vec<Identity>),
    /// The file does not exist.
    Missing,
    /// The variable is not set.
    NotSet,
    /// It did not answer in time.
    TimedOut(Printable),
    /// It is of no use, and why.
    Unusable(Printable),
}

/// Places that are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Files,
    SshFiles,
    Command(KeyCommand),
}

impl Place {
    /// From what costs nothing to what starts a program.
    pub(super) const IN_ORDER: [Self; 4] =
        [Self::Files, Self::SshFiles, Self::Command(KeyCommand::Age), Self::Command(KeyCommand::Ssh)];

    pub(super) fn holds_ssh_keys(self) -> bool {
        matches!(self, Self::SshFiles | Self::Command(KeyCommand::Ssh))
    }
}

/// Variables that hold a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyCommand {
    /// `SOPS_AGE_KEY_CMD`: its output is an identity file.
    Age,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_CMD`: its output is an SSH private key.
    Ssh,
}

impl KeyCommand {
    fn variable(self) -> &'static str {
        match self {
            Self::Age => "SOPS_AGE_KEY_CMD",
            Self::Ssh => "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
        }
    }
}

impl Source {
    fn new(name: &str, found: Found) -> Arc<Self> {
        Arc::new(Self { name: Printable::new(name), found, path: None })
    }

    fn of_file(name: &str, found: Found, path: &Path) -> Arc<Self> {
        Arc::new(Self { name: Printable::new(name), found, path: Some(path.to_owned()) })
    }

    pub(super) fn identities(&self) -> &[Identity] {
        match &self.found {
            Found::Identities(identities) => identities,
            Found::Missing | Found::NotSet | Found::TimedOut(_) | Found::Unusable(_) => &[],
        }
    }

    fn describe(&self) -> KeySource {
        let found = match &self.found {
            Found::Identities(identities) => KeySourceState::Keys(
                identities.iter().flat_map(Identity::public_halves).map(|half| Printable::new(&half)).collect(),
            ),
            Found::Missing | Found::NotSet => KeySourceState::Absent,
            Found::TimedOut(why) | Found::Unusable(why) => KeySourceState::Unusable(why.clone()),
        };
        match &self.path {
            Some(path) => KeySource::of_file(self.name.clone(), found, path),
            None => KeySource::new(self.name.clone(), found),
        }
    }
}

impl<'env> Sources<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        let (files, ssh_files) = (OnceLock::new(), OnceLock::new());
        Self { environment, policy, directory, files, ssh_files, commands: Mutex::default() }
    }

    /// What a place holds; a command is told the recipient.
    pub(super) fn load(&self, place: Place, recipient: &str) -> Vec<Arc<Source>> {
        match place {
            Place::Files => self.files(),
            Place::SshFiles => self.ssh_files(),
            Place::Command(command) => vec![self.command(command, recipient)],
        }
    }

    /// The places that cost nothing: `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, the file in the user's configuration, and the
    /// key directory.
    fn files(&self) -> Vec<Arc<Source>> {
        let load = || [vec![self.inline(), self.key_file(), self.user_file()], self.directory()].concat();
        self.files.get_or_init(load).clone()
    }

    /// The `*.agekey` files of `UNSOPS_KEYS`.
    fn directory(&self) -> Vec<Arc<Source>> {
        let Some(name) = self.directory.name() else { return Vec::new() };
        let of_directory = |found| vec![Source::new(name.as_str(), found)];
        match self.directory.read(KeyFileKind::Age) {
            Err(KeyFileError::Missing) => of_directory(Found::Missing),
            Err(error) => of_directory(Found::Unusable(error.words().into())),
            Ok(files) if files.is_empty() => of_directory(Found::Unusable("holds no *.agekey".into())),
            Ok(files) => files
                .into_iter()
                .map(|file| {
                    let found = match &file.content {
                        Ok(text) => identities_in(&file.name, text.expose(), false),
                        Err(error) => unreadable(*error),
                    };
                    Source::of_file(file.name.as_str(), found, &file.path)
                })
                .collect(),
        }
    }

    /// SSH private keys: `SOPS_AGE_SSH_PRIVATE_KEY_FILE`, `~/.ssh/id_ed25519`, `~/.ssh/id_rsa`.
    fn ssh_files(&self) -> Vec<Arc<Source>> {
        let load = || {
            let mut sources =
                vec![self.named_file("SOPS_AGE_SSH_PRIVATE_KEY_FILE", |name, text| ssh_key_in(name, text, true))];
            if let Some(home) = self.environment.home() {
                sources.extend(SSH_FILES.map(|name| {
                    self.file_at(&home.join(".ssh").join(name), |name, text| ssh_key_in(name, text, true))
                }));
            }
            sources
        };
        self.ssh_files.get_or_init(load).clone()
    }

    /// What identities need that start programs or ask people.
    pub(super) fn context(&self) -> Context<'_> {
        Context { environment: self.environment, policy: &self.policy }
    }

    /// What a command gives for a recipient.
    fn command(&self, command: KeyCommand, recipient: &str) -> Arc<Source> {
        let name = command.variable();
        let Some(line) = self.environment.var_os(name) else { return Source::new(name, Found::NotSet) };
        let slot = {
            let mut commands = lock(&self.commands);
            let key = (command, recipient.to_owned());
            if commands.len() >= limits::KEY_PROGRAM_RUNS && !commands.contains_key(&key) {
                return Source::new(name, program_error(ProgramError::TooManyRuns));
            }
            Arc::clone(commands.entry(key).or_default())
        };
        Arc::clone(slot.get_or_init(|| Source::new(name, self.run(command, line, recipient))))
    }

    fn run(&self, command: KeyCommand, line: &OsStr, recipient: &str) -> Found {
        // A file may name any recipient; sops has parsed it by now.
        if !recipient.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Found::Unusable("was not run (the file's recipient is malformed)".into());
        }
        let Some(line) = line.to_str() else { return Found::Unusable("is not UTF-8".into()) };
        match exec::output_of(line, ("SOPS_AGE_RECIPIENT", recipient), self.environment, &self.policy) {
            Ok(output) => match command {
                KeyCommand::Age => identities_in(&command.variable().into(), output.expose(), false),
                KeyCommand::Ssh => ssh_key_in(&command.variable().into(), output.expose(), false),
            },
            Err(error) => program_error(error),
        }
    }

    /// `SOPS_AGE_KEY`.
    fn inline(&self) -> Arc<Source> {
        let name = "SOPS_AGE_KEY";
        let found = match self.environment.var_os(name) {
            None => Found::NotSet,
            Some(text) => identities_in(&name.into(), text.as_encoded_bytes(), true),
        };
        Source::new(name, found)
    }

    /// `SOPS_AGE_KEY_FILE`.
    fn key_file(&self) -> Arc<Source> {
        self.named_file("SOPS_AGE_KEY_FILE", |name, text| identities_in(name, text, false))
    }

    /// `sops/age/keys.txt` beneath the user's configuration directory.
    fn user_file(&self) -> Arc<Source> {
        let directory = match user_config_dir(self.environment) {
            Ok(directory) => directory,
            Err(why) => {
                return Source::new("sops/age/keys.txt in the user's configuration", Found::Unusable(why.into()));
            }
        };
        let path = directory.join(USER_FILE);
        self.file_at(&path, |name, text| identities_in(name, text, false))
    }

    /// A file that a variable names.
    fn named_file(&self, variable: &'static str, parse: impl FnOnce(&Printable, &[u8]) -> Found) -> Arc<Source> {
        let Some(path) = self.environment.var_os(variable) else { return Source::new(variable, Found::NotSet) };
        if path.is_empty() {
            return Source::new(variable, Found::Unusable("is set but empty".into()));
        }
        if holds_a_key(path) {
            return Source::new(variable, Found::Unusable("holds a key, not the path of a file".into()));
        }
        let name = format!("{variable}={}", path.display());
        match self.file(Path::new(path), &name, parse) {
            Found::Missing if has_letters_of_a_key(path) => {
                let why = "names a file that does not exist (the name looks like a key and is not shown)";
                Source::new(variable, Found::Unusable(why.into()))
            }
            found => Source::of_file(&name, found, Path::new(path)),
        }
    }

    fn file_at(&self, path: &Path, parse: impl FnOnce(&Printable, &[u8]) -> Found) -> Arc<Source> {
        let name = report::home_as_tilde(path, self.environment.home());
        Source::of_file(&name, self.file(path, &name, parse), path)
    }

    fn file(&self, path: &Path, name: &str, parse: impl FnOnce(&Printable, &[u8]) -> Found) -> Found {
        match local::read(path, exec::deadline(&self.policy)) {
            Ok(text) => parse(&Printable::new(name), text.expose()),
            Err(error) => unreadable(error),
        }
    }

    /// What makes it possible that a program is started: a variable with a command, an identity of a plugin.
    pub(super) fn program(&self) -> Option<&'static str> {
        let is_set = |command: &KeyCommand| self.environment.var_os(command.variable()).is_some();
        if let Some(command) = [KeyCommand::Age, KeyCommand::Ssh].iter().find(|command| is_set(command)) {
            return Some(command.variable());
        }
        let has_plugin = |source: &Arc<Source>| source.identities().iter().any(|own| own.effort() == Effort::Program);
        self.files().iter().any(has_plugin).then_some("an identity of an age plugin")
    }

    /// Adds the files that are looked at; those of the key directory are its own.
    pub(super) fn places(&self, places: &mut Vec<PathBuf>) {
        let named = ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"];
        places.extend(named.iter().filter_map(|name| self.environment.var_os(name)).map(PathBuf::from));
        places.extend(user_config_dir(self.environment).map(|directory| directory.join(USER_FILE)));
        let home = self.environment.home();
        places.extend(home.iter().flat_map(|home| SSH_FILES.map(|name| home.join(".ssh").join(name))));
    }

    /// Names every place and what is there, without running a command.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        let command = |command: KeyCommand| {
            let is_set = self.environment.var_os(command.variable()).is_some();
            let found = if is_set { KeySourceState::OnDemand } else { KeySourceState::Absent };
            KeySource::new(command.variable().into(), found)
        };
        // What is wrong with the key directory as a whole is said once for all providers.
        let directory = self.directory.name();
        let files = |sources: Vec<Arc<Source>>| {
            let own = |source: &Arc<Source>| directory.as_ref() != Some(&source.name);
            sources.into_iter().filter(own).map(|source| source.describe()).collect::<Vec<_>>()
        };
        let mut described = files(self.files());
        described.push(command(KeyCommand::Age));
        described.extend(files(self.ssh_files()));
        described.push(command(KeyCommand::Ssh));
        described
    }
}

fn unreadable(error: KeyFileError) -> Found {
    match error {
        KeyFileError::Missing => Found::Missing,
        KeyFileError::TimedOut => Found::TimedOut(error.words().into()),
        _ => Found::Unusable(error.words().into()),
    }
}

fn program_error(error: ProgramError) -> Found {
    let why = Printable::new(&error.words());
    if error == ProgramError::TimedOut { Found::TimedOut(why) } else { Found::Unusable(why) }
}

/// Reads the text of a source: identities, or an age file that holds them behind a passphrase.
fn identities_in(name: &Printable, text: &[u8], several: bool) -> Found {
    if PassphraseFile::is_age_file(text) {
        return match PassphraseFile::parse(name, text) {
            Ok(file) => Found::Identities(vec![Identity::Passphrase(file)]),
            Err(why) => Found::Unusable(why.into()),
        };
    }
    match identities::parse(text, several) {
        Ok(identities) => Found::Identities(identities),
        Err(malformed) => Found::Unusable(malformed.words()),
    }
}

#[cfg(feature = "age-ssh")]
fn ssh_key_in(name: &Printable, text: &[u8], on_terminal: bool) -> Found {
    match super::ssh::SshKey::parse(name, text, on_terminal) {
        Ok(key) => Found::Identities(vec![Identity::Ssh(Box::new(key))]),
        Err(why) => Found::Unusable(why.into()),
    }
}

#[cfg(not(feature = "age-ssh"))]
fn ssh_key_in(_: &Printable, _: &[u8], _: bool) -> Found {
    Found::Unusable("is of no use, this build has no support for SSH keys".into())
}

/// Whether a variable for a path holds a key instead. Its value must not be shown.
fn holds_a_key(path: &OsStr) -> bool {
    let upper = path.to_string_lossy().to_ascii_uppercase();
    ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "-----BEGIN"].iter().any(|mark| upper.contains(mark))
}

/// Whether a name could as well be an encoded key: long, and nothing but letters of base64.
fn has_letters_of_a_key(path: &OsStr) -> bool {
    let text = path.to_string_lossy();
    let of_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    !text.starts_with('/') && text.chars().count() >= 32 && text.chars().all(of_base64)
}

/// The user's configuration directory, as Go's `os.UserConfigDir` has it; on macOS `XDG_CONFIG_HOME` comes first, as
/// sops has it.
fn user_config_dir(environment: &Environment) -> Result<PathBuf, &'static str> {
    let xdg = environment.var_os("XDG_CONFIG_HOME").filter(|directory| !directory.is_empty()).map(Path::new);
    match (xdg, environment.home()) {
        (Some(xdg), _) if cfg!(target_os = "macos") || xdg.is_absolute() => Ok(xdg.to_owned()),
        (Some(_), _) => Err("cannot be found (XDG_CONFIG_HOME is not an absolute path)"),
        (None, Some(home)) if cfg!(target_os = "macos") => Ok(home.join("Library").join("Application Support")),
        (None, Some(home)) => Ok(home.join(".config")),
        (None, None) => Err("cannot be found (neither XDG_CONFIG_HOME nor HOME is set)"),
    }
}

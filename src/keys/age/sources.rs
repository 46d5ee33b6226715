//! Where identities come from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::identities::{self, Identity};
use super::report;
use crate::environment::Environment;
use crate::keys::exec::{self, ProgramError};
use crate::keys::local::{self, KeyFileError};
use crate::keys::order::lock;
use crate::keys::{KeyPolicy, KeySource, KeySourceState};
use crate::limits;
use crate::secret::SecretBytes;
use crate::text::Printable;

/// Every place where sops looks for age identities. Each is read once, when it is first needed; a program is run once
/// for each recipient, since it is told which.
pub(super) struct Sources<'env> {
    environment: &'env Environment,
    policy: KeyPolicy,
    files: OnceLock<Vec<Arc<Source>>>,
    commands: Mutex<BTreeMap<(KeyCommand, String), Slot>>,
}

/// A place that is filled by the first who needs it, while others wait.
type Slot = Arc<OnceLock<Arc<Source>>>;

/// A place and what it gave.
pub(super) struct Source {
    /// `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE=/keys/keys.txt`, `~/.config/sops/age/keys.txt`.
    pub(super) name: Printable,
    pub(super) found: Found,
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

/// Variables that hold a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyCommand {
    /// `SOPS_AGE_KEY_CMD`: its output is an identity file.
    Age,
}

impl KeyCommand {
    fn variable(self) -> &'static str {
        match self {
            Self::Age => "SOPS_AGE_KEY_CMD",
        }
    }
}

impl Source {
    fn new(name: &str, found: Found) -> Arc<Self> {
        Arc::new(Self { name: Printable::new(name), found })
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
                identities.iter().map(|identity| Printable::new(&identity.public_half())).collect(),
            ),
            Found::Missing | Found::NotSet => KeySourceState::Absent,
            Found::TimedOut(why) | Found::Unusable(why) => KeySourceState::Unusable(why.clone()),
        };
        KeySource { name: self.name.clone(), found }
    }
}

impl<'env> Sources<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy) -> Self {
        Self { environment, policy, files: OnceLock::new(), commands: Mutex::default() }
    }

    /// The places that cost nothing: `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, and the file in the user's configuration.
    pub(super) fn files(&self) -> Vec<Arc<Source>> {
        self.files.get_or_init(|| vec![self.inline(), self.key_file(), self.user_file()]).clone()
    }

    /// What a command gives for a recipient.
    pub(super) fn command(&self, command: KeyCommand, recipient: &str) -> Arc<Source> {
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
        Arc::clone(slot.get_or_init(|| Source::new(name, self.run(line, recipient))))
    }

    fn run(&self, line: &OsStr, recipient: &str) -> Found {
        // A file may name any recipient; sops has parsed it by now.
        if !recipient.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Found::Unusable("was not run (the file's recipient is malformed)".into());
        }
        let Some(line) = line.to_str() else { return Found::Unusable("is not UTF-8".into()) };
        match exec::output_of(line, ("SOPS_AGE_RECIPIENT", recipient), self.environment, &self.policy) {
            Ok(output) => identities_in(&output, false),
            Err(error) => program_error(error),
        }
    }

    /// `SOPS_AGE_KEY`.
    fn inline(&self) -> Arc<Source> {
        let name = "SOPS_AGE_KEY";
        let found = match self.environment.var_os(name) {
            None => Found::NotSet,
            Some(text) => identities_in(&SecretBytes::new(text.as_encoded_bytes().to_vec()), true),
        };
        Source::new(name, found)
    }

    /// `SOPS_AGE_KEY_FILE`.
    fn key_file(&self) -> Arc<Source> {
        self.named_file("SOPS_AGE_KEY_FILE", |bytes| identities_in(bytes, false))
    }

    /// `sops/age/keys.txt` beneath the user's configuration directory.
    fn user_file(&self) -> Arc<Source> {
        let directory = match user_config_dir(self.environment) {
            Ok(directory) => directory,
            Err(why) => {
                return Source::new("sops/age/keys.txt in the user's configuration", Found::Unusable(why.into()));
            }
        };
        let path = directory.join("sops").join("age").join("keys.txt");
        Source::new(
            &report::home_as_tilde(&path, self.environment.home()),
            self.file(&path, |bytes| identities_in(bytes, false)),
        )
    }

    /// A file that a variable names.
    fn named_file(&self, variable: &'static str, parse: impl FnOnce(&SecretBytes) -> Found) -> Arc<Source> {
        let Some(path) = self.environment.var_os(variable) else { return Source::new(variable, Found::NotSet) };
        if path.is_empty() {
            return Source::new(variable, Found::Unusable("is set but empty".into()));
        }
        let found = self.file(Path::new(path), parse);
        if let Some(why) = looks_like_a_key(path, &found) {
            // The value must not be shown.
            return Source::new(variable, Found::Unusable(why.into()));
        }
        Source::new(&format!("{variable}={}", path.display()), found)
    }

    fn file(&self, path: &Path, parse: impl FnOnce(&SecretBytes) -> Found) -> Found {
        match local::read(path, exec::deadline(&self.policy)) {
            Ok(bytes) => parse(&bytes),
            Err(KeyFileError::Missing) => Found::Missing,
            Err(error @ KeyFileError::TimedOut) => Found::TimedOut(error.words().into()),
            Err(error) => Found::Unusable(error.words().into()),
        }
    }

    /// Names every place and what is there, without running a command.
    pub(super) fn describe(&self) -> Vec<KeySource> {
        let mut sources: Vec<KeySource> = self.files().iter().map(|source| source.describe()).collect();
        let command = KeyCommand::Age.variable();
        let found =
            if self.environment.var_os(command).is_some() { KeySourceState::OnDemand } else { KeySourceState::Absent };
        sources.push(KeySource { name: command.into(), found });
        sources
    }
}

fn program_error(error: ProgramError) -> Found {
    let why = Printable::new(&error.words());
    if error == ProgramError::TimedOut { Found::TimedOut(why) } else { Found::Unusable(why) }
}

fn identities_in(text: &SecretBytes, several: bool) -> Found {
    match identities::parse(text.expose(), several) {
        Ok(identities) => Found::Identities(identities),
        Err(malformed) => Found::Unusable(malformed.words()),
    }
}

/// Says that a variable for a path holds a key. A path that does not exist and has the letters of a key is taken for one.
fn looks_like_a_key(path: &OsStr, found: &Found) -> Option<&'static str> {
    let text = path.to_string_lossy();
    let upper = text.to_ascii_uppercase();
    if upper.contains("AGE-SECRET-KEY-") || upper.contains("AGE-PLUGIN-") || upper.contains("-----BEGIN") {
        return Some("holds a key, not the path of a file (its value is not shown)");
    }
    let like_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let is_path = text.starts_with(['/', '.', '~']) || text.chars().count() < 32 || !text.chars().all(like_base64);
    (matches!(found, Found::Missing) && !is_path)
        .then_some("names a file that does not exist (its value looks like a key and is not shown)")
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

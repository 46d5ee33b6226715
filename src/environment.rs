//! The process environment, read once at start. Nothing else reads `std::env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables and working directory as they were at start. No `Debug`: variables hold keys and tokens.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    current_dir: Option<PathBuf>,
}

impl Environment {
    /// Takes what the process was started with. `current_dir` is `None` where it was deleted or is unreadable.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, current_dir: Option<PathBuf>) -> Self {
        Self { variables: variables.into_iter().collect(), current_dir }
    }

    /// The same with a variable set anew, as an option on the command line does.
    pub fn with(&self, name: &str, value: impl Into<OsString>) -> Self {
        let mut variables = self.variables.clone();
        variables.insert(name.into(), value.into());
        Self { variables, current_dir: self.current_dir.clone() }
    }

    /// A variable, set or not; set but empty is `Some("")`.
    pub fn var_os(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable that is set and is UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.var_os(name)?.to_str()
    }

    /// A variable that is set, is UTF-8 and is not empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.var(name).filter(|value| !value.is_empty())
    }

    /// All variables, for the environment of a child program.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The working directory (`getcwd`, never `$PWD`, which kustomize leaves stale).
    pub fn current_dir(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }

    /// `$HOME`, where it is set and not empty.
    pub fn home(&self) -> Option<&Path> {
        self.var_os("HOME").filter(|home| !home.is_empty()).map(Path::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_beats_the_variable() {
        let environment = Environment::new([("A".into(), "1".into()), ("B".into(), "2".into())], None);
        let changed = environment.with("A", "3");
        assert_eq!((changed.var("A"), changed.var("B"), environment.var("A")), (Some("3"), Some("2"), Some("1")));
    }
}

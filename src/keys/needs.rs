//! What opening keys of some kinds may take beside reading key files, told before any of them is asked for.

use std::path::{Path, PathBuf};

use super::local;
use super::{KeyPolicy, Keyring};
use crate::environment::Environment;
use crate::sops::KeyKinds;

/// What opening may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Connections to key services.
    pub network: bool,
    /// Key programs, and what makes them possible: `SOPS_AGE_KEY_CMD`, `gpg on PATH`.
    pub programs: Option<&'static str>,
}

impl Keyring<'_> {
    /// Tells what keys of these kinds may need. Reads files of age identities (one may name a plugin) and the configuration
    /// of AWS, and looks for programs on `PATH`; starts and asks nothing.
    pub fn needs(&self, kinds: KeyKinds) -> Needs {
        let has_network = |kind: bool, feature: bool| kind && feature && !self.is_offline;
        let aws = has_network(kinds.aws_kms, cfg!(feature = "aws"));
        let azure = has_network(kinds.azure_key_vault, cfg!(feature = "azure"));
        let gcp = has_network(kinds.gcp_kms, cfg!(feature = "gcp"));
        let vault = has_network(kinds.hc_vault, cfg!(feature = "vault"));
        Needs { network: aws || azure || gcp || vault, programs: self.programs(kinds, [aws, azure, gcp]) }
    }

    fn programs(&self, kinds: KeyKinds, [aws, azure, gcp]: [bool; 3]) -> Option<&'static str> {
        let KeyPolicy { allow_exec: true, .. } = self.policy else { return None };
        let found = if kinds.age { self.age.program() } else { None };
        #[cfg(feature = "pgp")]
        let found = found.or_else(|| if kinds.pgp { self.pgp.program() } else { None });
        let found = found.or_else(|| aws.then(|| of_aws(self.environment)).flatten());
        #[cfg(feature = "azure")]
        let found = found.or_else(|| {
            match azure.then(|| super::command_line::first_on_path(&["az", "azd"], self.environment)).flatten() {
                Some("az") => Some("az on PATH"),
                Some(_) => Some("azd on PATH"),
                None => None,
            }
        });
        #[cfg(not(feature = "azure"))]
        let _ = azure;
        let is_allowed = gcp && self.environment.var("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") == Some("1");
        found.or_else(|| is_allowed.then_some("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"))
    }

    /// The files and directories that hold the local keys of these kinds. Links in directories of keys are followed: their
    /// targets are in the list, too.
    pub fn files(&self, kinds: KeyKinds) -> Vec<PathBuf> {
        let mut files = Vec::new();
        self.directory.places(&mut files);
        if kinds.age {
            self.age.places(&mut files);
        }
        #[cfg(feature = "pgp")]
        if kinds.pgp {
            self.pgp.places(&mut files);
        }
        files
    }
}

/// Whether a profile of AWS may name a program.
fn of_aws(environment: &Environment) -> Option<&'static str> {
    let home = environment.home();
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")]
        .into_iter()
        .filter_map(|(variable, usual)| match environment.non_empty(variable) {
            Some(path) => Some(in_home(Path::new(path), home)),
            None => home.map(|home| home.join(usual)),
        })
        .any(|path| match local::read_file(&path) {
            Ok(text) => memchr::memmem::find(text.expose(), b"credential_process").is_some(),
            // What is no plain file, or too large, is not looked into.
            Err(local::KeyFileError::Missing) => false,
            Err(_) => true,
        })
        .then_some("credential_process in the configuration of AWS")
}

/// The SDK takes `~/` for the home.
fn in_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

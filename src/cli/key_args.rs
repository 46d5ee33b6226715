//! The options about keys that sub-commands share. A plugin call takes none: its arguments are the manifest's author's.

use std::path::PathBuf;

use clap::Args;

use crate::environment::Environment;

/// Where to look for keys beside the places where sops looks.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyArgs {
    /// Directory of keys, in the place of UNSOPS_KEYS: *.agekey, *.asc, sops.vault-token, sops.aws-kms, sops.azure-kv,
    /// sops.gcp-kms
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
}

impl KeyArgs {
    /// The environment as these options change it.
    pub fn apply(&self, env: &Environment) -> Environment {
        match &self.keys {
            Some(directory) => env.with("UNSOPS_KEYS", directory),
            None => env.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beats_the_variable() {
        let env = Environment::new([("UNSOPS_KEYS".into(), "/variable".into())], None);
        let with = |keys: Option<&str>| KeyArgs { keys: keys.map(PathBuf::from) }.apply(&env);
        assert_eq!(with(None).var("UNSOPS_KEYS"), Some("/variable"));
        assert_eq!(with(Some("/option")).var("UNSOPS_KEYS"), Some("/option"));
    }
}

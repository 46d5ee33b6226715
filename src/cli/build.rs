//! Arguments of `unsops build`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{KeyArgs, VerbosityArgs};

/// Print what `kustomize build` prints, with every generator of our kinds carried out
///
/// kustomize is started without its flags that let a repository run programs; generators of our kinds are carried out
/// in this process, whether their manifests are written for the exec function or for the legacy plugin. The build fails if
/// one of them did not run, or if anything encrypted is left in the output.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BuildArgs {
    /// Directory with a kustomization
    #[arg(default_value = ".")]
    pub dir: PathBuf,

    /// kustomize's program; without it, `kustomize` on PATH
    #[arg(long, value_name = "PATH")]
    pub kustomize: Option<PathBuf>,

    /// Directory beneath which files may be decrypted; without it, the enclosing Git work tree
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Let the kustomization run programs and containers of its own (kustomize's --enable-exec)
    #[arg(long)]
    pub allow_exec: bool,

    /// Let kustomize fetch what the kustomization names by URL
    #[arg(long)]
    pub allow_remote: bool,

    /// Write to this file (mode 0600) instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub verbosity: VerbosityArgs,

    #[command(flatten)]
    pub flags: KustomizeFlags,
}

/// kustomize's own flags that are handed on.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Handed on to kustomize")]
pub struct KustomizeFlags {
    /// LoadRestrictionsRootOnly or LoadRestrictionsNone
    #[arg(long, value_name = "NAME")]
    pub load_restrictor: Option<String>,

    /// Let kustomize start helm for charts
    #[arg(long)]
    pub enable_helm: bool,

    /// helm's program
    #[arg(long, value_name = "PATH")]
    pub helm_command: Option<OsString>,

    /// API versions that helm is told of
    #[arg(long, value_name = "VERSION")]
    pub helm_api_versions: Vec<OsString>,

    /// Kubernetes version that helm is told of
    #[arg(long, value_name = "VERSION")]
    pub helm_kube_version: Option<OsString>,

    /// helm's debug output
    #[arg(long)]
    pub helm_debug: bool,

    /// legacy or none (kustomize 5: use sortOptions instead)
    #[arg(long, value_name = "NAME")]
    pub reorder: Option<String>,

    /// Run container functions as the current user
    #[arg(long)]
    pub as_current_user: bool,

    /// Variable for container functions
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,

    /// Mount for container functions
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<OsString>,

    /// Let container functions use the network
    #[arg(long)]
    pub network: bool,

    /// Network of container functions
    #[arg(long, value_name = "NAME")]
    pub network_name: Option<OsString>,

    /// Accepted and without effect: plugins of our kinds always run
    #[arg(long)]
    pub enable_alpha_plugins: bool,
}

impl KustomizeFlags {
    /// The flags as kustomize takes them.
    pub fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut add = |flag: &str, value: Option<OsString>| {
            if let Some(value) = value {
                let mut word = OsString::from(flag);
                word.push("=");
                word.push(value);
                words.push(word);
            }
        };
        add("--load-restrictor", self.load_restrictor.clone().map(OsString::from));
        add("--reorder", self.reorder.clone().map(OsString::from));
        add("--helm-command", self.helm_command.clone());
        self.helm_api_versions.iter().for_each(|version| add("--helm-api-versions", Some(version.clone())));
        add("--helm-kube-version", self.helm_kube_version.clone());
        self.env.iter().for_each(|variable| add("--env", Some(variable.clone())));
        self.mount.iter().for_each(|mount| add("--mount", Some(mount.clone())));
        add("--network-name", self.network_name.clone());
        for (flag, is_set) in [
            ("--enable-helm", self.enable_helm),
            ("--helm-debug", self.helm_debug),
            ("--as-current-user", self.as_current_user),
            ("--network", self.network),
        ] {
            words.extend(is_set.then(|| OsString::from(flag)));
        }
        words
    }
}

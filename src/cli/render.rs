//! `unsops render`: arguments.

use std::path::PathBuf;

use clap::Args;

use super::{KeyArgs, VerbosityArgs};

/// Print the final manifests with every value of a Secret redacted
///
/// Without keys, each encrypted value becomes a placeholder made from its ciphertext: the same until the value is
/// encrypted anew. With keys, every source is also decrypted, verified and checked. The result is marked, no API server
/// takes it, and under Argo CD it is refused.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RenderArgs {
    /// Directory with a kustomization, generator manifest, or encrypted manifest; `-` or nothing is standard input
    pub target: Option<PathBuf>,

    /// Use no key, even if there are some
    #[arg(long)]
    pub keyless: bool,

    /// Fail if a source cannot be opened, instead of rendering it without keys
    #[arg(long, conflicts_with = "keyless")]
    pub verify: bool,

    /// Print plaintext, as the plugin does; on a terminal only with --yes
    #[arg(long, conflicts_with_all = ["keyless", "verify"])]
    pub reveal: bool,

    /// Do print plaintext on a terminal
    #[arg(long, requires = "reveal")]
    pub yes: bool,

    /// kustomize's program; without it, `kustomize` on PATH
    #[arg(long, value_name = "PATH")]
    pub kustomize: Option<PathBuf>,

    /// Leave out the mark that no API server takes, for validators that check as an API server does
    #[arg(long, conflicts_with = "reveal")]
    pub for_validators: bool,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

//! Arguments of `unsops filter`.

use std::path::PathBuf;

use clap::Args;

use super::{KeyArgs, VerbosityArgs};

/// Decrypt what is encrypted among manifests on standard input
///
/// Objects with a `sops` field, values of Secrets that are SOPS files, and Secrets made of an encrypted dotenv file
/// are decrypted; everything else passes through byte for byte. For `kustomize build | unsops filter --source .`,
/// `helm template | unsops filter`, and plain YAML.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct FilterArgs {
    /// Directory with the encrypted files: what kustomize has re-ordered is held against them
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,

    /// Let out what was re-ordered and cannot be held against a source: values are authenticated one by one, but some may
    /// be missing or come from another file with the same key
    #[arg(long)]
    pub accept_reordered: bool,

    #[command(flatten)]
    pub keys: KeyArgs,

    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

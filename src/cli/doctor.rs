//! `unsops doctor`: arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ColorArgs, KeyArgs};

/// Say why a generator would not run or a key would not open: kustomize, plugins, keys, policy, the process
///
/// Nothing secret is shown, and no key program is run. Exit codes: 0; 1 if something needs attention; 2 usage.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DoctorArgs {
    /// The directory of a kustomization, whose generators are looked at too
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// The flags that kustomize is given: yours, or Argo CD's `kustomize.buildOptions`
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub kustomize_flags: Option<String>,
    /// Connect to the key services that the environment names (no credentials are sent)
    #[arg(long)]
    pub network: bool,
    /// Form of the report
    #[arg(long, short, value_name = "FORM", value_enum, default_value_t)]
    pub output: DoctorOutput,
    #[command(flatten)]
    pub color: ColorArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Forms of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorOutput {
    /// `{"findings": 1, "checks": [{"about", "state", "message", "hint"}]}`
    Json,
    /// A paragraph for each thing that was looked at
    #[default]
    Text,
}

//! `unsops check`: arguments.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{KeyArgs, PolicyArgs, VerboseArgs};
use crate::color::ColorChoice;

/// Find what is wrong with secrets, generators and kustomizations; needs no key
///
/// Exit codes: 0 clean, 1 findings, 2 usage. A comment `# unsops:ignore RULE` silences a line and the next one,
/// `# unsops:ignore-file RULE` a file; `.unsops.yaml` at the root holds settings.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CheckArgs {
    /// Directories and files; the working directory if there are none. What .gitignore names is left out
    pub paths: Vec<PathBuf>,

    /// How findings are shown
    #[arg(long, short, value_enum, default_value_t = CheckOutput::Text)]
    pub output: CheckOutput,

    /// Show findings of this severity and above; only these count for the exit code
    #[arg(long, value_enum, default_value_t = CheckSeverity::Warning)]
    pub severity: CheckSeverity,

    /// Also decrypt, with the keys that are there: MACs, what generators make, dotenv values
    #[arg(long)]
    pub decrypt: bool,

    #[command(flatten)]
    pub keys: KeyArgs,

    /// Complain of files that sops last changed longer ago than this: 90d, 12w, 1y
    #[arg(long, value_name = "AGE")]
    pub max_age: Option<String>,

    /// Mend what can be mended safely: misspelt fields of generators and kustomizations, paths that differ in letter case
    #[arg(long)]
    pub fix: bool,

    /// Look only at these rules (repeatable)
    #[arg(long, value_name = "RULE")]
    pub only: Vec<String>,

    /// Leave these rules out (repeatable)
    #[arg(long, value_name = "RULE")]
    pub skip: Vec<String>,

    /// Settings instead of `.unsops.yaml` at the root
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Say what a rule is about, and end
    #[arg(long, value_name = "RULE", conflicts_with_all = ["list_rules", "paths"])]
    pub explain: Option<String>,

    /// List the rules, and end
    #[arg(long, conflicts_with = "paths")]
    pub list_rules: bool,

    /// Show findings only: no summary, no progress, nothing where all is well; -qq nothing at all, the exit code tells
    #[arg(long, short, action = ArgAction::Count)]
    pub quiet: u8,

    #[command(flatten)]
    pub more: VerboseArgs,

    /// Colours
    #[arg(long, value_enum, default_value_t)]
    pub color: ColorChoice,

    #[command(flatten)]
    pub policy: Box<PolicyArgs>,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    /// Annotations of GitHub Actions
    Github,
    Json,
    Junit,
    Sarif,
    /// For people
    Text,
}

/// From which severity on findings count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckSeverity {
    Error,
    Note,
    Warning,
}

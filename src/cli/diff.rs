//! `unsops diff`: arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ColorArgs, KeyArgs, VerboseArgs};

/// Say what changed between two states of encrypted files or Secrets, never a value
///
/// Keys, types, sizes and recipients are compared, and values: by their plaintext where a key opens both sides, else by
/// their ciphertext. Exit code 0: no difference, 1: differences, above: an error.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = AFTER_HELP)]
pub struct DiffArgs {
    /// Two files, two git revisions (or A..B, A...B), or one revision to compare with the working tree; `-` is standard
    /// input with manifests, for example of `kubectl get secrets -o yaml`
    #[arg(value_name = "A B")]
    pub sides: Vec<OsString>,

    /// Files or directories to look at, of two revisions
    #[arg(last = true, value_name = "PATH")]
    pub paths: Vec<OsString>,

    /// Compare ciphertext, even if there are keys
    #[arg(long)]
    pub keyless: bool,

    /// Form of the report
    #[arg(long, short, value_enum, default_value_t, value_name = "FORM")]
    pub output: DiffForm,

    #[command(flatten)]
    pub color: ColorArgs,

    #[command(flatten)]
    pub keys: KeyArgs,

    /// Print nothing, only set the exit code
    #[arg(long, short)]
    pub quiet: bool,

    #[command(flatten)]
    pub more: VerboseArgs,

    /// Print one file with placeholders for values: what git calls a textconv
    #[arg(long, conflicts_with_all = ["keyless", "output", "quiet"])]
    pub textconv: bool,

    /// kustomize's program, for a side that is a directory; without it, `kustomize` on PATH
    #[arg(long, value_name = "PATH")]
    pub kustomize: Option<PathBuf>,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiffForm {
    /// For programs
    Json,
    /// For people
    #[default]
    Text,
}

const AFTER_HELP: &str = "\
As git's diff driver, in .gitattributes `*.enc.yaml diff=sops`, and once on each machine
  git config diff.sops.command 'unsops diff'
or, to see lines with placeholders,
  git config diff.sops.textconv 'unsops diff --textconv'";

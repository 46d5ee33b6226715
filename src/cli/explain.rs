//! `unsops explain`: arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ColorArgs, KeyArgs, VerbosityArgs};

/// Show who can open SOPS files, by which rule they are encrypted, and what stands in them; no key is needed
///
/// Values are never shown, only their names, types and sizes. Exit codes: 0; 1 if a file is broken, or does not open
/// (--try), or can be opened (--recipient); 2 usage.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ExplainArgs {
    /// SOPS files, and directories to search as git sees them (default: the working directory)
    pub paths: Vec<PathBuf>,
    /// Show which files this recipient can open: a recipient, the end of one, an ARN, account, alias or vault, or a name
    #[arg(long, value_name = "WHO")]
    pub recipient: Option<String>,
    /// Open each file with your keys and say whether that succeeds
    #[arg(long = "try")]
    pub tries: bool,
    /// List the values of every file (default: of a single one)
    #[arg(long)]
    pub values: bool,
    /// Form of the report
    #[arg(long, short, value_name = "FORM", value_enum, default_value_t)]
    pub output: ExplainOutput,
    #[command(flatten)]
    pub color: ColorArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

/// Forms of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExplainOutput {
    /// A page for a browser, complete in itself
    Html,
    /// As --output schema describes it
    Json,
    /// The JSON schema of --output json; files are not looked at
    Schema,
    /// One line a file
    Table,
    /// A tree for each file
    #[default]
    Text,
}

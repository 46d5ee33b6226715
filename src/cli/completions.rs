//! `unsops completions`: arguments.

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

//! `unsops completions` and `unsops man`: arguments.

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Print the manual page (roff)
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ManArgs {
    /// The sub-command whose page is wanted; without it, the page of unsops itself
    pub command: Option<String>,
}

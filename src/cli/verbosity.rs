//! How much a sub-command says of its own work: arguments that they share.

use clap::{ArgAction, Args};

/// More or less than usual.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerbosityArgs {
    #[command(flatten)]
    pub more: VerboseArgs,

    /// Show results and errors only: no notes, no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// More than usual, for commands whose `--quiet` has a meaning of its own.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerboseArgs {
    /// Say on standard error what is looked at, where keys are looked for, and how long it takes; -vv for each file. Never a
    /// value
    #[arg(long, short, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

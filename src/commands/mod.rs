//! One file per sub-command; [`generate`] is the plugin path, where the parts meet.

pub mod check;
pub mod completions;
mod decrypt;
pub mod generate;
mod records;
pub mod tree;

use crate::cli::Command;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::Error;
use crate::process::Output;

/// Carries out a sub-command.
///
/// # Errors
/// Whatever kept it from its answer; nothing is printed then.
pub fn run(command: Command, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    match command {
        Command::Check(args) => check::check(&args, env, deadline),
        Command::Completions(args) => Ok(completions::completions(args.shell)),
        Command::Man => Ok(completions::man()?),
    }
}

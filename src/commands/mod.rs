//! One file per sub-command; [`generate`] is the plugin path, where the parts meet.

pub mod build;
pub mod completions;
mod decrypt;
pub mod diff;
mod encrypted;
pub mod generate;
mod records;
pub mod render;
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
        Command::Build(args) => build::run(&args, env, deadline),
        Command::Completions(args) => Ok(completions::completions(args.shell)),
        Command::Diff(args) => diff::diff(&args, env, deadline),
        Command::Man(args) => Ok(completions::man(&args)?),
        Command::Render(args) => render::render(&args, env, deadline),
    }
}

//! One file per sub-command; [`generate`] is the plugin path, where the parts meet.

pub mod build;
pub mod check;
mod child;
pub mod cmp;
pub mod completions;
mod confine;
mod decrypt;
pub mod diff;
mod doctor;
mod encrypted;
mod explain;
pub mod filter;
pub mod generate;
mod in_place;
mod install;
mod narrator;
mod plugin_home;
pub mod policy;
mod programs;
mod records;
pub mod render;
mod transform;
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
        Command::Build(args) => build::run(&args, &args.keys.apply(env), deadline),
        Command::Cmp(args) => cmp::run(&args, env, deadline),
        Command::Completions(args) => Ok(completions::completions(args.shell)),
        Command::Diff(args) => diff::diff(&args, &args.keys.apply(env), deadline),
        Command::Install(args) => install::install(&args, env),
        Command::Doctor(args) => doctor::doctor(&args, &args.keys.apply(env), deadline),
        Command::Explain(args) => explain::explain(&args, &args.keys.apply(env), deadline),
        Command::Filter(args) => filter::run(&args, &args.keys.apply(env), deadline),
        Command::Man(args) => Ok(completions::man(&args)?),
        Command::Check(args) => check::check(&args, &args.keys.apply(env), deadline),
        Command::Render(args) => render::render(&args, &args.keys.apply(env), deadline),
    }
}

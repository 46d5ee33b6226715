//! Completion scripts and the manual page, from the same definition that parses arguments.

use clap_complete::Shell;

use crate::cli::{self, ManArgs};
use crate::error::{Failure, Record};
use crate::process::Output;
use crate::secret::Secret;
use crate::text::Printable;

/// The completion script for a shell.
pub fn completions(shell: Shell) -> Output {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "unsops", &mut script);
    Output::new(Secret::new(script))
}

/// A manual page.
///
/// # Errors
/// There is no such sub-command.
pub fn man(args: &ManArgs) -> Result<Output, Record> {
    let mut definition = cli::definition();
    // Makes the usage of sub-commands begin with `unsops`.
    definition.build();
    let command = match args.command.as_deref() {
        None => definition,
        Some(name) => {
            let found = definition.find_subcommand(name).cloned();
            let unknown = || Record::new(Failure::Usage, format!("there is no sub-command {}", Printable::new(name)));
            found.ok_or_else(|| unknown().hint("`unsops --help` lists them"))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|_| Record::new(Failure::Internal, "the manual page could not be rendered"))?;
    Ok(Output::new(Secret::new(page)))
}

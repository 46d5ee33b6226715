//! Completion scripts and the manual page, from the same definition that parses arguments.

use clap_complete::Shell;

use crate::cli;
use crate::error::{Failure, Record};
use crate::process::Output;
use crate::secret::Secret;

/// The completion script for a shell.
pub fn completions(shell: Shell) -> Output {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "unsops", &mut script);
    Output::new(Secret::new(script))
}

/// The manual page.
///
/// # Errors
/// None that is known: it is rendered to memory.
pub fn man() -> Result<Output, Record> {
    let mut page = Vec::new();
    clap_mangen::Man::new(cli::definition())
        .render(&mut page)
        .map_err(|_| Record::new(Failure::Internal, "the manual page could not be rendered"))?;
    Ok(Output::new(Secret::new(page)))
}

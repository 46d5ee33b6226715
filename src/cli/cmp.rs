//! `unsops cmp`: arguments.

use clap::{Args, Subcommand};

/// Render an Argo CD Application (config management plugin; plugin.yaml calls this)
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CmpArgs {
    /// What Argo CD asks
    #[command(subcommand)]
    pub command: CmpCommand,
}

/// The three questions that Argo CD asks a plugin. None takes arguments: the working directory is the Application's, and
/// everything else stands in the environment.
#[derive(Subcommand, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmpCommand {
    /// Print the manifests of the working directory: a kustomization, a Helm chart, or a directory of YAML files
    Generate,
    /// Print one line if the working directory holds generators or SOPS files; else nothing. Exit 0 either way
    Discover,
    /// Print the parameters that an Application may set, as a JSON array
    Parameters,
}

//! `unsops install`: arguments.

use std::path::PathBuf;

use clap::Args;

/// Copy this program into a directory: for init containers, and for kustomize's plugin directory
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct InstallArgs {
    /// A directory that exists; with --plugin-home, kustomize's plugin directory, which is made where it is missing
    pub dir: PathBuf,

    /// Name of the copy, repeatable [default: the name that this program was called by]
    #[arg(long = "as", value_name = "NAME", conflicts_with = "plugin_home")]
    pub names: Vec<String>,

    /// Copy kustomize too: the one on PATH, else the one beside this program
    #[arg(long)]
    pub with_kustomize: bool,

    /// Make the layout that kustomize's legacy plugins have: GROUP/VERSION/KIND/Kind for each of our kinds
    #[arg(long)]
    pub plugin_home: bool,
}

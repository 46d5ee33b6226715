//! `unsops check --policy`: arguments.

use std::path::PathBuf;

use clap::Args;

/// Questions to an operator's policy; no key is needed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "The operator's policy")]
pub struct PolicyArgs {
    /// Check the operator's policy in FILE; with --project, also say whether the application may open the files named
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The application's project (ARGOCD_APP_PROJECT_NAME)
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub project: Option<String>,

    /// The application's repository (ARGOCD_APP_SOURCE_REPO_URL)
    #[arg(long, value_name = "URL", requires = "policy")]
    pub repo: Option<String>,

    /// The application's path in the repository (ARGOCD_APP_SOURCE_PATH)
    #[arg(long, value_name = "DIR", requires = "policy")]
    pub path: Option<String>,

    /// The namespace that the application is for (ARGOCD_APP_NAMESPACE)
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub namespace: Option<String>,
}

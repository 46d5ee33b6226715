//! Which application asks, as Argo CD says.

use crate::environment::Environment;
use crate::text::Printable;

/// The application that a run is for. Argo CD sets these variables itself; what an Application or a repository may set
/// has other names (`ARGOCD_ENV_…`, `PARAM_…`), and `.argocd-source.yaml` cannot change them.
///
/// Source: Argo CD v3.5.7, `reposerver/repository/repository.go` (`newEnv`, `mergeSourceParameters`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applicant {
    /// `ARGOCD_APP_PROJECT_NAME`
    pub project: Option<String>,
    /// `ARGOCD_APP_SOURCE_REPO_URL`
    pub repository: Option<String>,
    /// `ARGOCD_APP_SOURCE_PATH`
    pub path: Option<String>,
    /// `ARGOCD_APP_NAMESPACE`: the destination's.
    pub namespace: Option<String>,
}

impl Applicant {
    /// Takes what Argo CD says; empty is not said.
    pub fn from_environment(environment: &Environment) -> Self {
        let text = |name: &str| environment.non_empty(name).map(str::to_owned);
        Self {
            project: text("ARGOCD_APP_PROJECT_NAME"),
            repository: text("ARGOCD_APP_SOURCE_REPO_URL"),
            path: text("ARGOCD_APP_SOURCE_PATH"),
            namespace: text("ARGOCD_APP_NAMESPACE"),
        }
    }

    /// The repository's address as patterns see it.
    pub(super) fn repository(&self) -> Option<String> {
        self.repository.as_deref().and_then(repository)
    }

    /// The application's path as patterns see it; the top of the repository is the empty path.
    pub(super) fn path(&self) -> Option<String> {
        self.path.as_deref().and_then(path)
    }

    /// Names the application in a message.
    pub fn describe(&self) -> String {
        let named = [
            ("project", self.project.clone()),
            ("repository", self.repository.as_deref().map(without_user)),
            ("path", self.path.clone()),
            ("namespace", self.namespace.clone()),
        ];
        let named: Vec<String> =
            named.into_iter().filter_map(|(what, value)| Some(format!("{what} {}", Printable::new(&value?)))).collect();
        match named.is_empty() {
            true => "no application (ARGOCD_APP_PROJECT_NAME is not set)".to_owned(),
            false => named.join(", "),
        }
    }
}

/// An address without what makes two of one: the user, a final `/`, `.git`. None if it holds what one server reads
/// differently from another.
pub(super) fn repository(address: &str) -> Option<String> {
    // Before the user is taken off: where the user ends is what readers disagree about.
    if !is_unambiguous(address) {
        return None;
    }
    let address = without_user(address);
    let trimmed = address.trim_end_matches('/');
    Some(trimmed.strip_suffix(".git").unwrap_or(trimmed).to_owned())
}

/// A pattern for addresses, in the form that addresses are compared in.
pub(super) fn repository_pattern(pattern: &str) -> String {
    let pattern = without_user(pattern);
    let trimmed = pattern.trim_end_matches('/');
    trimmed.strip_suffix(".git").unwrap_or(trimmed).to_owned()
}

/// A path without `.` and empty parts. None if it holds `..`.
pub(super) fn path(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// The user of a URL may hold a password, and anyone may write any name there.
pub(super) fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

/// Whether every reader takes a URL or resource name apart in the same way.
pub(super) fn is_unambiguous(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '?' | '#' | '%'))
        && !text.split('/').any(|part| matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_address() {
        for (address, want) in [
            ("https://git.test/org/repo.git", Some("https://git.test/org/repo")),
            ("https://git.test/org/repo/", Some("https://git.test/org/repo")),
            ("https://user:token@git.test/org/repo", Some("https://git.test/org/repo")),
            ("https://git.test@evil.test/org/repo", Some("https://evil.test/org/repo")),
            ("https://a@b@evil.test/x", Some("https://evil.test/x")),
            ("git@git.test:org/repo.git", Some("git@git.test:org/repo")),
            ("ssh://git@git.test/org/repo", Some("ssh://git.test/org/repo")),
            ("https://git.test/org/../other/repo", None),
            ("https://git.test/org/%2e%2e/other", None),
            ("https://git.test\\@evil.test/x", None),
            ("https://git.test/org/repo?x", None),
            ("https://git.test/org/repo#x", None),
            ("https://git.test/org/repo\n", None),
        ] {
            assert_eq!(repository(address).as_deref(), want, "{address}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_none() {
        assert_eq!(path("./apps//a/").as_deref(), Some("apps/a"));
        assert_eq!(path(".").as_deref(), Some(""));
        assert_eq!(path("apps/../b"), None);
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let applicant = Applicant {
            project: Some("a\u{1b}[31m".into()),
            repository: Some("https://u:CANARY-7f3a@git.test/x".into()),
            ..Applicant::default()
        };
        assert_eq!(applicant.describe(), "project a\\u{1b}[31m, repository https://git.test/x");
    }
}

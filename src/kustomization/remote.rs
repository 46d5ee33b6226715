//! What kustomize would fetch.
//!
//! Source: kustomize v5.8.1, `api/internal/git/repospec.go` (`NewRepoSpecFromURL`), `api/internal/loader/fileloader.go`
//! (`IsRemoteFile`).

/// Whether kustomize downloads an entry as a file: an `http` or `https` URL.
pub fn is_remote_file(entry: &str) -> bool {
    strip(entry, "http://").or_else(|| strip(entry, "https://")).is_some_and(|rest| !rest.is_empty())
}

/// Whether kustomize clones a repository for an entry. `https://` URLs are tried as files first.
pub fn is_remote_root(entry: &str) -> bool {
    split_remote_root(entry).is_some()
}

/// The path of the repository at its host, and the directory in it: what [`is_remote_root`] tells apart.
pub fn split_remote_root(entry: &str) -> Option<(&str, String)> {
    if entry.starts_with('/') {
        return None;
    }
    let entry = entry.split('?').next().unwrap_or(entry);
    let entry = strip(entry, "git::").unwrap_or(entry);
    let (scheme, rest) = ["ssh://", "https://", "http://", "file://"]
        .iter()
        .find_map(|scheme| strip(entry, scheme).map(|rest| (*scheme, rest)))
        .unwrap_or(("", entry));
    if scheme == "file://" {
        let (repository, inner) = rest.split_once("//").unwrap_or((rest, ""));
        return Some((repository, super::place::clean(inner)?)).filter(|_| !rest.is_empty());
    }
    let (has_user, rest) = match rest.split_once('@') {
        Some((user, rest)) if is_user(user) => (true, rest),
        _ => (false, rest),
    };
    let is_github = strip(rest, "github.com/").or_else(|| strip(rest, "github.com:")).is_some();
    let is_scp = scheme.is_empty() && (has_user || is_github);
    if scheme.is_empty() && !is_scp {
        return None;
    }
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|_| is_scp);
    let end = match (slash, colon) {
        (Some(slash), Some(colon)) if 0 < colon && colon < slash => Some(colon),
        (None, colon) => colon,
        (slash, _) => slash,
    };
    split_repository(end.and_then(|end| rest.get(end.saturating_add(1)..))?)
}

/// `_git/`, `//` and `.git` end the repository's path, else it is two segments.
fn split_repository(path: &str) -> Option<(&str, String)> {
    let (repository, inner) = if let Some((before, after)) = path.split_once("_git/") {
        (if before.is_empty() { after } else { before }, after.split_once('/').map_or("", |(_, inner)| inner))
    } else if let Some((before, after)) = path.split_once("//") {
        (before, after)
    } else if let Some((before, after)) = path.split_once(".git") {
        (if before.is_empty() { ".git" } else { before }, after)
    } else {
        let mut segments = path.splitn(3, '/');
        match (segments.next(), segments.next()) {
            (Some(owner), Some(_)) if !path.is_empty() => (owner, segments.next().unwrap_or("")),
            _ => return None,
        }
    };
    Some((repository, super::place::clean(inner)?)).filter(|_| !repository.is_empty())
}

fn is_user(user: &str) -> bool {
    user.starts_with(|c: char| c.is_ascii_alphabetic()) && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// What follows a prefix, in any letter case.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: kustomize v5.8.1, `NewRepoSpecFromURL`.
    #[test]
    fn tells_repositories_from_directories() {
        for remote in [
            "https://github.com/org/repo//base?ref=v1",
            "https://github.com/org/repo",
            "github.com/org/repo/base",
            "git@github.com:org/repo.git",
            "git::https://gitlab.com/org/repo.git//x",
            "ssh://git@example.com/org/repo",
            "file:///srv/repo",
            "https://dev.azure.com/org/project/_git/repo/path",
            "GitHub.com:org/repo",
        ] {
            assert!(is_remote_root(remote), "{remote}");
        }
        for local in [
            "../base",
            "base",
            "/abs/github.com/org/repo",
            "example.com/org/repo",
            "github.com/org",
            "https://host",
            "a@b/c",
            "https://github.com/org/repo//../../x",
            "",
            "?",
            "//",
        ] {
            assert!(!is_remote_root(local), "{local}");
        }
    }

    #[test]
    fn tells_downloads_from_files() {
        assert!(is_remote_file("https://example.com/crds.yaml"));
        assert!(is_remote_file("HTTP://example.com/crds.yaml"));
        assert!(!is_remote_file("https.yaml"));
        assert!(!is_remote_file("https://"));
        assert!(!is_remote_file("ä"));
    }
}

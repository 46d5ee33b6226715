//! Paths beneath the root, as text.

/// Joins a path to a directory and cleans the result; `None` where it leaves the root or is absolute.
pub fn join(directory: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\0') {
        return None;
    }
    clean(&format!("{directory}/{path}"))
}

/// Cleans a path as Go's `filepath.Clean` does: no `.`, no `..`, no doubled or final slash. `None` where `..` leads
/// above the start.
pub fn clean(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The directory that a path lies in; empty for what lies in the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether `outer` is `inner` or an ancestor of it.
pub(super) fn contains(outer: &str, inner: &str) -> bool {
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` as seen by a reader of `directory/file`: joined for messages.
pub(super) fn file_in(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

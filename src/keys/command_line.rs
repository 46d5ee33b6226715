//! Command lines of key programs: their words, and where on PATH the program is.

#[cfg(feature = "azure")]
use std::ffi::OsStr;
use std::ffi::OsString;
#[cfg(feature = "azure")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Finds a program: with a slash as it stands, else on PATH. Entries of PATH that are not absolute are passed over, as
/// Go does: the working directory belongs to whoever wrote the manifests.
pub(super) fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let path = environment.var_os("PATH").map(OsString::from)?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

/// The first of these names of programs that is on PATH, as [`find`] has it. PATH is gone through once.
#[cfg(feature = "azure")]
pub(super) fn first_on_path<'n>(names: &[&'n str], environment: &Environment) -> Option<&'n str> {
    let path = environment.var_os("PATH")?;
    let mut candidate = PathBuf::with_capacity(256);
    let directories = path.as_bytes().split(|byte| *byte == b':').filter(|directory| directory.starts_with(b"/"));
    for directory in directories {
        for name in names {
            candidate.as_mut_os_string().clear();
            candidate.push(OsStr::from_bytes(directory));
            candidate.push(name);
            if is_executable(&candidate) {
                return Some(name);
            }
        }
    }
    None
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Splits a command line into words; none where it ends inside quotes or after a backslash.
///
/// Backslash escapes any character outside quotes and inside `"`, not inside `'`; quotes join the word they touch; `#`
/// at the start of a word begins a comment that ends with the line.
///
/// Source: github.com/google/shlex.
pub(super) fn split(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = command.chars();
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    while let Some(first) = chars.next() {
        if is_space(first) {
            continue;
        }
        if first == '#' {
            chars.by_ref().find(|c| *c == '\n');
            continue;
        }
        let mut word = String::new();
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => word.push(chars.next()?),
                '\'' => loop {
                    match chars.next()? {
                        '\'' => break,
                        quoted => word.push(quoted),
                    }
                },
                '"' => loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        quoted => word.push(quoted),
                    }
                },
                space if is_space(space) => break,
                plain => word.push(plain),
            }
            next = chars.next();
        }
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_over_entries_of_path_that_are_not_absolute() {
        let with = |path: &str| Environment::new([("PATH".into(), path.into())], None);
        assert_eq!(find("sh", &with(".:bin::/bin")), Some("/bin/sh".into()));
        assert_eq!(find("sh", &with(".:")), None);
    }

    #[test]
    fn splits_words_as_google_shlex_does() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("one \"two three\" four", Some(&["one", "two three", "four"])),
            ("a'b'c\"d\"e", Some(&["abcde"])),
            ("'' \"\"", Some(&["", ""])),
            ("a\\ b \\'c", Some(&["a b", "'c"])),
            ("'a\\'b", Some(&["a\\b"])),
            ("\"a\\nb\\\"\"", Some(&["anb\""])),
            ("a # comment 'x\nb#c", Some(&["a", "b#c"])),
            ("a\u{a0}b\u{b}c", Some(&["a\u{a0}b\u{b}c"])),
            ("a \\", None),
            ("\"a", None),
            ("\"a\\", None),
            ("", Some(&[])),
        ];
        for (command, words) in cases {
            let expected = words.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            assert_eq!(split(command), expected, "{command:?}");
        }
    }
}

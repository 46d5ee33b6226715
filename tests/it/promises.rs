//! Tests that documents name are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::tests_dir;

/// Documents whose promises are held by tests.
const DOCUMENTS: [&str; 3] = ["tests/promises.md", ".github/SECURITY.md", ".github/THREAT-MODEL.md"];

fn read(path: &str) -> String {
    fs::read_to_string(tests_dir().parent().expect("the project").join(path)).expect(path)
}

/// Full names of all tests as `cargo test` prints them.
fn tests_below(folder: &Path, room: &str, found: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let inner = |name: &str| if room.is_empty() { name.to_owned() } else { format!("{room}::{name}") };
        if path.is_dir() {
            tests_below(&path, &inner(&name), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let room = if matches!(name.as_str(), "mod" | "lib" | "main") { room.to_owned() } else { inner(&name) };
            let text = fs::read_to_string(&path).expect("a source file");
            tests_in(&text, &room, found);
        }
    }
}

/// Full names of the tests in one file. rustfmt lines up a module with its closing brace.
fn tests_in(text: &str, room: &str, found: &mut BTreeSet<String>) {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect() };
    let mut modules: Vec<(&str, String)> = Vec::new();
    let mut is_test = false;
    for line in text.lines() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        if code == "#[test]" {
            is_test = true;
        } else if let Some(name) = code.strip_prefix("mod ").filter(|_| code.ends_with('{')) {
            modules.push((indent, word(name)));
        } else if code == "}" && modules.last().is_some_and(|(at, _)| *at == indent) {
            modules.pop();
        } else if let Some(name) = code.strip_prefix("fn ").filter(|_| is_test) {
            let inner = modules.iter().map(|(_, name)| name.clone());
            let parts: Vec<String> = [room.to_owned()].into_iter().chain(inner).chain([word(name)]).collect();
            found.insert(parts.join("::"));
            is_test = false;
        }
    }
}

/// What stands between backticks and has the form of a test's name.
fn named(text: &str) -> Vec<String> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains("::") && code.split("::").all(is_word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut tests = BTreeSet::new();
    tests_below(&tests_dir().join("it"), "", &mut tests);
    tests_below(&tests_dir().with_file_name("src"), "", &mut tests);
    assert!(tests.len() > 500, "only {} tests read: does this test still find the sources?", tests.len());
    for document in DOCUMENTS {
        let named = named(&read(document));
        let missing: Vec<_> = named.iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{document} names tests that are not there: {missing:#?}");
        assert!(named.len() >= 5, "{document} names {} tests", named.len());
    }
}

#[test]
fn every_promise_is_held_by_something() {
    let text = read("tests/promises.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    let rows: Vec<&&str> = rows.iter().filter(|line| !line.starts_with("| ---")).collect();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| {number} |")), "row {number}: {row}");
        assert!(!named(row).is_empty() || (58..=61).contains(&number), "row {number} names no test");
    }
    assert_eq!(rows.len(), 64);
}

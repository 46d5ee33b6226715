//! The picture in the crate docs, held against the `use crate::` lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::endurance::figure;

/// What each room may import, besides itself. Imports only point down; rooms of one layer do not know each other.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("color", &["environment"]),
    ("deadline", &["environment", "limits"]),
    ("environment", &[]),
    ("interruption", &[]),
    ("limits", &[]),
    ("number", &[]),
    ("secret", &[]),
    ("spelling", &[]),
    ("text", &["limits"]),
    ("workers", &["limits", "secret"]),
    ("path", &["limits", "text"]),
    ("yaml", &["limits", "number", "secret", "text"]),
    ("sops", &["limits", "number", "secret", "text", "yaml"]),
    ("generator", &["limits", "number", "path", "secret", "sops", "spelling", "text", "workers", "yaml"]),
    ("diff", &["limits", "secret", "sops", "text", "yaml"]),
    ("host", &["environment", "limits", "path", "secret", "text", "yaml"]),
    ("recipient", &["limits", "sops", "text"]),
    ("walk", &["limits", "text"]),
    ("jail", &["environment", "limits", "path", "secret", "text"]),
    ("findings", &["limits", "text", "yaml"]),
    ("kustomization", &["limits", "spelling", "text", "yaml"]),
    ("keys", &["deadline", "environment", "interruption", "limits", "secret", "sops", "text", "yaml"]),
    ("sandbox", &["environment", "limits"]),
    ("policy", &["environment", "limits", "sops", "spelling", "text", "yaml"]),
    ("error", &["text"]),
    ("process", &["deadline", "environment", "error", "interruption", "secret", "text"]),
    ("cli", &["color", "environment", "error", "limits", "text"]),
    (
        "commands",
        &[
            "cli",
            "color",
            "deadline",
            "diff",
            "environment",
            "error",
            "findings",
            "generator",
            "host",
            "interruption",
            "jail",
            "keys",
            "kustomization",
            "limits",
            "path",
            "policy",
            "process",
            "recipient",
            "sandbox",
            "secret",
            "sops",
            "spelling",
            "text",
            "walk",
            "workers",
            "yaml",
        ],
    ),
];

/// What the pure layer must not touch.
const SOPS_MUST_NOT_USE: &[&str] =
    &["std::env", "std::fs", "std::net", "std::process", "std::thread", "std::time", "rustix::", "cap_std::"];

#[test]
fn imports_only_point_down() {
    let rooms: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut violations = Vec::new();
    let mut seen = 0;
    for (path, text) in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let room = room_of(&path);
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        for imported in crate_imports(product) {
            seen += 1;
            let allowed = room == "lib"
                || room == "main"
                || imported == room
                || rooms.get(room.as_str()).is_some_and(|allowed| allowed.contains(&imported.as_str()));
            if !allowed {
                violations.push(format!("{path}: `{room}` imports `{imported}`"));
            }
        }
        if room == "sops" {
            violations.extend(
                SOPS_MUST_NOT_USE
                    .iter()
                    .filter(|word| product.contains(**word))
                    .map(|word| format!("{path}: uses {word}")),
            );
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(seen > 50, "only {seen} imports read: does this test still find the sources?");
    figure(&format!("{seen} imports, 0 upwards"));
}

#[test]
fn every_room_is_in_the_picture() {
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("crate docs");
    let docs: String = docs.lines().filter(|line| line.starts_with("//!")).collect();
    for (room, _) in MAY_IMPORT {
        assert!(docs.contains(room), "`{room}` is not in the crate docs");
    }
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.to_string_lossy().rsplit_once("/src/").map(|(_, name)| name.to_owned()).expect("in src");
            if !name.ends_with("tests.rs") {
                found.push((name, fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    found
}

/// `sops/store/json.rs` is in the room `sops`, `jail.rs` in `jail`.
fn room_of(path: &str) -> String {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs").to_owned()
}

/// First components of `crate::` paths, groups included.
fn crate_imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = group.split('}').next().unwrap_or(group);
                found.extend(group.split(',').map(|part| first_word(part.trim())));
            } else {
                found.push(first_word(rest));
            }
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

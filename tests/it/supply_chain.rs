//! What the binary is made of: readable by scanners, counted as documented, without `unsafe` of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::endurance::figure;
use crate::harness::{skip, tests_dir, tool, unsops};

fn project() -> PathBuf {
    tests_dir().parent().expect("the project").to_owned()
}

/// Names and versions in Cargo.lock.
fn locked() -> BTreeSet<(String, String)> {
    let lock = fs::read_to_string(project().join("Cargo.lock")).expect("Cargo.lock");
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.map(|value| value.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]").filter_map(|block| Some((field(block, "name")?, field(block, "version")?))).collect()
}

#[test]
fn scanners_find_the_crates_in_the_binary() {
    let Some(reader) = tool("crates") else { return };
    let run = Command::new(reader).arg(unsops()).output().expect("it starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8(run.stdout).expect("UTF-8");
    let said: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let locked = locked();
    for crates in &said {
        let [name, version, kind] = crates.as_slice() else { panic!("three words, not {crates:?}") };
        assert!(locked.contains(&((*name).to_owned(), (*version).to_owned())), "{name} {version} is not in Cargo.lock");
        assert!(matches!(*kind, "build" | "runtime"), "{name}: {kind}");
    }
    let kind = |name: &str| said.iter().find(|one| one.first() == Some(&name)).and_then(|one| one.get(2).copied());
    assert_eq!(kind("unsops"), Some("runtime"));
    assert_eq!(kind("rustls"), Some("runtime"));
    assert_eq!(kind("proc-macro2"), Some("build"));
    assert_eq!(kind("insta"), None, "tests are not in the binary");
    let runtime = said.iter().filter(|one| one.get(2) == Some(&"runtime")).count();
    figure(&format!("{} crates found in the binary, {runtime} of them linked", said.len() - 1));
}

#[test]
fn counts_are_those_of_the_documents() {
    let Ok(run) = Command::new("python3").arg(tests_dir().join("sbom")).arg("--count").output() else {
        return skip("python3 is not installed");
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let counted = String::from_utf8(run.stdout).expect("UTF-8");
    let counted = counted.trim();
    let numbers: Vec<usize> = counted.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [crates, scripts, macros] = numbers.as_slice() else { panic!("three numbers, not {counted}") };
    let security = fs::read_to_string(project().join(".github/SECURITY.md")).expect("SECURITY.md").replace('\n', " ");
    let wanted = format!("{crates} crates end up in the build");
    assert!(security.contains(&wanted), "SECURITY.md does not say: {counted}");
    let wanted = format!("{scripts} of them have a build script and {macros} are procedural macros");
    assert!(security.contains(&wanted), "SECURITY.md does not say: {counted}");
    assert!(*crates <= 400, "{counted}");
    figure(counted);
}

#[test]
fn what_runs_at_build_time_opens_no_connection() {
    let Ok(run) = Command::new("python3").arg(tests_dir().join("sbom")).arg("--build").output() else {
        return skip("python3 is not installed");
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8(run.stdout).expect("UTF-8");
    let with = |sign: &str| said.lines().filter(|line| line.contains(sign)).collect::<Vec<_>>();
    assert_eq!(with("network"), Vec::<&str>::new());
    let compilers = with("compiles C");
    let known = [" ring ", " libmimalloc-sys ", " signal-hook "];
    let are_known = compilers.iter().all(|line| known.iter().any(|name| line.contains(name)));
    assert!(are_known && compilers.len() == known.len(), "{compilers:?}");
    let (all, starters) = (said.lines().count(), with("starts programs").len());
    figure(&format!("{all} build scripts and macros read: {starters} start programs, 3 compile C, 0 open connections"));
}

#[test]
fn nothing_of_ours_is_unsafe() {
    let mut manifests = vec![project().join("Cargo.toml")];
    let mut sources = vec![project().join(".cargo/build.rs")];
    for folder in ["src", "tests"] {
        files_below(&project().join(folder), &mut manifests, &mut sources);
    }
    for manifest in &manifests {
        let text = fs::read_to_string(manifest).expect("a manifest");
        let own = text.contains("unsafe_code = \"forbid\"");
        assert!(own, "{} does not forbid unsafe code", manifest.display());
    }
    let word = concat!("un", "safe ");
    let found: Vec<_> = sources
        .iter()
        .filter(|path| fs::read_to_string(path).expect("a source").lines().any(|line| starts_unsafe(line, word)))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(sources.len() > 250 && manifests.len() > 1, "does this test still find the sources?");
    figure(&format!("{} files, {} packages that forbid it", sources.len(), manifests.len()));
}

/// Whether a line of code, not of comment, has a block, function, trait or implementation that is marked so.
fn starts_unsafe(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(word)
        .skip(1)
        .any(|rest| ["{", "fn ", "impl ", "trait ", "extern "].iter().any(|next| rest.starts_with(next)))
}

/// Manifests and sources, without what git ignores.
fn files_below(folder: &Path, manifests: &mut Vec<PathBuf>, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != ".tools" && name != "target" {
            files_below(&path, manifests, sources);
        } else if name == "Cargo.toml" {
            manifests.push(path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}

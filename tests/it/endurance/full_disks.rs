//! Disks that are full, and files that may not grow: what is to be written is complete or untouched, nothing stays beside
//! it, and the message says why.

use std::fs;
use std::process::{Command, Stdio};

use super::after;
use crate::harness::{CANARY, Case, files_below, tests_dir, tool, unsops};

/// What a shell line came to: exit status, stderr, and what `report` printed on stdout.
struct Outcome {
    said: String,
    reported: String,
}

/// Mounts a file system of 256 KiB at `full`, fills it up but for what `before` puts there, and runs unsops. `None` where
/// nothing may be mounted.
fn on_a_full_disk(case: &Case, before: &str, line: &str, report: &str) -> Option<Outcome> {
    let script = format!(
        "mount -t tmpfs -o size=256k none full && echo mounted && cd . && {before}\n\
         head -c 10000000 /dev/zero >full/filler 2>/dev/null\n\
         {line}\necho \"status $?\"\nrm full/filler\n{report}\n"
    );
    let mut run = Command::new("unshare");
    run.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", &script]).arg(unsops()).env_clear();
    run.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", case.home()).env("TMPDIR", case.tmp());
    run.env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt")).current_dir(case.root()).stdin(Stdio::null());
    let output = run.output().ok()?;
    let reported = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let Some(reported) = reported.strip_prefix("mounted\n") else {
        // Containers often may not; the tests with a limit in the place of a disk remain.
        std::io::Write::write_all(&mut std::io::stderr(), format!("\nnothing may be mounted: {said}\n").as_bytes())
            .ok();
        return None;
    };
    assert!(!said.contains(CANARY));
    Some(Outcome { said, reported: reported.to_owned() })
}

/// A kustomization with a secret, and a directory to be filled.
fn application() -> Case {
    Case::new().key("age.txt").tree("golden/several", "app").file("full/.keep", "")
}

#[test]
fn the_file_of_a_build_is_complete_or_untouched() {
    let Some(kustomize) = tool("kustomize") else { return };
    let kustomize = kustomize.display().to_string();
    let case = application().file("out.yaml", "before\n");
    let line = format!("\"$0\" build app --kustomize '{kustomize}' -o full/out.yaml");
    if let Some(full) = on_a_full_disk(&case, "echo before >full/out.yaml", &line, "cat full/out.yaml; ls -A full") {
        assert_eq!(full.reported, "status 9\nbefore\nout.yaml\n", "{}", full.said);
        assert!(full.said.contains("full/out.yaml: cannot be written (no storage space)"), "{}", full.said);
    }
    // kustomize itself writes its plugin's config to a file, so one block is not enough for it.
    let run = after("ulimit -f 8", &case, &["build", "app", "--kustomize", &kustomize, "-o", "out.yaml"]);
    let written = fs::read_to_string(case.root().join("out.yaml")).expect("there");
    match run.status {
        Some(0) => assert!(written.contains("kind: Secret")),
        _ => assert_eq!(written, "before\n", "{}", run.redacted()),
    }
    let beside = fs::read_dir(case.root()).expect("the root").flatten().map(|entry| entry.file_name());
    assert!(beside.into_iter().all(|name| !name.to_string_lossy().starts_with(".out")), "left behind");
    let run = after("", &case, &["build", "app", "--kustomize", &kustomize, "-o", "/dev/full"]);
    assert!(run.failure(9).contains("not a regular file"));
}

#[test]
fn a_build_with_a_full_temporary_directory_is_refused() {
    let Some(kustomize) = tool("kustomize") else { return };
    let case = application();
    let line = format!("TMPDIR=$PWD/full \"$0\" build app --kustomize '{}'", kustomize.display());
    let Some(full) = on_a_full_disk(&case, ":", &line, "ls -A full") else { return };
    // Directories of a tmpfs take no block: the build may also succeed.
    let status = full.reported.lines().find_map(|line| line.strip_prefix("status ")).expect("a status");
    assert!(status == "0" || full.said.starts_with("unsops: error: "), "{}{}", full.reported, full.said);
    assert!(status == "0" || !full.reported.contains("kind: Secret"), "half an answer");
    assert!(full.reported.ends_with(&format!("status {status}\n")), "left behind: {}", full.reported);
}

#[test]
fn an_installed_program_is_whole_or_the_old_one() {
    let case = application();
    let before = "printf old >full/unsops";
    if let Some(full) = on_a_full_disk(&case, before, "\"$0\" install full", "cat full/unsops; echo; ls -A full") {
        assert_eq!(full.reported, "status 4\nold\nunsops\n", "{}", full.said);
        assert!(full.said.contains("full/unsops: no space is left on the device"), "{}", full.said);
    }
    let case = case.file("tools/unsops", "old");
    let run = after("ulimit -f 1000", &case, &["install", "tools"]);
    assert!(run.failure(4).contains("tools/unsops: "), "{}", run.redacted());
    assert_eq!(fs::read(case.root().join("tools/unsops")).expect("there"), b"old");
    assert_eq!(files_below(&case.root().join("tools")).len(), 1);
}

#[test]
fn a_file_that_is_mended_is_complete_or_untouched() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\nFiles:\n- ./secret.enc.yaml\n";
    let kustomization = "generators:\n- gen.yaml\n";
    let case = Case::new()
        .file("full/.keep", "")
        .file("gen.yaml", manifest)
        .file("kustomization.yaml", kustomization)
        .fixture("enc/3.13.3/scalars.yaml", "secret.enc.yaml");
    let before = "cp gen.yaml kustomization.yaml secret.enc.yaml full";
    if let Some(full) =
        on_a_full_disk(&case, before, "\"$0\" check --fix full >/dev/null", "cat full/gen.yaml; ls -A full")
    {
        let files = "gen.yaml\nkustomization.yaml\nsecret.enc.yaml\n";
        assert_eq!(full.reported, format!("status 1\n{manifest}{files}"), "{}", full.said);
        assert!(full.said.contains("gen.yaml: not mended, it cannot be written"), "{}", full.said);
    }
    let run = after("ulimit -f 0", &case, &["check", "--fix"]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status == Some(1) && said.contains("gen.yaml: not mended, it cannot be written"), "{}", run.redacted());
    assert_eq!(fs::read_to_string(case.root().join("gen.yaml")).expect("there"), manifest);
    assert_eq!(fs::read_dir(case.root()).expect("the root").count(), 5);
    let run = after("", &case, &["check", "--fix"]);
    assert!(!String::from_utf8_lossy(&run.stderr).contains("not mended"), "{}", run.redacted());
    assert!(fs::read_to_string(case.root().join("gen.yaml")).expect("there").contains("\nfiles:"));
}

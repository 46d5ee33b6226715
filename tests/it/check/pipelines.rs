//! The examples for GitHub and GitLab and the hooks for pre-commit run as they stand, in the programs that run such files
//! on a laptop: `act`, `gitlab-ci-local` and pre-commit itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::{plain_secret, secret};
use crate::harness::{CANARY, Case, Run, tests_dir, tool, unsops};

const FINDING: &str = "Secret db is in clear: password";

fn example(path: &str) -> String {
    let path = tests_dir().parent().expect("the repository").join(path);
    fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()))
}

/// A repository in whose pipeline this unsops is the one on the `PATH`.
fn pipeline(is_good: bool, files: &[(&str, String)]) -> Case {
    let secret = if is_good { secret("db") } else { plain_secret("db") };
    let mut path: Vec<PathBuf> = unsops().parent().map(Path::to_owned).into_iter().collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let case = Case::without_git().file("repo/db.enc.yaml", secret);
    let case = files.iter().fold(case, |case, (name, text)| case.file(name, text));
    commit(&case.root().join("repo"));
    let config = case.home().join(".config");
    case.cwd("repo").env("PATH", std::env::join_paths(path).expect("a path")).env("XDG_CONFIG_HOME", config)
}

/// Makes a directory a repository with one commit.
fn commit(dir: &Path) {
    for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-q", "-m", "x"]] {
        let git = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(args)
            .current_dir(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output();
        assert!(git.is_ok_and(|git| git.status.success()), "git {args:?}");
    }
}

/// What a runner printed, without any value.
fn said(run: &Run) -> String {
    let text = String::from_utf8_lossy(&[run.stdout.as_slice(), &run.stderr].concat()).into_owned();
    assert!(!text.contains(CANARY), "a value is shown");
    text
}

#[test]
fn github_workflow_runs_and_hands_its_findings_over() {
    let Some(act) = tool("act") else { return };
    // Uploading needs GitHub; what stands in its place sees whether there is something to upload.
    let upload = "name: x\ndescription: x\ninputs: {sarif_file: {required: true, description: x}}\nruns:\n  using: composite\n  steps:\n  - run: |\n      (grep -c '\"ruleId\"' \"${{ inputs.sarif_file }}\" || true) | sed 's/^/uploaded: /'\n    shell: bash\n";
    for is_good in [true, false] {
        let case = pipeline(
            is_good,
            &[
                ("repo/.github/workflows/check.yaml", example("examples/check/github.yaml")),
                ("upload/upload-sarif/action.yaml", upload.to_owned()),
            ],
        );
        // Without a file of settings it asks for a size of image.
        fs::create_dir_all(case.home().join(".config/act")).expect("create");
        fs::write(case.home().join(".config/act/actrc"), "").expect("write");
        let upload = format!("github/codeql-action@v3={}", case.root().join("upload").display());
        let run = case.run_with(
            &act,
            ["pull_request", "-P", "ubuntu-latest=-self-hosted", "--local-repository", &upload, "--rm"],
        );
        let said = said(&run);
        assert_eq!(run.status, Some(i32::from(!is_good)), "{said}");
        assert_eq!(
            said.contains(&format!("::error file=db.enc.yaml,line=6,col=5,title=unsops plaintext-secret::{FINDING}")),
            !is_good,
            "{said}"
        );
        assert!(said.contains(if is_good { "uploaded: 0" } else { "uploaded: 1" }), "{said}");
    }
}

#[test]
fn gitlab_pipeline_runs_and_leaves_a_test_report() {
    let Some(gitlab) = tool("gitlab-ci-local") else { return };
    for is_good in [true, false] {
        let case = pipeline(is_good, &[("repo/.gitlab-ci.yml", example("examples/check/gitlab-ci.yml"))]);
        let run = case.run_with(&gitlab, ["unsops"]);
        let said = said(&run);
        assert_eq!(run.status, Some(i32::from(!is_good)), "{said}");
        assert_eq!(said.contains(FINDING), !is_good, "{said}");
        let report = fs::read_to_string(case.root().join("repo/unsops.xml")).expect("a report");
        assert!(report.contains(if is_good { "failures=\"0\"" } else { "failures=\"1\"" }), "{report}");
    }
}

#[test]
fn pre_commit_hook_runs_and_stops_the_commit() {
    let Some(pre_commit) = tool("pre-commit") else { return };
    for is_good in [true, false] {
        let case = pipeline(is_good, &[("hooks/.pre-commit-hooks.yaml", example(".pre-commit-hooks.yaml"))]);
        commit(&case.root().join("hooks"));
        let case = case.env("GIT_CONFIG_GLOBAL", "/dev/null");
        let run = case.run_with(&pre_commit, ["try-repo", "../hooks", "unsops-check", "--all-files"]);
        let said = said(&run);
        assert_eq!(run.status, Some(i32::from(!is_good)), "{said}");
        assert!(said.contains(if is_good { "Passed" } else { "Failed" }), "{said}");
        assert_eq!(said.contains(FINDING), !is_good, "{said}");
    }
}

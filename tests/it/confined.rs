//! What the commands beside plugin calls give up before they take apart what others wrote, seen from outside and tried from
//! inside; and that they work where the kernel has nothing to give it up with.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use unsops::sandbox::{self, Layer};

use crate::endurance::figure;
use crate::harness::{Case, skip, tests_dir, unsops};
use crate::sandbox::{has_kernel, traced};

/// A root with a kustomization, a generator and an encrypted file.
fn app() -> Case {
    Case::new()
        .file("kustomization.yaml", "generators: [gen.yaml]\n")
        .file(
            "gen.yaml",
            "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nsecretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n",
        )
        .fixture("enc/3.13.3/text.txt", "secret.enc.txt")
        .fixture("enc/3.13.3/text.txt", "other.enc.txt")
        .file("policy.yaml", "apiVersion: unsops.dev/v1\nkind: Policy\nrules:\n- name: a\n  match: {projects: [p]}\n  allow: {age: [age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft]}\n")
}

/// What nothing that is confined does.
const FORBIDDEN: [&str; 6] = ["socket(", "connect(", "execve(", "O_WRONLY", "O_RDWR", "O_CREAT"];

/// The number of the thread that made a call.
fn thread(call: &str) -> &str {
    call.split_whitespace().next().unwrap_or_default()
}

/// What a command did, and where in it the first system calls of some kinds are.
struct Trace {
    args: String,
    calls: Vec<String>,
    landlock: usize,
    seccomp: usize,
}

impl Trace {
    fn of(case: &Case, args: &[&str]) -> Option<Self> {
        let key = tests_dir().join("keys/age.txt");
        let variables = [("SOPS_AGE_KEY_FILE", key.as_os_str()), ("PATH", OsStr::new("/usr/bin:/bin"))];
        let calls = traced(case, args, &variables)?;
        let args = args.join(" ");
        let first = |what: &str| {
            calls.iter().position(|call| call.contains(what)).unwrap_or_else(|| panic!("{args}: no {what}: {calls:#?}"))
        };
        let (landlock, seccomp) = (first("landlock_restrict_self("), first("seccomp("));
        Some(Self { args, calls, landlock, seccomp })
    }

    /// The first that opens the file to read it; the call that starts the command may name it, and a rule of Landlock does.
    fn opens(&self, file: &str) -> usize {
        let is_open = |call: &String| call.contains(" open") && call.contains(file) && !call.contains("O_PATH");
        self.calls.iter().position(is_open).unwrap_or_else(|| panic!("{}: not opened: {:#?}", self.args, self.calls))
    }

    #[track_caller]
    fn is_confined_before(&self, at: usize) {
        assert!(self.landlock < at && self.seccomp < at, "{}: {:#?}", self.args, self.calls);
    }

    fn is_by_the_main_thread(&self, at: usize) -> bool {
        let by = |at: usize| self.calls.get(at).map(|call| thread(call));
        by(0) == by(at)
    }
}

#[test]
fn the_whole_process_is_confined_before_a_file_is_taken_apart() {
    if !has_kernel() {
        return;
    }
    let mut commands = 0;
    // Whoever reads two files to compare them reads both, and gives up everything then.
    for (args, reads_before) in [
        (&["check"][..], false),
        (&["check", "--policy", "policy.yaml", "--project", "p", "secret.enc.txt"], false),
        (&["explain"], false),
        (&["explain", "secret.enc.txt"], false),
        (&["explain", "--try", "secret.enc.txt"], false),
        (&["render", "gen.yaml"], false),
        (&["render", "--keyless", "gen.yaml"], false),
        (&["render", "--reveal", "gen.yaml"], false),
        (&["diff", "secret.enc.txt", "other.enc.txt"], true),
        (&["diff", "--keyless", "secret.enc.txt", "other.enc.txt"], true),
        (&["diff", "--textconv", "secret.enc.txt"], true),
    ] {
        let Some(trace) = Trace::of(&app(), args) else { return };
        assert!(trace.is_by_the_main_thread(trace.seccomp), "{args:?}: {:#?}", trace.calls);
        if reads_before {
            assert!(trace.opens("secret.enc.txt") < trace.seccomp, "{args:?}: {:#?}", trace.calls);
        } else {
            trace.is_confined_before(trace.opens("secret.enc.txt"));
        }
        let is_forbidden = |call: &&String| FORBIDDEN.iter().any(|word| call.contains(word));
        let later: Vec<&String> = trace.calls.iter().skip(trace.seccomp).filter(is_forbidden).collect();
        assert!(later.is_empty(), "{args:?}: {later:#?}");
        commands += 1;
    }
    figure(&format!("{commands} commands are confined before they take anything apart, and do nothing forbidden then"));
}

#[test]
fn what_writes_or_runs_programs_takes_files_apart_on_a_confined_thread() {
    if !has_kernel() {
        return;
    }
    for args in [&["check", "--fix"][..], &["check", "--decrypt"], &["check", "--fix", "--decrypt"]] {
        let Some(trace) = Trace::of(&app(), args) else { return };
        let opened = trace.opens("secret.enc.txt");
        trace.is_confined_before(opened);
        assert!(!trace.is_by_the_main_thread(opened), "{args:?}: {:#?}", trace.calls);
        let confined = trace.calls.get(trace.seccomp).map(|call| thread(call)).expect("a thread");
        let later = trace.calls.iter().skip(trace.seccomp).filter(|call| thread(call) == confined);
        let later: Vec<_> = later.filter(|call| FORBIDDEN.iter().any(|word| call.contains(word))).collect();
        assert!(later.is_empty(), "{args:?}: {later:#?}");
    }
}

#[test]
fn what_git_gives_is_compared_on_a_confined_thread() {
    if !has_kernel() || !Path::new("/usr/bin/git").is_file() {
        return skip("there is no git, or no sandbox");
    }
    let case = app();
    fs::remove_dir(case.root().join(".git")).expect("an empty directory");
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "one"]] {
        let git = Command::new("/usr/bin/git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(args)
            .current_dir(case.root())
            .env("HOME", case.home())
            .status();
        assert!(git.is_ok_and(|status| status.success()), "git {args:?}");
    }
    fs::copy(tests_dir().join("fixtures/enc/3.13.3/text.txt"), case.root().join("third.enc.txt")).expect("copied");
    fs::remove_file(case.root().join("other.enc.txt")).expect("removed");
    let Some(trace) = Trace::of(&case, &["diff", "HEAD"]) else { return };
    assert!(!trace.is_by_the_main_thread(trace.seccomp), "{:#?}", trace.calls);
}

/// A linked work tree has its `.git` elsewhere, and its excludes in a third place.
#[test]
fn a_linked_work_tree_is_listed_as_git_does() {
    if !Path::new("/usr/bin/git").is_file() {
        return skip("there is no git");
    }
    let case = Case::without_git();
    let git = |args: &[&str], dir: &Path| {
        let git = Command::new("/usr/bin/git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(args)
            .current_dir(dir)
            .env("HOME", case.home())
            .status();
        assert!(git.is_ok_and(|status| status.success()), "git {args:?}");
    };
    let (main, linked) = (case.tmp().join("main"), case.root().join("linked"));
    fs::create_dir(&main).expect("made");
    fs::write(main.join("tracked.log"), "a: b\n").expect("written");
    git(&["init", "-q"], &main);
    git(&["add", "-f", "."], &main);
    git(&["commit", "-qm", "one"], &main);
    fs::create_dir_all(main.join(".git/info")).expect("made");
    fs::write(main.join(".git/info/exclude"), "*.log\nout/\n").expect("written");
    git(&["worktree", "add", "-q", linked.to_str().expect("ASCII")], &main);
    fs::create_dir(linked.join("out")).expect("made");
    fs::write(
        linked.join("out/secret.yaml"),
        "kind: Secret\napiVersion: v1\nmetadata: {name: a}\nstringData: {a: bcd}\n",
    )
    .expect("written");
    for command in [&["check", "-v", "linked"][..], &["explain", "-v", "linked"]] {
        let run = Case::new().cwd(case.root()).only_args(command).report().run();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        let printed = String::from_utf8_lossy(&run.stdout).into_owned();
        // `.git` and what is tracked though it is excluded.
        assert!(said.contains(": 2 files listed") || said.contains(": 1 files listed"), "{command:?}: {said}");
        assert!(!printed.contains("cannot be") && !printed.contains("may not be"), "{command:?}: {printed}{said}");
    }
}

/// On a thread: what Landlock keeps from a program that a build starts.
#[test]
fn a_fenced_program_writes_in_its_place_only_and_has_no_tcp() {
    if !has_kernel() {
        return;
    }
    let (inside, outside) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let script = format!(
        "cat /etc/passwd >/dev/null || exit 10\n: >{inside}/made || exit 11\nmv {inside}/made {inside}/moved || exit 12\n\
         (: >{outside}/made) 2>/dev/null && exit 13\n(: >>/etc/passwd) 2>/dev/null && exit 14\n\
         (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 15\nexit 0\n",
        inside = inside.path().display(),
        outside = outside.path().display(),
    );
    let bash = ["/bin/bash", "/usr/bin/bash"].map(Path::new).into_iter().find(|path| path.is_file());
    let Some(bash) = bash else { return skip("there is no bash") };
    let run = |is_fenced: bool| {
        let place = [inside.path().to_owned()];
        let started = std::thread::scope(|scope| {
            let start = || {
                if is_fenced {
                    assert!(matches!(sandbox::fence(&place), Layer::InForce(Some(_))));
                }
                Command::new(bash).arg("-c").arg(&script).stderr(Stdio::null()).status()
            };
            scope.spawn(start).join().expect("it ends")
        });
        started.expect("it starts").code()
    };
    assert_eq!(run(true), Some(0));
    assert!(!outside.path().join("made").exists());
    assert_eq!(run(false), Some(13), "it would have been possible");
}

/// kustomize as a script that says what it could do.
#[test]
fn kustomize_is_fenced_in_where_the_operator_is_strict() {
    if !has_kernel() {
        return;
    }
    let outside = tempfile::tempdir().expect("a directory");
    let mark = outside.path().join("mark");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && echo v5.8.1 && exit\n: >\"$TMPDIR/own\" || exit 1\n(: >{}) 2>/dev/null\n\
         printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {{name: c}}\\n'\n",
        mark.display()
    );
    let build = |switch: &str| {
        let case = Case::new().file("app/kustomization.yaml", "resources: []\n").file("kustomize.sh", &script);
        let program = case.root().join("kustomize.sh");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
        let case = case.args(["build", "app", "--kustomize"]).arg(program).env("UNSOPS_SANDBOX", switch);
        assert!(case.run().text().contains("name: c"));
        fs::remove_file(&mark).is_ok()
    };
    assert!(build("on") && build("off"), "it could not write at all");
    assert!(!build("strict"), "it could write elsewhere");
}

/// Has system calls fail as in a kernel that does not have them, or in a container that hides them, for whatever is started
/// from the thread.
fn without(calls: &[libc::c_long], errno: i32) {
    let step = |code: u16, jt: u8, jf: u8, k: u32| seccompiler::sock_filter { code, jt, jf, k };
    let mut program = vec![step(0x20, 0, 0, 0)];
    for call in calls {
        program.push(step(0x15, 0, 1, u32::try_from(*call).expect("a number")));
        program.push(step(0x06, 0, 0, 0x0005_0000 | u32::try_from(errno).expect("a number")));
    }
    program.push(step(0x06, 0, 0, 0x7fff_0000));
    seccompiler::apply_filter(&program).expect("a filter");
}

#[test]
fn a_kernel_without_landlock_or_filters_breaks_no_run() {
    if !has_kernel() {
        return;
    }
    const LANDLOCK: libc::c_long = libc::SYS_landlock_create_ruleset;
    let (missing, refused) = (libc::ENOSYS, libc::EPERM);
    let mut runs = 0;
    for (calls, errno, says) in [
        (&[LANDLOCK][..], missing, "Landlock is not available: the kernel has no Landlock"),
        (
            &[LANDLOCK],
            libc::EOPNOTSUPP,
            "Landlock is not available: the kernel has Landlock, but it is not switched on",
        ),
        (&[LANDLOCK], refused, "Landlock is not available: "),
        (&[libc::SYS_landlock_add_rule], refused, "Landlock is not available: "),
        (&[libc::SYS_landlock_restrict_self], refused, "Landlock is not available: "),
        (&[libc::SYS_seccomp], missing, "seccomp is not available: "),
        (&[libc::SYS_seccomp], libc::EINVAL, "seccomp is not available: "),
        (&[libc::SYS_seccomp], refused, "seccomp is not available: the container runtime does not permit it"),
        (&[LANDLOCK, libc::SYS_seccomp], missing, "seccomp is not available: "),
        (&[LANDLOCK, libc::SYS_seccomp, libc::SYS_prctl], refused, "no_new_privs is not available"),
    ] {
        let run = |case: Case| {
            std::thread::scope(|scope| {
                let run = || {
                    without(calls, errno);
                    case.run()
                };
                scope.spawn(run).join().expect("it ends")
            })
        };
        let doctor = run(app().key("age.txt").args(["doctor", "."]).report());
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        // Whoever is refused to rule new privileges out has no filter either.
        assert!(said.contains(says), "{calls:?} {errno}: {said}");
        for args in [&["gen.yaml"][..], &["render", "--keyless", "gen.yaml"]] {
            assert!(run(app().key("age.txt").args(args)).text().contains("kind: Secret"), "{calls:?} {errno} {args:?}");
            runs += 1;
        }
        for args in [&["check"][..], &["check", "--fix"], &["explain"], &["diff", "secret.enc.txt", "other.enc.txt"]] {
            run(app().key("age.txt").args(args).report());
            runs += 1;
        }
    }
    assert!(unsops().is_file());
    figure(&format!("{runs} runs where Landlock, seccomp or both are missing, refused or switched off"));
}

//! What a run gives up before it takes apart what others wrote: tried from inside, seen from outside, and that everything
//! which needs more still works.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Resource};
use unsops::sandbox::{self, Extent, Layer, Profile};

use crate::endurance::figure;
use crate::harness::{Case, skip, tests_dir, unsops};

const EPERM: Option<i32> = Some(1);
const EACCES: Option<i32> = Some(13);
const SIGSYS: Option<i32> = Some(31);

/// Names the deed of a child of these tests, and the directory that it may read.
const DEED: &str = "UNSOPS_TEST_DEED";
const PLACE: &str = "UNSOPS_TEST_PLACE";

fn generator() -> Case {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nsecretFrom:\n- metadata: {name: s}\n  files: [./secret.enc.txt]\n";
    Case::new().file("gen.yaml", manifest).fixture("enc/3.13.3/text.txt", "secret.enc.txt").arg("gen.yaml")
}

/// The child of the tests below: enters the sandbox of a run with local keys, does one thing, and says what came of it.
#[test]
#[ignore = "run by the tests of this file"]
fn does_one_thing_in_the_sandbox() {
    let (Some(deed), Some(place)) = (std::env::var_os(DEED), std::env::var_os(PLACE)) else { return };
    let (deed, place) = (deed.to_str().expect("ASCII"), PathBuf::from(place));
    // What was open before stays open; a process that is known stays known.
    let mut open = File::open("/etc/hostname").or_else(|_| File::open("/etc/passwd")).expect("a file outside");
    let parent = rustix::process::getppid().expect("a parent");
    let parent = rustix::process::pidfd_open(parent, PidfdFlags::empty()).expect("a parent");
    let network = deed.starts_with("network ");
    let profile =
        Profile { readable: (!network).then(|| vec![place.clone()]), connects: network, ..Profile::default() };
    let outcome = sandbox::enter(&profile, Extent::Process);
    assert!(outcome.no_new_privileges && outcome.calls == Layer::InForce(None), "{outcome:?}");
    assert!(matches!(outcome.files, Layer::InForce(Some(_))), "{outcome:?}");
    let done: std::io::Result<()> = match deed.trim_start_matches("network ") {
        "read inside" => fs::read(place.join("inside/file")).map(drop),
        "list inside" => fs::read_dir(&place).map(drop),
        "read what is open" => open.read(&mut [0; 1]).map(drop),
        "start a thread" => std::thread::Builder::new().spawn(|| {}).map(|thread| thread.join().expect("it ends")),
        "read outside" => fs::read("/etc/passwd").map(drop),
        "list outside" => fs::read_dir("/etc").map(drop),
        "read by a link" => fs::read(place.join("link")).map(drop),
        "read the environment of the parent" => fs::read("/proc/1/environ").map(drop),
        "write inside" => OpenOptions::new().write(true).open(place.join("inside/file")).map(drop),
        "append outside" => OpenOptions::new().append(true).open("/etc/passwd").map(drop),
        "make a file" => File::create_new(place.join("new")).map(drop),
        "make a file by openat2" => {
            let dir = cap_std::fs::Dir::open_ambient_dir(&place, cap_std::ambient_authority()).expect("readable");
            dir.create("new").map(drop)
        }
        "make a directory" => fs::create_dir(place.join("new")),
        "remove" => fs::remove_file(place.join("inside/file")),
        "rename" => fs::rename(place.join("inside/file"), place.join("moved")),
        "link" => symlink("/etc/passwd", place.join("new")),
        "widen rights" => {
            fs::set_permissions(place.join("inside/file"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        }
        "connect" => TcpStream::connect("127.0.0.1:9").map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "listen on a path" => UnixListener::bind(place.join("socket")).map(drop),
        "a socket pair" => UnixDatagram::pair().map(drop),
        "start a program" => Command::new("/bin/true").status().map(drop),
        "signal another process" => {
            rustix::process::kill_process(Pid::INIT, rustix::process::Signal::WINCH).map_err(Into::into)
        }
        "raise a limit" => {
            let limit = rustix::process::getrlimit(Resource::Nofile);
            rustix::process::setrlimit(Resource::Nofile, limit).map_err(Into::into)
        }
        "be dumpable again" => {
            let dumpable = rustix::process::DumpableBehavior::Dumpable;
            rustix::process::set_dumpable_behavior(dumpable).map_err(Into::into)
        }
        "become a program" => Err(Command::new("/bin/true").exec()),
        "change the root" => rustix::process::chroot(&place).map_err(Into::into),
        "take a descriptor of another process" => {
            rustix::process::pidfd_getfd(&parent, 1, PidfdGetfdFlags::empty()).map(drop).map_err(Into::into)
        }
        other => panic!("no such deed: {other}"),
    };
    // A panic is exit status 101; nothing may be written to a file.
    let code = done.map_or_else(|error| error.raw_os_error().unwrap_or(99), |()| 0);
    std::process::exit(code);
}

/// What came of a deed: the errno, 0 for success; or the signal that ended the process.
#[track_caller]
fn does(deed: &str) -> ExitStatus {
    let world = tempfile::tempdir().expect("a directory");
    fs::create_dir(world.path().join("inside")).expect("made");
    fs::write(world.path().join("inside/file"), "content").expect("written");
    symlink("/etc/passwd", world.path().join("link")).expect("made");
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "sandbox::does_one_thing_in_the_sandbox", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DEED, deed)
        .env(PLACE, world.path())
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(101), "{deed}: {stderr}");
    assert_eq!(fs::read(world.path().join("inside/file")).expect("still there"), b"content", "{deed}");
    assert_eq!(fs::read_dir(world.path()).expect("readable").count(), 2, "{deed}");
    output.status
}

/// Whether the kernel has all of it; where not, the tests from inside say nothing.
pub(crate) fn has_kernel() -> bool {
    let enter = || sandbox::enter(&Profile { readable: Some(Vec::new()), ..Profile::default() }, Extent::Thread);
    let outcome = std::thread::spawn(enter).join().expect("it ends");
    let has = matches!((&outcome.files, &outcome.calls), (Layer::InForce(_), Layer::InForce(_)));
    if !has {
        skip(&format!("this kernel has no sandbox: {outcome:?}"));
    }
    has
}

#[test]
fn what_a_run_needs_works_inside() {
    if !has_kernel() {
        return;
    }
    for deed in [
        "read inside",
        "list inside",
        "read what is open",
        "start a thread",
        "network read outside",
        "network a socket pair",
    ] {
        assert_eq!(does(deed).code(), Some(0), "{deed}");
    }
    // Nobody listens there; what matters is that it was tried.
    assert_eq!(does("network connect").code(), Some(111));
}

#[test]
fn nothing_is_read_outside_and_nothing_written_anywhere() {
    if !has_kernel() {
        return;
    }
    let deeds = [
        ("read outside", EACCES),
        ("list outside", EACCES),
        ("read by a link", EACCES),
        ("read the environment of the parent", EACCES),
        ("write inside", EPERM),
        ("append outside", EPERM),
        ("make a file", EPERM),
        // The filter cannot see what openat2 is asked for; Landlock can.
        ("make a file by openat2", EACCES),
        ("make a directory", EPERM),
        ("remove", EPERM),
        ("rename", EPERM),
        ("link", EPERM),
        ("widen rights", EPERM),
        ("network write inside", EPERM),
        ("network make a file by openat2", EACCES),
    ];
    for (deed, want) in deeds {
        assert_eq!(does(deed).code(), want, "{deed}");
    }
    figure(&format!("{} ways to read elsewhere or to write, all refused", deeds.len()));
}

#[test]
fn no_program_no_socket_no_other_process() {
    if !has_kernel() {
        return;
    }
    for deed in [
        "connect",
        "listen",
        "listen on a path",
        "start a program",
        "network start a program",
        "signal another process",
        "raise a limit",
        "be dumpable again",
    ] {
        assert_eq!(does(deed).code(), EPERM, "{deed}");
    }
    let refused = does("a socket pair").code();
    assert!(refused == EPERM, "{refused:?}");
    // Binding a TCP port is Landlock's business, listening the filter's.
    assert!(matches!(does("network listen").code(), Some(1 | 13 | 38)));
}

#[test]
fn what_only_an_intruder_does_ends_the_process() {
    if !has_kernel() {
        return;
    }
    let deeds =
        ["become a program", "change the root", "take a descriptor of another process", "network become a program"];
    for deed in deeds {
        let status = does(deed);
        assert_eq!(status.signal(), SIGSYS, "{deed}: {status:?}");
    }
    figure(&format!("{} deeds of an intruder, each ended by SIGSYS", deeds.len()));
}

/// A run that has done its work and waits for somebody to read its answer.
fn blocked(variables: &[(&str, &OsStr)]) -> (Child, Case) {
    let entries: String = (0..2000).map(|key| format!("  - k{key:05}=./secret.enc.txt\n")).collect();
    let manifest =
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nsecretFrom:\n- metadata: {name: s}\n  files:\n";
    let case = generator().file("gen.yaml", format!("{manifest}{entries}"));
    let child = Command::new(unsops())
        .arg("gen.yaml")
        .env_clear()
        .env("HOME", case.home())
        .env("SOPS_AGE_KEY_FILE", tests_dir().join("keys/age.txt"))
        .envs(variables.iter().copied())
        .current_dir(case.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pipe = child.stdout.as_ref().expect("piped");
    let start = std::time::Instant::now();
    while rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes < 60_000) {
        assert!(start.elapsed().as_secs() < 60, "no answer");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    (child, case)
}

fn field(child: &Child, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).expect("a file of /proc");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn a_run_shows_from_outside_that_it_is_confined() {
    if !has_kernel() {
        return;
    }
    let (mut child, _case) = blocked(&[]);
    let (privileges, seccomp) = (field(&child, "status", "NoNewPrivs"), field(&child, "status", "Seccomp"));
    let (size, files) = (field(&child, "limits", "Max file size"), field(&child, "limits", "Max open files"));
    child.kill().expect("ours");
    _ = child.wait();
    assert_eq!((privileges.as_str(), seccomp.as_str(), size.as_str()), ("1", "2", "0"));
    assert!(files.parse::<u32>().is_ok_and(|files| files <= 8192), "{files}");
}

#[test]
fn the_operator_can_switch_it_off() {
    let (mut child, _case) = blocked(&[("UNSOPS_SANDBOX", OsStr::new("off"))]);
    let (privileges, seccomp) = (field(&child, "status", "NoNewPrivs"), field(&child, "status", "Seccomp"));
    let own = fs::read_to_string("/proc/self/status").expect("/proc");
    let is_own = |name: &str, value: &str| own.lines().any(|line| line.split_whitespace().eq([name, value]));
    child.kill().expect("ours");
    _ = child.wait();
    assert!(is_own("NoNewPrivs:", &privileges) && is_own("Seccomp:", &seccomp), "{privileges} {seccomp}");
}

#[test]
fn a_misspelt_switch_is_no_switch() {
    let run = generator().key("age.txt").env("UNSOPS_SANDBOX", "strct").run();
    assert!(run.failure(2).contains("UNSOPS_SANDBOX is neither on, off nor strict"));
    let filter = Case::new().args(["filter"]).stdin("kind: A\n").env("UNSOPS_SANDBOX", "no").run();
    filter.failure(2);
}

/// The system calls of a run in order, those that are looked for here, each after the number of its thread. `variables`
/// is added to the environment.
pub(crate) fn traced(case: &Case, args: &[&str], variables: &[(&str, &OsStr)]) -> Option<Vec<String>> {
    let strace = ["/usr/bin/strace", "/usr/local/bin/strace"].map(Path::new).into_iter().find(|path| path.is_file());
    let Some(strace) = strace else {
        skip("strace is not installed");
        return None;
    };
    let log = tempfile::tempdir().expect("a directory");
    let calls =
        "trace=open,openat,openat2,execve,socket,connect,clone,clone3,fork,vfork,seccomp,landlock_restrict_self,prctl";
    let output = Command::new(strace)
        .args(["-f", "-qq", "-s", "300", "-e", calls, "-o"])
        .arg(log.path().join("log"))
        .arg(unsops())
        .args(args)
        .env_clear()
        .env("HOME", case.home())
        .env("TMPDIR", case.tmp())
        .envs(variables.iter().copied())
        .current_dir(case.root())
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("ptrace") {
        skip("tracing is not permitted here");
        return None;
    }
    // Reports have findings.
    let is_well = output.status.success() || output.status.code() == Some(1) && !output.stdout.is_empty();
    assert!(is_well, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(fs::read_to_string(log.path().join("log")).expect("a log").lines().map(str::to_owned).collect())
}

#[test]
fn the_sandbox_is_entered_before_the_first_encrypted_file_is_opened() {
    if !has_kernel() {
        return;
    }
    let case = generator();
    let key = tests_dir().join("keys/age.txt");
    let Some(calls) = traced(&case, &["gen.yaml"], &[("SOPS_AGE_KEY_FILE", key.as_os_str())]) else { return };
    let first = |what: &str| {
        calls.iter().position(|call| call.contains(what)).unwrap_or_else(|| panic!("no {what}: {calls:#?}"))
    };
    let encrypted = first("secret.enc.txt");
    assert!(first("landlock_restrict_self(") < encrypted && first("seccomp(") < encrypted, "{calls:#?}");
    let last = calls.iter().rposition(|call| call.contains("seccomp(")).expect("a filter");
    let after = calls.iter().skip(last + 1);
    let later: Vec<_> = after
        .filter(|call| ["socket(", "connect(", "execve(", "O_WRONLY", "O_RDWR"].iter().any(|word| call.contains(word)))
        .collect();
    assert!(later.is_empty(), "{later:#?}");
    figure(&format!(
        "Landlock and seccomp are call {} and {} of this list, the encrypted file {encrypted}",
        first("landlock_restrict_self("),
        first("seccomp(")
    ));
}

#[test]
fn keys_are_found_wherever_the_operator_put_them() {
    let key = fs::read(tests_dir().join("keys/age.txt")).expect("a key");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let place = |name: &str| elsewhere.path().join(name);
    fs::write(place("real.txt"), &key).expect("written");
    symlink(place("real.txt"), place("link")).expect("made");
    // As the kubelet mounts a Secret; and a link out of the directory.
    fs::create_dir_all(place("mounted/..version")).expect("made");
    fs::write(place("mounted/..version/a.agekey"), &key).expect("written");
    symlink("..version", place("mounted/..data")).expect("made");
    symlink("..data/a.agekey", place("mounted/a.agekey")).expect("made");
    fs::create_dir(place("linked")).expect("made");
    symlink(place("real.txt"), place("linked/b.agekey")).expect("made");
    for (variable, value) in [
        ("SOPS_AGE_KEY_FILE", place("real.txt")),
        ("SOPS_AGE_KEY_FILE", place("link")),
        ("UNSOPS_KEYS", place("mounted")),
        ("UNSOPS_KEYS", place("linked")),
    ] {
        generator().env(variable, &value).run().answer();
    }
    generator().env("SOPS_AGE_KEY", String::from_utf8_lossy(&key).as_ref()).run().answer();
    // `<(command)`, and a file as standard input.
    for shell in [
        "cat real.txt | SOPS_AGE_KEY_FILE=/dev/stdin \"$0\" \"$1\"",
        "SOPS_AGE_KEY_FILE=/dev/stdin \"$0\" \"$1\" <real.txt",
        "SOPS_AGE_KEY_FILE=/dev/fd/7 \"$0\" \"$1\" 7<real.txt",
    ] {
        let case = generator();
        let shell = format!(
            "cd '{}' && {}",
            case.root().display(),
            shell.replace("real.txt", place("real.txt").to_str().expect("ASCII"))
        );
        let run = Case::new()
            .only_args(["-c", &shell])
            .args([unsops().as_os_str(), OsStr::new("gen.yaml")])
            .run_program(Path::new("/bin/sh"));
        assert!(run.text().contains("kind: Secret"), "{shell}: {}", run.redacted());
    }
}

#[test]
fn an_answer_goes_into_a_file_that_is_open() {
    let case = generator().key("age.txt").file("out", "");
    let shell = format!("exec \"$0\" \"$1\" >'{}'", case.root().join("out").display());
    let case = case.only_args(["-c", &shell]).args([unsops().as_os_str(), OsStr::new("gen.yaml")]);
    let run = case.run_program(Path::new("/bin/sh"));
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    assert!(fs::read_to_string(case.root().join("out")).expect("written").contains("kind: Secret"));
}

#[test]
fn strict_asks_no_key_service_and_runs_no_key_program() {
    let marker = tempfile::tempdir().expect("a directory");
    let command = format!("touch {}", marker.path().join("ran").display());
    let run = generator().env("SOPS_AGE_KEY_CMD", &command).env("UNSOPS_SANDBOX", "strict").run();
    assert!(run.failure(6).contains("key programs are switched off"), "{}", run.redacted());
    assert!(!marker.path().join("ran").exists());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let vault = |switch: &str| {
        let file = VAULT_FILE.replace("ADDRESS", &address);
        generator()
            .file("secret.enc.yaml", file)
            .file(
                "gen.yaml",
                "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nfiles: [./secret.enc.yaml]\n",
            )
            .env("VAULT_ADDR", &address)
            .env("VAULT_TOKEN", "t")
            .env("UNSOPS_SANDBOX", switch)
            .env("UNSOPS_DEADLINE", "2")
            .run()
    };
    let strict = vault("strict");
    assert!(strict.failure(6).contains("key services are switched off"), "{}", strict.redacted());
    assert!(listener.accept().is_err(), "it was asked");
    vault("on");
    assert!(listener.accept().is_ok(), "it was not asked");
}

/// Encrypted for nobody; names a Vault.
const VAULT_FILE: &str = "\
apiVersion: ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]
sops:
    hc_vault:
        - vault_address: ADDRESS
          engine_path: transit
          key_name: k
          created_at: \"2026-01-01T00:00:00Z\"
          enc: vault:v1:AAAA
    lastmodified: \"2026-01-01T00:00:00Z\"
    mac: ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]
    version: 3.13.3
";

#[test]
fn an_application_cannot_switch_it_off() {
    for entry in ["UNSOPS_SANDBOX", "unsops-sandbox"] {
        let case = Case::new().file("cm.yaml", "kind: ConfigMap\n").args(["cmp", "generate"]);
        let run = case.env("ARGOCD_APP_NAME", "x").env(format!("ARGOCD_ENV_{entry}"), "off").run();
        assert!(run.failure(2).contains("an Application cannot set this variable"), "{}", run.redacted());
    }
}

#[test]
fn doctor_says_what_is_in_force() {
    let said = |case: Case| {
        let run = case.file("app/.keep", "").args(["doctor", "app"]).report().run();
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let shown = said(Case::new());
    assert!(shown.contains("\nsandbox\n"), "{shown}");
    if has_kernel() {
        assert!(
            shown.contains("(Landlock ABI ") && shown.contains("(seccomp)") && shown.contains("(no_new_privs)"),
            "{shown}"
        );
    }
    assert!(said(Case::new().env("UNSOPS_SANDBOX", "off")).contains("switched off (UNSOPS_SANDBOX)"));
    assert!(said(Case::new().env("UNSOPS_SANDBOX", "x")).contains("neither on, off nor strict"));
    assert!(
        said(Case::new().env("SOPS_AGE_KEY_CMD", "true")).contains("key program may have to run: SOPS_AGE_KEY_CMD")
    );
}

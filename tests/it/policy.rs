//! The operator's policy, as a sidecar has it: a file that the user of the process cannot change.
//!
//! Root can change any file and the owner its own, so these tests run unsops as another user, or, where they may not,
//! behind a read-only mount in a user namespace.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{Case, Run, assert_no_canary, skip, tool, unsops};

const OWN: &str = "age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft";

/// How a process is kept from writing the policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Custody {
    /// We are root: the process gets another user.
    OtherUser,
    /// We are not: the process sees the policy's directory mounted read-only over a directory of root's.
    ReadOnlyMount,
}

const MOUNT: &str = "/mnt";

fn custody() -> Option<Custody> {
    let can = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root && can("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "true"]) {
        return Some(Custody::OtherUser);
    }
    if can("unshare", &["-Urm", "true"]) {
        return Some(Custody::ReadOnlyMount);
    }
    skip("neither setpriv (as root) nor unshare works, so no file can be kept from this user");
    None
}

/// A case with a policy in a directory of its own beside the root.
struct Sidecar {
    case: Case,
    custody: Custody,
    policy: PathBuf,
}

impl Sidecar {
    fn new(case: Case, rules: &str) -> Option<Self> {
        let custody = custody()?;
        let directory = case.root().parent().expect("a world").join("etc");
        fs::create_dir(&directory).expect("a fresh directory");
        let policy = directory.join("policy.yaml");
        let text = format!("apiVersion: unsops.dev/v1\nkind: Policy\ncontact: '#platform'\nrules:\n{rules}");
        fs::write(&policy, text).expect("written");
        let seen =
            if custody == Custody::ReadOnlyMount { Path::new(MOUNT).join("policy.yaml") } else { policy.clone() };
        let case = case.env("UNSOPS_POLICY", seen);
        open_to_all(case.root().parent().expect("a world"));
        fs::set_permissions(case.tmp(), fs::Permissions::from_mode(0o777)).expect("chmod");
        Some(Self { case, custody, policy })
    }

    fn application(self, project: &str, path: &str) -> Self {
        let case = self
            .case
            .env("ARGOCD_APP_NAME", "app")
            .env("ARGOCD_APP_PROJECT_NAME", project)
            .env("ARGOCD_APP_SOURCE_REPO_URL", "https://user:CANARY-7f3a@git.test/org/repo.git")
            .env("ARGOCD_APP_SOURCE_PATH", path)
            .env("ARGOCD_APP_NAMESPACE", "team-a");
        Self { case, ..self }
    }

    /// Runs unsops, or kustomize, in custody.
    fn run(&self, program: &Path, args: &[&str]) -> Run {
        let mut all: Vec<OsString> = Vec::new();
        let wrapper = match self.custody {
            Custody::OtherUser => {
                all.extend(["--reuid=65534", "--regid=65534", "--clear-groups"].map(OsString::from));
                "setpriv"
            }
            Custody::ReadOnlyMount => {
                let directory = self.policy.parent().expect("a directory").display().to_string();
                let script = format!("mount --bind \"$0\" {MOUNT} && mount -o remount,bind,ro {MOUNT} && exec \"$@\"");
                all.extend(["-Urm", "sh", "-c", &script, &directory].map(OsString::from));
                "unshare"
            }
        };
        all.push(program.into());
        all.extend(args.iter().map(OsString::from));
        self.case.run_with(&which(wrapper), all)
    }

    fn generate(&self, file: &str) -> Run {
        self.run(&unsops(), &[file])
    }
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file()).expect("it ran a moment ago")
}

/// A temporary directory is its owner's alone; the other user must be able to read it, and the keys.
fn open_to_all(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("chmod");
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => open_to_all(&path),
            kind if kind.is_file() => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
            }
            _ => {}
        }
    }
}

/// The generator of a golden case, below `apps/one`, and a copy of the test key that the other user may read.
fn application() -> Case {
    application_of("golden/ksops-file")
}

fn application_of(golden: &str) -> Case {
    let case = Case::new().tree(golden, "apps/one").cwd("apps/one");
    let key = case.root().join("keys.txt");
    fs::copy(super::harness::tests_dir().join("keys/age.txt"), &key).expect("the key");
    case.env("SOPS_AGE_KEY_FILE", key)
}

fn rule(allow: &str) -> String {
    format!("- name: team-a\n  match: {{projects: [team-a]}}\n  allow: {{{allow}}}\n")
}

fn sidecar(allow: &str) -> Option<Sidecar> {
    Some(Sidecar::new(application(), &rule(allow))?.application("team-a", "apps/one"))
}

#[test]
fn a_listed_identity_opens_and_another_does_not() {
    let Some(allowed) = sidecar(&format!("age: [{OWN}]")) else { return };
    let text = allowed.generate("generator.yaml");
    assert!(text.text().contains("kind: Secret"));

    let denied = sidecar("age: [age1another]").expect("as above").generate("generator.yaml");
    let message = denied.failure(6);
    assert_eq!(denied.stdout.len(), 0);
    assert!(message.contains("rule team-a of the policy does not allow this key"), "{message}");
    assert!(message.contains("hint: #platform can change the policy"), "{message}");
    assert!(message.contains("rule team-a, allow.age"), "{message}");
}

/// Whoever can commit can write any recipient beside a ciphertext that another team's key opens.
#[test]
fn a_file_that_claims_another_recipient_opens_with_no_identity_that_is_not_allowed() {
    let claimed = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";
    let Some(sidecar) = Sidecar::new(claiming(claimed), &rule(&format!("age: [{claimed}]"))) else { return };
    let sidecar = sidecar.application("team-a", "apps/one");
    let message = sidecar.generate("generator.yaml").failure(6);
    assert!(message.contains("holds an identity that the policy does not allow"), "{message}");
    // Without a policy the claim does not matter.
    let case = sidecar.case.env("UNSOPS_POLICY", "").arg("generator.yaml");
    assert!(case.run().failure(2).contains("UNSOPS_POLICY must be an absolute path"));
    let case = claiming(claimed);
    assert!(case.arg("generator.yaml").run().text().contains("kind: Secret"));
}

/// The application, its files claiming another recipient.
fn claiming(recipient: &str) -> Case {
    let case = application();
    for file in ["secret.enc.yaml", "config.enc.json", "settings.enc.ini", "note.enc.txt"] {
        let path = case.root().join("apps/one").join(file);
        let text = fs::read_to_string(&path).expect("a fixture");
        fs::write(&path, text.replace(OWN, recipient)).expect("written");
    }
    case
}

/// The PGP keys of the fixtures: their files are for the primary key's name and open with its subkey.
#[test]
fn pgp_keys_are_listed_by_the_fingerprint_of_the_primary_key_or_of_the_subkey() {
    let primary = "9079EE2D03BD5FEE8507B6FC38F772487EF68456";
    let subkey = "ADA5127EE3445DE41F0104CFF53F78EC97C8A9E6";
    let other = "85D77543B3D624B63CEA9E6DBC17301B491B3F21";
    let case = |claimed: &str| {
        let case = Case::new().fixture("enc/3.6.1/comments.yaml", "apps/one/secret.enc.yaml").cwd("apps/one");
        let generator = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nsecretFrom:\n- metadata: {name: s}\n  \
                         files: [./secret.enc.yaml]\n";
        let case = case.file("apps/one/generator.yaml", generator);
        let file = case.root().join("apps/one/secret.enc.yaml");
        let text = fs::read_to_string(&file).expect("a fixture");
        assert!(text.contains(primary));
        fs::write(&file, text.replace(primary, claimed)).expect("written");
        let key = case.root().join("pgp.asc");
        fs::copy(super::harness::tests_dir().join("keys/pgp.asc"), &key).expect("the key");
        case.env("UNSOPS_PGP_KEY_FILE", key)
    };
    for (listed, claimed, want) in [
        (primary, primary, None),
        (subkey, subkey, None),
        (other, primary, Some("rule team-a of the policy does not allow this key")),
        // The claim is allowed; the key that would open it is not.
        (other, other, Some("the policy does not allow it")),
    ] {
        let Some(sidecar) = Sidecar::new(case(claimed), &rule(&format!("pgp: ['{listed}']"))) else { return };
        let run = sidecar.application("team-a", "apps/one").generate("generator.yaml");
        match want {
            None => assert!(run.text().contains("kind: Secret")),
            Some(message) => {
                let failure = run.failure(6);
                assert!(failure.contains(message), "{listed} {claimed}: {failure}");
            }
        }
    }
}

#[test]
fn an_application_without_a_rule_gets_nothing() {
    let Some(sidecar) = Sidecar::new(application(), &rule(&format!("age: [{OWN}]"))) else { return };
    let message = sidecar.generate("generator.yaml").failure(6);
    assert!(
        message.contains("is for this application: no application (ARGOCD_APP_PROJECT_NAME is not set)"),
        "{message}"
    );
    let run = sidecar.application("team-b", "apps/one").generate("generator.yaml");
    let message = run.failure(6);
    assert!(message.contains("project team-b, repository https://git.test/org/repo.git"), "{message}");
    assert_no_canary("stderr", &run.stderr);
}

#[test]
fn only_secrets_come_out_unless_the_rule_says_more() {
    let with = |allow: &str| {
        let case = application_of("golden/kinds");
        Some(Sidecar::new(case, &rule(&format!("age: [{OWN}], {allow}")))?.application("team-a", "apps/one"))
    };
    let Some(secrets_only) = with("") else { return };
    let run = secrets_only.generate("generator.yaml");
    let message = run.failure(3);
    assert_eq!(run.stdout.len(), 0);
    assert!(
        message.contains("rule team-a of the policy does not allow decrypted objects of kind ConfigMap"),
        "{message}"
    );
    assert!(message.contains("allow.kinds"), "{message}");
    let all = with("kinds: ['**']").expect("as above");
    assert!(all.generate("generator.yaml").text().contains("kind: ConfigMap"));
}

#[test]
fn a_file_outside_the_listed_directories_is_not_read_whatever_way_leads_to_it() {
    let grant = format!("age: [{OWN}], directories: [apps/one]");
    let Some(sidecar) = sidecar(&grant) else { return };
    sidecar.generate("generator.yaml").text();

    let root = sidecar.case.root();
    let elsewhere = root.join("teams/b");
    fs::create_dir_all(&elsewhere).expect("made");
    fs::rename(root.join("apps/one/secret.enc.yaml"), elsewhere.join("secret.enc.yaml")).expect("moved");
    std::os::unix::fs::symlink("../../teams/b/secret.enc.yaml", root.join("apps/one/secret.enc.yaml")).expect("a link");
    let message = sidecar.generate("generator.yaml").failure(4);
    assert!(
        message.contains("./secret.enc.yaml: rule team-a of the policy does not allow files in this place"),
        "{message}"
    );
    assert!(message.contains("teams/b/secret.enc.yaml"), "{message}");

    let generator = fs::read_to_string(root.join("apps/one/generator.yaml")).expect("golden");
    let direct = generator.replace("./secret.enc.yaml", "../../teams/b/secret.enc.yaml");
    fs::write(root.join("apps/one/generator.yaml"), direct).expect("written");
    let message = sidecar.generate("generator.yaml").failure(4);
    assert!(message.contains("rule team-a of the policy does not allow files in this place"), "{message}");
}

#[test]
fn a_policy_that_this_user_could_change_is_refused() {
    let Some(sidecar) = sidecar(&format!("age: [{OWN}]")) else { return };
    let owned = sidecar.case.root().join("policy.yaml");
    fs::copy(&sidecar.policy, &owned).expect("copied");
    if sidecar.custody == Custody::OtherUser {
        let directory = sidecar.policy.parent().expect("a directory").to_owned();
        fs::set_permissions(&sidecar.policy, fs::Permissions::from_mode(0o666)).expect("chmod");
        let message = sidecar.generate("generator.yaml").failure(2);
        assert!(message.contains("the user of this process could change it"), "{message}");
        fs::set_permissions(&sidecar.policy, fs::Permissions::from_mode(0o644)).expect("chmod");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("chmod");
        let message = sidecar.generate("generator.yaml").failure(2);
        assert!(message.contains("could change the directory"), "{message}");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("chmod");
        sidecar.generate("generator.yaml").text();
        // A link in a directory that the user can write leads wherever the user wants.
        let loose = sidecar.case.root().join("loose");
        fs::create_dir(&loose).expect("made");
        fs::set_permissions(&loose, fs::Permissions::from_mode(0o777)).expect("chmod");
        std::os::unix::fs::symlink(&sidecar.policy, loose.join("policy.yaml")).expect("a link");
        let sidecar = Sidecar { case: sidecar.case.env("UNSOPS_POLICY", loose.join("policy.yaml")), ..sidecar };
        let message = sidecar.generate("generator.yaml").failure(2);
        assert!(message.contains("could change the directory"), "{message}");
    }
    // Without custody: whoever we are, the file is ours.
    let case = application().env("ARGOCD_APP_PROJECT_NAME", "team-a").env("UNSOPS_POLICY", owned);
    let message = case.arg("generator.yaml").run().failure(2);
    assert!(message.contains("this policy cannot be relied on"), "{message}");
}

#[test]
fn a_policy_that_is_missing_or_malformed_allows_nothing() {
    for path in ["", "relative.yaml", "/nowhere/policy.yaml"] {
        let run = application().env("UNSOPS_POLICY", path).arg("generator.yaml").run();
        assert!(run.failure(2).contains("this policy cannot be relied on"), "{path}");
    }
    let Some(sidecar) = Sidecar::new(application(), "- name: x\n  match: {project: [a]}\n  allow: {}\n") else {
        return;
    };
    let message = sidecar.application("a", "apps/one").generate("generator.yaml").failure(2);
    assert!(message.contains("rules[0].match: unknown field project; did you mean projects?"), "{message}");
}

/// A ConfigMap is mounted as links inside its directory.
#[test]
fn a_mounted_config_map_is_followed() {
    let Some(sidecar) = sidecar(&format!("age: [{OWN}]")) else { return };
    let directory = sidecar.policy.parent().expect("a directory").to_owned();
    fs::create_dir(directory.join("..2026_01")).expect("made");
    fs::rename(&sidecar.policy, directory.join("..2026_01/policy.yaml")).expect("moved");
    std::os::unix::fs::symlink("..2026_01", directory.join("..data")).expect("a link");
    std::os::unix::fs::symlink("..data/policy.yaml", &sidecar.policy).expect("a link");
    open_to_all(&directory);
    sidecar.generate("generator.yaml").text();
}

/// A ConfigMap that the real sops encrypted.
fn encrypted_config_map(sops: &Path) -> Vec<u8> {
    let plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: CANARY-7f3a}\n";
    let case = Case::new().file("c.yaml", plain);
    let args = ["--encrypt", "--age", OWN, "--encrypted-regex", "^data$", "c.yaml"];
    let run = case.args(args).run_unchecked(sops);
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    run.stdout
}

/// Kinds, too, where a whole directory or what stands among manifests is decrypted.
#[test]
fn whatever_decrypts_keeps_to_the_policy() {
    let (Some(kustomize), Some(sops)) = (tool("kustomize"), tool("sops")) else { return };
    let manifest = encrypted_config_map(&sops);
    let path = format!("{}:/usr/bin:/bin", kustomize.parent().expect("a folder").display());
    let kustomize_app = |allow: &str| {
        let case = application_of("golden/kinds").env("PATH", &path);
        Some(Sidecar::new(case, &rule(allow))?.application("team-a", "apps/one"))
    };
    let plain_app = |allow: &str| {
        let case = application_of("golden/kinds").env("PATH", &path);
        for file in ["generator.yaml", "kustomization.yaml", "want.yaml"] {
            fs::remove_file(case.root().join("apps/one").join(file)).expect("a file");
        }
        fs::remove_dir_all(case.root().join("apps/one/plain")).expect("a directory");
        Some(Sidecar::new(case, &rule(allow))?.application("team-a", "apps/one"))
    };
    let filtered = |allow: &str| {
        let case = application_of("golden/kinds").stdin(&manifest);
        Some(Sidecar::new(case, &rule(allow))?.application("team-a", "apps/one"))
    };
    type Make<'a> = &'a dyn Fn(&str) -> Option<Sidecar>;
    let ways: [(Make<'_>, &[&str]); 4] = [
        (&kustomize_app, &["build", "."]),
        (&kustomize_app, &["cmp", "generate"]),
        (&plain_app, &["cmp", "generate"]),
        (&filtered, &["filter"]),
    ];
    for (make, args) in ways {
        let run = |allow: &str| Some(make(allow)?.run(&unsops(), args));
        let Some(all) = run(&format!("age: [{OWN}], kinds: ['**']")) else { return };
        assert!(all.text().contains("kind: ConfigMap"), "{args:?}");
        let secrets_only = run(&format!("age: [{OWN}]")).expect("as above");
        let message = secrets_only.failure(3);
        assert!(message.contains("does not allow decrypted objects of kind ConfigMap"), "{args:?}: {message}");
        assert_eq!(secrets_only.stdout.len(), 0);
        let other = run("age: [age1another]").expect("as above");
        let message = other.failure(6);
        assert!(message.contains("rule team-a of the policy does not allow this key"), "{args:?}: {message}");
    }
}

/// The plugin calls that kustomize makes inherit the policy.
#[test]
fn a_plugin_call_of_the_real_kustomize_keeps_to_the_policy() {
    let Some(kustomize) = tool("kustomize") else { return };
    let Some(sidecar) = sidecar(&format!("age: [{OWN}]")) else { return };
    let tools = sidecar.case.root().join("tools");
    fs::create_dir(&tools).expect("made");
    // By a program of its own: a descriptor for writing that another test's child inherits would make the copy busy.
    for (program, name) in [(&unsops(), "ksops"), (&kustomize, "kustomize")] {
        let copied = std::process::Command::new("cp").arg(program).arg(tools.join(name)).status().expect("cp");
        assert!(copied.success());
    }
    for program in ["ksops", "kustomize"] {
        fs::set_permissions(tools.join(program), fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    fs::set_permissions(&tools, fs::Permissions::from_mode(0o755)).expect("chmod");
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let sidecar = Sidecar { case: sidecar.case.env("PATH", path), ..sidecar };
    let args = ["build", "--enable-alpha-plugins", "--enable-exec", "."];
    let run = sidecar.run(&tools.join("kustomize"), &args);
    let want = fs::read_to_string(sidecar.case.root().join("apps/one/want.yaml")).expect("golden");
    assert_eq!(run.text(), want);

    let sidecar = sidecar.application("team-b", "apps/one");
    let run = sidecar.run(&tools.join("kustomize"), &args);
    assert_ne!(run.status, Some(0));
    assert_eq!(run.stdout.len(), 0);
    assert!(String::from_utf8_lossy(&run.stderr).contains("is for this application: project team-b"));
}

/// What an operator asks before a policy is mounted, without any key.
#[test]
fn check_answers_for_the_policy_and_for_files() {
    let text = |rules: &str| format!("apiVersion: unsops.dev/v1\nkind: Policy\nrules:\n{rules}");
    let ask = |rules: &str, args: &[&str]| {
        let case = Case::new().file("policy.yaml", text(rules)).tree("golden/ksops-file", "apps/one");
        case.args(["check", "--policy", "policy.yaml"]).args(args).report().run()
    };
    let rules = rule(&format!("age: [{OWN}], directories: [apps]"));
    for (args, code, want) in [
        (&[][..], 0, "policy.yaml: a valid policy, rules: 1"),
        (&["--project", "team-a"], 0, "project team-a: rule team-a is for it"),
        (
            &["--project", "team-a", "apps/one/secret.enc.yaml"],
            0,
            "apps/one/secret.enc.yaml: yes: rule team-a allows it",
        ),
        (&["--project", "team-b", "apps/one/secret.enc.yaml"], 1, "apps/one/secret.enc.yaml: no: no rule is for"),
        (&["--project", "team-a", "apps/one/kustomization.yaml"], 1, "no: not encrypted by sops"),
        (&["--project", "team-a", "--output", "json", "apps/one/secret.enc.yaml"], 0, "\"allowed\": true"),
    ] {
        let run = ask(&rules, args);
        let shown = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(shown.contains(want) && run.status == Some(code), "{args:?} {}\n{shown}", run.redacted());
    }
    let elsewhere = ask(
        &rule(&format!("age: [{OWN}], directories: [teams]")),
        &["--project", "team-a", "apps/one/secret.enc.yaml"],
    );
    let shown = String::from_utf8_lossy(&elsewhere.stdout).into_owned();
    assert!(
        shown.contains("does not allow files in this place of the repository: apps/one/secret.enc.yaml"),
        "{shown}"
    );
    let malformed = ask("- name: x\n  match: {project: [a]}\n  allow: {}\n", &[]);
    assert_eq!(malformed.status, Some(1));
    assert!(String::from_utf8_lossy(&malformed.stdout).contains("did you mean projects?"));
    assert_eq!(ask(&rules, &["apps/one/secret.enc.yaml"]).status, Some(2));
    assert_eq!(Case::new().args(["check", "--project", "x"]).run().status, Some(2));
}

/// The policy that is shipped is one.
#[test]
fn the_shipped_policy_is_valid() {
    let shipped = super::harness::tests_dir().parent().expect("the top").join("argocd/sidecar/policy.yaml");
    let run = Case::new().args(["check", "--policy"]).arg(shipped).report().run();
    assert_eq!(run.status, Some(0), "{}", String::from_utf8_lossy(&run.stdout));
}

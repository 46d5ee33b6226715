//! The real `argocd-cmp-server` with our plugin, and repo-server's own client code in front of it (`tests/cmp`).

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{assert_no_canary, files_below, tests_dir, tool, unsops};

/// Most bytes of our own text in an error; Argo CD writes some around it.
pub const REPORT_BYTES: usize = 2048;

/// How a sidecar is set up.
pub struct Setup {
    plugin: String,
    env: Vec<(String, String)>,
    programs: Vec<(String, PathBuf)>,
    policy: Option<String>,
}

/// A running sidecar. Dropping it ends the server, after a search for secrets in everything that it left.
pub struct Sidecar {
    world: TempDir,
    server: Child,
}

/// What Argo CD has of a rendering.
pub struct Rendered {
    /// The manifests, each as Argo CD will store it.
    pub result: Result<Vec<Value>, String>,
    pub answer: Value,
}

impl Setup {
    /// Our `plugin.yaml`, the real kustomize, and an age key of `tests/keys` or `examples`.
    pub fn new() -> Self {
        let plugin = fs::read_to_string(project().join("plugin.yaml")).expect("plugin.yaml");
        let setup = Self { plugin, env: Vec::new(), programs: vec![("unsops".to_owned(), unsops())], policy: None };
        setup.env("SOPS_AGE_KEY_FILE", &tests_dir().join("keys/age.txt").display().to_string())
    }

    /// A variable of the sidecar's container.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_keys(mut self) -> Self {
        self.env.retain(|(name, _)| name != "SOPS_AGE_KEY_FILE");
        self
    }

    /// A program on the sidecar's PATH, in the place of the real one.
    pub fn program(mut self, name: &str, path: &Path) -> Self {
        self.programs.push((name.to_owned(), path.to_owned()));
        self
    }

    /// The operator's policy, which the server cannot change: it runs as another user (where we are root), or sees the
    /// policy mounted read-only.
    pub fn policy(self, text: &str) -> Self {
        Self { policy: Some(text.to_owned()), ..self }
    }

    /// More lines below `spec:` of plugin.yaml.
    pub fn spec(mut self, lines: &str) -> Self {
        self.plugin.push_str(lines);
        self
    }

    /// Starts the server and waits for its socket; `None` where the counterparts are missing.
    pub fn start(mut self) -> Option<Sidecar> {
        let (cmp, kustomize) = (tool("argocd-cmp")?, tool("kustomize")?);
        if !self.programs.iter().any(|(name, _)| name == "kustomize") {
            self.programs.push(("kustomize".to_owned(), kustomize));
        }
        // Short: the socket's path may have 107 bytes.
        let world = tempfile::Builder::new().prefix("cmp-").tempdir().expect("a temporary directory");
        for dir in ["bin", "sock", "tmp", "client", "config"] {
            fs::create_dir(world.path().join(dir)).expect("a fresh directory");
        }
        fs::write(world.path().join("config/plugin.yaml"), &self.plugin).expect("plugin.yaml");
        for (name, path) in &self.programs {
            std::os::unix::fs::symlink(path, world.path().join("bin").join(name)).expect("a link");
        }
        let log = File::create(world.path().join("log")).expect("a log");
        let mut command = match &self.policy {
            None => Command::new(cmp),
            Some(text) => {
                let dir = world.path().join("policy");
                fs::create_dir(&dir).expect("a fresh directory");
                fs::write(dir.join("policy.yaml"), text).expect("a policy");
                self = self.env("UNSOPS_POLICY", &dir.join("policy.yaml").display().to_string());
                let mut command = in_custody(world.path())?;
                command.arg(cmp);
                command
            }
        };
        let server = command
            .args(["server", "--loglevel", "info", "--config-dir-path"])
            .arg(world.path().join("config"))
            .env_clear()
            .env("PATH", world.path().join("bin"))
            .env("HOME", "/nonexistent")
            .env("PWD", "/nonexistent")
            .env("TMPDIR", world.path().join("tmp"))
            .env("ARGOCD_PLUGINSOCKFILEPATH", world.path().join("sock"))
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let sidecar = Sidecar { world, server };
        let begin = Instant::now();
        while !sidecar.socket().exists() {
            assert!(begin.elapsed() < Duration::from_secs(60), "no socket: {}", sidecar.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(sidecar)
    }
}

/// Begins the command line of a server that cannot change `policy` in its world.
fn in_custody(world: &Path) -> Option<Command> {
    let can = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let user = ["--reuid=999", "--regid=999", "--clear-groups"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let which = |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    if std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").ok()?) == 0
        && can("setpriv", &[&user[..], &["true"]].concat())
    {
        for (dir, mode) in [("", 0o755), ("tmp", 0o777), ("sock", 0o777), ("config", 0o755)] {
            fs::set_permissions(world.join(dir), fs::Permissions::from_mode(mode)).expect("chmod");
        }
        let mut command = Command::new(which("setpriv")?);
        command.args(user).arg("--no-new-privs");
        return Some(command);
    }
    if can("unshare", &["-Urm", "true"]) {
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        let mut command = Command::new(which("unshare")?);
        command.args(["-Urm", "/bin/sh", "-c", script]).arg(world.join("policy"));
        return Some(command);
    }
    crate::harness::skip("neither setpriv (as root) nor unshare works, so no file can be kept from this user");
    None
}

impl Sidecar {
    fn socket(&self) -> PathBuf {
        self.world.path().join("sock/unsops.sock")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.world.path().join("log")).expect("the log")
    }

    /// A place outside of every repository and of the server's own directories.
    pub fn outside(&self) -> PathBuf {
        self.world.path().join("config")
    }

    /// What repo-server does for an Application that names our plugin.
    pub fn render(&self, repo: &Path, path: &str) -> Rendered {
        self.render_source(repo, &json!({"path": path, "plugin": {"name": "unsops"}}), &[])
    }

    /// As [`Self::render`], with a whole `spec.source` and more flags of `argocd-cmp render`.
    pub fn render_source(&self, repo: &Path, source: &Value, flags: &[&str]) -> Rendered {
        let rendered = self.render_beside(repo, source, flags, &[]);
        self.search_for_secrets();
        rendered
    }

    /// One gRPC call, without what repo-server does before.
    pub fn call(&self, method: &str, repo: &Path, app: &str, flags: &[&str]) -> Result<Value, String> {
        let (socket, repo) = (self.socket().display().to_string(), repo.display().to_string());
        let all = [&["--socket", &socket, "--method", method, "--root", &repo, "--app", app], flags].concat();
        let answer = answer_of(self.client("call", &all, &Value::Null, &[]));
        self.search_for_secrets();
        answer
    }

    /// As [`Self::call`] for a server that has other requests at the same time, whose files are still there.
    pub fn call_while_others(&self, method: &str, repo: &Path, app: &str) -> Result<Value, String> {
        let (socket, repo) = (self.socket().display().to_string(), repo.display().to_string());
        let flags = ["--socket", &socket, "--method", method, "--root", &repo, "--app", app];
        answer_of(self.client("call", &flags, &Value::Null, &[]))
    }

    /// A call whose caller loses patience.
    pub fn call_and_leave(&self, repo: &Path, app: &str, timeout: &str) -> Result<Value, String> {
        let (socket, repo) = (self.socket().display().to_string(), repo.display().to_string());
        let flags =
            ["--socket", &socket, "--root", &repo, "--app", app, "--timeout", timeout, "--env", "ARGOCD_APP_NAME=demo"];
        answer_of(self.client("call", &flags, &Value::Null, &[]))
    }

    /// As [`Self::render_source`], with variables of repo-server's own container.
    pub fn render_beside(&self, repo: &Path, source: &Value, flags: &[&str], env: &[(&str, &Path)]) -> Rendered {
        let repo = repo.display().to_string();
        Rendered::of(self.client("render", &[&["--root", &repo, "--log", "info"], flags].concat(), source, env))
    }

    fn client(&self, command: &str, flags: &[&str], source: &Value, env: &[(&str, &Path)]) -> Output {
        let mut client = Command::new(tool("argocd-cmp").expect("it runs already"));
        client.arg(command).args(flags);
        if !source.is_null() {
            client.args(["--source", &source.to_string()]);
        }
        client
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.world.path().join("client"))
            .env("ARGOCD_PLUGINSOCKFILEPATH", self.world.path().join("sock"))
            .envs(env.iter().map(|(name, value)| (name, value)));
        client.output().expect("the client starts")
    }

    /// Nothing decrypted in the server's log, nor in any file; and no file is left of the request.
    pub fn search_for_secrets(&self) {
        assert_no_canary("the server's log", self.log().as_bytes());
        let left = files_below(&self.world.path().join("tmp"));
        assert!(left.is_empty(), "left behind: {left:?}");
        for entry in fs::read_dir(self.world.path().join("tmp")).expect("TMPDIR") {
            let name = entry.expect("an entry").file_name();
            assert_eq!(name, "_cmp_server", "left behind in TMPDIR");
        }
        for file in files_below(&self.world.path().join("client")) {
            assert_no_canary(&file.display().to_string(), &fs::read(&file).expect("a file"));
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // One SIGTERM would only make it remove its socket.
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

impl Rendered {
    pub fn of(output: Output) -> Self {
        match answer_of(output) {
            Ok(answer) => {
                let manifests = answer["manifests"].as_array().cloned().unwrap_or_default();
                let parse = |text: &Value| serde_json::from_str(text.as_str().expect("JSON text")).expect("JSON");
                Self { result: Ok(manifests.iter().map(parse).collect()), answer }
            }
            Err(message) => Self { result: Err(message), answer: Value::Null },
        }
    }

    #[track_caller]
    pub fn manifests(&self) -> &[Value] {
        match &self.result {
            Ok(manifests) => manifests,
            Err(message) => panic!("not rendered: {message}"),
        }
    }

    /// `Kind/name` of every manifest.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = |object: &Value| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
        self.manifests().iter().map(name).collect()
    }

    /// The message of a refusal: with our exit status, short, without a path of the run or anything decrypted.
    #[track_caller]
    pub fn refusal(&self, status: i32) -> &str {
        let Err(message) = &self.result else { panic!("rendered: {:?}", self.names()) };
        assert!(message.contains(&format!("`unsops cmp generate` failed exit status {status}: ")), "{message}");
        let ours = message.split_once("exit status").map_or("", |(_, ours)| ours);
        assert!(ours.len() <= REPORT_BYTES + 20, "{} bytes: {ours}", ours.len());
        assert!(!ours.contains("_cmp_server"), "{ours}");
        // The world itself lies in `/tmp`; the place of the policy is the operator's, and no path of the run.
        for (at, _) in ours.match_indices("/tmp/") {
            assert!(ours[at..].starts_with("/tmp/cmp-") && ours[at..].contains("/policy/policy.yaml"), "{ours}");
        }
        message
    }
}

/// The answer on stdout, or the message of the last line on stderr. Neither stderr nor a message may hold a secret.
fn answer_of(output: Output) -> Result<Value, String> {
    assert_no_canary("the client's stderr (gRPC error, Argo CD's log)", &output.stderr);
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("JSON on stdout"));
    }
    assert!(output.stdout.is_empty(), "an answer beside a failure");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let report: Value = serde_json::from_str(stderr.lines().last().expect("a message")).expect("JSON on stderr");
    Err(report["message"].as_str().expect("a message").to_owned())
}

/// The repository that we are in.
pub fn project() -> PathBuf {
    tests_dir().parent().expect("the project").to_owned()
}

/// A checkout to render from.
pub struct Repo(TempDir);

impl Repo {
    /// An empty one, with a `.git` that has something in it.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("repo-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join(".git")).expect("a fresh directory");
        fs::write(dir.path().join(".git/HEAD"), "ref: refs/heads/main\n").expect("a file");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("create the parent");
        fs::write(path, content).expect("write a file");
        self
    }

    /// A directory of this project.
    pub fn tree(self, from: &str, to: &str) -> Self {
        crate::harness::copy_tree(&project().join(from), &self.path().join(to));
        self
    }

    pub fn link(self, target: impl AsRef<Path>, name: &str) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("create the parent");
        std::os::unix::fs::symlink(target, path).expect("a link");
        self
    }
}

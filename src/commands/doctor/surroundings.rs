//! The allowed root, the process, the places it may write to, and Argo CD around it.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags};
use rustix::process::{DumpableBehavior, Resource};

use super::printable;
use super::report::Report;
use crate::environment::Environment;
use crate::jail::{self, Root};
use crate::text::Printable;

const ROOT: &str = "allowed root";
const PROCESS: &str = "process";
const WRITABLE: &str = "writable places";
const ARGOCD: &str = "Argo CD";

/// Finds the allowed root and says how.
pub fn root(dir: &Path, env: &Environment, report: &mut Report) -> Option<Root> {
    let root = match Root::discover_from(env, dir) {
        Ok(root) => root,
        Err(error) => {
            report.error(ROOT, error.to_string(), error.hint.unwrap_or_default());
            return None;
        }
    };
    let path = root.path();
    let is_streamed = path.parent().and_then(Path::file_name).is_some_and(|name| name == "_cmp_server");
    let how = if env.var_os("UNSOPS_ROOT").is_some() {
        "UNSOPS_ROOT"
    } else if is_streamed {
        "the repository that Argo CD streamed"
    } else if path.join(".git").symlink_metadata().is_ok() {
        "the enclosing Git work tree"
    } else {
        "the directory itself: no Git work tree around it"
    };
    report.ok(ROOT, format!("{} ({how}); files are opened beneath it only", printable(path)));
    if !dir.starts_with(path) {
        let message = format!("{} lies outside", printable(dir));
        report.error(ROOT, message, "set UNSOPS_ROOT to a directory that holds both");
    }
    Some(root)
}

/// The process's own hardening, and what the kernel says of it.
pub fn process(env: &Environment, report: &mut Report) {
    let core = rustix::process::getrlimit(Resource::Core).current;
    let is_dumpable = !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    if core == Some(0) && !is_dumpable {
        report.ok(PROCESS, "no core dumps, and other processes of this user may not read its memory");
    } else {
        report.warning(PROCESS, "the kernel did not turn off core dumps and ptrace", "run it under a newer kernel");
    }
    let user = rustix::process::geteuid();
    if user.is_root() && is_argocd(env) {
        let hint = "runAsNonRoot: true, runAsUser: 999, as Argo CD's own containers";
        report.warning(PROCESS, "runs as root, whom no policy and no file mode binds", hint);
    } else {
        report.note(PROCESS, format!("runs as user {}", user.as_raw()));
    }
    let Ok(status) = jail::read_argument(Path::new("/proc/self/status"), 64 << 10) else { return };
    let status = String::from_utf8_lossy(status.as_slice()).into_owned();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    let (privileges, seccomp, capabilities) = (field("NoNewPrivs"), field("Seccomp"), field("CapEff"));
    let is_set = |value: &Option<String>| value.as_deref().is_some_and(|value| value != "0");
    let has_capabilities =
        capabilities.as_deref().is_some_and(|value| u64::from_str_radix(value, 16).is_ok_and(|bits| bits != 0));
    let yes_no = |yes: bool| if yes { "on" } else { "off" };
    report.note(
        PROCESS,
        format!(
            "no new privileges: {}; seccomp: {}; capabilities: {}",
            yes_no(is_set(&privileges)),
            yes_no(is_set(&seccomp)),
            if has_capabilities { "some" } else { "none" }
        ),
    );
}

/// Where the process, and kustomize below it, may write.
pub fn writable(env: &Environment, report: &mut Report) {
    let temporary =
        env.var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    match state_of(&temporary) {
        Ok(()) => report.ok(WRITABLE, format!("TMPDIR {}", printable(&temporary))),
        Err(why) => {
            let message = format!("TMPDIR {} {why}: kustomize and unsops build need it", printable(&temporary));
            report.error(WRITABLE, message, "mount an emptyDir (medium: Memory) and name it in TMPDIR");
        }
    }
    match env.home() {
        None => report.note(WRITABLE, "HOME is not set: no keys and no plugins are looked for there"),
        Some(home) => match state_of(home) {
            Ok(()) => report.note(WRITABLE, format!("HOME {}", printable(home))),
            Err(why) => report.note(WRITABLE, format!("HOME {} {why}, which is well", printable(home))),
        },
    }
}

/// Why a directory cannot be written to.
fn state_of(dir: &Path) -> Result<(), &'static str> {
    if !dir.is_dir() {
        return Err("is no directory");
    }
    if rustix::fs::statvfs(dir).is_ok_and(|file_system| file_system.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Err("is on a read-only file system");
    }
    rustix::fs::access(dir, Access::WRITE_OK).map_err(|_| "may not be written to by this user")
}

/// What Argo CD around us would do with what we print.
pub fn argocd(env: &Environment, report: &mut Report) {
    let variables = || env.variables().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    for (name, value) in variables() {
        let is_level = name.starts_with("ARGOCD_") && name.contains("LOG") && name.contains("LEVEL");
        if is_level && matches!(value.to_ascii_lowercase().as_str(), "debug" | "trace") {
            let name = Printable::new(name);
            let message = format!(
                "{name} is {}: at this level Argo CD logs manifests, Secrets included",
                value.to_ascii_lowercase()
            );
            report.warning(ARGOCD, message, format!("set {name} to info"));
        }
    }
    if !is_argocd(env) {
        return report.note(ARGOCD, "not run by Argo CD");
    }
    let has_credentials = variables().any(|(name, _)| name == "ARGOCD_GIT_AUTH_HEADER" || name == "GIT_SSH_COMMAND");
    if has_credentials {
        let message = "Git credentials are in the environment (provideGitCreds: true)";
        report.warning(ARGOCD, message, "set provideGitCreds: false; nothing here needs them");
    }
    if variables().any(|(name, _)| name.starts_with("ARGOCD_ENV_") || name.starts_with("PARAM_")) {
        report
            .note(ARGOCD, "ARGOCD_ENV_* and PARAM_* are set by whoever may commit; they choose neither keys nor roots");
    }
    report.ok(ARGOCD, "run by Argo CD: the deadline is 45 s");
}

fn is_argocd(env: &Environment) -> bool {
    env.var_os("ARGOCD_APP_NAME").is_some()
}

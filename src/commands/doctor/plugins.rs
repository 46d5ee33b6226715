//! The generators of a kustomization, and whether kustomize would call us for them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::printable;
use super::report::Report;
use crate::commands::plugin_home::{self, Candidate};
use crate::commands::programs;
use crate::environment::Environment;
use crate::jail::Root;
use crate::kustomization::{Engine, Plugin, Walk};
use crate::limits;
use crate::process;
use crate::text::Printable;

const GENERATORS: &str = "generators";
const PLUGIN_HOME: &str = "plugin home";

/// Looks at each generator of ours, at the flags it needs, and at the places where kustomize looks for plugins.
pub fn look(walk: Option<&Walk>, root: Option<&Root>, flags: Option<&str>, env: &Environment, report: &mut Report) {
    let ours: Vec<&Plugin> = walk.map(|walk| walk.ours().collect()).unwrap_or_default();
    let is_exec = |plugin: &&&Plugin| matches!(plugin.engine, Engine::Exec { .. });
    let is_legacy = |plugin: &&&Plugin| matches!(plugin.engine, Engine::Legacy);
    let (functions, legacy) = (ours.iter().filter(is_exec).count(), ours.iter().filter(is_legacy).count());
    match walk {
        None => report.note(GENERATORS, "this directory has no kustomization"),
        Some(_) if ours.is_empty() => report.note(GENERATORS, "this kustomization has none of ours"),
        Some(_) => say_flags(functions, legacy, flags, report),
    }
    if let Some(faults) = walk.map(|walk| walk.faults.len()).filter(|count| *count > 0) {
        report.warning(
            GENERATORS,
            format!("kustomize would refuse {faults} things here"),
            "unsops build DIR names them",
        );
    }
    let mut seen = BTreeSet::new();
    for plugin in ours.iter().take(limits::ERRORS) {
        match &plugin.engine {
            Engine::Exec { path } => {
                if seen.insert(format!("{} {path}", plugin.kustomization)) {
                    say_program(path, plugin, walk, root, env, report);
                }
            }
            Engine::Invalid { reason } => {
                let about = name(plugin);
                report.error(
                    GENERATORS,
                    format!("{about}: its function annotation is wrong: {reason}"),
                    "unsops check",
                );
            }
            Engine::Container { image } => {
                let about = name(plugin);
                let message = format!("{about}: kustomize would run the container {} for it", Printable::new(image));
                report.warning(GENERATORS, message, "write exec instead of container: exec: {path: unsops}");
            }
            Engine::Legacy | Engine::Builtin => {}
        }
    }
    let Some(home) = plugin_home(legacy > 0, env, report) else { return };
    let wanted: Vec<(&str, &str)> =
        ours.iter().filter(is_legacy).map(|plugin| (plugin.api_version.as_str(), plugin.kind_name.as_str())).collect();
    if wanted.is_empty() {
        for (api_version, kind) in plugin_home::PLUGINS {
            say_plugin(&home, api_version, kind, false, env, report);
        }
    }
    for (api_version, kind) in wanted.into_iter().collect::<BTreeSet<_>>() {
        say_plugin(&home, api_version, kind, true, env, report);
    }
}

/// Which flags the generators need, and what happens without.
fn say_flags(functions: usize, legacy: usize, flags: Option<&str>, report: &mut Report) {
    let needed = if functions > 0 { "--enable-alpha-plugins --enable-exec" } else { "--enable-alpha-plugins" };
    let count = format!("{functions} with a function annotation, {legacy} in legacy style");
    report.ok(GENERATORS, format!("{count}: kustomize build {needed}; unsops build needs no flags"));
    let Some(flags) = flags else { return };
    let given: Vec<&str> = flags.split_whitespace().collect();
    let has = |flag: &str| given.iter().any(|given| *given == flag || *given == format!("{flag}=true"));
    if !has("--enable-alpha-plugins") {
        report.error(GENERATORS, "without --enable-alpha-plugins kustomize runs no plugin at all, and fails", needed);
    } else if functions > 0 && !has("--enable-exec") {
        let message = "without --enable-exec kustomize passes over the functions without a word: exit 0 and no Secrets";
        report.error(GENERATORS, message, format!("pass {needed}, or use unsops build"));
    } else {
        report.ok(GENERATORS, "the flags that kustomize is given suffice");
    }
}

fn name(plugin: &Plugin) -> Printable {
    Printable::new(&format!("{}: {}/{}", plugin.place.file, plugin.kind_name, plugin.name))
}

/// The program of a function: on PATH, or a path from the kustomization's directory.
fn say_program(
    path: &str,
    plugin: &Plugin,
    walk: Option<&Walk>,
    root: Option<&Root>,
    env: &Environment,
    report: &mut Report,
) {
    let (about, shown) = (name(plugin), Printable::new(path));
    if !path.contains('/') {
        match programs::find(path, env) {
            Some(found) => report.ok(GENERATORS, format!("{about}: {shown} is {}", who(&found))),
            None => report.error(
                GENERATORS,
                format!("{about}: kustomize would not find the program {shown} on PATH"),
                format!("unsops install DIR --as {shown}, with DIR on PATH"),
            ),
        }
        return;
    }
    let directory = walk.and_then(|walk| walk.kustomizations.get(plugin.kustomization)).map(|seen| &seen.directory);
    let Some((root, directory)) = root.zip(directory) else { return };
    let program = root.path().join(directory).join(path);
    if programs::is_program(&program) && Path::new(path).is_absolute() {
        report.ok(GENERATORS, format!("{about}: {}", who(&program)));
    } else if programs::is_program(&program) {
        let message = format!("{about}: {shown} in the repository is {}", who(&program));
        report.warning(
            GENERATORS,
            message,
            "a sidecar of Argo CD loses the x bit of files: write exec: {path: unsops}",
        );
    } else {
        let hint = "chmod +x, or write exec: {path: unsops} and put that on PATH";
        report.error(GENERATORS, format!("{about}: {shown} is not a program that this user may run"), hint);
    }
}

/// The directory in which kustomize looks for legacy plugins.
fn plugin_home(is_needed: bool, env: &Environment, report: &mut Report) -> Option<Candidate> {
    let candidates = plugin_home::candidates(env);
    let places: Vec<String> = candidates.iter().map(|candidate| printable(&candidate.path).to_string()).collect();
    let found = candidates.into_iter().find(|candidate| candidate.path.exists());
    match &found {
        None => {
            let message = format!("no directory for legacy plugins; kustomize looks for {}", places.join(", "));
            if is_needed {
                report.error(PLUGIN_HOME, message, "unsops install --plugin-home DIR makes it, or use unsops build");
            } else {
                report.note(PLUGIN_HOME, message);
            }
        }
        Some(candidate) if candidate.path.is_relative() => report.error(
            PLUGIN_HOME,
            format!(
                "{} of {} is relative: kustomize finds plugins there and cannot run them",
                printable(&candidate.path),
                candidate.variable
            ),
            "set it to an absolute path",
        ),
        Some(candidate) => {
            report.ok(PLUGIN_HOME, format!("{} (from {})", printable(&candidate.path), candidate.variable))
        }
    }
    found
}

/// Whether the plugin of a kind is where kustomize looks for it, and if not, why.
fn say_plugin(
    home: &Candidate,
    api_version: &str,
    kind: &str,
    is_needed: bool,
    env: &Environment,
    report: &mut Report,
) {
    let place = plugin_home::place_of(api_version, kind);
    let path = home.path.join(&place);
    let shown = printable(&place);
    if programs::is_program(&path) {
        return report.ok(PLUGIN_HOME, format!("{shown} is {}", who(&path)));
    }
    if path.exists() {
        let message = format!("{shown} is not a program that this user may run: kustomize would refuse it");
        return report.error(PLUGIN_HOME, message, "chmod 0755, or unsops install --plugin-home DIR");
    }
    if let Some(other) = in_another_case(&home.path, &place) {
        let message = format!("{shown} is missing, but {} is there", printable(&other));
        return report.error(
            PLUGIN_HOME,
            message,
            "the directory is the kind in small letters, the program the kind as it is",
        );
    }
    let later = plugin_home::candidates(env)
        .into_iter()
        .find(|later| later.path != home.path && later.path.join(&place).exists());
    if let Some(later) = later {
        let message = format!("{shown} is missing, but is in {}", printable(&later.path));
        return report.error(
            PLUGIN_HOME,
            message,
            "kustomize looks in the first directory that exists, and in no other",
        );
    }
    if is_needed {
        report.error(
            PLUGIN_HOME,
            format!("{shown} is missing"),
            format!("unsops install --plugin-home {}, or use unsops build", printable(&home.path)),
        );
    }
}

/// The same path in other letters, as far as it is there.
fn in_another_case(home: &Path, place: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in place {
        let entries = home.join(&found).read_dir().ok()?;
        let wanted = part.to_string_lossy().to_lowercase();
        let mut names: Vec<_> = entries
            .take(limits::DIRECTORY_ENTRIES)
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().to_lowercase() == wanted)
            .collect();
        names.sort_by_key(|name| name != part);
        found.push(names.into_iter().next()?);
    }
    (found != place).then_some(found)
}

/// Says whether a program is this one.
fn who(path: &Path) -> String {
    let what = match is_this_program(path) {
        Some(true) => "this program",
        Some(false) => "another program, not this unsops",
        None => "a program that cannot be read",
    };
    format!("{}, {what}", printable(path))
}

/// Whether a file has the content of the program that runs.
fn is_this_program(path: &Path) -> Option<bool> {
    let open = |path: &Path| {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok().map(std::fs::File::from)
    };
    let (own, other) = (open(&process::executable_to_read()?)?, open(path)?);
    let (ours, theirs) = (own.metadata().ok()?, other.metadata().ok()?);
    if ours.len() != theirs.len() || !theirs.is_file() {
        return Some(false);
    }
    let bound = u64::try_from(limits::PROGRAM_BYTES).unwrap_or(u64::MAX);
    let (mut own, mut other) = (own.take(bound), other.take(bound));
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = own.read(&mut left).ok()?;
        let (left, right) = (left.get(..count)?, right.get_mut(..count)?);
        other.read_exact(right).ok()?;
        if left != &*right {
            return Some(false);
        }
        if count == 0 {
            return Some(true);
        }
    }
}

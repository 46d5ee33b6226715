//! What a build is going to run, read from the kustomizations before kustomize is started.
//!
//! kustomize finds a legacy plugin by joining group, version and kind to a path, whatever they hold (`../../bin/sh` is a
//! kind to it), and takes plugin manifests from directories that may patch them first. So what may run is decided here, by
//! what can be read with certainty: manifests of our kinds, of kustomize's own, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::service::Answered;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::kustomization::{
    self, Engine, Fault, FaultKind, Field, Plugin, PluginKind, Visited, Walk, is_remote_file, split_remote_root,
};
use crate::limits;
use crate::text::Printable;
use crate::yaml::fields::entries;
use crate::yaml::{Kind, Node, Position};

/// What the operator allows beyond our own generators.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    pub exec: bool,
    pub remote: bool,
}

/// A walk that was looked through.
pub(super) struct Plan {
    pub walk: Walk,
    /// Plugins that have to be found in the plugin directory: group, version, kind in small letters, kind.
    pub links: BTreeSet<PathBuf>,
    /// The same, for programs that are not ours.
    pub foreign_links: BTreeSet<PathBuf>,
    expected: Vec<Expected>,
}

/// A generator of ours that has to run.
pub(super) struct Expected {
    /// The directory of the kustomization that lists it.
    dir: PathBuf,
    api_version: String,
    kind: String,
    /// Where it stands, and its name.
    about: Printable,
}

/// Fields of a directory of plugin manifests that leave apiVersion and kind as they were written.
const STATIC_FIELDS: [&str; 14] = [
    "apiVersion",
    "bases",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "components",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "resources",
    "sortOptions",
];

impl Plan {
    /// Looks through a walk beneath `root`.
    ///
    /// # Errors
    /// Everything that may not be built, by file and line.
    pub(super) fn of(walk: Walk, root: &Root, allowed: Allowed) -> Result<Self, Error> {
        let mut refused: Vec<Record> = walk.faults.iter().map(of_fault).collect();
        if !allowed.remote {
            refused.extend(remotes(&walk).into_iter().map(|(file, position, url)| {
                Record::new(Failure::Generator, format!("{url} would be fetched, which is not allowed"))
                    .about(place(&file, position))
                    .hint("keep a copy in the repository; or the operator allows it with --allow-remote")
            }));
        }
        let mut links = BTreeSet::new();
        let mut foreign_links = BTreeSet::new();
        for plugin in &walk.plugins {
            match judge(plugin, allowed) {
                Ok(None) => {}
                Ok(Some(link)) if plugin.is_ours() => _ = links.insert(link),
                Ok(Some(link)) => _ = foreign_links.insert(link),
                Err(record) => refused.push(record),
            }
        }
        if !allowed.exec {
            refused.extend(changing_directories(&walk));
        }
        refused.truncate(limits::ERRORS);
        if let Some(error) = Error::collect(refused) {
            return Err(error);
        }
        let expected = walk.ours().filter_map(|plugin| expect(plugin, &walk, root)).collect();
        Ok(Self { walk, links, foreign_links, expected })
    }

    /// What kustomize clones: repository paths and directories in them.
    pub(super) fn remote_roots(&self) -> impl Iterator<Item = (String, String)> {
        let entries = self.walk.kustomizations.iter().flat_map(|visited| &visited.kustomization.entries);
        entries.filter_map(|entry| split_remote_root(&entry.text)).map(|(repository, dir)| (repository.to_owned(), dir))
    }

    /// Forgets what has to run, where it is not known whether kustomize will come by.
    pub(super) fn without_expectations(self) -> Self {
        Self { expected: Vec::new(), ..self }
    }

    /// Checks that every generator of ours was asked for, as often as it is listed.
    ///
    /// # Errors
    /// A record for each that was not.
    pub(super) fn check(&self, calls: &[(PathBuf, &Answered)]) -> Vec<Record> {
        let mut asked: BTreeMap<(&Path, &str, &str), usize> = BTreeMap::new();
        for (dir, answered) in calls {
            *asked.entry((dir.as_path(), &answered.api_version, &answered.kind)).or_default() += 1;
        }
        let mut missing = Vec::new();
        for Expected { dir, api_version, kind, about } in &self.expected {
            match asked.get_mut(&(dir.as_path(), api_version.as_str(), kind.as_str())) {
                Some(count) if *count > 0 => *count -= 1,
                _ => missing.push(
                    Record::new(Failure::Generator, "this generator did not run")
                        .about(about.clone())
                        .hint("kustomize passed over it without a word: please report this"),
                ),
            }
        }
        missing.truncate(limits::ERRORS);
        missing
    }
}

/// `dir/file.yaml:12`
pub(super) fn place(file: &str, position: Position) -> Printable {
    match position.line {
        0 => Printable::new(file),
        line => Printable::new(&format!("{file}:{line}")),
    }
}

/// Where kustomize looks for a plugin that it may run; `None` for one that it has built in or that is a function.
fn judge(plugin: &Plugin, allowed: Allowed) -> Result<Option<PathBuf>, Record> {
    let refuse = |what: String| {
        Record::new(Failure::Generator, what)
            .about(place(&plugin.place.file, plugin.position()))
            .hint("only generators of viaduct.ai, goabout.com and unsops.dev run here; the operator can allow others with --allow-exec")
    };
    let name = Printable::new(&format!("{}/{}", plugin.kind_name, plugin.name));
    let strange = || refuse(format!("{name} has an apiVersion or kind that no plugin can have"));
    match (&plugin.kind, &plugin.engine) {
        (PluginKind::Builtin, _) if plugin.api_version == "builtin" && !plugin.kind_name.ends_with("List") => {
            return Ok(None);
        }
        (PluginKind::Builtin, _) => return Err(strange()),
        (PluginKind::Foreign, _) if allowed.exec => {}
        (PluginKind::Foreign, Engine::Exec { path }) => {
            let path = Printable::new(path);
            return Err(refuse(format!("{name} would run the program {path}, which is not allowed")));
        }
        (PluginKind::Foreign, Engine::Container { image }) => {
            let image = Printable::new(image);
            return Err(refuse(format!("{name} would run the container {image}, which is not allowed")));
        }
        (PluginKind::Foreign, _) => {
            return Err(refuse(format!("{name} would run a plugin that is not ours, which is not allowed")));
        }
        _ => {}
    }
    if plugin.kind == PluginKind::Foreign && plugin.engine.is_function() {
        return Ok(None);
    }
    let mut parts: Vec<&str> = plugin.api_version.split('/').collect();
    let lower = plugin.kind_name.to_lowercase();
    parts.extend([lower.as_str(), plugin.kind_name.as_str()]);
    let is_plain = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    // kustomize takes lists apart, also those within lists.
    let is_list = plugin.kind_name.ends_with("List");
    if parts.len() > 4 || is_list || !parts.iter().all(is_plain) {
        return Err(strange());
    }
    Ok(Some(parts.iter().collect()))
}

/// Directories of plugin manifests that could turn them into others.
fn changing_directories(walk: &Walk) -> Vec<Record> {
    let mut waiting: Vec<usize> = walk
        .kustomizations
        .iter()
        .flat_map(|visited| &visited.edges)
        .filter(|edge| edge.field.is_plugins())
        .filter_map(|edge| edge.kustomization)
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(index) = waiting.pop() {
        let Some(visited) = walk.kustomizations.get(index).filter(|_| seen.insert(index)) else { continue };
        waiting.extend(visited.edges.iter().filter_map(|edge| edge.kustomization));
        for (name, key, _) in entries(&visited.kustomization.root) {
            if !STATIC_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)) {
                let field = Printable::new(name);
                found.push(
                    Record::new(
                        Failure::Generator,
                        format!("{field} could turn plugin manifests into others, which is not allowed here"),
                    )
                    .about(place(&visited.file, key.position))
                    .hint("list the generator manifests themselves; or the operator allows it with --allow-exec"),
                );
            }
        }
        let remote = walk.remotes.iter().filter(|remote| remote.kustomization == index);
        found.extend(remote.map(|remote| {
            Record::new(Failure::Generator, "plugin manifests from elsewhere are not allowed here")
                .about(place(&visited.file, remote.position))
                .hint("keep a copy in the repository; or the operator allows it with --allow-exec")
        }));
    }
    // A plugin list may name a URL itself.
    found.extend(walk.remotes.iter().filter(|remote| remote.field.is_plugins()).filter_map(|remote| {
        let visited = walk.kustomizations.get(remote.kustomization)?;
        Some(
            Record::new(Failure::Generator, "plugin manifests from elsewhere are not allowed here")
                .about(place(&visited.file, remote.position))
                .hint("keep a copy in the repository; or the operator allows it with --allow-exec"),
        )
    }));
    found
}

fn expect(plugin: &Plugin, walk: &Walk, root: &Root) -> Option<Expected> {
    let visited = walk.kustomizations.get(plugin.kustomization)?;
    let name = format!("{}: {}/{}", place(&plugin.place.file, plugin.position()), plugin.kind_name, plugin.name);
    Some(Expected {
        dir: without_links(root.path().join(&visited.directory)),
        api_version: plugin.api_version.clone(),
        kind: plugin.kind_name.clone(),
        about: Printable::new(&name),
    })
}

/// A directory as kustomize names it.
pub(super) fn without_links(dir: PathBuf) -> PathBuf {
    dir.canonicalize().unwrap_or(dir)
}

/// What kustomize would fetch: file, place, URL.
fn remotes(walk: &Walk) -> Vec<(String, Position, Printable)> {
    let file = |visited: &Visited| visited.file.clone();
    let listed = walk.remotes.iter().filter_map(|remote| {
        let visited = walk.kustomizations.get(remote.kustomization)?;
        Some((file(visited), remote.position, remote.url.clone()))
    });
    let mut found: Vec<_> = listed.collect();
    for visited in &walk.kustomizations {
        let root = &visited.kustomization.root;
        let lists = Field::ALL.map(Field::as_str);
        for (name, _, value) in entries(root) {
            // What the walk follows, and what holds text of the author's own.
            let is_text = ["commonAnnotations", "commonLabels", "labels", "metadata", "helmCharts", "images"];
            if !lists.iter().chain(&is_text).any(|known| known.eq_ignore_ascii_case(name)) {
                collect_urls(value, false, &mut |position, url| found.push((file(visited), position, url)));
            }
        }
    }
    found
}

/// URLs where kustomize opens files: values of these keys, and the elements of these lists.
fn collect_urls(node: &Node, is_path: bool, note: &mut impl FnMut(Position, Printable)) {
    const PATHS: [&str; 5] = ["path", "files", "env", "envs", "valuesFile"];
    match &node.kind {
        Kind::Scalar(text, _) if is_path => {
            let path = text.split_once('=').map_or(text.as_str(), |(_, path)| path);
            if is_remote_file(text) || is_remote_file(path) {
                note(node.position, Printable::new(text));
            }
        }
        Kind::Scalar(..) => {}
        Kind::Sequence(items, _) => items.iter().for_each(|item| collect_urls(item, is_path, note)),
        Kind::Mapping(..) => {
            for (name, _, value) in entries(node) {
                collect_urls(value, PATHS.iter().any(|path| path.eq_ignore_ascii_case(name)), note);
            }
        }
    }
}

fn of_fault(fault: &Fault) -> Record {
    let class = match fault.kind {
        FaultKind::Missing(_) | FaultKind::Outside(_) | FaultKind::Absolute(_) | FaultKind::Unreadable(..) => {
            Failure::File
        }
        _ => Failure::Generator,
    };
    let (words, hint): (String, Option<&str>) = match &fault.kind {
        FaultKind::Absolute(path) => (format!("{path}: absolute paths are not allowed"), None),
        FaultKind::Cycle(path) => (format!("{path}: a cycle: this kustomization leads back here"), None),
        FaultKind::ComponentExpected(path) => (format!("{path} is no component"), Some("list it under resources")),
        FaultKind::Inline => ("inline YAML that does not read as objects".to_owned(), None),
        FaultKind::Malformed(error) => (error.to_string(), None),
        FaultKind::Missing(path) => (format!("{path}: no such file or directory"), None),
        FaultKind::NoComponentExpected(path) => (format!("{path} is a component"), Some("list it under components")),
        FaultKind::NoKustomization(path) if path.as_str().is_empty() => ("no kustomization file".to_owned(), None),
        FaultKind::NoKustomization(path) => (format!("{path}: a directory without a kustomization file"), None),
        FaultKind::NotADirectory(path) => (format!("{path}: not a directory"), None),
        FaultKind::NotAnObject => ("no object with a kind, so no plugin manifest".to_owned(), None),
        FaultKind::Outside(path) => (
            format!("{path}: outside the allowed root"),
            Some("the operator can set another root with --root or UNSOPS_ROOT"),
        ),
        FaultKind::TooDeep => {
            (format!("more than {} kustomizations under one another", limits::KUSTOMIZATION_DEPTH), None)
        }
        FaultKind::TooMuch => {
            ("too many kustomizations or plugin manifests".to_owned(), Some("split the kustomization"))
        }
        FaultKind::TwoFiles => ("two kustomization files in one directory".to_owned(), None),
        FaultKind::Unreadable(path, reason) => (format!("{path}: {reason}"), None),
    };
    let record = Record::new(class, words).about(place(&fault.file, fault.position));
    match hint {
        Some(hint) => record.hint(hint),
        None => record,
    }
}

/// Manifests of ours that are written as functions: kustomize would pass over them.
pub(super) fn functions(walk: &Walk) -> impl Iterator<Item = &Plugin> {
    walk.ours().filter(|plugin| matches!(plugin.engine, Engine::Exec { .. } | Engine::Container { .. }))
}

/// Walks a tree from directories.
pub(super) fn walk<'d>(root: &Root, directories: impl IntoIterator<Item = &'d str>) -> Walk {
    kustomization::walk(&crate::commands::tree::Tree::new(root), directories)
}

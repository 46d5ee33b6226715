//! The way through kustomizations: bounded, each directory once, cycles and dead ends noted.

use std::collections::{HashMap, HashSet};

use super::file::{Entry, FILE_NAMES, Field, Kustomization};
use super::found::{Edge, Fault, FaultKind, FileKind, Files, Remote, Unread, Visited, Walk};
use super::place::{contains, file_in, join, parent};
use super::plugin::{Engine, Plugin, PluginPlace, Role};
use super::remote::{is_remote_file, is_remote_root};
use crate::limits;
use crate::text::Printable;
use crate::yaml::fields::{elements, field, is_null, text};
use crate::yaml::{self, Kind, Node, Position, YamlError};

/// Walks from directories, each given clean and relative to the root.
pub fn walk<'a>(files: &dyn Files, directories: impl IntoIterator<Item = &'a str>) -> Walk {
    let mut walker = Walker {
        files,
        walk: Walk::default(),
        known: HashMap::new(),
        chain: Vec::new(),
        bytes_left: limits::WALK_BYTES,
        steps_left: limits::WALK_STEPS,
        looks_left: limits::WALK_LOOKS,
        nodes_left: limits::WALK_NODES,
        taken: HashSet::new(),
        manifests: HashMap::new(),
        is_full: false,
    };
    for directory in directories {
        if walker.visit(directory) == Met::Nothing {
            let kind = FaultKind::NoKustomization(Printable::new(directory));
            walker.walk.faults.push(Fault { file: directory.to_owned(), position: Position::default(), kind });
        }
    }
    walker.walk
}

struct Walker<'a> {
    files: &'a dyn Files,
    walk: Walk,
    /// Directories already met, with their index; `None` where the kustomization could not be read.
    known: HashMap<String, Option<usize>>,
    /// Directories from the start to here.
    chain: Vec<String>,
    bytes_left: usize,
    /// Kustomizations of manifests that may still be gone through.
    steps_left: usize,
    /// Paths that may still be looked at.
    looks_left: usize,
    /// Nodes that may still be kept.
    nodes_left: usize,
    /// Files that a kustomization has taken already.
    taken: HashSet<(usize, Role, String)>,
    /// Manifests of plugins by kustomization.
    manifests: HashMap<usize, usize>,
    /// A bound was reached and noted.
    is_full: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// A kustomization file that could not be read; noted.
    Broken,
    Kustomization(usize),
    /// No kustomization file.
    Nothing,
}

impl Walker<'_> {
    fn visit(&mut self, directory: &str) -> Met {
        if let Some(known) = self.known.get(directory) {
            return known.map_or(Met::Broken, Met::Kustomization);
        }
        let present: Vec<String> = FILE_NAMES
            .iter()
            .map(|name| file_in(directory, name))
            .filter(|path| self.files.kind(path) == FileKind::File)
            .collect();
        self.looks_left = self.looks_left.saturating_sub(FILE_NAMES.len());
        let Some(file) = present.first() else { return Met::Nothing };
        if present.len() > 1 {
            self.fault(file, Position::default(), FaultKind::TwoFiles);
        }
        self.known.insert(directory.to_owned(), None);
        if self.walk.kustomizations.len() >= limits::KUSTOMIZATIONS {
            self.fill(file);
            return Met::Broken;
        }
        let Some(text) = self.read(file) else { return Met::Broken };
        let kustomization = match Kustomization::parse(&text) {
            Ok(kustomization) => kustomization,
            Err(error) => {
                let YamlError::Syntax { position, .. } = error;
                self.fault(file, position, FaultKind::Malformed(error));
                return Met::Broken;
            }
        };
        if !self.keeps(&kustomization.root) {
            self.fill(file);
            return Met::Broken;
        }
        let index = self.walk.kustomizations.len();
        self.known.insert(directory.to_owned(), Some(index));
        let entries = kustomization.entries.clone();
        let visited =
            Visited { directory: directory.to_owned(), file: file.clone(), text, kustomization, edges: Vec::new() };
        self.walk.kustomizations.push(visited);
        self.chain.push(directory.to_owned());
        // In kustomize's order, so that plugins come in the order in which they run.
        for field in [
            Field::Resources,
            Field::Bases,
            Field::Generators,
            Field::Components,
            Field::Transformers,
            Field::Validators,
            Field::Configurations,
            Field::Crds,
        ] {
            for entry in entries.iter().filter(|entry| entry.field == field) {
                self.follow(index, directory, file, entry);
            }
        }
        self.chain.pop();
        Met::Kustomization(index)
    }

    fn follow(&mut self, index: usize, directory: &str, file: &str, entry: &Entry) {
        if self.is_full {
            return;
        }
        if let Some(documents) = entry.inline() {
            let places: Vec<PluginPlace> = match self.walk.kustomizations.get(index) {
                Some(visited) => {
                    (0..documents.len()).map(|number| PluginPlace::inline(file, number, entry, &visited.text)).collect()
                }
                None => Vec::new(),
            };
            for (place, document) in places.into_iter().zip(documents) {
                self.take_document(role(entry.field), index, place, document.root);
            }
            return;
        }
        let is_remote = is_remote_file(&entry.text) || is_remote_root(&entry.text);
        if is_remote {
            let remote =
                Remote { kustomization: index, field: entry.field, url: entry.printable(), position: entry.position };
            self.walk.remotes.push(remote);
            return;
        }
        let Some(path) = join(directory, &entry.text) else {
            let kind = match entry.text.starts_with('/') {
                true => FaultKind::Absolute(entry.printable()),
                false => FaultKind::Outside(entry.printable()),
            };
            return self.fault(file, entry.position, kind);
        };
        // A directory that was met before is still one.
        let is_list = matches!(entry.field, Field::Configurations | Field::Crds);
        if self.known.contains_key(&path) && !is_list {
            return self.follow_directory(index, file, entry, &path);
        }
        let Some(left) = self.looks_left.checked_sub(1) else { return self.fill(file) };
        self.looks_left = left;
        let wants_directory = entry.field == Field::Components;
        let kind = match self.files.kind(&path) {
            FileKind::File if wants_directory => FaultKind::NotADirectory(entry.printable()),
            FileKind::File => {
                self.add_edge(index, entry, path.clone(), None);
                if entry.field.is_plugins() {
                    self.take_file(role(entry.field), index, &path);
                }
                return;
            }
            FileKind::Directory if is_list => FaultKind::Unreadable(entry.printable(), "it is a directory".to_owned()),
            FileKind::Directory => return self.follow_directory(index, file, entry, &path),
            FileKind::Missing if entry.text.contains('\n') => FaultKind::Inline,
            FileKind::Missing => FaultKind::Missing(entry.printable()),
            FileKind::Outside => FaultKind::Outside(entry.printable()),
            FileKind::Unusable => FaultKind::Unreadable(entry.printable(), "it cannot be opened".to_owned()),
        };
        self.fault(file, entry.position, kind);
    }

    fn follow_directory(&mut self, index: usize, file: &str, entry: &Entry, path: &str) {
        if self.chain.iter().any(|visited| contains(path, visited)) {
            return self.fault(file, entry.position, FaultKind::Cycle(entry.printable()));
        }
        if self.chain.len() >= limits::KUSTOMIZATION_DEPTH {
            return self.fault(file, entry.position, FaultKind::TooDeep);
        }
        match self.visit(path) {
            Met::Nothing => self.fault(file, entry.position, FaultKind::NoKustomization(entry.printable())),
            Met::Broken => self.add_edge(index, entry, path.to_owned(), None),
            Met::Kustomization(target) => {
                self.add_edge(index, entry, path.to_owned(), Some(target));
                let is_component =
                    self.walk.kustomizations.get(target).is_some_and(|target| target.kustomization.is_component);
                match (entry.field == Field::Components, is_component) {
                    (true, false) => {
                        self.fault(file, entry.position, FaultKind::ComponentExpected(entry.printable()));
                    }
                    (false, true) => {
                        self.fault(file, entry.position, FaultKind::NoComponentExpected(entry.printable()));
                    }
                    _ => {}
                }
                if entry.field.is_plugins() {
                    self.take_directory(role(entry.field), index, target);
                }
            }
        }
    }

    /// Takes the manifests that a kustomization of manifests makes: those among its resources, and theirs.
    fn take_directory(&mut self, role: Role, index: usize, start: usize) {
        let mut waiting = vec![start];
        let mut seen = HashSet::new();
        while let Some(at) = waiting.pop() {
            if self.is_full || !seen.insert(at) {
                continue;
            }
            let Some(left) = self.steps_left.checked_sub(1) else { return self.fill_at(index) };
            self.steps_left = left;
            let edges: Vec<Edge> = match self.walk.kustomizations.get(at) {
                Some(visited) => visited.edges.iter().filter(|edge| !edge.field.is_plugins()).cloned().collect(),
                None => continue,
            };
            for edge in &edges {
                match edge.kustomization {
                    None if matches!(edge.field, Field::Resources | Field::Bases) => {
                        self.take_file(role, index, &edge.path);
                    }
                    None => {}
                    Some(target) => waiting.push(target),
                }
            }
        }
    }

    fn take_file(&mut self, role: Role, index: usize, path: &str) {
        // Listed twice, kustomize refuses its names anyway.
        if self.is_full || !self.taken.insert((index, role, path.to_owned())) {
            return;
        }
        let Some(text) = self.read(path) else { return };
        match yaml::parse(&text) {
            Ok(documents) => {
                for (number, document) in documents.into_iter().enumerate() {
                    self.take_document(role, index, PluginPlace::file(path, number), document.root);
                }
            }
            Err(error) => {
                let YamlError::Syntax { position, .. } = error;
                self.fault(path, position, FaultKind::Malformed(error));
            }
        }
    }

    fn take_document(&mut self, role: Role, index: usize, place: PluginPlace, node: Node) {
        if self.is_full || is_null(&node) {
            return;
        }
        let is_list = text(&node, "kind").is_some_and(|kind| kind.ends_with("List"));
        let items = field(&node, "items").filter(|_| is_list).map(elements);
        if let Some(items) = items {
            for item in items {
                self.take_plugin(role, index, place.clone(), item.clone());
            }
            return;
        }
        self.take_plugin(role, index, place, node);
    }

    fn take_plugin(&mut self, role: Role, index: usize, place: PluginPlace, node: Node) {
        if self.walk.plugins.len() >= limits::PLUGIN_MANIFESTS {
            return self.fill(&place.file);
        }
        let of_this = self.manifests.entry(index).or_default();
        *of_this = of_this.saturating_add(1);
        if *of_this > limits::PLUGIN_MANIFESTS_OF_ONE {
            // Said once; the others of the tree are looked at.
            if *of_this == limits::PLUGIN_MANIFESTS_OF_ONE.saturating_add(1) {
                self.fault(&place.file.clone(), Position::default(), FaultKind::TooMuch);
            }
            return;
        }
        if !matches!(node.kind, Kind::Mapping(..)) || text(&node, "kind").is_none_or(str::is_empty) {
            let position = place.position(node.position);
            return self.fault(&place.file.clone(), position, FaultKind::NotAnObject);
        }
        if !self.keeps(&node) {
            return self.fill(&place.file);
        }
        let mut plugin = Plugin::new(role, place, index, node);
        if let Engine::Exec { path } = &mut plugin.engine {
            path.truncate(path.floor_char_boundary(limits::PATH_BYTES));
        }
        self.walk.plugins.push(plugin);
    }

    /// Counts the nodes of what is kept; says whether there is room.
    fn keeps(&mut self, node: &Node) -> bool {
        match self.nodes_left.checked_sub(nodes(node)) {
            Some(left) => {
                self.nodes_left = left;
                true
            }
            None => false,
        }
    }

    fn add_edge(&mut self, index: usize, entry: &Entry, path: String, kustomization: Option<usize>) {
        if let Some(visited) = self.walk.kustomizations.get_mut(index) {
            let edge = Edge { field: entry.field, index: entry.index, path, kustomization, position: entry.position };
            visited.edges.push(edge);
        }
    }

    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        match self.files.read(path) {
            Ok(text) => match self.bytes_left.checked_sub(text.len()) {
                Some(left) => {
                    self.bytes_left = left;
                    Some(text)
                }
                None => {
                    self.fill(path);
                    None
                }
            },
            Err(Unread(reason)) => {
                let name = path.strip_prefix(parent(path)).unwrap_or(path).trim_start_matches('/');
                self.fault(path, Position::default(), FaultKind::Unreadable(Printable::new(name), reason));
                None
            }
        }
    }

    fn fill_at(&mut self, index: usize) {
        if let Some(file) = self.walk.kustomizations.get(index).map(|visited| visited.file.clone()) {
            self.fill(&file);
        }
    }

    fn fill(&mut self, file: &str) {
        if !self.is_full {
            self.is_full = true;
            self.walk.faults.push(Fault {
                file: file.to_owned(),
                position: Position::default(),
                kind: FaultKind::TooMuch,
            });
        }
    }

    fn fault(&mut self, file: &str, position: Position, kind: FaultKind) {
        if self.walk.faults.len() < limits::WALK_FAULTS {
            self.walk.faults.push(Fault { file: file.to_owned(), position, kind });
        }
    }
}

/// The nodes of a document; it is nested no deeper than [`limits::NESTING`].
fn nodes(node: &Node) -> usize {
    let below: usize = match &node.kind {
        Kind::Mapping(pairs, _) => pairs.iter().map(|(key, value)| nodes(key).saturating_add(nodes(value))).sum(),
        Kind::Sequence(items, _) => items.iter().map(nodes).sum(),
        Kind::Scalar(..) => 0,
    };
    below.saturating_add(1)
}

fn role(field: Field) -> Role {
    match field {
        Field::Transformers => Role::Transformer,
        Field::Validators => Role::Validator,
        _ => Role::Generator,
    }
}

//! What each kustomization brings into a build by itself: Secrets that it makes or lists, and what comes from elsewhere.

use std::collections::{HashMap, HashSet};

use crate::commands::check::scan::{Class, Files};
use crate::kustomization::{self, Field, Plugin, PluginKind, Role, Visited, Walk};
use crate::limits;
use crate::yaml::Position;
use crate::yaml::fields::{elements, entries, field, text};

/// A Secret that a kustomization makes or lists.
pub struct Made {
    pub name: String,
    pub namespace: String,
    /// Where it is said.
    pub file: String,
    pub position: Position,
    pub is_hashed: bool,
    /// `merge` or `replace`.
    pub behavior: Option<String>,
    pub has_string_data: bool,
    /// By a generator of ours, or from a SOPS file.
    pub is_ours: bool,
    /// Said in the kustomization itself, whose text then holds the name once.
    pub is_inline: bool,
}

/// One kustomization's own part.
pub struct Part {
    pub made: Vec<Made>,
    /// Paths of its resources that are files.
    pub resources: Vec<String>,
    pub children: Vec<usize>,
    /// Something that is not known comes in here.
    pub is_open: bool,
    pub renames: bool,
    /// Has configuration that may teach kustomize more references.
    pub is_taught: bool,
}

/// What is known of kustomizations by their number.
struct ByNumber<'a> {
    plugins: HashMap<usize, Vec<&'a Plugin>>,
    /// With something from a URL.
    remote: HashSet<usize>,
    /// Files in which kustomize would stumble.
    broken: HashSet<&'a str>,
    files: &'a Files,
}

/// The parts of all kustomizations, by their number.
pub fn parts(walk: &Walk, files: &Files) -> Vec<Part> {
    let mut by_number = ByNumber {
        plugins: HashMap::new(),
        remote: walk.remotes.iter().map(|remote| remote.kustomization).collect(),
        broken: walk.faults.iter().map(|fault| fault.file.as_str()).collect(),
        files,
    };
    for plugin in &walk.plugins {
        by_number.plugins.entry(plugin.kustomization).or_default().push(plugin);
    }
    walk.kustomizations.iter().enumerate().map(|(index, visited)| by_number.part(index, visited)).collect()
}

impl ByNumber<'_> {
    fn part(&self, index: usize, visited: &Visited) -> Part {
        let kustomization = &visited.kustomization;
        let plugins = || self.plugins.get(&index).map(Vec::as_slice).unwrap_or_default().iter().copied();
        let mut made = Vec::new();
        for plugin in plugins().filter(|plugin| plugin.role == Role::Generator && plugin.is_ours()) {
            self.of_plugin(plugin, visited, &mut made);
        }
        for sources in kustomization.sources.iter().filter(|sources| sources.is_secret) {
            made.push(Made {
                name: sources.name.clone(),
                namespace: sources.namespace.clone().unwrap_or_default(),
                file: visited.file.clone(),
                position: sources.position,
                is_hashed: !(sources.disables_hash || kustomization.disables_hash),
                behavior: sources.behavior.clone().filter(|behavior| behavior != "create"),
                has_string_data: false,
                is_ours: false,
                is_inline: true,
            });
        }
        let mut resources = Vec::new();
        let mut children = Vec::new();
        for edge in &visited.edges {
            match (edge.field, edge.kustomization) {
                (Field::Resources | Field::Bases | Field::Components, Some(child)) => children.push(child),
                (Field::Resources | Field::Bases, None) => {
                    self.of_resource(&edge.path, &mut made);
                    resources.push(edge.path.clone());
                }
                _ => {}
            }
        }
        let has = |name: &str| kustomization.position_of(name).is_some();
        let is_foreign = |plugin: &Plugin| plugin.kind == PluginKind::Foreign;
        Part {
            made,
            resources,
            children,
            is_open: has("helmCharts")
                || has("helmChartInflationGenerator")
                || plugins().any(is_foreign)
                || self.broken.contains(visited.file.as_str())
                || self.remote.contains(&index),
            renames: !kustomization.name_prefix.is_empty()
                || !kustomization.name_suffix.is_empty()
                || kustomization.namespace.is_some()
                || kustomization.patches.iter().any(|patch| patch.target_kind.as_deref() == Some("Secret")),
            is_taught: has("configurations") || has("openapi") || has("crds") || has("replacements") || has("vars"),
        }
    }

    fn of_plugin(&self, plugin: &Plugin, visited: &Visited, made: &mut Vec<Made>) {
        let add = |node: &crate::yaml::Node, has_string_data: bool, is_hashed_by_default: bool| {
            let metadata = field(node, "metadata")?;
            let annotation = |name| field(metadata, "annotations").and_then(|annotations| text(annotations, name));
            let behavior = annotation("kustomize.config.k8s.io/behavior").or_else(|| text(node, "behavior"));
            let behavior = behavior.filter(|behavior| *behavior != "create").map(str::to_owned);
            let is_hashed = match annotation("kustomize.config.k8s.io/needs-hash") {
                Some(answer) => ["1", "t", "T", "TRUE", "true", "True"].contains(&answer),
                None => is_hashed_by_default,
            };
            Some(Made {
                name: text(metadata, "name").unwrap_or_default().to_owned(),
                namespace: text(metadata, "namespace").unwrap_or_default().to_owned(),
                file: plugin.place.file.clone(),
                position: plugin.place.position(metadata.position),
                is_hashed,
                has_string_data: has_string_data && behavior.as_deref() != Some("merge"),
                behavior,
                is_ours: true,
                is_inline: plugin.place.is_inline(),
            })
        };
        match plugin.kind {
            PluginKind::Ksops => {
                let metadata = field(&plugin.node, "metadata");
                let annotations = metadata.and_then(|metadata| field(metadata, "annotations"));
                let encoding = annotations.and_then(|annotations| text(annotations, "unsops.dev/encoding"));
                let lists = entries(&plugin.node).filter(|(name, ..)| name.eq_ignore_ascii_case("secretFrom"));
                for entry in lists.flat_map(|(.., list)| elements(list)).take(limits::SOURCES) {
                    let has_text = entries(entry)
                        .any(|(name, ..)| name.eq_ignore_ascii_case("files") || name.eq_ignore_ascii_case("envs"));
                    made.extend(add(entry, has_text && encoding != Some("data"), false));
                }
                let files = plugin.names.iter().filter(|named| named.secret.is_none() && named.list == "files");
                for named in files.take(limits::SOURCES) {
                    if let Some(path) = kustomization::join(&visited.directory, &named.path) {
                        self.of_sops_file(&path, &plugin.place.file, named.position, made);
                    }
                }
            }
            PluginKind::SopsSecretGenerator => {
                let is_hashed = text(&plugin.node, "disableNameSuffixHash") != Some("true");
                made.extend(add(&plugin.node, false, is_hashed));
            }
            PluginKind::Builtin | PluginKind::Foreign | PluginKind::Unsops => {}
        }
    }

    fn of_sops_file(&self, path: &str, file: &str, position: Position, made: &mut Vec<Made>) {
        let Some(Class::Sops(sops)) = self.files.get(path).map(|scanned| &scanned.class) else { return };
        for object in sops.objects.iter().filter(|object| object.kind == "Secret") {
            made.push(Made {
                name: object.name.clone(),
                namespace: object.namespace.clone(),
                file: file.to_owned(),
                position,
                is_hashed: object.is_hashed,
                behavior: object.behavior.clone(),
                has_string_data: object.has_string_data && object.behavior.is_none(),
                is_ours: true,
                is_inline: false,
            });
        }
    }

    fn of_resource(&self, path: &str, made: &mut Vec<Made>) {
        match self.files.get(path).map(|scanned| &scanned.class) {
            Some(Class::Sops(_)) => self.of_sops_file(path, path, Position::default(), made),
            Some(Class::Objects(objects)) => {
                for object in objects {
                    let Some(secret) = &object.secret else { continue };
                    made.push(Made {
                        name: object.name.clone(),
                        namespace: object.namespace.clone(),
                        file: path.to_owned(),
                        position: object.position,
                        is_hashed: false,
                        behavior: None,
                        has_string_data: secret.has_string_data,
                        is_ours: false,
                        is_inline: false,
                    });
                }
            }
            _ => {}
        }
    }
}

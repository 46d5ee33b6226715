//! Manifests of plugins: generators, transformers, validators; ours and others'.

use super::file::Entry;
use crate::limits;
use crate::yaml::fields::{elements, entries, field, scalar, text};
use crate::yaml::{self, Node, Position, ScalarStyle};

/// What a manifest is listed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `generators`: makes resources.
    Generator,
    /// `transformers`: is sent every resource and gives them back.
    Transformer,
    /// `validators`: is sent every resource and may refuse.
    Validator,
}

/// Whose rules a manifest follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginKind {
    /// Part of kustomize (`apiVersion: builtin`).
    Builtin,
    /// Any other program's.
    Foreign,
    /// `viaduct.ai/*`; or any apiVersion outside of our groups, with `files` or `secretFrom`, whose function runs `ksops`
    /// or `unsops`: KSOPS looks at neither apiVersion nor kind.
    Ksops,
    /// `goabout.com/*`
    SopsSecretGenerator,
    /// `unsops.dev/*`
    Unsops,
}

/// How kustomize runs a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// In kustomize itself.
    Builtin,
    /// A function in a container; needs `--enable-alpha-plugins`, and Docker.
    Container {
        /// The image.
        image: String,
    },
    /// A function that is a program; needs `--enable-alpha-plugins --enable-exec`, and is skipped without a word if only
    /// the first is there.
    Exec {
        /// The program: a name on the `PATH`, or a path from the kustomization's directory.
        path: String,
    },
    /// The function annotation is not what kustomize reads; it refuses the manifest.
    Invalid {
        /// Why, in fixed words.
        reason: &'static str,
    },
    /// The legacy exec plugin, found by group, version and kind; needs `--enable-alpha-plugins`.
    Legacy,
}

impl Engine {
    /// Whether the manifest has a function annotation, right or wrong.
    pub fn is_function(&self) -> bool {
        matches!(self, Self::Container { .. } | Self::Exec { .. } | Self::Invalid { .. })
    }
}

/// Where a manifest stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPlace {
    /// The file: a manifest, or the kustomization for inline YAML.
    pub file: String,
    /// Which document of that file or inline text, from 0.
    pub document: usize,
    /// For inline YAML: what turns its positions into those of the file.
    inline: Option<Inline>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inline {
    entry: Position,
    /// Whether lines of the text are lines of the file.
    is_literal: bool,
    /// Columns that the text is indented by, where that is known.
    indent: u32,
}

impl PluginPlace {
    pub(super) fn file(file: &str, document: usize) -> Self {
        Self { file: file.to_owned(), document, inline: None }
    }

    /// `text` is that of the kustomization file.
    pub(super) fn inline(file: &str, document: usize, entry: &Entry, text: &[u8]) -> Self {
        let is_literal = entry.style == ScalarStyle::Literal;
        let lines = text.get(entry.offset..).unwrap_or_default().split(|&byte| byte == b'\n').skip(1);
        let line = lines.take(limits::NESTING).find(|line| !line.trim_ascii().is_empty());
        let indent = line.map_or(0, |line| line.iter().take_while(|&&byte| byte == b' ').count());
        let indent = if is_literal { u32::try_from(indent).unwrap_or_default() } else { 0 };
        Self { file: file.to_owned(), document, inline: Some(Inline { entry: entry.position, is_literal, indent }) }
    }

    /// Whether the manifest stands in the kustomization itself.
    pub fn is_inline(&self) -> bool {
        self.inline.is_some()
    }

    /// The place in the file of a place in the manifest.
    pub fn position(&self, inner: Position) -> Position {
        match self.inline {
            None => inner,
            Some(inline) if inline.is_literal && inner.line > 0 => Position {
                line: inline.entry.line.saturating_add(inner.line),
                column: inner.column.saturating_add(inline.indent),
            },
            Some(inline) => inline.entry,
        }
    }
}

/// A file that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The list that names it: `files`, `binaryFiles`, `envs`; `sources` of `Decrypt`.
    pub list: &'static str,
    /// The entry of `secretFrom` that it belongs to, from 0.
    pub secret: Option<usize>,
    /// The key before `=`.
    pub key: Option<String>,
    /// The path as written, from the kustomization's directory.
    pub path: String,
    /// Where, in the manifest's file.
    pub position: Position,
}

/// The manifest of a plugin.
pub struct Plugin {
    /// What it is listed as.
    pub role: Role,
    /// Whose rules it follows.
    pub kind: PluginKind,
    /// How kustomize runs it.
    pub engine: Engine,
    /// `apiVersion`; empty where there is none.
    pub api_version: String,
    /// `kind`; empty where there is none.
    pub kind_name: String,
    /// `metadata.name`; empty where there is none.
    pub name: String,
    /// Where it stands.
    pub place: PluginPlace,
    /// The kustomization that runs it: an index of [`super::Walk::kustomizations`]. Its directory is where the paths
    /// of the manifest start.
    pub kustomization: usize,
    /// What it names, where it is of a kind of ours.
    pub names: Vec<Named>,
    /// The manifest.
    pub node: Node,
}

impl Plugin {
    pub(super) fn new(role: Role, place: PluginPlace, kustomization: usize, node: Node) -> Self {
        let get = |name| text(&node, name).unwrap_or_default().to_owned();
        let (api_version, kind_name) = (get("apiVersion"), get("kind"));
        let engine = engine(&node, &api_version);
        let kind = kind(&node, &api_version, &engine);
        let name = field(&node, "metadata").and_then(|metadata| text(metadata, "name")).unwrap_or_default().to_owned();
        let names = match kind {
            PluginKind::Builtin | PluginKind::Foreign => Vec::new(),
            PluginKind::Ksops | PluginKind::SopsSecretGenerator => named(&node, &place),
            PluginKind::Unsops => sources(&node, &place),
        };
        Self { role, kind, engine, api_version, kind_name, name, place, kustomization, names, node }
    }

    /// Whether this program generates for it.
    pub fn is_ours(&self) -> bool {
        !matches!(self.kind, PluginKind::Builtin | PluginKind::Foreign)
    }

    /// Where the manifest begins, in its file.
    pub fn position(&self) -> Position {
        self.place.position(self.node.position)
    }
}

fn kind(node: &Node, api_version: &str, engine: &Engine) -> PluginKind {
    let runs_ksops = || match engine {
        Engine::Exec { path } => {
            let program = path.rsplit('/').next().unwrap_or(path);
            ["ksops", "unsops"].contains(&program) && has_any(node, &["files", "secretfrom"])
        }
        _ => false,
    };
    match api_version.split('/').next().unwrap_or_default() {
        "builtin" => PluginKind::Builtin,
        "viaduct.ai" => PluginKind::Ksops,
        "goabout.com" => PluginKind::SopsSecretGenerator,
        "unsops.dev" => PluginKind::Unsops,
        _ if runs_ksops() => PluginKind::Ksops,
        _ => PluginKind::Foreign,
    }
}

fn has_any(node: &Node, names: &[&str]) -> bool {
    entries(node).any(|(key, ..)| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
}

/// kustomize's order: the two annotations, `metadata.configFn`, the old container annotation, else no function.
fn engine(node: &Node, api_version: &str) -> Engine {
    if api_version == "builtin" {
        return Engine::Builtin;
    }
    let Some(metadata) = field(node, "metadata") else { return Engine::Legacy };
    let annotation = |name| field(metadata, "annotations").and_then(|annotations| text(annotations, name));
    let function = ["config.kubernetes.io/function", "config.k8s.io/function"]
        .into_iter()
        .find_map(|name| annotation(name).filter(|text| !text.is_empty()));
    if let Some(function) = function {
        return match yaml::parse(function.as_bytes()) {
            Ok(documents) => match documents.first() {
                Some(document) => function_engine(&document.root),
                None => Engine::Invalid { reason: "the function annotation is empty" },
            },
            Err(_) => Engine::Invalid { reason: "the function annotation is not YAML" },
        };
    }
    if let Some(function) = field(metadata, "configFn") {
        return function_engine(function);
    }
    match annotation("config.kubernetes.io/container") {
        Some(image) if !image.is_empty() => Engine::Container { image: image.to_owned() },
        _ => Engine::Legacy,
    }
}

/// Fields are read strictly, as `UnmarshalStrict` does.
fn function_engine(function: &Node) -> Engine {
    let invalid = |reason| Engine::Invalid { reason };
    let is_known = |node: &Node, names: &[&str]| {
        entries(node).all(|(key, ..)| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
    };
    if !is_known(function, &["exec", "container", "deferFailure"]) {
        return invalid("the function annotation has a field that kustomize refuses");
    }
    if let Some(exec) = field(function, "exec") {
        if !is_known(exec, &["path", "args", "envs"]) {
            return invalid("`exec` in the function annotation has a field that kustomize refuses");
        }
        if let Some(path) = text(exec, "path").filter(|path| !path.is_empty()) {
            return Engine::Exec { path: path.to_owned() };
        }
    }
    if let Some(container) = field(function, "container") {
        if !is_known(container, &["image", "network", "mounts", "envs"]) {
            return invalid("`container` in the function annotation has a field that kustomize refuses");
        }
        if let Some(image) = text(container, "image").filter(|image| !image.is_empty()) {
            return Engine::Container { image: image.to_owned() };
        }
    }
    invalid("the function annotation names neither a program nor an image")
}

/// Every path of `files`, `binaryFiles` and `envs`, at the top (`files` and `envs` of SopsSecretGenerator; `files` of
/// KSOPS are no `key=path`) and in `secretFrom`.
fn named(node: &Node, place: &PluginPlace) -> Vec<Named> {
    let is_keyed_at_top = text(node, "apiVersion").is_some_and(|version| version.starts_with("goabout.com/"));
    let mut names = Vec::new();
    for (key, _, value) in entries(node) {
        if key.eq_ignore_ascii_case("secretFrom") {
            for (index, secret) in elements(value).iter().enumerate() {
                for (key, _, value) in entries(secret) {
                    add_named(&mut names, key, value, Some(index), true, place);
                }
            }
        } else {
            add_named(&mut names, key, value, None, is_keyed_at_top, place);
        }
    }
    names
}

/// Every path of `sources`.
fn sources(node: &Node, place: &PluginPlace) -> Vec<Named> {
    let sources = field(node, "sources").map(elements).unwrap_or_default();
    let named = |entry: &Node| {
        let path = scalar(entry)?.to_owned();
        Some(Named { list: "sources", secret: None, key: None, path, position: place.position(entry.position) })
    };
    sources.iter().filter_map(named).collect()
}

fn add_named(
    names: &mut Vec<Named>,
    key: &str,
    value: &Node,
    secret: Option<usize>,
    is_keyed: bool,
    place: &PluginPlace,
) {
    let Some(list) = ["files", "binaryFiles", "envs"].into_iter().find(|list| key.eq_ignore_ascii_case(list)) else {
        return;
    };
    for entry in elements(value) {
        let Some(text) = scalar(entry) else { continue };
        let (key, path) = match text.split_once('=') {
            Some((key, path)) if is_keyed && list != "envs" => (Some(key.to_owned()), path),
            _ => (None, text),
        };
        let position = place.position(entry.position);
        names.push(Named { list, secret, key, path: path.to_owned(), position });
    }
}

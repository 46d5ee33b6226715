//! One kustomization file.

use crate::limits;
use crate::spelling::nearest;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, is_null, scalar};
use crate::yaml::{self, Kind, Node, Position, ScalarStyle, YamlError};

/// The names that kustomize looks for in a directory. Two of them in one directory are an error.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A parsed kustomization file. Unknown fields and wrong types are noted, never fatal.
#[derive(Default)]
pub struct Kustomization {
    /// `kind: Component`.
    pub is_component: bool,
    /// Every list of paths, in the order of [`Field`] and then of the file.
    pub entries: Vec<Entry>,
    /// `patches`, `patchesStrategicMerge`, `patchesJson6902`.
    pub patches: Vec<Patch>,
    /// `secretGenerator` and `configMapGenerator`.
    pub sources: Vec<Sources>,
    /// `namespace`.
    pub namespace: Option<String>,
    /// `namePrefix`; empty where there is none.
    pub name_prefix: String,
    /// `nameSuffix`; empty where there is none.
    pub name_suffix: String,
    /// `generatorOptions.disableNameSuffixHash`.
    pub disables_hash: bool,
    /// Fields that kustomize does not know; it refuses the file for them.
    pub unknown: Vec<UnknownField>,
    /// Fields of the wrong type.
    pub wrong: Vec<WrongType>,
    /// The whole content, for fields that are not listed here.
    pub root: Node,
}

/// A field that lists paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Deprecated; read after `resources`.
    Bases,
    /// Directories with `kind: Component`.
    Components,
    /// Configuration of kustomize's transformers.
    Configurations,
    /// Files with custom resource definitions.
    Crds,
    /// Generator manifests: files, directories, or inline YAML.
    Generators,
    /// Files, directories, URLs.
    Resources,
    /// Transformer manifests, as `generators`.
    Transformers,
    /// Validator manifests, as `generators`.
    Validators,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Bases,
        Self::Components,
        Self::Configurations,
        Self::Crds,
        Self::Generators,
        Self::Resources,
        Self::Transformers,
        Self::Validators,
    ];

    /// The name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bases => "bases",
            Self::Components => "components",
            Self::Configurations => "configurations",
            Self::Crds => "crds",
            Self::Generators => "generators",
            Self::Resources => "resources",
            Self::Transformers => "transformers",
            Self::Validators => "validators",
        }
    }

    /// Whether entries are manifests of plugins.
    pub fn is_plugins(self) -> bool {
        matches!(self, Self::Generators | Self::Transformers | Self::Validators)
    }
}

/// One entry of a list of paths: a path, a URL or inline YAML.
#[derive(Clone)]
pub struct Entry {
    /// The list.
    pub field: Field,
    /// Which entry, from 0.
    pub index: usize,
    /// The text.
    pub text: String,
    /// How the text is written; positions inside of inline YAML depend on it.
    pub style: ScalarStyle,
    /// Where it begins.
    pub position: Position,
    /// The byte at which it begins.
    pub offset: usize,
}

impl Entry {
    /// The documents of inline YAML, as kustomize tells it from a path: a text that reads as objects. `None`: a path.
    pub fn inline(&self) -> Option<Vec<yaml::Document>> {
        if !self.field.is_plugins() || !self.text.contains(':') {
            return None;
        }
        let documents = yaml::parse(self.text.as_bytes()).ok()?;
        let objects: Vec<_> = documents.into_iter().filter(|document| !is_null(&document.root)).collect();
        objects.iter().all(|document| matches!(document.root.kind, Kind::Mapping(..))).then_some(objects)
    }

    /// The text, fit for a message.
    pub fn printable(&self) -> Printable {
        Printable::new(&self.text)
    }
}

/// A patch: a file or inline.
pub struct Patch {
    /// The file, where it is one.
    pub path: Option<String>,
    /// Inline text.
    pub inline: Option<String>,
    /// `target.kind`, where a target is given.
    pub target_kind: Option<String>,
    /// `target.name`; a regular expression.
    pub target_name: Option<String>,
    /// Where the path or text begins.
    pub position: Position,
}

/// An entry of `secretGenerator` or `configMapGenerator`. Values of `literals` are not copied: they are plaintext.
pub struct Sources {
    /// `secretGenerator`.
    pub is_secret: bool,
    /// `name`; empty where there is none.
    pub name: String,
    /// `namespace`.
    pub namespace: Option<String>,
    /// `behavior`.
    pub behavior: Option<String>,
    /// `type`.
    pub secret_type: Option<String>,
    /// `files` with their keys: `key=path` or `path`.
    pub files: Vec<SourceEntry>,
    /// `envs` and `env`.
    pub envs: Vec<SourceEntry>,
    /// Keys of `literals`, with the place of each.
    pub literals: Vec<(String, Position)>,
    /// `options.disableNameSuffixHash`.
    pub disables_hash: bool,
    /// Where the entry begins.
    pub position: Position,
}

/// A file that [`Sources`] name.
pub struct SourceEntry {
    /// The key, where one is given.
    pub key: Option<String>,
    /// The path.
    pub path: String,
    /// Where the entry begins.
    pub position: Position,
}

/// A field that kustomize does not know.
pub struct UnknownField {
    /// Its name.
    pub name: Printable,
    /// Where.
    pub position: Position,
    /// The field that was probably meant.
    pub meant: Option<&'static str>,
}

/// A field of the wrong type.
pub struct WrongType {
    /// Its name.
    pub field: &'static str,
    /// What it must be, in fixed words.
    pub wanted: &'static str,
    /// Where.
    pub position: Position,
}

/// Fields of kustomize v5.8.1 besides [`Field`].
const OTHER_FIELDS: [&str; 26] = [
    "apiVersion",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "configMapGenerator",
    "generatorOptions",
    "helmChartInflationGenerator",
    "helmCharts",
    "helmGlobals",
    "imageTags",
    "images",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "openapi",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "secretGenerator",
    "sortOptions",
    "vars",
];

impl Kustomization {
    /// Reads a kustomization file. Field names match in any letter case, as in Go's JSON.
    ///
    /// # Errors
    /// Not YAML, or not a mapping.
    pub fn parse(text: &[u8]) -> Result<Self, YamlError> {
        // kustomize reads the first document and is silent about others.
        let mut documents = yaml::parse(text)?.into_iter().filter(|document| !is_null(&document.root));
        let Some(document) = documents.next() else { return Ok(Self::default()) };
        let Kind::Mapping(..) = document.root.kind else {
            return Err(document.root.error("a kustomization must be a mapping"));
        };
        let mut kustomization = Self::default();
        for (name, key, value) in entries(&document.root) {
            kustomization.read_field(name, key, value);
        }
        kustomization.entries.sort_by_key(|entry| (entry.field, entry.index));
        kustomization.root = document.root;
        Ok(kustomization)
    }

    /// The entries of a list of paths.
    pub fn list(&self, field: Field) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.field == field)
    }

    /// What kustomize accumulates before anything else: `resources`, then `bases`.
    pub fn resources(&self) -> impl Iterator<Item = &Entry> {
        self.list(Field::Resources).chain(self.list(Field::Bases))
    }

    /// Where the value of a top-level field begins.
    pub fn position_of(&self, name: &str) -> Option<Position> {
        entries(&self.root).find(|(key, ..)| key.eq_ignore_ascii_case(name)).map(|(_, key, _)| key.position)
    }

    fn read_field(&mut self, name: &str, key: &Node, value: &Node) {
        if let Some(field) = Field::ALL.into_iter().find(|field| name.eq_ignore_ascii_case(field.as_str())) {
            return self.read_list(field, value);
        }
        let Some(known) = OTHER_FIELDS.into_iter().find(|known| name.eq_ignore_ascii_case(known)) else {
            if self.unknown.len() < limits::ERRORS {
                let known: Vec<&str> = Field::ALL.into_iter().map(Field::as_str).chain(OTHER_FIELDS).collect();
                let meant = nearest(name, &known);
                self.unknown.push(UnknownField { name: Printable::new(name), position: key.position, meant });
            }
            return;
        };
        let text = || scalar(value).map(str::to_owned);
        match known {
            "kind" => self.is_component = scalar(value) == Some("Component"),
            "namespace" => self.namespace = text().filter(|text| !text.is_empty()),
            "namePrefix" => self.name_prefix = text().unwrap_or_default(),
            "nameSuffix" => self.name_suffix = text().unwrap_or_default(),
            "generatorOptions" => self.disables_hash = is_true(value, "disableNameSuffixHash"),
            "patches" | "patchesJson6902" => {
                let items = self.items(known, value).iter();
                let patches: Vec<Patch> = items.map(patch).collect();
                self.patches.extend(patches);
            }
            "patchesStrategicMerge" => {
                let items = self.items(known, value).iter();
                let patches: Vec<Patch> = items.filter_map(strategic_merge_patch).collect();
                self.patches.extend(patches);
            }
            "configMapGenerator" | "secretGenerator" => {
                let items = self.items(known, value).iter();
                let sources: Vec<Sources> = items.map(|item| sources(item, known == "secretGenerator")).collect();
                self.sources.extend(sources);
            }
            _ => {}
        }
    }

    fn read_list(&mut self, field: Field, value: &Node) {
        for (index, item) in self.items(field.as_str(), value).iter().enumerate() {
            match (&item.kind, scalar(item)) {
                (Kind::Scalar(_, style), Some(text)) => self.entries.push(Entry {
                    field,
                    index,
                    text: text.to_owned(),
                    style: *style,
                    position: item.position,
                    offset: item.offset,
                }),
                _ => self.note_wrong(field.as_str(), "a list of paths", item.position),
            }
        }
    }

    fn items<'a>(&mut self, field: &'static str, value: &'a Node) -> &'a [Node] {
        if !matches!(value.kind, Kind::Sequence(..)) && !is_null(value) {
            self.note_wrong(field, "a list", value.position);
        }
        elements(value)
    }

    fn note_wrong(&mut self, field: &'static str, wanted: &'static str, position: Position) {
        if self.wrong.len() < limits::ERRORS {
            self.wrong.push(WrongType { field, wanted, position });
        }
    }
}

fn get<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    entries(node).find(|(key, ..)| key.eq_ignore_ascii_case(name)).map(|(.., value)| value)
}

fn get_text(node: &Node, name: &str) -> Option<String> {
    get(node, name).and_then(scalar).map(str::to_owned)
}

fn is_true(node: &Node, name: &str) -> bool {
    get(node, name).and_then(scalar) == Some("true")
}

fn patch(item: &Node) -> Patch {
    let place = get(item, "path").or_else(|| get(item, "patch")).unwrap_or(item);
    let target = get(item, "target");
    Patch {
        path: get_text(item, "path").filter(|path| !path.is_empty()),
        inline: get_text(item, "patch").filter(|patch| !patch.is_empty()),
        target_kind: target.and_then(|target| get_text(target, "kind")),
        target_name: target.and_then(|target| get_text(target, "name")),
        position: place.position,
    }
}

/// A path, or inline YAML: kustomize tries the file first; only a text with a line break or a colon can be YAML.
fn strategic_merge_patch(item: &Node) -> Option<Patch> {
    let text = scalar(item)?.to_owned();
    let is_inline = text.contains('\n') || text.contains(": ");
    let (path, inline) = if is_inline { (None, Some(text)) } else { (Some(text), None) };
    Some(Patch { path, inline, target_kind: None, target_name: None, position: item.position })
}

fn sources(item: &Node, is_secret: bool) -> Sources {
    let list = |name| get(item, name).map(elements).unwrap_or_default().iter();
    let keyed = |entry: &Node| {
        let text = scalar(entry)?;
        let (key, path) = match text.split_once('=') {
            Some((key, path)) => (Some(key.to_owned()), path),
            None => (None, text),
        };
        Some(SourceEntry { key, path: path.to_owned(), position: entry.position })
    };
    let plain =
        |entry: &Node| Some(SourceEntry { key: None, path: scalar(entry)?.to_owned(), position: entry.position });
    let literal = |entry: &Node| {
        let key = scalar(entry)?.split_once('=')?.0;
        Some((key.to_owned(), entry.position))
    };
    Sources {
        is_secret,
        name: get_text(item, "name").unwrap_or_default(),
        namespace: get_text(item, "namespace").filter(|namespace| !namespace.is_empty()),
        behavior: get_text(item, "behavior").filter(|behavior| !behavior.is_empty()),
        secret_type: get_text(item, "type").filter(|secret_type| !secret_type.is_empty()),
        files: list("files").filter_map(keyed).collect(),
        envs: list("envs").chain(get(item, "env")).filter_map(plain).collect(),
        literals: list("literals").filter_map(literal).collect(),
        disables_hash: get(item, "options").is_some_and(|options| is_true(options, "disableNameSuffixHash")),
        position: item.position,
    }
}

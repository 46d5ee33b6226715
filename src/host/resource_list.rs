//! The `ResourceList` of a KRM function call.

use super::annotations::{
    DECLARATIONS, KUSTOMIZE_ID, LOCAL_CONFIG, PACKAGE_PATH, SEQUENCE_INDENT, is_injected, path, strip,
};
use super::kpt::{self, Files};
use super::object::{Object, field, is_null};
use super::response::{Fate, respond};
use super::{AnnotationPolicy, Config, HostError, Warning, documents};
use crate::path::SourcePath;
use crate::secret::Secret;
use crate::yaml::writer::write_like_sops;
use crate::yaml::{Document, Kind, Node};

/// Who calls, as far as the input tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// kpt, or whoever else pipes a ResourceList: every item is a file of a package.
    Kpt,
    /// kustomize, for `generators:`. It sends the config a second time as the only item.
    KustomizeGenerator,
    /// kustomize, for `transformers:` or `validators:`.
    KustomizeTransformer,
}

/// A call of a KRM function.
///
/// Source: kustomize `cmd/config/docs/api-conventions/functions-spec.md`, `kyaml/kio/byteio_reader.go`.
pub struct ResourceList {
    text: String,
    root: Node,
    caller: Caller,
    configs: Vec<Config>,
    /// One per item.
    is_echoed: Vec<bool>,
    files: Files,
}

const GROUP: &str = "config.kubernetes.io/";
/// Indentation of the YAML that sops writes.
const SOPS_INDENT: usize = 4;

/// Whether a document is a ResourceList of any version.
pub(super) fn is_resource_list(root: &Node) -> bool {
    let object = Object(root);
    object.kind() == "ResourceList" && object.api_version().starts_with(GROUP)
}

impl ResourceList {
    /// Reads a ResourceList. `is_ours` says whether an apiVersion and kind belong to a generator.
    ///
    /// The config is `functionConfig`; where that is absent, every item of our kinds is one. Not echoed are those items,
    /// and the copy of the config that kustomize sends to a generator.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn parse(bytes: Vec<u8>, is_ours: &dyn Fn(&str, &str) -> bool) -> Result<Self, HostError> {
        let documents = documents(&bytes)?;
        Self::from_documents(bytes, documents, is_ours)
    }

    pub(super) fn from_documents(
        bytes: Vec<u8>,
        documents: Vec<Document>,
        is_ours: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Self, HostError> {
        let mut documents = documents.into_iter();
        let root = documents.next().ok_or(HostError::Empty)?.root;
        if let Some(second) = documents.next() {
            return Err(HostError::SeveralDocuments(second.root.position));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| HostError::shape("stdin", "the ResourceList must be UTF-8", Default::default()))?;
        check(&root)?;

        let function_config = field(&root, "functionConfig").filter(|config| !is_null(config));
        let items = items(&root);
        let caller = caller(items, function_config);
        let files = if caller == Caller::Kpt { Files::of(items) } else { Files::default() };
        let (configs, is_echoed): (Vec<Config>, Vec<bool>) = match function_config {
            Some(config) => {
                let config = config_of_function(config, caller, items)?;
                (vec![config], items.iter().map(|_| caller != Caller::KustomizeGenerator).collect())
            }
            None => {
                let ours = items.iter().filter(|item| Object(item).is(is_ours));
                let configs: Vec<Config> = ours
                    .map(|item| Config::new(item.clone(), false).in_package(Object(item).annotation(PACKAGE_PATH)))
                    .collect();
                if configs.is_empty() {
                    return Err(HostError::NoConfig);
                }
                (configs, items.iter().map(|item| !Object(item).is(is_ours)).collect())
            }
        };
        Ok(Self { text, root, caller, configs, is_echoed, files })
    }

    /// Who calls.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// What to generate, at least one.
    pub fn configs(&self) -> &[Config] {
        &self.configs
    }

    /// What happens to kustomize's annotations of what we add.
    pub fn annotation_policy(&self) -> AnnotationPolicy {
        match self.caller {
            Caller::Kpt => AnnotationPolicy::Drop,
            Caller::KustomizeGenerator => AnnotationPolicy::Keep,
            Caller::KustomizeTransformer => AnnotationPolicy::Translate,
        }
    }

    /// The content of a YAML file that kpt sends along as items, as its author wrote it in everything that a MAC covers:
    /// order and comments are kept, injected annotations are gone.
    ///
    /// `None` where `source` is not among the items, or not all of it: then it has to be read from disk. Under
    /// kustomize nothing is found here: it has sorted the keys.
    pub fn in_band(&self, config: &Config, source: &SourcePath) -> Option<Vec<u8>> {
        let is_yaml = [".yaml", ".yml"].iter().any(|suffix| source.as_str().ends_with(suffix));
        let numbers = self.files.find(config.package(), config.path(), source.as_str()).filter(|_| is_yaml)?;
        let documents = kpt::restore(items(&self.root), numbers)?;
        Some(write_like_sops(&documents, SOPS_INDENT).into_bytes())
    }

    /// The answer: a ResourceList of the version received, the items that are not ours byte for byte, then `resources`,
    /// each one YAML document in block style that ends with LF, and `warnings` as structured results.
    pub fn respond(&self, resources: &[&str], warnings: &[Warning]) -> Secret<Vec<u8>> {
        let fate = |is_echoed: &bool| if *is_echoed { Fate::Echoed } else { Fate::Dropped };
        let fates: Vec<Fate<'_>> = self.is_echoed.iter().map(fate).collect();
        Secret::new(respond(&self.text, &self.root, &fates, resources, warnings).into_bytes())
    }

    /// Whether a text is a ResourceList; anything else, broken YAML included, is none.
    pub fn is_in(bytes: &[u8]) -> bool {
        // Most texts are none, and need not be parsed to know.
        let word = b"ResourceList";
        bytes.windows(word.len()).any(|window| window == word)
            && documents(bytes)
                .is_ok_and(|documents| documents.first().is_some_and(|first| is_resource_list(&first.root)))
    }

    /// The items that go back as they came, without what the host wrote into them for itself.
    pub fn echoed(&self) -> impl Iterator<Item = Node> {
        let echoed = items(&self.root).iter().zip(&self.is_echoed).filter(|(_, is_echoed)| **is_echoed);
        echoed.map(|(item, _)| {
            let mut item = item.clone();
            strip(&mut item, |name| is_injected(name) && !DECLARATIONS.contains(&name));
            item
        })
    }

    /// The resources that kustomize sends to a transformer.
    pub fn items(&self) -> &[Node] {
        items(&self.root)
    }

    /// The answer of a transformer that changes items: `changed` has one entry per item, the text that takes its place
    /// or none where it is repeated byte for byte.
    pub fn respond_changed(&self, changed: &[Option<Secret<String>>]) -> Secret<Vec<u8>> {
        let fates: Vec<Fate<'_>> = changed
            .iter()
            .map(|text| match text {
                Some(text) => Fate::Replaced(text.expose()),
                None => Fate::Echoed,
            })
            .collect();
        Secret::new(respond(&self.text, &self.root, &fates, &[], &[]).into_bytes())
    }
}

/// Checks the shape, so that what follows may take it for granted.
fn check(root: &Node) -> Result<(), HostError> {
    let object = Object(root);
    let version = object.api_version().strip_prefix(GROUP).unwrap_or_default();
    // It is repeated in the answer without quotes.
    let is_version =
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if object.kind() != "ResourceList" || !is_version {
        return Err(object.unknown_kind());
    }
    if let Some(position) = root.duplicate_key() {
        return Err(HostError::DuplicateField(position));
    }
    let Some(items) = field(root, "items") else {
        return Err(HostError::shape("items", "is missing", root.position));
    };
    match &items.kind {
        Kind::Sequence(nodes, _) => {
            for (number, node) in nodes.iter().enumerate() {
                if !is_mapping(node) {
                    return Err(HostError::shape(&format!("items[{number}]"), "must be a mapping", node.position));
                }
            }
        }
        _ if is_null(items) => {}
        _ => return Err(HostError::shape("items", "must be a list", items.position)),
    }
    let config = field(root, "functionConfig").filter(|config| !is_null(config) && !is_mapping(config));
    if let Some(config) = config {
        return Err(HostError::shape("functionConfig", "must be a mapping", config.position));
    }
    let results = field(root, "results").filter(|results| !is_null(results));
    match results {
        Some(results) if !matches!(results.kind, Kind::Sequence(..)) => {
            Err(HostError::shape("results", "must be a list", results.position))
        }
        _ => Ok(()),
    }
}

fn is_mapping(node: &Node) -> bool {
    matches!(node.kind, Kind::Mapping(..))
}

/// The items; none where they are null.
pub(super) fn items(root: &Node) -> &[Node] {
    match field(root, "items").map(|items| &items.kind) {
        Some(Kind::Sequence(nodes, _)) => nodes,
        _ => &[],
    }
}

/// Tells the callers apart by what only they write into the items.
///
/// A package's own generator, sent alone, would look like kustomize's call of a generator. Dropping it would make kpt
/// delete the file; but kpt writes `seqindent`, and kustomize never does.
fn caller(items: &[Node], function_config: Option<&Node>) -> Caller {
    let mut objects = items.iter().map(Object);
    if objects.clone().any(|object| object.annotation(KUSTOMIZE_ID).is_some()) {
        return Caller::KustomizeTransformer;
    }
    let is_kpts =
        |object: Object<'_>| [SEQUENCE_INDENT, PACKAGE_PATH].iter().any(|name| object.annotation(name).is_some());
    let Some(config) = function_config.map(Object) else { return Caller::Kpt };
    match (objects.next(), objects.next()) {
        (Some(only), None)
            if only.has_id_of(config)
                && only.annotation(LOCAL_CONFIG) == Some("true")
                && config.is_function()
                && !is_kpts(only) =>
        {
            Caller::KustomizeGenerator
        }
        _ => Caller::Kpt,
    }
}

fn config_of_function(config: &Node, caller: Caller, items: &[Node]) -> Result<Config, HostError> {
    let node = match kpt::config_from_config_map(config)? {
        Some(ksops) => ksops,
        None => config.clone(),
    };
    let handed_over = Config::new(node, true);
    if caller != Caller::Kpt {
        return Ok(handed_over);
    }
    let mut handed_over = handed_over.in_package(Object(config).annotation(PACKAGE_PATH));
    // `kpt fn eval --fn-config` does not say where its config stands, but sends that file among the items.
    if handed_over.path().is_none()
        && let Some(path) = items.iter().map(Object).find(|item| item.has_id_of(Object(config))).and_then(path)
    {
        handed_over.set_path(path);
    }
    Ok(handed_over)
}

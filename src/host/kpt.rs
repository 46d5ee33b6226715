//! What kpt does its own way: a ConfigMap as config, and the package's files among the items.

use std::collections::BTreeMap;

use super::HostError;
use super::annotations::{index, is_injected, path, strip};
use super::object::{Object, field, is_null, text};
use crate::yaml::{CollectionStyle, Document, Kind, Node, ScalarStyle};

/// Turns the ConfigMap that kpt makes of `configMap:` or of `-- files=a,b` into the `ksops` manifest it stands for;
/// `None` where `config` is no ConfigMap.
///
/// `data.files` is a list of paths, separated by commas or line breaks. It is the only key: a misspelt one would
/// otherwise generate nothing.
pub(super) fn config_from_config_map(config: &Node) -> Result<Option<Node>, HostError> {
    let object = Object(config);
    if object.kind() != "ConfigMap" || object.api_version() != "v1" {
        return Ok(None);
    }
    let nothing = || HostError::NothingToGenerate(config.position);
    let data = field(config, "data").filter(|data| !is_null(data)).ok_or_else(nothing)?;
    let Kind::Mapping(entries, _) = &data.kind else {
        return Err(HostError::shape("functionConfig.data", "must be a mapping", data.position));
    };
    if let Some((key, _)) = entries.iter().find(|(key, _)| text(key) != Some("files")) {
        return Err(HostError::shape("functionConfig.data", "files is the only key that is known", key.position));
    }
    let files = field(data, "files").ok_or_else(nothing)?;
    let Some(list) = text(files) else {
        return Err(HostError::shape("functionConfig.data.files", "must be a string", files.position));
    };
    let files: Vec<Node> = list
        .split([',', '\n'])
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(|path| scalar(path, files))
        .collect();
    if files.is_empty() {
        return Err(nothing());
    }
    let name = field(config, "metadata").and_then(|metadata| field(metadata, "name")).and_then(text);
    let metadata = mapping(vec![(scalar("name", config), scalar(name.unwrap_or("function-input"), config))], config);
    let list = Node { kind: Kind::Sequence(files, CollectionStyle::Block), ..scalar("", data) };
    let fields = [
        ("apiVersion", scalar("viaduct.ai/v1", config)),
        ("kind", scalar("ksops", config)),
        ("metadata", metadata),
        ("files", list),
    ];
    Ok(Some(mapping(fields.map(|(key, value)| (scalar(key, config), value)).into(), config)))
}

/// A node at the place of another.
fn scalar(text: &str, place: &Node) -> Node {
    Node {
        kind: Kind::Scalar(text.to_owned(), ScalarStyle::DoubleQuoted),
        position: place.position,
        offset: place.offset,
        ..Node::default()
    }
}

fn mapping(entries: Vec<(Node, Node)>, place: &Node) -> Node {
    Node { kind: Kind::Mapping(entries, CollectionStyle::Block), ..scalar("", place) }
}

/// Which items make up which file of a package: (package, path), both by name, to the items' numbers.
#[derive(Default)]
pub(super) struct Files(BTreeMap<(String, String), Vec<usize>>);

impl Files {
    pub fn of(items: &[Node]) -> Self {
        let mut files: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        for (number, item) in items.iter().enumerate() {
            let object = Object(item);
            if let Some(path) = path(object).and_then(|path| normalise("", path)) {
                let package = object.annotation(super::annotations::PACKAGE_PATH).unwrap_or_default();
                files.entry((package.to_owned(), path)).or_default().push(number);
            }
        }
        Self(files)
    }

    /// The items of the file that `source` names from the package's directory, else from that of the config's file.
    pub fn find(&self, package: &str, config_path: Option<&str>, source: &str) -> Option<&[usize]> {
        let directory = |path: &str| path.rsplit_once('/').map(|(directory, _)| directory.to_owned());
        let find = |directory: &str| self.0.get(&(package.to_owned(), normalise(directory, source)?));
        find("").or_else(|| find(&directory(config_path?)?)).map(Vec::as_slice)
    }
}

/// The documents of a file as its author wrote them, as far as kpt kept them: without injected annotations, in order.
/// `None` unless all are there; a selector may have held some back.
pub(super) fn restore(items: &[Node], numbers: &[usize]) -> Option<Vec<Document>> {
    let mut documents: Vec<(usize, &Node)> = numbers
        .iter()
        .filter_map(|number| items.get(*number))
        .map(|item| Some((index(Object(item))?, item)))
        .collect::<Option<_>>()?;
    documents.sort_by_key(|(index, _)| *index);
    if documents.iter().enumerate().any(|(expected, (index, _))| expected != *index) {
        return None;
    }
    let restored = documents.into_iter().map(|(_, item)| {
        let mut root = item.clone();
        strip(&mut root, is_injected);
        Document { root, ..Document::default() }
    });
    Some(restored.collect())
}

/// `directory/path` without `.` and `..`; `None` if it leads out of the package, which is no file of it then.
fn normalise(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

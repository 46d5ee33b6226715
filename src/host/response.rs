//! The answer to a KRM function call.

use super::Warning;
use super::embed::{end_line, push_element, push_quoted};
use super::object::{Object, field, is_null};
use super::outline::{Elements, Section, sections};
use super::resource_list::items;
use crate::yaml::writer::write_like_sops;
use crate::yaml::{Document, Kind, Node};

/// Indentation of parts that are written anew, as kyaml's.
const INDENT: usize = 2;

/// What becomes of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate<'a> {
    Dropped,
    /// It comes out byte for byte.
    Echoed,
    /// This comes out in its place: one YAML document in block style that ends with LF.
    Replaced(&'a str),
}

/// Writes the answer. `fates` has one entry per item.
pub(super) fn respond(text: &str, root: &Node, fates: &[Fate<'_>], resources: &[&str], warnings: &[Warning]) -> String {
    let added: usize =
        resources.iter().map(|resource| resource.len() + (INDENT + 2) * (resource.lines().count() + 1)).sum();
    let mut answer = Answer { out: String::with_capacity(text.len() + added + 1024), resources, warnings };
    let object = Object(root);
    answer.out.push_str(&format!("apiVersion: {}\nkind: ResourceList\n", object.api_version()));
    match sections(text, root).filter(|sections| is_whole_without(sections, fates)) {
        Some(sections) => answer.repeat(&sections, fates),
        None => answer.rewrite(root, fates),
    }
    answer.out
}

/// Whether the text still means the same without the items that are not echoed: an anchor there may have aliases
/// elsewhere. So may one in a field that is not repeated.
fn is_whole_without(sections: &[Section<'_>], fates: &[Fate<'_>]) -> bool {
    sections.iter().all(|section| match (section.name, &section.elements) {
        ("items", Some(elements)) => {
            let dropped = elements.chunks.iter().zip(fates).filter(|(_, fate)| **fate != Fate::Echoed);
            dropped.into_iter().all(|(chunk, _)| !chunk.contains('&'))
        }
        ("functionConfig" | "items" | "results", _) => true,
        _ => !section.text.contains('&'),
    })
}

struct Answer<'a> {
    out: String,
    resources: &'a [&'a str],
    warnings: &'a [Warning],
}

impl Answer<'_> {
    /// Repeats the text, in its order: an alias stands after its anchor.
    fn repeat(&mut self, sections: &[Section<'_>], fates: &[Fate<'_>]) {
        let mut has_results = false;
        for section in sections {
            match section.name {
                "functionConfig" => self.out.push_str(section.text),
                "items" => self.repeat_items(section, fates),
                "results" => {
                    has_results = true;
                    self.repeat_results(section);
                }
                _ => {}
            }
        }
        if !has_results && !self.warnings.is_empty() {
            self.out.push_str("results:\n");
            self.push_warnings(0);
        }
    }

    fn repeat_items(&mut self, section: &Section<'_>, fates: &[Fate<'_>]) {
        let no_elements = Elements { header: "items:\n", chunks: Vec::new(), indent: 0 };
        let elements = section.elements.as_ref().unwrap_or(&no_elements);
        if fates.iter().all(|fate| *fate == Fate::Dropped) && self.resources.is_empty() {
            self.out.push_str("items: []\n");
            return;
        }
        self.out.push_str(elements.header);
        for (chunk, fate) in elements.chunks.iter().zip(fates) {
            match fate {
                Fate::Dropped => {}
                Fate::Echoed => self.out.push_str(chunk),
                Fate::Replaced(text) => push_element(&mut self.out, text, elements.indent),
            }
        }
        self.push_resources(elements.indent);
    }

    fn repeat_results(&mut self, section: &Section<'_>) {
        match &section.elements {
            Some(elements) => {
                self.out.push_str(section.text);
                self.push_warnings(elements.indent);
            }
            None if self.warnings.is_empty() => self.out.push_str(section.text),
            None => {
                self.out.push_str("results:\n");
                self.push_warnings(0);
            }
        }
    }

    /// Writes the parts anew: the same values, in block style where they can be.
    fn rewrite(&mut self, root: &Node, fates: &[Fate<'_>]) {
        if fates.iter().all(|fate| *fate == Fate::Dropped) && self.resources.is_empty() {
            self.out.push_str("items: []\n");
        } else {
            self.out.push_str("items:\n");
            for (item, fate) in items(root).iter().zip(fates) {
                match fate {
                    Fate::Dropped => {}
                    Fate::Echoed => push_element(&mut self.out, &write_anew(item.clone()), 0),
                    Fate::Replaced(text) => push_element(&mut self.out, text, 0),
                }
            }
            self.push_resources(0);
        }
        if let Some(config) = field(root, "functionConfig").filter(|config| !is_null(config)) {
            self.out.push_str(&write_anew(wrap("functionConfig", config.clone())));
            end_line(&mut self.out);
        }
        let results = match field(root, "results").map(|results| &results.kind) {
            Some(Kind::Sequence(results, _)) => results.as_slice(),
            _ => &[],
        };
        if !results.is_empty() || !self.warnings.is_empty() {
            self.out.push_str("results:\n");
            for result in results {
                push_element(&mut self.out, &write_anew(result.clone()), 0);
            }
            self.push_warnings(0);
        }
    }

    fn push_resources(&mut self, indent: usize) {
        for resource in self.resources {
            push_element(&mut self.out, resource, indent);
        }
    }

    /// Schema: `functions-spec.md`, `results`.
    fn push_warnings(&mut self, indent: usize) {
        for warning in self.warnings {
            let mut result = "message: ".to_owned();
            push_quoted(&mut result, &warning.message);
            result.push_str("\nseverity: warning\n");
            if let Some(file) = &warning.file {
                result.push_str("file:\n  path: ");
                push_quoted(&mut result, file);
                result.push('\n');
            }
            push_element(&mut self.out, &result, indent);
        }
    }
}

fn write_anew(root: Node) -> String {
    write_like_sops(&[Document { root, ..Document::default() }], INDENT)
}

fn wrap(name: &str, value: Node) -> Node {
    let key = Node { kind: Kind::Scalar(name.to_owned(), crate::yaml::ScalarStyle::Plain), ..Node::default() };
    Node { kind: Kind::Mapping(vec![(key, value)], crate::yaml::CollectionStyle::Block), ..Node::default() }
}

//! Nodes to tree: `appendYamlNodeToTreeBranch` and `nodeToTreeValue` of sops.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{NodeBudget, format_error};
use crate::secret::SecretBytes;
use crate::sops::tree::{Branch, Comment, Entry, Item, Tree, Value};
use crate::sops::{Reading, SopsError};
use crate::text::Printable;
use crate::yaml::resolve::{Resolved, resolve};
use crate::yaml::{Comments, Document, Kind, Node, Position, ScalarStyle};

/// The key of the stanza, whose scalars are never re-typed and whose keys must not repeat.
const STANZA: &str = "sops";

/// Turns the documents of a stream into branches.
pub(super) fn tree(documents: Vec<Document>, reading: Reading) -> Result<Tree, SopsError> {
    let mut nodes = NodeBudget::new();
    let mut tree = Tree::default();
    for (index, document) in documents.into_iter().enumerate() {
        let mut converter =
            Converter { nodes: &mut nodes, is_first: index == 0, is_yaml_v2: reading == Reading::YamlV2 };
        tree.documents.push(converter.document(document)?);
    }
    Ok(tree)
}

struct Converter<'a> {
    nodes: &'a mut NodeBudget,
    /// The first document of the stream: sops decodes it into a map beforehand, which fails for more.
    is_first: bool,
    /// [`Reading::YamlV2`].
    is_yaml_v2: bool,
}

/// A refusal on its way up: the keys from the value to the root gather as it goes.
struct Refused {
    error: SopsError,
    keys: Vec<String>,
}

impl From<SopsError> for Refused {
    fn from(error: SopsError) -> Self {
        Self { error, keys: Vec::new() }
    }
}

impl From<Refused> for SopsError {
    fn from(Refused { error, keys }: Refused) -> Self {
        match error {
            Self::Format { reason, position, path: None } if !keys.is_empty() => {
                let path: Vec<_> = keys.iter().rev().map(String::as_str).collect();
                Self::Format { reason, position, path: Some(Printable::new(&path.join("."))) }
            }
            other => other,
        }
    }
}

impl Converter<'_> {
    fn document(&mut self, document: Document) -> Result<Branch, SopsError> {
        self.nodes.take()?;
        let mut branch = Branch::default();
        self.comments(&document.comments.head, false, &mut branch)?;
        self.comments(&document.comments.line, false, &mut branch)?;
        let mut root = document.root;
        let comments = take_own_comments(&mut root);
        self.comments(&comments.head, false, &mut branch)?;
        self.comments(&comments.line, false, &mut branch)?;
        match root.kind {
            Kind::Mapping(entries, _) => {
                self.entries(entries, true, &mut branch)?;
                self.comments(&comments.foot, false, &mut branch)?;
            }
            Kind::Sequence(..) => return Err(format_error("a YAML document that is a list", Some(root.position))),
            // Null is what stands after a trailing `---`. Of a text that is tagged as null sops looks at the tag only, in
            // later documents.
            Kind::Scalar(..) if !self.is_first && root.tag.as_deref() == Some("!!null") => {}
            Kind::Scalar(..) if matches!(resolve(&root), Ok(Resolved::Null)) => {}
            Kind::Scalar(..) => {
                return Err(format_error("a YAML document that is a single value", Some(root.position)));
            }
        }
        self.comments(&document.comments.foot, false, &mut branch)?;
        Ok(branch)
    }

    /// Converts a mapping's entries. The comments of a scalar value or an alias stand around its entry, those of a
    /// container inside the container.
    fn entries(&mut self, entries: Vec<(Node, Node)>, is_root: bool, branch: &mut Branch) -> Result<(), Refused> {
        if self.is_first && is_root {
            refuse_repeated_keys(&entries)?;
        }
        for (mut key, mut value) in entries {
            self.nodes.take()?;
            let around_key = take_own_comments(&mut key);
            self.comments(&around_key.head, false, branch)?;
            self.comments(&around_key.line, false, branch)?;
            let is_container = !matches!(value.kind, Kind::Scalar(..)) && value.alias_comments.is_none();
            let around_value = if is_container { Box::default() } else { take_own_comments(&mut value) };
            self.comments(&around_value.head, false, branch)?;
            self.comments(&around_value.line, true, branch)?;
            let key = string_key(key)?;
            let position = value.position;
            let was_yaml_v2 = self.is_yaml_v2;
            if is_root && key == STANZA {
                self.is_yaml_v2 = false;
                if self.is_first {
                    refuse_repeated_keys_below(&value)?;
                }
            }
            let value = self.value(value).map_err(|mut refused| {
                refused.keys.push(key.clone());
                refused
            })?;
            self.is_yaml_v2 = was_yaml_v2;
            branch.items.push(Item::Entry(Entry { key, value, position }));
            self.comments(&around_value.foot, false, branch)?;
            self.comments(&around_key.foot, false, branch)?;
        }
        Ok(())
    }

    /// Converts a node; the comments that it still has go into it if it is a container.
    fn value(&mut self, mut node: Node) -> Result<Value, Refused> {
        let comments = node.comments.take().unwrap_or_default();
        match node.kind {
            Kind::Mapping(entries, _) => {
                let mut branch = Branch::default();
                self.comments(&comments.head, false, &mut branch)?;
                self.comments(&comments.line, false, &mut branch)?;
                self.entries(entries, false, &mut branch)?;
                self.comments(&comments.foot, false, &mut branch)?;
                Ok(Value::Branch(branch))
            }
            Kind::Sequence(elements, _) => {
                let mut list = Vec::with_capacity(elements.len());
                self.comments(&comments.head, false, &mut list)?;
                self.comments(&comments.line, false, &mut list)?;
                for mut element in elements {
                    self.nodes.take()?;
                    let around = take_own_comments(&mut element);
                    self.comments(&around.head, false, &mut list)?;
                    self.comments(&around.line, true, &mut list)?;
                    list.push(self.value(element)?);
                    self.comments(&around.foot, false, &mut list)?;
                }
                self.comments(&comments.foot, false, &mut list)?;
                Ok(Value::List(list))
            }
            Kind::Scalar(..) => self.scalar(node),
        }
    }

    fn scalar(&self, node: Node) -> Result<Value, Refused> {
        let refuse = |reason| Refused::from(format_error(reason, Some(node.position)));
        let resolved = match resolve(&node) {
            Ok(resolved) => resolved,
            Err(rule) if self.is_first => return Err(refuse(rule)),
            // sops drops the error that yaml.v3 gives for later documents, and with it the value.
            Err(_) => return Ok(Value::Null),
        };
        if self.is_yaml_v2 && was_string_to_yaml_v2(&node, &resolved) {
            return Ok(Value::Str(SecretBytes::new(text_of(node).into_bytes())));
        }
        Ok(match resolved {
            Resolved::Bool(value) => Value::Bool(value),
            Resolved::Float(value) => Value::Float(value),
            Resolved::Int(value) => Value::Int(value),
            Resolved::Null => Value::Null,
            Resolved::Str(Cow::Owned(bytes)) => Value::Str(SecretBytes::new(bytes)),
            Resolved::Str(Cow::Borrowed(_)) => return Ok(Value::Str(SecretBytes::new(text_of(node).into_bytes()))),
            Resolved::Timestamp(time) => Value::Time(time),
            Resolved::Uint(_) => return Err(refuse("an integer above 9223372036854775807, which sops cannot hold")),
        })
    }

    /// Appends one comment per line that is not empty, without its `#`.
    fn comments(&mut self, text: &str, is_inline: bool, to: &mut impl Commented) -> Result<(), SopsError> {
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            self.nodes.take()?;
            let text = line.as_bytes().get(1..).unwrap_or_default().to_vec();
            to.push_comment(Comment { text: SecretBytes::new(text), is_inline });
        }
        Ok(())
    }
}

/// Takes the comments that belong to the node's place in the text: of a copy, those of its alias.
fn take_own_comments(node: &mut Node) -> Box<Comments> {
    node.alias_comments.take().or_else(|| node.comments.take()).unwrap_or_default()
}

/// What comments can stand in.
trait Commented {
    fn push_comment(&mut self, comment: Comment);
}

impl Commented for Branch {
    fn push_comment(&mut self, comment: Comment) {
        self.items.push(Item::Comment(comment));
    }
}

impl Commented for Vec<Value> {
    fn push_comment(&mut self, comment: Comment) {
        self.push(Value::Comment(comment));
    }
}

/// The text of a key; `<<` is a key like any other, since sops merges nothing.
fn string_key(key: Node) -> Result<String, SopsError> {
    let position = key.position;
    let refuse = |reason| format_error(reason, Some(position));
    match resolve(&key) {
        Ok(Resolved::Str(Cow::Borrowed(_))) => Ok(text_of(key)),
        Ok(Resolved::Str(Cow::Owned(bytes))) => {
            String::from_utf8(bytes).map_err(|_| refuse("a YAML key that is not UTF-8"))
        }
        _ => Err(refuse("a YAML key that is not a string (put it in quotes)")),
    }
}

/// The text of a scalar, moved out of it: values may be long.
fn text_of(scalar: Node) -> String {
    match scalar.kind {
        Kind::Scalar(text, _) => text,
        Kind::Mapping(..) | Kind::Sequence(..) => String::new(),
    }
}

/// Refuses two keys with the same text. Nested mappings may repeat keys outside of `sops`: sops up to 3.12 decrypts
/// them, and both values are in the MAC.
fn refuse_repeated_keys(entries: &[(Node, Node)]) -> Result<(), SopsError> {
    let mut first_at = HashMap::<&str, Position>::new();
    for (key, _) in entries {
        let Kind::Scalar(text, _) = &key.kind else { continue };
        if let Some(first) = first_at.insert(text, key.position) {
            return Err(SopsError::Format {
                reason: format!("a YAML key written twice, first in line {}", first.line),
                position: Some(key.position),
                path: Some(Printable::new(text)),
            });
        }
    }
    Ok(())
}

fn refuse_repeated_keys_below(node: &Node) -> Result<(), SopsError> {
    match &node.kind {
        Kind::Mapping(entries, _) => {
            refuse_repeated_keys(entries)?;
            entries.iter().try_for_each(|(_, value)| refuse_repeated_keys_below(value))
        }
        Kind::Sequence(elements, _) => elements.iter().try_for_each(refuse_repeated_keys_below),
        Kind::Scalar(..) => Ok(()),
    }
}

/// Whether yaml.v2, in sops up to 3.6.1, took a plain scalar for a string which yaml.v3 takes for something else.
fn was_string_to_yaml_v2(node: &Node, resolved: &Resolved<'_>) -> bool {
    let Kind::Scalar(text, ScalarStyle::Plain) = &node.kind else { return false };
    node.tag.is_none()
        && match resolved {
            Resolved::Timestamp(_) => true,
            Resolved::Float(value) => value.is_finite() && !is_yaml_v2_float(&text.replace('_', "")),
            _ => false,
        }
}

/// yaml.v2, `resolve.go`: `^[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$`.
fn is_yaml_v2_float(text: &str) -> bool {
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text| str::strip_prefix(text, ['-', '+']);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = unsigned(mantissa).unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or(("", mantissa));
    all_digits(whole)
        && !fraction.is_empty()
        && all_digits(fraction)
        && exponent.is_none_or(|text| unsigned(text).is_some_and(|text| !text.is_empty() && all_digits(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_at_the_top_has_no_path() {
        let error = SopsError::Format { reason: "broken".to_owned(), position: None, path: None };
        assert_eq!(SopsError::from(Refused::from(error)).to_string(), "broken");
    }

    #[test]
    fn yaml_v2_knew_a_float_by_its_exponents_sign() {
        for text in ["1", ".5", "-1.5", "+.5", "1.5e+3", "1E-3", "-2"] {
            assert!(is_yaml_v2_float(text), "{text}");
        }
        for text in ["1.", "1e3", "1e", "1e+", "1e-x", "1e+1x", "", ".", "-", "x", "1.x", "x.1", "1e+-3", ".inf"] {
            assert!(!is_yaml_v2_float(text), "{text}");
        }
    }
}

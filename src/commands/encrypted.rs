//! What is still encrypted in manifests: the last look before a build is printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Failure, Record};
use crate::limits;
use crate::text::Printable;
use crate::yaml::{self, Kind, Node};

/// With the value `Disabled` (in any letter case) an object is left as it is: the annotation of Flux' controller.
pub const OPT_OUT: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// How every encrypted value of sops begins.
pub const TOKEN: &str = "ENC[AES256_GCM,data:";

/// Checks that manifests hold at least one object, and nothing that sops encrypted.
///
/// # Errors
/// Nothing there, not YAML, or the objects that are encrypted, by kind and name.
pub fn check(manifests: &[u8]) -> Result<(), Error> {
    let documents = yaml::parse(manifests).map_err(|error| {
        Record::new(Failure::Generator, format!("the manifests that came out are not YAML: {error}"))
    })?;
    let objects = documents.iter().filter(|document| matches!(document.root.kind, Kind::Mapping(..)));
    if objects.count() == 0 {
        return Err(Record::new(Failure::Generator, "nothing came out: the result has no object")
            .hint("an empty result would make Argo CD delete what it has deployed")
            .into());
    }
    let found: Vec<Record> =
        documents.iter().filter_map(|document| left_in(&document.root)).take(limits::ERRORS).collect();
    Error::collect(found).map_or(Ok(()), Err)
}

/// What is encrypted in an object that may not be.
pub fn left_in(root: &Node) -> Option<Record> {
    if is_opted_out(root) {
        return None;
    }
    let stanza = field(root, "sops").filter(|sops| is_stanza(sops)).map(|_| "sops".to_owned());
    let place = stanza.or_else(|| first_encrypted(root))?;
    Some(
        Record::new(Failure::Format, format!("encrypted content came out undecrypted, at {}", Printable::new(&place)))
            .about(name(root))
            .hint("name the file in a generator (`files` or `secretFrom`) instead of `resources` or `secretGenerator`")
            .hint(format!("an object that has to stay encrypted says so: annotation {OPT_OUT}: Disabled")),
    )
}

/// Whether an object's annotation asks that it be left as it is.
pub fn is_opted_out(object: &Node) -> bool {
    field(object, "metadata")
        .and_then(|metadata| field(metadata, "annotations"))
        .and_then(|annotations| field(annotations, OPT_OUT))
        .and_then(text)
        .is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

/// Whether a node looks like the metadata of sops.
pub fn is_stanza(node: &Node) -> bool {
    ["mac", "lastmodified", "version"].iter().filter(|name| field(node, name).is_some()).count() >= 2
}

/// `Secret/name` of an object, or what there is of it.
pub fn name(object: &Node) -> Printable {
    let kind = field(object, "kind").and_then(text).unwrap_or("an object");
    match field(object, "metadata").and_then(|metadata| field(metadata, "name")).and_then(text) {
        Some(name) => Printable::new(&format!("{kind}/{name}")),
        None => Printable::new(kind),
    }
}

/// The path of the first value that holds a token, also in base64 below `data` and `binaryData`.
fn first_encrypted(root: &Node) -> Option<String> {
    let Kind::Mapping(entries, _) = &root.kind else { return None };
    entries.iter().find_map(|(key, value)| {
        let name = text(key)?;
        let is_base64 = matches!(name, "data" | "binaryData");
        below(value, is_base64).map(|rest| format!("{name}{rest}"))
    })
}

fn below(node: &Node, is_base64: bool) -> Option<String> {
    match &node.kind {
        Kind::Scalar(text, _) => holds_token(text, is_base64).then(String::new),
        Kind::Sequence(items, _) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| below(item, is_base64).map(|rest| format!("[{index}]{rest}"))),
        Kind::Mapping(entries, _) => entries.iter().find_map(|(key, value)| {
            let name = text(key).unwrap_or("?");
            if holds_token(name, false) {
                return Some(String::new());
            }
            below(value, is_base64).map(|rest| format!(".{name}{rest}"))
        }),
    }
}

fn holds_token(value: &str, is_base64: bool) -> bool {
    value.contains(TOKEN)
        || is_base64
            && decode(value).is_some_and(|bytes| bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()))
}

/// Bytes of base64 that may be broken into lines.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\n', '\r', ' ', '\t']) {
        let joined: String = text.split_ascii_whitespace().collect();
        return STANDARD.decode(joined).ok();
    }
    STANDARD.decode(text).ok()
}

/// The value of a field of a mapping, the first where there are several.
pub fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    pairs.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

/// The text of a scalar.
pub fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(text, _) => Some(text),
        _ => None,
    }
}

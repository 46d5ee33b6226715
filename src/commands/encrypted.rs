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
    let mut found = Vec::new();
    let mut has_object = false;
    // One after the other: all at once would take a hundred bytes for each value.
    for text in documents_of(manifests) {
        let documents = yaml::parse(text).map_err(|error| {
            Record::new(Failure::Generator, format!("the manifests that came out are not YAML: {error}"))
        })?;
        has_object |= documents.iter().any(|document| matches!(document.root.kind, Kind::Mapping(..)));
        found.extend(documents.iter().filter_map(|document| left_in(&document.root)));
        found.truncate(limits::ERRORS);
    }
    if !has_object {
        return Err(nothing().into());
    }
    Error::collect(found).map_or(Ok(()), Err)
}

/// There is no object in what came out.
pub fn nothing() -> Record {
    Record::new(Failure::Generator, "nothing came out: the result has no object")
        .hint("an empty result would make Argo CD delete what it has deployed")
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
        let name = text(key).unwrap_or("?");
        if holds_token(name, false) {
            return Some("a key".to_owned());
        }
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
                return Some(".a key".to_owned());
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

/// Whether bytes contain a text that begins with a capital letter rare in manifests; linear in practice.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some((&first, _)) = text.split_first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(text) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// The documents of a stream: each begins with its `---`, where it has one.
pub fn documents_of(stream: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        let is_separator = line
            .strip_prefix(b"---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ") || rest.trim_ascii_start().is_empty());
        if is_separator && at > start {
            chunks.extend(stream.get(start..at));
            start = at;
        }
        at += line.len();
    }
    chunks.extend(stream.get(start..).filter(|rest| !rest.is_empty()));
    chunks
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

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";

    fn report(manifests: &str) -> String {
        check(manifests.as_bytes()).map_or_else(|error| error.report(), |()| "clean".to_owned())
    }

    #[test]
    fn finds_ciphertext_wherever_it_stands() {
        let base64 = STANDARD.encode(format!("a: {SEALED}\n"));
        let (first, rest) = base64.split_at(20);
        for (manifest, place) in [
            (format!("kind: A\nx: {SEALED}\n"), "at x"),
            (format!("kind: A\nx: {{y: [1, 'before {SEALED} after']}}\n"), "at x.y[1]"),
            (format!("kind: Secret\ndata: {{k: {base64}}}\n"), "at data.k"),
            (format!("kind: Secret\ndata:\n  k: |\n    {first}\n    {rest}\n"), "at data.k"),
            (format!("kind: ConfigMap\nbinaryData: {{k: {base64}}}\n"), "at binaryData.k"),
            ("kind: A\nsops: {mac: '', lastmodified: x}\n".to_owned(), "at sops"),
            (format!("kind: A\n---\nkind: B\n? {SEALED}\n: x\n"), "B: encrypted"),
        ] {
            assert!(report(&manifest).contains(place), "{manifest}: {}", report(&manifest));
        }
    }

    #[test]
    fn leaves_alone_what_only_looks_like_it() {
        for manifest in [
            "kind: A\nx: ENC of sorts\nsops: yes\n",
            "kind: Secret\ndata: {k: '!'}\n",
            "kind: Sops\nsops: {version: 1}\n",
        ] {
            assert_eq!(report(manifest), "clean", "{manifest}");
        }
        let opted_out = format!(
            "kind: A\nmetadata: {{annotations: {{{OPT_OUT}: disabled}}}}\nx: {SEALED}\nsops: {{mac: a, version: b}}\n"
        );
        assert_eq!(report(&opted_out), "clean");
    }

    #[test]
    fn nothing_is_an_error() {
        for manifests in ["", "# x\n", "---\n---\n", "text\n"] {
            assert!(report(manifests).contains("nothing came out"), "{manifests}");
        }
    }

    fn pieces(stream: &str) -> Vec<&str> {
        documents_of(stream.as_bytes()).into_iter().map(|chunk| std::str::from_utf8(chunk).unwrap()).collect()
    }

    #[test]
    fn stream_is_cut_before_each_separator_and_nothing_is_lost() {
        assert_eq!(pieces("a: 1\n---\nb: 2\n"), ["a: 1\n", "---\nb: 2\n"]);
        assert_eq!(pieces("---\r\na: 1\r\n--- # x\r\nb: 2"), ["---\r\na: 1\r\n", "--- # x\r\nb: 2"]);
        assert_eq!(pieces("a: |\n  ---\n  x\n---x: 1\n"), ["a: |\n  ---\n  x\n---x: 1\n"]);
        assert_eq!(pieces(""), [""; 0]);
        for stream in ["---", "---\n---\n", "\n---\n\n", "a\n--- b\n---"] {
            assert_eq!(pieces(stream).concat(), stream);
        }
    }
}

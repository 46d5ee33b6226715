//! One side of a comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::sops::data_key::display_name;
use crate::sops::inspect::Found;
use crate::sops::tree::{Branch, Item, Tree, Value as TreeValue};
use crate::sops::{Cleartext, Inspection, MasterKey, SopsError};
use crate::text::Printable;
use crate::yaml::resolve::{Resolved, resolve};
use crate::yaml::{Kind, Node};

/// A key for digests that is drawn anew in each run, so that no digest means anything outside of it.
pub struct DigestKey([u8; 32]);

/// A digest of a value under a [`DigestKey`], or of a token. Never shown.
pub(super) type Digest = [u8; 32];

/// One side of a comparison.
pub struct Snapshot {
    /// Facts about the file or object, by name: recipients, the rule, the type.
    pub(super) facts: Facts,
    /// In the order of the file.
    pub(super) values: Vec<Value>,
    /// Where the values' names come from.
    pub(super) names: Names,
}

/// What is known of a file or object beside its values.
#[derive(Default)]
pub(super) struct Facts {
    /// Single facts, by name.
    pub named: Vec<(&'static str, Printable)>,
    /// Recipients, with the number of their group where there are several; and a hash of the data key as it is wrapped
    /// for each.
    pub recipients: BTreeMap<String, Digest>,
}

/// One value or comment.
pub(super) struct Value {
    /// A hash of its place.
    pub id: Digest,
    pub look: Look,
    /// A hash of its token.
    pub token: Option<Digest>,
    /// A digest of its text.
    pub digest: Option<Digest>,
}

/// What may be shown of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// `str`, `int`, `comment` …
    pub kind: &'static str,
    /// Whether a well-formed token stands there.
    pub is_encrypted: bool,
    /// Whether it stands in clear though the file's rules say that it is encrypted.
    pub is_exposed: bool,
    /// Bytes of its text, where that is known.
    pub size: Option<usize>,
}

/// How the names of values are found.
pub(super) enum Names {
    /// Walk the file again: names of nested values are long, and few are needed.
    File(Box<Inspection>),
    /// One for each value.
    Known(Vec<Printable>),
}

impl DigestKey {
    /// Takes 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    fn digest(&self, text: &[u8]) -> Digest {
        Sha256::new().chain_update(self.0).chain_update(text).finalize().into()
    }
}

impl Snapshot {
    /// What a SOPS file shows without a key; with `cleartext`, its plaintext is compared too.
    ///
    /// # Errors
    /// [`SopsError::Format`]: the rule's regular expression would take too long.
    pub fn of_file(
        mut inspection: Inspection,
        cleartext: Option<&Cleartext>,
        key: &DigestKey,
    ) -> Result<Self, SopsError> {
        let ids = ids(&inspection.tree);
        let clear = cleartext.map(|cleartext| plain_values(cleartext.tree(), key));
        let clear = clear.filter(|clear| clear.len() == ids.len());
        let in_clear = plain_values(&inspection.tree, key);
        let mut values = Vec::with_capacity(ids.len());
        inspection.walk(&mut |leaf, _| {
            let at = values.len();
            let (own_kind, own) = in_clear.get(at).copied().unwrap_or(("", None));
            let opened = clear.as_ref().and_then(|clear| clear.get(at)).copied();
            let (kind, token, size) = match &leaf.found {
                Found::Encrypted(token) => (token.kind.name(), Some(token.seed), Some(token.length)),
                Found::Empty | Found::Malformed(_) | Found::Plain => (own_kind, None, own.map(|(_, size)| size)),
            };
            let digest = match (&token, opened) {
                (_, Some((_, text))) => text.map(|(digest, _)| digest),
                (None, None) => own.map(|(digest, _)| digest),
                (Some(_), None) => None,
            };
            values.push(Value {
                id: ids.get(at).copied().unwrap_or_default(),
                look: Look {
                    kind: if leaf.is_comment { "comment" } else { kind },
                    is_encrypted: token.is_some(),
                    is_exposed: matches!(leaf.found, Found::Plain | Found::Malformed(_))
                        && leaf.should_be_encrypted
                        && !leaf.is_comment,
                    size,
                },
                token,
                digest,
            });
        })?;
        Ok(Self { facts: facts(&inspection), values, names: Names::File(Box::new(inspection)) })
    }

    /// What a Secret holds. Of a redacted one the placeholders take the place of tokens.
    pub fn of_secret(secret: &Node, is_redacted: bool, key: &DigestKey) -> Self {
        let mut texts: BTreeMap<String, (&'static str, Vec<u8>)> = BTreeMap::new();
        for (field, is_base64) in [("data", true), ("stringData", false)] {
            let Some(Node { kind: Kind::Mapping(pairs, _), .. }) = field_of(secret, field) else { continue };
            for (name, value) in pairs {
                let Kind::Scalar(name, _) = &name.kind else { continue };
                texts.insert(name.clone(), text_of(value, is_base64));
            }
        }
        let mut facts = Facts::default();
        if let Some(Node { kind: Kind::Scalar(text, _), .. }) = field_of(secret, "type") {
            facts.named.push(("type", Printable::new(text)));
        }
        let mut values = Vec::new();
        let mut names = Vec::new();
        for (name, (kind, text)) in texts {
            let digest = key.digest(&text);
            values.push(Value {
                id: Sha256::digest(name.as_bytes()).into(),
                look: Look {
                    kind,
                    is_encrypted: is_redacted,
                    is_exposed: false,
                    size: (!is_redacted).then_some(text.len()),
                },
                token: is_redacted.then_some(digest),
                digest: (!is_redacted).then_some(digest),
            });
            names.push(Printable::new(&name));
        }
        Self { facts, values, names: Names::Known(names) }
    }

    /// The names of some of the values, by their number.
    pub(super) fn names(&mut self, wanted: &BTreeSet<usize>) -> BTreeMap<usize, Printable> {
        match &mut self.names {
            Names::Known(names) => {
                wanted.iter().filter_map(|&at| names.get(at).map(|name| (at, name.clone()))).collect()
            }
            Names::File(inspection) => {
                let mut found = BTreeMap::new();
                let mut at = 0;
                let is_stream = inspection.tree.documents.len() > 1;
                let walked = inspection.walk(&mut |leaf, _| {
                    if wanted.contains(&at) {
                        let name = leaf.name();
                        let place = if name.as_str().is_empty() { "the top" } else { name.as_str() };
                        let document =
                            if is_stream { format!("document {}: ", leaf.document + 1) } else { String::new() };
                        let comment = if leaf.is_comment { "comment in " } else { "" };
                        let name = Printable::reason(&format!("{document}{comment}{place}"));
                        found.insert(at, name);
                    }
                    at += 1;
                });
                // It was walked before, with the same budget.
                debug_assert!(walked.is_ok(), "walked before");
                found
            }
        }
    }
}

fn facts(inspection: &Inspection) -> Facts {
    let metadata = &inspection.metadata;
    let rule = metadata.rules.in_force();
    let mut named = vec![
        ("format", inspection.format.name().into()),
        ("last modified", Printable::new(&metadata.last_modified.rfc3339())),
        ("rule", Printable::new(&format!("{} {}", rule.field, Printable::new(rule.text)))),
        ("mac covers", if metadata.mac_only_encrypted { "encrypted values" } else { "all values" }.into()),
    ];
    if let Some(version) = &metadata.version {
        named.push(("sops version", Printable::new(version)));
    }
    let groups = metadata.key_groups.len();
    if groups > 1 {
        named.push(("groups needed", Printable::new(&format!("{} of {groups}", metadata.needed_groups()))));
    }
    let mut recipients = BTreeMap::new();
    for (index, group) in metadata.key_groups.iter().enumerate() {
        let of_group = if groups > 1 { format!("group {}: ", index + 1) } else { String::new() };
        let wrapped = |key: &MasterKey| Sha256::digest(wrapped(key).as_bytes()).into();
        recipients.extend(group.0.iter().map(|key| (format!("{of_group}{}", display_name(key)), wrapped(key))));
    }
    Facts { named, recipients }
}

/// The data key as it is wrapped for this recipient; Huawei's is not read.
fn wrapped(key: &MasterKey) -> &str {
    match key {
        MasterKey::Age { enc, .. }
        | MasterKey::AwsKms { enc, .. }
        | MasterKey::AzureKeyVault { enc, .. }
        | MasterKey::GcpKms { enc, .. }
        | MasterKey::HcVault { enc, .. }
        | MasterKey::Pgp { enc, .. } => enc,
        MasterKey::HuaweiKms { .. } => "",
    }
}

/// Hashes of the places of all values and comments, in the order of `Inspection::walk`. A hash of the whole path would
/// be made anew for each value, and a key may be as long as the file: so each level hashes on.
fn ids(tree: &Tree) -> Vec<Digest> {
    let mut ids = Vec::new();
    for (index, document) in tree.documents.iter().enumerate() {
        branch_ids(document, &step(&Digest::default(), b'd', &index.to_le_bytes(), 0), &mut ids);
    }
    ids
}

fn branch_ids(branch: &Branch, base: &Digest, ids: &mut Vec<Digest>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut comments = 0_usize;
    for item in &branch.items {
        match item {
            Item::Comment(_) => {
                ids.push(step(base, b'c', b"", comments));
                comments += 1;
            }
            Item::Entry(entry) => {
                let count = seen.entry(&entry.key).or_default();
                let id = step(base, b'k', entry.key.as_bytes(), *count);
                *count += 1;
                value_ids(&entry.value, id, ids);
            }
        }
    }
}

fn value_ids(value: &TreeValue, id: Digest, ids: &mut Vec<Digest>) {
    match value {
        TreeValue::Branch(branch) if !branch.items.is_empty() => branch_ids(branch, &id, ids),
        TreeValue::List(list) if !list.is_empty() => {
            for (index, element) in list.iter().enumerate() {
                value_ids(element, step(&id, b'i', b"", index), ids);
            }
        }
        _ => ids.push(id),
    }
}

fn step(base: &Digest, kind: u8, key: &[u8], count: usize) -> Digest {
    let mut hash = Sha256::new();
    hash.update(base);
    hash.update([kind]);
    hash.update((count as u64).to_le_bytes());
    hash.update(key);
    hash.finalize().into()
}

/// Of each value and comment in the order of [`ids`] its type, and the digest and length of its text; null and empty
/// collections have none.
type Plain = (&'static str, Option<(Digest, usize)>);

fn plain_values(tree: &Tree, key: &DigestKey) -> Vec<Plain> {
    let mut out = Vec::new();
    for document in &tree.documents {
        plain_branch(document, key, &mut out);
    }
    out
}

fn plain_branch(branch: &Branch, key: &DigestKey, out: &mut Vec<Plain>) {
    for item in &branch.items {
        match item {
            Item::Comment(comment) => out.push(("comment", text(comment.text.expose(), key))),
            Item::Entry(entry) => plain_value(&entry.value, key, out),
        }
    }
}

fn plain_value(value: &TreeValue, key: &DigestKey, out: &mut Vec<Plain>) {
    let printed = match value {
        TreeValue::Branch(branch) if branch.items.is_empty() => return out.push(("empty mapping", None)),
        TreeValue::Branch(branch) => return plain_branch(branch, key, out),
        TreeValue::List(list) if list.is_empty() => return out.push(("empty list", None)),
        TreeValue::List(list) => return list.iter().for_each(|element| plain_value(element, key, out)),
        TreeValue::Null => return out.push(("null", None)),
        TreeValue::Comment(comment) => return out.push(("comment", text(comment.text.expose(), key))),
        TreeValue::Str(bytes) => return out.push(("str", text(bytes.expose(), key))),
        TreeValue::Bool(truth) => ("bool", truth.to_string()),
        TreeValue::Float(number) => ("float", number.to_string()),
        TreeValue::Int(number) => ("int", number.to_string()),
        TreeValue::Time(time) => ("time", time.rfc3339_nano()),
    };
    out.push((printed.0, text(printed.1.as_bytes(), key)));
}

fn text(text: &[u8], key: &DigestKey) -> Option<(Digest, usize)> {
    Some((key.digest(text), text.len()))
}

fn field_of<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Mapping(pairs, _) = &node.kind else { return None };
    pairs.iter().find(|(key, _)| matches!(&key.kind, Kind::Scalar(text, _) if text == name)).map(|(_, value)| value)
}

/// The bytes of a value of a Secret. What is no base64 is compared as it stands there.
fn text_of(value: &Node, is_base64: bool) -> (&'static str, Vec<u8>) {
    match (&value.kind, resolve(value)) {
        // Line breaks do not count, as in Go, and kustomize writes some.
        (Kind::Scalar(text, _), Ok(Resolved::Str(_))) if is_base64 => {
            let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            match STANDARD.decode(digits) {
                Ok(bytes) => ("str", bytes),
                Err(_) => ("no base64", text.clone().into_bytes()),
            }
        }
        (Kind::Scalar(..), Ok(Resolved::Str(bytes))) => ("str", bytes.into_owned()),
        (Kind::Scalar(text, _), _) => ("no text", text.clone().into_bytes()),
        (Kind::Mapping(..) | Kind::Sequence(..), _) => ("no text", Vec::new()),
    }
}

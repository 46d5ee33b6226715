//! What a SOPS file shows without a key.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::objects::SecretShape;
use super::weak_key;
use crate::findings::{Excerpt, Finding, rules};
use crate::generator;
use crate::limits;
use crate::sops::cipher::Kind;
use crate::sops::inspect::{self, Found, Inspection, Leaf, Verdict};
use crate::sops::metadata::KeyGroup;
use crate::sops::store::{self, Format};
use crate::sops::tree::{Branch, Item, Value};
use crate::sops::{MasterKey, SopsError, Step};
use crate::text::Printable;
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

/// A SOPS file in a few words.
pub struct SopsFile {
    /// The format that its content has.
    pub format: Format,
    /// Whose keys open it.
    pub groups: Vec<KeyGroup>,
    /// The threshold where the file says one.
    pub threshold: Option<usize>,
    /// The encryption rule's field and text, where the file says one.
    pub rule: Option<(&'static str, String)>,
    pub last_modified: Timestamp,
    /// Hashes of the wrapped keys: equal ones are of the same data key.
    pub wrapped: Vec<[u8; 32]>,
    /// Kubernetes objects by document, where kind and name are in clear.
    pub objects: Vec<EncryptedObject>,
    /// Top-level keys of a dotenv file, with their places.
    pub variables: Vec<(String, Position)>,
    /// Bytes of plaintext that the tokens stand for.
    pub plain_bytes: usize,
}

/// A Kubernetes object in a SOPS file.
pub struct EncryptedObject {
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub has_string_data: bool,
    /// What kustomize is asked to do with it: `merge` or `replace`.
    pub behavior: Option<String>,
    pub is_hashed: bool,
}

/// Whether a text is a SOPS file, or was one.
pub fn is_sops(text: &[u8]) -> bool {
    match store::guess(text) {
        None => false,
        Some(_) => inspect::may_be_sops(text) || contains(text, b"lastmodified"),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Looks at a file; what is wrong with it goes to `findings`. `None` where it cannot be read.
pub fn look(file: &str, text: &[u8], findings: &mut Vec<Finding>) -> Option<SopsFile> {
    let mut inspection = match inspect::inspect_any(Format::from_path(file), text) {
        Ok(inspection) => inspection,
        Err(error) => {
            // Source code and documents quote SOPS files; without a suffix of sops' they are none.
            let is_quoted = Format::from_path(file) == Format::Binary && store::guess(text) != Some(Format::Json);
            if is_quoted {
                return None;
            }
            findings.push(unreadable(file, text, &error));
            return None;
        }
    };
    let metadata = &inspection.metadata;
    if metadata.mac.is_empty() {
        let message = "the file has no MAC";
        findings.push(Finding::new(&rules::MAC_MISSING, file, Position::default(), message));
    }
    if let Some(version) = metadata.version.as_deref().filter(|version| is_old(version)) {
        let message = format!("written by sops {}", Printable::new(version));
        findings.push(Finding::new(&rules::OLD_SOPS, file, Position::default(), message));
    }
    weak_keys(file, &metadata.key_groups, findings);
    let plain_bytes = leaves(file, &mut inspection, findings);
    let Inspection { format, metadata, tree } = inspection;
    let mut objects = Vec::new();
    let mut variables = Vec::new();
    for branch in &tree.documents {
        match format {
            Format::Yaml | Format::Json => objects.extend(object(file, branch, findings)),
            Format::Dotenv => variables.extend(entries(branch).map(|(key, _, at)| (key.to_owned(), at))),
            Format::Binary | Format::Ini => {}
        }
    }
    let rule = metadata.rules.in_force();
    let rule = rule.is_written.then(|| (rule.field, rule.text.to_owned()));
    Some(SopsFile {
        format,
        wrapped: wrapped(&metadata.key_groups),
        groups: metadata.key_groups,
        threshold: metadata.shamir_threshold,
        rule,
        last_modified: metadata.last_modified,
        objects,
        variables,
        plain_bytes,
    })
}

fn unreadable(file: &str, text: &[u8], error: &SopsError) -> Finding {
    let position = match error {
        SopsError::Format { position, .. } | SopsError::Integrity { position, .. } => position.unwrap_or_default(),
        SopsError::Key(_) => Position::default(),
    };
    let conflict = text.split(|&byte| byte == b'\n').position(|line| line.starts_with(b"<<<<<<< "));
    match conflict.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => {
            let position = Position { line: index.saturating_add(1), column: 1 };
            Finding::new(&rules::MALFORMED_SOPS, file, position, "a merge conflict was committed")
                .hint("take one side whole, then make the other's changes again with sops: two sides cannot be mixed")
        }
        None => Finding::new(&rules::MALFORMED_SOPS, file, position, error.to_string()),
    }
}

/// Before 3.7.
fn is_old(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (3, 7),
        _ => false,
    }
}

fn weak_keys(file: &str, groups: &[KeyGroup], findings: &mut Vec<Finding>) {
    for key in groups.iter().flat_map(|group| &group.0).take(limits::MASTER_KEYS) {
        let Some(bits) = weak_key::weak_rsa(key) else { continue };
        let name = match key {
            MasterKey::Pgp { fingerprint, .. } => Printable::new(fingerprint),
            MasterKey::Age { recipient, .. } => Printable::new(recipient),
            _ => continue,
        };
        let message = format!("the {} key {name} has {bits} bits of RSA", key.kind());
        findings.push(Finding::new(&rules::WEAK_KEY, file, Position::default(), message));
    }
}

/// Holds every value against the file's rule; gives the bytes that the tokens stand for.
fn leaves(file: &str, inspection: &mut Inspection, findings: &mut Vec<Finding>) -> usize {
    let mut bytes: usize = 0;
    let mut found = Vec::new();
    let is_binary = inspection.format == Format::Binary;
    let result = inspection.walk(&mut |leaf, _| {
        if let Found::Encrypted(token) = &leaf.found {
            bytes = bytes.saturating_add(token.length);
        }
        // sops keeps a comment that is no token as it is.
        let is_comment =
            leaf.is_comment || matches!(&leaf.found, Found::Encrypted(token) if token.kind == Kind::Comment);
        if is_comment || is_binary || found.len() > limits::FINDINGS_OF_A_RULE {
            return;
        }
        match (leaf.verdict(), &leaf.found) {
            (Verdict::LeftInClear, Found::Malformed(reason)) => {
                let message = format!("value {} is a damaged token: {reason}", leaf.name());
                found.push(of_leaf(&rules::MALFORMED_SOPS, file, leaf, message));
            }
            (Verdict::LeftInClear, _) => {
                let message = format!("value {} is in clear, though the file's rule says encrypted", leaf.name());
                found.push(of_leaf(&rules::PARTLY_ENCRYPTED, file, leaf, message));
            }
            (Verdict::NeverDecrypted, _) => {
                let message = format!("value {} is encrypted, though the file's rule says in clear", leaf.name());
                found.push(of_leaf(&rules::NEVER_DECRYPTED, file, leaf, message));
            }
            (Verdict::AsRuled, _) => {}
        }
    });
    findings.append(&mut found);
    if let Err(error) = result {
        findings.push(unreadable(file, &[], &error));
    }
    bytes
}

fn of_leaf(rule: &'static crate::findings::Rule, file: &str, leaf: &Leaf<'_>, message: String) -> Finding {
    let key = leaf.steps().into_iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(Printable::new(key)),
        Step::Index(_) | Step::Root => None,
    });
    Finding::new(rule, file, leaf.position(), message).excerpt(key.map(Excerpt::Key))
}

/// A wrapped key is as good as random: equal ones were copied.
fn wrapped(groups: &[KeyGroup]) -> Vec<[u8; 32]> {
    let keys = groups.iter().flat_map(|group| &group.0);
    let texts = keys.filter_map(|key| match key {
        MasterKey::Age { enc, .. }
        | MasterKey::AwsKms { enc, .. }
        | MasterKey::AzureKeyVault { enc, .. }
        | MasterKey::GcpKms { enc, .. }
        | MasterKey::HcVault { enc, .. }
        | MasterKey::Pgp { enc, .. } => Some(enc.trim()),
        MasterKey::HuaweiKms { .. } => None,
    });
    texts.filter(|enc| !enc.is_empty()).map(|enc| Sha256::digest(enc.as_bytes()).into()).collect()
}

fn entries(branch: &Branch) -> impl Iterator<Item = (&str, &Value, Position)> {
    branch.items.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some((entry.key.as_str(), &entry.value, entry.position)),
        Item::Comment(_) => None,
    })
}

fn get<'a>(branch: &'a Branch, name: &str) -> Option<&'a Value> {
    entries(branch).find(|(key, ..)| *key == name).map(|(_, value, _)| value)
}

/// Text in clear; a token is none.
fn clear(value: Option<&Value>) -> Option<String> {
    let Some(Value::Str(text)) = value else { return None };
    let text = std::str::from_utf8(text.expose()).ok()?;
    (!text.starts_with("ENC[")).then(|| text.to_owned())
}

/// A Secret's keys are checked here, since keys are never encrypted.
fn object(file: &str, branch: &Branch, findings: &mut Vec<Finding>) -> Option<EncryptedObject> {
    let kind = clear(get(branch, "kind"))?;
    clear(get(branch, "apiVersion"))?;
    let metadata = match get(branch, "metadata") {
        Some(Value::Branch(metadata)) => Some(metadata),
        _ => None,
    };
    let of_metadata = |name| metadata.and_then(|metadata| clear(get(metadata, name))).unwrap_or_default();
    let mut has_string_data = false;
    if kind == "Secret" {
        let mut bytes: usize = 0;
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for section in ["data", "stringData"] {
            let Some(Value::Branch(values)) = get(branch, section) else { continue };
            for (key, value, at) in entries(values) {
                has_string_data |= section == "stringData";
                if let Err(rule) = generator::secret_key(key) {
                    let message = format!("key {} {rule}", Printable::new(key));
                    let excerpt = Some(Excerpt::Key(Printable::new(key)));
                    findings.push(Finding::new(&rules::ILLEGAL_KEY, file, at, message).excerpt(excerpt));
                }
                if let Some(first) = seen.insert(key, section) {
                    let message = format!("key {} is in {first} and in {section}", Printable::new(key));
                    let excerpt = Some(Excerpt::Key(Printable::new(key)));
                    findings.push(Finding::new(&rules::DUPLICATE_KEY, file, at, message).excerpt(excerpt));
                }
                let length = token_bytes(value);
                bytes = bytes.saturating_add(if section == "data" { length / 4 * 3 } else { length });
            }
        }
        if bytes > limits::SECRET_BYTES {
            let message = format!("the Secret holds {} KiB", bytes >> 10);
            findings.push(Finding::new(&rules::TOO_LARGE, file, Position::default(), message));
        }
    }
    let annotations = match metadata.and_then(|metadata| get(metadata, "annotations")) {
        Some(Value::Branch(annotations)) => Some(annotations),
        _ => None,
    };
    let annotation = |name| annotations.and_then(|annotations| clear(get(annotations, name)));
    let behavior = annotation("kustomize.config.k8s.io/behavior").filter(|behavior| behavior != "create");
    let is_hashed = annotation("kustomize.config.k8s.io/needs-hash").is_some_and(|answer| answer == "true");
    Some(EncryptedObject {
        kind,
        name: of_metadata("name"),
        namespace: of_metadata("namespace"),
        has_string_data,
        behavior,
        is_hashed,
    })
}

fn token_bytes(value: &Value) -> usize {
    match value {
        Value::Str(text) => crate::sops::cipher::EncryptedValue::parse(text.expose())
            .map_or(text.expose().len(), |token| token.size_bytes()),
        _ => 0,
    }
}

/// A Secret in clear.
pub fn plaintext(file: &str, name: &str, position: Position, shape: &SecretShape, findings: &mut Vec<Finding>) {
    if shape.has_tokens {
        let message =
            format!("Secret {} has encrypted values, but the file has no `sops` metadata", Printable::new(name));
        findings.push(Finding::new(&rules::MALFORMED_SOPS, file, position, message));
    }
    if let Some((key, at)) = shape.plain.first() {
        let keys: Vec<&str> = shape.plain.iter().take(5).map(|(key, _)| key.as_str()).collect();
        let more = if shape.plain.len() > keys.len() { ", …" } else { "" };
        let message = format!("Secret {} is in clear: {}{more}", Printable::new(name), keys.join(", "));
        let excerpt = Some(Excerpt::Key(key.clone()));
        findings.push(Finding::new(&rules::PLAINTEXT_SECRET, file, *at, message).excerpt(excerpt));
    }
    for (key, rule, at) in shape.illegal.iter().take(limits::FINDINGS_OF_A_RULE) {
        let message = format!("key {key} {rule}");
        let excerpt = Some(Excerpt::Key(key.clone()));
        findings.push(Finding::new(&rules::ILLEGAL_KEY, file, *at, message).excerpt(excerpt));
    }
}

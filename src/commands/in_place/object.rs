//! One object: found to be encrypted, proven, opened.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Sources;
use crate::commands::encrypted::{contains, decode, field, is_opted_out, name, text};
use crate::commands::{policy, records};
use crate::error::{Failure, Record};
use crate::policy::Authority;
use crate::secret::{SecretBytes, SecretSlice};
use crate::sops::mac::Unordered;
use crate::sops::reordered::{Mismatch, open_unordered};
use crate::sops::{self, Cleartext, Format, KeyService, SopsError};
use crate::text::Printable;
use crate::yaml::writer::write_like_sops;
use crate::yaml::{self, CollectionStyle, Document, Kind, Node, ScalarStyle};

/// Decrypts objects.
pub struct Decryption<'a> {
    /// The keys, under the policy.
    pub keys: &'a dyn KeyService,
    /// What this run may do: which kinds of decrypted objects may come out.
    pub authority: &'a Authority,
    /// What copies are held against.
    pub sources: &'a Sources<'a>,
    /// Set where the operator accepts copies that cannot be held against anything.
    pub accepted: Option<Unordered>,
    /// The next step where a proof is missing.
    pub hint: &'static str,
}

/// Indentation that sops writes with.
const SOPS_INDENT: usize = 4;

/// How every metadata key of an expanded dotenv file begins.
const PREFIX: &str = "sops_";

impl Decryption<'_> {
    /// Decrypts an object in place; a list, its items. Tells whether anything was encrypted.
    ///
    /// `original` is the text of the whole object, where it is known as it was before anyone re-ordered it.
    ///
    /// # Errors
    /// A value does not open, or nothing proves it.
    pub fn object(&self, object: &mut Node, original: Option<&[u8]>) -> Result<bool, Record> {
        if !matches!(object.kind, Kind::Mapping(..)) || is_opted_out(object) {
            return Ok(false);
        }
        if is_document(object) {
            let about = name(object);
            let cleartext = match original {
                Some(text) => self.document(text),
                None => self.document(write_like_sops(&[document(object.clone())], SOPS_INDENT).as_bytes()),
            };
            let opened =
                cleartext.and_then(|cleartext| root_of(&cleartext)).map_err(|record| prefixed(record, &about))?;
            self.check_kinds(&opened).map_err(|record| record.about(about))?;
            *object = opened;
            return Ok(true);
        }
        if field(object, "kind").and_then(text) == Some("Secret") {
            let about = name(object);
            let has_any = self.secret(object).map_err(|record| prefixed(record, &about))?;
            if has_any {
                self.check_kinds(object).map_err(|record| record.about(about))?;
            }
            return Ok(has_any);
        }
        self.items(object)
    }

    /// The items of a list (`kind: List`, `SecretList`).
    fn items(&self, object: &mut Node) -> Result<bool, Record> {
        let is_list = field(object, "kind").and_then(text).is_some_and(|kind| kind.ends_with("List"));
        let Some(Kind::Sequence(items, _)) =
            value_mut(object, "items").filter(|_| is_list).map(|items| &mut items.kind)
        else {
            return Ok(false);
        };
        let mut has_any = false;
        for item in items {
            // A list in a list is no object of Kubernetes.
            if !field(item, "kind").and_then(text).is_some_and(|kind| kind.ends_with("List")) {
                has_any |= self.object(item, None)?;
            }
        }
        Ok(has_any)
    }

    /// Whether the policy lets a decrypted object come out; of a list, each item.
    fn check_kinds(&self, object: &Node) -> Result<(), Record> {
        let text_of = |name| field(object, name).and_then(text).unwrap_or_default();
        let (api_version, kind) = (text_of("apiVersion"), text_of("kind"));
        match field(object, "items").filter(|_| kind.ends_with("List")).map(|items| &items.kind) {
            Some(Kind::Sequence(items, _)) if !items.is_empty() => {
                items.iter().try_for_each(|item| self.check_kinds(item))
            }
            _ => policy::check_kind(self.authority, api_version, kind),
        }
    }

    /// An object that is a SOPS document.
    fn document(&self, text: &[u8]) -> Result<Cleartext, Record> {
        self.prove(text, Format::Yaml)
    }

    /// By its own MAC, or by its source, or by the operator's word.
    fn prove(&self, text: &[u8], format: Format) -> Result<Cleartext, Record> {
        let copy = format.load(text).map_err(refuse)?;
        // Keys that do not open will not open for the source either.
        let error = match sops::decrypt(text, format, self.keys) {
            Err(error @ (SopsError::Integrity { .. } | SopsError::Format { .. })) => error,
            other => return other.map_err(refuse),
        };
        let witness = self.sources.find(&copy.metadata.mac)?;
        match witness.map(|witness| witness.open_copy(copy)) {
            Some(Ok(cleartext)) => Ok(cleartext),
            Some(Err(Mismatch::Value)) => {
                Err(Record::new(Failure::Integrity, "an encrypted value is not the one that its source file has there"))
            }
            Some(Err(Mismatch::OtherFile)) | None => match &self.accepted {
                Some(accepted) => {
                    let copy = format.load(text).map_err(refuse)?;
                    open_unordered(copy, self.keys, accepted).map_err(refuse)
                }
                None => Err(Record { hints: vec![self.hint.to_owned()], ..refuse(error) }),
            },
        }
    }

    /// The values of a Secret.
    fn secret(&self, secret: &mut Node) -> Result<bool, Record> {
        let mut has_any = false;
        for (list, is_base64) in [("data", true), ("stringData", false)] {
            let Some(Kind::Mapping(entries, _)) = value_mut(secret, list).map(|list| &mut list.kind) else { continue };
            has_any |= self.expanded(entries, list, is_base64)?;
            for (key, value) in entries.iter_mut() {
                let Kind::Scalar(written, _) = &value.kind else { continue };
                let key = text(key).unwrap_or_default();
                let bytes = if is_base64 {
                    // What is no base64 is the API server's business.
                    let Some(bytes) = decode(written) else { continue };
                    bytes
                } else {
                    written.clone().into_bytes()
                };
                let Some(format) = format_of(&bytes, key) else { continue };
                let about = |record: Record| prefixed(record, &Printable::new(&format!("{list}.{key}")));
                let cleartext = self.prove(&bytes, format).map_err(about)?;
                let plain = as_named(&cleartext, key).map_err(|reason| about(Record::new(Failure::Format, reason)))?;
                *value = encode(&plain, is_base64).map_err(about)?;
                has_any = true;
            }
        }
        Ok(has_any)
    }

    /// A dotenv file that `secretGenerator.envs` made keys of, metadata and all.
    fn expanded(&self, entries: &mut Vec<(Node, Node)>, list: &str, is_base64: bool) -> Result<bool, Record> {
        if !entries.iter().any(|(key, _)| text(key) == Some("sops_mac")) {
            return Ok(false);
        }
        let mut file = Vec::new();
        for (key, value) in entries.iter() {
            let (Some(key), Some(written)) = (text(key), text(value)) else { continue };
            let Some(line) = (if is_base64 { decode(written) } else { Some(written.as_bytes().to_vec()) }) else {
                continue;
            };
            // Values with line breaks came from elsewhere.
            if !line.contains(&b'\n') {
                file.extend_from_slice(key.as_bytes());
                file.push(b'=');
                file.extend_from_slice(&line);
                file.push(b'\n');
            }
        }
        let about = |record: Record| prefixed(record, &Printable::new(list));
        let cleartext = self.prove(&file, Format::Dotenv).map_err(about)?;
        entries.retain(|(key, _)| !text(key).is_some_and(|key| key.starts_with(PREFIX)));
        for (key, value) in entries.iter_mut() {
            let Some(name) = text(key) else { continue };
            if let Some(plain) = variable(&cleartext, name) {
                *value = encode(plain, is_base64).map_err(about)?;
            }
        }
        Ok(true)
    }
}

fn is_document(object: &Node) -> bool {
    mac_of(object).is_some()
}

/// The field `mac` of a field `sops`, if it is not empty: with it, Flux takes an object for encrypted.
pub fn mac_of(object: &Node) -> Option<&str> {
    field(object, "sops").and_then(|sops| field(sops, "mac")).and_then(text).filter(|mac| !mac.is_empty())
}

fn refuse(error: SopsError) -> Record {
    records::of_sops(error)
}

/// Puts a place before what the record is about, or makes it that.
fn prefixed(record: Record, place: &Printable) -> Record {
    let subject = match &record.subject {
        Some(inner) => Printable::new(&format!("{place}: {inner}")),
        None => place.clone(),
    };
    record.about(subject)
}

/// The object that a decrypted document is.
fn root_of(cleartext: &Cleartext) -> Result<Node, Record> {
    let broken = |reason: &str| Record::new(Failure::Format, reason);
    let plain = cleartext.text_as(Format::Yaml).map_err(broken)?;
    let documents = yaml::parse(plain.expose()).map_err(|_| broken("decrypts to something that is not YAML"))?;
    match <[Document; 1]>::try_from(documents) {
        Ok([document]) => Ok(document.root),
        Err(_) => Err(broken("decrypts to more than one document")),
    }
}

/// The format of a value that is a SOPS file. JSON and the binary envelope look the same: the key decides, as Flux takes
/// it for a file name.
fn format_of(bytes: &[u8], key: &str) -> Option<Format> {
    if !contains(bytes, b"ENC[AES256_GCM,data:") {
        return None;
    }
    let has = |marker: &[u8]| contains(bytes, marker);
    let format = if has(b"sops_mac=ENC[") {
        Format::Dotenv
    } else if has(b"[sops]") {
        Format::Ini
    } else if bytes.trim_ascii_start().starts_with(b"{") && has(b"\"mac\"") {
        if by_key(key) == Format::Binary && Format::Binary.load(bytes).is_ok() { Format::Binary } else { Format::Json }
    } else if has(b"mac: ENC[") {
        Format::Yaml
    } else {
        return None;
    };
    Some(format)
}

/// The format that a key asks for.
fn by_key(key: &str) -> Format {
    if key.ends_with(".dockerconfigjson") { Format::Json } else { Format::from_path(key) }
}

/// The plaintext in the format that the key asks for, where it asks for one; else in its own.
fn as_named(cleartext: &Cleartext, key: &str) -> Result<SecretBytes, &'static str> {
    match by_key(key) {
        Format::Binary => cleartext.text().map(SecretSlice::into_owned),
        _ if cleartext.format() == Format::Binary => cleartext.text().map(SecretSlice::into_owned),
        wanted => cleartext.text_as(wanted),
    }
}

/// The plaintext of a variable.
fn variable<'c>(cleartext: &'c Cleartext, name: &str) -> Option<&'c SecretBytes> {
    use crate::sops::tree::{Item, Value};
    cleartext.tree().documents.first()?.items.iter().find_map(|item| match item {
        Item::Entry(entry) if entry.key == name => match &entry.value {
            Value::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    })
}

fn encode(plain: &SecretBytes, is_base64: bool) -> Result<Node, Record> {
    let text = if is_base64 {
        STANDARD.encode(plain.expose())
    } else {
        let text = plain.expose().clone();
        String::from_utf8(text).map_err(|_| Record::new(Failure::Format, "decrypts to bytes that are no text"))?
    };
    Ok(Node { kind: Kind::Scalar(text, ScalarStyle::DoubleQuoted), ..Node::default() })
}

fn document(root: Node) -> Document {
    Document { root, ..Document::default() }
}

fn value_mut<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Kind::Mapping(pairs, CollectionStyle::Block | CollectionStyle::Flow) = &mut node.kind else { return None };
    pairs.iter_mut().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

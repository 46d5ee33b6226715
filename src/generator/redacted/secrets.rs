//! The values of a Secret, redacted: placeholders stay, everything else goes, and the types of Kubernetes get what they
//! ask for.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{certificate, field_mut, string};
use crate::sops::inspect::may_be_sops;
use crate::sops::placeholder::{Seed, UNENCRYPTED, holds_placeholder, is_placeholder};
use crate::sops::{Format, Redacted};
use crate::yaml::resolve::{self, Resolved, resolve};
use crate::yaml::{Kind, Node, ScalarStyle};

/// kubectl keeps the whole object here, plaintext and all.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether an object is a Secret.
pub(super) fn is_secret(object: &Node) -> bool {
    text_field(object, "kind").is_some_and(|kind| kind == "Secret")
}

/// The text of a field that is a scalar.
pub(super) fn text_field(object: &Node, name: &str) -> Option<String> {
    text_of(super::super::field(object, name)?)
}

/// Encodes placeholders under `data`, which come from an encrypted manifest as they are.
pub(super) fn encode(secret: &mut Node) {
    let Some(values) = field_mut(secret, "data") else { return };
    each_value(values, &mut |_, value| {
        if let Some(text) = text_of(value).filter(|text| is_placeholder(text.as_bytes())) {
            *value = string(&STANDARD.encode(text));
        }
    });
}

/// Puts placeholders in the place of all values, and gives them the form that the Secret's type asks for. A value that
/// holds a placeholder is one of ours.
pub(super) fn redact(secret: &mut Node) {
    replace_values(secret, holds_placeholder);
    let secret_type = text_field(secret, "type").unwrap_or_default();
    if let Kind::Mapping(fields, _) = &mut secret.kind {
        give_form(fields, &secret_type);
    }
}

/// Puts placeholders in the place of all values that are not placeholders from end to end.
pub(super) fn redact_plain(secret: &mut Node) {
    replace_values(secret, is_placeholder);
}

fn replace_values(secret: &mut Node, is_ours: fn(&[u8]) -> bool) {
    drop_comments(secret);
    let Kind::Mapping(fields, _) = &mut secret.kind else { return };
    // Readers of JSON in older API servers took field names in any case.
    let has_values = |key: &Node, name: &str| text_of(key).is_some_and(|key| key.eq_ignore_ascii_case(name));
    for (key, values) in fields.iter_mut() {
        if has_values(key, "stringData") {
            each_value(values, &mut |key, value| redact_text(key, value, is_ours));
        } else if has_values(key, "data") {
            each_value(values, &mut |key, value| redact_base64(key, value, is_ours));
        }
    }
    if let Some(metadata) = field_mut(secret, "metadata")
        && let Some(annotations) = field_mut(metadata, "annotations")
        && let Some(value) = field_mut(annotations, LAST_APPLIED)
    {
        *value = string(UNENCRYPTED);
    }
}

fn redact_text(key: &Node, value: &mut Node, is_ours: fn(&[u8]) -> bool) {
    let Some(text) = text_of(value) else { return hide(value) };
    if !text.is_empty() && !is_ours(text.as_bytes()) {
        *value = string(&stand_in(key, text.as_bytes()));
    }
}

fn redact_base64(key: &Node, value: &mut Node, is_ours: fn(&[u8]) -> bool) {
    let Some(text) = text_of(value) else { return hide(value) };
    let plain = if text.is_empty() {
        return;
    } else if is_ours(text.as_bytes()) {
        text
    } else {
        let decoded = decode(&text).unwrap_or_default();
        if is_ours(&decoded) { String::from_utf8_lossy(&decoded).into_owned() } else { stand_in(key, &decoded) }
    };
    *value = string(&STANDARD.encode(plain));
}

/// Decodes base64 as Go does: line breaks do not count, and kustomize writes some.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).ok()
}

/// What stands for a value that holds no placeholder: for a whole SOPS file (kustomize's own `secretGenerator` over
/// encrypted files, as people do with Flux) its text with placeholders, for anything else that it is not encrypted.
fn stand_in(key: &Node, value: &[u8]) -> String {
    if !may_be_sops(value) {
        return UNENCRYPTED.to_owned();
    }
    let format = Format::from_path(&text_of(key).unwrap_or_default());
    let redacted = Redacted::without_keys(value, format).ok().and_then(|redacted| redacted.text().ok());
    match redacted.map(|text| String::from_utf8_lossy(text.expose()).into_owned()) {
        Some(text) if holds_placeholder(text.as_bytes()) => text,
        _ => Seed::of_text(&String::from_utf8_lossy(value)).text(),
    }
}

/// A value that is no text, and so wrong in a Secret: it keeps its type, for schemas to complain of, and nothing else.
fn hide(value: &mut Node) {
    let constant = match resolve(value) {
        Ok(Resolved::Null) => return,
        Ok(Resolved::Bool(_)) => "false",
        Ok(Resolved::Int(_) | Resolved::Uint(_)) => "0",
        Ok(Resolved::Float(_)) => "0.5",
        _ => return *value = string(UNENCRYPTED),
    };
    *value = Node { kind: Kind::Scalar(constant.to_owned(), ScalarStyle::Plain), ..Node::default() };
}

/// Gives values that are nothing but a placeholder the form that the Secret's type asks for.
fn give_form(fields: &mut [(Node, Node)], secret_type: &str) {
    match secret_type {
        "kubernetes.io/dockerconfigjson" => {
            replace(fields, ".dockerconfigjson", |text| format!("{{\"auths\":{}}}", registry(text)))
        }
        "kubernetes.io/dockercfg" => replace(fields, ".dockercfg", registry),
        "kubernetes.io/tls" => {
            let [crt, key] = ["tls.crt", "tls.key"].map(|name| plain_value(fields, name));
            // A certificate in clear beside an encrypted key would not fit any key that we could show.
            let is_bare = [&crt, &key].into_iter().any(|text| text.as_deref().is_some_and(is_bare));
            if let (Some(crt), Some(key), true) = (crt, key, is_bare) {
                let pair = certificate::Pair::new(&Seed::of_text(&key), &crt_name(&crt));
                set_value(fields, "tls.crt", &pair.certificate());
                set_value(fields, "tls.key", &pair.private_key());
            }
            replace(fields, "ca.crt", |text| certificate::Pair::new(&Seed::of_text(text), text).certificate());
        }
        _ => {}
    }
}

/// The name in a certificate that stands for this one.
fn crt_name(crt: &str) -> String {
    if is_bare(crt) { crt.to_owned() } else { Seed::of_text(crt).text() }
}

/// An entry of a registry that exists nowhere.
fn registry(text: &str) -> String {
    let auth = STANDARD.encode(format!("redacted:{text}"));
    format!("{{\"{text}.invalid\":{{\"auth\":\"{auth}\"}}}}")
}

fn is_bare(text: &str) -> bool {
    is_placeholder(text.as_bytes()) || text == UNENCRYPTED
}

fn replace(fields: &mut [(Node, Node)], name: &str, form: impl Fn(&str) -> String) {
    if let Some(text) = plain_value(fields, name).filter(|text| is_bare(text)) {
        set_value(fields, name, &form(&text));
    }
}

/// The value of a key, decoded; `stringData` wins, as in Kubernetes.
fn plain_value(fields: &[(Node, Node)], name: &str) -> Option<String> {
    let find = |field: &str| {
        let (_, values) = fields.iter().find(|(key, _)| text_of(key).as_deref() == Some(field))?;
        text_field(values, name)
    };
    find("stringData").or_else(|| String::from_utf8(decode(&find("data")?)?).ok())
}

fn set_value(fields: &mut [(Node, Node)], name: &str, text: &str) {
    for (key, values) in fields {
        let text = match text_of(key).as_deref() {
            Some("stringData") => text.to_owned(),
            Some("data") => STANDARD.encode(text),
            _ => continue,
        };
        if let Some(value) = field_mut(values, name) {
            *value = string(&text);
        }
    }
}

fn each_value(values: &mut Node, change: &mut dyn FnMut(&Node, &mut Node)) {
    match &mut values.kind {
        Kind::Mapping(pairs, _) => pairs.iter_mut().for_each(|(key, value)| change(key, value)),
        // Not a Secret that any API server takes, but it may hold what should be in one.
        Kind::Scalar(text, _) if text.is_empty() => {}
        Kind::Scalar(..) | Kind::Sequence(..) => hide(values),
    }
}

fn text_of(node: &Node) -> Option<String> {
    resolve::text(node).map(Cow::into_owned)
}

fn drop_comments(node: &mut Node) {
    node.comments = None;
    node.alias_comments = None;
    match &mut node.kind {
        Kind::Mapping(pairs, _) => pairs.iter_mut().for_each(|(key, value)| {
            drop_comments(key);
            drop_comments(value);
        }),
        Kind::Sequence(items, _) => items.iter_mut().for_each(drop_comments),
        Kind::Scalar(..) => {}
    }
}

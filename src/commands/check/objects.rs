//! Kubernetes objects of plain manifests: what matters to Secrets, and nothing else of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::limits;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, field, scalar, text};
use crate::yaml::{Kind, Node, Position};

/// An object of a manifest.
pub struct Object {
    pub api_version: String,
    pub kind: String,
    /// Empty where it has none.
    pub name: String,
    pub namespace: String,
    pub position: Position,
    /// What a Secret holds.
    pub secret: Option<SecretShape>,
    /// References to Secrets in fields whose names kustomize rewrites.
    pub references: Vec<Reference>,
    /// Hashes of texts that may be names of Secrets, sorted.
    pub mentions: Vec<u64>,
    /// Of Flux.
    pub is_flux: bool,
}

/// What a Secret holds: keys, never values.
#[derive(Default)]
pub struct SecretShape {
    /// Keys of `data` and `stringData` with a value in clear that looks like one.
    pub plain: Vec<(Printable, Position)>,
    /// Whether a value is a token of sops.
    pub has_tokens: bool,
    /// Keys of `stringData`.
    pub has_string_data: bool,
    /// Keys that Kubernetes refuses, and why.
    pub illegal: Vec<(Printable, &'static str, Position)>,
}

/// A reference to a Secret.
pub struct Reference {
    pub name: String,
    /// The field that refers: `envFrom`, `secretKeyRef`, `secretName`.
    pub field: &'static str,
    pub position: Position,
}

/// Kinds whose references to Secrets kustomize rewrites and whose pods wait for them.
const WORKLOADS: [&str; 8] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// Kinds whose references to Secrets kustomize rewrites, besides [`WORKLOADS`].
///
/// Source: kustomize v5.8.1, `api/internal/konfig/builtinpluginconsts/namereference.go`.
const REWRITTEN: [&str; 6] =
    ["Ingress", "PersistentVolume", "ServiceAccount", "StorageClass", "VolumeSnapshotClass", "IngressClass"];

impl Object {
    /// Whether kustomize rewrites its references to Secrets.
    pub fn is_rewritten(&self) -> bool {
        self.is_workload() || REWRITTEN.contains(&self.kind.as_str())
    }

    /// Whether it makes pods.
    pub fn is_workload(&self) -> bool {
        WORKLOADS.contains(&self.kind.as_str())
    }

    /// The objects of a document, those of lists included.
    pub fn of(node: &Node) -> Vec<Self> {
        let is_list = text(node, "kind").is_some_and(|kind| kind.ends_with("List"));
        match field(node, "items").filter(|_| is_list) {
            Some(items) => elements(items).iter().filter_map(Self::one).collect(),
            None => Self::one(node).into_iter().collect(),
        }
    }

    fn one(node: &Node) -> Option<Self> {
        let kind = text(node, "kind")?.to_owned();
        let api_version = text(node, "apiVersion")?.to_owned();
        let metadata = field(node, "metadata");
        let of_metadata = |name| metadata.and_then(|metadata| text(metadata, name)).unwrap_or_default().to_owned();
        let is_secret = kind == "Secret" && api_version == "v1";
        let is_flux = api_version.contains("toolkit.fluxcd.io/");
        let mut object = Self {
            name: of_metadata("name"),
            namespace: of_metadata("namespace"),
            position: node.position,
            secret: is_secret.then(|| SecretShape::of(node)),
            references: Vec::new(),
            mentions: Vec::new(),
            is_flux,
            api_version,
            kind,
        };
        if !is_secret {
            let mut walker = Walker { object: &mut object };
            walker.node(node, "", 0);
        }
        object.mentions.sort_unstable();
        object.mentions.dedup();
        Some(object)
    }
}

/// The hash of a name, as [`Object::mentions`] holds it.
pub fn mention(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

struct Walker<'a> {
    object: &'a mut Object,
}

impl Walker<'_> {
    /// `parent` is the key above.
    fn node(&mut self, node: &Node, parent: &str, depth: usize) {
        if depth > limits::NESTING {
            return;
        }
        let below = depth.saturating_add(1);
        match &node.kind {
            Kind::Mapping(..) => {
                let is_optional = text(node, "optional") == Some("true");
                for (key, _, value) in entries(node) {
                    let found = self.reference(parent, key, value);
                    if let Some(reference) = found {
                        // Not waited for, but still a mention.
                        if is_optional {
                            self.object.mentions.push(mention(&reference.name));
                        } else {
                            self.object.references.push(reference);
                        }
                    } else {
                        self.node(value, key, below);
                    }
                }
            }
            Kind::Sequence(items, _) => {
                for item in items {
                    self.node(item, parent, below);
                }
            }
            Kind::Scalar(text, _) => {
                if may_be_name(text) {
                    self.object.mentions.push(mention(text));
                } else if text.len() < 4096 && text.contains('\n') {
                    // Embedded manifests and values.
                    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'));
                    let hashes: Vec<u64> = words.filter(|word| may_be_name(word)).map(mention).collect();
                    self.object.mentions.extend(hashes);
                }
            }
        }
    }

    fn reference(&self, parent: &str, key: &str, value: &Node) -> Option<Reference> {
        if !self.object.is_rewritten() {
            return None;
        }
        let field = match (parent, key) {
            ("secretRef", "name") => "secretRef",
            ("secretKeyRef", "name") => "secretKeyRef",
            ("secret", "name" | "secretName") => "secret volume",
            ("imagePullSecrets", "name") => "imagePullSecrets",
            ("tls", "secretName") => "tls",
            _ => return None,
        };
        let name = scalar(value)?;
        Some(Reference { name: name.to_owned(), field, position: value.position })
    }
}

fn may_be_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

impl SecretShape {
    fn of(node: &Node) -> Self {
        let mut shape = Self::default();
        if text(node, "type") == Some("kubernetes.io/service-account-token") {
            return shape;
        }
        for section in ["data", "stringData"] {
            let Some(values) = field(node, section) else { continue };
            for (key, key_node, value) in entries(values) {
                shape.has_string_data |= section == "stringData";
                if let Err(rule) = crate::generator::secret_key(key) {
                    shape.illegal.push((Printable::new(key), rule, key_node.position));
                }
                let Some(text) = scalar(value) else { continue };
                if text.contains("ENC[AES256_GCM,") {
                    shape.has_tokens = true;
                } else if is_secret(key, text, section == "data") && shape.plain.len() < limits::ERRORS {
                    shape.plain.push((Printable::new(key), key_node.position));
                }
            }
        }
        shape
    }
}

/// Keys whose values are no secrets by themselves.
const OPEN_KEYS: [&str; 26] = [
    "clusterID",
    "fsName",
    "storageClass",
    "volumeHandle",
    "database",
    "email",
    "enableLfs",
    "enableOCI",
    "endpoint",
    "host",
    "hostname",
    "insecure",
    "name",
    "namespace",
    "namespaces",
    "port",
    "project",
    "region",
    "server",
    "type",
    "url",
    "user",
    "username",
    "ca.crt",
    "tls.crt",
    "bucket",
];

/// Marks of templates: the secret is put in later.
const TEMPLATES: [&str; 8] = ["${", "$(", "{{", "<path:", "op://", "ref+", "secretref:", "vault:"];

/// Words of short values that stand for a secret.
const PLACEHOLDERS: [&str; 12] =
    ["change", "replace", "placeholder", "example", "dummy", "todo", "your-", "your_", "redacted", "***", "xxx", "..."];

/// Longest value that is a placeholder for holding one of [`PLACEHOLDERS`], in bytes.
const PLACEHOLDER_BYTES: usize = 64;

/// Whether a value of a Secret looks like a secret: not like something to be put in later, nor public.
fn is_secret(key: &str, value: &str, is_base64: bool) -> bool {
    if value.trim().is_empty() || OPEN_KEYS.iter().any(|open| key.eq_ignore_ascii_case(open)) {
        return false;
    }
    let decoded = if is_base64 { decode(value) } else { None };
    let value = decoded.as_deref().unwrap_or(value).trim();
    let lower = value.to_ascii_lowercase();
    let is_placeholder = value.len() <= PLACEHOLDER_BYTES && PLACEHOLDERS.iter().any(|word| lower.contains(word));
    let is_in_brackets = value.starts_with('<') && value.ends_with('>') && value.matches('<').count() == 1;
    let is_template = is_in_brackets || TEMPLATES.iter().any(|mark| value.contains(mark));
    let is_public = value.starts_with("-----BEGIN CERTIFICATE") || value.starts_with("-----BEGIN PUBLIC KEY");
    let is_public = is_public && !value.contains("PRIVATE KEY");
    // Argo CD: how to reach a cluster, and sometimes with which token.
    let is_open = key == "config"
        && value.contains("tlsClientConfig")
        && !["bearerToken", "password", "keyData", "token"].iter().any(|word| value.contains(word));
    let is_flag = ["true", "false"].contains(&lower.as_str()) || value.parse::<u16>().is_ok();
    let is_harmless = value.is_empty() || is_placeholder || is_template || is_public || is_open || is_flag;
    !is_harmless && (has_secret_name(key) || looks_secret(value, &lower))
}

/// Parts of keys whose values are secret.
const SECRET_NAMES: [&str; 20] = [
    "account",
    "agekey",
    "auth",
    "cookie",
    "cred",
    "dockerconfig",
    "dsn",
    "htpasswd",
    "key",
    "kubeconfig",
    "license",
    "pass",
    "private",
    "pwd",
    "salt",
    "secret",
    "session",
    "token",
    "webhook",
    "connection",
];

fn has_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| key.contains(part))
}

/// Shortest text without blanks that may be a token by itself, in bytes.
const TOKEN_BYTES: usize = 20;

/// Whether a value of any name looks secret: a token, a URL with a password, a configuration with one.
fn looks_secret(value: &str, lower: &str) -> bool {
    if value.contains("PRIVATE KEY") || has_password_in_url(value) {
        return true;
    }
    if value.contains('\n') {
        // Scripts take secrets from elsewhere.
        return !value.starts_with("#!")
            && ["password", "passwd", "secret_key", "secretkey", "secret:", "secret=", "token:", "token="]
                .iter()
                .any(|word| lower.contains(word));
    }
    let is_one_word = value.bytes().all(|byte| byte.is_ascii_graphic());
    let has_both =
        value.bytes().any(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_place =
        value.contains("://") || value.starts_with(['/', '.']) || value.contains(".svc") || value.ends_with(".com");
    value.len() >= TOKEN_BYTES && is_one_word && has_both && !is_place
}

/// `scheme://name:password@host`
fn has_password_in_url(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority.split_once('@').is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, word)| !word.is_empty()))
}

fn decode(value: &str) -> Option<String> {
    use base64::Engine as _;
    let compact: String = value.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(compact).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        let documents = crate::yaml::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        Object::of(&documents[0].root).into_iter().next().expect("an object")
    }

    #[test]
    fn values_that_stand_for_something_else_are_no_secrets() {
        for (key, value, want) in [
            ("password", "hunter2", true),
            ("password", "${DB_PASSWORD}", false),
            ("password", "<path:kv/data/x#y>", false),
            ("password", "CHANGEME", false),
            ("password", "", false),
            ("url", "https://example", false),
            ("tls.key", "-----BEGIN PRIVATE KEY-----", true),
            ("GF_DATABASE_TYPE", "postgres", false),
            ("init.sh", "#!/bin/sh\\necho password: $X", false),
            ("uri", "postgres://app:hunter2@db/app", true),
            ("uri", "postgres://db/app", false),
            ("a", "ghp0123456789abcdefghij", true),
            ("app.ini", "[db]\\npassword = x", true),
        ] {
            let object = object(&format!("apiVersion: v1\nkind: Secret\nstringData:\n  {key}: \"{value}\"\n"));
            assert_eq!(!object.secret.expect("a Secret").plain.is_empty(), want, "{key} {value}");
        }
        let encoded = object("apiVersion: v1\nkind: Secret\ndata: {a: JHtGT099, b: aHVudGVyMg==}\n");
        let plain: Vec<_> =
            encoded.secret.expect("a Secret").plain.into_iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(plain, ["b"]);
    }

    #[test]
    fn finds_references_where_kustomize_rewrites_them() {
        let pod = object(
            "apiVersion: v1\nkind: Pod\nspec:\n  imagePullSecrets: [{name: pull}]\n  containers:\n  - envFrom: [{secretRef: {name: all}}, {secretRef: {name: maybe, optional: true}}]\n    env: [{valueFrom: {secretKeyRef: {name: one, key: k}}}]\n  volumes:\n  - secret: {secretName: vol}\n  - projected: {sources: [{secret: {name: proj}}]}\n",
        );
        let names: Vec<_> = pod.references.iter().map(|reference| reference.name.as_str()).collect();
        assert_eq!(names, ["pull", "all", "one", "vol", "proj"]);
        assert!(pod.mentions.contains(&mention("maybe")));
        let custom = object("apiVersion: x/v1\nkind: HelmRelease\nspec: {valuesFrom: [{kind: Secret, name: one}]}\n");
        assert!(custom.references.is_empty() && custom.mentions.contains(&mention("one")));
    }
}

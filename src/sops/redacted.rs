//! A SOPS file with placeholders in the place of what is encrypted: the same tree, the same types, nothing decrypted.
//!
//! [`Redacted`] is no [`Cleartext`] and cannot become one: it proves nothing and holds nothing worth proving. With keys
//! the file is verified first, and the few fields that say what a Kubernetes object is are shown even if they are
//! encrypted ([`Redacted::manifest_text`]).

use super::cleartext::Cleartext;
use super::data_key::KeyService;
use super::metadata::Metadata;
use super::open;
use super::placeholder::{Placeholders, Seed, is_placeholder};
use super::store::{self, Document, Format};
use super::tree::{Branch, Entry, Item, Tree, Value};
use super::{Reading, SopsError, decrypt};
use crate::secret::SecretBytes;
use crate::yaml::Position;

/// An encrypted file with placeholders for values. Its texts hold nothing that was encrypted but the fields of
/// [`Redacted::manifest_text`].
pub struct Redacted {
    tree: Tree,
    format: Format,
    seed: Seed,
    manifest: Option<Tree>,
    cleartext: Option<Cleartext>,
}

impl Redacted {
    /// Redacts a file without any key.
    ///
    /// # Errors
    /// [`SopsError::Format`]: not a SOPS file, or a value is not encrypted though the file's rules say so.
    pub fn without_keys(file: &[u8], format: Format) -> Result<Self, SopsError> {
        let (tree, seed) = redact(file, format, Reading::Current)?;
        let manifest = match format {
            Format::Binary => Some(Tree { documents: vec![hidden_object(&seed)] }),
            Format::Json | Format::Yaml if tree.documents.iter().any(hides_its_kind) => {
                let (mut tree, _) = redact(file, format, Reading::Current)?;
                for (index, document) in tree.documents.iter_mut().enumerate() {
                    if hides_its_kind(document) {
                        *document = hidden_object(&seed.named(index.to_string().as_bytes()));
                    }
                }
                Some(tree)
            }
            Format::Dotenv | Format::Ini | Format::Json | Format::Yaml => None,
        };
        Ok(Self { tree, format, seed, manifest, cleartext: None })
    }

    /// Decrypts and verifies a file, and redacts it.
    ///
    /// # Errors
    /// See [`SopsError`].
    pub fn with_keys(file: &[u8], format: Format, keys: &dyn KeyService) -> Result<Self, SopsError> {
        let cleartext = decrypt(file, format, keys)?;
        let (tree, seed) = redact(file, format, cleartext.reading())?;
        let manifest = match format {
            Format::Binary => cleartext.text().ok().and_then(|text| redact_text(text.expose(), &seed)),
            Format::Json | Format::Yaml => {
                let (mut tree, _) = redact(file, format, cleartext.reading())?;
                show_structure(&mut tree, cleartext.tree());
                Some(tree)
            }
            Format::Dotenv | Format::Ini => None,
        };
        Ok(Self { tree, format, seed, manifest, cleartext: Some(cleartext) })
    }

    /// The format of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The tree with placeholders.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What a placeholder for the whole file is made from: its content, encrypted or not, but not its recipients.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The verified plaintext, where the file was opened with keys.
    pub fn cleartext(&self) -> Option<&Cleartext> {
        self.cleartext.as_ref()
    }

    /// The text that `sops -d` would print, with placeholders.
    ///
    /// # Errors
    /// As [`Cleartext::text`].
    pub fn text(&self) -> Result<SecretBytes, &'static str> {
        store::emit_plain(self.format, &self.tree)
    }

    /// The text as a Kubernetes manifest.
    ///
    /// With keys, these fields of an object are shown though they are encrypted: apiVersion, kind, name, namespace, the
    /// type of a Secret, and kustomize's own annotations; and a binary file that holds YAML is taken apart. Without keys,
    /// an object whose apiVersion or kind is encrypted is an `EncryptedObject`.
    ///
    /// # Errors
    /// As [`Cleartext::text`].
    pub fn manifest_text(&self) -> Result<SecretBytes, &'static str> {
        match &self.manifest {
            Some(tree) if self.format == Format::Json => store::emit_plain(Format::Json, tree),
            Some(tree) => store::emit_plain(Format::Yaml, tree),
            None => self.text(),
        }
    }
}

fn redact(file: &[u8], format: Format, reading: Reading) -> Result<(Tree, Seed), SopsError> {
    let Document { mut tree, metadata } = store::load(format, file, reading)?;
    let seed = seed_of(&tree, &metadata);
    open::open(&mut tree, &Placeholders, &metadata)?;
    Ok((tree, seed))
}

/// A hash of all texts of the encrypted tree: keys, tokens, and what stands there in clear.
fn seed_of(tree: &Tree, metadata: &Metadata) -> Seed {
    let mut parts: Vec<&[u8]> = vec![b"file"];
    // A rotated data key gives every value a new token; an empty file has at least its MAC.
    if tree.documents.iter().all(|document| document.items.is_empty()) {
        parts.push(metadata.mac.as_bytes());
    }
    let mut open: Vec<&Value> = Vec::new();
    for document in &tree.documents {
        collect_branch(document, &mut parts, &mut open);
        while let Some(value) = open.pop() {
            match value {
                Value::Branch(branch) => collect_branch(branch, &mut parts, &mut open),
                Value::List(list) => open.extend(list),
                Value::Comment(comment) => parts.push(comment.text.expose()),
                Value::Str(text) => parts.push(text.expose()),
                Value::Bool(_) | Value::Float(_) | Value::Int(_) | Value::Null | Value::Time(_) => {}
            }
        }
    }
    Seed::of(&parts)
}

fn collect_branch<'t>(branch: &'t Branch, parts: &mut Vec<&'t [u8]>, open: &mut Vec<&'t Value>) {
    for item in &branch.items {
        match item {
            Item::Comment(comment) => parts.push(comment.text.expose()),
            Item::Entry(entry) => {
                parts.push(entry.key.as_bytes());
                open.push(&entry.value);
            }
        }
    }
}

/// Whether nobody without a key can tell what object this is.
fn hides_its_kind(document: &Branch) -> bool {
    ["apiVersion", "kind"].into_iter().any(|field| text_of(document, field).is_some_and(is_placeholder))
}

/// What stands for an object of which nothing is known.
fn hidden_object(seed: &Seed) -> Branch {
    let entry =
        |key: &str, value| Item::Entry(Entry { key: key.to_owned(), value, position: Position { line: 1, column: 1 } });
    let text = |text: &str| Value::Str(SecretBytes::from(text));
    let metadata = Branch { items: vec![entry("name", text(&seed.text()))] };
    let items = vec![
        entry("apiVersion", text("unsops.dev/v1")),
        entry("kind", text("EncryptedObject")),
        entry("metadata", Value::Branch(metadata)),
    ];
    Branch { items }
}

/// The text of a binary file as YAML with every leaf redacted; `None` where it is no YAML of mappings.
fn redact_text(text: &[u8], seed: &Seed) -> Option<Tree> {
    let clear = store::load_plain(Format::Yaml, text).ok()?;
    let mut tree = store::load_plain(Format::Yaml, text).ok()?;
    if tree.documents.iter().all(|document| document.items.is_empty()) {
        return None;
    }
    for document in &mut tree.documents {
        redact_branch(document, seed);
    }
    show_structure(&mut tree, &clear);
    Some(tree)
}

fn redact_branch(branch: &mut Branch, seed: &Seed) {
    // Comments in the plaintext are as secret as values.
    branch.items.retain(|item| matches!(item, Item::Entry(_)));
    for item in &mut branch.items {
        if let Item::Entry(entry) = item {
            redact_value(&mut entry.value, &seed.named(entry.key.as_bytes()));
        }
    }
}

fn redact_value(value: &mut Value, seed: &Seed) {
    use super::cipher::Kind;
    let kind = match value {
        Value::Branch(branch) => return redact_branch(branch, seed),
        Value::List(list) => {
            list.retain(|value| !matches!(value, Value::Comment(_)));
            for (index, element) in list.iter_mut().enumerate() {
                redact_value(element, &seed.named(index.to_string().as_bytes()));
            }
            return;
        }
        Value::Comment(_) | Value::Null => return,
        Value::Bool(_) => Kind::Bool,
        Value::Float(_) => Kind::Float,
        Value::Int(_) => Kind::Int,
        Value::Str(text) if text.expose().is_empty() => return,
        Value::Str(_) => Kind::Str,
        Value::Time(_) => Kind::Time,
    };
    *value = seed.value(kind);
}

/// Copies what says which Kubernetes object this is from the plaintext. Both trees come from the same text.
fn show_structure(redacted: &mut Tree, clear: &Tree) {
    for (redacted, clear) in redacted.documents.iter_mut().zip(&clear.documents) {
        show_object(redacted, clear);
    }
}

fn show_object(redacted: &mut Branch, clear: &Branch) {
    let (Some(kind), Some(_)) = (text_of(clear, "kind"), text_of(clear, "apiVersion")) else { return };
    let shown: &[&str] = if kind == b"Secret" { &["apiVersion", "kind", "type"] } else { &["apiVersion", "kind"] };
    let is_list = kind.ends_with(b"List");
    each_pair(redacted, clear, &mut |key, redacted, clear| match (key, &mut *redacted, clear) {
        (key, _, Value::Str(text)) if shown.contains(&key) => *redacted = Value::Str(text.duplicate()),
        ("metadata", Value::Branch(redacted), Value::Branch(clear)) => show_metadata(redacted, clear),
        ("items", Value::List(redacted), Value::List(clear)) if is_list => {
            let is_object = |value: &Value| matches!(value, Value::Branch(_));
            let clear = clear.iter().filter(|value| is_object(value));
            for pair in redacted.iter_mut().filter(|value| is_object(value)).zip(clear) {
                if let (Value::Branch(redacted), Value::Branch(clear)) = pair {
                    show_object(redacted, clear);
                }
            }
        }
        _ => {}
    });
}

fn show_metadata(redacted: &mut Branch, clear: &Branch) {
    each_pair(redacted, clear, &mut |key, redacted, clear| match (key, &mut *redacted, clear) {
        ("name" | "namespace", _, Value::Str(text)) => *redacted = Value::Str(text.duplicate()),
        ("annotations", Value::Branch(redacted), Value::Branch(clear)) => {
            each_pair(redacted, clear, &mut |key, redacted, clear| {
                if SHOWN_ANNOTATIONS.contains(&key) {
                    *redacted = match clear {
                        Value::Str(text) => Value::Str(text.duplicate()),
                        Value::Bool(truth) => Value::Bool(*truth),
                        _ => return,
                    };
                }
            });
        }
        _ => {}
    });
}

/// The annotations with which an object asks kustomize for something.
const SHOWN_ANNOTATIONS: [&str; 3] =
    ["kustomize.config.k8s.io/needs-hash", "kustomize.config.k8s.io/behavior", "config.kubernetes.io/local-config"];

/// Entries of the same key, in order; comments need not correspond.
fn each_pair(redacted: &mut Branch, clear: &Branch, visit: &mut dyn FnMut(&str, &mut Value, &Value)) {
    let clear = clear.items.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some(entry),
        Item::Comment(_) => None,
    });
    let redacted = redacted.items.iter_mut().filter_map(|item| match item {
        Item::Entry(entry) => Some(entry),
        Item::Comment(_) => None,
    });
    for (redacted, clear) in redacted.zip(clear) {
        if redacted.key == clear.key {
            visit(&clear.key, &mut redacted.value, &clear.value);
        }
    }
}

fn text_of<'t>(branch: &'t Branch, name: &str) -> Option<&'t [u8]> {
    branch.items.iter().find_map(|item| match item {
        Item::Entry(entry) if entry.key == name => match &entry.value {
            Value::Str(text) => Some(text.expose().as_slice()),
            _ => None,
        },
        _ => None,
    })
}

//! A writer of encrypted trees, for tests only. It follows `sops.go` naively (whole paths, whole comment stacks), so
//! that it says the same as the reader only if both are right.

use std::collections::BTreeMap;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::generic_array::typenum::U32;
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use super::data_key::{Attempt, KeyService, KeyShare, Refusal, RefusedKey, ShareRequest, display_name};
use super::tree::{Branch, Comment, Entry, Item, Tree, Value};
use crate::number::format_f;
use crate::secret::{Secret, SecretBytes};
use crate::yaml::Position;

/// `lastmodified` of every file written here.
pub(crate) const LAST_MODIFIED: &str = "2024-05-06T07:08:09Z";

/// A rule of the stanza: field and text.
pub(crate) type Rule<'a> = Option<(&'a str, &'a str)>;

/// Encrypts a plain tree and puts the stanza into its first document: one age key whose `enc` is not armored, for
/// [`FixedKey`] to open.
pub(crate) fn encrypt(tree: &mut Tree, key: &[u8; 32], rule: Rule<'_>, is_only_encrypted: bool) {
    let mut stanza = vec![
        entry("age", Value::List(vec![branch(vec![entry("recipient", text("age1test")), entry("enc", text("enc"))])])),
        entry("lastmodified", text(LAST_MODIFIED)),
        entry("mac", text(&encrypt_tree(tree, key, rule, is_only_encrypted))),
    ];
    if is_only_encrypted {
        stanza.push(entry("mac_only_encrypted", Value::Bool(true)));
    }
    if let Some((field, pattern)) = rule {
        stanza.push(entry(field, text(pattern)));
    }
    if let Some(document) = tree.documents.first_mut() {
        document.items.push(entry("sops", branch(stanza)));
    }
}

/// Encrypts a plain tree and gives back the MAC's token.
pub(crate) fn encrypt_tree(tree: &mut Tree, key: &[u8; 32], rule: Rule<'_>, is_only_encrypted: bool) -> String {
    let mut writer = Writer { key: *key, rule, is_only_encrypted, mac: Sha512::new(), nonces: 0 };
    if is_only_encrypted {
        writer.mac.update(sha2::Sha256::digest(b"sops"));
    }
    for document in &mut tree.documents {
        writer.branch(document, &[], &[]);
    }
    let mac: String = writer.mac.clone().finalize().iter().map(|byte| format!("{byte:02X}")).collect();
    writer.seal(mac.as_bytes(), "str", LAST_MODIFIED)
}

/// Opens every key to the same bytes.
pub(crate) struct FixedKey(pub(crate) Vec<u8>);

impl KeyService for FixedKey {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let shares = (0..request.groups.len()).map(|group| (group, KeyShare(Secret::new(self.0.clone())))).collect();
        Attempt { shares, refused: Vec::new() }
    }
}

/// Opens the groups for which it has bytes and refuses the keys of all others.
#[derive(Default)]
pub(crate) struct Shares(pub(crate) BTreeMap<usize, Vec<u8>>);

impl KeyService for Shares {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let mut attempt = Attempt::default();
        for (group, keys) in request.groups.iter().enumerate() {
            match self.0.get(&group) {
                Some(share) => attempt.shares.push((group, KeyShare(Secret::new(share.clone())))),
                None => attempt.refused.extend(keys.0.iter().map(|key| RefusedKey {
                    group,
                    key: display_name(key),
                    refusal: Refusal::NotMine("no identity matches".into()),
                    hint: None,
                })),
            }
        }
        attempt
    }
}

struct Writer<'a> {
    key: [u8; 32],
    rule: Rule<'a>,
    is_only_encrypted: bool,
    mac: Sha512,
    nonces: u64,
}

impl Writer<'_> {
    fn branch(&mut self, branch: &mut Branch, path: &[String], comments: &[Vec<SecretBytes>]) {
        let mut comments: Vec<Vec<SecretBytes>> = comments.iter().map(|level| copy(level)).collect();
        comments.push(Vec::new());
        for item in &mut branch.items {
            match item {
                Item::Comment(comment) => {
                    self.comment(comment, path, &mut comments);
                }
                Item::Entry(entry) => {
                    let path = [path, std::slice::from_ref(&entry.key)].concat();
                    self.value(&mut entry.value, &path, &comments);
                    comments.last_mut().expect("pushed above").clear();
                }
            }
        }
    }

    fn value(&mut self, value: &mut Value, path: &[String], comments: &[Vec<SecretBytes>]) {
        match value {
            Value::Branch(branch) => return self.branch(branch, path, comments),
            Value::List(list) => {
                let mut comments: Vec<Vec<SecretBytes>> = comments.iter().map(|level| copy(level)).collect();
                comments.push(Vec::new());
                for element in list {
                    if let Value::Comment(comment) = element {
                        // An encrypted comment of a list is a string in the file.
                        if self.comment(comment, path, &mut comments) {
                            *element = Value::Str(comment.text.duplicate());
                        }
                    } else {
                        self.value(element, path, &comments);
                        comments.last_mut().expect("pushed above").clear();
                    }
                }
                return;
            }
            Value::Null => return,
            _ => {}
        }
        let (bytes, kind) = print(value);
        let is_encrypted = self.encrypts(path, comments, false);
        if is_encrypted || !self.is_only_encrypted {
            self.mac.update(&bytes);
        }
        if is_encrypted && !bytes.is_empty() {
            *value = text(&self.seal(&bytes, kind, &additional(path)));
        }
    }

    fn comment(&mut self, comment: &mut Comment, path: &[String], comments: &mut [Vec<SecretBytes>]) -> bool {
        comments.last_mut().expect("pushed by the caller").push(comment.text.duplicate());
        let is_encrypted = self.encrypts(path, comments, true);
        if is_encrypted && !comment.text.expose().is_empty() {
            let token = self.seal(comment.text.expose(), "comment", &additional(path));
            comment.text = Secret::new(token.into_bytes());
        }
        is_encrypted
    }

    fn encrypts(&self, path: &[String], comments: &[Vec<SecretBytes>], is_comment: bool) -> bool {
        let (field, text) = self.rule.unwrap_or(("unencrypted_suffix", "_unencrypted"));
        let ends = || path.iter().any(|key| key.ends_with(text));
        let regex = || regex_lite::Regex::new(text).expect("test patterns are valid");
        let is_key_match = || path.iter().any(|key| regex().is_match(key));
        let is_comment_match = |comments: &[&SecretBytes]| {
            comments.iter().any(|comment| regex().is_match(&String::from_utf8_lossy(comment.expose())))
        };
        let mut active: Vec<&SecretBytes> = comments.iter().flatten().collect();
        match field {
            "unencrypted_suffix" => !ends(),
            "encrypted_suffix" => ends(),
            "unencrypted_regex" => !is_key_match(),
            "encrypted_regex" => is_key_match(),
            "unencrypted_comment_regex" => !is_comment_match(&active),
            "encrypted_comment_regex" => {
                if is_comment {
                    active.pop();
                }
                is_comment_match(&active)
            }
            other => panic!("no rule field: {other}"),
        }
    }

    fn seal(&mut self, plaintext: &[u8], kind: &str, additional: &str) -> String {
        self.nonces += 1;
        let iv: [u8; 32] = sha2::Sha256::digest(self.nonces.to_be_bytes()).into();
        let mut data = plaintext.to_vec();
        let tag = AesGcm::<Aes256, U32>::new(&self.key.into())
            .encrypt_in_place_detached(&iv.into(), additional.as_bytes(), &mut data)
            .expect("the plaintext is short");
        let [data, iv, tag] = [data.as_slice(), &iv, &tag].map(|bytes| STANDARD.encode(bytes));
        format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
    }
}

fn print(value: &Value) -> (Vec<u8>, &'static str) {
    match value {
        Value::Bool(is_set) => ((if *is_set { "True" } else { "False" }).into(), "bool"),
        Value::Float(number) => (format_f(*number).into(), "float"),
        Value::Int(number) => (number.to_string().into(), "int"),
        Value::Str(text) => (text.expose().clone(), "str"),
        Value::Time(time) => (time.rfc3339_nano().into(), "time"),
        Value::Branch(_) | Value::Comment(_) | Value::List(_) | Value::Null => panic!("not a leaf"),
    }
}

fn additional(path: &[String]) -> String {
    path.join(":") + ":"
}

fn copy(level: &[SecretBytes]) -> Vec<SecretBytes> {
    level.iter().map(SecretBytes::duplicate).collect()
}

/// A mapping.
pub(crate) fn branch(items: Vec<Item>) -> Value {
    Value::Branch(Branch { items })
}

/// An entry at no place in particular.
pub(crate) fn entry(key: &str, value: Value) -> Item {
    Item::Entry(Entry { key: key.to_owned(), value, position: Position::default() })
}

/// A comment between entries.
pub(crate) fn comment(text: &str) -> Comment {
    Comment { text: text.into(), is_inline: false }
}

/// A string.
pub(crate) fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// A tree of one document.
pub(crate) fn tree(items: Vec<Item>) -> Tree {
    Tree { documents: vec![Branch { items }] }
}

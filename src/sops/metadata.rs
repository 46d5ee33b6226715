//! The `sops` stanza.

use std::collections::BTreeMap;

use super::SopsError;
use super::fields::Fields;
use super::flatten;
use super::rules::Rules;
use super::tree::{Branch, Entry, Item, Tree, Value};
use crate::limits;
use crate::secret::Secret;
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

/// What the `sops` stanza says, checked.
pub struct Metadata {
    /// In each group any one key opens the group's share. A file without `key_groups` has one group.
    pub key_groups: Vec<KeyGroup>,
    /// Groups needed; `None` where the file does not say (0 counts as not said).
    pub shamir_threshold: Option<usize>,
    /// The stored MAC, an `ENC[…]` token; empty if the file has none.
    pub mac: String,
    /// Additional data of the MAC, and when the file last changed.
    pub last_modified: Timestamp,
    /// Which values are encrypted.
    pub rules: Rules,
    /// The MAC covers encrypted values only (sops 3.9 and later).
    pub mac_only_encrypted: bool,
    /// Version of the sops that wrote the file.
    pub version: Option<String>,
}

/// Keys of which any one opens the group's share. Order: kms, gcp_kms, hckms, azure_kv, hc_vault, pgp, age, each in
/// file order (`stores/stores.go`).
#[derive(Clone, Default)]
pub struct KeyGroup(pub Vec<MasterKey>);

/// One wrapped copy of a share: identifying fields as the file gives them (hostile until checked by the provider),
/// and `enc`, the wrapped share as text.
#[derive(Clone)]
pub enum MasterKey {
    /// `age`
    Age {
        /// `age1…`, `ssh-ed25519 …`, `age1NAME1…`; for messages only.
        recipient: String,
        /// ASCII-armored age file.
        enc: String,
    },
    /// `kms`
    AwsKms {
        /// Key or alias ARN.
        arn: String,
        /// Role to assume.
        role: Option<String>,
        /// Encryption context.
        context: BTreeMap<String, String>,
        /// Profile of the shared config file.
        aws_profile: Option<String>,
        /// Standard base64.
        enc: String,
    },
    /// `azure_kv`
    AzureKeyVault {
        /// `https://NAME.vault.azure.net`
        vault_url: String,
        /// Key name.
        name: String,
        /// Key version; may be empty.
        version: String,
        /// Raw URL-safe base64.
        enc: String,
    },
    /// `gcp_kms`
    GcpKms {
        /// `projects/…/locations/…/keyRings/…/cryptoKeys/…`
        resource_id: String,
        /// Standard base64.
        enc: String,
    },
    /// `hc_vault`
    HcVault {
        /// `https://…`
        vault_address: String,
        /// Mount of the transit engine, may hold slashes.
        engine_path: String,
        /// Key name.
        key_name: String,
        /// `vault:v1:…`
        enc: String,
    },
    /// `hckms`: listed, but no provider opens it.
    HuaweiKms {
        /// `region:uuid`
        key_id: String,
    },
    /// `pgp`
    Pgp {
        /// Fingerprint, may end in `!`; for messages only.
        fingerprint: String,
        /// ASCII-armored PGP message.
        enc: String,
    },
}

impl MasterKey {
    /// The name of the key's list in the metadata, which is also its name in `SOPS_DECRYPTION_ORDER`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Age { .. } => "age",
            Self::AwsKms { .. } => "kms",
            Self::AzureKeyVault { .. } => "azure_kv",
            Self::GcpKms { .. } => "gcp_kms",
            Self::HcVault { .. } => "hc_vault",
            Self::HuaweiKms { .. } => "hckms",
            Self::Pgp { .. } => "pgp",
        }
    }
}

/// Name of the stanza, and of the INI section.
const STANZA: &str = "sops";

/// What every metadata key of a dotenv file begins with.
const PREFIX: &str = "sops_";

impl Metadata {
    /// Takes the stanza out of a YAML, JSON or binary file: the mapping `sops` at the top of the first document.
    /// Every other document loses its `sops` entry too, unread.
    ///
    /// # Errors
    /// [`SopsError::Format`]: no stanza, two in the first document, not a mapping, or a field that sops never wrote so.
    ///
    /// Source: getsops/sops v3.13, `stores/metadata.go`, `ExtractMetadata`.
    pub fn take_nested(tree: &mut Tree) -> Result<Self, SopsError> {
        let (stanza, position) = take_stanza(tree)?;
        Self::read(&stanza, position)
    }

    /// Takes the stanza out of an INI file: the section `[sops]`, flattened, with `\n` for a line break.
    ///
    /// # Errors
    /// As [`Metadata::take_nested`], and what [`flatten`] refuses.
    pub fn take_section(tree: &mut Tree) -> Result<Self, SopsError> {
        let (section, position) = take_stanza(tree)?;
        let entries = section.items.into_iter().filter_map(|item| match item {
            Item::Comment(_) => None,
            Item::Entry(entry) => Some(Entry { value: unescape_newlines(entry.value), ..entry }),
        });
        Self::read(&flatten::unflatten(entries.collect())?, position)
    }

    /// Takes the stanza out of a dotenv file: every `sops_…` line, known or not, flattened. The store has turned
    /// `\n` into line breaks already.
    ///
    /// # Errors
    /// As [`Metadata::take_section`].
    pub fn take_prefixed(tree: &mut Tree) -> Result<Self, SopsError> {
        let mut entries = Vec::new();
        if let Some(document) = tree.documents.first_mut() {
            for item in std::mem::take(&mut document.items) {
                match item {
                    Item::Entry(entry) if entry.key.starts_with(PREFIX) => {
                        let key = entry.key.strip_prefix(PREFIX).unwrap_or_default().to_owned();
                        entries.push(Entry { key, ..entry });
                    }
                    item => document.items.push(item),
                }
            }
        }
        if entries.is_empty() {
            return Err(not_found());
        }
        Self::read(&flatten::unflatten(entries)?, Position::default())
    }

    /// How many key groups must open: the threshold where the file says one, else all of them.
    pub fn needed_groups(&self) -> usize {
        if self.key_groups.len() > 1 { self.shamir_threshold.unwrap_or(self.key_groups.len()) } else { 1 }
    }

    fn read(stanza: &Branch, position: Position) -> Result<Self, SopsError> {
        let fields = Fields::of(stanza, STANZA, position)?;
        let last_modified = fields.timestamp("lastmodified")?;
        let key_groups = read_key_groups(&fields)?;
        let shamir_threshold = fields.integer("shamir_threshold")?;
        let metadata = Self {
            shamir_threshold: check_threshold(shamir_threshold, key_groups.len(), &fields)?,
            key_groups,
            mac: fields.text("mac")?,
            last_modified,
            rules: Rules::read(&fields)?,
            mac_only_encrypted: fields.flag("mac_only_encrypted")?,
            version: fields.optional_text("version")?,
        };
        Ok(metadata)
    }
}

/// Removes `sops` from the top level of every document and gives back the first document's.
fn take_stanza(tree: &mut Tree) -> Result<(Branch, Position), SopsError> {
    let mut found = None;
    for (index, document) in tree.documents.iter_mut().enumerate() {
        for item in std::mem::take(&mut document.items) {
            match item {
                Item::Entry(entry) if entry.key == STANZA => {
                    if index > 0 {
                        continue;
                    }
                    let position = entry.position;
                    if found.is_some() {
                        return Err(refuse("found duplicate sops entry", Some(position)));
                    }
                    let Value::Branch(stanza) = entry.value else {
                        return Err(refuse("found sops entry that is not a mapping", Some(position)));
                    };
                    found = Some((stanza, position));
                }
                item => document.items.push(item),
            }
        }
    }
    found.ok_or_else(not_found)
}

/// sops 3.13.0 and .1 wrote raw line breaks into the INI metadata, all others `\n`; both arrive here.
fn unescape_newlines(value: Value) -> Value {
    let Value::Str(text) = value else { return value };
    let mut rest = text.expose().as_slice();
    let mut out = Vec::with_capacity(rest.len());
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\\n") {
            out.push(b'\n');
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    Value::Str(Secret::new(out))
}

/// Several groups need a threshold that says something: sops writes 2 or more, and never more than there are.
fn check_threshold(threshold: i64, groups: usize, fields: &Fields<'_>) -> Result<Option<usize>, SopsError> {
    if groups == 1 || threshold == 0 {
        return Ok(usize::try_from(threshold).ok().filter(|&threshold| threshold > 0));
    }
    match usize::try_from(threshold) {
        Ok(threshold) if (2..=groups).contains(&threshold) => Ok(Some(threshold)),
        _ => Err(fields.broken("shamir_threshold", "is neither 0 nor between 2 and the number of key groups")),
    }
}

/// The lists at the top are one group; `key_groups` counts only where they are all empty.
fn read_key_groups(fields: &Fields<'_>) -> Result<Vec<KeyGroup>, SopsError> {
    let mut room = limits::MASTER_KEYS;
    let group = KeyGroup::read(fields, &mut room)?;
    if !group.0.is_empty() {
        return Ok(vec![group]);
    }
    let groups = fields.mappings("key_groups", limits::KEY_GROUPS)?;
    if groups.is_empty() {
        return Err(refuse("no keys found in the sops metadata", None));
    }
    groups.iter().map(|group| KeyGroup::read(group, &mut room)).collect()
}

impl KeyGroup {
    /// Reads the seven lists of keys; `room` is how many more keys the file may have.
    fn read(fields: &Fields<'_>, room: &mut usize) -> Result<Self, SopsError> {
        type Reader = fn(&Fields<'_>) -> Result<MasterKey, SopsError>;
        let lists: [(&'static str, Reader); 7] = [
            ("kms", read_aws_kms),
            ("gcp_kms", read_gcp_kms),
            ("hckms", read_huawei_kms),
            ("azure_kv", read_azure_key_vault),
            ("hc_vault", read_hc_vault),
            ("pgp", read_pgp),
            ("age", read_age),
        ];
        let mut keys = Vec::new();
        for (name, read) in lists {
            let entries = fields.mappings(name, *room)?;
            *room -= entries.len();
            for entry in entries {
                keys.push(read(&entry)?);
            }
        }
        Ok(Self(keys))
    }
}

// Every kind but age has a date, which must be one (`stores/stores.go`, `toInternal`); nothing else uses it.

fn read_age(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    Ok(MasterKey::Age { recipient: key.text("recipient")?, enc: key.text("enc")? })
}

fn read_aws_kms(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    Ok(MasterKey::AwsKms {
        arn: key.text("arn")?,
        role: key.optional_text("role")?,
        context: key.texts("context")?,
        aws_profile: key.optional_text("aws_profile")?,
        enc: key.text("enc")?,
    })
}

fn read_azure_key_vault(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    Ok(MasterKey::AzureKeyVault {
        vault_url: key.text("vault_url")?,
        name: key.text("name")?,
        version: key.text("version")?,
        enc: key.text("enc")?,
    })
}

fn read_gcp_kms(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    Ok(MasterKey::GcpKms { resource_id: key.text("resource_id")?, enc: key.text("enc")? })
}

fn read_hc_vault(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    Ok(MasterKey::HcVault {
        vault_address: key.text("vault_address")?,
        engine_path: key.text("engine_path")?,
        key_name: key.text("key_name")?,
        enc: key.text("enc")?,
    })
}

fn read_huawei_kms(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    let key_id = key.text("key_id")?;
    let is_valid =
        key_id.split_once(':').is_some_and(|(region, id)| !region.trim().is_empty() && !id.trim().is_empty());
    if !is_valid {
        return Err(key.broken("key_id", "is not in the form region:uuid"));
    }
    Ok(MasterKey::HuaweiKms { key_id })
}

fn read_pgp(key: &Fields<'_>) -> Result<MasterKey, SopsError> {
    key.timestamp("created_at")?;
    Ok(MasterKey::Pgp { fingerprint: key.text("fp")?, enc: key.text("enc")? })
}

fn not_found() -> SopsError {
    refuse("sops metadata not found: the file is not encrypted by sops", None)
}

fn refuse(reason: &str, position: Option<Position>) -> SopsError {
    SopsError::Format { reason: reason.to_owned(), position, path: None }
}

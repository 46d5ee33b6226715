//! The `sops` stanza.

use std::collections::BTreeMap;

use super::rules::Rules;
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
#[derive(Default)]
pub struct KeyGroup(pub Vec<MasterKey>);

/// One wrapped copy of a share: identifying fields as the file gives them (hostile until checked by the provider),
/// and `enc`, the wrapped share as text.
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

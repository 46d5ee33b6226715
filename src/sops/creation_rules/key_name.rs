//! The names by which sops tells recipients apart: of keys in metadata, and of keys in a configuration.

use crate::sops::metadata::MasterKey;
use crate::text::Printable;
use crate::yaml::Node;
use crate::yaml::fields::{entries, scalar};

/// A recipient as sops compares it: its text (`ToString`), letter case and context left out where people mean the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(pub(super) String);

impl KeyName {
    /// The name of a key in a file's metadata.
    pub fn of(key: &MasterKey) -> Self {
        Self::named(key, true)
    }

    /// As [`KeyName::of`], without the encryption context.
    pub(super) fn without_context(key: &MasterKey) -> Self {
        Self::named(key, false)
    }

    fn named(key: &MasterKey, has_context: bool) -> Self {
        Self(match key {
            MasterKey::Age { recipient, .. } => recipient.trim().to_owned(),
            MasterKey::AwsKms { arn, role, context, aws_profile, .. } => {
                let role = role.as_deref().filter(|role| !role.is_empty());
                let context = context.iter().filter(|_| has_context);
                let context: Vec<String> = context.map(|(key, value)| format!("{key}:{value}")).collect();
                aws_name(arn, role, &context.join(","), aws_profile.as_deref().unwrap_or_default())
            }
            MasterKey::AzureKeyVault { vault_url, name, version, .. } => format!("{vault_url}/keys/{name}/{version}"),
            MasterKey::GcpKms { resource_id, .. } => resource_id.clone(),
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                format!("{vault_address}/v1/{engine_path}/keys/{key_name}")
            }
            MasterKey::HuaweiKms { key_id } => key_id.clone(),
            MasterKey::Pgp { fingerprint, .. } => fingerprint.replace(' ', "").to_ascii_uppercase(),
        })
    }

    /// The name, fit for a message.
    pub fn printable(&self) -> Printable {
        Printable::new(&self.0)
    }

    /// A key without version in a rule stands for the version of the day.
    pub(super) fn without_version(&self) -> Option<Self> {
        let (key, _) = self.0.rsplit_once('/').filter(|(key, _)| key.contains(".vault.") && key.contains("/keys/"))?;
        Some(Self(format!("{key}/")))
    }
}

fn aws_name(arn: &str, role: Option<&str>, context: &str, profile: &str) -> String {
    let arn = match role {
        Some(role) => format!("{arn}+{role}"),
        None => arn.to_owned(),
    };
    match (context.is_empty(), profile.is_empty()) {
        (_, false) => format!("{arn}|{context}|{profile}"),
        (false, true) => format!("{arn}|{context}"),
        (true, true) => arn,
    }
}

/// The name of a key that is one text. `None`: not of the form that sops reads.
pub(super) fn key_name(field: &str, text: &str, profile: &str) -> Option<KeyName> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(KeyName(match field {
        "pgp" => text.replace(' ', "").to_ascii_uppercase(),
        "kms" => {
            let text = text.replace(' ', "");
            let (arn, role) = split_role(&text);
            aws_name(arn, role, "", profile)
        }
        "azure_keyvault" => {
            let url = text.trim_end_matches('/');
            let (vault, rest) = url.split_once("/keys/")?;
            match rest.split_once('/') {
                Some((name, version)) => format!("{vault}/keys/{name}/{version}"),
                None => format!("{vault}/keys/{rest}/"),
            }
        }
        "hc_vault" | "hc_vault_transit_uri" => text.trim_end_matches('/').to_owned(),
        _ => text.to_owned(),
    }))
}

fn split_role(arn: &str) -> (&str, Option<&str>) {
    match arn.split_once("+arn:") {
        Some((key, role)) => (key, arn.get(arn.len().saturating_sub(role.len() + 4)..)),
        _ => (arn, None),
    }
}

/// The name of a key that is a mapping; notes whether it has an encryption context.
pub(super) fn key_of_mapping(field: &str, node: &Node, has_context: &mut bool) -> Option<KeyName> {
    let get = |name: &str| entries(node).find(|(key, ..)| *key == name).map(|(.., value)| value);
    let text = |name: &str| get(name).and_then(scalar).unwrap_or_default();
    Some(KeyName(match field {
        "kms" => {
            let mut context: Vec<String> = Vec::new();
            if let Some(node) = get("context") {
                context.extend(
                    entries(node).map(|(key, _, value)| format!("{key}:{}", scalar(value).unwrap_or_default())),
                );
            }
            context.sort();
            *has_context |= !context.is_empty();
            let arn = text("arn").replace(' ', "");
            let (arn, in_arn) = split_role(&arn);
            let role = in_arn.or(Some(text("role")).filter(|role| !role.is_empty()));
            aws_name(arn, role, &context.join(","), text("aws_profile"))
        }
        "gcp_kms" => text("resource_id").to_owned(),
        "hckms" => text("key_id").to_owned(),
        _ => format!("{}/keys/{}/{}", text("vaultUrl"), text("key"), text("version")),
    }))
}

//! Recipients for people: what a master key's fields say, taken apart, and the names that people gave it.
//!
//! Pure: nothing here opens a key or asks a service. Fields come from files that anyone may have written, so that every
//! text is [`Printable`] from the start.

mod names;

use sha2::{Digest, Sha256};

use crate::sops::MasterKey;
use crate::text::Printable;

pub use names::{Name, Names};

/// A recipient taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// `age`, `aws-kms`, …: the provider.
    pub kind: &'static str,
    /// What the file says: `age1…`, a fingerprint, an ARN, a resource, a URL.
    pub id: Printable,
    /// Enough of it to recognise it: `age1qx...w4569`, `alias/prod`.
    pub label: Printable,
    /// What its parts say, most telling first: `region`, `account`, `role`.
    pub facts: Vec<(&'static str, Printable)>,
}

/// Tells recipients apart, whatever file they are in: everything but the wrapped share.
pub type RecipientId = [u8; 32];

impl Recipient {
    /// Takes a master key apart. What does not have the expected form only has an `id`.
    pub fn of(key: &MasterKey) -> Self {
        match key {
            MasterKey::Age { recipient, .. } => age(recipient),
            MasterKey::AwsKms { arn, role, context, aws_profile, .. } => {
                let mut recipient = aws_kms(arn);
                let optional = [("role", role), ("profile", aws_profile)];
                recipient.facts.extend(optional.into_iter().filter_map(|(n, v)| Some((n, v.as_deref()?.into()))));
                if !context.is_empty() {
                    let pairs: Vec<String> = context
                        .iter()
                        .take(MOST_PAIRS)
                        .map(|(name, value)| format!("{}={}", Printable::new(name), Printable::new(value)))
                        .collect();
                    recipient.facts.push(("context", Printable::new(&pairs.join(" "))));
                }
                recipient
            }
            MasterKey::AzureKeyVault { vault_url, name, version, .. } => azure(vault_url, name, version),
            MasterKey::GcpKms { resource_id, .. } => gcp_kms(resource_id),
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                vault(vault_address, engine_path, key_name)
            }
            MasterKey::HuaweiKms { key_id } => {
                let facts = key_id.split_once(':').map(|(region, _)| ("region", Printable::new(region)));
                Self {
                    kind: "hckms",
                    id: key_id.as_str().into(),
                    label: key_id.as_str().into(),
                    facts: facts.into_iter().collect(),
                }
            }
            MasterKey::Pgp { fingerprint, .. } => pgp(fingerprint),
        }
    }

    /// Tells this key's recipient apart from all others.
    pub fn id_of(key: &MasterKey) -> RecipientId {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(key.kind());
        match key {
            MasterKey::Age { recipient, .. } => add(recipient.trim()),
            MasterKey::AwsKms { arn, role, context, aws_profile, .. } => {
                add(arn);
                add(role.as_deref().unwrap_or_default());
                add(aws_profile.as_deref().unwrap_or_default());
                context.iter().for_each(|(name, value)| {
                    add(name);
                    add(value);
                });
            }
            MasterKey::AzureKeyVault { vault_url, name, version, .. } => {
                [vault_url, name, version].into_iter().for_each(|text| add(text));
            }
            MasterKey::GcpKms { resource_id, .. } => add(resource_id),
            MasterKey::HcVault { vault_address, engine_path, key_name, .. } => {
                [vault_address, engine_path, key_name].into_iter().for_each(|text| add(text));
            }
            MasterKey::HuaweiKms { key_id } => add(key_id),
            MasterKey::Pgp { fingerprint, .. } => add(&names::normal_fingerprint(fingerprint)),
        }
        hash.finalize().into()
    }

    /// Whether `wanted` means this recipient: the whole of it; the end of a fingerprint or of an age recipient (8
    /// characters or more); an ARN's account, alias or key; a vault, a project, a role; or (a part of) its name.
    pub fn is_meant_by(&self, wanted: &str, name: Option<&Name>) -> bool {
        let wanted = wanted.trim().to_lowercase();
        if wanted.is_empty() {
            return false;
        }
        let id = self.id.as_str().to_lowercase();
        let is_id = id == Printable::new(&wanted).as_str()
            || (matches!(self.kind, "age" | "pgp") && is_end_of_id(&id, &wanted))
            // A shortened one, as this program prints it.
            || self.label.as_str().to_lowercase() == wanted;
        is_id
            || self.facts.iter().any(|(_, fact)| fact.as_str().to_lowercase() == wanted)
            || name.is_some_and(|name| is_name(name.text.as_str(), &wanted))
    }
}

/// Most pairs of an encryption context that are shown.
const MOST_PAIRS: usize = 20;

/// `0xDEADBEEF`, `dead beef`, `...w4569`: the end of a public half.
fn is_end_of_id(id: &str, wanted: &str) -> bool {
    let end: String = wanted.trim_start_matches("0x").trim_start_matches('.').chars().filter(|c| *c != ' ').collect();
    end.chars().count() >= 5 && id.trim_end_matches('!').ends_with(&end)
}

/// The whole name, one of its words (an address without its brackets too), or three letters or more in it.
fn is_name(name: &str, wanted: &str) -> bool {
    let name = name.to_lowercase();
    name == wanted || (wanted.chars().count() >= 3 && name.contains(wanted))
}

fn age(recipient: &str) -> Recipient {
    let recipient = recipient.trim();
    let mut words = recipient.split_whitespace();
    let (label, facts) = match (words.next(), words.next()) {
        // Every SSH key of a kind begins alike; a comment may follow.
        (Some(kind), Some(key)) if kind.starts_with("ssh-") => {
            let comment = words.next().map(|comment| ("comment", Printable::new(comment)));
            (format!("{kind} ...{}", last(key, 8)), comment.into_iter().collect())
        }
        (Some(half), None) if half.starts_with("age1pq1") => {
            (shortened(half, 9), vec![("type", Printable::new("post-quantum"))])
        }
        (Some(half), None) if half.starts_with("age1") => {
            match half.strip_prefix("age1").and_then(|h| h.rsplit_once('1')) {
                Some((plugin, _)) => (shortened(half, plugin.len() + 7), vec![("plugin", Printable::new(plugin))]),
                None => (shortened(half, 6), Vec::new()),
            }
        }
        _ => (recipient.to_owned(), Vec::new()),
    };
    Recipient { kind: "age", id: recipient.into(), label: Printable::new(&label), facts }
}

fn shortened(half: &str, first: usize) -> String {
    if half.len() <= 24 {
        return half.to_owned();
    }
    let begin: String = half.chars().take(first.min(24)).collect();
    format!("{begin}...{}", last(half, 5))
}

fn last(text: &str, count: usize) -> String {
    let skipped = text.chars().count().saturating_sub(count);
    text.chars().skip(skipped).collect()
}

fn pgp(fingerprint: &str) -> Recipient {
    let fingerprint = fingerprint.trim();
    let label = if fingerprint.len() > 16 { format!("...{}", last(fingerprint, 16)) } else { fingerprint.to_owned() };
    Recipient { kind: "pgp", id: fingerprint.into(), label: Printable::new(&label), facts: Vec::new() }
}

fn aws_kms(arn: &str) -> Recipient {
    let mut recipient = Recipient { kind: "aws-kms", id: arn.into(), label: arn.into(), facts: Vec::new() };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "kms", region, account, resource] = parts.as_slice() {
        recipient.label = match resource.strip_prefix("alias/") {
            Some(_) => (*resource).into(),
            None => Printable::new(&format!("key {}", first(resource.strip_prefix("key/").unwrap_or(resource), 12))),
        };
        let mut fact = |name, value: &str| recipient.facts.push((name, value.into()));
        match resource.strip_prefix("alias/") {
            Some(alias) => fact("alias", alias),
            None => fact("key", resource.strip_prefix("key/").unwrap_or(resource)),
        }
        fact("account", account);
        fact("region", region);
        if *partition != "aws" {
            fact("partition", partition);
        }
    }
    recipient
}

fn first(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn gcp_kms(resource: &str) -> Recipient {
    let mut recipient = Recipient { kind: "gcp-kms", id: resource.into(), label: resource.into(), facts: Vec::new() };
    let parts: Vec<&str> = resource.split('/').take(9).collect();
    if let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key] = parts.as_slice() {
        recipient.label = Printable::new(&format!("{}/{}", Printable::new(ring), Printable::new(key)));
        recipient.facts = [("key", *key), ("key ring", *ring), ("project", *project), ("location", *location)]
            .map(|(name, value)| (name, value.into()))
            .to_vec();
    }
    recipient
}

fn azure(url: &str, name: &str, version: &str) -> Recipient {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let vault = host.split('.').next().unwrap_or(host);
    let id = format!(
        "{}/keys/{}/{}",
        Printable::new(url.trim_end_matches('/')),
        Printable::new(name),
        Printable::new(version)
    );
    let mut facts = vec![("key", Printable::new(name)), ("vault", Printable::new(vault))];
    if !version.is_empty() {
        facts.push(("version", Printable::new(version)));
    }
    let label = format!("{}/{}", Printable::new(vault), Printable::new(name));
    Recipient { kind: "azure-kv", id: Printable::new(&id), label: Printable::new(&label), facts }
}

fn vault(address: &str, engine: &str, key: &str) -> Recipient {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/');
    let [address, engine, key, host] =
        [address.trim_end_matches('/'), engine.trim_matches('/'), key, host].map(Printable::new);
    let id = format!("{address}/v1/{engine}/keys/{key}");
    let label = Printable::new(&format!("{engine}/{key}"));
    let facts = vec![("key", key), ("engine", engine), ("server", host)];
    Recipient { kind: "hc-vault", id: Printable::new(&id), label, facts }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown(key: &MasterKey) -> String {
        let recipient = Recipient::of(key);
        let facts: Vec<String> = recipient.facts.iter().map(|(name, fact)| format!("{name} {fact}")).collect();
        format!("{} {} [{}]", recipient.kind, recipient.label, facts.join(", "))
    }

    fn aws(arn: &str) -> MasterKey {
        MasterKey::AwsKms {
            arn: arn.into(),
            role: None,
            context: BTreeMap::new(),
            aws_profile: None,
            enc: String::new(),
        }
    }

    fn age(recipient: &str) -> MasterKey {
        MasterKey::Age { recipient: recipient.into(), enc: String::new() }
    }

    #[test]
    fn takes_each_kind_apart() {
        let gcp = "projects/p-1/locations/europe-west1/keyRings/ring/cryptoKeys/sops";
        for (key, want) in [
            (
                aws("arn:aws:kms:eu-west-1:111122223333:alias/team/prod"),
                "aws-kms alias/team/prod [alias team/prod, account 111122223333, region eu-west-1]",
            ),
            (
                aws("arn:aws-cn:kms:cn-north-1:1:key/1234abcd-12ab-34cd"),
                "aws-kms key 1234abcd-12a... [key 1234abcd-12ab-34cd, account 1, region cn-north-1, partition aws-cn]",
            ),
            (aws("garbage"), "aws-kms garbage []"),
            (
                MasterKey::GcpKms { resource_id: gcp.into(), enc: String::new() },
                "gcp-kms ring/sops [key sops, key ring ring, project p-1, location europe-west1]",
            ),
            (
                MasterKey::AzureKeyVault {
                    vault_url: "https://team.vault.azure.net/".into(),
                    name: "k".into(),
                    version: "0af".into(),
                    enc: String::new(),
                },
                "azure-kv team/k [key k, vault team, version 0af]",
            ),
            (
                MasterKey::HcVault {
                    vault_address: "https://vault.example.com:8200".into(),
                    engine_path: "team/transit".into(),
                    key_name: "k".into(),
                    enc: String::new(),
                },
                "hc-vault team/transit/k [key k, engine team/transit, server vault.example.com:8200]",
            ),
            (
                age("age1yubikey1qdh9c9v9aacptlgy5hcq6vf4ws36fnkxpk6x2s7n8p4ce0jhqvcx7k9xf2q"),
                "age age1yubikey1qd...9xf2q [plugin yubikey]",
            ),
            (age("age16ms9fur8fe3w40cr03uktvd78r9r20dcpnlx3tx93cchl7z0l57sx3cc6y"), "age age16m...3cc6y []"),
            (
                age("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ bob@laptop"),
                "age ssh-ed25519 ...E5AAAAIJ [comment bob@laptop]",
            ),
            (
                MasterKey::Pgp { fingerprint: "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4".into(), enc: String::new() },
                "pgp ...3D16CEE4A27381B4 []",
            ),
        ] {
            assert_eq!(shown(&key), want);
        }
    }

    #[test]
    fn is_meant_by_what_people_write() {
        let name = |text: &str| Name { text: text.into(), source: "x".into() };
        let meant = |key: &MasterKey, called: Option<&str>, wanted: &str| {
            Recipient::of(key).is_meant_by(wanted, called.map(name).as_ref())
        };
        let pgp = MasterKey::Pgp { fingerprint: "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4".into(), enc: String::new() };
        for wanted in [
            "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4",
            "a27381b4",
            "0xA27381B4",
            "3D16 CEE4 A273 81B4",
            "alice@example.com",
            "Alice",
        ] {
            assert!(meant(&pgp, Some("Alice Doe <alice@example.com>"), wanted), "{wanted}");
        }
        for wanted in ["", " ", "81B4", "FBC7B9E2", "al", "bob"] {
            assert!(!meant(&pgp, Some("Alice Doe <alice@example.com>"), wanted), "{wanted}");
        }
        let kms = aws("arn:aws:kms:eu-west-1:111122223333:alias/prod");
        for wanted in
            ["arn:aws:kms:eu-west-1:111122223333:alias/prod", "alias/prod", "prod", "111122223333", "eu-west-1"]
        {
            assert!(meant(&kms, None, wanted), "{wanted}");
        }
        assert!(!meant(&kms, None, "arn:aws:kms:eu-west-1:111122223333:alias/pro"));
        let age = age("age16ms9fur8fe3w40cr03uktvd78r9r20dcpnlx3tx93cchl7z0l57sx3cc6y");
        assert!(meant(&age, None, "age16m...3cc6y") && meant(&age, None, "...3cc6y") && !meant(&age, None, "age16m"));
    }

    #[test]
    fn hostile_fields_are_short_and_harmless() {
        let long = "\u{202e}\u{1b}[31m:/".repeat(100_000);
        for key in [
            aws(&format!("arn:aws:kms:{long}")),
            age(&format!("age1{long}")),
            MasterKey::GcpKms { resource_id: long.clone(), enc: String::new() },
            MasterKey::HcVault {
                vault_address: long.clone(),
                engine_path: long.clone(),
                key_name: long,
                enc: String::new(),
            },
        ] {
            let text = shown(&key);
            assert!(text.len() < 20_000 && !text.contains(['\u{1b}', '\u{202e}']), "{}", text.len());
        }
        println!("figure: 4 recipients of 800 kB: at most 20 kB said of each, 0 control bytes");
    }
}

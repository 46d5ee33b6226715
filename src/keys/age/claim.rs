//! Whose an age recipient is, and what people call their identities.

use std::collections::HashMap;

use super::Age;
use super::identities::Identity;
use super::sources::{Found, Place};
use crate::keys::KeySourceState;
use crate::keys::claim::{Claim, KnownName};
use crate::text::Printable;

/// Our public halves, and what may hold others.
pub(in crate::keys) struct AgeClaims {
    halves: HashMap<String, Printable>,
    /// Prefixes of recipients that something locked may be for, and what that is.
    locked: Vec<(Locked, Printable)>,
}

/// What identities without a known public half may be for.
enum Locked {
    /// Anything that is no SSH key: a key program may give it.
    AnyNative,
    /// Any SSH key, likewise.
    AnySsh,
    /// Native recipients: a file behind a passphrase.
    Native,
    /// Recipients that begin so: a plugin's are named after it, `age1NAME1…`.
    Prefix(String),
}

impl AgeClaims {
    /// Holds our public halves against the recipient.
    pub(in crate::keys) fn of(&self, recipient: &str) -> Claim {
        let recipient = public_part(recipient);
        if let Some(source) = self.halves.get(&recipient) {
            return Claim::Mine(source.clone());
        }
        let is_ssh = recipient.starts_with("ssh-");
        let mut locked = self.locked.iter().filter(|(locked, _)| match locked {
            Locked::AnyNative => !is_ssh,
            Locked::AnySsh => is_ssh,
            Locked::Native => is_native(&recipient),
            Locked::Prefix(prefix) => recipient.starts_with(prefix),
        });
        locked.next().map_or(Claim::NotMine, |(_, source)| Claim::Locked(source.clone()))
    }
}

impl Age<'_> {
    /// Computes our public halves.
    pub(in crate::keys) fn claims(&self) -> AgeClaims {
        let mut claims = AgeClaims { halves: HashMap::new(), locked: Vec::new() };
        for source in [Place::Files, Place::SshFiles].into_iter().flat_map(|place| self.sources.load(place, "")) {
            for identity in source.identities() {
                for half in identity.public_halves() {
                    claims.halves.entry(public_part(&half)).or_insert_with(|| source.name.clone());
                }
                claims.locked.extend(locked(identity).map(|locked| (locked, source.name.clone())));
            }
        }
        for source in self.describe().into_iter().filter(|source| source.found == KeySourceState::OnDemand) {
            let is_ssh = source.name.as_str().contains("SSH");
            claims.locked.push((if is_ssh { Locked::AnySsh } else { Locked::AnyNative }, source.name));
        }
        claims
    }

    /// Comments above identities.
    pub(in crate::keys) fn names(&self) -> Vec<KnownName> {
        let mut names = Vec::new();
        for source in self.sources.load(Place::Files, "") {
            let Found::Identities(identities) = &source.found else { continue };
            for identity in identities {
                let Identity::Named(_, name) = identity else { continue };
                names.extend(identity.public_halves().into_iter().map(|recipient| KnownName {
                    recipient,
                    name: name.to_string(),
                    source: source.name.clone(),
                }));
            }
        }
        names
    }
}

/// What an identity whose public half is not known may be for.
fn locked(identity: &Identity) -> Option<Locked> {
    match identity {
        Identity::Named(identity, _) => locked(identity),
        Identity::Passphrase(file) => file.public_halves().is_empty().then_some(Locked::Native),
        Identity::Plugin(plugin) => {
            plugin.program().strip_prefix("age-plugin-").map(|name| Locked::Prefix(format!("age1{name}1")))
        }
        _ => None,
    }
}

fn is_native(recipient: &str) -> bool {
    recipient.strip_prefix("age1").is_some_and(|rest| rest.starts_with("pq1") || !rest.contains('1'))
}

/// A public half without the comment that may follow an SSH key.
fn public_part(recipient: &str) -> String {
    recipient.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::keys::KeyPolicy;

    const A: &str = "AGE-SECRET-KEY-1Z09WTHX3NG6MVJE9ZEUN2E9MRZDV0NLLPRG0KUL2CKAAK278A8QSSW6LNE";
    const A_PUBLIC: &str = "age16ha7hzqvgv0qlzn9faq608suky5egtcqj72dwj5pcf0luzcn0ewqzfv4ft";
    const B_PUBLIC: &str = "age1fnhyupglqulmna9yjl7w89pfg3694mt363ffz0vwpz85dnhfwf2qjsfyha";

    fn claim(variables: &[(&str, &str)], recipient: &str) -> Claim {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
        let keyring = crate::keys::Keyring::from_environment(&environment, KeyPolicy::default())
            .unwrap_or_else(|error| panic!("{error}"));
        keyring.age.claims().of(recipient)
    }

    #[test]
    fn knows_its_own_public_halves() {
        assert_eq!(claim(&[("SOPS_AGE_KEY", A)], &format!(" {A_PUBLIC} ")), Claim::Mine("SOPS_AGE_KEY".into()));
        assert_eq!(claim(&[("SOPS_AGE_KEY", A)], B_PUBLIC), Claim::NotMine);
        assert_eq!(claim(&[], A_PUBLIC), Claim::NotMine);
    }

    #[test]
    fn what_a_program_holds_is_not_known_and_no_program_is_started() {
        let command = [("SOPS_AGE_KEY_CMD", "/no/such/program")];
        assert_eq!(claim(&command, A_PUBLIC), Claim::Locked("SOPS_AGE_KEY_CMD".into()));
        assert_eq!(claim(&command, "ssh-ed25519 AAAA"), Claim::NotMine);
        let plugin =
            bech32::encode::<bech32::Bech32>(bech32::Hrp::parse("age-plugin-yubikey-").unwrap(), b"x").unwrap();
        let plugin = plugin.to_uppercase();
        let plugin = [("SOPS_AGE_KEY", plugin.as_str())];
        assert_eq!(claim(&plugin, "age1yubikey1qabc"), Claim::Locked("SOPS_AGE_KEY".into()));
        assert_eq!(claim(&plugin, A_PUBLIC), Claim::NotMine);
    }

    #[test]
    fn comments_above_identities_are_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.txt");
        let text = format!("# created: 2024-01-01\n# my laptop\n# public key: {A_PUBLIC}\n{A}\n");
        std::io::Write::write_all(&mut std::fs::File::create_new(&path).unwrap(), text.as_bytes()).unwrap();
        let environment = Environment::new([("SOPS_AGE_KEY_FILE".into(), path.into_os_string())], None);
        let keyring = crate::keys::Keyring::from_environment(&environment, KeyPolicy::default()).unwrap();
        let [name] = keyring.age.names().try_into().unwrap();
        assert_eq!((name.recipient.as_str(), name.name.as_str()), (A_PUBLIC, "my laptop"));
    }
}

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

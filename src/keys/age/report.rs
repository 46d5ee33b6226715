//! Words for a key that did not open: what was tried, what is wrong with the rest, what to do next.

use std::path::Path;
use std::sync::Arc;

use super::identities::Identity;
use super::sources::{Found, Source};
use super::{Fault, Findings};
use crate::keys::RefusedReason;
use crate::limits;
use crate::sops::data_key::Refusal;
use crate::text::Printable;

/// Most public halves that are named for one source.
const PUBLIC_HALVES: usize = 4;

/// Says why a key did not open.
pub(super) fn refusal(fault: &Fault, recipient: &str, findings: &Findings) -> RefusedReason {
    let wanted = findings.wanted;
    match fault {
        Fault::Damaged(why) => RefusedReason { refusal: Refusal::Denied((*why).into()), hint: None },
        Fault::NotUnwrapped if wanted.passphrase => RefusedReason {
            refusal: Refusal::Denied("its ciphertext is for a passphrase, which sops never writes".into()),
            hint: None,
        },
        Fault::NotUnwrapped if wanted.too_many => RefusedReason {
            refusal: Refusal::Denied(Printable::new(&format!(
                "its ciphertext is for more than {} recipients, sops writes one",
                limits::AGE_STANZAS
            ))),
            hint: None,
        },
        Fault::NotUnwrapped => {
            let text = Printable::reason(&tried(findings));
            let refusal = if findings.damaged {
                Refusal::Denied(text)
            } else if findings.timed_out() {
                Refusal::Unavailable(text)
            } else {
                Refusal::NotMine(text)
            };
            let mend = if findings.failed.is_empty() { "" } else { "mend that, or " };
            RefusedReason { refusal, hint: Some(Printable::reason(&format!("{mend}{}", next_step(recipient)))) }
        }
    }
}

impl Findings {
    fn timed_out(&self) -> bool {
        self.timed_out || self.consulted.iter().any(|source| matches!(source.found, Found::TimedOut(_)))
    }
}

/// `no identity matches (2 tried: A [age1qx...w4569], B [age1...]); C does not exist; D line 3 is …`
fn tried(findings: &Findings) -> String {
    let sources = &findings.consulted;
    let count = findings.unmatched.len();
    let mut parts = Vec::new();
    if findings.damaged {
        parts.push("a stanza of its ciphertext is damaged or not for the key that it names".to_owned());
    }
    if count > 0 {
        let used: Vec<_> = sources.iter().filter_map(|source| with_halves(source, findings)).collect();
        parts.push(format!("no identity matches ({count} tried: {})", used.join(", ")));
    } else if findings.failed.is_empty() && !findings.damaged {
        parts.push("no identity found".to_owned());
        let unset: Vec<_> = names(sources, |found| matches!(found, Found::NotSet));
        if !unset.is_empty() {
            parts.push(format!("not set: {}", unset.join(", ")));
        }
    }
    parts.extend(findings.failed.iter().map(|(name, why)| format!("{name} {why}")));
    for source in sources {
        match &source.found {
            Found::Missing => parts.push(format!("{} does not exist", source.name)),
            Found::TimedOut(why) | Found::Unusable(why) => parts.push(format!("{} {why}", source.name)),
            Found::Identities(identities) if identities.is_empty() => {
                parts.push(format!("{} holds no identity", source.name));
            }
            Found::Identities(_) | Found::NotSet => {}
        }
    }
    parts.join("; ")
}

fn names(sources: &[Arc<Source>], which: impl Fn(&Found) -> bool) -> Vec<String> {
    sources.iter().filter(|source| which(&source.found)).map(|source| source.name.to_string()).collect()
}

/// A source with the public halves of those of its identities that were tried; none if none was.
fn with_halves(source: &Arc<Source>, findings: &Findings) -> Option<String> {
    let of_source = findings.unmatched.iter().filter(|(unmatched, _)| Arc::ptr_eq(unmatched, source));
    let identities = of_source.filter_map(|(_, place)| source.identities().get(*place));
    let all: Vec<String> = identities.flat_map(Identity::public_halves).collect();
    let mut halves: Vec<_> = all.iter().take(PUBLIC_HALVES).map(|half| shortened(half)).collect();
    match all.len().saturating_sub(PUBLIC_HALVES) {
        0 => {}
        more => halves.push(format!("{more} more")),
    }
    (!halves.is_empty()).then(|| format!("{} [{}]", source.name, halves.join(", ")))
}

/// Which identity the recipient in the file asks for. The recipient is what the file says, and not authentic.
fn next_step(recipient: &str) -> String {
    let recipient = recipient.trim();
    let short = shortened(recipient);
    match Kind::of(recipient) {
        Kind::Unknown => "add the identity that this file was encrypted for".to_owned(),
        Kind::Hybrid => format!("add the post-quantum identity (AGE-SECRET-KEY-PQ-1...) for {short}"),
        Kind::Native => format!("add an identity for {short}"),
        Kind::Plugin(name) => format!(
            "add the identity (AGE-PLUGIN-{}-1...) for {short}, with age-plugin-{name} on PATH",
            name.to_ascii_uppercase()
        ),
        Kind::Ssh => format!(
            "add the SSH private key of {short}: SOPS_AGE_SSH_PRIVATE_KEY_FILE, ~/.ssh/id_ed25519 or ~/.ssh/id_rsa"
        ),
    }
}

/// Kinds of recipients, as sops tells them apart (`age/keysource.go`, `parseRecipient`).
enum Kind<'a> {
    Hybrid,
    Native,
    Plugin(&'a str),
    Ssh,
    Unknown,
}

impl<'a> Kind<'a> {
    fn of(recipient: &'a str) -> Self {
        let plugin = || Some(recipient.strip_prefix("age1")?.rsplit_once('1')?.0);
        if recipient.starts_with("age1pq1") {
            Self::Hybrid
        } else if let Some(name) = plugin() {
            Self::Plugin(name)
        } else if recipient.starts_with("age1") {
            Self::Native
        } else if recipient.starts_with("ssh-") {
            Self::Ssh
        } else {
            Self::Unknown
        }
    }
}

/// `age1qx...w4569`: enough of a public half to recognise it.
pub(super) fn shortened(public_half: &str) -> String {
    let mut words = public_half.split_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        // Every SSH key of a kind begins alike.
        (kind, Some(key)) if kind.starts_with("ssh-") => format!("{kind} ...{}", last(key, 8)),
        (half, None) if half.starts_with("age1") && half.len() > 24 => {
            let kind = half.rfind('1').map_or(0, |one| one.saturating_add(1)).min(24);
            let begin: String = half.chars().take(kind.saturating_add(2)).collect();
            format!("{begin}...{}", last(half, 5))
        }
        _ => Printable::new(public_half).to_string(),
    }
}

fn last(text: &str, count: usize) -> String {
    text.chars().skip(text.chars().count().saturating_sub(count)).collect()
}

/// `~/.config/sops/age/keys.txt`
pub(super) fn home_as_tilde(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

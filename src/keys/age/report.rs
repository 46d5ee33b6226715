//! Words for a key that did not open: what was tried, what is wrong with the rest, what to do next.

use std::path::Path;

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
            let refusal = if findings.denied {
                Refusal::Denied(text)
            } else if findings.timed_out() {
                Refusal::Unavailable(text)
            } else {
                Refusal::NotMine(text)
            };
            RefusedReason { refusal, hint: Some(Printable::new(&next_step(recipient))) }
        }
    }
}

impl Findings {
    fn timed_out(&self) -> bool {
        self.consulted.iter().any(|source| matches!(source.found, Found::TimedOut(_)))
    }
}

/// `no identity matches (2 tried: A [age1qx...w4569], B [age1...]); C does not exist; D: line 3 is …`
fn tried(findings: &Findings) -> String {
    let sources = &findings.consulted;
    let count: usize = sources.iter().map(|source| source.identities().len()).sum();
    let mut parts = Vec::new();
    if findings.denied {
        parts.push("its ciphertext is malformed".to_owned());
    } else if count == 0 {
        parts.push("no identity found".to_owned());
        let unset: Vec<_> = names(sources, |found| matches!(found, Found::NotSet));
        if !unset.is_empty() {
            parts.push(format!("not set: {}", unset.join(", ")));
        }
    } else {
        let used: Vec<_> =
            sources.iter().filter(|source| !source.identities().is_empty()).map(|s| with_halves(s)).collect();
        parts.push(format!("no identity matches ({count} tried: {})", used.join(", ")));
    }
    for source in sources {
        match &source.found {
            Found::Missing => parts.push(format!("{} does not exist", source.name)),
            Found::TimedOut(why) | Found::Unusable(why) => parts.push(format!("{} {why}", source.name)),
            Found::Identities(identities) if identities.is_empty() => {
                parts.push(format!("{} holds no identity", source.name))
            }
            Found::Identities(_) | Found::NotSet => {}
        }
    }
    parts.join("; ")
}

fn names(sources: &[std::sync::Arc<Source>], which: impl Fn(&Found) -> bool) -> Vec<String> {
    sources.iter().filter(|source| which(&source.found)).map(|source| source.name.to_string()).collect()
}

fn with_halves(source: &Source) -> String {
    let identities = source.identities();
    let mut halves: Vec<_> = identities.iter().take(PUBLIC_HALVES).map(|id| shortened(&id.public_half())).collect();
    match identities.len().saturating_sub(PUBLIC_HALVES) {
        0 => {}
        more => halves.push(format!("{more} more")),
    }
    format!("{} [{}]", source.name, halves.join(", "))
}

/// What kind of identity the recipient in the file asks for. The recipient is what the file says, and not authentic.
fn next_step(recipient: &str) -> String {
    let short = shortened(recipient.trim());
    if recipient.is_empty() {
        "add the identity that this file was encrypted for".to_owned()
    } else {
        format!("add an identity for {short}")
    }
}

/// `age1qx...w4569`: enough of a public half to recognise it.
pub(super) fn shortened(public_half: &str) -> String {
    let mut words = public_half.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    match second {
        // Every SSH key of a kind begins alike.
        Some(key) => format!("{first} ...{}", last(key, 8)),
        None if first.len() <= 24 => first.to_owned(),
        None => {
            let kind = first.rfind('1').map_or(0, |one| one.saturating_add(1)).min(24);
            let begin: String = first.chars().take(kind.saturating_add(2)).collect();
            format!("{begin}...{}", last(first, 5))
        }
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

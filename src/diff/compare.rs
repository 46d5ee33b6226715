//! Two snapshots, and what is different.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::snapshot::{Digest, Look, Snapshot, Value};
use crate::limits;
use crate::text::Printable;

/// What values are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The ciphertext: it changes with the value, but also where the value is encrypted anew.
    Ciphertext,
    /// The plaintext, under a key of this run.
    Plaintext,
}

/// What became of a file or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Only the second side has it.
    Added,
    /// Both have it.
    Changed,
    /// It was not encrypted and now is.
    Encrypted,
    /// It was encrypted and now lies there in clear.
    Exposed,
    /// Only the first side has it.
    Removed,
    /// It cannot be read on one side, and why.
    Unreadable(Printable),
}

/// The difference of one file or object.
pub struct FileDiff {
    /// Its path, or kind and name.
    pub path: Printable,
    /// What became of it.
    pub status: Status,
    /// What values were compared by.
    pub basis: Basis,
    /// What changed about it beside its values.
    pub metadata: Vec<MetadataChange>,
    /// What changed about its values, at most [`limits::DIFF_CHANGES`].
    pub changes: Vec<Change>,
    /// How many more values changed.
    pub more: usize,
    /// Values that were encrypted anew and are the same.
    pub same: usize,
    /// What a reviewer should know: fixed words.
    pub warnings: Vec<String>,
}

/// A fact that changed.
pub struct MetadataChange {
    /// Which one.
    pub name: &'static str,
    /// What it was.
    pub before: Option<Printable>,
    /// What it is.
    pub after: Option<Printable>,
}

/// A value that changed.
pub struct Change {
    /// Its path in the file, or its key in the Secret.
    pub name: Printable,
    /// What became of it.
    pub verdict: Verdict,
    /// What it was.
    pub before: Option<Look>,
    /// What it is.
    pub after: Option<Look>,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was not there.
    Added,
    /// It is another value.
    Changed,
    /// Its text is the same; its type or whether it is encrypted changed.
    Retyped,
    /// It was encrypted anew; only a key can tell whether it changed.
    Reencrypted,
    /// It is gone.
    Removed,
}

impl FileDiff {
    /// One without any change.
    pub fn new(path: Printable, status: Status) -> Self {
        Self {
            path,
            status,
            basis: Basis::Ciphertext,
            metadata: Vec::new(),
            changes: Vec::new(),
            more: 0,
            same: 0,
            warnings: Vec::new(),
        }
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.status == Status::Changed
            && self.metadata.is_empty()
            && self.changes.is_empty()
            && self.same == 0
            && self.warnings.is_empty()
    }
}

/// Compares two states, of which one may be missing.
pub fn compare(path: Printable, before: Option<Snapshot>, after: Option<Snapshot>) -> FileDiff {
    let status = match (&before, &after) {
        (None, Some(_)) => Status::Added,
        (Some(_), None) => Status::Removed,
        _ => Status::Changed,
    };
    let mut diff = FileDiff::new(path, status);
    let has_digests = |side: &Option<Snapshot>| {
        side.iter().flat_map(|side| &side.values).all(|value| value.token.is_none() || value.digest.is_some())
    };
    if has_digests(&before) && has_digests(&after) {
        diff.basis = Basis::Plaintext;
    }
    compare_facts(before.as_ref(), after.as_ref(), &mut diff);
    compare_values(before, after, &mut diff);
    diff
}

fn compare_facts(before: Option<&Snapshot>, after: Option<&Snapshot>, diff: &mut FileDiff) {
    let names = ["type", "format", "rule", "mac covers", "groups needed", "sops version", "last modified"];
    let fact = |side: Option<&Snapshot>, name: &str| {
        let named = side.map(|side| side.facts.named.as_slice()).unwrap_or_default();
        named.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone())
    };
    for name in names {
        let (before, after) = (fact(before, name), fact(after, name));
        if before != after {
            diff.metadata.push(MetadataChange { name, before, after });
        }
    }
    let none = BTreeMap::new();
    let recipients = |side: Option<&Snapshot>| side.map_or(&none, |side| &side.facts.recipients).clone();
    let (old, new) = (recipients(before), recipients(after));
    let is_gone = |name: &&String| !new.contains_key(*name);
    for gone in old.keys().filter(is_gone) {
        diff.metadata.push(MetadataChange { name: "recipient", before: Some(Printable::new(gone)), after: None });
    }
    for come in new.keys().filter(|name| !old.contains_key(*name)) {
        diff.metadata.push(MetadataChange { name: "recipient", before: None, after: Some(Printable::new(come)) });
    }
    let (Some(before), Some(after)) = (before, after) else { return };
    let tokens = |side: &Snapshot| side.values.iter().filter_map(|value| value.token).collect::<BTreeSet<Digest>>();
    let (old_tokens, new_tokens) = (tokens(before), tokens(after));
    let has_kept = old_tokens.intersection(&new_tokens).next().is_some();
    if has_kept && old.keys().any(|name| is_gone(&name)) {
        let warning = "a recipient was removed, but the data key stayed: whoever had it still can read this file; \
                       run sops rotate, and change what must stay secret";
        diff.warnings.push(warning.to_owned());
    }
    let is_wrapped_anew = old.iter().all(|(name, wrapped)| new.get(name).is_none_or(|other| other != wrapped));
    if !has_kept && !old_tokens.is_empty() && !new_tokens.is_empty() && !old.is_empty() && is_wrapped_anew {
        diff.metadata.push(MetadataChange { name: "data key", before: None, after: Some("rotated".into()) });
    }
}

/// A change before it has a name.
struct Found {
    before: Option<usize>,
    after: Option<usize>,
    verdict: Verdict,
}

fn compare_values(mut before: Option<Snapshot>, mut after: Option<Snapshot>, diff: &mut FileDiff) {
    let old = before.as_ref().map(|side| side.values.as_slice()).unwrap_or_default();
    let new = after.as_ref().map(|side| side.values.as_slice()).unwrap_or_default();
    let places: HashMap<&Digest, usize> = new.iter().enumerate().map(|(at, value)| (&value.id, at)).collect();
    let mut matched = vec![false; new.len()];
    let mut found = Vec::new();
    for (at, value) in old.iter().enumerate() {
        let place = places.get(&value.id).copied();
        let verdict = match place.and_then(|place| new.get(place)) {
            None => Some(Verdict::Removed),
            Some(other) => match judge(value, other) {
                Judgement::Equal => None,
                Judgement::Same => {
                    diff.same += 1;
                    None
                }
                Judgement::Different(verdict) => Some(verdict),
            },
        };
        if let Some(matched) = place.and_then(|place| matched.get_mut(place)) {
            *matched = true;
        }
        found.extend(verdict.map(|verdict| Found { before: Some(at), after: place, verdict }));
    }
    let added = matched.iter().enumerate().filter(|(_, matched)| !**matched);
    found.extend(added.map(|(at, _)| Found { before: None, after: Some(at), verdict: Verdict::Added }));
    diff.more = found.len().saturating_sub(limits::DIFF_CHANGES);
    found.truncate(limits::DIFF_CHANGES);
    if new.iter().any(|value| value.look.is_exposed) {
        diff.warnings.push("a value stands in clear though the file's rule says that it is encrypted".to_owned());
    }

    let look = |values: &[Value], at: Option<usize>| at.and_then(|at| values.get(at)).map(|value| value.look);
    let looks: Vec<_> = found.iter().map(|found| (look(old, found.before), look(new, found.after))).collect();
    let wanted_old: BTreeSet<usize> =
        found.iter().filter(|found| found.after.is_none()).filter_map(|found| found.before).collect();
    let wanted_new: BTreeSet<usize> = found.iter().filter_map(|found| found.after).collect();
    let old_names = before.as_mut().map(|side| side.names(&wanted_old)).unwrap_or_default();
    let new_names = after.as_mut().map(|side| side.names(&wanted_new)).unwrap_or_default();
    for (found, (before, after)) in found.iter().zip(looks) {
        let name = match found.after {
            Some(at) => new_names.get(&at),
            None => found.before.and_then(|at| old_names.get(&at)),
        };
        let name = name.cloned().unwrap_or_else(|| "?".into());
        diff.changes.push(Change { name, verdict: found.verdict, before, after });
    }
}

enum Judgement {
    /// Nothing changed.
    Equal,
    /// Encrypted anew, and the same.
    Same,
    Different(Verdict),
}

fn judge(before: &Value, after: &Value) -> Judgement {
    let is_same_token = before.token == after.token && before.token.is_some();
    let is_same_look = before.look.kind == after.look.kind && before.look.is_encrypted == after.look.is_encrypted;
    let is_same_text = match (before.digest, after.digest) {
        (Some(before), Some(after)) => Some(before == after),
        // Neither has a text: null and empty collections, whose kind says all.
        (None, None) if before.token.is_none() && after.token.is_none() => Some(true),
        _ if is_same_token => Some(true),
        // The ciphertext is as long as the text.
        _ if before.look.size != after.look.size => Some(false),
        _ => None,
    };
    match (is_same_text, is_same_look) {
        (Some(false), _) => Judgement::Different(Verdict::Changed),
        (Some(true), false) => Judgement::Different(Verdict::Retyped),
        (Some(true), true) if is_same_token || before.token.is_none() => Judgement::Equal,
        (Some(true), true) => Judgement::Same,
        (None, _) => Judgement::Different(Verdict::Reencrypted),
    }
}

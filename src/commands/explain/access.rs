//! Whether you can open a file, why not, and what to do.

use super::report::{Access, FileEntry, Opens, RecipientEntry, Yours, YoursState};
use crate::commands::records;
use crate::keys::{Claim, Keyring};
use crate::path::SourcePath;
use crate::sops::{self, Format};

impl From<&Claim> for Yours {
    fn from(claim: &Claim) -> Self {
        let (state, source) = match claim {
            Claim::Mine(source) => (YoursState::Yes, Some(source.to_string())),
            Claim::Locked(source) => (YoursState::Locked, Some(source.to_string())),
            Claim::AskService(service) => (YoursState::AskService, Some((*service).to_owned())),
            Claim::NotMine => (YoursState::No, None),
            Claim::Unsupported => (YoursState::Unsupported, None),
        };
        Self { state, source }
    }
}

/// Says whether your identities open enough groups. `has_identities`: whether there are any at all.
pub fn judge(file: &FileEntry, recipients: &[RecipientEntry], has_identities: bool) -> Access {
    let best: Vec<Option<&RecipientEntry>> = file
        .groups
        .iter()
        .map(|group| group.iter().filter_map(|one| recipients.get(*one)).max_by_key(|one| one.yours.state))
        .collect();
    let with = |at_least: YoursState| best.iter().flatten().filter(|one| one.yours.state >= at_least).count();
    let (mine, possible) = (with(YoursState::Yes), with(YoursState::AskService));
    let needed = file.needed_groups;
    let of_groups = |count: usize| match file.groups.len() {
        0 | 1 => String::new(),
        _ => format!("{count} of {needed} needed key groups: "),
    };
    let list = |state: YoursState| {
        let mut names: Vec<String> = Vec::new();
        for one in best.iter().flatten().filter(|one| one.yours.state == state) {
            let source = one.yours.source.as_deref().unwrap_or_default();
            names.push(match state {
                YoursState::Yes => format!("{} from {source}", one.shown()),
                YoursState::Locked => format!("{} wants {source}", one.shown()),
                _ => format!("{source} must be asked for {}", one.shown()),
            });
        }
        names.dedup();
        names.join("; ")
    };
    if mine >= needed {
        return Access { state: "yes", groups: mine, reason: of_groups(mine) + &list(YoursState::Yes), next: None };
    }
    if possible >= needed {
        let parts = [YoursState::Yes, YoursState::Locked, YoursState::AskService].map(list);
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let next = Some("--try opens it and says what came of it".to_owned());
        return Access { state: "maybe", groups: mine, reason: of_groups(mine) + &parts.join("; "), next };
    }
    let next = if has_identities {
        "get the identity of one of its recipients, or have someone who can open it add yours to .sops.yaml and run \
         `sops updatekeys`"
    } else {
        "name your key file in SOPS_AGE_KEY_FILE or UNSOPS_PGP_KEY_FILE; README (Keys) lists every place"
    };
    let nobody = if has_identities { "none of its recipients is you" } else { "you have no identity here" };
    let reason = if possible == 0 {
        nobody.to_owned()
    } else {
        let parts = [YoursState::Yes, YoursState::Locked, YoursState::AskService].map(list);
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let most = if possible > mine { "at most " } else { "" };
        format!("{most}{possible} of {needed} needed key groups: {}", parts.join("; "))
    };
    Access { state: "no", groups: mine, reason, next: Some(next.to_owned()) }
}

/// Opens a file, verifies its MAC, and forgets what was in it.
pub fn really_open(path: &str, bytes: &[u8], format: Format, keyring: &Keyring<'_>) -> Opens {
    match sops::decrypt(bytes, format, keyring) {
        Ok(_) => Opens { ok: true, reasons: Vec::new(), hints: Vec::new() },
        Err(error) => {
            // The record's subject is shown by whoever shows the file.
            let subject = SourcePath::parse(path.trim_start_matches('/')).ok();
            let record = match subject {
                Some(subject) => records::of_source(&subject, error),
                None => return Opens { ok: false, reasons: vec![error.to_string()], hints: Vec::new() },
            };
            let reasons = std::iter::once(record.message).chain(record.details).collect();
            Opens { ok: false, reasons, hints: record.hints }
        }
    }
}

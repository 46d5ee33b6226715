//! Two states of files: what each is, and how they are compared.

use crate::commands::narrator::Narrator;
use crate::commands::records;
use crate::diff::{DigestKey, FileDiff, Snapshot, Status, compare};
use crate::keys::Keyring;
use crate::sops::inspect::{inspect_any, may_be_sops};
use crate::sops::{self, Format, Inspection, SopsError, store};
use crate::text::Printable;

/// What opens files, if anything does, and what digests are made with.
pub(super) struct Comparer<'a> {
    pub keys: Option<&'a Keyring<'a>>,
    pub digests: DigestKey,
    pub narrator: &'a Narrator,
}

/// One state of a file.
enum State {
    /// It has the stanza of sops and cannot be read.
    Broken(Printable),
    Missing,
    /// Not a SOPS file.
    Other,
    Sops(Box<Inspection>),
}

impl State {
    fn of(path: &str, content: Option<&[u8]>) -> Self {
        let Some(content) = content else { return Self::Missing };
        if !may_be_sops(content) {
            return Self::Other;
        }
        match inspect_any(Format::from_path(path), content) {
            Ok(inspection) => Self::Sops(Box::new(inspection)),
            // Text about sops mentions its tokens, too.
            Err(_) if store::guess(content).is_none() => Self::Other,
            Err(error) => Self::Broken(Printable::reason(&error.to_string())),
        }
    }
}

impl Comparer<'_> {
    /// Compares two contents of a file, of which one may be missing. `None` where neither is a SOPS file.
    pub fn files(&self, path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Option<FileDiff> {
        let name = Printable::new(path);
        let mut warnings = Vec::new();
        let (old, new) = (State::of(path, before), State::of(path, after));
        let status = match (&old, &new) {
            (State::Other | State::Missing, State::Other | State::Missing) => return None,
            (State::Broken(reason), _) | (_, State::Broken(reason)) => {
                return Some(FileDiff::new(name, Status::Unreadable(reason.clone())));
            }
            (State::Other, State::Sops(_)) => Some(Status::Encrypted),
            (State::Sops(_), State::Other) => {
                let warning = "the encryption was removed: whoever can read the repository can read these values";
                warnings.push(warning.to_owned());
                Some(Status::Exposed)
            }
            _ => None,
        };
        let (old, new) =
            (self.snapshot(path, old, before, &mut warnings), self.snapshot(path, new, after, &mut warnings));
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(reason), _) | (_, Err(reason)) => return Some(FileDiff::new(name, Status::Unreadable(reason))),
        };
        let mut diff = compare(name, old, new);
        diff.status = status.unwrap_or(diff.status);
        warnings.append(&mut diff.warnings);
        warnings.dedup();
        diff.warnings = warnings;
        Some(diff)
    }

    fn snapshot(
        &self,
        path: &str,
        state: State,
        content: Option<&[u8]>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Snapshot>, Printable> {
        let State::Sops(inspection) = state else { return Ok(None) };
        let cleartext = match (self.keys, content) {
            (Some(keys), Some(content)) => match sops::decrypt(content, inspection.format, keys) {
                Ok(cleartext) => Some(cleartext),
                Err(error @ SopsError::Key(_)) => {
                    let name = Printable::new(path);
                    self.narrator.info(|| records::one_line(&records::of_sops(error).about(name)));
                    None
                }
                Err(error) => {
                    warnings.push(format!("one side does not decrypt: {}", Printable::reason(&error.to_string())));
                    None
                }
            },
            _ => None,
        };
        Snapshot::of_file(*inspection, cleartext.as_ref(), &self.digests)
            .map(Some)
            .map_err(|error| Printable::reason(&error.to_string()))
    }
}

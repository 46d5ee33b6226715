//! From the errors of the rooms to records for the user: class, detail lines, next steps.

use crate::error::{Failure, Record};
use crate::generator::{Fault, GeneratorError};
use crate::host::HostError;
use crate::jail::{JailError, Reason};
use crate::path::SourcePath;
use crate::sops::data_key::{Refusal, RefusedKey};
use crate::sops::{KeyFailure, SopsError};
use crate::text::Printable;

/// Most keys of one file that are listed; a hostile file may name a thousand.
const MOST_KEYS_SHOWN: usize = 20;

/// A file that could not be read.
pub fn of_file(error: JailError) -> Record {
    let class = if error.reason == Reason::Resources { Failure::Internal } else { Failure::File };
    let record = Record::new(class, error.reason.to_string()).about(error.path);
    match error.hint {
        Some(hint) => record.hint(hint),
        None => record,
    }
}

/// A source that could not be decrypted.
pub fn of_source(source: &SourcePath, error: SopsError) -> Record {
    of_sops(error).about(source.printable())
}

/// Something that could not be decrypted, whatever it is.
pub fn of_sops(error: SopsError) -> Record {
    match error {
        SopsError::Key(failure) => of_keys(failure),
        SopsError::Format { .. } => Record::new(Failure::Format, error.to_string()),
        SopsError::Integrity { .. } => Record::new(Failure::Integrity, error.to_string()).hint(
            "do not retry: the file was changed after sops wrote it; compare it with its history, or encrypt it anew",
        ),
    }
}

/// No key opened enough: one line per key, and the next steps of the keys' providers.
fn of_keys(failure: KeyFailure) -> Record {
    let is_unavailable = failure.refused.iter().any(|key| matches!(key.refusal, Refusal::Unavailable(_)));
    let class = if is_unavailable { Failure::Unavailable } else { Failure::Key };
    let message = match failure.groups {
        0 | 1 => "none of this file's keys could be opened".to_owned(),
        groups => format!("{} of {groups} key groups could be opened, {} are needed", failure.opened, failure.needed),
    };
    let mut record = Record::new(class, message);
    for key in failure.refused.iter().take(MOST_KEYS_SHOWN) {
        record.details.push(of_key(key, failure.groups));
        let hint = key.hint.as_ref().map(Printable::to_string);
        record.hints.extend(hint.filter(|hint| !record.hints.contains(hint)));
    }
    if let Some(more) = failure.refused.len().checked_sub(MOST_KEYS_SHOWN).filter(|more| *more > 0) {
        record.details.push(format!("and {more} more keys"));
    }
    record
}

fn of_key(key: &RefusedKey, groups: usize) -> String {
    let (Refusal::Denied(reason) | Refusal::NotMine(reason) | Refusal::Unavailable(reason)) = &key.refusal;
    if groups > 1 {
        format!("group {}: {}: {reason}", key.group + 1, key.key)
    } else {
        format!("{}: {reason}", key.key)
    }
}

/// A record on one line, for those who want to know more than that something failed.
pub fn one_line(record: &Record) -> String {
    let subject = record.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    let details: String = record.details.iter().map(|detail| format!("; {detail}")).collect();
    format!("{subject}{}{details}", record.message)
}

/// Something wrong with a generator manifest, or with what its sources decrypt to.
pub fn of_generator(generator: &Printable, error: &GeneratorError) -> Record {
    let class = match error.fault {
        Fault::Content => Failure::Format,
        Fault::Manifest => Failure::Generator,
    };
    let record = Record::new(class, error.to_string()).about(generator.clone());
    match &error.hint {
        Some(hint) => record.hint(hint.as_str()),
        None => record,
    }
}

/// Something wrong with what the host sent.
pub fn of_host(error: &HostError) -> Record {
    let class = if matches!(error, HostError::Empty) { Failure::Usage } else { Failure::Generator };
    let record = Record::new(class, error.to_string());
    match error.hint() {
        Some(hint) => record.hint(hint),
        None => record,
    }
}

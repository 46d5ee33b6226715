//! What the user is told when nothing comes out: failure classes, records, hints.

use std::fmt::Write as _;

use crate::text::Printable;

/// The class of a failure; its number is the exit code.
///
/// When several apply, an integrity failure is never hidden by a network one, and "try again later" beats "no key"
/// while any key was merely unavailable: see [`Failure::rank`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A bug, or the machine ran out of memory, threads or descriptors.
    Internal = 1,
    /// Bad arguments, or nothing on standard input.
    Usage = 2,
    /// A generator manifest or ResourceList is invalid, or there is nothing to generate.
    Generator = 3,
    /// A file is missing, outside the root, not regular, or too large.
    File = 4,
    /// Not a SOPS file, malformed, or unsupported.
    Format = 5,
    /// No key opened the file.
    Key = 6,
    /// A tag or the MAC does not verify: do not retry, look.
    Integrity = 7,
    /// A key service is unavailable: retry later.
    Unavailable = 8,
    /// Standard output refused the bytes.
    Output = 9,
}

impl Failure {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Order of precedence when files fail for different reasons; the lowest wins.
    fn rank(self) -> u8 {
        match self {
            Self::Internal => 0,
            Self::Integrity => 1,
            Self::Unavailable => 2,
            Self::Key => 3,
            Self::Format => 4,
            Self::File => 5,
            Self::Generator => 6,
            Self::Usage => 7,
            Self::Output => 8,
        }
    }
}

/// One failing thing, usually a file: what is wrong with it, why in detail, and what to do.
///
/// Its texts are fixed words, numbers and [`Printable`] names; a decrypted value never gets here.
#[derive(Debug)]
pub struct Record {
    /// Its class.
    pub failure: Failure,
    /// The file or generator it is about.
    pub subject: Option<Printable>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// One line per key that was tried, or per finding.
    pub details: Vec<String>,
    /// Next steps.
    pub hints: Vec<String>,
}

impl Record {
    /// A record without subject, details and hints.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, subject: None, message: message.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// Says what the record is about.
    pub fn about(mut self, subject: Printable) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds a next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Everything that failed in a run, never empty.
#[derive(Debug)]
pub struct Error {
    records: Vec<Record>,
}

impl From<Record> for Error {
    fn from(record: Record) -> Self {
        Self { records: vec![record] }
    }
}

impl Error {
    /// An error of several records; `None` if there are none.
    pub fn collect(records: Vec<Record>) -> Option<Self> {
        (!records.is_empty()).then_some(Self { records })
    }

    /// The records in the order in which they are shown.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, to be joined with others.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// The class that decides the exit code.
    pub fn failure(&self) -> Failure {
        self.records.iter().map(|record| record.failure).min_by_key(|f| f.rank()).unwrap_or(Failure::Internal)
    }

    /// The report for standard error: one block per record, the telling line first, every hint once.
    pub fn report(&self) -> String {
        let mut out = String::new();
        for record in &self.records {
            match &record.subject {
                Some(subject) => _ = writeln!(out, "unsops: error: {subject}: {}", record.message),
                None => _ = writeln!(out, "unsops: error: {}", record.message),
            }
            for detail in &record.details {
                _ = writeln!(out, "unsops:   {detail}");
            }
        }
        let mut shown: Vec<&str> = Vec::new();
        for hint in self.records.iter().flat_map(|record| &record.hints) {
            if !shown.contains(&hint.as_str()) {
                shown.push(hint);
                _ = writeln!(out, "unsops: hint: {hint}");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing_with(failures: &[Failure]) -> Failure {
        Error::collect(failures.iter().map(|f| Record::new(*f, "x")).collect()).expect("not empty").failure()
    }

    #[test]
    fn integrity_beats_unavailable_beats_no_key() {
        use Failure::{Format, Integrity, Key, Unavailable};
        assert_eq!(failing_with(&[Key, Unavailable, Integrity, Format]), Integrity);
        assert_eq!(failing_with(&[Key, Unavailable, Format]), Unavailable);
        assert_eq!(failing_with(&[Format, Key]), Key);
    }

    #[test]
    fn same_hint_is_shown_once() {
        let error = Error::collect(vec![
            Record::new(Failure::Key, "one").about("a".into()).hint("add a key"),
            Record::new(Failure::Key, "two").about("b".into()).hint("add a key"),
        ])
        .expect("not empty");
        assert_eq!(error.report(), "unsops: error: a: one\nunsops: error: b: two\nunsops: hint: add a key\n");
    }
}

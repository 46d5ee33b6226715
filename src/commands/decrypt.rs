//! Many sources, several at a time, every failure collected.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::records;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::{Reason, Root};
use crate::limits;
use crate::path::SourcePath;
use crate::sops::{self, Cleartext, Format, KeyService};

/// Decrypted sources by path.
pub type Opened = BTreeMap<SourcePath, Cleartext>;

/// Where the bytes of sources come from.
pub struct Sources<'a> {
    /// Directories that relative paths start from, in order of trying; all beneath `root`.
    pub bases: &'a [&'a Path],
    /// What bounds them.
    pub root: &'a Root,
    /// Files that the host passed along (kpt), by path.
    pub in_band: BTreeMap<SourcePath, Vec<u8>>,
}

/// Decrypts each source once.
///
/// # Errors
/// A record for every source that fails, in the order given.
pub fn decrypt_all(
    wanted: &[&SourcePath],
    sources: &Sources<'_>,
    keys: &dyn KeyService,
    concurrency: NonZero<usize>,
) -> Result<Opened, Error> {
    let mut unique: Vec<&SourcePath> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    unique.extend(wanted.iter().copied().filter(|source| seen.insert(*source)));
    if unique.len() > limits::SOURCES {
        let message = format!("{} sources in one run; at most {} are decrypted", unique.len(), limits::SOURCES);
        return Err(Record::new(Failure::Generator, message).hint("split the generator").into());
    }

    let next = AtomicUsize::new(0);
    let bytes_read = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<Cleartext, Record>)>> = Mutex::new(Vec::with_capacity(unique.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = unique.get(index) else { return };
            let result = decrypt_one(source, sources, keys, &bytes_read);
            results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..concurrency.get().min(unique.len()) {
            // Where no further thread can be had, those that run do the work.
            _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });

    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    let mut opened = Opened::new();
    let mut failed = Vec::new();
    for (index, result) in results {
        match (result, unique.get(index)) {
            (Ok(cleartext), Some(source)) => _ = opened.insert((*source).clone(), cleartext),
            (Err(record), _) => failed.push(record),
            (Ok(_), None) => {}
        }
    }
    match Error::collect(failed) {
        None => Ok(opened),
        Some(error) => Err(error),
    }
}

fn decrypt_one(
    source: &SourcePath,
    sources: &Sources<'_>,
    keys: &dyn KeyService,
    bytes_read: &AtomicUsize,
) -> Result<Cleartext, Record> {
    let file = sources.read(source)?;
    let total = bytes_read.fetch_add(file.len(), Ordering::Relaxed).saturating_add(file.len());
    if total > limits::DECRYPTED_BYTES {
        let message = format!("the sources of this run are larger than {} MiB together", limits::DECRYPTED_BYTES >> 20);
        return Err(Record::new(Failure::File, message).about(source.printable()).hint("split the generator"));
    }
    sops::decrypt(&file, Format::from_path(source.as_str()), keys).map_err(|error| records::of_source(source, error))
}

impl Sources<'_> {
    fn read(&self, source: &SourcePath) -> Result<Vec<u8>, Record> {
        if let Some(bytes) = self.in_band.get(source) {
            return Ok(bytes.clone());
        }
        let mut first_error = None;
        for base in self.bases {
            match self.root.read(base, source, limits::FILE_BYTES) {
                Ok(bytes) => return Ok(bytes.into_vec()),
                Err(error) if error.reason == Reason::Missing => _ = first_error.get_or_insert(error),
                Err(error) => return Err(records::of_file(error)),
            }
        }
        Err(match first_error {
            Some(error) => records::of_file(error),
            None => Record::new(Failure::File, "there is no directory to start from").about(source.printable()),
        })
    }
}

/// How many sources are decrypted at a time: `KSOPS_CONCURRENCY_LIMIT`, else one per processor.
///
/// # Errors
/// A value that is not a positive number, as KSOPS refuses it.
pub fn concurrency(env: &Environment) -> Result<NonZero<usize>, Record> {
    match env.non_empty("KSOPS_CONCURRENCY_LIMIT") {
        None => Ok(thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)),
        Some(limit) => limit.parse().map_err(|_| {
            Record::new(Failure::Usage, "KSOPS_CONCURRENCY_LIMIT is not a positive number")
                .hint("unset KSOPS_CONCURRENCY_LIMIT, or set it to the number of files to decrypt at a time")
        }),
    }
}

//! Many sources, several at a time, every failure collected.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::records;
use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::jail::{Reason, Root};
use crate::limits;
use crate::path::SourcePath;
use crate::sops::{self, Cleartext, Format, KeyService, SopsError};

/// Decrypted sources by path.
pub type Opened = BTreeMap<SourcePath, Cleartext>;

/// What decrypts the sources of a run, and what they have used up of its bounds.
pub struct Decryptor<'a> {
    root: &'a Root,
    keys: &'a dyn KeyService,
    concurrency: NonZero<usize>,
    bytes_read: AtomicUsize,
    sources_read: AtomicUsize,
}

/// Makes something of an encrypted file.
pub type Make<'a, T> = dyn Fn(&[u8], Format) -> Result<T, SopsError> + Sync + 'a;

/// Where the bytes of a generator's sources come from.
pub struct Places<'a> {
    /// Directories that relative paths start from, in order of trying; beneath the root.
    pub bases: &'a [&'a Path],
    /// Files that the host passed along (kpt), by path.
    pub in_band: &'a (dyn Fn(&SourcePath) -> Option<Vec<u8>> + Sync),
}

impl<'a> Decryptor<'a> {
    /// A decryptor beneath a root.
    ///
    /// # Errors
    /// `KSOPS_CONCURRENCY_LIMIT` is not a positive number; KSOPS refuses it, too.
    pub fn new(root: &'a Root, keys: &'a dyn KeyService, env: &Environment) -> Result<Self, Record> {
        let concurrency = match env.non_empty("KSOPS_CONCURRENCY_LIMIT") {
            None => limits::CONCURRENCY,
            Some(limit) => limit.parse().map_err(|_| {
                Record::new(Failure::Usage, "KSOPS_CONCURRENCY_LIMIT is not a positive number")
                    .hint("unset KSOPS_CONCURRENCY_LIMIT, or set it to the number of files to decrypt at a time")
            })?,
        };
        Ok(Self { root, keys, concurrency, bytes_read: AtomicUsize::new(0), sources_read: AtomicUsize::new(0) })
    }

    /// What opens master keys.
    pub fn keys(&self) -> &dyn KeyService {
        self.keys
    }

    /// Decrypts each source once.
    ///
    /// # Errors
    /// A record for every source that fails, in the order given.
    pub fn open_all(&self, wanted: &[&SourcePath], places: &Places<'_>) -> Result<Opened, Vec<Record>> {
        self.map_all(wanted, places, &|file, format| sops::decrypt(file, format, self.keys))
    }

    /// Reads each source once and makes something of it; `make` may run in several threads.
    ///
    /// # Errors
    /// A record for every source that fails, in the order given.
    pub fn map_all<T: Send>(
        &self,
        wanted: &[&SourcePath],
        places: &Places<'_>,
        make: &Make<'_, T>,
    ) -> Result<BTreeMap<SourcePath, T>, Vec<Record>> {
        let mut seen = BTreeSet::new();
        let unique: Vec<&SourcePath> = wanted.iter().copied().filter(|source| seen.insert(*source)).collect();
        let total = self.sources_read.fetch_add(unique.len(), Ordering::Relaxed).saturating_add(unique.len());
        if total > limits::SOURCES {
            let message = format!("more than {} sources in one run", limits::SOURCES);
            return Err(vec![Record::new(Failure::Generator, message).hint("split the generator")]);
        }

        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(unique.len()));
        let work = || {
            while let Some((index, source)) = take(&next, &unique) {
                let result = self.open(source, places, make);
                results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, source, result));
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.concurrency.get().min(unique.len()) {
                // Where no further thread can be had, those that run do the work.
                _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });

        let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        results.sort_by_key(|(index, ..)| *index);
        let mut opened = BTreeMap::new();
        let mut failed = Vec::new();
        for (_, source, result) in results {
            match result {
                Ok(value) => _ = opened.insert(source.clone(), value),
                Err(record) => failed.push(record),
            }
        }
        if failed.is_empty() { Ok(opened) } else { Err(failed) }
    }

    fn open<T>(&self, source: &SourcePath, places: &Places<'_>, make: &Make<'_, T>) -> Result<T, Record> {
        let file = self.read(source, places)?;
        let total = self.bytes_read.fetch_add(file.len(), Ordering::Relaxed).saturating_add(file.len());
        if total > limits::DECRYPTED_BYTES {
            let message = format!("the sources of this run have more than {} MiB", limits::DECRYPTED_BYTES >> 20);
            return Err(Record::new(Failure::File, message).about(source.printable()).hint("split the generator"));
        }
        let format = Format::from_path(source.as_str());
        make(&file, format).map_err(|error| records::of_source(source, error))
    }

    fn read(&self, source: &SourcePath, places: &Places<'_>) -> Result<Vec<u8>, Record> {
        if let Some(bytes) = (places.in_band)(source) {
            return Ok(bytes);
        }
        let mut first_error = None;
        for base in places.bases {
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

/// The next source that nobody has taken.
fn take<'a>(next: &AtomicUsize, sources: &[&'a SourcePath]) -> Option<(usize, &'a SourcePath)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    sources.get(index).map(|source| (index, *source))
}

//! Many sources, several at a time, every failure collected.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::narrator::{Narrator, SILENT};
use super::{policy, records};
use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::jail::{FileBytes, JailError, Reason, Root};
use crate::limits;
use crate::path::SourcePath;
use crate::policy::{Authority, Denial};
use crate::secret;
use crate::sops::{self, Attempt, Cleartext, Format, KeyKinds, KeyService, ShareRequest, SopsError};
use crate::workers;

/// Decrypted sources by path.
pub type Opened = BTreeMap<SourcePath, Cleartext>;

/// What decrypts the sources of a run, and what they have used up of its bounds. It keeps to the operator's policy.
pub struct Decryptor<'a> {
    root: &'a Root,
    keys: &'a dyn KeyService,
    authority: Authority,
    concurrency: NonZero<usize>,
    /// Opening keys may wait for key services or programs.
    waits: AtomicBool,
    bytes_read: AtomicUsize,
    sources_read: AtomicUsize,
    narrator: &'a Narrator,
}

/// Makes something of an encrypted file.
pub type Make<'a, T> = dyn Fn(&SourcePath, &[u8], Format) -> Result<T, SopsError> + Sync + 'a;

/// Where the bytes of a generator's sources come from.
pub struct Places<'a> {
    /// Directories that relative paths start from, in order of trying; beneath the root.
    pub bases: &'a [&'a Path],
    /// Files that the host passed along (kpt), by path.
    pub in_band: &'a (dyn Fn(&SourcePath) -> Option<Vec<u8>> + Sync),
    /// What [`Decryptor::look_ahead`] has read already.
    pub ahead: Option<&'a Ahead>,
}

/// Sources that were read before anything took them apart; each is given up once.
#[derive(Default)]
pub struct Ahead(Mutex<BTreeMap<SourcePath, Vec<u8>>>);

impl Ahead {
    fn take(&self, source: &SourcePath) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(source)
    }
}

impl<'a> Decryptor<'a> {
    /// A decryptor beneath a root.
    ///
    /// # Errors
    /// `KSOPS_CONCURRENCY_LIMIT` is not a positive number; KSOPS refuses it, too. A policy that cannot be relied on, or
    /// that has no rule for this application.
    pub fn new(root: &'a Root, keys: &'a dyn KeyService, env: &Environment) -> Result<Self, Record> {
        Self::under(policy::in_force(env), root, keys, env)
    }

    /// A decryptor beneath a root, under a policy that was read before.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn under(
        authority: Result<Authority, Record>,
        root: &'a Root,
        keys: &'a dyn KeyService,
        env: &Environment,
    ) -> Result<Self, Record> {
        let concurrency = match env.non_empty("KSOPS_CONCURRENCY_LIMIT") {
            None => limits::CONCURRENCY,
            Some(limit) => limit.parse().map_err(|_| {
                Record::new(Failure::Usage, "KSOPS_CONCURRENCY_LIMIT is not a positive number")
                    .hint("unset KSOPS_CONCURRENCY_LIMIT, or set it to the number of files to decrypt at a time")
            })?,
        };
        Ok(Self {
            root,
            keys,
            authority: authority?,
            concurrency,
            waits: AtomicBool::new(true),
            bytes_read: AtomicUsize::new(0),
            sources_read: AtomicUsize::new(0),
            narrator: &SILENT,
        })
    }

    /// The same, which says what becomes of each source.
    pub fn narrated(self, narrator: &'a Narrator) -> Self {
        Self { narrator, ..self }
    }

    /// From now on as many sources are decrypted at a time as there are processors: opening their keys waits for nothing.
    pub fn expect_no_waiting(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    /// The root beneath which it reads.
    pub fn root(&self) -> &'a Root {
        self.root
    }

    /// What this run may do.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What opens master keys, under the policy.
    pub fn keys(&self) -> &dyn KeyService {
        self
    }

    /// Reads sources, as far as there is room, and tells which kinds of keys they name. What cannot be read is passed over:
    /// whoever decrypts it says why.
    pub fn look_ahead(&self, wanted: &[&SourcePath], places: &Places<'_>, room: &mut usize) -> (Ahead, KeyKinds) {
        let (mut ahead, mut kinds, mut total) = (BTreeMap::new(), KeyKinds::default(), 0_usize);
        for source in wanted.iter().take(limits::SOURCES) {
            if ahead.contains_key(*source) {
                continue;
            }
            let Ok(bytes) = self.read(source, places) else { continue };
            total = total.saturating_add(bytes.len());
            if total > limits::DECRYPTED_BYTES {
                return (Ahead::default(), KeyKinds::ALL);
            }
            kinds = kinds.and(KeyKinds::of_file(&bytes));
            if let Some(left) = room.checked_sub(bytes.len()) {
                *room = left;
                ahead.insert((*source).clone(), bytes);
            }
        }
        (Ahead(Mutex::new(ahead)), kinds)
    }

    /// Decrypts each source once.
    ///
    /// # Errors
    /// A record for every source that fails, in the order given.
    pub fn open_all(&self, wanted: &[&SourcePath], places: &Places<'_>) -> Result<Opened, Vec<Record>> {
        self.map_all(wanted, places, &|_, file, format| sops::decrypt(file, format, self))
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

        let most = self.concurrency.get().min(unique.len());
        let computes = most > 1 && !self.waits.load(Ordering::Relaxed);
        // One more than there are processors: Linux may put two threads on the same one, and where each runs for a few
        // milliseconds only, nothing parts them.
        let threads = if computes { most.min(workers::processors().saturating_add(1)) } else { most };
        let results = workers::map(threads, &unique, &|source| self.open(source, places, make));
        // Other threads have done so; with this one alone, nobody has.
        secret::wipe_stack();
        let mut opened = BTreeMap::new();
        let mut failed = Vec::new();
        for (source, result) in unique.into_iter().zip(results) {
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
        let start = Instant::now();
        let made = make(source, &file, format).map_err(|error| records::of_source(source, error));
        self.narrator.debug_took(start, || {
            let became = made.as_ref().map_or_else(|refused| refused.message.as_str(), |_| "read");
            format!("{}: {} bytes of {}: {became}", source.printable(), file.len(), format.name())
        });
        made
    }

    fn read(&self, source: &SourcePath, places: &Places<'_>) -> Result<Vec<u8>, Record> {
        if let Some(bytes) = places.ahead.and_then(|ahead| ahead.take(source)).or_else(|| (places.in_band)(source)) {
            return Ok(bytes);
        }
        let mut first_error = None;
        for base in places.bases {
            match self.read_allowed(base, source) {
                Ok(bytes) => return Ok(bytes.into_vec()),
                Err(Refused::File(error)) if error.reason == Reason::Missing => _ = first_error.get_or_insert(error),
                Err(Refused::File(error)) => return Err(records::of_file(error)),
                Err(Refused::Policy(denial)) => {
                    return Err(policy::record(Failure::File, &denial).about(source.printable()));
                }
            }
        }
        Err(match first_error {
            Some(error) => records::of_file(error),
            None => Record::new(Failure::File, "there is no directory to start from").about(source.printable()),
        })
    }
}

/// The keyring under the policy.
impl KeyService for Decryptor<'_> {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        self.authority.guard(self.keys).open(request)
    }
}

/// Why a source was not read.
enum Refused {
    File(JailError),
    Policy(Denial),
}

impl Decryptor<'_> {
    /// Reads a source, if it lies where the policy allows it. What is looked at is the file itself, where links and `..`
    /// lead to; and that very file is opened.
    fn read_allowed(&self, base: &Path, source: &SourcePath) -> Result<FileBytes, Refused> {
        let read =
            |base: &Path, source: &SourcePath| self.root.read(base, source, limits::FILE_BYTES).map_err(Refused::File);
        if !self.authority.restricts_directories() {
            return read(base, source);
        }
        let file = base.join(source.as_str()).canonicalize().ok();
        let file = file.as_deref().and_then(|file| file.strip_prefix(self.root.path()).ok());
        let own = file.and_then(|file| Some((file, SourcePath::parse(file.to_str()?).ok()?)));
        let Some((file, own)) = own else {
            // It does not exist, or lies outside the root: reading says so better.
            read(base, source)?;
            let reason = "the place of this file cannot be told, and the policy restricts directories";
            return Err(Refused::Policy(Denial {
                reason: reason.into(),
                hint: "give the file a name in UTF-8".into(),
            }));
        };
        self.authority.check_path(self.root.path(), file).map_err(Refused::Policy)?;
        read(self.root.path(), &own)
    }
}

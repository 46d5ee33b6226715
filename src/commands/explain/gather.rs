//! Reads files, several at a time, and looks at each; recipients of all files are told apart once.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::report::{FileEntry, Problem};
use super::{access, look};
use crate::commands::narrator::Narrator;
use crate::commands::records;
use crate::deadline::Deadline;
use crate::jail::{self, Root};
use crate::keys::{self, Claim, Claims, Keyring, KnownName};
use crate::limits;
use crate::path::SourcePath;
use crate::recipient::{Names, Recipient, RecipientId};
use crate::sops::{Format, MasterKey, inspect};
use crate::text::Printable;
use crate::walk;
use crate::workers;

/// What was found before recipients have numbers and names.
pub struct Gathered {
    /// Files in order; their groups hold places in `recipients`.
    pub files: Vec<FileEntry>,
    pub recipients: Vec<Known>,
    pub names: Names,
    pub problems: Vec<Problem>,
}

/// A recipient that was met.
pub struct Known {
    pub recipient: Recipient,
    /// What its name is looked up by.
    pub name_key: Option<String>,
    pub claim: Claim,
}

/// What the files are looked at with.
pub struct Gatherer<'a> {
    pub keyring: &'a Keyring<'a>,
    /// Whether files are really opened.
    pub tries: bool,
    pub deadline: Deadline,
    narrator: &'a Narrator,
    claims: Claims<'a>,
    /// What our key files call their keys.
    names: Vec<KnownName>,
    met: Mutex<Met>,
    /// SOPS files found so far.
    found: AtomicUsize,
}

#[derive(Default)]
struct Met {
    places: HashMap<RecipientId, usize>,
    known: Vec<Known>,
}

/// A file to look at.
struct Item {
    shown: String,
    source: Source,
}

enum Source {
    /// Named by the user: whatever is wrong with it is said.
    Named(PathBuf),
    /// Found in a directory: what is no SOPS file is passed over.
    Walked(Arc<Root>, SourcePath),
}

/// What came of a file.
#[derive(Default)]
struct Outcome {
    file: Option<FileEntry>,
    names: Option<Names>,
    problem: Option<Problem>,
}

/// Files whose names say that they list recipients.
const CONFIGURATIONS: [&str; 2] = [".sops.yaml", ".sops.yml"];

/// Largest configuration or public key that names are taken from, in bytes.
const NAMES_BYTES: usize = 1 << 20;

/// Most threads: beyond that the disk decides.
const MOST_THREADS: usize = 8;

impl<'a> Gatherer<'a> {
    pub fn new(keyring: &'a Keyring<'a>, tries: bool, deadline: Deadline, narrator: &'a Narrator) -> Self {
        let (claims, names) = (keyring.claims(), keyring.names());
        Self { keyring, tries, deadline, narrator, claims, names, met: Mutex::default(), found: AtomicUsize::new(0) }
    }

    /// Looks at the files named and those in the directories named.
    pub fn gather(self, paths: &[PathBuf]) -> Gathered {
        let mut names = Names::default();
        let mut problems = Vec::new();
        let mut items = Vec::new();
        for path in paths {
            self.list(path, &mut items, &mut names, &mut problems);
        }
        let most_listed = (limits::LISTED_VALUES / items.len().max(1)).clamp(10, 1000);
        let outcomes = self.look_at_all(&items, most_listed);
        let mut files = Vec::new();
        for outcome in outcomes {
            files.extend(outcome.file);
            problems.extend(outcome.problem);
            if let Some(found) = outcome.names {
                names.extend(found);
            }
        }
        let left_out = self.found.into_inner().saturating_sub(limits::EXPLAINED_FILES);
        if left_out > 0 {
            let message = format!("{left_out} more SOPS files, beyond {}, were left out", limits::EXPLAINED_FILES);
            problems.push(Problem { path: ".".to_owned(), message });
        }
        for known in &self.names {
            names.add(&known.recipient, &known.name, &known.source);
        }
        let met = self.met.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        Gathered { files, recipients: met.known, names, problems }
    }

    fn list(&self, path: &Path, items: &mut Vec<Item>, names: &mut Names, problems: &mut Vec<Problem>) {
        if !path.is_dir() {
            if let Some(folder) = path.parent() {
                read_configurations(folder, names);
            }
            items.push(Item { shown: path.to_string_lossy().into_owned(), source: Source::Named(path.to_owned()) });
            return;
        }
        read_configurations(path, names);
        let root = match Root::with(path) {
            Ok(root) => Arc::new(root),
            Err(error) => {
                problems.push(Problem { path: path.to_string_lossy().into_owned(), message: error.reason.to_string() });
                return;
            }
        };
        let start = Instant::now();
        let listing = walk::files(path);
        let count = listing.files.len();
        self.narrator.took(start, || format!("{}: {count} files listed, as git sees them", walk::printable(path)));
        problems.extend(
            listing.problems.into_iter().map(|(path, why)| Problem { path: path.to_string(), message: why.to_owned() }),
        );
        let base = path.strip_prefix(".").unwrap_or(path);
        for file in listing.files {
            let shown = base.join(&file).to_string_lossy().into_owned();
            match file.to_str().map(SourcePath::parse) {
                Some(Ok(source)) => items.push(Item { shown, source: Source::Walked(Arc::clone(&root), source) }),
                Some(Err(error)) => problems.push(Problem { path: shown, message: error.to_string() }),
                None => {
                    problems.push(Problem { path: shown, message: "its name is not UTF-8: not looked at".to_owned() })
                }
            }
        }
    }

    fn look_at_all(&self, items: &[Item], most_listed: usize) -> Vec<Outcome> {
        let progress = self.narrator.progress("looking at files", items.len());
        workers::map(workers::processors().min(MOST_THREADS), items, &|item| {
            let outcome = if self.deadline.left().is_zero() {
                Outcome::problem(item, "not looked at: the time for the whole run is over".to_owned())
            } else {
                self.look_at(item, most_listed)
            };
            progress.step();
            outcome
        })
    }

    fn look_at(&self, item: &Item, most_listed: usize) -> Outcome {
        let is_named = matches!(item.source, Source::Named(_));
        let read = match &item.source {
            Source::Named(path) => jail::read_argument(path, limits::FILE_BYTES),
            Source::Walked(root, path) => root.read(root.path(), path, limits::FILE_BYTES),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            // No SOPS file is that large, and what was removed since is not there.
            Err(error)
                if !is_named && matches!(error.reason, jail::Reason::Missing | jail::Reason::TooLarge { .. }) =>
            {
                return Outcome::default();
            }
            Err(error) => return Outcome::problem(item, records::of_file(error).message),
        };
        let bytes = bytes.as_slice();
        if let Some(names) = names_in(&item.shown, bytes) {
            return Outcome { names: Some(names), ..Outcome::default() };
        }
        if !is_named && !inspect::may_be_sops(bytes) {
            return Outcome::default();
        }
        let by_name = Format::from_path(&item.shown);
        match inspect::inspect_any(by_name, bytes) {
            Ok(_) if self.found.fetch_add(1, Ordering::Relaxed) >= limits::EXPLAINED_FILES => Outcome::default(),
            Ok(mut inspection) => {
                let groups = inspection.metadata.key_groups.iter().map(|group| self.meet(&group.0)).collect();
                let mut file = look::describe(&item.shown, by_name, &mut inspection, groups, most_listed);
                if self.tries {
                    let start = Instant::now();
                    let opens = access::really_open(&item.shown, bytes, inspection.format, self.keyring);
                    self.narrator.debug_took(start, || {
                        let name = Printable::new(&item.shown);
                        if opens.ok {
                            format!("{name}: opens")
                        } else {
                            format!("{name}: {}", opens.reasons.join("; "))
                        }
                    });
                    file.opens = Some(opens);
                }
                Outcome { file: Some(file), ..Outcome::default() }
            }
            // A text about SOPS files, or something that quotes one.
            Err(_) if !is_named && by_name == Format::Binary => Outcome::default(),
            Err(error) => Outcome::problem(item, error.to_string()),
        }
    }

    /// The places of these keys' recipients.
    fn meet(&self, keys: &[MasterKey]) -> Vec<usize> {
        let mut met = self.met.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut places = BTreeSet::new();
        let mut in_order = Vec::with_capacity(keys.len());
        for key in keys {
            let id = Recipient::id_of(key);
            let place = match met.places.get(&id) {
                Some(place) => *place,
                None => {
                    let place = met.known.len();
                    met.places.insert(id, place);
                    let claim = self.claims.of(key);
                    met.known.push(Known { recipient: Recipient::of(key), name_key: Names::key_of(key), claim });
                    place
                }
            };
            if places.insert(place) {
                in_order.push(place);
            }
        }
        in_order
    }
}

impl Outcome {
    fn problem(item: &Item, message: String) -> Self {
        Self { problem: Some(Problem { path: item.shown.clone(), message }), ..Self::default() }
    }
}

/// What is read where these paths are looked at.
pub fn readable(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut places = paths.to_vec();
    for path in paths {
        if path.is_dir() {
            places.extend(path.canonicalize().iter().flat_map(|directory| walk::beside(directory)));
            places.extend(configurations(path));
        } else {
            places.extend(path.parent().into_iter().flat_map(configurations));
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// The configurations of a folder and of those above it, up to the work tree's, whether they exist or not.
fn configurations(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let work_tree = folder.ancestors().position(|above| above.join(".git").symlink_metadata().is_ok()).unwrap_or(0);
    let folders = folder.ancestors().take(work_tree.saturating_add(1));
    folders.flat_map(|above| CONFIGURATIONS.map(|name| above.join(name))).collect()
}

/// Names in the configurations of a folder and of those above it.
fn read_configurations(folder: &Path, names: &mut Names) {
    for path in configurations(folder) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Ok(bytes) = jail::read_argument(&path, NAMES_BYTES) {
            names.read(&String::from_utf8_lossy(bytes.as_slice()), &name.into());
        }
    }
}

/// Names in a file of a repository that is there for them: a configuration, a list of recipients, a public key.
fn names_in(path: &str, bytes: &[u8]) -> Option<Names> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut names = Names::default();
    if CONFIGURATIONS.contains(&name) || name.ends_with("recipients") || name.ends_with("recipients.txt") {
        let text = bytes.get(..bytes.len().min(NAMES_BYTES)).unwrap_or_default();
        names.read(&String::from_utf8_lossy(text), &Printable::new(path));
        return Some(names);
    }
    let is_public_key = [".asc", ".gpg", ".pub", ".pgp"].iter().any(|suffix| name.ends_with(suffix))
        && bytes.len() <= NAMES_BYTES
        && bytes.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----");
    if !is_public_key {
        return None;
    }
    for (fingerprint, user_id) in keys::pgp_user_ids(bytes) {
        names.add(&fingerprint, &user_id, &Printable::new(path));
    }
    Some(names)
}

//! The encrypted files that re-ordered copies are held against, found by their MAC.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use crate::commands::encrypted::{TOKEN, contains};
use crate::commands::{policy, records};
use crate::error::{Failure, Record};
use crate::jail::Root;
use crate::limits;
use crate::path::SourcePath;
use crate::policy::Authority;
use crate::sops::reordered::Witness;
use crate::sops::{Format, KeyService};

/// Files beneath a root that may be the originals of what is decrypted.
pub struct Sources<'a> {
    root: Option<&'a Root>,
    keys: &'a dyn KeyService,
    authority: &'a Authority,
    /// Relative to the root.
    files: Vec<SourcePath>,
    /// Files by their MAC, as it stands in them.
    by_mac: OnceCell<HashMap<String, Vec<SourcePath>>>,
    opened: RefCell<HashMap<String, Rc<Witness>>>,
}

impl<'a> Sources<'a> {
    /// No files at all: every proof is a MAC.
    pub fn none(keys: &'a dyn KeyService, authority: &'a Authority) -> Self {
        Self { root: None, keys, authority, files: Vec::new(), by_mac: OnceCell::new(), opened: RefCell::default() }
    }

    /// These files. Nothing is read before the first copy is looked up.
    pub fn of(root: &'a Root, keys: &'a dyn KeyService, authority: &'a Authority, files: Vec<SourcePath>) -> Self {
        Self { root: Some(root), keys, authority, files, by_mac: OnceCell::new(), opened: RefCell::default() }
    }

    /// Every file of the root that git would see.
    pub fn below(root: &'a Root, keys: &'a dyn KeyService, authority: &'a Authority) -> Self {
        let files = crate::walk::files(root.path()).files;
        let files = files.iter().filter_map(|file| file.to_str()).filter_map(|file| SourcePath::parse(file).ok());
        Self::of(root, keys, authority, files.collect())
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The file with this MAC, verified; `None` where there is none.
    ///
    /// # Errors
    /// There is one, but it does not open.
    pub fn find(&self, mac: &str) -> Result<Option<Rc<Witness>>, Record> {
        if let Some(witness) = self.opened.borrow().get(mac) {
            return Ok(Some(Rc::clone(witness)));
        }
        let Some(root) = self.root else { return Ok(None) };
        let mut first_error = None;
        // A re-ordered copy may lie beside its original, with the same MAC.
        for path in self.by_mac.get_or_init(|| self.index()).get(mac).into_iter().flatten() {
            if let Err(record) = self.check_place(root, path) {
                first_error.get_or_insert(record);
                continue;
            }
            let bytes = root.read(root.path(), path, limits::FILE_BYTES).map_err(records::of_file)?;
            match Witness::open(bytes.as_slice(), Format::from_path(path.as_str()), self.keys) {
                Ok(witness) => {
                    let witness = Rc::new(witness);
                    self.opened.borrow_mut().insert(mac.to_owned(), Rc::clone(&witness));
                    return Ok(Some(witness));
                }
                Err(error) => _ = first_error.get_or_insert_with(|| records::of_source(path, error)),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Whether the policy allows a file, where it really lies.
    fn check_place(&self, root: &Root, path: &SourcePath) -> Result<(), Record> {
        if !self.authority.restricts_directories() {
            return Ok(());
        }
        let real = root.path().join(path.as_str()).canonicalize().unwrap_or_default();
        let place = real.strip_prefix(root.path()).unwrap_or(Path::new(""));
        self.authority
            .check_path(root.path(), place)
            .map_err(|denial| policy::record(Failure::File, &denial).about(path.printable()))
    }

    /// Takes in a file that came with the copies.
    pub fn add(&self, witness: Witness) {
        self.opened.borrow_mut().insert(witness.mac().to_owned(), Rc::new(witness));
    }

    fn index(&self) -> HashMap<String, Vec<SourcePath>> {
        let mut by_mac = HashMap::<_, Vec<_>>::new();
        let Some(root) = self.root else { return by_mac };
        let mut bytes_left = limits::DECRYPTED_BYTES;
        for path in &self.files {
            // A file that cannot be read, or is none of sops', is no witness; that is all.
            let Ok(bytes) = root.read(root.path(), path, limits::FILE_BYTES) else { continue };
            let Some(left) = bytes_left.checked_sub(bytes.as_slice().len()) else { break };
            bytes_left = left;
            if !contains(bytes.as_slice(), TOKEN.as_bytes()) {
                continue;
            }
            if let Ok(document) = Format::from_path(path.as_str()).load(bytes.as_slice()) {
                by_mac.entry(document.metadata.mac).or_default().push(path.clone());
            }
        }
        by_mac
    }
}

/// The files as paths relative to a root; what does not lie beneath it is left out.
pub fn beneath(root: &Root, base: &Path, files: impl IntoIterator<Item = String>) -> Vec<SourcePath> {
    let base = base.strip_prefix(root.path()).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
    files
        .into_iter()
        .filter_map(|file| crate::kustomization::join(&base, &file))
        .filter_map(|file| SourcePath::parse(&file).ok())
        .collect()
}

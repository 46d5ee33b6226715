//! What kind of application the working directory is, and which files it has.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::commands::records;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::limits;
use crate::path::SourcePath;
use crate::text::Printable;

/// Names of a kustomization file (kustomize `api/konfig/general.go`).
const KUSTOMIZATIONS: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// A Helm chart.
    Chart,
    /// Neither; its YAML and JSON files are the manifests.
    Directory,
    /// A kustomization.
    Kustomization,
}

/// The application in the working directory.
pub struct App<'a> {
    root: &'a Root,
    dir: PathBuf,
    kind: AppKind,
}

impl AppKind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chart => "a Helm chart",
            Self::Directory => "a directory of manifests",
            Self::Kustomization => "a kustomization",
        }
    }
}

impl<'a> App<'a> {
    /// Looks at the names in the working directory.
    ///
    /// # Errors
    /// It cannot be read, or a file that would decide is none.
    pub fn find(root: &'a Root, env: &Environment) -> Result<Self, Record> {
        let dir = env.current_dir().unwrap_or(Path::new("/")).to_owned();
        let listed = root.list(&dir, Path::new("."), limits::APP_ENTRIES).map_err(records::of_file)?;
        let has = |name: &str| match listed.iter().find(|entry| entry.name == OsStr::new(name)) {
            None => Ok(false),
            Some(entry) if entry.is_file => Ok(true),
            Some(_) => Err(Record::new(Failure::File, "not a regular file beneath the root").about(name.into())),
        };
        for name in KUSTOMIZATIONS {
            if has(name)? {
                return Ok(Self { root, dir, kind: AppKind::Kustomization });
            }
        }
        let kind = if has("Chart.yaml")? { AppKind::Chart } else { AppKind::Directory };
        Ok(Self { root, dir, kind })
    }

    /// What it is.
    pub fn kind(&self) -> AppKind {
        self.kind
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its files of manifests, relative to its directory, in the order in which Argo CD reads them (names of a directory
    /// in the order of their bytes). Directories behind links and those whose names begin with a dot are left out.
    ///
    /// # Errors
    /// Too many, too deep, unreadable, or a name that is not UTF-8.
    pub fn manifests(&self, recurse: bool) -> Result<Vec<SourcePath>, Error> {
        let mut found = Vec::new();
        self.collect(Path::new(""), recurse, 0, &mut found)?;
        Ok(found)
    }

    fn collect(&self, below: &Path, recurse: bool, depth: usize, found: &mut Vec<SourcePath>) -> Result<(), Record> {
        if depth > limits::APP_DEPTH {
            let message = format!("more than {} directories under one another", limits::APP_DEPTH);
            return Err(Record::new(Failure::File, message).about(printable(below)));
        }
        let dir = if depth == 0 { Path::new(".") } else { below };
        for entry in self.root.list(&self.dir, dir, limits::APP_ENTRIES).map_err(records::of_file)? {
            let path = below.join(&entry.name);
            let name = entry.name.as_bytes();
            if entry.is_directory {
                if recurse && !entry.is_link && !name.starts_with(b".") {
                    self.collect(&path, recurse, depth.saturating_add(1), found)?;
                }
            } else if [&b".yaml"[..], b".yml", b".json"].iter().any(|suffix| name.ends_with(suffix)) {
                let refuse = |message: &str| Record::new(Failure::File, message).about(printable(&path));
                let text = path.to_str().ok_or_else(|| refuse("the name is not UTF-8"))?;
                found.push(SourcePath::parse(text).map_err(|error| refuse(&error.to_string()))?);
                if found.len() > limits::SOURCES {
                    let message = format!("more than {} manifests in one directory", limits::SOURCES);
                    return Err(Record::new(Failure::File, message).hint("split the Application"));
                }
            }
        }
        Ok(())
    }

    /// Reads one of its files.
    ///
    /// # Errors
    /// As [`Root::read`].
    pub fn read(&self, file: &SourcePath) -> Result<Vec<u8>, Record> {
        self.root.read(&self.dir, file, limits::FILE_BYTES).map(|bytes| bytes.into_vec()).map_err(records::of_file)
    }
}

fn printable(path: &Path) -> Printable {
    Printable::from_bytes(path.as_os_str().as_bytes())
}

//! Remote bases: kustomize has git clone them below its temporary directory, which belongs to this build. Each clone is
//! looked through like the tree itself before kustomize goes on, and its function manifests are rewritten where they
//! stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::plan::{self, Allowed, Plan};
use super::private::PrivateDir;
use super::service::Answered;
use super::shadow;
use crate::commands::records;
use crate::error::{Error, Failure, Record};
use crate::jail::{Lead, Root};
use crate::kustomization::FILE_NAMES;
use crate::path::SourcePath;

/// The clones of a build.
pub(super) struct Clones<'a> {
    private: &'a PrivateDir,
    /// This executable.
    program: &'a Path,
    allowed: Allowed,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What kustomize may clone: repository paths and directories in them.
    remotes: BTreeSet<(String, String)>,
    plans: Vec<Plan>,
}

/// git's note of what it fetched is one line per ref.
const FETCH_HEAD_BYTES: usize = 64 << 10;

impl<'a> Clones<'a> {
    pub(super) fn of(plan: &Plan, private: &'a PrivateDir, program: &'a Path, allowed: Allowed) -> Self {
        let known = Known { remotes: plan.remote_roots().collect(), plans: Vec::new() };
        Self { private, program, allowed, known: Mutex::new(known) }
    }

    /// The clone that a directory lies in.
    pub(super) fn root_of(&self, dir: &Path) -> Option<PathBuf> {
        let tmp = self.private.tmp();
        let first = dir.strip_prefix(&tmp).ok()?.components().next()?;
        Some(tmp.join(first))
    }

    /// Looks through a clone.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub(super) fn look_at(&self, dir: &Path) -> Result<(), Error> {
        if self.root_of(dir).as_deref() != Some(dir) {
            return Err(Record::new(Failure::Internal, "git has cloned to a place that is not kustomize's").into());
        }
        let root = Root::with(dir).map_err(records::of_file)?;
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let url = fetched(&root);
        let has_kustomization =
            |directory: &str| FILE_NAMES.iter().any(|name| root.lead(&format!("{directory}/{name}")) == Lead::File);
        let present: Vec<(String, String)> =
            known.remotes.iter().filter(|(_, directory)| has_kustomization(directory)).cloned().collect();
        let (meant, others): (Vec<_>, Vec<_>) = present
            .into_iter()
            .partition(|(repository, _)| url.contains(repository.trim_end_matches(".git").trim_matches('/')));
        for (remotes, is_meant) in [(meant, true), (others, false)] {
            if remotes.is_empty() {
                continue;
            }
            let directories: BTreeSet<&str> = remotes.iter().map(|(_, directory)| directory.as_str()).collect();
            let plan = Plan::of(plan::walk(&root, directories), &root, self.allowed)?;
            shadow::replace(&root, &shadow::rewrite(&plan.walk, &root)?)?;
            for link in &plan.links {
                self.private.link(self.program, &Path::new("plugins").join(link))?;
            }
            known.remotes.extend(plan.remote_roots());
            known.plans.push(if is_meant { plan } else { plan.without_expectations() });
        }
        Ok(())
    }

    /// As [`Plan::check`], for all clones.
    pub(super) fn check(self, calls: &[(PathBuf, &Answered)]) -> Vec<Record> {
        let known = self.known.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.plans.iter().flat_map(|plan| plan.check(calls)).collect()
    }
}

/// The URL that git fetched last, as far as it says.
fn fetched(root: &Root) -> String {
    SourcePath::parse(".git/FETCH_HEAD")
        .ok()
        .and_then(|path| root.read(root.path(), &path, FETCH_HEAD_BYTES).ok())
        .map(|bytes| String::from_utf8_lossy(bytes.as_slice()).into_owned())
        .unwrap_or_default()
}

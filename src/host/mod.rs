//! What the callers differ in: how kustomize and kpt hand over a generator config, and what they want back.
//!
//! ```text
//! argv ─────────────────────────────▶ Config::read ──────┐
//! stdin ──▶ Input::read ─┬─▶ Manifests ──────────────────┼──▶ Config ──▶ (generator) ──▶ documents ─┐
//!                        └─▶ ResourceList ───────────────┤                                          ▼
//! argv and stdin ───────────▶ Legacy ────────────────────┘                  ResourceList::respond, Legacy::respond
//! ```
//!
//! Everything here is invalid input of the host (exit 3) or an answer to it; what a config means is the generator's
//! business. An answer repeats what is not ours byte for byte, because the callers take it for the whole truth: kustomize
//! deletes what a transformer does not return, kpt deletes its file.

mod annotations;
mod config;
mod embed;
mod error;
mod kpt;
mod legacy;
mod object;
mod outline;
mod resource_list;
mod response;
#[cfg(test)]
mod tests;

use crate::text::Printable;
use crate::yaml;

pub use annotations::{AnnotationPolicy, BEHAVIOR, LOCAL_CONFIG, NEEDS_HASH, NEEDS_HASH_SUFFIX, is_injected};
pub use config::Config;
pub use error::HostError;
pub use legacy::Legacy;
pub use resource_list::{Caller, ResourceList};

/// What stands on stdin when nothing on the command line says what to generate.
pub enum Input {
    /// Generator manifests, one or more documents.
    Manifests(Vec<Config>),
    /// A call of a KRM function.
    ResourceList(ResourceList),
}

/// A finding that does not fail the run, for the `results` of a KRM answer. It never carries a value.
pub struct Warning {
    /// What was found.
    pub message: Printable,
    /// The file it was found in.
    pub file: Option<Printable>,
}

impl Input {
    /// Reads stdin. `is_ours` says whether an apiVersion and kind belong to a generator.
    ///
    /// # Errors
    /// [`HostError`]; [`HostError::UnknownKind`] for a document that is neither a ResourceList nor ours.
    pub fn read(bytes: Vec<u8>, is_ours: &dyn Fn(&str, &str) -> bool) -> Result<Self, HostError> {
        let documents = documents(&bytes)?;
        let is_resource_list = documents.first().is_some_and(|first| resource_list::is_resource_list(&first.root));
        if is_resource_list {
            return ResourceList::from_documents(bytes, documents, is_ours).map(Self::ResourceList);
        }
        if let Some(stranger) = documents.iter().map(|document| object::Object(&document.root)).find(|o| !o.is(is_ours))
        {
            return Err(stranger.unknown_kind());
        }
        Ok(Self::Manifests(documents.into_iter().map(|document| Config::new(document.root, false)).collect()))
    }
}

/// The documents of a text that are not empty, at least one.
fn documents(bytes: &[u8]) -> Result<Vec<yaml::Document>, HostError> {
    // YAML does not allow a tab where a token may begin; as input it is as empty as a blank.
    if bytes.trim_ascii().is_empty() {
        return Err(HostError::Empty);
    }
    let mut documents = yaml::parse(bytes)?;
    documents.retain(|document| !object::is_null(&document.root));
    if documents.is_empty() { Err(HostError::Empty) } else { Ok(documents) }
}

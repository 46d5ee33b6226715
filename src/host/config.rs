//! A generator config, whoever handed it over.

use std::path::Path;

use super::annotations::{LOCAL_CONFIG, is_injected, path, strip};
use super::object::Object;
use super::{HostError, documents};
use crate::yaml::Node;

/// A generator config without what the host wrote into it.
pub struct Config {
    node: Node,
    is_handed_over: bool,
    package_path: Option<String>,
    path: Option<String>,
}

impl Config {
    /// Reads a config file that the command line names: one or more documents, of any kind.
    ///
    /// # Errors
    /// Not YAML, or nothing in it.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, HostError> {
        Ok(documents(bytes)?.into_iter().map(|document| Self::new(document.root, true)).collect())
    }

    pub(super) fn new(mut node: Node, is_handed_over: bool) -> Self {
        let path = path(Object(&node)).map(str::to_owned);
        strip(&mut node, |name| is_injected(name) || name == LOCAL_CONFIG);
        Self { node, is_handed_over, package_path: None, path }
    }

    pub(super) fn in_package(self, package_path: Option<&str>) -> Self {
        Self { package_path: package_path.map(str::to_owned), ..self }
    }

    /// The manifest, positions as in the text it came from. Annotations that a host writes for itself
    /// ([`is_injected`], [`LOCAL_CONFIG`]) are gone.
    pub fn manifest(&self) -> &Node {
        &self.node
    }

    /// Whether the host named this very config (argv, `functionConfig`), so that its kind need not be known.
    pub fn is_handed_over(&self) -> bool {
        self.is_handed_over
    }

    /// The directory at which the config's paths start: kpt's package where kpt names it, else the working directory,
    /// which is the kustomization's directory under kustomize.
    ///
    /// The name of the package comes with the input. It is a place to start at, not a root: what is opened from there
    /// still has to lie beneath the allowed root.
    pub fn base_dir<'a>(&'a self, current_dir: &'a Path) -> &'a Path {
        self.package_path.as_deref().map(Path::new).filter(|path| path.is_absolute()).unwrap_or(current_dir)
    }

    /// kpt's package, `""` where it is not named.
    pub(super) fn package(&self) -> &str {
        self.package_path.as_deref().unwrap_or_default()
    }

    /// The file of the config, relative to its package.
    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub(super) fn set_path(&mut self, path: &str) {
        self.path = Some(path.to_owned());
    }
}

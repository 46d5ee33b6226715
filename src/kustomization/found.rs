//! What a walk through kustomizations asks for, and what it finds.

use super::file::{Field, Kustomization};
use super::plugin::Plugin;
#[cfg(doc)]
use crate::limits;
use crate::text::Printable;
use crate::yaml::{Position, YamlError};

/// What the walker knows of the disk. Paths are relative to the allowed root, clean, and empty for the root itself.
pub trait Files {
    /// What a path leads to; symbolic links are followed beneath the root.
    fn kind(&self, path: &str) -> FileKind;

    /// Reads a file of at most [`limits::MANIFEST_BYTES`].
    ///
    /// # Errors
    /// See [`Unread`].
    fn read(&self, path: &str) -> Result<Vec<u8>, Unread>;
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Nothing.
    Missing,
    /// Somewhere outside of the allowed root.
    Outside,
    /// A device, a loop of links, something that may not be looked at.
    Unusable,
}

/// Why a file was not read: words fit for a message.
#[derive(Clone, Debug)]
pub struct Unread(pub String);

/// What a walk found.
#[derive(Default)]
pub struct Walk {
    /// Every kustomization, in the order in which they are met first (each before those it refers to).
    pub kustomizations: Vec<Visited>,
    /// Every manifest of a plugin, once for each kustomization that runs it, in the order in which kustomize reads them.
    pub plugins: Vec<Plugin>,
    /// What kustomize would fetch.
    pub remotes: Vec<Remote>,
    /// What kustomize would refuse, and what went beyond our bounds.
    pub faults: Vec<Fault>,
}

/// A kustomization and where its entries lead.
pub struct Visited {
    /// Its directory.
    pub directory: String,
    /// Its file.
    pub file: String,
    /// The file's text.
    pub text: Vec<u8>,
    /// Its content.
    pub kustomization: Kustomization,
    /// Where the entries lead that lead somewhere on disk. Entries of plugins are here where they are directories only.
    pub edges: Vec<Edge>,
}

/// Where an entry leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The list.
    pub field: Field,
    /// Which entry of the list, from 0.
    pub index: usize,
    /// The file or directory.
    pub path: String,
    /// The index in [`Walk::kustomizations`], where it is a directory.
    pub kustomization: Option<usize>,
    /// Where the entry stands.
    pub position: Position,
}

/// A remote reference.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The kustomization that names it: an index of [`Walk::kustomizations`].
    pub kustomization: usize,
    /// The list.
    pub field: Field,
    /// The URL.
    pub url: Printable,
    /// Where.
    pub position: Position,
}

/// Something that kustomize would refuse, or that this walk did not follow.
#[derive(Debug)]
pub struct Fault {
    /// The file that it is in.
    pub file: String,
    /// Where; unknown for the file as a whole.
    pub position: Position,
    /// What.
    pub kind: FaultKind,
}

/// What is wrong.
#[derive(Debug)]
pub enum FaultKind {
    /// An absolute path; kustomize refuses it as a directory.
    Absolute(Printable),
    /// The directory is, or contains, one that led here.
    Cycle(Printable),
    /// `components` names a kustomization of another kind.
    ComponentExpected(Printable),
    /// Inline YAML that does not read as objects.
    Inline,
    /// Not YAML.
    Malformed(YamlError),
    /// Nothing is there.
    Missing(Printable),
    /// `resources` names a component.
    NoComponentExpected(Printable),
    /// A directory without a kustomization.
    NoKustomization(Printable),
    /// A directory is needed.
    NotADirectory(Printable),
    /// An element of a plugin's manifest is no object with a kind.
    NotAnObject,
    /// It leads out of the allowed root.
    Outside(Printable),
    /// More kustomizations under one another than [`limits::KUSTOMIZATION_DEPTH`].
    TooDeep,
    /// More than [`limits::KUSTOMIZATIONS`], [`limits::PLUGIN_MANIFESTS`], [`limits::WALK_BYTES`], [`limits::WALK_NODES`],
    /// [`limits::WALK_LOOKS`] or [`limits::WALK_STEPS`], and nothing further was looked at; or more than [`limits::PLUGIN_MANIFESTS_OF_ONE`].
    TooMuch,
    /// Two kustomization files in one directory.
    TwoFiles,
    /// A file that cannot be read, and why.
    Unreadable(Printable, String),
}

impl Walk {
    /// The kustomization whose directory this is.
    pub fn at(&self, directory: &str) -> Option<usize> {
        self.kustomizations.iter().position(|visited| visited.directory == directory)
    }

    /// The manifests of kinds of ours.
    pub fn ours(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().filter(|plugin| plugin.is_ours())
    }

    /// Manifests that run a program or container which is not ours: what `--enable-exec` lets in.
    pub fn foreign_functions(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().filter(|plugin| !plugin.is_ours() && plugin.engine.is_function())
    }
}

//! Kustomizations as kustomize reads them, and the way through them: which generators run where, what they name, and what
//! comes from elsewhere. Nothing here opens a file or decrypts: the walker asks [`Files`].
//!
//! [`Kustomization::parse`] reads one file. [`walk()`] starts at directories and goes through `resources`, `bases` and
//! `components`, and through the directories that `generators`, `transformers` and `validators` may be; it gives
//! every [`Plugin`] (a generator manifest of ours, or a foreign function), every remote reference (never fetched), and
//! everything that kustomize would refuse, with its place.
//!
//! Paths are relative to the allowed root, with `/`, cleaned as kustomize cleans them (`a/../b` is `b`, whatever `a`
//! is); the root itself is the empty path. What they mean on disk is decided where they are opened (`jail`).
//!
//! Source: kustomize v5.8.1, `api/types/kustomization.go`, `api/internal/target/kusttarget.go`,
//! `api/internal/loader/fileloader.go`, `kyaml/fn/runtime/runtimeutil/functiontypes.go`.

mod file;
mod found;
mod place;
mod plugin;
mod remote;
#[cfg(test)]
mod tests;
mod walk;

pub use crate::yaml::fields::{entries, field, text, text_node};
pub use file::{Entry, FILE_NAMES, Field, Kustomization, Patch, Sources, UnknownField, WrongType};
pub use found::{Edge, Fault, FaultKind, FileKind, Files, Remote, Unread, Visited, Walk};
pub use place::{clean, join, parent};
pub use plugin::{Engine, Named, Plugin, PluginKind, PluginPlace, Role};
pub use remote::{is_remote_file, is_remote_root, split_remote_root};
pub use walk::walk;

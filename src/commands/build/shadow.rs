//! A private copy of kustomizations whose generator manifests are written for the exec function.
//!
//! kustomize passes over such a manifest without a word unless it may run any program of the repository. In the copy, the
//! manifests of our kinds have lost the annotation, and kustomize takes the legacy plugin, which is this executable. The
//! copy holds what the repository holds (hard links where the file system can), nothing decrypted.
//!
//! Directories keep their places towards each other. Only those of kustomizations are copied: kustomize opens nothing
//! outside of them, but with `LoadRestrictionsNone`, for which links to everything beside them are added.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::plan;
use super::private::PrivateDir;
use crate::error::{Failure, Record};
use crate::jail::Root;
use crate::kustomization::{Field, Plugin, Walk, parent};
use crate::limits;
use crate::path::SourcePath;
use crate::text::Printable;
use crate::yaml::writer::write_like_sops;
use crate::yaml::{self, Document, Kind, Node, Position, ScalarStyle};

/// Indentation of what is written anew.
const INDENT: usize = 2;

/// Files that differ in the copy: their paths beneath the root, and their texts.
pub(super) type Rewritten = BTreeMap<PathBuf, String>;

/// The files that hold manifests of ours with a function annotation, without it.
///
/// # Errors
/// A file cannot be read, or has changed since it was walked through.
pub(super) fn rewrite(walk: &Walk, root: &Root) -> Result<Rewritten, Record> {
    let mut by_file: BTreeMap<&str, Vec<&Plugin>> = BTreeMap::new();
    for plugin in plan::functions(walk) {
        by_file.entry(&plugin.place.file).or_default().push(plugin);
    }
    let mut rewritten = Rewritten::new();
    for (file, plugins) in by_file {
        let refuse = |what: &str| Record::new(Failure::File, what).about(Printable::new(file));
        let path = SourcePath::parse(file).map_err(|error| refuse(&error.to_string()))?;
        let text = root.read(root.path(), &path, limits::MANIFEST_BYTES).map_err(super::records::of_file)?;
        let mut documents = yaml::parse(text.as_slice()).map_err(|error| refuse(&error.to_string()))?;
        let (inline, whole): (Vec<&Plugin>, Vec<&Plugin>) =
            plugins.into_iter().partition(|plugin| plugin.place.is_inline());
        let mut is_done = whole.into_iter().all(|plugin| strip_at(&mut documents, plugin));
        let mut by_entry: BTreeMap<(u32, u32), Vec<&Plugin>> = BTreeMap::new();
        for plugin in inline {
            // The beginning of the text is the place of its list entry.
            let Position { line, column } = plugin.place.position(Position::default());
            by_entry.entry((line, column)).or_default().push(plugin);
        }
        for ((line, column), plugins) in by_entry {
            let entry = Position { line, column };
            is_done &= documents.iter_mut().any(|document| strip_inline(&mut document.root, entry, &plugins));
        }
        if !is_done {
            return Err(refuse("changed while it was read"));
        }
        rewritten.insert(PathBuf::from(file), write_like_sops(&documents, INDENT));
    }
    Ok(rewritten)
}

/// Removes the annotation of a manifest: of a document, or of an element of a list.
fn strip_at(documents: &mut [Document], plugin: &Plugin) -> bool {
    documents
        .get_mut(plugin.place.document)
        .is_some_and(|document| strip_node(&mut document.root, plugin.node.position))
}

fn strip_node(node: &mut Node, position: Position) -> bool {
    if node.position == position {
        strip(node);
        return true;
    }
    let Kind::Mapping(fields, _) = &mut node.kind else { return false };
    fields.iter_mut().filter(|(key, _)| is_text(key, "items")).any(|(_, items)| match &mut items.kind {
        Kind::Sequence(items, _) => items.iter_mut().any(|item| strip_node(item, position)),
        _ => false,
    })
}

/// Rewrites the inline manifests that begin here.
fn strip_inline(kustomization: &mut Node, entry: Position, plugins: &[&Plugin]) -> bool {
    let Kind::Mapping(fields, _) = &mut kustomization.kind else { return false };
    let lists = fields.iter_mut().filter(|(key, _)| match &key.kind {
        Kind::Scalar(name, _) => {
            Field::ALL.iter().any(|field| field.is_plugins() && field.as_str().eq_ignore_ascii_case(name))
        }
        _ => false,
    });
    for (_, list) in lists {
        let Kind::Sequence(items, _) = &mut list.kind else { continue };
        let Some(item) = items.iter_mut().find(|item| item.position == entry) else { continue };
        let Kind::Scalar(text, style) = &mut item.kind else { return false };
        let Ok(mut documents) = yaml::parse(text.as_bytes()) else { return false };
        documents.retain(|document| !is_null(&document.root));
        let is_done = plugins.iter().all(|plugin| strip_at(&mut documents, plugin));
        *text = write_like_sops(&documents, INDENT);
        *style = ScalarStyle::Literal;
        return is_done;
    }
    false
}

/// Removes what makes a manifest a function.
fn strip(manifest: &mut Node) {
    const FUNCTION: [&str; 3] =
        ["config.kubernetes.io/function", "config.k8s.io/function", "config.kubernetes.io/container"];
    let Kind::Mapping(fields, _) = &mut manifest.kind else { return };
    for (_, metadata) in fields.iter_mut().filter(|(key, _)| is_text(key, "metadata")) {
        let Kind::Mapping(of_metadata, _) = &mut metadata.kind else { continue };
        of_metadata.retain(|(key, _)| !is_text(key, "configFn"));
        for (_, annotations) in of_metadata.iter_mut().filter(|(key, _)| is_text(key, "annotations")) {
            if let Kind::Mapping(entries, _) = &mut annotations.kind {
                entries.retain(|(key, _)| !FUNCTION.iter().any(|name| is_text(key, name)));
            }
        }
        of_metadata.retain(|(key, value)| {
            !(is_text(key, "annotations") && matches!(&value.kind, Kind::Mapping(left, _) if left.is_empty()))
        });
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(text, ScalarStyle::Plain) if matches!(text.as_str(), "" | "~" | "null"))
}

fn is_text(node: &Node, wanted: &str) -> bool {
    matches!(&node.kind, Kind::Scalar(text, _) if text == wanted)
}

/// Puts rewritten files in place, in a tree that belongs to this build alone.
///
/// # Errors
/// It cannot be written.
pub(super) fn replace(root: &Root, rewritten: &Rewritten) -> Result<(), Record> {
    for (path, text) in rewritten {
        let place = root.path().join(path);
        // A link is replaced, not followed.
        fs::remove_file(&place).and_then(|()| write_new(&place, text)).map_err(|error| refuse(path, &error))?;
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Copies the kustomizations of a walk to `place` of the private directory.
///
/// # Errors
/// More than [`limits::SHADOW_FILES`] files; something cannot be read or written.
pub(super) fn copy(
    walk: &Walk,
    root: &Root,
    rewritten: &Rewritten,
    links_everything: bool,
    private: &PrivateDir,
    place: &Path,
) -> Result<(), Record> {
    let mut directories: BTreeSet<PathBuf> =
        walk.kustomizations.iter().map(|visited| PathBuf::from(&visited.directory)).collect();
    directories.extend(rewritten.keys().filter_map(|file| file.to_str()).map(|file| PathBuf::from(parent(file))));
    let mut copier = Copier {
        from: root.path(),
        to: private.path().join(place),
        rewritten,
        left: limits::SHADOW_FILES,
        bytes_left: limits::SHADOW_BYTES,
        links: true,
    };
    let mut copied: Vec<&PathBuf> = Vec::new();
    for directory in &directories {
        // Sorted: what holds a directory comes before it.
        if copied.iter().any(|outer| directory.starts_with(outer)) {
            continue;
        }
        copier
            .make_dir(directory)
            .and_then(|()| copier.directory(directory))
            .map_err(|error| refuse(directory, &error))?;
        copied.push(directory);
    }
    if links_everything {
        for directory in copied {
            for outer in directory.ancestors().skip(1) {
                copier.link_rest(outer).map_err(|error| refuse(outer, &error))?;
            }
        }
    }
    Ok(())
}

fn refuse(directory: &Path, error: &io::Error) -> Record {
    let about = Printable::from_bytes(directory.as_os_str().as_encoded_bytes());
    match error.kind() {
        ErrorKind::QuotaExceeded => {
            let message = format!(
                "more than {} files or {} MiB in directories of kustomizations",
                limits::SHADOW_FILES,
                limits::SHADOW_BYTES >> 20
            );
            Record::new(Failure::Generator, message)
                .about(about)
                .hint("take the annotation config.kubernetes.io/function out of the generators, then nothing is copied")
        }
        kind => Record::new(Failure::File, format!("the kustomizations cannot be copied ({kind})")).about(about),
    }
}

struct Copier<'a> {
    from: &'a Path,
    to: PathBuf,
    rewritten: &'a Rewritten,
    /// Entries that may still be made.
    left: usize,
    /// Bytes that may still be copied.
    bytes_left: u64,
    /// Hard links have not failed yet.
    links: bool,
}

impl Copier<'_> {
    fn make_dir(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(self.to.join(directory))
    }

    fn count(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(ErrorKind::QuotaExceeded)?;
        Ok(())
    }

    /// Copies what is in a directory that exists in the copy.
    fn directory(&mut self, start: &Path) -> io::Result<()> {
        let mut waiting = vec![start.to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(self.from.join(&directory))? {
                let entry = entry?;
                let name = entry.file_name();
                if name == ".git" {
                    continue;
                }
                self.count()?;
                let path = directory.join(name);
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    match fs::create_dir(self.to.join(&path)) {
                        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                        _ => waiting.push(path),
                    }
                } else if let Some(text) = self.rewritten.get(&path) {
                    write_new(&self.to.join(&path), text)?;
                } else if kind.is_file() {
                    self.file(&path)?;
                } else if kind.is_symlink() {
                    symlink(fs::read_link(self.from.join(&path))?, self.to.join(&path))?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        if self.links && fs::hard_link(&from, &to).is_ok() {
            return Ok(());
        }
        self.links = false;
        let size = fs::symlink_metadata(&from)?.len();
        if size > limits::FILE_BYTES as u64 {
            // No manifest, and nothing that kustomize could make an object of. It does not follow the link.
            return symlink(&from, &to);
        }
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or(ErrorKind::QuotaExceeded)?;
        match fs::copy(&from, &to) {
            // kustomize may never look at it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Links to whatever a directory has that the copy has not.
    fn link_rest(&mut self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.from.join(directory))? {
            let path = directory.join(entry?.file_name());
            self.count()?;
            match symlink(self.from.join(&path), self.to.join(&path)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

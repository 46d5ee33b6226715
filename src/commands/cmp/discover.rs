//! `unsops cmp discover`: whether the working directory is one for us. Cheap, bounded, and never a failure: Argo CD takes
//! a failure for "some other tool" and may then render without the Secrets.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::commands::tree::Tree;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::generator::Generator;
use crate::jail::Root;
use crate::kustomization;
use crate::limits;
use crate::path::SourcePath;
use crate::process::Output;
use crate::secret::Secret;
use crate::sops::Format;
use crate::text::Printable;
use crate::yaml::{self, Kind, Node};

/// Groups of the generators that we carry out; a manifest of another text need not be parsed.
const GROUPS: &[&[u8]] = &[b"viaduct.ai/", b"goabout.com/", b"unsops.dev/"];

/// One line if there is anything for us, else nothing.
pub fn discover(env: &Environment, deadline: Deadline) -> Output {
    let line = find(env, deadline).map(|path| format!("unsops: {path}\n")).unwrap_or_default();
    Output::new(Secret::new(line.into_bytes()))
}

/// A generator or SOPS file of the application, relative to the root.
fn find(env: &Environment, deadline: Deadline) -> Option<Printable> {
    let root = Root::discover(env).ok()?;
    let dir = env.current_dir()?;
    let below = dir.strip_prefix(root.path()).ok()?;
    generator_of_kustomizations(&root, below.to_str()?)
        .or_else(|| Some(Printable::from_bytes(below.join(first_file(&root, dir, deadline)?).as_os_str().as_bytes())))
}

/// The first generator that kustomize would run, in whatever base it stands.
fn generator_of_kustomizations(root: &Root, directory: &str) -> Option<Printable> {
    let walk = kustomization::walk(&Tree::new(root), [directory]);
    walk.ours().next().map(|plugin| Printable::new(&plugin.place.file))
}

/// The first generator or SOPS file at or below the working directory, nearest directories first.
fn first_file(root: &Root, dir: &Path, deadline: Deadline) -> Option<PathBuf> {
    let mut directories = VecDeque::from([(PathBuf::new(), 0_usize)]);
    let (mut files_left, mut bytes_left) = (limits::DISCOVER_FILES, limits::DISCOVER_BYTES);
    while let Some((below, depth)) = directories.pop_front() {
        let listed = root.list(dir, or_dot(&below), limits::APP_ENTRIES).unwrap_or_default();
        for entry in listed {
            let path = below.join(&entry.name);
            if entry.is_directory
                && !entry.is_link
                && depth < limits::APP_DEPTH
                && !entry.name.as_bytes().starts_with(b".")
            {
                directories.push_back((path, depth.saturating_add(1)));
                continue;
            }
            let Some(path) = path.to_str().and_then(|path| SourcePath::parse(path).ok()).filter(|_| entry.is_file)
            else {
                continue;
            };
            files_left = files_left.checked_sub(1).filter(|_| !deadline.left().is_zero())?;
            // One that is too large for a manifest is no reason to stop.
            let Ok(bytes) = root.read(dir, &path, limits::DISCOVER_FILE_BYTES) else { continue };
            bytes_left = bytes_left.checked_sub(bytes.as_slice().len())?;
            if is_ours(&path, bytes.as_slice()) {
                return Some(path.as_str().into());
            }
        }
    }
    None
}

fn or_dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Whether a file is encrypted, or a generator manifest of ours.
fn is_ours(path: &SourcePath, bytes: &[u8]) -> bool {
    let format = Format::from_path(path.as_str());
    let may_be_encrypted = contains(bytes, b"ENC[AES256_GCM,") && contains(bytes, b"sops");
    if may_be_encrypted && format.load(bytes).is_ok() {
        return true;
    }
    let is_manifest = matches!(format, Format::Yaml | Format::Json);
    is_manifest
        && GROUPS.iter().any(|group| contains(bytes, group))
        && yaml::parse(bytes).is_ok_and(|documents| documents.iter().any(|document| is_generator(&document.root)))
}

fn is_generator(object: &Node) -> bool {
    let text = |name: &str| {
        let Kind::Mapping(pairs, _) = &object.kind else { return "" };
        let value = pairs.iter().find(|(key, _)| matches!(&key.kind, Kind::Scalar(text, _) if text == name));
        match value.map(|(_, value)| &value.kind) {
            Some(Kind::Scalar(text, _)) => text.as_str(),
            _ => "",
        }
    };
    Generator::is_known(text("apiVersion"), text("kind")) || text("apiVersion").starts_with("unsops.dev/")
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

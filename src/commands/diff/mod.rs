//! `unsops diff`: what changed between two states of encrypted files or of Secrets.

mod files;
mod git;
mod objects;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use self::files::Comparer;
use self::git::{Changed, Git};
use self::objects::{Live, compare_secrets, secrets};
use super::build::{self, Request};
use super::confine::{self, Confinement};
use super::decrypt::Decryptor;
use super::narrator::Narrator;
use super::render::{Input, Parts, Revealed};
use super::{policy, records};
use crate::cli::{DiffArgs, DiffForm};
use crate::color::Paint;
use crate::deadline::Deadline;
use crate::diff::{DigestKey, FileDiff, Tone, to_json, to_text};
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::jail::{self, Root};
use crate::keys::{KeyPolicy, Keyring};
use crate::limits;
use crate::path::SourcePath;
use crate::process::{self, Output};
use crate::sandbox::Extent;
use crate::secret::Secret;
use crate::sops::data_key::display_name;
use crate::sops::inspect::{inspect, may_be_sops};
use crate::sops::{Format, KeyKinds, Redacted, store};
use crate::text::Printable;
use crate::walk;
use crate::yaml::{self, Node};

/// Compares.
///
/// # Errors
/// A side cannot be read.
pub fn diff(args: &DiffArgs, env: &Environment, deadline: Deadline) -> Result<Output, Error> {
    if args.textconv {
        return textconv(args, env);
    }
    let policy = KeyPolicy { allow_exec: true, terminal: false, deadline: Some(deadline.instant()) };
    let keyring = match args.keyless {
        true => None,
        false => Some(Keyring::from_environment(env, policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?),
    };
    let narrator = Narrator::of(args.more, args.quiet, env);
    match &keyring {
        Some(keyring) => narrator.keys(|| keyring.describe()),
        None => narrator.info(|| "keys: none is used".to_owned()),
    }
    let comparer = Comparer { keys: keyring.as_ref(), digests: digest_key()?, narrator: &narrator };
    let run = Run { args, env, deadline, policy, comparer: &comparer, narrator: &narrator };
    let start = Instant::now();
    let is_driver = env.var_os("GIT_DIFF_PATH_COUNTER").is_some();
    let (diffs, is_driver) = match (args.sides.as_slice(), args.paths.is_empty()) {
        ([path, old, _, _, new, _, _], true) | ([path, old, _, _, new, _, _, _, _], true) if is_driver => {
            (run.driver(path, old, new)?, true)
        }
        // An unmerged path.
        ([path], true) if is_driver => {
            let text = format!("{}: unmerged\n", Printable::from_bytes(path.as_bytes()));
            return Ok(Output::new(Secret::new(text.into_bytes())));
        }
        ([before, after], true) if is_file(before) && is_file(after) => (run.files(before, after)?, false),
        ([_] | [_, _], _) => (run.revisions()?, false),
        _ => {
            return Err(Record::new(Failure::Usage, "two sides are compared")
                .hint("unsops diff OLD NEW, with two files or two git revisions; `unsops diff --help` says more")
                .into());
        }
    };
    narrator.took(start, || {
        let count = diffs.iter().filter(|diff| !diff.is_empty()).count();
        format!("SOPS files or Secrets compared: {}, with differences: {count}", diffs.len())
    });
    Ok(run.report(&diffs, is_driver))
}

/// No place at all: what is compared was read before.
const NOTHING: &[&Path] = &[];

/// The kinds of keys that files name.
fn kinds<'c>(contents: impl Iterator<Item = &'c [u8]>) -> KeyKinds {
    contents.fold(KeyKinds::default(), |kinds, content| kinds.and(KeyKinds::of_file(content)))
}

/// Whether a side is a file, a directory or standard input, and no revision.
fn is_file(side: &OsStr) -> bool {
    side == "-" || Path::new(side).exists()
}

fn digest_key() -> Result<DigestKey, Record> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
            .map_err(|_| Record::new(Failure::Internal, "the kernel gives no random bytes"))?;
    }
    Ok(DigestKey::new(bytes))
}

struct Run<'a> {
    args: &'a DiffArgs,
    env: &'a Environment,
    deadline: Deadline,
    policy: KeyPolicy,
    comparer: &'a Comparer<'a>,
    narrator: &'a Narrator,
}

impl Run<'_> {
    fn report(&self, diffs: &[FileDiff], is_driver: bool) -> Output {
        let has_differences = diffs.iter().any(|diff| !diff.is_empty());
        let text = match self.args.output {
            _ if self.args.quiet => String::new(),
            DiffForm::Json => to_json(diffs),
            DiffForm::Text => {
                let paint = self.args.color.color.paint(self.env, process::stdout_is_terminal());
                to_text(diffs, &|tone, text| painted(paint, tone, text))
            }
        };
        let bytes = Secret::new(text.into_bytes());
        // git takes any other exit code of a driver for a failure.
        if has_differences && !is_driver { Output::findings(bytes) } else { Output::new(bytes) }
    }

    /// The two states that git hands to a diff driver; `/dev/null` for one that does not exist.
    fn driver(&self, path: &OsStr, old: &OsStr, new: &OsStr) -> Result<Vec<FileDiff>, Error> {
        let read = |file: &OsStr| match file == "/dev/null" {
            true => Ok(None),
            false => read_file(Path::new(file)).map(Some),
        };
        let (before, after) = (read(old)?, read(new)?);
        self.confine([before.as_deref(), after.as_deref()])?;
        let name = path.to_string_lossy();
        let diff = self.comparer.files(&name, before.as_deref(), after.as_deref());
        Ok(vec![diff.unwrap_or_else(|| {
            let reason = "not encrypted by sops on either side; see it with git diff --no-ext-diff";
            FileDiff::new(Printable::new(&name), crate::diff::Status::Unreadable(reason.into()))
        })])
    }

    /// Two files: of sops, or whatever holds Secrets.
    fn files(&self, before: &OsStr, after: &OsStr) -> Result<Vec<FileDiff>, Error> {
        if before == "-" && after == "-" {
            return Err(Record::new(Failure::Usage, "only one side can be standard input").into());
        }
        let (old_path, new_path) = (Path::new(before), Path::new(after));
        if old_path.is_file() && new_path.is_file() {
            let (old, new) = (read_file(old_path)?, read_file(new_path)?);
            if [&old, &new].iter().all(|content| may_be_sops(content)) {
                self.confine([Some(&old), Some(&new)])?;
                let name = new_path.to_string_lossy();
                return Ok(self.comparer.files(&name, Some(&old), Some(&new)).into_iter().collect());
            }
        }
        let live = match (before == "-", after == "-") {
            (true, _) => Live::Before,
            (_, true) => Live::After,
            _ => Live::Neither,
        };
        let (before, after) = (self.objects(before)?, self.objects(after)?);
        Ok(compare_secrets(secrets(before), secrets(after), live, &self.comparer.digests))
    }

    /// The objects of a side, in plaintext: a directory is built, generators and encrypted manifests are decrypted.
    fn objects(&self, side: &OsStr) -> Result<Vec<Node>, Error> {
        let path = Path::new(side);
        if path.is_dir() {
            let request = Request {
                dir: path.to_owned(),
                kustomize: self.args.kustomize.clone(),
                root: None,
                allow_exec: false,
                allow_remote: false,
                keys: self.policy,
                variables: Vec::new(),
                flags: Vec::new(),
            };
            let manifests = build::build(&request, self.env, self.deadline, self.narrator)?.into_bytes();
            let documents = confine::aside(self.env, NOTHING, || yaml::parse(manifests.expose()))
                .map_err(|error| Record::new(Failure::Generator, format!("kustomize's output: {error}")))?;
            return Ok(documents.into_iter().map(|document| document.root).collect());
        }
        let target = Some(path).filter(|path| *path != Path::new("-"));
        let bytes = Input::bytes(target, self.deadline)?;
        let root = Root::discover(self.env);
        let keyring =
            Keyring::from_environment(self.env, self.policy).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
        let authority = policy::in_force(self.env);
        // The other side may be a directory, which is built: the process itself gives up nothing.
        let mut confinement = Confinement::new(self.env, &keyring, authority.as_ref().ok(), Extent::Thread)?;
        confinement.keep(root.as_ref().ok().map(Root::path));
        confinement.aside(KeyKinds::ALL, || {
            let input = Input::from(target, bytes, self.env)?;
            let root = root.map_err(records::of_file)?;
            let decryptor = Decryptor::under(authority, &root, &keyring, self.env)?.narrated(self.narrator);
            let parts = Parts::of(input, &decryptor, self.env.current_dir())?;
            let mut objects = Vec::new();
            for revealed in parts.open()? {
                match revealed {
                    Revealed::Pieces(pieces) => {
                        let resources = pieces.iter().flat_map(|piece| &piece.resources);
                        objects.extend(resources.map(|resource| resource.object().clone()));
                    }
                    Revealed::Plain(node) => objects.push(node.clone()),
                }
            }
            Ok(objects)
        })
    }

    /// Gives up what comparing these contents does not need.
    fn confine(&self, contents: [Option<&[u8]>; 2]) -> Result<(), Record> {
        let Some(keyring) = self.comparer.keys else { return confine::whole(self.env, NOTHING) };
        let mut confinement = Confinement::without_policy(self.env, keyring, Extent::Process)?;
        confinement.enter(kinds(contents.into_iter().flatten()));
        Ok(())
    }

    /// Compares contents from git on a thread that gives up what they do not need, since git is asked again afterwards.
    fn compare_aside(
        &self,
        kinds: KeyKinds,
        readable: &[&Path],
        compare: impl FnOnce() -> Vec<FileDiff> + Send,
    ) -> Result<Vec<FileDiff>, Record> {
        let Some(keyring) = self.comparer.keys else { return Ok(confine::aside(self.env, readable, compare)) };
        let mut confinement = Confinement::without_policy(self.env, keyring, Extent::Thread)?;
        confinement.keep(readable.iter().copied());
        Ok(confinement.aside(kinds, compare))
    }

    /// Two revisions, or one and the working tree.
    fn revisions(&self) -> Result<Vec<FileDiff>, Error> {
        let git = Git::new(self.env, self.deadline)?;
        let paths = &self.args.paths;
        let (before, after) = match self.args.sides.as_slice() {
            [range] => match split_range(range) {
                Some((old, new, true)) => (git.merge_base(&old, &new)?, Some(new)),
                Some((old, new, false)) => (old, Some(new)),
                None => (range.clone(), None),
            },
            [before, after, ..] => (before.clone(), Some(after.clone())),
            [] => return Ok(Vec::new()),
        };
        let before = git.tree(&before)?;
        self.narrator.info(|| format!("git: before is tree {}", before.as_str()));
        let mut diffs = Vec::new();
        match after {
            Some(after) => {
                let after = git.tree(&after)?;
                let changed = git.changed(&before, &after, paths)?;
                self.narrator
                    .info(|| format!("git: after is tree {}; {} files changed", after.as_str(), changed.len()));
                let progress = self.narrator.progress("comparing files", changed.len());
                for chunk in changed.chunks(limits::GIT_FILES) {
                    let ids: Vec<_> = chunk.iter().flat_map(|file| [&file.before, &file.after]).flatten().collect();
                    let contents = git.contents(&ids)?;
                    let kinds = kinds(contents.iter().flatten().map(Vec::as_slice));
                    diffs.extend(self.compare_aside(kinds, NOTHING, || {
                        let mut contents = contents.iter();
                        let mut next =
                            |id: &Option<git::ObjectId>| id.as_ref().and_then(|_| contents.next()?.as_deref());
                        let compare = |file: &Changed| {
                            let (old, new) = (next(&file.before), next(&file.after));
                            progress.step();
                            self.comparer.files(&file.name(), old, new)
                        };
                        chunk.iter().filter_map(compare).collect()
                    })?);
                }
            }
            None => {
                let root = Root::with(&git.top()?).map_err(records::of_file)?;
                let listed = git.listed(&before, paths)?;
                self.narrator.info(|| {
                    format!("git: after is the working tree {}; {} files", walk::printable(root.path()), listed.len())
                });
                let progress = self.narrator.progress("comparing files", listed.len());
                for chunk in listed.chunks(limits::GIT_FILES) {
                    let ids: Vec<_> = chunk.iter().filter_map(|file| file.before.as_ref()).collect();
                    let contents = git.contents(&ids)?;
                    let kinds = chunk
                        .iter()
                        .filter_map(|file| work_tree_file(&root, file))
                        .fold(kinds(contents.iter().flatten().map(Vec::as_slice)), |named, new| {
                            named.and(KeyKinds::of_file(&new))
                        });
                    diffs.extend(self.compare_aside(kinds, &[root.path()], || {
                        let mut contents = contents.iter();
                        let compare = |file: &Changed| {
                            let old = file.before.as_ref().and_then(|_| contents.next()?.as_deref());
                            let new = work_tree_file(&root, file);
                            progress.step();
                            if old == new.as_deref() {
                                None
                            } else {
                                self.comparer.files(&file.name(), old, new.as_deref())
                            }
                        };
                        chunk.iter().filter_map(compare).collect()
                    })?);
                }
            }
        }
        Ok(diffs)
    }
}

impl Changed {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// `A..B`, and whether it is `A...B`; an empty side is HEAD.
fn split_range(range: &OsStr) -> Option<(OsString, OsString, bool)> {
    let bytes = range.as_bytes();
    let at = bytes.windows(2).position(|pair| pair == b"..")?;
    let (old, rest) = bytes.split_at(at);
    let (new, is_symmetric) = match rest.strip_prefix(b"...") {
        Some(new) => (new, true),
        None => (rest.strip_prefix(b"..")?, false),
    };
    let side = |bytes: &[u8]| if bytes.is_empty() { "HEAD".into() } else { OsStr::from_bytes(bytes).to_owned() };
    Some((side(old), side(new), is_symmetric))
}

/// A file of the working tree; what is not a regular file beneath its top counts as missing.
fn work_tree_file(root: &Root, file: &Changed) -> Option<Vec<u8>> {
    let source = SourcePath::parse(std::str::from_utf8(&file.path).ok()?).ok()?;
    root.read(root.path(), &source, limits::FILE_BYTES).ok().map(jail::FileBytes::into_vec)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Record> {
    jail::read_argument(path, limits::FILE_BYTES).map(jail::FileBytes::into_vec).map_err(records::of_file)
}

/// A file with placeholders, and its metadata in comments before. What is no SOPS file is printed as it is, since git
/// would print it.
fn textconv(args: &DiffArgs, env: &Environment) -> Result<Output, Error> {
    let [path] = args.sides.as_slice() else {
        return Err(Record::new(Failure::Usage, "--textconv takes one file").into());
    };
    let content = read_file(Path::new(path))?;
    confine::whole(env, NOTHING)?;
    let format = Format::from_path(&path.to_string_lossy());
    let output = |bytes: Vec<u8>| Ok(Output::new(Secret::new(bytes)));
    if !may_be_sops(&content) {
        return output(content);
    }
    let (inspection, redacted) = match (inspect(format, &content), Redacted::without_keys(&content, format)) {
        (Ok(inspection), Ok(redacted)) => (inspection, redacted),
        (Err(_), _) if store::guess(&content).is_none() => return output(content),
        (Err(error), _) | (_, Err(error)) => {
            let reason = Printable::reason(&error.to_string());
            return output(format!("# sops could not read this file: {reason}\n").into_bytes());
        }
    };
    let rule = inspection.metadata.rules.in_force();
    let mut text = format!("# {} encrypted by sops\n", format.name());
    _ = writeln!(text, "# {}: {}", rule.field, Printable::new(rule.text));
    let groups = &inspection.metadata.key_groups;
    for (index, group) in groups.iter().enumerate() {
        let name = if groups.len() > 1 { format!("group {}: ", index + 1) } else { String::new() };
        for key in &group.0 {
            _ = writeln!(text, "# {name}{}", display_name(key));
        }
    }
    let mut bytes = text.into_bytes();
    match redacted.text() {
        Ok(text) => bytes.extend_from_slice(text.expose()),
        Err(reason) => bytes.extend_from_slice(format!("# {reason}\n").as_bytes()),
    }
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    output(bytes)
}

fn painted(paint: Paint, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Heading => paint.bold(text),
        Tone::Added => paint.green(text),
        Tone::Removed => paint.red(text),
        Tone::Changed => paint.yellow(text),
        Tone::Warning => paint.red(text),
    }
}

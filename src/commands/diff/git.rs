//! git, asked for what a repository holds: by plumbing that runs nothing the repository names, with bounded answers.
//!
//! A repository's own configuration may name programs (pagers, external diffs, filters, hooks, ssh). None of the commands
//! used here starts one but to fetch missing objects of a partial clone, and that is forbidden by variables and flags.
//! Revisions are resolved once, to object names; whatever comes from the command line stands behind `--` or is refused
//! where it begins with `-`.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::commands::programs;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::limits;
use crate::text::Printable;

/// git in a directory.
pub(super) struct Git<'a> {
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
    dir: &'a Path,
    deadline: Deadline,
}

/// The name of an object, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectId(String);

impl ObjectId {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file that is not the same in two trees.
pub(super) struct Changed {
    /// Relative to the top of the repository.
    pub path: Vec<u8>,
    /// `None` where the tree does not have it as a regular file.
    pub before: Option<ObjectId>,
    /// As `before`.
    pub after: Option<ObjectId>,
}

/// What git must not do, whatever the repository's configuration says.
const FLAGS: [&str; 12] = [
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    "--no-replace-objects",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",
    "-c",
    "core.quotePath=false",
];

/// Variables of the caller that say where the repository is and which configuration is the operator's own.
const KEPT: [&str; 11] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
    "HOME",
    "XDG_CONFIG_HOME",
];

/// Variables that keep it from fetching and asking.
const SET: [(&str, &str); 6] = [
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_ASKPASS", "false"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

impl<'a> Git<'a> {
    /// git on PATH, in the working directory.
    ///
    /// # Errors
    /// There is none, or the working directory is gone.
    pub fn new(env: &'a Environment, deadline: Deadline) -> Result<Self, Record> {
        let program = programs::find("git", env).ok_or_else(|| {
            Record::new(Failure::Usage, "git is not on PATH").hint("install git, or compare two files")
        })?;
        let dir = env.current_dir().ok_or_else(|| Record::new(Failure::File, "the working directory is gone"))?;
        let own = |name: &str| env.var_os(name).map(|value| (OsString::from(name), value.to_owned()));
        let mut variables: Vec<_> = KEPT.iter().filter_map(|name| own(name)).collect();
        variables.extend(SET.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Ok(Self { program, variables, dir, deadline })
    }

    /// The tree of a revision.
    ///
    /// # Errors
    /// It is none, or could be taken for an option.
    pub fn tree(&self, revision: &OsStr) -> Result<ObjectId, Record> {
        self.resolve(revision, "^{tree}")
    }

    /// The best common ancestor of two revisions.
    ///
    /// # Errors
    /// One of them is none, or they have no common ancestor.
    pub fn merge_base(&self, first: &OsStr, second: &OsStr) -> Result<OsString, Record> {
        let (first, second) = (self.resolve(first, "^{commit}")?, self.resolve(second, "^{commit}")?);
        let answer = self.run(&["merge-base".into(), first.0.into(), second.0.into()], b"")?;
        let answer = answer.ok_or_else(|| Record::new(Failure::Usage, "the revisions have no common ancestor"))?;
        object_id(answer.trim_ascii()).map(|id| id.0.into()).ok_or_else(strange)
    }

    fn resolve(&self, revision: &OsStr, peel: &str) -> Result<ObjectId, Record> {
        let shown = Printable::from_bytes(revision.as_bytes());
        if revision.is_empty() || revision.as_bytes().starts_with(b"-") {
            return Err(Record::new(Failure::Usage, format!("{shown} is no revision")));
        }
        let mut name = revision.to_owned();
        name.push(peel);
        let args = ["rev-parse".into(), "--verify".into(), "--quiet".into(), "--end-of-options".into(), name];
        let answer = self.run(&args, b"")?.ok_or_else(|| {
            Record::new(Failure::Usage, format!("{shown} is neither a file nor a revision of this repository"))
                .hint("name two files, or two revisions: unsops diff main HEAD -- secrets/")
        })?;
        // Older versions repeat `--end-of-options`.
        let line = answer.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
        object_id(line).ok_or_else(strange)
    }

    /// Regular files that are not the same in two trees, beneath the paths (relative to the working directory).
    ///
    /// # Errors
    /// git fails, or there are too many.
    pub fn changed(&self, before: &ObjectId, after: &ObjectId, paths: &[OsString]) -> Result<Vec<Changed>, Record> {
        let mut args: Vec<OsString> =
            ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff"]
                .map(OsString::from)
                .into();
        args.extend([before.0.clone().into(), after.0.clone().into(), "--".into()]);
        args.extend(paths.iter().cloned());
        let answer = self.run(&args, b"")?.ok_or_else(strange)?;
        let mut changed = Vec::new();
        let mut fields = answer.split(|&byte| byte == 0);
        while let (Some(facts), Some(path)) = (fields.next().filter(|facts| !facts.is_empty()), fields.next()) {
            // `:100644 100644 OLD NEW M`
            let words: Vec<&[u8]> = facts.split(|&byte| byte == b' ').collect();
            let [old_mode, new_mode, old, new, _] = words.as_slice() else { return Err(strange()) };
            let before = blob(old_mode.strip_prefix(b":").unwrap_or(old_mode), old);
            let after = blob(new_mode, new);
            changed.push(Changed { path: path.to_vec(), before, after });
            check_count(changed.len())?;
        }
        Ok(changed)
    }

    /// The files of a tree beneath the paths, and those that the index has beside them, each with the tree's content.
    ///
    /// # Errors
    /// git fails, or there are too many.
    pub fn listed(&self, tree: &ObjectId, paths: &[OsString]) -> Result<Vec<Changed>, Record> {
        let with_paths = |mut args: Vec<OsString>| {
            args.push("--".into());
            args.extend(paths.iter().cloned());
            args
        };
        let args =
            with_paths(vec!["ls-tree".into(), "-r".into(), "-z".into(), "--full-name".into(), tree.0.clone().into()]);
        let answer = self.run(&args, b"")?.ok_or_else(strange)?;
        let mut listed = std::collections::BTreeMap::new();
        for line in answer.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            // `100644 blob ID\tPATH`
            let at = line.iter().position(|&byte| byte == b'\t').ok_or_else(strange)?;
            let (facts, path) = line.split_at(at);
            let words: Vec<&[u8]> = facts.split(|&byte| byte == b' ').collect();
            let [mode, _, id] = words.as_slice() else { return Err(strange()) };
            if let Some(id) = blob(mode, id) {
                listed.insert(path.get(1..).unwrap_or_default().to_vec(), Some(id));
            }
            check_count(listed.len())?;
        }
        let args = with_paths(vec!["ls-files".into(), "-z".into(), "--full-name".into()]);
        let answer = self.run(&args, b"")?.ok_or_else(strange)?;
        for path in answer.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
            listed.entry(path.to_vec()).or_insert(None);
            check_count(listed.len())?;
        }
        Ok(listed.into_iter().map(|(path, before)| Changed { path, before, after: None }).collect())
    }

    /// The top of the work tree.
    ///
    /// # Errors
    /// There is none.
    pub fn top(&self) -> Result<PathBuf, Record> {
        let answer = self.run(&["rev-parse".into(), "--show-toplevel".into()], b"")?.ok_or_else(not_a_repository)?;
        let line = answer.strip_suffix(b"\n").unwrap_or(&answer);
        Ok(PathBuf::from(OsStr::from_bytes(line)))
    }

    /// The contents of objects, in order; `None` for one that is missing or larger than an encrypted file may be.
    ///
    /// # Errors
    /// git fails, or all together are too large.
    pub fn contents(&self, ids: &[&ObjectId]) -> Result<Vec<Option<Vec<u8>>>, Record> {
        let mut names = String::new();
        for id in ids {
            names.push_str(&id.0);
            names.push('\n');
        }
        let answer = self.run(&["cat-file".into(), "--batch".into()], names.as_bytes())?.ok_or_else(strange)?;
        let mut rest = answer.as_slice();
        let mut contents = Vec::with_capacity(ids.len());
        for _ in ids {
            // `ID blob SIZE\nCONTENT\n`, or `ID missing\n`
            let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(strange)?;
            let (header, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let words: Vec<&[u8]> = header.split(|&byte| byte == b' ').collect();
            let [_, kind, size] = words.as_slice() else {
                contents.push(None);
                continue;
            };
            let size =
                std::str::from_utf8(size).ok().and_then(|size| size.parse::<usize>().ok()).ok_or_else(strange)?;
            let (content, after) = rest.split_at_checked(size).ok_or_else(strange)?;
            rest = after.strip_prefix(b"\n").ok_or_else(strange)?;
            let is_taken = *kind == b"blob" && size <= limits::FILE_BYTES;
            contents.push(is_taken.then(|| content.to_vec()));
        }
        Ok(contents)
    }

    /// What git prints; `None` where it says by its exit status that there is no answer.
    fn run(&self, args: &[OsString], stdin: &[u8]) -> Result<Option<Vec<u8>>, Record> {
        let mut child = self.spawn(args)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, receiver) = mpsc::channel();
        let answer = thread::scope(|scope| {
            // git may end before it has read all; then its answer says why.
            let write = move || _ = input.map(|mut input| input.write_all(stdin));
            let read = move || {
                let mut answer = Vec::new();
                let bound = u64::try_from(limits::GIT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
                let read = output.map(|output| output.take(bound).read_to_end(&mut answer));
                _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(answer));
            };
            // A thread that cannot be had drops its end of the channel or of the pipe, and with it the answer.
            let has_threads = thread::Builder::new().spawn_scoped(scope, read).is_ok()
                && thread::Builder::new().spawn_scoped(scope, write).is_ok();
            if !has_threads {
                _ = child.kill();
                return Ok(None);
            }
            let answer = receiver.recv_timeout(self.deadline.left());
            // Whoever still reads or writes is let go.
            if !matches!(&answer, Ok(Some(answer)) if answer.len() <= limits::GIT_BYTES) {
                _ = child.kill();
            }
            answer
        });
        let status = child.wait();
        match answer {
            Err(_) => Err(Record::new(Failure::Unavailable, "git was not done before the deadline")),
            Ok(None) => Err(Record::new(Failure::Internal, "git's answer cannot be read")),
            Ok(Some(answer)) if answer.len() > limits::GIT_BYTES => {
                let message = format!("git's answer is larger than {} MiB", limits::GIT_BYTES >> 20);
                Err(Record::new(Failure::File, message).hint("name fewer paths"))
            }
            Ok(Some(answer)) => match status {
                Ok(status) if status.success() => Ok(Some(answer)),
                // 128: no repository, a broken one, or one of another owner.
                Ok(status) if status.code() == Some(128) && !self.is_repository(args) => Err(not_a_repository()),
                Ok(status) if status.code() == Some(129) => {
                    Err(Record::new(Failure::Usage, "git does not know a flag that is needed")
                        .hint("git 2.30 and later do"))
                }
                _ => Ok(None),
            },
        }
    }

    fn is_repository(&self, args: &[OsString]) -> bool {
        let question: [OsString; 2] = ["rev-parse".into(), "--git-dir".into()];
        args != question && matches!(self.run(&question, b""), Ok(Some(_)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that starts git")]
    fn spawn(&self, args: &[OsString]) -> Result<Child, Record> {
        Command::new(&self.program)
            .args(FLAGS)
            .args(args)
            .current_dir(self.dir)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| Record::new(Failure::Usage, "git cannot be started"))
    }
}

/// A regular file's object; links, submodules and absent files have none.
fn blob(mode: &[u8], id: &[u8]) -> Option<ObjectId> {
    matches!(mode, b"100644" | b"100755" | b"100664")
        .then(|| object_id(id))?
        .filter(|id| id.0.bytes().any(|byte| byte != b'0'))
}

fn object_id(text: &[u8]) -> Option<ObjectId> {
    let is_hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_id = matches!(text.len(), 40 | 64) && text.iter().all(is_hexadecimal);
    is_id.then(|| String::from_utf8(text.to_vec()).ok().map(ObjectId))?
}

fn check_count(count: usize) -> Result<(), Record> {
    if count > limits::DIFF_FILES {
        let message = format!("more than {} files", limits::DIFF_FILES);
        return Err(Record::new(Failure::File, message).hint("name fewer paths"));
    }
    Ok(())
}

fn strange() -> Record {
    Record::new(Failure::Internal, "git gave an answer that is not understood")
}

fn not_a_repository() -> Record {
    Record::new(Failure::Usage, "the working directory is in no git repository that this user may read")
        .hint("run it in a repository; if it belongs to another user, see git's safe.directory")
}

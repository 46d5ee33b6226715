//! What `explain` finds out, in the form that `--output json` prints (`schema.json`). Every text is fit for a terminal:
//! names from outside were [`Printable`](crate::text::Printable) before they got here, except paths.

use std::collections::HashMap;

use serde::Serialize;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `unsops.dev/explain/v1`; a field may be added within a version, never removed or changed.
    pub schema: &'static str,
    /// Whether files were really opened.
    pub tried: bool,
    /// What `--recipient` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Where your keys were looked for.
    pub identities: Vec<IdentitySource>,
    /// Every recipient of the files below; files name them by index. Most files first.
    pub recipients: Vec<RecipientEntry>,
    /// SOPS files in order of their paths.
    pub files: Vec<FileEntry>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// The question of `--recipient`.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// As it was asked.
    pub who: String,
    /// How many files were searched; `files` are those among them with such a recipient.
    pub searched: usize,
    /// Indexes of the recipients that it means.
    pub recipients: Vec<usize>,
}

/// A place where keys are looked for.
#[derive(Debug, Serialize)]
pub struct IdentitySource {
    /// `SOPS_AGE_KEY_FILE=/keys/keys.txt`
    pub source: String,
    /// `keys`, `absent`, `unusable`, `on-demand`
    pub state: &'static str,
    /// Public halves.
    pub keys: Vec<String>,
    /// Why it is unusable, or what is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A recipient.
#[derive(Debug, Serialize)]
pub struct RecipientEntry {
    /// `age`, `pgp`, `aws-kms`, `gcp-kms`, `azure-kv`, `hc-vault`, `hckms`
    pub kind: &'static str,
    /// What the file says.
    pub id: String,
    /// Enough to recognise it.
    pub label: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where that name stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_source: Option<String>,
    /// Parts of the id: `account`, `region`.
    pub facts: Vec<Fact>,
    /// Whether it is you.
    pub yours: Yours,
    /// How many files it is a recipient of.
    pub files: usize,
}

/// A part of a recipient.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// `region`
    pub name: &'static str,
    /// `eu-west-1`
    pub value: String,
}

/// Whether a recipient is you.
#[derive(Clone, Debug, Serialize)]
pub struct Yours {
    /// See [`YoursState`].
    pub state: YoursState,
    /// The key file, or the service that can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Whether a recipient is you, from no to yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum YoursState {
    /// Nothing of this program can open such a key.
    Unsupported,
    /// No identity of yours.
    No,
    /// A key service can tell.
    AskService,
    /// An identity of yours may be it, behind a passphrase, token or program.
    Locked,
    /// An identity of yours.
    Yes,
}

/// A SOPS file.
#[derive(Debug, Serialize)]
pub struct FileEntry {
    /// As given, or below the directory that was given; not made fit for a terminal yet.
    pub path: String,
    /// `YAML`, `JSON`, `dotenv`, `INI`, `binary`
    pub format: &'static str,
    /// The format that its name asks for, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_by_name: Option<&'static str>,
    /// The sops that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sops_version: Option<String>,
    /// RFC 3339.
    pub last_modified: String,
    /// Which values are encrypted.
    pub rule: Rule,
    /// The MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// How many of the groups must open.
    pub needed_groups: usize,
    /// Indexes of recipients by key group.
    pub groups: Vec<Vec<usize>>,
    /// Whether you can open it, as far as can be told without trying.
    pub access: Access,
    /// What came of trying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<Opens>,
    /// What stands in it.
    pub values: Values,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// An encryption rule.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// `encrypted_regex`
    pub field: &'static str,
    /// Its text.
    pub text: String,
    /// Whether the file says so; else it is what sops assumes.
    pub written: bool,
}

/// Whether you can open a file.
#[derive(Debug, Serialize)]
pub struct Access {
    /// `yes`, `maybe`, `no`
    pub state: &'static str,
    /// Groups that an identity of yours opens.
    pub groups: usize,
    /// Why.
    pub reason: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What came of trying.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Opens {
    /// Whether the file opened and its MAC matched.
    pub ok: bool,
    /// Why not: what is wrong, then a line for each key.
    pub reasons: Vec<String>,
    /// Next steps.
    pub hints: Vec<String>,
}

/// What stands in a file.
#[derive(Debug, Default, Serialize)]
pub struct Values {
    /// Encrypted values.
    pub encrypted: usize,
    /// Values in clear that are not empty.
    pub clear: usize,
    /// Empty values, which sops leaves as they are.
    pub empty: usize,
    /// Comments, and how many of them are encrypted.
    pub comments: usize,
    /// See `comments`.
    pub encrypted_comments: usize,
    /// The values that are listed, in the order of the file.
    pub listed: Vec<ValueEntry>,
    /// How many more there are.
    pub not_listed: usize,
}

/// A value, without its text.
#[derive(Debug, Serialize)]
pub struct ValueEntry {
    /// `data.password`
    pub path: String,
    /// `encrypted`, `clear`, `empty`, `malformed`
    pub state: &'static str,
    /// Declared type of an encrypted value.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// Size of an encrypted value in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// Line, from 1; of list elements that of their list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The key that met the rule's condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// Something wrong with a file.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// `left-in-clear`, `never-decrypted`, `no-mac`
    pub id: &'static str,
    /// What is wrong.
    pub message: String,
    /// The value that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The file or directory; not made fit for a terminal yet.
    pub path: String,
    /// Why.
    pub message: String,
}

/// Files that the same groups of recipients open.
pub struct KeySet<'a> {
    /// How many of the groups must open.
    pub needed: usize,
    /// Indexes of recipients by key group.
    pub groups: &'a [Vec<usize>],
    /// Indexes of files.
    pub files: Vec<usize>,
}

impl FileEntry {
    /// Groups in which the file is encrypted for any of these recipients.
    pub fn groups_of(&self, recipients: &[usize]) -> usize {
        self.groups.iter().filter(|group| group.iter().any(|one| recipients.binary_search(one).is_ok())).count()
    }

    /// Whether these recipients together can open it.
    pub fn opens_for(&self, recipients: &[usize]) -> bool {
        self.groups_of(recipients) >= self.needed_groups
    }

    /// How many different recipients it has.
    pub fn recipients(&self) -> usize {
        let mut all: Vec<usize> = self.groups.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

impl RecipientEntry {
    /// `alice (age1qx...w4569)`, or the label alone.
    pub fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.label),
            None => self.label.clone(),
        }
    }
}

impl Report {
    /// The schema's name.
    pub const SCHEMA: &'static str = "unsops.dev/explain/v1";

    /// The files by key set, those of most files first.
    pub fn key_sets(&self) -> Vec<KeySet<'_>> {
        let mut places: HashMap<(usize, &[Vec<usize>]), usize> = HashMap::new();
        let mut sets: Vec<KeySet<'_>> = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let (needed, groups) = (file.needed_groups, file.groups.as_slice());
            let place = *places.entry((needed, groups)).or_insert_with(|| {
                sets.push(KeySet { needed, groups, files: Vec::new() });
                sets.len() - 1
            });
            if let Some(set) = sets.get_mut(place) {
                set.files.push(index);
            }
        }
        // Stable: sets of as many files stay in the order of their first file.
        sets.sort_by_key(|set| std::cmp::Reverse(set.files.len()));
        sets
    }

    /// Whether the exit code is 1.
    pub fn has_findings(&self) -> bool {
        let is_broken =
            |file: &FileEntry| !file.findings.is_empty() || file.opens.as_ref().is_some_and(|opens| !opens.ok);
        let is_asked_for = self.asked.as_ref().is_some_and(|_| !self.files.is_empty());
        !self.problems.is_empty() || is_asked_for || self.files.iter().any(is_broken)
    }
}

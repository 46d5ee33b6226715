//! The creation rules of `.sops.yaml`: which recipients, threshold and encryption rule sops gives a new file.
//!
//! Source: getsops/sops v3.13.3, `config/config.go`; `ToString` of each `keysource.go`; `cmd/sops/common`,
//! `DiffKeyGroups`.

mod difference;
mod key_name;
mod matching;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use difference::Difference;
pub use key_name::KeyName;
pub use matching::{Match, MatchBudget};

use self::matching::Matcher;
use crate::yaml::Position;

/// The name that sops looks for, upwards from its working directory.
pub const FILE_NAME: &str = ".sops.yaml";

/// A name that people use and sops only warns about.
pub const IGNORED_FILE_NAME: &str = ".sops.yml";

/// A parsed configuration.
pub struct CreationRules {
    /// The rules in order; `None` where the file has none, which to sops is as if it were not there.
    pub rules: Option<Vec<CreationRule>>,
    /// What sops refuses, or silently takes otherwise than it seems to say.
    pub problems: Vec<ConfigProblem>,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug)]
pub struct ConfigProblem {
    /// Where.
    pub position: Position,
    /// What: fixed words and printable names.
    pub message: String,
    /// Whether sops refuses to work with the rule, or with the whole file.
    pub is_refused: bool,
}

/// One rule.
pub struct CreationRule {
    /// Where it begins.
    pub position: Position,
    /// The files that it is for; `None`: every file.
    pub path_regex: Option<String>,
    pattern: Matcher,
    /// The recipients by group.
    pub groups: Vec<BTreeSet<KeyName>>,
    /// 0 where the rule says nothing.
    pub shamir_threshold: i64,
    /// The encryption rule's field and text, where there is one.
    pub encryption_rule: Option<(&'static str, String)>,
    /// Whether keys carry an encryption context here; without one, the context of a file's keys came from a flag.
    has_context: bool,
}

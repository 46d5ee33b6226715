//! Compares the recipients of a file with those of a rule.

use std::collections::BTreeSet;

use super::{CreationRule, KeyName};
use crate::sops::metadata::{KeyGroup, MasterKey};

/// How a file's groups differ from a rule's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Recipients of the rule that the file lacks.
    pub missing: BTreeSet<KeyName>,
    /// Recipients of the file that the rule does not have.
    pub surplus: BTreeSet<KeyName>,
}

impl CreationRule {
    /// Compares a file's recipients, group by group, as `sops updatekeys` does.
    pub fn difference(&self, groups: &[KeyGroup]) -> Difference {
        let mut difference = Difference::default();
        let nothing = BTreeSet::new();
        for index in 0..groups.len().max(self.groups.len()) {
            let wanted = self.groups.get(index).unwrap_or(&nothing);
            let keys = groups.get(index).map(|group| group.0.as_slice()).unwrap_or_default();
            let found: BTreeSet<KeyName> = keys.iter().map(|key| self.as_named_here(key, wanted)).collect();
            difference.missing.extend(wanted.difference(&found).cloned());
            difference.surplus.extend(found.difference(wanted).cloned());
        }
        difference
    }

    fn as_named_here(&self, key: &MasterKey, wanted: &BTreeSet<KeyName>) -> KeyName {
        let name = if self.has_context { KeyName::of(key) } else { KeyName::without_context(key) };
        match name.without_version().filter(|short| wanted.contains(short)) {
            Some(short) if !wanted.contains(&name) => short,
            _ => name,
        }
    }
}

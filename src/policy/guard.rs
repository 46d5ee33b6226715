//! A key service under a rule.

use super::Rule;
use super::authority::Authority;
use crate::sops::data_key::{Refusal, display_name};
use crate::sops::{Attempt, KeyGroup, KeyService, RefusedKey, ShareRequest};

/// Asks another key service, but only for keys that the rule in force allows, and only with identities that it allows.
/// A key that is not allowed is refused before anything is read, started or contacted.
pub struct Guard<'a> {
    authority: &'a Authority,
    keys: &'a dyn KeyService,
}

impl<'a> Guard<'a> {
    pub(super) fn new(authority: &'a Authority, keys: &'a dyn KeyService) -> Self {
        Self { authority, keys }
    }

    fn open_under(&self, rule: &Rule, request: &ShareRequest<'_>) -> Attempt {
        let mut refused = Vec::new();
        let mut allowed = Vec::with_capacity(request.groups.len());
        for (group, keys) in request.groups.iter().enumerate() {
            let mut kept = Vec::new();
            for key in &keys.0 {
                match rule.allows_key(key) {
                    Ok(()) => kept.push(key.clone()),
                    Err(list) => {
                        let denial = self.authority.denial_of_key(rule, list);
                        refused.push(RefusedKey {
                            group,
                            key: display_name(key),
                            refusal: Refusal::Denied(denial.reason),
                            hint: Some(denial.hint),
                        });
                    }
                }
            }
            allowed.push(KeyGroup(kept));
        }
        if allowed.iter().all(|group| group.0.is_empty()) {
            return Attempt { shares: Vec::new(), refused };
        }
        let request = ShareRequest { groups: &allowed, needed: request.needed, identities: Some(rule) };
        let mut attempt = self.keys.open(&request);
        refused.append(&mut attempt.refused);
        refused.sort_by_key(|key| key.group);
        Attempt { shares: attempt.shares, refused }
    }
}

impl KeyService for Guard<'_> {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        match self.authority.rule() {
            Some(rule) => self.open_under(rule, request),
            None => self.keys.open(request),
        }
    }
}

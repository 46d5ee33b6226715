//! In which order the keys of a file are tried, and when trying stops.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{KeyringError, RefusedReason};
use crate::limits;
use crate::sops::data_key::{KeyShare, ShareRequest};
use crate::sops::metadata::{KeyGroup, MasterKey};
use crate::text::Printable;

/// Where no order is asked for: keys that need no network come first (`sops.go`, `DefaultDecryptionOrder`).
const LOCAL_FIRST: [&str; 2] = ["age", "pgp"];

/// The order of kinds within a key group.
pub(super) struct DecryptionOrder(Vec<String>);

impl DecryptionOrder {
    /// Reads `SOPS_DECRYPTION_ORDER`: kinds split at `,`, not trimmed. Unknown names do nothing; unset and empty mean
    /// local keys first.
    ///
    /// # Errors
    /// A kind named twice, as in sops.
    ///
    /// Source: getsops/sops v3.13, `cmd/sops/main.go`, `decryptionOrder`.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, KeyringError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Self(LOCAL_FIRST.map(str::to_owned).to_vec()));
        };
        let kinds: Vec<String> = text.split(',').map(str::to_owned).collect();
        let mut seen = BTreeSet::new();
        match kinds.iter().find(|kind| !seen.insert(kind.as_str())) {
            Some(kind) => Err(KeyringError::OrderNamesTwice(Printable::new(kind))),
            None => Ok(Self(kinds)),
        }
    }

    /// The keys of a group in the order of trying, with their places in the group: by kind as asked for, kinds not
    /// named last, otherwise as in the file.
    fn sort<'k>(&self, group: &'k KeyGroup) -> VecDeque<(usize, &'k MasterKey)> {
        let mut keys: Vec<_> = group.0.iter().enumerate().collect();
        let rank = |key: &MasterKey| self.0.iter().position(|kind| kind == key.kind()).unwrap_or(self.0.len());
        keys.sort_by_cached_key(|(_, key)| rank(key));
        keys.into()
    }
}

/// What trying the keys of a file came to.
#[derive(Default)]
pub(super) struct Tried {
    /// Opened shares with the index of their group.
    pub(super) shares: Vec<(usize, KeyShare)>,
    /// Keys that did not open: index of the group, place in the group, why.
    pub(super) refused: Vec<(usize, usize, RefusedReason)>,
}

/// The keys of one group that are still to be tried.
struct Pending<'k> {
    group: usize,
    keys: VecDeque<(usize, &'k MasterKey)>,
}

impl<'k> Pending<'k> {
    /// Takes the next key if it is local, or if it is not.
    fn next_if(&mut self, local: bool) -> Option<(usize, &'k MasterKey)> {
        self.keys.pop_front_if(|(_, key)| is_local(key) == local)
    }
}

/// Tries keys until as many groups are open as the request needs, or none are left.
///
/// Each group goes through its keys in order. Where the next key of a group is local it is tried at once, on this
/// thread; only when no group has a local key next are the groups' network keys asked, several groups at a time.
pub(super) fn try_keys<'k, A>(order: &DecryptionOrder, request: &ShareRequest<'k>, ask: &A) -> Tried
where
    A: Fn(&'k MasterKey) -> Result<KeyShare, RefusedReason> + Sync,
{
    let mut tried = Tried::default();
    let mut groups: Vec<_> =
        request.groups.iter().enumerate().map(|(group, keys)| Pending { group, keys: order.sort(keys) }).collect();
    while tried.shares.len() < request.needed && groups.iter().any(|group| !group.keys.is_empty()) {
        for group in &mut groups {
            if tried.shares.len() >= request.needed {
                break;
            }
            try_group(group, true, ask, &mut tried);
        }
        if tried.shares.len() < request.needed {
            try_network(&mut groups, request.needed, ask, &mut tried);
        }
    }
    tried
}

/// Tries the keys at the head of a group that are all local, or all not; stops at the first that opens.
fn try_group<'k, A>(group: &mut Pending<'k>, local: bool, ask: &A, tried: &mut Tried)
where
    A: Fn(&'k MasterKey) -> Result<KeyShare, RefusedReason>,
{
    while let Some((place, key)) = group.next_if(local) {
        match ask(key) {
            Ok(share) => {
                tried.shares.push((group.group, share));
                group.keys.clear();
            }
            Err(reason) => tried.refused.push((group.group, place, reason)),
        }
    }
}

/// Asks the network keys that are next in their groups, at most [`limits::NETWORK_GROUPS`] groups at a time; no new
/// group is begun once enough are open.
fn try_network<'k, A>(groups: &mut [Pending<'k>], needed: usize, ask: &A, tried: &mut Tried)
where
    A: Fn(&'k MasterKey) -> Result<KeyShare, RefusedReason> + Sync,
{
    let mut waiting: VecDeque<_> = groups.iter_mut().filter(|group| !group.keys.is_empty()).collect();
    if waiting.len() < 2 {
        if let Some(group) = waiting.pop_front() {
            try_group(group, false, ask, tried);
        }
        return;
    }
    let workers = waiting.len().min(limits::NETWORK_GROUPS);
    let opened = AtomicUsize::new(tried.shares.len());
    let (waiting, results) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while opened.load(Ordering::Relaxed) < needed {
                    let Some(group) = lock(&waiting).pop_front() else { return };
                    let mut result = Tried::default();
                    try_group(group, false, ask, &mut result);
                    opened.fetch_add(result.shares.len(), Ordering::Relaxed);
                    lock(&results).push((group.group, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(group, _)| *group);
    for (_, result) in results {
        tried.shares.extend(result.shares);
        tried.refused.extend(result.refused);
    }
}

/// Whether a key is opened without network. Huawei's is, as it is refused without.
fn is_local(key: &MasterKey) -> bool {
    match key {
        MasterKey::Age { .. } | MasterKey::HuaweiKms { .. } | MasterKey::Pgp { .. } => true,
        MasterKey::AwsKms { .. }
        | MasterKey::AzureKeyVault { .. }
        | MasterKey::GcpKms { .. }
        | MasterKey::HcVault { .. } => false,
    }
}

/// Locks; a panic of another thread has left nothing half-done behind any of our locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;
    use crate::sops::data_key::Refusal;

    fn age(name: &str) -> MasterKey {
        MasterKey::Age { recipient: name.to_owned(), enc: String::new() }
    }

    fn gcp(name: &str) -> MasterKey {
        MasterKey::GcpKms { resource_id: name.to_owned(), enc: String::new() }
    }

    fn pgp(name: &str) -> MasterKey {
        MasterKey::Pgp { fingerprint: name.to_owned(), enc: String::new() }
    }

    fn name(key: &MasterKey) -> &str {
        match key {
            MasterKey::Age { recipient, .. } => recipient,
            MasterKey::GcpKms { resource_id, .. } => resource_id,
            MasterKey::Pgp { fingerprint, .. } => fingerprint,
            _ => "other",
        }
    }

    /// Tries with keys that open if their name starts with `good`; returns opened groups and the names asked, in order.
    fn run(order: Option<&str>, groups: Vec<Vec<MasterKey>>, needed: usize) -> (Vec<usize>, Vec<String>, usize) {
        let groups: Vec<_> = groups.into_iter().map(KeyGroup).collect();
        let order = DecryptionOrder::parse(order).unwrap_or_else(|_| panic!("order"));
        let asked = Mutex::new(Vec::new());
        let tried = try_keys(&order, &ShareRequest { groups: &groups, needed }, &|key| {
            lock(&asked).push(name(key).to_owned());
            if name(key).starts_with("good") {
                Ok(KeyShare(SecretBytes::from("share")))
            } else {
                Err(RefusedReason { refusal: Refusal::NotMine("no".into()), hint: None })
            }
        });
        let opened = tried.shares.iter().map(|(group, _)| *group).collect();
        (opened, asked.into_inner().unwrap(), tried.refused.len())
    }

    #[test]
    fn tries_local_keys_first_unless_told_otherwise() {
        let group = || vec![vec![gcp("g"), pgp("p"), age("a")]];
        assert_eq!(run(None, group(), 1).1, ["a", "p", "g"]);
        assert_eq!(run(Some(""), group(), 1).1, ["a", "p", "g"]);
        assert_eq!(run(Some("gcp_kms,pgp"), group(), 1).1, ["g", "p", "a"]);
        assert_eq!(run(Some(" pgp"), group(), 1).1, ["g", "p", "a"]);
    }

    #[test]
    fn stops_at_the_first_key_that_opens_its_group() {
        assert_eq!(
            run(None, vec![vec![age("a"), age("good"), age("b")]], 1),
            (vec![0], vec!["a".into(), "good".into()], 1)
        );
    }

    #[test]
    fn stops_when_enough_groups_are_open() {
        let groups = vec![vec![age("a")], vec![age("good 1")], vec![age("good 2")], vec![age("good 3")]];
        assert_eq!(run(None, groups, 2), (vec![1, 2], vec!["a".into(), "good 1".into(), "good 2".into()], 1));
    }

    #[test]
    fn asks_no_network_key_where_local_ones_suffice() {
        let (opened, asked, _) = run(None, vec![vec![gcp("good g")], vec![gcp("good h"), age("good a")]], 1);
        assert_eq!((opened, asked), (vec![1], vec!["good a".to_owned()]));
    }

    #[test]
    fn falls_back_to_network_keys_of_several_groups() {
        let groups = (0..20).map(|i| vec![gcp("bad"), gcp(&format!("good {i}"))]).collect();
        let (opened, _, refused) = run(None, groups, 20);
        assert_eq!((opened, refused), ((0..20).collect(), 20));
    }

    #[test]
    fn goes_back_to_local_keys_that_come_after_network_ones() {
        let groups = vec![vec![gcp("g"), age("good a")], vec![gcp("h"), age("good b")]];
        assert_eq!(run(Some("gcp_kms"), groups, 2).0, [0, 1]);
    }

    #[test]
    fn refuses_an_order_that_names_a_kind_twice() {
        assert!(DecryptionOrder::parse(Some("age,pgp,age")).is_err());
        assert!(DecryptionOrder::parse(Some("age,nonsense, age")).is_ok());
    }
}

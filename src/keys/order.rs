//! In which order the keys of a file are tried, and when trying stops.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Answer, KeyringError, RefusedReason};
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

/// How keys are asked: what the keyring provides, and tests imitate.
pub(super) trait Ask<'k> {
    /// Opens a local key, on this thread.
    fn local(&self, key: &'k MasterKey) -> Answer;
    /// A question to a key service; nothing happens before it is polled, and nothing remains once it is dropped.
    fn network<'a>(&'a self, key: &'k MasterKey) -> Question<'a>
    where
        'k: 'a;
    /// Polls until it is ready, or until then.
    fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>, until: Option<Instant>);
    /// Whether the service of this key has kept us waiting before.
    fn is_slow(&self, key: &MasterKey) -> bool;
    /// Remembers that the service of this key keeps us waiting.
    fn is_waited_for(&self, key: &MasterKey);
}

/// An answer of a key service to come.
pub(super) type Question<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// One group while its keys are tried.
struct Trial<'k, 'a> {
    group: usize,
    /// Keys still to be tried, each with its place in the group.
    keys: VecDeque<(usize, &'k MasterKey)>,
    /// Keys that are being asked.
    asked: Vec<(usize, &'k MasterKey, Question<'a>)>,
    /// When the next key may be asked although the last one has not answered.
    head_start_over: Option<Instant>,
}

impl<'k> Trial<'k, '_> {
    /// Takes the next key, if its turn has come and if it is local, or if it is not.
    fn next_if(&mut self, local: bool) -> Option<(usize, &'k MasterKey)> {
        let is_turn = self.asked.is_empty() || self.head_start_over.is_none_or(|over| over <= Instant::now());
        self.keys.pop_front_if(|(_, key)| is_turn && is_local(key) == local)
    }

    /// When the next key's turn comes, if there is one.
    fn next_turn(&self) -> Option<Instant> {
        if self.keys.is_empty() { None } else { self.head_start_over }
    }
}

/// Tries keys until as many groups are open as the request needs, or none are left.
///
/// Each group goes through its keys in order. Where the next key of a group is local it is tried at once, on this
/// thread; only when no group has a local key next are network keys asked, those of several groups at a time, at most
/// [`limits::NETWORK_KEYS`] in all. A key service that has not answered within [`limits::NETWORK_HEAD_START`] keeps its
/// chance, but the next key of the group is tried beside it; so a silent service delays no file that another key opens.
pub(super) fn try_keys<'k>(order: &DecryptionOrder, request: &ShareRequest<'k>, ask: &impl Ask<'k>) -> Tried {
    let mut tried = Tried::default();
    let mut trials: Vec<Trial<'k, '_>> = request
        .groups
        .iter()
        .enumerate()
        .map(|(group, keys)| Trial { group, keys: order.sort(keys), asked: Vec::new(), head_start_over: None })
        .collect();
    loop {
        for trial in &mut trials {
            while tried.shares.len() < request.needed
                && let Some((place, key)) = trial.next_if(true)
            {
                settle(trial, place, ask.local(key), &mut tried);
            }
        }
        if tried.shares.len() >= request.needed {
            break;
        }
        ask_network(&mut trials, ask);
        if trials.iter().all(|trial| trial.asked.is_empty()) {
            break;
        }
        for (index, place, answer) in wait_for_answers(&mut trials, ask) {
            if let Some(trial) = trials.get_mut(index) {
                settle(trial, place, answer, &mut tried);
            }
        }
    }
    let rank = |group: usize, place: usize| {
        let sorted = request.groups.get(group).map(|keys| order.sort(keys)).unwrap_or_default();
        sorted.iter().position(|(other, _)| *other == place)
    };
    tried.refused.sort_by_cached_key(|(group, place, _)| (*group, rank(*group, *place)));
    tried
}

/// Takes a key's answer: the first that opens ends the trial of its group.
fn settle(trial: &mut Trial<'_, '_>, place: usize, answer: Answer, tried: &mut Tried) {
    match answer {
        Ok(share) => {
            tried.shares.push((trial.group, share));
            trial.keys.clear();
            trial.asked.clear();
        }
        Err(reason) => {
            tried.refused.push((trial.group, place, reason));
            trial.head_start_over = None;
        }
    }
}

/// Begins to ask the network keys whose turn has come.
fn ask_network<'k: 'a, 'a, A: Ask<'k>>(trials: &mut [Trial<'k, 'a>], ask: &'a A) {
    let mut asked: usize = trials.iter().map(|trial| trial.asked.len()).sum();
    for trial in trials {
        while asked < limits::NETWORK_KEYS
            && let Some((place, key)) = trial.next_if(false)
        {
            let head_start = if ask.is_slow(key) { Duration::ZERO } else { limits::NETWORK_HEAD_START };
            trial.head_start_over = Some(Instant::now() + head_start);
            trial.asked.push((place, key, ask.network(key)));
            asked += 1;
        }
    }
}

/// Waits until a key answers or the turn of another comes. Gives back the answers: index of the trial, place, answer.
fn wait_for_answers<'k>(trials: &mut [Trial<'k, '_>], ask: &impl Ask<'k>) -> Vec<(usize, usize, Answer)> {
    let is_full = trials.iter().map(|trial| trial.asked.len()).sum::<usize>() >= limits::NETWORK_KEYS;
    let until = if is_full { None } else { trials.iter().filter_map(Trial::next_turn).min() };
    let mut answers = Vec::new();
    let mut poll = |context: &mut Context<'_>| {
        for (index, trial) in trials.iter_mut().enumerate() {
            trial.asked.retain_mut(|(place, _, question)| match question.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    answers.push((index, *place, answer));
                    false
                }
                Poll::Pending => true,
            });
        }
        if answers.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    };
    ask.wait(&mut poll, until);
    let now = Instant::now();
    for trial in trials {
        if trial.head_start_over.is_some_and(|over| over <= now) {
            trial.asked.iter().for_each(|(_, key, _)| ask.is_waited_for(key));
        }
    }
    answers
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
        let keys = Keys::default();
        let tried = try_keys(&order, &ShareRequest { groups: &groups, needed, identities: None }, &keys);
        let mut opened: Vec<_> = tried.shares.iter().map(|(group, _)| *group).collect();
        opened.sort_unstable();
        (opened, keys.asked.into_inner().unwrap(), tried.refused.len())
    }

    /// Keys that open if their name starts with `good`, and never answer if it starts with `mute`.
    #[derive(Default)]
    struct Keys {
        asked: Mutex<Vec<String>>,
        slow: Mutex<BTreeSet<String>>,
    }

    impl<'k> Ask<'k> for Keys {
        fn local(&self, key: &'k MasterKey) -> Answer {
            lock(&self.asked).push(name(key).to_owned());
            if name(key).starts_with("good") {
                Ok(KeyShare(SecretBytes::from("share")))
            } else {
                Err(RefusedReason { refusal: Refusal::NotMine("no".into()), hint: None })
            }
        }

        fn network<'a>(&'a self, key: &'k MasterKey) -> Question<'a>
        where
            'k: 'a,
        {
            Box::pin(async {
                let answer = self.local(key);
                if name(key).starts_with("mute") { std::future::pending().await } else { answer }
            })
        }

        fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>, until: Option<Instant>) {
            let mut context = Context::from_waker(std::task::Waker::noop());
            while poll(&mut context).is_pending() && until.is_none_or(|until| Instant::now() < until) {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }

        fn is_slow(&self, key: &MasterKey) -> bool {
            lock(&self.slow).contains(name(key))
        }

        fn is_waited_for(&self, key: &MasterKey) {
            lock(&self.slow).insert(name(key).to_owned());
        }
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
    fn a_silent_service_delays_only_its_head_start() {
        for order in [None, Some("gcp_kms")] {
            let start = Instant::now();
            let (opened, asked, _) = run(order, vec![vec![gcp("mute"), gcp("bad"), gcp("good")]], 1);
            assert_eq!((opened, asked.len()), (vec![0], 3));
            assert!(start.elapsed() < limits::NETWORK_HEAD_START * 2, "{:?}", start.elapsed());
        }
        let (opened, asked, _) = run(Some("gcp_kms"), vec![vec![gcp("mute"), age("good")]], 1);
        assert_eq!((opened, asked), (vec![0], vec!["mute".to_owned(), "good".to_owned()]));
    }

    #[test]
    fn a_service_that_was_silent_once_has_no_head_start_again() {
        let groups = [KeyGroup(vec![gcp("mute"), gcp("good")])];
        let order = DecryptionOrder::parse(None).unwrap_or_else(|_| panic!("order"));
        let keys = Keys::default();
        let request = ShareRequest { groups: &groups, needed: 1, identities: None };
        assert_eq!(try_keys(&order, &request, &keys).shares.len(), 1);
        let start = Instant::now();
        assert_eq!(try_keys(&order, &request, &keys).shares.len(), 1);
        assert!(start.elapsed() < limits::NETWORK_HEAD_START / 2, "{:?}", start.elapsed());
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

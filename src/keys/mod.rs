//! The keyring: everything that can open the master keys of a file.
//!
//! ```text
//!   sops::KeyService::open
//!        |
//!     Keyring          remembers answers      order.rs: which key next, when to stop
//!        |
//!   one provider per kind of key: `open(&MasterKey) -> Result<KeyShare, RefusedReason>`
//!        |
//!      age/             local.rs: key files    exec.rs: key programs    terminal.rs: passphrases
//!                       directory.rs: a directory of keys for every provider
//! ```
//!
//! To add a provider: a file with a struct and its `open`, a field of [`Keyring`], a line in [`Keyring::ask`], a cargo
//! feature. A provider loads what it needs when it is first asked, not before, and is shared by threads.

mod age;
mod age_pq;
#[cfg(feature = "aws")]
mod aws_kms;
#[cfg(feature = "azure")]
mod azure_kv;
mod claim;
mod command_line;
mod directory;
mod exec;
#[cfg(feature = "gcp")]
mod gcp_kms;
#[cfg(feature = "vault")]
mod hc_vault;
mod local;
mod needs;
#[cfg(feature = "net")]
#[cfg_attr(
    not(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault")),
    allow(dead_code, unused_imports, reason = "each key service uses its part")
)]
mod net;
mod order;
#[cfg(feature = "pgp")]
mod pgp;
mod terminal;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use sha2::{Digest, Sha256};

pub use self::claim::{Claim, Claims, KnownName, pgp_user_ids};
use self::directory::KeyDirectory;
pub use self::needs::Needs;
use self::order::{Ask, DecryptionOrder, Question, lock};
use crate::environment::Environment;
use crate::limits;
use crate::sops::data_key::{
    Attempt, IdentityRule, KeyService, KeyShare, Refusal, RefusedKey, ShareRequest, display_name,
};
use crate::sops::metadata::MasterKey;
use crate::text::Printable;

/// What the caller allows a keyring to do beside reading key files.
#[derive(Clone, Copy, Default)]
pub struct KeyPolicy {
    /// Key programs may be started (`SOPS_AGE_KEY_CMD`, age plugins, gpg, `credential_process` of AWS, `az`).
    /// `UNSOPS_NO_EXEC=1` forbids them whatever this says.
    pub allow_exec: bool,
    /// Someone sits at a terminal and may be asked for a passphrase.
    pub terminal: bool,
    /// When the run as a whole must be over.
    pub deadline: Option<Instant>,
}

/// The keys of this process, in the order of trying.
pub struct Keyring<'env> {
    order: DecryptionOrder,
    environment: &'env Environment,
    policy: KeyPolicy,
    /// `UNSOPS_SANDBOX=strict`: key services are not asked.
    is_offline: bool,
    directory: Arc<KeyDirectory>,
    age: age::Age<'env>,
    #[cfg(feature = "pgp")]
    pgp: pgp::Pgp<'env>,
    #[cfg(feature = "net")]
    network: net::Network<'env>,
    #[cfg(feature = "aws")]
    aws_kms: aws_kms::AwsKms<'env>,
    #[cfg(feature = "azure")]
    azure_kv: azure_kv::AzureKeyVault<'env>,
    #[cfg(feature = "gcp")]
    gcp_kms: gcp_kms::GcpKms<'env>,
    #[cfg(feature = "vault")]
    hc_vault: hc_vault::HcVault<'env>,
    answers: Answers<OnceLock<Answer>>,
    #[cfg(feature = "net")]
    network_answers: Answers<tokio::sync::OnceCell<Answer>>,
    /// Key services that kept us waiting.
    slow: Mutex<BTreeSet<String>>,
}

/// Answers by [`fingerprint`] of the wrapped key.
type Answers<Cell> = Mutex<HashMap<[u8; 32], Arc<Cell>>>;

/// A variable that the keyring cannot make sense of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// See [`DecryptionOrder::parse`].
    #[error("SOPS_DECRYPTION_ORDER names {0} twice")]
    OrderNamesTwice(Printable),
}

/// What a provider says of one key.
type Answer = Result<KeyShare, RefusedReason>;

/// Why a provider did not open a key, and what the operator can do.
#[derive(Clone, Debug)]
struct RefusedReason {
    refusal: Refusal,
    hint: Option<Printable>,
}

/// A place where keys are looked for, and what was found there.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// `SOPS_AGE_KEY_FILE=/keys/keys.txt`, `~/.config/sops/age/keys.txt`.
    pub name: Printable,
    /// What was found.
    pub found: KeySourceState,
    /// Every account of the machine may read it. Nothing is said of this while keys are used: the files of a mounted
    /// Kubernetes Secret usually are.
    pub is_readable_by_all: bool,
}

impl KeySource {
    fn new(name: Printable, found: KeySourceState) -> Self {
        Self { name, found, is_readable_by_all: false }
    }

    /// A source that is a file.
    fn of_file(name: Printable, found: KeySourceState, path: &Path) -> Self {
        Self { name, found, is_readable_by_all: local::is_readable_by_all(path) }
    }
}

/// What was found at a [`KeySource`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySourceState {
    /// Keys, named by their public halves (empty where a source holds none).
    Keys(Vec<Printable>),
    /// The variable is not set, or the file does not exist.
    Absent,
    /// It is there, but no use, and why.
    Unusable(Printable),
    /// It is looked at only when a key needs it (key programs).
    OnDemand,
}

impl<'env> Keyring<'env> {
    /// Prepares the providers of this build. Nothing is read or started before the first key is asked for.
    ///
    /// # Errors
    /// A malformed `SOPS_DECRYPTION_ORDER`.
    pub fn from_environment(environment: &'env Environment, policy: KeyPolicy) -> Result<Self, KeyringError> {
        let no_exec = environment.non_empty("UNSOPS_NO_EXEC").is_some_and(|value| value != "0");
        let is_offline = environment.var("UNSOPS_SANDBOX") == Some("strict");
        let policy = KeyPolicy { allow_exec: policy.allow_exec && !no_exec && !is_offline, ..policy };
        let directory = Arc::new(KeyDirectory::new(environment));
        Ok(Self {
            order: DecryptionOrder::parse(environment.var("SOPS_DECRYPTION_ORDER"))?,
            environment,
            policy,
            is_offline,
            age: age::Age::new(environment, policy, Arc::clone(&directory)),
            #[cfg(feature = "pgp")]
            pgp: pgp::Pgp::new(environment, policy, Arc::clone(&directory)),
            #[cfg(feature = "net")]
            network: net::Network::new(environment, policy.deadline),
            #[cfg(feature = "aws")]
            aws_kms: aws_kms::AwsKms::new(environment, policy, Arc::clone(&directory)),
            #[cfg(feature = "azure")]
            azure_kv: azure_kv::AzureKeyVault::new(environment, policy, Arc::clone(&directory)),
            #[cfg(feature = "gcp")]
            gcp_kms: gcp_kms::GcpKms::new(environment, policy, Arc::clone(&directory)),
            #[cfg(feature = "vault")]
            hc_vault: hc_vault::HcVault::new(environment, Arc::clone(&directory)),
            directory,
            answers: Mutex::default(),
            #[cfg(feature = "net")]
            network_answers: Mutex::default(),
            slow: Mutex::default(),
        })
    }

    /// Lists where keys are looked for and what is there. Reads key files; starts no program and asks for nothing.
    pub fn describe(&self) -> Vec<KeySource> {
        let sources = [self.directory.describe().into_iter().collect(), self.age.describe()].concat();
        #[cfg(feature = "pgp")]
        let sources = [sources, self.pgp.describe()].concat();
        #[cfg(feature = "aws")]
        let sources = [sources, self.aws_kms.describe()].concat();
        #[cfg(feature = "azure")]
        let sources = [sources, self.azure_kv.describe()].concat();
        #[cfg(feature = "gcp")]
        let sources = [sources, self.gcp_kms.describe()].concat();
        #[cfg(feature = "vault")]
        let sources = [sources, self.hc_vault.describe(&self.network)].concat();
        sources
    }

    /// Opens a local key, with the identities that the rule allows.
    fn open_local(&self, key: &MasterKey, rule: Option<&dyn IdentityRule>) -> Answer {
        match key {
            MasterKey::Age { recipient, enc } => self.age.open(recipient, enc, rule),
            MasterKey::HuaweiKms { .. } => Err(RefusedReason {
                refusal: Refusal::NotMine("keys of Huawei Cloud KMS are not supported".into()),
                hint: Some("re-encrypt the file for one more key of another kind (sops updatekeys)".into()),
            }),
            #[cfg(feature = "pgp")]
            MasterKey::Pgp { fingerprint, enc } => self.pgp.open(fingerprint, enc, rule),
            #[cfg(not(feature = "pgp"))]
            MasterKey::Pgp { .. } => Err(not_in_this_build("PGP", "pgp")),
            MasterKey::AwsKms { .. }
            | MasterKey::AzureKeyVault { .. }
            | MasterKey::GcpKms { .. }
            | MasterKey::HcVault { .. } => Err(not_in_this_build(key.kind(), "net")),
        }
    }

    /// Asks the key service of a network key.
    async fn open_network(&self, key: &MasterKey) -> Answer {
        if self.is_offline {
            return Err(RefusedReason {
                refusal: Refusal::NotMine("key services are switched off (UNSOPS_SANDBOX=strict)".into()),
                hint: None,
            });
        }
        #[cfg(feature = "net")]
        if !self.network.is_ready() {
            return Err(net::unavailable("the machine is out of descriptors or memory"));
        }
        match key {
            #[cfg(feature = "aws")]
            MasterKey::AwsKms { arn, role, context, aws_profile, enc } => {
                self.aws_kms.open(&self.network, arn, role.as_deref(), aws_profile.as_deref(), context, enc).await
            }
            #[cfg(not(feature = "aws"))]
            MasterKey::AwsKms { .. } => Err(not_in_this_build("AWS KMS", "aws")),
            #[cfg(feature = "azure")]
            MasterKey::AzureKeyVault { vault_url, name, version, enc } => {
                self.azure_kv.open(&self.network, vault_url, name, version, enc).await
            }
            #[cfg(not(feature = "azure"))]
            MasterKey::AzureKeyVault { .. } => Err(not_in_this_build("Azure Key Vault", "azure")),
            #[cfg(feature = "gcp")]
            MasterKey::GcpKms { resource_id, enc } => self.gcp_kms.open(&self.network, resource_id, enc).await,
            #[cfg(not(feature = "gcp"))]
            MasterKey::GcpKms { .. } => Err(not_in_this_build("GCP KMS", "gcp")),
            #[cfg(feature = "vault")]
            MasterKey::HcVault { vault_address, engine_path, key_name, enc } => {
                self.hc_vault.open(&self.network, vault_address, engine_path, key_name, enc).await
            }
            #[cfg(not(feature = "vault"))]
            MasterKey::HcVault { .. } => Err(not_in_this_build("HashiCorp Vault", "vault")),
            MasterKey::Age { .. } | MasterKey::HuaweiKms { .. } | MasterKey::Pgp { .. } => {
                Err(not_in_this_build(key.kind(), "net"))
            }
        }
    }
}

/// A keyring under the rule of one request.
struct Asking<'r, 'env> {
    keyring: &'r Keyring<'env>,
    rule: Option<&'r dyn IdentityRule>,
}

/// Every wrapped key is asked for once in a run; later answers are repeats. What was opened under a rule is not
/// remembered: the next request may come under another.
impl<'k> Ask<'k> for Asking<'_, '_> {
    fn local(&self, key: &'k MasterKey) -> Answer {
        let open = || self.keyring.open_local(key, self.rule);
        match remembered(&self.keyring.answers, key).filter(|_| self.rule.is_none()) {
            None => open(),
            Some(known) => repeat(known.get_or_init(open)),
        }
    }

    fn network<'a>(&'a self, key: &'k MasterKey) -> Question<'a>
    where
        'k: 'a,
    {
        Box::pin(async move {
            #[cfg(feature = "net")]
            if let Some(known) = remembered(&self.keyring.network_answers, key) {
                // A question that is dropped half-way, because another key was faster, is taken over by whoever waits.
                return repeat(known.get_or_init(|| self.keyring.open_network(key)).await);
            }
            self.keyring.open_network(key).await
        })
    }

    fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>, until: Option<Instant>) {
        #[cfg(feature = "net")]
        self.keyring.network.wait(poll, until);
        #[cfg(not(feature = "net"))]
        {
            // Without network every question is answered when it is first polled.
            _ = (poll(&mut Context::from_waker(std::task::Waker::noop())), until);
        }
    }

    fn is_slow(&self, key: &MasterKey) -> bool {
        lock(&self.keyring.slow).contains(&service(key))
    }

    fn is_waited_for(&self, key: &MasterKey) {
        lock(&self.keyring.slow).insert(service(key));
    }
}

/// The place where the answer for a key is kept; `None` once there are too many.
fn remembered<Cell: Default>(answers: &Answers<Cell>, key: &MasterKey) -> Option<Arc<Cell>> {
    let name = fingerprint(key);
    let mut answers = lock(answers);
    if answers.len() >= limits::KEY_ANSWERS && !answers.contains_key(&name) {
        return None;
    }
    Some(Arc::clone(answers.entry(name).or_default()))
}

fn repeat(answer: &Answer) -> Answer {
    match answer {
        Ok(share) => Ok(KeyShare(share.0.duplicate())),
        Err(reason) => Err(reason.clone()),
    }
}

/// The service that a key is kept by, as far as one may be silent while another is not.
fn service(key: &MasterKey) -> String {
    let place = match key {
        MasterKey::AwsKms { arn, .. } => arn.split(':').nth(3).unwrap_or_default(),
        MasterKey::AzureKeyVault { vault_url, .. } => vault_url,
        MasterKey::HcVault { vault_address, .. } => vault_address,
        MasterKey::Age { .. } | MasterKey::GcpKms { .. } | MasterKey::HuaweiKms { .. } | MasterKey::Pgp { .. } => "",
    };
    format!("{} {place}", key.kind())
}

impl KeyService for Keyring<'_> {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let tried = order::try_keys(&self.order, request, &Asking { keyring: self, rule: request.identities });
        let name = |group: usize, place: usize| {
            request.groups.get(group).and_then(|keys| keys.0.get(place)).map_or_else(|| "?".into(), display_name)
        };
        let refused = tried.refused.into_iter().map(|(group, place, RefusedReason { refusal, hint })| RefusedKey {
            group,
            key: name(group, place),
            refusal,
            hint,
        });
        Attempt { refused: refused.collect(), shares: tried.shares }
    }
}

fn not_in_this_build(provider: &str, feature: &str) -> RefusedReason {
    RefusedReason {
        refusal: Refusal::NotMine(Printable::new(&format!("this build has no support for {provider} keys"))),
        hint: Some(Printable::new(&format!("use a build with the cargo feature {feature}"))),
    }
}

/// Tells wrapped keys apart, by everything that a provider looks at.
fn fingerprint(key: &MasterKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(key.kind());
    match key {
        MasterKey::Age { recipient, enc } => [recipient, enc].into_iter().for_each(|text| add(text)),
        MasterKey::AwsKms { arn, role, context, aws_profile, enc } => {
            add(arn);
            for optional in [role, aws_profile] {
                add(if optional.is_some() { "1" } else { "0" });
                add(optional.as_deref().unwrap_or_default());
            }
            context.iter().for_each(|(name, value)| {
                add(name);
                add(value);
            });
            add(enc);
        }
        MasterKey::AzureKeyVault { vault_url, name, version, enc } => {
            [vault_url, name, version, enc].into_iter().for_each(|text| add(text));
        }
        MasterKey::GcpKms { resource_id, enc } => [resource_id, enc].into_iter().for_each(|text| add(text)),
        MasterKey::HcVault { vault_address, engine_path, key_name, enc } => {
            [vault_address, engine_path, key_name, enc].into_iter().for_each(|text| add(text));
        }
        MasterKey::HuaweiKms { key_id } => add(key_id),
        MasterKey::Pgp { fingerprint, enc } => [fingerprint, enc].into_iter().for_each(|text| add(text)),
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_wrapped_keys_apart_by_each_field() {
        let age =
            |recipient: &str, enc: &str| fingerprint(&MasterKey::Age { recipient: recipient.into(), enc: enc.into() });
        assert_eq!(age("ab", "c"), age("ab", "c"));
        assert_ne!(age("ab", "c"), age("a", "bc"));
        assert_ne!(age("ab", "c"), fingerprint(&MasterKey::Pgp { fingerprint: "ab".into(), enc: "c".into() }));
    }

    #[test]
    fn says_that_a_provider_is_missing() {
        let environment = Environment::new([], None);
        let keyring = Keyring::from_environment(&environment, KeyPolicy::default()).unwrap();
        let Err(huawei) = keyring.open_local(&MasterKey::HuaweiKms { key_id: "r:u".into() }, None) else {
            panic!("not refused")
        };
        assert_eq!(huawei.refusal, Refusal::NotMine("keys of Huawei Cloud KMS are not supported".into()));
    }

    #[test]
    fn refuses_a_malformed_decryption_order() {
        let environment = Environment::new([("SOPS_DECRYPTION_ORDER".into(), "pgp,pgp".into())], None);
        let refused = Keyring::from_environment(&environment, KeyPolicy::default()).err();
        assert_eq!(refused, Some(KeyringError::OrderNamesTwice("pgp".into())));
    }
}

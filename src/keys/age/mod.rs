//! Opens keys of the age kind: one wrapped share is one small, ASCII-armored age file.
//!
//! Source: getsops/sops v3.13, `age/keysource.go`. As there, every place is looked at and what is wrong with one only
//! matters if nothing else opens. Unlike there, places are looked at one after the other and only while the key is not
//! open, so that a plain identity costs no program run and no passphrase; what can open a key is the same.

mod claim;
mod identities;
mod passphrase;
mod plugin;
mod report;
mod sources;
#[cfg(feature = "age-ssh")]
mod ssh;
mod x25519;

use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use ::age::armor::ArmoredReader;
use ::age::{DecryptError, Decryptor};
use age_core::format::{FileKey, Stanza};

pub(super) use self::claim::AgeClaims;
use self::identities::{Effort, Identity, Unwrapped};
use self::sources::{Place, Source, Sources};
use super::directory::KeyDirectory;
use super::{Answer, KeyPolicy, KeySource};
use crate::environment::Environment;
use crate::limits;
use crate::secret::Secret;
use crate::sops::data_key::{IdentityRule, KeyShare};
use crate::text::Printable;

/// First line of an armored age file. sops writes no other form.
const ARMOR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Opens keys of the age kind with the identities of this process.
pub(super) struct Age<'env> {
    sources: Sources<'env>,
}

impl<'env> Age<'env> {
    pub(super) fn new(environment: &'env Environment, policy: KeyPolicy, directory: Arc<KeyDirectory>) -> Self {
        Self { sources: Sources::new(environment, policy, directory) }
    }

    /// Opens one wrapped share. The recipient is not matched, as in sops: it goes to key programs and into messages.
    pub(super) fn open(&self, recipient: &str, enc: &str, rule: Option<&dyn IdentityRule>) -> Answer {
        let trial = Trial { sources: &self.sources, recipient, rule, findings: RefCell::default() };
        match decrypt(enc, &trial) {
            Ok(share) => Ok(share),
            Err(fault) => Err(report::refusal(&fault, recipient, &trial.findings.into_inner())),
        }
    }

    pub(super) fn describe(&self) -> Vec<KeySource> {
        self.sources.describe()
    }

    /// What makes it possible that a program is started.
    pub(super) fn program(&self) -> Option<&'static str> {
        self.sources.program()
    }

    /// Adds the files of identities.
    pub(super) fn places(&self, places: &mut Vec<PathBuf>) {
        self.sources.places(places);
    }
}

/// Why a wrapped share did not open.
enum Fault {
    /// No stanza was unwrapped; the findings say more.
    NotUnwrapped,
    /// It is damaged, or no age file at all.
    Damaged(&'static str),
}

fn decrypt(enc: &str, trial: &Trial<'_, '_>) -> Result<KeyShare, Fault> {
    // sops indents armor in YAML and INI as the format asks for; the armor reader wants none of it.
    let armor = enc.trim();
    if !armor.starts_with(ARMOR_BEGIN) {
        return Err(Fault::Damaged("its ciphertext is not an ASCII-armored age file"));
    }
    if armor.len() > limits::AGE_KEY_BYTES {
        return Err(Fault::Damaged("its ciphertext is larger than 16 KiB"));
    }
    let mut file = Vec::with_capacity(armor.len());
    ArmoredReader::new(armor.as_bytes())
        .read_to_end(&mut file)
        .map_err(|_| Fault::Damaged("the armor of its ciphertext is damaged"))?;
    let mut plain = Vec::with_capacity(64);
    Decryptor::new_buffered(file.as_slice())
        .map_err(|error| header_fault(&error))?
        .decrypt(std::iter::once(trial as &dyn ::age::Identity))
        .map_err(|error| header_fault(&error))?
        .read_to_end(&mut plain)
        .map_err(|_| Fault::Damaged("its ciphertext is damaged (the payload does not authenticate)"))?;
    Ok(KeyShare(Secret::new(plain)))
}

fn header_fault(error: &DecryptError) -> Fault {
    match error {
        DecryptError::NoMatchingKeys => Fault::NotUnwrapped,
        DecryptError::InvalidMac => Fault::Damaged("its ciphertext is damaged (the age header does not authenticate)"),
        DecryptError::UnknownFormat => Fault::Damaged("its ciphertext is of an unknown version of age"),
        _ => Fault::Damaged("the age header of its ciphertext is malformed"),
    }
}

/// All identities as one, for one wrapped share.
struct Trial<'s, 'env> {
    sources: &'s Sources<'env>,
    recipient: &'s str,
    rule: Option<&'s dyn IdentityRule>,
    findings: RefCell<Findings>,
}

/// What a trial came across, for the report.
#[derive(Default)]
struct Findings {
    /// Every source that was looked at, in order.
    consulted: Vec<Arc<Source>>,
    /// Identities that no stanza was for: which source, which identity in it.
    unmatched: Vec<(Arc<Source>, usize)>,
    /// Identities that could not be tried: name of the source, and why.
    failed: Vec<(Printable, Printable)>,
    /// A stanza is malformed, or is for an identity of ours but does not open.
    damaged: bool,
    /// A program did not answer in time.
    timed_out: bool,
    /// What the stanzas ask for.
    wanted: Wanted,
}

/// What kinds of identities the stanzas of a header ask for.
#[derive(Clone, Copy, Default)]
struct Wanted {
    ssh: bool,
    passphrase: bool,
    too_many: bool,
}

impl Wanted {
    fn of(stanzas: &[Stanza]) -> Self {
        let any = |tags: &[&str]| stanzas.iter().any(|stanza| tags.contains(&stanza.tag.as_str()));
        Self {
            ssh: any(&["ssh-ed25519", "ssh-rsa"]),
            passphrase: any(&["scrypt"]),
            too_many: stanzas.len() > limits::AGE_STANZAS,
        }
    }
}

impl ::age::Identity for Trial<'_, '_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let wanted = Wanted::of(stanzas);
        self.findings.borrow_mut().wanted = wanted;
        // sops never encrypts to a passphrase, and a passphrase opens nothing but itself.
        if wanted.too_many || wanted.passphrase {
            return None;
        }
        self.try_everything(stanzas, wanted).map(Ok)
    }
}

impl Trial<'_, '_> {
    /// Goes from what costs nothing to what starts a program or asks a person.
    fn try_everything(&self, stanzas: &[Stanza], wanted: Wanted) -> Option<FileKey> {
        // SSH keys open nothing but SSH stanzas; where there is none, no SSH key is read.
        for place in Place::IN_ORDER.into_iter().filter(|place| wanted.ssh || !place.holds_ssh_keys()) {
            let found = self.sources.load(place, self.recipient);
            self.findings.borrow_mut().consulted.extend(found.iter().cloned());
            if let Some(file_key) = self.try_each(&found, Effort::Nothing, stanzas) {
                return Some(file_key);
            }
        }
        let known = self.findings.borrow().consulted.clone();
        self.try_each(&known, Effort::Program, stanzas).or_else(|| self.try_each(&known, Effort::Person, stanzas))
    }

    /// Whether the rule allows every key that an identity stands for. Of a plugin, and of a file behind a passphrase, the
    /// public half is not known: under a rule they are not used.
    fn allows(&self, identity: &Identity) -> bool {
        let Some(rule) = self.rule else { return true };
        let halves = identity.public_halves();
        !halves.is_empty() && halves.iter().all(|half| rule.allows_age(half))
    }

    fn try_each(&self, sources: &[Arc<Source>], effort: Effort, stanzas: &[Stanza]) -> Option<FileKey> {
        let context = self.sources.context();
        for source in sources {
            for (place, identity) in source.identities().iter().enumerate() {
                if identity.effort() != effort {
                    continue;
                }
                if !self.allows(identity) {
                    let why = "holds an identity that the policy does not allow".into();
                    self.findings.borrow_mut().failed.push((source.name.clone(), why));
                    continue;
                }
                let unwrapped = identity.unwrap(stanzas, &context);
                let mut findings = self.findings.borrow_mut();
                match unwrapped {
                    Unwrapped::FileKey(file_key) => return Some(file_key),
                    Unwrapped::NoMatch => findings.unmatched.push((Arc::clone(source), place)),
                    Unwrapped::Damaged => findings.damaged = true,
                    Unwrapped::Failed(why) => findings.failed.push((source.name.clone(), why)),
                    Unwrapped::TimedOut(why) => {
                        findings.timed_out = true;
                        findings.failed.push((source.name.clone(), why));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;

//! Whose a PGP message is, and the user ids of public keys.

use std::io::Cursor;

use pgp::composed::{Esk, Message};
use pgp::packet::{Packet, PacketParser};
use pgp::types::KeyDetails;

use super::{Loaded, Pgp, gnupg_home, secret_keys};
use crate::keys::claim::{Claim, KnownName};
use crate::keys::{KeySourceState, local};
use crate::limits;
use crate::text::Printable;

/// Most user ids that are taken from one file.
const USER_IDS: usize = 10_000;

impl Pgp<'_> {
    /// Says whether the message names one of our secret keys.
    pub(in crate::keys) fn claim(&self, fingerprint: &str, enc: &str) -> Claim {
        let loaded = self.loaded();
        if loaded.keys.is_empty() && loaded.locked.is_empty() {
            return Claim::NotMine;
        }
        let named = |name: &str| {
            let wanted = fingerprint.trim_end_matches('!').to_uppercase();
            !wanted.is_empty() && name.ends_with(&wanted)
        };
        if enc.len() > limits::PGP_KEY_BYTES {
            return Claim::NotMine;
        }
        let armored = enc.trim_ascii().as_bytes().to_vec();
        let Ok((Message::Encrypted { esk, .. }, _)) = Message::from_armor(Cursor::new(armored)) else {
            return Claim::NotMine;
        };
        let mut claim = Claim::NotMine;
        for esk in esk.iter().take(limits::PGP_RECIPIENTS) {
            let Esk::PublicKeyEncryptedSessionKey(packet) = esk else { continue };
            for key in loaded.keys.iter().filter(|key| key.is_named_by(packet)) {
                let source = loaded.source_of(&key.fingerprint());
                if !key.is_protected() || loaded.passphrase.is_some() {
                    return Claim::Mine(source);
                }
                claim = Claim::Locked(source);
            }
            let id = packet.id().ok().map(|id| id.to_string().to_uppercase());
            let is_locked = |locked: &String| id.as_deref().is_some_and(|id| locked.ends_with(id)) || named(locked);
            if let Some(locked) = loaded.locked.iter().find(|locked| is_locked(locked)) {
                claim = Claim::Locked(loaded.source_of(locked));
            }
        }
        claim
    }

    /// User ids of the public keyring.
    pub(in crate::keys) fn names(&self) -> Vec<KnownName> {
        let Some((home, name)) = &self.sources.gnupg_home else { return Vec::new() };
        let deadline = self.deadline.unwrap_or_else(|| std::time::Instant::now() + limits::KEY_PROGRAM_TIME);
        let read = |file: &str| local::read(&home.join(file), deadline).ok();
        let Some(keyring) = read("pubring.kbx").or_else(|| read("pubring.gpg")) else { return Vec::new() };
        user_ids(keyring.expose())
            .into_iter()
            .map(|(recipient, text)| KnownName { recipient, name: text, source: name.clone() })
            .collect()
    }
}

impl Loaded {
    /// The source that holds a key.
    fn source_of(&self, fingerprint: &str) -> Printable {
        let holds = |found: &KeySourceState| matches!(found, KeySourceState::Keys(keys) if keys.iter().any(|key| key.as_str() == fingerprint));
        let source = self.sources.iter().find(|source| holds(&source.found));
        source.map_or_else(|| Printable::new(fingerprint), |source| source.name.clone())
    }
}

/// Fingerprints, of subkeys too, each with the first user id of its key.
pub(in crate::keys) fn user_ids(file: &[u8]) -> Vec<(String, String)> {
    let blocks = if gnupg_home::is_keybox(file) {
        gnupg_home::keybox_blocks(file).into_iter().map(<[u8]>::to_vec).collect()
    } else {
        secret_keys::blocks(file).unwrap_or_default()
    };
    let mut found = Vec::new();
    for block in blocks {
        let mut fingerprints = Vec::new();
        let mut user_id: Option<String> = None;
        for packet in PacketParser::new(Cursor::new(block)).take(secret_keys::MOST_PACKETS).flatten() {
            match packet {
                Packet::PublicKey(key) => {
                    finish(&mut fingerprints, user_id.take(), &mut found);
                    fingerprints.push(key.fingerprint().to_string().to_uppercase());
                }
                Packet::PublicSubkey(key) => fingerprints.push(key.fingerprint().to_string().to_uppercase()),
                Packet::UserId(id) if user_id.is_none() => {
                    user_id = Some(Printable::new(&String::from_utf8_lossy(id.id())).to_string());
                }
                _ => {}
            }
        }
        finish(&mut fingerprints, user_id, &mut found);
        if found.len() >= USER_IDS {
            break;
        }
    }
    found.truncate(USER_IDS);
    found
}

fn finish(fingerprints: &mut Vec<String>, user_id: Option<String>, found: &mut Vec<(String, String)>) {
    let fingerprints = std::mem::take(fingerprints);
    if let Some(user_id) = user_id {
        found.extend(fingerprints.into_iter().map(|fingerprint| (fingerprint, user_id.clone())));
    }
}

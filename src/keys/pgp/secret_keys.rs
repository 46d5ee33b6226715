//! Secret key packets from exported key files: armored or binary, one key or many.

use std::io::{Cursor, Read};

use pgp::armor::Dearmor;
use pgp::composed::PlainSessionKey;
use pgp::packet::{Packet, PacketParser, SecretKey, SecretSubkey};
use pgp::ser::Serialize;
use pgp::types::{
    EncryptedSecretParams, EskType, Fingerprint, KeyDetails, Password, PkeskBytes, PlainSecretParams, PublicParams, Tag,
};

use super::gnupg_home::Public;
use super::rsa_packet;
use super::rsa_session_key::RsaNumbers;

/// A secret key or subkey. No `Debug`.
pub enum PgpSecret {
    /// A primary key.
    Primary(SecretKey),
    /// A subkey, and the fingerprint of the primary key that it belongs to, in upper-case hex; empty if that is missing.
    Sub(SecretSubkey, String),
    /// An RSA key without a passphrase, or unlocked.
    Rsa(Box<Public>, RsaNumbers),
    /// An RSA key that wants a passphrase.
    LockedRsa(Box<Public>, Box<EncryptedSecretParams>),
}

/// The passphrase is wrong, or the key protected in a way that is not known.
#[derive(Debug)]
pub struct Locked;

impl PgpSecret {
    /// The key's fingerprint in upper-case hex.
    pub fn fingerprint(&self) -> String {
        let fingerprint: Fingerprint = match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Sub(key, _) => key.fingerprint(),
            Self::Rsa(public, _) | Self::LockedRsa(public, _) => return public.fingerprint(),
        };
        fingerprint.to_string().to_uppercase()
    }

    /// The fingerprint of the primary key that it belongs to, or that it is.
    pub fn primary(&self) -> String {
        match self {
            Self::Primary(_) => self.fingerprint(),
            Self::Sub(_, primary) => primary.clone(),
            Self::Rsa(public, _) | Self::LockedRsa(public, _) => public.primary(),
        }
    }

    /// Whether its secret part is protected by a passphrase.
    pub fn is_protected(&self) -> bool {
        match self {
            Self::Primary(key) => key.secret_params().is_encrypted(),
            Self::Sub(key, _) => key.secret_params().is_encrypted(),
            Self::Rsa(..) => false,
            Self::LockedRsa(..) => true,
        }
    }

    /// Whether a session key packet is for this key, or for nobody in particular (hidden recipient).
    pub fn is_named_by(&self, packet: &pgp::packet::PublicKeyEncryptedSessionKey) -> bool {
        match self {
            Self::Primary(key) => packet.match_identity(key.public_key()),
            Self::Sub(key, _) => packet.match_identity(key.public_key()),
            Self::Rsa(public, _) | Self::LockedRsa(public, _) => public.is_named_by(packet),
        }
    }

    /// Opens a session key; `None` where it is not for this key, or is damaged.
    ///
    /// # Errors
    /// [`Locked`].
    pub fn open(
        &self,
        passphrase: &Password,
        values: &PkeskBytes,
        kind: EskType,
    ) -> Result<Option<PlainSessionKey>, Locked> {
        let opened = match self {
            Self::Primary(key) => {
                key.unlock(passphrase, |public, secret| Ok(open(public, secret, values, kind, key.public_key())))
            }
            Self::Sub(key, _) => {
                key.unlock(passphrase, |public, secret| Ok(open(public, secret, values, kind, key.public_key())))
            }
            Self::Rsa(public, numbers) => return Ok(numbers.open(public.params(), values, kind)),
            Self::LockedRsa(public, locked) => {
                let numbers = rsa_packet::unlock(public, locked, passphrase).ok_or(Locked)?;
                return Ok(numbers.open(public.params(), values, kind));
            }
        };
        opened.map(|found| found.ok().flatten()).map_err(|_| Locked)
    }
}

/// Lets the library open a session key, but never with an RSA key.
fn open<K: KeyDetails + Serialize>(
    public: &PublicParams,
    secret: &PlainSecretParams,
    values: &PkeskBytes,
    kind: EskType,
    key: &K,
) -> Option<PlainSessionKey> {
    match secret {
        PlainSecretParams::RSA(_) => None,
        _ => secret.decrypt(public, values, kind, key).ok(),
    }
}

/// The secret key packets of a file.
///
/// # Errors
/// Fixed words: not OpenPGP, a public key, no secret key in it.
pub fn read(file: &[u8]) -> Result<Vec<PgpSecret>, &'static str> {
    let mut secrets = Vec::new();
    let mut has_public = false;
    for block in blocks(file)? {
        let mut primary = String::new();
        let mut parser = PacketParser::new(Cursor::new(block));
        for _ in 0..MOST_PACKETS {
            let Some(packet) = parser.next_ref() else { break };
            // A packet that the library cannot read (a newer algorithm, trust data) does not hide the others.
            let Ok(mut packet) = packet else { continue };
            let header = packet.packet_header();
            let mut body = Vec::new();
            if packet.read_to_end(&mut body).is_err() {
                continue;
            }
            if let Some(secret) = rsa_packet::read(header.tag(), &body, &primary) {
                if header.tag() == Tag::SecretKey {
                    primary = secret.as_ref().map(PgpSecret::fingerprint).unwrap_or_default();
                }
                secrets.extend(secret);
                continue;
            }
            match Packet::from_reader(header, body.as_slice()) {
                Ok(Packet::SecretKey(key)) => {
                    primary = key.fingerprint().to_string().to_uppercase();
                    secrets.push(PgpSecret::Primary(key));
                }
                Ok(Packet::SecretSubkey(key)) => secrets.push(PgpSecret::Sub(key, primary.clone())),
                Ok(Packet::PublicKey(key)) => {
                    primary = key.fingerprint().to_string().to_uppercase();
                    has_public = true;
                }
                Ok(Packet::PublicSubkey(_)) => has_public = true,
                _ => {}
            }
        }
    }
    match (secrets.is_empty(), has_public) {
        (false, _) => Ok(secrets),
        (true, true) => Err("holds only public keys; export the secret key (gpg --export-secret-keys --armor)"),
        (true, false) => Err("holds no OpenPGP secret key"),
    }
}

/// Most packets that are read of one key file; a keyring of 1,000 keys with signatures stays below it.
pub(super) const MOST_PACKETS: usize = 100_000;

/// The binary content: of each armored block, or the file itself.
pub(super) fn blocks(file: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const BEGIN: &str = "-----BEGIN PGP ";
    if file.first().is_some_and(|first| first & 0x80 != 0) {
        return Ok(vec![file.to_vec()]);
    }
    let text = std::str::from_utf8(file).map_err(|_| "is neither an armored nor a binary OpenPGP key")?;
    let mut blocks = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let mut dearmor = Dearmor::new(Cursor::new(format!("{BEGIN}{block}")));
        let mut bytes = Vec::new();
        if dearmor.read_header().is_ok() && dearmor.read_to_end(&mut bytes).is_ok() {
            blocks.push(bytes);
        }
    }
    if blocks.is_empty() { Err("is not an OpenPGP key") } else { Ok(blocks) }
}

//! Secret key packets from exported key files: armored or binary, one key or many.

use std::io::Cursor;

use pgp::armor::Dearmor;
use pgp::composed::PlainSessionKey;
use pgp::errors::Result;
use pgp::packet::{Packet, PacketParser, SecretKey, SecretSubkey};
use pgp::types::{EskType, Fingerprint, KeyDetails, Password, PkeskBytes};

use super::blinded_rsa::{self, RsaNumbers};
use super::gnupg_home::Public;

/// A secret key or subkey. No `Debug`.
pub enum PgpSecret {
    /// A primary key.
    Primary(SecretKey),
    /// A subkey, and the fingerprint of the primary key that it belongs to, in upper-case hex; empty if that is missing.
    Sub(SecretSubkey, String),
    /// An RSA key of a GnuPG home, without a passphrase or unlocked.
    Rsa(Box<Public>, RsaNumbers),
}

impl PgpSecret {
    /// The key's fingerprint in upper-case hex.
    pub fn fingerprint(&self) -> String {
        let fingerprint: Fingerprint = match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Sub(key, _) => key.fingerprint(),
            Self::Rsa(public, _) => return public.fingerprint(),
        };
        fingerprint.to_string().to_uppercase()
    }

    /// The fingerprint of the primary key that it belongs to, or that it is.
    pub fn primary(&self) -> String {
        match self {
            Self::Primary(_) => self.fingerprint(),
            Self::Sub(_, primary) => primary.clone(),
            Self::Rsa(public, _) => public.primary(),
        }
    }

    /// Whether its secret part is protected by a passphrase.
    pub fn is_protected(&self) -> bool {
        match self {
            Self::Primary(key) => key.secret_params().is_encrypted(),
            Self::Sub(key, _) => key.secret_params().is_encrypted(),
            Self::Rsa(..) => false,
        }
    }

    /// Whether a session key packet is for this key, or for nobody in particular (hidden recipient).
    pub fn is_named_by(&self, packet: &pgp::packet::PublicKeyEncryptedSessionKey) -> bool {
        match self {
            Self::Primary(key) => packet.match_identity(key.public_key()),
            Self::Sub(key, _) => packet.match_identity(key.public_key()),
            Self::Rsa(public, _) => public.is_named_by(packet),
        }
    }

    /// Opens a session key; `None` where it is not for this key, or is damaged.
    ///
    /// # Errors
    /// Of the OpenPGP library, not for display: wrong passphrase.
    pub fn open(&self, passphrase: &Password, values: &PkeskBytes, kind: EskType) -> Result<Option<PlainSessionKey>> {
        let opened = match self {
            Self::Primary(key) => key.unlock(passphrase, |public, secret| {
                Ok(blinded_rsa::open(public, secret, values, kind)
                    .unwrap_or_else(|| secret.decrypt(public, values, kind, key.public_key()).ok()))
            }),
            Self::Sub(key, _) => key.unlock(passphrase, |public, secret| {
                Ok(blinded_rsa::open(public, secret, values, kind)
                    .unwrap_or_else(|| secret.decrypt(public, values, kind, key.public_key()).ok()))
            }),
            Self::Rsa(public, numbers) => return Ok(numbers.open(public.params(), values, kind).flatten()),
        };
        opened.map(|found| found.ok().flatten())
    }
}

/// The secret key packets of a file.
///
/// # Errors
/// Fixed words: not OpenPGP, a public key, no secret key in it.
pub fn read(file: &[u8]) -> std::result::Result<Vec<PgpSecret>, &'static str> {
    let mut secrets = Vec::new();
    let mut has_public = false;
    for block in blocks(file)? {
        let mut primary = String::new();
        // A packet that the library cannot read (a newer algorithm, trust data) does not hide the others.
        for packet in PacketParser::new(Cursor::new(block)).take(MOST_PACKETS).flatten() {
            match packet {
                Packet::SecretKey(key) => {
                    primary = key.fingerprint().to_string().to_uppercase();
                    secrets.push(PgpSecret::Primary(key));
                }
                Packet::SecretSubkey(key) => secrets.push(PgpSecret::Sub(key, primary.clone())),
                Packet::PublicKey(key) => {
                    primary = key.fingerprint().to_string().to_uppercase();
                    has_public = true;
                }
                Packet::PublicSubkey(_) => has_public = true,
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
pub(super) fn blocks(file: &[u8]) -> std::result::Result<Vec<Vec<u8>>, &'static str> {
    const BEGIN: &str = "-----BEGIN PGP ";
    if file.first().is_some_and(|first| first & 0x80 != 0) {
        return Ok(vec![file.to_vec()]);
    }
    let text = std::str::from_utf8(file).map_err(|_| "is neither an armored nor a binary OpenPGP key")?;
    let mut blocks = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let mut dearmor = Dearmor::new(Cursor::new(format!("{BEGIN}{block}")));
        let mut bytes = Vec::new();
        if dearmor.read_header().is_ok() && std::io::Read::read_to_end(&mut dearmor, &mut bytes).is_ok() {
            blocks.push(bytes);
        }
    }
    if blocks.is_empty() { Err("is not an OpenPGP key") } else { Ok(blocks) }
}

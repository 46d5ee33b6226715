//! Certificates and their private key from a PKCS#12 file (`.pfx`, `.p12`).
//!
//! Source: RFC 7292. Go's reader, which sops has, knows the old protection only (3DES and RC2 under SHA-1); that of OpenSSL 3
//! and of Java is read here, too.

mod der;
mod encryption;

use self::der::{Der, IDENTIFIER, IMPLICIT, OCTETS};
use self::encryption::Password;
use crate::secret::{Secret, SecretBytes};

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 1];
const ENCRYPTED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];

/// The only version there is.
const VERSION: u32 = 3;

/// What a file holds.
pub(super) struct Pkcs12 {
    /// PKCS#8, DER.
    pub(super) key: SecretBytes,
    /// DER, in the order of the file.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Malformed,
    ManyKeys,
    NoKey,
    NoPassword,
    TooSlow,
    Unsupported,
    WrongPassword,
}

impl Problem {
    /// What to say of the file.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Malformed => "is neither PEM nor a whole PKCS#12 file",
            Self::ManyKeys => "holds more than one private key",
            Self::NoKey => "holds no private key",
            Self::NoPassword => "is behind a password (set AZURE_CLIENT_CERTIFICATE_PASSWORD)",
            Self::TooSlow => "asks for too much work to make a key of its password",
            Self::Unsupported => {
                "is protected in a way that is not supported (convert it: openssl pkcs12 -in FILE -out PEM -nodes)"
            }
            Self::WrongPassword => "is not opened by AZURE_CLIENT_CERTIFICATE_PASSWORD, or is damaged",
        }
    }
}

impl Pkcs12 {
    /// Reads a file; an empty password stands for none.
    pub(super) fn read(bytes: &[u8], password: &str) -> Result<Self, Problem> {
        let mut file = Der(bytes).sequence().ok_or(Problem::Malformed)?;
        if file.number() != Some(VERSION) {
            return Err(Problem::Malformed);
        }
        let (kind, content) = content_info(&mut file).ok_or(Problem::Malformed)?;
        if kind != DATA {
            // Signed with a certificate instead of a password.
            return Err(Problem::Unsupported);
        }
        let content = Der(content).take(OCTETS).ok_or(Problem::Malformed)?;
        let wrong = if password.is_empty() { Problem::NoPassword } else { Problem::WrongPassword };
        // Go takes no file without a MAC either.
        let mac = file.sequence().ok_or(Problem::Unsupported)?;
        let mut password = Password::new(password);
        if !password.verifies(mac, content)? {
            return Err(wrong);
        }
        let mut found = Bags { password, keys: Vec::new(), certificates: Vec::new() };
        let mut parts = Der(content).sequence().ok_or(Problem::Malformed)?;
        while !parts.is_empty() {
            let (kind, content) = content_info(&mut parts).ok_or(Problem::Malformed)?;
            match kind {
                DATA => found.read(Der(content).take(OCTETS).ok_or(Problem::Malformed)?)?,
                ENCRYPTED_DATA => {
                    let (algorithm, encrypted) = encrypted_data(Der(content)).ok_or(Problem::Malformed)?;
                    let bags = found.password.decrypt(algorithm, encrypted)?;
                    found.read(bags.expose())?;
                }
                _ => return Err(Problem::Unsupported),
            }
        }
        let key = found.keys.pop().ok_or(Problem::NoKey)?;
        if found.keys.is_empty() { Ok(Self { key, certificates: found.certificates }) } else { Err(Problem::ManyKeys) }
    }
}

/// Type and content of a `ContentInfo`.
fn content_info<'a>(der: &mut Der<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut info = der.sequence()?;
    Some((info.take(IDENTIFIER)?, info.explicit()?.0))
}

/// Algorithm and ciphertext of an `EncryptedData`.
fn encrypted_data(mut der: Der<'_>) -> Option<(Der<'_>, &[u8])> {
    let mut data = der.sequence()?;
    let _version = data.number()?;
    let mut info = data.sequence()?;
    let _kind = info.take(IDENTIFIER)?;
    Some((info.sequence()?, info.take(IMPLICIT)?))
}

/// What was found so far.
struct Bags {
    password: Password,
    keys: Vec<SecretBytes>,
    certificates: Vec<Vec<u8>>,
}

impl Bags {
    /// Reads a `SafeContents`. Bags of other kinds (revocation lists, secrets) are left alone.
    fn read(&mut self, contents: &[u8]) -> Result<(), Problem> {
        let mut bags = Der(contents).sequence().ok_or(Problem::Malformed)?;
        while !bags.is_empty() {
            let mut bag = bags.sequence().ok_or(Problem::Malformed)?;
            let (kind, content) = bag.take(IDENTIFIER).zip(bag.explicit()).ok_or(Problem::Malformed)?;
            match kind {
                KEY_BAG => self.keys.push(Secret::new(content.0.to_vec())),
                ENCRYPTED_KEY_BAG => {
                    let (algorithm, encrypted) = encrypted_key(content).ok_or(Problem::Malformed)?;
                    self.keys.push(self.password.decrypt(algorithm, encrypted)?);
                }
                CERTIFICATE_BAG => self.certificates.extend(certificate(content)),
                _ => {}
            }
            if self.keys.len() > 1 {
                return Err(Problem::ManyKeys);
            }
        }
        Ok(())
    }
}

/// Algorithm and ciphertext of an `EncryptedPrivateKeyInfo`.
fn encrypted_key(mut der: Der<'_>) -> Option<(Der<'_>, &[u8])> {
    let mut info = der.sequence()?;
    Some((info.sequence()?, info.take(OCTETS)?))
}

/// The certificate of a `CertBag`; `None` where it is none of X.509.
fn certificate(mut der: Der<'_>) -> Option<Vec<u8>> {
    let mut bag = der.sequence()?;
    (bag.take(IDENTIFIER)? == X509).then_some(())?;
    Some(bag.explicit()?.take(OCTETS)?.to_vec())
}

#[cfg(test)]
mod tests;

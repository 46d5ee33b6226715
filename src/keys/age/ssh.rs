//! SSH keys as age identities: Ed25519 and RSA, in OpenSSH's format or PKCS#1.

use std::borrow::Cow;
use std::sync::OnceLock;

use age::ssh::{Identity as SshIdentity, Recipient, UnsupportedKey};
use age_core::format::Stanza;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::identities::{Context, Effort, Unwrapped};
use crate::keys::terminal::{self, Echo, NoAnswer};
use crate::limits;
use crate::secret::Secret;
use crate::text::Printable;

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// An SSH private key.
pub(super) struct SshKey {
    /// `ssh-ed25519 AAAA…`
    public: String,
    secret: SshSecret,
}

enum SshSecret {
    Plain(SshIdentity),
    Locked { name: Printable, key: SshIdentity, opened: OnceLock<Result<SshIdentity, Printable>> },
}

impl SshKey {
    /// Reads a private key file. A key with a passphrase is unlocked only when a stanza is for it, and only `on_terminal`
    /// (sops wants the output of a command unlocked).
    pub(super) fn parse(name: &Printable, text: &[u8], on_terminal: bool) -> Result<Self, &'static str> {
        if text.len() > limits::SSH_KEY_BYTES {
            return Err("is larger than an SSH private key");
        }
        let text = std::str::from_utf8(text).map_err(|_| "is not an SSH private key")?.trim_start();
        if let Some(what) = misplaced(text) {
            return Err(what);
        }
        let text = as_pkcs1(text).map_or(Cow::Borrowed(text), Cow::Owned);
        if text.starts_with("-----BEGIN PRIVATE KEY") {
            return Err("is in PKCS#8 format (convert it with ssh-keygen -p -f)");
        }
        let key = SshIdentity::from_buffer(text.as_bytes(), None).map_err(|_| "is a damaged SSH private key")?;
        let public = match Recipient::try_from(key.clone()) {
            Ok(public) => public.to_string(),
            Err(_) => return Err(unsupported(&key)),
        };
        let secret = match &key {
            SshIdentity::Unencrypted(_) => SshSecret::Plain(key),
            SshIdentity::Encrypted(_) if !on_terminal => {
                return Err("is an SSH private key with a passphrase, which cannot be asked for here");
            }
            SshIdentity::Encrypted(_) => SshSecret::Locked { name: name.clone(), key, opened: OnceLock::new() },
            SshIdentity::Unsupported(_) => return Err(unsupported(&key)),
        };
        Ok(Self { public, secret })
    }

    pub(super) fn effort(&self) -> Effort {
        match self.secret {
            SshSecret::Plain(_) => Effort::Nothing,
            SshSecret::Locked { .. } => Effort::Person,
        }
    }

    pub(super) fn public_half(&self) -> String {
        self.public.clone()
    }

    pub(super) fn unwrap(&self, stanzas: &[Stanza], context: &Context<'_>) -> Unwrapped {
        match &self.secret {
            SshSecret::Plain(identity) => Unwrapped::from(age::Identity::unwrap_stanzas(identity, stanzas)),
            SshSecret::Locked { .. } if !stanzas.iter().any(|stanza| self.is_for(stanza)) => Unwrapped::NoMatch,
            SshSecret::Locked { name, key, opened } => {
                match opened.get_or_init(|| unlock(name, key, |q| terminal::ask(context.policy, q, Echo::Hidden))) {
                    Ok(identity) => Unwrapped::from(age::Identity::unwrap_stanzas(identity, stanzas)),
                    Err(why) => Unwrapped::Failed(why.clone()),
                }
            }
        }
    }

    /// Whether a stanza names this key: its first argument is the begin of the SHA-256 of the public key.
    fn is_for(&self, stanza: &Stanza) -> bool {
        let Some((kind, encoded)) = self.public.split_once(' ') else { return false };
        let Ok(public) = BASE64_STANDARD.decode(encoded) else { return false };
        let digest = Sha256::digest(public);
        let tag: String = BASE64_STANDARD_NO_PAD.encode(digest.first_chunk::<4>().unwrap_or(&[0; 4]));
        stanza.tag == kind && stanza.args.first() == Some(&tag)
    }
}

/// Asks for the passphrase until it is right.
fn unlock(
    name: &Printable,
    key: &SshIdentity,
    answer: impl Fn(&Printable) -> Result<Secret<String>, NoAnswer>,
) -> Result<SshIdentity, Printable> {
    let SshIdentity::Encrypted(key) = key else { return Err("is not protected by a passphrase".into()) };
    let question = Printable::new(&format!("Passphrase of the SSH key {name}"));
    for _ in 0..TRIES {
        let passphrase =
            answer(&question).map_err(|no| Printable::new(&format!("is protected by a passphrase, {}", no.words())))?;
        if let Ok(key) = key.decrypt(passphrase.into_exposed().into()) {
            return Ok(key.into());
        }
    }
    Err("is protected by a passphrase, and those given are wrong".into())
}

/// Rewrites an RSA key in PKCS#8, which Go reads and the `age` crate does not; none for anything else.
///
/// PKCS#8 is a fixed header (RFC 5208, rsaEncryption) around PKCS#1; lengths of 2048 bits and more take two bytes.
fn as_pkcs1(text: &str) -> Option<String> {
    const HEADER: &[u8] = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82";
    let (body, _) = text.strip_prefix("-----BEGIN PRIVATE KEY-----")?.split_once("-----END PRIVATE KEY-----")?;
    let encoded: String = body.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(encoded).ok()?;
    let pkcs1 = der.strip_prefix(b"\x30\x82")?.get(2..)?.strip_prefix(HEADER)?.get(2..)?;
    let encoded = BASE64_STANDARD.encode(pkcs1);
    let mut chars = encoded.chars().peekable();
    let mut pem = String::from("-----BEGIN RSA PRIVATE KEY-----\n");
    while chars.peek().is_some() {
        pem.extend(chars.by_ref().take(64));
        pem.push('\n');
    }
    pem.push_str("-----END RSA PRIVATE KEY-----\n");
    Some(pem)
}

fn unsupported(key: &SshIdentity) -> &'static str {
    match key {
        SshIdentity::Unsupported(UnsupportedKey::EncryptedPem) => {
            "is encrypted in the old PEM format (convert it with ssh-keygen -p -f)"
        }
        SshIdentity::Unsupported(UnsupportedKey::EncryptedSsh(_)) => "is encrypted with a cipher that is not supported",
        SshIdentity::Unsupported(UnsupportedKey::Hardware(_)) => "lives on a security key, which age cannot use",
        _ => "is of a kind that age cannot use (only Ed25519 and RSA)",
    }
}

/// Recognises what people put in place of an SSH private key.
fn misplaced(text: &str) -> Option<&'static str> {
    const TABLE: &[(&str, &str)] = &[
        ("ssh-", "is an SSH public key, the private one is needed (the file without .pub)"),
        ("AGE-", "holds an age identity, which belongs in SOPS_AGE_KEY_FILE"),
        ("# created:", "holds an age identity, which belongs in SOPS_AGE_KEY_FILE"),
        ("PuTTY-", "is a PuTTY key (convert it with puttygen -O private-openssh)"),
        ("-----BEGIN PGP", "is a PGP key, not an SSH private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY", "is in PKCS#8 format (convert it with ssh-keygen -p -f)"),
        ("-----BEGIN EC", "is of a kind that age cannot use (only Ed25519 and RSA)"),
        ("-----BEGIN DSA", "is of a kind that age cannot use (only Ed25519 and RSA)"),
    ];
    if text.is_empty() {
        return Some("is empty");
    }
    let known = TABLE.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, what)| *what);
    known.or_else(|| (!text.starts_with("-----BEGIN ")).then_some("is not an SSH private key"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use age::Recipient as _;
    use age_core::format::FileKey;

    use super::*;
    use crate::environment::Environment;
    use crate::keys::KeyPolicy;

    const TEST_ONLY: &str = include_str!("../../../tests/keys/ssh.txt");

    /// A test key by its name in the file: public half and private key.
    fn test_key(name: &str) -> (String, String) {
        let block = TEST_ONLY.split("\n---\n").find(|block| block.starts_with(&format!("{name} "))).unwrap();
        let (head, private) = block.split_once('\n').unwrap();
        (head.split_once(' ').unwrap().1.to_owned(), format!("{}\n", private.trim_end()))
    }

    fn parse(name: &str) -> Result<SshKey, &'static str> {
        SshKey::parse(&"~/.ssh/key".into(), test_key(name).1.as_bytes(), true)
    }

    fn stanzas_for(name: &str) -> Vec<Stanza> {
        let recipient: Recipient = test_key(name).0.parse().unwrap();
        recipient.wrap_file_key(&FileKey::new(Box::new([7; 16]))).unwrap().0
    }

    fn unwrap(key: &SshKey, stanzas: &[Stanza]) -> Unwrapped {
        let (environment, policy) = (Environment::new([], None), KeyPolicy::default());
        key.unwrap(stanzas, &Context { environment: &environment, policy: &policy })
    }

    #[test]
    fn opens_with_plain_ed25519_and_rsa_keys() {
        for name in ["ed", "rsa", "rsapem", "rsap8"] {
            let key = parse(name).unwrap_or_else(|why| panic!("{name} {why}"));
            assert_eq!(key.public_half(), test_key(name).0);
            assert!(matches!(unwrap(&key, &stanzas_for(name)), Unwrapped::FileKey(_)), "{name}");
            assert!(matches!(unwrap(&key, &stanzas_for("edlocked")), Unwrapped::NoMatch), "{name}");
        }
    }

    #[test]
    fn asks_for_a_passphrase_only_when_a_stanza_is_for_the_key() {
        let key = parse("edlocked").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(key.effort(), Effort::Person);
        assert!(matches!(unwrap(&key, &stanzas_for("ed")), Unwrapped::NoMatch));
        let Unwrapped::Failed(why) = unwrap(&key, &stanzas_for("edlocked")) else { panic!("not refused") };
        assert_eq!(why.as_str(), "is protected by a passphrase, and there is no terminal to ask for it");
    }

    #[test]
    fn unlocks_with_the_right_passphrase_and_asks_three_times_at_most() {
        let key = SshIdentity::from_buffer(test_key("edlocked").1.as_bytes(), None).unwrap();
        let asked = |answers: &[&str]| {
            let count = Cell::new(0);
            let unlocked = unlock(&"key".into(), &key, |_| {
                count.set(count.get() + 1);
                answers.get(count.get() - 1).map(|answer| Secret::new((*answer).to_owned())).ok_or(NoAnswer::Cancelled)
            });
            (unlocked.map_err(|why| why.to_string()), count.get())
        };
        let (unlocked, count) = asked(&["wrong", "test-only passphrase"]);
        let identity = unlocked.unwrap_or_else(|why| panic!("{why}"));
        assert!(matches!(age::Identity::unwrap_stanzas(&identity, &stanzas_for("edlocked")), Some(Ok(_))));
        assert_eq!(count, 2);
        assert_eq!(asked(&["a", "", "c", "d"]).1, 3);
        assert_eq!(
            asked(&[]).0.err().as_deref(),
            Some("is protected by a passphrase, and asking for it was cancelled")
        );
    }

    #[test]
    fn says_what_is_wrong_with_a_key() {
        let why = |text: &str| SshKey::parse(&"key".into(), text.as_bytes(), true).err();
        assert_eq!(parse("ecdsa").err(), Some("is of a kind that age cannot use (only Ed25519 and RSA)"));
        assert_eq!(
            parse("rsapemlocked").err(),
            Some("is encrypted in the old PEM format (convert it with ssh-keygen -p -f)")
        );
        assert_eq!(
            why(&test_key("ed").0),
            Some("is an SSH public key, the private one is needed (the file without .pub)")
        );
        assert_eq!(why(&test_key("ed").1.replacen("b3Blbn", "b3Blbm", 1)), Some("is a damaged SSH private key"));
        assert_eq!(why("AGE-SECRET-KEY-1"), Some("holds an age identity, which belongs in SOPS_AGE_KEY_FILE"));
        assert_eq!(
            why("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"),
            Some("is in PKCS#8 format (convert it with ssh-keygen -p -f)")
        );
        assert_eq!(why("hello"), Some("is not an SSH private key"));
        assert_eq!(why(" \n"), Some("is empty"));
        assert_eq!(why(&"x".repeat(limits::SSH_KEY_BYTES + 1)), Some("is larger than an SSH private key"));
    }
}

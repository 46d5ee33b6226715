//! X25519 identities: `AGE-SECRET-KEY-1…`, stanzas `X25519`. The `age` crate has them too, but derives the public half
//! anew for every stanza, a third of the time that opening one takes.
//!
//! Source: C2SP `age.md`, "X25519 recipient stanza"; filippo.io/age v1.3.1, `x25519.go`.

use std::sync::OnceLock;

use age::DecryptError;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, bech32_decode, bech32_encode, hkdf};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::secret::Secret;

/// Kind of stanza that these identities open.
pub(super) const STANZA: &str = "X25519";

const IDENTITY: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-");
const RECIPIENT: Hrp = Hrp::parse_unchecked("age");
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// An identity. Its public half is derived once, when it is first needed.
pub(super) struct Identity {
    secret: Secret<StaticSecret>,
    public: OnceLock<PublicKey>,
}

impl Identity {
    /// Reads an identity; none where the text is no such or its checksum does not match.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let secret: [u8; KEY_BYTES] = bech32_decode(
            text,
            |_| (),
            |hrp| if hrp == IDENTITY { Ok(()) } else { Err(()) },
            |_, bytes| bytes.collect::<Vec<u8>>().try_into().map_err(|_| ()),
        )
        .ok()?;
        Some(Self { secret: Secret::new(StaticSecret::from(secret)), public: OnceLock::new() })
    }

    /// `age1…`
    pub(super) fn public_half(&self) -> String {
        bech32_encode(RECIPIENT, self.public().as_bytes())
    }

    fn public(&self) -> &PublicKey {
        self.public.get_or_init(|| PublicKey::from(self.secret.expose()))
    }

    /// The key that wraps the file key; none where the ephemeral share is a point of low order.
    fn wrapping_key(&self, ephemeral: &PublicKey) -> Option<[u8; 32]> {
        let shared = self.secret.expose().diffie_hellman(ephemeral);
        if !shared.was_contributory() {
            return None;
        }
        let salt = [ephemeral.as_bytes().as_slice(), self.public().as_bytes()].concat();
        Some(hkdf(&salt, LABEL, shared.as_bytes()))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let key = match stanza.args.as_slice() {
            [argument] if stanza.body.len() == FILE_KEY_BYTES + TAG_BYTES => share(argument),
            _ => None,
        };
        let Some(key) = key.and_then(|ephemeral| self.wrapping_key(&ephemeral)) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        // A key that does not match is no error: a stanza does not say whom it is for.
        let file_key = <[u8; FILE_KEY_BYTES]>::try_from(aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body).ok()?).ok()?;
        Some(Ok(FileKey::new(Box::new(file_key))))
    }
}

/// An ephemeral share: 32 bytes in the one spelling that base64 without padding has for them.
fn share(argument: &str) -> Option<PublicKey> {
    let bytes: [u8; KEY_BYTES] = BASE64_STANDARD_NO_PAD.decode(argument).ok()?.try_into().ok()?;
    Some(PublicKey::from(bytes))
}

#[cfg(test)]
mod tests {
    use age::Identity as _;
    use age::secrecy::ExposeSecret;

    use super::*;

    fn pair() -> (Identity, age::x25519::Identity) {
        let theirs = age::x25519::Identity::generate();
        (Identity::parse(theirs.to_string().expose_secret()).unwrap(), theirs)
    }

    fn stanza_for(identity: &age::x25519::Identity) -> Stanza {
        let file_key = FileKey::new(Box::new([7; FILE_KEY_BYTES]));
        let (stanzas, _) = age::Recipient::wrap_file_key(&identity.to_public(), &file_key).unwrap();
        stanzas.into_iter().next().unwrap()
    }

    /// What an identity makes of a stanza: `Some(Err)` is a malformed one.
    fn outcome(identity: &dyn age::Identity, stanza: &Stanza) -> Option<Result<Vec<u8>, ()>> {
        let unwrapped = identity.unwrap_stanza(stanza)?;
        Some(unwrapped.map(|file_key| file_key.expose_secret().to_vec()).map_err(|_| ()))
    }

    #[test]
    fn agrees_with_the_age_crate_on_every_stanza() {
        let (ours, theirs) = pair();
        let good = stanza_for(&theirs);
        let of_another = stanza_for(&age::x25519::Identity::generate());
        let with = |change: &dyn Fn(&mut Stanza)| {
            let mut stanza = Stanza { tag: good.tag.clone(), args: good.args.clone(), body: good.body.clone() };
            change(&mut stanza);
            stanza
        };
        let low_order = BASE64_STANDARD_NO_PAD.encode([0; KEY_BYTES]);
        let stanzas = [
            with(&|_| {}),
            of_another,
            with(&|stanza| stanza.tag = "x25519".into()),
            with(&|stanza| stanza.args.clear()),
            with(&|stanza| stanza.args.push("x".into())),
            with(&|stanza| stanza.args[0].push('=')),
            with(&|stanza| _ = stanza.args[0].pop()),
            with(&|stanza| stanza.args[0] = low_order.clone()),
            with(&|stanza| stanza.args[0] = low_order.chars().take(42).chain(['B']).collect()),
            with(&|stanza| stanza.body[0] ^= 1),
            with(&|stanza| _ = stanza.body.pop()),
            with(&|stanza| stanza.body.push(0)),
        ];
        assert_eq!(outcome(&ours, &stanzas[0]), Some(Ok(vec![7; FILE_KEY_BYTES])));
        for (index, stanza) in stanzas.iter().enumerate() {
            assert_eq!(outcome(&ours, stanza), outcome(&theirs, stanza), "{index}");
        }
    }

    #[test]
    fn derives_the_same_public_half_as_the_age_crate() {
        let (ours, theirs) = pair();
        assert_eq!(ours.public_half(), theirs.to_public().to_string());
        assert_eq!(ours.unwrap_stanza(&stanza_for(&theirs)).unwrap().unwrap().expose_secret(), &[7; FILE_KEY_BYTES]);
    }

    #[test]
    fn refuses_text_that_is_no_identity() {
        let theirs = age::x25519::Identity::generate();
        let secret = theirs.to_string().expose_secret().to_owned();
        let shorter: String = secret.chars().take(secret.len() - 1).collect();
        let public = theirs.to_public().to_string();
        for text in ["", "AGE-SECRET-KEY-1", &shorter, &public, &format!("{secret}Q")] {
            assert!(Identity::parse(text).is_none(), "{text}");
        }
    }
}

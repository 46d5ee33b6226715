//! Identity files that are themselves encrypted with a passphrase (`age -p keys.txt`).

use std::io::Read;
use std::sync::OnceLock;

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor};

use super::identities::{self, Context, Identity, Unwrapped};
use crate::keys::terminal::{self, Echo};
use crate::limits;
use crate::text::Printable;

const ARMOR_BEGIN: &[u8] = b"-----BEGIN AGE";

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// An identity file that opens with a passphrase; it is asked for once, and only when nothing else opened a key.
pub(super) struct PassphraseFile {
    name: Printable,
    file: Vec<u8>,
    opened: OnceLock<Result<Vec<Identity>, Printable>>,
}

impl PassphraseFile {
    /// Whether the text of a source is an age file, not identities (as sops tells them apart).
    pub(super) fn is_age_file(text: &[u8]) -> bool {
        text.starts_with(b"age-encryption") || text.starts_with(ARMOR_BEGIN)
    }

    /// Takes an age file, armored or not.
    pub(super) fn parse(name: &Printable, text: &[u8]) -> Result<Self, &'static str> {
        // The last byte of a binary file may be what a blank is, and belongs to it.
        let text = if text.starts_with(ARMOR_BEGIN) { text.trim_ascii_end() } else { text };
        let mut file = Vec::with_capacity(text.len());
        ArmoredReader::new(text).read_to_end(&mut file).map_err(|_| "is a damaged age file")?;
        match Decryptor::new_buffered(file.as_slice()) {
            Ok(decryptor) if decryptor.is_scrypt() => {}
            Ok(_) => return Err("is an age file that is encrypted for a key, not with a passphrase"),
            Err(_) => return Err("is a damaged age file"),
        }
        Ok(Self { name: name.clone(), file, opened: OnceLock::new() })
    }

    pub(super) fn unwrap(&self, stanzas: &[age_core::format::Stanza], context: &Context<'_>) -> Unwrapped {
        let opened = self.opened.get_or_init(|| {
            self.ask(|question| terminal::ask(context.policy, question, Echo::Hidden).map_err(|no| no.words()))
        });
        match opened {
            Err(why) => Unwrapped::Failed(why.clone()),
            Ok(identities) => identities
                .iter()
                .map(|identity| identity.unwrap(stanzas, context))
                .find(|unwrapped| !matches!(unwrapped, Unwrapped::NoMatch))
                .unwrap_or(Unwrapped::NoMatch),
        }
    }

    /// Public halves, where the file has been opened.
    pub(super) fn public_halves(&self) -> Vec<String> {
        match self.opened.get() {
            Some(Ok(identities)) => identities.iter().flat_map(Identity::public_halves).collect(),
            _ => vec!["protected by a passphrase".to_owned()],
        }
    }

    /// Asks for the passphrase until it is right.
    fn ask(
        &self,
        answer: impl Fn(&Printable) -> Result<crate::secret::Secret<String>, &'static str>,
    ) -> Result<Vec<Identity>, Printable> {
        let question = Printable::new(&format!("Passphrase of the age identities in {}", self.name));
        for _ in 0..TRIES {
            let passphrase =
                answer(&question).map_err(|why| Printable::new(&format!("is protected by a passphrase, {why}")))?;
            match self.open(passphrase.into_exposed().into()) {
                Err(
                    DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed,
                ) => {}
                Err(DecryptError::ExcessiveWork { .. }) => {
                    return Err("is encrypted with too large a work factor".into());
                }
                Err(_) => return Err("is a damaged age file".into()),
                Ok(text) => {
                    // Only native identities, as in age.ParseIdentities.
                    return identities::parse_native(&text)
                        .map_err(|malformed| Printable::new(&format!("is opened, but its {}", malformed.words())));
                }
            }
        }
        Err("is protected by a passphrase, and those given are wrong".into())
    }

    fn open(&self, passphrase: SecretString) -> Result<Vec<u8>, DecryptError> {
        let mut identity = age::scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(limits::SCRYPT_WORK_FACTOR);
        let decryptor = Decryptor::new_buffered(self.file.as_slice())?;
        let mut text = Vec::with_capacity(self.file.len());
        decryptor.decrypt(std::iter::once(&identity as _))?.read_to_end(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use age::secrecy::ExposeSecret;

    use super::*;
    use crate::secret::Secret;

    fn locked(text: &str, passphrase: &str) -> Vec<u8> {
        let mut recipient = age::scrypt::Recipient::new(passphrase.to_owned().into());
        recipient.set_work_factor(4);
        let mut file = Vec::new();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish().unwrap();
        file
    }

    fn asked(file: &[u8], answers: &[&str]) -> (Result<Vec<String>, String>, usize) {
        let file = PassphraseFile::parse(&"keys.age".into(), file).unwrap_or_else(|why| panic!("{why}"));
        let count = Cell::new(0);
        let opened = file.ask(|_| {
            count.set(count.get() + 1);
            answers.get(count.get() - 1).map(|answer| Secret::new((*answer).to_owned())).ok_or("and nobody answers")
        });
        let halves = opened.map(|identities| identities.iter().flat_map(Identity::public_halves).collect());
        (halves.map_err(|why| why.to_string()), count.get())
    }

    #[test]
    fn opens_with_the_right_passphrase_and_asks_three_times_at_most() {
        let identity = age::x25519::Identity::generate();
        let file = locked(identity.to_string().expose_secret(), "right");
        let public = identity.to_public().to_string();
        assert_eq!(asked(&file, &["wrong", "right"]), (Ok(vec![public]), 2));
        let wrong = "is protected by a passphrase, and those given are wrong".to_owned();
        assert_eq!(asked(&file, &["a", "b", "c", "right"]), (Err(wrong), 3));
        assert_eq!(asked(&file, &[]), (Err("is protected by a passphrase, and nobody answers".to_owned()), 1));
    }

    #[test]
    fn opens_files_that_end_with_any_byte() {
        let identity = age::x25519::Identity::generate();
        let text = identity.to_string();
        let mut files = std::iter::repeat_with(|| locked(text.expose_secret(), "right"));
        for is_blank in [false, true] {
            let mut wanted = files.by_ref().filter(|file| file.last().is_some_and(u8::is_ascii_whitespace) == is_blank);
            let file = wanted.next().expect("there is always another");
            assert_eq!(asked(&file, &["right"]), (Ok(vec![identity.to_public().to_string()]), 1), "blank: {is_blank}");
        }
    }

    #[test]
    fn refuses_what_is_not_encrypted_with_a_passphrase() {
        let recipient = age::x25519::Identity::generate().to_public();
        let file = age::encrypt(&recipient, b"x").unwrap();
        assert!(PassphraseFile::is_age_file(&file));
        assert!(PassphraseFile::parse(&"keys.age".into(), &file).is_err());
        assert!(PassphraseFile::parse(&"keys.age".into(), b"age-encryption.org/v1\n").is_err());
    }

    #[test]
    fn bounds_the_work_of_a_passphrase() {
        let file = locked("", "right");
        let text = String::from_utf8_lossy(&file).replacen(" 4\n", " 23\n", 1);
        let changed: Vec<u8> = text.lines().take(4).flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let (result, _) = asked(&[changed, vec![0; 40]].concat(), &["right"]);
        assert_eq!(result, Err("is encrypted with too large a work factor".to_owned()));
    }

    #[test]
    fn names_the_line_that_is_no_identity() {
        let (result, _) = asked(&locked("# x\nAGE-PLUGIN-X-1QQQQ\n", "right"), &["right"]);
        assert_eq!(
            result,
            Err("is opened, but its line 2 is a damaged identity (its checksum does not match)".to_owned())
        );
    }
}

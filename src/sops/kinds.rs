//! Which kinds of key a text names, told from its bytes before anything takes it apart.
//!
//! What is not needed for these kinds can then be given up before the first parser runs. The answer errs on the side of
//! more: a word that only looks like a field of sops counts. Where a name of a field is escaped, which sops never does,
//! a kind is missed, and its keys are refused.

use memchr::memchr3_iter;

use crate::text::printable_run;

/// Kinds of master keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyKinds {
    /// age, with plugins and SSH keys.
    pub age: bool,
    /// AWS KMS.
    pub aws_kms: bool,
    /// Azure Key Vault.
    pub azure_key_vault: bool,
    /// GCP KMS.
    pub gcp_kms: bool,
    /// Vault and OpenBao.
    pub hc_vault: bool,
    /// OpenPGP.
    pub pgp: bool,
}

/// `ENC[AES256_GCM,data:` in base64, at each of the three places where it may begin. Every encrypted value begins so, and
/// a file that sops wrote has one at least, its MAC.
const TOKEN_IN_BASE64: [&[u8]; 3] =
    [b"RU5DW0FFUzI1Nl9HQ00sZGF0", b"VOQ1tBRVMyNTZfR0NNLGRhdGE6", b"FTkNbQUVTMjU2X0dDTSxkYXRh"];

impl KeyKinds {
    /// Every kind.
    pub const ALL: Self =
        Self { age: true, aws_kms: true, azure_key_vault: true, gcp_kms: true, hc_vault: true, pgp: true };

    /// The kinds that an encrypted file names.
    pub fn of_file(bytes: &[u8]) -> Self {
        let mut kinds = Self::default();
        for at in places([b'_', b':', b'G'], bytes) {
            let Some((before, after)) = bytes.split_at_checked(at) else { continue };
            let after = after.get(1..).unwrap_or_default();
            // Names of fields count in any letter case, as they are read.
            let is = |left: &[u8], right: &[u8]| {
                ends_with_ignoring_case(before, left) && starts_with_ignoring_case(after, right)
            };
            match bytes.get(at) {
                Some(b'_') => {
                    kinds.azure_key_vault |= is(b"vault", b"url");
                    kinds.gcp_kms |= is(b"resource", b"id");
                    kinds.hc_vault |= is(b"vault", b"address");
                }
                Some(b':') => kinds.aws_kms |= before.ends_with(b"arn") && after.starts_with(b"aws"),
                _ => {
                    kinds.age |= before.ends_with(b"A") && after.starts_with(b"E ENCRYPTED");
                    kinds.pgp |= before.ends_with(b"P") && after.starts_with(b"P MESSAGE");
                }
            }
        }
        kinds
    }

    /// The kinds that are named among manifests, in which whole files may stand in base64: then it may be any.
    pub fn among_manifests(bytes: &[u8]) -> Self {
        if holds_a_file_in_base64(bytes) { Self::ALL } else { Self::of_file(bytes) }
    }

    /// The kinds of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.combined(other, |one, other| one | other)
    }

    /// The kinds that are in both.
    #[must_use]
    pub fn only(self, other: Self) -> Self {
        self.combined(other, |one, other| one & other)
    }

    fn combined(self, other: Self, combine: fn(bool, bool) -> bool) -> Self {
        Self {
            age: combine(self.age, other.age),
            aws_kms: combine(self.aws_kms, other.aws_kms),
            azure_key_vault: combine(self.azure_key_vault, other.azure_key_vault),
            gcp_kms: combine(self.gcp_kms, other.gcp_kms),
            hc_vault: combine(self.hc_vault, other.hc_vault),
            pgp: combine(self.pgp, other.pgp),
        }
    }
}

fn ends_with_ignoring_case(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).and_then(|from| text.get(from..)).is_some_and(|own| own.eq_ignore_ascii_case(end))
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
}

/// Whether a SOPS file stands among the bytes in base64, which may be broken into lines as YAML or JSON write them.
fn holds_a_file_in_base64(bytes: &[u8]) -> bool {
    places([b'R', b'V', b'F'], bytes).any(|at| {
        let rest = bytes.get(at..).unwrap_or_default();
        TOKEN_IN_BASE64.iter().any(|token| starts_with_broken(rest, token))
    })
}

/// Where one of these stands. What finds them fast asks the processor first what it can do, and on a virtual machine that
/// takes longer than to look through a small file.
fn places(wanted: [u8; 3], bytes: &[u8]) -> impl Iterator<Item = usize> {
    const SMALL: usize = 32 << 10;
    let (small, large) = if bytes.len() <= SMALL { (bytes, None) } else { (&[][..], Some(bytes)) };
    let [one, two, three] = wanted;
    let fast = large.into_iter().flat_map(move |bytes| memchr3_iter(one, two, three, bytes));
    let mut next = 0;
    let plain = std::iter::from_fn(move || {
        loop {
            let at = next + printable_run(small.get(next..)?, &wanted);
            next = at + 1;
            if wanted.contains(small.get(at)?) {
                return Some(at);
            }
        }
    });
    plain.chain(fast)
}

/// Whether bytes begin with these, line breaks and blanks between them left out, also where they are escaped.
fn starts_with_broken(bytes: &[u8], wanted: &[u8]) -> bool {
    // A break is a few bytes; whatever is longer is none, and would be walked through again and again.
    const LONGEST_BREAK: usize = 256;
    let mut bytes = bytes.iter().peekable();
    for letter in wanted {
        let mut length = 0;
        loop {
            match bytes.next() {
                Some(b' ' | b'\n' | b'\r' | b'\t') if length < LONGEST_BREAK => length += 1,
                Some(b'\\') if length < LONGEST_BREAK => {
                    length += 1;
                    _ = bytes.next_if(|byte| matches!(byte, b'n' | b'r' | b't'));
                }
                found if found == Some(letter) => break,
                _ => return false,
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn tells_the_kinds_of_a_file() {
        let none = KeyKinds::default();
        for (text, want) in [
            ("", none),
            ("kms: []\ngcp_kms: []\nhc_vault: []\nazure_kv: []\npgp: []\nage: []\n", none),
            ("learn:awesome _ : vault url", none),
            ("AGE FILE", none),
            ("OF ENCRYPTED", none),
            ("PGP KEY", none),
            ("A MESSAGE", none),
            ("vault_name lock_url resource_ids.x source_id address_vault", KeyKinds { gcp_kms: true, ..none }),
            ("my_url your_id an_address", none),
            ("arn: arn:aws:kms:eu-west-1:1:key/2", KeyKinds { aws_kms: true, ..none }),
            ("sops_kms__list_0__map_arn=arn:aws-cn:kms", KeyKinds { aws_kms: true, ..none }),
            ("\"resource_id\": \"projects/x\"", KeyKinds { gcp_kms: true, ..none }),
            ("azure_kv__list_0__map_vault_url=https://x", KeyKinds { azure_key_vault: true, ..none }),
            ("Vault_Address: https://x", KeyKinds { hc_vault: true, ..none }),
            ("-----BEGIN AGE ENCRYPTED FILE-----", KeyKinds { age: true, ..none }),
            ("-----BEGIN PGP MESSAGE-----\\n", KeyKinds { pgp: true, ..none }),
            ("resource_id vault_url vault_address arn:aws AGE ENCRYPTED PGP MESSAGE", KeyKinds::ALL),
        ] {
            assert_eq!(KeyKinds::of_file(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn finds_a_file_in_base64_wherever_it_begins_and_however_it_is_broken() {
        for before in ["", "a", "ab", "abc", "key: "] {
            let file = STANDARD.encode(format!("{before}ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"));
            let letters: Vec<String> = file.chars().map(String::from).collect();
            for line_break in ["", "\n      ", "\r\n", "\\n", "\\\n    "] {
                let text = format!("kind: Secret\ndata:\n  x: {}\n", letters.join(line_break));
                assert_eq!(KeyKinds::among_manifests(text.as_bytes()), KeyKinds::ALL, "{text}");
            }
        }
        let plain = STANDARD.encode("ENC[AES-256-CBC and other things that are none of ours");
        assert_eq!(KeyKinds::among_manifests(plain.as_bytes()), KeyKinds::default());
    }

    #[test]
    fn a_break_within_base64_is_short() {
        let file = STANDARD.encode("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]");
        let (start, rest) = file.split_at(1);
        for blank in [" ", "\\"] {
            let broken = |length: usize| format!("{start}{}{rest}", blank.repeat(length));
            assert_eq!(KeyKinds::among_manifests(broken(256).as_bytes()), KeyKinds::ALL, "{blank:?}");
            assert_eq!(KeyKinds::among_manifests(broken(257).as_bytes()), KeyKinds::default(), "{blank:?}");
        }
    }

    #[test]
    fn takes_linear_time() {
        let hostile = ["RU5DW0FF", "R\\", "R          "].map(|text| text.repeat(100_000));
        for text in hostile {
            assert_eq!(KeyKinds::among_manifests(text.as_bytes()), KeyKinds::default());
        }
    }

    #[test]
    fn kinds_add_up_and_overlap() {
        let (age, pgp) = (KeyKinds { age: true, ..KeyKinds::default() }, KeyKinds { pgp: true, ..KeyKinds::default() });
        assert_eq!(age.and(pgp).only(pgp), pgp);
        assert_eq!(age.and(age), age);
        assert_eq!(age.only(pgp), KeyKinds::default());
    }
}

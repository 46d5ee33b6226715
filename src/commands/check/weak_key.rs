//! Keys that can be broken, by what a file shows of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits;
use crate::sops::MasterKey;

/// Smallest RSA modulus that is not weak, in bits (NIST SP 800-131A).
const RSA_BITS: usize = 2048;

/// RSA bits of a key that is too short. What cannot be told is not weak.
pub fn weak_rsa(key: &MasterKey) -> Option<usize> {
    let bits = match key {
        MasterKey::Age { recipient, .. } => ssh_rsa_bits(recipient),
        MasterKey::Pgp { enc, .. } => pgp_rsa_bits(enc),
        _ => None,
    };
    bits.filter(|&bits| bits < RSA_BITS)
}

/// The modulus of `ssh-rsa AAAA…` (RFC 4253, 6.6).
fn ssh_rsa_bits(recipient: &str) -> Option<usize> {
    let encoded = recipient.strip_prefix("ssh-rsa ")?.split_ascii_whitespace().next()?;
    if encoded.len() > limits::SSH_KEY_BYTES {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let mut rest = bytes.as_slice();
    let mut last = rest;
    // Name, exponent, modulus.
    for _ in 0..3 {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (last, rest) = tail.split_at_checked(length)?;
    }
    Some(bits(last))
}

/// The modulus behind a public-key encrypted session key, by the length of the encrypted number, which is within a few
/// bits of it (RFC 4880, 5.1): rounded up to bytes of 64 bits.
fn pgp_rsa_bits(armored: &str) -> Option<usize> {
    if armored.len() > limits::PGP_KEY_BYTES {
        return None;
    }
    let bytes = dearmor(armored)?;
    let packet = first_packet(&bytes)?;
    let (version, rest) = packet.split_first()?;
    let (_, rest) = rest.split_at_checked(8)?;
    let (algorithm, rest) = rest.split_first()?;
    if *version != 3 || !matches!(algorithm, 1 | 2) {
        return None;
    }
    let (length, _) = rest.split_first_chunk::<2>()?;
    let bits = usize::from(u16::from_be_bytes(*length));
    Some(bits.div_ceil(64) * 64)
}

fn dearmor(armored: &str) -> Option<Vec<u8>> {
    let text = armored.replace('\r', "");
    let (_, body) = text.split_once("-----BEGIN PGP MESSAGE-----")?;
    let (body, _) = body.split_once("-----END")?;
    // Headers end at an empty line; where there are none, the first line is empty.
    let (_, body) = body.split_once("\n\n").unwrap_or(("", body));
    let data: String = body.lines().map(str::trim).filter(|line| !line.starts_with('=')).collect();
    STANDARD.decode(data).ok()
}

/// The body of a first packet of tag 1 with a definite length.
fn first_packet(bytes: &[u8]) -> Option<&[u8]> {
    let (&head, rest) = bytes.split_first()?;
    let (tag, length, rest) = if head & 0x40 != 0 {
        let (&one, rest) = rest.split_first()?;
        match one {
            0..=191 => (head & 0x3f, usize::from(one), rest),
            192..=223 => {
                let (&two, rest) = rest.split_first()?;
                (head & 0x3f, (usize::from(one) - 192) * 256 + usize::from(two) + 192, rest)
            }
            _ => return None,
        }
    } else {
        let (length, rest) = match head & 3 {
            0 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
            1 => rest.split_first_chunk::<2>().map(|(l, rest)| (usize::from(u16::from_be_bytes(*l)), rest))?,
            _ => return None,
        };
        ((head & 0x3c) >> 2, length, rest)
    };
    (tag == 1).then(|| rest.get(..length)).flatten()
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let rest = number.get(zeros..).unwrap_or_default();
    let Some(first) = rest.first() else { return 0 };
    rest.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armored(modulus_bytes: usize) -> MasterKey {
        let mut packet = vec![3];
        packet.extend([0; 8]);
        packet.push(1);
        packet.extend(u16::try_from(modulus_bytes * 8 - 3).unwrap().to_be_bytes());
        packet.extend(vec![0x1f; modulus_bytes]);
        let mut message = vec![0x85];
        message.extend(u16::try_from(packet.len()).unwrap().to_be_bytes());
        message.extend(packet);
        let body = STANDARD.encode(message);
        let enc = format!("-----BEGIN PGP MESSAGE-----\nComment: x\n\n{body}\n=abcd\n-----END PGP MESSAGE-----\n");
        MasterKey::Pgp { fingerprint: "X".to_owned(), enc }
    }

    fn ssh(modulus_bytes: usize) -> MasterKey {
        let mut blob = Vec::new();
        for part in [b"ssh-rsa".to_vec(), vec![1, 0, 1], [vec![0], vec![0x80; modulus_bytes]].concat()] {
            blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            blob.extend(part);
        }
        MasterKey::Age { recipient: format!("ssh-rsa {} me@here", STANDARD.encode(blob)), enc: String::new() }
    }

    #[test]
    fn short_rsa_is_weak() {
        assert_eq!(weak_rsa(&armored(128)), Some(1024));
        assert_eq!(weak_rsa(&armored(256)), None);
        assert_eq!(weak_rsa(&ssh(128)), Some(1024));
        assert_eq!(weak_rsa(&ssh(384)), None);
    }

    #[test]
    fn what_is_no_message_is_not_weak() {
        for enc in ["", "-----BEGIN PGP MESSAGE-----\n\n\n-----END", "-----BEGIN PGP MESSAGE-----\n\nhQ==\n-----END"] {
            let key = MasterKey::Pgp { fingerprint: String::new(), enc: enc.to_owned() };
            assert_eq!(weak_rsa(&key), None);
        }
    }
}

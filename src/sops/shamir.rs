//! Shamir shares, as HashiCorp Vault lays them out: one polynomial over GF(2^8) per byte of the secret; a share is
//! the values at x, followed by x itself.
//!
//! Arithmetic takes the same time whatever the bytes are: no tables, no branches on them.
//!
//! Source: getsops/sops v3.13, `shamir/shamir.go`.

use crate::secret::{Secret, SecretBytes};

/// Why shares do not combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// Fewer than two.
    TooFew,
    /// This share has no secret byte, or another length than the first.
    Length(usize),
    /// This share stands at the same x as an earlier one.
    SameX(usize),
    /// This share stands at x = 0, where the secret itself is: no share of a real split.
    ZeroX(usize),
}

/// Recovers the secret: the value at 0 of the polynomial through all shares.
pub(super) fn combine(shares: &[&SecretBytes]) -> Result<SecretBytes, Mismatch> {
    let parts: Vec<(u8, &[u8])> = shares
        .iter()
        .enumerate()
        .map(|(index, share)| match share.expose().split_last() {
            Some((&x, values)) if !values.is_empty() => Ok((x, values)),
            _ => Err(Mismatch::Length(index)),
        })
        .collect::<Result<_, _>>()?;
    let [(_, first), _, ..] = parts.as_slice() else { return Err(Mismatch::TooFew) };
    let mut secret = vec![0; first.len()];
    for (index, &(x, values)) in parts.iter().enumerate() {
        // x is the number of the share's group: public.
        if values.len() != secret.len() {
            return Err(Mismatch::Length(index));
        } else if x == 0 {
            return Err(Mismatch::ZeroX(index));
        } else if parts.iter().take(index).any(|&(earlier, _)| earlier == x) {
            return Err(Mismatch::SameX(index));
        }
        let weight = weight_at_zero(x, index, &parts);
        for (byte, &value) in secret.iter_mut().zip(values) {
            *byte ^= multiply(value, weight);
        }
    }
    Ok(Secret::new(secret))
}

/// The Lagrange basis polynomial of one share at 0: the product of x_j / (x_j - x_i) over all other shares.
fn weight_at_zero(x: u8, index: usize, parts: &[(u8, &[u8])]) -> u8 {
    parts
        .iter()
        .enumerate()
        .filter(|&(other, _)| other != index)
        .fold(1, |weight, (_, &(x_other, _))| multiply(weight, multiply(x_other, invert(x_other ^ x))))
}

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (0x11B).
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        let carry = (a >> 7).wrapping_neg();
        a = (a << 1) ^ (carry & 0x1B);
        b >>= 1;
    }
    product
}

/// The inverse, a^254; 0 for 0.
fn invert(a: u8) -> u8 {
    // 254 is binary 11111110: the product of a^2, a^4, …, a^128.
    let (mut power, mut inverse) = (a, 1);
    for _ in 0..7 {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_and_divides_as_vault_does() {
        // shamir/shamir_test.go: 3 * 7 = 9, 6 / 3 = 2.
        assert_eq!(multiply(3, 7), 9);
        assert_eq!(multiply(6, invert(3)), 2);
        assert_eq!(invert(0), 0);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
        println!("figure: 255 of 255 inverses right");
    }

    #[test]
    fn shares_without_a_secret_byte_are_refused() {
        for shares in [[&b"\x01"[..], b"\x02"], [b"", b""], [b"\x01", b"ab\x02"]] {
            let shares = shares.map(|share| Secret::new(share.to_vec()));
            assert_eq!(combine(&[&shares[0], &shares[1]]).err(), Some(Mismatch::Length(0)));
        }
    }
}

//! The private-key operation of RSA with PKCS#1 v1.5 padding: bytes in, bytes out, in a time that depends on the sizes of
//! the numbers alone. `Cargo.toml` says why this is a package.
//!
//! Nothing in a key is trusted: the primes have to give the modulus, and the result, encrypted again, has to give the
//! ciphertext. So a wrong number in a key, or a fault of the machine, ends in a refusal and never in a result that would
//! tell the primes (Boneh, DeMillo, Lipton, 1997). Blinding would add nothing: it hides from the clock what a computation
//! in varying time is applied to.

mod arithmetic;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroizing;

use self::arithmetic::{DIGIT_BYTES, Modulus, Number};

/// Largest modulus, in bytes: 8,192 bits, the most that rPGP reads.
const MOST_MODULUS_BYTES: usize = 1024;

/// Largest prime, in bytes: half of that, and more than half of smaller moduli.
const MOST_PRIME_BYTES: usize = 512;

/// The numbers of a private key, big-endian.
#[derive(Clone, Copy)]
pub struct PrivateKey<'key> {
    /// The modulus.
    pub n: &'key [u8],
    /// The public exponent.
    pub e: &'key [u8],
    /// The private exponent.
    pub d: &'key [u8],
    /// One prime.
    pub p: &'key [u8],
    /// The other prime.
    pub q: &'key [u8],
    /// `1 / p` modulo `q`; computed, slowly, where it is something else.
    pub u: &'key [u8],
}

/// Key, ciphertext or padding is wrong; which, nobody learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl PrivateKey<'_> {
    /// Decrypts and takes the padding off.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let padded = self.apply(ciphertext).ok_or(Refused)?;
        message(&padded).ok_or(Refused)
    }

    /// `ciphertext^d mod n`, as long as the modulus.
    fn apply(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let size = arithmetic::without_zeros(self.n).len();
        let prime_size = [self.p, self.q].map(|prime| arithmetic::without_zeros(prime).len()).into_iter().max()?;
        let prime_size = prime_size.max(size.div_ceil(2));
        if size > MOST_MODULUS_BYTES || prime_size > MOST_PRIME_BYTES {
            return None;
        }
        let digits = prime_size.div_ceil(DIGIT_BYTES);
        let read = |bytes: &[u8]| arithmetic::from_bytes(bytes, digits);
        let read_wide = |bytes: &[u8]| arithmetic::from_bytes(bytes, 2 * digits);
        let (p, q, u) = (read(self.p)?, read(self.q)?, read(self.u)?);
        let (n, d, c) = (read_wide(self.n)?, read_wide(self.d)?, read_wide(ciphertext)?);
        let e = arithmetic::without_zeros(self.e);
        let e = (e.len() <= 8).then(|| e.iter().fold(0, |e, byte| e << 8 | u64::from(*byte)))?;

        let is_prime_odd = |prime: &Number| arithmetic::is_odd(prime) & !arithmetic::is_one(prime);
        let is_key = is_prime_odd(&p)
            & is_prime_odd(&q)
            & arithmetic::is_equal(&arithmetic::product(&p, &q), &n)
            & arithmetic::is_less(&c, &n);
        if !bool::from(is_key) {
            return None;
        }
        let mut plain = by_primes(&c, &d, p, q, u);
        let mut modulus = Modulus::new(n);
        let entered = modulus.enter(&plain);
        let mut again = modulus.public_power(&entered, e);
        modulus.leave(&mut again);
        let is_right: bool = arithmetic::is_equal(&again, &c).into();
        let padded = arithmetic::to_bytes(&plain, size);
        zeroize::Zeroize::zeroize(&mut *plain);
        is_right.then_some(padded)
    }
}

/// `c^d mod p·q` by the Chinese remainder theorem: modulo each prime, with an exponent of its size.
///
/// Source: RFC 8017, 5.1.2, with the roles of the primes as OpenPGP has them (RFC 9580, 5.5.5.1).
fn by_primes(c: &Number, d: &Number, p: Number, q: Number, u: Number) -> Number {
    let [mut modulo_p, mut modulo_q] = [&p, &q].map(|prime| Modulus::new(prime.clone()));
    let exponents = [&p, &q].map(|prime| arithmetic::remainder(d, &arithmetic::less(prime, 1)));
    let [d_p, d_q] = &exponents;

    let entered = modulo_p.enter(c);
    let mut of_p = modulo_p.power(&entered, d_p);
    modulo_p.leave(&mut of_p);

    let entered = modulo_q.enter(c);
    let mut difference = modulo_q.power(&entered, d_q);
    let entered = modulo_q.enter(&of_p);
    modulo_q.subtract(&mut difference, &entered);
    let u = inverse(&p, &q, u, &mut modulo_q);
    modulo_q.multiply(&mut difference, &u);

    let mut plain = arithmetic::product(&p, &difference);
    arithmetic::add(&mut plain, &of_p);
    plain
}

/// `1 / p` modulo the prime `q`: the number that the key gives, if it is that one, else computed as `p^(q - 2)`.
fn inverse(p: &Number, q: &Number, given: Number, modulo_q: &mut Modulus) -> Number {
    let entered = modulo_q.enter(p);
    let mut proof = entered.clone();
    modulo_q.multiply(&mut proof, &given);
    if arithmetic::is_one(&proof).into() {
        return given;
    }
    let mut inverse = modulo_q.power(&entered, &arithmetic::less(q, 2));
    modulo_q.leave(&mut inverse);
    inverse
}

/// Takes the padding off: `00 02`, at least eight other bytes than `00`, `00`, the message. Every byte is looked at in the
/// same way; that the padding is wrong, and how long the message is, is told by what is returned.
///
/// Source: RFC 8017, 7.2.2.
fn message(padded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let [first, second, rest @ ..] = padded else { return None };
    let (mut end, mut has_end) = (0_u32, Choice::from(0));
    for (byte, at) in rest.iter().zip(0_u32..) {
        let is_end = byte.ct_eq(&0) & !has_end;
        end.conditional_assign(&at, is_end);
        has_end |= is_end;
    }
    let is_padded = first.ct_eq(&0) & second.ct_eq(&2) & has_end & end.ct_gt(&7);
    let message = rest.get(usize::try_from(end).ok()?..)?.get(1..)?;
    bool::from(is_padded).then(|| Zeroizing::new(message.to_vec()))
}

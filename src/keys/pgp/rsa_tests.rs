//! RSA session keys against another version of the `rsa` crate, and against keys and ciphertexts that are no good.

use proptest::prelude::*;
use rsa9::rand_core::{CryptoRng, RngCore};
use rsa9::traits::{PrivateKeyParts, PublicKeyParts};
use rsa9::{BigUint, Pkcs1v15Encrypt, RsaPrivateKey};

use super::rsa_session_key::RsaNumbers;
use crate::secret::Secret;

/// The same numbers for the same seed (SplitMix64).
pub(super) struct Seeded(pub(super) u64);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u64() as u8);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa9::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

/// A key for both.
struct Key {
    theirs: RsaPrivateKey,
    numbers: Numbers,
}

/// Modulus, public and private exponent, primes; big-endian.
#[derive(Clone, Debug)]
struct Numbers([Vec<u8>; 5]);

impl Numbers {
    fn decrypt(&self, ciphertext: &[u8]) -> Option<Vec<u8>> {
        let [n, e, secret @ ..] = self.0.clone();
        let message = RsaNumbers(secret.map(Secret::new)).decrypt(&n, &e, ciphertext)?;
        Some(message.to_vec())
    }

    fn with(&self, at: usize, number: &BigUint) -> Self {
        let mut changed = self.clone();
        changed.0[at] = number.to_bytes_be();
        changed
    }
}

impl Key {
    fn new(seed: u64, bits: usize, e: u64) -> Self {
        Self::of(RsaPrivateKey::new_with_exp(&mut Seeded(seed), bits, &e.into()).unwrap())
    }

    fn of(theirs: RsaPrivateKey) -> Self {
        let [q, p] = theirs.primes() else { panic!("two primes") };
        let numbers = [theirs.n(), theirs.e(), theirs.d(), p, q].map(BigUint::to_bytes_be);
        Self { numbers: Numbers(numbers), theirs }
    }

    fn encrypt(&self, message: &[u8]) -> Vec<u8> {
        self.theirs.to_public_key().encrypt(&mut Seeded(7), Pkcs1v15Encrypt, message).unwrap()
    }

    /// What has been padded, encrypted.
    fn raw(&self, padded: &[u8]) -> Vec<u8> {
        BigUint::from_bytes_be(padded).modpow(self.theirs.e(), self.theirs.n()).to_bytes_be()
    }

    /// Both open it, or it is no ciphertext for both, or one refuses the padding and the other makes a message up.
    fn assert_agrees(&self, ciphertext: &[u8]) {
        let ours = self.numbers.decrypt(ciphertext);
        if let Ok(theirs) = self.theirs.decrypt(Pkcs1v15Encrypt, ciphertext) {
            assert_eq!(ours, Some(theirs));
        } else if BigUint::from_bytes_be(ciphertext) < *self.theirs.n() {
            let most = self.numbers.0[0].len() - 11;
            assert!(ours.as_ref().is_some_and(|made_up| made_up.len() <= most));
            assert_eq!(ours, self.numbers.decrypt(ciphertext), "always the same");
        } else {
            assert_eq!(ours, None);
        }
    }

    fn assert_opens(&self) {
        for message in [&b"CANARY-7f3a"[..], b"", &[0; 20]] {
            let ciphertext = self.encrypt(message);
            assert_eq!(self.numbers.decrypt(&ciphertext).as_deref(), Some(message));
            let Numbers([n, e, d, p, q]) = self.numbers.clone();
            let swapped = Numbers([n, e, d, q, p]);
            assert_eq!(swapped.decrypt(&ciphertext).as_deref(), Some(message));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn opens_what_the_other_version_encrypts(seed: u64, bits in 300..1100_usize, e in prop::sample::select(vec![3_u64, 17, 65_537, (1 << 32) - 5])) {
        Key::new(seed, bits, e).assert_opens();
    }

    #[test]
    fn says_of_any_ciphertext_what_the_other_version_says(seed: u64, mut ciphertext in prop::collection::vec(any::<u8>(), 0..70)) {
        let key = Key::new(seed % 4, 512, 65_537);
        key.assert_agrees(&ciphertext);
        // Padded, or nearly.
        ciphertext.splice(0..0, [0, 2]);
        ciphertext.resize(64, 9);
        key.assert_agrees(&key.raw(&ciphertext));
    }

    #[test]
    fn refuses_numbers_that_are_no_key(numbers: [Vec<u8>; 5], ciphertext: Vec<u8>) {
        prop_assert_eq!(Numbers(numbers).decrypt(&ciphertext), None);
    }

    #[test]
    fn factors_that_are_no_primes_end_in_an_answer(p in 3..u64::MAX, q in 3..u64::MAX, mut ciphertext: [u8; 16]) {
        let [p, q] = [p | 1, q | 1].map(BigUint::from);
        let numbers = with_exponents(&p, &q);
        ciphertext[0] = 0;
        prop_assert_eq!(numbers.decrypt(&ciphertext), numbers.decrypt(&ciphertext));
    }
}

/// A key of any two odd factors, with exponents that fit each other.
fn with_exponents(p: &BigUint, q: &BigUint) -> Numbers {
    let one = BigUint::from(1_u8);
    let totient = (p - &one) * (q - &one);
    // An exponent, and its inverse modulo the totient.
    let with_inverse = |e: u32| {
        let product = (0..e).map(|times| &totient * times + &one).find(|product| product % e == BigUint::default())?;
        Some((BigUint::from(e), product / e))
    };
    let (e, d) = (3..).step_by(2).find_map(with_inverse).unwrap();
    Numbers([&(p * q), &e, &d, p, q].map(BigUint::to_bytes_be))
}

#[test]
fn opens_with_every_usual_size_and_those_beside_it() {
    for bits in [1024, 1025, 1535, 2047, 2048, 2049, 3072, 4096] {
        Key::new(bits as u64, bits, 65_537).assert_opens();
    }
}

#[test]
fn opens_with_primes_of_different_sizes() {
    let [short, long] = [512, 2048].map(|bits| RsaPrivateKey::new(&mut Seeded(bits as u64), bits).unwrap());
    let primes = vec![short.primes()[0].clone(), long.primes()[0].clone()];
    Key::of(RsaPrivateKey::from_primes(primes, 65_537_u32.into()).unwrap()).assert_opens();
}

#[test]
fn padding_is_judged_as_the_other_version_does() {
    let key = Key::new(1, 520, 65_537);
    let size = 65;
    let padded = |start: &[u8], filler: usize, message: &[u8]| {
        let mut padded = [start, &vec![7; filler], &[0], message].concat();
        padded.resize(size, 5);
        key.raw(&padded)
    };
    assert_eq!(key.numbers.decrypt(&padded(&[0, 2], 8, b"")).map(|message| message.len()), Some(size - 11));
    for filler in 0..size - 3 {
        key.assert_agrees(&padded(&[0, 2], filler, b"x\0y"));
        key.assert_agrees(&padded(&[0, 1], filler, b"x"));
    }
    // No end, an end that is the last byte, and a first byte that is not zero.
    let whole = [&[0, 2][..], &vec![7; size - 2]].concat();
    let mut ended = whole.clone();
    ended[size - 1] = 0;
    key.assert_agrees(&key.raw(&whole));
    assert_eq!(key.numbers.decrypt(&key.raw(&ended)), Some(Vec::new()));
    ended[0] = 1;
    key.assert_agrees(&key.raw(&ended));
}

#[test]
fn message_that_is_made_up_tells_nothing_of_the_true_one() {
    let key = Key::new(4, 512, 65_537);
    let mut lengths = std::collections::BTreeSet::new();
    for filler in 1..=60 {
        let secret = vec![filler; 61];
        let made_up = key.numbers.decrypt(&key.raw(&[&[0, 1, 0][..], &secret].concat())).unwrap();
        assert!(!made_up.windows(4).any(|bytes| bytes == [filler; 4]));
        lengths.insert(made_up.len());
    }
    assert!(lengths.len() > 20, "{lengths:?}");
}

#[test]
fn refuses_ciphertexts_that_are_none() {
    let key = Key::new(2, 1024, 65_537);
    let (n, one) = (key.theirs.n().clone(), BigUint::from(1_u8));
    let good = key.encrypt(b"CANARY-7f3a");
    for number in [BigUint::default(), one.clone(), &n - &one] {
        key.assert_agrees(&number.to_bytes_be());
    }
    for number in [n.clone(), &n + &one, BigUint::from_bytes_be(&good) + &n, &n << 8000] {
        assert_eq!(key.numbers.decrypt(&number.to_bytes_be()), None);
    }
    assert_eq!(key.numbers.decrypt(&[&good[..], &[0]].concat()), None);
    assert_eq!(key.numbers.decrypt(&[&[1; 300], &good[..]].concat()), None);
    assert_ne!(key.numbers.decrypt(good.get(1..).unwrap()).as_deref(), Some(&b"CANARY-7f3a"[..]));
    // Zeros in front are no part of a number.
    assert_eq!(key.numbers.decrypt(&[&[0; 300], &good[..]].concat()).as_deref(), Some(&b"CANARY-7f3a"[..]));
}

#[test]
fn refuses_broken_keys() {
    const N: usize = 0;
    const E: usize = 1;
    const D: usize = 2;
    const P: usize = 3;
    const Q: usize = 4;
    let key = Key::new(3, 1024, 65_537);
    let ciphertext = key.encrypt(b"CANARY-7f3a");
    let [zero, one, two, three] = [0_u8, 1, 2, 3].map(BigUint::from);
    let [q, p] = key.theirs.primes() else { panic!("two primes") };
    let (n, d, e) = (key.theirs.n(), key.theirs.d(), key.theirs.e());
    // Exponents that fit each other for any factors.
    let good = &key.numbers;
    let any = good.with(E, &three).with(D, &three);
    let refused = [
        good.with(N, &(n + &two)),
        good.with(N, &zero),
        good.with(N, &one).with(P, &one).with(Q, &one),
        good.with(N, &(n << 8000)),
        good.with(P, &(p + &two)),
        good.with(P, q),
        good.with(P, &zero),
        good.with(Q, &zero),
        good.with(Q, &(q << 5000)),
        good.with(P, &one).with(Q, n),
        good.with(P, n).with(Q, &one),
        // Even primes that give the modulus, and a square.
        good.with(P, &two).with(N, &(q * &two)),
        good.with(P, &(p * &two)).with(N, &(n * &two)),
        good.with(P, q).with(N, &(q * q)),
        good.with(D, &(d + &two)),
        good.with(D, &zero),
        good.with(D, &(d << 5000)),
        good.with(D, &(d + n)),
        good.with(E, &(e + &two)),
        good.with(E, &zero),
        good.with(E, &one).with(D, &one),
        good.with(E, &(e << 64)),
        // 3 and 9, 5 and 9: exponents fit; factors have one in common, or are no primes.
        any.with(P, &three).with(Q, &(&three * &three)).with(N, &27_u8.into()),
        any.with(P, &5_u8.into()).with(Q, &9_u8.into()).with(N, &45_u8.into()),
    ];
    for (at, numbers) in refused.iter().enumerate() {
        assert_eq!(numbers.decrypt(&ciphertext), None, "{at}");
        assert_eq!(numbers.decrypt(&[7]), None, "{at}");
    }
    assert!(good.decrypt(&ciphertext).is_some());
}

/// They pass every check but the last: one has no inverse modulo the other, or the result, encrypted again, is another
/// ciphertext.
#[test]
fn refuses_factors_that_are_not_coprime_or_no_primes() {
    let primes = |seed| RsaPrivateKey::new(&mut Seeded(seed), 512).unwrap().primes().to_vec();
    let (first, second) = (primes(5), primes(6));
    for common in [&second[0], &BigUint::from(1_u8)] {
        let numbers = with_exponents(&(&first[0] * &second[0]), &(&first[1] * common));
        assert_eq!(numbers.decrypt(&[7; 90]), None);
    }
    // What makes the keys above may make good ones, too.
    let key = with_exponents(&first[0], &first[1]);
    assert!(key.decrypt(&[7; 60]).is_some());
}

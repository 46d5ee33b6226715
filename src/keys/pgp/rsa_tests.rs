//! Our RSA against the `rsa` crate, and against keys and ciphertexts that are no good.
#![expect(clippy::disallowed_methods, reason = "a test runs itself under valgrind")]

use std::process::{Command, Stdio};

use proptest::prelude::*;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, Pkcs1v15Encrypt, RsaPrivateKey};
use unsops_rsa::{PrivateKey, Refused};

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

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
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

/// Modulus, public and private exponent, primes, inverse; big-endian.
#[derive(Clone, Debug)]
struct Numbers([Vec<u8>; 6]);

impl Numbers {
    fn decrypt(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Refused> {
        let [n, e, d, p, q, u] = self.0.each_ref().map(Vec::as_slice);
        PrivateKey { n, e, d, p, q, u }.decrypt(ciphertext).map(|message| message.to_vec())
    }

    fn with(&self, at: usize, number: &BigUint) -> Self {
        let mut changed = self.clone();
        changed.0[at] = number.to_bytes_be();
        changed
    }
}

impl Key {
    fn new(seed: u64, bits: usize, e: u64) -> Self {
        let theirs = RsaPrivateKey::new_with_exp(&mut Seeded(seed), bits, &e.into()).unwrap();
        let [q, p] = theirs.primes() else { panic!("two primes") };
        // The crate's coefficient is the inverse of its second prime modulo its first.
        let u = theirs.crt_coefficient().unwrap();
        let numbers = [theirs.n(), theirs.e(), theirs.d(), p, q, &u].map(BigUint::to_bytes_be);
        Self { numbers: Numbers(numbers), theirs }
    }

    fn encrypt(&self, message: &[u8]) -> Vec<u8> {
        self.theirs.to_public_key().encrypt(&mut Seeded(7), Pkcs1v15Encrypt, message).unwrap()
    }

    /// What has been padded, encrypted.
    fn raw(&self, padded: &[u8]) -> Vec<u8> {
        BigUint::from_bytes_be(padded).modpow(self.theirs.e(), self.theirs.n()).to_bytes_be()
    }

    /// Both say the same.
    fn assert_agrees(&self, ciphertext: &[u8]) {
        let theirs = self.theirs.decrypt(Pkcs1v15Encrypt, ciphertext);
        assert_eq!(self.numbers.decrypt(ciphertext), theirs.map_err(|_| Refused));
    }

    fn assert_opens(&self) {
        for message in [&b"CANARY-7f3a"[..], b"", &[0; 20]] {
            let ciphertext = self.encrypt(message);
            assert_eq!(self.numbers.decrypt(&ciphertext).as_deref(), Ok(message));
            let Numbers([n, e, d, p, q, u]) = self.numbers.clone();
            // The inverse does not fit these.
            let swapped = Numbers([n, e, d, q, p, u]);
            assert_eq!(swapped.decrypt(&ciphertext).as_deref(), Ok(message));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn opens_what_the_rsa_crate_encrypts(seed: u64, bits in 300..1100_usize, e in prop::sample::select(vec![3_u64, 17, 65_537, (1 << 32) - 5])) {
        Key::new(seed, bits, e).assert_opens();
    }

    #[test]
    fn says_of_any_ciphertext_what_the_rsa_crate_says(seed: u64, mut ciphertext in prop::collection::vec(any::<u8>(), 0..70)) {
        let key = Key::new(seed % 4, 512, 65_537);
        key.assert_agrees(&ciphertext);
        // Padded, or nearly.
        ciphertext.splice(0..0, [0, 2]);
        ciphertext.resize(64, 9);
        key.assert_agrees(&key.raw(&ciphertext));
    }

    #[test]
    fn refuses_numbers_that_are_no_key(numbers: [Vec<u8>; 6], ciphertext: Vec<u8>) {
        prop_assert_eq!(Numbers(numbers).decrypt(&ciphertext), Err(Refused));
    }
}

#[test]
fn opens_with_every_usual_size_and_those_beside_it() {
    for bits in [1024, 1025, 1535, 2047, 2048, 2049, 3072] {
        Key::new(bits as u64, bits, 65_537).assert_opens();
    }
}

#[test]
fn padding_is_judged_as_the_rsa_crate_does() {
    let key = Key::new(1, 520, 65_537);
    let size = 65;
    let padded = |start: &[u8], filler: usize, message: &[u8]| {
        let mut padded = [start, &vec![7; filler], &[0], message].concat();
        padded.resize(size, 5);
        key.raw(&padded)
    };
    assert_eq!(key.numbers.decrypt(&padded(&[0, 2], 8, b"")).map(|message| message.len()), Ok(size - 11));
    for filler in 0..size - 3 {
        key.assert_agrees(&padded(&[0, 2], filler, b"x\0y"));
        key.assert_agrees(&padded(&[0, 1], filler, b"x"));
    }
    // No end, an end that is the last byte, and a first byte that is not zero.
    let whole = [&[0, 2][..], &vec![7; size - 2]].concat();
    let mut ended = whole.clone();
    ended[size - 1] = 0;
    assert_eq!(key.numbers.decrypt(&key.raw(&whole)), Err(Refused));
    assert_eq!(key.numbers.decrypt(&key.raw(&ended)), Ok(Vec::new()));
    ended[0] = 1;
    if BigUint::from_bytes_be(&ended) < *key.theirs.n() {
        assert_eq!(key.numbers.decrypt(&key.raw(&ended)), Err(Refused));
    }
}

#[test]
fn refuses_ciphertexts_that_are_none() {
    let key = Key::new(2, 1024, 65_537);
    let (n, one) = (key.theirs.n().clone(), BigUint::from(1_u8));
    let good = key.encrypt(b"CANARY-7f3a");
    for number in [BigUint::default(), one.clone(), &n - &one, n.clone(), &n + &one, BigUint::from_bytes_be(&good) + &n]
    {
        key.assert_agrees(&number.to_bytes_be());
        assert_eq!(key.numbers.decrypt(&number.to_bytes_be()), Err(Refused));
    }
    let cut = good.get(1..).unwrap();
    assert_eq!(key.numbers.decrypt(cut), Err(Refused));
    assert_eq!(key.numbers.decrypt(&[&good[..], &[0]].concat()), Err(Refused));
    assert_eq!(key.numbers.decrypt(&[&[1; 300], &good[..]].concat()), Err(Refused));
    assert_eq!(key.numbers.decrypt(b""), Err(Refused));
    // Zeros in front are no part of a number.
    assert_eq!(key.numbers.decrypt(&[&[0; 300], &good[..]].concat()).as_deref(), Ok(&b"CANARY-7f3a"[..]));
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
    let [zero, one, two] = [0_u8, 1, 2].map(BigUint::from);
    let [q, p] = key.theirs.primes() else { panic!("two primes") };
    let (n, d, e) = (key.theirs.n(), key.theirs.d(), key.theirs.e());
    let good = &key.numbers;
    let refused = [
        good.with(N, &(n + &two)),
        good.with(N, &zero),
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
        good.with(E, &(e + &two)),
        good.with(E, &zero),
        good.with(E, &(e << 64)),
    ];
    for (at, numbers) in refused.iter().enumerate() {
        assert_eq!(numbers.decrypt(&ciphertext), Err(Refused), "{at}");
    }
    assert!(good.decrypt(&ciphertext).is_ok());
}

/// Numbers and ciphertext for [`probe`], in hexadecimal.
const PROBE: &str = "UNSOPS_TEST_RSA_PROBE";

/// Decrypts once, where the test below asks for it.
#[test]
fn probe() {
    let Ok(given) = std::env::var(PROBE) else { return };
    let read = |hex: &str| -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let mut numbers: Vec<Vec<u8>> = given.split(',').map(read).collect();
    let ciphertext = numbers.pop().unwrap();
    let numbers = Numbers(numbers.try_into().unwrap());
    println!("{}", numbers.decrypt(&ciphertext).is_ok());
}

/// How many instructions one decryption takes, as callgrind counts them.
fn instructions(numbers: &Numbers, ciphertext: &[u8], opens: bool) -> u64 {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let given: Vec<String> =
        numbers.0.iter().map(Vec::as_slice).chain([ciphertext]).map(|number| hex(number)).collect();
    let dir = tempfile::tempdir().unwrap();
    let counted = dir.path().join("counted");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*unsops_rsa*decrypt*"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "keys::pgp::rsa_tests::probe", "--nocapture", "--test-threads=1"])
        .env(PROBE, given.join(","))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains(&opens.to_string()), "{said}");
    let counted = std::fs::read_to_string(counted).unwrap();
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}

#[test]
fn as_many_instructions_with_every_key_and_ciphertext() {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "valgrind is missing");
        println!("SKIPPED: valgrind is missing");
        return;
    }
    // Numbers of the same sizes; leading zeros are not looked at.
    let is_full = |key: &Key| key.numbers.0.iter().map(Vec::len).eq([128, 3, 128, 64, 64, 64]);
    let keys: Vec<Key> = (0..).map(|seed| Key::new(seed, 1024, 65_537)).filter(is_full).take(3).collect();
    let mut counts = Vec::new();
    for key in &keys {
        counts.push(instructions(&key.numbers, &key.encrypt(b"CANARY-7f3a"), true));
        // Padded with a zero too early, and with anything.
        counts.push(instructions(&key.numbers, &key.raw(&[&[0, 2, 7, 0][..], &[9; 124]].concat()), false));
        counts.push(instructions(&key.numbers, &[0x55; 128], false));
    }
    // Among them are those of reading bytes and of copying the message; one of the 2,600 multiplications takes 1,000.
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 1_000_000, "{counts:?}");
    assert!(most - least < 1_000, "{counts:?}");
}

//! Numbers of any size and arithmetic modulo an odd one, in a time that depends on their sizes alone: no branch and no
//! address is chosen by a value. Exceptions are named so, and are for public values.
//!
//! A product of two words costs 9 instructions here, 16 in crypto-bigint 0.5 (Montgomery form of 1,024 bits, x86-64
//! without BMI2), and squares are cheaper than other products.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A digit of 256 bits, least significant word first. Sixteen products of words are the most that a processor's registers
/// hold together.
pub type Digit = [u64; 4];

/// Digits, least significant first; wiped when dropped.
pub type Number = Zeroizing<Vec<Digit>>;

/// Bytes in a digit.
pub const DIGIT_BYTES: usize = 32;
const DIGIT_BITS: usize = 256;
const ZERO: Digit = [0; 4];

/// Zero, with so many digits.
pub fn zero(digits: usize) -> Number {
    Zeroizing::new(vec![ZERO; digits])
}

/// Reads big-endian bytes; `None` where they do not fit.
pub fn from_bytes(bytes: &[u8], digits: usize) -> Option<Number> {
    let mut number = zero(digits);
    let mut words = number.as_flattened_mut().iter_mut();
    for chunk in without_zeros(bytes).rchunks(8) {
        let word = words.next()?;
        *word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    Some(number)
}

/// Takes leading zero bytes off. The time tells how many they are.
pub fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The lowest `size` bytes, big-endian.
pub fn to_bytes(number: &[Digit], size: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; size]);
    let words = number.as_flattened().iter().flat_map(|word| word.to_le_bytes());
    bytes.iter_mut().rev().zip(words).for_each(|(byte, from)| *byte = from);
    bytes
}

/// Whether two numbers of as many digits are equal.
pub fn is_equal(a: &[Digit], b: &[Digit]) -> Choice {
    let differences = a.as_flattened().iter().zip(b.as_flattened()).fold(0, |all, (a, b)| all | (a ^ b));
    differences.ct_eq(&0)
}

/// Whether a number is one.
pub fn is_one(a: &[Digit]) -> Choice {
    let differences = a.as_flattened().iter().skip(1).fold(lowest(a) ^ 1, |all, word| all | word);
    differences.ct_eq(&0)
}

/// Whether a number is odd.
pub fn is_odd(a: &[Digit]) -> Choice {
    Choice::from((lowest(a) & 1) as u8)
}

/// Whether `a` is less than `b`, which has as many digits.
pub fn is_less(a: &[Digit], b: &[Digit]) -> Choice {
    let borrow = a.as_flattened().iter().zip(b.as_flattened()).fold(false, |borrow, (a, b)| a.borrowing_sub(*b, borrow).1);
    Choice::from(u8::from(borrow))
}

/// `a + b` into `a`, which has as many digits or more.
pub fn add(a: &mut [Digit], b: &[Digit]) {
    let mut carry = false;
    let words = b.iter().copied().chain(std::iter::repeat(ZERO));
    for (a, b) in a.iter_mut().zip(words) {
        (*a, carry) = add_digit(a, &b, carry);
    }
}

/// `a` less a small number.
pub fn less(a: &[Digit], small: u64) -> Number {
    let mut difference = zero(a.len());
    let (mut left, mut borrow) = (small, false);
    for (out, word) in difference.as_flattened_mut().iter_mut().zip(a.as_flattened()) {
        (*out, borrow) = word.borrowing_sub(left, borrow);
        left = 0;
    }
    difference
}

/// `a · b`, with the digits of both.
pub fn product(a: &[Digit], b: &[Digit]) -> Number {
    let mut out = zero(a.len() + b.len());
    multiply(a, b, &mut out);
    out
}

/// `x mod m`, bit by bit; for a modulus above one that may be even. The time tells the number of digits that `m` needs.
pub fn remainder(x: &[Digit], m: &[Digit]) -> Number {
    let needed = m.iter().rposition(|digit| *digit != ZERO).unwrap_or_default();
    let (low, high) = x.split_at_checked(x.len().saturating_sub(needed)).unwrap_or((x, &[]));
    let (mut rest, mut doubled) = (zero(m.len()), zero(m.len()));
    copy(high, &mut rest);
    for word in low.as_flattened().iter().rev() {
        for at in (0..u64::BITS).rev() {
            shift_in(&mut rest, word >> at & 1, m, &mut doubled);
        }
    }
    rest
}

/// An odd number above one, prepared for arithmetic modulo it in Montgomery form: a value `x` is held as `x · R`, where
/// `R` is two to the power of the modulus' size in bits, and the product of two such is divided by `R`.
///
/// Source: Montgomery, "Modular Multiplication Without Trial Division" (1985); Koç, Acar, Kaliski, "Analyzing and
/// Comparing Montgomery Multiplication Algorithms" (1996), with separated operand scanning.
pub struct Modulus {
    m: Number,
    /// `-1 / m` modulo `2^256`
    inverse: Digit,
    /// `R mod m`: one.
    one: Number,
    /// `R² mod m`
    square_of_r: Number,
    /// Room for a product.
    wide: Number,
}

impl Drop for Modulus {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.inverse);
    }
}

impl Modulus {
    /// Prepares an odd number above one. The time tells its length in bits.
    pub fn new(m: Number) -> Self {
        let digits = m.len();
        let (bits, mut one) = top_bit(&m);
        let mut doubled = zero(digits);
        for _ in bits..=digits * DIGIT_BITS {
            shift_in(&mut one, 0, &m, &mut doubled);
        }
        // R times 2^digits, squared as often as R is longer than that: 256 times, which is 2^8.
        let mut power = one.clone();
        for _ in 0..digits {
            shift_in(&mut power, 0, &m, &mut doubled);
        }
        let inverse = negated_inverse(m.first().unwrap_or(&ZERO));
        let mut modulus = Self { m, inverse, one, square_of_r: zero(digits), wide: zero(2 * digits) };
        for _ in 0..DIGIT_BITS.trailing_zeros() {
            modulus.square(&mut power);
        }
        modulus.square_of_r = power;
        modulus
    }

    /// The Montgomery form of a number of up to twice as many digits as the modulus.
    pub fn enter(&mut self, x: &[Digit]) -> Number {
        let r2 = self.square_of_r.clone();
        let (low, high) = x.split_at_checked(self.m.len()).unwrap_or((x, &[]));
        let [mut lower, mut upper] = [low, high].map(|part| {
            let mut padded = zero(self.m.len());
            copy(part, &mut padded);
            padded
        });
        self.multiply(&mut lower, &r2);
        self.multiply(&mut upper, &r2);
        self.multiply(&mut upper, &r2);
        let (mut unreduced, mut carry) = (zero(self.m.len()), false);
        for ((out, low), high) in unreduced.iter_mut().zip(lower.iter()).zip(upper.iter()) {
            (*out, carry) = add_digit(low, high, carry);
        }
        subtract_once(&unreduced, carry, &self.m, &mut upper);
        upper
    }

    /// The value of a number in Montgomery form, in its place.
    pub fn leave(&mut self, x: &mut [Digit]) {
        self.wide.fill(ZERO);
        copy(x, &mut self.wide);
        reduce(&mut self.wide, &self.m, &self.inverse, x);
    }

    /// `a · b / R` into `a`. One of them is less than the modulus, the other less than `R`.
    pub fn multiply(&mut self, a: &mut [Digit], b: &[Digit]) {
        multiply(a, b, &mut self.wide);
        reduce(&mut self.wide, &self.m, &self.inverse, a);
    }

    /// `a - b` into `a`. Both are less than the modulus.
    pub fn subtract(&self, a: &mut [Digit], b: &[Digit]) {
        let mut borrow = false;
        for (a, b) in a.iter_mut().zip(b) {
            (*a, borrow) = subtract_digit(a, b, borrow);
        }
        let is_negative = mask(Choice::from(u8::from(borrow)));
        let mut carry = false;
        for (a, m) in a.iter_mut().zip(self.m.iter()) {
            let m = m.map(|word| word & is_negative);
            (*a, carry) = add_digit(a, &m, carry);
        }
    }

    /// `x` to the power of a secret exponent, by windows of four bits.
    pub fn power(&mut self, x: &[Digit], exponent: &[Digit]) -> Number {
        let digits = self.m.len();
        let mut powers = zero(16 * digits);
        let mut power = self.one.clone();
        for slot in powers.chunks_exact_mut(digits.max(1)) {
            copy(&power, slot);
            self.multiply(&mut power, x);
        }
        let (mut result, mut chosen) = (self.one.clone(), power);
        for word in exponent.as_flattened().iter().rev() {
            for at in (0..u64::BITS).step_by(4).rev() {
                for _ in 0..4 {
                    self.square(&mut result);
                }
                choose(&powers, word >> at & 15, &mut chosen);
                self.multiply(&mut result, &chosen);
            }
        }
        result
    }

    /// `x` to the power of a public exponent, which the time tells.
    pub fn public_power(&mut self, x: &[Digit], exponent: u64) -> Number {
        let mut result = self.one.clone();
        for at in (0..u64::BITS - exponent.leading_zeros()).rev() {
            self.square(&mut result);
            if exponent >> at & 1 == 1 {
                self.multiply(&mut result, x);
            }
        }
        result
    }

    fn square(&mut self, a: &mut [Digit]) {
        square(a, &mut self.wide);
        reduce(&mut self.wide, &self.m, &self.inverse, a);
    }
}

fn lowest(a: &[Digit]) -> u64 {
    a.as_flattened().iter().next().copied().unwrap_or_default()
}

fn copy(from: &[Digit], to: &mut [Digit]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// The number of bits of `m` and the number with only the highest of them; nothing but the length is told.
fn top_bit(m: &[Digit]) -> (usize, Number) {
    let mut bit = zero(m.len());
    let mut bits = m.len() * DIGIT_BITS;
    for (word, out) in m.as_flattened().iter().zip(bit.as_flattened_mut().iter_mut()).rev() {
        if *word != 0 {
            let zeros = word.leading_zeros();
            *out = 1 << (63 - zeros);
            return (bits - zeros as usize, bit);
        }
        bits -= 64;
    }
    (0, bit)
}

/// `2x + bit` modulo `m` into `x`, which is less than `m`.
fn shift_in(x: &mut [Digit], bit: u64, m: &[Digit], doubled: &mut [Digit]) {
    let mut carry = bit;
    for (out, word) in doubled.as_flattened_mut().iter_mut().zip(x.as_flattened()) {
        *out = word << 1 | carry;
        carry = word >> 63;
    }
    subtract_once(doubled, carry != 0, m, x);
}

/// `x - m` into `out` where that is not negative, else `x`; `carry` is a bit above `x`.
fn subtract_once(x: &[Digit], carry: bool, m: &[Digit], out: &mut [Digit]) {
    let mut borrow = false;
    for ((out, x), m) in out.iter_mut().zip(x).zip(m) {
        (*out, borrow) = subtract_digit(x, m, borrow);
    }
    let keep = mask(Choice::from(u8::from(borrow & !carry)));
    for (out, x) in out.as_flattened_mut().iter_mut().zip(x.as_flattened()) {
        *out ^= (*out ^ x) & keep;
    }
}

/// The entry of a table of sixteen; all are read.
fn choose(powers: &[Digit], index: u64, chosen: &mut [Digit]) {
    chosen.fill(ZERO);
    for (power, at) in powers.chunks_exact(chosen.len().max(1)).zip(0_u64..) {
        let take = mask(at.ct_eq(&index));
        for (chosen, word) in chosen.as_flattened_mut().iter_mut().zip(power.as_flattened()) {
            *chosen |= word & take;
        }
    }
}

/// All bits set where the choice is yes. The compiler does not know that there are only two such masks: `Choice` hides it.
fn mask(choice: Choice) -> u64 {
    u64::from(choice.unwrap_u8()).wrapping_neg()
}

#[inline(always)]
fn add_digit(a: &Digit, b: &Digit, carry: bool) -> (Digit, bool) {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a, *b);
    let (s0, carry) = a0.carrying_add(b0, carry);
    let (s1, carry) = a1.carrying_add(b1, carry);
    let (s2, carry) = a2.carrying_add(b2, carry);
    let (s3, carry) = a3.carrying_add(b3, carry);
    ([s0, s1, s2, s3], carry)
}

#[inline(always)]
fn subtract_digit(a: &Digit, b: &Digit, borrow: bool) -> (Digit, bool) {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a, *b);
    let (s0, borrow) = a0.borrowing_sub(b0, borrow);
    let (s1, borrow) = a1.borrowing_sub(b1, borrow);
    let (s2, borrow) = a2.borrowing_sub(b2, borrow);
    let (s3, borrow) = a3.borrowing_sub(b3, borrow);
    ([s0, s1, s2, s3], borrow)
}

/// `x · y + t + carry`: the lower and the upper digit. Nothing is lost: the largest is `2^512 - 1`.
#[inline(always)]
fn multiply_digit(x: &Digit, y: &Digit, t: &Digit, carry: &Digit) -> (Digit, Digit) {
    let [y0, y1, y2, y3] = *y;
    let (mut rest, mut low) = (*t, ZERO);
    for ((x, carry), low) in x.iter().zip(carry).zip(&mut low) {
        let [r0, r1, r2, r3] = rest;
        let (s0, carry) = x.carrying_mul_add(y0, r0, *carry);
        let (s1, carry) = x.carrying_mul_add(y1, r1, carry);
        let (s2, carry) = x.carrying_mul_add(y2, r2, carry);
        let (s3, carry) = x.carrying_mul_add(y3, r3, carry);
        *low = s0;
        rest = [s1, s2, s3, carry];
    }
    (low, rest)
}

/// `x · y` modulo `2^256`.
#[inline(always)]
fn multiply_low(x: &Digit, y: &Digit) -> Digit {
    let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (*x, *y);
    let (r0, carry) = x0.carrying_mul(y0, 0);
    let (r1, carry) = x0.carrying_mul(y1, carry);
    let (r2, carry) = x0.carrying_mul(y2, carry);
    let r3 = x0.wrapping_mul(y3).wrapping_add(carry);
    let (r1, carry) = x1.carrying_mul(y0, r1);
    let (r2, carry) = x1.carrying_mul_add(y1, r2, carry);
    let r3 = x1.wrapping_mul(y2).wrapping_add(carry).wrapping_add(r3);
    let (r2, carry) = x2.carrying_mul(y0, r2);
    let r3 = x2.wrapping_mul(y1).wrapping_add(carry).wrapping_add(r3);
    [r0, r1, r2, x3.wrapping_mul(y0).wrapping_add(r3)]
}

/// `-1 / m` modulo `2^256` for an odd digit: Newton's iteration doubles the bits that are right.
fn negated_inverse(m: &Digit) -> Digit {
    const TWO: Digit = [2, 0, 0, 0];
    let mut x = [1, 0, 0, 0];
    for _ in 0..DIGIT_BITS.trailing_zeros() {
        let (correction, _) = subtract_digit(&TWO, &multiply_low(m, &x), false);
        x = multiply_low(&x, &correction);
    }
    subtract_digit(&ZERO, &x, false).0
}

/// `t + x · y` into the digits of `t` below the length of `y`; gives what goes above them.
#[inline(always)]
fn add_row(x: &Digit, y: &[Digit], t: &mut [Digit]) -> Digit {
    let mut carry = ZERO;
    for (y, t) in y.iter().zip(t) {
        (*t, carry) = multiply_digit(x, y, t, &carry);
    }
    carry
}

/// `a · b` into `out`, which has the digits of both.
fn multiply(a: &[Digit], b: &[Digit], out: &mut [Digit]) {
    out.fill(ZERO);
    let mut rest = out;
    for x in a {
        let carry = add_row(x, b, rest);
        if let Some(above) = rest.get_mut(b.len()) {
            *above = carry;
        }
        rest = rest.get_mut(1..).unwrap_or_default();
    }
}

/// `a²` into `out`, which has twice the digits: the products of different digits once, doubled, and their squares.
fn square(a: &[Digit], out: &mut [Digit]) {
    out.fill(ZERO);
    let (mut digits, mut rest) = (a, out.get_mut(1..).unwrap_or_default());
    while let Some((x, others)) = digits.split_first() {
        let carry = add_row(x, others, rest);
        if let Some(above) = rest.get_mut(others.len()) {
            *above = carry;
        }
        rest = rest.get_mut(2..).unwrap_or_default();
        digits = others;
    }
    let (mut top, mut carry) = (0, false);
    for (x, pair) in a.iter().zip(out.as_chunks_mut::<2>().0) {
        let (low, high) = multiply_digit(x, x, &ZERO, &ZERO);
        for (out, square) in pair.iter_mut().zip([low, high]) {
            let [w0, w1, w2, w3] = *out;
            let doubled = [w0 << 1 | top, w1 << 1 | w0 >> 63, w2 << 1 | w1 >> 63, w3 << 1 | w2 >> 63];
            top = w3 >> 63;
            (*out, carry) = add_digit(&doubled, &square, carry);
        }
    }
}

/// `t / R` modulo `m` into `out`: adds the multiple of `m` that makes the lower half zero. `t` is less than `m · R`.
fn reduce(t: &mut [Digit], m: &[Digit], inverse: &Digit, out: &mut [Digit]) {
    let (mut rest, mut carry) = (t, false);
    for _ in m {
        let Some(lowest) = rest.first() else { return };
        let multiple = multiply_low(lowest, inverse);
        let above = add_row(&multiple, m, rest);
        if let Some(next) = rest.get_mut(m.len()) {
            (*next, carry) = add_digit(next, &above, carry);
        }
        rest = rest.get_mut(1..).unwrap_or_default();
    }
    subtract_once(rest, carry, m, out);
}

//! A small generator of random numbers: the same seed gives the same documents on every machine and in every release.

use crate::harness::CANARY;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Text of any kind, often with the canary in it.
    pub fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a", "B", "7", " ", "  ", "\n", "\t", "\r", ":", "#", "-", "'", "\"", "\\", "=", "[", "{", ",", "&", "*",
            "!", "|", ">", "%", "@", "`", "~", "é", "ж", "日", "😀", "\u{85}", "\u{a0}", "\u{2028}", "\u{feff}",
            "\u{7f}", "\u{1}", "\\n", "$x", ": ", " #", "---", "null", "0", "1.5", "ENC[", "]", ";", "\u{fffd}",
        ];
        match self.below(5) {
            0 => CANARY.to_owned(),
            1 => String::new(),
            _ => {
                let mut text = if self.chance(50) { CANARY.to_owned() } else { String::new() };
                for _ in 0..self.below(8) {
                    text.push_str(self.pick(PIECES));
                }
                text
            }
        }
    }
}

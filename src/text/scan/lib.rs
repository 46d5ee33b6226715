//! Looks through text by words of bytes. `Cargo.toml` says why this is a package.

/// Bytes whose words are looked at without a branch between them, as long as runs are long.
const BLOCK: usize = 32;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// How many bytes stand before the first that is no printable ASCII character (0x20 to 0x7e), or is one of `stops`.
// Inlined, it would be compiled as its caller is.
#[inline(never)]
#[must_use]
pub fn printable_run(bytes: &[u8], stops: &[u8]) -> usize {
    // Where their number is known, there is no loop over them inside the loop over the words: half of the instructions.
    match *stops {
        [] => run(bytes, []),
        [one] => run(bytes, [one]),
        [one, two] => run(bytes, [one, two]),
        [one, two, three] => run(bytes, [one, two, three]),
        _ => run(bytes, stops),
    }
}

#[inline(always)]
fn run(bytes: &[u8], stops: impl AsRef<[u8]>) -> usize {
    let stops = stops.as_ref();
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_run = |block: &&[u8; BLOCK]| block.as_chunks().0.iter().fold(0, |found, word| found | ends(word, stops)) == 0;
    let before = BLOCK * blocks.iter().take_while(is_run).count();
    let (words, _) = bytes.get(before..).unwrap_or_default().as_chunks();
    let before = before + 8 * words.iter().take_while(|word| ends(word, stops) == 0).count();
    let belongs = |byte: &u8| matches!(byte, 0x20..=0x7e) && !stops.contains(byte);
    before + bytes.get(before..).unwrap_or_default().iter().take_while(|byte| belongs(byte)).count()
}

/// High bits, one at least if one of the eight bytes ends a run; bytes above that one may have false ones.
#[inline(always)]
fn ends(word: &[u8; 8], stops: &[u8]) -> u64 {
    let word = u64::from_ne_bytes(*word);
    // A high bit wherever a byte is zero, if every byte is below 0x80.
    let is = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    // Not ASCII, below a blank, or DEL.
    let unprintable = word | word.wrapping_sub(ONES * 0x20) | is(0x7f);
    stops.iter().fold(unprintable, |found, stop| found | is(*stop)) & HIGH
}

/// The number of characters in UTF-8; a byte that is not UTF-8 counts as one or none.
#[inline(never)]
#[must_use]
pub fn characters(bytes: &[u8]) -> usize {
    // Continuation bytes are 10xxxxxx.
    let (words, rest) = bytes.as_chunks();
    let of_word = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        (word & !(word << 1) & HIGH).count_ones() as usize
    };
    let of_rest = rest.iter().filter(|byte| **byte & 0xc0 == 0x80).count();
    bytes.len() - words.iter().map(of_word).sum::<usize>() - of_rest
}

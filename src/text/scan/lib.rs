//! Looks through text by blocks of bytes. `Cargo.toml` says why this is a package.

/// Bytes that are looked at together, without a branch between them.
const BLOCK: usize = 32;

/// How many bytes stand before the first that is no printable ASCII character (0x20 to 0x7e), or is one of `stops`.
// Inlined, it would be compiled as its caller is.
#[inline(never)]
#[must_use]
pub fn printable_run(bytes: &[u8], stops: &[u8]) -> usize {
    let belongs = |byte: &u8| matches!(byte, 0x20..=0x7e) && !stops.contains(byte);
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let before = BLOCK * blocks.iter().take_while(|block| is_run(block, stops)).count();
    before + bytes.get(before..).unwrap_or_default().iter().take_while(|byte| belongs(byte)).count()
}

fn is_run(block: &[u8; BLOCK], stops: &[u8]) -> bool {
    let mut ends = block.map(|byte| u8::from(byte < 0x20) | u8::from(byte > 0x7e));
    for stop in stops {
        for (end, byte) in ends.iter_mut().zip(block) {
            *end |= u8::from(byte == stop);
        }
    }
    ends.iter().fold(0, |found, end| found | end) == 0
}

/// The number of characters in UTF-8; a byte that is not UTF-8 counts as one or none.
#[inline(never)]
#[must_use]
pub fn characters(bytes: &[u8]) -> usize {
    // Continuation bytes are 10xxxxxx.
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

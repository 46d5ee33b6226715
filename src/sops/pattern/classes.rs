//! Character classes as ranges of code points.

use std::fmt::Write as _;

/// Inclusive ranges of code points, in order and apart after [`clean`].
pub(super) type Ranges = Vec<(u32, u32)>;

pub(super) const LAST: u32 = 0x10_FFFF;

/// Code points outside these have no other case in Go's tables (`minFold`, `maxFold`).
pub(super) const FOLDABLE: (u32, u32) = (0x41, 0x1_E943);

/// Sorts ranges and joins those that touch.
pub(super) fn clean(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut out = Ranges::new();
    for (low, high) in ranges {
        match out.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => out.push((low, high)),
        }
    }
    out
}

/// All code points outside of clean ranges.
pub(super) fn negate(ranges: &[(u32, u32)]) -> Ranges {
    let mut out = Ranges::new();
    let mut next = 0;
    for &(low, high) in ranges {
        if low > next {
            out.push((next, low - 1));
        }
        next = high + 1;
    }
    if next <= LAST {
        out.push((next, LAST));
    }
    out
}

/// Clean ranges as a class without surrogates, which no text holds.
pub(super) fn class_text(ranges: &[(u32, u32)]) -> String {
    let mut text = String::from("[");
    for &(low, high) in ranges {
        for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)] {
            if low <= high {
                write!(text, r"\x{{{low:X}}}-\x{{{high:X}}}").expect("writing to a String does not fail");
            }
        }
    }
    text.push(']');
    // Nothing: what is neither in a set nor outside of it.
    if text == "[]" { String::from(r"[^\x{0}-\x{10FFFF}]") } else { text }
}

/// Says whether a letter has another case; Go's tables have no letter that this misses.
pub(super) fn has_cases(c: char) -> bool {
    !c.to_lowercase().eq([c]) || !c.to_uppercase().eq([c])
}

pub(super) const DIGIT: &[(u32, u32)] = &[(0x30, 0x39)];
pub(super) const PERL_SPACE: &[(u32, u32)] = &[(0x09, 0x0a), (0x0c, 0x0d), (0x20, 0x20)];
pub(super) const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)];

/// `regexp/syntax/perl_groups.go`
pub(super) const POSIX: [(&str, &[(u32, u32)]); 14] = [
    ("alnum", &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)]),
    ("alpha", &[(0x41, 0x5a), (0x61, 0x7a)]),
    ("ascii", &[(0x00, 0x7f)]),
    ("blank", &[(0x09, 0x09), (0x20, 0x20)]),
    ("cntrl", &[(0x00, 0x1f), (0x7f, 0x7f)]),
    ("digit", DIGIT),
    ("graph", &[(0x21, 0x7e)]),
    ("lower", &[(0x61, 0x7a)]),
    ("print", &[(0x20, 0x7e)]),
    ("punct", &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)]),
    ("space", &[(0x09, 0x0d), (0x20, 0x20)]),
    ("upper", &[(0x41, 0x5a)]),
    ("word", WORD),
    ("xdigit", &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)]),
];

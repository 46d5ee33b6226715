//! Blanks at the ends of bytes, as Go's `strings.TrimSpace` sees them: Unicode white space; a byte that is not UTF-8
//! is none.

/// Removes blanks at both ends.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// Removes blanks at the beginning.
pub(super) fn trim_start(bytes: &[u8]) -> &[u8] {
    if bytes.first().is_some_and(u8::is_ascii_graphic) {
        return bytes;
    }
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    bytes.get(valid.len() - valid.trim_start().len()..).unwrap_or_default()
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let Some((rest, _)) = split_last_blank(bytes) {
        bytes = rest;
    }
    bytes
}

/// Splits off a blank at the end. No blank has more than three bytes in UTF-8.
fn split_last_blank(bytes: &[u8]) -> Option<(&[u8], char)> {
    (1..=3.min(bytes.len())).find_map(|length| {
        let (rest, last) = bytes.split_at_checked(bytes.len() - length)?;
        let c = std::str::from_utf8(last).ok()?.chars().next()?;
        (c.len_utf8() == length && c.is_whitespace()).then_some((rest, c))
    })
}

//! What is shown of a file: never a value.

use crate::text::Printable;

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excerpt {
    /// The key of a value; the value itself is not shown.
    Key(Printable),
    /// A line that holds no value, tokens taken out; and how many characters stand before the place.
    Line {
        /// The line.
        text: Printable,
        /// Characters before the place.
        before: usize,
    },
}

impl Excerpt {
    /// The line of a kustomization, generator manifest or configuration. Lines from 1, columns in characters.
    ///
    /// A line of `literals` holds a value: it is cut at its first `=`.
    pub fn line(text: &[u8], line: u32, column: u32) -> Option<Self> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let bytes = text.split(|&byte| byte == b'\n').nth(index)?;
        Self::of_line(bytes, column)
    }

    /// As [`Excerpt::line`], of a line at hand.
    pub fn of_line(bytes: &[u8], column: u32) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).replace('\t', " ");
        let text = without_tokens(&text);
        let text = text.trim_end();
        if text.is_empty() {
            return None;
        }
        // Leading blanks tell nothing.
        let indent = text.chars().take_while(|&c| c == ' ').count();
        let before = usize::try_from(column).ok()?.saturating_sub(1).saturating_sub(indent);
        let shown = text.trim_start();
        let before = before.min(shown.chars().count());
        Some(Self::Line { text: Printable::new(shown), before })
    }
}

/// Every `ENC[…]` without what it holds.
fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("ENC[") {
        out.push_str(before);
        out.push_str("ENC[…]");
        rest = after.split_once(']').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

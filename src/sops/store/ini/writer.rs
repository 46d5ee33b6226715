//! [`File`] to text, as go-ini's `WriteTo` prints it: keys aligned, a blank line between sections.

use super::file::{File, Key, Section};
use super::spaces::trim;

pub(super) fn write(file: &File) -> Vec<u8> {
    let mut out = Vec::new();
    let last = file.sections.len().saturating_sub(1);
    for (index, section) in file.sections.iter().enumerate() {
        push_comment(section.comment.expose(), Indented::AsIs, &mut out);
        if index > 0 || !section.name.eq_ignore_ascii_case("DEFAULT") {
            out.extend_from_slice(format!("[{}]\n", section.name).as_bytes());
        } else if section.keys.is_empty() {
            continue;
        }
        push_keys(section, &mut out);
        if index < last {
            out.push(b'\n');
        }
    }
    out
}

fn push_keys(section: &Section, out: &mut Vec<u8>) {
    let width = section.keys.iter().map(|key| quoted_name(&key.name).len()).max().unwrap_or(0);
    for key in &section.keys {
        push_comment(key.comment.expose(), Indented::Trimmed, out);
        push_key(key, width, out);
    }
}

fn push_key(key: &Key, width: usize, out: &mut Vec<u8>) {
    let name = quoted_name(&key.name);
    out.extend_from_slice(name.as_bytes());
    out.resize(out.len() + width.saturating_sub(name.len()), b' ');
    out.extend_from_slice(b" = ");
    let value = key.value.expose().as_slice();
    let holds = |needles: &[u8]| value.iter().any(|byte| needles.contains(byte));
    let quote: &[u8] = if holds(b"\n`") {
        b"\"\"\""
    } else if holds(b"#;") {
        b"`"
    } else if trim(value).len() != value.len() {
        b"\""
    } else {
        b""
    };
    for part in [quote, value, quote, b"\n"] {
        out.extend_from_slice(part);
    }
}

fn quoted_name(name: &str) -> String {
    if name.contains(['"', '=', ':']) {
        format!("`{name}`")
    } else if name.contains('`') {
        format!("\"\"\"{name}\"\"\"")
    } else {
        name.to_owned()
    }
}

/// Whether blanks around a comment line without a marker stay.
#[derive(Clone, Copy, PartialEq)]
enum Indented {
    AsIs,
    Trimmed,
}

/// Prints each line with its marker, `;` where it has none. An empty line, on which go-ini panics, gets one too.
fn push_comment(comment: &[u8], indented: Indented, out: &mut Vec<u8>) {
    if comment.is_empty() {
        return;
    }
    for line in comment.split(|&byte| byte == b'\n') {
        let (marker, text) = match line.split_first() {
            Some((marker @ (b'#' | b';'), rest)) => (*marker, trim(rest)),
            _ if indented == Indented::Trimmed => (b';', trim(line)),
            _ => (b';', line),
        };
        out.extend_from_slice(&[marker, b' ']);
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}

//! Tree to text, as `json.Marshal` and `json.Indent` with tabs print it.

use crate::number;
use crate::sops::tree::{Branch, Item, Tree, Value};

/// Prints the first document and a line feed; comments are lost, as in sops.
///
/// # Errors
/// Fixed words for numbers that JSON has no text for.
pub(in crate::sops::store) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    let branch = tree.documents.first().ok_or("a JSON file holds one document, there is none")?;
    let mut out = Vec::new();
    push_branch(branch, 1, &mut out)?;
    out.push(b'\n');
    Ok(out)
}

fn push_branch(branch: &Branch, depth: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let entries = branch.items.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some(entry),
        Item::Comment(_) => None,
    });
    out.push(b'{');
    let mut is_empty = true;
    for entry in entries {
        begin_line(is_empty, depth, out);
        is_empty = false;
        push_string(entry.key.as_bytes(), out);
        out.extend_from_slice(b": ");
        push_value(&entry.value, depth, out)?;
    }
    end(is_empty, depth, b'}', out);
    Ok(())
}

fn push_list(list: &[Value], depth: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(b'[');
    let mut is_empty = true;
    for value in list.iter().filter(|value| !matches!(value, Value::Comment(_))) {
        begin_line(is_empty, depth, out);
        is_empty = false;
        push_value(value, depth, out)?;
    }
    end(is_empty, depth, b']', out);
    Ok(())
}

fn push_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Branch(branch) => push_branch(branch, depth + 1, out)?,
        Value::Comment(_) => return Err("a comment where JSON needs a value"),
        Value::Float(value) => {
            let text = number::format_es6(*value).ok_or("JSON has no text for NaN and infinities")?;
            out.extend_from_slice(text.as_bytes());
        }
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::List(list) => push_list(list, depth + 1, out)?,
        Value::Null => out.extend_from_slice(b"null"),
        Value::Str(text) => push_string(text.expose(), out),
        Value::Time(time) => push_string(time.rfc3339_nano().as_bytes(), out),
    }
    Ok(())
}

fn begin_line(is_first: bool, depth: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(if is_first { b"\n" } else { b",\n" });
    out.resize(out.len() + depth, b'\t');
}

fn end(is_empty: bool, depth: usize, bracket: u8, out: &mut Vec<u8>) {
    if !is_empty {
        out.push(b'\n');
        out.resize(out.len() + depth - 1, b'\t');
    }
    out.push(bracket);
}

/// Escapes also `<`, `>`, `&`, U+2028 and U+2029; a byte that is not UTF-8 comes out as `\ufffd`.
fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((plain, c)) = split_at_escaped(rest) {
            out.extend_from_slice(plain.as_bytes());
            push_escape(c, out);
            rest = rest.get(plain.len() + c.len_utf8()..).unwrap_or_default();
        }
        out.extend_from_slice(rest.as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

/// The text before the first character that needs an escape, and that character.
fn split_at_escaped(text: &str) -> Option<(&str, char)> {
    let needs_escape = |c: char| matches!(c, '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    let at = text.find(needs_escape)?;
    let (plain, rest) = text.split_at_checked(at)?;
    Some((plain, rest.chars().next()?))
}

fn push_escape(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        other => out.extend_from_slice(format!("\\u{:04x}", u32::from(other)).as_bytes()),
    }
}

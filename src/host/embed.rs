//! Text of one YAML document as an element of a block sequence.

/// Appends a document in block style as an element of a block sequence whose dashes stand in column `indent` (from 0).
///
/// No value changes: a block scalar's own indentation counts from its parent, which moves with it, and lines without
/// characters stay so.
pub(super) fn push_element(out: &mut String, document: &str, indent: usize) {
    let mut is_first = true;
    for line in document.split_inclusive('\n') {
        if is_first {
            push_spaces(out, indent);
            out.push_str("- ");
            is_first = false;
        } else if line != "\n" {
            push_spaces(out, indent + 2);
        }
        out.push_str(line);
    }
    end_line(out);
}

/// Starts a new line, if the last one is not finished.
pub(super) fn end_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn push_spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Appends text from a message as a double-quoted scalar. [`crate::text::Printable`] has no control characters.
pub(super) fn push_quoted(out: &mut String, text: &crate::text::Printable) {
    out.push('"');
    for c in text.as_str().chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

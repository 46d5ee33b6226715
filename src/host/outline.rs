//! Where the parts of a ResourceList stand in its text, so that they can be repeated byte for byte.

use std::ops::Range;

use super::object::text;
use crate::yaml::{CollectionStyle, Kind, Node};

/// A top-level field as text: from its key to the next one's.
pub(super) struct Section<'t> {
    pub name: &'t str,
    pub text: &'t str,
    /// Its elements, where it is a block sequence.
    pub elements: Option<Elements<'t>>,
}

/// A block sequence as text.
pub(super) struct Elements<'t> {
    /// The line of the key, and comments below it.
    pub header: &'t str,
    /// One element each, from its dash to the next one's.
    pub chunks: Vec<&'t str>,
    /// Column of the dashes, from 0.
    pub indent: usize,
}

/// Cuts the text at the top-level keys of a block mapping.
///
/// `None` where that cannot be done safely, and the parts have to be written anew: flow style (JSON), line breaks
/// other than LF, a key or dash that is not where a block mapping has it, a last line without an end (a block
/// scalar may end there).
pub(super) fn sections<'t>(whole: &'t str, root: &'t Node) -> Option<Vec<Section<'t>>> {
    let Kind::Mapping(fields, CollectionStyle::Block) = &root.kind else { return None };
    if whole.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return None;
    }
    let last_offset = fields.last().map(|(key, _)| key.offset)?;
    let end = document_end(whole, last_offset)?;
    let starts = fields.iter().map(|(key, _)| key.offset);
    let ends = starts.clone().skip(1).chain([end]);
    let mut sections = Vec::with_capacity(fields.len());
    for ((key, value), range) in fields.iter().zip(starts.zip(ends)) {
        let name = text(key)?;
        let section = whole.get(range.0..range.1)?;
        let is_line_start = matches!(whole.get(..range.0)?.as_bytes(), [] | [.., b'\n'] | BYTE_ORDER_MARK);
        let is_plain = section.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
        if !is_line_start || !is_plain || !section.ends_with('\n') {
            return None;
        }
        let elements = match &value.kind {
            Kind::Sequence(nodes, CollectionStyle::Flow) if !nodes.is_empty() => return None,
            Kind::Sequence(nodes, CollectionStyle::Block) => Some(elements(whole, nodes, range.0..range.1)?),
            _ => None,
        };
        sections.push(Section { name, text: section, elements });
    }
    Some(sections)
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn elements<'t>(whole: &'t str, nodes: &[Node], section: Range<usize>) -> Option<Elements<'t>> {
    let first = nodes.first()?;
    let mut starts = Vec::with_capacity(nodes.len());
    let (first_start, indent) = dash_line(whole, section.start, first.offset, None)?;
    starts.push(first_start);
    for node in nodes.iter().skip(1) {
        let above = starts.last().copied()?;
        let (start, _) = dash_line(whole, above, node.offset, Some(indent)).filter(|(start, _)| *start > above)?;
        starts.push(start);
    }
    let header = whole.get(section.start..first_start)?;
    let mut lines = header.lines();
    let is_bare = lines.next().is_some_and(|line| line.trim_end().ends_with(':'))
        && lines.all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#'));
    if !is_bare {
        return None;
    }
    let ends = starts.iter().copied().skip(1).chain([section.end]);
    let chunks = starts.iter().copied().zip(ends).map(|(start, end)| whole.get(start..end)).collect::<Option<_>>()?;
    Some(Elements { header, chunks, indent })
}

/// The line at or above `offset`, not above `from`, that begins with spaces and a dash: where it starts, and how many
/// spaces. Between an element's dash and its content there are only blanks, comments and properties.
fn dash_line(whole: &str, from: usize, offset: usize, indent: Option<usize>) -> Option<(usize, usize)> {
    let line_end = offset + whole.get(offset..)?.find('\n')?;
    let mut end = line_end;
    loop {
        let start = whole.get(from..end)?.rfind('\n').map_or(from, |index| from + index + 1);
        let line = whole.get(start..end)?;
        let content = line.trim_start_matches(' ');
        let spaces = line.len() - content.len();
        let is_dash = content.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if is_dash && indent.is_none_or(|indent| indent == spaces) {
            return Some((start, spaces));
        }
        end = start.checked_sub(1).filter(|end| *end > from)?;
    }
}

/// Where the document ends: at a line `---` or `...`, else with the text. `from` lies in its last section.
fn document_end(whole: &str, from: usize) -> Option<usize> {
    let mut start = from;
    for line in whole.get(from..)?.split_inclusive('\n') {
        let is_marker = ["---", "..."].iter().any(|marker| {
            line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
        });
        // The section itself begins in the middle of a line's check only if it begins a line, and then with a key.
        if is_marker && start > from {
            return Some(start);
        }
        start += line.len();
    }
    Some(whole.len())
}

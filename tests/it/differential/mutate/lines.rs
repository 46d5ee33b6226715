//! Changes to whole lines and to blocks of lines.

use unsops::sops::Format;

use super::super::rng::Rng;
use super::{Mutation, lines_of, lossy, one_line};
use crate::harness::CANARY;

pub const ALL: &[Mutation] = &[
    ("delete a line", delete),
    ("repeat a line", repeat),
    ("swap two lines", swap),
    ("swap neighbours", swap_neighbours),
    ("move a line", shift),
    ("move a block", move_block),
    ("repeat a block", repeat_block),
    ("delete a block", delete_block),
    ("indent a line", indent),
    ("indent a block", indent_block),
    ("a blank line", blank),
    ("insert a comment", comment),
    ("change a comment", change_comment),
    ("drop a comment", drop_comment),
    ("a comment at the end of a line", trailing),
    ("blanks at the end of a line", trailing_blanks),
    ("join two lines", join),
    ("other line ends", line_ends),
];

type Lines = Vec<String>;

fn edit(rng: &mut Rng, text: &[u8], edit: impl FnOnce(&mut Rng, &mut Lines, usize) -> Option<()>) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    if lines.is_empty() {
        return None;
    }
    let at = rng.below(lines.len());
    edit(rng, &mut lines, at)?;
    Some(lines.concat().into_bytes())
}

fn delete(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |_, lines, at| {
        lines.remove(at);
        Some(())
    })
}

fn repeat(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        let to = if rng.chance(50) { at } else { rng.below(lines.len()) };
        lines.insert(to, lines[at].clone());
        Some(())
    })
}

fn swap(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        let other = rng.below(lines.len());
        lines.swap(at, other);
        Some(())
    })
}

fn swap_neighbours(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |_, lines, at| (at + 1 < lines.len()).then(|| lines.swap(at, at + 1)))
}

fn shift(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        let line = lines.remove(at);
        lines.insert(rng.below(lines.len() + 1), line);
        Some(())
    })
}

/// A line and the deeper ones below it; in INI a section.
fn block(lines: &Lines, at: usize) -> usize {
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    if lines[at].starts_with('[') {
        return (at + 1..lines.len()).find(|&next| lines[next].starts_with('[')).unwrap_or(lines.len());
    }
    let own = depth(&lines[at]);
    let is_inside = |line: &String| line.trim().is_empty() || depth(line) > own;
    (at + 1..lines.len()).find(|&next| !is_inside(&lines[next])).unwrap_or(lines.len())
}

fn move_block(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        let end = block(lines, at);
        let moved: Lines = lines.drain(at..end).collect();
        let to = rng.below(lines.len() + 1);
        lines.splice(to..to, moved);
        Some(())
    })
}

fn repeat_block(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |_, lines, at| {
        let end = block(lines, at);
        let copied = lines[at..end].to_vec();
        lines.splice(end..end, copied);
        Some(())
    })
}

fn delete_block(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |_, lines, at| {
        let end = block(lines, at);
        lines.drain(at..end);
        Some(())
    })
}

fn reindented(line: &str, change: &str) -> String {
    match change.strip_prefix('-') {
        Some(blanks) => line.strip_prefix(blanks).unwrap_or(line.trim_start_matches(' ')).to_owned(),
        None => format!("{change}{line}"),
    }
}

const INDENTS: &[&str] = &[" ", "  ", "    ", "\t", "- ", "- ", "- ", "- ", "-  ", "-    "];

fn indent(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| Some(reindented(line, rng.pick(INDENTS))))
}

fn indent_block(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        let (end, change) = (block(lines, at), rng.pick(&[" ", "  ", "- ", "-  ", "-    "]));
        let from = if rng.chance(50) { at } else { at + 1 };
        for line in lines.get_mut(from..end)? {
            *line = reindented(line, change);
        }
        Some(())
    })
}

fn blank(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, at| {
        lines.insert(at, rng.pick(&["\n", "\n\n", "  \n", "\t\n", "\r\n"]).to_owned());
        Some(())
    })
}

fn comment_text(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => CANARY.to_owned(),
        1 => rng.pick(&["", " ", "#", " a: b", "- x", "ENC[x]", " sops:enc", " sops:clear", "\t", "!", "é"]).to_owned(),
        _ => format!(" {CANARY} {}", rng.below(10)),
    }
}

fn comment(rng: &mut Rng, format: Format, text: &[u8]) -> Option<Vec<u8>> {
    let marker = if format == Format::Ini { rng.pick(&["; ", "# ", ";", "#"]) } else { "#" };
    edit(rng, text, |rng, lines, at| {
        // At the depth of the next line, of a neighbour, or of none.
        let like = rng.pick(&[at, at, at.saturating_sub(1), (at + 1).min(lines.len() - 1)]);
        let depth = lines[like].len() - lines[like].trim_start_matches(' ').len();
        let depth = if rng.chance(75) { depth } else { rng.below(9) };
        lines.insert(at, format!("{:depth$}{marker}{}\n", "", comment_text(rng)));
        Some(())
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

fn some_comment(rng: &mut Rng, lines: &Lines) -> Option<usize> {
    let comments: Vec<usize> = (0..lines.len()).filter(|&at| is_comment(&lines[at])).collect();
    (!comments.is_empty()).then(|| rng.pick(&comments))
}

fn change_comment(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, _| {
        let at = some_comment(rng, lines)?;
        let depth = lines[at].len() - lines[at].trim_start().len();
        let marker = lines[at].trim_start().chars().next()?;
        lines[at] = format!("{:depth$}{marker}{}\n", "", comment_text(rng));
        Some(())
    })
}

fn drop_comment(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    edit(rng, text, |rng, lines, _| {
        let at = some_comment(rng, lines)?;
        lines.remove(at);
        Some(())
    })
}

fn trailing(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let before = rng.pick(&[" #", "  # ", "#", "\t#", " ;"]);
        Some(format!("{}{before}{}\n", line.trim_end_matches('\n'), comment_text(rng)))
    })
}

fn trailing_blanks(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let blanks = rng.pick(&[" ", "   ", "\t", "\r", " \t ", "\u{a0}", "\\"]);
        Some(format!("{}{blanks}\n", line.trim_end_matches('\n')))
    })
}

fn join(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| Some(format!("{}{}", line.trim_end_matches('\n'), rng.pick(&["", " ", ", "]))))
}

fn line_ends(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let text = lossy(text);
    Some(
        match rng.below(4) {
            0 => text.replace('\n', "\r\n"),
            1 => text.replace('\n', "\r"),
            2 => text.trim_end_matches('\n').to_owned(),
            _ => format!("{text}{}", rng.pick(&["\n", "\n\n", " ", "\r\n", "\0", "x"])),
        }
        .into_bytes(),
    )
}

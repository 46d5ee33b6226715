//! Changes to a text, as an attacker, an editor or a careless merge makes them.

mod bytes;
mod lines;
mod stanza;
mod syntax;
mod tokens;
mod values;

use unsops::sops::Format;

use super::rng::Rng;

/// A change, and its name; `None` where the text has nothing to change in that way.
type Mutation = (&'static str, fn(&mut Rng, Format, &[u8]) -> Option<Vec<u8>>);

/// Changes a file that sops wrote: its values, its structure, its metadata.
pub fn file(rng: &mut Rng, format: Format, file: &[u8]) -> (String, Vec<u8>) {
    let groups = [tokens::ALL, stanza::ALL, values::ALL, lines::ALL, syntax::of(format), bytes::ALL];
    several(rng, format, file, &groups, &[0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5])
}

/// Changes a text that is not encrypted.
pub fn text(rng: &mut Rng, format: Format, text: &[u8]) -> (String, Vec<u8>) {
    let groups = [values::ALL, lines::ALL, syntax::of(format), bytes::ALL];
    several(rng, format, text, &groups, &[0, 0, 0, 1, 1, 2, 2, 2, 3])
}

/// One change, or a few. `weights` are indexes of the groups.
fn several(rng: &mut Rng, format: Format, text: &[u8], groups: &[&[Mutation]], weights: &[usize]) -> (String, Vec<u8>) {
    let count = rng.pick(&[1, 1, 1, 1, 1, 2, 2, 3]);
    let (mut names, mut changed) = (Vec::new(), text.to_vec());
    for _ in 0..20 {
        let group = groups[rng.pick(weights)];
        let (name, mutation) = rng.pick(group);
        if let Some(next) = mutation(rng, format, &changed).filter(|next| *next != changed) {
            names.push(name);
            changed = next;
        }
        if names.len() == count {
            break;
        }
    }
    (names.join(", "), changed)
}

/// The text, with what is not UTF-8 replaced.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines with their ends.
fn lines_of(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// Lets `edit` change one of the lines.
fn one_line(rng: &mut Rng, text: &[u8], edit: impl FnOnce(&mut Rng, &str) -> Option<String>) -> Option<Vec<u8>> {
    let text = lossy(text);
    let mut lines = lines_of(&text);
    if lines.is_empty() {
        return None;
    }
    let at = rng.below(lines.len());
    lines[at] = edit(rng, &lines[at])?;
    Some(lines.concat().into_bytes())
}

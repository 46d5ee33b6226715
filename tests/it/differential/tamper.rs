//! Changes to an encrypted file, and the judgement on what the real sops and we make of them.

use unsops::sops::Reading;

use super::rng::Rng;
use super::{class, side_by_side, upstream};

/// A random change of a file, and its name.
pub fn random(rng: &mut Rng, file: &[u8]) -> (&'static str, Vec<u8>) {
    let text = String::from_utf8_lossy(file).into_owned();
    let tokens = tokens(&text);
    match rng.below(12) {
        0 => ("flip a bit", flip(rng, file, 0, file.len())),
        1 | 2 if !tokens.is_empty() => {
            let (start, end) = rng.pick(&tokens);
            ("flip a bit of a token", flip(rng, file, start, end))
        }
        3 | 4 if tokens.len() > 1 => ("swap two tokens", swap(rng, &text, &tokens).into_bytes()),
        5 if !tokens.is_empty() => {
            let (start, end) = rng.pick(&tokens);
            let by = rng.pick(&["", "x", "null", "ENC[]", "12", "true"]);
            ("replace a token", [&text[..start], by, &text[end..]].concat().into_bytes())
        }
        6 => {
            let from = rng.pick(&["type:str", "type:int", "type:float", "type:bool", "type:comment", "type:time"]);
            let to = rng.pick(&[
                "type:str",
                "type:int",
                "type:float",
                "type:bool",
                "type:comment",
                "type:time",
                "type:bytes",
                "type:x",
            ]);
            ("another type", replace_one(rng, &text, from, to).into_bytes())
        }
        7 => {
            let names = [
                "lastmodified",
                "mac",
                "version",
                "unencrypted_suffix",
                "encrypted_regex",
                "mac_only_encrypted",
                "shamir_threshold",
                "enc",
                "recipient",
            ];
            let name = rng.pick(&names);
            ("edit the metadata", edit_field(rng, &text, name).into_bytes())
        }
        8 => (
            "delete a line",
            edit_lines(rng, &text, |_, lines, at| {
                lines.remove(at);
            })
            .into_bytes(),
        ),
        9 => ("repeat a line", edit_lines(rng, &text, |_, lines, at| lines.insert(at, lines[at])).into_bytes()),
        10 => {
            let swap = |rng: &mut Rng, lines: &mut Vec<&str>, at: usize| {
                let other = rng.below(lines.len());
                lines.swap(at, other);
            };
            ("swap two lines", edit_lines(rng, &text, swap).into_bytes())
        }
        _ => {
            let at = rng.below(file.len() + 1);
            let insert =
                rng.pick(&["x", " ", "\n", "#", "\"", ":", "]", "=", "0", "\r", "a: b\n", "---\n", "\u{feff}", "\0"]);
            ("insert text", [&file[..at], insert.as_bytes(), &file[at..]].concat())
        }
    }
}

/// Places of the `ENC[...]` tokens.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let starts = text.match_indices("ENC[AES256_GCM,").map(|(at, _)| at);
    starts.filter_map(|at| text[at..].find(']').map(|length| (at, at + length + 1))).collect()
}

fn flip(rng: &mut Rng, file: &[u8], start: usize, end: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    if start < end {
        file[start + rng.below(end - start)] ^= 1 << rng.below(8);
    }
    file
}

fn swap(rng: &mut Rng, text: &str, tokens: &[(usize, usize)]) -> String {
    let (a, b) = (rng.below(tokens.len()), rng.below(tokens.len()));
    let ((a0, a1), (b0, b1)) = (tokens[a.min(b)], tokens[a.max(b)]);
    if a == b {
        text.to_owned()
    } else {
        [&text[..a0], &text[b0..b1], &text[a1..b0], &text[a0..a1], &text[b1..]].concat()
    }
}

fn replace_one(rng: &mut Rng, text: &str, from: &str, to: &str) -> String {
    let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let at = rng.pick(&places);
    [&text[..at], to, &text[at + from.len()..]].concat()
}

/// Changes the last line that names a field of the stanza.
fn edit_field(rng: &mut Rng, text: &str, name: &str) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let Some(at) = lines.iter().rposition(|line| line.contains(name)) else { return text.to_owned() };
    let line = &lines[at];
    lines[at] = match rng.below(5) {
        0 => String::new(),
        1 => line.replacen(name, "other", 1),
        2 => {
            let Some(digit) = line.rfind(|c: char| c.is_ascii_digit()) else { return text.to_owned() };
            let other = rng.pick(&["0", "1", "2", "9"]);
            [&line[..digit], other, &line[digit + 1..]].concat()
        }
        3 => line.replace('Z', rng.pick(&["", "+00:00", "z", "+01:00", ".5Z"])),
        _ => line.replace("true", "false").replace("_unencrypted", "_x"),
    };
    lines.concat()
}

fn edit_lines(rng: &mut Rng, text: &str, edit: impl FnOnce(&mut Rng, &mut Vec<&str>, usize)) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if !lines.is_empty() {
        let at = rng.below(lines.len());
        edit(rng, &mut lines, at);
    }
    lines.concat()
}

/// The lines that differ, with the place of the first difference.
pub fn changed_lines(before: &[u8], after: &[u8]) -> String {
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let same_end = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let same_end = same_end.min(before.len().min(after.len()) - start);
    let around = |bytes: &[u8]| {
        let from = start.saturating_sub(60);
        let to = (bytes.len() - same_end + 60).min(bytes.len());
        format!("{:?}", String::from_utf8_lossy(&bytes[from..to]))
    };
    format!("at byte {start}: {} became {}", around(before), around(after))
}

/// Where we are stricter than sops 3.13.3 on purpose (our message, why).
const STRICTER: &[(&str, &str)] = &[
    ("is written twice", "a field of the stanza written twice"),
    ("bytes of base64", "base64 with stray bits or line breaks"),
    ("token is not base64", "base64 with stray bits or line breaks"),
    ("the MAC does not decrypt", "base64 with stray bits, or text around the token"),
    ("not in the form ENC[", "text around a token"),
    ("not UTF-8", "names and metadata that are not UTF-8"),
    ("key: ", "an age file with bytes that Go's armor reader skips"),
    ("stands in the place of", "a comment and a value that changed places"),
    ("shamir_threshold is neither", "a threshold that no release writes"),
    ("the list index is not a number", "a list index that Go takes for 0"),
];

/// Where we read what sops 3.13.3 refuses, on purpose (its message, why). None of these is an integrity failure.
const LOOSER: &[(&str, &str)] = &[
    ("hash of unhashable type []uint8", "type:bytes, on which sops panics"),
    ("successful groups required", "an age file with blanks at the end of a line"),
    ("already defined at line", "a nested key written twice, as up to sops 3.12"),
];

/// Says how a tampered file was met, or what is wrong about it.
pub fn judge(ours: &Result<(Vec<u8>, Reading), String>, theirs: &Result<Vec<u8>, String>) -> Result<String, String> {
    match (ours, theirs) {
        (Err(_), Err(_)) => Ok("refused".to_owned()),
        (Ok((ours, _)), Ok(theirs)) if ours == theirs => Ok("harmless".to_owned()),
        (Ok((ours, _)), Ok(theirs)) if upstream::is_misprint(ours, theirs) => {
            Ok("printed wrongly by sops, rightly here".to_owned())
        }
        (Ok((ours, _)), Ok(theirs)) if without_comments(ours) == without_comments(theirs) => {
            Ok("comments differ, which no MAC covers".to_owned())
        }
        (Ok((ours, _)), Ok(theirs)) => Err(format!("other bytes\n{}", side_by_side(ours, theirs))),
        (Err(ours), Ok(_)) => match STRICTER.iter().find(|(message, _)| ours.contains(message)) {
            Some((_, why)) => Ok(format!("refused only here: {why}")),
            None => Err(format!("only we refuse: {ours}")),
        },
        (Ok((_, reading)), Err(_)) if *reading != Reading::Current => {
            Ok("read as an older release meant it".to_owned())
        }
        (Ok(_), Err(theirs)) => match LOOSER.iter().find(|(message, _)| theirs.contains(message)) {
            Some((_, why)) => Ok(format!("read only here: {why}")),
            None => Err(format!("only sops refuses: {} ({theirs})", class(theirs))),
        },
    }
}

/// Lines that hold no comment.
fn without_comments(text: &[u8]) -> Vec<u8> {
    let is_comment =
        |line: &&[u8]| line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";");
    text.split_inclusive(|&byte| byte == b'\n').filter(|line| !is_comment(line)).flatten().copied().collect()
}

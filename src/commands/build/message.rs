//! What kustomize says when it fails, without what it may not say.
//!
//! Some of its errors print whole Secrets (`protocols.md` 1.9). Only the first line is shown, cut where a resource or a
//! value begins, and everything in it that also stands in a value that this build decrypted is masked. This process knows
//! all of those, since it gave them out.

use std::collections::HashMap;
use std::path::Path;

use super::service::Answered;
use crate::commands::encrypted::{decode, field, text};
use crate::limits;
use crate::text::Printable;
use crate::yaml::{self, Kind, Node};

/// Where a resource or a value begins in kustomize's errors; what stands before is shown.
const CUTS: [&str; 18] = [
    "{",
    "map[",
    "[]interface",
    "apiVersion:",
    "data:",
    "stringData:",
    "for value",
    "node contents",
    "found multiple objects",
    "produces ID conflict",
    "found multiple possible referrals",
    "nodes unequal",
    "for the following resource",
    "is missing in '",
    "-----BEGIN",
    "!!binary",
    "ENC[",
    "cannot unmarshal !!",
];

/// Bytes that a message and a secret have to have in common for being masked.
const GRAM: usize = 6;

/// The shortest secret that is looked for as a whole.
const SHORTEST: usize = 3;

/// The message, fit to be shown; `None` where nothing is left of it. `paths` are shortened to what stands beside them.
pub(super) fn scrub(stderr: &[u8], answered: &[Answered], paths: &[(&Path, &str)]) -> Option<Printable> {
    let all = String::from_utf8_lossy(stderr);
    let line = all
        .lines()
        .find_map(|line| line.strip_prefix("Error: "))
        .or_else(|| all.lines().rev().find(|line| !line.is_empty() && !line.starts_with("# Warning")))?;
    let end = CUTS.iter().filter_map(|cut| line.find(cut)).min().unwrap_or(line.len());
    let mut message = line.get(..end).unwrap_or_default().to_owned();
    for (path, name) in paths {
        if let Some(path) = path.to_str() {
            message = message.replace(path, name);
        }
    }
    let message = mask(&message, answered);
    let message = message.trim_end_matches([' ', ':', '\'', '"', '[', '(']);
    (!message.is_empty()).then(|| Printable::reason(&ending(message)))
}

/// The end of a message that is too long: kustomize puts the cause last, after every base on the way to it.
fn ending(message: &str) -> String {
    let length = message.chars().count();
    match length.checked_sub(limits::REASON_CHARS / 2) {
        Some(skipped) if length > limits::REASON_CHARS => {
            message.chars().skip(skipped).fold("…".into(), |mut end: String, c| {
                end.push(c);
                end
            })
        }
        _ => message.to_owned(),
    }
}

fn mask(message: &str, answered: &[Answered]) -> String {
    let mut mask = Mask::new(message);
    for Answered { answer, .. } in answered {
        match yaml::parse(answer.expose()) {
            Ok(documents) => documents.iter().for_each(|document| mask.object(&document.root)),
            Err(_) => mask.cover_all(),
        }
    }
    mask.finish(message)
}

/// Which bytes of a message are masked.
struct Mask<'m> {
    message: &'m [u8],
    grams: HashMap<&'m [u8], Vec<usize>>,
    is_masked: Vec<bool>,
}

impl<'m> Mask<'m> {
    fn new(message: &'m str) -> Self {
        let message = message.as_bytes();
        let mut grams = HashMap::<_, Vec<_>>::new();
        for (at, gram) in message.windows(GRAM).enumerate() {
            grams.entry(gram).or_default().push(at);
        }
        Self { message, grams, is_masked: vec![false; message.len()] }
    }

    /// Masks what stands in an object; of Secrets, in their data.
    fn object(&mut self, object: &Node) {
        let is_secret = field(object, "kind").and_then(text) == Some("Secret");
        let Kind::Mapping(entries, _) = &object.kind else { return };
        for (key, value) in entries {
            match text(key).unwrap_or_default() {
                "apiVersion" | "kind" | "type" => {}
                "metadata" if is_secret => {}
                "data" | "binaryData" => self.node(value, true),
                _ => self.node(value, false),
            }
        }
    }

    fn node(&mut self, node: &Node, is_base64: bool) {
        match &node.kind {
            Kind::Scalar(text, _) => {
                self.secret(text.as_bytes());
                if let Some(bytes) = decode(text).filter(|_| is_base64) {
                    self.secret(&bytes);
                }
            }
            Kind::Sequence(items, _) => items.iter().for_each(|item| self.node(item, is_base64)),
            Kind::Mapping(entries, _) => entries.iter().for_each(|(_, value)| self.node(value, is_base64)),
        }
    }

    fn secret(&mut self, secret: &[u8]) {
        if secret.len() < GRAM {
            let found = (secret.len() >= SHORTEST)
                .then(|| self.message.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret));
            let places: Vec<usize> = found.into_iter().flatten().map(|(at, _)| at).collect();
            places.into_iter().for_each(|at| self.cover(at, secret.len()));
            return;
        }
        for gram in secret.windows(GRAM) {
            // Taken out: once covered, it needs no second look.
            for at in self.grams.remove(gram).unwrap_or_default() {
                self.cover(at, GRAM);
            }
        }
    }

    fn cover(&mut self, at: usize, length: usize) {
        self.is_masked.iter_mut().skip(at).take(length).for_each(|is_masked| *is_masked = true);
    }

    fn cover_all(&mut self) {
        self.is_masked.fill(true);
    }

    fn finish(self, message: &str) -> String {
        let mut out = String::with_capacity(message.len());
        let mut is_in_mask = false;
        for (at, c) in message.char_indices() {
            let length = c.len_utf8();
            let is_masked = self.is_masked.iter().skip(at).take(length).any(|is_masked| *is_masked);
            if !is_masked {
                out.push(c);
            } else if !is_in_mask {
                out.push('…');
            }
            is_in_mask = is_masked;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::secret::SecretBytes;

    const ANSWER: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: some-name}\nstringData: {k: hunter2-secret, pin: '4711'}\ndata: {b: c3Ryb25nLXNlY3JldA==}\n";

    fn scrubbed(stderr: &str) -> String {
        let answered = Answered {
            dir: PathBuf::new(),
            api_version: String::new(),
            kind: String::new(),
            answer: SecretBytes::from(ANSWER),
        };
        let paths = [(Path::new("/tmp/private/tree"), "")];
        scrub(stderr.as_bytes(), &[answered], &paths).map(|message| message.to_string()).unwrap_or_default()
    }

    #[test]
    fn keeps_what_helps() {
        assert_eq!(
            scrubbed(
                "# Warning: 'x' is deprecated\nError: accumulating: open /tmp/private/tree/app/no.yaml: no such file\n"
            ),
            "accumulating: open /app/no.yaml: no such file"
        );
        assert_eq!(scrubbed("no error word\n"), "no error word");
        assert_eq!(
            scrubbed("Error: id some-name exists; behavior must be merge or replace\n"),
            "id some-name exists; behavior must be merge or replace"
        );
    }

    #[test]
    fn keeps_the_end_of_what_is_long() {
        let message = scrubbed(&format!("Error: {}the cause", "accumulating resources from x: ".repeat(100)));
        assert!(
            message.starts_with('…') && message.ends_with("the cause") && message.chars().count() < 600,
            "{message}"
        );
    }

    /// Heads of kustomize's errors that go on with whole resources or values.
    #[test]
    fn cuts_resources_and_values() {
        for (stderr, left) in [
            ("Error: found multiple objects [{\"apiVersion\":\"v1\",\"data\":{\"a\":\"b\"}}]", ""),
            ("Error: namespace transformation produces ID conflict: [{\"x\": 1}]", "namespace transformation"),
            ("Error: found multiple possible referrals\nkind: Secret\nstringData: ...", ""),
            ("Error: options.index 3 is out of bounds for value LEAKME", "options.index 3 is out of bounds"),
            ("Error: map[string]interface {}{\"kind\":\"Secret\"}: json: unsupported type", ""),
            ("Error: received error x for the following resource:\napiVersion: v1\n", "received error x"),
            (
                "Error: wrong node kind: expected MappingNode but got ScalarNode: node contents:\nLEAKME",
                "wrong node kind: expected MappingNode but got ScalarNode",
            ),
        ] {
            assert_eq!(scrubbed(stderr), left, "{stderr}");
        }
    }

    #[test]
    fn masks_what_this_build_has_decrypted() {
        assert_eq!(scrubbed("Error: cannot parse hunter2-secret as a number"), "cannot parse … as a number");
        assert_eq!(scrubbed("Error: cannot parse hunter2-sec"), "cannot parse …");
        assert_eq!(scrubbed("Error: bad pin 4711!"), "bad pin …!");
        assert_eq!(scrubbed("Error: bad c3Ryb25nLXNlY3JldA== or strong-secret"), "bad … or …");
    }
}

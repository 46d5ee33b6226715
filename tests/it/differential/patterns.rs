//! Random patterns of `encrypted_regex` and its kin over random keys: the file shows which keys Go's `regexp` matched.

use unsops::sops::Format;

use super::rng::Rng;
use super::{Plain, Report, each_encrypted, recipients, with_pair};
use crate::oracle::Options;

const ATOMS: &[&str] = &[
    "a",
    "b",
    "k",
    "K",
    "s",
    "1",
    "_",
    ".",
    "data",
    "DATA",
    "é",
    "É",
    "ſ",
    "\u{212a}",
    "ж",
    "日",
    " ",
    "-",
    "\\.",
    "\\-",
    "\\_",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "^",
    "$",
    "\\A",
    "\\z",
    "\\Z",
    "\\x41",
    "\\x{e9}",
    "\\x{110000}",
    "\\n",
    "\\t",
    "\\a",
    "\\v",
    "\\0",
    "\\101",
    "\\8",
    "\\Qa.b\\E",
    "\\Q",
    "\\E",
    "\\pL",
    "\\p{Greek}",
    "\\PN",
    "[a-k]",
    "[^a]",
    "[^]a]",
    "[]a]",
    "[a&&b]",
    "[a-]",
    "[-a]",
    "[a[b]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "[[:word:]_]",
    "[\\d_]",
    "[^\\W]",
    "[\\x41-\\x5a]",
    "[z-a]",
    "[é-ж]",
    "[[:nope:]]",
    "[a~~b]",
    "[a--b]",
    "(?i)",
    "(?s)",
    "(?m)",
    "(?U)",
    "(?-i)",
    "(?is)",
    "(?x)",
    "()",
    "(",
    ")",
    "(?:",
    "(?i:",
    "(?P<n>",
    "(?<n>",
    "(?P=n)",
    "(?=",
    "(?!",
    "(?#x)",
    "|",
    "*",
    "+",
    "?",
    "*?",
    "+?",
    "??",
    "{2}",
    "{1,3}",
    "{,2}",
    "{2,}",
    "{0}",
    "{1001}",
    "{a}",
    "{",
    "}",
    "]",
    "\\",
    "\\C",
    "\\R",
    "\\h",
    "\\u0041",
    "\\cA",
    "\\G",
    "\\<",
    "/",
    "#",
    "&&",
];

fn pattern(rng: &mut Rng, depth: usize) -> String {
    let mut pattern = String::new();
    for _ in 0..1 + rng.below(4) {
        match rng.below(10) {
            0 if depth < 3 => {
                let open = rng.pick(&["(", "(?:", "(?i:", "(?P<x>", "(?s-i:"]);
                pattern.push_str(&format!("{open}{})", self::pattern(rng, depth + 1)));
            }
            1 => pattern.push_str(&format!("{}|{}", rng.pick(ATOMS), rng.pick(ATOMS))),
            2 => {
                pattern.push_str(&format!("{}{}", rng.pick(ATOMS), rng.pick(&["*", "+", "?", "{2}", "{1,2}", "{0,}"])))
            }
            3 => pattern.push_str(&format!("[{}{}{}]", rng.pick(&["", "^"]), rng.pick(CLASS), rng.pick(CLASS))),
            _ => pattern.push_str(rng.pick(ATOMS)),
        }
    }
    pattern
}

/// What stands in brackets.
const CLASS: &[&str] = &[
    "a",
    "b-d",
    "K",
    "é",
    "\\w",
    "\\D",
    "\\s",
    "[:upper:]",
    "[:^space:]",
    "_",
    "-",
    "^",
    "]",
    "[",
    "\\]",
    "\\\\",
    "\\x{430}-\\x{44f}",
    "&",
    "&&",
    "~",
    "0-9",
    "\\pL",
    "\\b",
    "\\Q",
    ".",
    " ",
    "k",
    "S",
];

fn key(rng: &mut Rng) -> String {
    const PARTS: &[&str] = &[
        "a", "b", "k", "K", "S", "s", "ſ", "\u{212a}", "1", "7", "_", ".", "-", " ", "data", "Data", "é", "É", "ж",
        "Ж", "日", "😀", "\t", "\n", "\u{b}", "]", "[", "^", "$", "\\", "&", "a.b", "\u{a0}", "\u{85}", "\u{2028}",
    ];
    (0..rng.below(5)).map(|_| rng.pick(PARTS)).collect()
}

#[test]
fn patterns_match_the_keys_that_go_matches() {
    with_pair(|pair| {
        let recipients = recipients();
        let mut report = Report::new("patterns", 3000);
        let make = |case, mut rng: Rng| {
            let pattern = pattern(&mut rng, 0);
            let mut options = Options { groups: vec![vec![recipients[0].clone()]], ..Options::default() };
            if rng.chance(50) {
                options.encrypted_regex = pattern
            } else {
                options.unencrypted_regex = pattern
            }
            let entries: Vec<String> = (0..20)
                .map(|_| format!("{}: \"v\"", serde_json::to_string(&key(&mut rng)).expect("a string")))
                .collect();
            let text = format!("{{{}}}", entries.join(",\n")).into_bytes();
            Plain { case, rng, format: Format::Json, text, options }
        };
        each_encrypted(pair, &mut report, make, |pair, report, plain, encrypted| {
            let verdict = pair.judge_file(plain.format, &encrypted.file, &encrypted.decrypted);
            report.add_plain(pair, &plain, verdict);
        });
        report.finish(200);
    });
}

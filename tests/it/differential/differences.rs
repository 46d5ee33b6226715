//! Where we differ from sops 3.13.3 on purpose: the rows of `tests/differences.md`, each with what recognises it.
//!
//! A row is recognised by what both programs say and by what stands in the text; or, where we are stricter, by a repair:
//! the text without what we refuse gives us exactly what sops made of the original.

use unsops::sops::{Format, Reading};

use super::pair::{Case, Pair};
use super::upstream;

/// A row of the table.
pub struct Difference {
    pub name: &'static str,
    is_it: fn(&mut Pair<'_>, &Case<'_>) -> bool,
}

/// A row that shows where the text is mended: read by the stricter side, it then gives what the other made of the original.
pub struct Repair {
    pub name: &'static str,
    stricter: Side,
    mend: fn(Format, &str) -> String,
}

#[derive(Clone, Copy)]
enum Side {
    Ours,
    Theirs,
}

/// Rows that are seen without a repair.
pub const ROWS: &[Difference] = &[
    // Other bytes.
    Difference { name: "misprint", is_it: misprint },
    // Only sops refuses.
    Difference {
        name: "older-reading",
        is_it: |_, case| {
            let reading = case.ours.as_ref().is_ok_and(|(_, reading)| *reading != Reading::Current);
            reading && looser(case, "Failed to verify data integrity").is_some()
        },
    },
    Difference {
        name: "ini-empty-comment",
        is_it: |_, case| {
            let ours = looser(case, "panic: runtime error: index out of range [0] with length 0");
            case.format == Format::Ini && ours.is_some_and(|ours| ours.lines().any(|line| line == "; "))
        },
    },
    Difference {
        name: "misprint-tab",
        is_it: |_, case| {
            let ours = looser(case, "Error marshaling to YAML: yaml: cannot encode node with unknown kind 0");
            ours.is_some_and(|ours| ours.lines().any(|line| line.contains("\"\\t") && line.contains("\\n")))
        },
    },
    Difference {
        name: "merge-of-no-mapping",
        is_it: |_, case| {
            looser(case, "yaml: map merge requires map or sequence of maps as the value").is_some()
                && text(case).contains("<<")
        },
    },
    Difference { name: "nested-key-twice", is_it: nested_key_twice },
    Difference {
        name: "unquoted-time",
        is_it: |_, case| {
            let refusal = case.theirs.as_ref().err().map(String::as_str).unwrap_or_default();
            case.format == Format::Yaml
                && looser(case, "expected type 'string', got unconvertible type 'time.Time'").is_some()
                && (refusal.contains("created_at'") || refusal.contains("lastmodified'"))
        },
    },
    Difference {
        name: "threshold-with-fraction",
        is_it: |_, case| {
            let text = text(case);
            let number = text
                .split("shamir_threshold")
                .nth(1)
                .unwrap_or_default()
                .trim_start_matches([' ', ':', '=', '"', '\'']);
            let fraction = number.trim_start_matches(|c: char| c.is_ascii_digit());
            looser(case, "'shamir_threshold' cannot parse value as 'int'").is_some() && fraction.starts_with(".0")
        },
    },
    Difference {
        name: "share-twice",
        is_it: |_, case| {
            let words = "could not get data key from shamir parts: duplicate part detected";
            looser(case, words).is_some() && text(case).contains("shamir_threshold")
        },
    },
    Difference {
        name: "byte-order-mark-within",
        is_it: |pair, case| {
            // Any other character of three bytes in its place, and sops reads the text.
            let other = text(case).replace('\u{feff}', "\u{3042}");
            looser(case, "yaml: line ").is_some()
                && other.as_bytes() != case.text
                && pair.oracle.print(Format::Yaml, other.as_bytes()).is_ok()
                && pair.oracle.print(Format::Yaml, case.text).is_err()
        },
    },
    Difference {
        name: "ignored-key-groups",
        is_it: |_, case| {
            let refusal = case.theirs.as_ref().err().map(String::as_str).unwrap_or_default();
            let mut complaints = refusal.lines().skip(1).filter(|line| !line.is_empty());
            looser(case, "decoding failed").is_some() && complaints.all(|line| line.starts_with("'key_groups"))
        },
    },
    Difference {
        name: "type-bytes",
        is_it: |_, case| {
            looser(case, "panic: runtime error: hash of unhashable type []uint8").is_some()
                && text(case).contains(",type:bytes]")
        },
    },
    Difference {
        name: "no-document",
        is_it: |_, case| {
            !case.is_file
                && case.format == Format::Yaml
                && case.theirs.as_ref().is_err_and(|error| error == "refused: EOF")
                && case.ours.as_ref().is_ok_and(|(ours, _)| ours.is_empty())
        },
    },
    // Only we refuse.
    Difference {
        name: "not-utf8",
        is_it: |_, case| {
            let is_in_text = match case.format {
                Format::Ini | Format::Dotenv => std::str::from_utf8(case.text).is_err(),
                Format::Yaml => ["!!binary", "%"].iter().any(|sign| text(case).contains(sign)),
                Format::Json | Format::Binary => false,
            };
            is_in_text && stricter(case, "not UTF-8")
        },
    },
    Difference {
        name: "tag-directives",
        is_it: |_, case| {
            let directives = text(case).lines().filter(|line| line.starts_with("%TAG")).count();
            stricter(case, "too many %TAG directives") && directives > 16
        },
    },
    Difference {
        name: "byte-order-mark-twice",
        is_it: |_, case| {
            stricter(case, "the byte order mark stands twice") && text(case).starts_with("\u{feff}\u{feff}")
        },
    },
    Difference {
        name: "json-cut-off",
        is_it: |_, case| {
            let is_json = matches!(case.format, Format::Json | Format::Binary);
            is_json && stricter(case, "the JSON text is cut off") && ends_inside(case.text)
        },
    },
    Difference {
        name: "stanza-field-twice",
        is_it: |_, case| {
            stricter(case, "is written twice")
                && message(case).is_some_and(|message| {
                    let field = message
                        .split(" is written twice")
                        .next()
                        .unwrap_or_default()
                        .rsplit('.')
                        .next()
                        .unwrap_or_default();
                    unescaped(&text(case)).to_ascii_lowercase().matches(&field.to_ascii_lowercase()).count() >= 2
                })
        },
    },
    Difference { name: "token-form", is_it: token_form },
    Difference {
        name: "comment-for-value",
        is_it: |_, case| stricter(case, "stands in the place of") && text(case).contains("ENC[AES256_GCM,data:"),
    },
    Difference {
        name: "threshold",
        is_it: |_, case| {
            ["is neither", "is not a whole number"]
                .iter()
                .any(|words| stricter(case, &format!("shamir_threshold {words}")))
                && text(case).contains("shamir_threshold")
        },
    },
    Difference {
        name: "pattern",
        is_it: |_, case| {
            const WORDS: [&str; 4] = [r"uses \p", "uses (?i) on letters", "nested too deeply", "too large to compile"];
            WORDS.iter().any(|words| stricter(case, words))
                && message(case).is_some_and(|message| message.contains("_regex "))
        },
    },
    Difference {
        name: "empty-key",
        is_it: |_, case| {
            let is_stanza = message(case).is_some_and(|message| message.starts_with("sops."));
            is_stanza && stricter(case, "has an entry that is not a mapping")
        },
    },
    Difference {
        name: "stanza-integer",
        is_it: |_, case| {
            let is_stanza = message(case).is_some_and(|message| message.starts_with("value sops."));
            case.format == Format::Yaml && is_stanza && stricter(case, "an integer above 9223372036854775807")
        },
    },
    Difference {
        name: "later-stanza",
        is_it: |_, case| {
            // Only the first document's counts; in later ones sops does not look at it.
            let is_stanza = message(case).is_some_and(|message| message.starts_with("value sops"));
            is_stanza && stricter(case, "a YAML key that is not a string") && text(case).contains("\n---")
        },
    },
    Difference {
        name: "list-index",
        is_it: |_, case| {
            let is_flat = matches!(case.format, Format::Ini | Format::Dotenv);
            is_flat && stricter(case, "the list index is not a number")
        },
    },
];

/// Rows that a repair shows, in the order in which they are mended.
pub const REPAIRS: &[Repair] = &[
    Repair { name: "threshold-lowered", stricter: Side::Ours, mend: with_all_groups_needed },
    Repair { name: "armor-returns", stricter: Side::Ours, mend: without_armor_returns },
    Repair { name: "armor-blanks", stricter: Side::Theirs, mend: without_armor_blanks },
];

/// The name of the row that a disagreement falls under.
pub fn recognise(pair: &mut Pair<'_>, case: &Case<'_>) -> Option<&'static str> {
    if let Some(row) = ROWS.iter().find(|row| (row.is_it)(pair, case)) {
        return Some(row.name);
    }
    if !case.is_file {
        return None;
    }
    for repair in REPAIRS {
        if is_mended(pair, case, repair, (repair.mend)(case.format, &text(case))) {
            return Some(repair.name);
        }
    }
    // A text may need several; it falls under the first.
    let (mut mended, mut name) = (text(case), None);
    for repair in REPAIRS {
        let next = (repair.mend)(case.format, &mended);
        if next != mended {
            name = name.or(Some(repair.name));
            mended = next;
            if is_mended(pair, case, repair, mended.clone()) {
                return name;
            }
        }
    }
    None
}

/// Whether the stricter side makes of the mended text what the other made of the original.
fn is_mended(pair: &mut Pair<'_>, case: &Case<'_>, repair: &Repair, mended: String) -> bool {
    if mended.as_bytes() == case.text {
        return false;
    }
    let now = pair.oracle.decrypt(case.format, mended.as_bytes());
    let ours_now = pair.decrypt(case.format, mended.as_bytes());
    // What does not decrypt is printed as it stands, and so the mended text of a comment.
    let alike = |one: &[u8], other: &[u8]| {
        one == other || (repair.mend)(case.format, &lossy(one)) == (repair.mend)(case.format, &lossy(other))
    };
    let (ours_now, now) = match (ours_now, now) {
        (Ok((ours_now, _)), Ok(now)) => (ours_now, now),
        // The mended text may differ in its tokens, too.
        (ours @ Err(_), theirs) if matches!(repair.stricter, Side::Ours) => {
            let is_kept = matches!((&theirs, case.theirs), (Ok(now), Ok(before)) if alike(now, before));
            return is_kept && token_form(pair, &Case { text: mended.as_bytes(), ours, theirs: &theirs, ..*case });
        }
        _ => return false,
    };
    let is_kept = match (repair.stricter, &case.ours, case.theirs) {
        (Side::Ours, _, Ok(theirs)) => alike(&now, theirs),
        (Side::Theirs, Ok((ours, _)), _) => alike(&ours_now, ours),
        _ => false,
    };
    is_kept && (ours_now == now || is_misprint(pair, case.format, mended.as_bytes(), true, &ours_now, &now))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// With the characters that `\u` and four hexadecimal digits stand for.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split("\\u");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match code {
            Some(character) => {
                out.push(character);
                out.push_str(&piece[4..]);
            }
            None => {
                out.push_str("\\u");
                out.push_str(piece);
            }
        }
    }
    out
}

fn text(case: &Case<'_>) -> String {
    lossy(case.text)
}

/// Our message.
fn message<'a>(case: &'a Case<'_>) -> Option<&'a str> {
    case.ours.as_ref().err().map(|refusal| refusal.message.as_str())
}

/// Whether only we refuse, and say so.
fn stricter(case: &Case<'_>, words: &str) -> bool {
    case.theirs.is_ok() && message(case).is_some_and(|message| message.contains(words))
}

/// What we print where only sops refuses, and says so.
fn looser(case: &Case<'_>, words: &str) -> Option<String> {
    let (Ok((ours, _)), Err(theirs)) = (&case.ours, case.theirs) else { return None };
    theirs.contains(words).then(|| String::from_utf8_lossy(ours).into_owned())
}

/// What sops prints does not say what the file holds, and ours does.
fn misprint(pair: &mut Pair<'_>, case: &Case<'_>) -> bool {
    let (Ok((ours, _)), Ok(theirs)) = (&case.ours, case.theirs) else { return false };
    is_misprint(pair, case.format, case.text, case.is_file, ours, theirs)
}

fn is_misprint(pair: &mut Pair<'_>, format: Format, text: &[u8], is_file: bool, ours: &[u8], theirs: &[u8]) -> bool {
    let mut is_true = |printed: &[u8]| {
        if is_file { pair.oracle.is_true_to(format, text, printed) } else { pair.oracle.is_same(format, text, printed) }
    };
    upstream::is_misprint(ours, theirs) || is_true(ours) && !is_true(theirs)
}

/// Written again by sops, without what its reader of tokens ignores, the file holds the same for sops and for us; or we
/// differ there as another row says, about the same answer of sops. What we say about the original is about a token; or it
/// is a comment that we do not take for one.
fn token_form(pair: &mut Pair<'_>, case: &Case<'_>) -> bool {
    const WORDS: [&str; 5] =
        ["ENC[", "the MAC does not decrypt", "unknown type of encrypted value", "not encrypted", "no data"];
    let is_about_tokens = match message(case) {
        Some(message) => WORDS.iter().any(|words| message.contains(words)),
        None => text(case).contains("ENC["),
    };
    if !case.is_file || !is_about_tokens {
        return false;
    }
    let Ok(written) = pair.oracle.canonical(case.format, case.text) else { return false };
    if written == case.text || !pair.oracle.holds_same(case.format, case.text, &written) {
        return false;
    }
    let theirs = pair.oracle.decrypt(case.format, &written);
    let ours = pair.decrypt(case.format, &written);
    if theirs.as_ref().err() != case.theirs.as_ref().err() {
        return false;
    }
    if let (Ok((ours, _)), Ok(theirs)) = (&ours, &theirs) {
        return ours == theirs || is_misprint(pair, case.format, &written, true, ours, theirs);
    }
    let case = Case { text: &written, ours, theirs: &theirs, ..*case };
    case.ours.is_ok() != case.theirs.is_ok()
        && ROWS.iter().any(|row| row.name != "token-form" && (row.is_it)(pair, &case))
}

/// Every complaint of yaml.v3 is about a key below the top of the first document, and the text has it twice.
fn nested_key_twice(_: &mut Pair<'_>, case: &Case<'_>) -> bool {
    if case.format != Format::Yaml || looser(case, "already defined at line").is_none() {
        return false;
    }
    let refusal = case.theirs.as_ref().err().map(String::as_str).unwrap_or_default();
    let complaints: Vec<&str> = refusal.lines().skip(1).collect();
    !complaints.is_empty()
        && complaints.iter().all(|line| line.contains("mapping key ") && line.contains(" already defined at line "))
}

/// Whether JSON ends before what it opened.
fn ends_inside(json: &[u8]) -> bool {
    let (mut depth, mut is_string, mut is_escaped) = (0_i64, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => depth += 1,
            b'}' | b']' if !is_string => depth -= 1,
            _ => {}
        }
    }
    depth > 0
}

/// With the threshold of a file whose three groups are all needed.
fn with_all_groups_needed(_: Format, text: &str) -> String {
    const FIELD: &str = "shamir_threshold";
    let Some(at) = text.find(FIELD) else { return text.to_owned() };
    let (before, rest) = text.split_at(at + FIELD.len());
    let start = rest.len() - rest.trim_start_matches([' ', '=', ':', '"', '\'']).len();
    let number = &rest[start..];
    let end = number.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+._".contains(c)).len();
    format!("{before}{}3{}", &rest[..start], &number[number.len() - end..])
}

/// With armored age files without carriage returns, raw or escaped.
fn without_armor_returns(_: Format, text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split("-----").enumerate() {
        out.push_str(if index > 0 { "-----" } else { "" });
        // BEGIN, body, END: a body stands behind every second mark of two.
        let is_armor = index % 4 != 0;
        out.push_str(&if is_armor { piece.replace(['\r'], "").replace("\\r", "") } else { piece.to_owned() });
    }
    out
}

/// With lines of an armored age file as age writes them: no blanks around them.
fn without_armor_blanks(format: Format, text: &str) -> String {
    const ENDS: (&str, &str) = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----");
    let separator = if format == Format::Yaml { "\n" } else { "\\n" };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(ENDS.0) {
        let (before, armor) = rest.split_at(at);
        // A block scalar of YAML keeps its indentation.
        let indent: String = match format {
            Format::Yaml => before.chars().rev().take_while(|c| *c == ' ').collect(),
            _ => String::new(),
        };
        out.push_str(if format == Format::Yaml {
            before
        } else {
            before.trim_end_matches(|c: char| c.is_whitespace() && c != '\n')
        });
        let end = armor.find(ENDS.1).map_or(armor.len(), |at| at + ENDS.1.len());
        let body = match format {
            Format::Yaml => armor[..end].replace("\r\n", "\n").replace(['\r', '\u{85}'], "\n"),
            _ => armor[..end].to_owned(),
        };
        let lines: Vec<&str> = body.split(separator).map(str::trim).collect();
        out.push_str(&lines.join(&format!("{separator}{indent}")));
        let is_break = |c| c == '\n' || format == Format::Yaml && matches!(c, '\r' | '\u{85}');
        rest = armor[end..].trim_start_matches(|c: char| c.is_whitespace() && !is_break(c));
    }
    out + rest
}

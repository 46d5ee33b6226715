//! Changes that only one format has.

use unsops::sops::Format;

use super::super::rng::Rng;
use super::{Mutation, lines_of, lossy, one_line};

/// Those of a format.
pub fn of(format: Format) -> &'static [Mutation] {
    match format {
        Format::Yaml => YAML,
        Format::Json | Format::Binary => JSON,
        Format::Ini => INI,
        Format::Dotenv => DOTENV,
    }
}

const YAML: &[Mutation] = &[
    ("a document more", document),
    ("a directive", directive),
    ("a merge", merge),
    ("flow for block", flow),
    ("anchors and aliases", alias),
    ("explicit keys", explicit),
    ("a nested collection", nest),
    ("a sequence on one line", compact),
];

const JSON: &[Mutation] = &[
    ("other white space", white_space),
    ("an escape", escape),
    ("after the end", after_end),
    ("a member twice", twice),
    ("another number", json_number),
    ("commas and colons", commas),
];

const INI: &[Mutation] = &[
    ("a section line", section),
    ("another delimiter", delimiter),
    ("a line of INI", ini_line),
    ("a continued line", continued),
];

const DOTENV: &[Mutation] = &[
    ("export", |rng, _, text| one_line(rng, text, |_, line| Some(format!("export {line}")))),
    ("another delimiter", delimiter),
    ("escaped line breaks", |rng, _, text| {
        one_line(rng, text, |rng, line| {
            let at = line.find('=')? + 1;
            let piece = rng.pick(&["\\n", "\\\\n", "\\r", "\\", "\\n\\n", "\r"]);
            let ends: Vec<usize> = line.char_indices().map(|(place, _)| place).filter(|place| *place >= at).collect();
            let at = if ends.is_empty() { at } else { rng.pick(&ends) };
            Some(format!("{}{piece}{}", &line[..at], &line[at..]))
        })
    }),
];

fn insert_line(rng: &mut Rng, text: &[u8], new: &str) -> Vec<u8> {
    let mut lines = lines_of(&lossy(text));
    let at = rng.below(lines.len() + 1);
    lines.insert(at, new.to_owned());
    lines.concat().into_bytes()
}

fn document(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "---\n",
        "...\n",
        "--- # x\n",
        "---\n---\n",
        "--- |\n",
        "--- a: b\n",
        "--- {a: b}\n",
        "--- []\n",
        "--- x\n",
        "--- null\n",
        "---\n# x\n",
        "---\na: b\n",
        "...\n---\n",
        "--- &a\n",
        "--- !!map\n",
        "---\n- x\n",
        "---\n# x\n\n# y\n",
    ];
    let new = rng.pick(NEW);
    Some(match rng.below(4) {
        0 => [new.as_bytes(), text].concat(),
        1 => [text, new.as_bytes()].concat(),
        _ => insert_line(rng, text, new),
    })
}

fn directive(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "%YAML 1.1\n---\n",
        "%YAML 1.2\n---\n",
        "%YAML 2.0\n---\n",
        "%TAG ! tag:x,2000:\n---\n",
        "%TAG !e! tag:x:\n---\n",
        "%FOO x\n---\n",
        "%YAML 1.1\n",
        "\u{feff}",
        "\u{feff}---\n",
        "%YAML 1.3\n---\n",
        "%TAG !! tag:x:\n---\n",
        "%YAML 1.1\n%YAML 1.1\n---\n",
        "%YAML 1.1 # x\n---\n",
    ];
    let new = rng.pick(NEW);
    Some(if rng.chance(75) { [new.as_bytes(), text].concat() } else { insert_line(rng, text, new) })
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn merge(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "<<: {a: b}",
        "<<: *a",
        "<<: [{a: b}, {c: d}]",
        "<<: 1",
        "<<: null",
        "<<: [1]",
        "\"<<\": x",
        "<<: []",
        "<<: [*a, *b]",
        "!!merge <<: {a: b}",
        "<<: &m {a: b}",
        "! <<: 1",
        "<<: {<<: {a: b}}",
        "!!str <<: {a: b}",
        "<<:",
    ];
    one_line(rng, text, |rng, line| Some(format!("{}{}\n{line}", " ".repeat(depth(line)), rng.pick(NEW))))
}

fn flow(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "{a: b, c: [1, 2]}",
        "[a, b: c]",
        "{a, b}",
        "{a: , b: }",
        "[a, , b]",
        "{? a : b}",
        "[? a : b]",
        "{a: b",
        "[a",
        "{\"a\":b}",
        "[ ]",
        "{ }",
        "{a: b,}",
        "[a,]",
        "{[a]: b}",
        "{a: 'b', \"c\": !!str 1}",
        "[[a], [b]]",
        "{a: {b: {c: d}}}",
        "[a #b\n]",
        "{a: b, # x\n  c: d}",
        "[a]b",
        "{a: b}c",
        "[-1, .5]",
        "{a: -}",
        "[- a]",
        "{a: b}: c",
        "[a]: b",
        "[\"a\nb\", 'c']",
        "{\n# x\na: b}",
        "[a # x\n, b]",
        "[,a]",
        "{a: &x 1, b: *x}",
        "[*a ]",
        "{*a : b}",
        "[:]",
        "{:}",
        "[a:b, a: b]",
        "{a:b}",
        "[http://x]",
        "{a: http://x, b: \"x\"y}",
    ];
    one_line(rng, text, |rng, line| {
        let end = line.find(": ").map(|at| at + 2).or_else(|| line.find("- ").map(|at| at + 2))?;
        Some(format!("{}{}\n", &line[..end], rng.pick(NEW)))
    })
}

fn alias(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines_of(&lossy(text));
    if lines.len() < 2 {
        return None;
    }
    let places: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].contains(':')).collect();
    if places.len() < 2 {
        return None;
    }
    let (from, to) = (rng.pick(&places), rng.pick(&places));
    let name = rng.pick(&["a", "b", "a.b", "é", "a-1", "x"]);
    let anchor = lines[from].find(':')? + 1;
    lines[from].insert_str(anchor, &format!(" &{name}"));
    let target = lines[to].find(':')? + 1;
    lines[to].truncate(target);
    lines[to].push_str(&format!(" *{name}{}\n", rng.pick(&["", "", " # x", " x", ","])));
    Some(lines.concat().into_bytes())
}

fn explicit(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let at = line.find(':')?;
        let depth = depth(line);
        let (start, key, rest) = (&line[..depth], &line[depth..at], &line[at + 1..]);
        Some(match rng.below(5) {
            0 => format!("{start}? {key}\n{start}:{rest}"),
            1 => format!("{start}? {key}\n"),
            2 => format!("{start}? # x\n{start}  {key}\n{start}# y\n{start}:{rest}"),
            3 => format!("{start}?\n{start}:{rest}"),
            _ => format!("{start}{key} :{rest}"),
        })
    })
}

fn nest(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let start = " ".repeat(depth(line));
        let body = line.trim_start();
        Some(match rng.below(4) {
            0 => format!("{start}n:\n{start}  - {body}"),
            1 => format!("{start}n:\n{start}- {body}{start}-\n{start}- - x\n"),
            2 => format!("{start}n:\n{start}  {body}"),
            _ => format!("{start}n:\n{start}  # x\n\n{start}  {body}{start}  # y\n"),
        })
    })
}

fn compact(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let at = line.find("- ")?;
        let by = rng.pick(&[
            "- - ",
            "-   ",
            "-\n",
            "-\t",
            "- ? ",
            "- a: b\n  - ",
            "- # x\n    ",
            "- &a ",
            "- !!map ",
            "- \n",
        ]);
        Some(format!("{}{by}{}", &line[..at], &line[at + 2..]))
    })
}

fn white_space(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let text = lossy(text);
    Some(
        match rng.below(4) {
            0 => text.replace(['\n', '\t'], ""),
            1 => text.replace('\t', rng.pick(&["  ", "\u{a0}", "\u{b}", "\r", "\u{85}"])),
            2 => text.replace(": ", rng.pick(&[":", " : ", ":\n"])),
            _ => format!("{}{text}", rng.pick(&["\u{feff}", " ", "\n", "\0", "\u{a0}"])),
        }
        .into_bytes(),
    )
}

fn escape(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let text = lossy(text);
    let letters: Vec<usize> = text.match_indices(|c: char| c.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    if letters.is_empty() {
        return None;
    }
    let at = rng.pick(&letters);
    let letter = u32::from(text.as_bytes()[at]);
    let by = match rng.below(8) {
        0..4 => format!("\\u{letter:04x}"),
        4 => format!("\\u{letter:04X}"),
        5 => format!("\\{}", char::from(text.as_bytes()[at])),
        6 => rng
            .pick(&["\\ud800", "\\udc00", "\\ud83d\\ude00", "\\u0000", "\\u12", "\\ud800\\u0041", "\\uDFFF\\uD800"])
            .to_owned(),
        _ => rng.pick(&["\\/", "\\\"", "\\\\", "\\b", "\\f", "\\'", "\\0", "\u{1}", "\u{7f}", "\t"]).to_owned(),
    };
    Some([&text[..at], &by, &text[at + 1..]].concat().into_bytes())
}

fn after_end(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let after = rng.pick(&["x", "{}", "}", "]", ",", "\n\n", "// x", "\0", "{\"a\": 1}", "\u{feff}"]);
    Some([text, after.as_bytes()].concat())
}

fn twice(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |_, line| {
        let line = line.trim_end_matches('\n');
        line.contains("\": ").then(|| format!("{},\n{line}\n", line.trim_end_matches(',')))
    })
}

fn json_number(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let at = line.find(": ")? + 2;
        let is_last = !line.trim_end().ends_with(',');
        let whole = rng.below(1000);
        let number = format!(
            "{}{whole}{}",
            rng.pick(&["", "-", "+", "0"]),
            rng.pick(&["", ".0", ".50", "e3", "E-7", "e300", "e400", "000000000000000000"])
        );
        Some(format!("{}{number}{}\n", &line[..at], if is_last { "" } else { "," }))
    })
}

fn commas(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    let text = lossy(text);
    let marks: Vec<usize> = text.match_indices([',', ':', '{', '}', '[', ']', '"']).map(|(at, _)| at).collect();
    if marks.is_empty() {
        return None;
    }
    let at = rng.pick(&marks);
    let by = rng.pick(&["", ",", ":", ",,", "{", "}", "[", "]", "\"", ";", "=", "}}", "null"]);
    Some([&text[..at], by, &text[at + 1..]].concat().into_bytes())
}

fn section(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "[section]\n",
        "[data]\n",
        "[DEFAULT]\n",
        "[]\n",
        "[x\n",
        "x]\n",
        "[a.b]\n",
        "[a]]\n",
        "[ a ]\n",
        "[\"a\"]\n",
        "[a] x\n",
        "[default]\n",
        "[`a`]\n",
        "[é]\n",
        "[[a]]\n",
        "[a];x\n",
        "[a]#]\n",
    ];
    let new = rng.pick(NEW);
    Some(insert_line(rng, text, new))
}

fn delimiter(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let at = line.find('=')?;
        let by = rng
            .pick(&[":", " : ", "==", "=:", ":=", "", " ", "=\"", "= '", "=\n", "\t=\t", "=\u{a0}", "=`", "=\"\"\""]);
        Some(format!("{}{by}{}", &line[..at], &line[at + 1..]))
    })
}

fn ini_line(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    const NEW: &[&str] = &[
        "a\n",
        "= b\n",
        "- = c\n",
        "-=d\n",
        "\"k\" = v\n",
        "`k` = v\n",
        "\"\"\"k\"\"\" = v\n",
        "\"k = v\n",
        "a = `b\n",
        "a = \"\"\"b\n",
        "a = 'b'\n",
        "a = \"b\"\n",
        "a = \"b\n",
        "a = b;c\n",
        "a = b #c\n",
        "a = \\;b\n",
        "a = %(b)s\n",
        "a = \"b\" ; c\n",
        "a = 'b' c\n",
        "a = \"b\" \"c\"\n",
        ";\n",
        "#\n",
        "; ;x\n",
        "# # x\n",
        "a = b\\\n",
        "a = b \\\n  c\n",
        "a = \u{a0}b\u{a0}\n",
        "a = \"`b`\"\n",
        "a = `\"b\"`\n",
        "a\\=b = c\n",
        "a = \"\"\n",
        "a = ''\n",
        "a = ``\n",
        "a = \"\"\"\"\"\"\n",
        "a = \"\"\"x\"\"\" y\n",
        "\u{feff}a = b\n",
        "key\t=\tv\n",
        "a = `b` c\n",
        "a = `b`#c\n",
        "a = \"\"\"b\"\"\"#c\n",
        "\"a\"b = c\n",
        "a = \\\n",
        "a = b \\ c\n",
    ];
    let new = rng.pick(NEW);
    Some(insert_line(rng, text, new))
}

fn continued(rng: &mut Rng, _: Format, text: &[u8]) -> Option<Vec<u8>> {
    one_line(rng, text, |rng, line| {
        let end = rng.pick(&["\\", "\\\\", " \\", "\\ ", "\\\n", "\"\"\"", "`"]);
        Some(format!("{}{end}\n", line.trim_end_matches('\n')))
    })
}

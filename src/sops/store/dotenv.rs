//! Dotenv as sops has it (`stores/dotenv/store.go`): no quotes, no trimming, no `export`, `\n` for a line feed.

use super::{NodeBudget, count, format_error, value_text};
use crate::secret::SecretBytes;
use crate::sops::SopsError;
use crate::sops::tree::{Branch, Comment, Entry, Item, Tree, Value};
use crate::text::characters;
use crate::yaml::Position;

/// Reads lines: `#…` is a comment, anything else splits at its first `=`; empty lines vanish.
///
/// A CR stays in its value, blanks stay in their key. Values and comments may be any bytes.
pub(super) fn load(text: &[u8]) -> Result<Tree, SopsError> {
    let mut nodes = NodeBudget::new();
    let mut branch = Branch::default();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        nodes.take()?;
        if let Some(comment) = line.strip_prefix(b"#") {
            let text = SecretBytes::new(comment.to_vec());
            branch.items.push(Item::Comment(Comment { text, is_inline: false }));
            continue;
        }
        let line_number = count(index + 1);
        let start = Some(Position { line: line_number, column: 1 });
        let Some((key, value)) = split_at_first(b'=', line) else {
            return Err(format_error("a dotenv line without `=`", start));
        };
        let Ok(key) = std::str::from_utf8(key) else {
            return Err(format_error("a dotenv key that is not UTF-8", start));
        };
        let position = Position { line: line_number, column: count(characters(key.as_bytes()) + 2) };
        let value = Value::Str(SecretBytes::new(unescape(value)));
        branch.items.push(Item::Entry(Entry { key: key.to_owned(), value, position }));
    }
    Ok(Tree { documents: vec![branch] })
}

/// Prints one line per item, a line feed in a string as `\n`.
pub(super) fn emit(tree: &Tree) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    for item in tree.documents.first().map_or(&[][..], |branch| &branch.items) {
        match item {
            Item::Comment(comment) => {
                out.push(b'#');
                out.extend_from_slice(comment.text.expose());
            }
            Item::Entry(entry) => {
                out.extend_from_slice(entry.key.as_bytes());
                out.push(b'=');
                match &entry.value {
                    Value::Str(text) => push_escaped(text.expose(), &mut out),
                    other => value_text::push(other, &mut out)?,
                }
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn split_at_first(delimiter: u8, line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = line.split_at_checked(line.iter().position(|&byte| byte == delimiter)?)?;
    Some((key, rest.get(1..)?))
}

/// Replaces every `\n`, also one whose backslash is itself preceded by a backslash: sops escapes nothing else.
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next_if_eq(&b'n').is_some() {
            out.push(b'\n');
        } else {
            out.push(byte);
        }
    }
    out
}

fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte == b'\n' {
            out.extend_from_slice(b"\\n");
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::timestamp::Timestamp;

    fn entry(key: &str, value: Value) -> Item {
        Item::Entry(Entry { key: key.to_owned(), value, position: Position::default() })
    }

    fn printed(items: Vec<Item>) -> Result<String, &'static str> {
        emit(&Tree { documents: vec![Branch { items }] }).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn changes_line_breaks_only() {
        let tree = load(b"\n#c \r\na b = \"x\" #y\\n\\\\n=\r\n\n=\n").unwrap();
        let Item::Entry(first) = &tree.documents[0].items[1] else { panic!() };
        assert_eq!(first.key, "a b ");
        assert_eq!((first.position.line, first.position.column), (3, 6));
        assert!(matches!(&first.value, Value::Str(text) if text.expose() == b" \"x\" #y\n\\\n=\r"));
        assert_eq!(emit(&tree).unwrap(), b"#c \r\na b = \"x\" #y\\n\\\\n=\r\n=\n");
    }

    #[test]
    fn refuses_a_line_without_delimiter_and_does_not_show_it() {
        let error = load(b"a=b\n \n").map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "a dotenv line without `=` (line 2, column 1)");
    }

    #[test]
    fn refuses_a_key_that_is_not_utf_8_but_takes_such_a_value() {
        assert!(load(b"\xff=a").is_err());
        assert!(load(b"a=\xff\n#\xff").is_ok());
    }

    #[test]
    fn prints_typed_values_as_sops_does() {
        // From a YAML file that was encrypted into dotenv; texts by sops 3.13.3.
        let time = Timestamp::parse_rfc3339("2020-01-02T03:04:05.5+01:00").unwrap();
        let items = vec![
            entry("a", Value::Bool(true)),
            entry("b", Value::Float(1.0)),
            entry("c", Value::Int(-1)),
            entry("d", Value::Null),
            entry("e", Value::Time(time)),
        ];
        assert_eq!(printed(items).unwrap(), "a=true\nb=1.0\nc=-1\nd=<nil>\ne=2020-01-02T03:04:05+01:00\n");
    }

    #[test]
    fn refuses_to_print_containers() {
        assert!(printed(vec![entry("a", Value::List(Vec::new()))]).is_err());
        assert!(printed(vec![entry("a", Value::Branch(Branch::default()))]).is_err());
    }
}

//! Fields of the `sops` stanza, read as leniently as sops reads them: whatever 3.12 or 3.13 takes is taken.
//!
//! Source: getsops/sops v3.13, `stores/metadata.go`, over mapstructure v2.5 with weak typing. Stricter than Go where
//! no release differs: a name written twice, numbers and flags that are cut to fit, an empty list entry.

use std::collections::{BTreeMap, HashMap};

use super::SopsError;
use super::tree::{Branch, Entry, Item, Value};
use crate::text::Printable;
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

/// A mapping of the stanza: the stanza itself, a key group or a key. Unknown fields are ignored.
pub(super) struct Fields<'a> {
    /// Entries by lower-case name: names match in any letter case.
    entries: HashMap<String, &'a Entry>,
    /// Name of the mapping in messages: `sops`, `sops.age[0]`.
    name: String,
    position: Position,
}

impl<'a> Fields<'a> {
    /// The fields of a mapping that is called `name` in messages.
    pub(super) fn of(branch: &'a Branch, name: &str, position: Position) -> Result<Self, SopsError> {
        let mut fields = Self { entries: HashMap::new(), name: name.to_owned(), position };
        for entry in entries(branch) {
            let key = entry.key.to_ascii_lowercase();
            if fields.entries.insert(key, entry).is_some() {
                return Err(fields.refuse(&Printable::new(&entry.key), "is written twice", Some(entry.position)));
            }
        }
        Ok(fields)
    }

    /// A text; a missing or null one is empty. Numbers and flags become text as in Go.
    pub(super) fn text(&self, field: &'static str) -> Result<String, SopsError> {
        let Some(value) = self.value(field) else { return Ok(String::new()) };
        text(value).map_err(|reason| self.broken(field, reason))
    }

    /// A text, `None` if missing or empty.
    pub(super) fn optional_text(&self, field: &'static str) -> Result<Option<String>, SopsError> {
        Ok(Some(self.text(field)?).filter(|text| !text.is_empty()))
    }

    /// A number; a missing or empty one is 0. INI files up to sops 3.10 hold `2.000000`.
    pub(super) fn integer(&self, field: &'static str) -> Result<i64, SopsError> {
        let number = match self.value(field) {
            None => Some(0),
            Some(Value::Bool(is_set)) => Some(i64::from(*is_set)),
            Some(Value::Float(number)) => integral(*number),
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Str(text)) => std::str::from_utf8(text.expose()).ok().and_then(parse_integer),
            Some(_) => None,
        };
        number.ok_or_else(|| self.broken(field, "is not a whole number"))
    }

    /// A flag; a missing or empty one is false.
    pub(super) fn flag(&self, field: &'static str) -> Result<bool, SopsError> {
        let flag = match self.value(field) {
            None => Some(false),
            Some(Value::Bool(is_set)) => Some(*is_set),
            Some(Value::Float(number)) => Some(*number != 0.0),
            Some(Value::Int(number)) => Some(*number != 0),
            Some(Value::Str(text)) if text.expose().is_empty() => Some(false),
            Some(Value::Str(text)) => parse_bool(text.expose()),
            Some(_) => None,
        };
        flag.ok_or_else(|| self.broken(field, "is neither true nor false"))
    }

    /// A time in RFC 3339. Without quotes YAML makes it a timestamp, which sops up to 3.12 took.
    pub(super) fn timestamp(&self, field: &'static str) -> Result<Timestamp, SopsError> {
        let timestamp = match self.value(field) {
            None => return Err(self.broken(field, "is missing")),
            Some(Value::Time(timestamp)) => Some(*timestamp),
            Some(Value::Str(text)) => std::str::from_utf8(text.expose()).ok().and_then(Timestamp::parse_rfc3339),
            Some(_) => None,
        };
        timestamp.ok_or_else(|| self.broken(field, "is not an RFC 3339 time"))
    }

    /// A mapping of texts; null entries count as absent.
    pub(super) fn texts(&self, field: &'static str) -> Result<BTreeMap<String, String>, SopsError> {
        let branch = match self.value(field) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Branch(branch)) => branch,
            Some(Value::List(list)) if elements(list).next().is_none() => return Ok(BTreeMap::new()),
            Some(_) => return Err(self.broken(field, "is not a mapping")),
        };
        let mut texts = BTreeMap::new();
        for entry in entries(branch) {
            if matches!(entry.value, Value::Null) {
                continue;
            }
            let text = text(&entry.value).map_err(|reason| self.broken(field, reason))?;
            if texts.insert(entry.key.clone(), text).is_some() {
                return Err(self.broken(field, "has a key that is written twice"));
            }
        }
        Ok(texts)
    }

    /// A list of at most `limit` mappings. Missing, null and an empty mapping are the empty list; a mapping alone is a
    /// list of one.
    pub(super) fn mappings(&self, field: &'static str, limit: usize) -> Result<Vec<Fields<'a>>, SopsError> {
        let Some(entry) = self.entries.get(field).copied() else { return Ok(Vec::new()) };
        let values: Vec<&Value> = match &entry.value {
            Value::Null => Vec::new(),
            Value::Branch(branch) if entries(branch).next().is_none() => Vec::new(),
            Value::List(list) => elements(list).take(limit.saturating_add(1)).collect(),
            value => vec![value],
        };
        if values.len() > limit {
            return Err(self.broken(field, "has more entries than any real file"));
        }
        values
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let name = format!("{}.{field}[{index}]", self.name);
                let Value::Branch(branch) = value else {
                    return Err(self.broken(field, "has an entry that is not a mapping"));
                };
                let position = branch.items.iter().find_map(entry_of).map_or(entry.position, |first| first.position);
                Fields::of(branch, &name, position)
            })
            .collect()
    }

    /// The error for a field that is not as it should be.
    pub(super) fn broken(&self, field: &'static str, reason: &str) -> SopsError {
        let position = self.entries.get(field).map_or(self.position, |entry| entry.position);
        self.refuse(&Printable::new(field), reason, Some(position))
    }

    fn refuse(&self, field: &Printable, reason: &str, position: Option<Position>) -> SopsError {
        SopsError::Format { reason: format!("{}.{field} {reason}", self.name), position, path: None }
    }

    /// The field's value unless missing or null.
    fn value(&self, field: &'static str) -> Option<&'a Value> {
        self.entries.get(field).map(|entry| &entry.value).filter(|value| !matches!(value, Value::Null))
    }
}

fn entries(branch: &Branch) -> impl Iterator<Item = &Entry> {
    branch.items.iter().filter_map(entry_of)
}

fn entry_of(item: &Item) -> Option<&Entry> {
    match item {
        Item::Comment(_) => None,
        Item::Entry(entry) => Some(entry),
    }
}

fn elements(list: &[Value]) -> impl Iterator<Item = &Value> {
    list.iter().filter(|value| !matches!(value, Value::Comment(_)))
}

fn text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::Bool(is_set) => Ok(u8::from(*is_set).to_string()),
        Value::Float(number) => Ok(crate::number::format_f(*number)),
        Value::Int(number) => Ok(number.to_string()),
        Value::Str(text) => String::from_utf8(text.expose().clone()).map_err(|_| "is not UTF-8"),
        Value::Branch(_) | Value::Comment(_) | Value::List(_) | Value::Null | Value::Time(_) => Err("is not a text"),
    }
}

/// Go `strconv.ParseInt(text, 0, 64)` (prefixes, underscores), and whole numbers without a sign but with a fraction of
/// zeros, as older releases wrote them in INI and dotenv.
fn parse_integer(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (is_negative, digits) = match text.as_bytes().split_first() {
        Some((b'-', _)) => (true, text.strip_prefix('-')?),
        Some((b'+', _)) => (false, text.strip_prefix('+')?),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.starts_with('0') && !lower.contains('.') {
        (8, lower.as_str())
    } else {
        (10, lower.as_str())
    };
    let has_sign = text.starts_with(['-', '+']);
    let digits = match digits.split_once('.') {
        Some((whole, zeros)) if radix == 10 && !has_sign && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => {
            whole
        }
        _ => digits,
    };
    let is_plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let magnitude = i128::from(is_plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()?);
    i64::try_from(if is_negative { -magnitude } else { magnitude }).ok()
}

fn integral(number: f64) -> Option<i64> {
    // Every whole float of this size is exact; thresholds are below 256.
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// Go `strconv.ParseBool`.
pub(super) fn parse_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::test_encryptor::{branch, comment, entry, text};

    fn with<T>(value: Value, read: impl Fn(&Fields<'_>) -> Result<T, SopsError>) -> Option<T> {
        let Value::Branch(fields) = branch(vec![entry("field", value)]) else { return None };
        read(&Fields::of(&fields, "sops", Position::default()).expect("one field")).ok()
    }

    #[test]
    fn numbers_are_those_that_go_parses() {
        let number = |text: &str| parse_integer(text);
        for (text, value) in [
            ("", 0),
            ("0", 0),
            ("7", 7),
            ("-2", -2),
            ("+2", 2),
            ("010", 8),
            ("-010", -8),
            ("0x1F", 31),
            ("0X1f", 31),
            ("0b11", 3),
            ("0o17", 15),
            ("2.000000", 2),
            ("0.0", 0),
            ("00.0", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in [
            "-",
            "+",
            "x",
            "08",
            "2.",
            "2.1",
            "2.0x",
            "-2.0",
            "-0.0",
            "+2.0",
            ".0",
            "0x",
            "0x1.0",
            "0b2",
            "1_0",
            "--1",
            "-+1",
            "++1",
            "9223372036854775808",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
        let float = |number| with(Value::Float(number), |fields| fields.integer("field"));
        assert_eq!((float(3.0), float(-3.0), float(0.5), float(1e15)), (Some(3), Some(-3), None, None));
    }

    #[test]
    fn a_number_is_a_flag_unless_it_is_zero() {
        let flag = |value| with(value, |fields| fields.flag("field"));
        for (value, is_set) in [
            (Value::Float(0.0), false),
            (Value::Float(0.5), true),
            (Value::Int(0), false),
            (Value::Int(-1), true),
            (Value::Null, false),
            (text(""), false),
            (text("T"), true),
        ] {
            assert_eq!(flag(value), Some(is_set));
        }
        assert_eq!((flag(text("yes")), flag(Value::List(vec![]))), (None, None));
    }

    #[test]
    fn only_an_empty_list_is_an_empty_mapping() {
        let texts = |list: Vec<Value>| with(Value::List(list), |fields| fields.texts("field"));
        assert_eq!(texts(vec![]), Some(BTreeMap::new()));
        assert_eq!(texts(vec![Value::Comment(comment("none"))]), Some(BTreeMap::new()));
        assert_eq!(texts(vec![text("x")]), None);
    }
}

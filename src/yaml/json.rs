//! Nodes as JSON, the way a Kubernetes client sees a manifest.

use serde_json::{Map, Number, Value};

use super::resolve::{Resolved, resolve};
use super::{Kind, Node, ScalarStyle, YamlError};
use crate::number::format_es6;

/// Converts a node as sigs.k8s.io/yaml does, which reads YAML 1.1 by yaml.v2: `yes` and `on` are booleans, timestamps
/// stay text, `<<` is merged, of equal keys the last counts, and keys that are numbers or booleans become text.
///
/// That library also turns numbers and booleans into text where a string is wanted; here that is up to the reader.
///
/// # Errors
/// An explicit tag does not fit its text, a float has no JSON form, a key is null or a collection, or `<<` stands before
/// something else than mappings.
///
/// Source: sigs.k8s.io/yaml v1.6.0, `yaml.go`; go.yaml.in/yaml/v2 v2.4.2, `decode.go`, `resolve.go`.
pub fn to_json(node: &Node) -> Result<Value, YamlError> {
    match &node.kind {
        Kind::Mapping(..) => {
            let mut map = Map::new();
            add_pairs(node, &mut map)?;
            Ok(Value::Object(map))
        }
        Kind::Sequence(items, _) => items.iter().map(to_json).collect::<Result<_, _>>().map(Value::Array),
        Kind::Scalar(text, style) => scalar(node, text, *style),
    }
}

/// Sets each pair in turn. As in yaml.v2, what `<<` brings replaces what stands before it.
fn add_pairs(node: &Node, map: &mut Map<String, Value>) -> Result<(), YamlError> {
    let Kind::Mapping(pairs, _) = &node.kind else { return Err(node.error(NO_MAPPING_TO_MERGE)) };
    for (key, value) in pairs {
        if is_merge(key) {
            merge(value, map)?;
        } else {
            map.insert(key_text(key)?, to_json(value)?);
        }
    }
    Ok(())
}

fn is_merge(key: &Node) -> bool {
    match &key.kind {
        Kind::Scalar(text, ScalarStyle::Plain) if text == "<<" => {
            matches!(key.tag.as_deref(), None | Some("!" | "!!merge"))
        }
        Kind::Scalar(text, _) => text == "<<" && key.tag.as_deref() == Some("!!merge"),
        _ => false,
    }
}

fn merge(value: &Node, map: &mut Map<String, Value>) -> Result<(), YamlError> {
    match &value.kind {
        // The first of several takes precedence.
        Kind::Sequence(items, _) if value.alias_comments.is_none() => {
            items.iter().rev().try_for_each(|item| add_pairs(item, map))
        }
        _ => add_pairs(value, map),
    }
}

fn key_text(key: &Node) -> Result<String, YamlError> {
    let Kind::Scalar(text, style) = &key.kind else { return Err(key.error("a key that is a collection")) };
    match scalar(key, text, *style)? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(key.error("a key that is null")),
    }
}

fn scalar(node: &Node, text: &str, style: ScalarStyle) -> Result<Value, YamlError> {
    match (node.tag.as_deref(), style) {
        (Some("!"), _) => return Ok(text.into()),
        (None | Some("!!bool"), ScalarStyle::Plain) | (Some("!!bool"), _) => match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Ok(true.into()),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Ok(false.into()),
            _ => {}
        },
        _ => {}
    }
    Ok(match resolve(node).map_err(|rule| node.error(rule))? {
        Resolved::Bool(value) => value.into(),
        Resolved::Float(value) => Value::Number(float(value).ok_or_else(|| node.error("JSON has no such number"))?),
        Resolved::Int(value) => value.into(),
        Resolved::Null => Value::Null,
        Resolved::Str(bytes) => String::from_utf8_lossy(&bytes).into(),
        Resolved::Timestamp(_) => text.into(),
        Resolved::Uint(value) => value.into(),
    })
}

/// A float goes through its JSON text, so that `1e3` reads as the integer 1000.
fn float(value: f64) -> Option<Number> {
    let text = format_es6(value)?;
    let signed = text.parse::<i64>().ok().map(Number::from);
    signed.or_else(|| text.parse::<u64>().ok().map(Number::from)).or_else(|| Number::from_f64(value))
}

const NO_MAPPING_TO_MERGE: &str = "'<<' needs a mapping or a sequence of mappings";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn json(text: &str) -> Result<String, String> {
        let documents = parse(text.as_bytes()).map_err(|error| error.to_string())?;
        let root = documents.first().map(|document| &document.root).ok_or("no document")?;
        to_json(root).map(|value| value.to_string()).map_err(|error| error.to_string())
    }

    // Expected values: sigs.k8s.io/yaml v1.6.0, `YAMLToJSON`.

    #[test]
    fn types_scalars_as_a_kubernetes_client_does() {
        for (text, want) in [
            ("[yes, off, y, 'yes', true]", r#"[true,false,true,"yes",true]"#),
            ("[1, 0755, 0x1F, 1e3, 1.5, 18446744073709551615]", "[1,493,31,1000,1.5,18446744073709551615]"),
            ("[2001-01-01, 1:30, ~, '']", r#"["2001-01-01","1:30",null,""]"#),
            ("[! 12, !!str 12, !!binary aGk=, !x 1]", r#"["12","12","hi","1"]"#),
            ("{1: a, true: b, 1.5: c, on: d}", r#"{"1":"a","1.5":"c","true":"d"}"#),
            ("{a: 1, a: 2}", r#"{"a":2}"#),
        ] {
            assert_eq!(json(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn merges_where_the_merge_key_stands() {
        let text = "x: &x {a: 1, b: 1}\nw: {b: 2, <<: *x, a: 3}\nz: {<<: [{c: 1}, {c: 2, d: 2}]}\n";
        let want = r#"{"w":{"a":3,"b":1},"x":{"a":1,"b":1},"z":{"c":1,"d":2}}"#;
        assert_eq!(json(text).as_deref(), Ok(want));
        for (key, is_merge) in [
            ("'<<'", false),
            ("!!merge '<<'", true),
            ("!!merge <<", true),
            ("! <<", true),
            ("!!str <<", false),
            ("!x <<", false),
        ] {
            let want = if is_merge { r#"{"a":1}"# } else { r#"{"<<":{"a":1}}"# };
            assert_eq!(json(&format!("{{{key}: {{a: 1}}}}")).as_deref(), Ok(want), "{key}");
        }
        assert!(json("l: &l [{a: 1}]\nx: {<<: *l}\n").is_err());
    }

    #[test]
    fn refuses_what_json_cannot_hold() {
        for text in [".nan", "[-.inf]", "{null: a}", "{[a]: b}", "{<<: a}", "!!int x"] {
            assert!(json(text).is_err(), "{text}");
        }
    }
}

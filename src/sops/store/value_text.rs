//! A leaf as text for the formats that know only strings (`stores/stores.go`, `ValToString`).

use crate::number;
use crate::sops::tree::Value;

/// Appends a leaf as dotenv and INI print it: bytes as they are, floats with a decimal or an exponent, times to the
/// second, null as Go's `<nil>`.
///
/// # Errors
/// Fixed words for a container.
pub(super) fn push(value: &Value, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Branch(_) | Value::List(_) => return Err("a list or mapping where the format holds plain values only"),
        Value::Comment(comment) => out.extend_from_slice(comment.text.expose()),
        Value::Float(value) => out.extend_from_slice(number::format_upper_g(*value).as_bytes()),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Null => out.extend_from_slice(b"<nil>"),
        Value::Str(text) => out.extend_from_slice(text.expose()),
        Value::Time(time) => out.extend_from_slice(time.rfc3339().as_bytes()),
    }
    Ok(())
}

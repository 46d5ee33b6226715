//! A leaf as text for the formats that know only strings (`stores/stores.go`, `ValToString`).

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
        Value::Float(value) => out.extend_from_slice(float(*value).as_bytes()),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Null => out.extend_from_slice(b"<nil>"),
        Value::Str(text) => out.extend_from_slice(text.expose()),
        Value::Time(time) => out.extend_from_slice(time.rfc3339().as_bytes()),
    }
    Ok(())
}

/// Go `strconv.FormatFloat(x, 'G', -1, 64)`, and one decimal where that would read as an integer.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..=5 => {
            let plain = x.to_string();
            if exponent >= 0 && !plain.contains('.') { plain + ".0" } else { plain }
        }
        exponent => format!("{digits}E{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn prints_floats_as_sops_does() {
        // Go: ValToString of each.
        for (x, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (0.0001, "0.0001"),
            (0.00001, "1E-05"),
            (2e-10, "2E-10"),
            (123_456.0, "123456.0"),
            (1_000_000.0, "1E+06"),
            (1_234_567.5, "1.2345675E+06"),
            (1e300, "1E+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(x), text);
        }
    }
}

//! Numbers as Go prints them: the text of a float is part of the MAC and of emitted files.

/// Go `strconv.FormatFloat(x, 'f', -1, 64)`: shortest digits, never an exponent; `+Inf`, `-Inf`, `NaN`. Used by the MAC.
pub fn format_f(x: f64) -> String {
    // Rust's `Display` is the same but for the sign of an infinity.
    if x.is_finite() { x.to_string() } else { name_of_non_finite(x).to_owned() }
}

/// Go `strconv.FormatFloat(x, 'g', -1, 64)`: shortest digits, exponent below 1e-4 and from 1e6. Used by yaml.v3.
pub fn format_g(x: f64) -> String {
    format_shortest(x, 'e')
}

/// A float in a dotenv or INI file: Go `'G', -1`, and one decimal where neither `.` nor `E` would tell it from an integer.
///
/// Source: getsops/sops v3.13, `stores/stores.go`, `ValToString`.
pub fn format_upper_g(x: f64) -> String {
    let text = format_shortest(x, 'E');
    if text.contains(['.', 'E']) || !x.is_finite() { text } else { format!("{x:.1}") }
}

/// A float as Go's `encoding/json` prints it (ES6): exponent below 1e-6 and from 1e21. JSON has no infinities and no NaN.
pub fn format_es6(x: f64) -> Option<String> {
    if !x.is_finite() {
        return None;
    }
    let magnitude = x.abs();
    if x == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Some(x.to_string());
    }
    let text = format!("{x:e}");
    // Rust leaves out the plus sign.
    Some(if text.contains("e-") { text } else { text.replace('e', "e+") })
}

fn name_of_non_finite(x: f64) -> &'static str {
    if x.is_nan() {
        "NaN"
    } else if x > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

/// `'g', -1` or `'G', -1`: exponent below 1e-4 and from 1e6.
fn format_shortest(x: f64, letter: char) -> String {
    if !x.is_finite() {
        return name_of_non_finite(x).to_owned();
    }
    let scientific = format!("{x:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    // Rust writes the exponent of a float as digits with an optional minus.
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return x.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected texts: Go 1.26 `strconv.FormatFloat`, `encoding/json` and sops' `ValToString`.

    #[test]
    fn prints_mac_form_without_exponent() {
        for (x, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_f(x), text);
        }
    }

    #[test]
    fn prints_yaml_form_with_exponent_from_a_million() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (100_000.0, "100000"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (-5e-324, "-5e-324"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_g(x), text);
        }
    }

    #[test]
    fn tells_a_flat_float_from_an_integer() {
        for (x, text) in
            [(1.0, "1.0"), (-0.0, "-0.0"), (1.5, "1.5"), (1e6, "1E+06"), (1e-5, "1E-05"), (f64::NAN, "NaN")]
        {
            assert_eq!(format_upper_g(x), text);
        }
    }

    #[test]
    fn prints_json_form_and_refuses_what_json_lacks() {
        for (x, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e-10, "1e-10"),
        ] {
            assert_eq!(format_es6(x).as_deref(), Some(text));
        }
        assert_eq!(format_es6(f64::NAN), None);
        assert_eq!(format_es6(f64::NEG_INFINITY), None);
    }
}

//! Numbers as Go prints them: the text of a float is part of the MAC and of emitted files.

/// Go `strconv.FormatFloat(x, 'f', -1, 64)`: shortest digits, never an exponent; `+Inf`, `-Inf`, `NaN`. Used by the MAC.
pub fn format_f(x: f64) -> String {
    if x.is_finite() { Shortest::of(x).positional() } else { name_of_non_finite(x).to_owned() }
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
    let shortest = Shortest::of(x);
    if x == 0.0 || (1e-6..1e21).contains(&x.abs()) {
        return Some(shortest.positional());
    }
    let Shortest { sign, digits, exponent } = &shortest;
    Some(format!("{sign}{}e{exponent:+}", with_point(digits)))
}

fn name_of_non_finite(x: f64) -> &'static str {
    if x.is_nan() {
        "NaN"
    } else if x.is_sign_positive() {
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
    let shortest = Shortest::of(x);
    if (-4..6).contains(&shortest.exponent) {
        return shortest.positional();
    }
    let Shortest { sign, digits, exponent } = &shortest;
    // The sign of the exponent counts as one of the three places.
    format!("{sign}{}{letter}{exponent:+03}", with_point(digits))
}

/// The fewest digits that read back as the same float: `d.ddd` times ten to the exponent.
struct Shortest {
    sign: &'static str,
    digits: String,
    exponent: i32,
}

impl Shortest {
    /// Takes the digits of a finite float.
    ///
    /// Where two shortest texts are equally near, Go takes the one with the even last digit and Rust the greater
    /// (1284364025033548.25: `….2` and `….3`). Rounding to that many digits decides as Go does.
    fn of(x: f64) -> Self {
        let shortest = format!("{:e}", x.abs());
        let count = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
        let rounded = format!("{:.*e}", count.saturating_sub(1), x.abs());
        let text = if rounded.parse() == Ok(x.abs()) { rounded } else { shortest };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            sign: if x.is_sign_negative() { "-" } else { "" },
            digits: mantissa.replace('.', ""),
            exponent: exponent.parse().unwrap_or(0),
        }
    }

    /// Without an exponent.
    fn positional(&self) -> String {
        let Self { sign, digits, exponent } = self;
        let Ok(whole_digits) = usize::try_from(exponent + 1) else {
            let zeros = exponent.unsigned_abs() as usize - 1;
            return format!("{sign}0.{:0<zeros$}{digits}", "");
        };
        match digits.split_at_checked(whole_digits) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some(("", fraction)) => format!("{sign}0.{fraction}"),
            Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{digits:0<whole_digits$}"),
        }
    }
}

fn with_point(digits: &str) -> String {
    match digits.split_at_checked(1) {
        Some((first, rest)) if !rest.is_empty() => format!("{first}.{rest}"),
        _ => digits.to_owned(),
    }
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
            (1_284_364_025_033_548.2, "1284364025033548.2"),
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

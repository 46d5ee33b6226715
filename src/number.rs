//! Numbers as Go prints them: the text of a float is part of the MAC and of emitted files.

/// Go `strconv.FormatFloat(x, 'f', -1, 64)`: shortest digits, never an exponent; `+Inf`, `-Inf`, `NaN`. Used by the MAC.
pub fn format_f(_x: f64) -> String {
    unimplemented!()
}

/// Go `strconv.FormatFloat(x, 'g', -1, 64)`: shortest digits, exponent below 1e-4 and from 1e21. Used by yaml.v3.
pub fn format_g(_x: f64) -> String {
    unimplemented!()
}

//! Files of old writers, whose plain scalars mean something else today: `testdata/old/make_old.go` made them.

use super::*;
use crate::sops::{Format, Reading, decrypt};

const YAML: &str = include_str!("../testdata/old/sops_3.6.1.yaml");
const JSON: &str = include_str!("../testdata/old/sops_3.6.1.json");

fn opened(file: &str, format: Format) -> Result<(Reading, String), SopsError> {
    let cleartext = decrypt(file.as_bytes(), format, &FixedKey(KEY.to_vec()))?;
    let text = cleartext.text().expect("the format holds what it read");
    Ok((cleartext.reading(), String::from_utf8(text.into_exposed().into_owned()).expect("UTF-8")))
}

#[test]
fn yaml_v2_strings_are_strings() {
    let (reading, text) = opened(YAML, Format::Yaml).expect("sops 3.6.1 wrote it");
    assert_eq!(reading, Reading::YamlV2);
    for line in [
        r#"str1: "1e3""#,
        r#"str6: "1.""#,
        r#"str7: "2001-1-2""#,
        "f2: 1e+21",
        "d: \"2001-01-02\"",
        "num: 12",
        "fl: 1.25",
    ] {
        assert!(text.contains(&format!("    {line}\n")), "{line}\n{text}");
    }
}

#[test]
fn json_numbers_are_floats() {
    let (reading, text) = opened(JSON, Format::Json).expect("sops 3.6.1 wrote it");
    assert_eq!(reading, Reading::JsonFloats);
    for line in [r#""b": -0,"#, r#""f": 123456789012345680,"#, r#""m": 5,"#] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn another_reading_forgives_no_change() {
    for (file, format, from, to) in [
        (YAML, Format::Yaml, "str1: 1e3", "str1: 1e4"),
        (YAML, Format::Yaml, "str1: 1e3", "str1: 1000"),
        (YAML, Format::Yaml, "str7: 2001-1-2", "str7: 2001-01-02"),
        (YAML, Format::Yaml, "i1: 12", "i1: 13"),
        (JSON, Format::Json, "\"g\": 12", "\"g\": 13"),
        (JSON, Format::Json, "\"b\": -0", "\"b\": 0"),
    ] {
        assert!(file.contains(from));
        assert_eq!(code(&opened(&file.replacen(from, to, 1), format)), 7, "{to}");
    }
}

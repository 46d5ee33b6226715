//! Which SOPS format a text looks like: a hint for files under a wrong name.

use super::Format;

/// Says which other format the text looks like and how such a file must be named; nothing if it looks like none.
pub(super) fn hint(read_as: Format, text: &[u8]) -> Option<String> {
    let (format, suffixes) = match guess(text)? {
        Format::Yaml => (Format::Yaml, "`.yaml` or `.yml`"),
        Format::Json if read_as == Format::Binary => return None,
        Format::Json => (Format::Json, "`.json`"),
        Format::Dotenv => (Format::Dotenv, "`.env`"),
        Format::Ini => (Format::Ini, "`.ini`"),
        Format::Binary => return None,
    };
    (format != read_as).then(|| {
        let name = format.name();
        format!("; it looks like a SOPS {name} file, whose name must end in {suffixes} (lower case)")
    })
}

/// The format in which the text has a `sops` stanza, by the look of its lines.
pub(super) fn guess(text: &[u8]) -> Option<Format> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    if text.starts_with(b"{") {
        return text.windows(6).any(|window| window == b"\"sops\"").then_some(Format::Json);
    }
    text.split(|&byte| byte == b'\n').find_map(|line| {
        if line.starts_with(b"sops:") {
            Some(Format::Yaml)
        } else if line.starts_with(b"[sops]") {
            Some(Format::Ini)
        } else if line.starts_with(b"sops_") && line.contains(&b'=') {
            Some(Format::Dotenv)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stanza_makes_a_sops_file() {
        for (text, format) in [
            ("a: 1\nsops:\n", Some(Format::Yaml)),
            ("\u{feff}sops:", Some(Format::Yaml)),
            ("  {\"sops\": {}}", Some(Format::Json)),
            ("[a]\n[sops]\n", Some(Format::Ini)),
            ("a=1\nsops_mac=x\n", Some(Format::Dotenv)),
            ("", None),
            ("{\"a\": 1}", None),
            ("{\"a\":\nsops:\n", None),
            ("a: sops:\n", None),
            ("a:\n sops:\n", None),
            ("x[sops]\n", None),
            ("sops_mac\n", None),
            ("a=sops_mac=1\n", None),
        ] {
            assert_eq!(guess(text.as_bytes()), format, "{text}");
        }
    }

    #[test]
    fn a_binary_file_is_json_too() {
        let json = b"{\"sops\": {}}";
        assert_eq!(hint(Format::Binary, json), None);
        assert!(hint(Format::Ini, json).is_some_and(|hint| hint.contains("JSON")));
    }
}

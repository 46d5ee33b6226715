//! What the API server refuses in names, labels and Secrets (k8s.io/apimachinery `util/validation`,
//! k8s.io/kubernetes `pkg/apis/core/validation`). Rules are fixed words that follow the name of what they judge.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

/// Most bytes of all annotations of an object, keys and values (`TotalAnnotationSizeLimitB`).
pub(super) const ANNOTATION_BYTES: usize = 256 << 10;

/// Longest DNS subdomain, in bytes (RFC 1123, `DNS1123SubdomainMaxLength`).
const SUBDOMAIN_BYTES: usize = 253;

/// Longest DNS label, and longest name and value of a label, in bytes.
const LABEL_BYTES: usize = 63;

/// Checks a key of a Secret's data.
///
/// # Errors
/// The broken rule, in words that follow the key.
pub fn secret_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        Err("is empty")
    } else if key.len() > SUBDOMAIN_BYTES {
        Err("is longer than 253 bytes")
    } else if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        Err("may hold letters, digits, '-', '_' and '.' only")
    } else if key == "." || key.starts_with("..") {
        Err("may not be '.' or begin with '..'")
    } else {
        Ok(())
    }
}

/// The name of a Secret: a DNS subdomain.
pub(super) fn name(name: &str) -> Result<(), &'static str> {
    if name.len() > SUBDOMAIN_BYTES {
        Err("is longer than 253 bytes")
    } else if name.split('.').all(is_dns_label) {
        Ok(())
    } else {
        Err("must be lower-case letters, digits, '-' and '.', and begin and end with a letter or digit")
    }
}

/// A namespace: a DNS label.
pub(super) fn namespace(name: &str) -> Result<(), &'static str> {
    if name.len() > LABEL_BYTES {
        Err("is longer than 63 bytes")
    } else if is_dns_label(name) {
        Ok(())
    } else {
        Err("must be lower-case letters, digits and '-', and begin and end with a letter or digit")
    }
}

/// The key of a label or annotation: `name` or `prefix/name`.
pub(super) fn qualified_name(key: &str) -> Result<(), &'static str> {
    let (prefix, rest) = match key.split_once('/') {
        Some((prefix, rest)) => (Some(prefix), rest),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| name(prefix).is_err()) {
        Err("has a prefix that is not a DNS name")
    } else if rest.is_empty() || !is_label_text(rest) {
        Err("must be at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit")
    } else {
        Ok(())
    }
}

/// The value of a label.
pub(super) fn label_value(value: &str) -> Result<(), &'static str> {
    if is_label_text(value) {
        Ok(())
    } else {
        Err("must be at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit")
    }
}

/// Go `strconv.ParseBool`: what kustomize reads in `needs-hash`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Whether a text is one JSON object (or null), as the types for registry credentials ask.
pub(super) fn is_json_object(text: &[u8]) -> bool {
    serde_json::from_slice::<Option<BTreeMap<String, IgnoredAny>>>(text).is_ok()
}

fn is_dns_label(label: &str) -> bool {
    let is_end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ends_are(label, is_end) && label.bytes().all(|byte| is_end(byte) || byte == b'-')
}

/// At most 63 bytes of label characters, or nothing.
fn is_label_text(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.is_empty()
        || text.len() <= LABEL_BYTES
            && ends_are(text, |byte| byte.is_ascii_alphanumeric())
            && text.bytes().all(is_inner)
}

fn ends_are(text: &str, accepts: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| accepts(byte)) && bytes.last().is_some_and(|&byte| accepts(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(length: usize) -> String {
        "a".repeat(length)
    }

    #[test]
    fn keys_of_a_secret_are_those_of_the_api_server() {
        for key in ["a", "A-Z_9.x", ".netrc", ".a..", "-", &long(253)] {
            assert_eq!(secret_key(key), Ok(()), "{key}");
        }
        for key in ["", ".", "..", "..a", "a/b", "a b", "ä", "a\n", &long(254)] {
            assert!(secret_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn names_are_dns_subdomains_and_namespaces_dns_labels() {
        for text in ["a", "0", "a-b", "9-a", &long(63)] {
            assert_eq!((name(text), namespace(text)), (Ok(()), Ok(())), "{text}");
        }
        for text in ["a.b", "a.0.c", &long(64), &long(253)] {
            assert_eq!((name(text), namespace(text).is_err()), (Ok(()), true), "{text}");
        }
        for text in ["", "-a", "a-", "A", "a_b", "a..b", ".a", "a.", "a.-b", "ä", &long(254)] {
            assert!(name(text).is_err() && namespace(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_those_of_the_api_server() {
        for text in ["a", "A", "0", "a-b_c.D", &long(63)] {
            assert_eq!((qualified_name(text), label_value(text)), (Ok(()), Ok(())), "{text}");
            assert_eq!(qualified_name(&format!("example.com/{text}")), Ok(()), "{text}");
        }
        for text in ["-a", "a-", "_a", "a.", "a b", "ä", &long(64)] {
            assert!(qualified_name(text).is_err() && label_value(text).is_err(), "{text}");
        }
        assert_eq!(label_value(""), Ok(()));
        for key in ["", "/a", "a/", "A.com/a", "a/b/c", &format!("{}/a", long(254))] {
            assert!(qualified_name(key).is_err(), "{key}");
        }
    }

    #[test]
    fn truth_is_spelt_as_in_go() {
        for (text, value) in [("1", true), ("t", true), ("TRUE", true), ("0", false), ("F", false), ("false", false)] {
            assert_eq!(parse_bool(text), Some(value), "{text}");
        }
        assert!(["", "yes", "tRUE", "2", "on"].into_iter().all(|text| parse_bool(text).is_none()));
    }

    #[test]
    fn registry_credentials_are_one_json_object() {
        for text in ["{}", " {\"auths\": {\"x\": [1]}}\n", "null"] {
            assert!(is_json_object(text.as_bytes()), "{text}");
        }
        for text in ["", "[]", "1", "\"{}\"", "{} {}", "{\"a\"}", "{"] {
            assert!(!is_json_object(text.as_bytes()), "{text}");
        }
    }
}

//! SARIF 2.1.0, for code scanning.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; docs.github.com, "SARIF support
//! for code scanning".

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Excerpt, Finding, RULES, Report, Rule, Severity};

impl Report {
    /// One log with one run, with a final line break.
    pub fn sarif(&self) -> String {
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "unsops",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": RULES.iter().map(|rule| rule.sarif()).collect::<Vec<Value>>(),
                }},
                "columnKind": "unicodeCodePoints",
                "results": self.findings().iter().map(Finding::sarif).collect::<Vec<Value>>(),
            }],
        });
        format!("{log:#}\n")
    }
}

impl Severity {
    fn level(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }
}

impl Rule {
    fn sarif(&self) -> Value {
        json!({
            "id": self.id,
            "shortDescription": { "text": self.title },
            "fullDescription": { "text": self.why },
            "help": { "text": self.fix },
            "defaultConfiguration": { "level": self.severity.level() },
            "properties": { "tags": ["security"] },
        })
    }
}

impl Finding {
    fn sarif(&self) -> Value {
        let mut location = json!({
            "artifactLocation": { "uri": uri(&self.file), "uriBaseId": "%SRCROOT%" },
        });
        if let Some(map) = location.as_object_mut()
            && self.position.line > 0
        {
            map.insert("region".to_owned(), self.region());
        }
        json!({
            "ruleId": self.rule.id,
            "ruleIndex": RULES.iter().position(|rule| rule.id == self.rule.id),
            "level": self.severity.level(),
            "message": { "text": format!("{}. Fix: {}", self.message, self.fix()) },
            "locations": [{ "physicalLocation": location }],
            "partialFingerprints": { "unsops/v1": self.fingerprint() },
        })
    }

    fn region(&self) -> Value {
        let mut region = json!({ "startLine": self.position.line });
        let Some(map) = region.as_object_mut() else { return region };
        if self.position.column > 0 {
            map.insert("startColumn".to_owned(), self.position.column.into());
        }
        if let Some(Excerpt::Line { text, .. }) = &self.excerpt {
            map.insert("snippet".to_owned(), json!({ "text": text.as_str() }));
        }
        region
    }

    /// The same while file, rule and message stay, wherever the line moves.
    fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.rule.id, &self.file, &self.message] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.finalize().iter().take(16).fold(String::new(), |mut hex, byte| {
            _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// A path as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

//! For scripts. The shape is described by `examples/check/findings.schema.json`; it only grows within a version.

use serde_json::{Value, json};

use super::{Excerpt, Finding, Report, Severity};

impl Report {
    /// One object, with a final line break.
    pub fn json(&self) -> String {
        let report = json!({
            "version": 1,
            "tool": { "name": "unsops", "version": env!("CARGO_PKG_VERSION") },
            "summary": {
                "errors": self.count(Severity::Error),
                "warnings": self.count(Severity::Warning),
                "notes": self.count(Severity::Note),
                "silenced": self.silenced,
                "left_out": self.left_out,
                "files": self.files,
                "sops_files": self.sops_files,
                "kustomizations": self.kustomizations,
                "generators": self.generators,
            },
            "findings": self.findings().iter().map(Finding::json).collect::<Vec<Value>>(),
        });
        format!("{report:#}\n")
    }
}

impl Finding {
    fn json(&self) -> Value {
        let mut value = json!({
            "rule": self.rule.id,
            "severity": self.severity.as_str(),
            "file": self.file,
            "message": self.message,
            "why": self.rule.why,
            "fix": self.fix(),
            "fixable": self.edit.is_some(),
        });
        let Some(map) = value.as_object_mut() else { return value };
        if self.position.line > 0 {
            map.insert("line".to_owned(), self.position.line.into());
        }
        if self.position.column > 0 {
            map.insert("column".to_owned(), self.position.column.into());
        }
        match &self.excerpt {
            None => {}
            Some(Excerpt::Key(key)) => _ = map.insert("key".to_owned(), key.as_str().into()),
            Some(Excerpt::Line { text, .. }) => _ = map.insert("source".to_owned(), text.as_str().into()),
        }
        value
    }
}

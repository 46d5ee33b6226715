//! What was looked at, and what was found.

use serde::Serialize;

use crate::color::Paint;
use crate::error::{Failure, Record};

/// Everything that was looked at, in order.
#[derive(Default)]
pub struct Report {
    checks: Vec<Check>,
}

/// One thing that was looked at. Its texts are fixed words, numbers and printable names.
#[derive(Serialize)]
struct Check {
    about: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What is thought of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It will fail.
    Error,
    /// Good to know.
    Note,
    /// As it should be.
    Ok,
    /// It may fail, or is less safe than it could be.
    Warning,
}

impl Report {
    /// As it should be.
    pub fn ok(&mut self, about: &'static str, message: impl Into<String>) {
        self.add(about, State::Ok, message.into(), None);
    }

    /// Good to know.
    pub fn note(&mut self, about: &'static str, message: impl Into<String>) {
        self.add(about, State::Note, message.into(), None);
    }

    /// It may fail, or is less safe than it could be.
    pub fn warning(&mut self, about: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(about, State::Warning, message.into(), Some(hint.into()));
    }

    /// It will fail.
    pub fn error(&mut self, about: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(about, State::Error, message.into(), Some(hint.into()));
    }

    fn add(&mut self, about: &'static str, state: State, message: String, hint: Option<String>) {
        let hint = hint.filter(|hint| !hint.is_empty());
        self.checks.push(Check { about, state, message, hint });
    }

    /// How many things need attention.
    pub fn findings(&self) -> usize {
        self.checks.iter().filter(|check| matches!(check.state, State::Error | State::Warning)).count()
    }

    /// A paragraph for each subject.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let mut about = "";
        for check in &self.checks {
            if check.about != about {
                about = check.about;
                out.push_str(&format!("{}\n", paint.bold(about)));
            }
            let state = match check.state {
                State::Error => paint.red("error  "),
                State::Note => paint.dim("note   "),
                State::Ok => paint.green("ok     "),
                State::Warning => paint.yellow("warning"),
            };
            out.push_str(&format!("  {state}  {}\n", check.message));
            if let Some(hint) = &check.hint {
                out.push_str(&format!("           {}\n", paint.dim(format!("hint: {hint}"))));
            }
        }
        out.push_str(&match self.findings() {
            0 => "nothing needs attention\n".to_owned(),
            1 => "1 finding needs attention\n".to_owned(),
            count => format!("{count} findings need attention\n"),
        });
        out
    }

    /// The same for programs.
    ///
    /// # Errors
    /// None that is known.
    pub fn json(&self) -> Result<String, Record> {
        #[derive(Serialize)]
        struct Whole<'a> {
            findings: usize,
            checks: &'a [Check],
        }
        let whole = Whole { findings: self.findings(), checks: &self.checks };
        let text = serde_json::to_string_pretty(&whole)
            .map_err(|_| Record::new(Failure::Internal, "the report could not be written as JSON"))?;
        Ok(text + "\n")
    }
}

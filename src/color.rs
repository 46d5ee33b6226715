//! Colours of reports: where a person reads, and nowhere else.

use std::fmt::Display;

use crate::environment::Environment;

/// What `--color` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Even into files and pipes
    Always,
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Not at all
    Never,
}

/// Puts colours around text, or leaves it as it is. The text is fit for a terminal already: fixed words or
/// [`Printable`](crate::text::Printable).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    is_on: bool,
}

impl ColorChoice {
    /// Decides, once for a report. `is_terminal` is about the stream that the report goes to.
    ///
    /// Source: no-color.org (set and not empty).
    pub fn paint(self, environment: &Environment, is_terminal: bool) -> Paint {
        let is_unwanted = environment.var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || environment.var("TERM") == Some("dumb");
        Paint {
            is_on: match self {
                Self::Always => true,
                Self::Auto => is_terminal && !is_unwanted,
                Self::Never => false,
            },
        }
    }
}

impl Paint {
    /// What matters: a file, a heading.
    pub fn bold(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// What may be overlooked: lines of a tree, sources, hints.
    pub fn dim(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    /// Wrong.
    pub fn red(self, text: impl Display) -> String {
        self.wrap("31", text)
    }

    /// Well.
    pub fn green(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// To be looked at, or not known.
    pub fn yellow(self, text: impl Display) -> String {
        self.wrap("33", text)
    }

    /// A name.
    pub fn cyan(self, text: impl Display) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_on(choice: ColorChoice, variables: &[(&str, &str)], is_terminal: bool) -> bool {
        let environment = Environment::new(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())), None);
        choice.paint(&environment, is_terminal).red("x") != "x"
    }

    #[test]
    fn colours_only_where_a_person_reads_them() {
        assert!(is_on(ColorChoice::Auto, &[("NO_COLOR", ""), ("TERM", "xterm")], true));
        assert!(!is_on(ColorChoice::Auto, &[], false));
        assert!(!is_on(ColorChoice::Auto, &[("NO_COLOR", "1")], true));
        assert!(!is_on(ColorChoice::Auto, &[("TERM", "dumb")], true));
        assert!(!is_on(ColorChoice::Never, &[], true));
        assert!(is_on(ColorChoice::Always, &[("NO_COLOR", "1")], false));
    }
}

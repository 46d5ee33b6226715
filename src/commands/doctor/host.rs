//! kustomize and kubectl.

use super::printable;
use super::report::Report;
use crate::commands::{build, programs};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::limits;
use crate::process;
use crate::text::Printable;

const ABOUT: &str = "kustomize";

/// The oldest version that works.
const OLDEST: (u64, u64) = (5, 0);

/// Looks for kustomize and asks for its version.
pub fn look(env: &Environment, deadline: Deadline, report: &mut Report) {
    let own = process::executable().map(|path| printable(&path).to_string()).unwrap_or_default();
    report.ok("program", format!("unsops {} at {own}", env!("CARGO_PKG_VERSION")));
    match programs::find("kustomize", env) {
        None => report.warning(ABOUT, "not on PATH", build::INSTALL),
        Some(path) => match build::version(&path, deadline.at_most(limits::VERSION_TIME, env)) {
            None => report.error(ABOUT, format!("{} does not say its version", printable(&path)), build::INSTALL),
            Some(text) => judge(&printable(&path), &text, report),
        },
    }
    if let Some(path) = programs::find("kubectl", env) {
        report.note(
            ABOUT,
            format!("{}: kubectl kustomize runs legacy plugins only, it has no --enable-exec", printable(&path)),
        );
    }
}

fn judge(path: &Printable, text: &str, report: &mut Report) {
    let shown = Printable::new(text.trim());
    match version_in(text) {
        Some(version) if version < OLDEST => {
            report.error(ABOUT, format!("{path} is too old: {shown}"), build::INSTALL);
        }
        Some(_) => report.ok(ABOUT, format!("{path}, {shown}")),
        None => report.warning(ABOUT, format!("{path} has a version that is not understood: {shown}"), build::INSTALL),
    }
}

/// `v5.8.1`; before 5.0 `{Version:kustomize/v4.5.7 GitCommit:…}`.
fn version_in(text: &str) -> Option<(u64, u64)> {
    let number = text.split('v').skip(1).find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_that_kustomize_prints() {
        for (text, want) in [
            ("v5.8.1\n", Some((5, 8))),
            ("{Version:kustomize/v4.5.7 GitCommit:x BuildDate:y}", Some((4, 5))),
            ("{kustomize/v5.0.0  2023-02-01T00:00:00Z   }", Some((5, 0))),
            ("(devel)\n", None),
            ("", None),
            ("v99999999999999999999.1", None),
        ] {
            assert_eq!(version_in(text), want, "{text}");
        }
    }
}

//! Makes a failure fit for Argo CD's user interface: no path of this very run, and short.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::environment::Environment;
use crate::error::{Error, Record};
use crate::jail::Root;
use crate::limits;
use crate::text::Printable;

/// What `unsops build` says of its flags, and what is true of a sidecar.
const FLAGS: [(&str, &str); 4] = [
    (
        "the operator can set another root with --root or UNSOPS_ROOT",
        "the repository bounds an Application; with the annotation argocd.argoproj.io/manifest-generate-paths, the common \
         directory of its paths does",
    ),
    (
        "or the operator allows it with --allow-remote",
        "or the operator allows it: UNSOPS_ALLOW_REMOTE=1 in the sidecar",
    ),
    ("; or the operator allows it with --allow-exec", ""),
    ("; the operator can allow others with --allow-exec", ""),
];

/// Longest line of a report, in characters.
const LINE_CHARS: usize = 400;

/// Replaces paths of this run and cuts the report down to [`limits::CMP_REPORT_BYTES`]; what is left out is counted.
pub fn shorten(error: Error, env: &Environment) -> Error {
    let paths = Paths::of(env);
    let class = error.failure();
    let mut records: Vec<Record> = error.into_records().into_iter().map(|record| tidy(record, &paths)).collect();
    // The record that decides the exit code stays whatever else goes.
    let telling = records.iter().position(|record| record.failure == class).unwrap_or(0);
    records.rotate_left(telling);
    let (mut left_out, mut lines_left_out) = (0_usize, 0_usize);
    loop {
        let Some(error) = Error::collect(with_counts(&records, left_out, lines_left_out)) else {
            return Record::new(class, "failed").into();
        };
        if error.report().len() <= limits::CMP_REPORT_BYTES {
            return error;
        }
        if records.len() > 1 {
            records.pop();
            left_out = left_out.saturating_add(1);
        } else if let Some(record) = records.first_mut()
            && (record.details.pop().or_else(|| record.hints.pop())).is_some()
        {
            lines_left_out = lines_left_out.saturating_add(1);
        } else {
            return error;
        }
    }
}

/// Copies of the records, the last one with a line that says what is missing.
fn with_counts(records: &[Record], left_out: usize, lines_left_out: usize) -> Vec<Record> {
    let mut copies: Vec<Record> = records
        .iter()
        .map(|record| Record {
            failure: record.failure,
            subject: record.subject.clone(),
            message: record.message.clone(),
            details: record.details.clone(),
            hints: record.hints.clone(),
        })
        .collect();
    if let Some(last) = copies.last_mut() {
        for (count, of) in [(lines_left_out, "lines"), (left_out, "failures")] {
            if count > 0 {
                last.details.push(format!("and {count} more {of}; `unsops build` in a checkout shows everything"));
            }
        }
    }
    copies
}

fn tidy(record: Record, paths: &Paths) -> Record {
    let line = |text: String| cut(&paths.replace(&text));
    Record {
        failure: record.failure,
        subject: record.subject.map(|subject| Printable::new(&paths.replace(subject.as_str()))),
        message: line(record.message),
        details: record.details.into_iter().map(line).collect(),
        hints: record.hints.into_iter().map(|hint| line(without_flags(hint))).collect(),
    }
}

fn without_flags(hint: String) -> String {
    FLAGS.iter().fold(hint, |hint, (flag, instead)| hint.replace(flag, instead))
}

fn cut(text: &str) -> String {
    let mut line: String = text.chars().take(LINE_CHARS).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

/// Directories of this run, longest first, and what is shown in their place.
struct Paths(Vec<(String, &'static str)>);

impl Paths {
    fn of(env: &Environment) -> Self {
        let mut paths = Vec::new();
        if let Ok(root) = Root::discover(env) {
            paths.extend([(text_of(root.path()), "the repository")]);
        }
        paths.extend(env.current_dir().map(|dir| (text_of(dir), "the application")));
        let temporary = env.non_empty("TMPDIR").map_or_else(|| "/tmp".to_owned(), ToOwned::to_owned);
        paths.push((temporary, "$TMPDIR"));
        paths.retain(|(path, _)| path.len() > 1);
        Self(paths)
    }

    fn replace(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, name) in &self.0 {
            if *name != "$TMPDIR" {
                text = text.replace(&format!("{path}/"), "");
            }
            text = text.replace(path.as_str(), name);
        }
        text
    }
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    fn env(dir: &Path) -> Environment {
        Environment::new([], Some(dir.to_owned()))
    }

    fn streamed() -> (tempfile::TempDir, std::path::PathBuf) {
        let world = tempfile::tempdir().unwrap();
        let app = world.path().join("_cmp_server/6f1c/apps/one");
        std::fs::create_dir_all(&app).unwrap();
        (world, app)
    }

    #[test]
    fn paths_of_the_run_become_paths_of_the_repository() {
        let (_world, app) = streamed();
        let message =
            format!("cannot read {}/x.yaml in {}", app.display(), app.parent().unwrap().parent().unwrap().display());
        let error = shorten(Record::new(Failure::File, message).into(), &env(&app));
        assert_eq!(error.report(), "unsops: error: cannot read apps/one/x.yaml in the repository\n");
    }

    #[test]
    fn report_stays_short_and_keeps_the_failure_that_decides() {
        let (_world, app) = streamed();
        let mut records: Vec<Record> = (0..500)
            .map(|n| {
                Record::new(Failure::File, format!("no such file {n}")).about("a".into()).hint(format!("hint {n}"))
            })
            .collect();
        records.push(Record::new(Failure::Integrity, "does not verify").about("b".into()));
        let error = shorten(Error::collect(records).unwrap(), &env(&app));
        let report = error.report();
        assert!(report.len() <= limits::CMP_REPORT_BYTES, "{}", report.len());
        assert_eq!(error.failure(), Failure::Integrity);
        assert!(report.starts_with("unsops: error: b: does not verify\n"), "{report}");
        assert!(report.contains(" more failures"), "{report}");
    }

    #[test]
    fn one_long_record_is_cut_by_lines() {
        let (_world, app) = streamed();
        let mut record = Record::new(Failure::Key, "x".repeat(5000));
        record.details = vec!["é".repeat(3000); 100];
        let report = shorten(record.into(), &env(&app)).report();
        assert!(report.len() <= limits::CMP_REPORT_BYTES, "{}", report.len());
        assert!(report.contains(" more lines"), "{report}");
    }
}

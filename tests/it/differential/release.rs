//! Files of an older release, through its command line: it types and prints some values differently.

use std::path::Path;

use unsops::sops::Format;

use super::pair::{Pair, Verdict, class, side_by_side};
use super::{FORMATS, Report, documents, recipients, shrink, with_pair};
use crate::harness::{Case, tool};
use crate::oracle::Options;

const NOT_BY_ITS_WRITER: &str = "not encrypted by its writer";

/// What became of a plaintext.
enum Outcome {
    /// Not encrypted, or read as its writer reads it.
    Good(&'static str),
    /// Why it is not.
    Failure(String),
}

#[test]
fn decrypts_what_sops_3_8_1_encrypts() {
    let Some(program) = tool("sops-3.8.1") else { return };
    with_pair(|pair| {
        let recipients = recipients();
        let mut report = Report::new("encrypted by sops 3.8.1", 150);
        while let Some((case, mut rng)) = report.next() {
            let format = rng.pick(&FORMATS);
            let text = documents::random(&mut rng, format).text();
            let options = documents::options(&mut rng, format, &recipients);
            match compare(pair, &program, format, &text, &options) {
                Outcome::Good(what) => report.count(format, what, None),
                Outcome::Failure(reason) => {
                    let kind = format!("{} {}", format.name(), class(reason.lines().next().unwrap_or_default()));
                    if report.findings.contains_key(&kind) {
                        continue;
                    }
                    let smallest = shrink::text(&text, |text| {
                        matches!(compare(pair, &program, format, text, &options), Outcome::Failure(_))
                    });
                    let text = format!(
                        "UNSOPS_DIFF_SEED={} case {case}, {}: {reason}\n{options:?}\n{:?}",
                        report.seed,
                        format.name(),
                        String::from_utf8_lossy(&smallest)
                    );
                    report.findings.insert(kind, text);
                }
            }
        }
        report.finish(5);
    });
}

/// The release encrypts; sops 3.13.3 decrypts, or where it refuses that release itself.
fn compare(pair: &mut Pair<'_>, program: &Path, format: Format, text: &[u8], options: &Options) -> Outcome {
    let name = match format {
        Format::Binary => "file.bin",
        Format::Dotenv => "file.env",
        Format::Ini => "file.ini",
        Format::Json => "file.json",
        Format::Yaml => "file.yaml",
    };
    // On an anchor that holds itself that release fills a gigabyte of stack.
    if pair.oracle.print(format, text).is_err_and(|error| error == "died" || error.contains("contains itself")) {
        return Outcome::Good(NOT_BY_ITS_WRITER);
    }
    let rules = [
        ("--encrypted-regex", &options.encrypted_regex),
        ("--unencrypted-regex", &options.unencrypted_regex),
        ("--encrypted-suffix", &options.encrypted_suffix),
        ("--unencrypted-suffix", &options.unencrypted_suffix),
    ];
    let mut encrypt = Case::new().file(name, text).args(["--encrypt", "--age"]).arg(&options.groups[0][0]);
    for (flag, value) in rules.into_iter().filter(|(_, value)| !value.is_empty()) {
        encrypt = encrypt.arg(flag).arg(value);
    }
    let encrypted = encrypt.arg(name).run_unchecked(program);
    if encrypted.status != Some(0) {
        return Outcome::Good(NOT_BY_ITS_WRITER);
    }
    let file = encrypted.stdout;
    let own = || {
        let case = Case::new().key("age.txt").file(name, &file).args(["--decrypt", name]);
        let run = case.run_unchecked(program);
        (run.status == Some(0)).then_some(run.stdout)
    };
    let theirs = pair.oracle.decrypt(format, &file);
    match (pair.judge_file(format, &file, &theirs), pair.decrypt(format, &file)) {
        (Verdict::Same, _) => Outcome::Good(super::SAME),
        (Verdict::Listed(_), _) => Outcome::Good(super::LISTED),
        (Verdict::Refused(_), _) if own().is_none() => Outcome::Good("read by nobody"),
        (Verdict::Refused(classes), _) => Outcome::Failure(format!("its writer reads it, nobody else: {classes}")),
        (Verdict::Finding { .. }, Ok((ours, _))) if theirs.is_err() => match own() {
            // The final newline of JSON came with 3.10.
            Some(own) if ours == own || ours == [&own[..], b"\n"].concat() => {
                Outcome::Good("refused by sops 3.13.3, same as its writer")
            }
            // The printer of that release drops leading line breaks, among others: values it prints wrongly itself.
            Some(own) if pair.oracle.is_same(format, &ours, &own) => Outcome::Good("same content as its writer"),
            Some(own) => Outcome::Failure(format!("other bytes than its writer\n{}", side_by_side(&ours, &own))),
            None => Outcome::Good("read only here"),
        },
        (Verdict::Finding { kind, reason }, _) => Outcome::Failure(format!("{kind}\n{reason}")),
    }
}

//! The real sops encrypts random documents; what we decrypt must be what it decrypts, byte for byte, and what it refuses
//! after tampering we refuse too.
//!
//! `UNSOPS_DIFF_SEED` (decimal or 0x…) chooses the documents, `UNSOPS_DIFF_CASES` or `UNSOPS_DIFF_SECONDS` how many.
//! A failure prints seed and case, the smallest document that shows it, and the command that repeats it. The seed does not
//! choose the initialisation vectors, which sops draws itself: so the encrypted file is printed too.

mod documents;
pub mod rng;
mod tamper;
mod upstream;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use unsops::environment::Environment;
use unsops::keys::{KeyPolicy, Keyring};
use unsops::sops::{self, Format, Reading, SopsError};

use self::documents::Document;
use self::rng::Rng;
use crate::fixtures::identities;
use crate::harness::{Case, tool};
use crate::oracle::{Options, Oracle};

const FORMATS: [Format; 8] =
    [Format::Yaml, Format::Yaml, Format::Yaml, Format::Yaml, Format::Json, Format::Ini, Format::Dotenv, Format::Binary];

/// How long a test goes on: `UNSOPS_DIFF_CASES` of each, else `UNSOPS_DIFF_SECONDS`, else its share of a minute.
enum Budget {
    Cases(u64),
    Until(Instant),
}

impl Budget {
    fn new(share_s: u64) -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        match (number("UNSOPS_DIFF_CASES"), number("UNSOPS_DIFF_SECONDS")) {
            (Some(cases), _) => Self::Cases(cases),
            (None, seconds) => Self::Until(Instant::now() + Duration::from_secs(seconds.unwrap_or(share_s))),
        }
    }

    fn is_spent(&self, case: u64) -> bool {
        match self {
            Self::Cases(cases) => case >= *cases,
            Self::Until(end) => Instant::now() >= *end,
        }
    }
}

fn seed() -> u64 {
    let text = std::env::var("UNSOPS_DIFF_SEED").unwrap_or_else(|_| "1".to_owned());
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.expect("UNSOPS_DIFF_SEED is a number")
}

fn recipients() -> Vec<String> {
    let recipient = |file| {
        let text = identities(&[file]);
        let line = text.lines().find_map(|line| line.strip_prefix("# public key: ").map(str::to_owned));
        line.expect("a public key")
    };
    ["age.txt", "age-2.txt", "age-3.txt"].map(recipient).to_vec()
}

/// Counts by kind, printed past libtest's capture when a test ends.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn print(&self, title: &str) {
        let mut text = format!("\n{title}:\n");
        for (what, count) in &self.0 {
            text.push_str(&format!("  {count:7}  {what}\n"));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The first failure of each kind, so that one run shows them all.
#[derive(Default)]
struct Findings(BTreeMap<String, String>);

impl Findings {
    /// `describe` is asked only for a new kind.
    fn add(&mut self, kind: String, describe: impl FnOnce() -> String) {
        if self.0.len() < 20 {
            self.0.entry(kind).or_insert_with(describe);
        }
    }

    #[track_caller]
    fn report(&self) {
        let all: Vec<_> = self.0.values().map(String::as_str).collect();
        assert!(all.is_empty(), "{} kinds of failure:\n\n{}", all.len(), all.join("\n\n"));
    }
}

/// The real sops and us, on the same file.
struct Pair<'env> {
    oracle: Oracle,
    keyring: Keyring<'env>,
}

/// What became of an untampered file.
enum Outcome {
    /// sops does not encrypt this document.
    Rejected(String),
    Same,
    /// sops itself does not read or print its own file rightly.
    OracleErrs(String),
    Failure(String),
}

impl Pair<'_> {
    fn ours(&self, format: Format, file: &[u8]) -> Result<(Vec<u8>, Reading), String> {
        match sops::decrypt(file, format, &self.keyring) {
            Ok(cleartext) => match cleartext.text() {
                Ok(text) => Ok((text.into_owned().into_exposed(), cleartext.reading())),
                Err(reason) => Err(format!("cannot print: {reason}")),
            },
            Err(error) => {
                let kind = match error {
                    SopsError::Format { .. } => "format",
                    SopsError::Integrity { .. } => "integrity",
                    SopsError::Key(_) => "key",
                };
                Err(format!("{kind}: {error}"))
            }
        }
    }

    /// Other bytes are right only where sops' own text is wrong: where it is not true to the content of the file and
    /// ours is, or where it shows a bug that is known.
    fn judge_bytes(&mut self, format: Format, file: &[u8], ours: &[u8], theirs: &[u8]) -> Outcome {
        let is_misprint = upstream::is_misprint(ours, theirs)
            || self.oracle.is_true_to(format, file, ours) && !self.oracle.is_true_to(format, file, theirs);
        if is_misprint {
            return Outcome::OracleErrs("printed wrongly by sops, rightly here".to_owned());
        }
        Outcome::Failure(format!("other bytes\n{}", side_by_side(ours, theirs)))
    }

    fn compare(&mut self, format: Format, document: &Document, options: &Options) -> (Outcome, Vec<u8>) {
        let file = match self.oracle.encrypt(format, &document.text(), options) {
            Ok(file) => file,
            Err(reason) => return (Outcome::Rejected(reason), Vec::new()),
        };
        let outcome = match (self.ours(format, &file), self.oracle.decrypt(format, &file)) {
            (Ok((ours, _)), Ok(theirs)) if ours == theirs => Outcome::Same,
            (Ok((ours, _)), Ok(theirs)) => self.judge_bytes(format, &file, &ours, &theirs),
            (Ok(_), Err(reason)) => Outcome::OracleErrs(format!("not read back by sops, but here: {}", class(&reason))),
            (Err(_), Err(reason)) => Outcome::OracleErrs(format!("read back by nobody: {}", class(&reason))),
            (Err(reason), Ok(_)) => Outcome::Failure(format!("only we refuse: {reason}")),
        };
        (outcome, file)
    }
}

/// The smallest document that still fails, with the file and the reason.
fn smallest(mut document: Document, mut check: impl FnMut(&Document) -> (Outcome, Vec<u8>)) -> String {
    let (Outcome::Failure(mut reason), mut file) = check(&document) else {
        return format!("passes when repeated:\n{}", String::from_utf8_lossy(&document.text()));
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    'smaller: while Instant::now() < deadline {
        for candidate in document.smaller() {
            if let (Outcome::Failure(why), made) = check(&candidate) {
                (document, file, reason) = (candidate, made, why);
                continue 'smaller;
            }
        }
        break;
    }
    let (text, file) = (document.text(), String::from_utf8_lossy(&file).into_owned());
    format!("{reason}\ndocument: {0:?}\n{0}\nfile:\n{file}", String::from_utf8_lossy(&text))
}

fn side_by_side(ours: &[u8], theirs: &[u8]) -> String {
    format!("ours:   {:?}\ntheirs: {:?}", String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs))
}

/// Runs a check with the oracle and our keyring, unless the oracle is missing.
fn with_pair(check: impl FnOnce(&mut Pair<'_>)) {
    let Some(mut oracle) = Oracle::start() else { return };
    assert_eq!(oracle.version(), "3.13.3");
    let keys = identities(&["age.txt", "age-2.txt", "age-3.txt"]);
    let environment = Environment::new([("SOPS_AGE_KEY".into(), keys.into())], None);
    let keyring = Keyring::from_environment(&environment, KeyPolicy::default()).expect("a keyring");
    check(&mut Pair { oracle, keyring });
}

/// The random choices of one case.
fn case_rng(seed: u64, case: u64) -> Rng {
    Rng::new(seed.wrapping_mul(0x0100_0000_01b3) ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A class of messages: without quoted values and numbers.
fn class(message: &str) -> String {
    const BEFORE_VALUES: &[&str] =
        &["Input string", "input line", "not found: ", "key name: ", "key quote", "section: ", "value "];
    let end = BEFORE_VALUES.iter().filter_map(|before| Some(message.find(before)? + before.len())).min();
    let message = end.and_then(|end| message.get(..end)).unwrap_or(message);
    let message: String = message.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let mut out = String::new();
    for (index, part) in message.split('"').enumerate() {
        out.push_str(if index % 2 == 0 { part } else { "…" });
    }
    while out.contains("00") {
        out = out.replace("00", "0");
    }
    out.chars().take(100).collect()
}

fn kind(format: Format, reason: &str) -> String {
    format!("{} {}", format.name(), class(reason.lines().next().unwrap_or_default()))
}

#[test]
fn decrypts_what_sops_encrypts_byte_for_byte() {
    with_pair(|pair| {
        let (seed, budget, recipients) = (seed(), Budget::new(30), recipients());
        let (mut tally, mut findings, mut case) = (Tally::default(), Findings::default(), 0);
        while !budget.is_spent(case) {
            let mut rng = case_rng(seed, case);
            let format = rng.pick(&FORMATS);
            let (document, options) = documents::random(&mut rng, format, &recipients);
            match pair.compare(format, &document, &options).0 {
                Outcome::Same => tally.add(format!("{} same", format.name())),
                Outcome::Rejected(reason) => tally.add(format!("{} not encrypted: {}", format.name(), class(&reason))),
                Outcome::OracleErrs(what) => tally.add(format!("{} {what}", format.name())),
                Outcome::Failure(reason) => findings.add(kind(format, &reason), || {
                    let found = smallest(document, |document| pair.compare(format, document, &options));
                    format!("UNSOPS_DIFF_SEED={seed} case {case}, {}, {options:?}\n{found}", format.name())
                }),
            }
            case += 1;
        }
        tally.print(&format!("differential, {case} documents from seed {seed}"));
        findings.report();
        let same: u64 = tally.0.iter().filter(|(what, _)| what.ends_with(" same")).map(|(_, count)| count).sum();
        assert!(same * 2 > case, "most documents should be encrypted, only {same} of {case} were");
    });
}

#[test]
fn refuses_tampered_files_as_sops_does() {
    with_pair(|pair| {
        let (seed, budget, recipients) = (seed(), Budget::new(25), recipients());
        let (mut tally, mut findings, mut case) = (Tally::default(), Findings::default(), 0);
        while !budget.is_spent(case) {
            let mut rng = case_rng(!seed, case);
            let format = rng.pick(&FORMATS);
            let (document, options) = documents::random(&mut rng, format, &recipients);
            case += 1;
            let (Outcome::Same, file) = pair.compare(format, &document, &options) else { continue };
            for _ in 0..4 {
                let (what, tampered) = tamper::random(&mut rng, &file);
                if tampered == file {
                    continue;
                }
                let ours = pair.ours(format, &tampered);
                let theirs = pair.oracle.decrypt(format, &tampered);
                match tamper::judge(&ours, &theirs) {
                    Ok(verdict) => tally.add(format!("{what}: {verdict}")),
                    Err(reason) => findings.add(kind(format, &reason), || {
                        format!(
                            "UNSOPS_DIFF_SEED={seed} case {}, {}, {what}: {reason}\noriginal:\n{}\nchanged:\n{}",
                            case - 1,
                            format.name(),
                            String::from_utf8_lossy(&file),
                            tamper::changed_lines(&file, &tampered),
                        )
                    }),
                }
            }
        }
        tally.print(&format!("tampering, {case} files from seed {seed}"));
        findings.report();
    });
}

/// Through the command line of an older release, which types and prints some values differently.
#[test]
fn decrypts_what_sops_3_8_1_encrypts() {
    let Some(program) = tool("sops-3.8.1") else { return };
    with_pair(|pair| {
        let (seed, budget, recipients) = (seed(), Budget::new(8), recipients());
        let (mut tally, mut findings, mut case) = (Tally::default(), Findings::default(), 0);
        while !budget.is_spent(case) {
            let mut rng = case_rng(seed ^ 0x381, case);
            let format = rng.pick(&FORMATS);
            let (document, options) = documents::random(&mut rng, format, &recipients);
            match pair.compare_with_release(&program, format, &document, &options).0 {
                Outcome::Same => tally.add(format!("{} same", format.name())),
                Outcome::Rejected(_) => tally.add(format!("{} not encrypted", format.name())),
                Outcome::OracleErrs(who) => tally.add(format!("{} {who}", format.name())),
                Outcome::Failure(reason) => findings.add(kind(format, &reason), || {
                    let check = |document: &Document| pair.compare_with_release(&program, format, document, &options);
                    let found = smallest(document, check);
                    format!("UNSOPS_DIFF_SEED={seed} case {case}, {}, {options:?}\n{found}", format.name())
                }),
            }
            case += 1;
        }
        tally.print(&format!("sops 3.8.1, {case} documents from seed {seed}"));
        findings.report();
    });
}

impl Pair<'_> {
    /// A release's executable encrypts; sops 3.13.3 decrypts, or where it refuses that release itself.
    fn compare_with_release(
        &mut self,
        program: &Path,
        format: Format,
        document: &Document,
        options: &Options,
    ) -> (Outcome, Vec<u8>) {
        let name = match format {
            Format::Binary => "file.bin",
            Format::Dotenv => "file.env",
            Format::Ini => "file.ini",
            Format::Json => "file.json",
            Format::Yaml => "file.yaml",
        };
        let rules = [
            ("--encrypted-regex", &options.encrypted_regex),
            ("--unencrypted-regex", &options.unencrypted_regex),
            ("--encrypted-suffix", &options.encrypted_suffix),
            ("--unencrypted-suffix", &options.unencrypted_suffix),
        ];
        let mut encrypt =
            Case::new().file(name, document.text()).args(["--encrypt", "--age"]).arg(&options.groups[0][0]);
        for (flag, value) in rules.into_iter().filter(|(_, value)| !value.is_empty()) {
            encrypt = encrypt.arg(flag).arg(value);
        }
        let encrypted = encrypt.arg(name).run_unchecked(program);
        if encrypted.status != Some(0) {
            return (Outcome::Rejected("by its writer".to_owned()), Vec::new());
        }
        let file = encrypted.stdout;
        let own = || {
            let case = Case::new().key("age.txt").file(name, &file).args(["--decrypt", name]);
            let run = case.run_unchecked(program);
            (run.status == Some(0)).then_some(run.stdout)
        };
        let outcome = match (self.ours(format, &file), self.oracle.decrypt(format, &file)) {
            (Ok((ours, _)), Ok(theirs)) if ours == theirs => Outcome::Same,
            (Ok((ours, _)), Ok(theirs)) => self.judge_bytes(format, &file, &ours, &theirs),
            (Ok((ours, _)), Err(reason)) => match own() {
                // The final newline of JSON came with 3.10.
                Some(own) if ours == own || ours == [&own[..], b"\n"].concat() => {
                    Outcome::OracleErrs(format!("refused by sops 3.13.3, same as its writer: {}", class(&reason)))
                }
                // The printer of that release drops leading line breaks, among others: values it prints wrongly itself.
                Some(_) => Outcome::OracleErrs("refused by sops 3.13.3, printed otherwise by its writer".to_owned()),
                None => Outcome::OracleErrs(format!("read only here: {}", class(&reason))),
            },
            (Err(reason), Ok(_)) => Outcome::Failure(format!("only we refuse: {reason}")),
            (Err(reason), Err(_)) => match own() {
                Some(_) => Outcome::Failure(format!("its writer reads it, we refuse: {reason}")),
                None => Outcome::OracleErrs(format!("read by nobody: {}", class(&reason))),
            },
        };
        (outcome, file)
    }
}

//! The real sops encrypts, decrypts and prints random documents and changed ones; what we make of them must be the same,
//! byte for byte, and what it refuses we refuse too. Where we differ on purpose, `tests/differences.md` has a row.
//!
//! `UNSOPS_DIFF_SEED` (decimal or 0x…) chooses the documents, `UNSOPS_DIFF_CASES` or `UNSOPS_DIFF_SECONDS` how many; the
//! seed chooses the initialisation vectors too, so that a case is the same in every run. A failure prints seed and case,
//! the smallest text that shows it, and what both programs say.

mod differences;
mod documents;
mod examples;
mod godotenv;
mod mutate;
mod pair;
mod patterns;
mod release;
pub mod rng;
mod shrink;
mod upstream;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::time::{Duration, Instant};

use unsops::environment::Environment;
use unsops::keys::{KeyPolicy, Keyring};
use unsops::sops::Format;

use self::pair::{Pair, Verdict};
use self::rng::Rng;
use crate::endurance::figure;
use crate::fixtures::identities;
use crate::oracle::{Encrypted, Options, Oracle, Ticket};

const FORMATS: [Format; 8] =
    [Format::Yaml, Format::Yaml, Format::Yaml, Format::Yaml, Format::Json, Format::Ini, Format::Dotenv, Format::Binary];

/// Changed copies of each file.
const COPIES: usize = 12;

/// Documents that the oracle works on while we look at an earlier one.
const AHEAD: usize = 16;

/// When a test ends: after `UNSOPS_DIFF_CASES`, or `UNSOPS_DIFF_SECONDS`, else after as many documents as the test says,
/// or ten seconds on a slow machine.
enum Budget {
    Cases(u64),
    Until(Instant),
    Either(u64, Instant),
}

impl Budget {
    fn new(cases: u64) -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        match (number("UNSOPS_DIFF_CASES"), number("UNSOPS_DIFF_SECONDS")) {
            (Some(cases), _) => Self::Cases(cases),
            (None, Some(seconds)) => Self::Until(after(seconds)),
            (None, None) => Self::Either(cases, after(10)),
        }
    }

    fn is_spent(&self, case: u64) -> bool {
        match self {
            Self::Cases(cases) => case >= *cases,
            Self::Until(end) => Instant::now() >= *end,
            Self::Either(cases, end) => case >= *cases || Instant::now() >= *end,
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

/// What a test found, printed past libtest's capture when it ends.
struct Report {
    name: &'static str,
    seed: u64,
    start: Instant,
    budget: Budget,
    /// Cases that were begun.
    cases: u64,
    /// By format and outcome.
    outcomes: BTreeMap<(&'static str, &'static str), u64>,
    /// Details of an outcome.
    details: BTreeMap<String, u64>,
    /// The first finding of each kind, so that one run shows them all.
    findings: BTreeMap<String, String>,
}

const SAME: &str = "same bytes";
const REFUSED: &str = "refused by both";
const LISTED: &str = "differ as listed";
const FOUND: &str = "DIFFER";
const NOT_ENCRYPTED: &str = "not encrypted by sops";

impl Report {
    fn new(name: &'static str, cases: u64) -> Self {
        let (outcomes, details, findings) = Default::default();
        Self {
            name,
            seed: seed(),
            start: Instant::now(),
            budget: Budget::new(cases),
            cases: 0,
            outcomes,
            details,
            findings,
        }
    }

    /// The random choices of the next case, unless enough was done.
    fn next(&mut self) -> Option<(u64, Rng)> {
        let case = self.cases;
        if self.budget.is_spent(case) {
            return None;
        }
        self.cases += 1;
        Some((case, case_rng(self.seed, case)))
    }

    fn count(&mut self, format: Format, outcome: &'static str, detail: Option<String>) {
        *self.outcomes.entry((format.name(), outcome)).or_default() += 1;
        if let Some(detail) = detail {
            *self.details.entry(format!("{outcome}: {detail}")).or_default() += 1;
        }
    }

    /// Counts a verdict; `Some` kind where it is a finding that is not known yet.
    fn add(&mut self, format: Format, verdict: Verdict, label: &str) -> Option<(String, String)> {
        let label = if label.is_empty() { String::new() } else { format!(" after {label}") };
        match verdict {
            Verdict::Same => self.count(format, SAME, (!label.is_empty()).then(|| label.trim_start().to_owned())),
            Verdict::Refused(class) => self.count(format, REFUSED, Some(class)),
            Verdict::Listed(name) => self.count(format, LISTED, Some(name.to_owned())),
            Verdict::Finding { kind, reason } => {
                self.count(format, FOUND, None);
                if self.findings.len() < 20 && !self.findings.contains_key(&kind) {
                    return Some((kind, reason));
                }
            }
        }
        None
    }

    /// As [`Self::add`], for a file that sops made; keeps what is found.
    fn add_plain(&mut self, pair: &mut Pair<'_>, plain: &Plain, verdict: Verdict) {
        if let Some((kind, reason)) = self.add(plain.format, verdict, "") {
            let smallest = plain.smallest(pair, &kind);
            let format = plain.format.name();
            let text = format!("UNSOPS_DIFF_SEED={} case {}, {format}: {reason}\n{smallest}", self.seed, plain.case);
            self.findings.insert(kind, text);
        }
    }

    fn total(&self, outcome: &str) -> u64 {
        self.outcomes.iter().filter(|((_, name), _)| *name == outcome).map(|(_, count)| count).sum()
    }

    fn compared(&self) -> u64 {
        [SAME, REFUSED, LISTED, FOUND].map(|outcome| self.total(outcome)).iter().sum()
    }

    /// Prints all counts; fails where there are findings, or where too little was compared (`floor`).
    #[track_caller]
    fn finish(self, floor: u64) {
        let (compared, seconds) = (self.compared(), self.start.elapsed().as_secs_f64());
        let per_minute = compared as f64 / seconds * 60.0;
        let summary = format!(
            "seed {}: {compared} documents compared ({per_minute:.0} a minute): {} same, {} refused by both, {} differ as listed, {} differ",
            self.seed,
            self.total(SAME),
            self.total(REFUSED),
            self.total(LISTED),
            self.total(FOUND)
        );
        let mut text = format!("\n{}, {summary}\n", self.name);
        for ((format, outcome), count) in &self.outcomes {
            text.push_str(&format!("  {count:8}  {format:7} {outcome}\n"));
        }
        let mut details: Vec<_> = self.details.iter().collect();
        details.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let shown = if std::env::var_os("UNSOPS_DIFF_DETAILS").is_some() { usize::MAX } else { 25 };
        for (detail, count) in details.iter().take(shown) {
            text.push_str(&format!("  {count:8}    {detail}\n"));
        }
        if details.len() > shown {
            text.push_str(&format!("            and {} more (UNSOPS_DIFF_DETAILS=1)\n", details.len() - shown));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
        figure(&summary);
        let all: Vec<_> = self.findings.values().map(String::as_str).collect();
        assert!(all.is_empty(), "{} kinds of disagreement:\n\n{}", all.len(), all.join("\n\n"));
        assert!(compared >= floor, "only {compared} documents compared, not {floor}");
    }
}

/// Runs a check with the oracle and our keyring, unless the oracle is missing.
fn with_pair(check: impl FnOnce(&mut Pair<'_>)) {
    let Some(mut oracle) = Oracle::start() else { return };
    assert_eq!(oracle.version(), "3.13.3");
    let keys = identities(&["age.txt", "age-2.txt", "age-3.txt"]);
    let environment = Environment::new([("SOPS_AGE_KEY".into(), keys.into())], None);
    let keyring = Keyring::from_environment(&environment, KeyPolicy::default()).expect("a keyring");
    check(&mut Pair::new(oracle, keyring));
}

/// The random choices of one case.
fn case_rng(seed: u64, case: u64) -> Rng {
    Rng::new(seed.wrapping_mul(0x0100_0000_01b3) ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A plaintext to be encrypted.
struct Plain {
    case: u64,
    rng: Rng,
    format: Format,
    text: Vec<u8>,
    options: Options,
}

impl Plain {
    /// Asks sops to encrypt it.
    fn ask(&self, pair: &mut Pair<'_>) -> Ticket {
        pair.oracle.ask_encrypt(self.format, &self.text, &self.options, self.case)
    }

    /// The smallest text and the fewest options that show the same kind of disagreement.
    fn smallest(&self, pair: &mut Pair<'_>, kind: &str) -> String {
        let format = self.format;
        let mut judge = |text: &[u8], options: &Options| {
            let encrypted = pair.oracle.encrypt(format, text, options, self.case).ok()?;
            match pair.judge_file(format, &encrypted.file, &encrypted.decrypted) {
                Verdict::Finding { kind: found, reason } if found == kind => Some((encrypted.file, reason)),
                _ => None,
            }
        };
        let options = shrink::options(&self.options, |options| judge(&self.text, options).is_some());
        let text = shrink::text(&self.text, |text| judge(text, &options).is_some());
        match judge(&text, &options) {
            Some((file, reason)) => format!(
                "{reason}\nplaintext: {:?}\n{options:?}\nfile:\n{}",
                String::from_utf8_lossy(&text),
                String::from_utf8_lossy(&file)
            ),
            None => "not shown when repeated".to_owned(),
        }
    }
}

/// Goes through random plaintexts, encrypted; the oracle works ahead.
fn each_encrypted(
    pair: &mut Pair<'_>,
    report: &mut Report,
    mut make: impl FnMut(u64, Rng) -> Plain,
    mut check: impl FnMut(&mut Pair<'_>, &mut Report, Plain, Encrypted),
) {
    let mut ahead = VecDeque::new();
    loop {
        while ahead.len() < AHEAD
            && let Some((case, rng)) = report.next()
        {
            let plain = make(case, rng);
            let ticket = plain.ask(pair);
            ahead.push_back((plain, ticket));
        }
        let Some((plain, ticket)) = ahead.pop_front() else { break };
        match pair.oracle.encrypted(ticket) {
            Ok(encrypted) => check(pair, report, plain, encrypted),
            Err(reason) => report.count(plain.format, NOT_ENCRYPTED, Some(pair::class(&reason))),
        }
    }
}

#[test]
fn decrypts_what_sops_encrypts_byte_for_byte() {
    with_pair(|pair| {
        let recipients = recipients();
        let mut report = Report::new("encrypted by sops", 3000);
        let make = |case, mut rng: Rng| {
            let format = rng.pick(&FORMATS);
            let mut text = documents::random(&mut rng, format).text();
            if rng.chance(25) {
                text = mutate::text(&mut rng, format, &text).1;
            }
            let options = documents::options(&mut rng, format, &recipients);
            Plain { case, rng, format, text, options }
        };
        each_encrypted(pair, &mut report, make, |pair, report, plain, encrypted| {
            let verdict = pair.judge_file(plain.format, &encrypted.file, &encrypted.decrypted);
            report.add_plain(pair, &plain, verdict);
        });
        report.finish(200);
    });
}

/// The keys alone.
fn without_rule(options: Options) -> Options {
    Options { groups: options.groups, shamir_threshold: options.shamir_threshold, ..Options::default() }
}

#[test]
fn refuses_tampered_files_as_sops_does() {
    with_pair(|pair| {
        let recipients = recipients();
        let mut report = Report::new("tampered with", 400);
        let make = |case, mut rng: Rng| {
            let format = rng.pick(&FORMATS);
            let text = documents::random(&mut rng, format).text();
            let mut options = documents::options(&mut rng, format, &recipients);
            // So that some changes are harmless: the MAC covers few values.
            if format != Format::Binary && rng.chance(60) {
                let encrypted_regex = rng.pick(&["_enc$", "^data", "[0-4]$"]).to_owned();
                options = Options { encrypted_regex, mac_only_encrypted: true, ..without_rule(options) };
            }
            Plain { case, rng, format, text, options }
        };
        each_encrypted(pair, &mut report, make, |pair, report, mut plain, encrypted| {
            let Plain { format, case, .. } = plain;
            let mut copies = Vec::new();
            for _ in 0..COPIES {
                let (what, text) = mutate::file(&mut plain.rng, format, &encrypted.file);
                if text != encrypted.file {
                    let ticket = pair.oracle.ask_decrypt(format, &text);
                    copies.push((what, text, ticket));
                }
            }
            for (what, text, ticket) in copies {
                let theirs = pair.oracle.answer(ticket);
                let verdict = pair.judge_file(format, &text, &theirs);
                let Some((kind, reason)) = report.add(format, verdict, &what) else { continue };
                let smallest = shrink::text(&text, |text| {
                    let theirs = pair.oracle.decrypt(format, text);
                    let verdict = pair.judge_file(format, text, &theirs);
                    matches!(verdict, Verdict::Finding { kind: found, .. } if found == kind)
                });
                let text = format!(
                    "UNSOPS_DIFF_SEED={} case {case}, {}, {what}: {reason}\nfile:\n{}",
                    report.seed,
                    format.name(),
                    String::from_utf8_lossy(&smallest)
                );
                report.findings.insert(kind, text);
            }
        });
        report.finish(200);
    });
}

/// The readers and printers of the formats alone, without encryption.
#[test]
fn reads_and_prints_texts_as_sops_does() {
    with_pair(|pair| {
        let mut report = Report::new("read and printed", 800);
        while let Some((case, mut rng)) = report.next() {
            let format = rng.pick(&FORMATS[..7]);
            let original = documents::random(&mut rng, format).text();
            let mut copies = vec![(String::new(), original.clone())];
            for _ in 0..COPIES {
                copies.push(mutate::text(&mut rng, format, &original));
            }
            let copies: Vec<_> = copies
                .into_iter()
                .map(|(what, text)| {
                    let ticket = pair.oracle.ask_print(format, &text);
                    (what, text, ticket)
                })
                .collect();
            for (what, text, ticket) in copies {
                let theirs = pair.oracle.answer(ticket);
                let verdict = pair.judge_text(format, &text, &theirs);
                let Some((kind, reason)) = report.add(format, verdict, &what) else { continue };
                let smallest = shrink::text(&text, |text| {
                    let theirs = pair.oracle.print(format, text);
                    let verdict = pair.judge_text(format, text, &theirs);
                    matches!(verdict, Verdict::Finding { kind: found, .. } if found == kind)
                });
                let theirs = pair.oracle.print(format, &smallest);
                let Verdict::Finding { reason: small, .. } = pair.judge_text(format, &smallest, &theirs) else {
                    continue;
                };
                let text = format!(
                    "UNSOPS_DIFF_SEED={} case {case}, {}, {what}: {reason}\ntext: {:?}\n{small}",
                    report.seed,
                    format.name(),
                    String::from_utf8_lossy(&smallest)
                );
                report.findings.insert(kind, text);
            }
        }
        report.finish(200);
    });
}

//! The fuzz targets of `tests/fuzz` on the stable compiler: over the fixtures, and over some thousand changes of them, or
//! as many as `UNSOPS_FUZZ_CHANGES` says.
//!
//! `tests/fuzz/run` lets libFuzzer do the same for as long as one likes. What it finds goes to `tests/fuzz/found`, which is
//! read here.

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::differential::rng::Rng;
use crate::endurance::figure;
use crate::harness::tests_dir;

/// Changed inputs for each target, unless the variable says otherwise.
const CHANGES: usize = 300;

/// No single input may take longer, on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(20);

/// Bytes that mean something in one of the formats.
const INDICATORS: &[u8] = b"\n\t :-[]{}#&*!|>'\"%@`\\=,\0\xff";

/// Largest seed, in bytes.
const SEED_BYTES: usize = 64 << 10;

/// What a target starts from: files of `tests` and `examples` by the end of their names; armored blocks within them for
/// wrapped keys.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = tests_dir().parent().expect("the project").to_owned();
    let mut files = Vec::new();
    for folder in ["tests/fixtures", "tests/golden", "tests/fuzz/found", "examples", "argocd"] {
        files_below(&root.join(folder), &mut files);
    }
    let ends: &[&str] = match target {
        "dotenv" => &[".env"],
        "ini" => &[".ini"],
        "json" => &[".json", ".txt", ".bin"],
        "decrypt" => &[".yaml", ".env", ".ini", ".json", ".txt", ".bin"],
        _ => &[".yaml"],
    };
    let found = files.iter().filter(|path| {
        let name = path.to_string_lossy();
        ends.iter().any(|end| name.ends_with(end)) || name.contains(&format!("found/{target}-"))
    });
    let contents = found.map(|path| fs::read(path).expect("a file")).filter(|content| content.len() <= SEED_BYTES);
    let mut seeds: Vec<Vec<u8>> = match target {
        "age" => contents.flat_map(|content| blocks(&content, "AGE ENCRYPTED FILE")).collect(),
        "pgp" => contents.flat_map(|content| blocks(&content, "PGP MESSAGE")).collect(),
        "enc" => contents.flat_map(|content| tokens(&content)).collect(),
        "metadata" => contents.filter_map(|content| stanza(&content)).collect(),
        _ => contents.collect(),
    };
    if target == "shamir" {
        seeds =
            vec![[&[3, 2][..], &[7; 99]].concat(), [&[1, 2][..], &(0..66).collect::<Vec<u8>>()].concat(), vec![7, 9]];
    }
    seeds.sort();
    seeds.dedup();
    seeds
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Armored blocks of a kind, without the indentation of the file that holds them.
fn blocks(file: &[u8], kind: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(file);
    let end = format!("-----END {kind}-----");
    text.split(&format!("-----BEGIN {kind}-----"))
        .skip(1)
        .filter_map(|rest| rest.split_once(&end))
        .map(|(body, _)| {
            let lines: Vec<&str> = body.lines().map(str::trim).collect();
            format!("-----BEGIN {kind}-----{}{end}\n", lines.join("\n")).into_bytes()
        })
        .collect()
}

fn tokens(file: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(file);
    let tokens = text.split("ENC[").skip(1).filter_map(|rest| rest.split_once(']'));
    tokens.take(3).map(|(token, _)| format!("{token}]").into_bytes()).collect()
}

fn stanza(file: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(file).into_owned();
    let (_, stanza) = text.split_once("\nsops:\n")?;
    Some(stanza.lines().map(|line| format!("{}\n", line.get(4..).unwrap_or(line))).collect::<String>().into_bytes())
}

/// One to three changes that a fuzzer would make.
fn changed(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.pick(INDICATORS)),
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            3 if at < bytes.len() => _ = bytes.remove(at),
            4 if at < bytes.len() => {
                let piece = bytes[at..(at + rng.below(40)).min(bytes.len())].to_vec();
                let to = rng.below(bytes.len());
                bytes.splice(to..to, piece.repeat(1 + rng.below(3)));
            }
            5 if !other.is_empty() => {
                let from = rng.below(other.len());
                let piece = &other[from..(from + rng.below(80)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            6 => {
                // Whole lines move.
                let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
                let (from, to) = (rng.below(lines.len()), rng.below(lines.len()));
                lines.swap(from, to);
                bytes = lines.join(&b'\n');
            }
            _ => {
                let to = (at + rng.below(20)).min(bytes.len());
                bytes.drain(at..to);
            }
        }
    }
    bytes
}

fn smoke(target: &str) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 2, "{target}: {} seeds", seeds.len());
    let changes = std::env::var("UNSOPS_FUZZ_CHANGES").map_or(CHANGES, |count| count.parse().expect("a number"));
    let mut rng = Rng::new(0x5eed);
    let mut slowest = Duration::ZERO;
    let mut run = |data: &[u8]| {
        let start = Instant::now();
        let result = std::panic::catch_unwind(|| targets::run(target, data));
        slowest = slowest.max(start.elapsed());
        if result.is_err() || start.elapsed() > LONGEST {
            let file = std::env::temp_dir().join(format!("{target}-{:x}", data.len()));
            fs::write(&file, data).expect("written");
            panic!("{target}: see {}", file.display());
        }
    };
    // Changes are plenty; a seed of a kind has many like it.
    seeds.iter().step_by(seeds.len().div_ceil(100)).for_each(|seed| run(seed));
    for _ in 0..changes {
        let (seed, other) = (&seeds[rng.below(seeds.len())], &seeds[rng.below(seeds.len())]);
        run(&changed(seed, other, &mut rng));
    }
    figure(&format!(
        "{target}: {} seeds and {changes} changes, slowest {} ms (unoptimised build)",
        seeds.len().min(100),
        slowest.as_millis()
    ));
}

#[test]
fn age_survives() {
    smoke("age");
}

#[test]
fn decrypt_survives() {
    smoke("decrypt");
}

#[test]
fn dotenv_survives() {
    smoke("dotenv");
}

#[test]
fn enc_survives() {
    smoke("enc");
}

#[test]
fn generator_survives() {
    smoke("generator");
}

#[test]
fn ini_survives() {
    smoke("ini");
}

#[test]
fn json_survives() {
    smoke("json");
}

#[test]
fn kustomization_survives() {
    smoke("kustomization");
}

#[test]
fn manifest_survives() {
    smoke("manifest");
}

#[test]
fn metadata_survives() {
    smoke("metadata");
}

#[test]
fn pgp_survives() {
    smoke("pgp");
}

#[test]
fn policy_survives() {
    smoke("policy");
}

#[test]
fn resource_list_survives() {
    smoke("resource_list");
}

#[test]
fn rules_survives() {
    smoke("rules");
}

#[test]
fn shamir_survives() {
    smoke("shamir");
}

#[test]
fn yaml_survives() {
    smoke("yaml");
}

#[test]
fn every_target_is_here_and_has_an_executable() {
    let here = fs::read_to_string(tests_dir().join("it/fuzzing.rs")).expect("this file");
    let manifest = fs::read_to_string(tests_dir().join("fuzz/Cargo.toml")).expect("a manifest");
    for (name, _) in targets::TARGETS {
        assert!(here.contains(&format!("smoke(\"{name}\");")), "{name} is not run");
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name} has no executable");
    }
}

/// Writes the seeds of each target to a folder of its own, for `tests/fuzz/run`.
#[test]
#[ignore = "run by tests/fuzz/run"]
fn write_seeds() {
    let folder = std::env::var_os("UNSOPS_FUZZ_CORPUS").expect("UNSOPS_FUZZ_CORPUS names a folder");
    for (target, _) in targets::TARGETS {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).expect("created");
        for (number, seed) in seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).expect("written");
        }
    }
}

//! Files that many releases of the real sops wrote (`tests/fixtures/README.md`) open to the same bytes as there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use unsops::environment::Environment;
use unsops::keys::{KeyPolicy, Keyring};
use unsops::secret::Secret;
use unsops::sops::{
    self, Attempt, Format, KeyService, KeyShare, MasterKey, Refusal, RefusedKey, ShareRequest, SopsError,
};

use crate::endurance::figure;
use crate::harness::{Case, tests_dir, tool};

/// One encrypted file and what it must open to.
struct Fixture {
    version: String,
    name: String,
    path: PathBuf,
}

impl Fixture {
    fn format(&self) -> Format {
        Format::from_path(&self.name)
    }

    fn encrypted(&self) -> Vec<u8> {
        fs::read(&self.path).expect("a fixture")
    }

    /// A twin of its own, or the one that all versions share.
    fn twin(&self) -> Vec<u8> {
        let own = PathBuf::from(format!("{}.twin", self.path.display()));
        let shared = tests_dir().join("fixtures/twin").join(&self.name);
        fs::read(if own.exists() { own } else { shared }).expect("a twin")
    }

    /// Releases before 3.7 know no age.
    fn is_pgp(&self) -> bool {
        self.version.strip_prefix("3.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok()) < Some(7)
    }

    fn label(&self) -> String {
        format!("{}/{}", self.version, self.name)
    }
}

fn fixtures() -> Vec<Fixture> {
    let mut all = Vec::new();
    for version in sorted(&tests_dir().join("fixtures/enc")) {
        for path in sorted(&version).into_iter().filter(|path| path.extension().is_none_or(|ext| ext != "twin")) {
            let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            all.push(Fixture { version: name(&version), name: name(&path), path });
        }
    }
    assert!(all.len() > 200, "only {} fixtures", all.len());
    all
}

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|_| panic!("{} is missing", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// The identities in files of `tests/keys`, as `SOPS_AGE_KEY` takes them.
pub fn identities(files: &[&str]) -> String {
    let texts = files.iter().map(|file| fs::read_to_string(tests_dir().join("keys").join(file)).expect("a key"));
    texts.collect()
}

/// Decrypts in process, with age identities.
pub fn decrypt(file: &[u8], format: Format, identities: &str) -> Result<Vec<u8>, SopsError> {
    let environment = Environment::new([(OsString::from("SOPS_AGE_KEY"), OsString::from(identities))], None);
    let keyring = Keyring::from_environment(&environment, KeyPolicy::default()).expect("a keyring");
    decrypt_with(file, format, &keyring)
}

fn decrypt_with(file: &[u8], format: Format, keys: &dyn KeyService) -> Result<Vec<u8>, SopsError> {
    let cleartext = sops::decrypt(file, format, keys)?;
    let text = cleartext.text();
    Ok(text.expect("what sops wrote can be printed").into_owned().into_exposed())
}

/// Compares without printing: the files are public, but a habit of printing plaintext is not one to have.
fn compare(label: &str, ours: &[u8], twin: &[u8], wrong: &mut Vec<String>) {
    if ours != twin {
        let at = ours.iter().zip(twin).position(|(a, b)| a != b).unwrap_or(ours.len().min(twin.len()));
        wrong.push(format!("{label}: {} bytes instead of {}, first difference at {at}", ours.len(), twin.len()));
    }
}

#[test]
fn opens_what_every_age_release_of_sops_wrote() {
    let all = identities(&["age.txt", "age-2.txt", "age-3.txt"]);
    let mut wrong = Vec::new();
    let fixtures: Vec<_> = fixtures().into_iter().filter(|fixture| !fixture.is_pgp()).collect();
    for fixture in &fixtures {
        match decrypt(&fixture.encrypted(), fixture.format(), &all) {
            Ok(ours) => compare(&fixture.label(), &ours, &fixture.twin(), &mut wrong),
            Err(error) => wrong.push(format!("{}: {error}", fixture.label())),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fixtures.len(), wrong.join("\n"));
    figure(&releases(&fixtures));
}

fn releases(fixtures: &[Fixture]) -> String {
    let releases: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.version.as_str()).collect();
    format!("{} files of {} releases, all equal", fixtures.len(), releases.len())
}

/// Opens PGP shares with the real gpg, so that the format of the old releases is covered whatever this build's own
/// keyring can do.
struct Gpg {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Gpg {
    fn with_test_key() -> Option<Self> {
        let gpg = Self { program: tool("gpg")?, home: tempfile::tempdir().expect("a directory") };
        let imported = gpg.run(&["--import"], &fs::read(tests_dir().join("keys/pgp.asc")).expect("the key"));
        assert!(imported.is_some(), "gpg does not import the key");
        Some(gpg)
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Option<Vec<u8>> {
        use std::io::Write;
        let mut child = Command::new(&self.program)
            .args(["--batch", "--quiet", "--no-tty"])
            .args(args)
            .env("GNUPGHOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("gpg starts");
        child.stdin.take().expect("piped").write_all(stdin).expect("gpg reads");
        let output = child.wait_with_output().expect("gpg ends");
        output.status.success().then_some(output.stdout)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", self.home.path()).status();
    }
}

impl KeyService for Gpg {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let mut attempt = Attempt::default();
        for (group, keys) in request.groups.iter().enumerate() {
            let opened = keys.0.iter().find_map(|key| match key {
                MasterKey::Pgp { enc, .. } => self.run(&["--decrypt"], enc.as_bytes()),
                _ => None,
            });
            match opened {
                Some(share) => attempt.shares.push((group, KeyShare(Secret::new(share)))),
                None => attempt.refused.push(RefusedKey {
                    group,
                    key: "pgp".into(),
                    refusal: Refusal::NotMine("gpg does not open it".into()),
                    hint: None,
                }),
            }
        }
        attempt
    }
}

#[test]
fn opens_what_every_pgp_release_of_sops_wrote() {
    let Some(gpg) = Gpg::with_test_key() else { return };
    let mut wrong = Vec::new();
    let fixtures: Vec<_> = fixtures().into_iter().filter(Fixture::is_pgp).collect();
    for fixture in &fixtures {
        match decrypt_with(&fixture.encrypted(), fixture.format(), &gpg) {
            Ok(ours) => compare(&fixture.label(), &ours, &fixture.twin(), &mut wrong),
            Err(error) => wrong.push(format!("{}: {error}", fixture.label())),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fixtures.len(), wrong.join("\n"));
    figure(&releases(&fixtures));
}

#[test]
fn executable_turns_every_age_fixture_into_a_secret() {
    let fixtures: Vec<_> = fixtures().into_iter().filter(|fixture| !fixture.is_pgp()).collect();
    let mut case = Case::new().env("SOPS_AGE_KEY", identities(&["age.txt", "age-2.txt", "age-3.txt"]));
    let mut generator = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: all\nsecretFrom:\n".to_owned();
    for (index, fixture) in fixtures.iter().enumerate() {
        case = case.file(fixture.label(), fixture.encrypted());
        let entry = format!("- metadata: {{name: s{index}}}\n  binaryFiles: [content={}]\n", fixture.label());
        generator.push_str(&entry);
    }
    let run = case.file("generator.yaml", generator).arg("generator.yaml").run();
    let mut wrong = Vec::new();
    let mut documents = serde_yaml::Deserializer::from_str(run.text());
    for (index, fixture) in fixtures.iter().enumerate() {
        let document = documents.next().unwrap_or_else(|| panic!("only {index} of {} Secrets", fixtures.len()));
        let secret: serde_json::Value = serde::Deserialize::deserialize(document).expect("a Secret");
        let name = secret.pointer("/metadata/name").and_then(|name| name.as_str());
        assert_eq!(name, Some(format!("s{index}").as_str()));
        let content = secret.pointer("/data/content").and_then(|value| value.as_str()).expect("content");
        let content: String = content.split_whitespace().collect();
        let ours = base64::engine::general_purpose::STANDARD.decode(content).expect("base64");
        compare(&fixture.label(), &ours, &fixture.twin(), &mut wrong);
    }
    assert!(documents.next().is_none(), "more Secrets than sources");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn any_two_of_three_groups_open_a_shamir_file_and_one_does_not() {
    let shamir: Vec<_> = fixtures().into_iter().filter(|fixture| fixture.name.starts_with("shamir.")).collect();
    assert!(!shamir.is_empty());
    let count = shamir.len();
    for fixture in shamir {
        for pair in [["age.txt", "age-2.txt"], ["age.txt", "age-3.txt"], ["age-2.txt", "age-3.txt"]] {
            let opened = decrypt(&fixture.encrypted(), fixture.format(), &identities(&pair));
            assert!(opened.is_ok_and(|ours| ours == fixture.twin()), "{} with {pair:?}", fixture.label());
        }
        for one in ["age.txt", "age-2.txt", "age-3.txt"] {
            let refused = decrypt(&fixture.encrypted(), fixture.format(), &identities(&[one]));
            let Err(SopsError::Key(failure)) = refused else { panic!("{} opened with {one}", fixture.label()) };
            assert_eq!((failure.groups, failure.needed, failure.opened), (3, 2, 1));
        }
    }
    figure(&format!("{count} files: 3 of 3 pairs open each, 0 of 3 single keys"));
}

#[test]
fn a_stranger_opens_no_fixture() {
    let stranger = identities(&["age-stranger.txt"]);
    for fixture in fixtures() {
        let refused = decrypt(&fixture.encrypted(), fixture.format(), &stranger);
        assert!(matches!(refused, Err(SopsError::Key(_))), "{}", fixture.label());
    }
}

#[test]
fn every_plaintext_fixture_holds_the_canary() {
    for path in sorted(&tests_dir().join("fixtures/plain")) {
        let content = fs::read(&path).expect("a plaintext");
        let held =
            content.windows(crate::harness::CANARY.len()).any(|window| window == crate::harness::CANARY.as_bytes());
        assert!(held, "{}", path.display());
    }
}

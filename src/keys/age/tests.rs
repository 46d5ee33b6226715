use std::io::Write;
use std::path::Path;

use ::age::armor::{ArmoredWriter, Format};
use ::age::secrecy::ExposeSecret;
use ::age::{Encryptor, x25519};

use super::*;
use crate::keys::RefusedReason;
use crate::sops::data_key::Refusal;

/// Wraps a share as sops does.
fn wrap(recipient: &dyn ::age::Recipient) -> String {
    wrap_for(std::iter::once(recipient))
}

fn wrap_for<'r>(recipients: impl Iterator<Item = &'r dyn ::age::Recipient>) -> String {
    let mut armored = Vec::new();
    let armor = ArmoredWriter::wrap_output(&mut armored, Format::AsciiArmor).unwrap();
    let mut writer = Encryptor::with_recipients(recipients).unwrap().wrap_output(armor).unwrap();
    writer.write_all(b"CANARY-7f3a data key of 32 bytes").unwrap();
    writer.finish().unwrap().finish().unwrap();
    String::from_utf8(armored).unwrap()
}

struct Pair {
    secret: String,
    public: String,
    enc: String,
}

fn pair() -> Pair {
    let identity = x25519::Identity::generate();
    let secret = identity.to_string().expose_secret().to_owned();
    Pair { secret, public: identity.to_public().to_string(), enc: wrap(&identity.to_public()) }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None)
}

fn age(environment: &Environment, policy: KeyPolicy) -> Age<'_> {
    Age::new(environment, policy, Arc::new(KeyDirectory::new(environment)))
}

fn open(variables: &[(&str, &str)], policy: KeyPolicy, pair: &Pair) -> Result<Vec<u8>, RefusedReason> {
    let environment = environment(variables);
    age(&environment, policy).open(&pair.public, &pair.enc, None).map(|share| share.0.into_exposed())
}

fn opens(variables: &[(&str, &str)], pair: &Pair) -> bool {
    let policy = KeyPolicy { allow_exec: true, ..KeyPolicy::default() };
    open(variables, policy, pair).is_ok_and(|share| share == b"CANARY-7f3a data key of 32 bytes")
}

fn refused(variables: &[(&str, &str)], pair: &Pair) -> RefusedReason {
    match open(variables, KeyPolicy::default(), pair) {
        Ok(_) => panic!("opened"),
        Err(reason) => {
            assert!(!format!("{reason:?}").contains(pair.secret.trim_start_matches("AGE-SECRET-KEY-1")));
            reason
        }
    }
}

fn not_mine(variables: &[(&str, &str)], pair: &Pair) -> String {
    match refused(variables, pair).refusal {
        Refusal::NotMine(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn opens_with_an_identity_from_each_place() {
    let (pair, dir) = (pair(), tempfile::tempdir().unwrap());
    let keys = file(dir.path(), "keys.txt", &format!("# comment\r\n{}\r\n", pair.secret));
    file(dir.path(), "xdg/sops/age/keys.txt", &pair.secret);
    file(dir.path(), "home/.config/sops/age/keys.txt", &pair.secret);
    let (xdg, home) = (dir.path().join("xdg"), dir.path().join("home"));
    assert!(opens(&[("SOPS_AGE_KEY", &pair.secret)], &pair));
    assert!(opens(&[("SOPS_AGE_KEY_FILE", &keys)], &pair));
    assert!(opens(&[("SOPS_AGE_KEY_CMD", &format!("cat '{keys}'")), ("PATH", "/usr/bin:/bin")], &pair));
    assert!(opens(&[("XDG_CONFIG_HOME", xdg.to_str().unwrap())], &pair));
    #[cfg(not(target_os = "macos"))]
    assert!(opens(&[("HOME", home.to_str().unwrap())], &pair));
}

#[test]
fn opens_with_a_post_quantum_identity() {
    let pair = Pair {
        secret: include_str!("../../../tests/keys/age-pq.txt").to_owned(),
        public: "age1pq1".to_owned(),
        enc: include_str!("../../../tests/keys/age-pq.share.age").to_owned(),
    };
    assert!(opens(&[("SOPS_AGE_KEY", &pair.secret)], &pair));
    assert!(!opens(&[("SOPS_AGE_KEY", &super::tests::pair().secret)], &pair));
}

#[test]
fn what_is_wrong_in_one_place_does_not_matter_if_another_opens() {
    let pair = pair();
    let broken = [("SOPS_AGE_KEY_FILE", "/no/such/file"), ("SOPS_AGE_KEY_CMD", ""), ("XDG_CONFIG_HOME", "relative")];
    let mut variables = broken.to_vec();
    assert!(!opens(&variables, &pair));
    variables.push(("SOPS_AGE_KEY", &pair.secret));
    assert!(opens(&variables, &pair));
}

#[test]
fn tells_the_command_the_recipient_and_runs_it_once_for_each() {
    let (pair, dir) = (pair(), tempfile::tempdir().unwrap());
    let log = dir.path().join("log");
    let command = format!("sh -c 'echo $SOPS_AGE_RECIPIENT >> {}; echo {}'", log.display(), pair.secret);
    let environment = environment(&[("SOPS_AGE_KEY_CMD", &command), ("PATH", "/usr/bin:/bin")]);
    let age = super::tests::age(&environment, KeyPolicy { allow_exec: true, ..KeyPolicy::default() });
    for recipient in ["age1a", "age1b", "age1a"] {
        assert!(age.open(recipient, &pair.enc, None).is_ok());
    }
    let mut log = std::fs::OpenOptions::new().read(true).open(log).unwrap();
    let mut lines = String::new();
    log.read_to_string(&mut lines).unwrap();
    assert_eq!(lines, "age1a\nage1b\n");
}

#[test]
fn reads_armor_with_blanks_around_it_and_nothing_else() {
    let mut pair = pair();
    let secret = pair.secret.clone();
    let variables = [("SOPS_AGE_KEY", secret.as_str())];
    let armor = pair.enc.clone();
    pair.enc = format!("\n \r\n{armor}\n\n\t");
    assert!(opens(&variables, &pair));
    for (enc, why) in [
        (String::new(), "its ciphertext is not an ASCII-armored age file"),
        ("age-encryption.org/v1\n".to_owned(), "its ciphertext is not an ASCII-armored age file"),
        (armor.replace("-----END", "----END"), "the armor of its ciphertext is damaged"),
        (format!("{armor}{}", " ".repeat(3)) + "x", "the armor of its ciphertext is damaged"),
        (format!("{ARMOR_BEGIN}\n{}", "A".repeat(limits::AGE_KEY_BYTES)), "its ciphertext is larger than 16 KiB"),
        (
            format!("{ARMOR_BEGIN}\nQUJD\n-----END AGE ENCRYPTED FILE-----"),
            "the age header of its ciphertext is malformed",
        ),
    ] {
        pair.enc = enc;
        assert_eq!(refused(&variables, &pair).refusal, Refusal::Denied(why.into()));
    }
}

#[test]
fn names_what_was_tried() {
    let (wanted, other, dir) = (pair(), pair(), tempfile::tempdir().unwrap());
    let keys = file(dir.path(), "keys.txt", &other.secret);
    let variables = [("SOPS_AGE_KEY", other.secret.as_str()), ("SOPS_AGE_KEY_FILE", &keys), ("HOME", "/no/home")];
    let short = report::shortened(&other.public);
    let expected = format!(
        "no identity matches (2 tried: SOPS_AGE_KEY [{short}], SOPS_AGE_KEY_FILE={keys} [{short}]); \
         ~/.config/sops/age/keys.txt does not exist"
    );
    assert_eq!(not_mine(&variables, &wanted), expected);
    let hint = refused(&variables, &wanted).hint.unwrap();
    assert_eq!(hint.as_str(), format!("add an identity for {}", report::shortened(&wanted.public)));
}

#[test]
fn names_where_it_looked_when_nothing_is_there() {
    assert_eq!(
        not_mine(&[("HOME", "/no/home")], &pair()),
        "no identity found; not set: SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD; \
         ~/.config/sops/age/keys.txt does not exist"
    );
    assert_eq!(
        not_mine(&[("SOPS_AGE_KEY", ""), ("SOPS_AGE_KEY_FILE", ""), ("SOPS_AGE_KEY_CMD", "")], &pair()),
        "no identity found; SOPS_AGE_KEY holds no identity; SOPS_AGE_KEY_FILE is set but empty; \
         sops/age/keys.txt in the user's configuration cannot be found (neither XDG_CONFIG_HOME nor HOME is set); \
         SOPS_AGE_KEY_CMD was not run (key programs are switched off)"
    );
}

#[test]
fn says_what_stands_in_place_of_an_identity() {
    let pair = pair();
    let why = not_mine(&[("SOPS_AGE_KEY", &pair.public), ("HOME", "/no/home")], &pair);
    assert!(why.contains("SOPS_AGE_KEY line 1 is a public key (age1...), not an identity"), "{why}");
    let why = not_mine(&[("SOPS_AGE_KEY", "/keys/keys.txt"), ("HOME", "/no/home")], &pair);
    assert!(why.contains("SOPS_AGE_KEY line 1 is a path, which belongs in SOPS_AGE_KEY_FILE"), "{why}");
}

#[test]
fn never_shows_a_key_that_stands_in_place_of_a_path() {
    let pair = pair();
    for value in [pair.secret.clone(), pair.secret.to_lowercase(), format!(" {}\n", pair.secret)] {
        let why = not_mine(&[("SOPS_AGE_KEY_FILE", &value)], &pair);
        assert!(why.contains("SOPS_AGE_KEY_FILE holds a key, not the path of a file"), "{why}");
    }
    let base64 = "QUdFLVNFQ1JFVC1LRVktMUNBTkFSWS03ZjNhCg==";
    let why = not_mine(&[("SOPS_AGE_KEY_FILE", base64)], &pair);
    assert!(!why.contains(base64), "{why}");
}

#[test]
fn a_command_that_is_late_makes_the_key_unavailable() {
    let pair = pair();
    let deadline = Some(std::time::Instant::now() + std::time::Duration::from_millis(50));
    let policy = KeyPolicy { allow_exec: true, deadline, ..KeyPolicy::default() };
    let variables = [("SOPS_AGE_KEY_CMD", "sleep 20"), ("PATH", "/usr/bin:/bin")];
    let reason = open(&variables, policy, &pair).unwrap_err();
    assert!(matches!(reason.refusal, Refusal::Unavailable(_)), "{reason:?}");
}

#[test]
fn refuses_a_damaged_header_or_payload() {
    let pair = pair();
    let variables = [("SOPS_AGE_KEY", pair.secret.as_str())];
    let lines: Vec<&str> = pair.enc.lines().collect();
    let mut outcomes = std::collections::BTreeSet::new();
    for (row, line) in lines.iter().enumerate().filter(|(row, _)| *row > 0 && *row + 1 < lines.len()) {
        for column in (0..line.len()).step_by(7) {
            let mut changed: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            changed[row][column] = if changed[row][column] == b'A' { b'B' } else { b'A' };
            let enc = String::from_utf8(changed.join(&b'\n')).unwrap();
            let reason = refused(&variables, &Pair { secret: pair.secret.clone(), public: pair.public.clone(), enc });
            outcomes.insert(format!("{:?}", std::mem::discriminant(&reason.refusal)));
        }
    }
    assert!(!outcomes.is_empty());
}

#[test]
fn bounds_the_stanzas_of_a_header() {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public();
    let secret = identity.to_string().expose_secret().to_owned();
    let with = |count: usize| {
        let recipients = std::iter::repeat_n(&recipient as &dyn ::age::Recipient, count);
        Pair { secret: secret.clone(), public: recipient.to_string(), enc: wrap_for(recipients) }
    };
    // The writer adds one stanza of grease.
    assert!(opens(&[("SOPS_AGE_KEY", &secret)], &with(limits::AGE_STANZAS - 1)));
    let refusal = refused(&[("SOPS_AGE_KEY", &secret)], &with(limits::AGE_STANZAS)).refusal;
    assert_eq!(refusal, Refusal::Denied("its ciphertext is for more than 8 recipients, sops writes one".into()));
}

#[test]
fn does_no_scrypt_work_for_a_wrapped_key() {
    let mut recipient = ::age::scrypt::Recipient::new("x".to_owned().into());
    recipient.set_work_factor(2);
    let pair = Pair { enc: wrap(&recipient), ..pair() };
    let refusal = refused(&[("SOPS_AGE_KEY", &pair.secret)], &pair).refusal;
    assert_eq!(refusal, Refusal::Denied("its ciphertext is for a passphrase, which sops never writes".into()));
}

proptest::proptest! {
    #[test]
    fn never_panics_whatever_the_age_file(
        at in 0usize..400, gone in 0usize..40, new in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        let pair = pair();
        let mut file = Vec::new();
        ArmoredReader::new(pair.enc.as_bytes()).read_to_end(&mut file).unwrap();
        let at = at.min(file.len());
        file.splice(at..(at + gone).min(file.len()), new);
        let mut armored = Vec::new();
        let mut armor = ArmoredWriter::wrap_output(&mut armored, Format::AsciiArmor).unwrap();
        armor.write_all(&file).unwrap();
        armor.finish().unwrap();
        let enc = String::from_utf8(armored).unwrap();
        let changed = Pair { enc, ..pair };
        if let Ok(share) = open(&[("SOPS_AGE_KEY", &changed.secret)], KeyPolicy::default(), &changed) {
            proptest::prop_assert_eq!(share, b"CANARY-7f3a data key of 32 bytes");
        }
    }

    #[test]
    fn never_panics_whatever_the_text(enc in "\\PC*", recipient in "\\PC*", secret in "\\PC*") {
        let pair = Pair { secret, public: recipient, enc: format!("{ARMOR_BEGIN}{enc}") };
        proptest::prop_assert!(open(&[("SOPS_AGE_KEY", &pair.secret)], KeyPolicy::default(), &pair).is_err());
    }
}

#[test]
fn describes_every_place_by_public_halves_only() {
    let pair = pair();
    let environment =
        environment(&[("SOPS_AGE_KEY", &pair.secret), ("HOME", "/no/home"), ("SOPS_AGE_KEY_CMD", "false")]);
    let sources = age(&environment, KeyPolicy::default()).describe();
    let listed: Vec<_> = sources.iter().map(|source| (source.name.as_str(), source.found.clone())).collect();
    use crate::keys::KeySourceState::{Absent, Keys, OnDemand};
    assert_eq!(
        listed,
        [
            ("SOPS_AGE_KEY", Keys(vec![pair.public.as_str().into()])),
            ("SOPS_AGE_KEY_FILE", Absent),
            ("~/.config/sops/age/keys.txt", Absent),
            ("SOPS_AGE_KEY_CMD", OnDemand),
            ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", Absent),
            ("~/.ssh/id_ed25519", Absent),
            ("~/.ssh/id_rsa", Absent),
            ("SOPS_AGE_SSH_PRIVATE_KEY_CMD", Absent),
        ]
    );
}

#[test]
fn serves_many_threads() {
    let pair = pair();
    let environment = environment(&[("SOPS_AGE_KEY", &pair.secret)]);
    let age = super::tests::age(&environment, KeyPolicy::default());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(age.open(&pair.public, &pair.enc, None).is_ok()));
        }
    });
}

#[test]
fn the_key_directory_stands_beside_the_other_places() {
    let (in_directory, in_variable) = (pair(), pair());
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let mut file = std::fs::File::create_new(dir.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let stranger = pair();
    write(
        "team.agekey",
        &format!("# created: today\n# public key: x\n{}\n\n{}\n", stranger.secret, in_directory.secret),
    );
    let path = dir.path().to_str().unwrap();
    let variables = [("UNSOPS_KEYS", path), ("SOPS_AGE_KEY", in_variable.secret.as_str())];
    assert!(opens(&variables, &in_directory) && opens(&variables, &in_variable));

    // One broken file is no reason to pass over the others, and is named.
    write("a.agekey", "not a key");
    write("b.agekey", &pair().public);
    assert!(opens(&variables, &in_directory));
    let reason = refused(&variables, &pair());
    let text = format!("{:?}", reason.refusal);
    for part in [
        "no identity matches (3 tried: ",
        "a.agekey line 1 is not an age identity",
        "b.agekey line 1 is a public key",
        "team.agekey [age1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let missing = format!("{path}/none");
    let text = format!("{:?}", refused(&[("UNSOPS_KEYS", &missing)], &in_directory).refusal);
    assert!(text.contains("/none does not exist") && text.contains("UNSOPS_KEYS="), "{text}");
}

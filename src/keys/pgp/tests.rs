//! Messages and homes made by the real gpg.
#![expect(clippy::disallowed_methods, reason = "tests run gpg and write the files that it is given")]

use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

const SHARE: &[u8] = b"CANARY-7f3a a data key, 32 bytes";

/// A GnuPG home; its agent ends with it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Option<Self> {
        if Command::new("gpg").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "gpg is missing");
            println!("SKIPPED: gpg is missing");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn gpg(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .args(["--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--homedir"])
            .arg(self.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "gpg {args:?}");
        output.stdout
    }

    /// Makes a primary key and an encryption subkey.
    fn generate(&self, algorithm: &str, passphrase: &str) {
        let (primary, sub) = match algorithm {
            "cv25519" => ("ed25519", "cv25519"),
            other => (other, other),
        };
        self.gpg(&["--passphrase", passphrase, "--quick-generate-key", "t@example", primary, "sign", "never"], b"");
        let list = String::from_utf8(self.gpg(&["--with-colons", "--list-keys"], b"")).unwrap();
        let fpr = list.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap().trim_end_matches(':');
        self.gpg(&["--passphrase", passphrase, "--quick-add-key", fpr, sub, "encrypt", "never"], b"");
    }

    fn encrypt(&self, more: &[&str]) -> String {
        let args = [&["--trust-model", "always", "--armor"], more, &["--encrypt"]].concat();
        String::from_utf8(self.gpg(&args, SHARE)).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        _ = Command::new("gpgconf").arg("--homedir").arg(self.path()).args(["--kill", "all"]).status();
    }
}

fn open(variables: &[(&str, &Path)], message: &str) -> Result<KeyShare, RefusedReason> {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), value.as_os_str().to_owned()));
    open_with(&Environment::new(variables, None), KeyPolicy::default(), message)
}

fn open_with(environment: &Environment, policy: KeyPolicy, message: &str) -> Result<KeyShare, RefusedReason> {
    Pgp::new(environment, policy, Arc::new(KeyDirectory::new(environment))).open("FPR", message, None)
}

fn assert_opens(variables: &[(&str, &Path)], message: &str) {
    match open(variables, message) {
        Ok(share) => assert!(share.0.expose() == SHARE),
        Err(reason) => panic!("{reason:?}"),
    }
}

#[test]
fn gnupg_home_opens_without_gpg() {
    for algorithm in ["rsa2048", "cv25519", "nistp256", "nistp384", "nistp521"] {
        let Some(home) = Home::new() else { return };
        home.generate(algorithm, "");
        let message = home.encrypt(&["-r", "t@example"]);
        assert_opens(&[("GNUPGHOME", home.path())], &message);
        let hidden = home.encrypt(&["-R", "t@example"]);
        assert_opens(&[("GNUPGHOME", home.path())], &hidden);
    }
}

#[test]
fn protected_home_opens_with_the_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    std::fs::write(&good, "p\u{e4}ss\n").unwrap();
    std::fs::write(&bad, "wrong\n").unwrap();
    for algorithm in ["rsa2048", "cv25519"] {
        let Some(home) = Home::new() else { return };
        home.generate(algorithm, "p\u{e4}ss");
        let message = home.encrypt(&["-r", "t@example"]);
        assert_opens(&[("GNUPGHOME", home.path()), ("UNSOPS_PGP_PASSPHRASE_FILE", &good)], &message);
        for variables in
            [&[("GNUPGHOME", home.path())][..], &[("GNUPGHOME", home.path()), ("UNSOPS_PGP_PASSPHRASE_FILE", &bad)]]
        {
            let Err(reason) = open(variables, &message) else { panic!("opened without passphrase") };
            assert!(
                matches!(&reason.refusal, Refusal::NotMine(why) if why.as_str().contains("wants a passphrase")),
                "{reason:?}"
            );
        }
    }
}

#[test]
fn exported_keys_open_armored_or_binary_from_a_file_or_a_directory() {
    let Some(home) = Home::new() else { return };
    home.generate("rsa2048", "secret");
    let message = home.encrypt(&["-r", "t@example"]);
    let dir = tempfile::tempdir().unwrap();
    let (armored, binary, passphrase) = (dir.path().join("k/a.asc"), dir.path().join("b.gpg"), dir.path().join("pass"));
    std::fs::create_dir(dir.path().join("k")).unwrap();
    std::fs::write(&armored, home.gpg(&["--passphrase", "secret", "--armor", "--export-secret-keys"], b"")).unwrap();
    std::fs::write(&binary, home.gpg(&["--passphrase", "secret", "--export-secret-keys"], b"")).unwrap();
    std::fs::write(&passphrase, "secret").unwrap();
    let nowhere = dir.path().join("nowhere");
    for key in [&armored, &binary, &dir.path().join("k")] {
        assert_opens(
            &[("GNUPGHOME", &nowhere), ("UNSOPS_PGP_KEY_FILE", key), ("UNSOPS_PGP_PASSPHRASE_FILE", &passphrase)],
            &message,
        );
    }
    // GnuPG 1 and 2.0 kept secret keys in one file.
    let old = tempfile::tempdir().unwrap();
    std::fs::copy(&binary, old.path().join("secring.gpg")).unwrap();
    assert_opens(&[("GNUPGHOME", old.path()), ("UNSOPS_PGP_PASSPHRASE_FILE", &passphrase)], &message);
}

#[test]
fn imported_key_that_was_never_used_opens() {
    let Some(first) = Home::new() else { return };
    for (algorithm, passphrase) in [("rsa2048", ""), ("cv25519", ""), ("nistp256", ""), ("rsa2048", "abc")] {
        let (made, second) = (Home::new().unwrap(), Home::new().unwrap());
        made.generate(algorithm, passphrase);
        let message = made.encrypt(&["-r", "t@example"]);
        let exported = made.gpg(&["--passphrase", passphrase, "--export-secret-keys"], b"");
        second.gpg(&["--import"], &exported);
        let file = first.path().join("passphrase");
        std::fs::write(&file, passphrase).unwrap();
        assert_opens(&[("GNUPGHOME", second.path()), ("UNSOPS_PGP_PASSPHRASE_FILE", &file)], &message);
    }
}

#[test]
fn refusals_say_what_was_tried() {
    let Some(home) = Home::new() else { return };
    home.generate("cv25519", "");
    let message = home.encrypt(&["-r", "t@example"]);
    let Some(other) = Home::new() else { return };
    other.generate("cv25519", "");
    let Err(reason) = open(&[("GNUPGHOME", other.path())], &message) else { panic!("opened") };
    assert!(
        matches!(&reason.refusal, Refusal::NotMine(why) if why.as_str().starts_with("no secret key matches")),
        "{reason:?}"
    );

    let public = home.path().join("public.asc");
    std::fs::write(&public, home.gpg(&["--armor", "--export"], b"")).unwrap();
    let Err(reason) = open(&[("UNSOPS_PGP_KEY_FILE", &public)], &message) else { panic!("opened") };
    assert!(
        matches!(&reason.refusal, Refusal::NotMine(why) if why.as_str().contains("holds only public keys")),
        "{reason:?}"
    );

    // Every kind of damage is refused, and none panics.
    for at in (0..message.len()).step_by(7) {
        let mut damaged = message.clone().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let Ok(text) = String::from_utf8(damaged) else { continue };
        if let Ok(share) = open(&[("GNUPGHOME", home.path())], &text) {
            assert!(share.0.expose() == SHARE, "a damaged message opened to something else");
        }
        _ = open(&[("GNUPGHOME", home.path())], message.get(..at).unwrap());
    }
}

#[test]
fn refusals_do_not_tell_good_padding_from_bad() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let Some(home) = Home::new() else { return };
    home.generate("rsa2048", "");
    let message = home.encrypt(&["-r", "t@example"]);
    let lines = message.lines().skip(1).skip_while(|line| !line.is_empty());
    let body: String = lines.take_while(|line| !line.starts_with(['=', '-'])).collect();
    let packets = STANDARD.decode(body).unwrap();
    let flipped = |at: usize| {
        let mut packets = packets.clone();
        packets[at] ^= 1;
        let armored = STANDARD.encode(packets);
        format!("-----BEGIN PGP MESSAGE-----\n\n{armored}\n-----END PGP MESSAGE-----\n")
    };
    assert_opens(&[("GNUPGHOME", home.path())], &message);
    let end = packets.len();
    // The session key packet of RSA-2048 has 271 bytes with its header, of which 256 are the number.
    let said: std::collections::BTreeSet<String> = [100, 150, 200, 250, end - 1, end - 10, end - 30, end - 60]
        .into_iter()
        .map(|at| match open(&[("GNUPGHOME", home.path())], &flipped(at)) {
            Err(RefusedReason { refusal: Refusal::Denied(why), hint: None }) => why.to_string(),
            Err(reason) => panic!("{at}: {reason:?}"),
            Ok(_) => panic!("{at}: opened"),
        })
        .collect();
    assert_eq!(said.into_iter().collect::<Vec<_>>(), [NOT_OPENED]);
}

fn with_programs(variables: &[(&str, &Path)]) -> (Environment, KeyPolicy) {
    let path = [("PATH".into(), std::env::var_os("PATH").unwrap_or_default())];
    let variables = variables.iter().map(|(name, value)| ((*name).into(), value.as_os_str().to_owned()));
    let policy = KeyPolicy { allow_exec: true, ..KeyPolicy::default() };
    (Environment::new(path.into_iter().chain(variables), None), policy)
}

#[test]
fn gpg_opens_what_only_its_agent_can() {
    let Some(home) = Home::new() else { return };
    home.generate("rsa2048", "secret");
    let message = home.encrypt(&["-r", "t@example"]);
    // The agent learns the passphrase, as it would from a pinentry.
    home.gpg(&["--passphrase", "secret", "--decrypt"], message.as_bytes());
    let (environment, policy) = with_programs(&[("GNUPGHOME", home.path())]);
    match open_with(&environment, policy, &message) {
        Ok(share) => assert!(share.0.expose() == SHARE),
        Err(reason) => panic!("{reason:?}"),
    }
    let Err(reason) = open_with(&environment, KeyPolicy::default(), &message) else { panic!("a program was run") };
    let why = reason.refusal;
    assert!(
        matches!(&why, Refusal::NotMine(why) if why.as_str().starts_with("gpg was not run (key programs are switched off); the secret key ")),
        "{why:?}"
    );

    // Without the agent's memory there is no pinentry for a plugin to ask with.
    _ = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).status();
    let conf = home.path().join("gpg-agent.conf");
    std::fs::write(conf, "pinentry-program /bin/false\n").unwrap();
    let Err(reason) = open_with(&environment, policy, &message) else { panic!("opened") };
    let why = reason.refusal;
    assert!(
        matches!(&why, Refusal::NotMine(why) if why.as_str().starts_with("gpg failed with exit status 2; the secret key ")),
        "{why:?}"
    );
}

/// Allows the PGP keys of one primary key.
struct Only(String);

impl IdentityRule for Only {
    fn allows_age(&self, _: &str) -> bool {
        false
    }

    fn allows_pgp(&self, _: &str, primary: &str) -> bool {
        self.0 == primary
    }
}

#[test]
fn gpg_uses_no_key_that_a_rule_forbids() {
    let Some(home) = Home::new() else { return };
    home.generate("rsa2048", "secret");
    let list = String::from_utf8(home.gpg(&["--with-colons", "--list-keys"], b"")).unwrap();
    let primary = list.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap().trim_end_matches(':');
    let (named, hidden) = (home.encrypt(&["-r", "t@example"]), home.encrypt(&["-R", "t@example"]));
    home.gpg(&["--passphrase", "secret", "--decrypt"], named.as_bytes());
    let (environment, policy) = with_programs(&[("GNUPGHOME", home.path())]);
    let opens = |message: &str, allowed: &str| {
        let pgp = Pgp::new(&environment, policy, Arc::new(KeyDirectory::new(&environment)));
        pgp.open("FPR", message, Some(&Only(allowed.to_owned()))).is_ok()
    };
    assert!(opens(&named, primary));
    assert!(!opens(&named, "0123"), "a forbidden key opened the message");
    assert!(!opens(&hidden, primary), "gpg may try keys that nobody knows of");
    let wrapped = Environment::new(environment.variables().map(|(n, v)| (n.to_owned(), v.to_owned())), None)
        .with("SOPS_GPG_EXEC", "gpg");
    let pgp = Pgp::new(&wrapped, policy, Arc::new(KeyDirectory::new(&wrapped)));
    assert!(
        pgp.open("FPR", &named, Some(&Only(primary.to_owned()))).is_err(),
        "a wrapper has keys that nobody knows of"
    );
}

#[test]
fn gpg_opens_with_a_preset_passphrase_what_another_agent_holds() {
    let preset = Path::new("/usr/lib/gnupg/gpg-preset-passphrase");
    let Some(home) = Home::new().filter(|_| preset.exists()) else { return };
    home.generate("cv25519", "secret");
    let message = home.encrypt(&["-r", "t@example"]);
    _ = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).status();
    std::fs::write(home.path().join("gpg-agent.conf"), "allow-preset-passphrase\npinentry-program /bin/false\n")
        .unwrap();
    let keys = String::from_utf8(home.gpg(&["--with-colons", "--with-keygrip", "--list-secret-keys"], b"")).unwrap();
    for grip in keys.lines().filter_map(|line| line.strip_prefix("grp:::::::::")) {
        let status = Command::new(preset)
            .env("GNUPGHOME", home.path())
            .args(["--preset", "-P", "secret", grip.trim_end_matches(':')])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "preset");
    }
    // Nothing but the public key is on this side, as where an agent is forwarded.
    let (environment, policy) = with_programs(&[("GNUPGHOME", home.path())]);
    match open_with(&environment, policy, &message) {
        Ok(share) => assert!(share.0.expose() == SHARE),
        Err(reason) => panic!("{reason:?}"),
    }
}

#[test]
fn gpg_is_asked_for_its_own_messages_only_and_not_without_end() {
    use std::os::unix::fs::PermissionsExt;
    let Some(home) = Home::new() else { return };
    let Some(stranger) = Home::new() else { return };
    home.generate("cv25519", "");
    stranger.generate("cv25519", "");
    let message = stranger.encrypt(&["-r", "t@example"]);
    let dir = tempfile::tempdir().unwrap();
    let (program, runs) = (dir.path().join("gpg"), dir.path().join("runs"));
    let run_with = |script: &str| {
        std::fs::write(&program, format!("#!/bin/sh\necho run >> {}\n{script}\n", runs.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    run_with("exit 2");
    let policy = KeyPolicy { allow_exec: true, ..KeyPolicy::default() };
    let environment = |variables: &[(&str, &Path)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), value.as_os_str().to_owned()));
        Environment::new(variables, None)
    };
    let own = environment(&[("PATH", dir.path()), ("GNUPGHOME", home.path())]);
    assert!(open_with(&own, policy, &message).is_err());
    assert!(!runs.exists(), "gpg was asked for a message that is not for its keys");

    // A wrapper has its keys elsewhere.
    let wrapper = environment(&[("SOPS_GPG_EXEC", &program), ("PATH", Path::new("/usr/bin:/bin"))]);
    let pgp = Pgp::new(&wrapper, policy, Arc::new(KeyDirectory::new(&wrapper)));
    for _ in 0..limits::GPG_FAILURES + 3 {
        assert!(pgp.open("FPR", &message, None).is_err());
    }
    assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), limits::GPG_FAILURES);

    for (script, why) in [
        ("head -c 100 /dev/zero", "the PGP message holds more than a data key"),
        ("cat >/dev/null; exit 0", "gpg gave nothing for this message"),
        ("echo 'CANARY-7f3a' >&2; exit 3", "gpg failed with exit status 3"),
    ] {
        run_with(script);
        let Err(RefusedReason {
            refusal: Refusal::Denied(said) | Refusal::NotMine(said) | Refusal::Unavailable(said),
            ..
        }) = open_with(&wrapper, policy, &message)
        else {
            panic!("opened")
        };
        assert!(said.as_str().starts_with(why) && !said.as_str().contains("CANARY"), "{said}");
    }
    run_with("cat");
    assert!(open_with(&wrapper, policy, &message).is_err(), "the ciphertext is not the share");
    let missing = environment(&[("SOPS_GPG_EXEC", Path::new("/no/gpg"))]);
    let Err(reason) = open_with(&missing, policy, &message) else { panic!("opened") };
    assert!(matches!(&reason.refusal, Refusal::NotMine(why) if why.as_str().contains("does not exist")), "{reason:?}");
}

#[test]
fn the_key_directory_holds_pgp_keys_beside_the_home() {
    let Some(home) = Home::new() else { return };
    home.generate("cv25519", "");
    let message = home.encrypt(&["-r", "t@example"]);
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let exported = home.gpg(&["--armor", "--export-secret-keys"], b"");
    std::fs::write(dir.path().join("identity.asc"), exported).unwrap();
    assert_opens(&[("GNUPGHOME", &nowhere), ("UNSOPS_KEYS", dir.path())], &message);
    std::fs::write(dir.path().join("identity.asc"), home.gpg(&["--armor", "--export"], b"")).unwrap();
    let Err(reason) = open(&[("GNUPGHOME", &nowhere), ("UNSOPS_KEYS", dir.path())], &message) else { panic!("opened") };
    assert!(
        matches!(&reason.refusal, Refusal::NotMine(why) if why.as_str().contains("identity.asc: holds only public keys")),
        "{reason:?}"
    );
}

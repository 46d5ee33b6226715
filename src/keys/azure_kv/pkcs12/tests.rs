//! The files are made by the real openssl, in the test.

use std::process::Command;

use super::super::certificate::ClientCertificate;
use super::*;

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/assertion.pem");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/assertion-cert.pem");

/// The file that `openssl pkcs12 -export` makes of the key of the tests; `None` where there is no openssl.
#[expect(clippy::disallowed_methods, reason = "the real counterpart, in a test")]
fn exported(password: &str, more: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-export", "-inkey", KEY, "-in", CERTIFICATE, "-passout", &format!("pass:{password}")]);
    match command.args(more).output() {
        Ok(made) => {
            assert!(made.status.success(), "{more:?}: {}", String::from_utf8_lossy(&made.stderr));
            Some(made.stdout)
        }
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "openssl is missing");
            None
        }
    }
}

fn problem(file: &[u8], password: &str) -> Option<Problem> {
    Pkcs12::read(file, password).err()
}

const WAYS: [&[&str]; 8] = [
    &[],
    &["-legacy"],
    &["-legacy", "-descert"],
    &["-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"],
    &["-keypbe", "NONE", "-certpbe", "NONE"],
    &["-macalg", "SHA1"],
    &["-iter", "1", "-maciter"],
    &["-name", "a name", "-CSP", "Microsoft", "-keyex"],
];

#[test]
fn reads_what_openssl_writes() {
    for way in WAYS {
        for password in ["TEST-ONLY", "", "pässword €", "a long one: 0123456789012345678901234567890123456789"] {
            let Some(file) = exported(password, way) else { return };
            let read =
                Pkcs12::read(&file, password).unwrap_or_else(|problem| panic!("{way:?} {password}: {problem:?}"));
            assert_eq!(read.certificates.len(), 1, "{way:?}");
            assert!(ClientCertificate::read(&file, password, false).is_ok(), "{way:?}");
            let wrong = if password.is_empty() { None } else { Some(Problem::NoPassword) };
            assert_eq!(problem(&file, ""), wrong, "{way:?}");
            assert_eq!(problem(&file, "other"), Some(Problem::WrongPassword), "{way:?}");
        }
    }
}

#[test]
fn a_part_of_a_file_is_none() {
    for way in WAYS {
        let Some(file) = exported("", way) else { return };
        for length in (0..file.len()).step_by(7).chain([file.len() - 1]) {
            let part = file.get(..length).unwrap_or_default();
            assert!(problem(part, "").is_some(), "{way:?} {length}");
        }
    }
}

/// One byte is another one: never a panic, never a key that is not the key.
#[test]
fn a_damaged_file_gives_its_own_key_or_none() {
    for way in [&["-legacy", "-iter", "1", "-maciter"][..], &["-iter", "1", "-maciter"]] {
        let Some(file) = exported("p", way) else { return };
        let own = Pkcs12::read(&file, "p").unwrap_or_else(|problem| panic!("{problem:?}"));
        for place in 0..file.len() {
            let mut damaged = file.clone();
            for bit in [0x01, 0x80] {
                damaged[place] = file[place] ^ bit;
                if let Ok(read) = Pkcs12::read(&damaged, "p") {
                    assert!(read.key.expose() == own.key.expose(), "{way:?} {place}");
                }
            }
        }
    }
}

#[test]
fn refuses_more_work_than_anyone_needs() {
    let Some(mut file) = exported("p", &[]) else { return };
    // The rounds of the MAC stand at the end: 2048. With two bytes more, everything around them is as much longer.
    let mac = file.len() - 67;
    assert_eq!(
        (&file[..2], &file[mac..mac + 2], &file[file.len() - 4..]),
        (&[0x30, 0x82][..], &[0x30, 65][..], &[2, 2, 8, 0][..])
    );
    file[mac + 1] += 2;
    let length = u16::from_be_bytes([file[2], file[3]]) + 2;
    file[2..4].copy_from_slice(&length.to_be_bytes());
    file.truncate(file.len() - 4);
    file.extend([2, 4, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(problem(&file, "p"), Some(Problem::TooSlow));
}

#[test]
fn tells_what_is_missing() {
    let Some(file) = exported("p", &["-nokeys"]) else { return };
    assert_eq!(problem(&file, "p"), Some(Problem::NoKey));
    let Some(file) = exported("p", &["-nomac"]) else { return };
    assert_eq!(problem(&file, "p"), Some(Problem::Unsupported));
    let Some(file) = exported("p", &["-macalg", "SHA512"]) else { return };
    assert_eq!(problem(&file, "p"), Some(Problem::Unsupported));
    let Some(file) = exported("p", &["-keypbe", "PBE-SHA1-2DES"]) else { return };
    assert_eq!(problem(&file, "p"), Some(Problem::Unsupported));
    for nothing in [&b""[..], b"0", b"certificate", &[0x30, 0], &[0x30, 0x80, 0, 0], &[0; 4096]] {
        assert_eq!(problem(nothing, "p"), Some(Problem::Malformed));
    }
}

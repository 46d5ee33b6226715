//! Bad input of every key: key files that are wrong, missing, unreadable, malformed, cut, encrypted, huge or no files; keys
//! in the wrong place; metadata with thousands of recipients and hostile names. Each ends soon with the right code, names
//! the place, shows nothing of what it read, and makes no connection.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::stand_in::{Behaviour, StandIn, token};
use super::{GENERATOR, Service, encrypted, issuers, with};
use crate::harness::{CANARY, Case, encrypted as encrypted_for_age, tests_dir, tool};

/// A variable that names a file with a key or a credential.
struct Place {
    variable: &'static str,
    /// Whose file is opened; `None` is age and PGP.
    service: Option<Service>,
    /// Other variables that make it count.
    beside: Vec<(&'static str, String)>,
    /// What stands there when all is well.
    good: Vec<u8>,
    /// Whether part of it, or nonsense, is as good a credential as any: then the service says no.
    is_opaque: bool,
}

fn key(name: &str) -> Vec<u8> {
    std::fs::read(tests_dir().join("keys").join(name)).expect("a key")
}

/// The private key of the test keys for SSH, and its public half.
fn ssh_key() -> (Vec<u8>, String) {
    let text = String::from_utf8(key("ssh.txt")).expect("text");
    let block = text.split("---\ned ").nth(1).and_then(|rest| rest.split("\n---\n").next()).expect("a key");
    let (public, private) = block.split_once('\n').expect("two halves");
    (format!("{private}\n").into_bytes(), public.to_owned())
}

/// A file that the key of a variable would open; `None` where there is no sops.
fn file_for(variable: &str) -> Option<String> {
    if matches!(variable, "UNSOPS_PGP_KEY_FILE" | "GNUPGHOME") {
        let fixture = tests_dir().join("fixtures/enc/3.0.0/dates.yaml");
        return Some(std::fs::read_to_string(fixture).expect("a fixture"));
    }
    let plain = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: demo}}\nstringData: {{password: {CANARY}}}\n");
    let file = if variable.contains("SSH") {
        let case = Case::new().file("plain.yaml", plain).args(["encrypt", "--age", &ssh_key().1, "plain.yaml"]);
        let run = case.run_unchecked(&tool("sops")?);
        assert_eq!(run.status, Some(0), "sops encrypt: {}", run.redacted());
        run.stdout
    } else {
        encrypted_for_age(plain, "plain.yaml", &[])?
    };
    Some(String::from_utf8(file).expect("UTF-8"))
}

/// Parts of the test keys that no message may hold.
fn pieces_of_keys() -> Vec<String> {
    let mut pieces = vec!["MIIFHDBOBgkqh".to_owned()];
    for name in ["age.txt", "age-stranger.txt", "pgp.asc", "ssh.txt", "assertion.pem", "assertion-cert.pem"] {
        let text = String::from_utf8(key(name)).expect("text");
        let secret = text.lines().filter(|line| line.len() > 60 && !line.starts_with('#') && !line.contains(' '));
        pieces.extend(secret.take(40).map(|line| line[20..40].to_owned()));
    }
    pieces
}

fn places(server: &StandIn) -> Vec<Place> {
    let local = |variable, good| Place { variable, service: None, beside: Vec::new(), good, is_opaque: false };
    let of = |service, variable, good: &[u8], beside: &[(&'static str, &str)], is_opaque| Place {
        variable,
        service: Some(service),
        beside: beside.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        good: good.to_vec(),
        is_opaque,
    };
    let account = json!({
        "type": "service_account", "private_key": issuers::KEY, "private_key_id": "k",
        "client_email": "reader@p.iam.gserviceaccount.com", "token_uri": format!("{}/google/token", server.url()),
    })
    .to_string();
    let application = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client")];
    let certificate = [issuers::CERTIFICATE, issuers::KEY].concat().into_bytes();
    let profile = format!("[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = {}\n", token());
    let role =
        [("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa"), ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")];
    vec![
        local("SOPS_AGE_KEY_FILE", key("age.txt")),
        local("SOPS_AGE_SSH_PRIVATE_KEY_FILE", ssh_key().0),
        local("UNSOPS_PGP_KEY_FILE", key("pgp.asc")),
        of(Service::Vault, "VAULT_CACERT", server.certificate.as_bytes(), &[], false),
        of(Service::Vault, "SSL_CERT_FILE", server.certificate.as_bytes(), &[], false),
        of(Service::Gcp, "GOOGLE_APPLICATION_CREDENTIALS", account.as_bytes(), &[], false),
        of(Service::Gcp, "GOOGLE_CREDENTIALS", account.as_bytes(), &[], false),
        of(Service::Azure, "AZURE_CLIENT_CERTIFICATE_PATH", &certificate, &application, false),
        of(
            Service::Azure,
            "AZURE_CLIENT_CERTIFICATE_PATH",
            &issuers::pkcs12("", &[]).unwrap_or(certificate),
            &application,
            false,
        ),
        of(
            Service::Azure,
            "AZURE_FEDERATED_TOKEN_FILE",
            token().as_bytes(),
            &[&application[..], &[("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential")]].concat(),
            true,
        ),
        of(Service::Aws, "AWS_SHARED_CREDENTIALS_FILE", profile.as_bytes(), &[], false),
        of(Service::Aws, "AWS_CONFIG_FILE", profile.as_bytes(), &[], false),
        of(Service::Aws, "AWS_WEB_IDENTITY_TOKEN_FILE", b"a.b.c", &role, true),
    ]
}

/// What stands at the path of a key instead.
fn bad_contents(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let half = good.get(..good.len() / 2).expect("half").to_vec();
    let mut bits: Vec<u8> = (0..2000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    bits.extend_from_slice(CANARY.as_bytes());
    vec![
        ("empty", Vec::new()),
        ("blank", b"\n \n".to_vec()),
        ("text", format!("{CANARY}\n{CANARY} = {CANARY}\n").into_bytes()),
        ("page", format!("<html>{CANARY}</html>").into_bytes()),
        ("bits", bits),
        ("half", half),
        ("null", vec![0; 4096]),
        ("huge", [CANARY.as_bytes().repeat(10).as_slice(), &vec![b'x'; (16 << 20) + 1]].concat()),
        ("bytes that are not text", b"\xff\xfe\xff".to_vec()),
        (
            "encrypted",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBOBgkqhkiG9w0BBQ0wQTAp\n-----END ENCRYPTED PRIVATE KEY-----\n".to_vec(),
        ),
        ("certificate only", issuers::CERTIFICATE.as_bytes().to_vec()),
        ("age recipient", b"age1m2pn2aqlpm7j4glm50rzzplgltz7pmppwrsr0jtvj7lh63zjqekqv62m0t\n".to_vec()),
        ("SSH public key", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILL2bjReYKks0oOP7TNKH8RWN4mXFFbxCJ70udxr2jTa\n".to_vec()),
        ("another age key", key("age-stranger.txt")),
    ]
}

/// What is no file.
const NO_FILES: [(&str, &str); 6] = [
    ("missing", "true"),
    ("directory", "mkdir key"),
    ("loop", "ln -s key key"),
    ("silent pipe", "mkfifo key"),
    ("endless device", "ln -s /dev/zero key"),
    // It opens, and every read fails.
    ("unreadable", "ln -s /proc/self/mem key"),
];

/// The file to be opened, and a world without any other key.
fn case(server: &StandIn, place: &Place, file: &str) -> Case {
    server.behave(Behaviour::Good);
    let case = match place.service {
        None => Case::new(),
        Some(service) if place.variable == "SSL_CERT_FILE" || place.variable == "VAULT_CACERT" => {
            with(Case::new(), server, service.environment(server))
        }
        Some(service) => with(Case::new(), server, service.environment_without_credentials(server)),
    };
    let case = case
        .file("secret.enc.yaml", file)
        .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
        .arg("generator.yaml")
        .env("UNSOPS_DEADLINE", "2");
    let path = case.root().join("key");
    place.beside.iter().fold(case, |case, (name, value)| case.env(name, value)).env(place.variable, path)
}

fn judge(server: &StandIn, place: &Place, what: &str, case: &Case) -> Result<(), String> {
    let start = Instant::now();
    let run = case.run();
    let (time, message) = (start.elapsed(), String::from_utf8_lossy(&run.stderr).into_owned());
    let known = run.status == Some(6) || run.status == Some(8) && (what == "silent pipe" || place.is_opaque);
    let names_the_place = message.contains(place.variable) || place.is_opaque || place.service == Some(Service::Aws);
    // Pieces of secrets, whatever the harness knows.
    let is_silent =
        !pieces_of_keys().iter().any(|piece| message.contains(piece.as_str())) && !message.contains("<html");
    let asked = server.decryptions();
    if !known
        || !names_the_place
        || !is_silent
        || asked > usize::from(place.is_opaque)
        || time > Duration::from_secs(10)
    {
        return Err(format!("{} {what}: {time:?}, asked {asked} times: {}\n", place.variable, run.redacted()));
    }
    Ok(())
}

#[test]
fn no_bad_key_file_opens_hangs_leaks_or_asks_anybody() {
    let server = StandIn::start();
    if tool("sops").is_none() {
        return;
    }
    let mut wrong = String::new();
    for place in places(&server) {
        let file = match place.service {
            None => file_for(place.variable).expect("there is sops"),
            Some(service) => encrypted(&[service], &server).expect("there is sops"),
        };
        for (what, content) in bad_contents(&place.good) {
            let is_certificate =
                what == "certificate only" && matches!(place.variable, "VAULT_CACERT" | "SSL_CERT_FILE");
            if is_certificate {
                continue; // It is what should stand there.
            }
            let case = case(&server, &place, &file).file("key", content);
            wrong.push_str(&judge(&server, &place, what, &case).err().unwrap_or_default());
        }
        for (what, make) in NO_FILES {
            let case = case(&server, &place, &file);
            let made = Command::new("/bin/sh").args(["-c", make]).current_dir(case.root()).status();
            assert!(made.is_ok_and(|made| made.success()), "{what}");
            wrong.push_str(&judge(&server, &place, what, &case).err().unwrap_or_default());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn keys_in_the_wrong_variable_are_named_and_not_shown() {
    let (age, pgp) =
        (String::from_utf8(key("age.txt")).expect("text"), String::from_utf8(key("pgp.asc")).expect("text"));
    let ssh = String::from_utf8(ssh_key().0).expect("text");
    for (variable, value) in [
        // The key where its path belongs, the path where the key belongs.
        ("SOPS_AGE_KEY_FILE", age.as_str()),
        ("SOPS_AGE_KEY", "/keys/keys.txt"),
        ("SOPS_AGE_KEY", &pgp),
        ("SOPS_AGE_KEY", &ssh),
        ("SOPS_AGE_KEY", "age1m2pn2aqlpm7j4glm50rzzplgltz7pmppwrsr0jtvj7lh63zjqekqv62m0t"),
        ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &ssh),
        ("UNSOPS_PGP_KEY_FILE", &pgp),
        ("UNSOPS_PGP_KEY_FILE", &age),
        ("GNUPGHOME", &pgp),
        ("GNUPGHOME", &age),
        ("UNSOPS_KEYS", &age),
        ("SOPS_AGE_KEY_CMD", &age),
    ] {
        let Some(file) = file_for(variable) else { return };
        let case = Case::new()
            .file("secret.enc.yaml", &file)
            .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
            .arg("generator.yaml")
            .env(variable, value);
        let message = case.run().failure(6);
        assert!(message.contains(variable), "{variable}: {message}");
        let shown = pieces_of_keys().into_iter().find(|piece| message.contains(piece.as_str()));
        assert!(shown.is_none(), "{variable}: {message}");
    }
}

/// Values that are no name of anything.
fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/",
        "%2e%2e%2f",
        "\\",
        "@127.0.0.1",
        "http://127.0.0.1:9",
        "{{x}}",
        "$(id)",
        "`id`",
        "'; id",
        "null",
        "-rf",
        "--help",
        "\u{202e}gnp",
        "\u{0}",
        "\u{1b}[2J",
        "a\nb",
        "a\r\nX-Evil: b",
        "\u{7f}",
        "*",
        "?",
        "a#b",
        "a?b",
        "é",
        "\u{1f600}",
        "０",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("a".repeat(100_000));
    names.push("%".repeat(10_000));
    names.push("arn:".repeat(5_000));
    names
}

#[test]
fn hostile_names_in_metadata_are_refused_without_a_connection() {
    let server = StandIn::start();
    for service in [Service::Aws, Service::Azure, Service::Gcp, Service::Vault] {
        let Some(file) = encrypted(&[service], &server) else { return };
        let fields: &[&str] = match service {
            Service::Aws => &["arn", "role"],
            Service::Azure => &["vault_url", "name"],
            Service::Gcp => &["resource_id"],
            Service::Vault => &["vault_address", "engine_path", "key_name"],
        };
        for field in fields {
            let stanza = file.find("\nsops:").expect("a stanza");
            let (before, rest) = file.split_at(stanza);
            let place = rest.find(&format!("{field}: "));
            for name in hostile_names() {
                let value = format!("{field}: {}", json!(name));
                let rest = match place {
                    Some(place) => {
                        let (head, tail) = rest.split_at(place);
                        let end = tail.find('\n').expect("a line");
                        [head, &value, &tail[end..]].concat()
                    }
                    // A role beside the key.
                    None => rest.replacen("- arn: ", &format!("- {value}\n          arn: "), 1),
                };
                server.behave(Behaviour::Good);
                let case = with(Case::new(), &server, service.environment(&server))
                    .file("secret.enc.yaml", [before, &rest].concat())
                    .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
                    .arg("generator.yaml");
                let start = Instant::now();
                let run = case.run();
                let shown: String = name.chars().take(40).collect();
                let is_none = *field == "role" && name.is_empty();
                // The stand-in knows every engine.
                let opens = is_none || *field == "engine_path" && run.status == Some(0);
                let ends = opens || matches!(run.status, Some(3 | 5 | 6));
                // A name of one word may be a key's; it is asked for, and there is none.
                let is_word = matches!(*field, "name" | "engine_path" | "key_name");
                assert!(ends, "{service:?} {field} {shown:?}: {}", run.redacted());
                assert!(
                    server.decryptions() == 0 || is_word || is_none,
                    "{service:?} {field} {shown:?}: {} questions",
                    server.decryptions()
                );
                assert!(
                    run.stderr.len() < 3000 && start.elapsed() < Duration::from_secs(5),
                    "{service:?} {field} {shown:?}"
                );
                assert!(!String::from_utf8_lossy(&run.stderr).contains('\u{202e}'), "{service:?} {field}");
            }
        }
    }
}

#[test]
fn a_thousand_recipients_are_tried_and_more_are_refused() {
    let server = StandIn::start();
    let plain =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "demo"}, "stringData": {"password": CANARY}});
    let Some(file) = encrypted_for_age(plain.to_string(), "plain.json", &["--encrypted-regex", "^stringData$"]) else {
        return;
    };
    let file: serde_json::Value = serde_json::from_slice(&file).expect("JSON");
    let with_keys = |kind: &str, count: usize, fields: &dyn Fn(usize) -> serde_json::Value| {
        let mut file = file.clone();
        file["sops"].as_object_mut().expect("a stanza").remove("age");
        file["sops"][kind] = (0..count).map(fields).collect();
        file.to_string()
    };
    let time = "2026-01-01T00:00:00Z";
    let enc = "AQICAHhb".repeat(20);
    let own = file["sops"]["age"][0].clone();
    type Fields<'a> = Box<dyn Fn(usize) -> serde_json::Value + 'a>;
    let kinds: [(&str, Fields<'_>); 6] = [
        ("age", Box::new(move |n| json!({"recipient": format!("age1{n}"), "enc": own["enc"]}))),
        (
            "pgp",
            Box::new(
                move |n| json!({"fp": format!("{n:040X}"), "created_at": time, "enc": "-----BEGIN PGP MESSAGE-----"}),
            ),
        ),
        (
            "kms",
            Box::new(|n| json!({"arn": format!("arn:aws:kms:us-east-1:1:key/{n}"), "created_at": time, "enc": enc})),
        ),
        (
            "gcp_kms",
            Box::new(|n| {
                let name = format!("projects/p/locations/l/keyRings/r/cryptoKeys/k{n}");
                json!({"resource_id": name, "created_at": time, "enc": enc})
            }),
        ),
        (
            "azure_kv",
            Box::new(
                |n| json!({"vault_url": "https://unsops-test.vault.azure.net", "name": format!("k{n}"), "version": "", "created_at": time, "enc": enc}),
            ),
        ),
        (
            "hc_vault",
            Box::new(
                |n| json!({"vault_address": server.url(), "engine_path": "transit", "key_name": format!("k{n}"), "created_at": time, "enc": enc}),
            ),
        ),
    ];
    let services = [Service::Aws, Service::Azure, Service::Gcp, Service::Vault];
    let environment: Vec<_> = services.iter().flat_map(|service| service.environment(&server)).collect();
    for (kind, fields) in kinds {
        // Those of services are asked as long as there is time.
        for (count, codes) in [(1000, vec![6, 8]), (1001, vec![5]), (20_000, vec![5])] {
            server.behave(Behaviour::Good);
            let case = with(Case::new(), &server, environment.clone())
                .key("age-stranger.txt")
                .env("UNSOPS_DEADLINE", "10")
                .env("UNSOPS_PGP_KEY_FILE", tests_dir().join("keys/pgp.asc"))
                .file("secret.enc.json", with_keys(kind, count, &*fields))
                .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.json]\n"))
                .arg("generator.yaml");
            let start = Instant::now();
            let run = case.run();
            let time = start.elapsed();
            assert!(run.status.is_some_and(|status| codes.contains(&status)), "{kind} {count}: {}", run.redacted());
            assert!(time < Duration::from_secs(20) && run.stderr.len() < 10_000, "{kind} {count}: {time:?}");
            assert!(server.decryptions() <= 1000 && (count == 1000 || server.connections() == 0), "{kind} {count}");
        }
    }
}

/// The identity of an application in PKCS#12: what cannot be used is told from what is broken, with the way to convert it.
#[test]
fn a_certificate_in_pkcs12_that_is_no_use_says_why() {
    let server = StandIn::start();
    let Some(file) = encrypted(&[Service::Azure], &server) else { return };
    let Some(good) = issuers::pkcs12(CANARY, &[]) else { return };
    let Some(strange) = issuers::pkcs12(CANARY, &["-keypbe", "PBE-SHA1-2DES"]) else { return };
    let half = good.get(..good.len() / 2).expect("half").to_vec();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for (content, password, reason) in [
        (good.clone(), "", "is behind a password (set AZURE_CLIENT_CERTIFICATE_PASSWORD)"),
        (good, "another one", "is not opened by AZURE_CLIENT_CERTIFICATE_PASSWORD, or is damaged"),
        (damaged, CANARY, "is not opened by AZURE_CLIENT_CERTIFICATE_PASSWORD, or is damaged"),
        (half, CANARY, "is neither PEM nor a whole PKCS#12 file"),
        (strange, CANARY, "not supported (convert it: openssl pkcs12 -in FILE -out PEM -nodes)"),
    ] {
        let case = with(Case::new(), &server, Service::Azure.environment_without_credentials(&server));
        let path = case.root().join("pair.p12");
        let case = case
            .file("pair.p12", content)
            .file("secret.enc.yaml", &file)
            .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
            .arg("generator.yaml")
            .env("AZURE_CLIENT_CERTIFICATE_PATH", path)
            .env("AZURE_CLIENT_CERTIFICATE_PASSWORD", password);
        let message = case.run().failure(6);
        assert!(message.contains(reason), "{reason}: {message}");
    }
    assert_eq!(server.decryptions(), 0);
}

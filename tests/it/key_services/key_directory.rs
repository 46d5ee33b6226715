//! A key directory as Flux' Secret is mounted: every service opens with nothing but it and the addresses of the servers.

use std::path::Path;

use serde_json::json;

use super::issuers;
use super::stand_in::{Behaviour, StandIn, token};
use super::{GENERATOR, SERVICES, Service, encrypted, with};
use crate::harness::{CANARY, Case, tests_dir};

/// The file that Flux reads for a service.
fn credential(service: Service, server: &StandIn) -> (&'static str, String) {
    match service {
        Service::Aws => (
            "sops.aws-kms",
            format!("aws_access_key_id: AKIATEST\naws_secret_access_key: {}\n", token()),
        ),
        Service::Azure => (
            "sops.azure-kv",
            format!("tenantId: tenant\nclientId: client\nclientSecret: {}\n", token()),
        ),
        Service::Gcp => (
            "sops.gcp-kms",
            json!({
                "type": "service_account", "private_key": issuers::KEY, "private_key_id": "k",
                "client_email": "reader@p.iam.gserviceaccount.com", "token_uri": format!("{}/google/token", server.url()),
            })
            .to_string(),
        ),
        Service::Vault => ("sops.vault-token", format!("{}\n", token())),
    }
}

/// Mounts files as the kubelet does: links to links into a folder of a version.
fn mount(case: Case, files: &[(&str, String)]) -> Case {
    let keys = case.root().join("keys");
    let mut case = case;
    for (name, content) in files {
        case = case.file(Path::new("keys/..2026_01_01").join(name), content);
        std::os::unix::fs::symlink(Path::new("..data").join(name), keys.join(name)).expect("a link");
    }
    std::os::unix::fs::symlink("..2026_01_01", keys.join("..data")).expect("a link");
    case.env("UNSOPS_KEYS", keys)
}

fn case(service: Service, server: &StandIn, file: &str) -> Case {
    let mut environment = service.environment_without_credentials(server);
    environment.retain(|(name, _)| !name.starts_with("AZURE_"));
    let case = with(Case::new(), server, environment).file("secret.enc.yaml", file);
    case.file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n")).arg("generator.yaml")
}

#[test]
fn every_service_opens_with_the_secret_that_flux_takes() {
    let server = StandIn::start();
    let all: Vec<(&str, String)> = SERVICES.iter().map(|service| credential(*service, &server)).collect();
    for service in SERVICES {
        let Some(file) = encrypted(&[service], &server) else { return };
        let run = mount(case(service, &server, &file), &all).run();
        assert!(run.text().contains(CANARY), "{service:?}");
        // What stands in the directory is meant; the environment is not.
        let nobody = service.environment_of_nobody(&server);
        let nobody = nobody.into_iter().filter(|(name, _)| !name.starts_with("AZURE_TOKEN"));
        let run =
            nobody.fold(mount(case(service, &server, &file), &all), |case, (name, value)| case.env(name, value)).run();
        assert!(run.text().contains(CANARY), "{service:?}");
    }
}

#[test]
fn azure_takes_each_form_that_flux_documents() {
    let server = StandIn::start();
    let Some(file) = encrypted(&[Service::Azure], &server) else { return };
    let pem = format!("{}{}", issuers::CERTIFICATE, issuers::KEY);
    let az =
        json!({"appId": "client", "displayName": "x", "name": "http://x", "password": token(), "tenant": "tenant"});
    let certificate = json!({"tenantId": "tenant", "clientId": "client", "clientCertificate": pem});
    for form in [az.to_string(), certificate.to_string(), format!("\u{feff}{az}")] {
        let run = mount(case(Service::Azure, &server, &file), &[("sops.azure-kv", form)]).run();
        assert!(run.text().contains(CANARY));
    }
    let identity = mount(case(Service::Azure, &server, &file), &[("sops.azure-kv", "clientId: client\n".into())]);
    let endpoint = format!("{}/msi/token", server.url());
    let run = identity.env("IDENTITY_ENDPOINT", endpoint).env("IDENTITY_HEADER", "identity-header").run();
    assert!(run.text().contains(CANARY));
}

#[test]
fn a_broken_credential_is_named_and_asks_nobody() {
    let server = StandIn::start();
    for service in SERVICES {
        let Some(file) = encrypted(&[service], &server) else { return };
        let (name, _) = credential(service, &server);
        for content in [CANARY.to_owned(), String::new(), format!("{{\"type\": \"{CANARY}\"}}")] {
            if service == Service::Vault && !content.is_empty() {
                continue; // Any text may be a token.
            }
            server.behave(Behaviour::Good);
            let run = mount(case(service, &server, &file), &[(name, content)]).run();
            let message = run.failure(6);
            assert!(message.contains(&format!("ROOT/keys/{name}")), "{service:?}: {message}");
            assert_eq!(server.connections(), 0, "{service:?}");
        }
    }
}

#[test]
fn age_and_pgp_identities_stand_beside_those_of_sops() {
    let read = |name: &str| std::fs::read_to_string(tests_dir().join("keys").join(name)).expect("a key");
    let files = [("a.agekey", read("age.txt")), ("team.asc", read("pgp.asc"))];
    for (fixture, variable) in [("enc/3.13.3/scalars.yaml", true), ("enc/3.13.3/scalars.yaml", false)] {
        let case = Case::new().fixture(fixture, "secret.enc.yaml");
        let case = case.file(
            "generator.yaml",
            format!("{GENERATOR}secretFrom: [{{metadata: {{name: x}}, files: [secret.enc.yaml]}}]\n"),
        );
        let case = if variable { case.key("age-stranger.txt") } else { case };
        mount(case, &files).arg("generator.yaml").run().answer();
    }
    let missing = Case::new()
        .fixture("enc/3.13.3/scalars.yaml", "secret.enc.yaml")
        .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
        .env("UNSOPS_KEYS", "/nowhere")
        .arg("generator.yaml");
    let message = missing.run().failure(6);
    assert!(message.contains("UNSOPS_KEYS=/nowhere does not exist"), "{message}");
}

#[test]
fn sub_commands_take_the_directory_as_an_option() {
    use std::os::unix::fs::PermissionsExt;
    let key = std::fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let mounted = || mount(Case::new().fixture("enc/3.13.3/scalars.yaml", "a.enc.yaml"), &[("a.agekey", key.clone())]);
    let explain = |case: Case| case.args(["explain", "--try", "--keys", "keys", "a.enc.yaml"]).report().run();
    // It beats the variable.
    let case = mounted().env("UNSOPS_KEYS", "/nowhere");
    let with_mode = |case: Case, mode: u32| {
        let file = case.root().join("keys/a.agekey");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("an own file");
        case
    };
    let run = explain(with_mode(case, 0o644));
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status, Some(0), "{text}{}", run.redacted());
    assert!(
        text.contains("keys/a.agekey: age1") && text.contains("every account on this machine may read it"),
        "{text}"
    );

    let run = explain(with_mode(mounted(), 0o640));
    assert!(!String::from_utf8_lossy(&run.stdout).contains("every account"));
}

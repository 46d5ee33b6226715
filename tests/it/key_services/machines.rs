//! Metadata servers of virtual machines have one address, and Azure's nothing moves: these tests have it in a network of
//! their own, where nothing else is reached.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::stand_in::{Behaviour, StandIn};
use super::{GENERATOR, SERVICES, Service, encrypted, with};
use crate::harness::{CANARY, Case, skip, tool};

/// Where every cloud has it.
const ADDRESS: &str = "169.254.169.254";

#[test]
fn virtual_machines_of_every_cloud_open_with_nothing_but_their_metadata_server() {
    if tool("sops").is_none() {
        return;
    }
    let script = format!("ip link set lo up && ip addr add {ADDRESS}/32 dev lo && echo ready && exec \"$0\" \"$@\"");
    let this = std::env::current_exe().expect("this test");
    let mut run = Command::new("unshare");
    run.args(["--user", "--map-root-user", "--net", "/bin/sh", "-c", &script]).arg(this);
    run.args(["--exact", "key_services::machines::in_a_network_of_its_own", "--ignored", "--nocapture"]);
    let Ok(output) = run.process_group(0).stdin(Stdio::null()).output() else { return skip("there is no unshare") };
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !said.starts_with("ready") {
        // Containers often may not; that is no want of a counterpart.
        std::io::Write::write_all(&mut std::io::stderr(), format!("\nno network of its own: {said}\n").as_bytes()).ok();
        return;
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test before it, in a network of its own"]
fn in_a_network_of_its_own() {
    let server = StandIn::start();
    let metadata = StandIn::start_at(&format!("{ADDRESS}:80"));
    for service in SERVICES {
        if service == Service::Vault {
            continue; // It has no such thing.
        }
        let Some(file) = encrypted(&[service], &server) else { return };
        metadata.behave(Behaviour::Good);
        let open_metadata = ["GCE_METADATA_HOST", "AWS_EC2_METADATA_DISABLED", "AZURE_TOKEN_CREDENTIALS"];
        let nothing: Vec<_> = service
            .environment_without_credentials(&server)
            .into_iter()
            .filter(|(name, _)| !open_metadata.contains(name) && !name.starts_with("AZURE_"))
            .collect();
        let case = |more: &[(&'static str, &str)]| {
            let all = nothing.clone().into_iter().chain(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
            with(Case::new(), &server, all)
                .file("secret.enc.yaml", &file)
                .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
                .arg("generator.yaml")
        };
        let mut ways: Vec<&[(&str, &str)]> = vec![&[]];
        if service == Service::Azure {
            ways.push(&[("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")]);
            ways.push(&[("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555")]);
        }
        for way in ways {
            let case = case(way);
            let run = case.run();
            assert!(run.text().contains(CANARY), "{service:?} {way:?}");
            assert!(metadata.connections() > 0, "{service:?}");
            // Google's library takes the first of two answers for the truth: the server's, or that there is no name server.
            let case = if service == Service::Gcp { case.env("GCE_METADATA_HOST", ADDRESS) } else { case };
            let sops =
                case.only_args(["decrypt", "secret.enc.yaml"]).run_unchecked(&tool("sops").expect("it encrypted"));
            assert_eq!(sops.status, Some(0), "{service:?} {way:?}: {}", sops.redacted());
        }
    }
}

//! One file for six providers, two of which are needed; encrypted by the real sops for a real OpenBao, moto, gpg and age,
//! and the stand-ins for GCP and Azure.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::real::{self, Server, kms_key, moto, openbao};
use super::stand_in::{Behaviour, StandIn, token};
use super::{GENERATOR, python_tool, with};
use crate::harness::{Case, Run, tests_dir, tool};

/// The six, in the order of their groups.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Provider {
    Age,
    Pgp,
    Aws,
    Gcp,
    Azure,
    Vault,
}

const PROVIDERS: [Provider; 6] =
    [Provider::Age, Provider::Pgp, Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Vault];

const PGP_FINGERPRINT: &str = "9079EE2D03BD5FEE8507B6FC38F772487EF68456";

/// The servers and a file that needs two of six groups.
struct World {
    stand_in: StandIn,
    bao: Server,
    moto: Server,
    file: String,
}

impl World {
    fn new() -> Option<Self> {
        let (sops, bao, moto_server) = (tool("sops")?, python_tool("bao")?, python_tool("moto_server")?);
        let (stand_in, bao, moto) = (StandIn::start(), openbao(&bao), moto(&moto_server));
        bao.ask("POST", "/v1/sys/mounts/transit", "X-Vault-Token: root\r\n", r#"{"type":"transit"}"#);
        bao.ask("POST", "/v1/transit/keys/good", "X-Vault-Token: root\r\n", "{}");
        let mut world = Self { stand_in, bao, moto, file: String::new() };
        let gnupg = tempfile::tempdir().expect("a directory");
        let gpg = |args: &[&str]| {
            let mut command = Command::new("gpg");
            command.args(["--batch", "--quiet", "--no-tty"]).args(args).env("GNUPGHOME", gnupg.path());
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "gpg {args:?}");
        };
        let key = tests_dir().join("keys/pgp.asc");
        gpg(&["--import", key.to_str().expect("UTF-8")]);
        let creation_rules = format!(
            "creation_rules:\n  - encrypted_regex: ^stringData$\n    shamir_threshold: 2\n    key_groups:\n      \
             - age: [{}]\n      - pgp: [{PGP_FINGERPRINT}]\n      - kms: [{{arn: '{}'}}]\n      \
             - gcp_kms: [{{resource_id: projects/p/locations/global/keyRings/r/cryptoKeys/good}}]\n      \
             - azure_keyvault: [{{vaultUrl: 'https://unsops-test.vault.azure.net', key: good, version: 0123456789abcdef0123456789abcdef}}]\n      \
             - hc_vault: ['{}/v1/transit/keys/good']\n",
            age_recipient(),
            kms_key(&world.moto),
            world.bao.url(),
        );
        let case = Case::new().file(".sops.yaml", creation_rules).file("plain.yaml", real::plain());
        let case = world.with(case, &PROVIDERS).env("GNUPGHOME", gnupg.path()).args(["encrypt", "plain.yaml"]);
        let run = case.run_unchecked(&sops);
        _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", gnupg.path()).status();
        assert_eq!(run.status, Some(0), "sops encrypt: {}", run.redacted());
        world.file = String::from_utf8(run.stdout).expect("UTF-8");
        Some(world)
    }

    /// Where the servers are, and the credentials of these providers only.
    fn with(&self, case: Case, providers: &[Provider]) -> Case {
        let everywhere = [
            ("AWS_ENDPOINT_URL", self.moto.url()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("SOPS_GCP_KMS_CLIENT_TYPE", "rest".into()),
            ("SOPS_GCP_KMS_ENDPOINT", self.stand_in.url()),
            ("GCE_METADATA_HOST", "127.0.0.1:9".into()),
            ("HTTPS_PROXY", self.stand_in.url()),
            ("AZURE_TENANT_ID", "tenant".into()),
            ("AZURE_CLIENT_ID", "client".into()),
            ("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential".into()),
            ("VAULT_ADDR", self.bao.url()),
        ];
        let case = with(case, &self.stand_in, everywhere);
        providers.iter().fold(case, |case, provider| match provider {
            Provider::Age => case.key("age.txt"),
            Provider::Pgp => case.env("UNSOPS_PGP_KEY_FILE", tests_dir().join("keys/pgp.asc")),
            Provider::Aws => case.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test"),
            Provider::Gcp => case.env("GOOGLE_OAUTH_ACCESS_TOKEN", token()),
            Provider::Azure => case.env("AZURE_CLIENT_SECRET", token()),
            Provider::Vault => case.env("VAULT_TOKEN", "root"),
        })
    }

    fn generate(&self, file: &str, providers: &[Provider]) -> (Run, Duration) {
        let case = self.with(Case::new(), providers).file("secret.enc.yaml", file);
        let case = case.file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n")).arg("generator.yaml");
        let start = Instant::now();
        let run = case.run();
        (run, start.elapsed())
    }
}

fn age_recipient() -> String {
    let key: PathBuf = tests_dir().join("keys/age.txt");
    let text = std::fs::read_to_string(key).expect("the key");
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("its public half").to_owned()
}

#[test]
fn any_two_of_six_providers_open_a_file_and_one_does_not() {
    let Some(world) = World::new() else { return };
    for (index, one) in PROVIDERS.into_iter().enumerate() {
        let (run, _) = world.generate(&world.file, &[one]);
        let message = run.failure(6);
        // Every other is named with the reason why it gave nothing.
        assert!(message.matches("\nunsops:   ").count() >= 5, "{one:?}: {message}");
        for other in PROVIDERS.into_iter().skip(index + 1) {
            let (run, _) = world.generate(&world.file, &[one, other]);
            assert_eq!(run.text(), real::plain(), "{one:?} and {other:?}");
        }
    }
    let (run, _) = world.generate(&world.file, &PROVIDERS);
    assert_eq!(run.text(), real::plain());
}

#[test]
fn a_mute_provider_does_not_hold_up_two_that_answer() {
    let Some(world) = World::new() else { return };
    let mute = StandIn::start();
    mute.behave(Behaviour::Mute);
    let moved = world.file.replace(&world.bao.url(), &mute.url());
    for others in [[Provider::Age, Provider::Pgp], [Provider::Age, Provider::Gcp], [Provider::Aws, Provider::Gcp]] {
        let case = world.with(Case::new(), &[others[0], others[1], Provider::Vault]).file("secret.enc.yaml", &moved);
        let case = case.file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n")).arg("generator.yaml");
        let case = case.env("VAULT_ADDR", mute.url());
        let start = Instant::now();
        assert_eq!(case.run().text(), real::plain(), "{others:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{others:?}: {:?}", start.elapsed());
    }
}

//! Where credentials come from: each source with the real sops and with unsops, against the same issuer.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::issuers::{self, SUBJECT_TOKEN};
use super::stand_in::{Behaviour, Request, StandIn, token};
use super::{GENERATOR, Service, encrypted, with};
use crate::endurance::figure;
use crate::harness::{CANARY, Case, Run, tool};

/// A file of a service, and the world in which it is opened.
struct Attempt<'a> {
    server: &'a StandIn,
    service: Service,
    file: String,
}

impl<'a> Attempt<'a> {
    fn new(server: &'a StandIn, service: Service) -> Option<Self> {
        Some(Self { server, service, file: encrypted(&[service], server)? })
    }

    /// Without any credential; metadata servers are closed.
    fn case(&self) -> Case {
        self.server.behave(Behaviour::Good);
        let case = with(Case::new(), self.server, self.service.environment_without_credentials(self.server));
        case.file("secret.enc.yaml", &self.file)
            .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
    }

    /// Both open it, or the stand-in is not one.
    fn opens(&self, case: Case) {
        let case = self.opens_with_unsops(case);
        let run = case.run_unchecked(&tool("sops").expect("it encrypted the file"));
        assert_eq!(run.status, Some(0), "sops does not take this: {:?}: {}", self.service, run.redacted());
    }

    /// Gives the case back for sops, with the arguments to decrypt.
    fn opens_with_unsops(&self, case: Case) -> Case {
        let case = case.arg("generator.yaml");
        let run = case.run();
        assert!(run.text().contains(CANARY), "{:?}", self.service);
        case.only_args(["decrypt", "secret.enc.yaml"])
    }

    fn refused(case: Case, code: i32) -> (String, Run) {
        let run = case.arg("generator.yaml").run();
        (run.failure(code), run)
    }
}

/// A program in the folder `bin` of the root.
fn program(case: Case, name: &str, script: &str) -> Case {
    let path = case.root().join("bin").join(name);
    let case = case.file(Path::new("bin").join(name), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("an own file");
    case
}

fn path_with_bin(case: &Case) -> std::ffi::OsString {
    let bin = case.root().join("bin");
    std::env::join_paths([bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).expect("a path without a colon")
}

fn service_account(server: &StandIn) -> String {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": issuers::KEY,
        "client_email": "reader@p.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": format!("{}/google/token", server.url()),
    })
    .to_string()
}

fn federation(server: &StandIn, source: &serde_json::Value, impersonated: bool) -> String {
    let mut json = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/google/sts", server.url()), "credential_source": source,
    });
    if impersonated {
        json["service_account_impersonation_url"] = json!(format!("{}/google/impersonate", server.url()));
    }
    json.to_string()
}

#[test]
fn gcp_service_accounts_and_users() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Gcp) else { return };
    let case = attempt.case();
    let path = case.root().join("account.json");
    attempt.opens(case.file("account.json", service_account(&server)).env("GOOGLE_APPLICATION_CREDENTIALS", path));
    let case = attempt.case();
    let path = case.root().join("account.json");
    attempt.opens(case.file("account.json", service_account(&server)).env("GOOGLE_CREDENTIALS", path));
    attempt.opens(attempt.case().env("GOOGLE_CREDENTIALS", service_account(&server)));

    // `gcloud auth application-default login`.
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": token(), "refresh_token": "refresh-token",
        "token_uri": format!("{}/google/token", server.url())});
    let case = attempt.case();
    let home = case.root().join("home");
    let case =
        case.file("home/.config/gcloud/application_default_credentials.json", user.to_string()).env("HOME", home);
    // Google's library for Go asks Google whatever the file says.
    attempt.opens_with_unsops(case);

    let unknown = service_account(&server).replace("reader@", "nobody@");
    let (message, _) = Attempt::refused(attempt.case().env("GOOGLE_CREDENTIALS", unknown), 6);
    assert!(
        message.contains("the token service gave no GCP token (GOOGLE_CREDENTIALS: HTTP 400, invalid_grant)"),
        "{message}"
    );
    let broken = service_account(&server).replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
    let (message, _) = Attempt::refused(attempt.case().env("GOOGLE_CREDENTIALS", broken), 6);
    assert!(message.contains("GOOGLE_CREDENTIALS holds a private key behind a passphrase"), "{message}");
    assert_eq!(server.decryptions(), 0);
}

#[test]
fn gcp_workload_identity_federation() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Gcp) else { return };
    for (source, content) in [
        (json!({"file": "FILE"}), format!("{SUBJECT_TOKEN}\n")),
        (
            json!({"file": "FILE", "format": {"type": "json", "subject_token_field_name": "token"}}),
            json!({"token": SUBJECT_TOKEN}).to_string(),
        ),
        (
            json!({"url": format!("{}/subject", server.url()), "headers": {"Metadata": "True"},
                "format": {"type": "json", "subject_token_field_name": "value"}}),
            String::new(),
        ),
    ] {
        let case = attempt.case();
        let (file, path) = (case.root().join("subject"), case.root().join("credentials.json"));
        let json = federation(&server, &source, true).replace("FILE", &file.display().to_string());
        let content = if content.ends_with('\n') { content.trim().to_owned() } else { content };
        let case = case.file("subject", content).file("credentials.json", json);
        attempt.opens(case.env("GOOGLE_APPLICATION_CREDENTIALS", path));
    }

    let script = format!(
        "echo '{}'",
        json!({"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt", "id_token": SUBJECT_TOKEN, "expiration_time": 32_503_680_000_u64})
    );
    let with_program = || {
        let case = program(attempt.case(), "issuer", &script);
        let (command, path) = (case.root().join("bin/issuer"), case.root().join("credentials.json"));
        let json = federation(&server, &json!({"executable": {"command": command, "timeout_millis": 5000}}), true);
        case.file("credentials.json", json).env("GOOGLE_APPLICATION_CREDENTIALS", path)
    };
    attempt.opens(with_program().env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1"));
    let (message, _) = Attempt::refused(with_program(), 6);
    assert!(message.contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"), "{message}");
    let forbidden = with_program().env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1").env("UNSOPS_NO_EXEC", "1");
    let (message, _) = Attempt::refused(forbidden, 6);
    assert!(message.contains("was not run (key programs are switched off)"), "{message}");
}

#[test]
fn gcp_federates_identities_of_aws() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Gcp) else { return };
    let url = server.url();
    let source = json!({
        "environment_id": "aws1",
        "region_url": format!("{url}/latest/meta-data/placement/availability-zone"),
        "url": format!("{url}/latest/meta-data/iam/security-credentials"),
        "imdsv2_session_token_url": format!("{url}/latest/api/token"),
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    });
    let federated = || {
        let case = attempt.case();
        let path = case.root().join("credentials.json");
        let json = federation(&server, &source, true);
        case.file("credentials.json", json).env("GOOGLE_APPLICATION_CREDENTIALS", path)
    };
    attempt.opens_with_unsops(federated());
    let keys = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", CANARY)];
    attempt.opens(keys.iter().fold(federated(), |case, (name, value)| case.env(name, value)));
}

#[test]
fn gcp_metadata_server() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Gcp) else { return };
    attempt.opens(attempt.case().env("GCE_METADATA_HOST", server.address.to_string()));
}

#[test]
fn gcp_token_services_are_bounded_like_every_other() {
    let (server, issuer) = (StandIn::start(), StandIn::start());
    let Some(attempt) = Attempt::new(&server, Service::Gcp) else { return };
    let account = service_account(&issuer);
    // An issuer misbehaves as key services do where its requests look like theirs.
    let account = account.replace("/google/token", "/google/decrypt");
    for (behaviour, code, reason) in [
        (Behaviour::Redirect, 6, "HTTP 307"),
        (Behaviour::Huge, 6, "the answer is larger than 1 MiB"),
        (Behaviour::Garbage, 6, "the answer is not a token"),
        (Behaviour::Status(503), 8, "the token service is unavailable (HTTP 503)"),
        (Behaviour::Status(401), 6, "HTTP 401"),
    ] {
        let case = attempt.case().env("GOOGLE_CREDENTIALS", &account);
        issuer.behave(behaviour);
        let start = Instant::now();
        let (message, _) = Attempt::refused(case, code);
        assert!(message.contains(reason), "{reason}: {message}");
        assert!(start.elapsed() < Duration::from_secs(10), "{reason}");
    }
    assert_eq!(server.decryptions(), 0);
}

#[test]
fn azure_client_certificate() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Azure) else { return };
    let with_certificate = |pem: &str| {
        let case = attempt.case();
        let path = case.root().join("certificate.pem");
        case.file("certificate.pem", pem).env("AZURE_CLIENT_CERTIFICATE_PATH", path)
    };
    let pem = format!("{}{}", issuers::CERTIFICATE, issuers::KEY);
    attempt.opens(with_certificate(&pem));
    attempt.opens(with_certificate(&pem).env("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true"));
    for (pem, reason) in [
        (issuers::KEY, "holds no certificate"),
        (issuers::CERTIFICATE, "holds no private key"),
        ("\u{30}\u{1}", "is neither PEM nor a whole PKCS#12 file"),
    ] {
        let (message, _) = Attempt::refused(with_certificate(pem), 6);
        assert!(message.contains(reason), "{reason}: {message}");
    }
}

/// Go reads the old protection only; the new one is what openssl writes by itself.
#[test]
fn azure_client_certificate_in_pkcs12() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Azure) else { return };
    let with_file = |password: &str, content: Vec<u8>| {
        let case = attempt.case();
        let path = case.root().join("certificate.pfx");
        let case = case.file("certificate.pfx", content).env("AZURE_CLIENT_CERTIFICATE_PATH", path);
        if password.is_empty() { case } else { case.env("AZURE_CLIENT_CERTIFICATE_PASSWORD", password) }
    };
    for password in ["", CANARY] {
        for way in [&["-legacy"][..], &["-legacy", "-descert"]] {
            let Some(content) = issuers::pkcs12(password, way) else { return };
            attempt.opens(with_file(password, content.clone()));
            attempt.opens(with_file(password, content).env("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true"));
        }
        let Some(content) = issuers::pkcs12(password, &[]) else { return };
        attempt.opens_with_unsops(with_file(password, content));
    }
    // Beside it, the authority's; and it comes first, as Windows has it.
    let authority = attempt.server.certificate.clone();
    let pem = format!("{authority}{}{}", issuers::CERTIFICATE, issuers::KEY);
    attempt.opens(with_file("", pem.into_bytes()));
    let (message, _) = Attempt::refused(with_file("", format!("{authority}{}", issuers::KEY).into_bytes()), 6);
    assert!(message.contains("holds no certificate of its private key"), "{message}");
}

#[test]
fn azure_workload_and_managed_identity() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Azure) else { return };
    let case = attempt.case();
    let path = case.root().join("federated");
    let case = case.file("federated", token()).env("AZURE_FEDERATED_TOKEN_FILE", path);
    attempt.opens(case.env("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential"));

    let case = attempt.case().env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential");
    let endpoint = format!("{}/msi/token", server.url());
    attempt.opens(case.env("IDENTITY_ENDPOINT", endpoint).env("IDENTITY_HEADER", "identity-header"));
}

#[test]
fn azure_cli() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Azure) else { return };
    let with_az = |script: &str| {
        let case = program(attempt.case(), "az", script).env("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential");
        let path = path_with_bin(&case);
        case.env("PATH", path)
    };
    let answer = json!({"accessToken": token(), "expiresOn": "2999-01-01 00:00:00.000000", "expires_on": 32_503_680_000_u64, "tokenType": "Bearer"});
    let good = format!(
        r#"case "$*" in "account get-access-token -o json --resource https://vault.azure.net"*) echo '{answer}';; *) exit 9;; esac"#
    );
    attempt.opens(with_az(&good));
    for (script, reason) in [
        (format!("echo 'ERROR: {CANARY}' >&2; exit 1"), "az failed with exit status 1"),
        (format!("echo 'not JSON {CANARY}'"), "az gave something else than a token"),
        ("head -c 20000000 /dev/zero".to_owned(), "az wrote more than 16 MiB"),
    ] {
        let (message, _) = Attempt::refused(with_az(&script), 6);
        assert!(message.contains(reason), "{reason}: {message}");
    }
    let (message, _) = Attempt::refused(with_az(&good).env("UNSOPS_NO_EXEC", "1"), 6);
    assert!(message.contains("az and azd were not run (key programs are switched off)"), "{message}");

    // Machines whose managed identity we do not have: the person who works there has logged in.
    for machine in [&["MSI_ENDPOINT"][..], &["MSI_ENDPOINT", "MSI_SECRET"], &["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]] {
        let there = |case: Case| machine.iter().fold(case, |case, name| case.env(name, "http://127.0.0.1:9/"));
        // The real sops takes the endpoint's refusal for an answer.
        attempt.opens_with_unsops(there(with_az(&good)).env("AZURE_TOKEN_CREDENTIALS", ""));
        let case = there(with_az(&good)).env("AZURE_TOKEN_CREDENTIALS", "prod");
        let (message, _) = Attempt::refused(case, 6);
        assert!(message.contains("; the managed identity of Azure Arc, Cloud Shell"), "{message}");
    }
    let case = with_az(&good).env("AZURE_TOKEN_CREDENTIALS", "AzurePowerShellCredential");
    let (message, _) = Attempt::refused(case, 6);
    assert!(message.contains("; Azure PowerShell is not supported"), "{message}");
}

#[test]
fn azure_developer_cli() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Azure) else { return };
    let with_azd = |script: &str| {
        let case = program(attempt.case(), "azd", script).env("AZURE_TOKEN_CREDENTIALS", "AzureDeveloperCLICredential");
        let path = path_with_bin(&case);
        case.env("PATH", path)
    };
    let answer = json!({"token": token(), "expiresOn": "2999-01-01T00:00:00Z"});
    // The real sops adds the claims of the challenge.
    let good = format!(
        r#"case "$*" in "auth token -o json --no-prompt --scope https://vault.azure.net/.default"*) echo '{answer}';; *) exit 9;; esac"#
    );
    attempt.opens(with_azd(&good));
    let (message, _) = Attempt::refused(with_azd(&format!("echo '{CANARY}' >&2; exit 1")), 6);
    assert!(message.contains("azd failed with exit status 1"), "{message}");
    let (message, _) = Attempt::refused(with_azd(&good).env("UNSOPS_NO_EXEC", "1"), 6);
    assert!(message.contains("no Azure credentials"), "{message}");
}

#[test]
fn aws_container_endpoint() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let endpoint = format!("{}/aws/container", server.url());
    // ECS.
    let case = attempt.case().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint);
    attempt.opens(case.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", token()));
    // EKS Pod Identity.
    let case = attempt.case().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint);
    let path = case.root().join("token");
    attempt.opens(case.file("token", token()).env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path));
}

#[test]
fn aws_credential_process() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let with_process = |script: &str| {
        let case = program(attempt.case(), "issuer", script);
        let (command, path) = (case.root().join("bin/issuer"), case.root().join("config"));
        let config = format!("[default]\ncredential_process = {} --flag 'a b'\n", command.display());
        let search = path_with_bin(&case);
        case.file("config", config).env("AWS_CONFIG_FILE", path).env("PATH", search)
    };
    let good = format!("[ \"$2\" = 'a b' ] && echo '{}'", issuers::aws_credentials());
    attempt.opens(with_process(&good));
    for (script, reason) in [
        (format!("echo '{CANARY}' >&2; exit 3"), "credential_process failed with exit status 3"),
        (format!("echo '{CANARY}'"), "credential_process gave something else than credentials"),
        ("head -c 20000000 /dev/zero".to_owned(), "credential_process wrote more than 16 MiB"),
    ] {
        let (message, _) = Attempt::refused(with_process(&script), 6);
        assert!(message.contains(reason), "{reason}: {message}");
    }
    let case = with_process(&format!("echo run > \"${{0%/*}}/ran\"; {good}"));
    let mark = case.root().join("bin/ran");
    let run = case.env("UNSOPS_NO_EXEC", "1").arg("generator.yaml").run();
    let message = run.failure(6);
    assert!(message.contains("credential_process was not run (key programs are switched off)"), "{message}");
    assert!(!mark.exists());
}

#[test]
fn aws_sso_cache() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let case = attempt.case().env("AWS_ENDPOINT_URL_SSO", server.url());
    let (home, path) = (case.root().join("home"), case.root().join("config"));
    let config = "[default]\nsso_session = dev\nsso_account_id = 111122223333\nsso_role_name = reader\n\n\
        [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://dev.awsapps.com/start\n";
    let cached = json!({"accessToken": token(), "expiresAt": "2999-01-01T00:00:00Z", "region": "us-east-1", "startUrl": "https://dev.awsapps.com/start"});
    // The name is the SHA-1 of `dev`.
    let cache = "home/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    let case = case.file(cache, cached.to_string()).file("config", config);
    attempt.opens(case.env("HOME", home).env("AWS_CONFIG_FILE", path));
}

/// Which hosts are asked, in every partition and with FIPS: those that the real sops asks. A proxy that refuses says which.
#[test]
fn aws_hosts_of_partitions_and_fips() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let sops = tool("sops").expect("it encrypted the file");
    let proxy = Refusing::start();
    let (fips, dual_stack) = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT");
    for (partition, region, variable, host) in [
        ("aws", "eu-central-2", "", "kms.eu-central-2.amazonaws.com:443"),
        ("aws", "us-east-1", fips, "kms-fips.us-east-1.amazonaws.com:443"),
        ("aws", "us-east-1", dual_stack, "kms.us-east-1.api.aws:443"),
        ("aws-us-gov", "us-gov-west-1", fips, "kms-fips.us-gov-west-1.amazonaws.com:443"),
        ("aws-cn", "cn-north-1", "", "kms.cn-north-1.amazonaws.com.cn:443"),
        ("aws-eusc", "eusc-de-east-1", "", "kms.eusc-de-east-1.amazonaws.eu:443"),
    ] {
        let file = attempt.file.replace("arn:aws:kms:us-east-1:", &format!("arn:{partition}:kms:{region}:"));
        let case = Case::new()
            .file("secret.enc.yaml", file)
            .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
            .env("HTTPS_PROXY", format!("http://{}", proxy.address))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "AKIATEST")
            .env("AWS_SECRET_ACCESS_KEY", token())
            .env(if variable.is_empty() { "AWS_USE_NOTHING" } else { variable }, "true")
            .arg("generator.yaml");
        case.run().failure(8);
        let ours = proxy.asked();
        case.only_args(["decrypt", "secret.enc.yaml"]).run_unchecked(&sops);
        assert_eq!((ours, proxy.asked()), ([host.to_owned()].into(), [host.to_owned()].into()));
    }
}

/// A proxy that lets nobody through, and notes where they wanted to go.
struct Refusing {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Refusing {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(request) = Request::read(&mut BufReader::new(&mut stream)) else { continue };
                noted.lock().expect("no panic").insert(request.path);
                _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }
}

/// Profiles that give nothing, each with the next step.
#[test]
fn aws_profiles_that_are_no_use_say_why() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let config = "[profile console]\nlogin_session = arn:aws:iam::111122223333:user/me\n\
        [profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = gone\n\
        [profile dev]\nsso_session = dev\nsso_account_id = 111122223333\nsso_role_name = reader\n\
        [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://dev.awsapps.com/start\n";
    for (profile, reason, step) in [
        ("console", "`aws login`, which are not supported", "aws configure export-credentials --profile NAME"),
        ("role", "names a profile that does not exist", "add the profile to ~/.aws/config"),
        ("other", "names a profile that does not exist", "add the profile to ~/.aws/config"),
        ("dev", "the profile's SSO session is not valid any more", "run `aws sso login`"),
    ] {
        let case = attempt.case();
        let (home, path) = (case.root().join("home"), case.root().join("config"));
        let case = case.file("config", config).file("home/empty", "").env("HOME", home).env("AWS_CONFIG_FILE", path);
        let (message, _) = Attempt::refused(case.env("AWS_PROFILE", profile), 6);
        assert!(message.contains(reason) && message.contains(step), "{profile}: {message}");
    }
    assert_eq!(server.decryptions(), 0);
}

#[test]
fn aws_instance_metadata() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let case = attempt.case().env("AWS_EC2_METADATA_DISABLED", "false");
    attempt.opens(case.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url()));
}

#[test]
fn aws_clock_that_is_wrong() {
    let server = StandIn::start();
    let Some(attempt) = Attempt::new(&server, Service::Aws) else { return };
    let case = attempt.case().env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", token());
    server.behave(Behaviour::Ahead);
    attempt.opens(case);
    figure("a clock 74 years behind: corrected from the answer, the file opens");
}

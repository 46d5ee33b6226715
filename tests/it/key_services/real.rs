//! Round trips with a real OpenBao and with moto's AWS, which `tests/run` installs from PyPI.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{GENERATOR, assert_silent_about, python_tool};
use crate::harness::{CANARY, Case, tool};

/// A server program; it ends with the test.
pub struct Server {
    child: Child,
    port: u16,
    _home: tempfile::TempDir,
}

impl Server {
    /// Starts `program` with arguments made from a free port, and waits until it listens.
    pub fn start(program: &Path, args: impl Fn(u16) -> Vec<String>) -> Self {
        Self::start_with(program, args, |_| Vec::new())
    }

    /// The same, with variables of its own and no others.
    pub fn start_with(
        program: &Path,
        args: impl Fn(u16) -> Vec<String>,
        variables: impl Fn(u16) -> Vec<(&'static str, String)>,
    ) -> Self {
        // Another process may take the port before the server does; then it ends.
        let server = (0..5).find_map(|_| Self::try_start(program, &args, &variables));
        server.unwrap_or_else(|| panic!("{} does not listen", program.display()))
    }

    fn try_start(
        program: &Path,
        args: impl Fn(u16) -> Vec<String>,
        variables: impl Fn(u16) -> Vec<(&'static str, String)>,
    ) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let home = tempfile::tempdir().expect("a temporary directory");
        let variables = variables(port);
        let mut command = Command::new(program);
        if !variables.is_empty() {
            command.env_clear();
        }
        let child = command
            .args(args(port))
            .envs(variables)
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut server = Self { child, port, _home: home };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if server.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            // A connection may also be one with itself.
            let stream = TcpStream::connect(("127.0.0.1", port)).ok();
            if stream.is_some_and(|stream| stream.local_addr().ok() != stream.peer_addr().ok()) {
                return Some(server);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        None
    }

    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One request; the whole answer.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 20") || answer.starts_with("HTTP/1.0 20"), "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A real OpenBao with the root token `root`.
pub fn openbao(bao: &Path) -> Server {
    Server::start(bao, |port| {
        let mut args = ["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"].map(str::to_owned).to_vec();
        args.push(format!("-dev-listen-address=127.0.0.1:{port}"));
        args
    })
}

/// moto's AWS.
pub fn moto(moto: &Path) -> Server {
    Server::start(moto, |port| {
        ["-H", "127.0.0.1", "-p"].map(str::to_owned).into_iter().chain([port.to_string()]).collect()
    })
}

/// One request to moto's KMS.
pub fn ask_kms(server: &Server, target: &str, body: &str) -> String {
    let headers = format!(
        "X-Amz-Target: TrentService.{target}\r\nContent-Type: application/x-amz-json-1.1\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0\r\n"
    );
    server.ask("POST", "/", &headers, body)
}

/// Makes a key in moto; its ARN.
pub fn kms_key(server: &Server) -> String {
    let created = ask_kms(server, "CreateKey", "{}");
    let arn = created.split("\"Arn\": \"").nth(1).or_else(|| created.split("\"Arn\":\"").nth(1));
    arn.and_then(|rest| rest.split('"').next()).expect("an ARN").to_owned()
}

pub fn plain() -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n    name: demo\nstringData:\n    password: {CANARY}\n")
}

/// Encrypts with the real sops.
pub fn encrypt(sops: &Path, environment: &[(&str, String)], key: &[&str]) -> String {
    let case = Case::new().file("plain.yaml", plain()).args(["encrypt", "--encrypted-regex", "^stringData$"]).args(key);
    let case = environment.iter().fold(case.arg("plain.yaml"), |case, (name, value)| case.env(name, value));
    let run = case.run_unchecked(sops);
    assert_eq!(run.status, Some(0), "sops encrypt: {}", run.redacted());
    String::from_utf8(run.stdout).expect("UTF-8")
}

pub fn generator(file: &str, environment: &[(&str, String)]) -> Case {
    let case = Case::new()
        .file("secret.enc.yaml", file)
        .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
        .arg("generator.yaml");
    environment.iter().fold(case, |case, (name, value)| case.env(name, value))
}

#[test]
fn openbao_opens_and_refuses() {
    let (Some(sops), Some(bao)) = (tool("sops"), python_tool("bao")) else { return };
    let server = openbao(&bao);
    let admin = |method: &str, path: &str, body: &str| server.ask(method, path, "X-Vault-Token: root\r\n", body);
    admin("POST", "/v1/sys/mounts/team/transit", r#"{"type":"transit"}"#);
    admin("POST", "/v1/team/transit/keys/good", "{}");
    admin("POST", "/v1/team/transit/keys/other", "{}");
    let environment = [("VAULT_ADDR", server.url()), ("VAULT_TOKEN", "root".into())];
    let key = format!("{}/v1/team/transit/keys/good", server.url());
    let file = encrypt(&sops, &environment, &["--hc-vault-transit", &key]);

    assert_eq!(generator(&file, &environment).run().text(), plain());
    // A token that may decrypt with this key and do nothing else.
    let policy = r#"{"policy":"path \"team/transit/decrypt/good\" { capabilities = [\"update\"] }"}"#;
    admin("PUT", "/v1/sys/policies/acl/reader", policy);
    let created = admin("POST", "/v1/auth/token/create", r#"{"policies":["reader"]}"#);
    let token = created.split("\"client_token\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let reader = [("VAULT_ADDR", server.url()), ("VAULT_TOKEN", token.to_owned())];
    assert_eq!(generator(&file, &reader).run().text(), plain());

    for (change, credentials, reason) in [
        (("", ""), "bad-token", "permission denied (HTTP 403)"),
        (("key_name: good", "key_name: other"), "root", "made with another key (HTTP 400)"),
        (("key_name: good", "key_name: none"), "root", "there is no transit key of that name (HTTP 400)"),
        (
            ("engine_path: team/transit", "engine_path: nowhere"),
            "root",
            "there is no transit engine at that path (HTTP 404)",
        ),
    ] {
        let file = if change.0.is_empty() { file.clone() } else { file.replace(change.0, change.1) };
        let run = generator(&file, &[("VAULT_ADDR", server.url()), ("VAULT_TOKEN", credentials.into())]).run();
        let message = run.failure(6);
        assert!(message.contains(reason), "{reason}: {message}");
        assert_silent_about(&run, "bad-token");
    }

    // What sops allows by default, a file that chooses where the token goes, is refused; the list and the agent allow it.
    generator(&file, &[("VAULT_TOKEN", "root".into())]).run().failure(6);
    let listed = [("VAULT_TOKEN", "root".to_owned()), ("SOPS_HC_VAULT_ALLOWLIST", server.url())];
    assert_eq!(generator(&file, &listed).run().text(), plain());
    let agent = [("VAULT_TOKEN", "root".to_owned()), ("VAULT_AGENT_ADDR", server.url())];
    let moved = file.replace(&server.url(), "https://elsewhere.test");
    assert_eq!(generator(&moved, &agent).run().text(), plain());

    // The same names in a namespace.
    admin("POST", "/v1/sys/namespaces/team1", "{}");
    let in_team = |path: &str, body: &str| {
        server.ask("POST", path, "X-Vault-Token: root\r\nX-Vault-Namespace: team1\r\n", body);
    };
    in_team("/v1/sys/mounts/team/transit", r#"{"type":"transit"}"#);
    in_team("/v1/team/transit/keys/good", "{}");
    let of = |namespace: &str| [environment.as_slice(), &[("VAULT_NAMESPACE", namespace.to_owned())]].concat();
    let of_team = encrypt(&sops, &of("team1"), &["--hc-vault-transit", &key]);
    assert_eq!(generator(&of_team, &of("team1")).run().text(), plain());
    let message = generator(&of_team, &environment).run().failure(6);
    assert!(message.contains("made with another key (HTTP 400)"), "{message}");
    let message = generator(&of_team, &of("nowhere")).run().failure(6);
    assert!(message.contains("(HTTP 40"), "{message}");

    admin("PUT", "/v1/sys/seal", "");
    let message = generator(&file, &environment).run().failure(8);
    assert!(message.contains("Vault is sealed (HTTP 503)"), "{message}");
}

#[test]
fn moto_opens_with_context_alias_role_profile_and_web_identity() {
    let (Some(sops), Some(moto)) = (tool("sops"), python_tool("moto_server")) else { return };
    let server = super::real::moto(&moto);
    let arn = kms_key(&server);
    ask_kms(&server, "CreateAlias", &format!(r#"{{"AliasName":"alias/unsops","TargetKeyId":"{arn}"}}"#));
    let alias = format!("{}:alias/unsops", arn.split(":key/").next().expect("an ARN"));
    let base = [
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_ENDPOINT_URL_STS", server.url()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    let keys = [("AWS_ACCESS_KEY_ID", "test".to_owned()), ("AWS_SECRET_ACCESS_KEY", "test".to_owned())];
    let environment = [base.as_slice(), &keys].concat();

    let role = format!("{arn}+arn:aws:iam::123456789012:role/reader");
    for key in [
        vec!["--kms", &arn],
        vec!["--kms", &arn, "--encryption-context", "Env:test,App:unsops"],
        vec!["--kms", &alias],
        vec!["--kms", &role],
    ] {
        let file = encrypt(&sops, &environment, &key);
        assert_eq!(generator(&file, &environment).run().text(), plain(), "{key:?}");
    }

    let file = encrypt(&sops, &environment, &["--kms", &arn, "--encryption-context", "App:unsops"]);
    let message = generator(&file.replace("App: unsops", "App: other"), &environment).run().failure(6);
    assert!(message.contains("InvalidCiphertextException, request "), "{message}");
    let message = generator(&file.replace("us-east-1", "us-west-2"), &environment).run().failure(6);
    assert!(message.contains("there is no such key in this region (NotFoundException"), "{message}");

    let case = generator(&file, &base);
    let token = case.root().join("token");
    let case = case
        .file("token", "not.a.token")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa");
    assert_eq!(case.run().text(), plain());

    // A profile that the file names beats the environment, and a missing one is an error.
    let profiles = "[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = x\n";
    let case = generator(&file.replace("aws_profile: \"\"", "aws_profile: team"), &environment);
    let path = case.root().join("credentials");
    let case = case.file("credentials", profiles).env("AWS_SHARED_CREDENTIALS_FILE", &path);
    assert_eq!(case.run().text(), plain());
    let case = generator(&file.replace("aws_profile: \"\"", "aws_profile: none"), &environment);
    let case = case.file("credentials", profiles).env("AWS_SHARED_CREDENTIALS_FILE", path);
    let message = case.run().failure(6);
    assert!(message.contains("no AWS credentials in the profile that the file names"), "{message}");
}

/// An authority with a server and a client, all in PEM.
struct Certificates {
    authority: String,
    server: [String; 2],
    client: [String; 2],
}

impl Certificates {
    /// The server's certificate is for one name only.
    fn new(name: &str) -> Self {
        let key = || rcgen::KeyPair::generate().expect("a key");
        let mut authority = rcgen::CertificateParams::new([]).expect("no names");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let authority_key = key();
        let pem = authority.self_signed(&authority_key).expect("a certificate").pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let issue = |name: &str, usage| {
            let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
            parameters.extended_key_usages = vec![usage];
            let key = key();
            [parameters.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem()]
        };
        Self {
            server: issue(name, rcgen::ExtendedKeyUsagePurpose::ServerAuth),
            client: issue("client.test", rcgen::ExtendedKeyUsagePurpose::ClientAuth),
            authority: pem,
        }
    }
}

#[test]
fn openbao_behind_tls_wants_a_client_certificate() {
    let (Some(sops), Some(bao)) = (tool("sops"), python_tool("bao")) else { return };
    for name in ["127.0.0.1", "vault.example.test"] {
        let certificates = Certificates::new(name);
        let dir = tempfile::tempdir().expect("a directory");
        let write = |file: &str, content: &str| {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(&path, content).expect("a file");
            path.display().to_string()
        };
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let authority = write("ca/ca.pem", &certificates.authority);
        let listener = format!(
            "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n  \
             tls_client_ca_file = \"{authority}\"\n  tls_require_and_verify_client_cert = true\n}}\n",
            write("server.pem", &certificates.server[0]),
            write("server.key", &certificates.server[1]),
        );
        let config = write("listener.hcl", &listener);
        let server = Server::start(&bao, |port| {
            let args = ["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"].map(str::to_owned);
            let own = [format!("-dev-listen-address=127.0.0.1:{port}"), format!("-config={config}")];
            args.into_iter().chain(own).collect()
        });
        let admin = |path: &str, body: &str| server.ask("POST", path, "X-Vault-Token: root\r\n", body);
        admin("/v1/sys/mounts/transit", r#"{"type":"transit"}"#);
        admin("/v1/transit/keys/good", "{}");

        let url = format!("https://127.0.0.1:{port}");
        let mut environment = vec![
            ("VAULT_ADDR", url.clone()),
            ("VAULT_TOKEN", "root".to_owned()),
            ("VAULT_CLIENT_CERT", write("client.pem", &certificates.client[0])),
            ("VAULT_CLIENT_KEY", write("client.key", &certificates.client[1])),
            ("VAULT_CACERT", authority),
        ];
        if name != "127.0.0.1" {
            environment.push(("VAULT_TLS_SERVER_NAME", name.to_owned()));
        }
        let file = encrypt(&sops, &environment, &["--hc-vault-transit", &format!("{url}/v1/transit/keys/good")]);
        assert_eq!(generator(&file, &environment).run().text(), plain(), "{name}");

        let without = |left_out: &[&str]| {
            let mut environment = environment.clone();
            environment.retain(|(name, _)| !left_out.contains(name));
            environment
        };
        // A directory of authorities in the place of a file.
        let mut by_path = without(&["VAULT_CACERT"]);
        by_path.push(("VAULT_CAPATH", dir.path().join("ca").display().to_string()));
        assert_eq!(generator(&file, &by_path).run().text(), plain(), "{name}");

        generator(&file, &without(&["VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"])).run().failure(8);
        let message = generator(&file, &without(&["VAULT_CLIENT_KEY"])).run().failure(6);
        assert!(message.contains("the client certificate and its key are not a usable pair"), "{message}");
        if name != "127.0.0.1" {
            let message = generator(&file, &without(&["VAULT_TLS_SERVER_NAME"])).run().failure(6);
            assert!(message.contains("the certificate of the service is for another name"), "{message}");
            let mut other = without(&["VAULT_TLS_SERVER_NAME"]);
            other.push(("VAULT_TLS_SERVER_NAME", "other.example.test".into()));
            let message = generator(&file, &other).run().failure(6);
            assert!(message.contains("the certificate of the service is for another name"), "{message}");
        }
    }
}

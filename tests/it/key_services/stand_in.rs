//! A server in this process that stands in for the key services: one port answers as Vault, AWS KMS and GCP KMS over
//! http, and, as a proxy that takes `CONNECT`, as Azure Key Vault and Entra over TLS. It speaks enough for the real sops
//! to encrypt with it, and misbehaves on demand. The cipher is a toy: what is tested is who is asked, and what is said.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::issuers;
use crate::harness::CANARY;

/// How decryption is answered.
#[derive(Clone)]
pub enum Behaviour {
    Good,
    /// Everything is answered so, body and headers full of what must not be shown.
    Status(u16),
    /// So many times, then well; the last is `Retry-After`.
    Throttled(usize, Option<u64>),
    /// Never.
    Mute,
    /// 200 with a page.
    Garbage,
    /// 200 with another key than asked for.
    Lies,
    /// To the same server, which would answer.
    Redirect,
    /// 200 with a body of 1 GB.
    Huge,
    /// Closes in the middle of the body.
    Reset,
    /// One byte a second.
    Trickle,
    /// Well, to those who see that the clock of AWS stands at 2100.
    Ahead,
    /// Well, but late.
    Late(Duration),
}

/// The server; it ends with the test.
pub struct StandIn {
    pub address: SocketAddr,
    state: Arc<State>,
    /// The certificate of the TLS side, in PEM.
    pub certificate: String,
}

struct State {
    behaviour: Mutex<Behaviour>,
    connections: AtomicUsize,
    decryptions: AtomicUsize,
    ended: AtomicBool,
    tls: Arc<rustls::ServerConfig>,
    /// Speaks TLS at once, not only after `CONNECT`.
    is_tls: bool,
}

/// A token that no message may repeat.
pub fn token() -> String {
    format!("token-{CANARY}")
}

impl StandIn {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// The same at an address.
    pub fn start_at(address: &str) -> Self {
        Self::start_with(address, &["unsops-test.vault.azure.net", "login.microsoftonline.com"], 4000, false)
    }

    /// A server that speaks only TLS, with a certificate for a name and until a year.
    pub fn start_tls(name: &str, until: i32) -> Self {
        Self::start_with("127.0.0.1:0", &[name], until, true)
    }

    fn start_with(address: &str, names: &[&str], until: i32, is_tls: bool) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let signing_key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(names).expect("names");
        // Two authorities of one name would be taken for one another.
        parameters.distinguished_name.push(rcgen::DnType::CommonName, format!("stand-in, TLS {is_tls}, {until}"));
        parameters.not_before = rcgen::date_time_ymd(1990, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let cert = parameters.self_signed(&signing_key).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a pair");
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            behaviour: Mutex::new(Behaviour::Good),
            connections: AtomicUsize::new(0),
            decryptions: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            tls: Arc::new(tls),
            is_tls,
        });
        let server = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                server.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&server);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state, certificate: cert.pem() }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", if self.state.is_tls { "https" } else { "http" }, self.address)
    }

    /// From now on. Counts begin anew.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().expect("no panic") = behaviour;
        self.state.connections.store(0, Ordering::SeqCst);
        self.state.decryptions.store(0, Ordering::SeqCst);
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub fn decryptions(&self) -> usize {
        self.state.decryptions.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees.
        drop(TcpStream::connect(self.address));
    }
}

pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { method, path, headers, body: Vec::new() };
        request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
        stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn is_decryption(&self) -> bool {
        self.path.contains("decrypt") && !self.header_is_challenge() || self.header("x-amz-target").ends_with("Decrypt")
    }

    /// Azure's first request, which is to be answered with a challenge.
    pub fn header_is_challenge(&self) -> bool {
        self.header("host").contains("vault.azure.net") && self.header("authorization").is_empty()
    }
}

fn serve(stream: TcpStream, state: &State) {
    if state.is_tls {
        serve_tls(stream, state);
        return;
    }
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let Some(request) = Request::read(&mut reader) else { return };
    if request.method == "CONNECT" {
        let mut stream = stream;
        if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() {
            return;
        }
        serve_tls(stream, state);
        return;
    }
    let mut writer = stream;
    let mut next = Some(request);
    while let Some(request) = next {
        if answer(&request, &mut writer, state).is_none() {
            return;
        }
        next = Request::read(&mut reader);
    }
}

fn serve_tls(stream: TcpStream, state: &State) {
    let connection = rustls::ServerConnection::new(Arc::clone(&state.tls)).expect("TLS");
    let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
    while let Some(request) = Request::read(&mut stream) {
        if answer(&request, stream.get_mut(), state).is_none() {
            return;
        }
    }
}

/// Answers one request; `None` ends the connection.
fn answer(request: &Request, stream: &mut impl Write, state: &State) -> Option<()> {
    let behaviour = state.behaviour.lock().expect("no panic").clone();
    let earlier = if request.is_decryption() { state.decryptions.fetch_add(1, Ordering::SeqCst) } else { 0 };
    let (status, body) = match behaviour {
        _ if !request.is_decryption() => reply(request),
        Behaviour::Good => reply(request),
        Behaviour::Status(status) => (status, leak(request)),
        Behaviour::Throttled(times, wait) if earlier < times => {
            let wait = wait.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
            let (status, body) = throttled(request);
            return write(stream, status, &wait, body.to_string().as_bytes());
        }
        Behaviour::Throttled(..) => reply(request),
        Behaviour::Mute => {
            std::thread::park_timeout(Duration::from_secs(60));
            return None;
        }
        Behaviour::Garbage => return write(stream, 200, "", format!("<html>{}{CANARY}", token()).as_bytes()),
        Behaviour::Lies => {
            let (status, mut body) = reply(request);
            for lie in ["/data/plaintext", "/Plaintext", "/plaintext", "/value"] {
                if let Some(value) = body.pointer_mut(lie) {
                    *value = BASE64_URL_SAFE_NO_PAD.encode([7; 33]).replace(['-', '_'], "A").into();
                }
            }
            (status, body)
        }
        Behaviour::Redirect => {
            let location = format!("Location: http://127.0.0.1:1{}\r\n", request.path);
            return write(stream, 307, &location, b"");
        }
        Behaviour::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").ok()?;
            for _ in 0..1000 {
                stream.write_all(&[b'x'; 1_000_000]).ok()?;
            }
            return None;
        }
        Behaviour::Reset => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{").ok()?;
            return None;
        }
        Behaviour::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").ok()?;
            loop {
                stream.write_all(b" ").and_then(|()| stream.flush()).ok()?;
                std::thread::park_timeout(Duration::from_secs(1));
            }
        }
        Behaviour::Ahead if !request.header("x-amz-date").starts_with("2100") => {
            let date = "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
            let said = json!({"__type": "RequestTimeTooSkewed", "message": CANARY});
            return write(stream, 400, date, said.to_string().as_bytes());
        }
        Behaviour::Ahead => reply(request),
        Behaviour::Late(time) => {
            std::thread::park_timeout(time);
            reply(request)
        }
    };
    let header = match status {
        401 => {
            "WWW-Authenticate: Bearer authorization=\"https://login.microsoftonline.com/tenant\", \
                resource=\"https://vault.azure.net\"\r\n"
        }
        // By this, Google's library for Go sees that it runs on a machine of theirs.
        _ if request.header("host").starts_with("169.254.169.254") && request.path == "/" => {
            "Metadata-Flavor: Google\r\n"
        }
        _ if request.path.starts_with("/latest/api/") => "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n",
        _ => "",
    };
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    write(stream, status, header, body.as_bytes())
}

fn write(stream: &mut impl Write, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    stream.flush().ok()
}

/// A body that repeats the request, as some services do.
pub fn leak(request: &Request) -> Value {
    let said =
        format!("{} {} {CANARY} {}", token(), request.header("authorization"), String::from_utf8_lossy(&request.body));
    json!({
        "errors": [said], "message": said, "__type": format!("Some {said}"),
        "error": {"message": said, "status": said, "code": said}, "request_id": said,
    })
}

fn throttled(request: &Request) -> (u16, Value) {
    if request.header("x-amz-target").is_empty() {
        (429, leak(request))
    } else {
        (400, json!({"__type": "ThrottlingException", "message": CANARY}))
    }
}

/// The answer of a service in good health.
fn reply(request: &Request) -> (u16, Value) {
    let host = request.header("host");
    if let Some(answer) = issuers::reply(request) {
        answer
    } else if host.starts_with("login.") {
        entra(request)
    } else if host.contains("vault.azure.net") {
        azure(request)
    } else if !request.header("x-amz-target").is_empty() {
        aws(request)
    } else if request.path.starts_with("/v1/projects/") {
        gcp(request)
    } else {
        vault(request)
    }
}

fn vault(request: &Request) -> (u16, Value) {
    if request.header("x-vault-token") != token() {
        return (403, json!({"errors": ["permission denied"]}));
    }
    // An engine behind a gateway that wants a header of its own.
    if request.path.contains("/gated/") && request.header("x-gate") != token() {
        return (403, json!({"errors": ["no way"]}));
    }
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let (body, text) = (request.json(), |value: &Value| value.as_str().unwrap_or_default().to_owned());
    if request.path.contains("/encrypt/") {
        let sealed = seal(name, &BASE64_STANDARD.decode(text(&body["plaintext"])).unwrap_or_default());
        return (200, json!({"data": {"ciphertext": format!("vault:v1:{}", BASE64_STANDARD.encode(sealed))}}));
    }
    let sealed = text(&body["ciphertext"]).rsplit(':').next().and_then(|text| BASE64_STANDARD.decode(text).ok());
    match sealed.and_then(|sealed| open(name, &sealed)) {
        Some(plain) => (200, json!({"data": {"plaintext": BASE64_STANDARD.encode(plain)}})),
        None => (400, json!({"errors": ["cipher: message authentication failed"]})),
    }
}

fn aws(request: &Request) -> (u16, Value) {
    let body = request.json();
    let bytes = |name: &str| BASE64_STANDARD.decode(body[name].as_str().unwrap_or_default()).unwrap_or_default();
    let key = body["KeyId"].as_str().unwrap_or_default();
    if !request.header("authorization").contains("Credential=AKIATEST/") {
        return (400, json!({"__type": "UnrecognizedClientException", "message": CANARY}));
    }
    if request.header("x-amz-target").ends_with(".Encrypt") {
        return (200, json!({"KeyId": key, "CiphertextBlob": BASE64_STANDARD.encode(seal(key, &bytes("Plaintext")))}));
    }
    match open(key, &bytes("CiphertextBlob")) {
        Some(plain) => (200, json!({"KeyId": key, "Plaintext": BASE64_STANDARD.encode(plain)})),
        None => (400, json!({"__type": "InvalidCiphertextException"})),
    }
}

fn gcp(request: &Request) -> (u16, Value) {
    let error = |code: u16, status: &str| (code, json!({"error": {"code": code, "message": CANARY, "status": status}}));
    if request.header("authorization") != format!("Bearer {}", token()) {
        return error(403, "PERMISSION_DENIED");
    }
    let path = request.path.split('?').next().unwrap_or_default().replace("%3A", ":");
    let (name, verb) = path.rsplit_once(':').unwrap_or_default();
    let body = request.json();
    let bytes = |name: &str| BASE64_STANDARD.decode(body[name].as_str().unwrap_or_default()).unwrap_or_default();
    if verb == "encrypt" {
        return (200, json!({"name": name, "ciphertext": BASE64_STANDARD.encode(seal(name, &bytes("plaintext")))}));
    }
    match open(name, &bytes("ciphertext")) {
        Some(plain) => (200, json!({"plaintext": BASE64_STANDARD.encode(plain)})),
        None => error(400, "INVALID_ARGUMENT"),
    }
}

fn azure(request: &Request) -> (u16, Value) {
    if request.header_is_challenge() {
        return (401, json!({"error": {"code": "Unauthorized", "message": CANARY}}));
    }
    if request.header("authorization") != format!("Bearer {}", token()) {
        return (403, json!({"error": {"code": "Forbidden", "message": CANARY}}));
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (name, verb) = (parts.get(1).copied().unwrap_or_default(), parts.last().copied().unwrap_or_default());
    let id = format!("https://unsops-test.vault.azure.net/keys/{name}/0123456789abcdef0123456789abcdef");
    if request.method == "GET" {
        return (
            200,
            json!({"key": {"kid": id, "kty": "RSA", "n": "AQAB", "e": "AQAB"}, "attributes": {"enabled": true}}),
        );
    }
    let value = request.json()["value"].as_str().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    let done = match verb {
        "encrypt" => value.map(|plain| seal(name, &plain)),
        _ => value.and_then(|sealed| open(name, &sealed)),
    };
    match done {
        Some(value) => (200, json!({"kid": id, "value": BASE64_URL_SAFE_NO_PAD.encode(value)})),
        None => (400, json!({"error": {"code": "BadParameter", "message": CANARY}})),
    }
}

fn entra(request: &Request) -> (u16, Value) {
    let base = "https://login.microsoftonline.com/tenant";
    if request.path.contains("/discovery/instance") {
        let endpoint = format!("{base}/v2.0/.well-known/openid-configuration");
        return (200, json!({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": []}));
    }
    if request.path.contains("openid-configuration") {
        return (
            200,
            json!({
                "issuer": format!("{base}/v2.0"), "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"), "jwks_uri": format!("{base}/keys"),
            }),
        );
    }
    let is_known =
        String::from_utf8_lossy(&request.body).contains(&token()) || issuers::is_signed_by_certificate(request);
    if !is_known {
        let said = format!("AADSTS7000215: {CANARY}");
        return (401, json!({"error": "invalid_client", "error_description": said, "error_codes": [7_000_215]}));
    }
    (200, json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token()}))
}

/// The toy cipher: a nonce, the name of the key, and the bytes mirrored.
pub fn seal(name: &str, plain: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; 4];
    sealed.extend(name.bytes());
    sealed.push(0);
    sealed.extend(plain.iter().map(|byte| byte ^ 0x5a));
    sealed
}

fn open(name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let rest = sealed.get(4..)?.strip_prefix(name.as_bytes())?.strip_prefix(&[0])?;
    Some(rest.iter().map(|byte| byte ^ 0x5a).collect())
}

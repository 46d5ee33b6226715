//! Every key service and token service behind a proxy that misbehaves: a real OpenBao, moto's KMS and STS, and our
//! stand-ins for GCP, Azure and Entra. Each fault against each service: the run ends by its deadline with the right code,
//! asks again where that may help, says nothing on stdout unless it succeeds, and gives nothing to anybody else.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::proxy::{self, Certificate, Fault, Plan, Proxy};
use super::real::{self, Server, kms_key, moto};
use super::stand_in::{StandIn, token};
use super::{GENERATOR, Service, encrypted, issuers, python_tool};
use crate::endurance::figure;
use crate::harness::{Case, tool};

/// Deadline of a run that has to wait for it, in seconds.
const SHORT: u64 = 2;
/// Of a run that has not.
const LONG: u64 = 30;
/// What a busy machine may take beyond the deadline, without being faster than any other limit.
const GRACE: Duration = Duration::from_secs(8);
/// Cells at a time: most only wait.
const CREW: usize = 32;
const ALWAYS: usize = usize::MAX;

/// What stands behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Vault,
    Kms,
    /// The role that the file names, assumed by STS.
    Sts,
    Gcp,
    /// The token service of a service account.
    GoogleToken,
    KeyVault,
    Entra,
}

const TARGETS: [Target; 7] =
    [Target::Vault, Target::Kms, Target::Sts, Target::Gcp, Target::GoogleToken, Target::KeyVault, Target::Entra];

impl Target {
    /// Gives a token, not a data key.
    fn is_issuer(self) -> bool {
        matches!(self, Self::Sts | Self::GoogleToken | Self::Entra)
    }

    fn is_azure(self) -> bool {
        matches!(self, Self::KeyVault | Self::Entra)
    }

    fn is_aws(self) -> bool {
        matches!(self, Self::Kms | Self::Sts)
    }
}

/// What comes of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The answer, after the fault was done so often.
    Opens(usize),
    /// Exit code, how often the fault was done at most and at least, words of the message.
    Fails(i32, usize, usize, &'static str),
}

/// One fault for one service.
#[derive(Clone, Copy, Debug)]
struct Cell {
    target: Target,
    fault: Fault,
    times: usize,
    end: End,
    /// Seconds.
    deadline: u64,
}

/// The servers, and files that the real sops encrypted for them.
struct World {
    stand_in: StandIn,
    bao: Server,
    moto: Server,
    trap: Trap,
    vault: String,
    kms: String,
    sts: String,
    gcp: String,
    azure: String,
}

impl World {
    fn new() -> Option<Self> {
        let (sops, bao, moto_server) = (tool("sops")?, python_tool("bao")?, python_tool("moto_server")?);
        let (stand_in, moto) = (StandIn::start(), moto(&moto_server));
        let bao = Server::start(&bao, |port| {
            let args = ["server", "-dev", "-dev-no-store-token"].map(str::to_owned);
            let own = [format!("-dev-root-token-id={}", token()), format!("-dev-listen-address=127.0.0.1:{port}")];
            args.into_iter().chain(own).collect()
        });
        let root = format!("X-Vault-Token: {}\r\n", token());
        bao.ask("POST", "/v1/sys/mounts/transit", &root, r#"{"type":"transit"}"#);
        bao.ask("POST", "/v1/transit/keys/good", &root, "{}");
        let vault = [("VAULT_ADDR", bao.url()), ("VAULT_TOKEN", token())];
        let vault =
            real::encrypt(&sops, &vault, &["--hc-vault-transit", &format!("{}/v1/transit/keys/good", bao.url())]);
        let aws = [
            ("AWS_ENDPOINT_URL", moto.url()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".into()),
            ("AWS_SECRET_ACCESS_KEY", token()),
        ];
        let arn = kms_key(&moto);
        let kms = real::encrypt(&sops, &aws, &["--kms", &arn]);
        let sts = real::encrypt(&sops, &aws, &["--kms", &format!("{arn}+arn:aws:iam::123456789012:role/reader")]);
        let gcp = encrypted(&[Service::Gcp], &stand_in)?;
        let azure = encrypted(&[Service::Azure], &stand_in)?;
        Some(Self { stand_in, bao, moto, trap: Trap::start(), vault, kms, sts, gcp, azure })
    }

    fn plan(&self, cell: Cell) -> Plan {
        let upstream = match cell.target {
            Target::Vault => self.bao.address(),
            Target::Kms | Target::Sts => self.moto.address(),
            Target::Gcp | Target::GoogleToken | Target::KeyVault | Target::Entra => self.stand_in.address,
        };
        let host = match cell.target {
            Target::KeyVault => "vault.azure.net",
            Target::Entra => "login.microsoftonline.com",
            _ => "",
        };
        Plan { upstream, fault: cell.fault, times: cell.times, host, trap: self.trap.address }
    }

    /// A run that asks `address` in the place of the service.
    fn case(&self, target: Target, address: SocketAddr) -> Case {
        let url = format!("https://{address}");
        let (file, environment): (String, Vec<(&str, String)>) = match target {
            Target::Vault => {
                let moved = self.vault.replace(&self.bao.url(), &url);
                (moved, vec![("VAULT_ADDR", url), ("VAULT_TOKEN", token())])
            }
            Target::Kms => (self.kms.clone(), vec![("AWS_ENDPOINT_URL", url)]),
            Target::Sts => {
                (self.sts.clone(), vec![("AWS_ENDPOINT_URL_KMS", self.moto.url()), ("AWS_ENDPOINT_URL_STS", url)])
            }
            Target::Gcp => {
                (self.gcp.clone(), vec![("SOPS_GCP_KMS_ENDPOINT", url), ("GOOGLE_OAUTH_ACCESS_TOKEN", token())])
            }
            Target::GoogleToken => {
                let account = json!({
                    "type": "service_account", "private_key": issuers::KEY, "private_key_id": "k",
                    "client_email": "reader@p.iam.gserviceaccount.com", "token_uri": format!("{url}/google/token"),
                });
                let endpoint = ("SOPS_GCP_KMS_ENDPOINT", self.stand_in.url());
                (self.gcp.clone(), vec![endpoint, ("GOOGLE_CREDENTIALS", account.to_string())])
            }
            Target::KeyVault | Target::Entra => {
                let mut environment = Service::Azure.environment(&self.stand_in);
                if target == Target::Entra {
                    // An assertion in the place of the secret.
                    environment.retain(|(name, _)| *name != "AZURE_CLIENT_SECRET");
                    environment.push(("AZURE_CLIENT_CERTIFICATE_PATH", "application.pem".into()));
                }
                environment.push(("HTTPS_PROXY", format!("http://{address}")));
                (self.azure.clone(), environment)
            }
        };
        let case = Case::new();
        let certificates = case.root().join("ca.pem");
        let case = case
            .file("ca.pem", proxy::authority())
            .file("application.pem", [issuers::CERTIFICATE, issuers::KEY].concat())
            .file("secret.enc.yaml", file)
            .file("generator.yaml", format!("{GENERATOR}files: [secret.enc.yaml]\n"))
            .arg("generator.yaml")
            .env("SSL_CERT_FILE", certificates)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "AKIATEST")
            .env("AWS_SECRET_ACCESS_KEY", token())
            .env("GCE_METADATA_HOST", "127.0.0.1:9");
        environment.into_iter().fold(case, |case, (name, value)| case.env(name, value))
    }

    /// Runs a cell; what is wrong with its outcome.
    fn judge(&self, cell: Cell) -> Result<Duration, String> {
        let proxy = Proxy::start(self.plan(cell));
        let case = self.case(cell.target, proxy.address).env("UNSOPS_DEADLINE", cell.deadline.to_string());
        let start = Instant::now();
        let run = case.run();
        let (time, done) = (start.elapsed(), proxy.done());
        let is_right = match cell.end {
            End::Opens(times) => run.status == Some(0) && done == times && run.stdout == real::plain().as_bytes(),
            End::Fails(code, most, least, words) => {
                let message = String::from_utf8_lossy(&run.stderr);
                run.status == Some(code) && (least..=most).contains(&done) && message.contains(words)
            }
        };
        if !is_right {
            return Err(format!("done {done} times, {time:?}\n{}", run.redacted()));
        }
        if time > Duration::from_secs(cell.deadline) + GRACE {
            return Err(format!("took {time:?}"));
        }
        Ok(time)
    }
}

/// A listener to which nobody may come.
struct Trap {
    address: SocketAddr,
    caught: Arc<Mutex<Vec<u8>>>,
}

impl Trap {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let caught = Arc::new(Mutex::default());
        let kept = Arc::clone(&caught);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut said = vec![0; 1000];
                _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let count = stream.read(&mut said).unwrap_or_default();
                let mut kept: std::sync::MutexGuard<'_, Vec<u8>> = kept.lock().expect("no panic");
                kept.extend_from_slice(b"somebody came and said: ");
                kept.extend_from_slice(&said[..count]);
            }
        });
        Self { address, caught }
    }

    #[track_caller]
    fn is_empty(&self) {
        let caught = self.caught.lock().expect("no panic");
        assert!(caught.is_empty(), "{}", String::from_utf8_lossy(&caught));
    }
}

/// The table: what comes of each fault. `None` where a service has no such thing.
fn expected(target: Target, fault: Fault, times: usize) -> Option<(End, u64)> {
    let fails = |code, times, words| {
        // The SDK asks STS anew with each attempt for which it lacks credentials.
        let most = if target == Target::Sts && times == 3 { 9 } else { times };
        Some((End::Fails(code, most, times, words), LONG))
    };
    // Nobody asks more often than there is time for.
    let waits = || Some((End::Fails(8, 3, 1, "no answer in time"), SHORT));
    let broken = || fails(8, 3, "");
    match fault {
        Fault::None => Some((End::Opens(0), LONG)),
        Fault::Certificate(Certificate::Short) => Some((End::Opens(1), LONG)),
        Fault::Certificate(certificate) => {
            let words = match certificate {
                Certificate::OtherAuthority => "the certificate of the service is not from a trusted authority",
                Certificate::OtherName => "the certificate of the service is for another name",
                _ => "the certificate of the service has expired or is not yet valid",
            };
            fails(6, 1, words)
        }
        Fault::StallHandshake | Fault::StallAnswer | Fault::StallHeaders | Fault::StallBody => waits(),
        Fault::DripHeaders | Fault::DripBody | Fault::Informational => waits(),
        Fault::CloseConnection
        | Fault::ResetConnection
        | Fault::GarbageForTls
        | Fault::HttpForTls
        | Fault::TlsAlert
        | Fault::ResetBeforeRequest
        | Fault::ResetInRequest
        | Fault::ResetAfterRequest
        | Fault::CloseAfterRequest
        | Fault::ResetInBody
        | Fault::TruncateBody
        | Fault::TruncateTls
        | Fault::GarbageForHttp
        | Fault::GarbageForHttp2
        | Fault::HugeHeader
        | Fault::ManyHeaders => {
            if times < 3 {
                Some((End::Opens(times), LONG))
            } else {
                broken()
            }
        }
        Fault::Status(..) if times < 3 => Some((End::Opens(times), LONG)),
        Fault::Status(429, Some("86400")) => fails(8, 1, "HTTP 429"),
        // STS has been asked three times before our rule sees its answer.
        Fault::Status(503, Some("86400")) => fails(8, if target == Target::Sts { 3 } else { 1 }, "HTTP 503"),
        Fault::Status(429 | 501 | 503, _) => fails(8, 3, ""),
        Fault::Status(..) => fails(6, 1, ""),
        Fault::Redirect(_) if target.is_issuer() => fails(6, 1, "HTTP 3"),
        Fault::Redirect(_) => fails(6, 1, "a redirect (HTTP 3"),
        Fault::HugeBody | Fault::EndlessChunks => fails(6, 1, "the answer is larger than 1 MiB"),
        Fault::Empty | Fault::Page => fails(6, 1, ""),
        Fault::Twice => Some((End::Opens(1), LONG)),
        Fault::OtherKey if target.is_issuer() => None,
        Fault::OtherKey => fails(7, 1, ""),
        Fault::Clock(_) if target.is_aws() => Some((End::Opens(1), LONG)),
        Fault::Clock(3600) if target.is_issuer() => {
            fails(6, 1, "this machine: it is 60 minutes behind that of the service")
        }
        Fault::Clock(-3600) if target.is_issuer() => fails(6, 1, "this machine: it is 60 minutes ahead of that of the"),
        Fault::Clock(_) => None,
        Fault::ChallengeElsewhere if target == Target::KeyVault => Some((End::Opens(1), LONG)),
        Fault::ChallengeForOther if target == Target::KeyVault => fails(6, 1, "challenge is for another service"),
        Fault::ChallengeElsewhere | Fault::ChallengeForOther => None,
        Fault::Connect(_) | Fault::GarbageForConnect if target.is_azure() => broken(),
        Fault::StallConnect if target.is_azure() => waits(),
        Fault::Connect(_) | Fault::GarbageForConnect | Fault::StallConnect => None,
    }
}

/// Every fault, and how often it is done.
fn faults() -> Vec<(Fault, usize)> {
    let mut faults = vec![(Fault::None, 0)];
    for fault in [
        Fault::CloseConnection,
        Fault::ResetConnection,
        Fault::GarbageForTls,
        Fault::HttpForTls,
        Fault::TlsAlert,
        Fault::ResetBeforeRequest,
        Fault::ResetInRequest,
        Fault::ResetAfterRequest,
        Fault::CloseAfterRequest,
        Fault::ResetInBody,
        Fault::TruncateBody,
        Fault::TruncateTls,
        Fault::GarbageForHttp,
        Fault::Status(429, None),
        Fault::Status(429, Some("1")),
        Fault::Status(501, None),
        Fault::Status(503, None),
        Fault::Status(503, Some("1")),
    ] {
        faults.extend([(fault, 2), (fault, ALWAYS)]);
    }
    let certificates = [
        Certificate::OtherAuthority,
        Certificate::OtherName,
        Certificate::Expired,
        Certificate::NotYetValid,
        Certificate::Short,
    ];
    faults.extend(certificates.map(|certificate| (Fault::Certificate(certificate), ALWAYS)));
    faults.extend([301, 302, 303, 307, 308].map(|status| (Fault::Redirect(status), ALWAYS)));
    faults.extend([-3600, 3600].map(|ahead| (Fault::Clock(ahead), ALWAYS)));
    faults.extend(
        [
            Fault::StallHandshake,
            Fault::StallAnswer,
            Fault::StallHeaders,
            Fault::StallBody,
            Fault::DripHeaders,
            Fault::DripBody,
            Fault::Informational,
            Fault::GarbageForHttp2,
            Fault::Status(429, Some("86400")),
            Fault::Status(503, Some("86400")),
            Fault::Status(404, None),
            Fault::HugeBody,
            Fault::EndlessChunks,
            Fault::HugeHeader,
            Fault::ManyHeaders,
            Fault::Empty,
            Fault::Page,
            Fault::Twice,
            Fault::OtherKey,
            Fault::ChallengeElsewhere,
            Fault::ChallengeForOther,
            Fault::Connect(407),
            Fault::Connect(502),
            Fault::StallConnect,
            Fault::GarbageForConnect,
        ]
        .map(|fault| (fault, ALWAYS)),
    );
    faults
}

#[test]
fn every_fault_of_every_service_ends_well() {
    let Some(world) = World::new() else { return };
    // `UNSOPS_FAULTS=Sts` while one looks for a cause.
    let only = std::env::var("UNSOPS_FAULTS").ok();
    let mut cells = VecDeque::new();
    for (fault, times) in faults() {
        for target in TARGETS {
            let Some((end, deadline)) = expected(target, fault, times) else { continue };
            let cell = Cell { target, fault, times, end, deadline };
            if only.as_ref().is_some_and(|only| !format!("{target:?} {fault:?}").contains(only)) {
                continue;
            }
            // Those that wait begin first.
            if deadline == SHORT { cells.push_front(cell) } else { cells.push_back(cell) }
        }
    }
    let count = cells.len();
    let (cells, wrong, slowest) = (Mutex::new(cells), Mutex::new(String::new()), Mutex::new(Duration::ZERO));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CREW {
            scope.spawn(|| {
                loop {
                    let Some(cell) = cells.lock().expect("no panic").pop_front() else { return };
                    let outcome = catch_unwind(AssertUnwindSafe(|| world.judge(cell)));
                    let outcome = outcome.unwrap_or_else(|_| Err("a rule that holds for every run is broken".into()));
                    match outcome {
                        Ok(time) => {
                            let mut slowest = slowest.lock().expect("no panic");
                            *slowest = time.max(*slowest);
                        }
                        Err(why) => {
                            let Cell { target, fault, times, end, .. } = cell;
                            let times = if times == ALWAYS { "always".to_owned() } else { format!("{times} times") };
                            let mut wrong = wrong.lock().expect("no panic");
                            _ = writeln!(wrong, "{target:?} {fault:?} {times}, want {end:?}: {why}");
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{wrong}");
    world.trap.is_empty();
    figure(&format!(
        "{count} cells of {} services and {} faults in {:.0} s, slowest {:.1} s, 0 connections to the trap",
        TARGETS.len(),
        faults().len(),
        start.elapsed().as_secs_f64(),
        slowest.into_inner().expect("no panic").as_secs_f64()
    ));
}

/// A port whose queue of connections is full: whoever comes waits for the kernel.
#[test]
fn a_connection_that_never_comes_about_is_given_up() {
    let Some(world) = World::new() else { return };
    let full = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = full.local_addr().expect("an address");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    for target in TARGETS {
        let case = world.case(target, address).env("UNSOPS_DEADLINE", SHORT.to_string());
        let start = Instant::now();
        let message = case.run().failure(8);
        assert!(message.contains("no answer in time"), "{target:?}: {message}");
        assert!(start.elapsed() < Duration::from_secs(SHORT) + GRACE, "{target:?}: {:?}", start.elapsed());
    }
}

//! A proxy on loopback that speaks TLS in front of a key service, and does to its connections and answers what networks,
//! load balancers, broken servers and hostile ones do. It also takes `CONNECT`, which is how Azure is reached here.

mod answers;
mod certificates;
mod clocks;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use self::answers::{garbage, reset, say};
pub use self::certificates::authority;
use self::certificates::tls_config;
use self::clocks::{http_date, now};
use super::stand_in::Request;
use crate::harness::CANARY;

/// How often a stalled server looks whether the test is over.
const TICK: Duration = Duration::from_millis(50);

/// What is done to a connection or an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing: the answer of the service.
    None,
    // The connection, before TLS.
    CloseConnection,
    ResetConnection,
    /// The client's hello is never answered.
    StallHandshake,
    /// Bytes that are no TLS.
    GarbageForTls,
    /// A page of HTTP, as from a port that speaks no TLS.
    HttpForTls,
    /// The hello is refused.
    TlsAlert,
    Certificate(Certificate),
    // The request.
    ResetBeforeRequest,
    ResetInRequest,
    ResetAfterRequest,
    /// Closed as TLS wants it, without an answer.
    CloseAfterRequest,
    // The answer.
    StallAnswer,
    StallHeaders,
    StallBody,
    ResetInBody,
    /// Half of the body, and a proper end of TLS.
    TruncateBody,
    /// Half of a body of unknown length, and the end of the connection without an end of TLS.
    TruncateTls,
    GarbageForHttp,
    /// HTTP/2 is agreed upon, and then garbage.
    GarbageForHttp2,
    /// A status, with `Retry-After`.
    Status(u16, Option<&'static str>),
    /// To the trap.
    Redirect(u16),
    /// 1 GB.
    HugeBody,
    /// Chunks without end.
    EndlessChunks,
    /// One header of 20 MB.
    HugeHeader,
    /// A million headers.
    ManyHeaders,
    /// A byte now and then.
    DripHeaders,
    DripBody,
    /// `100 Continue` without end.
    Informational,
    /// A second answer behind the first that nobody asked for: another key.
    Twice,
    /// 200 without a body.
    Empty,
    /// 200 with a page, as from the login of a hotel.
    Page,
    /// 200 with the plaintext of another key.
    OtherKey,
    /// The service's clock is so many seconds ahead; it takes no signature older or newer than five minutes.
    Clock(i64),
    /// The vault's challenge names the trap as the authority.
    ChallengeElsewhere,
    /// It wants a token for another service.
    ChallengeForOther,
    // The proxy itself, in answer to `CONNECT`.
    Connect(u16),
    StallConnect,
    GarbageForConnect,
}

/// The server's certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Certificate {
    OtherAuthority,
    OtherName,
    /// An hour ago; or the client's clock is ahead.
    Expired,
    /// In an hour; or the client's clock is behind.
    NotYetValid,
    /// The client may be half an hour behind or ahead.
    Short,
}

/// The proxy; it ends with the test.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

/// Where the real service is, and what happens on the way.
#[derive(Clone, Copy)]
pub struct Plan {
    pub upstream: SocketAddr,
    pub fault: Fault,
    /// Done so many times, then everything is well.
    pub times: usize,
    /// Only to the host whose name contains this, where the proxy takes `CONNECT`.
    pub host: &'static str,
    /// Whoever is redirected goes there.
    pub trap: SocketAddr,
}

struct State {
    plan: Plan,
    tls: Arc<rustls::ServerConfig>,
    /// For hosts that the fault is not about.
    good_tls: Arc<rustls::ServerConfig>,
    /// How often the fault was done.
    done: AtomicUsize,
    ended: AtomicBool,
}

type Tls = BufReader<StreamOwned<ServerConnection, TcpStream>>;

impl Proxy {
    pub fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tls, good_tls) = (Arc::new(tls_config(plan.fault)), Arc::new(tls_config(Fault::None)));
        let state = Arc::new(State { plan, tls, good_tls, done: AtomicUsize::new(0), ended: AtomicBool::new(false) });
        let server = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.has_ended() {
                    return;
                }
                let state = Arc::clone(&server);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    /// How often the fault was done.
    pub fn done(&self) -> usize {
        self.state.done.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Counts the fault, if it is to be done once more.
    fn is_due(&self) -> bool {
        let count = |done| (done < self.plan.times).then_some(done + 1);
        self.done.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).is_ok()
    }

    /// Until the test is over or the client is gone.
    fn stall(&self, stream: &TcpStream) {
        _ = stream.set_read_timeout(Some(TICK));
        while !self.has_ended() && !matches!((&mut &*stream).read(&mut [0; 1024]), Ok(0)) {}
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut is_ours = true;
        let mut first = [0; 1];
        if !matches!(stream.peek(&mut first), Ok(1)) {
            return;
        }
        if first[0] == b'C' {
            let Some(connect) = Request::read(&mut BufReader::new(&mut stream)) else { return };
            is_ours = connect.path.contains(self.plan.host);
            if is_ours && matches!(self.plan.fault, Fault::Connect(_) | Fault::StallConnect | Fault::GarbageForConnect)
            {
                self.fail_connect(&mut stream);
                return;
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() || !matches!(stream.peek(&mut first), Ok(1)) {
                return;
            }
        }
        let is_before_tls = matches!(
            self.plan.fault,
            Fault::CloseConnection
                | Fault::ResetConnection
                | Fault::StallHandshake
                | Fault::GarbageForTls
                | Fault::HttpForTls
                | Fault::TlsAlert
        );
        if is_ours && is_before_tls && self.is_due() {
            self.fail_connection(stream);
            return;
        }
        if is_ours && matches!(self.plan.fault, Fault::Certificate(_)) {
            self.is_due();
        }
        let tls = if is_ours { &self.tls } else { &self.good_tls };
        let connection = ServerConnection::new(Arc::clone(tls)).expect("TLS");
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        if is_ours && matches!(self.plan.fault, Fault::ResetBeforeRequest | Fault::ResetInRequest) && self.is_due() {
            self.fail_request(&mut stream);
            return;
        }
        while let Some(request) = Request::read(&mut stream) {
            let is_due = is_ours && self.applies_to(&request) && self.is_due();
            let done =
                if is_due { self.fail_answer(&request, &mut stream) } else { self.pass_on(&request, stream.get_mut()) };
            if done.is_none() {
                return;
            }
        }
    }

    fn fail_connect(&self, stream: &mut TcpStream) {
        self.is_due();
        match self.plan.fault {
            Fault::Connect(status) => {
                let page = format!("<html>{CANARY}</html>");
                let length = page.len();
                _ = write!(
                    stream,
                    "HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic\r\nContent-Length: {length}\r\n\r\n{page}"
                );
            }
            Fault::GarbageForConnect => _ = stream.write_all(&garbage()),
            _ => self.stall(stream),
        }
    }

    fn fail_connection(&self, mut stream: TcpStream) {
        match self.plan.fault {
            Fault::ResetConnection => reset(&stream),
            Fault::StallHandshake => self.stall(&stream),
            Fault::GarbageForTls => _ = stream.write_all(&garbage()),
            Fault::HttpForTls => {
                _ = write!(stream, "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\n{CANARY}");
            }
            // handshake_failure, fatal
            Fault::TlsAlert => _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]),
            _ => {}
        }
        // What is unread would make a reset of the end.
        if self.plan.fault != Fault::ResetConnection {
            _ = stream.shutdown(std::net::Shutdown::Write);
            _ = stream.set_read_timeout(Some(TICK));
            _ = (&mut stream).take(1 << 20).read_to_end(&mut Vec::new());
        }
    }

    /// After the handshake, before the request was read.
    fn fail_request(&self, stream: &mut Tls) {
        let tls = stream.get_mut();
        while tls.conn.is_handshaking() {
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                return;
            }
        }
        let mut record = [0; 5];
        let length = if self.plan.fault == Fault::ResetInRequest { 5 } else { 0 };
        let is_read = tls.conn.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0);
        if is_read {
            // It came with the end of the handshake.
            return reset(&tls.sock);
        }
        _ = tls.sock.peek(&mut [0; 1]);
        _ = tls.sock.read(&mut record[..length]);
        reset(&tls.sock);
    }

    /// The service's own answer.
    fn pass_on(&self, request: &Request, stream: &mut impl Write) -> Option<()> {
        let (head, body) = self.ask_upstream(request)?;
        say(stream, head.as_bytes())?;
        say(stream, &body)
    }

    /// The head of the service's answer, with its length, and the body.
    fn ask_upstream(&self, request: &Request) -> Option<(String, Vec<u8>)> {
        let mut upstream = TcpStream::connect(self.plan.upstream).ok()?;
        let headers: String = request
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "connection" | "content-length" | "expect"))
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = request.body.len();
        let head = format!(
            "{} {} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n",
            request.method, request.path
        );
        upstream.write_all(&[head.as_bytes(), &request.body].concat()).ok()?;
        let mut upstream = BufReader::new(upstream);
        let mut head = String::new();
        let mut length = None;
        loop {
            let mut line = String::new();
            upstream.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let lower = line.to_ascii_lowercase();
            if line.trim_end().is_empty() {
                break;
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse::<u64>().ok();
            } else if lower.starts_with("transfer-encoding:") {
                panic!("the proxy takes no chunks: {line}");
            } else if let Fault::Clock(ahead) = self.plan.fault
                && lower.starts_with("date:")
            {
                head.push_str(&format!("Date: {}\r\n", http_date(now(ahead))));
            } else if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = Vec::new();
        upstream.take(length.unwrap_or(1 << 20)).read_to_end(&mut body).ok()?;
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        Some((head, body))
    }
}

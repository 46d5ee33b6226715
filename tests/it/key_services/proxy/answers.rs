//! Answers that are none: what the proxy says in the place of the service.

use std::io::Write;
use std::net::TcpStream;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::clocks::{http_date, is_skewed, now, time_of_assertion};
use super::{Fault, State, TICK, Tls};
use crate::harness::CANARY;
use crate::key_services::stand_in::{Request, leak};

impl State {
    /// Whether an answer is one that the fault is about.
    pub(super) fn applies_to(&self, request: &Request) -> bool {
        match self.plan.fault {
            Fault::None | Fault::Certificate(_) => false,
            Fault::ChallengeElsewhere | Fault::ChallengeForOther => request.header_is_challenge(),
            Fault::OtherKey | Fault::Twice => !request.header_is_challenge(),
            Fault::Clock(ahead) => {
                let assertion = time_of_assertion(&request.body);
                is_skewed(request.header("x-amz-date"), ahead)
                    || assertion.is_some_and(|time| now(ahead).abs_diff(time) > 300)
            }
            _ => true,
        }
    }

    /// Answers as the fault has it; `None` ends the connection.
    pub(super) fn fail_answer(&self, request: &Request, stream: &mut Tls) -> Option<()> {
        let tls = stream.get_mut();
        match self.plan.fault {
            Fault::ResetAfterRequest => reset(&tls.sock),
            Fault::StallAnswer => self.stall(&tls.sock),
            Fault::StallHeaders => {
                say(tls, b"HTTP/1.1 200 OK\r\nContent-Type: appl")?;
                self.stall(&tls.sock);
            }
            Fault::StallBody => {
                say(tls, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":")?;
                self.stall(&tls.sock);
            }
            Fault::ResetInBody => {
                say(tls, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":")?;
                // What was said must arrive before the reset.
                std::thread::park_timeout(TICK);
                reset(&tls.sock);
            }
            Fault::TruncateBody => {
                let (_, body) = self.ask_upstream(request)?;
                let half = body.get(..body.len() / 2)?;
                say(tls, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())?;
                say(tls, half)?;
                tls.conn.send_close_notify();
                _ = tls.flush();
            }
            Fault::TruncateTls => {
                let (_, body) = self.ask_upstream(request)?;
                say(tls, b"HTTP/1.1 200 OK\r\n\r\n")?;
                say(tls, body.get(..body.len() / 2)?)?;
            }
            Fault::GarbageForHttp | Fault::GarbageForHttp2 => say(tls, &garbage())?,
            Fault::Status(status, wait) => {
                let wait = wait.map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
                return answer(tls, status, &wait, leak(request).to_string().as_bytes());
            }
            Fault::Redirect(status) => {
                let location = format!("Location: http://{}{}\r\n", self.plan.trap, request.path);
                return answer(tls, status, &location, leak(request).to_string().as_bytes());
            }
            Fault::HugeBody => {
                say(tls, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{\"a\":\"")?;
                (0..1000).try_for_each(|_| say(tls, &[b'x'; 1_000_000]))?;
            }
            Fault::EndlessChunks => {
                say(tls, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                while !self.has_ended() {
                    say(tls, chunk.as_bytes())?;
                }
            }
            Fault::HugeHeader => {
                say(tls, b"HTTP/1.1 200 OK\r\nX-Large: ")?;
                (0..20).try_for_each(|_| say(tls, &[b'x'; 1_000_000]))?;
            }
            Fault::ManyHeaders => {
                say(tls, b"HTTP/1.1 200 OK\r\n")?;
                (0..1_000_000).try_for_each(|n| say(tls, format!("X-{n}: {CANARY}\r\n").as_bytes()))?;
            }
            Fault::DripHeaders => self.drip(tls, b"HTTP/1.1 200 OK\r\nX-Drip: ")?,
            Fault::DripBody => self.drip(tls, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?,
            Fault::Informational => {
                while !self.has_ended() {
                    say(tls, b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
            }
            Fault::Twice => {
                let (head, body) = self.ask_upstream(request)?;
                let other = with_other_key(&body);
                let answers = [head.as_bytes(), &body, head.as_bytes(), &other].concat();
                say(tls, &answers)?;
                return Some(());
            }
            Fault::ChallengeElsewhere | Fault::ChallengeForOther => {
                let trap = self.plan.trap;
                let (authority, resource) = match self.plan.fault {
                    Fault::ChallengeElsewhere => {
                        (format!("https://{trap}/tenant"), "https://vault.azure.net".to_owned())
                    }
                    _ => ("https://login.microsoftonline.com/tenant".to_owned(), format!("https://{trap}")),
                };
                let challenge =
                    format!("WWW-Authenticate: Bearer authorization=\"{authority}\", resource=\"{resource}\"\r\n");
                return answer(tls, 401, &challenge, b"");
            }
            Fault::Empty => return answer(tls, 200, "", b""),
            Fault::Page => {
                return answer(tls, 200, "Content-Type: text/html\r\n", format!("<html>{CANARY}").as_bytes());
            }
            Fault::OtherKey => {
                let (head, body) = self.ask_upstream(request)?;
                say(tls, head.as_bytes())?;
                return say(tls, &with_other_key(&body));
            }
            Fault::Clock(ahead) => return self.refuse_signature(request, tls, ahead),
            _ => {}
        }
        None
    }

    fn drip(&self, stream: &mut impl Write, beginning: &[u8]) -> Option<()> {
        say(stream, beginning)?;
        while !self.has_ended() {
            say(stream, b" ")?;
            std::thread::park_timeout(TICK);
        }
        None
    }

    /// As KMS and STS do where the time of a request is far from theirs.
    fn refuse_signature(&self, request: &Request, stream: &mut impl Write, ahead: i64) -> Option<()> {
        let date = format!("Date: {}\r\n", http_date(now(ahead)));
        if time_of_assertion(&request.body).is_some() {
            let body =
                format!("{{\"error\":\"invalid_grant\",\"error_codes\":[700024],\"error_description\":\"{CANARY}\"}}");
            return answer(stream, 400, &date, body.as_bytes());
        }
        if request.header("x-amz-target").is_empty() {
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>SignatureDoesNotMatch</Code><Message>Signature expired: {CANARY}</Message></Error>\
                 <RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"
            );
            return answer(stream, 403, &format!("{date}Content-Type: text/xml\r\n"), body.as_bytes());
        }
        let body = format!("{{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: {CANARY}\"}}");
        answer(stream, 400, &format!("{date}Content-Type: application/x-amz-json-1.1\r\n"), body.as_bytes())
    }
}

/// The next end of this socket is a reset.
pub fn reset(stream: &TcpStream) {
    let socket = tokio::net::TcpSocket::from_std_stream(stream.try_clone().expect("a socket"));
    socket.set_zero_linger().expect("an option");
}

pub fn say(stream: &mut impl Write, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).and_then(|()| stream.flush()).ok()
}

fn answer(stream: &mut impl Write, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    say(stream, &[head.as_bytes(), body].concat())
}

/// Neither TLS nor HTTP.
pub fn garbage() -> Vec<u8> {
    (0..4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 0x80).chain(*b"\r\n\r\n").collect()
}

/// An answer of a key service with another data key, of the same length.
fn with_other_key(body: &[u8]) -> Vec<u8> {
    // STS speaks XML, and of tokens there is only one.
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(body) else { return body.to_vec() };
    for place in ["/data/plaintext", "/Plaintext", "/plaintext", "/value"] {
        if let Some(value) = json.pointer_mut(place) {
            let text = BASE64_STANDARD.encode([7; 32]);
            *value = if place == "/value" { text.trim_end_matches('=').into() } else { text.into() };
        }
    }
    let mut other = serde_json::to_vec(&json).expect("JSON");
    other.resize(body.len().max(other.len()), b' ');
    other.truncate(body.len());
    other
}

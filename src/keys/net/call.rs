//! One question to a key service: bounded attempts, a bounded answer, and reasons without anything that was said.

use std::error::Error as _;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};

use super::{denied, unavailable};
use crate::keys::RefusedReason;
use crate::limits;
use crate::secret::{Secret, SecretBytes};

/// What a key service answered, whatever its status.
pub(in crate::keys) struct Reply {
    /// HTTP status.
    pub(in crate::keys) status: u16,
    /// Headers; hostile.
    pub(in crate::keys) headers: HeaderMap,
    /// At most [`limits::NETWORK_ANSWER_BYTES`]; may hold a data key, and may repeat a credential.
    pub(in crate::keys) body: SecretBytes,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::keys) enum CallError {
    #[error("the certificate of the service has expired or is not yet valid")]
    CertificateDate,
    #[error("the certificate of the service is for another name")]
    CertificateName,
    #[error("the certificate of the service is not from a trusted authority")]
    CertificateUnknown,
    #[error("the certificate of the service is not valid")]
    CertificateInvalid,
    #[error("no connection could be made")]
    Connect,
    #[error("the connection broke")]
    Broken,
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    #[error("the request could not be made")]
    Request,
}

impl Reply {
    /// Asks until there is a final answer: at most [`limits::NETWORK_ATTEMPTS`] times, again after connection errors,
    /// 429 and 5xx, all before `until`.
    pub(in crate::keys) async fn get(make: impl Fn() -> RequestBuilder, until: Instant) -> Result<Self, CallError> {
        let mut pause = limits::NETWORK_PAUSE;
        let mut attempt = 1;
        loop {
            let outcome = attempt_once(make(), until).await;
            let wait = match &outcome {
                Ok(reply) if is_temporary(reply.status) => {
                    let asked_for = reply.retry_after().unwrap_or_default();
                    if asked_for > limits::NETWORK_RETRY_AFTER {
                        return outcome;
                    }
                    asked_for
                }
                Err(CallError::Broken | CallError::Connect | CallError::TimedOut) => Duration::ZERO,
                _ => return outcome,
            };
            let wait = wait + random_pause(pause);
            if attempt >= limits::NETWORK_ATTEMPTS || Instant::now() + wait >= until {
                return outcome;
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
            attempt += 1;
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        seconds_to_wait(self.headers.get(RETRY_AFTER)?.to_str().ok()?)
    }

    /// The reason for a status that is not 200, with the error code that the service gave, if it is one.
    pub(in crate::keys) fn refusal(&self, code: Option<&str>) -> RefusedReason {
        let status = self.status;
        let code = code.filter(|code| is_code(code)).map(|code| format!(", {code}")).unwrap_or_default();
        match status {
            300..=399 => {
                denied(&format!("the service answered with a redirect (HTTP {status}), which is not followed"))
            }
            401 | 403 => denied(&format!("permission denied (HTTP {status}{code})")),
            TOO_MANY_REQUESTS => unavailable(&format!("too many requests (HTTP {status}{code})")),
            _ if is_temporary(status) => unavailable(&format!("the service is unavailable (HTTP {status}{code})")),
            _ => denied(&format!("the service refused (HTTP {status}{code})")),
        }
    }
}

impl CallError {
    /// The reason for the operator.
    pub(in crate::keys) fn refusal(self) -> RefusedReason {
        match self {
            Self::CertificateUnknown => denied(&self.to_string())
                .with_hint("name a file with the certificate of that authority in SSL_CERT_FILE"),
            Self::CertificateDate
            | Self::CertificateInvalid
            | Self::CertificateName
            | Self::Request
            | Self::TooLarge => denied(&self.to_string()),
            Self::Broken | Self::Connect | Self::TimedOut => unavailable(&self.to_string()),
        }
    }
}

/// Whether text is an error code or a request id: one word, nothing that could be a message or a credential.
pub(in crate::keys) fn is_code(text: &str) -> bool {
    (1..=80).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

async fn attempt_once(request: RequestBuilder, until: Instant) -> Result<Reply, CallError> {
    let until = until.min(Instant::now() + limits::NETWORK_ATTEMPT);
    match tokio::time::timeout_at(until.into(), exchange(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(CallError::TimedOut),
    }
}

/// One exchange: no redirect, a bounded answer. Whoever calls bounds the time.
pub(in crate::keys) async fn exchange(request: RequestBuilder) -> Result<Reply, CallError> {
    let mut response = request.send().await.map_err(|error| classify(&error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = read_body(&mut response).await?;
    Ok(Reply { status, headers, body })
}

async fn read_body(response: &mut Response) -> Result<SecretBytes, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if body.len() + chunk.len() > limits::NETWORK_ANSWER_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Secret::new(body))
}

/// The class of an error; its text is not shown, as it may hold the URL of a proxy with its password.
fn classify(error: &reqwest::Error) -> CallError {
    let mut source = error.source();
    while let Some(cause) = source {
        // rustls' errors travel inside io::Error, once or twice, whose `source` skips what is inside.
        let mut inner: &(dyn std::error::Error + 'static) = cause;
        while let Some(wrapped) = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            inner = wrapped;
        }
        let tls = inner.downcast_ref::<rustls::Error>();
        if let Some(rustls::Error::InvalidCertificate(certificate)) = tls {
            use rustls::CertificateError as Certificate;
            return match certificate {
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. } => CallError::CertificateDate,
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => CallError::CertificateName,
                // An authority of the same name that is not the trusted one shows as a bad signature.
                Certificate::BadSignature | Certificate::UnknownIssuer => CallError::CertificateUnknown,
                _ => CallError::CertificateInvalid,
            };
        }
        source = cause.source();
    }
    if error.is_timeout() {
        CallError::TimedOut
    } else if error.is_connect() {
        CallError::Connect
    } else if error.is_builder() {
        CallError::Request
    } else {
        CallError::Broken
    }
}

/// HTTP status of a service that is asked too often.
pub(in crate::keys) const TOO_MANY_REQUESTS: u16 = 429;

/// Whether the same question may have an answer a little later.
pub(in crate::keys) fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | TOO_MANY_REQUESTS | 500..=599)
}

/// How long a service asks to stay away, from its `Retry-After`; dates are not read.
pub(in crate::keys) fn seconds_to_wait(retry_after: &str) -> Option<Duration> {
    retry_after.trim().parse().ok().map(Duration::from_secs)
}

/// A random time up to `most`.
pub(in crate::keys) fn random_pause(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    most.mul_f64(f64::from(u32::try_from(random).unwrap_or_default()) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_words_for_codes_and_nothing_else() {
        for code in ["AccessDeniedException", "PERMISSION_DENIED", "3f1c-22", "a:b"] {
            assert!(is_code(code), "{code}");
        }
        for text in ["", "permission denied", "a\nb", "{}", &"a".repeat(81)] {
            assert!(!is_code(text), "{text}");
        }
    }

    #[test]
    fn pauses_at_random_but_never_longer() {
        let most = Duration::from_millis(400);
        let pauses: Vec<_> = (0..32).map(|_| random_pause(most)).collect();
        assert!(pauses.iter().all(|pause| *pause <= most) && pauses.iter().any(|pause| *pause != pauses[0]));
    }
}

//! What the key services share: one runtime, one TLS configuration, and one way to ask.
//!
//! Nothing here happens before the first network key is asked for: a run with local keys only starts no thread and
//! reads no root certificates.

mod call;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod clock;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod jwt;
mod tls;

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};
use tokio::runtime::{Builder, Runtime};

pub(super) use self::call::{CallError, Reply, is_code};
#[cfg(feature = "aws")]
pub(super) use self::call::{TOO_MANY_REQUESTS, exchange, is_temporary, random_pause, seconds_to_wait};
#[cfg(any(feature = "azure", feature = "gcp"))]
pub(super) use self::clock::clock_hint;
#[cfg(any(feature = "azure", feature = "gcp"))]
pub(super) use self::jwt::{AssertionKey, JwtAlgorithm, issued_at};
pub(super) use self::tls::{Roots, TlsConfig, TlsError};
use super::RefusedReason;
use crate::environment::Environment;
use crate::limits;
use crate::sops::data_key::Refusal;
use crate::text::Printable;

/// The network as the key services see it.
pub(super) struct Network<'env> {
    environment: &'env Environment,
    deadline: Option<Instant>,
    runtime: OnceLock<Option<Runtime>>,
    tls: OnceLock<Result<TlsConfig, TlsError>>,
    client: OnceLock<Result<Client, TlsError>>,
}

impl<'env> Network<'env> {
    pub(super) fn new(environment: &'env Environment, deadline: Option<Instant>) -> Self {
        Self { environment, deadline, runtime: OnceLock::new(), tls: OnceLock::new(), client: OnceLock::new() }
    }

    /// Polls on the runtime until ready, or until then. Several threads may do so at once; one of them drives the
    /// sockets of all.
    pub(super) fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>, until: Option<Instant>) {
        let Some(runtime) = self.runtime() else {
            // Every question has been refused: `is_ready` says so to the keyring.
            _ = poll(&mut Context::from_waker(std::task::Waker::noop()));
            return;
        };
        runtime.block_on(async {
            let poll = std::future::poll_fn(poll);
            match until {
                None => poll.await,
                // The time may run out: then other keys are begun and the polling goes on.
                Some(until) => _ = tokio::time::timeout_at(until.into(), poll).await,
            }
        });
    }

    /// Whether there is a runtime: there is none where the machine is out of descriptors.
    pub(super) fn is_ready(&self) -> bool {
        self.runtime().is_some()
    }

    fn runtime(&self) -> Option<&Runtime> {
        self.runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().ok()).as_ref()
    }

    /// The TLS configuration for services whose roots the operator did not name.
    pub(super) fn tls(&self) -> Result<&TlsConfig, TlsError> {
        let config = || match self.environment.var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) {
            Some(_) => TlsConfig::new(self.roots()?, None),
            None => TlsConfig::of_machine(),
        };
        self.tls.get_or_init(config).as_ref().map_err(Clone::clone)
    }

    /// The root certificates of this machine.
    pub(super) fn roots(&self) -> Result<Roots, TlsError> {
        Roots::load(self.environment.var_os("SSL_CERT_FILE"), self.file_deadline())
    }

    /// The client for services whose roots the operator did not name.
    pub(super) fn client(&self) -> Result<&Client, TlsError> {
        self.client.get_or_init(|| self.build_client(self.tls()?, None, None)).as_ref().map_err(Clone::clone)
    }

    /// A client with a TLS configuration and a proxy of its own. With `host`, it connects to that host whatever the name in
    /// a URL is.
    pub(super) fn build_client(
        &self,
        tls: &TlsConfig,
        proxy: Option<&str>,
        host: Option<&str>,
    ) -> Result<Client, TlsError> {
        let mut config = tls.client_config();
        if host.is_some() {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let builder = Client::builder()
            .tls_backend_preconfigured(config)
            // A credential goes to the host that was approved, not to where it points.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(limits::NETWORK_CONNECT)
            .user_agent(concat!("unsops/", env!("CARGO_PKG_VERSION")));
        let builder = match host {
            // HTTP/2 would send the name of the URL in the place of the `Host` header.
            Some(host) => builder.http1_only().dns_resolver(Arc::new(To(host.to_owned()))).no_proxy(),
            None => self.with_proxies(builder, proxy)?,
        };
        builder.build().map_err(|_| TlsError::Client)
    }

    /// Proxies come from our copy of the environment, by Go's rules: a loopback address is never proxied.
    fn with_proxies(&self, builder: ClientBuilder, own: Option<&str>) -> Result<ClientBuilder, TlsError> {
        let mut builder = builder.no_proxy();
        let variable = |name: &str| {
            self.environment.non_empty(name).or_else(|| self.environment.non_empty(&name.to_ascii_lowercase()))
        };
        let exceptions = || {
            let own = variable("NO_PROXY").unwrap_or_default();
            // Nor are the metadata servers of the clouds, which hand out credentials.
            NoProxy::from_string(&format!(
                "{own},localhost,127.0.0.0/8,::1,169.254.0.0/16,fd00:ec2::/32,metadata.google.internal"
            ))
        };
        if let Some(own) = own {
            let proxy = Proxy::all(own).map_err(|_| TlsError::Proxy("VAULT_PROXY_ADDR".into()))?;
            return Ok(builder.proxy(proxy));
        }
        for (name, make) in [
            ("HTTPS_PROXY", (|address| Proxy::https(address)) as fn(&str) -> reqwest::Result<Proxy>),
            ("HTTP_PROXY", |address| Proxy::http(address)),
            ("ALL_PROXY", |address| Proxy::all(address)),
        ] {
            if let Some(address) = variable(name) {
                let proxy = make(address).map_err(|_| TlsError::Proxy(name.into()))?;
                builder = builder.proxy(proxy.no_proxy(exceptions()));
            }
        }
        Ok(builder)
    }

    /// When a question that begins now must be answered.
    pub(super) fn call_deadline(&self) -> Instant {
        let own = Instant::now() + limits::NETWORK_CALL;
        self.deadline.map_or(own, |run| run.min(own))
    }

    /// When a file that a question needs must have been read.
    pub(super) fn file_deadline(&self) -> Instant {
        self.call_deadline()
    }
}

/// Resolves every name to the addresses of one host.
struct To(String);

impl Resolve for To {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        // A name look-up that hangs in the C library must not hold up the end of the run.
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Decodes standard base64 as Go does: line breaks inside and stray bits at the end are ignored.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const GO: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GO.decode(text).ok()
}

/// Refuses for good.
pub(super) fn denied(reason: &str) -> RefusedReason {
    RefusedReason { refusal: Refusal::Denied(Printable::reason(reason)), hint: None }
}

/// Refuses for want of a credential.
pub(super) fn not_mine(reason: &str) -> RefusedReason {
    RefusedReason { refusal: Refusal::NotMine(Printable::reason(reason)), hint: None }
}

/// Refuses for now.
pub(super) fn unavailable(reason: &str) -> RefusedReason {
    RefusedReason { refusal: Refusal::Unavailable(Printable::reason(reason)), hint: None }
}

impl RefusedReason {
    /// Says what the failed question was for.
    pub(super) fn while_getting(mut self, what: &str) -> Self {
        let (Refusal::Denied(reason) | Refusal::NotMine(reason) | Refusal::Unavailable(reason)) = &mut self.refusal;
        *reason = Printable::reason(&format!("{reason} (while getting {what})"));
        self
    }

    /// Puts our words for what the service meant in the place of a general reason; `said` is its status and code.
    pub(super) fn explained(mut self, meaning: Option<&str>, said: &str) -> Self {
        if let Some(meaning) = meaning {
            let (Refusal::Denied(reason) | Refusal::NotMine(reason) | Refusal::Unavailable(reason)) = &mut self.refusal;
            *reason = Printable::reason(&format!("{meaning} ({said})"));
        }
        self
    }

    /// Adds the next step.
    pub(super) fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(Printable::reason(hint));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_base64_as_go_does() {
        assert_eq!(decode_base64("YW\nJj\r\nZA==").as_deref(), Some(b"abcd".as_slice()));
        assert_eq!(decode_base64("YWJjZB==").as_deref(), Some(b"abcd".as_slice()));
        assert_eq!(decode_base64("YWJjZA"), None);
        assert_eq!(decode_base64("YWJj ZA=="), None);
    }

    #[test]
    fn starts_nothing_before_it_is_asked() {
        let environment = Environment::new([], None);
        let network = Network::new(&environment, None);
        assert!(network.runtime.get().is_none() && network.tls.get().is_none() && network.client.get().is_none());
    }
}

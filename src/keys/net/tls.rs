//! Root certificates and TLS configurations: rustls with ring, nothing else.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::keys::local;
use crate::limits;
use crate::text::Printable;

/// Bundles of root certificates by distribution: Debian, Alpine and Arch; Fedora; SUSE; RHEL; BSD and macOS. One file is
/// read; the hashed directories beside them cost milliseconds and hold the same.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why there is no way to speak TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::keys) enum TlsError {
    /// A file that a variable names is no use.
    #[error("{name} {problem}")]
    File { name: Printable, problem: &'static str },
    /// A client certificate without key, or the reverse, or a pair that rustls refuses.
    #[error("the client certificate and its key are not a usable pair")]
    ClientCertificate,
    /// A proxy variable that holds no URL.
    #[error("{0} is not the address of a proxy")]
    Proxy(Printable),
    #[error("the HTTP client could not be set up")]
    Client,
}

/// Root certificates.
pub(in crate::keys) struct Roots(RootCertStore);

impl Roots {
    /// `SSL_CERT_FILE` where it is set, else the first bundle of the distribution, else Mozilla's as built in.
    pub(super) fn load(ssl_cert_file: Option<&OsStr>, deadline: Instant) -> Result<Self, TlsError> {
        if let Some(file) = ssl_cert_file.filter(|file| !file.is_empty()) {
            return Self::from_file("SSL_CERT_FILE", Path::new(file), deadline);
        }
        Ok(Self::of_machine(deadline))
    }

    /// The first bundle of the distribution, else Mozilla's as built in.
    fn of_machine(deadline: Instant) -> Self {
        let bundle = BUNDLES.iter().find_map(|bundle| local::read(Path::new(bundle), deadline).ok());
        let roots = bundle.and_then(|bundle| Self::from_pem(bundle.expose()));
        roots.unwrap_or_else(|| Self(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()))
    }

    /// The certificates of a file that a variable names.
    pub(in crate::keys) fn from_file(variable: &str, file: &Path, deadline: Instant) -> Result<Self, TlsError> {
        let name = || Printable::new(&local::named(variable, file));
        let pem =
            local::read(file, deadline).map_err(|error| TlsError::File { name: name(), problem: error.words() })?;
        Self::from_pem(pem.expose()).ok_or_else(|| TlsError::File { name: name(), problem: "holds no certificate" })
    }

    /// The usable certificates of a PEM text; `None` where there are none. Unusable ones are left out, as in Go.
    pub(in crate::keys) fn from_pem(pem: &[u8]) -> Option<Self> {
        let mut store = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        store.add_parsable_certificates(certificates);
        (!store.is_empty()).then_some(Self(store))
    }
}

/// How to speak TLS: trusted roots, a client certificate.
pub(in crate::keys) struct TlsConfig(ClientConfig);

impl TlsConfig {
    /// Trusts `roots`, and identifies itself where the operator gave a certificate and its key, both in PEM.
    pub(in crate::keys) fn new(roots: Roots, identity: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        with_identity(builder()?.with_root_certificates(roots.0), identity).map(Self)
    }

    /// Trusts the roots of this machine. They are read when the first certificate is to be verified: to parse a bundle
    /// takes longer than to start, and an endpoint of plain http, or a connection that is refused, needs none.
    pub(super) fn of_machine() -> Result<Self, TlsError> {
        Self::with_verifier(Trusted::Machine(OnceLock::new()), None)
    }

    /// Trusts anyone (`VAULT_SKIP_VERIFY`): the operator's own choice, as in sops.
    pub(in crate::keys) fn without_verification(identity: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        Self::with_verifier(Trusted::Anyone, identity)
    }

    fn with_verifier(trusted: Trusted, identity: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Verifier { provider, trusted });
        with_identity(builder()?.dangerous().with_custom_certificate_verifier(verifier), identity).map(Self)
    }

    /// A configuration for one client.
    pub(super) fn client_config(&self) -> ClientConfig {
        self.0.clone()
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    let provider = rustls::crypto::ring::default_provider();
    // Libraries that build a client of their own look here; a second call changes nothing.
    _ = provider.clone().install_default();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Client)
}

fn with_identity(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    identity: Option<(&[u8], &[u8])>,
) -> Result<ClientConfig, TlsError> {
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::ClientCertificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::ClientCertificate)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Checks that a server holds the key of its certificate; whose certificates it accepts is another matter.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trusted: Trusted,
}

/// Whose certificates are accepted.
#[derive(Debug)]
enum Trusted {
    /// Anyone's.
    Anyone,
    /// Those that the roots of this machine vouch for, by rustls' own verifier.
    Machine(OnceLock<Result<Arc<WebPkiServerVerifier>, rustls::Error>>),
}

impl Verifier {
    fn of_machine(&self) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let roots = Roots::of_machine(Instant::now() + limits::NETWORK_ATTEMPT);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots.0), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.trusted {
            Trusted::Anyone => Ok(ServerCertVerified::assertion()),
            Trusted::Machine(verifier) => {
                let verifier = verifier.get_or_init(|| self.of_machine()).as_ref().map_err(Clone::clone)?;
                verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

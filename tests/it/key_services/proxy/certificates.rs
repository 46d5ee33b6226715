//! Certificates of the proxy, good and bad.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::clocks::now;
use super::{Certificate, Fault};

/// The authority that clients trust, in PEM.
pub fn authority() -> &'static str {
    &AUTHORITY.0
}

static AUTHORITY: LazyLock<(String, rcgen::Issuer<'static, rcgen::KeyPair>)> = LazyLock::new(new_authority);
static OTHER_AUTHORITY: LazyLock<(String, rcgen::Issuer<'static, rcgen::KeyPair>)> = LazyLock::new(new_authority);

fn new_authority() -> (String, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new([]).expect("no names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority of the fault proxy");
    let pem = parameters.self_signed(&key).expect("a certificate").pem();
    (pem, rcgen::Issuer::new(parameters, key))
}

/// How the proxy speaks TLS.
pub fn tls_config(fault: Fault) -> rustls::ServerConfig {
    let certificate = if let Fault::Certificate(certificate) = fault { Some(certificate) } else { None };
    let names: &[&str] = match certificate {
        Some(Certificate::OtherName) => &["elsewhere.test"],
        _ => &["127.0.0.1", "unsops-test.vault.azure.net", "login.microsoftonline.com"],
    };
    let issuer = if certificate == Some(Certificate::OtherAuthority) { &OTHER_AUTHORITY.1 } else { &AUTHORITY.1 };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(names).expect("names");
    let (from, to): (i64, i64) = match certificate {
        Some(Certificate::Expired) => (-7200, -3600),
        Some(Certificate::NotYetValid) => (3600, 7200),
        Some(Certificate::Short) => (-1800, 1800),
        _ => (-86_400, 86_400),
    };
    let at = |seconds: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now(seconds));
    (parameters.not_before, parameters.not_after) = (at(from), at(to));
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = parameters.signed_by(&key, issuer).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a pair");
    if fault == Fault::GarbageForHttp2 {
        tls.alpn_protocols = vec![b"h2".to_vec()];
    }
    tls
}

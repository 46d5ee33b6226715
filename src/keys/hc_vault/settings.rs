//! What the operator set for Vault: token, trust, proxy.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::environment::Environment;
use crate::keys::directory::{KeyDirectory, KeyFileKind};
use crate::keys::local::KeyFileError;
use crate::keys::net::{Network, Roots, TlsConfig, TlsError};
use crate::keys::{KeySource, KeySourceState, local};
use crate::secret::{Secret, SecretBytes};
use crate::text::Printable;

/// The token of this process, and where it was looked for.
pub(super) struct Token {
    pub(super) value: Option<SecretBytes>,
    pub(super) sources: Vec<KeySource>,
}

impl Token {
    /// `sops.vault-token` of the key directory, else `VAULT_TOKEN`, else `~/.vault-token`; an empty variable counts as
    /// unset.
    pub(super) fn find(environment: &Environment, directory: &KeyDirectory, deadline: Instant) -> Self {
        let mut token = Self { value: None, sources: Vec::new() };
        if let Some(file) = directory.credential(KeyFileKind::HcVault) {
            token.add_file(file.name, file.content, &file.path);
            return token;
        }
        let variable = environment.non_empty("VAULT_TOKEN").map(|token| Secret::new(token.as_bytes().to_vec()));
        let found = if variable.is_some() { KeySourceState::Keys(Vec::new()) } else { KeySourceState::Absent };
        token.sources.push(KeySource::new("VAULT_TOKEN".into(), found));
        if let Some(home) = environment.home() {
            let path = home.join(".vault-token");
            token.add_file("~/.vault-token".into(), local::read(&path, deadline), &path);
        }
        token.value = variable.or(token.value);
        token
    }

    fn add_file(&mut self, name: Printable, content: Result<SecretBytes, KeyFileError>, path: &Path) {
        let content = content.map(|content| Secret::new(content.expose().trim_ascii().to_vec()));
        let found = match &content {
            Ok(token) if token.expose().is_empty() => KeySourceState::Unusable("is empty".into()),
            Ok(_) => KeySourceState::Keys(Vec::new()),
            Err(KeyFileError::Missing) => KeySourceState::Absent,
            Err(error) => KeySourceState::Unusable(error.words().into()),
        };
        self.sources.push(KeySource::of_file(name, found, path));
        self.value = content.ok().filter(|token| !token.expose().is_empty());
    }

    /// Says that there is none.
    pub(super) fn absence(&self) -> String {
        let places: Vec<String> = self
            .sources
            .iter()
            .map(|source| match &source.found {
                KeySourceState::Unusable(why) => format!("{}: {why}", source.name),
                _ => format!("{}: none", source.name),
            })
            .collect();
        format!("no Vault token ({})", places.join("; "))
    }
}

/// Sends requests for `url` to its host under the name that `VAULT_TLS_SERVER_NAME` gives: the TLS name (SNI) and the
/// name in the certificate are that one, the `Host` header stays. `None` where there is no such variable, or no TLS.
pub(super) fn server_name(environment: &Environment, url: &Url) -> Result<Option<ServerName>, TlsError> {
    let Some(name) = environment.non_empty("VAULT_TLS_SERVER_NAME").filter(|_| url.scheme() == "https") else {
        return Ok(None);
    };
    let fault = |problem| TlsError::File { name: "VAULT_TLS_SERVER_NAME".into(), problem };
    if proxy(environment).is_some() {
        return Err(fault("does not go together with a proxy"));
    }
    let (mut renamed, host) = (url.clone(), url.host_str().unwrap_or_default());
    let is_dns_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    let is_renamed = is_dns_name && renamed.set_host(Some(name)).is_ok() && renamed.domain().is_some();
    if !is_renamed {
        return Err(fault("is not the name of a server"));
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let header = HeaderValue::from_str(&format!("{host}{port}")).map_err(|_| fault("is not the name of a server"))?;
    Ok(Some(ServerName { url: renamed, host: host.to_owned(), header }))
}

/// See [`server_name`].
pub(super) struct ServerName {
    pub(super) url: Url,
    /// Where to connect to.
    pub(super) host: String,
    /// The `Host` header.
    pub(super) header: HeaderValue,
}

/// The headers of `VAULT_HEADERS`: a JSON object of texts, for gateways in front of Vault.
///
/// # Errors
/// Fixed words. As in Vault's own client, none may be one of Vault's.
///
/// Source: hashicorp/vault, `api/client.go`, `NewClient`.
pub(super) fn headers(environment: &Environment) -> Result<HeaderMap, &'static str> {
    let Some(text) = environment.non_empty("VAULT_HEADERS") else { return Ok(HeaderMap::new()) };
    let fields: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|_| "VAULT_HEADERS is not a JSON object")?;
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().map_err(|_| "VAULT_HEADERS names a header that cannot be one")?;
        if name.as_str().starts_with("x-vault-") || name == HOST {
            return Err("VAULT_HEADERS names a header that Vault's client sets itself (X-Vault-…, Host)");
        }
        let value = value.as_str().ok_or("VAULT_HEADERS holds a value that is not text")?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| "VAULT_HEADERS holds characters that no header has")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn proxy(environment: &Environment) -> Option<&str> {
    environment.non_empty("VAULT_PROXY_ADDR").or_else(|| environment.non_empty("VAULT_HTTP_PROXY"))
}

/// The client for Vault: the operator's roots, client certificate and proxy, where there are such. With `host`, that
/// host is connected to whatever the name in a URL is.
pub(super) fn client(environment: &Environment, network: &Network<'_>, host: Option<&str>) -> Result<Client, TlsError> {
    let proxy = proxy(environment);
    let deadline = network.file_deadline();
    let file = |variable: &str| environment.var_os(variable).filter(|path| !path.is_empty()).map(Path::new);
    let read = |variable: &str, path: &Path| {
        local::read(path, deadline)
            .map_err(|error| TlsError::File { name: Printable::new(variable), problem: error.words() })
    };
    let identity = match (file("VAULT_CLIENT_CERT"), file("VAULT_CLIENT_KEY")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            Some((read("VAULT_CLIENT_CERT", certificate)?, read("VAULT_CLIENT_KEY", key)?))
        }
        _ => return Err(TlsError::ClientCertificate),
    };
    let identity =
        identity.as_ref().map(|(certificate, key)| (certificate.expose().as_slice(), key.expose().as_slice()));
    let skip = environment
        .non_empty("VAULT_SKIP_VERIFY")
        .is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"));
    let roots = if skip {
        None
    } else if let Some(path) = file("VAULT_CACERT") {
        Some(Roots::from_file("VAULT_CACERT", path, deadline)?)
    } else if let Some(pem) = environment.non_empty("VAULT_CACERT_BYTES") {
        let none = || TlsError::File { name: "VAULT_CACERT_BYTES".into(), problem: "holds no certificate" };
        Some(Roots::from_pem(pem.as_bytes()).ok_or_else(none)?)
    } else if let Some(directory) = file("VAULT_CAPATH") {
        Some(roots_of_directory(directory, deadline)?)
    } else if identity.is_some() {
        Some(network.roots()?)
    } else {
        None
    };
    let tls = match (skip, roots) {
        (true, _) => TlsConfig::without_verification(identity)?,
        (false, Some(roots)) => TlsConfig::new(roots, identity)?,
        (false, None) if proxy.is_none() && host.is_none() => return network.client().cloned(),
        (false, None) => return network.build_client(network.tls()?, proxy, host),
    };
    network.build_client(&tls, proxy, host)
}

fn roots_of_directory(directory: &Path, deadline: Instant) -> Result<Roots, TlsError> {
    let fault = |problem| TlsError::File { name: "VAULT_CAPATH".into(), problem };
    let mut pem = Vec::new();
    for file in local::list(directory).map_err(|error| fault(error.words()))? {
        if let Ok(content) = local::read(&file, deadline) {
            pem.extend_from_slice(content.expose());
            pem.push(b'\n');
        }
    }
    Roots::from_pem(&pem).ok_or_else(|| fault("holds no certificate"))
}

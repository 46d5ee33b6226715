//! What the operator set for Vault: token, trust, proxy.

use std::path::Path;
use std::time::Instant;

use reqwest::Client;

use crate::environment::Environment;
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
    /// `VAULT_TOKEN`, else `~/.vault-token`; an empty variable counts as unset.
    pub(super) fn find(environment: &Environment, deadline: Instant) -> Self {
        let variable = environment.non_empty("VAULT_TOKEN").map(|token| Secret::new(token.as_bytes().to_vec()));
        let state = |is_there: bool| if is_there { KeySourceState::Keys(Vec::new()) } else { KeySourceState::Absent };
        let mut sources = vec![KeySource { name: "VAULT_TOKEN".into(), found: state(variable.is_some()) }];
        let mut value = variable;
        if let Some(home) = environment.home() {
            let (file, found) = match local::read(&home.join(".vault-token"), deadline) {
                Ok(file) => (Some(Secret::new(file.expose().trim_ascii().to_vec())), state(true)),
                Err(local::KeyFileError::Missing) => (None, state(false)),
                Err(error) => (None, KeySourceState::Unusable(Printable::new(error.words()))),
            };
            sources.push(KeySource { name: "~/.vault-token".into(), found });
            value = value.or(file.filter(|token| !token.expose().is_empty()));
        }
        Self { value, sources }
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

/// The client for Vault: the operator's roots, client certificate and proxy, where there are such.
pub(super) fn client(environment: &Environment, network: &Network<'_>) -> Result<Client, TlsError> {
    let proxy = environment.non_empty("VAULT_PROXY_ADDR").or_else(|| environment.non_empty("VAULT_HTTP_PROXY"));
    if environment.non_empty("VAULT_TLS_SERVER_NAME").is_some() {
        return Err(TlsError::File { name: "VAULT_TLS_SERVER_NAME".into(), problem: "is not supported" });
    }
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
    match (skip, roots, proxy) {
        (true, ..) => network.build_client(&TlsConfig::without_verification(identity)?, proxy),
        (false, Some(roots), _) => network.build_client(&TlsConfig::new(roots, identity)?, proxy),
        (false, None, Some(_)) => network.build_client(network.tls()?, proxy),
        (false, None, None) => network.client().cloned(),
    }
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

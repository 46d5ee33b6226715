//! Credentials for GCP, in the order of sops: `GOOGLE_CREDENTIALS`, `GOOGLE_OAUTH_ACCESS_TOKEN`, application default
//! credentials. Google's own library turns them into tokens.

use std::path::Path;
use std::time::{Duration, Instant};

use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials as GoogleCredentials, external_account, impersonated, service_account,
    user_account,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::environment::Environment;
use crate::keys::net::{Network, denied, not_mine, unavailable};
use crate::keys::{RefusedReason, local};
use crate::secret::SecretBytes;
use crate::text::Printable;

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

/// Longest time that the metadata server has. It is link-local and answers within milliseconds where there is one.
const METADATA_SERVER: Duration = Duration::from_secs(2);

pub(super) const HINT: &str = "give this process GCP credentials: workload identity, GOOGLE_APPLICATION_CREDENTIALS, \
                               GOOGLE_CREDENTIALS, or GOOGLE_OAUTH_ACCESS_TOKEN";

/// Credentials, and where they are from.
pub(super) enum Credentials {
    Token(HeaderValue),
    Google { credentials: GoogleCredentials, place: Printable, is_metadata_server: bool },
}

/// The place where this process has its credentials from.
pub(super) fn place(environment: &Environment) -> Printable {
    let well_known = || Some(environment.home()?.join(".config/gcloud/application_default_credentials.json"));
    if environment.non_empty("GOOGLE_CREDENTIALS").is_some() {
        "GOOGLE_CREDENTIALS".into()
    } else if environment.non_empty("GOOGLE_OAUTH_ACCESS_TOKEN").is_some() {
        "GOOGLE_OAUTH_ACCESS_TOKEN".into()
    } else if let Some(file) = environment.var_os("GOOGLE_APPLICATION_CREDENTIALS") {
        Printable::new(&format!("GOOGLE_APPLICATION_CREDENTIALS={}", file.display()))
    } else if well_known().is_some_and(|file| file.exists()) {
        "~/.config/gcloud/application_default_credentials.json".into()
    } else {
        "the metadata server".into()
    }
}

/// The library makes clients of its own, which panic where there is not one root certificate.
fn require_system_roots(network: &Network<'_>) -> Result<(), RefusedReason> {
    if network.has_system_roots() {
        return Ok(());
    }
    Err(not_mine("there are no root certificates on this machine to get a GCP token with")
        .with_hint("name a file of root certificates in SSL_CERT_FILE"))
}

impl Credentials {
    /// Finds the credentials; asks no server yet.
    pub(super) fn find(environment: &Environment, network: &Network<'_>) -> Result<Self, RefusedReason> {
        let place = place(environment);
        if let Some(text) = environment.non_empty("GOOGLE_CREDENTIALS") {
            require_system_roots(network)?;
            let json = read_json(text, network.file_deadline())?;
            let credentials = from_json(json).ok_or_else(|| unusable(&place))?;
            return Ok(Self::Google { credentials, place, is_metadata_server: false });
        }
        if let Some(token) = environment.non_empty("GOOGLE_OAUTH_ACCESS_TOKEN") {
            let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unusable(&place))?;
            token.set_sensitive(true);
            return Ok(Self::Token(token));
        }
        require_system_roots(network)?;
        let credentials = Builder::default().with_scopes([SCOPE]).build().map_err(|_| unusable(&place))?;
        let is_metadata_server = place.as_str() == "the metadata server";
        Ok(Self::Google { credentials, place, is_metadata_server })
    }

    /// The headers of a request, with a token.
    pub(super) async fn headers(&self, until: Instant) -> Result<HeaderMap, RefusedReason> {
        let (credentials, place, is_metadata_server) = match self {
            Self::Token(token) => return Ok(HeaderMap::from_iter([(AUTHORIZATION, token.clone())])),
            Self::Google { credentials, place, is_metadata_server } => (credentials, place, *is_metadata_server),
        };
        let until = if is_metadata_server { until.min(Instant::now() + METADATA_SERVER) } else { until };
        match tokio::time::timeout_at(until.into(), credentials.headers(http::Extensions::new())).await {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Err(unavailable("the source of GCP credentials gave no token")),
            _ if is_metadata_server => Err(not_mine(
                "no GCP credentials (GOOGLE_CREDENTIALS, GOOGLE_OAUTH_ACCESS_TOKEN, GOOGLE_APPLICATION_CREDENTIALS: none; \
                 ~/.config/gcloud: none; metadata server: no answer)",
            )
            .with_hint(HINT)),
            Err(_) => Err(unavailable(&format!("no GCP token in time ({place})"))),
            Ok(Err(error)) if error.is_transient() => {
                Err(unavailable(&format!("no GCP token for now ({place}): the token service is unavailable")))
            }
            Ok(Err(_)) => Err(denied(&format!("the token service gave no GCP token ({place})")).with_hint(HINT)),
        }
    }
}

/// `GOOGLE_CREDENTIALS` is the path of a file if there is one, else the JSON itself.
fn read_json(text: &str, deadline: Instant) -> Result<serde_json::Value, RefusedReason> {
    let from_file: Option<SecretBytes> = match local::read(Path::new(text), deadline) {
        Ok(file) => Some(file),
        Err(_) if text.trim_start().starts_with('{') => None,
        Err(error) => return Err(not_mine(&format!("the file that GOOGLE_CREDENTIALS names {}", error.words()))),
    };
    let json = from_file.as_ref().map_or(text.as_bytes(), |file| file.expose().as_slice());
    serde_json::from_slice(json).map_err(|_| not_mine("GOOGLE_CREDENTIALS holds no JSON"))
}

/// Credentials of every type that the library can use (`google_cloud_auth::credentials`, `build_credentials`).
fn from_json(json: serde_json::Value) -> Option<GoogleCredentials> {
    let kind = json.get("type")?.as_str()?.to_owned();
    match kind.as_str() {
        "authorized_user" => user_account::Builder::new(json).with_scopes([SCOPE]).build().ok(),
        "external_account" => external_account::Builder::new(json).with_scopes([SCOPE]).build().ok(),
        "impersonated_service_account" => impersonated::Builder::new(json).with_scopes([SCOPE]).build().ok(),
        "service_account" => service_account::Builder::new(json)
            .with_access_specifier(AccessSpecifier::from_scopes([SCOPE]))
            .build()
            .ok(),
        _ => None,
    }
}

fn unusable(place: &Printable) -> RefusedReason {
    not_mine(&format!("the GCP credentials are unusable ({place})")).with_hint(HINT)
}

//! Credentials for GCP: `sops.gcp-kms` of the key directory, else in the order of sops: `GOOGLE_CREDENTIALS`,
//! `GOOGLE_OAUTH_ACCESS_TOKEN`, application default credentials.

use std::path::{Path, PathBuf};
use std::time::Instant;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use super::source::Source;
use super::token::{Fault, Tokens};
use crate::environment::Environment;
use crate::keys::directory::{KeyDirectory, KeyFileKind};
use crate::keys::net::{Network, denied, not_mine, unavailable};
use crate::keys::{KeyPolicy, KeySource, KeySourceState, RefusedReason, local};
use crate::limits;
use crate::secret::SecretBytes;
use crate::text::Printable;

pub(super) const HINT: &str = "give this process GCP credentials: workload identity, GOOGLE_APPLICATION_CREDENTIALS, \
                               GOOGLE_CREDENTIALS, or GOOGLE_OAUTH_ACCESS_TOKEN";

const WELL_KNOWN: &str = ".config/gcloud/application_default_credentials.json";

/// Credentials, and where they are from.
pub(super) enum Credentials {
    /// A token that the operator gave.
    Token(HeaderValue),
    /// What is exchanged for one.
    Source { source: Source, place: Printable, quota_project: Option<HeaderValue> },
}

/// The place where this process has its credentials from.
pub(super) fn place(environment: &Environment, directory: &KeyDirectory) -> KeySource {
    if let Some(file) = directory.credential(KeyFileKind::GcpKms) {
        return file.describe(|content| {
            let json = serde_json::from_slice(content).map_err(|_| "holds no JSON")?;
            Source::from_json(&json).map(drop)
        });
    }
    KeySource::new(name(environment), KeySourceState::OnDemand)
}

fn name(environment: &Environment) -> Printable {
    if environment.non_empty("GOOGLE_CREDENTIALS").is_some() {
        "GOOGLE_CREDENTIALS".into()
    } else if environment.non_empty("GOOGLE_OAUTH_ACCESS_TOKEN").is_some() {
        "GOOGLE_OAUTH_ACCESS_TOKEN".into()
    } else if let Some(file) = named_file(environment) {
        Printable::new(&local::named("GOOGLE_APPLICATION_CREDENTIALS", file))
    } else if well_known(environment).is_some() {
        Printable::new(&format!("~/{WELL_KNOWN}"))
    } else {
        "the metadata server".into()
    }
}

fn named_file(environment: &Environment) -> Option<&Path> {
    environment.var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|file| !file.is_empty()).map(Path::new)
}

fn well_known(environment: &Environment) -> Option<PathBuf> {
    environment.home().map(|home| home.join(WELL_KNOWN)).filter(|file| file.exists())
}

impl Credentials {
    /// Finds the credentials; asks no server yet.
    pub(super) fn find(
        environment: &Environment,
        directory: &KeyDirectory,
        network: &Network<'_>,
    ) -> Result<Self, RefusedReason> {
        let deadline = network.file_deadline();
        if let Some(file) = directory.credential(KeyFileKind::GcpKms) {
            let unusable = |why: &str| not_mine(&format!("{} {why}", file.name)).with_hint(HINT);
            let content = file.content.as_ref().map_err(|error| unusable(error.words()))?;
            return Self::from_json(environment, content.expose(), file.name.clone());
        }
        let place = name(environment);
        if let Some(text) = environment.non_empty("GOOGLE_CREDENTIALS") {
            // The path of a file if there is one, else the JSON itself.
            return match local::read(Path::new(text), deadline) {
                Ok(file) => Self::from_json(environment, file.expose(), place),
                Err(_) if text.trim_start().starts_with('{') => Self::from_json(environment, text.as_bytes(), place),
                Err(error) => Err(not_mine(&format!("the file that GOOGLE_CREDENTIALS names {}", error.words()))),
            };
        }
        if let Some(token) = environment.non_empty("GOOGLE_OAUTH_ACCESS_TOKEN") {
            let token = bearer(token);
            return token.map(Self::Token).ok_or_else(|| not_mine("GOOGLE_OAUTH_ACCESS_TOKEN holds no token"));
        }
        let read = |file: &Path| -> Result<SecretBytes, RefusedReason> {
            local::read(file, deadline).map_err(|error| not_mine(&format!("{place} {}", error.words())).with_hint(HINT))
        };
        match (named_file(environment), well_known(environment)) {
            (Some(file), _) => Self::from_json(environment, read(file)?.expose(), place),
            (None, Some(file)) => Self::from_json(environment, read(&file)?.expose(), place),
            (None, None) => Ok(Self::Source { source: Source::MetadataServer, place, quota_project: None }),
        }
    }

    fn from_json(environment: &Environment, json: &[u8], place: Printable) -> Result<Self, RefusedReason> {
        let unusable = |why: &str| not_mine(&format!("{place} {why}")).with_hint(HINT);
        let json: Value = serde_json::from_slice(json).map_err(|_| unusable("holds no JSON"))?;
        let source = Source::from_json(&json).map_err(unusable)?;
        let quota_project = environment.non_empty("GOOGLE_CLOUD_QUOTA_PROJECT");
        let quota_project = quota_project.or_else(|| json.get("quota_project_id").and_then(Value::as_str));
        let quota_project = quota_project.and_then(|project| HeaderValue::from_str(project).ok());
        Ok(Self::Source { source, place, quota_project })
    }

    /// The headers of a request, with a token.
    pub(super) async fn headers(
        &self,
        network: &Network<'_>,
        environment: &Environment,
        policy: &KeyPolicy,
    ) -> Result<HeaderMap, RefusedReason> {
        let (source, place, quota_project) = match self {
            Self::Token(token) => return Ok(HeaderMap::from_iter([(AUTHORIZATION, token.clone())])),
            Self::Source { source, place, quota_project } => (source, place, quota_project),
        };
        let is_metadata_server = matches!(source, Source::MetadataServer);
        let until = match is_metadata_server {
            true => network.call_deadline().min(Instant::now() + limits::METADATA_SERVER),
            false => network.call_deadline(),
        };
        let client = network.client().map_err(|error| denied(&error.to_string()))?;
        let tokens = Tokens { client, until, environment, policy };
        let token = match tokens.token(source).await {
            Ok(token) => bearer(token.expose()).ok_or(Fault::Malformed),
            Err(fault) => Err(fault),
        };
        let token = token.map_err(|fault| refusal(&fault, place, is_metadata_server))?;
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
        if let Some(project) = quota_project {
            headers.insert("x-goog-user-project", project.clone());
        }
        Ok(headers)
    }
}

fn refusal(fault: &Fault, place: &Printable, is_metadata_server: bool) -> RefusedReason {
    match fault {
        _ if is_metadata_server => not_mine(&format!(
            "no GCP credentials (GOOGLE_CREDENTIALS, GOOGLE_OAUTH_ACCESS_TOKEN, GOOGLE_APPLICATION_CREDENTIALS: none; \
             ~/.config/gcloud: none; metadata server: {fault})"
        ))
        .with_hint(HINT),
        Fault::Call(error) => error.refusal().while_getting(&format!("a GCP token, {place}")),
        Fault::Denied { clock, .. } => denied(&format!("the token service gave no GCP token ({place}: {fault})"))
            .with_hint(clock.as_deref().unwrap_or(HINT)),
        Fault::Unavailable { .. } => {
            unavailable(&format!("no GCP token for now ({place}): the token service is unavailable ({fault})"))
        }
        Fault::Own(_) | Fault::Malformed | Fault::Program(_) => {
            not_mine(&format!("no GCP token ({place}): {fault}")).with_hint(HINT)
        }
    }
}

/// A header with a token, never shown.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The URL of a token service: https, or http to this machine. The credentials name it, which the operator wrote.
pub(super) fn token_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let is_own = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_tls = url.scheme() == "https" || (url.scheme() == "http" && (is_own || host == "localhost"));
    (is_tls && url.username().is_empty() && url.password().is_none()).then_some(url)
}

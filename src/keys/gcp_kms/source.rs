//! Credential files of Google: what they say, as they are written.
//!
//! Source: google/oauth2 `google/google.go`, `google/externalaccount`; google.aip.dev/auth/4117 and its neighbours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::aws_subject::AwsSubject;
use super::credentials::token_url;
use crate::keys::net::AssertionKey;

/// Deepest nesting of credentials that stand on others.
const NESTING: usize = 4;

/// What a token is had for.
pub(super) enum Source {
    /// `service_account`
    ServiceAccount { email: String, key: AssertionKey, key_id: Option<String>, token_url: Url },
    /// `authorized_user`, `external_account_authorized_user`
    User { token_url: Url, client: Client, refresh_token: String, is_basic: bool },
    /// `external_account`: workload identity federation.
    External(Box<External>),
    /// `impersonated_service_account`
    Impersonated { source: Box<Source>, impersonation: Impersonation },
    /// The metadata server of the machine or cluster.
    MetadataServer,
}

/// The application that asks in the name of a user.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
}

/// A service account that another identity may act as.
pub(super) struct Impersonation {
    pub(super) url: Url,
    pub(super) delegates: Vec<String>,
    /// Seconds.
    pub(super) lifetime: u64,
}

/// An identity of another provider.
pub(super) struct External {
    pub(super) audience: String,
    pub(super) token_type: String,
    pub(super) token_url: Url,
    pub(super) subject: Subject,
    pub(super) client: Option<Client>,
    pub(super) workforce_project: Option<String>,
    pub(super) impersonation: Option<Impersonation>,
}

/// Where the other provider's token is.
pub(super) enum Subject {
    File { path: PathBuf, field: Option<String> },
    Url { url: Url, headers: BTreeMap<String, String>, field: Option<String> },
    Program { command: String },
    Aws(AwsSubject),
}

#[derive(Deserialize)]
struct ServiceAccountFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct UserFile {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    token_uri: Option<String>,
    token_url: Option<String>,
}

#[derive(Deserialize)]
struct ExternalFile {
    audience: String,
    subject_token_type: String,
    token_url: Option<String>,
    credential_source: CredentialSource,
    client_id: Option<String>,
    client_secret: Option<String>,
    workforce_pool_user_project: Option<String>,
    service_account_impersonation_url: Option<String>,
    service_account_impersonation: Option<Lifetime>,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
    executable: Option<Executable>,
    environment_id: Option<String>,
    region_url: Option<String>,
    regional_cred_verification_url: Option<String>,
    imdsv2_session_token_url: Option<String>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct Executable {
    command: String,
}

#[derive(Deserialize)]
struct Lifetime {
    token_lifetime_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct ImpersonatedFile {
    service_account_impersonation_url: String,
    #[serde(default)]
    delegates: Vec<String>,
    source_credentials: Value,
}

const FIELDS: &str = "lacks fields that its type needs";
const URL: &str = "names a token service that is not an https URL";

impl Source {
    /// Reads credentials of every type that a token can be had for.
    ///
    /// # Errors
    /// Fixed words, to be read after the name of the place.
    pub(super) fn from_json(json: &Value) -> Result<Self, &'static str> {
        Self::nested(json, NESTING)
    }

    fn nested(json: &Value, depth: usize) -> Result<Self, &'static str> {
        let depth = depth.checked_sub(1).ok_or("is nested too deeply")?;
        match json.get("type").and_then(Value::as_str) {
            Some("service_account") => {
                let file: ServiceAccountFile = read(json)?;
                Ok(Self::ServiceAccount {
                    email: file.client_email,
                    key: AssertionKey::from_pem(file.private_key.as_bytes())?,
                    key_id: file.private_key_id,
                    token_url: url(file.token_uri.as_deref().unwrap_or("https://oauth2.googleapis.com/token"))?,
                })
            }
            Some(kind @ ("authorized_user" | "external_account_authorized_user")) => {
                let file: UserFile = read(json)?;
                let is_basic = kind != "authorized_user";
                let named = if is_basic { file.token_url } else { file.token_uri };
                Ok(Self::User {
                    token_url: url(named.as_deref().unwrap_or("https://oauth2.googleapis.com/token"))?,
                    client: Client { id: file.client_id, secret: file.client_secret },
                    refresh_token: file.refresh_token,
                    is_basic,
                })
            }
            Some("external_account") => External::read(json).map(|external| Self::External(Box::new(external))),
            Some("impersonated_service_account") => {
                let file: ImpersonatedFile = read(json)?;
                let source = Box::new(Self::nested(&file.source_credentials, depth)?);
                let url = url(&file.service_account_impersonation_url)?;
                Ok(Self::Impersonated {
                    source,
                    impersonation: Impersonation { url, delegates: file.delegates, lifetime: 3600 },
                })
            }
            Some(_) => Err("is of a type of GCP credentials that is not supported"),
            None => Err("says no type of GCP credentials"),
        }
    }
}

impl External {
    fn read(json: &Value) -> Result<Self, &'static str> {
        let file: ExternalFile = read(json)?;
        let source = file.credential_source;
        let field = match source.format {
            Some(Format { kind: Some(kind), subject_token_field_name }) if kind == "json" => {
                Some(subject_token_field_name.ok_or(FIELDS)?)
            }
            _ => None,
        };
        let subject = match (source.environment_id, source.file, source.url, source.executable) {
            (Some(environment), _, credentials_url, _) if environment == "aws1" => {
                let url = |text: Option<String>| text.as_deref().map(subject_url).transpose();
                Subject::Aws(AwsSubject {
                    verification_url: source.regional_cred_verification_url.ok_or(FIELDS)?,
                    region_url: url(source.region_url)?,
                    credentials_url: url(credentials_url)?,
                    session_url: url(source.imdsv2_session_token_url)?,
                })
            }
            (Some(_), ..) => return Err("federates an identity of an unknown version of AWS"),
            (None, Some(path), ..) => Subject::File { path, field },
            (None, None, Some(text), _) => Subject::Url { url: subject_url(&text)?, headers: source.headers, field },
            (None, None, None, Some(executable)) => Subject::Program { command: executable.command },
            (None, None, None, None) => return Err(FIELDS),
        };
        let lifetime = file.service_account_impersonation.and_then(|given| given.token_lifetime_seconds);
        let impersonation = match &file.service_account_impersonation_url {
            Some(text) => {
                Some(Impersonation { url: url(text)?, delegates: Vec::new(), lifetime: lifetime.unwrap_or(3600) })
            }
            None => None,
        };
        Ok(Self {
            audience: file.audience,
            token_type: file.subject_token_type,
            token_url: url(file.token_url.as_deref().unwrap_or("https://sts.googleapis.com/v1/token"))?,
            subject,
            client: file.client_id.map(|id| Client { id, secret: file.client_secret.unwrap_or_default() }),
            workforce_project: file.workforce_pool_user_project,
            impersonation,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &Value) -> Result<T, &'static str> {
    T::deserialize(json).map_err(|_| FIELDS)
}

fn url(text: &str) -> Result<Url, &'static str> {
    token_url(text).ok_or(URL)
}

/// Where a provider's token is fetched: often the metadata server of another cloud, which speaks plain http.
fn subject_url(text: &str) -> Result<Url, &'static str> {
    let is_metadata = |url: &Url| url.scheme() == "http" && url.host_str() == Some("169.254.169.254");
    token_url(text).or_else(|| Url::parse(text).ok().filter(is_metadata)).ok_or(URL)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(json: Value) -> &'static str {
        match Source::from_json(&json) {
            Ok(_) => "",
            Err(why) => why,
        }
    }

    #[test]
    fn reads_every_type_that_a_token_can_be_had_for() {
        let key = include_str!("../../../tests/keys/assertion.pem");
        let account = json!({"type": "service_account", "client_email": "a@b", "private_key": key});
        assert_eq!(why(account.clone()), "");
        let user = json!({"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"});
        assert_eq!(why(user.clone()), "");
        let iam = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken";
        let impersonated = |source: Value| json!({"type": "impersonated_service_account", "service_account_impersonation_url": iam, "source_credentials": source});
        assert_eq!(why(impersonated(user)), "");
        let external = |source: Value| json!({"type": "external_account", "audience": "a", "subject_token_type": "t", "credential_source": source});
        assert_eq!(why(external(json!({"file": "/f"}))), "");
        assert_eq!(why(external(json!({"url": "http://169.254.169.254/x", "headers": {"Metadata": "True"}}))), "");
        assert_eq!(why(external(json!({"executable": {"command": "/bin/x"}}))), "");
        let sts = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        let aws = |id: &str| json!({"environment_id": id, "regional_cred_verification_url": sts, "url": "http://169.254.169.254/x"});
        assert_eq!(why(external(aws("aws1"))), "");
        assert!(why(external(aws("aws2"))).contains("AWS"));
        assert_eq!(why(external(json!({"environment_id": "aws1"}))), FIELDS);
        assert_eq!(why(external(json!({"file": "/f", "format": {"type": "json"}}))), FIELDS);
        assert_eq!(why(external(json!({"url": "http://elsewhere.test/x"}))), URL);

        assert_eq!(why(json!({"type": "service_account"})), FIELDS);
        assert_eq!(why(json!({})), "says no type of GCP credentials");
        let mut plain = account;
        plain["token_uri"] = json!("http://elsewhere.test/token");
        assert_eq!(why(plain), URL);
        let deep = (0..9).fold(json!({}), |inner, _| impersonated(inner));
        assert_eq!(why(deep), "is nested too deeply");
    }
}

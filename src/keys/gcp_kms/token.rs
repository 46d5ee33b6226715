//! From credentials to an access token, by our own client: no redirects, bounded answers and attempts.

use std::fmt;
use std::time::Instant;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::credentials::bearer;
use super::source::{Client, External, Impersonation, Source, Subject};
use crate::environment::Environment;
use crate::keys::exec::{self, ProgramError};
use crate::keys::net::{AssertionKey, CallError, JwtAlgorithm, Reply, clock_hint, is_code, issued_at};
use crate::keys::{KeyPolicy, local};
use crate::secret::Secret;

const CLOUD_KMS: &str = "https://www.googleapis.com/auth/cloudkms";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// How tokens are had.
pub(super) struct Tokens<'a> {
    pub(super) client: &'a reqwest::Client,
    pub(super) until: Instant,
    pub(super) environment: &'a Environment,
    pub(super) policy: &'a KeyPolicy,
}

/// Why there is no token. Shown as fixed words, a status and a code.
#[derive(Debug)]
pub(super) enum Fault {
    Call(CallError),
    /// The token service says no.
    Denied {
        status: u16,
        code: Option<String>,
        /// What to do if it is this machine's clock.
        clock: Option<String>,
    },
    /// The token service is not well.
    Unavailable {
        status: u16,
    },
    /// Something of ours is missing.
    Own(&'static str),
    Program(ProgramError),
    /// An answer, or a file, is not what it should be.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => write!(f, "{error}"),
            Self::Denied { status, code: Some(code), .. } => write!(f, "HTTP {status}, {code}"),
            Self::Denied { status, code: None, .. } | Self::Unavailable { status } => write!(f, "HTTP {status}"),
            Self::Own(why) => f.write_str(why),
            Self::Program(error) => write!(f, "the program of the credentials {}", error.words()),
            Self::Malformed => f.write_str("the answer is not a token"),
        }
    }
}

type Token = Result<Secret<String>, Fault>;

impl Tokens<'_> {
    /// A token with which keys may be used.
    pub(super) async fn token(&self, source: &Source) -> Token {
        self.token_for(source, &format!("{CLOUD_PLATFORM} {CLOUD_KMS}")).await
    }

    async fn token_for(&self, source: &Source, scope: &str) -> Token {
        match source {
            Source::ServiceAccount { email, key, key_id, token_url } => {
                let assertion = assertion(email, key, key_id.as_deref(), token_url, scope)?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                self.exchange(token_url, None, &[("grant_type", grant), ("assertion", &assertion)]).await
            }
            Source::User { token_url, client, refresh_token, is_basic } => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
                let own = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
                match is_basic {
                    true => self.exchange(token_url, Some(client), &grant).await,
                    false => self.exchange(token_url, None, &[grant, own].concat()).await,
                }
            }
            Source::External(external) => self.federate(external, scope).await,
            Source::Impersonated { source, impersonation } => {
                let token = Box::pin(self.token_for(source, CLOUD_PLATFORM)).await?;
                self.impersonate(impersonation, &token, scope).await
            }
            Source::MetadataServer => self.metadata_server(scope).await,
        }
    }

    /// Exchanges another provider's token for one of Google's (RFC 8693).
    async fn federate(&self, external: &External, scope: &str) -> Token {
        let subject = self.subject(external).await?;
        let first_scope = if external.impersonation.is_some() { CLOUD_PLATFORM } else { scope };
        let options = external.workforce_project.as_ref().filter(|_| external.client.is_none());
        let options = options.map(|project| json!({ "userProject": project }).to_string());
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("audience", &external.audience),
            ("scope", first_scope),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", subject.expose()),
            ("subject_token_type", &external.token_type),
        ];
        form.extend(options.as_deref().map(|options| ("options", options)));
        let token = self.exchange(&external.token_url, external.client.as_ref(), &form).await?;
        match &external.impersonation {
            None => Ok(token),
            Some(impersonation) => self.impersonate(impersonation, &token, scope).await,
        }
    }

    /// The other provider's token.
    async fn subject(&self, external: &External) -> Token {
        match &external.subject {
            Subject::File { path, field } => {
                let file = local::read(path, self.until)
                    .map_err(|_| Fault::Own("the file with the subject token cannot be read"))?;
                subject_in(file.expose(), field.as_deref())
            }
            Subject::Url { url, headers, field } => {
                let mut own = HeaderMap::new();
                for (name, value) in headers {
                    let name =
                        name.parse::<HeaderName>().map_err(|_| Fault::Own("a header of the credentials is malformed"));
                    let value = HeaderValue::from_str(value);
                    own.insert(name?, value.map_err(|_| Fault::Own("a header of the credentials is malformed"))?);
                }
                let reply = self.ask(|| self.client.get(url.clone()).headers(own.clone())).await?;
                subject_in(reply.body.expose(), field.as_deref())
            }
            Subject::Aws(aws) => self.aws_subject(aws, &external.audience).await,
            Subject::Program { command } => self.subject_of_program(command, external).await,
        }
    }

    /// Source: google.aip.dev/auth/4117, "executable-sourced credentials".
    async fn subject_of_program(&self, command: &str, external: &External) -> Token {
        #[derive(Deserialize)]
        struct Output {
            success: bool,
            id_token: Option<String>,
            saml_response: Option<String>,
        }
        if self.environment.var("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") != Some("1") {
            return Err(Fault::Own("programs need GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"));
        }
        let environment = self
            .environment
            .with("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", &external.audience)
            .with("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", &external.token_type)
            .with("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0");
        let output = exec::words_output_of(command, &environment, self.policy).await.map_err(Fault::Program)?;
        let output: Output = serde_json::from_slice(output.expose()).map_err(|_| Fault::Malformed)?;
        if !output.success {
            return Err(Fault::Own("the program of the credentials gave no token"));
        }
        output.id_token.or(output.saml_response).map(Secret::new).ok_or(Fault::Malformed)
    }

    /// A token of a service account that this token may act as.
    async fn impersonate(&self, impersonation: &Impersonation, token: &Secret<String>, scope: &str) -> Token {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            access_token: String,
        }
        let body = json!({
            "scope": scope.split(' ').collect::<Vec<_>>(),
            "delegates": impersonation.delegates,
            "lifetime": format!("{}s", impersonation.lifetime),
        })
        .to_string();
        let bearer = bearer(token.expose()).ok_or(Fault::Malformed)?;
        let make = || {
            let request = self.client.post(impersonation.url.clone()).header(AUTHORIZATION, bearer.clone());
            request.header(CONTENT_TYPE, "application/json").body(body.clone())
        };
        let reply = self.ask(make).await?;
        let answer: Answer = serde_json::from_slice(reply.body.expose()).map_err(|_| Fault::Malformed)?;
        Ok(Secret::new(answer.access_token))
    }

    /// Source: cloud.google.com/compute/docs/metadata; `GCE_METADATA_HOST` as in Google's own libraries.
    async fn metadata_server(&self, scope: &str) -> Token {
        let host = self.environment.non_empty("GCE_METADATA_HOST").unwrap_or("169.254.169.254");
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let scopes = [("scopes", scope.replace(' ', ","))];
        let url = Url::parse_with_params(&format!("http://{host}/{path}"), scopes)
            .map_err(|_| Fault::Own("GCE_METADATA_HOST is not the address of a server"))?;
        let flavor = HeaderValue::from_static("Google");
        read_token(&self.ask(|| self.client.get(url.clone()).header("Metadata-Flavor", flavor.clone())).await?)
    }

    /// A form to a token service.
    async fn exchange(&self, url: &Url, client: Option<&Client>, form: &[(&str, &str)]) -> Token {
        // Form and query are encoded alike.
        let encoded = Url::parse_with_params("form:/", form).map_err(|_| Fault::Malformed)?;
        let body = encoded.query().unwrap_or_default().to_owned();
        let make = || {
            let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = request.header(ACCEPT, "application/json").body(body.clone());
            match client {
                Some(client) => request.basic_auth(&client.id, Some(&client.secret)),
                None => request,
            }
        };
        read_token(&self.ask(make).await?)
    }

    pub(super) async fn ask(&self, make: impl Fn() -> RequestBuilder) -> Result<Reply, Fault> {
        let reply = Reply::get(make, self.until).await.map_err(Fault::Call)?;
        match reply.status {
            200 => Ok(reply),
            408 | 429 | 500..=599 => Err(Fault::Unavailable { status: reply.status }),
            status => {
                let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
                Err(Fault::Denied { status, code: code(&reply), clock: clock_hint(date) })
            }
        }
    }
}

/// What a service account signs to get a token.
fn assertion(
    email: &str,
    key: &AssertionKey,
    key_id: Option<&str>,
    token_url: &Url,
    scope: &str,
) -> Result<String, Fault> {
    let header = key_id.map_or_else(|| json!({}), |id| json!({ "kid": id }));
    let now = issued_at();
    let claims =
        json!({ "iss": email, "scope": scope, "aud": token_url.as_str(), "iat": now, "exp": now.saturating_add(3600) });
    key.sign(JwtAlgorithm::Rs256, header, &claims).ok_or(Fault::Own("the private key does not sign"))
}

fn read_token(reply: &Reply) -> Token {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
    }
    let answer: Answer = serde_json::from_slice(reply.body.expose()).map_err(|_| Fault::Malformed)?;
    Ok(Secret::new(answer.access_token))
}

/// The subject token of a file or an answer: the whole text, or a field of JSON.
fn subject_in(content: &[u8], field: Option<&str>) -> Token {
    let text = match field {
        None => std::str::from_utf8(content).ok().map(|text| text.trim().to_owned()),
        Some(field) => {
            let json: Option<Value> = serde_json::from_slice(content).ok();
            json.and_then(|json| json.get(field).and_then(Value::as_str).map(str::to_owned))
        }
    };
    let text = text.filter(|text| !text.is_empty());
    text.map(Secret::new).ok_or(Fault::Own("there is no subject token where the credentials say"))
}

/// `invalid_grant`, `PERMISSION_DENIED`: OAuth and Google's own APIs say it in their ways.
fn code(reply: &Reply) -> Option<String> {
    let json: Value = serde_json::from_slice(reply.body.expose()).ok()?;
    let error = json.get("error")?;
    let code = error.as_str().or_else(|| error.get("status")?.as_str())?;
    is_code(code).then(|| code.to_owned())
}

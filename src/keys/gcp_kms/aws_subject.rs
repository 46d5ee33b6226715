//! An identity of AWS as a subject token: a signed request for its own name, which Google sends on.
//!
//! Source: google.aip.dev/auth/4117, "Determining the subject token in AWS"; docs.aws.amazon.com, Signature Version 4.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::token::{Fault, Tokens};
use crate::keys::net::issued_at;
use crate::secret::Secret;

/// Where an identity of AWS is, beside the environment.
pub(super) struct AwsSubject {
    /// `https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15`
    pub(super) verification_url: String,
    pub(super) region_url: Option<Url>,
    pub(super) credentials_url: Option<Url>,
    pub(super) session_url: Option<Url>,
}

/// An access key.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

const NO_KEYS: Fault = Fault::Own("there are no AWS credentials in the environment, and no URL to get them from");
const NO_REGION: Fault = Fault::Own("AWS_REGION is not set, and there is no URL to get the region from");

impl Tokens<'_> {
    /// The subject token of this process's AWS identity.
    pub(super) async fn aws_subject(&self, subject: &AwsSubject, audience: &str) -> Result<Secret<String>, Fault> {
        let session = match &subject.session_url {
            Some(url) if self.needs_metadata() => {
                let make = || self.client.put(url.clone()).header("x-aws-ec2-metadata-token-ttl-seconds", "300");
                Some(text(self.ask(make).await?.body.expose())?)
            }
            _ => None,
        };
        let get = async |url: Url| {
            let make = || match &session {
                Some(session) => self.client.get(url.clone()).header("x-aws-ec2-metadata-token", session),
                None => self.client.get(url.clone()),
            };
            self.ask(make).await
        };
        let variable = |name: &str| self.environment.non_empty(name).map(str::to_owned);
        let region = match (variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")), &subject.region_url) {
            (Some(region), _) => region,
            (None, Some(url)) => {
                // The metadata server names the zone, `us-east-1d`.
                let mut zone = text(get(url.clone()).await?.body.expose())?;
                zone.pop();
                zone
            }
            (None, None) => return Err(NO_REGION),
        };
        let key = match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), &subject.credentials_url) {
            (Some(access_key_id), Some(secret_access_key), _) => {
                AccessKey { access_key_id, secret_access_key, token: variable("AWS_SESSION_TOKEN") }
            }
            (_, _, Some(url)) => {
                let role = text(get(url.clone()).await?.body.expose())?;
                let own = Url::parse(&format!("{}/{role}", url.as_str().trim_end_matches('/')));
                let reply = get(own.map_err(|_| Fault::Malformed)?).await?;
                serde_json::from_slice(reply.body.expose()).map_err(|_| Fault::Malformed)?
            }
            (_, _, None) => return Err(NO_KEYS),
        };
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(NO_REGION);
        }
        let url = subject.verification_url.replace("{region}", &region);
        let request = signed(&url, &region, &key, audience, issued_at()).ok_or(Fault::Malformed)?;
        // Encoded once here and once more as a field of the form.
        let encoded = Url::parse_with_params("form:/", [("t", request.to_string())]).map_err(|_| Fault::Malformed)?;
        let encoded = encoded.query().and_then(|query| query.strip_prefix("t=")).ok_or(Fault::Malformed)?;
        Ok(Secret::new(encoded.to_owned()))
    }

    fn needs_metadata(&self) -> bool {
        let is_set = |name: &str| self.environment.non_empty(name).is_some();
        let has_region = is_set("AWS_REGION") || is_set("AWS_DEFAULT_REGION");
        !(has_region && is_set("AWS_ACCESS_KEY_ID") && is_set("AWS_SECRET_ACCESS_KEY"))
    }
}

fn text(bytes: &[u8]) -> Result<String, Fault> {
    std::str::from_utf8(bytes).map(|text| text.trim().to_owned()).map_err(|_| Fault::Malformed)
}

/// The request, for the Security Token Service, that says who signed it.
fn signed(url: &str, region: &str, key: &AccessKey, audience: &str, time: u64) -> Option<Value> {
    let parsed = Url::parse(url).ok()?;
    let mut query: Vec<&str> = parsed.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let date = date(time);
    let day = date.get(..8)?;
    // In the order of their names, which is the one to sign in.
    let mut headers = vec![("host", parsed.host_str()?), ("x-amz-date", &date)];
    headers.extend(key.token.as_deref().map(|token| ("x-amz-security-token", token)));
    headers.push(("x-goog-cloud-target-resource", audience));
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical =
        format!("POST\n{}\n{}\n{lines}\n{names}\n{}", parsed.path(), query.join("&"), hex(&Sha256::digest(b"")));
    let scope = format!("{day}/{region}/sts/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let secret = Secret::new(format!("AWS4{}", key.secret_access_key).into_bytes());
    let derived = [day, region, "sts", "aws4_request"]
        .iter()
        .try_fold(secret, |key, part| hmac(key.expose(), part).map(Secret::new))?;
    let signature = hex(&hmac(derived.expose(), &to_sign)?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        key.access_key_id
    );
    headers.push(("Authorization", &authorization));
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!({ "key": name, "value": value })).collect();
    Some(json!({ "url": url, "method": "POST", "headers": headers }))
}

fn hmac(key: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// `20260101T000000Z`. Days to dates after Howard Hinnant, `chrono`-compatible low-level date algorithms.
fn date(time: u64) -> String {
    let (days, seconds) = (time / 86_400, time % 86_400);
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era.saturating_sub(365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year.saturating_sub((153 * shifted_month + 2) / 5) + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time, want) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_767_225_600, "20260101T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(date(time), want);
        }
    }

    /// The signature is botocore's for the same request (`SigV4Auth` with this date).
    #[test]
    fn signs_as_botocore_does() {
        let key = AccessKey {
            access_key_id: "AKIATEST".into(),
            secret_access_key: "secret/key".into(),
            token: Some("session+token==".into()),
        };
        let url = "https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        let request = signed(url, "us-east-1", &key, "//iam.googleapis.com/pool", 1_767_225_600).unwrap();
        let headers = request["headers"].as_array().unwrap();
        let authorization = headers.iter().find(|header| header["key"] == "Authorization").unwrap();
        assert_eq!(authorization["value"].as_str().unwrap(), BOTOCORE);
    }

    const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/sts/aws4_request, \
        SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource, \
        Signature=579c0797be6545cc9e6382abcc55066ff1c950740a6e9f34d0a0d4de257905e3";
}

//! What a file may say about GCP: pure functions, no network.

use reqwest::Url;

use crate::keys::RefusedReason;
use crate::keys::net::denied;

/// The endpoint: the operator's, https unless it says otherwise, else Google's in the operator's universe.
pub(super) fn endpoint(own: Option<&str>, universe: Option<&str>) -> Result<Url, RefusedReason> {
    let (variable, text) = match (own, universe) {
        (Some(own), _) if own.contains("://") => ("SOPS_GCP_KMS_ENDPOINT", own.to_owned()),
        (Some(own), _) => ("SOPS_GCP_KMS_ENDPOINT", format!("https://{own}")),
        (None, Some(domain)) => ("SOPS_GCP_KMS_UNIVERSE_DOMAIN", format!("https://cloudkms.{domain}")),
        (None, None) => ("", "https://cloudkms.googleapis.com".to_owned()),
    };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| denied(&format!("{variable} is not the address of a server")))
}

/// `ENDPOINT/v1/projects/P/locations/L/keyRings/R/cryptoKeys/K:decrypt`
///
/// Source: getsops/sops v3.13, `gcpkms/keysource.go`, `gcpkmsKeyIDRegex`: the resource is a key, not a version of it. Names
/// are of the letters that Google allows, so that nothing in them ends the path or leads out of it.
pub(super) fn decrypt_url(mut endpoint: Url, resource: &str) -> Result<Url, RefusedReason> {
    let refuse = || denied("its resource_id is not projects/…/locations/…/keyRings/…/cryptoKeys/…");
    let parts: Vec<&str> = resource.split('/').collect();
    let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key] = parts.as_slice() else {
        return Err(refuse());
    };
    if ![project, location, ring, key].into_iter().all(|name| is_name(name)) {
        return Err(refuse());
    }
    let mut path = endpoint.path_segments_mut().map_err(|()| refuse())?;
    path.pop_if_empty()
        .extend(["v1", "projects", project, "locations", location, "keyRings", ring, "cryptoKeys"])
        .push(&format!("{key}:decrypt"));
    drop(path);
    Ok(endpoint)
}

/// Letters, digits, `_` and `-`; a project may also have the domain of its organisation in it: `example.com:project`.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(resource: &str) -> Option<String> {
        let endpoint = endpoint(None, None).unwrap_or_else(|_| panic!("fixed"));
        decrypt_url(endpoint, resource).ok().map(|url| url.to_string())
    }

    #[test]
    fn takes_the_resource_of_a_key_and_nothing_else() {
        assert_eq!(
            url("projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k").as_deref(),
            Some(
                "https://cloudkms.googleapis.com/v1/projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k:decrypt"
            )
        );
        assert!(url("projects/example.com:p/locations/global/keyRings/r_1/cryptoKeys/k-1").is_some());
        for resource in [
            "",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "projects/../locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/..",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k%2f..",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k?x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k#x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/",
            "projects/p/locations/l/keyRings/r\\x/cryptoKeys/k",
            "/projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "https://evil.test/projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k\n",
        ] {
            assert_eq!(url(resource), None, "{resource}");
        }
    }

    #[test]
    fn the_operator_chooses_the_endpoint() {
        let text = |own, universe| endpoint(own, universe).ok().map(|url| url.to_string());
        assert_eq!(text(Some("http://127.0.0.1:1/"), None).as_deref(), Some("http://127.0.0.1:1/"));
        assert_eq!(text(Some("127.0.0.1:1"), None).as_deref(), Some("https://127.0.0.1:1/"));
        assert_eq!(text(None, Some("apis.example")).as_deref(), Some("https://cloudkms.apis.example/"));
        assert_eq!(text(Some("ftp://x"), None), None);
    }
}

//! What a file may say about Azure: pure functions, no network.

use crate::keys::RefusedReason;
use crate::keys::net::denied;

/// The domains of Key Vault and Managed HSM: public cloud, China, US government, and Germany as it was.
const DOMAINS: [&str; 7] = [
    ".vault.azure.net",
    ".managedhsm.azure.net",
    ".vault.azure.cn",
    ".managedhsm.azure.cn",
    ".vault.usgovcloudapi.net",
    ".managedhsm.usgovcloudapi.net",
    ".vault.microsoftazure.de",
];

/// The URL of a vault, put together anew from its name and one of Azure's domains.
pub(super) fn vault(url: &str) -> Result<String, RefusedReason> {
    let refuse =
        || denied("its vault_url is not https://NAME.vault.azure.net, nor in another domain of Azure Key Vault");
    let host = strip_scheme(url).ok_or_else(refuse)?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let host = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
    let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain)).ok_or_else(refuse)?;
    let is_name = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_name { Ok(format!("https://{host}")) } else { Err(refuse()) }
}

/// The names of a key and of its version, which may be empty.
pub(super) fn check_key(name: &str, version: &str) -> Result<(), RefusedReason> {
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !(1..=127).contains(&name.len()) || !is_name(name) {
        return Err(denied("its name is not the name of a key"));
    }
    if version.len() > 64 || !is_name(version) {
        return Err(denied("its version is not the version of a key"));
    }
    Ok(())
}

/// What follows `https://`, in either case.
fn strip_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    scheme.eq_ignore_ascii_case("https").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_vaults_of_azure_and_nothing_else() {
        for (url, want) in [
            ("https://team-1.vault.azure.net", Some("https://team-1.vault.azure.net")),
            ("https://Team.Vault.Azure.NET/", Some("https://team.vault.azure.net")),
            ("https://team.vault.azure.net:443", Some("https://team.vault.azure.net")),
            ("https://hsm.managedhsm.azure.net", Some("https://hsm.managedhsm.azure.net")),
            ("https://team.vault.azure.cn", Some("https://team.vault.azure.cn")),
            ("https://team.vault.usgovcloudapi.net", Some("https://team.vault.usgovcloudapi.net")),
            ("http://team.vault.azure.net", None),
            ("https://vault.azure.net", None),
            ("https://.vault.azure.net", None),
            ("https://team.vault.azure.net.evil.test", None),
            ("https://evil.test/.vault.azure.net", None),
            ("https://evil.test#.vault.azure.net", None),
            ("https://evil.test?.vault.azure.net", None),
            ("https://evil.test\\.vault.azure.net", None),
            ("https://evil@team.vault.azure.net", None),
            ("https://team.vault.azure.net@evil.test", None),
            ("https://a.b.vault.azure.net", None),
            ("https://team.vault.azure.net:8443", None),
            ("https://team.vault.azure.net/x", None),
            ("https://evilvault.azure.net", None),
            ("", None),
        ] {
            assert_eq!(vault(url).ok().as_deref(), want, "{url}");
        }
    }

    #[test]
    fn a_key_cannot_leave_its_path() {
        assert!(check_key("k-1", "0123abcdef").is_ok() && check_key("k", "").is_ok());
        for (name, version) in
            [("", ""), ("..", ""), ("a/b", ""), ("a", ".."), ("a", "1/../x"), ("a?b", ""), ("a%2f", "")]
        {
            assert!(check_key(name, version).is_err(), "{name} {version}");
        }
    }
}

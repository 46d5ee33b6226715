//! Where the token may go: pure functions, no network.

use reqwest::Url;

use crate::environment::Environment;
use crate::keys::RefusedReason;
use crate::keys::net::denied;
use crate::text::Printable;

/// The addresses that the operator approved.
pub(super) struct Approval {
    /// `VAULT_AGENT_ADDR`: takes every request, whatever the file says, as in sops.
    agent: Option<String>,
    /// `VAULT_ADDR`
    address: Option<String>,
    /// `SOPS_HC_VAULT_ALLOWLIST`
    allowlist: Allowlist,
}

/// `SOPS_HC_VAULT_ALLOWLIST`. Unlike in sops, unset does not mean `all`: whoever can write a file would choose where the
/// token goes.
enum Allowlist {
    Unset,
    All,
    None,
    /// URL prefixes, each ending in `/`.
    Prefixes(Vec<String>),
    /// The entry of this number, from 1, is empty.
    Malformed(usize),
}

impl Approval {
    pub(super) fn from_environment(environment: &Environment) -> Self {
        let text = |name: &str| environment.non_empty(name).map(str::to_owned);
        Self {
            agent: text("VAULT_AGENT_ADDR"),
            address: text("VAULT_ADDR"),
            allowlist: Allowlist::parse(environment.var("SOPS_HC_VAULT_ALLOWLIST")),
        }
    }

    pub(super) fn has_agent(&self) -> bool {
        self.agent.is_some()
    }
}

impl Allowlist {
    fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Unset,
            Some("all") => Self::All,
            Some("none") => Self::None,
            Some(list) => {
                let entries: Vec<&str> = list.split(',').map(|entry| entry.trim_matches(' ')).collect();
                match entries.iter().position(|entry| entry.is_empty()) {
                    Some(index) => Self::Malformed(index.saturating_add(1)),
                    None => Self::Prefixes(entries.into_iter().map(with_slash).collect()),
                }
            }
        }
    }
}

/// Decides which server is asked for a key whose file names `address`: the agent, or that very address if `VAULT_ADDR`
/// is the same server, or if `SOPS_HC_VAULT_ALLOWLIST` has a prefix of it.
///
/// An address that only `all` allows must be https.
pub(super) fn approve(approval: &Approval, address: &str) -> Result<Url, RefusedReason> {
    let url = parse(address).ok_or_else(|| denied("its vault_address is not the URL of a server"))?;
    let is_named = approval.address.as_deref().and_then(parse).is_some_and(|named| is_same_server(&named, &url));
    let is_approved = match &approval.allowlist {
        Allowlist::Malformed(entry) => {
            return Err(denied(&format!("entry {entry} of SOPS_HC_VAULT_ALLOWLIST is empty")));
        }
        Allowlist::Unset => is_named || approval.has_agent(),
        Allowlist::None => false,
        Allowlist::All => is_named || approval.has_agent() || url.scheme() == "https",
        Allowlist::Prefixes(prefixes) => {
            let address = with_slash(address);
            is_named || prefixes.iter().any(|prefix| address.starts_with(prefix.as_str()))
        }
    };
    if !is_approved {
        let server = Printable::new(address);
        return Err(denied("the Vault token is not sent to the server that the file names").with_hint(&format!(
            "if {server} is yours, set VAULT_ADDR={server} or list it in SOPS_HC_VAULT_ALLOWLIST"
        )));
    }
    match &approval.agent {
        Some(agent) => parse(agent).ok_or_else(|| denied("VAULT_AGENT_ADDR is not an http or https URL")),
        None => Ok(url),
    }
}

/// `BASE/v1/ENGINE/decrypt/KEY`. The token could do more than decrypt: no part may lead out of the engine.
pub(super) fn decrypt_url(mut base: Url, engine: &str, key: &str) -> Result<Url, RefusedReason> {
    let engine: Vec<&str> = engine.split('/').filter(|part| !part.is_empty()).collect();
    let is_part =
        |part: &&str| !matches!(*part, "." | "..") && !part.contains(['/', '\\']) && !part.contains(char::is_control);
    if engine.is_empty() || !engine.iter().all(is_part) {
        return Err(denied("its engine_path is not the path of an engine"));
    }
    if key.is_empty() || !is_part(&key) {
        return Err(denied("its key_name is not the name of a key"));
    }
    let mut path = base.path_segments_mut().map_err(|()| denied("its vault_address is not the URL of a server"))?;
    path.pop_if_empty().push("v1").extend(engine).push("decrypt").push(key);
    drop(path);
    Ok(base)
}

/// A server's URL: http or https, a host, no user, query or fragment.
fn parse(address: &str) -> Option<Url> {
    // What other parsers read differently: `\` for `/`, tabs and line breaks left out.
    if address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return None;
    }
    let url = Url::parse(address).ok()?;
    let is_server = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_server.then_some(url)
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
        && one.path().trim_end_matches('/') == other.path().trim_end_matches('/')
}

fn with_slash(text: &str) -> String {
    if text.ends_with('/') { text.to_owned() } else { format!("{text}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server that is asked, if any.
    fn approved(variables: &[(&str, &str)], address: &str) -> Option<String> {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None);
        approve(&Approval::from_environment(&environment), address).ok().map(|url| url.to_string())
    }

    #[test]
    fn sends_the_token_only_where_the_operator_said() {
        let good = "https://vault.example.com:8200";
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, bool);
        let table: &[Row<'_>] = &[
            (&[], good, false),
            (&[("VAULT_ADDR", good)], good, true),
            (&[("VAULT_ADDR", "https://vault.example.com:8200/")], good, true),
            (&[("VAULT_ADDR", "HTTPS://VAULT.example.com:8200")], good, true),
            (&[("VAULT_ADDR", "https://vault.example.com")], "https://vault.example.com:443/", true),
            (&[("VAULT_ADDR", good)], "http://vault.example.com:8200", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com:8201", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com.evil.test:8200", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com:8200@evil.test", false),
            (&[("VAULT_ADDR", good)], "https://evil.test/https://vault.example.com:8200", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com:8200/other", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com:8200?x", false),
            (&[("VAULT_ADDR", good)], "https://vault.example.com:8200#x", false),
            (&[("VAULT_ADDR", "")], good, false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "all")], good, true),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "all")], "http://vault.example.com", false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "all")], "ftp://vault.example.com", false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "none"), ("VAULT_ADDR", good)], good, false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "https://a.test, https://vault.example.com:8200")], good, true),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "https://vault.example.com")], "https://vault.example.com.evil.test", false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "https://vault.example.com")], "https://vault.example.com@evil.test", false),
            (
                &[("SOPS_HC_VAULT_ALLOWLIST", "https://vault.example.com")],
                "https://vault.example.com\\@evil.test/",
                false,
            ),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "https://vault.example.com")], "https://vault.example.com/x\t", false),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "http://vault.example.com")], "http://vault.example.com", true),
            (&[("SOPS_HC_VAULT_ALLOWLIST", "https://vault.example.com:8200,")], good, false),
            (&[("VAULT_AGENT_ADDR", "http://127.0.0.1:1"), ("SOPS_HC_VAULT_ALLOWLIST", "none")], good, false),
        ];
        for (variables, address, want) in table {
            assert_eq!(approved(variables, address).is_some(), *want, "{variables:?} {address}");
        }
    }

    #[test]
    fn an_agent_takes_the_request_whatever_the_file_says() {
        let agent = [("VAULT_AGENT_ADDR", "http://127.0.0.1:8100")];
        assert_eq!(approved(&agent, "https://anything.test").as_deref(), Some("http://127.0.0.1:8100/"));
    }

    #[test]
    fn says_which_variables_would_allow_the_server() {
        let environment = Environment::new([], None);
        let refused = approve(&Approval::from_environment(&environment), "https://vault.test").err();
        let hint = refused.and_then(|reason| reason.hint).map(|hint| hint.to_string()).unwrap_or_default();
        assert!(hint.contains("VAULT_ADDR=https://vault.test") && hint.contains("SOPS_HC_VAULT_ALLOWLIST"), "{hint}");
    }

    #[test]
    fn a_path_cannot_leave_its_engine() {
        let url = |engine: &str, key: &str| {
            decrypt_url(Url::parse("https://v.test").unwrap(), engine, key).ok().map(|url| url.to_string())
        };
        assert_eq!(url("transit", "k").as_deref(), Some("https://v.test/v1/transit/decrypt/k"));
        assert_eq!(url("/team/transit/", "k").as_deref(), Some("https://v.test/v1/team/transit/decrypt/k"));
        assert_eq!(url("a b?#", "k%2f..").as_deref(), Some("https://v.test/v1/a%20b%3F%23/decrypt/k%252f.."));
        for (engine, key) in [
            ("", "k"),
            ("..", "k"),
            ("a/../sys", "k"),
            ("a", ""),
            ("a", ".."),
            ("a", "b/c"),
            ("a\\b", "k"),
            ("a", "b\n"),
        ] {
            assert_eq!(url(engine, key), None, "{engine} {key}");
        }
    }
}

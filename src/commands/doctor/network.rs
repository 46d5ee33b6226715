//! Whether key services can be reached: a connection is made and closed, nothing is sent.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::report::Report;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::limits;
use crate::text::Printable;

const ABOUT: &str = "network";

/// Connects to each service that the environment names.
pub fn look(env: &Environment, deadline: Deadline, report: &mut Report) {
    let proxy =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(|name| env.non_empty(name).is_some());
    if let Some(name) = proxy {
        report.note(ABOUT, format!("{name} is set: key services are reached through it, and are not tried here"));
    }
    let endpoints = endpoints(env);
    if endpoints.is_empty() {
        report.note(ABOUT, "the environment names no key service");
    }
    for (variable, host, port) in endpoints {
        let shown = Printable::new(&format!("{host}:{port}"));
        if proxy.is_some() {
            continue;
        }
        match connect(&host, port, deadline.left().min(limits::NETWORK_CONNECT)) {
            Ok(()) => report.ok(ABOUT, format!("{shown} ({variable}) answers")),
            Err(why) => report.error(ABOUT, format!("{shown} ({variable}) {why}"), "look at DNS and network policies"),
        }
    }
}

/// Variable, host and port of each service, none twice.
fn endpoints(env: &Environment) -> BTreeSet<(&'static str, String, u16)> {
    let mut found = BTreeSet::new();
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_KMS",
        "AZURE_AUTHORITY_HOST",
        "SOPS_GCP_KMS_ENDPOINT",
        "VAULT_ADDR",
        "VAULT_AGENT_ADDR",
    ] {
        found.extend(env.non_empty(variable).and_then(host_and_port).map(|(host, port)| (variable, host, port)));
    }
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| Some((name, env.non_empty(name)?)));
    if let Some((variable, region)) = region
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        found.insert((variable, format!("kms.{region}.{suffix}"), 443));
    }
    for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN"] {
        if env.non_empty(variable).is_some() {
            found.insert((variable, "cloudkms.googleapis.com".to_owned(), 443));
        }
    }
    if env.non_empty("AZURE_TENANT_ID").is_some() && env.non_empty("AZURE_AUTHORITY_HOST").is_none() {
        found.insert(("AZURE_TENANT_ID", "login.microsoftonline.com".to_owned(), 443));
    }
    found
}

/// Host and port of a URL; whatever stands before an `@` is left out and never shown.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let default = if scheme == "http" { 80 } else { 443 };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
        _ => (host, default),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    (!name.is_empty() && name.len() <= 255).then(|| (name.to_owned(), port))
}

/// Looks the name up and connects. A resolver that hangs is left behind.
fn connect(host: &str, port: u16, time: Duration) -> Result<(), &'static str> {
    let (sender, receiver) = mpsc::channel();
    let wanted = (host.to_owned(), port);
    let started = thread::Builder::new().spawn(move || {
        let found: Option<Vec<SocketAddr>> = wanted.to_socket_addrs().ok().map(|addresses| addresses.take(4).collect());
        _ = sender.send(found);
    });
    if started.is_err() {
        return Err("was not tried: no thread can be had");
    }
    let addresses = receiver.recv_timeout(time).map_err(|_| "has a name that is not resolved in time")?;
    let addresses = addresses.filter(|found| !found.is_empty()).ok_or("has a name that is not known")?;
    let is_reached =
        addresses.iter().any(|address| TcpStream::connect_timeout(address, time.max(Duration::from_millis(1))).is_ok());
    if is_reached { Ok(()) } else { Err("cannot be connected to") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_host_and_port_and_never_a_user() {
        for (url, want) in [
            ("https://vault.test", Some(("vault.test", 443))),
            ("http://vault.test/x", Some(("vault.test", 80))),
            ("https://u:CANARY-7f3a@vault.test:8200/?q", Some(("vault.test", 8200))),
            ("https://[::1]:8200", Some(("::1", 8200))),
            ("https://[::1]", Some(("::1", 443))),
            ("vault.test:1", Some(("vault.test", 1))),
            ("https://vault.test:port", None),
            ("https://", None),
            ("", None),
        ] {
            let found = host_and_port(url);
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), want, "{url}");
        }
    }

    #[test]
    fn a_closed_port_is_told_from_an_open_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connect("127.0.0.1", port, Duration::from_secs(5)), Ok(()));
        drop(listener);
        assert_eq!(connect("127.0.0.1", port, Duration::from_secs(5)), Err("cannot be connected to"));
    }
}

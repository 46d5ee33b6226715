//! Files that look as sops and people write them; nothing here needs a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::CANARY;

/// A recipient of no one.
pub const AGE: &str = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
pub const OTHER_AGE: &str = "age1wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";

/// A well-formed token of so many bytes of ciphertext.
pub fn token(bytes: usize) -> String {
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    format!(
        "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]",
        encode(&vec![7; bytes]),
        encode(&[1; 32]),
        encode(&[2; 16])
    )
}

/// The stanza of a file, and what makes it differ.
pub struct Stanza {
    pub recipient: &'static str,
    /// What the wrapped key is: files with the same have the same data key.
    pub key: &'static str,
    pub version: &'static str,
    pub lastmodified: &'static str,
    pub rule: &'static str,
    pub has_mac: bool,
}

impl Default for Stanza {
    fn default() -> Self {
        Self {
            recipient: AGE,
            key: "a",
            version: "3.10.2",
            lastmodified: "2026-01-02T03:04:05Z",
            rule: "encrypted_regex: ^(data|stringData)$",
            has_mac: true,
        }
    }
}

impl Stanza {
    pub fn yaml(&self, body: &str) -> String {
        let mac = if self.has_mac { format!("    mac: {}\n", token(64)) } else { String::new() };
        format!(
            "{body}sops:\n    age:\n        - recipient: {}\n          enc: |\n            -----BEGIN AGE ENCRYPTED FILE-----\n            {}\n            -----END AGE ENCRYPTED FILE-----\n    lastmodified: \"{}\"\n{mac}    {}\n    version: {}\n",
            self.recipient, self.key, self.lastmodified, self.rule, self.version
        )
    }

    pub fn dotenv(&self, body: &str) -> String {
        format!(
            "{body}sops_age__list_0__map_recipient={}\nsops_age__list_0__map_enc={}\nsops_lastmodified={}\nsops_mac={}\nsops_version={}\nsops_unencrypted_suffix=_unencrypted\n",
            self.recipient,
            self.key,
            self.lastmodified,
            token(64),
            self.version
        )
    }
}

/// An encrypted Secret of this name with one value.
pub fn secret(name: &str) -> String {
    Stanza::default().yaml(&secret_body(name, "stringData", "password", &token(9)))
}

pub fn secret_body(name: &str, section: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n    name: {name}\n{section}:\n    {key}: {value}\n")
}

/// A Secret in clear.
pub fn plain_secret(name: &str) -> String {
    secret_body(name, "stringData", "password", &format!("hunter2-{CANARY}"))
}

/// A generator of KSOPS, legacy style, with these lines below its metadata.
pub fn ksops(lines: &str) -> String {
    format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n{lines}")
}

/// The same with a function annotation.
pub fn ksops_function(function: &str, lines: &str) -> String {
    format!(
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n  annotations:\n    config.kubernetes.io/function: |\n      {function}\n{lines}"
    )
}

/// A pod that refers to a Secret.
pub fn pod(secret: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - name: c\n    envFrom: [{{secretRef: {{name: {secret}}}}}]\n"
    )
}

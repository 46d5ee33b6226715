//! What is fuzzed: each function takes any bytes, and must neither panic nor break the property that it names.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;

use unsops::environment::Environment;
use unsops::generator::Generator;
use unsops::host::Input;
use unsops::keys::{KeyPolicy, Keyring};
use unsops::kustomization::Kustomization;
use unsops::policy::Policy;
use unsops::secret::Secret;
use unsops::sops::creation_rules::CreationRules;
use unsops::sops::inspect::inspect_any;
use unsops::sops::store::{emit_plain, load_plain};
use unsops::sops::{Attempt, Format, KeyGroup, KeyService, KeyShare, MasterKey, Redacted, ShareRequest, decrypt};
use unsops::text::Printable;
use unsops::yaml::resolve::{Resolved, resolve_plain};
use unsops::yaml::writer::{printed_size, write_like_sops, write_manifest};
use unsops::yaml::{self, Kind, Node, ScalarStyle, to_json};

/// A name, and what takes any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// In alphabetical order.
pub const TARGETS: [Target; 16] = [
    ("age", |data| open(|enc| MasterKey::Age { recipient: "age1x".to_owned(), enc }, data)),
    ("decrypt", whole_files),
    ("dotenv", |data| store(Format::Dotenv, data)),
    ("enc", token),
    ("generator", generator),
    ("ini", |data| store(Format::Ini, data)),
    ("json", json),
    ("kustomization", |data| _ = Kustomization::parse(data)),
    ("manifest", manifest),
    ("metadata", metadata),
    ("pgp", |data| open(|enc| MasterKey::Pgp { fingerprint: "F".to_owned(), enc }, data)),
    ("policy", |data| _ = Policy::parse(data, Printable::new("policy"))),
    ("resource_list", |data| _ = Input::read(data.to_vec(), &Generator::is_known)),
    ("rules", |data| _ = CreationRules::parse(data)),
    ("shamir", shamir),
    ("yaml", |data| store(Format::Yaml, data)),
];

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(data);
}

/// An encrypted file of one format, and a plain one: whatever is read can be printed, and looked at without keys.
fn store(format: Format, data: &[u8]) {
    _ = format.load(data);
    if let Ok(mut inspection) = inspect_any(format, data) {
        _ = inspection.walk(&mut |leaf, _| _ = (leaf.name(), leaf.verdict(), leaf.decided_by()));
    }
    if let Ok(redacted) = Redacted::without_keys(data, format) {
        _ = (redacted.text(), redacted.manifest_text());
    }
    if let Ok(tree) = load_plain(format, data) {
        _ = emit_plain(format, &tree);
    }
}

/// As [`store`]; what is printed as JSON reads the same.
fn json(data: &[u8]) {
    store(Format::Json, data);
    store(Format::Binary, data);
    let Ok(tree) = load_plain(Format::Json, data) else { return };
    let Ok(text) = emit_plain(Format::Json, &tree) else { return };
    let again = load_plain(Format::Json, text.expose()).expect("what was printed is read");
    let text_again = emit_plain(Format::Json, &again).expect("what was printed once is printed again");
    assert!(text.expose() == text_again.expose(), "printed and read, a tree changes");
}

/// YAML to manifest and back: the same structure, strings the same strings, other scalars the same text.
fn manifest(data: &[u8]) {
    let Ok(documents) = yaml::parse(data) else { return };
    if printed_size(documents.iter().map(|document| &document.root), 4) > 1 << 20 {
        return;
    }
    _ = write_like_sops(&documents, 4);
    for document in &documents {
        _ = to_json(&document.root);
        let mut before = Vec::new();
        meaning(&document.root, false, &mut before);
        let text = write_manifest(document);
        let Ok(again) = yaml::parse(text.as_bytes()) else { panic!("what was printed is not read") };
        let mut after = Vec::new();
        again.iter().for_each(|document| meaning(&document.root, false, &mut after));
        assert!(before == after, "printed and read, a manifest changes");
    }
}

/// What a manifest says, as `write_manifest` takes it.
fn meaning(node: &Node, is_key: bool, out: &mut Vec<(&'static str, String)>) {
    let is_of_core_type =
        matches!(node.tag.as_deref(), Some("!!bool" | "!!float" | "!!int" | "!!null" | "!!timestamp"));
    match &node.kind {
        Kind::Mapping(pairs, _) => {
            out.push(("mapping", pairs.len().to_string()));
            for (key, value) in pairs {
                meaning(key, true, out);
                meaning(value, false, out);
            }
        }
        Kind::Sequence(items, _) => {
            out.push(("sequence", items.len().to_string()));
            items.iter().for_each(|item| meaning(item, false, out));
        }
        Kind::Scalar(text, style) => {
            let is_plain = *style == ScalarStyle::Plain && matches!(node.tag.as_deref(), None | Some("" | "!"));
            out.push(match resolve_plain(text) {
                // An empty key is one that no reader finds otherwise.
                Resolved::Null if is_key && text.is_empty() => ("string", String::new()),
                Resolved::Null if is_of_core_type || is_plain => ("null", String::new()),
                Resolved::Str(_) => ("string", text.clone()),
                _ if is_of_core_type || is_plain => ("typed", text.clone()),
                _ => ("string", text.clone()),
            });
        }
    }
}

/// A generator manifest, of any kind that a host may hand over.
fn generator(data: &[u8]) {
    for document in yaml::parse(data).unwrap_or_default() {
        for is_handed_over in [false, true] {
            if let Ok(generator) = Generator::parse(&document.root, is_handed_over) {
                _ = (generator.sources(), generator.remarks(), generator.name());
            }
        }
    }
}

/// A stanza: nested in YAML, flattened in dotenv and INI.
fn metadata(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut nested, mut flat, mut section) = ("a: b\nsops:\n".to_owned(), "a=b\n".to_owned(), "[sops]\n".to_owned());
    for line in text.lines() {
        _ = writeln!(nested, "    {line}");
        _ = writeln!(flat, "sops_{line}");
        _ = writeln!(section, "{line}");
    }
    for (format, text) in [(Format::Yaml, nested), (Format::Dotenv, flat), (Format::Ini, section)] {
        _ = format.load(text.as_bytes());
    }
}

/// Gives shares whatever is asked.
struct Shares(Vec<Vec<u8>>);

impl KeyService for Shares {
    fn open(&self, _: &ShareRequest<'_>) -> Attempt {
        let shares = self.0.iter().cloned().enumerate();
        Attempt {
            shares: shares.map(|(group, share)| (group, KeyShare(Secret::new(share)))).collect(),
            refused: Vec::new(),
        }
    }
}

/// A document of `groups` key groups around one value, whose keys are open.
fn document(value: &str, groups: usize, threshold: usize) -> String {
    let value = quoted(value);
    let groups = "    - age: [{recipient: age1x, enc: x}]\n".repeat(groups);
    format!(
        "a: {value}\nsops:\n  shamir_threshold: {threshold}\n  key_groups:\n{groups}  lastmodified: \"2020-01-01T00:00:00Z\"\n  mac: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\n  version: 3.9.0\n"
    )
}

/// A double-quoted scalar.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => _ = write!(out, "\\U{:08x}", u32::from(c)),
        }
    }
    out + "\""
}

/// An encrypted value under a known data key. It never opens: nobody knows how to make a tag for the key.
fn token(data: &[u8]) {
    let text = document(&format!("ENC[{}", String::from_utf8_lossy(data)), 1, 1);
    assert!(decrypt(text.as_bytes(), Format::Yaml, &Shares(vec![vec![7; 32]])).is_err());
}

/// Shares of any length and content: the first byte says how many, the second the threshold.
fn shamir(data: &[u8]) {
    let [groups, threshold, rest @ ..] = data else { return };
    let groups = usize::from(groups % 8) + 1;
    let shares: Vec<Vec<u8>> = rest.chunks(rest.len().div_ceil(groups).max(1)).map(<[u8]>::to_vec).collect();
    let text = document("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]", groups, usize::from(threshold % 10));
    assert!(decrypt(text.as_bytes(), Format::Yaml, &Shares(shares)).is_err());
}

/// A keyring with the keys of `tests/keys`.
fn keyring() -> &'static Keyring<'static> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static KEYRING: OnceLock<Keyring<'static>> = OnceLock::new();
    KEYRING.get_or_init(|| {
        let environment = ENVIRONMENT.get_or_init(|| {
            let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
            let keys = if Path::new(keys).is_dir() { keys } else { concat!(env!("CARGO_MANIFEST_DIR"), "/../keys") };
            let variable = |name: &str, file: &str| (OsString::from(name), format!("{keys}/{file}").into());
            let variables = [variable("SOPS_AGE_KEY_FILE", "age.txt"), variable("UNSOPS_PGP_KEY_FILE", "pgp.asc")];
            Environment::new(variables, None)
        });
        Keyring::from_environment(environment, KeyPolicy::default()).expect("a keyring")
    })
}

/// A wrapped key, which may be anything but too long for what it wraps.
fn open(key: impl Fn(String) -> MasterKey, data: &[u8]) {
    let groups = [KeyGroup(vec![key(String::from_utf8_lossy(data).into_owned())])];
    let attempt = keyring().open(&ShareRequest { groups: &groups, needed: 1, identities: None });
    for (_, share) in attempt.shares {
        assert!(share.0.expose().len() <= 64, "a share of {} bytes", share.0.expose().len());
    }
}

/// An encrypted file with its keys: what opens can be printed.
fn whole_files(data: &[u8]) {
    for format in [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary] {
        if let Ok(cleartext) = decrypt(data, format, keyring()) {
            _ = emit_plain(format, cleartext.tree());
        }
    }
}

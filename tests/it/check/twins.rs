//! Every rule with a bad and a good twin.

use super::files::{AGE, OTHER_AGE, Stanza, ksops, ksops_function, plain_secret, pod, secret, secret_body, token};

/// Two trees that differ in what one rule is about.
pub struct Twin {
    pub rule: &'static str,
    pub args: &'static [&'static str],
    pub bad: Vec<(&'static str, String)>,
    pub good: Vec<(&'static str, String)>,
}

fn twin(rule: &'static str, bad: Vec<(&'static str, String)>, good: Vec<(&'static str, String)>) -> Twin {
    Twin { rule, args: &[], bad, good }
}

/// A kustomization with one generator.
fn generated(generator: String, more: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let mut files = vec![("kustomization.yaml", "generators: [gen.yaml]\n".to_owned()), ("gen.yaml", generator)];
    files.extend(more);
    files
}

fn one_file() -> String {
    ksops("files: [./s.enc.yaml]\n")
}

fn secret_from(lines: &str) -> String {
    ksops(&format!("secretFrom:\n- metadata: {{name: db}}\n{lines}"))
}

fn annotated(name: &str, annotations: &str, lines: &str) -> String {
    ksops(&format!("secretFrom:\n- metadata:\n    name: {name}\n    annotations: {{{annotations}}}\n{lines}"))
}

fn creation(rules: &str) -> (&'static str, String) {
    (".sops.yaml", format!("creation_rules:\n{rules}"))
}

fn at(path: &'static str, text: &str) -> (&'static str, String) {
    (path, text.to_owned())
}

/// A wrapped key of RSA with so many bits.
fn pgp(bits: u16) -> String {
    use base64::Engine as _;
    let mut packet = vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    packet.extend((bits - 1).to_be_bytes());
    packet.extend(vec![0x7f; usize::from(bits / 8)]);
    let mut message = vec![0x85];
    message.extend(u16::try_from(packet.len()).expect("short").to_be_bytes());
    message.extend(packet);
    let body = base64::engine::general_purpose::STANDARD.encode(message);
    format!(
        "a: {}\nsops:\n    pgp:\n        - fp: {}\n          created_at: \"2026-01-01T00:00:00Z\"\n          enc: |\n            -----BEGIN PGP MESSAGE-----\n\n            {body}\n            -----END PGP MESSAGE-----\n    lastmodified: \"2026-01-01T00:00:00Z\"\n    mac: {}\n    version: 3.10.2\n",
        token(3),
        "A".repeat(40),
        token(64)
    )
}

/// The table.
pub fn twins() -> Vec<Twin> {
    let s = || ("s.enc.yaml", secret("db"));
    let base = |annotations: &str| {
        vec![
            at("base/kustomization.yaml", "generators: [gen.yaml]\n"),
            (
                "base/gen.yaml",
                annotated("db", "", "  files: [a.enc.txt]\n")
                    .replace("name: gen\n", &format!("name: gen\n{annotations}")),
            ),
            ("base/a.enc.txt", envelope()),
        ]
    };
    let overlay = |name: &str| {
        vec![
            at("over/kustomization.yaml", "resources: [../base]\ngenerators: [gen.yaml]\n"),
            ("over/gen.yaml", annotated(name, "kustomize.config.k8s.io/behavior: merge", "  files: [b.enc.txt]\n")),
            ("over/b.enc.txt", envelope().replace("\"enc\": \"a\"", "\"enc\": \"b\"")),
        ]
    };
    let data = "  annotations: {unsops.dev/encoding: data}\n";
    let join = |one: Vec<(&'static str, String)>, two: Vec<(&'static str, String)>| [one, two].concat();
    let with_env = |body: &str| {
        generated(secret_from("  envs: [e.enc.env]\n"), vec![("e.enc.env", Stanza::default().dotenv(body))])
    };
    let mut twins = vec![
        twin(
            "ciphertext-in-resources",
            generated(
                one_file(),
                vec![
                    s(),
                    ("k/kustomization.yaml", "resources: [x.enc.yaml]\n".to_owned()),
                    (
                        "k/x.enc.yaml",
                        Stanza { key: "b", ..Stanza::default() }.yaml(&secret_body("x", "stringData", "a", &token(3))),
                    ),
                ],
            ),
            vec![
                at("kustomization.yaml", "resources: [x.enc.yaml, flux.yaml]\n"),
                ("x.enc.yaml", secret("x")),
                at(
                    "flux.yaml",
                    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k}\nspec: {decryption: {provider: sops}}\n",
                ),
            ],
        ),
        twin(
            "dotenv-key",
            with_env(&format!("with-dash={}\n", token(3))),
            with_env(&format!("WITH_NO_DASH={}\n", token(3))),
        ),
        twin(
            "duplicate-generator",
            vec![
                at("kustomization.yaml", "generators: [gen.yaml, two.yaml]\n"),
                ("gen.yaml", one_file()),
                ("two.yaml", ksops("files: [./t.enc.yaml]\n")),
                s(),
                (
                    "t.enc.yaml",
                    Stanza { key: "b", ..Stanza::default() }.yaml(&secret_body("t", "data", "a", &token(3))),
                ),
            ],
            vec![
                at("kustomization.yaml", "generators: [gen.yaml, two.yaml]\n"),
                ("gen.yaml", one_file()),
                ("two.yaml", ksops("files: [./t.enc.yaml]\n").replace("name: gen", "name: two")),
                s(),
                (
                    "t.enc.yaml",
                    Stanza { key: "b", ..Stanza::default() }.yaml(&secret_body("t", "data", "a", &token(3))),
                ),
            ],
        ),
        twin(
            "duplicate-key",
            with_env(&format!("A={}\nA={}\n", token(3), token(3))),
            with_env(&format!("A={}\nB={}\n", token(3), token(3))),
        ),
        twin(
            "duplicate-name",
            generated(one_file(), vec![s(), at("deploy/x", "")])
                .into_iter()
                .map(|(path, text)| {
                    if path == "kustomization.yaml" {
                        (path, "generators: [gen.yaml]\nsecretGenerator: [{name: db, literals: [a=]}]\n".to_owned())
                    } else {
                        (path, text)
                    }
                })
                .collect(),
            generated(one_file(), vec![s()]),
        ),
        twin(
            "encryption-rule-differs",
            vec![creation(&format!("- age: {AGE}\n  encrypted_regex: ^data$\n")), s()],
            vec![creation(&format!("- age: {AGE}\n  encrypted_regex: ^(data|stringData)$\n")), s()],
        ),
        twin(
            "function-annotation",
            generated(ksops_function("exec: {paht: ksops}", "files: [./s.enc.yaml]\n"), vec![s()]),
            generated(ksops_function("exec: {path: ksops}", "files: [./s.enc.yaml]\n"), vec![s()]),
        ),
        twin(
            "function-envs",
            generated(ksops_function("exec: {path: ksops, envs: [A=b=c]}", "files: [./s.enc.yaml]\n"), vec![s()]),
            generated(ksops_function("exec: {path: ksops, envs: [A=b]}", "files: [./s.enc.yaml]\n"), vec![s()]),
        ),
        twin(
            "generator-field",
            generated(secret_from("  files: [a=s.enc.yaml]\n  env: [x]\n"), vec![s()]),
            generated(secret_from("  files: [a=s.enc.yaml]\n"), vec![s()]),
        ),
        twin(
            "generator-in-resources",
            vec![at("kustomization.yaml", "resources: [gen.yaml]\n"), ("gen.yaml", one_file()), s()],
            generated(one_file(), vec![s()]),
        ),
        twin(
            "generator-invalid",
            generated(ksops("file: [./s.enc.yaml]\n"), vec![s()]),
            generated(one_file(), vec![s()]),
        ),
        twin(
            "generator-unused",
            vec![
                at("kustomization.yaml", "resources: [pod.yaml]\n"),
                ("pod.yaml", pod("x")),
                ("gen.yaml", one_file()),
                s(),
            ],
            generated(one_file(), vec![s()]),
        ),
        twin(
            "hash-unreferenced",
            generated(
                annotated("db", "kustomize.config.k8s.io/needs-hash: 'true'", "  files: [a=s.enc.yaml]\n"),
                vec![s()],
            ),
            vec![
                at("kustomization.yaml", "generators: [gen.yaml]\nresources: [pod.yaml]\n"),
                (
                    "gen.yaml",
                    annotated("db", "kustomize.config.k8s.io/needs-hash: 'true'", "  files: [a=s.enc.yaml]\n"),
                ),
                ("pod.yaml", pod("db")),
                s(),
            ],
        ),
        twin(
            "ignored-file",
            generated(one_file(), vec![s(), at(".gitignore", "*.enc.yaml\n")]),
            generated(one_file(), vec![s(), at(".gitignore", "*.log\n")]),
        ),
        twin(
            "illegal-key",
            vec![("s.enc.yaml", Stanza::default().yaml(&secret_body("db", "stringData", "a/b", &token(3))))],
            vec![s()],
        ),
        twin(
            "kustomization-invalid",
            vec![at("kustomization.yaml", "resorces: [pod.yaml]\n"), ("pod.yaml", pod("x"))],
            vec![at("kustomization.yaml", "resources: [pod.yaml]\n"), ("pod.yaml", pod("x"))],
        ),
        twin(
            "legacy-style",
            generated(ksops_function("exec: {path: ksops}", "files: [./s.enc.yaml]\n"), vec![s()]),
            generated(one_file(), vec![s()]),
        ),
        twin(
            "mac-missing",
            vec![(
                "s.enc.yaml",
                Stanza { has_mac: false, ..Stanza::default() }.yaml(&secret_body("db", "data", "a", &token(3))),
            )],
            vec![s()],
        ),
        twin("malformed-sops", vec![("s.enc.yaml", format!("<<<<<<< HEAD\n{}", secret("db")))], vec![s()]),
        twin("merge-loses-keys", join(base(""), overlay("db")), join(base(data), overlay("db"))),
        twin("merge-without-base", join(base(data), overlay("other")), join(base(data), overlay("db"))),
        twin(
            "missing-file",
            generated(one_file(), vec![("S.enc.yaml", secret("db"))]),
            generated(one_file(), vec![s()]),
        ),
        twin(
            "missing-secret",
            vec![
                at("kustomization.yaml", "generators: [gen.yaml]\nresources: [pod.yaml]\n"),
                ("gen.yaml", one_file()),
                ("pod.yaml", pod("dbs")),
                s(),
            ],
            vec![
                at("kustomization.yaml", "generators: [gen.yaml]\nresources: [pod.yaml]\n"),
                ("gen.yaml", one_file()),
                ("pod.yaml", pod("db")),
                s(),
            ],
        ),
        twin(
            "name-hint",
            vec![at("values.sops.yaml", "password: CANARY-7f3a\n")],
            vec![(
                "values.sops.yaml",
                Stanza { rule: "unencrypted_suffix: _x", ..Stanza::default() }
                    .yaml(&format!("password: {}\n", token(3))),
            )],
        ),
        twin(
            "never-decrypted",
            vec![(
                "s.enc.yaml",
                Stanza { rule: "encrypted_regex: ^data$", ..Stanza::default() }.yaml(&secret_body(
                    "db",
                    "stringData",
                    "a",
                    &token(3),
                )),
            )],
            vec![s()],
        ),
        twin(
            "no-creation-rule",
            vec![creation(&format!("- path_regex: ^other/\n  age: {AGE}\n")), s()],
            vec![creation(&format!("- path_regex: \\.enc\\.yaml$\n  age: {AGE}\n")), s()],
        ),
        twin(
            "not-encrypted",
            generated(one_file(), vec![at("s.enc.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")]),
            generated(one_file(), vec![s()]),
        ),
        twin(
            "old-sops",
            vec![(
                "s.enc.yaml",
                Stanza { version: "3.6.1", ..Stanza::default() }.yaml(&secret_body("db", "data", "a", &token(3))),
            )],
            vec![s()],
        ),
        twin("outside-root", generated(ksops("files: [../../x.enc.yaml]\n"), vec![]), generated(one_file(), vec![s()])),
        twin(
            "partly-encrypted",
            vec![("s.enc.yaml", secret("db").replace("sops:\n", "    added: CANARY-7f3a\nsops:\n"))],
            vec![s()],
        ),
        twin(
            "plaintext-secret",
            vec![("s.yaml", plain_secret("db"))],
            vec![("s.yaml", secret_body("db", "stringData", "password", "${PASSWORD}"))],
        ),
        twin(
            "policy-invalid",
            vec![("policy.yaml", policy("", "").replace("projects", "project"))],
            vec![("policy.yaml", policy("", ""))],
        ),
        twin(
            "policy-invalid",
            vec![("policy.yaml", policy("- {name: never, match: {projects: [a]}, allow: {}}\n", ""))],
            vec![("policy.yaml", policy("", "- {name: other, match: {projects: [b]}, allow: {}}\n"))],
        ),
        twin(
            "recipients-differ",
            vec![creation(&format!("- age: {OTHER_AGE}\n")), s()],
            vec![creation(&format!("- age: {AGE}\n")), s()],
        ),
        twin(
            "shared-data-key",
            vec![
                s(),
                (
                    "t.enc.yaml",
                    secret("t").replace(
                        "        - recipient",
                        &format!("        - {{recipient: {OTHER_AGE}, enc: zz}}\n        - recipient"),
                    ),
                ),
            ],
            vec![
                s(),
                (
                    "t.enc.yaml",
                    Stanza { key: "b", ..Stanza::default() }.yaml(&secret_body("t", "data", "a", &token(3))),
                ),
            ],
        ),
        twin(
            "shared-data-key-copy",
            vec![s(), ("t.enc.yaml", secret("t"))],
            vec![
                s(),
                (
                    "t.enc.yaml",
                    Stanza { key: "b", ..Stanza::default() }.yaml(&secret_body("t", "data", "a", &token(3))),
                ),
            ],
        ),
        twin(
            "sops-config",
            vec![creation(&format!("- path_regexp: x\n  age: {AGE}\n")), s()],
            vec![creation(&format!("- path_regex: s\n  age: {AGE}\n")), s()],
        ),
        Twin {
            rule: "stale",
            args: &["--max-age", "1y"],
            bad: vec![(
                "s.enc.yaml",
                Stanza { lastmodified: "2020-01-01T00:00:00Z", ..Stanza::default() }.yaml(&secret_body(
                    "db",
                    "data",
                    "a",
                    &token(3),
                )),
            )],
            good: vec![s()],
        },
        twin(
            "threshold-differs",
            vec![creation(&groups(2)), ("s.enc.yaml", grouped(3))],
            vec![creation(&groups(3)), ("s.enc.yaml", grouped(3))],
        ),
        twin(
            "too-large",
            vec![("s.enc.yaml", Stanza::default().yaml(&secret_body("db", "stringData", "a", &token((1 << 20) + 1))))],
            vec![s()],
        ),
        twin(
            "unknown-kind",
            decrypted("transformers: [decrypt.yaml]", &decrypt("").replace("kind: Decrypt", "kind: Decrpyt")),
            decrypted("transformers: [decrypt.yaml]", &decrypt("")),
        ),
        twin(
            "unknown-kind",
            vec![("policy.yaml", policy("", "").replace("kind: Policy", "kind: Polcy"))],
            vec![("policy.yaml", policy("", ""))],
        ),
        twin(
            "unknown-kind",
            decrypted("transformers: [decrypt.yaml]", &decrypt("").replace("v1\n", "v2\n")),
            decrypted("transformers: [decrypt.yaml]", &decrypt("")),
        ),
        twin(
            "unknown-silence",
            vec![
                at("kustomization.yaml", "# unsops:ignore no-such-rule\nresources: [pod.yaml]\n"),
                ("pod.yaml", pod("x")),
            ],
            vec![
                at("kustomization.yaml", "# unsops:ignore missing-file\nresources: [pod.yaml]\n"),
                at("README.md", "Write `# unsops:ignore RULE` above it.\n"),
                ("pod.yaml", pod("x")),
            ],
        ),
        twin(
            "unreachable-rule",
            vec![creation(&format!("- age: {AGE}\n- path_regex: x\n  age: {OTHER_AGE}\n")), s()],
            vec![creation(&format!("- path_regex: x\n  age: {OTHER_AGE}\n- age: {AGE}\n")), s()],
        ),
        twin(
            "unreadable",
            vec![("big.yaml", format!("a: {}", "x".repeat((32 << 20) + 1)))],
            vec![("big.yaml", format!("a: {}", "x".repeat(1 << 20)))],
        ),
        twin("weak-key", vec![("s.enc.yaml", pgp(1024))], vec![("s.enc.yaml", pgp(4096))]),
        twin(
            "wrong-format",
            generated(secret_from("  files: [a=s.enc.txt]\n"), vec![("s.enc.txt", secret("db"))]),
            generated(secret_from("  files: [a=s.enc.yaml]\n"), vec![s()]),
        ),
    ];
    twins.extend(of_decrypt());
    twins
}

/// A `Decrypt` with more lines.
fn decrypt(lines: &str) -> String {
    format!("apiVersion: unsops.dev/v1\nkind: Decrypt\nmetadata: {{name: decrypt}}\n{lines}")
}

/// A kustomization with an encrypted resource, and a `Decrypt` that it lists in some way.
fn decrypted(listed: &str, decrypt: &str) -> Vec<(&'static str, String)> {
    vec![
        ("kustomization.yaml", format!("resources: [s.enc.yaml]\n{listed}\n")),
        ("decrypt.yaml", decrypt.to_owned()),
        ("s.enc.yaml", secret("db")),
    ]
}

/// Mistakes in a `Decrypt`: the rule, the bad one, the good one.
fn of_decrypt() -> Vec<Twin> {
    let transformers = "transformers: [decrypt.yaml]";
    let of = |rule, bad: &str, good: &str| {
        twin(rule, decrypted(transformers, &decrypt(bad)), decrypted(transformers, &decrypt(good)))
    };
    vec![
        of("generator-invalid", "source: [s.enc.yaml]\n", "sources: [s.enc.yaml]\n"),
        of("generator-invalid", "sources: s.enc.yaml\n", "sources: [./s.enc.yaml]\n"),
        of("generator-invalid", "sources: []\n", "sources: [.]\n"),
        of("generator-invalid", "sources: [s.enc.yaml, 7]\n", "sources: [s.enc.yaml, s.enc.yaml]\n"),
        of("missing-file", "sources: [s.enc.yaml, t.enc.yaml]\n", "sources: [s.enc.yaml]\n"),
        of("outside-root", "sources: [s.enc.yaml, ../../t.enc.yaml]\n", "sources: [s.enc.yaml]\n"),
        of("outside-root", "sources: [s.enc.yaml, /etc/passwd]\n", "sources: [s.enc.yaml]\n"),
        of("not-encrypted", "sources: [s.enc.yaml, kustomization.yaml]\n", "sources: [s.enc.yaml]\n"),
        // Whose MAC would the resource be held against?
        twin(
            "generator-invalid",
            [
                decrypted(transformers, &decrypt("sources: [other]\n")),
                vec![("other/t.enc.yaml", Stanza { key: "b", ..Stanza::default() }.yaml("a: b\n"))],
            ]
            .concat(),
            decrypted(transformers, &decrypt("")),
        ),
        twin(
            "missing-file",
            [
                decrypted(transformers, &decrypt("sources: [s.enc.yaml, empty]\n")),
                vec![at("empty/README", "nothing\n")],
            ]
            .concat(),
            decrypted(transformers, &decrypt("")),
        ),
        twin(
            "generator-invalid",
            decrypted("generators: [decrypt.yaml]", &decrypt("")),
            decrypted(transformers, &decrypt("")),
        ),
        twin("generator-unused", decrypted("", &decrypt("")), decrypted(transformers, &decrypt(""))),
        twin(
            "generator-in-resources",
            decrypted("components: []", &decrypt(""))
                .into_iter()
                .map(|(path, text)| (path, text.replace("resources: [", "resources: [decrypt.yaml, ")))
                .collect(),
            decrypted(transformers, &decrypt("")),
        ),
    ]
}

/// An operator's policy with rules before and after its own.
fn policy(after: &str, before: &str) -> String {
    let own = "- {name: a, match: {projects: [a]}, allow: {}}\n";
    format!("apiVersion: unsops.dev/v1\nkind: Policy\nrules:\n{before}{own}{after}")
}

/// A file in sops' envelope of bytes.
pub fn envelope() -> String {
    format!(
        "{{\"data\": \"{}\", \"sops\": {{\"age\": [{{\"recipient\": \"{AGE}\", \"enc\": \"a\"}}], \"lastmodified\": \"2026-01-01T00:00:00Z\", \"mac\": \"{}\", \"version\": \"3.10.2\"}}}}\n",
        token(20),
        token(64)
    )
}

fn groups(threshold: usize) -> String {
    let groups: String = ["a", "b", "c"].iter().map(|name| format!("  - age: [{AGE}{name}]\n")).collect();
    format!("- shamir_threshold: {threshold}\n  key_groups:\n{groups}")
}

fn grouped(threshold: usize) -> String {
    let groups: String = ["a", "b", "c"]
        .iter()
        .map(|name| format!("        - age: [{{recipient: {AGE}{name}, enc: {name}}}]\n"))
        .collect();
    format!(
        "a: {}\nsops:\n    key_groups:\n{groups}    shamir_threshold: {threshold}\n    lastmodified: \"2026-01-01T00:00:00Z\"\n    mac: {}\n    version: 3.10.2\n",
        token(3),
        token(64)
    )
}

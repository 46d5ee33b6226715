use super::*;
use crate::sops::test_encryptor;

const CANARY: &str = "CANARY-7f3a";

fn encrypted(plain: &str, rule: Option<(&str, &str)>) -> Inspection {
    let mut tree = store::load_plain(Format::Yaml, plain.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    test_encryptor::encrypt(&mut tree, &[7; 32], rule, false);
    let text = store::emit_plain(Format::Yaml, &tree).unwrap();
    inspect(Format::Yaml, text.expose()).unwrap_or_else(|e| panic!("{e}"))
}

/// Every leaf: name, `E` or `-` or `0`, and how the rule sees it.
fn leaves(inspection: &mut Inspection) -> Vec<String> {
    let mut seen = Vec::new();
    inspection
        .walk(&mut |leaf, _| {
            let found = match &leaf.found {
                Found::Empty => "empty".to_owned(),
                Found::Encrypted(token) => format!("{} {}", token.kind.name(), token.length),
                Found::Malformed(_) => "malformed".to_owned(),
                Found::Plain => "plain".to_owned(),
            };
            let verdict = match leaf.verdict() {
                Verdict::AsRuled => "",
                Verdict::LeftInClear => " LEFT IN CLEAR",
                Verdict::NeverDecrypted => " NEVER DECRYPTED",
            };
            let by = leaf.decided_by().map(|by| format!(" by {by}")).unwrap_or_default();
            let comment = if leaf.is_comment { "#" } else { "" };
            seen.push(format!("{comment}{}: {found}{by}{verdict}", leaf.name()));
        })
        .unwrap_or_else(|e| panic!("{e}"));
    seen
}

const PLAIN: &str = "kind: Secret\nreplicas: 2\nempty: ''\n# above\ndata:\n    password: CANARY-7f3a\n    nested:\n        - 12\n        - true\n        - {a: b}\n        - []\n";

#[test]
fn names_each_value_and_what_the_rule_makes_of_it() {
    let mut file = encrypted(PLAIN, Some(("encrypted_regex", "^(data|stringData)$")));
    assert_eq!(
        leaves(&mut file),
        [
            "kind: plain",
            "replicas: plain",
            "empty: empty",
            "#: plain",
            "data.password: str 11 by data",
            "data.nested[0]: int 2 by data",
            "data.nested[1]: bool 4 by data",
            "data.nested[2].a: str 1 by data",
            "data.nested[3]: empty by data",
        ]
    );
    let rule = file.metadata.rules.in_force();
    assert_eq!((rule.field, rule.text, rule.is_written), ("encrypted_regex", "^(data|stringData)$", true));
}

#[test]
fn without_a_rule_everything_is_encrypted_but_the_default_suffix() {
    let mut file = encrypted("a: x\nb_unencrypted:\n    c: y\n", None);
    assert_eq!(leaves(&mut file), ["a: str 1", "b_unencrypted.c: plain by b_unencrypted"]);
    assert!(!file.metadata.rules.in_force().is_written);
}

#[test]
fn sees_what_was_left_in_clear_and_what_is_never_decrypted() {
    let rule = Some(("encrypted_regex", "^data$"));
    let file = encrypted("data:\n    a: x\n    b: y\nother: z\n", rule);
    let text = store::emit_plain(Format::Yaml, &file.tree).unwrap();
    let text = String::from_utf8(text.expose().clone()).unwrap();
    let token = text.lines().find_map(|line| line.trim().strip_prefix("a: ")).unwrap();
    let stanza = "sops:\n    age:\n        - {recipient: age1test, enc: x}\n    lastmodified: \"2024-05-06T07:08:09Z\"\n    encrypted_regex: ^data$\n";
    let edited = format!(
        "data:\n    a: {token}\n    b: {CANARY}\n    c: {}\nother: {token}\n{stanza}",
        token.get(..40).unwrap()
    );
    let mut file = inspect(Format::Yaml, edited.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        leaves(&mut file),
        [
            "data.a: str 1 by data",
            "data.b: plain by data LEFT IN CLEAR",
            "data.c: malformed by data LEFT IN CLEAR",
            "other: str 1 NEVER DECRYPTED",
        ]
    );
}

#[test]
fn seed_follows_the_token() {
    let seeds = |plain: &str| {
        let mut seeds = Vec::new();
        encrypted(plain, None)
            .walk(&mut |leaf, _| {
                if let Found::Encrypted(token) = &leaf.found {
                    seeds.push(token.seed);
                }
            })
            .unwrap_or_else(|e| panic!("{e}"));
        seeds
    };
    assert_eq!(seeds("a: x\nb: x\n"), seeds("a: x\nb: x\n"));
    let [a, b] = seeds("a: x\nb: x\n").try_into().unwrap();
    assert_ne!(a, b, "equal values have different tokens");
    assert_ne!(seeds("a: x\n"), seeds("a: y\n"));
}

#[test]
fn values_can_be_replaced() {
    let mut file = encrypted("# c\na:\n    - x\n    # d\n    - 2\n", None);
    file.walk(&mut |_, slot| match slot {
        Slot::Comment(comment) => comment.text = "comment".into(),
        Slot::Value(value) => *value = Value::Str("placeholder".into()),
    })
    .unwrap_or_else(|e| panic!("{e}"));
    let text = store::emit_plain(Format::Yaml, &file.tree).unwrap();
    assert_eq!(text.expose().as_slice(), b"#comment\na:\n    - placeholder\n    - placeholder\n    - placeholder\n");
}

#[test]
fn agrees_with_opening_about_every_rule() {
    let plain =
        "# enc\na: x\nb:\n    # enc\n    c: [1, 2]\n    # no\n    d_unencrypted: y\n    - 3\n".replace("    - 3\n", "");
    for rule in [
        None,
        Some(("encrypted_suffix", "_unencrypted")),
        Some(("unencrypted_regex", "^c$")),
        Some(("encrypted_comment_regex", "enc")),
        Some(("unencrypted_comment_regex", "enc")),
    ] {
        let mut file = encrypted(&plain, rule);
        file.walk(&mut |leaf, _| assert_eq!(leaf.verdict(), Verdict::AsRuled, "{rule:?} {}", leaf.name()))
            .unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn reads_a_format_that_the_name_does_not_say() {
    let file = encrypted("a: x\n", None);
    let token = "ENC[AES256_GCM,data:eA==,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]";
    let dotenv = format!(
        "A={token}\nsops_age__list_0__map_recipient=age1test\nsops_age__list_0__map_enc=x\nsops_lastmodified=2024-05-06T07:08:09Z\n"
    );
    assert!(may_be_sops(dotenv.as_bytes()) && !may_be_sops(b"[ENC AES256_GCM,ENC[PKCS7,"));
    assert!(inspect(Format::Binary, dotenv.as_bytes()).is_err());
    let read = inspect_any(Format::Binary, dotenv.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.format, Format::Dotenv);
    assert_eq!(file.format, Format::Yaml);
}

#[test]
fn names_of_hostile_keys_are_short() {
    let key = "k".repeat(1 << 20);
    let mut file = encrypted(&format!("? \"{key}\u{202e}\"\n: [{}]\n", "x, ".repeat(50)), None);
    file.walk(&mut |leaf, _| assert!(leaf.name().as_str().chars().count() < 300)).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn shows_empty_collections_and_no_others() {
    let mut file = encrypted("a: {}\nb: []\nc: {d: []}\ne: [{}, x]\n", None);
    assert_eq!(leaves(&mut file), ["a: empty", "b: empty", "c.d: empty", "e[0]: empty", "e[1]: str 1"]);
}

#[test]
fn says_where_a_value_stands() {
    let mut file = encrypted("first: x\na:\n    b:\n        - y\n", None);
    let mut seen = Vec::new();
    file.walk(&mut |leaf, _| seen.push((format!("{:?}", leaf.steps()), leaf.position().line)))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(seen, [("[Key(\"first\")]".to_owned(), 1), ("[Key(\"a\"), Key(\"b\"), Index(0)]".to_owned(), 4)]);
}

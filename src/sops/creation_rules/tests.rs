use super::*;
use crate::limits;
use crate::sops::metadata::{KeyGroup, MasterKey};

fn parse(text: &str) -> CreationRules {
    CreationRules::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn rule_for(config: &CreationRules, path: &str) -> Option<usize> {
    match config.matching(path, &mut MatchBudget::default()) {
        Match::Rule(index, _) => Some(index),
        Match::None | Match::Unknown => None,
    }
}

fn messages(text: &str) -> Vec<String> {
    parse(text).problems.iter().map(|problem| format!("{} {}", problem.position.line, problem.message)).collect()
}

#[test]
fn first_rule_that_matches_wins() {
    let config = parse(
        "creation_rules:\n- path_regex: \\.prod\\.yaml$\n  age: a\n- path_regex: ^secrets/\n  age: b\n- age: c\n- path_regex: .*\n",
    );
    assert_eq!(rule_for(&config, "x/a.prod.yaml"), Some(0));
    assert_eq!(rule_for(&config, "secrets/a.yaml"), Some(1));
    assert_eq!(rule_for(&config, "x/secrets/a.yaml"), Some(2));
}

#[test]
fn file_without_rules_is_as_if_it_were_not_there() {
    assert!(parse("").rules.is_none());
    assert!(parse("destination_rules: []\n").rules.is_none());
    assert!(parse("creation_rules: []\n").rules.is_some());
}

#[test]
fn keys_are_read_from_every_place() {
    let text = "\
x: &us [age1a, age1b]
creation_rules:
- age: >-
    age1a,
    age1b
  pgp: 'AB CD, ef'
  kms: arn:aws:kms:x:1:key/1+arn:aws:iam::1:role/r
  aws_profile: p
- key_groups:
  - age: *us
    merge:
    - pgp: [abcd]
    kms:
    - {arn: 'arn:k', role: 'arn:r', context: {b: 1, a: 2}}
    azure_keyvault:
    - {vaultUrl: 'https://v.vault.azure.net', key: k, version: v}
    hc_vault: ['https://vault:8200/v1/transit/keys/k']
";
    let rules = parse(text).rules.expect("rules");
    let names = |index: usize| -> Vec<String> {
        rules[index].groups[0].iter().map(|name| name.printable().to_string()).collect()
    };
    assert_eq!(names(0), ["ABCD", "EF", "age1a", "age1b", "arn:aws:kms:x:1:key/1+arn:aws:iam::1:role/r||p"]);
    assert_eq!(
        names(1),
        [
            "ABCD",
            "age1a",
            "age1b",
            "arn:k+arn:r|a:2,b:1",
            "https://v.vault.azure.net/keys/k/v",
            "https://vault:8200/v1/transit/keys/k"
        ]
    );
}

#[test]
fn compares_group_by_group() {
    let rules = parse("creation_rules:\n- key_groups:\n  - age: [a]\n  - age: [b]\n").rules.expect("rules");
    let key = |name: &str| MasterKey::Age { recipient: name.to_owned(), enc: String::new() };
    let groups = [KeyGroup(vec![key("a")]), KeyGroup(vec![key("c")])];
    let difference = rules[0].difference(&groups);
    assert_eq!(difference.missing, BTreeSet::from([KeyName("b".to_owned())]));
    assert_eq!(difference.surplus, BTreeSet::from([KeyName("c".to_owned())]));
    assert_eq!(rules[0].difference(&[KeyGroup(vec![key("a")]), KeyGroup(vec![key("b")])]), Difference::default());
}

#[test]
fn version_of_the_day_and_context_from_a_flag_are_no_difference() {
    let rules = parse("creation_rules:\n- azure_keyvault: https://v.vault.azure.net/keys/k\n  kms: arn:k\n");
    let azure = MasterKey::AzureKeyVault {
        vault_url: "https://v.vault.azure.net".to_owned(),
        name: "k".to_owned(),
        version: "0123".to_owned(),
        enc: String::new(),
    };
    let aws = MasterKey::AwsKms {
        arn: "arn:k".to_owned(),
        role: None,
        context: [("a".to_owned(), "b".to_owned())].into(),
        aws_profile: None,
        enc: String::new(),
    };
    let rules = rules.rules.expect("rules");
    assert_eq!(rules[0].difference(&[KeyGroup(vec![azure, aws])]), Difference::default());
}

#[test]
fn says_what_sops_refuses_and_what_it_ignores() {
    let text = "\
creation_rules:
- path_regexp: x
  encrypted_regex: '^(data'
  age: a
- encrypted_suffix: x
  unencrypted_suffix: y
  age: a
- path_regex: '('
  shamir_threshold: 3
  key_groups:
  - age: [a]
  - age: b
- pgp: {a: b}
- x
";
    assert_eq!(
        messages(text),
        [
            "2 path_regexp is ignored; did you mean path_regex?",
            "3 encrypted_regex is no regular expression that sops reads: it encrypts nothing",
            "6 unencrypted_suffix is a second encryption rule: a creation rule has one",
            "8 path_regex is no regular expression that sops reads: every file fails here",
            "12 age of a key group must be a list",
            "8 a key group of this rule has no keys",
            "8 shamir_threshold is 3, but the rule has 2 key groups",
            "13 pgp must be a text or a list of texts",
            "14 a rule must be a mapping"
        ]
    );
}

#[test]
fn patterns_of_a_hostile_file_end() {
    let rules = "- path_regex: '(a{0,30}){0,30}x'\n".repeat(limits::CREATION_RULES);
    let config = parse(&format!("creation_rules:\n{rules}"));
    let mut budget = MatchBudget::default();
    assert!(matches!(config.matching(&"a".repeat(400), &mut budget), Match::Unknown));
    // Most of them are not even compiled.
    let rules = config.rules.as_deref().unwrap_or_default();
    let is_unknown = |rule: &&CreationRule| matches!(rule.pattern, matching::Matcher::Unknown);
    assert_eq!(
        rules.iter().position(|rule| is_unknown(&rule)).map(|first| rules.len() - first),
        Some(rules.iter().filter(is_unknown).count())
    );
    assert!(rules.iter().filter(is_unknown).count() > rules.len() / 2);
}

/// The names of the first rule's first group.
fn names(rule: &str) -> Vec<String> {
    let rules = parse(&format!("creation_rules:\n- {rule}\n")).rules.expect("rules");
    rules[0].groups[0].iter().map(|name| name.printable().to_string()).collect()
}

#[test]
fn a_key_in_a_rule_and_in_a_file_has_one_name() {
    let text = str::to_owned;
    let aws = |role: Option<&str>, context: &[(&str, &str)], profile: Option<&str>| MasterKey::AwsKms {
        arn: text("arn:k"),
        role: role.map(text),
        context: context.iter().map(|(key, value)| (text(key), text(value))).collect(),
        aws_profile: profile.map(text),
        enc: text(""),
    };
    let azure = |version: &str| MasterKey::AzureKeyVault {
        vault_url: text("https://v.vault.azure.net"),
        name: text("k"),
        version: text(version),
        enc: text(""),
    };
    let vault = || MasterKey::HcVault {
        vault_address: text("https://vault:8200"),
        engine_path: text("transit"),
        key_name: text("k"),
        enc: text(""),
    };
    let pgp = || MasterKey::Pgp { fingerprint: text("ab cd"), enc: text("") };
    let gcp = || MasterKey::GcpKms { resource_id: text("projects/p"), enc: text("") };
    for (rule, key, name) in [
        ("age: ' age1a '", MasterKey::Age { recipient: text(" age1a "), enc: text("") }, "age1a"),
        ("pgp: abcd", pgp(), "ABCD"),
        ("key_groups: [{pgp: [ab cd]}]", pgp(), "ABCD"),
        ("kms: arn:k", aws(None, &[], None), "arn:k"),
        ("kms: arn:k", aws(Some(""), &[], Some("")), "arn:k"),
        ("kms: 'arn:k + arn:r'", aws(Some("arn:r"), &[], None), "arn:k+arn:r"),
        ("kms: +arn:r", MasterKey::HuaweiKms { key_id: text("+arn:r") }, "+arn:r"),
        ("{kms: arn:k, aws_profile: p}", aws(None, &[], Some("p")), "arn:k||p"),
        ("key_groups: [{kms: [{arn: arn:k}]}]", aws(None, &[], None), "arn:k"),
        ("key_groups: [{kms: [{arn: arn:k, role: ''}]}]", aws(None, &[], None), "arn:k"),
        ("key_groups: [{kms: [{arn: arn:k+arn:r, role: arn:x}]}]", aws(Some("arn:r"), &[], None), "arn:k+arn:r"),
        (
            "key_groups: [{kms: [{arn: arn:k, role: arn:r, context: {b: 2, a: 1}, aws_profile: p}]}]",
            aws(Some("arn:r"), &[("a", "1"), ("b", "2")], Some("p")),
            "arn:k+arn:r|a:1,b:2|p",
        ),
        ("gcp_kms: projects/p", gcp(), "projects/p"),
        ("key_groups: [{gcp_kms: [{resource_id: projects/p}]}]", gcp(), "projects/p"),
        ("hckms: r:u", MasterKey::HuaweiKms { key_id: text("r:u") }, "r:u"),
        ("key_groups: [{hckms: [{key_id: r:u}]}]", MasterKey::HuaweiKms { key_id: text("r:u") }, "r:u"),
        ("azure_keyvault: https://v.vault.azure.net/keys/k/1/", azure("1"), "https://v.vault.azure.net/keys/k/1"),
        ("azure_keyvault: https://v.vault.azure.net/keys/k", azure(""), "https://v.vault.azure.net/keys/k/"),
        (
            "key_groups: [{azure_keyvault: [{vaultUrl: https://v.vault.azure.net, key: k, version: '1'}]}]",
            azure("1"),
            "https://v.vault.azure.net/keys/k/1",
        ),
        (
            "hc_vault_transit_uri: https://vault:8200/v1/transit/keys/k/",
            vault(),
            "https://vault:8200/v1/transit/keys/k",
        ),
        (
            "key_groups: [{hc_vault: [https://vault:8200/v1/transit/keys/k]}]",
            vault(),
            "https://vault:8200/v1/transit/keys/k",
        ),
    ] {
        assert_eq!(names(rule), [name], "{rule}");
        assert_eq!(KeyName::of(&key).printable().as_str(), name, "{rule}");
        let rules = parse(&format!("creation_rules:\n- {rule}\n")).rules.expect("rules");
        assert_eq!(rules[0].difference(&[KeyGroup(vec![key])]), Difference::default(), "{rule}");
    }
}

#[test]
fn a_text_holds_several_keys_only_where_sops_splits_it() {
    assert_eq!(names("age: 'a, b,,c'"), ["a", "b", "c"]);
    assert_eq!(names("age: [a, 'b,c']"), ["a", "b", "c"]);
    assert_eq!(names("key_groups: [{age: ['a,b']}]"), ["a", "b"]);
    assert_eq!(names("key_groups: [{hc_vault: ['https://x,y']}]"), ["https://x,y"]);
    assert_eq!(names("key_groups: [{merge: [{age: [a]}, {merge: [{age: [b]}]}], age: [c]}]"), ["a", "b", "c"]);
    // Not of the form that sops reads.
    assert_eq!(names("{azure_keyvault: 'https://v.vault.azure.net/k', age: a}"), ["a"]);
}

#[test]
fn a_context_counts_only_where_the_rule_has_one() {
    let rules = |rule: &str| parse(&format!("creation_rules:\n- {rule}\n")).rules.expect("rules");
    let key = |context: &[(&str, &str)]| MasterKey::AwsKms {
        arn: "arn:k".to_owned(),
        role: None,
        context: context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        aws_profile: None,
        enc: String::new(),
    };
    let differs = |rule: &str, context: &[(&str, &str)]| {
        rules(rule)[0].difference(&[KeyGroup(vec![key(context)])]) != Difference::default()
    };
    let with = "key_groups: [{kms: [{arn: arn:k, context: {a: 1}}]}]";
    assert!(!differs(with, &[("a", "1")]));
    assert!(differs(with, &[("a", "2")]) && differs(with, &[]));
    let without = "key_groups: [{kms: [{arn: arn:k}, {arn: arn:k, context: {}}]}]";
    assert!(!differs(without, &[("a", "1")]) && !differs(without, &[]));
    // Only a key of AWS has a context; another name may hold the same sign.
    let age = KeyGroup(vec![MasterKey::Age { recipient: "x|y".to_owned(), enc: String::new() }]);
    assert_eq!(rules("age: x|y")[0].difference(&[age]), Difference::default());
}

#[test]
fn only_keys_of_azure_have_a_version() {
    let short = |name: &str| KeyName(name.to_owned()).without_version().map(|name| name.printable().to_string());
    let key = "https://v.vault.azure.net/keys/k/";
    assert_eq!(short(&format!("{key}1")).as_deref(), Some(key));
    for other in ["https://vault:8200/v1/transit/keys/k", "https://my.vault.example/v1/x", "age1a"] {
        assert_eq!(short(other), None, "{other}");
    }
}

#[test]
fn a_key_version_counts_only_where_the_rule_has_one() {
    let differs = |rule: &str, version: &str| {
        let rules = parse(&format!("creation_rules:\n- azure_keyvault: {rule}\n")).rules.expect("rules");
        let key = MasterKey::AzureKeyVault {
            vault_url: "https://v.vault.azure.net".to_owned(),
            name: "k".to_owned(),
            version: version.to_owned(),
            enc: String::new(),
        };
        rules[0].difference(&[KeyGroup(vec![key])]) != Difference::default()
    };
    let key = "https://v.vault.azure.net/keys/k";
    assert!(!differs(key, "1") && !differs(&format!("{key}/1"), "1"));
    assert!(differs(&format!("{key}/2"), "1"));
    // Both: the one with the version is meant.
    assert!(!differs(&format!("'{key}/1,{key}/1'"), "1"));
    let both = parse(&format!("creation_rules:\n- azure_keyvault: '{key},{key}/1'\n")).rules.expect("rules");
    let found = KeyGroup(vec![MasterKey::AzureKeyVault {
        vault_url: "https://v.vault.azure.net".to_owned(),
        name: "k".to_owned(),
        version: "1".to_owned(),
        enc: String::new(),
    }]);
    let missing: Vec<String> =
        both[0].difference(&[found]).missing.iter().map(|name| name.printable().to_string()).collect();
    assert_eq!(missing, [format!("{key}/")]);
}

#[test]
fn fields_that_sops_ignores_are_reported_with_what_was_meant() {
    let meant = |rule: &str| {
        let all = messages(&format!("creation_rules:\n- {rule}\n"));
        all.into_iter()
            .filter_map(|text| text.split_once("did you mean ").map(|(_, meant)| meant.to_owned()))
            .collect::<Vec<_>>()
    };
    for (field, known) in [
        ("azure_kv", "azure_keyvault?"),
        ("azure-key-vault", "azure_keyvault?"),
        ("hc_vault", "hc_vault_transit_uri?"),
        ("vault", "hc_vault_transit_uri?"),
        ("path", "path_regex?"),
        ("regex", "path_regex?"),
        ("aws_kms", "kms?"),
        ("arn", "kms?"),
        ("AGE", "age?"),
        ("ages", "age?"),
        ("keygroups", "key_groups?"),
        ("Key-Groups", "key_groups?"),
    ] {
        assert_eq!(meant(&format!("{{{field}: x, age: a}}")), [known], "{field}");
    }
    assert!(meant("{age: a, description: x, x-note: y}").is_empty());
    assert_eq!(meant("key_groups: [{age: [a], vault: [b], path: [c], Hc-Vault: [d]}]"), ["hc_vault?"]);
    for field in ["creation_rule", "creationRules", "creation-rules"] {
        assert_eq!(messages(&format!("{field}: []\n")), ["1 this field is ignored; did you mean creation_rules?"]);
    }
}

#[test]
fn says_what_has_the_wrong_shape() {
    let rule = |rule: &str| messages(&format!("creation_rules:\n- {rule}\n"));
    assert_eq!(messages("[a]\n"), ["1 the configuration must be a mapping"]);
    assert_eq!(messages("creation_rules: x\n"), ["1 creation_rules must be a list"]);
    assert_eq!(messages("a: 1\na: 2\n"), ["2 a key is there twice"]);
    assert!(messages("creation_rules: null\n").is_empty() && messages("null\n").is_empty());
    assert_eq!(rule("{age: a, age: b}"), ["2 a key is there twice"]);
    assert_eq!(rule("{age: a, shamir_threshold: two}"), ["2 shamir_threshold must be a number"]);
    assert!(rule("{age: a, shamir_threshold: null}").is_empty());
    assert_eq!(rule("key_groups: [x, {age: [a]}]")[0], "2 a key group must be a mapping");
    assert_eq!(rule("key_groups: [null, {age: [a]}]"), ["2 a key group of this rule has no keys"]);
    assert_eq!(rule("key_groups: [{age: [[a]]}, {age: [a]}]")[0], "2 an entry of age has the wrong type");
    assert_eq!(rule("key_groups: [{kms: [arn:k], age: [a]}]"), ["2 an entry of kms has the wrong type"]);
    assert!(rule("key_groups: [{age: [a], kms: null, other: x}]").is_empty());
    assert_eq!(rule("{age: a, shamir_threshold: 2}"), ["2 shamir_threshold is 2, but the rule has 1 key groups"]);
    let two = "key_groups: [{age: [a]}, {age: [b]}]";
    assert!(rule(&format!("{{{two}, shamir_threshold: 2}}")).is_empty());
    // Keys may come from flags or variables.
    assert!(rule("path_regex: x").is_empty());
}

#[test]
fn an_expression_is_judged_and_a_suffix_is_not() {
    let rule = |rule: &str| messages(&format!("creation_rules:\n- {{age: a, {rule}}}\n"));
    let invalid = "is no regular expression that sops reads: it encrypts";
    assert_eq!(rule("encrypted_regex: '('"), [format!("2 encrypted_regex {invalid} nothing")]);
    assert_eq!(rule("unencrypted_comment_regex: '('"), [format!("2 unencrypted_comment_regex {invalid} everything")]);
    assert!(rule("encrypted_suffix: '('").is_empty() && rule("encrypted_regex: '^data$'").is_empty());
    assert!(rule("encrypted_regex: ''").is_empty());
    let rules =
        parse("creation_rules:\n- {age: a, encrypted_regex: '', unencrypted_suffix: _x}\n").rules.expect("rules");
    assert_eq!(rules[0].encryption_rule, Some(("unencrypted_suffix", "_x".to_owned())));
}

#[test]
fn bounds_hold() {
    let rules = |count: usize| parse(&format!("creation_rules:\n{}", "- {age: a}\n".repeat(count)));
    let most = rules(limits::CREATION_RULES);
    assert_eq!((most.rules.expect("rules").len(), most.problems.len()), (limits::CREATION_RULES, 0));
    let more = rules(limits::CREATION_RULES + 1);
    assert_eq!((more.rules.expect("rules").len(), more.problems.len()), (limits::CREATION_RULES, 1));
    assert_eq!(parse(&format!("creation_rules:\n{}", "- x\n".repeat(1000))).problems.len(), limits::ERRORS.min(1000));

    let nested = |depth: usize| {
        let deep = (0..depth).fold("{age: [deep]}".to_owned(), |inner, _| format!("{{merge: [{inner}]}}"));
        names(&format!("key_groups: [{{merge: [{deep}], age: [a]}}]"))
    };
    assert_eq!(nested(15), ["a", "deep"]);
    assert_eq!(nested(16), ["a"]);

    // Once there are too many keys, no further group is read.
    let half = limits::MASTER_KEYS / 2;
    let group = |from: usize| {
        let keys: Vec<String> = (from..from + half).map(|key| format!("a{key}")).collect();
        format!("{{age: [{}]}}", keys.join(", "))
    };
    let groups: Vec<String> = (0..8).map(|number| group(half * number)).collect();
    assert_eq!(names(&format!("key_groups: [{{merge: [{}]}}]", groups.join(", "))).len(), 3 * half);
}

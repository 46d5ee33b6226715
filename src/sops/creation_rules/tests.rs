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
}

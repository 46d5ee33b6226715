use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::secret::SecretBytes;
use crate::sops::data_key::Refusal;
use crate::sops::{Attempt, KeyGroup, KeyService, KeyShare, RefusedKey, ShareRequest};

const A: &str = "age1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "age1bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const FINGERPRINT: &str = "85D77543B3D624B63CEA9E6DBC17301B491B3F21";

/// A policy with these rules, which are given as YAML flow mappings.
fn policy(rules: &[&str]) -> Policy {
    match Policy::parse(text(rules).as_bytes(), "/etc/unsops/policy.yaml".into()) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors:?}"),
    }
}

fn text(rules: &[&str]) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("- {rule}\n")).collect();
    format!("apiVersion: unsops.dev/v1\nkind: Policy\ncontact: the platform team\nrules:\n{}", rules.concat())
}

/// A policy of one rule that is for every project, with this grant.
fn granting(grant: &str) -> Policy {
    policy(&[&format!("{{name: r, match: {{projects: ['*']}}, allow: {{{grant}}}}}")])
}

fn rule(policy: &Policy) -> &Rule {
    policy.rules().first().unwrap()
}

fn applicant(project: &str, repository: &str, path: &str, namespace: &str) -> Applicant {
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    Applicant { project: text(project), repository: text(repository), path: text(path), namespace: text(namespace) }
}

fn age(recipient: &str) -> MasterKey {
    MasterKey::Age { recipient: recipient.into(), enc: "enc".into() }
}

fn pgp(fingerprint: &str) -> MasterKey {
    MasterKey::Pgp { fingerprint: fingerprint.into(), enc: "enc".into() }
}

fn aws(arn: &str, role: Option<&str>, profile: Option<&str>) -> MasterKey {
    MasterKey::AwsKms {
        arn: arn.into(),
        role: role.map(str::to_owned),
        context: BTreeMap::new(),
        aws_profile: profile.map(str::to_owned),
        enc: "enc".into(),
    }
}

fn gcp(resource_id: &str) -> MasterKey {
    MasterKey::GcpKms { resource_id: resource_id.into(), enc: "enc".into() }
}

fn azure(vault_url: &str, name: &str) -> MasterKey {
    let (vault_url, name) = (vault_url.into(), name.into());
    MasterKey::AzureKeyVault { vault_url, name, version: "1".into(), enc: "enc".into() }
}

fn vault(address: &str, engine: &str, key: &str) -> MasterKey {
    let (vault_address, engine_path, key_name) = (address.into(), engine.into(), key.into());
    MasterKey::HcVault { vault_address, engine_path, key_name, enc: "enc".into() }
}

#[test]
fn the_first_rule_that_matches_is_the_only_one() {
    let policy = policy(&[
        "{name: prod, match: {projects: [team-a], namespaces: ['*-prod']}, allow: {}}",
        "{name: repo, match: {repositories: ['https://git.test/a/*'], paths: [apps]}, allow: {}}",
        "{name: team, match: {projects: [team-a, team-b]}, allow: {}}",
    ]);
    for (project, repository, path, namespace, want) in [
        ("team-a", "", "", "x-prod", Some("prod")),
        ("team-a", "", "", "x-dev", Some("team")),
        ("team-a", "", "", "", Some("team")),
        ("team-b", "", "", "x-prod", Some("team")),
        ("team-c", "", "", "x-prod", None),
        ("team-c", "https://git.test/a/x.git", "apps/one", "", Some("repo")),
        ("team-c", "https://git.test/a/x", "./apps/", "", Some("repo")),
        ("team-c", "https://git.test/a/x", "apps/../etc", "", None),
        ("team-c", "https://git.test/a/x", "", "", None),
        ("team-c", "https://git.test/a/../b", "apps", "", None),
        ("team-c", "https://git.test/a@evil.test/x", "apps", "", None),
        ("team-c", "https://git.test@evil.test/a/x", "apps", "", None),
        ("team-c", "https://x@git.test/a/x", "apps", "", Some("repo")),
        ("", "", "", "", None),
    ] {
        let found = policy.rule_for(&applicant(project, repository, path, namespace));
        assert_eq!(found.map(|rule| rule.name().as_str()), want, "{project} {repository} {path} {namespace}");
    }
}

#[test]
fn keys_are_allowed_by_their_names() {
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234";
    let role = "arn:aws:iam::111122223333:role/a";
    let resource = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
    for (grant, key, want) in [
        ("", age(A), Err("age")),
        (&*format!("age: [{A}]"), age(A), Ok(())),
        (&*format!("age: [{A}]"), age(B), Err("age")),
        (&*format!("age: [{A}]"), age(""), Err("age")),
        (&*format!("age: [{A}]"), age(&format!(" {A}\n")), Ok(())),
        (&*format!("age: [{A}]"), age(&format!("{A}x")), Err("age")),
        ("age: [ssh-ed25519 AAAA me@host]", age("ssh-ed25519 AAAA other@host"), Ok(())),
        ("age: [ssh-ed25519 AAAA]", age("ssh-ed25519 AAAB"), Err("age")),
        (&*format!("pgp: [{FINGERPRINT}]"), pgp(FINGERPRINT), Ok(())),
        (&*format!("pgp: ['0x{}']", FINGERPRINT.to_lowercase()), pgp(&format!("{FINGERPRINT}!")), Ok(())),
        (&*format!("pgp: [{FINGERPRINT}]"), pgp("BC17301B491B3F21"), Ok(())),
        (&*format!("pgp: [{FINGERPRINT}]"), pgp("491B3F21"), Err("pgp")),
        (&*format!("pgp: [{FINGERPRINT}]"), pgp(""), Err("pgp")),
        ("awsKms: ['arn:aws:kms:*:111122223333:key/*']", aws(arn, None, None), Ok(())),
        ("awsKms: ['arn:aws:kms:*:999:key/*']", aws(arn, None, None), Err("awsKms")),
        ("awsKms: ['arn:aws:kms:*:111122223333:key/*']", aws(arn, Some(role), None), Err("awsRoles")),
        (&*format!("awsKms: ['{arn}'], awsRoles: ['{role}']"), aws(arn, Some(role), None), Ok(())),
        (&*format!("awsKms: ['{arn}']"), aws(arn, Some(""), Some("")), Ok(())),
        (&*format!("awsKms: ['{arn}']"), aws(arn, None, Some("admin")), Err("awsProfiles")),
        (&*format!("awsKms: ['{arn}'], awsProfiles: [admin]"), aws(arn, None, Some("admin")), Ok(())),
        ("gcpKms: ['projects/p/**']", gcp(resource), Ok(())),
        ("gcpKms: ['projects/p/locations/*/keyRings/*/cryptoKeys/k']", gcp(resource), Ok(())),
        ("gcpKms: ['projects/q/**']", gcp(resource), Err("gcpKms")),
        ("gcpKms: ['projects/p/**']", gcp("projects/p/../q/locations/x"), Err("gcpKms")),
        ("azureKeyVault: ['https://a.vault.azure.net']", azure("https://a.vault.azure.net/", "k"), Ok(())),
        ("azureKeyVault: ['https://a.vault.azure.net/keys/k']", azure("https://a.vault.azure.net", "k"), Ok(())),
        (
            "azureKeyVault: ['https://a.vault.azure.net/keys/k']",
            azure("https://a.vault.azure.net", "l"),
            Err("azureKeyVault"),
        ),
        (
            "azureKeyVault: ['https://*.vault.azure.net']",
            azure("https://e.test?.vault.azure.net", "k"),
            Err("azureKeyVault"),
        ),
        (
            "azureKeyVault: ['https://*.vault.azure.net']",
            azure("https://e.test#.vault.azure.net", "k"),
            Err("azureKeyVault"),
        ),
        (
            "azureKeyVault: ['https://*.vault.azure.net']",
            azure("https://a@e.vault.azure.net", "k"),
            Err("azureKeyVault"),
        ),
        ("vault: ['https://v.test:8200']", vault("https://v.test:8200", "any/engine", "k"), Ok(())),
        ("vault: ['https://v.test']", vault("https://v.test:8200", "transit", "k"), Err("vault")),
        ("vault: ['https://v.test']", vault("https://v.test.evil.test", "transit", "k"), Err("vault")),
        ("vault: ['https://v.test/v1/transit/keys/a-*']", vault("https://v.test/", "/transit/", "a-db"), Ok(())),
        ("vault: ['https://v.test/v1/transit/keys/a-*']", vault("https://v.test", "transit", "b-db"), Err("vault")),
        ("vault: ['https://v.test/v1/transit/keys/a-*']", vault("https://v.test", "transit", "a-x/y"), Err("vault")),
        ("vault: ['https://v.test/v1/transit/**']", vault("https://v.test/v1/transit/..", "sys", "k"), Err("vault")),
        ("vault: ['https://v.test/v1/transit/**']", vault("https://v.test", "transit/%2e%2e/sys", "k"), Err("vault")),
        ("vault: ['https://v.test/v1/transit/**']", vault("https://u@v.test", "transit", "k"), Err("vault")),
    ] {
        let policy = granting(grant);
        assert_eq!(rule(&policy).allows_key(&key), want, "{grant} {}", crate::sops::data_key::display_name(&key));
    }
}

#[test]
fn only_secrets_come_out_unless_the_rule_says_more() {
    for (grant, api_version, kind, want) in [
        ("", "v1", "Secret", true),
        ("", "v1", "ConfigMap", false),
        ("", "evil.test/v1", "Secret", false),
        ("", "", "Secret", false),
        ("kinds: [Secret, ConfigMap]", "v1", "ConfigMap", true),
        ("kinds: [ConfigMap]", "v1", "Secret", false),
        ("kinds: []", "v1", "Secret", false),
        ("kinds: ['apps/v1/*']", "apps/v1", "Deployment", true),
        ("kinds: ['apps/v1/*']", "v1", "Secret", false),
        ("kinds: ['*']", "v1", "Pod", true),
        ("kinds: ['*']", "apps/v1", "Deployment", false),
        ("kinds: ['**']", "apps/v1", "Deployment", true),
    ] {
        assert_eq!(rule(&granting(grant)).allows_kind(api_version, kind), want, "{grant} {api_version} {kind}");
    }
}

#[test]
fn all_directories_are_usable_unless_the_rule_lists_some() {
    assert!(rule(&granting("")).allows_path("anything/x.yaml"));
    assert!(!rule(&granting("directories: []")).allows_path("anything/x.yaml"));
    let policy = granting("directories: [teams/a, shared/*]");
    for (path, want) in
        [("teams/a/x.yaml", true), ("teams/b/x.yaml", false), ("shared/x/y.yaml", true), ("x.yaml", false)]
    {
        assert_eq!(rule(&policy).allows_path(path), want, "{path}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let rule = |rule: &str| text(&[rule]);
    for (text, want) in [
        ("".to_owned(), "must be one YAML document"),
        ("[]".to_owned(), "must be a mapping (line 1, column 1)"),
        ("a: [".to_owned(), "is not YAML"),
        ("apiVersion: unsops.dev/v1\nkind: Policy\n".to_owned(), "rules: must list at least one rule"),
        (text(&[]).replace("Policy", "Secret"), "kind: must be Policy"),
        (text(&[]).replace("/v1", "/v2"), "apiVersion: must be unsops.dev/v1"),
        (text(&[]).replace("contact", "contakt"), "unknown field contakt; did you mean contact?"),
        (rule("{name: r, match: {projects: [a]}}"), "rules[0]: has no allow"),
        (rule("{name: r, allow: {}}"), "rules[0]: has no match"),
        (rule("{name: r, match: {}, allow: {}}"), "rules[0].match: is empty: for every project"),
        (rule("{name: r, match: , allow: {}}"), "rules[0].match: must be a mapping"),
        (rule("{match: {projects: [a]}, allow: {}}"), "rules[0]: has no name"),
        (rule("{name: r, match: {project: [a]}, allow: {}}"), "unknown field project; did you mean projects?"),
        (rule("{name: r, match: {projects: a}, allow: {}}"), "rules[0].match.projects: must be a list"),
        (rule("{name: r, match: {projects: [1]}, allow: {}}"), "rules[0].match.projects[0]: must be text"),
        (rule("{name: r, match: {projects: ['']}, allow: {}}"), "rules[0].match.projects[0]:  is empty"),
        (rule("{name: r, match: {paths: [../x]}, allow: {}}"), "../x may not hold '..'"),
        (rule("{name: r, match: {projects: [a]}, match: {projects: [b]}, allow: {}}"), "has match twice"),
        (rule("{name: r, match: {projects: [a]}, allow: {aws: []}}"), "unknown field aws; known are age, awsKms"),
        (rule("{name: r, match: {projects: [a]}, allow: {awskms: [a]}}"), "did you mean awsKms?"),
        (rule("{name: r, match: {projects: [a]}, allow: {age: [x]}}"), "x is not an age recipient"),
        (rule("{name: r, match: {projects: [a]}, allow: {age: ['age1*']}}"), "recipients are listed in full"),
        (rule("{name: r, match: {projects: [a]}, allow: {pgp: [ABCD]}}"), "is not the fingerprint of a PGP key"),
        (rule("{name: r, match: {projects: [a]}, allow: {awsKms: ['*']}}"), "* is not an ARN"),
        (rule("{name: r, match: {projects: [a]}, allow: {awsKms: ['arn:*']}}"), "less than the six parts"),
        (rule("{name: r, match: {projects: [a]}, allow: {gcpKms: ['p']}}"), "must begin with projects/"),
        (rule("{name: r, match: {projects: [a]}, allow: {vault: ['v.test']}}"), "is not a URL"),
        (rule("{name: r, match: {projects: ['{a,b}']}, allow: {}}"), "only *, ** and ? are special"),
        (
            text(&["{name: r, match: {projects: [a]}, allow: {}}", "{name: r, match: {projects: [b]}, allow: {}}"]),
            "two rules have the name r",
        ),
    ] {
        let Err(errors) = Policy::parse(text.as_bytes(), "policy".into()) else { panic!("no error in {text}") };
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(errors.iter().any(|error| error.contains(want)), "{text}: {errors:?}");
    }
}

#[test]
fn a_secret_key_in_the_policy_is_neither_taken_nor_shown() {
    let text = text(&["{name: r, match: {projects: [a]}, allow: {age: [AGE-SECRET-KEY-1CANARY-7f3a]}}"]);
    let Err(errors) = Policy::parse(text.as_bytes(), "policy".into()) else { panic!("taken") };
    assert!(errors.iter().all(|error| !error.to_string().contains("CANARY")), "{errors:?}");
}

#[test]
fn hostile_policies_are_refused_in_bounded_time() {
    let many_rules = text(&vec!["{name: r, match: {projects: [a]}, allow: {}}"; limits::POLICY_RULES + 1]);
    let many_patterns = text(&[&format!(
        "{{name: r, match: {{projects: [{}]}}, allow: {{}}}}",
        "a, ".repeat(limits::POLICY_PATTERNS + 1)
    )]);
    let many_errors = text(&vec!["{x: 1}"; 900]);
    let start = std::time::Instant::now();
    for text in [many_rules, many_patterns, many_errors, " ".repeat(limits::POLICY_BYTES + 1)] {
        let Err(errors) = Policy::parse(text.as_bytes(), "policy".into()) else { panic!("no error") };
        assert!(errors.len() <= limits::ERRORS);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn remarks_name_rules_that_cannot_be_meant() {
    let policy = policy(&[
        "{name: all, match: {projects: ['team-*']}, allow: {}}",
        "{name: hidden, match: {projects: [team-a], namespaces: [x]}, allow: {}}",
        "{name: seen, match: {projects: [other]}, allow: {}}",
        "{name: anyone, match: {repositories: ['https://*.test/x']}, allow: {}}",
    ]);
    let remarks: Vec<_> =
        policy.remarks().into_iter().map(|remark| format!("{}: {}", remark.rule, remark.reason)).collect();
    assert_eq!(
        remarks,
        [
            "hidden: is never reached: rule all before it matches all that it matches",
            "anyone: names no projects: it is for an application of any project",
            "anyone: https://*.test/x has a wildcard in the host, which anyone may own",
        ]
    );
}

/// A keyring that opens everything that it is asked for, with identities A and B, and remembers what it was asked.
#[derive(Default)]
struct Keys(Mutex<Vec<String>>);

impl KeyService for Keys {
    fn open(&self, request: &ShareRequest<'_>) -> Attempt {
        let mut attempt = Attempt::default();
        for (group, keys) in request.groups.iter().enumerate() {
            for key in &keys.0 {
                let name = crate::sops::data_key::display_name(key);
                self.0.lock().unwrap().push(name.to_string());
                let rule = request.identities.expect("the rule comes along");
                assert!(rule.allows_age(A) && !rule.allows_age(B));
                attempt.shares.push((group, KeyShare(SecretBytes::from("share"))));
            }
        }
        attempt.refused.push(RefusedKey {
            group: 0,
            key: "x".into(),
            refusal: Refusal::NotMine("y".into()),
            hint: None,
        });
        attempt
    }
}

fn authority(policy: Policy, project: &str) -> Authority {
    match Authority::under(policy, applicant(project, "", "", "")) {
        Ok(authority) => authority,
        Err(unsettled) => panic!("{unsettled:?}"),
    }
}

#[test]
fn a_key_that_is_not_allowed_is_not_asked_and_the_refusal_says_who_can_change_that() {
    let authority = authority(granting(&format!("age: [{A}]")), "team-a");
    let keys = Keys::default();
    let groups = [KeyGroup(vec![age(B), age(A)]), KeyGroup(vec![vault("https://v.test", "transit", "k")])];
    let attempt = authority.guard(&keys).open(&ShareRequest { groups: &groups, needed: 2, identities: None });
    assert_eq!(*keys.0.lock().unwrap(), [format!("age {A}")]);
    assert_eq!(attempt.shares.iter().map(|(group, _)| *group).collect::<Vec<_>>(), [0]);
    let refused: Vec<_> = attempt.refused.iter().map(|key| (key.group, key.key.to_string())).collect();
    assert_eq!(
        refused,
        [(0, format!("age {B}")), (0, "x".into()), (1, "hc-vault https://v.test/v1/transit/keys/k".into())]
    );
    let first = attempt.refused.first().unwrap();
    assert_eq!(first.refusal, Refusal::Denied("rule r of the policy does not allow this key".into()));
    assert_eq!(
        first.hint.as_ref().map(Printable::as_str),
        Some("the platform team can change the policy /etc/unsops/policy.yaml: rule r, allow.age")
    );
}

#[test]
fn nothing_is_asked_where_no_key_is_allowed() {
    let authority = authority(granting(""), "team-a");
    let keys = Keys::default();
    let attempt =
        authority.guard(&keys).open(&ShareRequest { groups: &[KeyGroup(vec![age(A)])], needed: 1, identities: None });
    assert!(attempt.shares.is_empty() && attempt.refused.len() == 1 && keys.0.lock().unwrap().is_empty());
}

#[test]
fn where_no_rule_matches_nothing_is_allowed() {
    let policy = policy(&["{name: r, match: {projects: [team-a]}, allow: {}}"]);
    let Err(Unsettled::NoRule(denial)) =
        Authority::under(policy, applicant("team-b", "https://u:p@git.test/x", "", ""))
    else {
        panic!("settled")
    };
    assert_eq!(
        denial.reason.as_str(),
        "no rule of the policy /etc/unsops/policy.yaml is for this application: project team-b, repository https://git.test/x"
    );
    assert_eq!(denial.hint.as_str(), "the platform team can add a rule for it to /etc/unsops/policy.yaml");
}

#[test]
fn a_kind_that_was_encrypted_is_not_named() {
    let authority = authority(granting(""), "team-a");
    let denial = authority.check_kind("v1", "CANARY-7f3a").err().unwrap();
    assert!(!format!("{denial:?}").contains("CANARY"), "{denial:?}");
    assert!(authority.check_kind("v1", "ConfigMap").err().unwrap().reason.as_str().ends_with("of kind ConfigMap"));
    assert_eq!(Authority::unrestricted().check_kind("v1", "ConfigMap"), Ok(()));
    assert_eq!(Authority::unrestricted().check_path(Path::new("/"), Path::new("x")), Ok(()));
}

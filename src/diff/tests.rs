use super::*;
use crate::sops::store::{Format, load_plain};
use crate::sops::test_encryptor::{FixedKey, encrypt};
use crate::sops::tree::Tree;
use crate::sops::{self, inspect};

const CANARY: &str = "CANARY-7f3a";
const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const OTHER_KEY: [u8; 32] = *b"another data key, another cipher";

/// An encrypted file: YAML text under a data key, with a rule.
fn file(plain: &str, key: &[u8; 32], rule: Option<(&str, &str)>) -> Vec<u8> {
    let mut tree: Tree = load_plain(Format::Yaml, plain.as_bytes()).expect("a test's YAML");
    encrypt(&mut tree, key, rule, false);
    sops::store::emit_plain(Format::Yaml, &tree).expect("YAML").into_exposed()
}

fn snapshot(file: &[u8], key: Option<&[u8; 32]>) -> Snapshot {
    let cleartext = key.map(|key| sops::decrypt(file, Format::Yaml, &FixedKey(key.to_vec())).expect("it opens"));
    let inspection = inspect(Format::Yaml, file).expect("a file");
    Snapshot::of_file(inspection, cleartext.as_ref(), &DigestKey::new([7; 32])).expect("a snapshot")
}

fn lines(diff: FileDiff) -> Vec<String> {
    let text = to_text(&[diff], &|_, line| line.to_owned());
    assert!(!text.contains(CANARY), "{text}");
    text.lines().skip(1).map(|line| line.trim_start().to_owned()).collect()
}

fn with_keys(before: &[u8], after: &[u8]) -> Vec<String> {
    lines(compare("f".into(), Some(snapshot(before, Some(&KEY))), Some(snapshot(after, Some(&KEY)))))
}

fn keyless(before: &[u8], after: &[u8]) -> Vec<String> {
    lines(compare("f".into(), Some(snapshot(before, None)), Some(snapshot(after, None))))
}

#[test]
fn nothing_changed_is_nothing() {
    let one = file("a: CANARY-7f3a\nb: [1, {c: null}]\n", &KEY, None);
    assert!(with_keys(&one, &one).is_empty());
    assert!(keyless(&one, &one).is_empty());
}

#[test]
fn values_are_compared_by_plaintext_where_keys_open_both() {
    let one = file("a: CANARY-7f3a\nb: CANARY-7f3a b\nc: 1\n", &KEY, None);
    let two = file("a: CANARY-7f3a\nb: CANARY-7f3a B\nc: '1'\nd: x\n", &KEY, None);
    let lines = with_keys(&one, &two);
    assert!(lines.contains(&"~ b: changed".to_owned()), "{lines:?}");
    assert!(lines.contains(&"~ c: same text (type int -> str)".to_owned()), "{lines:?}");
    assert!(lines.contains(&"+ d: str, encrypted, 1-15 bytes".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(" a:")), "{lines:?}");
}

#[test]
fn without_keys_only_the_length_can_tell() {
    // The test's writer counts its initialisation vectors: another first value gives all others new tokens.
    let one = file("z: 1\na: CANARY-7f3a\nb: CANARY-7f3a\n", &KEY, None);
    let two = file("y: 1\nz: 1\na: CANARY-7f3b\nb: CANARY-7f3a, longer than it was\n", &KEY, None);
    let lines = keyless(&one, &two);
    assert!(lines.contains(&"~ a: re-encrypted; cannot tell if the value changed".to_owned()), "{lines:?}");
    let changed = "~ b: changed, as its length shows (1-15 bytes -> 16-31 bytes)";
    assert!(lines.contains(&changed.to_owned()), "{lines:?}");
}

#[test]
fn values_that_lose_or_gain_encryption_are_shown() {
    let one = file("a: CANARY-7f3a\nb: x\n", &KEY, Some(("encrypted_regex", "^a$")));
    let two = file("a: CANARY-7f3a\nb: x\n", &KEY, Some(("encrypted_regex", "^b$")));
    let lines = with_keys(&one, &two);
    assert!(lines.contains(&"~ rule: encrypted_regex ^a$ -> encrypted_regex ^b$".to_owned()), "{lines:?}");
    assert!(lines.contains(&"~ a: same text (encrypted -> in clear)".to_owned()), "{lines:?}");
    assert!(lines.contains(&"~ b: same text (in clear -> encrypted)".to_owned()), "{lines:?}");
}

#[test]
fn a_value_in_clear_against_the_rule_is_a_warning() {
    let one = file("a: CANARY-7f3a\n", &KEY, None);
    let text = String::from_utf8(one.clone()).expect("text");
    let lines = keyless(&one, format!("b: CANARY-7f3a\n{text}").as_bytes());
    assert!(lines.iter().any(|line| line.starts_with("! a value stands in clear")), "{lines:?}");
    assert!(lines.contains(&"+ b: str, in clear, 1-15 bytes".to_owned()), "{lines:?}");
}

#[test]
fn another_data_key_and_the_same_values_are_said_so() {
    let (one, two) = (file("a: CANARY-7f3a\nb: 2\n", &KEY, None), file("a: CANARY-7f3a\nb: 2\n", &OTHER_KEY, None));
    let diff = compare("f".into(), Some(snapshot(&one, Some(&KEY))), Some(snapshot(&two, Some(&OTHER_KEY))));
    assert_eq!(diff.basis, Basis::Plaintext);
    assert_eq!(lines(diff), ["2 values were encrypted anew and are the same"]);
}

#[test]
fn duplicate_keys_lists_comments_and_documents_have_places_of_their_own() {
    let one = file("# c\na: [x, y]\nb: {c: 1}\n---\na: 2\n", &KEY, None);
    let two = file("# d\na: [x, z]\nb: {c: 1}\n---\na: 3\n", &KEY, None);
    let lines = with_keys(&one, &two);
    let want = ["~ document 1: comment in the top: changed", "~ document 1: a[1]: changed", "~ document 2: a: changed"];
    assert!(want.iter().all(|line| lines.contains(&(*line).to_owned())), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("a[0]")), "{lines:?}");
}

#[test]
fn added_and_removed_files_list_their_keys() {
    let one = file("a: CANARY-7f3a\n", &KEY, None);
    let added = lines(compare("f".into(), None, Some(snapshot(&one, None))));
    assert!(added.contains(&"+ a: str, encrypted, 1-15 bytes".to_owned()), "{added:?}");
    assert!(added.contains(&"+ recipient: age age1test".to_owned()), "{added:?}");
    let removed = lines(compare("f".into(), Some(snapshot(&one, None)), None));
    assert!(removed.contains(&"- a: str, encrypted, 1-15 bytes".to_owned()), "{removed:?}");
}

#[test]
fn the_list_of_changes_is_bounded() {
    let many: String = (0..3000).map(|n| format!("k{n}: v\n")).collect();
    let (one, two) = (file("a: 1\n", &KEY, None), file(&many, &KEY, None));
    let diff = compare("f".into(), Some(snapshot(&one, None)), Some(snapshot(&two, None)));
    assert_eq!(diff.changes.len(), crate::limits::DIFF_CHANGES);
    assert_eq!(diff.more, 3001 - crate::limits::DIFF_CHANGES);
}

#[test]
fn digests_of_two_runs_have_nothing_in_common() {
    let node = crate::yaml::parse(b"data: {a: QUJD}\n").ok().and_then(|mut found| found.pop()).expect("YAML").root;
    let digest =
        |key: u8| Snapshot::of_secret(&node, false, &DigestKey::new([key; 32])).values.first().map(|v| v.digest);
    assert_ne!(digest(1), digest(2));
    assert_eq!(digest(1), digest(1));
}

#[test]
fn json_is_versioned_and_holds_no_value() {
    let (one, two) = (file("a: CANARY-7f3a\n", &KEY, None), file("a: CANARY-7f3a x\n", &KEY, None));
    let json = to_json(&[compare("f".into(), Some(snapshot(&one, Some(&KEY))), Some(snapshot(&two, Some(&KEY))))]);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["version"], 1);
    assert_eq!(value["files"][0]["values"][0]["change"], "changed");
    assert!(!json.contains(CANARY));
}

//! The `sops` stanza in its three places, as sops 3.12 and 3.13 read it.

use super::*;
use crate::limits;
use crate::sops::metadata::MasterKey;
use crate::sops::tree::{Branch, Entry, Item};
use crate::yaml::Position;
use crate::yaml::timestamp::Timestamp;

fn age() -> Item {
    entry("age", Value::List(vec![branch(vec![entry("recipient", text("age1r")), entry("enc", text("E"))])]))
}

fn modified() -> Item {
    entry("lastmodified", text(LAST_MODIFIED))
}

fn pgp(created_at: Value) -> Value {
    branch(vec![entry("created_at", created_at), entry("fp", text("F")), entry("enc", text("P"))])
}

/// A stanza of these fields, and what it is read as.
fn read(fields: Vec<Item>) -> Result<Metadata, SopsError> {
    Metadata::take_nested(&mut tree(vec![entry("data", text("x")), entry("sops", branch(fields))]))
}

/// A stanza with an age key, a date and these fields.
fn read_with(more: Vec<Item>) -> Result<Metadata, SopsError> {
    let mut fields = vec![age(), modified()];
    fields.extend(more);
    read(fields)
}

fn lines(pairs: &[(&str, &str)]) -> Vec<Item> {
    pairs.iter().map(|(key, value)| entry(key, text(value))).collect()
}

#[test]
fn takes_the_stanza_out_of_every_document() {
    let mut tree =
        tree(vec![entry("a", Value::Null), entry("sops", branch(vec![age(), modified()])), entry("b", Value::Null)]);
    tree.documents.push(Branch { items: vec![entry("sops", text("not even a mapping")), entry("c", Value::Null)] });
    let metadata = Metadata::take_nested(&mut tree).expect("a stanza");
    assert_eq!(metadata.key_groups.len(), 1);
    assert_eq!(to_json(&tree), serde_json::json!([{ "m": [["a", null], ["b", null]] }, { "m": [["c", null]] }]));
    println!("figure: 2 documents");
}

#[test]
fn refuses_a_file_without_one_stanza_in_its_first_document() {
    let message = |items| error(Metadata::take_nested(&mut tree(items)));
    assert!(message(vec![]).starts_with("sops metadata not found"));
    assert!(message(vec![entry("SOPS", branch(vec![age(), modified()]))]).starts_with("sops metadata not found"));
    assert_eq!(message(vec![entry("sops", Value::Null)]), "found sops entry that is not a mapping");
    assert_eq!(message(vec![entry("sops", Value::List(vec![]))]), "found sops entry that is not a mapping");
    let stanza = || entry("sops", branch(vec![age(), modified()]));
    assert_eq!(message(vec![stanza(), stanza()]), "found duplicate sops entry");

    let mut late = tree(vec![entry("a", Value::Null)]);
    late.documents.push(Branch { items: vec![stanza()] });
    assert!(error(Metadata::take_nested(&mut late)).starts_with("sops metadata not found"));
    assert!(error(Metadata::take_nested(&mut Tree::default())).starts_with("sops metadata not found"));
    println!("figure: 7 of 7 refused");
}

#[test]
fn reads_what_only_some_versions_read() {
    let letter_case =
        read(vec![entry("LastModified", text(LAST_MODIFIED)), entry("AGE", branch(vec![entry("Enc", text("E"))]))]);
    let metadata = letter_case.expect("3.13 does not mind letter case, nor a mapping for a list of one");
    let MasterKey::Age { recipient, enc } = &metadata.key_groups[0].0[0] else { panic!("an age key") };
    assert_eq!((recipient.as_str(), enc.as_str()), ("", "E"));

    let time = Timestamp::parse_rfc3339(LAST_MODIFIED).expect("a time");
    let unquoted =
        read(vec![entry("lastmodified", Value::Time(time)), entry("pgp", Value::List(vec![pgp(Value::Time(time))]))]);
    assert!(unquoted.expect("3.12 takes timestamps").last_modified == time);

    let version = |value| read_with(vec![entry("version", value)]).expect("any scalar").version;
    assert_eq!(version(Value::Float(1.14)).as_deref(), Some("1.14"));
    assert_eq!(version(Value::Int(3)).as_deref(), Some("3"));
    assert_eq!(version(text("3.13.3")).as_deref(), Some("3.13.3"));
    assert_eq!(version(text("")), None);

    for (value, expected) in [
        (Value::Bool(true), true),
        (text("true"), true),
        (text("True"), true),
        (text("1"), true),
        (Value::Int(1), true),
        (text(""), false),
        (text("false"), false),
        (Value::Null, false),
    ] {
        let metadata = read_with(vec![entry("mac_only_encrypted", value)]).expect("a flag");
        assert_eq!(metadata.mac_only_encrypted, expected);
    }
    assert_eq!(
        error(read_with(vec![entry("mac_only_encrypted", text("yes"))])),
        "sops.mac_only_encrypted is neither true nor false"
    );
}

#[test]
fn reads_thresholds_however_they_are_written() {
    let groups = || entry("key_groups", Value::List((0..3).map(|_| branch(vec![age()])).collect()));
    let threshold = |value| {
        read(vec![groups(), modified(), entry("shamir_threshold", value)]).map(|metadata| metadata.shamir_threshold)
    };
    for value in [
        Value::Int(2),
        Value::Float(2.0),
        text("2"),
        text("2.000000"),
        text("+2"),
        text("0x2"),
        text("0b10"),
        text("002"),
    ] {
        assert_eq!(threshold(value).ok(), Some(Some(2)));
    }
    for value in [Value::Int(0), Value::Null, text(""), text("0"), Value::Float(0.0)] {
        assert_eq!(threshold(value).ok(), Some(None));
    }
    for value in [Value::Int(1), Value::Int(4), Value::Int(-1), Value::Bool(true), Value::Int(i64::MAX)] {
        assert_eq!(
            error(threshold(value)),
            "sops.shamir_threshold is neither 0 nor between 2 and the number of key groups"
        );
    }
    for value in [
        Value::Float(2.5),
        Value::Float(f64::NAN),
        Value::Float(1e300),
        text("two"),
        text("2.5"),
        text("99999999999999999999"),
        text("1_0"),
        text("0x"),
        text("-"),
        text("08"),
        Value::List(vec![]),
    ] {
        assert_eq!(error(threshold(value)), "sops.shamir_threshold is not a whole number");
    }
    // With one group sops does not look at it.
    for (written, said) in [(7, Some(7)), (1, Some(1)), (0, None), (-1, None)] {
        let metadata = read_with(vec![entry("shamir_threshold", Value::Int(written))]).expect("any number");
        assert_eq!((metadata.shamir_threshold, metadata.needed_groups()), (said, 1));
    }
}

#[test]
fn key_groups_count_only_without_keys_at_the_top() {
    let groups = || entry("key_groups", Value::List(vec![branch(vec![]), branch(vec![age()])]));
    let counts =
        |fields| -> Vec<usize> { read(fields).expect("keys").key_groups.iter().map(|group| group.0.len()).collect() };
    assert_eq!(counts(vec![groups(), modified()]), [0, 1]);
    assert_eq!(counts(vec![groups(), age(), modified()]), [1]);
    assert_eq!(
        counts(vec![groups(), entry("age", Value::List(vec![])), entry("kms", Value::Null), modified()]),
        [0, 1]
    );
    for none in [
        vec![],
        vec![entry("age", Value::Null)],
        vec![entry("pgp", Value::List(vec![]))],
        vec![entry("kms", branch(vec![]))],
    ] {
        let mut fields = none;
        fields.push(modified());
        assert_eq!(error(read(fields)), "no keys found in the sops metadata");
    }
}

#[test]
fn a_huawei_key_has_a_region_and_an_id() {
    let key = |id: &str| {
        let fields = vec![entry("key_id", text(id)), entry("created_at", text(LAST_MODIFIED))];
        read_with(vec![entry("hckms", Value::List(vec![branch(fields)]))])
    };
    assert!(key("region:uuid").is_ok());
    for id in ["", "region", ":", ":uuid", "region:", " :uuid", "region: "] {
        assert!(error(key(id)).ends_with("key_id is not in the form region:uuid"), "{id}");
    }
}

#[test]
fn keys_of_a_group_stand_in_the_order_of_sops() {
    let key = |fields: &[(&str, &str)]| {
        let mut items = lines(fields);
        items.push(entry("created_at", text(LAST_MODIFIED)));
        Value::List(vec![branch(items)])
    };
    let metadata = read(vec![
        age(),
        entry("pgp", key(&[("fp", "F")])),
        entry("hc_vault", key(&[("vault_address", "V")])),
        entry("azure_kv", key(&[("vault_url", "U")])),
        entry("hckms", key(&[("key_id", "region:uuid")])),
        entry("gcp_kms", key(&[("resource_id", "R")])),
        entry("kms", key(&[("arn", "A"), ("role", ""), ("aws_profile", "p")])),
        modified(),
    ]);
    let kinds: Vec<&str> = metadata.expect("keys").key_groups[0].0.iter().map(MasterKey::kind).collect();
    assert_eq!(kinds, ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age"]);
}

#[test]
fn every_key_but_age_has_a_date() {
    for list in ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"] {
        let message = error(read_with(vec![entry(list, Value::List(vec![branch(vec![])]))]));
        assert_eq!(message, format!("sops.{list}[0].created_at is missing"));
    }
    let message =
        error(read_with(vec![entry("pgp", Value::List(vec![pgp(text(LAST_MODIFIED)), pgp(text("2024-05-06"))]))]));
    assert_eq!(message, "sops.pgp[1].created_at is not an RFC 3339 time");
    assert_eq!(error(read(vec![age()])), "sops.lastmodified is missing");
    assert_eq!(error(read(vec![age(), entry("lastmodified", text(""))])), "sops.lastmodified is not an RFC 3339 time");
}

#[test]
fn reads_an_encryption_context() {
    let kms = |context| {
        let key = vec![entry("arn", text("A")), entry("created_at", text(LAST_MODIFIED)), entry("context", context)];
        read(vec![modified(), entry("kms", Value::List(vec![branch(key)]))]).map(|metadata| {
            match metadata.key_groups.into_iter().next().expect("a group").0.into_iter().next() {
                Some(MasterKey::AwsKms { context, role: None, .. }) => context.into_iter().collect::<Vec<_>>(),
                _ => panic!("a KMS key without role"),
            }
        })
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let context = branch(vec![entry("App", text("web")), entry("n", Value::Int(1)), entry("none", Value::Null)]);
    assert_eq!(kms(context).ok(), Some(vec![pair("App", "web"), pair("n", "1")]));
    for empty in [Value::Null, branch(vec![]), Value::List(vec![])] {
        assert_eq!(kms(empty).ok(), Some(vec![]));
    }
    assert_eq!(error(kms(text("App:web"))), "sops.kms[0].context is not a mapping");
    let twice = branch(vec![entry("App", text("a")), entry("App", text("b"))]);
    assert_eq!(error(kms(twice)), "sops.kms[0].context has a key that is written twice");
}

#[test]
fn refuses_a_second_rule_and_a_repeated_field() {
    for (one, other) in
        [("encrypted_regex", "unencrypted_suffix"), ("unencrypted_comment_regex", "encrypted_comment_regex")]
    {
        assert!(error(read_with(lines(&[(one, "a"), (other, "b")]))).contains("is a second encryption rule"));
        assert!(read_with(lines(&[(one, "a"), (other, "")])).is_ok(), "an empty rule is none");
    }
    assert_eq!(error(read_with(lines(&[("mac", "a"), ("mac", "a")]))), "sops.mac is written twice");
    assert_eq!(error(read_with(lines(&[("mac", "a"), ("MAC", "a")]))), "sops.MAC is written twice");
}

#[test]
fn refuses_a_pattern_that_it_would_read_differently() {
    assert_eq!(
        error(read_with(lines(&[("encrypted_regex", r"\p{L}")]))),
        r"sops.encrypted_regex uses \p, which is not supported"
    );
    assert!(read_with(lines(&[("encrypted_regex", "(?=x)")])).is_ok(), "Go refuses it: it never matches");
    let bomb = format!("({})+$", "(a+)+".repeat(20));
    assert!(read_with(lines(&[("encrypted_regex", &bomb)])).is_ok());
    assert_eq!(
        error(read_with(lines(&[("unencrypted_regex", &"a".repeat(1 << 20))]))),
        "sops.unencrypted_regex is a regular expression of more than 4096 bytes"
    );
}

#[test]
fn ignores_what_it_does_not_know() {
    let mut fields =
        vec![age(), modified(), entry("attention", text("!")), entry("barbican", Value::List(vec![Value::Null]))];
    fields.insert(0, Item::Comment(comment(" by hand")));
    assert!(read(fields).is_ok());
    let list = Value::List(vec![Value::Comment(comment(" by hand")), branch(vec![entry("enc", text("E"))])]);
    assert_eq!(read(vec![modified(), entry("age", list)]).expect("one key").key_groups[0].0.len(), 1);
}

#[test]
fn counts_keys_and_groups() {
    let keys = |count| Value::List((0..count).map(|_| branch(vec![entry("enc", text("E"))])).collect());
    assert!(read(vec![modified(), entry("age", keys(limits::MASTER_KEYS))]).is_ok());
    assert!(
        error(read(vec![modified(), entry("age", keys(limits::MASTER_KEYS + 1))])).starts_with("sops.age has more")
    );
    let halves = || branch(vec![entry("age", keys(limits::MASTER_KEYS / 2))]);
    let groups = |count| entry("key_groups", Value::List((0..count).map(|_| halves()).collect()));
    assert!(read(vec![modified(), groups(2)]).is_ok());
    assert!(error(read(vec![modified(), groups(3)])).starts_with("sops.key_groups[2].age has more"));
    let empty = |count| entry("key_groups", Value::List((0..count).map(|_| branch(vec![])).collect()));
    assert!(read(vec![modified(), empty(limits::KEY_GROUPS)]).is_ok());
    assert!(error(read(vec![modified(), empty(limits::KEY_GROUPS + 1)])).starts_with("sops.key_groups has more"));
}

#[test]
fn says_where_a_field_stands() {
    let position = Position { line: 7, column: 9 };
    let bad = Item::Entry(Entry { key: "lastmodified".to_owned(), value: text("yesterday"), position });
    assert_eq!(error(read(vec![age(), bad])), "sops.lastmodified is not an RFC 3339 time (line 7, column 9)");
}

#[test]
fn takes_flattened_lines_out_of_a_dotenv_file() {
    let mut file = tree(lines(&[
        ("A", "1"),
        ("sops_age__list_0__map_recipient", "age1r"),
        ("sops_lastmodified", LAST_MODIFIED),
        ("sops_key_groups__list_0__map_pgp__list_0__map_fp", "ignored"),
        ("sops_kms__list_1__map_arn", "second"),
        ("sops_kms__list_0__map_context__map_App", "web"),
        ("sops_kms__list_0__map_arn", "first"),
        ("sops_kms__list_0__map_created_at", LAST_MODIFIED),
        ("sops_kms__list_1__map_created_at", LAST_MODIFIED),
        ("sops_unknown", "x"),
        ("sops_age__list_0__map_enc", "-----BEGIN\nline"),
        ("SOPS_B", "2"),
    ]));
    let metadata = Metadata::take_prefixed(&mut file).expect("a stanza");
    let keys = &metadata.key_groups[0].0;
    assert!(
        matches!(&keys[0], MasterKey::AwsKms { arn, context, .. } if arn == "first" && context.contains_key("App"))
    );
    assert!(matches!(&keys[1], MasterKey::AwsKms { arn, .. } if arn == "second"));
    assert!(matches!(&keys[2], MasterKey::Age { enc, .. } if enc == "-----BEGIN\nline"));
    assert_eq!(to_json(&file), to_json(&tree(lines(&[("A", "1"), ("SOPS_B", "2")]))));
    assert!(error(Metadata::take_prefixed(&mut tree(lines(&[("A", "1")])))).starts_with("sops metadata not found"));
}

#[test]
fn takes_a_flattened_section_out_of_an_ini_file() {
    let section = lines(&[
        ("lastmodified", LAST_MODIFIED),
        ("shamir_threshold", "2.000000"),
        ("age__list_0__map_enc", r"-----BEGIN\nescaped"),
        ("age__list_1__map_enc", "-----BEGIN\nraw"),
    ]);
    let mut file = tree(vec![entry("DEFAULT", branch(vec![])), entry("sops", branch(section))]);
    let metadata = Metadata::take_section(&mut file).expect("a stanza");
    let encs: Vec<&str> = metadata.key_groups[0]
        .0
        .iter()
        .map(|key| match key {
            MasterKey::Age { enc, .. } => enc.as_str(),
            _ => panic!("an age key"),
        })
        .collect();
    assert_eq!(encs, ["-----BEGIN\nescaped", "-----BEGIN\nraw"]);
    assert_eq!(file.documents[0].items.len(), 1);
}

#[test]
fn refuses_flattened_lines_that_do_not_fit_together() {
    for (pairs, reason) in [
        (&[("a", "1"), ("a", "2")][..], "a: written twice (duplicate value)"),
        (&[("a", "1"), ("a__map_b", "2")], "a__map_b: both a value and a mapping or list (type mismatch)"),
        (&[("a__map_b", "2"), ("a", "1")], "a: both a value"),
        (&[("a__map_b", "2"), ("a__list_0", "1")], "a__list_0: both a value"),
        (&[("a__list_0", "1"), ("a__list_2", "1")], "a: a list has gaps (incomplete list)"),
        (&[("a__list_1", "1")], "a: a list has gaps"),
        (&[("a__list_18446744073709551615", "1")], "a: a list has gaps"),
        (&[("a__list_18446744073709551616", "1")], "a__list_18446744073709551616: the list index is not a number"),
        (&[("a__list_-1", "1")], "a__list_-1: the list index is not a number"),
        (&[("a__list_", "1")], "a__list_: the list index is not a number"),
        (&[("__list_0", "1"), ("__map_b", "1")], "__map_b: both a value"),
    ] {
        let prefixed: Vec<Item> = pairs.iter().map(|(key, value)| entry(&format!("sops_{key}"), text(value))).collect();
        let message = error(Metadata::take_prefixed(&mut tree(prefixed)));
        assert!(message.starts_with(&format!("sops metadata {reason}")), "{message}");
    }
}

#[test]
fn bounds_hostile_flattened_lines() {
    let deep = format!("sops_{}", "a__map_".repeat(1 << 20));
    assert!(error(Metadata::take_prefixed(&mut tree(lines(&[(&deep, "1")])))).contains("nested too deeply"));
    let many = (0..=limits::METADATA_ENTRIES).map(|index| entry(&format!("sops_a__list_{index}"), text("1"))).collect();
    assert!(error(Metadata::take_prefixed(&mut tree(many))).contains("more than 20000 entries"));
}

/// `stores/flatten_test.go` of sops: names that only look like separators.
#[test]
fn splits_keys_as_sops_does() {
    let file = tree(lines(&[
        ("sops_lastmodified", LAST_MODIFIED),
        ("sops_age__list_0__map_enc", "E"),
        ("sops_kms__map_", ""),
        ("sops_a__mapb", ""),
        ("sops___map_a", ""),
    ]));
    let mut file = file;
    // `kms: {"": ""}` is a list of one key, which has no date.
    assert_eq!(error(Metadata::take_prefixed(&mut file)), "sops.kms[0].created_at is missing");
}

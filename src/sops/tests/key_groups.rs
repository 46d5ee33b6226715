//! Key groups and Shamir shares.

use super::*;
use crate::sops::metadata::{KeyGroup, MasterKey};
use crate::sops::rules::Rules;
use crate::yaml::timestamp::Timestamp;

/// Shares of [`KEY`], made by `shamir.Split` of sops 3.13.3; the last byte is x.
const TWO_OF_THREE: [&str; 3] = [
    "bf8f36470131123c6e5989d86601f7f12154b7bbecf9b2b78c8336742ee76c8301",
    "35563adb5e3d7e2194f9aa0d69ae5a5312fb23389fb6252c4b56cf4ef97977b702",
    "bae83eaf6b395a2ac29942b76ccbc8c4039ea6b0477aa1acffec9858b4fa7e5203",
];
const THREE_OF_FIVE: [&str; 5] = [
    "63227482734f9db89041bb5b50764eb78259b26f34998ac8bb47044241168c9e01",
    "78f7f5b6036115708d43448493331e4dfbfad31e5c03c57bad5c644c1855d79602",
    "2be4b307441bbeff253b9ebda021359c499253425caf79842e22016c3a273e6e03",
    "350b90ff882bd3aa9cd335d3f61d274e5bd02e0b5f96bd3d1fa17a9d697fedf104",
    "6618d64ecf51782534abefeac50f0c9fe9b8ae575f3a01c29cdf1fbd4b0d040905",
];
/// The first and the last two of 255.
const TWO_OF_MANY: [&str; 3] = [
    "fc7720cb944a94747c979cf7d0e03768a15aff4a8d0974d7382e2e10ed2ff1a901",
    "4efcac13233cc6d112ad6ad5145404e55294b20815da2edf388ce3f105332c01fe",
    "82babeeb8343649256039740a7d056ebc3ff7f71ace66c3f389bac838b78b8ceff",
];

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    hexadecimal.as_bytes().chunks(2).map(digits).collect()
}

fn shares<const N: usize>(all: [&str; N], chosen: impl IntoIterator<Item = usize>) -> Shares {
    Shares(chosen.into_iter().map(|index| (index, bytes(all[index]))).collect())
}

/// A file of that many groups, one age key each.
fn metadata(groups: usize, shamir_threshold: Option<usize>) -> Metadata {
    let key = || MasterKey::Age { recipient: "age1test".to_owned(), enc: String::new() };
    Metadata {
        key_groups: (0..groups).map(|_| KeyGroup(vec![key()])).collect(),
        shamir_threshold,
        mac: String::new(),
        last_modified: Timestamp::parse_rfc3339(LAST_MODIFIED).expect("a time"),
        rules: Rules::default(),
        mac_only_encrypted: false,
        version: None,
    }
}

fn recovered(metadata: &Metadata, shares: &Shares) -> Result<[u8; 32], SopsError> {
    data_key::recover(metadata, shares).map(|recovered| *recovered.key.expose())
}

#[test]
fn every_subset_that_is_large_enough_recovers_the_key() {
    for mask in 0_u32..32 {
        let chosen = (0..5).filter(|index| mask & (1 << index) != 0);
        let result = recovered(&metadata(5, Some(3)), &shares(THREE_OF_FIVE, chosen));
        if mask.count_ones() >= 3 {
            assert_eq!(result.ok(), Some(KEY), "{mask:05b}");
        } else {
            assert_eq!(code(&result), 6, "{mask:05b}");
        }
    }
    println!("figure: 16 of 16 subsets of a 3-of-5 recover the key, 16 of 16 smaller ones do not");
}

#[test]
fn two_shares_are_tried_where_the_file_does_not_say_how_many() {
    for pair in [[0, 1], [0, 2], [1, 2]] {
        for threshold in [Some(2), None] {
            let result = recovered(&metadata(3, threshold), &shares(TWO_OF_THREE, pair));
            assert_eq!(result.ok(), Some(KEY), "{pair:?} {threshold:?}");
        }
    }
    let far = Shares([(0, bytes(TWO_OF_MANY[0])), (254, bytes(TWO_OF_MANY[2]))].into());
    assert_eq!(recovered(&metadata(255, None), &far).ok(), Some(KEY));
}

#[test]
fn too_few_shares_without_threshold_are_a_key_failure_not_an_attack() {
    let recovered = data_key::recover(&metadata(5, None), &shares(THREE_OF_FIVE, [0, 1])).expect("enough to try");
    assert_ne!(recovered.key.expose(), &KEY);
    assert_eq!(recovered.doubt.expect("three groups are closed").refused.len(), 3);
    let sure = data_key::recover(&metadata(5, None), &shares(THREE_OF_FIVE, 0..5)).expect("all open");
    assert_eq!((sure.key.expose(), sure.doubt.is_none()), (&KEY, true));
}

#[test]
fn one_group_ignores_the_threshold() {
    let result = recovered(&metadata(1, Some(3)), &Shares([(0, KEY.to_vec())].into()));
    assert_eq!(result.ok(), Some(KEY));
    assert_eq!(metadata(1, Some(3)).needed_groups(), 1);
}

#[test]
fn names_the_group_whose_share_does_not_belong() {
    let x_of = |share: &str, x: u8| {
        let mut share = bytes(share);
        *share.last_mut().expect("33 bytes") = x;
        share
    };
    for (share, reason) in [
        (x_of(TWO_OF_THREE[1], 1), "same x"),
        (x_of(TWO_OF_THREE[1], 0), "x = 0"),
        (bytes(TWO_OF_THREE[1])[1..].to_vec(), "another length"),
        (vec![2], "another length"),
        (vec![], "another length"),
    ] {
        let given = Shares([(0, bytes(TWO_OF_THREE[0])), (2, share)].into());
        let Err(SopsError::Key(failure)) = recovered(&metadata(3, Some(2)), &given) else { panic!("{reason}") };
        let blamed = failure.refused.last().expect("the reason");
        assert_eq!((blamed.group, blamed.key.as_str()), (2, "key_groups[2]"), "{reason}");
        assert!(format!("{:?}", blamed.refusal).contains(reason), "{:?}", blamed.refusal);
    }
}

#[test]
fn a_corrupted_share_makes_another_key() {
    let mut share = bytes(TWO_OF_THREE[1]);
    share[5] ^= 1;
    let given = Shares([(0, bytes(TWO_OF_THREE[0])), (1, share)].into());
    assert_ne!(recovered(&metadata(3, Some(2)), &given).ok(), Some(KEY));
}

#[test]
fn shares_of_a_shorter_secret_are_no_data_key() {
    let given = Shares([(0, vec![1, 2, 1]), (1, vec![3, 4, 2])].into());
    assert_eq!(code(&recovered(&metadata(2, Some(2)), &given)), 6);
}

#[test]
fn counts_a_group_once_whatever_the_service_says() {
    struct Twice;
    impl KeyService for Twice {
        fn open(&self, _: &data_key::ShareRequest<'_>) -> data_key::Attempt {
            let share = |index: usize| data_key::KeyShare(crate::secret::Secret::new(bytes(TWO_OF_THREE[index])));
            data_key::Attempt {
                shares: vec![(0, share(0)), (0, share(1)), (3, share(2)), (9, share(2))],
                refused: Vec::new(),
            }
        }
    }
    assert_eq!(code(&data_key::recover(&metadata(3, Some(2)), &Twice)), 6);
}

#[test]
fn says_how_many_groups_opened() {
    let message = |groups, threshold, open: usize| {
        error(recovered(&metadata(groups, threshold), &shares(THREE_OF_FIVE, 0..open)))
    };
    assert_eq!(message(1, None, 0), "none of this file's keys could be opened");
    assert_eq!(message(5, Some(3), 1), "1 of this file's 5 key groups could be opened, and 3 are needed");
    assert_eq!(message(3, None, 1), "1 of this file's 3 key groups could be opened, and 3 are needed");
    let failure = crate::sops::KeyFailure { groups: 5, needed: 3, opened: 3, refused: Vec::new() };
    assert_eq!(SopsError::Key(failure).to_string(), "the shares of 3 of this file's 5 key groups do not fit together");
}

#[test]
fn display_names_are_those_of_sops() {
    let text = str::to_owned;
    let context = [("App".to_owned(), "web".to_owned()), ("Env".to_owned(), "prod".to_owned())];
    for (key, name) in [
        (MasterKey::Age { recipient: text("age1abc"), enc: text("") }, "age age1abc"),
        (MasterKey::Pgp { fingerprint: text("FBC7!"), enc: text("") }, "pgp FBC7!"),
        (
            MasterKey::AwsKms {
                arn: text("arn:aws:kms:eu-west-1:1:key/a"),
                role: Some(text("arn:aws:iam::1:role/r")),
                context: context.into(),
                aws_profile: Some(text("dev")),
                enc: text(""),
            },
            "aws-kms arn:aws:kms:eu-west-1:1:key/a+arn:aws:iam::1:role/r|App:web,Env:prod|dev",
        ),
        (MasterKey::GcpKms { resource_id: text("projects/p"), enc: text("") }, "gcp-kms projects/p"),
        (
            MasterKey::AzureKeyVault {
                vault_url: text("https://v.vault.azure.net"),
                name: text("n"),
                version: text("1"),
                enc: text(""),
            },
            "azure-kv https://v.vault.azure.net/keys/n/1",
        ),
        (
            MasterKey::HcVault {
                vault_address: text("https://vault:8200"),
                engine_path: text("transit"),
                key_name: text("k"),
                enc: text(""),
            },
            "hc-vault https://vault:8200/v1/transit/keys/k",
        ),
        (MasterKey::HuaweiKms { key_id: text("r:u") }, "hckms r:u"),
    ] {
        assert_eq!(data_key::display_name(&key).as_str(), name);
    }
    let aws = |context: &[(&str, &str)], profile: Option<&str>| {
        let context = context.iter().map(|(key, value)| (text(key), text(value))).collect();
        let aws_profile = profile.map(text);
        let key = MasterKey::AwsKms { arn: text("arn:k"), role: None, context, aws_profile, enc: text("") };
        data_key::display_name(&key).as_str().to_owned()
    };
    assert_eq!(aws(&[], None), "aws-kms arn:k");
    assert_eq!(aws(&[("App", "web")], None), "aws-kms arn:k|App:web");
    assert_eq!(aws(&[], Some("dev")), "aws-kms arn:k||dev");
    let hostile = MasterKey::Age { recipient: "\u{1b}[2J\n".repeat(1_000_000), enc: text("") };
    let name = data_key::display_name(&hostile);
    assert!(name.as_str().len() < 2000 && !name.as_str().contains('\u{1b}'));
}

#[test]
fn shares_that_were_too_few_are_to_blame_for_a_mac_that_does_not_decrypt() {
    use crate::sops::{Format, store};
    let file = |has_mac: bool| {
        let mut tree = tree(vec![entry("a", text("x"))]);
        encrypt(&mut tree, &KEY, None, false);
        let mut stanza = crate::sops::tree::Branch::default();
        let group = || branch(vec![entry("age", Value::List(vec![branch(vec![entry("enc", text("e"))])]))]);
        for item in std::mem::take(&mut tree.documents[0].items) {
            match item {
                crate::sops::tree::Item::Entry(mut entry) if entry.key == "sops" => {
                    if let Value::Branch(fields) = &mut entry.value {
                        stanza.items = std::mem::take(&mut fields.items);
                    }
                }
                item => tree.documents[0].items.push(item),
            }
        }
        stanza.items.retain(|item| match item {
            crate::sops::tree::Item::Entry(entry) => entry.key != "age" && (has_mac || entry.key != "mac"),
            crate::sops::tree::Item::Comment(_) => true,
        });
        stanza.items.push(entry("key_groups", Value::List((0..5).map(|_| group()).collect())));
        tree.documents[0].items.push(entry("sops", Value::Branch(stanza)));
        store::emit_plain(Format::Yaml, &tree).expect("a file").expose().clone()
    };
    let open =
        |has_mac, chosen: usize| crate::sops::decrypt(&file(has_mac), Format::Yaml, &shares(THREE_OF_FIVE, 0..chosen));
    // Two are enough to try where the file names no threshold; three are needed.
    assert_eq!((code(&open(true, 3)), code(&open(true, 2))), (0, 6));
    // A MAC that was taken out is an attack whatever the key.
    assert_eq!((code(&open(false, 5)), code(&open(false, 2))), (7, 7));
    let strange = Shares((0..5).map(|group| (group, vec![group as u8 + 1; 33])).collect());
    assert_ne!(code(&crate::sops::decrypt(&file(true), Format::Yaml, &strange)), 0);
}

//! What an attacker would change, and what a change of the format's own making looks like.

use proptest::prelude::*;

use super::*;
use crate::secret::{Secret, SecretBytes};
use crate::sops::tree::{Branch, Comment, Entry, Item};
use crate::yaml::timestamp::Timestamp;

/// A tree with a value of every type, encrypted and in clear.
fn plain() -> Tree {
    let time = Timestamp::parse_rfc3339("2001-02-03T04:05:06.7+08:00").expect("a time");
    tree(vec![
        Item::Comment(comment(" a comment")),
        entry("name", text("db")),
        entry("digits", text("123")),
        entry("empty", text("")),
        entry("port", Value::Int(5432)),
        entry("ratio", Value::Float(0.25)),
        entry("tls", Value::Bool(true)),
        entry("since", Value::Time(time)),
        entry("nothing", Value::Null),
        entry("users", Value::List(vec![text("alice"), text("bob"), Value::Comment(comment(" none"))])),
        entry("nested", branch(vec![entry("name", text("inner")), entry("users", Value::List(vec![text("carol")]))])),
        entry("kind_unencrypted", text("Secret")),
        entry("count_unencrypted", Value::Int(3)),
    ])
}

fn encrypted() -> Tree {
    encrypted_with(false)
}

fn encrypted_with(is_only_encrypted: bool) -> Tree {
    let mut tree = plain();
    encrypt(&mut tree, &KEY, None, is_only_encrypted);
    tree
}

fn decrypted(tree: Tree) -> Result<Tree, SopsError> {
    decrypt_tree(tree, &FixedKey(KEY.to_vec()))
}

/// The value of a key at the top.
fn at<'a>(tree: &'a mut Tree, key: &str) -> &'a mut Value {
    in_branch(&mut tree.documents[0], key)
}

fn in_branch<'a>(branch: &'a mut Branch, key: &str) -> &'a mut Value {
    let entry = branch.items.iter_mut().find_map(|item| match item {
        Item::Entry(entry) if entry.key == key => Some(entry),
        _ => None,
    });
    &mut entry.expect("the key is there").value
}

fn stanza<'a>(tree: &'a mut Tree, key: &str) -> &'a mut Value {
    match at(tree, "sops") {
        Value::Branch(stanza) => in_branch(stanza, key),
        _ => panic!("the stanza is a mapping"),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Str(text) => text.expose().clone(),
        _ => panic!("not a string"),
    }
}

fn replace(value: &mut Value, from: &str, to: &str) {
    let changed = String::from_utf8(bytes(value)).expect("a token is ASCII").replace(from, to);
    *value = text(&changed);
}

/// Every encrypted value below a value, in order; not the comments.
fn tokens(value: &mut Value) -> Vec<&mut SecretBytes> {
    match value {
        Value::Branch(branch) => in_order(branch),
        Value::List(list) => list.iter_mut().flat_map(tokens).collect(),
        Value::Str(text) if text.expose().starts_with(b"ENC[") && !text.expose().ends_with(b"type:comment]") => {
            vec![text]
        }
        _ => Vec::new(),
    }
}

fn in_order(branch: &mut Branch) -> Vec<&mut SecretBytes> {
    let values = branch.items.iter_mut().filter_map(|item| match item {
        Item::Entry(entry) => Some(&mut entry.value),
        Item::Comment(_) => None,
    });
    values.flat_map(tokens).collect()
}

#[test]
fn opens_what_nobody_changed() {
    for is_only_encrypted in [false, true] {
        let opened = decrypted(encrypted_with(is_only_encrypted));
        assert_eq!(code(&opened), 0);
        assert_eq!(to_json(&opened.expect("code 0")), to_json(&plain()));
    }
}

#[test]
fn notices_every_flipped_bit_of_every_token() {
    let mut sample = encrypted();
    let lengths: Vec<usize> = in_order(&mut sample.documents[0]).iter().map(|token| token.expose().len()).collect();
    assert_eq!(lengths.len(), 11, "ten values and the MAC");
    let bits = 8 * lengths.iter().sum::<usize>();
    for (index, length) in lengths.into_iter().enumerate() {
        for bit in 0..8 * length {
            let mut tree = encrypted();
            let token = in_order(&mut tree.documents[0]).into_iter().nth(index).expect("counted");
            let mut changed = token.expose().clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            *token = Secret::new(changed);
            assert!([5, 7].contains(&code(&decrypted(tree))), "token {index}, bit {bit}");
        }
    }
    println!("figure: {bits} bits of 11 tokens flipped one by one, 0 accepted");
}

#[test]
fn refuses_a_token_cut_at_any_byte_or_with_anything_after_it() {
    let cipher = Cipher::new(&data_key::DataKey::from_bytes(&Secret::new(KEY.to_vec())).expect("32 bytes"));
    let token = bytes(at(&mut encrypted(), "name"));
    assert!(cipher.open(&token, b"name:").is_ok());
    for length in 0..token.len() {
        assert!(cipher.open(&token[..length], b"name:").is_err(), "{length}");
    }
    for tail in ["\n", "\r", " ", "]", "x", "\0", ",type:str]", "ENC[AES256_GCM,"] {
        let longer = [token.as_slice(), tail.as_bytes()].concat();
        assert!(cipher.open(&longer, b"name:").is_err(), "{tail:?}");
        let longer = [tail.as_bytes(), token.as_slice()].concat();
        assert!(cipher.open(&longer, b"name:").is_err(), "{tail:?} before");
    }
    println!("figure: {} lengths and 16 additions, 0 accepted", token.len());
}

#[test]
fn refuses_tokens_that_sops_never_wrote() {
    let iv = |length| format!("ENC[AES256_GCM,data:{0},iv:{1},tag:{2},type:str]", b64(3), b64(length), b64(16));
    let tag = |length| format!("ENC[AES256_GCM,data:{0},iv:{1},tag:{2},type:str]", b64(3), b64(32), b64(length));
    let mut tokens: Vec<String> = [0, 1, 12, 16, 31, 33, 64, 1000].map(iv).into();
    tokens.extend([0, 4, 12, 15, 17, 32].map(tag));
    tokens.extend([
        iv(32).replace("type:str", "type:string"),
        iv(32).replace("type:str", "type:"),
        iv(32).replace("AES256_GCM", "AES128_GCM"),
        iv(32).replace("AAAA", "AA=="),
        iv(32).replace("AAAA,iv", "AAA,iv"),
        iv(32).replace("data:AAAA", "data:"),
        iv(32).replace("data:AAAA", "data:AA\nAA"),
        "ENC[]".to_owned(),
        "ENC[AES256_GCM,data:".to_owned(),
    ]);
    let count = tokens.len();
    for token in tokens {
        let mut tree = encrypted();
        *at(&mut tree, "name") = text(&token);
        assert!([5, 7].contains(&code(&decrypted(tree))), "{token}");
    }
    println!("figure: {count} kinds of tokens that sops never wrote, 0 accepted");
}

fn b64(length: usize) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(vec![0; length])
}

#[test]
fn refuses_tokens_that_moved() {
    let mut tree = encrypted();
    let (name, digits) = (bytes(at(&mut tree, "name")), bytes(at(&mut tree, "digits")));
    *at(&mut tree, "name") = Value::Str(Secret::new(digits));
    *at(&mut tree, "digits") = Value::Str(Secret::new(name));
    assert_eq!(code(&decrypted(tree)), 7);

    let mut tree = encrypted();
    let name = bytes(at(&mut tree, "name"));
    let Value::Branch(nested) = at(&mut tree, "nested") else { panic!("a mapping") };
    *in_branch(nested, "name") = Value::Str(Secret::new(name));
    assert_eq!(
        error(decrypted(tree)),
        "value nested.name: does not decrypt: it was changed, moved, or encrypted with another key"
    );
    println!("figure: 2 moves, 0 accepted");
}

#[test]
fn refuses_list_elements_in_another_order() {
    let mut tree = encrypted();
    let Value::List(users) = at(&mut tree, "users") else { panic!("a list") };
    users.swap(0, 1);
    let result = decrypted(tree);
    assert_eq!(code(&result), 7);
    assert!(error(result).starts_with("the MAC does not match"));
    println!("figure: 2 elements swapped, both decrypt, the MAC does not match");
}

#[test]
fn refuses_a_file_without_its_own_mac() {
    let changes: [fn(&mut Tree); 6] = [
        |tree| *stanza(tree, "mac") = Value::Null,
        |tree| *stanza(tree, "mac") = text(""),
        |tree| *stanza(tree, "mac") = text("0123456789ABCDEF"),
        |tree| replace(stanza(tree, "mac"), "type:str", "type:comment"),
        |tree| *stanza(tree, "lastmodified") = text("2024-05-06T07:08:10Z"),
        |tree| {
            let mut other = super::tree(vec![entry("other", text("file"))]);
            encrypt(&mut other, &KEY, None, false);
            *stanza(tree, "mac") = text(&String::from_utf8(bytes(stanza(&mut other, "mac"))).expect("ASCII"));
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut tree = encrypted();
        change(&mut tree);
        assert_eq!(code(&decrypted(tree)), 7, "{index}");
    }
    println!("figure: 6 of 6 refused");
}

#[test]
fn mac_only_encrypted_leaves_clear_values_open_and_nothing_else_does() {
    let changes: [fn(&mut Tree); 4] = [
        |tree| *at(tree, "kind_unencrypted") = text("ConfigMap"),
        |tree| *at(tree, "count_unencrypted") = Value::Float(3.5),
        |tree| *at(tree, "count_unencrypted") = Value::Null,
        |tree| tree.documents[0].items.push(entry("more_unencrypted", text("x"))),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        for (is_only_encrypted, expected) in [(false, 7), (true, 0)] {
            let mut tree = encrypted_with(is_only_encrypted);
            change(&mut tree);
            assert_eq!(code(&decrypted(tree)), expected, "{index} {is_only_encrypted}");
        }
    }
    // The flag itself cannot be switched: the two MACs begin differently.
    let mut tree = encrypted_with(true);
    *stanza(&mut tree, "mac_only_encrypted") = Value::Bool(false);
    assert_eq!(code(&decrypted(tree)), 7);
    println!("figure: 4 of 4 changes refused, 4 of 4 accepted where the file says so, 1 switch refused");
}

/// What the format does not bind. README says so; this pins it.
#[test]
fn known_limits_of_the_format() {
    let changes: [fn(&mut Tree); 5] = [
        |tree| {
            for item in &mut tree.documents[0].items {
                if let Item::Entry(Entry { key, .. }) = item
                    && key == "kind_unencrypted"
                {
                    *key = "renamed_unencrypted".to_owned();
                }
            }
        },
        |tree| tree.documents[0].items.push(entry("more", Value::Null)),
        |tree| tree.documents[0].items.push(entry("more", text(""))),
        |tree| tree.documents[0].items[0] = Item::Comment(comment(" another")),
        |tree| replace(at(tree, "digits"), "type:str", "type:int"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut tree = encrypted();
        change(&mut tree);
        assert_eq!(code(&decrypted(tree)), 0, "{index}");
    }
    println!("figure: 5 limits, 5 as documented");
}

#[test]
fn refuses_a_type_that_does_not_fit() {
    for (key, from, to) in [
        ("name", "type:str", "type:int"),
        ("name", "type:str", "type:float"),
        ("name", "type:str", "type:bool"),
        ("name", "type:str", "type:time"),
        ("name", "type:str", "type:comment"),
        ("tls", "type:bool", "type:int"),
        ("ratio", "type:float", "type:int"),
        ("since", "type:time", "type:float"),
    ] {
        let mut tree = encrypted();
        replace(at(&mut tree, key), from, to);
        let result = decrypted(tree);
        assert_eq!(code(&result), 7, "{key} {to}");
        assert!(error(result).starts_with(&format!("value {key}: ")), "{key} {to}");
    }
}

#[test]
fn a_list_element_turned_into_a_comment_fails_the_mac() {
    let mut tree = encrypted();
    let Value::List(users) = at(&mut tree, "users") else { panic!("a list") };
    replace(&mut users[0], "type:str", "type:comment");
    assert_eq!(code(&decrypted(tree)), 7);
}

#[test]
fn names_a_value_that_is_not_encrypted_and_does_not_show_it() {
    for value in
        [text("hunter2"), Value::Int(7_654_321), Value::Bool(true), Value::Float(76.54321), text("ENC[hunter2]")]
    {
        let mut tree = encrypted();
        let Value::List(users) = at(&mut tree, "users") else { panic!("a list") };
        users[1] = value;
        let result = decrypted(tree);
        assert_eq!(code(&result), 5);
        let message = error(result);
        assert!(message.starts_with("value users[1]: not "), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("765") && !message.contains("76."), "{message}");
    }
}

#[test]
fn refuses_a_rule_that_takes_too_long_on_the_file() {
    let keys = (0..100).map(|index| entry(&format!("{index}{}", "a".repeat(1000)), Value::Null)).collect();
    let mut tree = tree(keys);
    encrypt(&mut tree, &KEY, Some(("unencrypted_regex", "z{1000}z{1000}z{1000}")), false);
    let message = error(decrypted(tree));
    assert!(message.contains("the regular expression of the sops metadata would take too long"), "{message}");
}

#[test]
fn keeps_comments_that_do_not_decrypt() {
    let mut tree = encrypted();
    for text in [" by hand", "ENC[AES256_GCM,data:AAAA", ""] {
        tree.documents[0].items.push(Item::Comment(Comment { text: text.into(), is_inline: true }));
    }
    let opened = decrypted(tree).expect("comments are not in the MAC");
    let kept: Vec<(&[u8], bool)> = opened.documents[0].items[14 - 1..]
        .iter()
        .filter_map(|item| match item {
            Item::Comment(comment) => Some((comment.text.expose().as_slice(), comment.is_inline)),
            Item::Entry(_) => None,
        })
        .collect();
    assert_eq!(kept, [(&b" by hand"[..], true), (b"ENC[AES256_GCM,data:AAAA", true), (b"", true)]);
}

#[test]
fn refuses_a_value_in_the_place_of_a_comment() {
    let mut tree = encrypted();
    // Both are bound to `users:` only.
    let Value::List(users) = at(&mut tree, "users") else { panic!("a list") };
    let Value::Str(token) = std::mem::replace(&mut users[0], Value::Null) else { panic!("a token") };
    users[0] = Value::Comment(Comment { text: token, is_inline: false });
    assert_eq!(code(&decrypted(tree)), 7);
}

#[test]
fn refuses_data_keys_of_another_length_and_the_wrong_one() {
    for length in [0, 16, 31, 33] {
        let result = decrypt_tree(encrypted(), &FixedKey(vec![7; length]));
        assert_eq!(code(&result), 6, "{length}");
    }
    assert_eq!(code(&decrypt_tree(encrypted(), &FixedKey(vec![7; 32]))), 7);
    println!("figure: 5 of 5 refused");
}

#[test]
fn says_whether_a_value_is_in_clear_or_a_damaged_token() {
    let message = |value: Value| {
        let mut tree = encrypted();
        *at(&mut tree, "name") = value;
        error(decrypted(tree))
    };
    let in_clear = message(Value::Int(1));
    assert_eq!(message(text("CANARY-7f3a")), in_clear);
    assert_eq!(message(text("xENC[AES256_GCM,data:")), in_clear);
    assert!(in_clear.starts_with("value name: "), "{in_clear}");
    let damaged = message(text("ENC[AES256_GCM,data:"));
    assert_eq!(damaged, "value name: not in the form ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]");
}

#[test]
fn a_comment_that_the_rule_leaves_in_clear_stays_as_it_stands() {
    let conf = || branch(vec![Item::Comment(comment(" note")), entry("nothing", Value::Null)]);
    let mut tree = tree(vec![entry("conf", conf()), entry("name", text("db"))]);
    encrypt(&mut tree, &KEY, None, false);
    // The rule is not authenticated, and the MAC covers no comments.
    let Value::Branch(sops) = at(&mut tree, "sops") else { panic!("a mapping") };
    sops.items.push(entry("unencrypted_regex", text("^conf$")));
    let mut opened = decrypted(tree).expect("the MAC covers the same values");
    let Value::Branch(conf) = at(&mut opened, "conf") else { panic!("a mapping") };
    let Some(Item::Comment(comment)) = conf.items.first() else { panic!("a comment") };
    assert!(comment.text.expose().starts_with(b"ENC["));
}

#[test]
fn opens_bytes_as_python_sops_typed_them() {
    let mut tree = encrypted();
    replace(at(&mut tree, "name"), "type:str", "type:bytes");
    let mut opened = decrypted(tree).expect("bytes are hashed as they are");
    assert_eq!(bytes(at(&mut opened, "name")), b"db");
}

/// A leaf as random as it gets.
fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Leaf::Str),
        any::<i64>().prop_map(Leaf::Int),
        any::<f64>().prop_map(Leaf::Float),
        any::<bool>().prop_map(Leaf::Bool),
        Just(Leaf::Null),
    ]
}

/// [`Value`] with what proptest asks of its values.
#[derive(Clone, Debug)]
enum Leaf {
    Bool(bool),
    Branch(Vec<(String, Leaf)>),
    Comment(String),
    Float(f64),
    Int(i64),
    List(Vec<Leaf>),
    Null,
    Str(Vec<u8>),
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", Just("data".to_owned()), Just("x_unencrypted".to_owned()), Just("a:b".to_owned()), "\\PC{0,3}"]
}

fn any_tree() -> impl Strategy<Value = Vec<(String, Leaf)>> {
    let value = leaf().prop_recursive(4, 40, 5, |inner| {
        let comment = "[a-z #]{1,5}".prop_map(Leaf::Comment);
        prop_oneof![
            prop::collection::vec((key(), inner.clone()), 0..5).prop_map(Leaf::Branch),
            prop::collection::vec(prop_oneof![3 => inner, 1 => comment], 0..5).prop_map(Leaf::List),
        ]
    });
    prop::collection::vec((key().prop_filter("the stanza's", |key| key != "sops"), value), 0..6)
}

fn grow(leaf: &Leaf) -> Value {
    match leaf {
        Leaf::Bool(is_set) => Value::Bool(*is_set),
        Leaf::Branch(entries) => branch(entries.iter().map(|(key, leaf)| entry(key, grow(leaf))).collect()),
        Leaf::Comment(text) => Value::Comment(comment(text)),
        // NaN has many bit patterns and one text.
        Leaf::Float(number) => Value::Float(if number.is_nan() { f64::NAN } else { *number }),
        Leaf::Int(number) => Value::Int(*number),
        // An encrypted comment of a list comes back as a string, which ends what the comments before it say: with
        // comment rules sops cannot read back what it wrote unless the comment is the first element.
        Leaf::List(list) => Value::List(
            list.iter()
                .enumerate()
                .filter(|(index, leaf)| *index == 0 || !matches!(leaf, Leaf::Comment(_)))
                .map(|(_, leaf)| grow(leaf))
                .collect(),
        ),
        Leaf::Null => Value::Null,
        Leaf::Str(bytes) => Value::Str(Secret::new(bytes.clone())),
    }
}

fn grow_tree(entries: &[(String, Leaf)]) -> Tree {
    tree(entries.iter().map(|(key, leaf)| entry(key, grow(leaf))).collect())
}

fn any_rule() -> impl Strategy<Value = Rule<'static>> {
    prop::sample::select(vec![
        None,
        Some(("unencrypted_suffix", "_unencrypted")),
        Some(("encrypted_suffix", "a")),
        Some(("encrypted_regex", "^(data|b)$")),
        Some(("unencrypted_regex", "^[ab]")),
        // Tokens begin with a capital: none matches by chance.
        Some(("encrypted_comment_regex", "^[a-m]")),
        Some(("unencrypted_comment_regex", "^[a-m]")),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decrypting_undoes_encrypting(entries in any_tree(), rule in any_rule(), is_only_encrypted: bool) {
        let mut tree = grow_tree(&entries);
        encrypt(&mut tree, &KEY, rule, is_only_encrypted);
        let result = decrypted(tree);
        prop_assert_eq!(code(&result), 0);
        prop_assert_eq!(to_json(&result.expect("code 0")), to_json(&grow_tree(&entries)));
    }

    #[test]
    fn takes_no_text_for_a_token(text in "(ENC\\[)?(AES256_GCM,)?(data:)?[A-Za-z0-9+/=,:]{0,60}(iv:|,iv:)?\\PC{0,60}(,tag:)?.{0,30}(,type:)?(str|int)?\\]?") {
        let cipher = Cipher::new(&data_key::DataKey::from_bytes(&Secret::new(KEY.to_vec())).expect("32 bytes"));
        prop_assert!(cipher.open(text.as_bytes(), b"a:").is_err());
    }

    #[test]
    fn any_change_of_a_token_is_noticed(entries in any_tree(), rule in any_rule(), which: prop::sample::Index, bit: prop::sample::Index) {
        let mut tree = grow_tree(&entries);
        encrypt(&mut tree, &KEY, rule, false);
        let mut tokens = in_order(&mut tree.documents[0]);
        let token = tokens.swap_remove(which.index(tokens.len()));
        let mut changed = token.expose().clone();
        let bit = bit.index(8 * changed.len());
        changed[bit / 8] ^= 1 << (bit % 8);
        *token = Secret::new(changed);
        prop_assert!(code(&decrypted(tree)) != 0);
    }
}

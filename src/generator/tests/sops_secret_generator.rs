//! `goabout.com/v1beta1`.

use super::{failure, objects, parse, remarks};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn manifest(fields: &str) -> String {
    format!("apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {{name: s}}\n{fields}")
}

/// The values of the only Secret, decoded.
fn data(fields: &str, files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let secret = objects(&manifest(fields), files).pop().expect("one");
    assert_eq!(secret.get("stringData"), None);
    let Some(Value::Object(data)) = secret.get("data") else { panic!("no data") };
    let decode = |text: &Value| STANDARD.decode(text.as_str().expect("text")).expect("base64");
    data.iter().map(|(key, text)| (key.clone(), decode(text))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    expected.iter().map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec())).collect()
}

#[test]
fn makes_one_secret_with_a_hash_by_default() {
    let fields = "files: [a, k=dir/b]\nenvs: [e.env]\ntype: Oblique\n";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Oblique",
        "metadata": {"name": "s", "annotations": {"kustomize.config.k8s.io/needs-hash": "true"}},
        "data": {"a": "eA==", "k": "eQ==", "A": "Mg=="},
    });
    let files: [(&str, &[u8]); 3] = [("a", b"x"), ("dir/b", b"y"), ("e.env", b"A=2\n")];
    assert_eq!(objects(&manifest(fields), &files), [secret]);
    let generator = parse(&manifest(fields)).expect("valid");
    assert_eq!(generator.sources().iter().map(|source| source.as_str()).collect::<Vec<_>>(), ["e.env", "a", "dir/b"]);
}

#[test]
fn copies_the_author_s_metadata_and_not_the_protocol_s() {
    let manifest = "apiVersion: goabout.com/v1beta1\nkind: SopsSecret\nmetadata:\n  name: s\n  namespace: ns\n  \
     labels: {l: 1}\n  \
                    annotations:\n    mine: 010\n    config.kubernetes.io/local-config: 'true'\n    config.kubernetes.io/function: x\n    \
                    config.k8s.io/id: '1'\n    internal.config.kubernetes.io/index: '0'\n    config.kubernetes.io/origin: x\n\
                    disableNameSuffixHash: true\nbehavior: merge\nfiles: [a]\n";
    let secret = objects(manifest, &[("a", b"x")]).pop().expect("one");
    assert_eq!(
        secret["metadata"],
        json!({"name": "s", "namespace": "ns", "labels": {"l": "1"}, "annotations": {"mine": "010", "kustomize.config.k8s.io/behavior": "merge"}})
    );
}

#[test]
fn reads_envs_in_the_original_s_dotenv_dialect() {
    let text = "\u{feff}A=x y \n  B='q' # $C\\n\r\n# no\n\n\u{3000}C==\n";
    assert_eq!(
        data("envs: [e.env]\n", &[("e.env", text.as_bytes())]),
        pairs(&[("A", "x y "), ("B", "'q' # $C\\n"), ("C", "=")])
    );
}

#[test]
fn numbers_of_envs_that_json_lacks_are_texts() {
    assert_eq!(
        data("envs: [e.yaml]\n", &[("e.yaml", b"a: .nan\nb: .inf\nc: -.inf\nd: -1.5\n")]),
        pairs(&[("a", ".nan"), ("b", ".inf"), ("c", "-.inf"), ("d", "-1.5")])
    );
}

#[test]
fn reads_envs_in_yaml_and_json() {
    let yaml = b"a: text\nb: 1\nc: true\nd: 1.5\ne: null\nf: \"yes\"\n";
    assert_eq!(
        data("envs: [e.yaml]\n", &[("e.yaml", yaml)]),
        pairs(&[("a", "text"), ("b", "1"), ("c", "true"), ("d", "1.5"), ("e", ""), ("f", "yes")])
    );
    assert_eq!(
        data("envs: [e.json]\n", &[("e.json", b"{\"a\": \"x\", \"b\": null}")]),
        pairs(&[("a", "x"), ("b", "")])
    );
}

#[test]
fn refuses_envs_that_are_no_text() {
    for (path, text, expected) in [
        (
            "e.yaml",
            &b"a: [CANARY-7f3a]\n"[..],
            "5 e.yaml: envs[0]: the value of a is a list; only text can become the value of a key",
        ),
        (
            "e.yaml",
            b"a: {b: CANARY-7f3a}\n",
            "5 e.yaml: envs[0]: the value of a is a mapping; only text can become the value of a key",
        ),
        ("e.json", b"{\"a\": 1}", "5 e.json: envs[0]: the value of a must be a string in JSON; put it in quotes"),
        ("e.env", b"A B=CANARY-7f3a\n", "5 e.env: envs[0]: key A B may hold letters, digits, '-', '_' and '.' only"),
        ("e.env", b"A=1\nCANARY-7f3a\n", "5 e.env: envs[0]: a line holds no '='"),
        ("e.env", b"A=CANARY-7f3a\xff\n", "5 e.env: envs[0]: a line is not UTF-8"),
        ("e.env", b"A=1\nA=2\n", "5 e.env: envs[0]: key A is made twice"),
        ("e.env", b"# c\n", "3 e.env: envs[0]: the file holds no variable"),
    ] {
        let message = failure(&manifest(&format!("envs: [{path}]\n")), &[(path, text)]);
        assert!(message.starts_with(expected), "{message}");
    }
    let message = failure(&manifest("envs: [e.ini, e.txt]\n"), &[]);
    assert_eq!(message.matches("must end in .env, .yaml, .yml or .json").count(), 2, "{message}");
}

#[test]
fn prints_files_as_sops_3_7_3_did() {
    assert_eq!(
        data("files: [a.json]\n", &[("a.json", b"{\n\t\"a\": 1\n}\n")]),
        pairs(&[("a.json", "{\n\t\"a\": 1\n}")])
    );
    assert_eq!(data("files: [a.ini]\n", &[("a.ini", b"[a]\nb = 1\n")]), pairs(&[("a.ini", "[a]\nb = 1\n\n")]));
    assert_eq!(data("files: [a.txt]\n", &[("a.txt", b"x\n")]), pairs(&[("a.txt", "x\n")]));
}

#[test]
fn carries_any_bytes() {
    let bytes: Vec<u8> = b"\x00\xff\r\n".iter().copied().chain(0..=255).collect();
    assert_eq!(data("files: [a]\n", &[("a", &bytes)]), [("a".to_owned(), bytes.clone())]);
    println!("figure: all 256 bytes come back");
}

#[test]
fn refuses_what_the_original_refuses_and_empty_answers() {
    for (fields, expected) in [
        ("files: [a=b=c]\n", "3 files[0]: more than one '=' in the entry"),
        ("files: ['=a']\n", "3 files[0]: the key before '=' is empty"),
        ("files: ['a=']\n", "3 files[0]: the path is empty"),
        ("files: []\n", "3 files: the list is empty"),
        ("envs: []\nfiles: [a]\n", "3 envs: the list is empty"),
        ("", "3 neither envs nor files"),
        ("Files: [a]\n", "3 neither envs nor files (line 1, column 1) [Files is ignored; did you mean files?]"),
        ("files: [a]\nbehavior: Merge\n", "3 behavior: Merge is not create, merge or replace"),
        ("files: [a]\ndisableNameSuffixHash: 'true'\n", "3 disableNameSuffixHash: must be true or false, not text"),
        ("files: [a, x/a]\n", "3 files[1]: key a is made twice, first by files[0]"),
    ] {
        let message = failure(&manifest(fields), &[]);
        assert!(message.starts_with(expected), "{message}");
    }
    let nameless = "apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {}\nfiles: [a]\n";
    assert!(failure(nameless, &[]).contains("the Secret has no name"));
}

#[test]
fn reads_booleans_as_yaml_v3_does() {
    for (written, has_hash) in
        [("true", false), ("Yes", false), ("'on'", false), ("Y", false), ("false", true), ("NO", true)]
    {
        let secret = objects(&manifest(&format!("files: [a]\ndisableNameSuffixHash: {written}\n")), &[("a", b"x")])
            .pop()
            .expect("one");
        assert_eq!(secret["metadata"].get("annotations").is_some(), has_hash, "{written}");
    }
}

#[test]
fn takes_field_names_exactly_and_remarks_the_rest() {
    assert_eq!(remarks(&manifest("files: [a]\nEnvs: [b]\n")), [": unknown field Envs; did you mean envs?"]);
}

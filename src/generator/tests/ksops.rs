//! `viaduct.ai`.

use super::{config, failure, objects, parse, remarks, render};
use crate::generator::{Behavior, Generator, GeneratorKind, check_unique};
use serde_json::json;

/// A manifest with one `secretFrom` entry.
fn secret_from(entry: &str) -> String {
    format!(
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: gen}}\nsecretFrom:\n- metadata: {{name: s}}\n{entry}"
    )
}

#[test]
fn puts_files_binary_files_and_envs_into_one_secret() {
    let manifest =
        secret_from("  type: Opaque\n  files: [a.txt, k=dir/b.txt]\n  binaryFiles: [c.bin]\n  envs: [d.env]\n");
    let files: [(&str, &[u8]); 4] =
        [("a.txt", b"A\n"), ("dir/b.txt", b"B"), ("c.bin", b"\x00\xff"), ("d.env", b"USER=u\nPASSWORD='p w'\n")];
    assert_eq!(
        objects(&manifest, &files),
        [json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque",
            "stringData": {"a.txt": "A\n", "k": "B", "USER": "u", "PASSWORD": "p w"},
            "data": {"c.bin": "AP8="},
        })]
    );
}

#[test]
fn names_every_source_in_order() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nsecretFrom:\n- metadata: {name: s}\n  envs: [e.env]\n  \
                    binaryFiles: [b=b.bin]\n  files: [a]\nfiles: [./x.yaml, ../y.yaml]\n";
    let generator = parse(manifest).expect("valid");
    let sources: Vec<&str> = generator.sources().into_iter().map(|source| source.as_str()).collect();
    assert_eq!(sources, ["./x.yaml", "../y.yaml", "a", "b.bin", "e.env"]);
    assert_eq!(generator.kind(), GeneratorKind::Ksops);
}

/// So many that several threads read them.
#[test]
fn keeps_the_order_of_many_files() {
    fn files<'a>(names: &'a [String], texts: &'a [String]) -> Vec<(&'a str, &'a [u8])> {
        names.iter().zip(texts).map(|(name, text)| (name.as_str(), text.as_bytes())).collect()
    }
    let names: Vec<String> = (0..100).map(|number| format!("{number}.yaml")).collect();
    let manifest = format!("apiVersion: viaduct.ai/v1\nkind: ksops\nfiles: {names:?}\n");
    let object = |number| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s{number}}}\n");
    let mut texts: Vec<String> = (0..100).map(object).collect();
    let found = objects(&manifest, &files(&names, &texts));
    let found: Vec<_> = found.iter().map(|object| object["metadata"]["name"].clone()).collect();
    assert_eq!(found, (0..100).map(|number| json!(format!("s{number}"))).collect::<Vec<_>>());

    for number in [5, 50, 51, 99] {
        texts[number] = "a: [".to_owned();
    }
    let Err(errors) = render(&manifest, &files(&names, &texts)) else { panic!("accepted") };
    let found: Vec<String> = errors.iter().map(|error| error.field.to_string()).collect();
    assert_eq!(found, ["files[5]", "files[50]", "files[51]", "files[99]"]);
}

#[test]
fn copies_the_entry_s_metadata_and_not_the_generator_s() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n  namespace: other\n  labels: {x: \
     y}\n  \
                    annotations: {config.kubernetes.io/local-config: 'true', a: b}\nsecretFrom:\n- metadata:\n    name: s\n    \
                    namespace: ns\n    labels: {l: v}\n    annotations: {kustomize.config.k8s.io/needs-hash: 'true'}\n    \
                    uid: dropped\n  files: [a]\n";
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "s", "namespace": "ns", "labels": {"l": "v"},
            "annotations": {"kustomize.config.k8s.io/needs-hash": "true"},
        },
        "stringData": {"a": "x"},
    });
    assert_eq!(objects(manifest, &[("a", b"x")]), [expected]);
    let pieces = render(manifest, &[("a", b"x")]).expect("valid");
    assert!(pieces.iter().flat_map(|piece| &piece.resources).all(|resource| resource.needs_hash()));
}

#[test]
fn takes_field_names_in_any_letter_case_and_remarks_it() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nSecretfrom:\n- METADATA: {Name: s}\n  Files: [a]\n";
    assert_eq!(objects(manifest, &[("a", b"x")]).len(), 1);
    assert_eq!(
        remarks(manifest),
        [
            "secretFrom: spelled Secretfrom",
            "secretFrom[0].files: spelled Files",
            "secretFrom[0].metadata: spelled METADATA",
            "secretFrom[0].metadata.name: spelled Name",
        ]
    );
}

#[test]
fn tolerates_unknown_fields_and_remarks_them() {
    let manifest = secret_from("  files: [a]\n  evns: [b]\n  zebra: 1\n") + "argsOneLiner: x\n";
    assert_eq!(objects(&manifest, &[("a", b"x")]).len(), 1);
    assert_eq!(
        remarks(&manifest),
        ["secretFrom[0]: unknown field evns; did you mean envs?", "secretFrom[0]: unknown field zebra is ignored"]
    );
}

#[test]
fn takes_a_null_field_for_none() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nfiles:\nsecretFrom:\n- metadata: {name: s}\n  envs: \
     null\n  files: [a]\n";
    assert_eq!(objects(manifest, &[("a", b"x")]).len(), 1);
}

#[test]
fn refuses_a_manifest_that_asks_for_nothing() {
    let cases = [
        (
            "",
            "3 neither files nor secretFrom (line 1, column 1) [files lists encrypted manifests; secretFrom makes \
             Secrets of encrypted files]",
        ),
        (
            "files:\n",
            "3 neither files nor secretFrom (line 1, column 1) [files lists encrypted manifests; secretFrom makes \
             Secrets of encrypted files]",
        ),
        ("file: [a]\n", "3 neither files nor secretFrom (line 1, column 1) [file is ignored; did you mean files?]"),
        (
            "secret_from: [a]\n",
            "3 neither files nor secretFrom (line 1, column 1) [secret_from is ignored; did you mean secretFrom?]",
        ),
        (
            "envs: [a]\n",
            "3 neither files nor secretFrom (line 1, column 1) [envs and binaryFiles belong to an entry of secretFrom]",
        ),
        ("files: []\n", "3 files: the list is empty (line 3, column 8) [name at least one entry, or remove the field]"),
        (
            "secretFrom: []\n",
            "3 secretFrom: the list is empty (line 3, column 13) [name at least one entry, or remove the field]",
        ),
        ("files: ['']\n", "3 files[0]: the path is empty (line 3, column 9)"),
        ("files: [null]\n", "3 files[0]: the entry is empty (line 3, column 9)"),
        ("secretFrom: [null]\n", "3 secretFrom[0]: the entry is empty (line 3, column 14)"),
        (
            "secretFrom:\n- metadata: {name: s}\n",
            "3 secretFrom[0]: the entry names no source (line 4, column 3) [add files, binaryFiles or envs]",
        ),
        (
            "secretFrom:\n- metadata: {name: s}\n  env: [a]\n",
            "3 secretFrom[0]: the entry names no source (line 4, column 3) [env is ignored; did you mean envs?]",
        ),
        (
            "secretFrom:\n- files: [a]\n",
            "3 secretFrom[0].metadata: the Secret has no name (line 4, column 3) [set metadata.name]",
        ),
        (
            "secretFrom:\n- files: [a]\n  metadata: {}\n",
            "3 secretFrom[0].metadata: the Secret has no name (line 5, column 13) [set metadata.name]",
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(failure(&format!("apiVersion: viaduct.ai/v1\nkind: ksops\n{fields}"), &[]), expected);
    }
    println!("figure: 14 of 14 refused");
}

#[test]
fn lists_everything_that_is_wrong_with_a_manifest() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nfiles: [/etc/passwd, \"a\\0b\"]\nsecretFrom:\n- metadata: \
     {name: A_b, \
                    namespace: x.y, labels: {'a b': ok, ok: 'a b'}}\n  files: ['=x', 'k=', 'a b=x']\n";
    assert_eq!(
        failure(manifest, &[]),
        "3 files[0]: absolute paths are not allowed (line 3, column 9) [write the path relative to the kustomization]\n\
         3 files[1]: the path contains a NUL byte (line 3, column 22)\n\
         3 secretFrom[0].files[0]: the key before '=' is empty (line 6, column 11) [write key=path, or only the path to take the file's name as the key]\n\
         3 secretFrom[0].files[1]: the path is empty (line 6, column 17)\n\
         3 secretFrom[0].files[2]: key a b may hold letters, digits, '-', '_' and '.' only (line 6, column 23) [give the file a valid key: key=path]\n\
         3 secretFrom[0].metadata.name: A_b must be lower-case letters, digits, '-' and '.', and begin and end with a letter or digit (line 5, column 13)\n\
         3 secretFrom[0].metadata.namespace: x.y must be lower-case letters, digits and '-', and begin and end with a letter or digit (line 5, column 13)\n\
         3 secretFrom[0].metadata.labels: key a b must be at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit (line 5, column 50)\n\
         3 secretFrom[0].metadata.labels: value a b must be at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit (line 5, column 61)"
    );
}

#[test]
fn refuses_fields_of_the_wrong_type() {
    let cases = [
        (
            "files: a.yaml\n",
            "3 files: must be a list, not text (line 3, column 8) [write a list: one line `- …` for each entry]",
        ),
        (
            "files: {a: b}\n",
            "3 files: must be a list, not a mapping (line 3, column 8) [write a list: one line `- …` for each entry]",
        ),
        ("files: [[a]]\n", "3 files[0]: must be text, not a list (line 3, column 9)"),
        ("files: [a]\nfiles: [b]\n", "3 key files is there twice (line 4, column 1)"),
        ("files: [a]\nFiles: [b]\n", "3 files: the field is there twice (line 4, column 1)"),
        (
            "secretFrom: {a: b}\n",
            "3 secretFrom: must be a list, not a mapping (line 3, column 13) [write a list: one line `- …` for each \
             entry]",
        ),
        ("secretFrom: [a]\n", "3 secretFrom[0]: must be a mapping, not text (line 3, column 14)"),
        (
            "secretFrom: [{files: [a], metadata: s}]\n",
            "3 secretFrom[0].metadata: must be a mapping, not text (line 3, column 37)",
        ),
        (
            "secretFrom: [{files: [a], metadata: {name: s, labels: [x]}}]\n",
            "3 secretFrom[0].metadata.labels: must be a mapping, not a list (line 3, column 55)",
        ),
        (
            "secretFrom: [{files: [a], metadata: {name: s}, type: [x]}]\n",
            "3 secretFrom[0].type: must be text, not a list (line 3, column 54)",
        ),
        (
            "secretFrom: [{files: [a], metadata: {name: yes}}]\n",
            "3 secretFrom[0].metadata.name: without quotes this means different things to different YAML readers \
             (line 3, column 44) [put it in quotes]\n3 secretFrom[0].metadata: the Secret has no name (line 3, column \
             37) [set metadata.name]",
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(failure(&format!("apiVersion: viaduct.ai/v1\nkind: ksops\n{fields}"), &[]), expected);
    }
}

#[test]
fn takes_numbers_and_booleans_for_text_where_their_text_is_clear() {
    let manifest = secret_from("  files: [a]\n")
        .replace("{name: s}", "{name: s, annotations: {a: 1, b: true, c: 1.5, d: 2001-01-01, e: ~}}");
    let objects = objects(&manifest, &[("a", b"x")]);
    let expected = json!({"a": "1", "b": "true", "c": "1.5", "d": "2001-01-01", "e": ""});
    assert_eq!(objects.first().expect("one")["metadata"]["annotations"], expected);
    let manifest =
        secret_from("  files: [a]\n").replace("{name: s}", "{name: s, annotations: {a: 18446744073709551615}}");
    let objects = self::objects(&manifest, &[("a", b"x")]);
    let annotations = &objects.first().expect("one")["metadata"]["annotations"];
    assert_eq!(*annotations, json!({"a": "18446744073709551615"}));
    for unclear in ["0xFFFFFFFFFFFFFFFF", "010", "1e3", "0x10", "1_000", "Yes", "off", "TRUE", "1.50", ".inf"] {
        let manifest =
            secret_from("  files: [a]\n").replace("{name: s}", &format!("{{name: s, annotations: {{a: {unclear}}}}}"));
        let message = failure(&manifest, &[]);
        assert!(message.ends_with("[put it in quotes]"), "{unclear}: {message}");
    }
}

#[test]
fn reads_merged_mappings() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nx: &x {metadata: {name: merged}, files: \
     [a]}\nsecretFrom:\n- <<: *x\n  files: [b]\n";
    let objects = objects(manifest, &[("b", b"x")]);
    assert_eq!(objects.first().expect("one")["metadata"]["name"], json!("merged"));
    assert_eq!(objects.first().expect("one")["stringData"], json!({"b": "x"}));
}

#[test]
fn splits_key_and_path_at_the_first_equals_sign() {
    let manifest = secret_from("  files: ['a=b=c', 'x/y/..z', d=e/]\n");
    let message = failure(&manifest, &[]);
    assert_eq!(
        message,
        "3 secretFrom[0].files[1]: key ..z may not be '.' or begin with '..' (line 6, column 20) [give the file a \
         valid key: key=path]"
    );
    let manifest = secret_from("  files: ['a=b=c']\n");
    assert_eq!(objects(&manifest, &[("b=c", b"x")]).first().expect("one")["stringData"], json!({"a": "x"}));
    println!("figure: a=b=c is key a, path b=c; 1 invalid key refused");
}

#[test]
fn sends_what_a_string_cannot_carry_to_data() {
    let manifest = secret_from("  files: [t, u, c]\n  envs: [e.env]\n");
    let files: [(&str, &[u8]); 4] =
        [("t", "é\t\n😀".as_bytes()), ("u", b"\xff\xfe"), ("c", b"\x7f"), ("e.env", b"A=\xff\nB=b\n")];
    let secret = objects(&manifest, &files).pop().expect("one");
    assert_eq!(secret["stringData"], json!({"t": "é\t\n😀", "B": "b"}));
    assert_eq!(secret["data"], json!({"u": "//4=", "c": "fw==", "A": "/w=="}));
}

#[test]
fn sends_all_to_data_in_a_merge_or_when_asked() {
    let merge = "metadata: {name: s, annotations: {kustomize.config.k8s.io/behavior: merge}}";
    let manifest = secret_from("  files: [t]\n").replace("metadata: {name: s}", merge);
    let secret = objects(&manifest, &[("t", b"x")]).pop().expect("one");
    assert_eq!((&secret["data"], &secret["stringData"]), (&json!({"t": "eA=="}), &json!(null)));
    let pieces = render(&manifest, &[("t", b"x")]).expect("valid");
    let behaviors: Vec<_> =
        pieces.iter().flat_map(|piece| &piece.resources).map(|resource| resource.behavior()).collect();
    assert_eq!(behaviors, [Some(Behavior::Merge)]);

    let replace = manifest.replace("merge", "replace");
    let secret = objects(&replace, &[("t", b"x")]).pop().expect("one");
    assert_eq!(secret["stringData"], json!({"t": "x"}));

    let asked =
        secret_from("  files: [t]\n").replace("{name: gen}", "{name: gen, annotations: {unsops.dev/encoding: data}}");
    let secret = objects(&asked, &[("t", b"x")]).pop().expect("one");
    assert_eq!((&secret["data"], &secret["stringData"]), (&json!({"t": "eA=="}), &json!(null)));
    assert_eq!(
        failure(&asked.replace("encoding: data", "encoding: text"), &[]),
        "3 metadata.annotations: unsops.dev/encoding must be data (line 3, column 58)"
    );
}

#[test]
fn validates_what_kustomize_reads_in_annotations() {
    let with = |annotation: &str| {
        secret_from("  files: [t]\n").replace("{name: s}", &format!("{{name: s, annotations: {{{annotation}}}}}"))
    };
    for good in [
        "kustomize.config.k8s.io/needs-hash: 'T'",
        "kustomize.config.k8s.io/needs-hash: '0'",
        "kustomize.config.k8s.io/behavior: create",
        "config.kubernetes.io/local-config: 'false'",
    ] {
        assert_eq!(objects(&with(good), &[("t", b"x")]).len(), 1, "{good}");
    }
    for (bad, rule) in [
        ("kustomize.config.k8s.io/needs-hash: 'yes'", "needs-hash must be true or false"),
        ("kustomize.config.k8s.io/behavior: Merge", "behavior must be create, merge or replace"),
        (
            "config.kubernetes.io/local-config: 'true'",
            "local-config would make kustomize drop the resource without a word",
        ),
    ] {
        let message = failure(&with(bad), &[]);
        assert!(message.starts_with("3 secretFrom[0].metadata.annotations: ") && message.contains(rule), "{message}");
    }
}

#[test]
fn refuses_two_sources_for_one_key() {
    let manifest = secret_from("  files: [a/k, b/k]\n  binaryFiles: [k=c]\n");
    assert_eq!(
        failure(&manifest, &[]),
        "3 secretFrom[0].files[1]: key k is made twice, first by secretFrom[0].files[0] (line 6, column 16) [only one \
         of the two would reach the cluster; rename one: key=path]\n\
         3 secretFrom[0].binaryFiles[0]: key k is made twice, first by secretFrom[0].files[0] (line 7, column 17) [only one of the two would reach the cluster; rename one: key=path]"
    );
    let manifest = secret_from("  files: [A=x]\n  envs: [e.env, f.env]\n");
    let files: [(&str, &[u8]); 3] =
        [("x", b"CANARY-7f3a"), ("e.env", b"B=CANARY-7f3a\nB=CANARY-7f3a\n"), ("f.env", b"A=CANARY-7f3a\n")];
    assert_eq!(
        failure(&manifest, &files),
        "5 e.env: secretFrom[0].envs[0]: key B is made twice (line 2) [keep one of the two lines]\n\
         3 secretFrom[0].envs[1]: key A is made twice, first by secretFrom[0].files[0] (line 7, column 17) [only one of the two would reach the cluster; rename or remove the other]"
    );
}

#[test]
fn refuses_two_entries_for_one_secret() {
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nsecretFrom:\n- metadata: {name: s}\n  files: [a]\n- \
     metadata: {name: s, namespace: default}\n  files: [b]\n";
    assert_eq!(
        failure(manifest, &[]),
        "3 secretFrom[1]: Secret s is made twice, first by secretFrom[0] [only one of the two would reach the \
         cluster; put the sources under one entry]"
    );
    let manifest = manifest.replace("default", "other");
    assert_eq!(objects(&manifest, &[("a", b"x"), ("b", b"y")]).len(), 2);
}

#[test]
fn refuses_one_object_twice_over_all_generators() {
    let manifest = secret_from("  files: [a]\n");
    let first = render(&manifest, &[("a", b"x")]).expect("valid");
    assert!(check_unique(&first).is_ok());
    let file = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: other}\nfiles: [s.yaml]\n";
    let text = b"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\n";
    let second = render(file, &[("s.yaml", text)]).expect("valid");
    assert!(check_unique(&second).is_ok());
    let errors = check_unique(first.iter().chain(&second)).expect_err("both make Secret s");
    let messages: Vec<String> = errors.iter().map(super::message).collect();
    assert_eq!(
        messages,
        ["3 Secret/s is made twice: by ksops/gen secretFrom[0] and by ksops/other files[0], document 1 [only one \
             of the two would reach the cluster; rename or remove the other]"]
    );
}

#[test]
fn never_prints_a_name_that_was_encrypted() {
    let file = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nfiles: [a.yaml, b.yaml]\n";
    let text = b"apiVersion: v1\nkind: CANARY-7f3a\nmetadata: {name: CANARY-7f3a}\n";
    let pieces = render(file, &[("a.yaml", text), ("b.yaml", text)]).expect("valid");
    let errors = check_unique(&pieces).expect_err("twice");
    let messages: Vec<String> = errors.iter().map(super::message).collect();
    assert_eq!(
        messages,
        ["3 an object is made twice: by ksops/gen files[0], document 1 and by ksops/gen files[1], document 1 [only \
             one of the two would reach the cluster; rename or remove the other]"]
    );
}

#[test]
fn refuses_values_that_godotenv_would_change() {
    let manifest = secret_from("  envs: [e.env]\n");
    let text = b"A=p$ECRET-CANARY-7f3a\nB=ok\nexport C=CANARY-7f3a #x\n";
    assert_eq!(
        failure(&manifest, &[("e.env", text)]),
        "5 e.env: secretFrom[0].envs[0]: the value of A holds '$' and a name, and KSOPS would put another variable \
         there, or nothing (line 1) [put the value in single quotes, or write \\$ for the dollar sign]\n\
         5 e.env: secretFrom[0].envs[0]: the value of C holds ' #', and KSOPS would drop the rest of the line (line 3) [to keep it, put the value in single quotes; to drop it, remove it from the encrypted file]"
    );
    let ways_out = b"A='p$ECRET'\nB=p\\$ECRET\nC='x #x'\n";
    let secret = objects(&manifest, &[("e.env", ways_out)]).pop().expect("one");
    assert_eq!(secret["stringData"], json!({"A": "p$ECRET", "B": "p$ECRET", "C": "x #x"}));
}

#[test]
fn never_prints_what_a_dotenv_file_holds() {
    let manifest = secret_from("  envs: [e.env]\n");
    for (text, expected) in [
        (
            &b"MY-KEY=CANARY-7f3a\n"[..],
            "5 e.env: secretFrom[0].envs[0]: a line is not NAME=value (line 1) [write NAME=value; names hold letters, \
             digits, '_' and '.']",
        ),
        (
            b"A='CANARY-7f3a\n",
            "5 e.env: secretFrom[0].envs[0]: a quoted value has no closing quote (line 1) [write NAME=value; names \
             hold letters, digits, '_' and '.']",
        ),
        (
            b"A='x'CANARY=$B\n",
            "5 e.env: secretFrom[0].envs[0]: a value holds '$' and a name, and KSOPS would put another variable \
             there, or nothing (line 1) [put the value in single quotes, or write \\$ for the dollar sign]",
        ),
        (
            b"A='x'CANARY 7f3a=1\n",
            "5 e.env: secretFrom[0].envs[0]: a key may hold letters, digits, '-', '_' and '.' only (line 1)",
        ),
        (b"=CANARY-7f3a\n", "5 e.env: secretFrom[0].envs[0]: a key is empty (line 1)"),
        (b"# only a comment\n", "3 e.env: secretFrom[0].envs[0]: the dotenv file holds no variable"),
        (b"", "3 e.env: secretFrom[0].envs[0]: the dotenv file holds no variable"),
    ] {
        let message = failure(&manifest, &[("e.env", text)]);
        assert!(!message.contains("CANARY"), "{message}");
        assert_eq!(message.replace(" key  ", " a key "), expected);
    }
}

#[test]
fn checks_what_kubernetes_types_need() {
    let with = |secret_type: &str, entry: &str| secret_from(&format!("  type: {secret_type}\n{entry}"));
    let files: [(&str, &[u8]); 3] = [("a", b"x"), ("j", b"{\"auths\":{}}"), ("n", b"{\"CANARY-7f3a\"")];
    for (secret_type, good, bad) in [
        ("kubernetes.io/tls", "tls.crt=a, tls.key=a", "tls.crt=a"),
        ("kubernetes.io/ssh-auth", "ssh-privatekey=a", "ssh-key=a"),
        ("kubernetes.io/basic-auth", "username=a", "user=a"),
        ("kubernetes.io/dockerconfigjson", ".dockerconfigjson=j", "config.json=j"),
        ("kubernetes.io/dockercfg", ".dockercfg=j", ".dockercfg=n"),
        ("kubernetes.io/dockerconfigjson", ".dockerconfigjson=j", ".dockerconfigjson=n"),
        ("example.com/unknown", "a", ""),
    ] {
        assert_eq!(objects(&with(secret_type, &format!("  files: [{good}]\n")), &files).len(), 1, "{secret_type}");
        if !bad.is_empty() {
            failure(&with(secret_type, &format!("  files: [{bad}]\n")), &files);
        }
    }
    let part = with("kubernetes.io/tls", "  files: [tls.crt=a]\n")
        .replace("{name: s}", "{name: s, annotations: {kustomize.config.k8s.io/behavior: merge}}");
    assert_eq!(objects(&part, &files).len(), 1, "the other half may be in the base");
}

#[test]
fn refuses_a_secret_that_kubernetes_would_not_store() {
    let manifest = secret_from("  files: [a]\n");
    let fits = vec![b'x'; crate::limits::SECRET_BYTES];
    assert_eq!(objects(&manifest, &[("a", &fits)]).len(), 1);
    let large = vec![b'x'; crate::limits::SECRET_BYTES + 1];
    assert_eq!(
        failure(&manifest, &[("a", &large)]),
        "5 secretFrom[0]: the Secret's data are 1048577 bytes long; Kubernetes takes 1048576"
    );
}

#[test]
fn names_itself_for_messages() {
    let name = |text: &str| Generator::parse(&config(text), false).expect("valid").name().as_str().to_owned();
    assert_eq!(name("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nfiles: [a]\n"), "ksops/gen");
    assert_eq!(name("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: text\nfiles: [a]\n"), "ksops");
}

//! What kustomize, and whoever else reads the output, sees of the objects.

use serde_json::json;

use super::{Sentence, failure, objects, parse, read, render};
use crate::generator::{Behavior, HostAnnotations, Piece, Resource, check_unique};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n";

fn manifest(files: &str) -> String {
    format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: gen}}\nfiles: [{files}]\n")
}

fn pieces(texts: &[&str]) -> Vec<Piece<'static>> {
    let names: Vec<String> = (0..texts.len()).map(|index| format!("{index}.yaml")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(texts.iter().map(|t| t.as_bytes())).collect();
    render(&manifest(&names.join(", ")), &files).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn only(text: &str) -> Resource {
    let mut pieces = pieces(&[text]);
    let mut resources = std::mem::take(&mut pieces[0].resources);
    assert_eq!(resources.len(), 1);
    resources.remove(0)
}

#[test]
fn an_object_is_made_twice_if_kustomize_takes_it_for_the_same() {
    let other = |fields: &str| format!("{SECRET}{fields}");
    let is_unique = |one: &str, two: &str| check_unique(&pieces(&[one, two])).is_ok();
    assert!(!is_unique(SECRET, SECRET));
    assert!(!is_unique(SECRET, &other("  namespace: default\n")), "no namespace is the default one");
    assert!(is_unique(SECRET, &other("  namespace: web\n")));
    assert!(!is_unique(&other("  namespace: web\n"), &other("  namespace: web\n")));
    for (from, to) in
        [("name: s", "name: t"), ("kind: Secret", "kind: ConfigMap"), ("apiVersion: v1", "apiVersion: v2")]
    {
        assert!(is_unique(SECRET, &SECRET.replace(from, to)), "{to}");
    }
    let errors = check_unique(&pieces(&[SECRET, SECRET, SECRET])).expect_err("three");
    assert_eq!(errors.len(), 2);
    let message = errors[0].to_string();
    assert!(message.contains("files[0]") && message.contains("files[1]"), "{message}");
}

#[test]
fn an_object_says_what_it_asks_kustomize_for() {
    let asks = |annotations: &str| {
        let resource = only(&format!("{SECRET}  annotations: {annotations}\n"));
        (resource.needs_hash(), resource.behavior())
    };
    assert_eq!(asks("null"), (false, None));
    assert_eq!(asks("{}"), (false, None));
    assert_eq!(asks("{kustomize.config.k8s.io/needs-hash: 'true'}"), (true, None));
    assert_eq!(asks("{kustomize.config.k8s.io/needs-hash: 'false'}"), (false, None));
    assert_eq!(asks("{kustomize.config.k8s.io/behavior: merge}"), (false, Some(Behavior::Merge)));
    assert_eq!(asks("{kustomize.config.k8s.io/behavior: replace}"), (false, Some(Behavior::Replace)));
    let both = "{config.kubernetes.io/local-config: 'false', kustomize.config.k8s.io/needs-hash: true, kustomize.config.k8s.io/behavior: merge}";
    assert_eq!(asks(both), (true, Some(Behavior::Merge)));

    let generated = |fields: &str| {
        let manifest = format!(
            "apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {{name: s}}\nfiles: [a]\n{fields}"
        );
        let pieces = render(&manifest, &[("a", b"x")]).unwrap_or_else(|errors| panic!("{errors:?}"));
        pieces[0].resources[0].needs_hash()
    };
    assert_eq!((generated(""), generated("disableNameSuffixHash: true\n")), (true, false));
}

#[test]
fn an_object_knows_where_it_comes_from_and_what_it_is() {
    let resource = only(SECRET);
    assert!(resource.origin().contains("files[0], document 1"), "{}", resource.origin());
    assert_eq!(
        read(&resource.text(HostAnnotations::Keep).into_exposed()),
        [json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }
        })]
    );
    assert!(matches!(&resource.object().kind, crate::yaml::Kind::Mapping(fields, _) if fields.len() == 3));
    assert_eq!(Sentence::new("a ").words("b ").number(3).as_str(), "a b 3");
}

#[test]
fn annotations_for_kustomize_stay_go_or_are_translated() {
    let text = |annotations: &str, host: HostAnnotations| {
        let resource = only(&format!("{SECRET}  annotations: {annotations}\n"));
        read(&resource.text(host).into_exposed()).remove(0)["metadata"]["annotations"].clone()
    };
    let hash = "kustomize.config.k8s.io/needs-hash";
    let all = format!("{{{hash}: 'true', kustomize.config.k8s.io/behavior: merge, mine: x}}");
    assert_eq!(
        text(&all, HostAnnotations::Keep),
        json!({ (hash): "true", "kustomize.config.k8s.io/behavior": "merge", "mine": "x" })
    );
    assert_eq!(text(&all, HostAnnotations::Drop), json!({ "mine": "x" }));
    let internal = "internal.config.kubernetes.io/needsHashSuffix";
    assert_eq!(text(&all, HostAnnotations::Translate), json!({ "mine": "x", (internal): "enabled" }));
    for off in
        [format!("{{{hash}: 'false', mine: x}}"), "{kustomize.config.k8s.io/behavior: merge, mine: x}".to_owned()]
    {
        assert_eq!(text(&off, HostAnnotations::Translate), json!({ "mine": "x" }), "{off}");
    }
    // Nothing is left: no empty mapping either.
    for only_theirs in [format!("{{{hash}: 'false'}}"), "{kustomize.config.k8s.io/behavior: merge}".to_owned()] {
        assert_eq!(text(&only_theirs, HostAnnotations::Translate), json!(null), "{only_theirs}");
        assert_eq!(text(&only_theirs, HostAnnotations::Drop), json!(null), "{only_theirs}");
    }
    assert_eq!(text(&format!("{{{hash}: 'true'}}"), HostAnnotations::Translate), json!({ (internal): "enabled" }));
}

#[test]
fn fields_that_must_be_mappings_may_be_null_and_nothing_else() {
    for annotations in ["null", "~", "{}"] {
        only(&format!("{SECRET}  annotations: {annotations}\n"));
    }
    for annotations in ["x", "[]", "1"] {
        let text = format!("{SECRET}  annotations: {annotations}\n");
        let message = failure(&manifest("0.yaml"), &[("0.yaml", text.as_bytes())]);
        assert!(message.contains("annotations must be a mapping"), "{annotations}: {message}");
    }
}

#[test]
fn numbers_are_those_that_json_has() {
    for number in ["1", "1.5", "-1e300"] {
        only(&format!("{SECRET}spec: {{a: {number}}}\n"));
    }
    for number in [".nan", ".inf", "-.inf"] {
        let text = format!("{SECRET}spec: {{a: {number}}}\n");
        let message = failure(&manifest("0.yaml"), &[("0.yaml", text.as_bytes())]);
        assert!(message.contains("a number that JSON"), "{number}: {message}");
    }
}

#[test]
fn annotations_may_be_as_long_as_kubernetes_allows() {
    let with = |length: usize| {
        let text = "v".repeat(length);
        format!(
            "apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {{name: s, annotations: {{key: {text}}}}}\nfiles: [a]\n"
        )
    };
    let most = (256 << 10) - "key".len();
    assert!(parse(&with(most)).is_ok());
    let errors = parse(&with(most + 1)).err().expect("one byte too many");
    assert!(errors.iter().any(|error| error.to_string().contains("longer than 262144 bytes")));
}

#[test]
fn a_token_needs_the_account_that_it_is_for() {
    let manifest = |annotations: &str| {
        format!(
            "apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {{name: s, annotations: {annotations}}}\n\
             type: kubernetes.io/service-account-token\nfiles: [a]\n"
        )
    };
    let files: [(&str, &[u8]); 1] = [("a", b"x")];
    assert_eq!(objects(&manifest("{kubernetes.io/service-account.name: me}"), &files).len(), 1);
    for missing in ["{}", "{kubernetes.io/service-account.name: ''}", "{other: me}"] {
        let message = failure(&manifest(missing), &files);
        assert!(message.contains("needs the annotation kubernetes.io/service-account.name"), "{missing}: {message}");
    }
}

#[test]
fn merge_keys_of_a_generator_may_name_several_mappings() {
    let manifest = "\
apiVersion: viaduct.ai/v1
kind: ksops
x-a: &a {metadata: {name: gen}}
x-b: &b {metadata: ignored, files: [0.yaml]}
<<: [*a, *b]
";
    assert_eq!(objects(manifest, &[("0.yaml", SECRET.as_bytes())]).len(), 1);
}

#[test]
fn a_secret_may_be_as_large_as_kubernetes_allows() {
    let manifest = "apiVersion: goabout.com/v1beta1\nkind: SopsSecretGenerator\nmetadata: {name: s}\nfiles: [a, b]\n";
    let with = |length: usize| {
        let text = vec![b'x'; length];
        render(manifest, &[("a", &text), ("b", b"y")]).is_ok()
    };
    assert!(with(crate::limits::SECRET_BYTES - 1));
    assert!(!with(crate::limits::SECRET_BYTES));
}

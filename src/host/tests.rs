//! `testdata/` was recorded from kustomize 5.8.1 and kpt 1.0.0-beta.56 with a plugin that keeps its stdin; `*.enc.yaml`
//! there are the files of the package in `kpt-sops.yaml`, as sops 3.13.3 wrote them.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::path::SourcePath;
use crate::yaml::{Kind, Node};

const KPT_CONFIGMAP: &str = include_str!("testdata/kpt-configmap.yaml");
const KPT_EVAL: &str = include_str!("testdata/kpt-eval.yaml");
const KPT_NOTHING: &str = include_str!("testdata/kpt-nothing.yaml");
const KPT_RENDER: &str = include_str!("testdata/kpt-render.yaml");
const KRM_GENERATOR: &str = include_str!("testdata/krm-generator.yaml");
const KRM_TRANSFORMER: &str = include_str!("testdata/krm-transformer.yaml");
const LEGACY_CONFIG: &str = include_str!("testdata/legacy-transformer.config.yaml");
const LEGACY_STDIN: &str = include_str!("testdata/legacy-transformer.stdin.yaml");

/// A Secret that is easy to break: blank lines, blanks at line ends and starts, an explicit indentation, kept breaks.
const OURS: &str = concat!(
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"s\"\nstringData:\n",
    "  \"a\": |2+\n     led\n\n      \n    trailed \n\n",
    "  \"b\": |-\n    - x\n    ---\n",
    "  \"c\": |+\n    kept\n\n\n",
);

fn is_ours(api_version: &str, kind: &str) -> bool {
    api_version.starts_with("viaduct.ai/") || (api_version == "goabout.com/v1beta1" && kind == "SopsSecretGenerator")
}

fn parse(text: &str) -> ResourceList {
    ResourceList::parse(text.as_bytes().to_vec(), &is_ours).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(text: &str) -> HostError {
    match ResourceList::parse(text.as_bytes().to_vec(), &is_ours) {
        Ok(_) => panic!("was read"),
        Err(error) => error,
    }
}

fn answer(list: &ResourceList, resources: &[&str]) -> String {
    String::from_utf8(list.respond(resources, &[]).into_exposed()).unwrap()
}

fn value(text: &str) -> serde_yaml::Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn names(list: &ResourceList) -> Vec<&str> {
    list.configs().iter().map(|config| object::Object(config.manifest()).kind()).collect()
}

fn in_band(list: &ResourceList, source: &str) -> Option<String> {
    let config = list.configs().first().unwrap();
    list.in_band(config, &SourcePath::parse(source).unwrap()).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What `text` becomes with our Secret as its last item.
fn with_ours_before_config(text: &str) -> String {
    let mut ours = String::new();
    embed::push_element(&mut ours, OURS, 0);
    text.replace("\nfunctionConfig:", &format!("\n{ours}functionConfig:"))
}

mod who_calls {
    use super::*;

    #[test]
    fn kustomize_generator_gets_only_what_is_generated() {
        let list = parse(KRM_GENERATOR);
        assert_eq!(list.caller(), Caller::KustomizeGenerator);
        assert_eq!(list.annotation_policy(), AnnotationPolicy::Keep);
        let answer = value(&answer(&list, &[OURS]));
        assert_eq!(answer["items"], serde_yaml::Value::Sequence(vec![value(OURS)]));
        assert_eq!(answer["functionConfig"], value(KRM_GENERATOR)["functionConfig"]);
        assert_eq!(answer["apiVersion"], "config.kubernetes.io/v1");
    }

    #[test]
    fn kustomize_transformer_gets_everything_back_byte_for_byte() {
        let list = parse(KRM_TRANSFORMER);
        assert_eq!(list.caller(), Caller::KustomizeTransformer);
        assert_eq!(list.annotation_policy(), AnnotationPolicy::Translate);
        assert_eq!(answer(&list, &[]), KRM_TRANSFORMER);
        assert_eq!(answer(&list, &[OURS]), with_ours_before_config(KRM_TRANSFORMER));
    }

    #[test]
    fn kpt_gets_its_package_back_byte_for_byte() {
        for text in [KPT_EVAL, KPT_RENDER, KPT_CONFIGMAP] {
            let list = parse(text);
            assert_eq!(list.caller(), Caller::Kpt);
            assert_eq!(list.annotation_policy(), AnnotationPolicy::Drop);
            assert_eq!(answer(&list, &[]), text);
            assert_eq!(answer(&list, &[OURS]), with_ours_before_config(text));
        }
    }

    #[test]
    fn a_package_of_nothing_but_its_generator_is_not_kustomizes_copy() {
        let alone = KRM_GENERATOR.replace(
            "      internal.config.kubernetes.io/index: '0'\n",
            "      internal.config.kubernetes.io/index: '0'\n      internal.config.kubernetes.io/seqindent: 'compact'\n",
        );
        assert_ne!(alone, KRM_GENERATOR);
        let list = parse(&alone);
        assert_eq!(list.caller(), Caller::Kpt);
        assert_eq!(answer(&list, &[]), alone);
    }

    #[test]
    fn kustomize_generator_is_told_by_each_of_its_marks() {
        for (mark, other) in [
            ("      config.kubernetes.io/local-config: 'true'\n      config", "      config"), // of the item only
            ("name: gen\nfunctionConfig", "name: other\nfunctionConfig"),
            ("config.kubernetes.io/function", "config.kubernetes.io/nothing"),
        ] {
            let text = KRM_GENERATOR.replace(mark, other);
            assert_ne!(text, KRM_GENERATOR, "{mark}");
            assert_eq!(parse(&text).caller(), Caller::Kpt, "{mark}");
        }
    }
}

mod config {
    use super::*;

    #[test]
    fn what_the_host_wrote_into_it_is_gone() {
        for text in [KRM_GENERATOR, KRM_TRANSFORMER, KPT_EVAL, KPT_RENDER] {
            let list = parse(text);
            let [config] = list.configs() else { panic!("one config") };
            assert!(config.is_handed_over());
            let metadata = object::field(config.manifest(), "metadata").unwrap();
            assert!(object::field(metadata, "annotations").is_none());
            assert!(object::field(config.manifest(), "files").is_some());
        }
    }

    #[test]
    fn what_the_author_wrote_stays() {
        let text = KRM_GENERATOR.replace("    name: gen", "      mine: \"yes\"\n    name: gen");
        let list = parse(&text);
        let config = object::Object(list.configs().first().unwrap().manifest());
        assert_eq!(config.annotation("mine"), Some("yes"));
        assert_eq!(config.annotation(LOCAL_CONFIG), None);
    }

    #[test]
    fn items_of_our_kinds_are_configs_where_there_is_no_function_config() {
        for absent in ["", "functionConfig: null\n"] {
            let text = format!(
                "apiVersion: config.kubernetes.io/v1alpha1\nkind: ResourceList\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n\
                 - apiVersion: viaduct.ai/v1\n  kind: ksops\n  files: [a]\n- apiVersion: v1\n  kind: Secret\n\
                 - apiVersion: goabout.com/v1beta1\n  kind: SopsSecretGenerator\n{absent}"
            );
            let list = parse(&text);
            assert_eq!(names(&list), ["ksops", "SopsSecretGenerator"]);
            assert!(list.configs().iter().all(|config| !config.is_handed_over()));
            let answer = value(&answer(&list, &[OURS]));
            let kinds: Vec<_> = answer["items"].as_sequence().unwrap().iter().map(|item| &item["kind"]).collect();
            assert_eq!(kinds, ["ConfigMap", "Secret", "Secret"]);
            assert_eq!(answer["apiVersion"], "config.kubernetes.io/v1alpha1");
        }
    }

    #[test]
    fn a_config_map_stands_for_a_list_of_files() {
        let list = parse(&KPT_CONFIGMAP.replace("'a.yaml,b.yaml'", "\"a.yaml, b=x,y.yaml\\n\\n./c.yaml,\""));
        let config = list.configs().first().unwrap().manifest();
        assert_eq!((object::Object(config).api_version(), object::Object(config).kind()), ("viaduct.ai/v1", "ksops"));
        let Some(Kind::Sequence(files, _)) = object::field(config, "files").map(|files| &files.kind) else {
            panic!("a list")
        };
        let files: Vec<_> = files.iter().filter_map(object::text).collect();
        assert_eq!(files, ["a.yaml", "b=x", "y.yaml", "./c.yaml"]);
    }

    #[test]
    fn a_config_map_without_files_is_refused() {
        assert!(matches!(refusal(KPT_NOTHING), HostError::NothingToGenerate(_)));
        for data in ["{files: ''}", "{files: ' , '}", "null", "[]", "{file: a}", "{files: [a]}", "{files: a, more: b}"]
        {
            let text = KPT_NOTHING.replace("data: {}", &format!("data: {data}"));
            let error = refusal(&text);
            assert!(matches!(error, HostError::NothingToGenerate(_) | HostError::Shape { .. }), "{data}: {error}");
        }
    }

    #[test]
    fn paths_start_at_kpts_package_else_at_the_working_directory() {
        let cwd = Path::new("/cwd");
        let base = |text: &str| parse(text).configs().first().unwrap().base_dir(cwd).to_owned();
        assert_eq!(base(KPT_RENDER), Path::new("/packages/pkg"));
        assert_eq!(base(KPT_EVAL), cwd);
        assert_eq!(base(KRM_TRANSFORMER), cwd);
        assert_eq!(base(&KPT_RENDER.replace("'/packages/pkg'", "'../pkg'")), cwd);
    }
}

mod in_band {
    use super::*;

    #[test]
    fn a_file_of_the_package_is_found_as_it_was_written() {
        let expected = "# head\napiVersion: v1\nkind: Secret\nmetadata:\n    name: enc\nstringData:\n    # about a\n    \
                        a: ENC[AES256_GCM,data:xxx,type:str] # line\n    long: |-\n        x\n\n          y\nsops:\n    \
                        lastmodified: \"2025-01-01T00:00:00Z\"\n    mac: ENC[x]\n---\napiVersion: v1\nkind: Secret\n\
                        metadata:\n    name: enc2\n";
        for list in [parse(KPT_EVAL), parse(KPT_RENDER)] {
            for source in ["secret.enc.yaml", "./secret.enc.yaml", "sub/../secret.enc.yaml"] {
                assert_eq!(super::in_band(&list, source).as_deref(), Some(expected), "{source}");
            }
            assert!(super::in_band(&list, "sub/anchor.yaml").is_some());
        }
    }

    #[test]
    fn what_sops_wrote_comes_back_byte_for_byte() {
        let list = parse(include_str!("testdata/kpt-sops.yaml"));
        let db = include_str!("testdata/kpt-sops.db.enc.yaml");
        assert_eq!(super::in_band(&list, "db.enc.yaml").as_deref(), Some(db));
        let two_documents = include_str!("testdata/kpt-sops.two.enc.yaml");
        assert_eq!(super::in_band(&list, "sub/two.enc.yaml").as_deref(), Some(two_documents));
    }

    #[test]
    fn what_is_not_wholly_there_is_not_found() {
        let list = parse(KPT_EVAL);
        for source in ["none.yaml", "../secret.enc.yaml", "sub/../../secret.enc.yaml", "sub/cm.json", "Kptfile"] {
            assert_eq!(super::in_band(&list, source), None, "{source}");
        }
        let without_first = KPT_EVAL.replacen("path: 'secret.enc.yaml'", "path: 'other.yaml'", 2);
        assert_eq!(super::in_band(&parse(&without_first), "secret.enc.yaml"), None);
    }

    #[test]
    fn paths_may_also_start_at_the_configs_own_file() {
        let text = KPT_EVAL.replace("path: 'gen.yaml'", "path: 'deep/er/gen.yaml'");
        let moved = text.replace("path: 'secret.enc.yaml'", "path: 'deep/secret.enc.yaml'");
        assert!(super::in_band(&parse(&moved), "../secret.enc.yaml").is_some());
        assert_eq!(super::in_band(&parse(&moved), "secret.enc.yaml"), None);
    }

    #[test]
    fn a_file_of_another_package_is_not_found() {
        let text = KPT_RENDER.replacen("'/packages/pkg'", "'/packages/pkg/child'", 4);
        assert_eq!(super::in_band(&parse(&text), "secret.enc.yaml"), None);
    }

    #[test]
    fn nothing_is_found_under_kustomize() {
        // A Secret from a KRM generator has a path there, too.
        assert!(KRM_TRANSFORMER.contains("internal.config.kubernetes.io/path: secret_s.yaml"));
        assert_eq!(super::in_band(&parse(KRM_TRANSFORMER), "secret_s.yaml"), None);
    }

    #[test]
    fn authors_annotations_stay() {
        let text = KPT_EVAL.replacen(
            "    name: enc2\n    annotations:\n",
            "    name: enc2\n    annotations:\n      config.kubernetes.io/local-config: \"true\"\n",
            1,
        );
        assert!(super::in_band(&parse(&text), "secret.enc.yaml").unwrap().contains("local-config: \"true\"\n"));
    }
}

mod refusals {
    use super::*;

    fn list(rest: &str) -> String {
        format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n{rest}")
    }

    #[test]
    fn wrong_shapes_name_the_field_and_the_place() {
        for (rest, message) in [
            ("functionConfig: {}\n", "items: is missing (line 1, column 1)"),
            ("items: x\n", "items: must be a list (line 3, column 8)"),
            ("items:\n- a: 1\n- CANARY-7f3a\n", "items[1]: must be a mapping (line 5, column 3)"),
            ("items: []\nfunctionConfig: [CANARY-7f3a]\n", "functionConfig: must be a mapping (line 4, column 17)"),
            ("items: []\nresults: {}\n", "results: must be a list (line 4, column 10)"),
            ("items: []\nitems: []\n", "a field of the ResourceList is there twice (line 4, column 1)"),
            ("items: []\n---\na: 1\n", "more than one document (line 5, column 1)"),
            ("items: []\n", "the ResourceList has no functionConfig, and none of its items is a generator"),
            (
                "items:\n- {apiVersion: v1, kind: Secret}\n",
                "the ResourceList has no functionConfig, and none of its items is a generator",
            ),
        ] {
            assert_eq!(refusal(&list(rest)).to_string(), message);
        }
    }

    #[test]
    fn other_kinds_and_versions_are_named() {
        let read = |text: &str| match Input::read(text.as_bytes().to_vec(), &is_ours) {
            Ok(_) => panic!("was read"),
            Err(error) => error,
        };
        let error = read("apiVersion: v1\nkind: Secret\nstringData: {a: CANARY-7f3a}\n");
        assert_eq!(error.to_string(), "apiVersion \"v1\", kind \"Secret\" is not known (line 1, column 1)");
        for version in
            ["config.kubernetes.io/", "config.kubernetes.io/v1: x", "example.com/v1", "config.kubernetes.io/v1\\nitems"]
        {
            let error = read(&format!("apiVersion: \"{version}\"\nkind: ResourceList\nitems: []\n"));
            assert!(matches!(error, HostError::UnknownKind { .. }), "{version}: {error}");
        }
        assert!(matches!(read("[]"), HostError::UnknownKind { .. }));
        assert!(matches!(read("apiVersion: viaduct.ai/v1\nkind: ksops\n---\na: 1\n"), HostError::UnknownKind { .. }));
    }

    #[test]
    fn nothing_is_no_input() {
        for text in ["", " \n", "# x\n", "---\n", "---\n...\n", "null\n", "~"] {
            assert!(matches!(refusal(text), HostError::Empty), "{text:?}");
        }
    }

    #[test]
    fn empty_documents_around_are_no_harm() {
        let text = format!("---\n# x\n---\n{KPT_EVAL}---\n");
        assert_eq!(answer(&parse(&text), &[]), KPT_EVAL);
    }

    #[test]
    fn manifests_are_told_from_resource_lists() {
        let text = "apiVersion: viaduct.ai/v1\nkind: ksops\nfiles: [a]\n---\napiVersion: viaduct.ai/v1\nkind: x\n";
        let Ok(Input::Manifests(configs)) = Input::read(text.into(), &is_ours) else { panic!("manifests") };
        assert_eq!(configs.len(), 2);
        assert!(configs.iter().all(|config| !config.is_handed_over()));
        assert!(matches!(Input::read(KPT_EVAL.into(), &is_ours), Ok(Input::ResourceList(_))));
    }
}

mod answers {
    use super::*;

    fn list(items: &str, rest: &str) -> String {
        format!(
            "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:{items}functionConfig: {{apiVersion: v1, kind: X, metadata: {{name: x}}}}\n{rest}"
        )
    }

    #[test]
    fn a_secret_survives_embedding() {
        for indent in [0, 2, 7] {
            let mut text = String::from("items:\n");
            embed::push_element(&mut text, OURS, indent);
            embed::push_element(&mut text, "a: 1", indent);
            assert_eq!(value(&text)["items"][0], value(OURS), "{indent}");
            assert_eq!(value(&text)["items"][1], value("a: 1"), "{indent}");
        }
    }

    #[test]
    fn dashes_keep_their_column() {
        for text in [
            list("\n  - a: 1\n    # x\n  # y\n  -\n    b: |+\n      z\n\n", ""),
            list("\n- # c\n  a: 1\n# d\n- !x\n  b: \"m\n- n\"\n- &e\n  f: g\n", ""),
        ] {
            let answer = answer(&parse(&text), &[OURS]);
            assert!(answer.starts_with(text.split("functionConfig").next().unwrap()), "{answer}");
            let count = value(&text)["items"].as_sequence().unwrap().len();
            assert_eq!(value(&answer)["items"][count], value(OURS));
        }
    }

    #[test]
    fn json_and_flow_style_are_written_anew() {
        let json = serde_json::to_string(&value(KPT_EVAL)).unwrap();
        for text in
            [json.as_str(), &list(" [{a: 1}, {b: [x, {c: \"\\u0001 \"}]}]\n", ""), &KPT_EVAL.replace('\n', "\r\n")]
        {
            let answer = value(&answer(&parse(text), &[OURS]));
            let mut expected = value(text)["items"].as_sequence().unwrap().clone();
            expected.push(value(OURS));
            assert_eq!(answer["items"], serde_yaml::Value::Sequence(expected));
            assert_eq!(answer["functionConfig"], value(text)["functionConfig"]);
        }
    }

    #[test]
    fn a_last_line_without_an_end_gains_nothing() {
        let text =
            "functionConfig: {kind: X}\nkind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems:\n- a: |\n    x";
        let answer = value(&answer(&parse(text), &[OURS]));
        assert_eq!(answer["items"][0], value(text)["items"][0]);
        assert_eq!(answer["items"][1], value(OURS));
    }

    #[test]
    fn an_alias_outlives_the_item_that_had_its_anchor() {
        let text = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n\
                    - {apiVersion: viaduct.ai/v1, kind: ksops, files: &f [a]}\n- {kind: X, files: *f}\n";
        let answer = value(&answer(&parse(text), &[OURS]));
        assert_eq!(answer["items"][0], value("{kind: X, files: [a]}"));
    }

    #[test]
    fn nothing_to_echo_and_nothing_generated_is_an_empty_list() {
        for text in [KRM_GENERATOR.to_owned(), list(" []\n", ""), list("\n", "")] {
            let answer = value(&answer(&parse(&text), &[]));
            assert_eq!(answer["items"], serde_yaml::Value::Sequence(Vec::new()));
        }
    }

    #[test]
    fn results_are_kept_and_warnings_added() {
        let warning = || Warning { message: "a \"b\" \\ : # c".into(), file: Some("x\ny.yaml".into()) };
        let old = "results:\n  - message: old\n    severity: info\n";
        for (results, count) in
            [(old, 1), ("results: [{message: old}]\n", 1), ("results: []\n", 0), ("results:\n", 0), ("", 0)]
        {
            let text = list(" []\n", results);
            let text =
                String::from_utf8(parse(&text).respond(&[OURS], &[warning(), warning()]).into_exposed()).unwrap();
            let results = &value(&text)["results"];
            assert_eq!(results.as_sequence().unwrap().len(), count + 2, "{text}");
            assert_eq!(results[count]["message"], "a \"b\" \\ : # c");
            assert_eq!(results[count]["severity"], "warning");
            assert_eq!(results[count]["file"]["path"], "x\\u{a}y.yaml");
            assert!(count == 0 || results[0]["message"] == "old");
        }
    }
}

mod legacy {
    use super::*;

    fn read(stdin: &str) -> Legacy {
        Legacy::read(LEGACY_CONFIG.as_bytes(), stdin.into()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn answer(stdin: &str, resources: &[&str]) -> String {
        String::from_utf8(read(stdin).respond(resources).into_exposed()).unwrap()
    }

    #[test]
    fn an_empty_stdin_makes_a_generator() {
        for stdin in ["", "\n", " \n"] {
            let legacy = read(stdin);
            assert!(!legacy.is_transformer());
            assert_eq!(legacy.annotation_policy(), AnnotationPolicy::Keep);
            assert_eq!(answer(stdin, &[OURS, OURS]), format!("{OURS}---\n{OURS}"));
        }
        assert!(read("").config().is_handed_over());
    }

    #[test]
    fn a_transformer_repeats_stdin_and_adds() {
        assert_eq!(read(LEGACY_STDIN).annotation_policy(), AnnotationPolicy::Translate);
        assert_eq!(answer(LEGACY_STDIN, &[]), LEGACY_STDIN);
        assert_eq!(answer(LEGACY_STDIN, &[OURS, OURS]), format!("{LEGACY_STDIN}---\n{OURS}---\n{OURS}"));
    }

    #[test]
    fn separators_are_neither_missing_nor_doubled() {
        for stdin in ["a: 1", "a: 1\n", "a: 1\n---\n", "---\na: 1\n...\n"] {
            let answer = answer(stdin, &[OURS]);
            let documents: Vec<_> = yaml::parse(answer.as_bytes()).unwrap_or_default();
            assert_eq!(documents.len(), 2, "{answer}");
        }
        assert_eq!(answer("---\n", &[OURS]), format!("---\n{OURS}"));
    }

    #[test]
    fn the_config_is_one_document() {
        let refusal = |config: &str| Legacy::read(config.as_bytes(), Vec::new()).map(|_| ()).unwrap_err();
        assert!(matches!(refusal("a: 1\n---\nb: 1\n"), HostError::SeveralDocuments(position) if position.line == 3));
        assert!(matches!(refusal(""), HostError::Empty));
        assert!(matches!(refusal("a: ["), HostError::Yaml(_)));
    }
}

mod bounds {
    use super::*;

    fn took<T>(what: impl FnOnce() -> T) -> Duration {
        let started = Instant::now();
        what();
        started.elapsed()
    }

    #[test]
    fn time_grows_with_the_input_only_linearly() {
        let item = "- kind: X\n  metadata:\n    annotations:\n      config.kubernetes.io/path: 'x.yaml'\n      config.kubernetes.io/index: '0'\n";
        let run = |count: usize| {
            let text = format!(
                "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig: {{kind: Y}}\nitems:\n{}",
                item.repeat(count)
            );
            took(|| answer(&parse(&text), &[OURS]))
        };
        run(1000);
        let (small, large) = (run(2000), run(16_000));
        assert!(large < small * 32 + Duration::from_secs(1), "{small:?} for 2,000 items, {large:?} for 16,000");
        println!("figure: 2,000 items {} ms, 16,000 items {} ms", small.as_millis(), large.as_millis());
    }

    #[test]
    fn deep_and_broken_input_is_refused_at_once() {
        for text in
            ["- ".repeat(100_000), "[".repeat(1 << 20), "{a: ".repeat(100_000), "a:\n ".repeat(1000), "\0".into()]
        {
            let elapsed = took(|| assert!(ResourceList::parse(text.into_bytes(), &is_ours).is_err()));
            assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
        }
    }
}

/// Equality of values, whatever their style and comments.
fn is_same(one: &Node, other: &Node) -> bool {
    one.tag == other.tag
        && match (&one.kind, &other.kind) {
            (Kind::Scalar(one, _), Kind::Scalar(other, _)) => one == other,
            (Kind::Sequence(one, _), Kind::Sequence(other, _)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
            }
            (Kind::Mapping(one, _), Kind::Mapping(other, _)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| is_same(&one.0, &other.0) && is_same(&one.1, &other.1))
            }
            _ => false,
        }
}

/// Whatever is done to what a host sends: either it is refused, or its items come back with ours behind them.
fn check_answer(text: &str) -> bool {
    let Ok(list) = ResourceList::parse(text.as_bytes().to_vec(), &is_ours) else { return false };
    let answer = answer(&list, &[OURS, OURS]);
    let documents = yaml::parse(answer.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}\n=====\n{answer}"));
    let [document] = documents.as_slice() else { panic!("not one document\n{text}\n=====\n{answer}") };
    let input = yaml::parse(text.as_bytes()).unwrap();
    let input = input.iter().find(|document| !object::is_null(&document.root)).unwrap();
    let has_config = object::field(&input.root, "functionConfig").is_some_and(|config| !object::is_null(config));
    let is_echoed = |item: &&Node| match list.caller() {
        Caller::KustomizeGenerator => false,
        _ => has_config || !object::Object(item).is(&is_ours),
    };
    let mut expected: Vec<Node> = resource_list::items(&input.root).iter().filter(is_echoed).cloned().collect();
    let ours = yaml::parse(OURS.as_bytes()).unwrap().remove(0).root;
    expected.extend([ours.clone(), ours]);
    let answered = resource_list::items(&document.root);
    assert_eq!(answered.len(), expected.len(), "{text}\n=====\n{answer}");
    for (answered, expected) in answered.iter().zip(&expected) {
        assert!(is_same(answered, expected), "{text}\n=====\n{answer}");
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_come_back_from_whatever_is_read(
        recorded in prop::sample::select(vec![KPT_CONFIGMAP, KPT_EVAL, KPT_RENDER, KRM_GENERATOR, KRM_TRANSFORMER]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, prop::sample::select(vec![
            "", " ", "  ", "\n", "- ", "-", "---\n", "...\n", "#", "# x\n", "&a ", "*a", "{", "}", "[", "]", "\"", "'", "|\n", ">",
            "a: 1\n", "  ? b\n", ": ", "items:\n", "functionConfig:\n", "results: []\n", "!t ", "\t", "\r\n", "\u{85}", "\u{feff}", "~",
        ])), 0..4),
    ) {
        let mut lines: Vec<String> = recorded.split_inclusive('\n').map(str::to_owned).collect();
        for (place, how, what) in edits {
            let at = place.index(lines.len());
            match how {
                0 => lines.insert(at, what.to_owned()),
                1 => lines[at].insert_str(0, what),
                2 => { let end = lines[at].trim_end().len(); lines[at].insert_str(end, what) }
                _ if lines.len() > 1 => drop(lines.remove(at)),
                _ => {}
            }
        }
        check_answer(&lines.concat());
    }
}

#[test]
fn recordings_pass_the_check_of_the_property() {
    assert!(
        [KPT_CONFIGMAP, KPT_EVAL, KPT_RENDER, KRM_GENERATOR, KRM_TRANSFORMER].iter().all(|text| check_answer(text))
    );
}

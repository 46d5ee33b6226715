use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;

/// A tree in memory; a path that ends in `/` is an empty directory.
struct Memory {
    files: BTreeMap<&'static str, String>,
    reads: RefCell<usize>,
}

impl Memory {
    fn new(files: &[(&'static str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        Self { files, reads: RefCell::new(0) }
    }
}

impl Files for Memory {
    fn kind(&self, path: &str) -> FileKind {
        if self.files.contains_key(path) {
            return FileKind::File;
        }
        let is_directory = self.files.keys().any(|file| file.starts_with(&format!("{path}/")));
        if path.is_empty() || is_directory { FileKind::Directory } else { FileKind::Missing }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Unread> {
        *self.reads.borrow_mut() += 1;
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| Unread("missing".to_owned()))
    }
}

fn walk_from(directory: &str, files: &[(&'static str, &str)]) -> Walk {
    walk(&Memory::new(files), [directory])
}

fn faults(walk: &Walk) -> Vec<String> {
    walk.faults.iter().map(|fault| format!("{}:{} {:?}", fault.file, fault.position.line, fault.kind)).collect()
}

const KSOPS: &str = "\
apiVersion: viaduct.ai/v1
kind: ksops
metadata:
  name: gen
  annotations:
    config.kubernetes.io/function: |
      exec:
        path: ksops
files:
  - ./a.enc.yaml
secretFrom:
  - metadata: {name: s}
    files: [key=dir/a=b.enc.txt]
    envs: [x.enc.env]
";

#[test]
fn finds_generators_of_every_base_and_component_once() {
    let walk = walk_from(
        "overlay",
        &[
            ("overlay/kustomization.yaml", "resources: [../base, deploy.yaml]\ncomponents: [../comp]\n"),
            ("overlay/deploy.yaml", "kind: Deployment"),
            ("base/kustomization.yml", "generators: [gen.yaml]\nresources: [../leaf]\n"),
            ("base/gen.yaml", KSOPS),
            ("comp/Kustomization", "kind: Component\nresources: [../leaf]\ngenerators: [../base/gen.yaml]\n"),
            ("leaf/kustomization.yaml", "transformers: [t.yaml]\n"),
            ("leaf/t.yaml", "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\n"),
        ],
    );
    assert_eq!(faults(&walk), Vec::<String>::new());
    let directories: Vec<_> = walk.kustomizations.iter().map(|visited| visited.directory.as_str()).collect();
    assert_eq!(directories, ["overlay", "base", "leaf", "comp"]);
    let plugins: Vec<_> = walk.plugins.iter().map(|plugin| (plugin.kind, plugin.role, plugin.kustomization)).collect();
    assert_eq!(
        plugins,
        [
            (PluginKind::Builtin, Role::Transformer, 2),
            (PluginKind::Ksops, Role::Generator, 1),
            (PluginKind::Ksops, Role::Generator, 3)
        ]
    );
    let edges: Vec<_> =
        walk.kustomizations[0].edges.iter().map(|edge| (edge.path.as_str(), edge.kustomization)).collect();
    assert_eq!(edges, [("base", Some(1)), ("overlay/deploy.yaml", None), ("comp", Some(3))]);
}

#[test]
fn says_what_a_generator_names_and_where() {
    let walk = walk_from("", &[("kustomization.yaml", "generators: [g.yaml]"), ("g.yaml", KSOPS)]);
    let plugin = walk.ours().next().expect("a generator");
    assert_eq!(plugin.engine, Engine::Exec { path: "ksops".to_owned() });
    assert_eq!(plugin.name, "gen");
    let names: Vec<_> = plugin
        .names
        .iter()
        .map(|named| (named.list, named.secret, named.key.as_deref(), named.path.as_str(), named.position.line))
        .collect();
    assert_eq!(
        names,
        [
            ("files", None, None, "./a.enc.yaml", 10),
            ("files", Some(0), Some("key"), "dir/a=b.enc.txt", 13),
            ("envs", Some(0), None, "x.enc.env", 14)
        ]
    );
}

#[test]
fn finds_inline_generators_with_their_place_in_the_file() {
    let text = "\
generators:
  - |-
    apiVersion: viaduct.ai/v1
    kind: ksops
    metadata: {name: one}
    files: [a.enc.yaml]
    ---
    apiVersion: goabout.com/v1beta1
    kind: SopsSecretGenerator
    metadata: {name: two}
    files: [k=b.enc.txt]
  - \"kind: ksops\\napiVersion: viaduct.ai/v1\\nfiles: [c]\\n\"
";
    let walk = walk_from("", &[("kustomization.yaml", text)]);
    assert_eq!(faults(&walk), Vec::<String>::new());
    let places: Vec<_> = walk
        .plugins
        .iter()
        .map(|plugin| {
            let named = &plugin.names[0];
            (plugin.place.document, plugin.position().line, named.position.line, named.position.column)
        })
        .collect();
    assert_eq!(places, [(0, 3, 6, 13), (1, 8, 11, 13), (0, 12, 12, 5)]);
    assert!(walk.plugins.iter().all(|plugin| plugin.place.is_inline() && plugin.engine == Engine::Legacy));
    assert_eq!(walk.plugins[1].names[0].key.as_deref(), Some("k"));
}

#[test]
fn directory_of_generators_is_read_as_a_kustomization() {
    let walk = walk_from(
        "app",
        &[
            ("app/kustomization.yaml", "generators: [./generators]"),
            ("app/generators/kustomization.yaml", "resources: [g.yaml, more]"),
            ("app/generators/g.yaml", KSOPS),
            ("app/generators/more/kustomization.yaml", "resources: [g.yaml]"),
            (
                "app/generators/more/g.yaml",
                "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: viaduct.ai/v1, kind: x}",
            ),
        ],
    );
    assert_eq!(faults(&walk), Vec::<String>::new());
    let found: Vec<_> = walk.ours().map(|plugin| (plugin.place.file.as_str(), plugin.kustomization)).collect();
    assert_eq!(found, [("app/generators/g.yaml", 0), ("app/generators/more/g.yaml", 0)]);
}

#[test]
fn fetches_nothing() {
    let walk = walk_from(
        "",
        &[(
            "kustomization.yaml",
            "resources: ['https://example.com/x.yaml', 'github.com/o/r//base?ref=v1']\ngenerators: ['git@github.com:o/r.git']\n",
        )],
    );
    assert_eq!(faults(&walk), Vec::<String>::new());
    let remotes: Vec<_> = walk.remotes.iter().map(|remote| remote.url.as_str()).collect();
    assert_eq!(remotes, ["https://example.com/x.yaml", "github.com/o/r//base?ref=v1", "git@github.com:o/r.git"]);
}

#[test]
fn notes_cycles_and_goes_on() {
    let walk = walk_from(
        "a",
        &[
            ("a/kustomization.yaml", "resources: [../b, ../b/sub, .., .]\n"),
            ("b/kustomization.yaml", "resources: [../a, sub]\n"),
            ("b/sub/kustomization.yaml", "resources: [../../b]\n"),
            ("kustomization.yaml", "resources: [a]\n"),
        ],
    );
    let lines: Vec<_> =
        walk.faults.iter().map(|fault| (fault.file.as_str(), matches!(fault.kind, FaultKind::Cycle(_)))).collect();
    assert_eq!(
        lines,
        [
            ("b/kustomization.yaml", true),
            ("b/sub/kustomization.yaml", true),
            ("a/kustomization.yaml", true),
            ("a/kustomization.yaml", true)
        ]
    );
    assert_eq!(walk.kustomizations.len(), 3);
}

#[test]
fn notes_every_dead_end_with_its_place() {
    let walk = walk_from(
        "a",
        &[
            (
                "a/kustomization.yaml",
                "resources:\n- gone.yaml\n- ../../out\n- /abs\n- ../empty\n- ../comp\n- ../broken\ncomponents:\n- ../plain\n- f.yaml\ngenerators:\n- |\n  a: [\n- n.yaml\n",
            ),
            ("a/f.yaml", ""),
            ("a/n.yaml", "- x\n---\n{}\n---\n"),
            ("empty/readme", ""),
            ("comp/kustomization.yaml", "kind: Component"),
            ("plain/kustomization.yaml", "kind: Kustomization"),
            ("broken/kustomization.yaml", "a: b: c"),
        ],
    );
    let found: Vec<_> =
        faults(&walk).iter().map(|fault| fault.split('(').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(
        found,
        [
            "a/kustomization.yaml:2 Missing",
            "a/kustomization.yaml:3 Outside",
            "a/kustomization.yaml:4 Absolute",
            "a/kustomization.yaml:5 NoKustomization",
            "a/kustomization.yaml:6 NoComponentExpected",
            "broken/kustomization.yaml:1 Malformed",
            "a/kustomization.yaml:12 Inline",
            "a/n.yaml:1 NotAnObject",
            "a/n.yaml:3 NotAnObject",
            "a/kustomization.yaml:9 ComponentExpected",
            "a/kustomization.yaml:10 NotADirectory"
        ]
    );
}

#[test]
fn ends_on_a_deep_chain_and_on_a_wide_fan() {
    let mut files: Vec<(&'static str, String)> = Vec::new();
    for number in 0..200 {
        let path: &'static str = Box::leak(format!("k{number}/kustomization.yaml").into_boxed_str());
        let next: Vec<String> = (number + 1..200).map(|next| format!("../k{next}")).collect();
        files.push((path, format!("resources: [{}]", next.join(", "))));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let walk = walk_from("k0", &files);
    assert!(walk.kustomizations.len() >= 64);
    assert!(walk.faults.iter().any(|fault| matches!(fault.kind, FaultKind::TooDeep)));
}

#[test]
fn notes_fields_that_kustomize_refuses() {
    let kustomization = Kustomization::parse(
        b"Resources: [a]\ngenerater: [x]\nresources: x\nnamePrefix: p-\nsecretGenerator:\n- name: s\n  literals: [a=CANARY-7f3a]\n  files: [k=f]\n  env: e\n  options: {disableNameSuffixHash: true}\n",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(kustomization.unknown.len(), 1);
    assert_eq!(kustomization.unknown[0].meant, Some("generators"));
    assert_eq!(kustomization.wrong[0].field, "resources");
    assert_eq!(kustomization.list(Field::Resources).count(), 1);
    let sources = &kustomization.sources[0];
    assert_eq!(sources.literals, [("a".to_owned(), crate::yaml::Position { line: 7, column: 14 })]);
    assert_eq!((sources.files[0].key.as_deref(), sources.files[0].path.as_str()), (Some("k"), "f"));
    assert_eq!(sources.envs[0].path, "e");
    assert!(sources.disables_hash);
}

#[test]
fn reads_function_annotations_as_strictly_as_kustomize() {
    for (annotation, want) in [
        ("'exec: {path: ./x, args: [a]}'", "Exec { path: \"./x\" }"),
        ("'container: {image: i:1}'", "Container { image: \"i:1\" }"),
        ("'exec: {pth: x}'", "Invalid"),
        ("'{}'", "Invalid"),
        ("'[a'", "Invalid"),
        ("''", "Legacy"),
    ] {
        let text = format!(
            "apiVersion: x/v1\nkind: y\nmetadata: {{annotations: {{config.kubernetes.io/function: {annotation}}}}}\n"
        );
        let walk = walk_from("", &[("kustomization.yaml", "generators: [g.yaml]"), ("g.yaml", &text)]);
        let engine = format!("{:?}", walk.plugins[0].engine);
        assert!(engine.starts_with(want), "{annotation}: {engine}");
    }
}

#[test]
fn foreign_functions_are_told_from_ours() {
    let exec = |program: &str, rest: &str| {
        format!(
            "apiVersion: x.dev/v1\nkind: y\nmetadata:\n  name: n\n  annotations:\n    config.kubernetes.io/function: 'exec: {{path: {program}}}'\n{rest}"
        )
    };
    let ours = exec("/usr/local/bin/ksops", "files: [a]\n");
    let theirs = exec("./evil.sh", "files: [a]\n");
    let walk = walk_from(
        "",
        &[("kustomization.yaml", "generators: [a.yaml, b.yaml]"), ("a.yaml", &ours), ("b.yaml", &theirs)],
    );
    let kinds: Vec<_> = walk.plugins.iter().map(|plugin| plugin.kind).collect();
    assert_eq!(kinds, [PluginKind::Ksops, PluginKind::Foreign]);
    assert_eq!(walk.foreign_functions().count(), 1);
}

#[test]
fn cleans_paths_as_go_does() {
    for (directory, path, want) in [
        ("a/b", "../c", Some("a/c")),
        ("a", "..", Some("")),
        ("a", "../..", None),
        ("", "./x//y/", Some("x/y")),
        ("a", "/etc", None),
        ("a", "b\0c", None),
    ] {
        assert_eq!(join(directory, path).as_deref(), want, "{directory} {path}");
    }
}

#[test]
fn one_kustomization_cannot_use_up_what_others_need() {
    let inline: String = (0..3000)
        .map(|number| format!("- |\n  apiVersion: x/v1\n  kind: y\n  metadata: {{name: n{number}}}\n"))
        .collect();
    let text = format!("generators:\n{inline}");
    let memory = Memory::new(&[
        ("a/kustomization.yaml", &text),
        ("b/kustomization.yaml", "generators: [g.yaml]"),
        ("b/g.yaml", KSOPS),
    ]);
    let walk = walk(&memory, ["a", "b"]);
    assert_eq!(walk.ours().count(), 1);
    assert_eq!(faults(&walk), ["a/kustomization.yaml:0 TooMuch"]);
}

//! `unsops check` beside the real sops and kustomize.

use std::collections::BTreeSet;
use std::fs;

use super::files::{ksops, pod};
use super::found;
use crate::harness::{CANARY, Case, tests_dir, tool};

/// The recipient of a test-only identity.
fn recipient(key: &str) -> String {
    let text = fs::read_to_string(tests_dir().join("keys").join(key)).expect(key);
    let line = text.lines().find_map(|line| line.split_once("public key: ")).expect("a public key");
    line.1.trim().to_owned()
}

/// What sops says about a file's recipients.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Differ,
    NoRule,
    Refused,
    Same,
}

/// `.sops.yaml` by directory, the file, and its recipients at the time when it was made.
struct Rules {
    configs: &'static [(&'static str, &'static str)],
    file: &'static str,
}

/// @A and @B stand for two recipients; every file is made for A.
const TABLE: &[Rules] = &[
    Rules { configs: &[("", "- age: @A")], file: "a.yaml" },
    Rules { configs: &[("", "- age: '@A,@B'")], file: "a.yaml" },
    Rules { configs: &[("", "- age: @B")], file: "a.yaml" },
    Rules { configs: &[("", "- age: >-\n    @A,\n    @B\n- age: @A")], file: "a.yaml" },
    Rules { configs: &[("", "- age: [@A]")], file: "a.yaml" },
    Rules { configs: &[("", "- path_regex: ^sub/a\n  age: @A\n- age: @B")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: ^a\n  age: @B\n- age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: sub\n  age: @B\n- age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: SUB\n  age: @B")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: (?i)SUB\n  age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: \\.yml$\n  age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- path_regex: '('\n  age: @A")], file: "a.yaml" },
    Rules {
        configs: &[("", "- path_regex: .*\n  age: @A\n  encrypted_suffix: x\n  encrypted_regex: y")],
        file: "a.yaml",
    },
    Rules { configs: &[("", "- age: @B"), ("sub", "- age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- age: @B"), ("sub", "- path_regex: ^a\n  age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- age: @B"), ("sub", "- path_regex: ^sub/a\n  age: @A")], file: "sub/a.yaml" },
    Rules { configs: &[("", "- key_groups: [{age: [@A]}]")], file: "a.yaml" },
    Rules { configs: &[("", "- key_groups: [{age: ['@A,@B']}]")], file: "a.yaml" },
    Rules { configs: &[("", "- key_groups: [{age: [@A]}, {age: [@B]}]")], file: "a.yaml" },
    Rules { configs: &[("", "- key_groups: [{merge: [{age: [@A]}], age: [@A]}]")], file: "a.yaml" },
    Rules { configs: &[("", "- age: {a: @A}")], file: "a.yaml" },
    Rules { configs: &[("", "- age: @A\n  age: @A")], file: "a.yaml" },
    Rules { configs: &[("", "- path_regexp: x\n  age: @A")], file: "a.yaml" },
];

#[test]
fn creation_rules_match_as_in_sops() {
    let Some(sops) = tool("sops") else { return };
    let (a, b) = (recipient("age.txt"), recipient("age-2.txt"));
    let mut failures = Vec::new();
    for Rules { configs, file } in TABLE {
        let case = Case::new().report().key("age.txt").file(file, format!("password: {CANARY}\n"));
        let made = Case::run_with(
            &case,
            &sops,
            ["encrypt", "--config", "/dev/null", "--age", &a, "-i", case.root().join(file).to_str().expect("UTF-8")],
        );
        assert_eq!(made.status, Some(0), "{}", made.redacted());
        let mut case = case;
        for (directory, rules) in *configs {
            let rules = rules.replace("@A", &a).replace("@B", &b);
            case = case
                .file(format!("{directory}/.sops.yaml").trim_start_matches('/'), format!("creation_rules:\n{rules}\n"));
        }
        let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
        let case = case.cwd(directory).stdin("n\n");
        let updated = case.run_with(&sops, ["updatekeys", name]);
        let says = |words: &str| {
            let text = [updated.stdout.as_slice(), updated.stderr.as_slice()].concat();
            String::from_utf8_lossy(&text).contains(words)
        };
        let wanted = if says("no matching creation rules found") {
            Verdict::NoRule
        } else if says("The following changes will be made") {
            Verdict::Differ
        } else if says("already up to date") {
            Verdict::Same
        } else {
            Verdict::Refused
        };
        let (rules, _) = found(&case.cwd("").stdin("").args(["check", "--output", "json"]));
        let has = |rule: &str| rules.contains(rule);
        let we_say = if has("no-creation-rule") {
            Verdict::NoRule
        } else if has("recipients-differ") {
            Verdict::Differ
        } else if has("sops-config") && wanted == Verdict::Refused {
            Verdict::Refused
        } else {
            Verdict::Same
        };
        if we_say != wanted {
            failures.push(format!("{configs:?} {file}: sops says {wanted:?}, we {we_say:?} ({rules:?})"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn with_keys_macs_values_and_keys_are_checked() {
    let Some(sops) = tool("sops") else { return };
    let (a, b) = (recipient("age.txt"), recipient("age-2.txt"));
    let encrypt = |case: Case, to: &str, path: &str, text: &str| {
        let case = case.file(path, text);
        let full = case.root().join(path);
        let run = case.run_with(&sops, ["encrypt", "--age", to, "-i", full.to_str().expect("UTF-8")]);
        assert_eq!(run.status, Some(0), "{}", run.redacted());
        case
    };
    let secret =
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{a: '{CANARY}', b: x{CANARY}}}\n");
    let new = || Case::new().report().key("age.txt");
    let verdict = |case: Case| found(&case.args(["check", "--decrypt", "--output", "json"])).0;

    let good = encrypt(new(), &a, "s.enc.yaml", &secret);
    assert_eq!(verdict(good), BTreeSet::new());

    let foreign = encrypt(new(), &b, "s.enc.yaml", &secret);
    assert_eq!(verdict(foreign), BTreeSet::from(["decrypt-failed".to_owned()]));

    let swapped = encrypt(new(), &a, "s.enc.yaml", "list: [one, two]\n");
    let text = fs::read_to_string(swapped.root().join("s.enc.yaml")).expect("a file");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(1, 2);
    let swapped = swapped.file("s.enc.yaml", lines.join("\n") + "\n");
    assert_eq!(verdict(swapped), BTreeSet::from(["mac-mismatch".to_owned()]));

    let generated = |body: &str| {
        let generator = ksops("secretFrom:\n- metadata: {name: db}\n  envs: [e.enc.env]\n");
        let case = new().file("kustomization.yaml", "generators: [gen.yaml]\n").file("gen.yaml", generator);
        encrypt(case, &a, "e.enc.env", body)
    };
    assert_eq!(verdict(generated(&format!("A={CANARY}\n"))), BTreeSet::new());
    let hazard = BTreeSet::from(["dotenv-hazard".to_owned()]);
    assert_eq!(verdict(generated(&format!("A={CANARY}$HOME\n"))), hazard);
    assert_eq!(verdict(generated(&format!("A={CANARY} # b\n"))), hazard);
    // Quotes that people write on purpose are worth a note only.
    let quoted = || generated(&format!("A=\"{CANARY}\"\n"));
    assert_eq!(verdict(quoted()), BTreeSet::new());
    let (rules, _) = found(&quoted().args(["check", "--decrypt", "--output", "json", "--severity", "note"]));
    assert_eq!(rules, hazard);
}

/// Kustomizations that kustomize builds, and such that it refuses.
const BUILDS: &[(&str, bool)] = &[
    ("resources: [pod.yaml]\n", true),
    ("Resources: [pod.yaml]\n", true),
    ("resources: [pod.yaml]\nresurces: []\n", false),
    ("resources: [gone.yaml]\n", false),
    ("resources: [sub]\n", true),
    ("resources: [empty]\n", false),
    ("resources: [comp]\n", false),
    ("components: [comp]\nresources: [pod.yaml]\n", true),
    ("components: [sub]\n", false),
    ("resources: [../root]\n", false),
    ("resources: pod.yaml\n", false),
    ("resources: [pod.yaml]\n---\nnamePrefix: x-\n", true),
    ("apiVersion: example.com/v1\nkind: Kustomization\nresources: [pod.yaml]\n", false),
    ("bases: [sub]\n", true),
    (
        "generators:\n- |\n  apiVersion: builtin\n  kind: SecretGenerator\n  metadata: {name: s}\n  literals: [a=b]\n",
        true,
    ),
    ("generators:\n- |\n  a: [\n", false),
    ("transformers: [gone.yaml]\n", false),
    ("resources: [broken.yaml]\n", false),
];

#[test]
fn kustomize_refuses_what_is_reported_and_builds_what_is_not() {
    let Some(kustomize) = tool("kustomize") else { return };
    let mut failures = Vec::new();
    for (kustomization, builds) in BUILDS {
        let case = Case::new()
            .report()
            .file("kustomization.yaml", kustomization)
            .file("pod.yaml", pod("x"))
            .file("broken.yaml", "a: b: c\n")
            .file("empty/readme", "")
            .file("sub/kustomization.yaml", "namePrefix: s-\nresources: [pod.yaml]\n")
            .file("sub/pod.yaml", pod("y"))
            .file(
                "comp/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
            );
        let built = case.run_with(&kustomize, ["build", "--enable-alpha-plugins", "."]);
        let (rules, code) = found(&case.args(["check", "--output", "json"]));
        if (built.status == Some(0)) != *builds || (code == 0) != *builds {
            failures.push(format!("{kustomization:?}: kustomize {:?}, we {rules:?}", built.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

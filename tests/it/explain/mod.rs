//! `unsops explain`, held against files that the real sops wrote, against JSON Schema, and in a real browser.

mod browser;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{CANARY, Case, Run, assert_no_canary, tests_dir, tool};

/// Runs explain, and checks what holds for every report.
fn explain(case: Case, args: &[&str]) -> Run {
    let run = case.report().arg("explain").args(args).run();
    assert_no_canary("the report", &run.stdout);
    assert_no_canary("stderr", &run.stderr);
    let text = String::from_utf8(run.stdout.clone()).expect("UTF-8");
    let fooling =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    if !args.contains(&"always") {
        assert!(!text.contains(fooling), "a control character in the report");
    }
    run
}

#[track_caller]
fn text(run: &Run, status: i32) -> String {
    assert_eq!(run.status, Some(status), "{}", run.redacted());
    String::from_utf8(run.stdout.clone()).expect("UTF-8")
}

#[track_caller]
fn json(run: &Run, status: i32) -> Value {
    serde_json::from_str(&text(run, status)).expect("JSON")
}

fn fixtures(case: Case) -> Case {
    case.tree("fixtures/enc", "enc")
}

#[test]
fn tells_a_file_without_any_key() {
    let run = explain(Case::new().fixture("enc/3.13.3/regex-enc.yaml", "db.enc.yaml"), &["db.enc.yaml"]);
    let text = text(&run, 0);
    for line in [
        "db.enc.yaml  YAML, sops 3.13.3, changed ",
        "├─ opens for one recipient\n│  └─ age age16h...fv4ft\n",
        "├─ you cannot open it: you have no identity here\n",
        "├─ rule: encrypted_regex ",
        "  str, ",
        " bytes, line ",
        "└─ none in SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, ~/.config/sops/age/keys.txt, ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let project = tests_dir().parent().expect("the project").to_owned();
    let readme = fs::read_to_string(project.join("README.md")).expect("README");
    let command = "$ SOPS_AGE_KEY_FILE=examples/keys.txt unsops explain examples/quickstart/database.enc.yaml\n";
    let shown = readme.split_once(command).and_then(|(_, rest)| rest.split_once("```")).expect("the transcript").0;
    let case = Case::new()
        .tree("../examples/quickstart", "examples/quickstart")
        .file("examples/keys.txt", fs::read(project.join("examples/keys.txt")).expect("the key"))
        .env("SOPS_AGE_KEY_FILE", "examples/keys.txt");
    let text = text(&explain(case, &["examples/quickstart/database.enc.yaml"]), 0);
    // Depends on how the repository was checked out.
    assert_eq!(text.replace(" (every account on this machine may read it)", ""), shown);
}

#[test]
fn says_which_of_your_identities_it_is_and_what_it_is_called() {
    let case = Case::new().key("age.txt").fixture("enc/3.13.3/simple.json", "simple.json");
    let shown = text(&explain(case, &["simple.json"]), 0);
    assert!(
        shown.contains("age test-only: opens every age fixture age16h...fv4ft ← you, SOPS_AGE_KEY_FILE="),
        "{shown}"
    );
    assert!(shown.contains("you can open it: "), "{shown}");

    let keys = tests_dir().join("keys");
    let pgp = |key: &str| {
        let case = Case::new().env("UNSOPS_PGP_KEY_FILE", keys.join(key)).fixture("enc/3.6.1/regex-enc.yaml", "a.yaml");
        json(&explain(case, &["-o", "json", "a.yaml"]), 0)["files"][0]["access"]["state"].clone()
    };
    assert_eq!((pgp("pgp.asc"), pgp("age.txt")), ("yes".into(), "no".into()));
}

#[test]
fn says_whether_the_threshold_is_satisfied() {
    let state = |keys: &[&str]| {
        let read = |key: &&str| fs::read_to_string(tests_dir().join("keys").join(key)).expect("a key");
        let keys: String = keys.iter().map(read).collect();
        let case = Case::new().env("SOPS_AGE_KEY", keys).fixture("enc/3.13.3/shamir.yaml", "shamir.yaml");
        let file = json(&explain(case, &["-o", "json"]), 0)["files"][0].clone();
        assert_eq!((&file["needed_groups"], file["groups"].as_array().map(Vec::len)), (&2.into(), Some(3)));
        (file["access"]["state"].clone(), file["access"]["groups"].clone())
    };
    assert_eq!(state(&[]), ("no".into(), 0.into()));
    assert_eq!(state(&["age-2.txt"]), ("no".into(), 1.into()));
    assert_eq!(state(&["age-2.txt", "age-3.txt"]), ("yes".into(), 2.into()));
}

/// Every file that any release wrote: the claim without opening, the result of opening, and the list of recipients as
/// an independent reader sees it.
#[test]
fn agrees_with_every_release_of_sops() {
    let keys: String = ["age.txt", "age-2.txt", "age-3.txt"]
        .iter()
        .map(|key| fs::read_to_string(tests_dir().join("keys").join(key)).expect("a key"))
        .collect();
    let case =
        fixtures(Case::new()).env("SOPS_AGE_KEY", keys).env("UNSOPS_PGP_KEY_FILE", tests_dir().join("keys/pgp.asc"));
    let report = json(&explain(case, &["--try", "-o", "json", "enc"]), 0);
    let files = report["files"].as_array().expect("files");
    assert!(files.len() > 200, "{}", files.len());
    for file in files {
        let path = file["path"].as_str().expect("a path");
        assert_eq!(file["access"]["state"], "yes", "{path}");
        assert_eq!(file["opens"]["ok"], true, "{path}: {}", file["opens"]);
        assert_eq!(file["findings"].as_array().map(Vec::len), Some(0), "{path}");
        assert!(path.contains(file["sops_version"].as_str().expect("a version")), "{path}");
        if path.ends_with(".yaml") {
            let text = fs::read_to_string(tests_dir().join("fixtures").join(path)).expect("a fixture");
            let first = serde_yaml::Deserializer::from_str(&text).next().expect("a document");
            let document: serde_yaml::Value = serde::Deserialize::deserialize(first).expect("YAML");
            let mut listed = BTreeSet::new();
            strings_of(&document["sops"], &["recipient", "fp"], &mut listed);
            let told: BTreeSet<String> = file["groups"]
                .as_array()
                .expect("groups")
                .iter()
                .flat_map(|group| group.as_array().expect("a group"))
                .map(|one| {
                    report["recipients"][one.as_u64().expect("an index") as usize]["id"].as_str().expect("an id").into()
                })
                .collect();
            assert_eq!(told, listed, "{path}");
        }
    }
}

fn strings_of(value: &serde_yaml::Value, keys: &[&str], found: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::Mapping(mapping) => {
            for (key, value) in mapping {
                match (key.as_str(), value.as_str()) {
                    (Some(key), Some(text)) if keys.contains(&key) => _ = found.insert(text.to_owned()),
                    _ => strings_of(value, keys, found),
                }
            }
        }
        serde_yaml::Value::Sequence(list) => list.iter().for_each(|value| strings_of(value, keys, found)),
        _ => {}
    }
}

#[test]
fn trying_says_why_a_file_does_not_open() {
    let case = Case::new().key("age-stranger.txt").fixture("enc/3.13.3/simple.json", "a.json");
    let shown = text(&explain(case, &["--try", "a.json"]), 1);
    assert!(shown.contains("does not open\n") && shown.contains("no identity matches (1 tried"), "{shown}");

    let broken = fs::read_to_string(tests_dir().join("fixtures/enc/3.13.3/simple.json")).expect("a fixture");
    let broken = broken.replacen("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1);
    let shown = text(&explain(Case::new().key("age.txt").file("a.json", broken), &["--try"]), 1);
    assert!(shown.contains("you can open it") && shown.contains("does not decrypt"), "{shown}");
}

/// The real sops makes the files; the names stand in its configuration.
#[test]
fn answers_the_offboarding_question() {
    let Some(sops) = tool("sops") else { return };
    let [a, b, c] = ["age.txt", "age-2.txt", "age-3.txt"].map(public_key);
    let config = format!(
        "keys:\n  - &alice {a}\n  - &bob {b}\ncreation_rules:\n  - path_regex: both\n    key_groups:\n      - age: [*alice, *bob]\n  \
         - path_regex: groups\n    shamir_threshold: 2\n    key_groups:\n      - age: [*alice]\n      - age: [*bob]\n      - age: [{c}]\n  \
         - age: {c} # Carol Doe\n"
    );
    let plain = format!("password: {CANARY}\nport: 8080\nlist: [a, b]\n");
    let mut case = Case::new().file(".sops.yaml", config);
    for name in ["both.yaml", "groups.yaml", "other.yaml"] {
        case = case.file(name, &plain);
        let run = case.run_with(&sops, ["encrypt", "-i", name]);
        assert_eq!(run.status, Some(0), "{}", run.redacted());
    }
    let case = || {
        let files = ["both.yaml", "groups.yaml", "other.yaml", ".sops.yaml"];
        files
            .into_iter()
            .fold(Case::new(), |new, file| new.file(file, fs::read(case.root().join(file)).expect("a file")))
    };
    let paths = |who: &str, status| {
        let report = json(&explain(case(), &["-o", "json", "--recipient", who]), status);
        assert_eq!(report["asked"]["searched"], 3);
        let files = report["files"].as_array().expect("files");
        files.iter().map(|file| file["path"].as_str().expect("a path").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("alice", 1), ["both.yaml", "groups.yaml"]);
    assert_eq!(paths(&b, 1), ["both.yaml", "groups.yaml"]);
    assert_eq!(paths("carol", 1), ["groups.yaml", "other.yaml"]);
    assert_eq!(paths(c.get(c.len() - 8..).expect("ASCII"), 1), ["groups.yaml", "other.yaml"]);
    assert!(paths("mallory", 0).is_empty());

    let shown = text(&explain(case(), &["--recipient", "bob"]), 1);
    assert!(shown.contains("bob means 1 recipient\n") && shown.contains("opens 1 of 3 files\n  both.yaml"), "{shown}");
    assert!(shown.contains("has a part of the key of 1 file\n  groups.yaml  1 of 2 needed key groups\n"), "{shown}");
    let whole = text(&explain(case(), &[]), 0);
    assert!(whole.contains("age alice age16h...fv4ft, named in .sops.yaml\n"), "{whole}");
    assert!(whole.contains("opens for 2 of 3 key groups together"), "{whole}");
}

/// A PGP key made by the real gpg, a file encrypted for it by the real sops.
#[test]
fn pgp_recipients_have_the_names_of_their_public_keys() {
    let (Some(gpg), Some(sops)) = (tool("gpg"), tool("sops")) else { return };
    let gnupg = tempfile::Builder::new().prefix("g-").tempdir().expect("a temporary directory");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(gnupg.path(), private).expect("a private directory");
    let mut case = Case::new().env("GNUPGHOME", gnupg.path()).file("a.yaml", format!("password: {CANARY}\n"));
    let quiet = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
    let run = |program: &Path, args: &[&str]| {
        let run = case.run_with(program, args);
        assert_eq!(run.status, Some(0), "{args:?} {}", run.redacted());
        String::from_utf8(run.stdout).expect("UTF-8")
    };
    let make = ["--quick-generate-key", "Alice Doe <alice@example.com>", "default", "default", "never"];
    run(&gpg, &[&quiet[..], &make[..]].concat());
    let listed = run(&gpg, &["--batch", "--with-colons", "--list-keys"]);
    let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).expect("a fingerprint");
    let fingerprint = fingerprint.trim_end_matches(':').to_owned();
    let public = run(&gpg, &["--batch", "--armor", "--export"]);
    run(&sops, &["encrypt", "--pgp", &fingerprint, "-i", "a.yaml"]);
    let stop = Path::new("/usr/bin/gpgconf");
    if stop.is_file() {
        run(stop, &["--kill", "gpg-agent"]);
    }
    case = case.file(".sops.pub.asc", public);

    let encrypted = fs::read(case.root().join("a.yaml")).expect("the file");
    let public = fs::read(case.root().join(".sops.pub.asc")).expect("the key");
    let other = || Case::new().file("a.yaml", &encrypted).file(".sops.pub.asc", &public);
    let named = text(&explain(other(), &[]), 0);
    let line = format!("pgp Alice Doe <alice@example.com> {fingerprint}, named in .sops.pub.asc\n");
    assert!(named.contains(&line) && named.contains("you cannot open it"), "{named}");
    let asked = explain(other(), &["-o", "json", "--recipient", "alice@example.com"]);
    assert_eq!(json(&asked, 1)["files"][0]["path"], "a.yaml");
    let mine = other().env("GNUPGHOME", gnupg.path());
    let mine = text(&explain(mine, &["--try"]), 0);
    assert!(mine.contains("← you, GNUPGHOME=") && mine.contains("opens: decrypted with your keys"), "{mine}");
}

fn public_key(file: &str) -> String {
    let text = fs::read_to_string(tests_dir().join("keys").join(file)).expect("a key");
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("its public half");
    line.to_owned()
}

#[test]
fn sees_what_is_not_as_the_rule_says() {
    let text_of =
        |name: &str| fs::read_to_string(tests_dir().join("fixtures/enc/3.13.3").join(name)).expect("a fixture");
    let mut edited =
        text_of("regex-enc.yaml").replacen("stringData:\n", &format!("stringData:\n    added: {CANARY}\n"), 1);
    let token = edited.split_whitespace().find(|word| word.starts_with("ENC[")).expect("a token").to_owned();
    edited = edited.replacen("kind: ", &format!("other: {token}\nkind: "), 1);
    let mac = edited.lines().find(|line| line.trim().starts_with("mac: ")).expect("a MAC").to_owned();
    let edited = edited.replace(&format!("{mac}\n"), "");
    let report = json(&explain(Case::new().file("a.yaml", edited), &["-o", "json"]), 1);
    let findings = report["files"][0]["findings"].as_array().expect("findings");
    let told: Vec<(&str, Option<&str>)> =
        findings.iter().map(|one| (one["id"].as_str().expect("an id"), one["path"].as_str())).collect();
    assert_eq!(
        told,
        [("left-in-clear", Some("stringData.added")), ("never-decrypted", Some("other")), ("no-mac", None)]
    );
}

#[test]
fn reads_a_format_that_the_name_does_not_say() {
    let case = Case::new().key("age.txt").fixture("enc/3.13.3/app.env", "app.env.enc");
    let report = json(&explain(case, &["--try", "-o", "json"]), 0);
    let file = &report["files"][0];
    assert_eq!(
        (&file["format"], &file["format_by_name"], &file["opens"]["ok"]),
        (&"dotenv".into(), &"binary".into(), &true.into())
    );
}

#[test]
fn passes_over_what_is_no_sops_file_but_says_so_of_what_is_named() {
    let case = || {
        Case::new()
            .file("README.md", "values look like ENC[AES256_GCM,data:...]\nsops: see there\n")
            .file("values.yaml", "a: b\n")
            .file(".gitignore", "ignored/\n")
            .fixture("enc/3.13.3/simple.json", "ignored/simple.json")
    };
    assert_eq!(text(&explain(case(), &[]), 0), "no SOPS file found\n");
    assert_eq!(
        json(&explain(case(), &["-o", "json", "ignored/simple.json"]), 0)["files"].as_array().map(Vec::len),
        Some(1)
    );
    let shown = text(&explain(case(), &["values.yaml", "missing.yaml", "README.md"]), 1);
    for line in ["values.yaml: not encrypted by sops", "missing.yaml: ", "README.md: not a SOPS file"] {
        assert!(shown.contains(&format!("not explained: {line}")), "{shown}");
    }
}

#[test]
fn json_is_as_its_schema_says() {
    let Some(python) = tool("venv/bin/python") else { return };
    let schema = text(&explain(Case::new(), &["-o", "schema"]), 0);
    let validate = "import json,sys,jsonschema\nschema=json.load(open('schema.json'))\n\
                    jsonschema.Draft202012Validator.check_schema(schema)\n\
                    jsonschema.validate(json.load(open('report.json')),schema,jsonschema.Draft202012Validator)";
    for (args, keys) in [(vec![], None), (vec!["--try"], Some("age.txt")), (vec!["--recipient", "ft"], Some("pgp.asc"))]
    {
        let case = || hostile(fixtures(Case::new())).file("broken.yaml", "a: ENC[AES256_GCM,data:x]\n");
        let case = || match keys {
            Some("age.txt") => case().key("age.txt"),
            Some(key) => case().env("UNSOPS_PGP_KEY_FILE", tests_dir().join("keys").join(key)),
            None => case(),
        };
        let report = text(&explain(case(), &[&["-o", "json"], args.as_slice()].concat()), 1);
        let strict = schema.replace("\"type\": \"object\",", "\"type\": \"object\", \"additionalProperties\": false,");
        let world = Case::new().file("schema.json", strict).file("report.json", report);
        let run = world.run_with(&python, ["-c", validate]);
        assert_eq!(run.status, Some(0), "{args:?} {}", run.redacted());
    }
}

#[test]
fn the_table_has_a_line_for_each_file() {
    let case = fixtures(Case::new()).key("age.txt");
    let shown = text(&explain(case, &["-o", "table", "enc/3.13.3"]), 0);
    let files = fs::read_dir(tests_dir().join("fixtures/enc/3.13.3")).expect("a folder").flatten();
    let files = files.filter(|file| file.path().extension().is_none_or(|suffix| suffix != "twin")).count();
    assert_eq!(shown.lines().count(), files + 1, "{shown}");
    assert!(shown.starts_with("FILE ") && shown.contains("1/1"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let case = || Case::new().fixture("enc/3.13.3/simple.json", "a.json");
    let colours = |args: &[&str]| text(&explain(case(), args), 0).contains('\u{1b}');
    assert!(!colours(&["a.json"]) && !colours(&["--color", "never", "a.json"]));
    assert!(colours(&["--color", "always", "a.json"]) && colours(&["--color", "always", "-o", "table"]));
}

/// Files and recipients whose names want to fool terminals and browsers.
fn hostile(case: Case) -> Case {
    let stanza = |recipient: &str| {
        let recipient = serde_json::to_string(recipient).expect("JSON");
        format!(
            "sops:\n    age:\n        - recipient: {recipient}\n          enc: x\n    lastmodified: \"2024-05-06T07:08:09Z\"\n    \
             mac: ENC[AES256_GCM,data:eA==,iv:{iv}=,tag:{tag}==,type:str]\n    encrypted_regex: \"<script>alert(4)</script>\"\n    \
             version: \"<b>9\\e[31m\"\n",
            iv = "A".repeat(43),
            tag = "A".repeat(22),
        )
    };
    let names = [
        "<img src=x onerror=alert(1)>.yaml",
        "\u{202e}lmay.cne\u{200b}.yaml",
        "line\nbreak \u{1b}[31mred.yaml",
        "'\"; alert(1) --.yaml",
        "</script><script>alert(5)</script>.yaml",
    ];
    let recipients = [
        "age1\"><img src=x onerror=alert(2)>",
        "age1\u{202e}evil",
        "<script>alert(3)</script>",
        "age1' onclick='alert(6)",
        "]]>-->",
    ];
    let config = format!("keys:\n  - {} # <b onmouseover=alert(7)>Mallory</b> & \"co\"\n", public_key("age-2.txt"));
    let case = case.file(".sops.yaml", config).file(
        "hostile/named.yaml",
        format!("a: {CANARY}\n\"<i>\\u202e\": {CANARY}\n{}", stanza(&public_key("age-2.txt"))),
    );
    names.iter().zip(recipients).fold(case, |case, (name, recipient)| {
        case.file(
            Path::new("hostile").join(name.replace("/script", "\\script")),
            format!("a: {CANARY}\n{}", stanza(recipient)),
        )
    })
}

#[test]
fn hostile_names_fool_no_terminal() {
    for form in ["text", "table", "json", "html"] {
        let shown = text(&explain(hostile(Case::new()), &["-o", form]), 0);
        assert!(shown.contains("onerror=alert(1)"), "{form}");
        if form == "html" {
            let tag = |name: &str| shown.matches(&format!("<{name}")).count();
            assert_eq!((tag("img"), tag("script"), tag("i>"), tag("b on")), (0, 1, 0, 0));
        }
    }
}

#[test]
fn hostile_trees_end_soon() {
    let case = Case::new();
    let root = case.root();
    fs::create_dir_all(root.join("a/b")).expect("a folder");
    std::os::unix::fs::symlink("..", root.join("a/b/up")).expect("a link");
    std::os::unix::fs::symlink("/proc/self/environ", root.join("a/environ.yaml")).expect("a link");
    let huge = format!("a: \"{}\"\nENC[AES256_GCM,", "x".repeat(32 << 20));
    let many: String = (0..1000).map(|n| format!("        - recipient: age1{n:058}\n          enc: x\n")).collect();
    let many =
        format!("a: 1\nsops:\n    lastmodified: \"2024-05-06T07:08:09Z\"\n    mac: ENC[AES256_GCM,\n    age:\n{many}");
    let too_many = many.replace("    age:\n", "    age:\n        - recipient: age1one\n          enc: x\n");
    let mut case = case.file("huge.yaml", huge).file("too-many.yaml", too_many);
    for n in 0..50 {
        case = case.file(format!("many-{n}.yaml"), many.replace("age1", &format!("age1{n}")));
    }
    let run = explain(case, &["-o", "html"]);
    let shown = text(&run, 1);
    assert!(shown.contains("50 SOPS files, 50000 recipients"), "{}", shown.get(..2000).unwrap_or(&shown));
    assert!(shown.contains("too-many.yaml") && !shown.contains("huge.yaml"));
    let named = explain(Case::new().file("huge.yaml", "x".repeat((32 << 20) + 1)), &["huge.yaml"]);
    assert!(text(&named, 1).contains("not explained: huge.yaml: "));
}

//! `unsops render`: placeholders where values were, in front of the real sops, kustomize, OpenSSL and the API server's
//! own validation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::fixtures::identities;
use crate::harness::{CANARY, Case, Run, assert_no_canary, tests_dir, tool};

/// A generator with one Secret of these fields.
fn generator(fields: &str) -> String {
    format!(
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: g}}\nsecretFrom:\n- metadata: {{name: s}}\n{fields}"
    )
}

fn render(case: Case, target: &str) -> Run {
    case.args(["render", "--keyless", target]).run()
}

/// The objects of an answer that holds nothing of any secret.
#[track_caller]
fn objects(run: &Run) -> Vec<Value> {
    let text = run.text();
    assert_no_canary("stdout", text.as_bytes());
    parse(text)
}

fn parse(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).expect("YAML")).filter(|value| !value.is_null()).collect()
}

/// Values of a Secret, decoded.
fn values(secret: &Value) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (field, is_base64) in [("data", true), ("stringData", false)] {
        for (key, value) in secret[field].as_object().into_iter().flatten() {
            let text = value.as_str().expect("a string");
            let text = match is_base64 {
                true => String::from_utf8_lossy(&STANDARD.decode(text).expect("base64")).into_owned(),
                false => text.to_owned(),
            };
            values.insert(key.clone(), text);
        }
    }
    values
}

/// Encrypts with the real sops for the test-only age key.
fn encrypt(case: &Case, file: &str, plain: &str, args: &[&str]) -> Option<()> {
    let sops = tool("sops")?;
    let path = case.root().join(file);
    fs::write(&path, plain).expect("write");
    let recipient = recipient();
    let run =
        case.run_with(&sops, ["-e", "-i", "--age", &recipient].into_iter().chain(args.iter().copied()).chain([file]));
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    Some(())
}

/// The recipient of `tests/keys/age.txt`.
fn recipient() -> String {
    let text = fs::read_to_string(tests_dir().join("keys/age.txt")).expect("a key");
    let line = text.lines().find(|line| line.contains("age1")).expect("its recipient in a comment");
    line[line.find("age1").expect("found")..].split_whitespace().next().expect("a word").to_owned()
}

fn sops(case: &Case, args: &[&str]) -> Option<()> {
    let run = case.run_with(&tool("sops")?, args);
    assert_eq!(run.status, Some(0), "{}", run.redacted());
    Some(())
}

/// Every file that a released sops encrypted, `(version, name)`.
fn fixtures() -> Vec<String> {
    let mut found = Vec::new();
    for version in fs::read_dir(tests_dir().join("fixtures/enc")).expect("fixtures") {
        for file in fs::read_dir(version.expect("an entry").path()).expect("a directory") {
            let path = file.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "twin") {
                found.push(
                    path.strip_prefix(tests_dir().join("fixtures")).expect("below").to_string_lossy().into_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_of_every_sops_is_redacted_without_a_key_and_the_same_with_one() {
    let keys = identities(&["age.txt", "age-2.txt", "age-3.txt"]);
    let pgp = tests_dir().join("keys/pgp.asc");
    let mut seen = 0;
    for fixture in fixtures() {
        let content = fs::read(tests_dir().join("fixtures").join(&fixture)).expect(&fixture);
        let name = Path::new(&fixture).file_name().expect("a name").to_string_lossy().into_owned();
        let manifest = generator(&format!("  files: [k={name}]\n"));
        let case = |args: &[&str]| {
            Case::new()
                .env("SOPS_AGE_KEY", &keys)
                .env("UNSOPS_PGP_KEY_FILE", &pgp)
                .fixture(&fixture, &name)
                .file("g.yaml", &manifest)
                .args(["render", "g.yaml"])
                .args(args)
                .run()
        };
        let keyless = case(&["--keyless"]);
        let text = keyless.text().to_owned();
        // What stands in clear in a file is no secret of it.
        if !content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
            assert_no_canary(&fixture, text.as_bytes());
            for secret in &parse(&text) {
                values(secret).values().for_each(|value| assert_no_canary(&fixture, value.as_bytes()));
            }
        }
        let verified = case(&["--verify"]);
        let values_of = |text: &str| values(&parse(text)[0]);
        // An old release's plain numbers may be printed in another form once the MAC says what they were.
        if !name.contains("numbers")
            && !name.contains("retyped")
            && !name.contains("dates")
            && !name.contains("scalars")
        {
            assert_eq!(values_of(&text), values_of(verified.text()), "{fixture}");
        }
        seen += 1;
    }
    assert!(seen > 200, "only {seen} fixtures");
}

#[test]
fn a_placeholder_changes_with_its_value_and_no_other_does() {
    let case = Case::new().key("age.txt");
    let plain = format!("user: {CANARY} u\npassword: {CANARY} p\nport: 5432\n");
    let Some(()) = encrypt(&case, "s.yaml", &plain, &[]) else { return };
    let case = case.file("g.yaml", generator("  envs: [s.yaml]\n")).args(["render", "--keyless", "g.yaml"]);
    let before = values(&objects(&case.run())[0]);
    assert_eq!(before.keys().map(String::as_str).collect::<Vec<_>>(), ["password", "port", "user"]);
    let copy = fs::read(case.root().join("s.yaml")).expect("the file");
    let edit = Case::new().key("age.txt").file("s.yaml", copy);
    sops(&edit, &["set", "s.yaml", "[\"password\"]", &format!("\"{CANARY} other\"")]);
    let case = case.file("s.yaml", fs::read(edit.root().join("s.yaml")).expect("the file"));
    let after = values(&objects(&case.run())[0]);
    let changed: Vec<&str> = before.keys().filter(|key| before[*key] != after[*key]).map(String::as_str).collect();
    assert_eq!(changed, ["password"]);
}

#[test]
fn placeholders_stay_when_recipients_change_and_go_when_the_data_key_does() {
    let case = Case::new().key("age.txt");
    let Some(()) = encrypt(&case, "s.env", &format!("A={CANARY} a\nB={CANARY} b\n"), &[]) else { return };
    let text = |case: &Case| -> BTreeMap<String, String> {
        let case = Case::new()
            .file("s.env", fs::read(case.root().join("s.env")).expect("the file"))
            .file("g.yaml", generator("  envs: [s.env]\n"));
        values(&objects(&render(case, "g.yaml"))[0])
    };
    let before = text(&case);
    let rules = format!("creation_rules:\n- age: {},{}\n", recipient(), RECIPIENT_2);
    let case = case.file(".sops.yaml", rules);
    sops(&case, &["updatekeys", "-y", "s.env"]);
    assert!(fs::read_to_string(case.root().join("s.env")).expect("the file").contains(RECIPIENT_2));
    assert_eq!(text(&case), before);
    sops(&case, &["rotate", "-i", "s.env"]);
    let after = text(&case);
    assert!(before.iter().all(|(key, value)| after[key] != *value), "every value has a new token");
}

const RECIPIENT_2: &str = "age1fnhyupglqulmna9yjl7w89pfg3694mt363ffz0vwpz85dnhfwf2qjsfyha";

#[test]
fn types_get_what_they_ask_for() {
    let case = Case::new().key("age.txt");
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\n{CANARY}\n-----END {kind}-----\n");
    let Some(()) = encrypt(&case, "crt.enc", &pem("CERTIFICATE"), &[]) else { return };
    encrypt(&case, "key.enc", &pem("PRIVATE KEY"), &[]);
    encrypt(&case, "docker.enc", &format!("{{\"auths\":{{\"{CANARY}\":{{}}}}}}"), &[]);
    let manifest = generator(
        "  type: kubernetes.io/tls\n  files: [tls.crt=crt.enc, tls.key=key.enc, ca.crt=crt.enc]\n\
         - metadata: {name: d}\n  type: kubernetes.io/dockerconfigjson\n  files: [.dockerconfigjson=docker.enc]\n",
    );
    let case = case.file("g.yaml", manifest).args(["render", "g.yaml"]);
    let rendered = objects(&case.run());
    let docker: Value = serde_json::from_str(&values(&rendered[1])[".dockerconfigjson"]).expect("JSON");
    assert_eq!(docker["auths"].as_object().expect("an object").len(), 1);
    let tls = values(&rendered[0]);
    // The real OpenSSL says whether the certificate is one, signed by its own key, and whose key it holds.
    let openssl = Path::new("/usr/bin/openssl");
    if !openssl.is_file() {
        return crate::harness::skip("openssl is not installed");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let save = |name: &str| {
        let path = dir.path().join(name);
        fs::write(&path, &tls[name]).expect("write");
        path
    };
    let (crt, key, ca) = (save("tls.crt"), save("tls.key"), save("ca.crt"));
    let ask = |args: &[&str], file: &Path| {
        let output = Command::new(openssl).args(args).arg(file).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let of_crt = ask(&["x509", "-noout", "-pubkey", "-in"], &crt);
    assert_eq!(of_crt, ask(&["pkey", "-pubout", "-in"], &key));
    let verify = Command::new(openssl).args(["verify", "-CAfile"]).args([&crt, &crt]).output().expect("openssl");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    assert!(ask(&["x509", "-noout", "-subject", "-in"], &ca).contains("redacted-"));
}

#[test]
fn the_api_servers_validation_takes_the_manifests_and_refuses_the_mark() {
    let Some(validate) = tool("kubectl-validate") else { return };
    let case = Case::new().key("age.txt");
    for (file, text) in [("crt.enc", "crt"), ("key.enc", "key"), ("ssh.enc", "ssh"), ("docker.enc", "{}")] {
        let Some(()) = encrypt(&case, file, &format!("{text} {CANARY}"), &[]) else { return };
    }
    encrypt(&case, "v.env", &format!("username={CANARY}\npassword={CANARY}\n"), &[]);
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: m}}\ntype: kubernetes.io/tls\ndata:\n  tls.crt: {0}\n  tls.key: {0}\n",
        STANDARD.encode(CANARY)
    );
    encrypt(&case, "m.yaml", &secret, &["--encrypted-regex", "^data$"]);
    let manifest = generator(
        "  type: kubernetes.io/tls\n  files: [tls.crt=crt.enc, tls.key=key.enc]\n\
         - metadata: {name: d}\n  type: kubernetes.io/dockerconfigjson\n  files: [.dockerconfigjson=docker.enc]\n\
         - metadata: {name: h}\n  type: kubernetes.io/ssh-auth\n  files: [ssh-privatekey=ssh.enc]\n\
         - metadata: {name: b, annotations: {kustomize.config.k8s.io/behavior: merge}}\n  type: kubernetes.io/basic-auth\n  envs: [v.env]\n",
    ) + "files: [m.yaml]\n";
    let case = case.file("g.yaml", manifest);
    for (args, want) in [(vec!["--for-validators"], 0), (vec![], 1)] {
        let run = Case::new().tree_of(&case).args(["render", "--keyless", "g.yaml"]).args(args).run();
        assert_eq!(objects(&run).len(), 5);
        let out = Case::new().file("out.yaml", run.text());
        let judged = out.run_with(&validate, ["--version", "1.30", "out.yaml"]);
        assert_eq!(judged.status, Some(want), "{}", String::from_utf8_lossy(&judged.stdout));
        if want == 1 {
            let said = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
            assert_eq!(said.matches("unsops.dev/do not apply").count(), 5, "{said}");
        }
    }
}

#[test]
fn every_golden_kustomization_keeps_its_objects_keys_and_references() {
    let Some(kustomize) = tool("kustomize") else { return };
    let mut seen = 0;
    for entry in fs::read_dir(tests_dir().join("golden")).expect("golden") {
        let dir = entry.expect("an entry").path();
        if !dir.join("kustomization.yaml").is_file() {
            continue;
        }
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let want = parse(&fs::read_to_string(dir.join("want.yaml")).expect("want.yaml"));
        for args in [["--keyless", "-q"], ["--verify", "-q"]] {
            let case =
                Case::new().key("age.txt").tree(&format!("golden/{name}"), "app").args(["render", "app"]).args(args);
            let run = case.arg("--kustomize").arg(&kustomize).run();
            let got = parse(run.text());
            assert_no_canary(&name, run.text().as_bytes());
            assert_eq!(got.len(), want.len(), "{name} {args:?}");
            // What is hidden without keys is there, under another name.
            let seen: Vec<Value> = got.iter().filter(|object| object["kind"] != "EncryptedObject").cloned().collect();
            assert!(outline(&seen).is_subset(&outline(&want)), "{name} {args:?}: {:?}", outline(&got));
            assert!(seen.len() == got.len() || args[0] == "--keyless", "{name}");
            assert!(
                got.iter().all(|object| object["metadata"]["annotations"]["unsops.dev/redacted"].is_string()),
                "{name}"
            );
        }
        seen += 1;
    }
    assert!(seen > 15, "only {seen}");
}

/// What must not depend on values: kinds, names without hashes, and keys of Secrets.
fn outline(objects: &[Value]) -> BTreeSet<String> {
    let of = |object: &Value| {
        let keys = |field: &str| object[field].as_object().into_iter().flatten().map(|(key, _)| key.clone());
        let keys: BTreeSet<String> = match object["kind"].as_str() {
            Some("Secret") => keys("data").chain(keys("stringData")).collect(),
            _ => BTreeSet::new(),
        };
        let name = object["metadata"]["name"].as_str().expect("a name");
        let hash =
            name.rsplit_once('-').filter(|(_, hash)| hash.len() == 10 && hash.chars().any(|c| c.is_ascii_digit()));
        let name = hash.map_or(name, |(base, _)| base);
        format!("{} {name} {} {keys:?}", object["kind"], object["type"])
    };
    objects.iter().map(of).collect()
}

#[test]
fn encrypted_kinds_are_hidden_without_a_key_and_shown_with_one() {
    let case = Case::new().key("age.txt");
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: whole, labels: {{l: {CANARY}}}}}\ntype: Opaque\nstringData: {{a: {CANARY}, b: ''}}\n"
    );
    let Some(()) = encrypt(&case, "whole.yaml", &secret, &[]) else { return };
    encrypt(&case, "binary.enc", &secret.replace("whole", "binary"), &[]);
    encrypt(&case, "words.enc", &format!("# {CANARY}\nA={CANARY}\nB='{CANARY} b'\n"), &[]);
    let manifest = generator("  envs: [words.enc]\n") + "files: [whole.yaml, binary.enc]\n";
    let case = case.file("g.yaml", manifest);
    let keyless = objects(&render(Case::new().tree_of(&case), "g.yaml"));
    assert_eq!(keyless[0]["kind"], "EncryptedObject");
    assert_eq!(keyless[1]["kind"], "EncryptedObject");
    assert_ne!(keyless[0]["metadata"]["name"], keyless[1]["metadata"]["name"]);
    assert_eq!(values(&keyless[2]).len(), 1, "nothing is known of the names");
    let opened = objects(&Case::new().key("age.txt").tree_of(&case).args(["render", "g.yaml", "--verify"]).run());
    for (object, name) in [(&opened[0], "whole"), (&opened[1], "binary")] {
        assert_eq!((object["kind"].as_str(), object["metadata"]["name"].as_str()), (Some("Secret"), Some(name)));
        assert_eq!(values(object).keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(object["metadata"]["annotations"]["unsops.dev/redacted"], "verified");
    }
    assert_eq!(values(&opened[2]).keys().collect::<Vec<_>>(), ["A", "B"]);
}

#[test]
fn plain_secrets_lose_their_values_too() {
    let live = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: live\n    annotations:\n\
         \x20     kubectl.kubernetes.io/last-applied-configuration: '{{\"a\":\"{CANARY}\"}}' # {CANARY}\n  # {CANARY}\n  \
         data: {{a: {}, empty: ''}}\n  StringData: {{b: {CANARY}}}\n  stringData: {{pin: 7, c: [{CANARY}]}}\n",
        STANDARD.encode(CANARY)
    );
    let run = Case::new().stdin(live).args(["render", "-"]).run();
    let list = &objects(&run)[0];
    let secret = &list["items"][0];
    assert_eq!(secret["data"]["empty"], "");
    assert_eq!(STANDARD.decode(secret["data"]["a"].as_str().expect("text")).expect("base64"), b"redacted-unencrypted");
    assert_eq!(secret["stringData"]["pin"], 0);
}

#[test]
fn a_placeholder_in_a_plain_value_does_not_shelter_the_rest() {
    let live = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\nstringData: {{a: 'redacted-0123456789abcdef {CANARY}', b: redacted-0123456789abcdef}}\n"
    );
    let secret = objects(&Case::new().stdin(live).args(["render"]).run()).remove(0);
    assert_eq!(secret["stringData"]["a"], "redacted-unencrypted");
    assert_eq!(secret["stringData"]["b"], "redacted-0123456789abcdef");
}

#[test]
fn what_flux_would_decrypt_is_redacted_in_a_kustomization() {
    let Some(kustomize) = tool("kustomize") else { return };
    let case = Case::new().key("age.txt");
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{a: {CANARY}}}\n");
    let Some(()) = encrypt(&case, "a.yaml", &secret, &["--encrypted-regex", "^stringData$"]) else { return };
    encrypt(&case, "v.env", &format!("A={CANARY}\n"), &[]);
    encrypt(&case, "settings.json", &format!("{{\"a\": \"{CANARY}\"}}"), &[]);
    let kustomization = format!(
        "resources: [a.yaml]\nsecretGenerator:\n- name: g\n  files: [settings.json, settings.env=v.env]\n  literals: [plain={CANARY}]\n"
    );
    let case = case.file("kustomization.yaml", kustomization);
    // With keys, too: kustomize has changed the order, so that no MAC can be checked.
    for keys in [true, false] {
        let new = if keys { Case::new().key("age.txt") } else { Case::new() };
        let run = new.tree_of(&case).args(["render", "-q", ".", "--kustomize"]).arg(&kustomize).run();
        let found = objects(&run);
        let all: BTreeMap<String, String> = found.iter().flat_map(values).collect();
        assert!(all["a"].starts_with("redacted-"), "{all:?}");
        assert!(all["settings.json"].contains("\"a\": \"redacted-"), "{all:?}");
        assert!(all["settings.env"].starts_with("A=redacted-"), "{all:?}");
        assert_eq!(all["plain"], "redacted-unencrypted");
        assert!(found.iter().all(|object| object["sops"].is_null()));
    }
}

#[test]
fn a_stream_of_encrypted_documents_is_redacted_one_by_one() {
    let case = Case::new();
    let secret =
        |name: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{a: {CANARY}}}\n");
    let Some(()) = encrypt(&case, "a.yaml", &secret("a"), &["--encrypted-regex", "^stringData$"]) else { return };
    encrypt(&case, "b.yaml", &secret("b"), &["--encrypted-regex", "^stringData$"]);
    let read = |name: &str| fs::read_to_string(case.root().join(name)).expect("the file");
    let plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n";
    let stream = format!("{}---\n{plain}---\n{}", read("a.yaml"), read("b.yaml"));
    let run = Case::new().stdin(stream).args(["render", "--keyless"]).run();
    let names: Vec<Value> = objects(&run).iter().map(|object| object["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["a", "c", "b"]);
}

#[test]
fn content_is_checked_with_a_key_and_not_without() {
    let case = Case::new().key("age.txt");
    let Some(()) = encrypt(&case, "v.env", &format!("A={CANARY} $HOME\n"), &[]) else { return };
    let case = case.file("g.yaml", generator("  envs: [v.env]\n"));
    render(Case::new().tree_of(&case), "g.yaml").answer();
    let run = Case::new().key("age.txt").tree_of(&case).args(["render", "g.yaml"]).run();
    assert!(run.failure(5).contains("holds '$' and a name"), "{}", run.redacted());
}

#[test]
fn a_file_that_no_key_opens_is_noted_or_refused() {
    let quickstart = |args: &[&str]| {
        let dir = tests_dir().join("../examples/quickstart");
        let read = |name: &str| fs::read(dir.join(name)).expect("an example");
        Case::new()
            .file("generator.yaml", read("generator.yaml"))
            .file("database.enc.yaml", read("database.enc.yaml"))
            .args(["render", "generator.yaml"])
            .args(args)
            .run()
    };
    let run = quickstart(&[]);
    assert_eq!(run.status, Some(0));
    assert!(
        String::from_utf8_lossy(&run.stderr).starts_with("unsops: note: no key opened 1 file"),
        "{}",
        run.redacted()
    );
    quickstart(&["--quiet"]).answer();
    quickstart(&["--keyless"]).answer();
    assert!(quickstart(&["--verify"]).failure(6).contains("none of this file's keys"));
    assert!(quickstart(&["--reveal"]).failure(6).contains("none of this file's keys"));
}

#[test]
fn tampering_is_noticed_with_a_key() {
    let case = Case::new().key("age.txt").fixture("enc/3.13.3/app.env", "a.env");
    let text = fs::read_to_string(case.root().join("a.env")).expect("the file");
    let case = case.file("a.env", text.replace("clear_unencrypted=clear", "clear_unencrypted=other"));
    let case = case.file("g.yaml", generator("  files: [a.env]\n")).args(["render", "g.yaml"]);
    assert!(case.run().failure(7).contains("MAC"));
}

#[test]
fn reveals_only_where_asked() {
    let case = Case::new().key("age.txt");
    let Some(()) = encrypt(&case, "v.env", &format!("A={CANARY}\n"), &[]) else { return };
    let case = case.file("g.yaml", generator("  envs: [v.env]\n"));
    let plugin = Case::new().key("age.txt").tree_of(&case).arg("g.yaml").run();
    let revealed = Case::new().key("age.txt").tree_of(&case).args(["render", "--reveal", "g.yaml"]).run();
    assert!(revealed.text().contains(CANARY));
    assert_eq!(revealed.text(), plugin.text());
    assert!(Case::new().tree_of(&case).args(["render", "--yes", "g.yaml"]).run().failure(2).contains("argument"));
}

#[test]
fn refuses_to_reveal_on_a_terminal() {
    // util-linux's script gives the program a terminal.
    let script = Path::new("/usr/bin/script");
    if !script.is_file() {
        return crate::harness::skip("script (util-linux) is not installed");
    }
    let case = Case::new().key("age.txt").fixture("enc/3.13.3/app.env", "a.env");
    let case = case.file("g.yaml", generator("  files: [a.env]\n"));
    let shown = |flags: &str| {
        let command = format!("{} render g.yaml --reveal {flags}", crate::harness::unsops().display());
        let run = case.run_with(script, ["-q", "-e", "-c", &command, "/dev/null"]);
        (run.status, String::from_utf8_lossy(&run.stdout).into_owned())
    };
    let (status, text) = shown("");
    assert_eq!(status, Some(2), "{}", text.replace(CANARY, "?"));
    assert!(text.contains("--reveal would show plaintext on a terminal") && !text.contains(CANARY));
    let (status, text) = shown("--yes");
    assert_eq!(status, Some(0));
    assert!(text.contains(CANARY));
}

#[test]
fn refuses_under_argocd() {
    let case = || Case::new().fixture("enc/3.13.3/app.env", "a.env").file("g.yaml", generator("  files: [a.env]\n"));
    for variable in ["ARGOCD_APP_NAME", "ARGOCD_ENV_X", "ARGOCD_EXEC_TIMEOUT"] {
        let run = render(case().env(variable, ""), "g.yaml");
        assert!(run.failure(2).contains(variable), "{}", run.redacted());
    }
    render(case().env("ARGOCD_SERVER", "https://argocd.example.com"), "g.yaml").answer();
}

#[test]
fn refuses_what_it_cannot_render() {
    for (content, code, words) in [
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", 2, "by its directory"),
        ("# nothing\n", 2, "nothing to render"),
        ("a: [\n", 3, "YAML"),
        ("apiVersion: goabout.com/v1beta1\nkind: SoupSecretGenerator\n", 3, "not a generator"),
        ("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\nfiles: [gone.yaml]\n", 4, "gone.yaml"),
    ] {
        let run = Case::new().file("x.yaml", content).args(["render", "x.yaml"]).run();
        assert!(run.failure(code).contains(words), "{}", run.redacted());
    }
    let dotenv = Case::new().fixture("enc/3.13.3/app.env", "app.env").args(["render", "--keyless", "app.env"]).run();
    assert!(dotenv.failure(5).contains("a dotenv file is no Kubernetes object"));
    let gone = Case::new().args(["render", "gone.yaml"]).run();
    assert!(gone.failure(4).contains("gone.yaml"));
}

#[test]
fn a_value_left_in_clear_against_the_rule_is_an_error_and_not_shown() {
    let case = Case::new().fixture("enc/3.13.3/app.env", "a.env");
    let text = fs::read_to_string(case.root().join("a.env")).expect("the file");
    let case = case.file("a.env", format!("OOPS={CANARY}\n{text}")).file("g.yaml", generator("  files: [a.env]\n"));
    assert!(render(case, "g.yaml").failure(5).contains("OOPS"));
}

impl Case {
    /// Copies the root of another case.
    fn tree_of(self, other: &Case) -> Self {
        let mut case = self;
        for entry in fs::read_dir(other.root()).expect("a directory") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name").to_owned();
                case = case.file(name, fs::read(&path).expect("a file"));
            }
        }
        case
    }
}

/// A path in a pull request may be a link to any file of the machine.
#[test]
fn shows_nothing_of_what_is_no_object() {
    for text in [format!("root:x:0:0:{CANARY}:/root\n"), format!("password: {CANARY}\n"), format!("- {CANARY}\n")] {
        let case = Case::new().file("plain.yaml", &text);
        let link = case.root().join("link.yaml");
        std::os::unix::fs::symlink("plain.yaml", link).expect("a link");
        for run in [render(case, "link.yaml"), Case::new().args(["render", "-"]).stdin(&text).run()] {
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status == Some(3) && run.stdout.is_empty(), "{said}");
            assert_no_canary("stderr", &run.stderr);
        }
    }
}

/// The call of a function: items, and the config.
fn call(items: &[&str], config: &str) -> String {
    let indented = |text: &str, first: &str| {
        let lines = text.lines().enumerate();
        lines.map(|(number, line)| format!("{}{line}\n", if number == 0 { first } else { "  " })).collect::<String>()
    };
    let items: String = items.iter().map(|item| indented(item, "- ")).collect();
    let head = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n";
    format!(
        "{head}items:{}\n{items}functionConfig:\n{}",
        if items.is_empty() { " []" } else { "" },
        indented(config, "  ")
    )
}

#[test]
fn a_function_call_is_rendered_to_what_the_function_would_give_back() {
    let plain = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: plain\n  annotations: {{config.kubernetes.io/index: '0', kept: 'yes'}}\nstringData: {{a: {CANARY}}}"
    );
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: Yg==}";
    let list = call(&[&plain, config], &generator("  envs: [app.env]\n"));
    let case = || Case::new().fixture("enc/3.13.3/app.env", "app.env").stdin(&list).file("list.yaml", &list);
    for target in ["-", "list.yaml"] {
        for has_key in [false, true] {
            let case = if has_key { case().key("age.txt") } else { case() };
            let args = if has_key { ["render", "--verify", target] } else { ["render", "--keyless", target] };
            let objects = objects(&case.args(args).run());
            let answer = Case::new().fixture("enc/3.13.3/app.env", "app.env").stdin(&list).key("age.txt").run();
            let answer: Value = serde_yaml::from_str(answer.text()).expect("a ResourceList");
            let of = |objects: &[Value]| -> Vec<(String, String, Vec<String>)> {
                let keys = |object: &Value| values(object).into_keys().collect();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                objects.iter().map(|o| (text(&o["kind"]), text(&o["metadata"]["name"]), keys(o))).collect()
            };
            assert_eq!(of(&objects)[0], of(answer["items"].as_array().expect("items"))[0]);
            assert_eq!(of(&objects)[2], of(answer["items"].as_array().expect("items"))[2]);
            assert_eq!(values(&objects[0])["a"], "redacted-unencrypted");
            assert_eq!(objects[1]["data"]["a"], "Yg==", "what is no Secret stays");
            let annotations = objects[0]["metadata"]["annotations"].as_object().expect("annotations");
            assert!(annotations.contains_key("kept") && !annotations.contains_key("config.kubernetes.io/index"));
            let level = if has_key { "verified" } else { "keyless" };
            assert_eq!(annotations["unsops.dev/redacted"], level);
        }
    }
    let revealed = case().key("age.txt").args(["render", "--reveal", "-"]).run();
    assert_eq!(revealed.answer(), case().key("age.txt").run().answer(), "the function's own answer");
}

#[test]
fn a_call_of_decrypt_shows_its_items_redacted() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  annotations: {kustomize.config.k8s.io/id: '1'}\nstringData:\n  password: CANARY-7f3a\n";
    let case = Case::new();
    let Some(()) = encrypt(&case, "db.enc.yaml", secret, &["--encrypted-regex", "^stringData$"]) else { return };
    let item = fs::read_to_string(case.root().join("db.enc.yaml")).expect("encrypted");
    let decrypt = "apiVersion: unsops.dev/v1\nkind: Decrypt\nmetadata: {name: d}";
    let run = case.stdin(call(&[&item], decrypt)).args(["render", "-"]).run();
    let [secret] = objects(&run).try_into().expect("one object");
    assert!(values(&secret)["password"].starts_with("redacted-"), "{secret}");
    assert!(secret["sops"].is_null() && secret["metadata"]["annotations"]["kustomize.config.k8s.io/id"].is_null());
    let refused = Case::new().stdin(call(&[], decrypt)).args(["render", "-"]).run();
    assert!(refused.failure(3).contains("kpt could write"), "{}", refused.redacted());
}

#[test]
fn hostile_function_calls_are_refused_by_place() {
    for (list, want) in [
        ("kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: 7\n", "items"),
        ("kind: ResourceList\napiVersion: config.kubernetes.io/v1\n", "items"),
        ("kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: []\n---\na: b\n", "document"),
        (
            "kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: []\nfunctionConfig: [CANARY-7f3a]\n",
            "functionConfig",
        ),
    ] {
        let said = Case::new().stdin(list).args(["render", "-"]).run().failure(3);
        assert!(said.contains(want), "{list}{said}");
    }
}

#[test]
fn a_package_of_kpt_is_rendered_with_its_encrypted_file_beside_what_is_made_of_it() {
    let Some(kpt) = tool("kpt") else { return };
    let package = tests_dir().parent().expect("the repository").join("examples/quickstart");
    let source = Case::new().args(["fn", "source"]).arg(&package).run_program(&kpt);
    assert_eq!(source.status, Some(0), "{}", source.redacted());
    let objects = objects(&Case::new().stdin(&source.stdout).args(["render", "--keyless", "-"]).run());
    let secrets: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Secret").collect();
    assert_eq!(secrets.len(), 2, "{objects:?}");
    assert_eq!(values(secrets[0]), values(secrets[1]), "the same ciphertext gives the same placeholders");
    assert!(secrets.iter().all(|secret| secret["sops"].is_null()));
}

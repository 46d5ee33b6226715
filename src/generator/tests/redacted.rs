//! What is seen of generated objects whose values may not be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{config, read, render};
use crate::generator::redacted::{MARK, STOP};
use crate::generator::{Assurance, RedactedPiece, finish, is_redacted, without_plain_values};
use crate::sops::placeholder::{Seed, UNENCRYPTED, is_placeholder};

fn placeholder(name: &str) -> String {
    Seed::of_text(name).text()
}

fn finished(object: &str) -> Value {
    let text = finish([config(object)], Assurance::Keyless, false);
    assert!(!text.contains("CANARY"), "{text}");
    read(&text).remove(0)
}

fn decoded(value: &Value) -> String {
    let bytes = STANDARD.decode(value.as_str().expect("text")).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn no_value_of_a_secret_is_left() {
    let own = placeholder("own");
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    other: stays\n    \
         kubectl.kubernetes.io/last-applied-configuration: CANARY-7f3a\n\
         stringData:\n  # CANARY-7f3a\n  a: CANARY-7f3a\n  ours: 'x {own} y'\n  empty: ''\n  n: 5\n  f: 1.5\n  t: true\n  \
         nothing: null\n  list: [CANARY-7f3a]\n\
         data:\n  b: {}\n  raw: {own}\n  coded: {}\n  broken: '%%%'\n  empty: ''\n",
        STANDARD.encode("CANARY-7f3a"),
        STANDARD.encode(format!("x {own} y")),
    );
    let object = finished(&text);
    let data = &object["stringData"];
    assert_eq!(data["a"], UNENCRYPTED);
    assert_eq!(data["ours"], format!("x {own} y"));
    assert_eq!((&data["empty"], &data["nothing"]), (&json!(""), &Value::Null));
    assert_eq!((&data["n"], &data["f"], &data["t"]), (&json!(0), &json!(0.5), &json!(false)));
    assert_eq!(data["list"], UNENCRYPTED);
    let data = &object["data"];
    assert_eq!((decoded(&data["b"]), decoded(&data["raw"])), (UNENCRYPTED.to_owned(), own.clone()));
    assert_eq!((decoded(&data["coded"]), decoded(&data["broken"])), (format!("x {own} y"), UNENCRYPTED.to_owned()));
    assert_eq!(data["empty"], "");
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations["other"], "stays");
    assert_eq!(annotations["kubectl.kubernetes.io/last-applied-configuration"], UNENCRYPTED);
    assert_eq!(annotations[MARK], "keyless");
}

#[test]
fn what_stands_in_the_place_of_values_is_hidden_unless_it_is_nothing() {
    let object = finished("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: CANARY-7f3a\ndata: ''\n");
    assert_eq!((&object["stringData"], &object["data"]), (&json!(UNENCRYPTED), &json!("")));
    let object = finished("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: [CANARY-7f3a]\n");
    assert_eq!(object["stringData"], UNENCRYPTED);
}

#[test]
fn field_names_in_any_letter_case_hide_nothing() {
    let object = finished("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nStringdata: {a: CANARY-7f3a}\n");
    assert_eq!(object["Stringdata"]["a"], UNENCRYPTED);
}

#[test]
fn other_objects_stay_and_are_marked_too() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: plain}\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: CANARY-7f3a}\n";
    let text = finish([config(map), config(secret)], Assurance::Verified, true);
    let objects = read(&text);
    assert_eq!(objects.len(), 2);
    assert_eq!((&objects[0]["data"]["a"], &objects[1]["stringData"]["a"]), (&json!("plain"), &json!(UNENCRYPTED)));
    for object in &objects {
        assert_eq!(object["metadata"]["annotations"][MARK], "verified");
        assert!(object["metadata"]["annotations"][STOP].is_string());
    }
    let list = finished(
        "kind: List\napiVersion: v1\nitems:\n- kind: Secret\n  metadata: {name: s}\n  data: {a: Q0FOQVJZLTdmM2E=}\n",
    );
    assert_eq!(decoded(&list["items"][0]["data"]["a"]), UNENCRYPTED);
    assert_eq!(list["items"][0]["metadata"]["annotations"][MARK], "keyless");
    assert_eq!(list["metadata"], Value::Null, "the list itself is no object");
}

#[test]
fn an_object_is_known_to_be_redacted_by_its_mark() {
    let secret = config("apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {a: b}}\n");
    assert!(!is_redacted(&secret) && !is_redacted(&config("a: b")));
    assert!(is_redacted(&config(&finish([secret], Assurance::Keyless, false))));
}

#[test]
fn what_anyone_may_have_written_into_a_value_is_no_placeholder() {
    let own = placeholder("own");
    let text = |kind: &str| {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: s}}\nstringData: {{a: CANARY-7f3a {own}, b: {own}}}\n")
    };
    let written = |object| read(&crate::generator::text_of(object, crate::generator::HostAnnotations::Keep)).remove(0);
    let secret = written(without_plain_values(config(&text("Secret"))));
    assert_eq!((&secret["stringData"]["a"], &secret["stringData"]["b"]), (&json!(UNENCRYPTED), &json!(own)));
    let other = written(without_plain_values(config(&text("ConfigMap"))));
    assert_eq!(other["stringData"]["a"], format!("CANARY-7f3a {own}"));
    let item = text("Secret").replace('\n', "\n  ");
    let list = written(without_plain_values(config(&format!("kind: SecretList\nitems:\n- {item}\n"))));
    assert_eq!(list["items"][0]["stringData"]["a"], UNENCRYPTED);
    let menu = written(without_plain_values(config(&format!("kind: Menu\nitems:\n- {item}\n"))));
    assert_eq!(menu["items"][0]["stringData"]["a"], format!("CANARY-7f3a {own}"));
}

#[test]
fn redacted_objects_are_unique_as_others_are() {
    let own = placeholder("own");
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{a: {own}}}\n");
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: gen}\nfiles: [a.yaml, b.yaml]\n";
    let pieces = |other: &str| -> Vec<RedactedPiece> {
        let other = secret.replace("name: s", other);
        let files: [(&str, &[u8]); 2] = [("a.yaml", secret.as_bytes()), ("b.yaml", other.as_bytes())];
        let pieces = render(manifest, &files).unwrap_or_else(|errors| panic!("{errors:?}"));
        pieces.into_iter().map(RedactedPiece::of).collect()
    };
    assert!(RedactedPiece::check_unique(&pieces("name: t")).is_ok());
    assert_eq!(RedactedPiece::check_unique(&pieces("name: s")).err().map(|errors| errors.len()), Some(1));
    let objects: Vec<_> = pieces("name: t").into_iter().flat_map(RedactedPiece::into_objects).collect();
    assert_eq!(objects.len(), 2);
    // kustomize may read them before they are finished.
    let made = crate::generator::text_of(objects[0].clone(), crate::generator::HostAnnotations::Keep);
    assert_eq!(read(&made)[0]["data"]["a"], STANDARD.encode(&own));
    // Under `data` a placeholder is encoded as any value.
    let written = read(&finish(objects, Assurance::Keyless, false));
    assert!(written.iter().all(|object| is_placeholder(decoded(&object["data"]["a"]).as_bytes())));
}

#[test]
fn placeholders_have_the_form_that_the_type_asks_for() {
    let [a, b] = ["a", "b"].map(placeholder);
    let secret = |of_type: &str, data: &str| {
        finished(&format!("apiVersion: v1\nkind: Secret\ntype: {of_type}\nmetadata: {{name: s}}\n{data}\n"))
    };
    let config =
        secret("kubernetes.io/dockerconfigjson", &format!("stringData: {{.dockerconfigjson: {a}, other: {a}}}"));
    let registries: Value =
        serde_json::from_str(config["stringData"][".dockerconfigjson"].as_str().expect("text")).expect("JSON");
    let entry = &registries["auths"][format!("{a}.invalid")];
    assert_eq!(decoded(&entry["auth"]), format!("redacted:{a}"));
    assert_eq!(config["stringData"]["other"], a);
    let old = secret("kubernetes.io/dockercfg", &format!("data: {{.dockercfg: {a}}}"));
    let registries: Value = serde_json::from_str(&decoded(&old["data"][".dockercfg"])).expect("JSON");
    assert!(registries[format!("{a}.invalid")].is_object());

    let tls = secret("kubernetes.io/tls", &format!("data: {{tls.crt: {a}, tls.key: {b}, ca.crt: {a}, other: {a}}}"));
    let data = &tls["data"];
    assert!(decoded(&data["tls.crt"]).starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(decoded(&data["ca.crt"]).ends_with("-----END CERTIFICATE-----\n"));
    let names = |pem: &str, name: &str| {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).expect("base64");
        der.windows(name.len()).any(|window| window == name.as_bytes())
    };
    assert!(names(&decoded(&data["tls.crt"]), &a) && !names(&decoded(&data["tls.crt"]), &b));
    assert!(decoded(&data["tls.key"]).starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(decoded(&data["other"]), a);
    // A certificate in clear gets a stand-in that fits the key.
    let mixed = secret("kubernetes.io/tls", &format!("stringData: {{tls.crt: CANARY-7f3a, tls.key: {b}}}"));
    let stand_in = mixed["stringData"]["tls.crt"].as_str().expect("text");
    assert!(names(stand_in, UNENCRYPTED) || names(stand_in, "redacted-"), "{stand_in}");
    // Neither is a placeholder alone: nothing to give a form to.
    let parts = format!("stringData: {{tls.crt: x {a}, tls.key: x {b}}}");
    assert_eq!(secret("kubernetes.io/tls", &parts)["stringData"]["tls.key"], format!("x {b}"));
    let other = secret("Opaque", &format!("stringData: {{tls.crt: {a}, tls.key: {b}, .dockerconfigjson: {a}}}"));
    assert_eq!((&other["stringData"]["tls.crt"], &other["stringData"][".dockerconfigjson"]), (&json!(a), &json!(a)));
}

#[test]
fn a_whole_sops_file_in_a_value_keeps_its_shape_and_loses_its_values() {
    use crate::sops::store::{Format, emit_plain};
    use crate::sops::test_encryptor::{encrypt, entry, text, tree};
    let mut file = tree(vec![entry("user", text("CANARY-7f3a")), entry("note_unencrypted", text("clear"))]);
    encrypt(&mut file, &[7; 32], None, false);
    let encrypted = emit_plain(Format::Yaml, &file).expect("a file").expose().clone();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{db.yaml: {0}, db.bin: {0}}}\n",
        STANDARD.encode(&encrypted)
    );
    let object = finished(&secret);
    let shape = read(&decoded(&object["data"]["db.yaml"])).remove(0);
    assert!(is_placeholder(shape["user"].as_str().expect("text").as_bytes()));
    // Read as what its name says it is not, it is one value.
    assert!(is_placeholder(decoded(&object["data"]["db.bin"]).as_bytes()));
    // Where nothing is encrypted, nothing is shown.
    let mut file = tree(vec![entry("note_unencrypted", text("CANARY-7f3a"))]);
    encrypt(&mut file, &[7; 32], None, false);
    let clear = STANDARD.encode(emit_plain(Format::Yaml, &file).expect("a file").expose());
    let object =
        finished(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{db.yaml: {clear}}}\n"));
    assert!(is_placeholder(decoded(&object["data"]["db.yaml"]).as_bytes()));
}

#[test]
fn a_generator_renders_what_was_decrypted_or_redacted_and_checks_what_was_opened() {
    use crate::sops::Redacted;
    use crate::sops::store::{Format, emit_plain};
    use crate::sops::test_encryptor::{FixedKey, encrypt, entry, text, tree};
    let file = |variables: &str| {
        let mut file = tree(vec![entry("data", text(variables))]);
        encrypt(&mut file, &[7; 32], None, false);
        emit_plain(Format::Json, &file).expect("a file").expose().clone()
    };
    let with_keys = |file: &[u8]| {
        Redacted::with_keys(file, Format::Binary, &FixedKey(vec![7; 32])).unwrap_or_else(|error| panic!("{error}"))
    };
    let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nsecretFrom:\n- metadata: {name: s}\n  \
                    envs: [a.txt]\n";
    let generator = super::parse(manifest).unwrap_or_else(|errors| panic!("{errors:?}"));

    let opened = with_keys(&file("A=CANARY-7f3a\n"));
    let cleartext = opened.cleartext().expect("it was opened");
    let pieces = generator.render(&|_| cleartext).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(read(crate::generator::join(pieces).expose())[0]["stringData"], json!({"A": "CANARY-7f3a"}));
    let shown = |redacted: &Redacted| {
        let pieces = generator.render_redacted(&|_| redacted).unwrap_or_else(|errors| panic!("{errors:?}"));
        let objects: Vec<_> = pieces.into_iter().flat_map(RedactedPiece::into_objects).collect();
        read(&finish(objects, Assurance::Verified, false)).remove(0)
    };
    assert!(is_placeholder(shown(&opened)["stringData"]["A"].as_str().expect("text").as_bytes()));

    // godotenv would put another variable's value there: an error of the plaintext, which a placeholder hides.
    let unclear = file("A=x$CANARY\n");
    let opened = with_keys(&unclear);
    let errors = generator.render_redacted(&|_| &opened).err().unwrap_or_default();
    assert_eq!(errors.len(), 1);
    // Without keys not even the names are known.
    let closed = Redacted::without_keys(&unclear, Format::Binary).unwrap_or_else(|error| panic!("{error}"));
    assert!(shown(&closed)["stringData"].as_object().is_some_and(|values| !values.contains_key("A")));
}

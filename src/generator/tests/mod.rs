//! The generators from manifest and plaintext to objects, without decryption.

mod decrypted_manifests;
mod dotenv;
mod ksops;
mod objects;
mod properties;
mod redacted;
mod sops_secret_generator;

use std::borrow::Cow;

use super::error::Sentence;
use super::fields::Findings;
use super::source::{Opened, Source};
use super::{Fault, Generator, GeneratorError, Piece, join};
use crate::secret::Secret;
use crate::sops::store::{Format, load_plain};
use crate::yaml::{self, Node};

/// What must not be in any message.
const CANARY: &str = "CANARY-7f3a";

/// A manifest's only document.
fn config(text: &str) -> Node {
    yaml::parse(text.as_bytes()).ok().and_then(|mut documents| documents.pop()).expect("a test's manifest is YAML").root
}

fn parse(manifest: &str) -> Result<Generator, Vec<GeneratorError>> {
    Generator::parse(&config(manifest), false)
}

/// Renders a manifest over files in plaintext.
fn render(manifest: &str, files: &[(&str, &[u8])]) -> Result<Vec<Piece<'static>>, Vec<GeneratorError>> {
    let plain = |&(path, text): &(&str, &[u8])| {
        let format = Format::from_path(path);
        (path.to_owned(), format, load_plain(format, text).unwrap_or_default(), text.to_vec())
    };
    let generator = parse(manifest)?;
    let files: Vec<_> = files.iter().map(plain).collect();
    let open: &super::Opener<'_, '_> = &|source: &Source, _| {
        let named = files.iter().find(|(path, ..)| path == source.path.as_str());
        let (_, format, tree, text) = named.expect("a file of the test");
        Ok(Opened { source, format: *format, tree, text: Secret::new(Cow::Borrowed(text.as_slice())) })
    };
    Ok(generator.render_opened(open)?.into_iter().map(Piece::into_owned).collect())
}

/// The objects of a rendered manifest, read by another YAML reader.
fn objects(manifest: &str, files: &[(&str, &[u8])]) -> Vec<serde_json::Value> {
    let pieces = render(manifest, files).unwrap_or_else(|errors| panic!("{errors:?}"));
    read(join(pieces).expose())
}

fn read(stream: &str) -> Vec<serde_json::Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(stream)
        .map(|document| serde_json::Value::deserialize(document).expect("YAML of our own"))
        .filter(|document| !document.is_null())
        .collect()
}

/// The messages of a manifest that must fail, with the exit code before and the hint behind.
fn failure(manifest: &str, files: &[(&str, &[u8])]) -> String {
    let errors = match render(manifest, files) {
        Ok(_) => panic!("accepted"),
        Err(errors) => errors,
    };
    let messages: Vec<String> = errors.iter().map(message).collect();
    let all = messages.join("\n");
    assert!(!all.contains(CANARY), "leaks: {all}");
    all
}

fn message(error: &GeneratorError) -> String {
    let code = match error.fault {
        Fault::Content => 5,
        Fault::Manifest => 3,
    };
    let hint = error.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
    format!("{code} {error}{hint}")
}

/// The remarks of a manifest that is accepted.
fn remarks(manifest: &str) -> Vec<String> {
    let generator = parse(manifest).unwrap_or_else(|errors| panic!("{errors:?}"));
    generator.remarks().iter().map(|remark| format!("{}: {}", remark.field, remark.text)).collect()
}

#[test]
fn knows_its_kinds() {
    assert!(Generator::is_known("viaduct.ai/v1", "ksops"));
    assert!(Generator::is_known("viaduct.ai/v2", "Anything"));
    assert!(Generator::is_known("goabout.com/v1beta1", "SopsSecretGenerator"));
    assert!(Generator::is_known("goabout.com/v1beta1", "SopsSecret"));
    assert!(!Generator::is_known("goabout.com/v1beta1", "SoupSecretGenerator"));
    assert!(!Generator::is_known("goabout.com/v1", "SopsSecretGenerator"));
    assert!(!Generator::is_known("viaduct.ai", "ksops"));
    assert!(!Generator::is_known("v1", "Secret"));
}

#[test]
fn reads_any_kind_as_ksops_where_the_host_hands_it_over() {
    let node = config("apiVersion: example.com/v1\nkind: Mine\nmetadata: {name: x}\nfiles: [a.yaml]\n");
    assert!(Generator::parse(&node, true).is_ok());
    assert!(Generator::parse(&node, false).is_err());
}

#[test]
fn keeps_the_other_groups_apart_from_ksops() {
    for api_version in ["goabout.com/v1", "unsops.dev/v1"] {
        let node = config(&format!("apiVersion: {api_version}\nkind: Mine\nfiles: [a.yaml]\n"));
        assert!(Generator::parse(&node, true).is_err(), "{api_version}");
    }
}

#[test]
fn names_the_kind_and_not_the_content_of_a_stranger() {
    let node = config("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: CANARY-7f3a}\n");
    let errors = Generator::parse(&node, true).err().expect("a Secret is no generator");
    let all: Vec<String> = errors.iter().map(message).collect();
    assert!(all.join("\n").starts_with("3 not a generator: v1 Secret"), "{all:?}");
    assert!(!all.join("\n").contains(CANARY));
}

#[test]
fn says_what_a_manifest_without_a_kind_lacks() {
    for manifest in ["kind: ksops\n", "apiVersion: v1\n", "apiVersion: ''\nkind: x\n", "a: b\n"] {
        let errors = Generator::parse(&config(manifest), true).err().unwrap_or_default();
        let all: Vec<String> = errors.iter().map(message).collect();
        assert!(all.join("\n").contains("the manifest has no apiVersion or no kind"), "{manifest}: {all:?}");
    }
}

#[test]
fn takes_as_many_sources_as_the_bound_and_no_more() {
    let manifest = |count: usize| {
        let files = vec!["a.yaml"; count].join(", ");
        format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: gen}}\nfiles: [{files}]\n")
    };
    assert!(parse(&manifest(crate::limits::SOURCES)).is_ok());
    let errors = parse(&manifest(crate::limits::SOURCES + 1)).err().expect("one too many");
    assert!(errors.iter().map(message).any(|text| text.contains("sources")), "{:?}", errors.len());
}

#[test]
fn caps_the_number_of_errors() {
    let mut findings = Findings::default();
    for _ in 0..1000 {
        let reason = "wrong";
        findings.error(GeneratorError::manifest(&Default::default(), Default::default(), reason));
    }
    assert_eq!(findings.errors.len(), crate::limits::ERRORS);
    for _ in 0..1000 {
        findings.remark(&Default::default(), "odd".into(), Default::default());
    }
    assert_eq!(findings.remarks.len(), crate::limits::ERRORS);
}

//! For all inputs.

use super::{config, read, render};
use crate::generator::{Generator, dotenv, join};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const KSOPS: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nsecretFrom:\n- metadata: {name: s}\n  files: [a]\n";

/// The value under a key, from either field.
fn value(secret: &serde_json::Value, key: &str) -> Option<Vec<u8>> {
    let text = |field: &str| secret.get(field)?.get(key)?.as_str();
    match (text("data"), text("stringData")) {
        (Some(data), None) => STANDARD.decode(data).ok(),
        (None, Some(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_value_comes_back_byte_for_byte(bytes in any::<Vec<u8>>()) {
        let pieces = render(KSOPS, &[("a", &bytes)]).expect("any bytes are a value");
        let secret = read(join(pieces).expose()).pop().expect("one Secret");
        prop_assert_eq!(value(&secret, "a"), Some(bytes));
    }

    #[test]
    fn a_text_comes_back_byte_for_byte(text in "(\\PC|[\\n\\t\\r \u{85}\u{2028}\u{feff}:#'\"-]){0,40}") {
        let pieces = render(KSOPS, &[("a", text.as_bytes())]).expect("any text is a value");
        let secret = read(join(pieces).expose()).pop().expect("one Secret");
        prop_assert_eq!(value(&secret, "a"), Some(text.into_bytes()));
    }

    #[test]
    fn no_dotenv_text_makes_it_panic(bytes in any::<Vec<u8>>(), text in "[A-C=:#$\"' \\\\{}()\n\r\u{e9}\u{a0}]{0,60}") {
        let _ = dotenv::parse(&bytes);
        let _ = dotenv::parse(text.as_bytes());
    }

    #[test]
    fn no_manifest_makes_it_panic(fields in "(files|secretFrom|envs|metadata|name|x|-|[\\[\\]{}:,\n \
     &*!~'\"1a]){0,40}") {
        for api_version in ["viaduct.ai/v1", "goabout.com/v1beta1"] {
            let text = format!("apiVersion: {api_version}\nkind: SopsSecretGenerator\n{fields}");
            if let Ok(documents) = crate::yaml::parse(text.as_bytes()) {
                for document in documents {
                    let _ = Generator::parse(&document.root, true);
                }
            }
        }
    }

    #[test]
    fn no_decrypted_text_makes_it_panic(text in "(apiVersion: v1\n|kind: (List|A)\n|metadata: \\{name: \
     a\\}\n|items:\n|- |  |---\n|\\.\\.\\.\n|[a-c:{}\\[\\]\n\"]){0,30}") {
        let manifest = "apiVersion: viaduct.ai/v1\nkind: ksops\nfiles: [a.yaml]\n";
        if let Ok(pieces) = render(manifest, &[("a.yaml", text.as_bytes())]) {
            prop_assert!(pieces.iter().all(|piece| !piece.resources.is_empty()));
        }
    }
}

#[test]
fn a_hostile_number_of_entries_is_refused_fast() {
    let entries = "- a\n".repeat(200_000);
    let node = config(&format!("apiVersion: viaduct.ai/v1\nkind: ksops\nfiles:\n{entries}"));
    assert!(Generator::parse(&node, false).is_err());
}

//! Manifests with something encrypted among them, decrypted as `unsops filter` does, under the operator's policy.

use std::path::Path;

use crate::commands::decrypt::Decryptor;
use crate::commands::in_place::{Decryption, Sources};
use crate::commands::{filter, policy};
use crate::error::{Error, Failure};
use crate::jail::Root;
use crate::secret::SecretBytes;
use crate::yaml::{Kind, Node};

/// Decrypts what is encrypted among manifests that stand in, or come from, a file; the rest passes byte for byte.
///
/// `hint` is the next step where nothing proves an object.
///
/// # Errors
/// As [`filter::filter`]; the policy does not let an object of this kind out, or nothing out of this file.
pub fn decrypt(
    manifests: &[u8],
    file: &Path,
    root: &Root,
    decryptor: &Decryptor<'_>,
    sources: &Sources<'_>,
    hint: &'static str,
) -> Result<SecretBytes, Error> {
    let authority = decryptor.authority();
    let decryption = Decryption { keys: decryptor.keys(), authority, sources, accepted: None, hint };
    let answer = filter::filter(manifests, &decryption)?;
    if answer.expose() != manifests && authority.restricts_directories() {
        let own = file.canonicalize().ok();
        let own = own.as_deref().and_then(|file| file.strip_prefix(root.path()).ok()).unwrap_or(Path::new(".."));
        authority.check_path(root.path(), own).map_err(|denial| policy::record(Failure::File, &denial))?;
    }
    Ok(answer)
}

/// The text of a field; empty if it is none.
pub fn text<'a>(object: &'a Node, name: &str) -> &'a str {
    match field(object, name).map(|node| &node.kind) {
        Some(Kind::Scalar(text, _)) => text,
        _ => "",
    }
}

/// The value of a field.
pub fn field<'a>(object: &'a Node, name: &str) -> Option<&'a Node> {
    let Kind::Mapping(pairs, _) = &object.kind else { return None };
    pairs.iter().find(|(key, _)| matches!(&key.kind, Kind::Scalar(text, _) if text == name)).map(|(_, value)| value)
}

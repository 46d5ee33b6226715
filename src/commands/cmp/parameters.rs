//! `unsops cmp parameters`: what an Application may set, as Argo CD shows it (`reposerver/repository/repository.proto`,
//! `ParameterAnnouncement`).

use serde_json::{Value, json};

use super::app::{App, AppKind};
use super::request::{RECURSE, RELEASE_NAME, VALUE_FILES};
use crate::commands::records;
use crate::environment::Environment;
use crate::error::Error;
use crate::jail::Root;
use crate::process::Output;
use crate::secret::Secret;

/// The parameters of the application in the working directory.
///
/// # Errors
/// The directory cannot be read.
pub fn announce(env: &Environment) -> Result<Output, Error> {
    let root = Root::discover(env).map_err(records::of_file)?;
    let mut text = for_kind(App::find(&root, env)?.kind()).to_string().into_bytes();
    text.push(b'\n');
    Ok(Output::new(Secret::new(text)))
}

fn for_kind(kind: AppKind) -> Value {
    match kind {
        AppKind::Kustomization => json!([]),
        AppKind::Directory => json!([{
            "name": RECURSE,
            "title": "Sub-directories",
            "tooltip": "\"true\": files of sub-directories are manifests, too",
            "itemType": "boolean",
            "collectionType": "string",
            "string": "false",
        }]),
        AppKind::Chart => json!([
            {
                "name": RELEASE_NAME,
                "title": "Release name",
                "tooltip": "Name of the Helm release; the Application's name if empty",
                "itemType": "string",
                "collectionType": "string",
                "string": "",
            },
            {
                "name": VALUE_FILES,
                "title": "Values files",
                "tooltip": "Paths relative to the chart, within the repository; later files win",
                "itemType": "string",
                "collectionType": "array",
                "array": [],
            },
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::PARAMETERS;
    use super::*;

    #[test]
    fn announces_exactly_what_is_read() {
        for kind in [AppKind::Chart, AppKind::Directory, AppKind::Kustomization] {
            let announced = for_kind(kind);
            let announced: Vec<&str> =
                announced.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
            let read: Vec<&str> = PARAMETERS.iter().filter(|(_, of)| *of == kind).map(|(name, _)| *name).collect();
            assert_eq!(announced, read, "{kind:?}");
        }
    }
}

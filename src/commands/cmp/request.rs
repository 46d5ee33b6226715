//! What Argo CD sends with a request, told apart from what the operator gave the sidecar.
//!
//! Argo CD adds to the sidecar's environment (`reposerver/repository/repository.go`, `getPluginEnvs`): `ARGOCD_APP_*`,
//! `KUBE_*`, `ARGOCD_ENV_<name>` for each entry of `plugin.env`, `PARAM_<NAME>` for each parameter, and git credentials
//! where `provideGitCreds` is on. A committed `.argocd-source.yaml` overrides `plugin.env` and `plugin.parameters`.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use serde::Deserialize;

use super::app::AppKind;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{Error, Failure, Record};
use crate::keys::KeyPolicy;
use crate::text::Printable;

/// What an Application asks for.
pub struct Request {
    environment: Environment,
    parameters: Vec<Parameter>,
    allows_key_programs: bool,
}

/// An entry of `spec.source.plugin.parameters`.
#[derive(Deserialize)]
pub struct Parameter {
    name: String,
    #[serde(default)]
    string: Option<String>,
    #[serde(default)]
    array: Option<Vec<String>>,
    #[serde(default)]
    map: Option<BTreeMap<String, String>>,
}

/// Every parameter that there is, and the kind of application it is for.
pub const PARAMETERS: &[(&str, AppKind)] =
    &[(RECURSE, AppKind::Directory), (RELEASE_NAME, AppKind::Chart), (VALUE_FILES, AppKind::Chart)];

/// Also the files of sub-directories.
pub const RECURSE: &str = "recurse";
/// Name of the Helm release.
pub const RELEASE_NAME: &str = "release-name";
/// More files of values, beneath the root.
pub const VALUE_FILES: &str = "value-files";

/// Set by the operator: `SOPS_AGE_KEY_CMD` and age plugins may be started.
const ALLOW_EXEC: &str = "UNSOPS_ALLOW_EXEC";
/// Set by the operator: kustomize may fetch bases by URL.
pub const ALLOW_REMOTE: &str = "UNSOPS_ALLOW_REMOTE";

/// The whole list of parameters, as JSON. `PARAM_*` hold the same, but names that differ in case or punctuation collide there.
const PARAMETERS_VARIABLE: &str = "ARGOCD_APP_PARAMETERS";

/// What goes no further than here: nothing below reads it, and no program that is started sees it.
const DROPPED: &[&str] = &[
    "ARGOCD_APP_PARAMETERS",
    "ARGOCD_ASK_PASS_SOCK",
    "ARGOCD_BINARY_NAME",
    "ARGOCD_ENV_",
    "ARGOCD_GIT_",
    "GIT_",
    "KUSTOMIZE_",
    "PARAM_",
    "SSH_",
];

/// Variables that lead us or a program that we start; a name that ends in `_` stands for all that begin so. An entry of `plugin.env` of such a name would have no
/// effect; it is refused, since whoever wrote it either expects one or tries.
const OPERATORS: &[&str] = &[
    "ALL_PROXY",
    "ARGOCD_",
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "GCP_",
    "GIT_",
    "GNUPGHOME",
    "GOOGLE_",
    "HELM_",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "KSOPS_",
    "KUSTOMIZE_",
    "LD_",
    "MSI_ENDPOINT",
    "NO_PROXY",
    "PATH",
    "RUST_",
    "SOPS_",
    "SSH_",
    "SSL_CERT_",
    "TMPDIR",
    "UNSOPS_",
    "VAULT_",
    "XDG_",
];

impl Request {
    /// Reads the environment.
    ///
    /// # Errors
    /// An entry of `plugin.env` that names a variable of the operator's, parameters that are no list of parameters, or one
    /// that does not exist.
    pub fn read(env: &Environment) -> Result<Self, Error> {
        let refused: Vec<Record> = env.variables().filter_map(|(name, _)| refuse(name)).collect();
        if let Some(error) = Error::collect(refused) {
            return Err(error);
        }
        let parameters = parse_parameters(env)?;
        let allows_key_programs = is_on(ALLOW_EXEC, env) && !is_on("UNSOPS_NO_EXEC", env);
        let mut variables: BTreeMap<_, _> = env
            .variables()
            .filter(|(name, _)| !DROPPED.iter().any(|dropped| begins_with(name, dropped)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if !allows_key_programs {
            // For our own processes further down.
            variables.insert("UNSOPS_NO_EXEC".into(), "1".into());
        }
        let environment = Environment::new(variables, env.current_dir().map(ToOwned::to_owned));
        Ok(Self { environment, parameters, allows_key_programs })
    }

    /// The environment without what came with the request and could lead anybody.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What keys may be used for: nobody can be asked, and no program is started unless the operator lets it be.
    pub fn keys(&self, deadline: Deadline) -> KeyPolicy {
        KeyPolicy { allow_exec: self.allows_key_programs, terminal: false, deadline: Some(deadline.instant()) }
    }

    /// Whether the operator lets kustomize fetch what a kustomization names by URL.
    pub fn may_fetch(&self) -> bool {
        is_on(ALLOW_REMOTE, &self.environment)
    }

    /// Checks that every parameter is one for this kind of application: one that has no effect is a mistake.
    ///
    /// # Errors
    /// A record for each that is not.
    pub fn check_parameters(&self, kind: AppKind) -> Result<(), Error> {
        let records = self.parameters.iter().filter_map(|parameter| {
            let (_, wanted) = PARAMETERS.iter().find(|(name, _)| *name == parameter.name)?;
            (*wanted != kind).then(|| {
                let message = format!("has no effect here: it is for {}, and this is {}", wanted.name(), kind.name());
                about(parameter, message).hint("remove the parameter from spec.source.plugin.parameters")
            })
        });
        Error::collect(records.collect()).map_or(Ok(()), Err)
    }

    /// Whether files of sub-directories are wanted, too.
    ///
    /// # Errors
    /// It is neither `true` nor `false`.
    pub fn recurse(&self) -> Result<bool, Record> {
        match self.string(RECURSE)? {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => {
                let record = Record::new(Failure::Usage, "is neither \"true\" nor \"false\"");
                Err(record.about(Printable::new(&format!("parameter {RECURSE}"))))
            }
        }
    }

    /// A parameter of the kind `string`; nothing if it is empty or not set.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn string(&self, name: &str) -> Result<Option<&str>, Record> {
        match self.find(name) {
            None => Ok(None),
            Some(Parameter { string: Some(string), array: None, map: None, .. }) => {
                Ok(Some(string.as_str()).filter(|string| !string.is_empty()))
            }
            Some(parameter) => Err(about(parameter, "is not a string").hint("name: …, string: …")),
        }
    }

    /// A parameter of the kind `array`.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn array(&self, name: &str) -> Result<&[String], Record> {
        match self.find(name) {
            None => Ok(&[]),
            Some(Parameter { array: Some(array), string: None, map: None, .. }) => Ok(array),
            Some(parameter) => Err(about(parameter, "is not an array").hint("name: …, array: […]")),
        }
    }

    fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

fn is_on(name: &str, env: &Environment) -> bool {
    env.non_empty(name).is_some_and(|value| value != "0")
}

fn parse_parameters(env: &Environment) -> Result<Vec<Parameter>, Error> {
    let Some(text) = env.var_os(PARAMETERS_VARIABLE) else { return Ok(Vec::new()) };
    let parsed: Result<Option<Vec<Parameter>>, _> = serde_json::from_slice(text.as_encoded_bytes());
    let Ok(parsed) = parsed else {
        return Err(Record::new(Failure::Usage, format!("{PARAMETERS_VARIABLE} is not a list of parameters")).into());
    };
    let parameters = parsed.unwrap_or_default();
    let records = parameters.iter().enumerate().filter_map(|(index, parameter)| {
        if !PARAMETERS.iter().any(|(name, _)| *name == parameter.name) {
            let names: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            return Some(about(parameter, "does not exist").hint(format!("parameters: {}", names.join(", "))));
        }
        let is_twice = parameters.iter().take(index).any(|before| before.name == parameter.name);
        is_twice.then(|| about(parameter, "is there twice"))
    });
    Error::collect(records.collect()).map_or(Ok(()), Err)?;
    Ok(parameters)
}

fn about(parameter: &Parameter, message: impl Into<String>) -> Record {
    Record::new(Failure::Usage, message).about(Printable::new(&format!("parameter {}", parameter.name)))
}

/// Refuses an entry of `plugin.env` that would be a variable of the operator's.
fn refuse(variable: &OsStr) -> Option<Record> {
    let name = variable.to_string_lossy();
    let entry = name.strip_prefix("ARGOCD_ENV_")?;
    let folded: String =
        entry.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let is_meant = |variable: &str| folded == variable || variable.ends_with('_') && folded.starts_with(variable);
    OPERATORS.iter().any(|variable| is_meant(variable)).then(|| {
        Record::new(Failure::Usage, "an Application cannot set this variable")
            .about(Printable::new(&format!("plugin.env {entry}")))
            .hint(
                "remove it from plugin.env (or from a committed .argocd-source.yaml); keys, programs and roots are set by \
                 the operator, in the environment of the sidecar",
            )
    })
}

fn begins_with(name: &OsStr, beginning: &str) -> bool {
    name.as_encoded_bytes().starts_with(beginning.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Request, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Request::read(&Environment::new(variables, None)).map_err(|error| error.report())
    }

    fn refusal(variables: &[(&str, &str)]) -> String {
        read(variables).err().expect("refused")
    }

    #[test]
    fn request_leaves_no_trace_in_the_environment() {
        let request = read(&[
            ("SOPS_AGE_KEY_FILE", "/keys"),
            ("ARGOCD_APP_NAME", "demo"),
            ("ARGOCD_APP_PARAMETERS", "null"),
            ("ARGOCD_ENV_COLOUR", "blue"),
            ("PARAM_RECURSE", "true"),
            ("GIT_ASKPASS", "argocd"),
            ("ARGOCD_GIT_AUTH_HEADER", "Authorization: Basic x"),
            ("ARGOCD_ASK_PASS_SOCK", "/x"),
            ("SSH_AUTH_SOCK", "/x"),
            ("KUSTOMIZE_PLUGIN_HOME", "/x"),
        ]);
        let request = request.unwrap_or_else(|message| panic!("{message}"));
        let names: Vec<_> = request.environment().variables().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["ARGOCD_APP_NAME", "SOPS_AGE_KEY_FILE", "UNSOPS_NO_EXEC"]);
    }

    #[test]
    fn plugin_env_may_have_any_name_but_the_operators() {
        for harmless in ["COLOUR", "PATHS", "MY_PATH", "HOMEPAGE", "SOPSY", "AWSOME"] {
            assert!(read(&[(&format!("ARGOCD_ENV_{harmless}"), "x")]).is_ok(), "{harmless}");
        }
        for name in [
            "PATH",
            "path",
            "SOPS_AGE_KEY",
            "sops-age.key",
            "UNSOPS_POLICY",
            "HELM_PLUGINS",
            "LD_PRELOAD",
            "Vault_Addr",
        ] {
            let message = refusal(&[(&format!("ARGOCD_ENV_{name}"), "CANARY-7f3a")]);
            assert!(message.contains(name) && !message.contains("CANARY"), "{message}");
        }
    }

    #[test]
    fn parameters_are_a_short_list_read_strictly() {
        let parameters = |text: &str| read(&[("ARGOCD_APP_PARAMETERS", text)]);
        assert!(parameters("null").is_ok() && parameters("[]").is_ok());
        let recurse =
            parameters(r#"[{"name":"recurse","string":"true"}]"#).unwrap_or_else(|message| panic!("{message}"));
        assert!(recurse.recurse().unwrap());
        assert!(recurse.check_parameters(AppKind::Directory).is_ok());
        assert!(recurse.check_parameters(AppKind::Kustomization).is_err());
        for (text, words) in [
            ("", "is not a list of parameters"),
            ("{}", "is not a list of parameters"),
            (r#"[{"string":"x"}]"#, "is not a list of parameters"),
            (r#"[{"name":"Recurse","string":"true"}]"#, "parameter Recurse: does not exist"),
            (r#"[{"name":"recurse"},{"name":"recurse"}]"#, "is there twice"),
        ] {
            let message = parameters(text).err().expect(text);
            assert!(message.contains(words), "{text}: {message}");
        }
        let wrong = |text: &str| parameters(text).unwrap_or_else(|message| panic!("{message}"));
        assert!(wrong(r#"[{"name":"recurse","string":"yes"}]"#).recurse().is_err());
        assert!(wrong(r#"[{"name":"recurse","array":["true"]}]"#).recurse().is_err());
        assert!(wrong(r#"[{"name":"value-files","map":{"a":"b"}}]"#).array(VALUE_FILES).is_err());
    }

    #[test]
    fn operator_decides_about_key_programs() {
        let allows = |variables: &[(&str, &str)]| {
            read(variables).unwrap_or_else(|message| panic!("{message}")).allows_key_programs
        };
        assert!(!allows(&[]));
        assert!(!allows(&[(ALLOW_EXEC, "0")]));
        assert!(allows(&[(ALLOW_EXEC, "1")]));
        assert!(!allows(&[(ALLOW_EXEC, "1"), ("UNSOPS_NO_EXEC", "1")]));
    }
}

//! Where kustomize looks for legacy plugins.
//!
//! Source: kustomize api v0.21.1, `konfig/plugins.go`, `internal/plugins/loader/loader.go`.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// The kinds that we are a plugin for: apiVersion and kind. Of `viaduct.ai`, any kind is read; `ksops` is its usual one.
pub const PLUGINS: [(&str, &str); 4] = [
    ("viaduct.ai/v1", "ksops"),
    ("goabout.com/v1beta1", "SopsSecretGenerator"),
    ("goabout.com/v1beta1", "SopsSecret"),
    ("unsops.dev/v1", "Decrypt"),
];

/// Where a kind's plugin lies in a plugin home: `GROUP/VERSION/lower-case kind/Kind`.
pub fn place_of(api_version: &str, kind: &str) -> PathBuf {
    Path::new(api_version).join(kind.to_lowercase()).join(kind)
}

/// A place where a plugin home may be.
pub struct Candidate {
    /// The variable that it comes from.
    pub variable: &'static str,
    /// The directory.
    pub path: PathBuf,
}

/// The places in the order in which kustomize looks; the first directory that exists is the plugin home, whether it
/// holds the plugin or not.
pub fn candidates(env: &Environment) -> Vec<Candidate> {
    let candidate = |variable: &'static str, below: &str| {
        let value = env.var_os(variable)?;
        Some(Candidate { variable, path: Path::new(value).join(below) })
    };
    let set = |variable: &str| env.var_os(variable).is_some_and(|value| !value.is_empty());
    [
        set("KUSTOMIZE_PLUGIN_HOME").then(|| candidate("KUSTOMIZE_PLUGIN_HOME", "")),
        set("XDG_CONFIG_HOME").then(|| candidate("XDG_CONFIG_HOME", "kustomize/plugin")),
        set("HOME").then(|| candidate("HOME", ".config/kustomize/plugin")),
        set("HOME").then(|| candidate("HOME", "kustomize/plugin")),
    ]
    .into_iter()
    .flatten()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_lies_below_its_lower_case_kind() {
        assert_eq!(place_of("viaduct.ai/v1", "ksops"), Path::new("viaduct.ai/v1/ksops/ksops"));
        let place = place_of("goabout.com/v1beta1", "SopsSecretGenerator");
        assert_eq!(place, Path::new("goabout.com/v1beta1/sopssecretgenerator/SopsSecretGenerator"));
        assert_eq!(place_of("v1", "Foo"), Path::new("v1/foo/Foo"));
    }

    #[test]
    fn homes_are_looked_for_in_kustomizes_order() {
        let paths = |vars: &[(&str, &str)]| -> Vec<String> {
            let env = Environment::new(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())), None);
            candidates(&env).iter().map(|candidate| candidate.path.display().to_string()).collect()
        };
        assert_eq!(paths(&[]), [""; 0]);
        assert_eq!(
            paths(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("KUSTOMIZE_PLUGIN_HOME", "/k")]),
            ["/k/", "/x/kustomize/plugin", "/h/.config/kustomize/plugin", "/h/kustomize/plugin"]
        );
        assert_eq!(paths(&[("HOME", ""), ("KUSTOMIZE_PLUGIN_HOME", "")]), [""; 0]);
    }
}

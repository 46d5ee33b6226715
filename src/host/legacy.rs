//! kustomize's legacy exec plugin: the config in a file, resources on stdin, resources on stdout.

use super::embed::end_line;
use super::{AnnotationPolicy, Config, HostError};
use crate::secret::Secret;

/// A call of a legacy exec plugin.
///
/// Source: kustomize `api/internal/plugins/execplugin/execplugin.go`.
pub struct Legacy {
    config: Config,
    stdin: String,
}

impl Legacy {
    /// Takes the config file and all of stdin.
    ///
    /// # Errors
    /// The config is not one YAML document, or stdin is not UTF-8.
    pub fn read(config: &[u8], stdin: Vec<u8>) -> Result<Self, HostError> {
        let mut configs = Config::read(config)?;
        if let Some(second) = configs.get(1) {
            return Err(HostError::SeveralDocuments(second.manifest().position));
        }
        let config = configs.pop().ok_or(HostError::Empty)?;
        let stdin = String::from_utf8(stdin)
            .map_err(|_| HostError::shape("stdin", "the resources must be UTF-8", Default::default()))?;
        Ok(Self { config, stdin })
    }

    /// What to generate.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether there are resources to transform. A transformer of nothing looks like a generator; the answer is the
    /// same.
    pub fn is_transformer(&self) -> bool {
        !self.stdin.trim().is_empty()
    }

    /// The resources to transform, as they came.
    pub fn resources(&self) -> &str {
        &self.stdin
    }

    /// What happens to kustomize's annotations of what we add.
    pub fn annotation_policy(&self) -> AnnotationPolicy {
        if self.is_transformer() { AnnotationPolicy::Translate } else { AnnotationPolicy::Keep }
    }

    /// The answer: stdin as it came, then `resources`, each one YAML document in block style that ends with LF.
    pub fn respond(&self, resources: &[&str]) -> Secret<Vec<u8>> {
        let echoed = if self.is_transformer() { self.stdin.as_str() } else { "" };
        let size = echoed.len() + resources.iter().map(|resource| resource.len() + SEPARATOR.len() + 1).sum::<usize>();
        let mut out = String::with_capacity(size + SEPARATOR.len());
        out.push_str(echoed);
        for resource in resources {
            end_line(&mut out);
            if !out.is_empty() && out != SEPARATOR && !out.ends_with(SEPARATOR_LINE) {
                out.push_str(SEPARATOR);
            }
            out.push_str(resource);
        }
        end_line(&mut out);
        Secret::new(out.into_bytes())
    }
}

const SEPARATOR: &str = "---\n";
const SEPARATOR_LINE: &str = "\n---\n";

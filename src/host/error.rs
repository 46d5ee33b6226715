//! Why a call of a host is not understood.

use crate::text::Printable;
use crate::yaml::{Position, YamlError};

/// Why a call of a host is not understood (exit 3, [`HostError::Empty`] 2). Fixed words, places and names, no content.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A field of the ResourceList is there twice.
    #[error("a field of the ResourceList is there twice ({0})")]
    DuplicateField(Position),
    /// Nothing but blanks and comments.
    #[error("no input")]
    Empty,
    /// Neither a `functionConfig` nor an item that says what to generate.
    #[error("the ResourceList has no functionConfig, and none of its items is a generator")]
    NoConfig,
    /// A ConfigMap as `functionConfig` that names no file.
    #[error("the ConfigMap in functionConfig names no files ({0})")]
    NothingToGenerate(Position),
    /// More than one document where the host sends one.
    #[error("more than one document ({0})")]
    SeveralDocuments(Position),
    /// A field that is missing or of another shape than the host's protocol says.
    #[error("{field}: {rule} ({position})")]
    Shape {
        /// `items[3]`.
        field: Printable,
        /// What it has to be.
        rule: &'static str,
        /// Where.
        position: Position,
    },
    /// A document that nothing here can read.
    #[error("apiVersion \"{api_version}\", kind \"{kind}\" is not known ({position})")]
    UnknownKind {
        /// As written; empty if missing.
        api_version: Printable,
        /// As written; empty if missing.
        kind: Printable,
        /// Where.
        position: Position,
    },
    /// Not YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

impl HostError {
    /// The next step, where there is a telling one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoConfig => {
                Some("pass the generator manifest: kpt fn eval --fn-config FILE, or configPath in the Kptfile")
            }
            Self::NothingToGenerate(_) => {
                Some("pass -- files=FILE,FILE, or the generator manifest with --fn-config FILE")
            }
            Self::UnknownKind { .. } => Some(
                "known are ResourceList of config.kubernetes.io, ksops of viaduct.ai/v1 and SopsSecretGenerator of \
                 goabout.com/v1beta1",
            ),
            _ => None,
        }
    }

    pub(super) fn shape(field: &str, rule: &'static str, position: Position) -> Self {
        Self::Shape { field: Printable::new(field), rule, position }
    }
}

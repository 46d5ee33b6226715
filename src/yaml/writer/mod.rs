//! Nodes to text, in two profiles.
//!
//! `yaml_v3` prints what go.yaml.in/yaml/v3 prints, since name hashes of Secrets depend on these bytes; `scalar` holds
//! that library's rules for a single scalar and `value` its way from Go values to nodes. `manifest` prints what we
//! build ourselves, for readers of any YAML version.

mod manifest;
mod scalar;
mod value;
mod yaml_v3;

pub use manifest::{carries, write_manifest};
pub use yaml_v3::write_like_sops;

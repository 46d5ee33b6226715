//! unsops (crate docs follow)
pub mod environment;
pub mod host;
pub mod jail;
pub mod limits;
pub mod number;
pub mod path;
pub mod secret;
pub mod sops;
pub mod text;
pub mod yaml;

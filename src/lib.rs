//! unsops (crate docs follow)
pub mod environment;
pub mod error;
pub mod generator;
pub mod keys;
pub mod limits;
pub mod number;
pub mod path;
pub mod process;
pub mod secret;
pub mod sops;
pub mod text;
pub mod yaml;

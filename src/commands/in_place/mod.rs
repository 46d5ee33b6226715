//! Decrypts what stands among manifests already: for `filter`, and for the transformer `Decrypt`.
//!
//! What is decrypted is what Flux' kustomize-controller decrypts: objects with a `sops` field that has a `mac`, and values
//! of Secrets that are SOPS files (`secretGenerator.files` over an encrypted file), unless the annotation
//! `kustomize.toolkit.fluxcd.io/decrypt: Disabled` says no. Beyond Flux: Secrets that `secretGenerator.envs` made of an
//! encrypted dotenv file, and the proof that nothing comes out unverified:
//!
//! * the MAC, where everything that it covers still stands in its order;
//! * else a source file whose MAC is right, and that has every encrypted value at the same place ([`Sources`]);
//! * else nothing, unless the operator accepts a copy that cannot be held against anything.

mod object;
mod sources;

pub use object::{Decryption, mac_of};
pub use sources::{Sources, beneath};

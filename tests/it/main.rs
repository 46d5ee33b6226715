//! Behaviour through the real executable, and against the real sops, kustomize, kubectl, kpt and gpg.
//!
//! `tests/run` installs the counterparts and runs everything. Without them, tests that need one say on stderr that they
//! were skipped, and fail where `CI=true`.
#![expect(clippy::disallowed_methods, reason = "tests start programs, and read and write files of their own")]
#![expect(
    clippy::string_slice,
    reason = "tests cut ASCII text at places they found themselves; a panic is a failing test"
)]

mod architecture;
mod build;
mod check;
mod cmp;
mod confined;
mod decrypt;
mod diff;
mod differential;
mod docs;
mod doctor;
mod endurance;
mod explain;
mod filter;
mod fixtures;
mod fuzzing;
mod habits;
mod harness;
mod install;
mod key_services;
mod kustomize;
mod oracle;
mod policy;
mod process;
mod promises;
mod render;
mod sandbox;
mod supply_chain;
mod verbosity;

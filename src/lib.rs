//! unsops decrypts SOPS files and emits Kubernetes manifests. This library exists for tests, fuzzing and benchmarks;
//! it is not a stable interface.
//!
//! # The house
//!
//! ```text
//!           argv   env   stdin                                         stdout   stderr
//!             |     |     |                                               ^        ^
//!  L4  main   cli   process   error    harden, parse, run, write once, report, exit code
//!             | Invocation, Environment                            Output | Error
//!  L3  commands/   one file per sub-command; generate.rs is the plugin path: the only place where the parts meet
//!             | Generator            | SourcePath -> FileBytes       | Keyring behind Guard
//!  L2  generator/  host/  kustomization/  findings/  diff/  jail  walk  recipient/  policy/  keys/  sandbox/
//!             | Cleartext            | bytes                         | impl sops::KeyService
//!  L1  sops/    pure: bytes in, Cleartext out. No I/O, no env, no clock, no threads
//!             |   store -> Tree + Metadata -> DataKey -> cipher -> Mac -> Cleartext
//!  L0  yaml/   secret   text   path   number   limits   environment   deadline   color   spelling
//!                interruption   workers
//! ```
//!
//! Imports only point down, and rooms of L2 do not import each other; `tests/it/architecture.rs` reads the
//! `use crate::` lines against this picture. The one inversion: `sops` defines the trait [`sops::KeyService`], `keys`
//! implements it, `commands` joins them. The way through is one way:
//!
//! argv → [`cli::Invocation`] → `Generator` → [`path::SourcePath`] → `FileBytes` → [`sops::store::Document`] →
//! [`sops::data_key::DataKey`] → [`sops::Cleartext`] → manifest → [`process::Output`] → stdout
//!
//! # Five promises, and the types that keep them
//!
//! 1. **stdout is complete or empty.** [`process::emit`] consumes an [`process::Output`] and is the only writer of
//!    stdout; clippy denies `print!`.
//! 2. **Nothing decrypted leaves except as the answer.** Values are [`secret::Secret`], without `Debug` or `Display`;
//!    outside names enter messages only as [`text::Printable`]; the panic hook shows the place, never the payload;
//!    freed heap is wiped by the global allocator.
//! 3. **Nothing leaves unverified.** [`sops::Cleartext`] is built only with a [`sops::mac::MacVerified`], and that only
//!    by comparing MACs, or a re-ordered copy with a file whose MAC was verified ([`sops::reordered`]). What `render` and
//!    `diff` show without keys is [`sops::Redacted`] and [`diff::Snapshot`]: types of their own, which nothing that prints
//!    plaintext takes.
//! 4. **Input is hostile.** Every bound stands in [`limits`]; files are opened beneath a root by `jail`.
//! 5. **An error names the file, the place, the cause and the next step**: [`error::Record`].
//!
//! # Where the design was changed on the way
//!
//! * `yaml::reader` follows yaml.v3's scanner itself and is no layer over a parser crate: where a comment belongs depends
//!   on what that scanner had already looked at, and comments decide which values are encrypted and what is printed.
//! * [`sops::KeyService`] is asked for the shares of a whole file, not for one key: order, concurrency and when to stop
//!   are the keyring's business.
//! * One package, but for `sops/gcm`: AES-GCM is generic code, which is compiled as its caller is, and a profile can ask
//!   for speed by package only.
//! * The operator's policy is a room of its own between the keyring and whoever asks it. A request says which
//!   identities may be used ([`sops::IdentityRule`]), since a file's list of recipients proves nothing about whom it
//!   is really encrypted for.
//!
//! # Recipe: a new key provider
//!
//! A variant in [`sops::MasterKey`] and its field parser in `sops/metadata.rs` (the compiler now lists every `match`); one
//! file in `keys/`; a Cargo feature; fixtures made by the real sops; a row in README.
//!
//! # Recipe: a new file format
//!
//! A variant in [`sops::Format`] and its suffixes; one file in `sops/store/` with load and emit; encrypted and plain
//! twins in `tests/fixtures`; a row in README.

pub mod cli;
pub mod color;
pub mod commands;
pub mod deadline;
pub mod diff;
pub mod environment;
pub mod error;
pub mod findings;
pub mod generator;
pub mod host;
pub mod interruption;
pub mod jail;
pub mod keys;
pub mod kustomization;
pub mod limits;
pub mod number;
pub mod path;
pub mod policy;
pub mod process;
pub mod recipient;
pub mod sandbox;
pub mod secret;
pub mod sops;
pub mod spelling;
pub mod text;
pub mod walk;
pub mod workers;
pub mod yaml;

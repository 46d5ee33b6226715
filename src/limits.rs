//! Every bound, its unit, and its reason (design: "everything has a bound").

use std::time::Duration;

/// Longest outside name in a message, in characters: enough for an ARN or an age recipient, short enough for a log line.
pub const PRINTABLE_CHARS: usize = 200;

/// Largest encrypted file, in bytes. Kubernetes refuses a Secret above 1 MiB, yet `files:` may hold many documents.
pub const FILE_BYTES: usize = 32 << 20;

/// Largest standard input, in bytes. A transformer is sent every resource of the build.
pub const STDIN_BYTES: usize = 64 << 20;

/// Most sources of one run.
pub const SOURCES: usize = 4096;

/// Most bytes decrypted in one run.
pub const DECRYPTED_BYTES: usize = 256 << 20;

/// Deepest nesting of a document. go-yaml allows 10,000; real manifests stay below 30.
pub const NESTING: usize = 255;

/// Most nodes written out in a YAML text; a node takes about 100 bytes. The text of a ResourceList at `STDIN_BYTES` has
/// about as many.
pub const YAML_NODES: usize = 2_000_000;

/// Most nodes that aliases may add to a YAML document beyond those written out.
pub const ALIAS_NODES: usize = 100_000;

/// Most bytes of scalar text that aliases may add to a YAML document.
pub const ALIAS_BYTES: usize = 16 << 20;

/// Most master keys of one file; each may cost a key operation or a network call.
pub const MASTER_KEYS: usize = 1000;

/// Largest regular expression of a metadata rule, in bytes.
pub const REGEX_BYTES: usize = 4096;

/// Largest file of identities, in bytes (sops and age read 16 MiB at most; real ones are below 10 KiB).
pub const KEY_FILE_BYTES: usize = 16 << 20;

/// Longest path of a source, in bytes (`PATH_MAX`).
pub const PATH_BYTES: usize = 4096;

/// Largest data of one Secret, in bytes (Kubernetes `MaxSecretSize`).
pub const SECRET_BYTES: usize = 1 << 20;

/// Deadline of a run under Argo CD, which gives up after 60 s by default.
pub const DEADLINE_ARGOCD: Duration = Duration::from_secs(45);

/// Deadline of any other run.
pub const DEADLINE: Duration = Duration::from_secs(120);

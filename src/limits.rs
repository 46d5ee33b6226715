//! Every bound, its unit, and its reason (design: "everything has a bound").

use std::num::NonZero;
use std::time::Duration;

/// Longest outside name in a message, in characters: enough for an ARN or an age recipient, short enough for a log line.
pub const PRINTABLE_CHARS: usize = 200;

/// Longest reason in a message, in characters: several names and what is wrong with each.
pub const REASON_CHARS: usize = 1000;

/// Largest encrypted file, in bytes. Kubernetes refuses a Secret above 1 MiB, yet `files:` may hold many documents.
pub const FILE_BYTES: usize = 32 << 20;

/// Largest standard input, in bytes. A transformer is sent every resource of the build.
pub const STDIN_BYTES: usize = 64 << 20;

/// Most sources of one run.
pub const SOURCES: usize = 4096;

/// Sources that are decrypted at a time unless `KSOPS_CONCURRENCY_LIMIT` says otherwise; KSOPS' default. Key services
/// answer in tens of milliseconds, so this is more than there are processors.
pub const CONCURRENCY: NonZero<usize> = NonZero::new(20).expect("20 is not zero");

/// Most bytes decrypted in one run.
pub const DECRYPTED_BYTES: usize = 256 << 20;

/// Deepest nesting of a document. go-yaml allows 10,000; real manifests stay below 30.
pub const NESTING: usize = 255;

/// Most entries, elements and comments of a tree: together they stay below 200 MB of memory. A sops file of
/// [`FILE_BYTES`] holds at most 300,000 encrypted values.
pub const TREE_NODES: usize = 1_000_000;

/// Most nodes written out in a YAML text; a node takes about 100 bytes. The text of a ResourceList at `STDIN_BYTES` has
/// about as many.
pub const YAML_NODES: usize = 2_000_000;

/// Most nodes that aliases may add to a YAML document beyond those written out.
pub const ALIAS_NODES: usize = 100_000;

/// Most bytes of scalar text that aliases may add to a YAML document.
pub const ALIAS_BYTES: usize = 16 << 20;

/// Most master keys of one file; each may cost a key operation or a network call.
pub const MASTER_KEYS: usize = 1000;

/// Most key groups of one file: a share's x is one byte, and 0 is the secret itself.
pub const KEY_GROUPS: usize = 255;

/// Most flattened metadata lines of a dotenv or INI file: `MASTER_KEYS` keys of eight fields each, and contexts.
pub const METADATA_ENTRIES: usize = 20_000;
/// Largest wrapped key of the age kind, in bytes of armor. One stanza and a 33-byte payload need 2.5 KiB at most
/// (post-quantum); the `age` crate's header parser is quadratic.
pub const AGE_KEY_BYTES: usize = 16 << 10;

/// Most stanzas of one wrapped key of the age kind. sops writes one; each costs a key operation (50 µs) per identity,
/// and a file may hold [`MASTER_KEYS`] of them.
pub const AGE_STANZAS: usize = 8;

/// Largest scrypt work factor (log2 N) of an identity file, as in age: 22 takes 4 GiB for a moment.
pub const SCRYPT_WORK_FACTOR: u8 = 22;

/// Longest time that one key program (`SOPS_AGE_KEY_CMD`, `age-plugin-*`) may take. Someone may have to touch a token.
pub const KEY_PROGRAM_TIME: Duration = Duration::from_secs(60);

/// How long an age plugin that has answered may take to end.
pub const KEY_PROGRAM_END: Duration = Duration::from_secs(1);

/// Most starts of each kind of key program in one run; a file may list many recipients, and each means one start.
pub const KEY_PROGRAM_RUNS: usize = 64;

/// Most runs of gpg that open nothing in one run: each takes 60 ms, and a file may hold [`MASTER_KEYS`] of them.
pub const GPG_FAILURES: usize = 16;

/// Largest SSH private key file, in bytes; RSA with 16,384 bits needs 13 KiB.
pub const SSH_KEY_BYTES: usize = 64 << 10;

/// Largest message of an age plugin, in bytes of text. A file key needs 30; the rest is words for people.
pub const PLUGIN_MESSAGE_BYTES: usize = 64 << 10;

/// Most messages of an age plugin in one conversation.
pub const PLUGIN_MESSAGES: usize = 1000;

/// Longest line of an identity file, in bytes; sops silently ends reading there (`bufio.MaxScanTokenSize` - 1).
pub const KEY_LINE_BYTES: usize = (64 << 10) - 1;

/// Most answers about wrapped keys that are remembered during a run.
pub const KEY_ANSWERS: usize = 4096;

/// Most network keys of one file that are asked at the same time.
pub const NETWORK_KEYS: usize = 16;

/// How long a key service has before the next key of its group is tried beside it. Services answer within 300 ms; a
/// file that another key opens must not wait 2 s for a silent one.
pub const NETWORK_HEAD_START: Duration = Duration::from_secs(1);

/// Longest time of one attempt to ask a key service.
pub const NETWORK_ATTEMPT: Duration = Duration::from_secs(10);

/// Longest time to connect to a key service.
pub const NETWORK_CONNECT: Duration = Duration::from_secs(5);

/// Most attempts to ask a key service for one key.
pub const NETWORK_ATTEMPTS: u32 = 3;

/// Longest time to ask a key service for one key, all attempts together.
pub const NETWORK_CALL: Duration = Duration::from_secs(25);

/// Longest pause before the second attempt; doubled before the third. Pauses are random, so that many runs do not come
/// back together.
pub const NETWORK_PAUSE: Duration = Duration::from_millis(400);

/// Longest pause that a key service may ask for (`Retry-After`); whoever asks for more is left alone.
pub const NETWORK_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Largest answer of a key service, in bytes; real ones are below 20 KiB.
pub const NETWORK_ANSWER_BYTES: usize = 1 << 20;

/// Largest wrapped key for a key service, in bytes. AWS allows 6 KiB, GCP 64 KiB.
pub const NETWORK_KEY_BYTES: usize = 128 << 10;

/// Longest time that the metadata server of a virtual machine has. It is link-local and answers within milliseconds where
/// there is one.
pub const METADATA_SERVER: Duration = Duration::from_secs(2);

/// Most hashes computed to open one PKCS#12 file (certificates for Azure): half a second, two where the processor has no
/// SHA of its own. The file says how many: OpenSSL and Windows write 2,000 rounds, Java 10,000, the careful 600,000, and a
/// file takes five hashes a round.
pub const PKCS12_HASHES: u32 = 4 << 20;

/// Largest regular expression of a metadata rule, in bytes.
pub const REGEX_BYTES: usize = 4096;

/// Largest file of identities, in bytes (sops and age read 16 MiB at most; real ones are below 10 KiB).
pub const KEY_FILE_BYTES: usize = 16 << 20;

/// Longest path of a source, in bytes (`PATH_MAX`).
pub const PATH_BYTES: usize = 4096;

/// Most names of a directory that are compared to suggest one in place of a missing file: a hint may cost milliseconds.
pub const DIRECTORY_ENTRIES: usize = 10_000;

/// Most entries of a directory and all below it that are looked at; the largest public GitOps repositories have 50,000.
pub const WALK_ENTRIES: usize = 1_000_000;

/// Largest index of git that is read, in bytes; a file takes about 120.
pub const GIT_INDEX_BYTES: usize = 128 << 20;

/// Stack of a thread that reads files, in bytes. [`NESTING`] levels take 256 KiB in a release, four megabytes without
/// optimisation. No more than that: each stack counts where the address space is limited.
pub const THREAD_STACK: usize = if cfg!(debug_assertions) { 8 << 20 } else { 2 << 20 };

/// Addresses that may be reserved for a thread, in bytes: the allocator maps 64 MiB to cut an aligned segment of 32 MiB out
/// of it, and glibc, for what it needs itself, 128 MiB for a heap of 64 MiB.
pub const THREAD_ADDRESSES: usize = 128 << 20;

/// Most values that a report on files lists, all files together; a value takes about 200 bytes.
pub const LISTED_VALUES: usize = 500_000;

/// Most SOPS files that are explained in one run; each takes a few kilobytes of memory and of report.
pub const EXPLAINED_FILES: usize = 50_000;

/// Largest data of one Secret, in bytes (Kubernetes `MaxSecretSize`).
pub const SECRET_BYTES: usize = 1 << 20;

/// Deadline of a run under Argo CD, which gives up after 60 s by default.
pub const DEADLINE_ARGOCD: Duration = Duration::from_secs(45);

/// Longest deadline that `UNSOPS_DEADLINE` may set.
pub const DEADLINE_LONGEST: Duration = Duration::from_secs(3600);

/// Longest text on standard error under Argo CD, in bytes: it becomes a condition of the Application, which is kept in
/// etcd and shown in a user interface.
pub const CMP_REPORT_BYTES: usize = 2048;

/// Most names in one directory of an Argo CD Application that are read.
pub const APP_ENTRIES: usize = 20_000;

/// Deepest directory of an Argo CD Application that is looked into, counted from its own.
pub const APP_DEPTH: usize = 32;

/// Most files that `cmp discover` looks at: it runs twice for every refresh of an Application.
pub const DISCOVER_FILES: usize = 2000;

/// Largest file that `cmp discover` looks into, in bytes.
pub const DISCOVER_FILE_BYTES: usize = 1 << 20;

/// Most bytes that `cmp discover` reads.
pub const DISCOVER_BYTES: usize = 16 << 20;

/// Deadline of any other run.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Most changed values of one file that `diff` lists: more than anyone reads, few enough to name each by its path.
pub const DIFF_CHANGES: usize = 1000;

/// Largest answer of one run of git, in bytes: contents of a few files, or names of all.
pub const GIT_BYTES: usize = 256 << 20;

/// Files that git is asked for in one run.
pub const GIT_FILES: usize = 16;

/// Most files of one comparison.
pub const DIFF_FILES: usize = 100_000;

/// Most errors of one generator manifest or decrypted manifest that are reported: enough to mend a file in one go.
pub const ERRORS: usize = 50;
/// Largest wrapped key of the PGP kind, in bytes of armor; one RSA-4096 recipient and a share need 1.5 KiB.
pub const PGP_KEY_BYTES: usize = 64 << 10;

/// Most recipients of one PGP message that are looked at. sops writes one.
pub const PGP_RECIPIENTS: usize = 64;

/// Most private-key operations for one PGP message; only hidden recipients need more than one.
pub const PGP_TRIES: usize = 256;

/// Most files of a directory of keys.
pub const KEY_FILES: usize = 10_000;

/// Largest output of kustomize, in bytes: what one run may decrypt as Secrets, in base64, and the manifests around it.
pub const BUILD_BYTES: usize = 128 << 20;

/// Most bytes of kustomize's messages that are looked at. Real ones are below 4 KiB; some print whole resources.
pub const MESSAGE_BYTES: usize = 64 << 10;

/// Largest kustomization file or manifest that is looked at without decrypting it, in bytes; CRDs reach 2 MiB.
pub const MANIFEST_BYTES: usize = 4 << 20;

/// Most kustomizations of one walk.
pub const KUSTOMIZATIONS: usize = 10_000;

/// Most kustomizations under one another; kustomize has no bound, real ones stay below 10.
pub const KUSTOMIZATION_DEPTH: usize = 64;

/// Most manifests of plugins of one walk.
pub const PLUGIN_MANIFESTS: usize = 10_000;

/// Most manifests of plugins that one kustomization runs.
pub const PLUGIN_MANIFESTS_OF_ONE: usize = 2000;

/// Most paths that one walk looks at on disk, and most files that all generators of a check may name; a look takes 10 µs.
pub const WALK_LOOKS: usize = 200_000;

/// Most bytes of kustomizations and manifests of plugins that one walk reads, the same one counted each time.
pub const WALK_BYTES: usize = 32 << 20;

/// Most nodes of kustomizations and manifests of plugins that one walk keeps; a node takes about 150 bytes.
pub const WALK_NODES: usize = 1_500_000;

/// Most faults of one walk that are noted.
pub const WALK_FAULTS: usize = 10_000;

/// Most steps of one walk through directories of plugin manifests, each counted once for every kustomization that runs
/// it; real ones have one.
pub const WALK_STEPS: usize = 100_000;

/// Most files, directories and links of the private copy of kustomizations; each costs 10 to 40 microseconds.
pub const SHADOW_FILES: usize = 50_000;
/// Largest program that `install` copies, in bytes: with debug information ours has 250 MB, kustomize 20 MB.
pub const PROGRAM_BYTES: usize = 1 << 30;
/// Most names that are tried for a temporary file; leftovers of killed runs take one each.
pub const TEMPORARY_NAMES: u32 = 100;

/// Largest policy file, in bytes: 10,000 rules of 100 bytes.
pub const POLICY_BYTES: usize = 1 << 20;

/// Most rules of a policy.
pub const POLICY_RULES: usize = 1000;

/// Most patterns of a policy: they are read in every run.
pub const POLICY_PATTERNS: usize = 10_000;

/// Longest pattern of a policy, in bytes: the longest age recipient (post-quantum) has 2 KB.
pub const PATTERN_BYTES: usize = 4096;

/// Most bytes of that copy, where the file system has no hard links: a temporary directory may be memory.
pub const SHADOW_BYTES: u64 = 256 << 20;

/// Most findings of one check that are shown; code scanning takes 5,000 of a run.
pub const FINDINGS: usize = 5000;
/// Most findings of one rule in one file that are shown.
pub const FINDINGS_OF_A_RULE: usize = 20;
/// Most creation rules of one `.sops.yaml` that are looked at.
pub const CREATION_RULES: usize = 1000;

/// Most missing files of one check for which a near name is searched; each search reads a directory, a millisecond.
pub const CHECK_HINTS: usize = 200;
/// Most documents of one stream of manifests; each costs some microseconds even if it is empty.
pub const DOCUMENTS: usize = 500_000;

/// Longest time that kustomize may take to say its version: it takes 20 ms.
pub const VERSION_TIME: Duration = Duration::from_secs(10);

/// Most wildcards of a pattern; real ones have three.
pub const PATTERN_WILDCARDS: usize = 32;

/// Most descriptors that a run may have once it reads what others wrote: two for each source, whatever the number of threads.
pub const DESCRIPTORS: u64 = 2 * SOURCES as u64;

/// Most bytes of sources that are kept between the look at their kinds of keys and their decryption; the others are read
/// twice. One file of the largest size.
pub const LOOK_AHEAD_BYTES: usize = FILE_BYTES;

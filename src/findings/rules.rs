//! The catalogue: every rule of `unsops check`, in the order of their names.

use super::rule::{Rule, Severity};

/// All rules, by name.
pub const RULES: &[&Rule] = &[
    &CIPHERTEXT_IN_RESOURCES,
    &DECRYPT_FAILED,
    &DOTENV_HAZARD,
    &DOTENV_KEY,
    &DUPLICATE_GENERATOR,
    &DUPLICATE_KEY,
    &DUPLICATE_NAME,
    &ENCRYPTION_RULE_DIFFERS,
    &FUNCTION_ANNOTATION,
    &FUNCTION_ENVS,
    &GENERATOR_FIELD,
    &GENERATOR_IN_RESOURCES,
    &GENERATOR_INVALID,
    &GENERATOR_UNUSED,
    &HASH_UNREFERENCED,
    &IGNORED_FILE,
    &ILLEGAL_KEY,
    &KUSTOMIZATION_INVALID,
    &LEGACY_STYLE,
    &MAC_MISMATCH,
    &MAC_MISSING,
    &MALFORMED_SOPS,
    &MERGE_LOSES_KEYS,
    &MERGE_WITHOUT_BASE,
    &MISSING_FILE,
    &MISSING_SECRET,
    &NAME_HINT,
    &NEVER_DECRYPTED,
    &NO_CREATION_RULE,
    &NOT_ENCRYPTED,
    &OLD_SOPS,
    &OUTSIDE_ROOT,
    &PARTLY_ENCRYPTED,
    &PLAINTEXT_SECRET,
    &POLICY_INVALID,
    &RECIPIENTS_DIFFER,
    &SHARED_DATA_KEY,
    &SHARED_DATA_KEY_COPY,
    &SOPS_CONFIG,
    &STALE,
    &THRESHOLD_DIFFERS,
    &TOO_LARGE,
    &UNKNOWN_KIND,
    &UNKNOWN_SILENCE,
    &UNREACHABLE_RULE,
    &UNREADABLE,
    &WEAK_KEY,
    &WRONG_FORMAT,
];

/// Encrypted document listed as a plain resource.
pub const CIPHERTEXT_IN_RESOURCES: Rule = Rule {
    id: "ciphertext-in-resources",
    severity: Severity::Warning,
    title: "Encrypted document listed as a plain resource",
    why: "kustomize does not decrypt: the Secret reaches the cluster with ciphertext as its values, and nothing fails until an application reads it",
    fix: "name the file under `files` of a generator that is listed in `generators`, or decrypt after the build: `unsops filter`, or spec.decryption of Flux",
};

/// File does not decrypt (with --decrypt).
pub const DECRYPT_FAILED: Rule = Rule {
    id: "decrypt-failed",
    severity: Severity::Error,
    title: "File does not decrypt (with --decrypt)",
    why: "whoever renders this with the same keys gets no manifests at all",
    fix: "see who can open it: `unsops explain FILE`; after a change of recipients run `sops updatekeys FILE`",
};

/// Variable that readers of dotenv files take differently.
pub const DOTENV_HAZARD: Rule = Rule {
    id: "dotenv-hazard",
    severity: Severity::Warning,
    title: "Variable that readers of dotenv files take differently",
    why: "KSOPS reads `envs` as godotenv does, sops and docker read the same line literally: one of them hands the application another value",
    fix: "keep the value out of dotenv: a file of its own under `files`, or a document with `stringData`",
};

/// Variable whose name is no environment variable.
pub const DOTENV_KEY: Rule = Rule {
    id: "dotenv-key",
    severity: Severity::Warning,
    title: "Variable whose name is no environment variable",
    why: "a Secret accepts the key, but `envFrom` skips it or the shell cannot name it",
    fix: "use letters, digits and `_` in variable names, beginning with a letter or `_`",
};

/// Two plugins of one kustomization have the same name.
pub const DUPLICATE_GENERATOR: Rule = Rule {
    id: "duplicate-generator",
    severity: Severity::Error,
    title: "Two plugins of one kustomization have the same name",
    why: "kustomize refuses the build: may not add resource with an already registered id",
    fix: "give each generator its own metadata.name",
};

/// Key that is made twice.
pub const DUPLICATE_KEY: Rule = Rule {
    id: "duplicate-key",
    severity: Severity::Error,
    title: "Key that is made twice",
    why: "only one of the two values reaches the cluster, and which one depends on the reader",
    fix: "remove one, or rename it: key=path",
};

/// Two Secrets of the same name in one build.
pub const DUPLICATE_NAME: Rule = Rule {
    id: "duplicate-name",
    severity: Severity::Error,
    title: "Two Secrets of the same name in one build",
    why: "kustomize refuses the build, or the one applied last wins",
    fix: "rename one, or set `behavior: merge` or `replace` where it is meant to override",
};

/// File is encrypted by another rule than .sops.yaml asks for.
pub const ENCRYPTION_RULE_DIFFERS: Rule = Rule {
    id: "encryption-rule-differs",
    severity: Severity::Note,
    title: "File is encrypted by another rule than .sops.yaml asks for",
    why: "sops keeps the rule of the file when it is edited: values that the new rule covers may stay in clear",
    fix: "decrypt and encrypt the file anew: `sops decrypt -i FILE && sops encrypt -i FILE`",
};

/// Function annotation that kustomize refuses.
pub const FUNCTION_ANNOTATION: Rule = Rule {
    id: "function-annotation",
    severity: Severity::Error,
    title: "Function annotation that kustomize refuses",
    why: "kustomize reads the annotation strictly; one unknown field fails the whole build",
    fix: "write `config.kubernetes.io/function: |` with `exec:` and `path: ksops` (or `unsops`) below it",
};

/// Variable or argument that never reaches the function as it is written.
pub const FUNCTION_ENVS: Rule = Rule {
    id: "function-envs",
    severity: Severity::Warning,
    title: "Variable or argument that never reaches the function as it is written",
    why: "kustomize drops every `envs` entry that does not have exactly one `=` without a word, and KSOPS takes any argument for a file name",
    fix: "set the variable in the environment of kustomize instead; give the function no args",
};

/// Field of a generator that is not read.
pub const GENERATOR_FIELD: Rule = Rule {
    id: "generator-field",
    severity: Severity::Warning,
    title: "Field of a generator that is not read",
    why: "unknown fields are ignored without a word, so a misspelt one changes what is generated",
    fix: "correct the name, or remove the field",
};

/// Generator listed under resources.
pub const GENERATOR_IN_RESOURCES: Rule = Rule {
    id: "generator-in-resources",
    severity: Severity::Error,
    title: "Generator listed under resources",
    why: "kustomize does not run it: it sends the manifest itself to the cluster and the Secret is never made",
    fix: "list it under `generators`",
};

/// Generator or transformer manifest that does not work.
pub const GENERATOR_INVALID: Rule = Rule {
    id: "generator-invalid",
    severity: Severity::Error,
    title: "Generator or transformer manifest that does not work",
    why: "rendering fails for everyone",
    fix: "correct the manifest",
};

/// Generator that no kustomization runs.
pub const GENERATOR_UNUSED: Rule = Rule {
    id: "generator-unused",
    severity: Severity::Warning,
    title: "Generator that no kustomization runs",
    why: "its Secrets are never made, and kustomize says nothing",
    fix: "list it under `generators` of the kustomization beside it, or remove it",
};

/// Secret with a hashed name that nothing refers to.
pub const HASH_UNREFERENCED: Rule = Rule {
    id: "hash-unreferenced",
    severity: Severity::Warning,
    title: "Secret with a hashed name that nothing refers to",
    why: "kustomize adds a hash to the name and rewrites the references it knows; whatever else uses the plain name does not find the Secret",
    fix: "refer to it from a workload of the same build, teach kustomize the field with `configurations`, or drop needs-hash",
};

/// Generator names a file that git ignores.
pub const IGNORED_FILE: Rule = Rule {
    id: "ignored-file",
    severity: Severity::Warning,
    title: "Generator names a file that git ignores",
    why: "the file exists here but not in anyone else's checkout: their builds fail",
    fix: "encrypt and commit the file, or take it out of .gitignore",
};

/// Key that Kubernetes refuses.
pub const ILLEGAL_KEY: Rule = Rule {
    id: "illegal-key",
    severity: Severity::Error,
    title: "Key that Kubernetes refuses",
    why: "the API server rejects the whole Secret",
    fix: "use letters, digits, `-`, `_` and `.` only",
};

/// Kustomization that kustomize refuses.
pub const KUSTOMIZATION_INVALID: Rule = Rule {
    id: "kustomization-invalid",
    severity: Severity::Error,
    title: "Kustomization that kustomize refuses",
    why: "the build fails",
    fix: "correct the kustomization; `kustomize build` says more",
};

/// Generator that kustomize may skip without a word.
pub const LEGACY_STYLE: Rule = Rule {
    id: "legacy-style",
    severity: Severity::Note,
    title: "Generator that kustomize may skip without a word",
    why: "with a function annotation and `--enable-alpha-plugins` alone (`kubectl kustomize`), kustomize skips the generator and exits 0",
    fix: "always build with `--enable-alpha-plugins --enable-exec`, or use `unsops build`, which notices",
};

/// MAC does not match (with --decrypt).
pub const MAC_MISMATCH: Rule = Rule {
    id: "mac-mismatch",
    severity: Severity::Error,
    title: "MAC does not match (with --decrypt)",
    why: "values were changed, added, removed or moved after sops wrote the file: an edit without sops, a merge, or an attack",
    fix: "do not re-encrypt blindly: compare the file with its history first",
};

/// SOPS file without a MAC.
pub const MAC_MISSING: Rule = Rule {
    id: "mac-missing",
    severity: Severity::Error,
    title: "SOPS file without a MAC",
    why: "without it nobody notices when encrypted values are swapped or removed; sops and unsops refuse the file",
    fix: "encrypt the file anew: `sops encrypt -i FILE`",
};

/// SOPS file that cannot be read.
pub const MALFORMED_SOPS: Rule = Rule {
    id: "malformed-sops",
    severity: Severity::Error,
    title: "SOPS file that cannot be read",
    why: "no tool can decrypt it",
    fix: "restore the file from its history, or encrypt it anew",
};

/// Merge over a Secret made of stringData.
pub const MERGE_LOSES_KEYS: Rule = Rule {
    id: "merge-loses-keys",
    severity: Severity::Warning,
    title: "Merge over a Secret made of stringData",
    why: "kustomize up to 5.8.1 drops the base's stringData when an overlay merges into it: keys disappear without a word",
    fix: "set the annotation `unsops.dev/encoding: data` on the base's generator, so that it emits `data`",
};

/// Merge or replace of a Secret that no base makes.
pub const MERGE_WITHOUT_BASE: Rule = Rule {
    id: "merge-without-base",
    severity: Severity::Error,
    title: "Merge or replace of a Secret that no base makes",
    why: "kustomize refuses the build: the resource does not exist; cannot merge or replace",
    fix: "drop `behavior`, or correct name and namespace to those of the base",
};

/// File that is named but not there.
pub const MISSING_FILE: Rule = Rule {
    id: "missing-file",
    severity: Severity::Error,
    title: "File that is named but not there",
    why: "rendering fails for everyone",
    fix: "correct the path: it starts at the directory of the kustomization, not of the generator",
};

/// Workload refers to a Secret that exists nowhere.
pub const MISSING_SECRET: Rule = Rule {
    id: "missing-secret",
    severity: Severity::Warning,
    title: "Workload refers to a Secret that exists nowhere",
    why: "pods wait in CreateContainerConfigError or ContainerCreating",
    fix: "correct the name, or generate the Secret in the same build",
};

/// File whose name says encrypted, but is not.
pub const NAME_HINT: Rule = Rule {
    id: "name-hint",
    severity: Severity::Error,
    title: "File whose name says encrypted, but is not",
    why: "people trust the name and commit or publish the file",
    fix: "encrypt it: `sops encrypt -i FILE`, or rename it",
};

/// Encrypted value that nobody decrypts.
pub const NEVER_DECRYPTED: Rule = Rule {
    id: "never-decrypted",
    severity: Severity::Error,
    title: "Encrypted value that nobody decrypts",
    why: "the file's own rule says that this value is in clear, so tools pass the token on as if it were the value",
    fix: "restore the rule that it was encrypted with, or take the value out and add it again with sops",
};

/// SOPS file that no creation rule covers.
pub const NO_CREATION_RULE: Rule = Rule {
    id: "no-creation-rule",
    severity: Severity::Warning,
    title: "SOPS file that no creation rule covers",
    why: "sops refuses to update its keys, so it keeps the recipients of the day when it was made",
    fix: "add a creation rule to .sops.yaml whose path_regex matches the file",
};

/// Generator names a file that is not encrypted.
pub const NOT_ENCRYPTED: Rule = Rule {
    id: "not-encrypted",
    severity: Severity::Error,
    title: "Generator names a file that is not encrypted",
    why: "the value lies in the repository for all to read, and rendering fails",
    fix: "encrypt it: `sops encrypt -i FILE`, and change what it held: it was published",
};

/// File last written by an old sops.
pub const OLD_SOPS: Rule = Rule {
    id: "old-sops",
    severity: Severity::Note,
    title: "File last written by an old sops",
    why: "files of sops before 3.7 lack fixes to MACs, comments and key handling",
    fix: "rewrite it: `sops rotate -i FILE`",
};

/// Path that leads out of the repository.
pub const OUTSIDE_ROOT: Rule = Rule {
    id: "outside-root",
    severity: Severity::Error,
    title: "Path that leads out of the repository",
    why: "kustomize, Argo CD and unsops refuse it, and what it means depends on the machine",
    fix: "move the file into the repository and use a relative path",
};

/// Value in clear in an encrypted file.
pub const PARTLY_ENCRYPTED: Rule = Rule {
    id: "partly-encrypted",
    severity: Severity::Error,
    title: "Value in clear in an encrypted file",
    why: "the file's own rule says that this value is encrypted, but it was added by hand: it is published, and the file does not decrypt",
    fix: "take the value out, add it again with `sops FILE`, and change the secret: it was published",
};

/// Secret in clear.
pub const PLAINTEXT_SECRET: Rule = Rule {
    id: "plaintext-secret",
    severity: Severity::Error,
    title: "Secret in clear",
    why: "whoever can read the repository can read the secret; base64 is no encryption",
    fix: "encrypt it: `sops encrypt -i FILE` (encrypted_regex: '^(data|stringData)$'), and change what it held: it was published",
};

/// Policy with a mistake.
pub const POLICY_INVALID: Rule = Rule {
    id: "policy-invalid",
    severity: Severity::Error,
    title: "Policy that is refused, or that has a rule without effect",
    why: "a sidecar with a policy that it cannot read decrypts nothing at all, and a rule that is never reached allows nothing",
    fix: "correct the policy; `unsops check --policy FILE` says what it allows whom",
};

/// Recipients differ from the creation rule.
pub const RECIPIENTS_DIFFER: Rule = Rule {
    id: "recipients-differ",
    severity: Severity::Warning,
    title: "Recipients differ from the creation rule",
    why: "someone on the list cannot open the file, or someone no longer on it still can",
    fix: "run `sops updatekeys FILE`; if someone was removed, change the secrets too: they have seen them",
};

/// Same data key in files for different recipients.
pub const SHARED_DATA_KEY: Rule = Rule {
    id: "shared-data-key",
    severity: Severity::Warning,
    title: "Same data key in files for different recipients",
    why: "the file was copied with its key: whoever can open one of them can open the others too",
    fix: "give each its own key: `sops rotate -i FILE`",
};

/// Same data key in several files.
pub const SHARED_DATA_KEY_COPY: Rule = Rule {
    id: "shared-data-key-copy",
    severity: Severity::Note,
    title: "Same data key in several files",
    why: "the file was copied with its key instead of being encrypted anew; a leaked key opens all of them",
    fix: "give each its own key: `sops rotate -i FILE`",
};

/// .sops.yaml that sops refuses or misreads.
pub const SOPS_CONFIG: Rule = Rule {
    id: "sops-config",
    severity: Severity::Error,
    title: ".sops.yaml that sops refuses or misreads",
    why: "sops cannot encrypt or update files, or uses other recipients than the file seems to say",
    fix: "correct the rule; `sops --config FILE` shows sops' own message",
};

/// File not changed for longer than --max-age.
pub const STALE: Rule = Rule {
    id: "stale",
    severity: Severity::Warning,
    title: "File not changed for longer than --max-age",
    why: "secrets that are never rotated have been seen by everyone who ever had access",
    fix: "change the secrets, then save the file with sops",
};

/// Shamir threshold differs from the creation rule.
pub const THRESHOLD_DIFFERS: Rule = Rule {
    id: "threshold-differs",
    severity: Severity::Warning,
    title: "Shamir threshold differs from the creation rule",
    why: "more or fewer people than agreed can open the file",
    fix: "run `sops updatekeys --shamir-secret-sharing-threshold N FILE`",
};

/// Secret larger than Kubernetes takes.
pub const TOO_LARGE: Rule = Rule {
    id: "too-large",
    severity: Severity::Error,
    title: "Secret larger than Kubernetes takes",
    why: "the API server refuses a Secret of more than 1 MiB",
    fix: "split it, or move large files to a volume",
};

/// Manifest of a kind that does not exist.
pub const UNKNOWN_KIND: Rule = Rule {
    id: "unknown-kind",
    severity: Severity::Error,
    title: "Manifest of unsops.dev of a kind that does not exist",
    why: "no program reads it: a build that lists it fails, and otherwise it does nothing",
    fix: "unsops.dev/v1 has the kinds Decrypt (a transformer) and Policy (the operator's)",
};

/// Comment silences a rule that does not exist.
pub const UNKNOWN_SILENCE: Rule = Rule {
    id: "unknown-silence",
    severity: Severity::Warning,
    title: "Comment silences a rule that does not exist",
    why: "the finding that it should silence is still there, or the rule was renamed",
    fix: "correct the rule's name: `unsops check --list-rules`",
};

/// Creation rule that is never used.
pub const UNREACHABLE_RULE: Rule = Rule {
    id: "unreachable-rule",
    severity: Severity::Warning,
    title: "Creation rule that is never used",
    why: "sops takes the first rule that matches, and a rule without path_regex matches everything",
    fix: "move the rule up, or give the one before it a path_regex",
};

/// File that cannot be read.
pub const UNREADABLE: Rule = Rule {
    id: "unreadable",
    severity: Severity::Error,
    title: "File that cannot be read",
    why: "it was not checked",
    fix: "make it a regular, readable file within the size limits",
};

/// Key that can be broken.
pub const WEAK_KEY: Rule = Rule {
    id: "weak-key",
    severity: Severity::Warning,
    title: "Key that can be broken",
    why: "RSA below 2048 bits is within reach of a funded attacker, who can decrypt every version in the history",
    fix: "replace the key, run `sops updatekeys` on its files, and change the secrets",
};

/// File name promises another format.
pub const WRONG_FORMAT: Rule = Rule {
    id: "wrong-format",
    severity: Severity::Error,
    title: "File name promises another format",
    why: "sops chooses the format by the suffix: the file does not decrypt under this name",
    fix: "rename the file to the suffix of its format",
};

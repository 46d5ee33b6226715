//! The key directory: `UNSOPS_KEYS`, or `--keys`. The Secret that Flux' kustomize-controller takes works as it is when it
//! is mounted: the names of its data keys say what is in them.
//!
//! Identities (`*.agekey`, `*.asc`) stand beside those of the other places. A credential (`sops.*`) is the one that is
//! used for its service, as in Flux: whoever put it there chose it for these files.
//!
//! Source: fluxcd/kustomize-controller v1, `internal/decryptor/decryptor.go`, `ImportKeys`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::local::{self, KeyFileError};
use super::{KeySource, KeySourceState};
use crate::environment::Environment;
use crate::limits;
use crate::secret::SecretBytes;
use crate::text::Printable;
#[cfg(any(feature = "aws", feature = "azure"))]
use crate::yaml;

/// The directory that the operator named, if any. It is listed when a key first needs it.
pub(super) struct KeyDirectory {
    path: Option<PathBuf>,
    listed: OnceLock<Result<Vec<PathBuf>, KeyFileError>>,
}

/// What a file of the directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFileKind {
    /// `*.agekey`: age identities, one a line, and comments.
    Age,
    /// `*.asc`: OpenPGP secret keys.
    Pgp,
    /// `sops.aws-kms`: YAML with an access key.
    AwsKms,
    /// `sops.azure-kv`: JSON or YAML with an identity.
    AzureKeyVault,
    /// `sops.gcp-kms`: JSON credentials as Google writes them.
    GcpKms,
    /// `sops.vault-token`: a token.
    HcVault,
}

/// A file of the directory.
pub(super) struct KeyFile {
    /// Its path, for messages.
    pub(super) name: Printable,
    pub(super) path: PathBuf,
    pub(super) content: Result<SecretBytes, KeyFileError>,
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
impl KeyFile {
    /// The file as a source: what is wrong with it, if `check` finds anything.
    pub(super) fn describe(&self, check: impl FnOnce(&[u8]) -> Result<(), &'static str>) -> KeySource {
        let content = self.content.as_ref().map_err(|error| error.words());
        let found = match content.and_then(|content| check(content.expose())) {
            Ok(()) => KeySourceState::Keys(Vec::new()),
            Err(why) => KeySourceState::Unusable(why.into()),
        };
        KeySource::of_file(self.name.clone(), found, &self.path)
    }
}

impl KeyFileKind {
    const ALL: [Self; 6] = [Self::Age, Self::Pgp, Self::AwsKms, Self::AzureKeyVault, Self::GcpKms, Self::HcVault];

    /// The name, or the suffix of one.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Age => "*.agekey",
            Self::Pgp => "*.asc",
            Self::AwsKms => "sops.aws-kms",
            Self::AzureKeyVault => "sops.azure-kv",
            Self::GcpKms => "sops.gcp-kms",
            Self::HcVault => "sops.vault-token",
        }
    }

    fn is_name(self, name: &OsStr) -> bool {
        let (name, pattern) = (name.as_encoded_bytes(), self.pattern());
        match pattern.strip_prefix('*') {
            Some(suffix) => name.ends_with(suffix.as_bytes()),
            None => name == pattern.as_bytes(),
        }
    }
}

impl KeyDirectory {
    pub(super) fn new(environment: &Environment) -> Self {
        let path = environment.var_os("UNSOPS_KEYS").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { path, listed: OnceLock::new() }
    }

    /// The directory in messages: `UNSOPS_KEYS=/keys`. None where the operator named none.
    pub(super) fn name(&self) -> Option<Printable> {
        self.path.as_deref().map(|path| Printable::new(&local::named("UNSOPS_KEYS", path)))
    }

    /// Reads the files of a kind, in the order of their names; none where there is no directory. Together they hold at
    /// most [`limits::KEY_FILE_BYTES`].
    ///
    /// # Errors
    /// The directory itself cannot be listed.
    pub(super) fn read(&self, kind: KeyFileKind) -> Result<Vec<KeyFile>, KeyFileError> {
        let mut left = limits::KEY_FILE_BYTES;
        let files = self.list()?.iter().filter(|path| kind.is_name(path.file_name().unwrap_or_default()));
        let read = files.map(|path| {
            let content = local::read_file(path).and_then(|content| {
                left = left.checked_sub(content.expose().len()).ok_or(KeyFileError::TooMany)?;
                Ok(content)
            });
            KeyFile { name: Printable::new(&path.display().to_string()), path: path.clone(), content }
        });
        Ok(read.collect())
    }

    /// Reads the credential of a service, if the directory holds one. A directory that cannot be listed holds none; the
    /// keys of other kinds, and [`Self::describe`], say so.
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
    pub(super) fn credential(&self, kind: KeyFileKind) -> Option<KeyFile> {
        self.read(kind).ok()?.pop()
    }

    /// Adds the directory, and what links in it lead to.
    pub(super) fn places(&self, places: &mut Vec<PathBuf>) {
        if let Some(path) = &self.path {
            local::add_place(path, places);
        }
    }

    /// What is wrong with the directory as a whole.
    pub(super) fn describe(&self) -> Option<KeySource> {
        let found = match self.list() {
            Err(KeyFileError::Missing) => KeySourceState::Absent,
            Err(error) => KeySourceState::Unusable(error.words().into()),
            Ok(files) if !files.iter().any(|file| is_known(file)) => {
                let known = KeyFileKind::ALL.map(KeyFileKind::pattern).join(", ");
                KeySourceState::Unusable(Printable::new(&format!("holds none of {known}")))
            }
            Ok(_) => return None,
        };
        Some(KeySource::new(self.name()?, found))
    }

    fn list(&self) -> Result<&[PathBuf], KeyFileError> {
        let Some(path) = &self.path else { return Ok(&[]) };
        let listed = self.listed.get_or_init(|| list(path));
        listed.as_deref().map_err(|error| *error)
    }
}

/// The fields of a credential: a JSON or YAML object of text. Their names are compared as Go does, in any case.
#[cfg(any(feature = "aws", feature = "azure"))]
pub(super) struct Fields(std::collections::BTreeMap<String, String>);

#[cfg(any(feature = "aws", feature = "azure"))]
impl Fields {
    /// Reads an object, in UTF-8 or, with its mark, in UTF-16 (what PowerShell writes).
    pub(super) fn read(content: &[u8]) -> Result<Self, &'static str> {
        let text = decode_utf16(content);
        let text = text.as_deref().unwrap_or_else(|| content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content));
        let value = match serde_json::from_slice(text) {
            Ok(value) => value,
            Err(_) => {
                let documents = yaml::parse(text).map_err(|_| "is neither JSON nor YAML")?;
                let root = documents.first().map(|document| &document.root).ok_or("is empty")?;
                yaml::to_json(root).map_err(|_| "is neither JSON nor YAML")?
            }
        };
        let serde_json::Value::Object(fields) = value else { return Err("is not an object of fields") };
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                // A secret of digits, or a flag.
                serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
                _ => return None,
            };
            Some((name.to_ascii_lowercase(), value))
        });
        Ok(Self(fields.collect()))
    }

    /// A field that is there and is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(any(feature = "aws", feature = "azure"))]
fn decode_utf16(content: &[u8]) -> Option<Vec<u8>> {
    let (from, rest): (fn([u8; 2]) -> u16, _) = match content.split_first_chunk::<2>()? {
        ([0xff, 0xfe], rest) => (u16::from_le_bytes, rest),
        ([0xfe, 0xff], rest) => (u16::from_be_bytes, rest),
        _ => return None,
    };
    let units: Vec<u16> = rest.as_chunks::<2>().0.iter().map(|unit| from(*unit)).collect();
    Some(String::from_utf16_lossy(&units).into_bytes())
}

/// The files of the directory, sorted. Names that begin with `..` are those of the kubelet: a mounted Secret is a folder
/// `..data` and links into it.
fn list(directory: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(local::of_directory)?.take(limits::KEY_FILES) {
        let entry = entry.map_err(local::of_directory)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn is_known(file: &Path) -> bool {
    KeyFileKind::ALL.into_iter().any(|kind| kind.is_name(file.file_name().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests write the files that are read")]

    use super::*;

    fn directory(path: &Path) -> KeyDirectory {
        KeyDirectory::new(&Environment::new([("UNSOPS_KEYS".into(), path.into())], None))
    }

    fn names(directory: &KeyDirectory, kind: KeyFileKind) -> Vec<String> {
        let files = directory.read(kind).unwrap_or_else(|error| panic!("{error:?}"));
        files.iter().map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    /// As the kubelet mounts it.
    fn mounted(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let version = dir.path().join("..2026_01_01_00_00_00.1");
        std::fs::create_dir(&version).unwrap();
        std::os::unix::fs::symlink("..2026_01_01_00_00_00.1", dir.path().join("..data")).unwrap();
        for (name, content) in files {
            std::fs::write(version.join(name), content).unwrap();
            std::os::unix::fs::symlink(Path::new("..data").join(name), dir.path().join(name)).unwrap();
        }
        dir
    }

    #[test]
    fn knows_the_data_keys_of_a_mounted_secret() {
        let dir = mounted(&[
            ("b.agekey", "b"),
            ("a.agekey", "a"),
            (".agekey", ""),
            ("x.asc", ""),
            ("sops.vault-token", "t"),
            ("other.vault-token", ""),
            ("a.agekey.bak", ""),
        ]);
        let directory = directory(dir.path());
        assert_eq!(names(&directory, KeyFileKind::Age), [".agekey", "a.agekey", "b.agekey"]);
        assert_eq!(names(&directory, KeyFileKind::Pgp), ["x.asc"]);
        assert_eq!(names(&directory, KeyFileKind::HcVault), ["sops.vault-token"]);
        assert!(directory.describe().is_none());
    }

    #[test]
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
    fn gives_the_credential_of_a_service() {
        let dir = mounted(&[("sops.vault-token", "t"), ("x.agekey", "")]);
        let directory = directory(dir.path());
        assert!(directory.credential(KeyFileKind::AwsKms).is_none());
        let token = directory.credential(KeyFileKind::HcVault).and_then(|file| file.content.ok());
        assert_eq!(token.unwrap().expose(), b"t");
    }

    #[test]
    fn says_what_is_wrong_with_the_directory() {
        let dir = mounted(&[("keys.txt", "")]);
        let state = |path: &Path| directory(path).describe().map(|source| source.found);
        assert!(
            matches!(state(dir.path()), Some(KeySourceState::Unusable(why)) if why.as_str().starts_with("holds none of *.agekey"))
        );
        assert_eq!(state(&dir.path().join("keys.txt")), Some(KeySourceState::Unusable("is not a directory".into())));
        assert_eq!(state(&dir.path().join("nowhere")), Some(KeySourceState::Absent));
        assert!(KeyDirectory::new(&Environment::new([], None)).describe().is_none());
    }

    #[test]
    #[cfg(any(feature = "aws", feature = "azure"))]
    fn reads_fields_in_json_yaml_and_what_powershell_writes() {
        let get = |content: &[u8]| Fields::read(content).map(|fields| fields.get("appId").map(str::to_owned));
        let want = || Ok(Some("559513bd".to_owned()));
        assert_eq!(get(b"appId: 559513bd\n"), want());
        assert_eq!(get(b"{\n\t\"AppID\": \"559513bd\"\n}\n"), want());
        assert_eq!(get(b"\xef\xbb\xbfappId: '559513bd'"), want());
        let utf16 = "\u{feff}{\"appId\": \"559513bd\"}".encode_utf16();
        assert_eq!(get(&utf16.clone().flat_map(u16::to_le_bytes).collect::<Vec<_>>()), want());
        assert_eq!(get(&utf16.flat_map(u16::to_be_bytes).collect::<Vec<_>>()), want());
        assert_eq!(get(b"appId: 12"), Ok(Some("12".into())));
        assert_eq!(get(b"appId: ''"), Ok(None));
        assert_eq!(get(b"some string"), Err("is not an object of fields"));
        assert_eq!(get(b"a: b: c"), Err("is neither JSON nor YAML"));
        assert_eq!(get(b""), Err("is empty"));
        for hostile in [b"\xff\xfe\x00".as_slice(), b"\xff\xfe", b"\xfe\xff\xd8\x00", b"{\xff", b"[[[["] {
            assert!(get(hostile).is_err());
        }
    }

    #[test]
    fn reads_no_more_than_the_bound_in_all() {
        let half = "#".repeat(limits::KEY_FILE_BYTES / 2 + 1);
        let dir = mounted(&[("a.agekey", &half), ("b.agekey", &half)]);
        let files = directory(dir.path()).read(KeyFileKind::Age).unwrap();
        assert!(files[0].content.is_ok());
        assert_eq!(files[1].content.as_ref().err(), Some(&KeyFileError::TooMany));
    }
}

//! A Helm chart: rendered by the operator's helm, which never sees a key or a plaintext; what is encrypted among its
//! manifests is decrypted here afterwards: by its own MAC, or held against the committed file where a template changed what is in clear.
//!
//! The chart, its values and its name belong to whoever may commit. helm reads files and URLs where it is given names of
//! values files, evaluates a name that looks like a template, and follows references of a values schema (to URLs and
//! files anywhere); so each of these is checked or switched off here.

use std::ffi::OsString;
use std::path::Path;

use super::app::App;
use super::in_place::{self, field, text};
use super::request::{RELEASE_NAME, Request, VALUE_FILES};
use crate::commands::child::{self, Ended, Start};
use crate::commands::confine::Confinement;
use crate::commands::decrypt::Decryptor;
use crate::commands::in_place::Sources;
use crate::deadline::Deadline;
use crate::error::{Error, Failure, Record};
use crate::jail::Root;
use crate::keys::Keyring;
use crate::limits;
use crate::path::SourcePath;
use crate::process::Output;
use crate::sandbox::Extent;
use crate::secret::SecretBytes;
use crate::sops::KeyKinds;
use crate::text::Printable;
use crate::yaml::{self, Kind, Node};

/// Set by the operator: the program.
const HELM: &str = "UNSOPS_HELM";

const INSTALL: &str = "the operator names helm's program in UNSOPS_HELM, in the environment of the sidecar (Helm 3.16 or \
                       later); a values file, `helm template` in a pipeline or Argo CD's own Helm need none";

/// The next step where an encrypted object does not verify.
const HINT: &str = "print an encrypted manifest with {{ .Files.Get \"FILE\" }}; templates may change what is in clear";

/// Renders the chart and decrypts what is encrypted in it.
///
/// # Errors
/// No helm is configured, a parameter is wrong, helm fails, or something does not open or verify.
pub fn render(app: &App<'_>, request: &Request, root: &Root, deadline: Deadline) -> Result<Output, Error> {
    let env = request.environment();
    let program = env.non_empty(HELM).map(Path::new).filter(|path| path.is_absolute()).ok_or_else(|| {
        Record::new(Failure::Usage, "a Helm chart, and no helm is configured").about("Chart.yaml".into()).hint(INSTALL)
    })?;
    let args = arguments(app, request)?;
    // No plugins, no repositories, no registry credentials: these directories do not exist.
    let nowhere = || OsString::from("/nonexistent");
    let variables: Vec<(OsString, OsString)> = ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
        .map(|name| (OsString::from(name), nowhere()))
        .into();
    let start = Start {
        name: "helm",
        install: INSTALL,
        program,
        args: &args,
        dir: app.dir(),
        variables: &variables,
        stays_in_group: true,
    };
    let manifests = succeeded(child::run(&start, deadline)?)?;

    let keys = request.keys(deadline);
    let keyring = Keyring::from_environment(env, keys).map_err(|e| Record::new(Failure::Usage, e.to_string()))?;
    let decryptor = Decryptor::new(root, &keyring, env)?;
    let sources = Sources::below(root, decryptor.keys(), decryptor.authority());
    // helm has ended.
    let mut confinement = Confinement::new(env, &keyring, Some(decryptor.authority()), Extent::Process)?;
    confinement.keep([root.path()]);
    confinement.enter(KeyKinds::among_manifests(manifests.expose()));
    let chart = app.dir().join("Chart.yaml");
    let answer = in_place::decrypt(manifests.expose(), &chart, root, &decryptor, &sources, HINT)?;
    check_kinds(answer.expose())?;
    Ok(Output::new(answer))
}

/// helm's command line. Every value follows a `=`, or is known not to begin with `-`.
fn arguments(app: &App<'_>, request: &Request) -> Result<Vec<OsString>, Error> {
    let env = request.environment();
    let release = match request.string(RELEASE_NAME)? {
        Some(name) => name,
        None => env.non_empty("ARGOCD_APP_NAME").unwrap_or("release"),
    };
    if !is_name(release) {
        let message = "is not a name that helm takes: small letters, digits and -, at most 53";
        let record = Record::new(Failure::Usage, message).about(Printable::new(&format!("release {release}")));
        return Err(record.hint("set the parameter release-name").into());
    }
    let mut args: Vec<OsString> =
        ["template", release, ".", "--include-crds", "--skip-schema-validation"].map(Into::into).into();
    if let Some(namespace) = env.non_empty("ARGOCD_APP_NAMESPACE").filter(|name| is_name(name)) {
        args.push(format!("--namespace={namespace}").into());
    }
    if let Some(version) = env.non_empty("KUBE_VERSION").filter(|version| is_word(version)) {
        args.push(format!("--kube-version={version}").into());
    }
    let versions = env.non_empty("KUBE_API_VERSIONS").unwrap_or_default().split(',');
    args.extend(versions.filter(|version| is_word(version)).map(|version| format!("--api-versions={version}").into()));
    let mut refused = Vec::new();
    for file in request.array(VALUE_FILES)? {
        match values(app, file) {
            Ok(path) => args.push(format!("--values=./{}", path.as_str()).into()),
            Err(record) => refused.push(record.about(Printable::new(&format!("{VALUE_FILES} {file}")))),
        }
    }
    Error::collect(refused).map_or(Ok(args), Err)
}

/// A values file beneath the root, in plain text, whose name helm takes for one name of a file.
fn values(app: &App<'_>, file: &str) -> Result<SourcePath, Record> {
    let path = SourcePath::parse(file).map_err(|error| Record::new(Failure::File, error.to_string()))?;
    if file.contains([',', '"', '\n', '\r', '\\']) || file.contains("://") {
        return Err(Record::new(Failure::File, "helm would not take this for the name of one file"));
    }
    let bytes = app.read(&path)?;
    if yaml::parse(&bytes).is_ok_and(|documents| documents.iter().any(|document| is_encrypted(&document.root))) {
        return Err(Record::new(Failure::Format, "this values file is encrypted, and helm is given nothing decrypted")
            .hint("put the secret into a manifest of its own, and print that with {{ .Files.Get \"FILE\" }}"));
    }
    Ok(path)
}

fn is_encrypted(root: &Node) -> bool {
    field(root, "sops").is_some_and(|stanza| matches!(stanza.kind, Kind::Mapping(..)))
}

/// A DNS label, as helm wants for a release (53 characters) and Kubernetes for a namespace.
fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=53).contains(&name.len()) && name.bytes().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// `1.33.1`, `apps/v1`, `networking.k8s.io/v1/Ingress`.
fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.len() <= 200
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./-+".contains(&byte))
}

/// helm's output, or why there is none. helm was given nothing decrypted, so the first line of its message may be shown.
fn succeeded(ended: Ended) -> Result<SecretBytes, Record> {
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let message = String::from_utf8_lossy(ended.stderr.expose());
    let line = message.lines().find_map(|line| line.strip_prefix("Error: ")).unwrap_or("it says nothing");
    let mut record = Record::new(Failure::Generator, "helm failed").about("Chart.yaml".into());
    record.details.push(Printable::reason(line).to_string());
    Err(record)
}

/// A document without a kind would be quoted whole in Argo CD's error.
fn check_kinds(manifests: &[u8]) -> Result<(), Error> {
    let documents = yaml::parse(manifests)
        .map_err(|error| Record::new(Failure::Generator, format!("helm's manifests are not YAML: {error}")))?;
    let lacking = documents
        .iter()
        .enumerate()
        .filter(|(_, document)| !super::is_null(&document.root) && text(&document.root, "kind").is_empty());
    let records = lacking
        .map(|(number, _)| {
            Record::new(Failure::Generator, format!("manifest {} of the chart has no kind", number.saturating_add(1)))
        })
        .take(limits::ERRORS);
    Error::collect(records.collect()).map_or(Ok(()), Err)
}

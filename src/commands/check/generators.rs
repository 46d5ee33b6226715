//! Generator manifests of ours: what they say, what they name, whether they run.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::excerpts::Excerpts;
use super::objects::Object;
use super::own_kinds;
use super::scan::{Class, Files};
use super::sops_file::SopsFile;
use crate::findings::{Edit, Excerpt, Finding, Rule, rules};
use crate::generator::{self, Generator};
use crate::jail::{Lead, Root};
use crate::kustomization::{self, Engine, Named, Plugin, PluginKind, Visited, Walk};
use crate::limits;
use crate::path::SourcePath;
use crate::sops::store::Format;
use crate::text::Printable;
use crate::yaml::fields::{elements, entries, field, text};
use crate::yaml::{self, Position};

/// What the checks of generators look at.
pub struct Generators<'a> {
    pub root: &'a Root,
    pub excerpts: &'a Excerpts<'a>,
    pub walk: &'a Walk,
    pub files: &'a Files,
    /// Whether a path lies in what was listed.
    pub is_listed: &'a dyn Fn(&str) -> bool,
    /// Named files that may still be looked at.
    pub looks_left: Cell<usize>,
    /// Near names that may still be searched for; each reads a directory.
    pub hints_left: Cell<usize>,
}

impl Generators<'_> {
    /// Everything that is wrong with the generators that kustomizations run, and those that none runs.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        for plugin in &self.walk.plugins {
            // The manifest itself is judged once, what it names for every kustomization that runs it.
            let is_first = seen.insert((plugin.place.file.clone(), plugin.place.document, plugin.position().line));
            if is_first {
                self.engine(plugin, &mut findings);
            }
            if !plugin.is_ours() {
                continue;
            }
            if is_first {
                self.manifest(plugin, &mut findings);
            }
            let Some(visited) = self.walk.kustomizations.get(plugin.kustomization) else { continue };
            for named in plugin.names.iter().take(limits::SOURCES) {
                self.named(plugin, named, visited, &mut findings);
            }
            if plugin.kind != PluginKind::Unsops {
                self.keys(plugin, visited, &mut findings);
            }
        }
        self.duplicates(&mut findings);
        self.in_resources(&mut findings);
        self.unused(&mut findings);
        findings
    }

    fn engine(&self, plugin: &Plugin, findings: &mut Vec<Finding>) {
        let at = plugin.position();
        let mut add = |rule: &'static Rule, message: String| {
            findings.push(Finding::new(rule, &plugin.place.file, at, message));
        };
        match &plugin.engine {
            Engine::Invalid { reason } => add(&rules::FUNCTION_ANNOTATION, (*reason).to_owned()),
            Engine::Exec { .. } if plugin.is_ours() => {
                let name = Printable::new(&plugin.name);
                add(&rules::LEGACY_STYLE, format!("generator {name} runs only with --enable-exec"));
                for (words, count) in function_mistakes(plugin) {
                    add(&rules::FUNCTION_ENVS, format!("{words} ({count})"));
                }
            }
            _ => {}
        }
    }

    /// What the generator room says about the manifest.
    fn manifest(&self, plugin: &Plugin, findings: &mut Vec<Finding>) {
        let file = &plugin.place.file;
        if plugin.name.is_empty() {
            let message = "the manifest has no metadata.name, which kustomize wants";
            findings.push(Finding::new(&rules::GENERATOR_INVALID, file, plugin.position(), message));
        }
        // `own_kinds`
        if plugin.kind == PluginKind::Unsops {
            return;
        }
        match Generator::parse(&plugin.node, true) {
            Ok(generator) => {
                for remark in generator.remarks() {
                    let at = plugin.place.position(remark.position);
                    let message = join(&remark.field.to_string(), remark.text.as_str());
                    let excerpt = self.excerpt(plugin, at);
                    let edit = self.spelling(plugin, remark.position, at);
                    let finding = Finding::new(&rules::GENERATOR_FIELD, file, at, message);
                    findings.push(finding.excerpt(excerpt).edit(edit));
                }
            }
            Err(errors) => {
                for error in errors {
                    let at = plugin.place.position(error.position);
                    let rule = if is_about_key(error.reason.as_str()) {
                        &rules::ILLEGAL_KEY
                    } else if error.reason.as_str().contains(" is made twice") {
                        &rules::DUPLICATE_KEY
                    } else if error.reason.as_str().contains("absolute path") {
                        &rules::OUTSIDE_ROOT
                    } else {
                        &rules::GENERATOR_INVALID
                    };
                    let message = join(&error.field.to_string(), error.reason.as_str());
                    let mut finding = Finding::new(rule, file, at, message).excerpt(self.excerpt(plugin, at));
                    finding.hint = error.hint.map(|hint| hint.to_string());
                    findings.push(finding);
                }
            }
        }
    }

    /// A field in other letter case, or one typing error away, can be mended where the manifest is a file.
    fn spelling(&self, plugin: &Plugin, inner: Position, at: Position) -> Option<Edit> {
        const FIELDS: [&str; 5] = ["files", "secretFrom", "binaryFiles", "envs", "metadata"];
        if plugin.place.is_inline() {
            return None;
        }
        let all = entries(&plugin.node).chain(
            entries(&plugin.node)
                .filter(|(name, ..)| name.eq_ignore_ascii_case("secretFrom"))
                .flat_map(|(.., list)| elements(list).iter().flat_map(entries)),
        );
        let names: Vec<(&str, Position)> = all.map(|(name, key, _)| (name, key.position)).collect();
        let (name, _) = names.iter().find(|(_, position)| *position == inner)?;
        let meant = FIELDS.into_iter().find(|field| name.eq_ignore_ascii_case(field))?;
        (*name != meant).then(|| Edit { position: at, old: (*name).to_owned(), new: meant.to_owned() })
    }

    fn excerpt(&self, plugin: &Plugin, at: Position) -> Option<Excerpt> {
        self.excerpts.line(&plugin.place.file, at)
    }

    fn named(&self, plugin: &Plugin, named: &Named, visited: &Visited, findings: &mut Vec<Finding>) {
        let shown = Printable::new(&named.path);
        let file = &plugin.place.file;
        let mut add = |rule: &'static Rule, message: String, hint: Option<String>, edit: Option<Edit>| {
            let mut finding = Finding::new(rule, file, named.position, message);
            finding.hint = hint;
            finding.edit = edit;
            findings.push(finding.excerpt(self.excerpt(plugin, named.position)));
        };
        // Empty and absolute ones are errors of the manifest.
        if named.path.is_empty() || named.path.starts_with('/') || SourcePath::parse(&named.path).is_err() {
            return;
        }
        let Some(left) = self.looks_left.get().checked_sub(1) else { return };
        self.looks_left.set(left);
        if left == 0 {
            let message = "too many files are named: the rest was not looked at".to_owned();
            return add(&rules::UNREADABLE, message, None, None);
        }
        let Some(path) = kustomization::join(&visited.directory, &named.path) else {
            return add(&rules::OUTSIDE_ROOT, format!("{shown} leads out of the repository"), None, None);
        };
        match self.root.lead(&path) {
            Lead::File => {}
            Lead::Nothing => {
                let (hint, edit) = self.missing(named, visited, plugin);
                return add(&rules::MISSING_FILE, format!("{shown} does not exist"), hint, edit);
            }
            Lead::Outside => {
                return add(&rules::OUTSIDE_ROOT, format!("{shown} is a link out of the repository"), None, None);
            }
            Lead::Directory if named.list == "sources" => {
                if !self.holds_sops_files(&path) && (self.is_listed)(&path) {
                    add(&rules::MISSING_FILE, format!("{shown} holds no SOPS file"), None, None);
                }
                return;
            }
            Lead::Directory => return add(&rules::MISSING_FILE, format!("{shown} is a directory"), None, None),
            Lead::Other => return add(&rules::UNREADABLE, format!("{shown} is no regular file"), None, None),
        }
        let Some(scanned) = self.files.get(&path) else {
            // Not listed: ignored by git, reached through a link, or outside of what was asked for.
            if (self.is_listed)(&path) && !self.is_linked(&path) {
                add(&rules::IGNORED_FILE, format!("{shown} is ignored by git"), None, None);
            }
            return;
        };
        match &scanned.class {
            Class::Sops(sops) => {
                let wanted = Format::from_path(&named.path);
                let is_envelope = wanted == Format::Binary && sops.format == Format::Json;
                if sops.format != wanted && !is_envelope {
                    let message =
                        format!("{shown} is read as {}, but it is a SOPS {} file", wanted.name(), sops.format.name());
                    add(&rules::WRONG_FORMAT, message, None, None);
                }
                if named.list == "envs" && sops.format != Format::Dotenv && plugin.kind == PluginKind::Ksops {
                    let message = format!("{shown} is listed under envs, but holds {}", sops.format.name());
                    add(
                        &rules::WRONG_FORMAT,
                        message,
                        Some("envs are dotenv files: NAME=value lines".to_owned()),
                        None,
                    );
                }
            }
            Class::Other if scanned.findings.iter().any(|finding| finding.rule.id == rules::MALFORMED_SOPS.id) => {}
            _ => add(&rules::NOT_ENCRYPTED, format!("{shown} is not encrypted by sops"), None, None),
        }
    }

    /// Whether a directory holds a SOPS file, however deep.
    fn holds_sops_files(&self, directory: &str) -> bool {
        let start = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let below = self.files.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        below.into_iter().any(|(_, scanned)| matches!(scanned.class, Class::Sops(_)))
    }

    /// Whether a path goes through a symbolic link: the listing does not follow them.
    fn is_linked(&self, path: &str) -> bool {
        let full = self.root.path().join(path);
        full.canonicalize().is_ok_and(|canonical| canonical != full)
    }

    /// The near name of a file that is not there.
    fn missing(&self, named: &Named, visited: &Visited, plugin: &Plugin) -> (Option<String>, Option<Edit>) {
        let Some(left) = self.hints_left.get().checked_sub(1) else { return (None, None) };
        self.hints_left.set(left);
        let base = self.root.path().join(&visited.directory);
        let hint = SourcePath::parse(&named.path)
            .ok()
            .and_then(|source| self.root.read(&base, &source, 1).err())
            .and_then(|error| error.hint);
        // Only where nothing but letter case differs is it clear what is meant.
        let meant = hint.as_deref().and_then(|hint| hint.strip_prefix("did you mean ")?.strip_suffix('?'));
        let meant = meant.map(|meant| meant.strip_prefix("./").unwrap_or(meant));
        let written = named.path.strip_prefix("./").unwrap_or(&named.path);
        let edit = meant
            .filter(|meant| meant.eq_ignore_ascii_case(written) && !plugin.place.is_inline())
            .map(|meant| Edit { position: named.position, old: written.to_owned(), new: meant.to_owned() });
        (hint, edit)
    }

    /// Keys that two sources of one Secret make, and variables whose names the environment cannot hold.
    fn keys(&self, plugin: &Plugin, visited: &Visited, findings: &mut Vec<Finding>) {
        let mut by_secret: BTreeMap<Option<usize>, BTreeMap<String, Position>> = BTreeMap::new();
        let mut bytes: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        let is_per_secret = |named: &Named| plugin.kind != PluginKind::Ksops || named.secret.is_some();
        for named in plugin.names.iter().take(limits::SOURCES).filter(|named| is_per_secret(named)) {
            let path = kustomization::join(&visited.directory, &named.path);
            let scanned = path.as_ref().and_then(|path| self.files.get(path));
            let Some(Class::Sops(sops)) = scanned.map(|scanned| &scanned.class) else { continue };
            let total = bytes.entry(named.secret).or_default();
            *total = total.saturating_add(sops.plain_bytes);
            let keys = by_secret.entry(named.secret).or_default();
            if named.list == "envs" {
                self.variables(named, path.as_deref().unwrap_or_default(), sops, keys, plugin, findings);
            } else {
                let base = named.path.rsplit('/').next().unwrap_or(&named.path);
                keys.insert(named.key.clone().unwrap_or_else(|| base.to_owned()), named.position);
            }
        }
        for (secret, bytes) in bytes.into_iter().filter(|(_, bytes)| *bytes > limits::SECRET_BYTES) {
            let which = secret.map(|index| format!("secretFrom[{index}]: ")).unwrap_or_default();
            let message = format!("{which}the sources hold {} KiB", bytes >> 10);
            findings.push(Finding::new(&rules::TOO_LARGE, &plugin.place.file, plugin.position(), message));
        }
    }

    fn variables(
        &self,
        named: &Named,
        path: &str,
        sops: &SopsFile,
        keys: &mut BTreeMap<String, Position>,
        plugin: &Plugin,
        findings: &mut Vec<Finding>,
    ) {
        let mut own = BTreeSet::new();
        for (written, at) in &sops.variables {
            let key = written.trim().strip_prefix("export ").unwrap_or(written).trim();
            let shown = Printable::new(key);
            let excerpt = || Some(Excerpt::Key(shown.clone()));
            if let Err(rule) = generator::secret_key(key) {
                let message = format!("variable {shown} {rule}");
                findings.push(Finding::new(&rules::ILLEGAL_KEY, path, *at, message).excerpt(excerpt()));
            } else if !is_variable(key) {
                let message = format!("variable {shown} is no name that a shell knows");
                findings.push(Finding::new(&rules::DOTENV_KEY, path, *at, message).excerpt(excerpt()));
            }
            if !own.insert(key) {
                let message = format!("variable {shown} is there twice");
                findings.push(Finding::new(&rules::DUPLICATE_KEY, path, *at, message).excerpt(excerpt()));
            } else if keys.contains_key(key) {
                let message =
                    format!("variable {shown} of {} is a key that another source makes", Printable::new(&named.path));
                let finding = Finding::new(&rules::DUPLICATE_KEY, &plugin.place.file, named.position, message);
                findings.push(finding.excerpt(self.excerpt(plugin, named.position)));
            }
            keys.insert(key.to_owned(), *at);
        }
    }

    /// Plugins of one kustomization with the same apiVersion, kind and name.
    fn duplicates(&self, findings: &mut Vec<Finding>) {
        let mut seen = BTreeSet::new();
        for plugin in &self.walk.plugins {
            let key = (plugin.kustomization, plugin.role, &plugin.api_version, &plugin.kind_name, &plugin.name);
            let is_new = seen.insert(key);
            if !is_new && !plugin.name.is_empty() {
                let namespace = field(&plugin.node, "metadata").and_then(|metadata| text(metadata, "namespace"));
                if namespace.is_some() {
                    continue;
                }
                let message =
                    format!("{}/{} is there twice", Printable::new(&plugin.kind_name), Printable::new(&plugin.name));
                findings.push(Finding::new(
                    &rules::DUPLICATE_GENERATOR,
                    &plugin.place.file,
                    plugin.position(),
                    message,
                ));
            }
        }
    }

    /// Generators among the resources.
    fn in_resources(&self, findings: &mut Vec<Finding>) {
        let runs = self.manifests_that_run();
        for visited in &self.walk.kustomizations {
            for edge in visited.edges.iter().filter(|edge| !edge.field.is_plugins() && edge.kustomization.is_none()) {
                // A kustomization of generators lists them so.
                if !self.has_generators(&edge.path) || runs.contains(edge.path.as_str()) {
                    continue;
                }
                let is_transformer = self.objects(&edge.path).iter().any(own_kinds::is_transformer);
                let what = if is_transformer { "transformer" } else { "generator" };
                let message = format!("{} is a {what}", Printable::new(&edge.path));
                let mut finding = Finding::new(&rules::GENERATOR_IN_RESOURCES, &visited.file, edge.position, message);
                finding.hint = is_transformer.then(|| "list it under `transformers`".to_owned());
                findings.push(finding.excerpt(self.excerpts.line(&visited.file, edge.position)));
            }
        }
    }

    fn manifests_that_run(&self) -> BTreeSet<&str> {
        self.walk.plugins.iter().map(|plugin| plugin.place.file.as_str()).collect()
    }

    fn has_generators(&self, path: &str) -> bool {
        self.objects(path).iter().any(is_plugin)
    }

    fn objects(&self, path: &str) -> &[Object] {
        match self.files.get(path).map(|scanned| &scanned.class) {
            Some(Class::Objects(objects)) => objects,
            _ => &[],
        }
    }

    /// Generators that no kustomization runs, beside or below a kustomization: elsewhere they are examples.
    fn unused(&self, findings: &mut Vec<Finding>) {
        let mentioned: BTreeSet<&str> = self
            .walk
            .kustomizations
            .iter()
            .flat_map(|visited| &visited.edges)
            .map(|edge| edge.path.as_str())
            .chain(self.manifests_that_run())
            .collect();
        let directories: BTreeSet<&str> =
            self.walk.kustomizations.iter().map(|visited| visited.directory.as_str()).collect();
        for (path, scanned) in self.files {
            let Class::Objects(objects) = &scanned.class else { continue };
            if mentioned.contains(path.as_str()) || !directories.contains(kustomization::parent(path)) {
                continue;
            }
            let Some(plugin) = objects.iter().find(|object| is_plugin(object)) else { continue };
            let is_transformer = own_kinds::is_transformer(plugin);
            let what = if is_transformer { "transformer" } else { "generator" };
            let message = format!("{what} {} is listed nowhere", Printable::new(&plugin.name));
            let mut finding = Finding::new(&rules::GENERATOR_UNUSED, path, plugin.position, message);
            finding.hint = is_transformer.then(|| "list it under `transformers`, or remove it".to_owned());
            findings.push(finding);
        }
    }
}

/// Whether kustomize is to run us for an object.
fn is_plugin(object: &Object) -> bool {
    Generator::is_known(&object.api_version, &object.kind) || own_kinds::is_transformer(object)
}

/// Letters, digits and `_`, not beginning with a digit: what every shell and `envFrom` take.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_about_key(reason: &str) -> bool {
    reason.starts_with("key ") && !reason.contains(" twice")
}

fn join(field: &str, text: &str) -> String {
    if field.is_empty() { text.to_owned() } else { format!("{field}: {text}") }
}

/// `envs` that kustomize drops, and `args` that KSOPS takes for files.
fn function_mistakes(plugin: &Plugin) -> Vec<(&'static str, usize)> {
    let Some(metadata) = field(&plugin.node, "metadata") else { return Vec::new() };
    let annotation = |name| field(metadata, "annotations").and_then(|annotations| text(annotations, name));
    let function = annotation("config.kubernetes.io/function").or_else(|| annotation("config.k8s.io/function"));
    let Some(documents) = function.and_then(|text| yaml::parse(text.as_bytes()).ok()) else { return Vec::new() };
    let Some(exec) = documents.first().and_then(|document| field(&document.root, "exec")) else { return Vec::new() };
    let list = |name| field(exec, name).map(elements).unwrap_or_default();
    let dropped = list("envs")
        .iter()
        .filter(|env| matches!(&env.kind, yaml::Kind::Scalar(text, _) if text.matches('=').count() != 1))
        .count();
    let mut mistakes = Vec::new();
    if dropped > 0 {
        mistakes.push(("exec.envs has entries without exactly one '=', which kustomize drops", dropped));
    }
    if !list("args").is_empty() && plugin.kind == PluginKind::Ksops {
        mistakes.push(("exec.args are given, which KSOPS takes for a file name", list("args").len()));
    }
    mistakes
}

//! Manifests of `unsops.dev/v1`: the transformer `Decrypt`, and the operator's `Policy`. Both are read strictly, so a field
//! that is misspelt is an error here and not a remark.

use std::collections::BTreeSet;

use super::excerpts::Excerpts;
use super::objects::Object;
use super::scan::{Class, Files};
use crate::commands::transform::{self, Mistake};
use crate::findings::{Edit, Finding, Severity, rules};
use crate::jail::Root;
use crate::kustomization::{self, Field, Plugin, PluginKind, Role, Walk};
use crate::limits;
use crate::path::SourcePath;
use crate::policy::{Policy, PolicyError};
use crate::spelling::nearest;
use crate::text::Printable;
use crate::yaml::Position;

const GROUP: &str = "unsops.dev/";
const API_VERSION: &str = "unsops.dev/v1";
const DECRYPT: &str = "Decrypt";
const POLICY: &str = "Policy";

/// Whether an object is a manifest that kustomize is to run us for.
pub fn is_transformer(object: &Object) -> bool {
    object.api_version == API_VERSION && object.kind == DECRYPT
}

/// What the checks of our own kinds look at.
pub struct OwnKinds<'a> {
    pub root: &'a Root,
    pub excerpts: &'a Excerpts<'a>,
    pub walk: &'a Walk,
    pub files: &'a Files,
}

impl OwnKinds<'_> {
    /// Everything that is wrong with manifests of our own kinds, but for the files that they name.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        for plugin in self.walk.plugins.iter().filter(|plugin| plugin.kind == PluginKind::Unsops) {
            let is_first = seen.insert((plugin.place.file.as_str(), plugin.place.document, plugin.position().line));
            if plugin.api_version != API_VERSION || plugin.kind_name != DECRYPT {
                if is_first {
                    findings.extend(self.unknown(
                        &plugin.place.file,
                        plugin.position(),
                        &plugin.api_version,
                        &plugin.kind_name,
                    ));
                }
                continue;
            }
            if is_first {
                self.mistakes(plugin, &mut findings);
            }
            self.role(plugin, &mut findings);
            self.uncovered(plugin, &mut findings);
        }
        let runs: BTreeSet<&str> = seen.iter().map(|(file, ..)| *file).collect();
        for (path, scanned) in self.files {
            let Class::Objects(objects) = &scanned.class else { continue };
            for object in objects.iter().filter(|object| object.api_version.starts_with(GROUP)) {
                let is_known = object.api_version == API_VERSION && [DECRYPT, POLICY].contains(&object.kind.as_str());
                if is_known && object.kind == POLICY {
                    self.policy(path, &mut findings);
                } else if !is_known && !runs.contains(path.as_str()) {
                    findings.extend(self.unknown(path, object.position, &object.api_version, &object.kind));
                }
            }
        }
        findings
    }

    fn unknown(&self, file: &str, at: Position, api_version: &str, kind: &str) -> Option<Finding> {
        let (message, hint) = match (api_version, kind) {
            (API_VERSION, POLICY) => (
                "a Policy is no plugin".to_owned(),
                Some("the operator names it in UNSOPS_POLICY; take it out of the kustomization".to_owned()),
            ),
            (API_VERSION, kind) => (
                format!("there is no kind {} in {API_VERSION}", Printable::new(kind)),
                nearest(kind, &[DECRYPT, POLICY]).map(|meant| format!("did you mean {meant}?")),
            ),
            (version, _) => {
                (format!("there is no apiVersion {}", Printable::new(version)), Some(format!("write {API_VERSION}")))
            }
        };
        let mut finding = Finding::new(&rules::UNKNOWN_KIND, file, at, message);
        finding.hint = hint;
        Some(finding)
    }

    /// What is wrong with a `Decrypt` by itself.
    fn mistakes(&self, plugin: &Plugin, findings: &mut Vec<Finding>) {
        for Mistake { position, message, meant, is_outside } in transform::mistakes(&plugin.node) {
            let at = plugin.place.position(position);
            let hint = meant.as_ref().map(|(_, new)| format!("did you mean {new}?"));
            let edit = meant.filter(|_| !plugin.place.is_inline()).map(|(old, new)| Edit {
                position: at,
                old,
                new: new.to_owned(),
            });
            let rule = if is_outside { &rules::OUTSIDE_ROOT } else { &rules::GENERATOR_INVALID };
            let excerpt = self.excerpts.line(&plugin.place.file, at);
            let mut finding = Finding::new(rule, &plugin.place.file, at, message);
            finding.hint = hint;
            findings.push(finding.excerpt(excerpt).edit(edit));
        }
    }

    /// A transformer among the generators is sent no resources.
    fn role(&self, plugin: &Plugin, findings: &mut Vec<Finding>) {
        let (list, why) = match plugin.role {
            Role::Transformer => return,
            Role::Generator => ("generators", "is sent no resources there"),
            Role::Validator => ("validators", "may change nothing there"),
        };
        let Some(visited) = self.walk.kustomizations.get(plugin.kustomization) else { return };
        let at = visited.kustomization.position_of(list).unwrap_or_default();
        let message = format!("Decrypt {} is listed under {list}, and {why}", Printable::new(&plugin.name));
        let finding = Finding::new(&rules::GENERATOR_INVALID, &visited.file, at, message);
        findings.push(finding.excerpt(self.excerpts.line(&visited.file, at)).hint("list it under `transformers`"));
    }

    /// Encrypted resources that a `Decrypt` with sources has nothing to hold against.
    fn uncovered(&self, plugin: &Plugin, findings: &mut Vec<Finding>) {
        if plugin.role != Role::Transformer || plugin.names.is_empty() {
            return;
        }
        let Some(visited) = self.walk.kustomizations.get(plugin.kustomization) else { return };
        let sources: Vec<String> = plugin
            .names
            .iter()
            .take(limits::SOURCES)
            .filter_map(|named| kustomization::join(&visited.directory, &named.path))
            .collect();
        let is_covered = |path: &str| {
            sources.iter().any(|source| {
                source.is_empty()
                    || path.strip_prefix(source.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let resources = self.resources_of(plugin.kustomization);
        let open = resources.into_iter().filter(|path| {
            let scanned = self.files.get(*path).map(|scanned| &scanned.class);
            matches!(scanned, Some(Class::Sops(sops)) if !sops.objects.is_empty()) && !is_covered(path)
        });
        for path in open.take(limits::FINDINGS_OF_A_RULE) {
            let message = format!("the sources do not hold {}, which is an encrypted resource", Printable::new(path));
            let finding = Finding::new(&rules::GENERATOR_INVALID, &plugin.place.file, plugin.position(), message);
            findings.push(
                finding.hint("add it to `sources`, or leave them out: then every file of the kustomization is one"),
            );
        }
    }

    /// Files among the resources of a kustomization and of those below it.
    fn resources_of(&self, start: usize) -> BTreeSet<&str> {
        let mut resources = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(at) = waiting.pop() {
            let Some(visited) = self.walk.kustomizations.get(at).filter(|_| seen.insert(at)) else { continue };
            for edge in &visited.edges {
                match (edge.field, edge.kustomization) {
                    (Field::Resources | Field::Bases | Field::Components, Some(child)) => waiting.push(child),
                    (Field::Resources | Field::Bases, None) => _ = resources.insert(edge.path.as_str()),
                    _ => {}
                }
            }
        }
        resources
    }

    /// What the policy's own room says; without the line, where someone may have pasted the other half of a key.
    fn policy(&self, path: &str, findings: &mut Vec<Finding>) {
        let source = SourcePath::parse(path).ok();
        let text = source.and_then(|source| self.root.read(self.root.path(), &source, limits::POLICY_BYTES).ok());
        let Some(text) = text else { return };
        match Policy::parse(text.as_slice(), Printable::new(path)) {
            Ok(policy) => {
                for remark in policy.remarks() {
                    let message = format!("rule {} {}", remark.rule, remark.reason);
                    let mut finding = Finding::new(&rules::POLICY_INVALID, path, remark.position, message);
                    finding.severity = Severity::Warning;
                    findings.push(finding.hint("move or narrow the rule, or remove it"));
                }
            }
            Err(errors) => {
                for PolicyError { field, reason, position } in errors {
                    let message = if field.is_empty() { reason } else { format!("{field}: {reason}") };
                    findings.push(Finding::new(&rules::POLICY_INVALID, path, position, message));
                }
            }
        }
    }
}

//! What kustomize would refuse: faults of the walk, fields that do not exist.

use std::collections::BTreeSet;

use super::excerpts::Excerpts;
use super::scan::{Class, Files};
use crate::findings::{Edit, Finding, rules};
use crate::kustomization::{FILE_NAMES, Fault, FaultKind, Field, Kustomization, Visited, Walk, parent};
use crate::text::Printable;
use crate::yaml::YamlError;
use crate::yaml::fields::text;

/// The directories of the listing that have a kustomization of kustomize (files of that name may hold Flux objects).
pub fn directories(files: &Files) -> BTreeSet<String> {
    files
        .iter()
        .filter(|(path, _)| is_kustomization_name(path))
        .filter(|(_, scanned)| match &scanned.class {
            Class::Objects(objects) => !objects.iter().any(|object| object.is_flux),
            Class::Unparsed(_) | Class::Other => true,
            Class::Config(_) | Class::Sops(_) | Class::Template => false,
        })
        .map(|(path, _)| parent(path).to_owned())
        .collect()
}

fn is_kustomization_name(path: &str) -> bool {
    FILE_NAMES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Everything that is wrong with kustomizations by themselves.
pub fn check(walk: &Walk, files: &Files, excerpts: &Excerpts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for visited in &walk.kustomizations {
        fields(visited, excerpts, &mut findings);
        resources(visited, files, &mut findings);
    }
    findings.extend(walk.faults.iter().filter_map(|fault| of_fault(fault, excerpts, files)));
    findings
}

fn of_fault(fault: &Fault, excerpts: &Excerpts<'_>, files: &Files) -> Option<Finding> {
    let (rule, message) = match &fault.kind {
        FaultKind::Absolute(entry) => (&rules::OUTSIDE_ROOT, format!("{entry} is an absolute path")),
        FaultKind::ComponentExpected(entry) => {
            (&rules::KUSTOMIZATION_INVALID, format!("{entry} is listed under components, but is no Component"))
        }
        FaultKind::Cycle(entry) => {
            (&rules::KUSTOMIZATION_INVALID, format!("{entry} leads back to a directory that leads here"))
        }
        FaultKind::Inline => (&rules::KUSTOMIZATION_INVALID, "this inline text is no object".to_owned()),
        FaultKind::Malformed(error) => {
            if is_template(&fault.file, files) {
                return None;
            }
            (&rules::KUSTOMIZATION_INVALID, error.to_string())
        }
        FaultKind::Missing(entry) => (&rules::MISSING_FILE, format!("{entry} does not exist")),
        FaultKind::NoComponentExpected(entry) => {
            (&rules::KUSTOMIZATION_INVALID, format!("{entry} is a Component, but is not listed under components"))
        }
        FaultKind::NoKustomization(entry) => {
            (&rules::KUSTOMIZATION_INVALID, format!("{entry} is a directory without a kustomization"))
        }
        FaultKind::NotADirectory(entry) => {
            (&rules::KUSTOMIZATION_INVALID, format!("{entry} is a file; components are directories"))
        }
        FaultKind::NotAnObject => (&rules::KUSTOMIZATION_INVALID, "this is no object with a kind".to_owned()),
        FaultKind::Outside(entry) => (&rules::OUTSIDE_ROOT, format!("{entry} leads out of the repository")),
        FaultKind::TooDeep => (&rules::KUSTOMIZATION_INVALID, "kustomizations are nested too deeply".to_owned()),
        FaultKind::TooMuch => {
            (&rules::UNREADABLE, "too many or too large kustomizations: the rest was not looked at".to_owned())
        }
        FaultKind::TwoFiles => {
            (&rules::KUSTOMIZATION_INVALID, "there is a second kustomization file in this directory".to_owned())
        }
        FaultKind::Unreadable(entry, reason) => (&rules::UNREADABLE, format!("{entry}: {reason}")),
    };
    let excerpt = excerpts.line(&fault.file, fault.position);
    Some(Finding::new(rule, &fault.file, fault.position, message).excerpt(excerpt))
}

/// Whether a file that does not parse is meant to be filled in first.
fn is_template(file: &str, files: &Files) -> bool {
    files.get(file).is_some_and(|scanned| matches!(scanned.class, Class::Template))
}

fn fields(visited: &Visited, excerpts: &Excerpts<'_>, findings: &mut Vec<Finding>) {
    let Kustomization { unknown, wrong, root, .. } = &visited.kustomization;
    // kustomize only reads its own group; the file may belong to another program.
    if text(root, "apiVersion").is_some_and(|version| !version.starts_with("kustomize.config.k8s.io/")) {
        let message =
            format!("apiVersion {} is not kustomize's", Printable::new(text(root, "apiVersion").unwrap_or_default()));
        findings.push(Finding::new(&rules::KUSTOMIZATION_INVALID, &visited.file, root.position, message));
        return;
    }
    for field in unknown {
        let message = match field.meant {
            Some(meant) => format!("there is no field {}; did you mean {meant}?", field.name),
            None => format!("there is no field {}", field.name),
        };
        let edit = field.meant.filter(|meant| root_has_no(visited, meant)).map(|meant| Edit {
            position: field.position,
            old: field.name.to_string(),
            new: meant.to_owned(),
        });
        let finding = Finding::new(&rules::KUSTOMIZATION_INVALID, &visited.file, field.position, message);
        findings.push(finding.excerpt(excerpts.line(&visited.file, field.position)).edit(edit));
    }
    for field in wrong {
        let message = format!("{} must be {}", field.field, field.wanted);
        findings.push(Finding::new(&rules::KUSTOMIZATION_INVALID, &visited.file, field.position, message));
    }
}

fn root_has_no(visited: &Visited, field: &str) -> bool {
    visited.kustomization.position_of(field).is_none()
}

/// Resources that do not parse.
fn resources(visited: &Visited, files: &Files, findings: &mut Vec<Finding>) {
    for edge in &visited.edges {
        if edge.kustomization.is_some() || !matches!(edge.field, Field::Resources | Field::Bases) {
            continue;
        }
        let Some(Class::Unparsed(error)) = files.get(&edge.path).map(|scanned| &scanned.class) else { continue };
        let YamlError::Syntax { position, .. } = error;
        let message = format!("kustomize cannot read this resource: {error}");
        findings.push(Finding::new(&rules::KUSTOMIZATION_INVALID, &edge.path, *position, message));
    }
}

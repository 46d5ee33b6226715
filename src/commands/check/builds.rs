//! What a build brings together: Secrets that are made twice, merged into nothing, or that nobody finds.
//!
//! A build is a kustomization that no other one refers to, and all that it refers to. Where something comes from outside
//! (a URL, a chart, another program's generator), nothing is said about what is missing.

mod part;

use std::collections::{BTreeSet, HashMap, HashSet};

use self::part::{Made, Part, parts};
use super::excerpts::Excerpts;
use super::objects::{Object, mention};
use super::scan::{Class, Files};
use crate::findings::{Finding, rules};
use crate::jail::Root;
use crate::kustomization::{self, Field, PluginKind, Visited, Walk};
use crate::path::SourcePath;
use crate::text::Printable;

/// What the checks of builds look at.
pub struct Builds<'a> {
    pub root: &'a Root,
    pub walk: &'a Walk,
    pub files: &'a Files,
    pub excerpts: &'a Excerpts<'a>,
}

/// Most comparisons of one name with another, all builds together.
const PAIRS: usize = 10_000_000;

/// Most steps from a build to its parts, all builds together.
const STEPS: usize = 1_000_000;

impl Builds<'_> {
    /// Everything that is wrong with builds as a whole.
    pub fn check(&self) -> Vec<Finding> {
        let parts = parts(self.walk, self.files);
        let referred: HashSet<usize> = parts.iter().flat_map(|part| part.children.iter().copied()).collect();
        let known = self.known_names();
        let mut findings = Vec::new();
        let mut steps = STEPS;
        let mut pairs = PAIRS;
        for (index, visited) in self.walk.kustomizations.iter().enumerate() {
            if referred.contains(&index) || visited.kustomization.is_component {
                continue;
            }
            let Some(members) = members(&parts, index, &mut steps) else { break };
            let build: Vec<(&Part, &Visited)> = members
                .iter()
                .filter_map(|&member| Some((parts.get(member)?, self.walk.kustomizations.get(member)?)))
                .collect();
            duplicates(&build, &mut findings);
            merges(&build, &mut findings);
            self.hashes(&build, &mut findings);
            self.missing(&build, known.as_ref(), &mut pairs, &mut findings);
        }
        self.ciphertext(&mut findings);
        findings
    }

    /// Hashes of every name that the repository makes or mentions; nothing where some file hides its names.
    fn known_names(&self) -> Option<HashSet<u64>> {
        let mut known = HashSet::new();
        for scanned in self.files.values() {
            match &scanned.class {
                Class::Objects(objects) => {
                    for object in objects {
                        known.extend(object.mentions.iter().copied());
                        known.insert(mention(&object.name));
                    }
                }
                Class::Sops(sops) => {
                    let is_hidden = |object: &super::sops_file::EncryptedObject| object.name.is_empty();
                    if sops.objects.iter().any(is_hidden) {
                        return None;
                    }
                    known.extend(sops.objects.iter().map(|object| mention(&object.name)));
                }
                _ => {}
            }
        }
        Some(known)
    }

    fn hashes(&self, build: &[(&Part, &Visited)], findings: &mut Vec<Finding>) {
        if build.iter().any(|(part, _)| part.is_open) {
            return;
        }
        let hashed: Vec<&Made> =
            made_in(build).filter(|made| made.is_hashed && made.is_ours && !made.name.is_empty()).collect();
        if hashed.is_empty() {
            return;
        }
        let renames = build.iter().any(|(part, _)| part.renames);
        let is_taught = build.iter().any(|(part, _)| part.is_taught);
        let mut references: HashSet<&str> = HashSet::new();
        let mut mentions: HashMap<u64, &str> = HashMap::new();
        for object in self.objects_of(build) {
            references.extend(object.references.iter().map(|reference| reference.name.as_str()));
            for hash in &object.mentions {
                mentions.insert(*hash, &object.kind);
            }
        }
        let words = self.words(build);
        for made in hashed {
            let once = usize::from(made.is_inline);
            let is_referred = references.contains(made.name.as_str())
                || renames
                    && (references.len() > MANY || references.iter().any(|name| name.contains(made.name.as_str())));
            let is_in_text = words.get(&mention(&made.name)).is_some_and(|count| *count > once);
            let kind = mentions.get(&mention(&made.name));
            if is_referred || is_in_text || kind.is_some() && is_taught || made.behavior.is_some() {
                continue;
            }
            let name = Printable::new(&made.name);
            let message = match kind {
                Some(kind) => {
                    format!(
                        "{name} gets a hash, but only {} refers to it, whose fields kustomize does not know",
                        Printable::new(kind)
                    )
                }
                None => format!("{name} gets a hash, but nothing in this build refers to it"),
            };
            let finding = Finding::new(&rules::HASH_UNREFERENCED, &made.file, made.position, message);
            findings.push(finding.excerpt(self.excerpts.line(&made.file, made.position)));
        }
    }

    fn objects_of(&self, build: &[(&Part, &Visited)]) -> impl Iterator<Item = &Object> {
        let paths: BTreeSet<String> = build.iter().flat_map(|(part, _)| part.resources.iter().cloned()).collect();
        paths.into_iter().flat_map(|path| match self.files.get(&path).map(|scanned| &scanned.class) {
            Some(Class::Objects(objects)) => objects.as_slice(),
            _ => &[],
        })
    }

    /// Words of kustomizations and patches, with how often they are there.
    fn words(&self, build: &[(&Part, &Visited)]) -> HashMap<u64, usize> {
        let mut words = HashMap::new();
        for (_, visited) in build {
            count_words(&visited.text, &mut words);
            for patch in &visited.kustomization.patches {
                let path = patch.path.as_deref().and_then(|path| kustomization::join(&visited.directory, path));
                let source = path.and_then(|path| SourcePath::parse(&path).ok());
                let text = source.and_then(|source| self.root.read(self.root.path(), &source, PATCH_BYTES).ok());
                if let Some(text) = text {
                    count_words(text.as_slice(), &mut words);
                }
            }
        }
        words
    }

    /// `pairs` counts comparisons of names.
    fn missing(
        &self,
        build: &[(&Part, &Visited)],
        known: Option<&HashSet<u64>>,
        pairs: &mut usize,
        findings: &mut Vec<Finding>,
    ) {
        let Some(known) = known else { return };
        // Where Secrets come from elsewhere altogether, nothing can be missing here.
        let is_ours = made_in(build).any(|made| made.is_ours);
        if !is_ours || build.iter().any(|(part, _)| part.is_open) {
            return;
        }
        let renames = build.iter().any(|(part, _)| part.renames);
        let made: HashSet<&str> = made_in(build).map(|made| made.name.as_str()).collect();
        for (part, _) in build {
            for path in &part.resources {
                let Some(Class::Objects(objects)) = self.files.get(path).map(|scanned| &scanned.class) else {
                    continue;
                };
                for object in objects.iter().filter(|object| object.is_workload()) {
                    for reference in &object.references {
                        let name = reference.name.as_str();
                        if made.contains(name) || known.contains(&mention(name)) {
                            continue;
                        }
                        let Some(left) = pairs.checked_sub(made.len()) else { return };
                        *pairs = left;
                        let is_renamed = renames && made.iter().any(|made| !made.is_empty() && name.contains(made));
                        if is_renamed || name.contains(['$', '{']) {
                            continue;
                        }
                        let near = made.iter().find(|made| is_near(name, made));
                        let message = format!(
                            "{} refers to Secret {}, which exists nowhere",
                            reference.field,
                            Printable::new(name)
                        );
                        let mut finding = Finding::new(&rules::MISSING_SECRET, path, reference.position, message);
                        finding.hint = near.map(|near| format!("did you mean {}?", Printable::new(near)));
                        findings.push(finding);
                    }
                }
            }
        }
    }

    /// Encrypted documents among plain resources, where nothing decrypts after the build.
    fn ciphertext(&self, findings: &mut Vec<Finding>) {
        let has_flux = self.files.values().any(
            |scanned| matches!(&scanned.class, Class::Objects(objects) if objects.iter().any(|object| object.is_flux)),
        );
        let has_decrypt = self.walk.plugins.iter().any(|plugin| plugin.kind == PluginKind::Unsops);
        if has_flux || has_decrypt || self.walk.ours().next().is_none() {
            return;
        }
        for visited in &self.walk.kustomizations {
            for edge in visited.edges.iter().filter(|edge| matches!(edge.field, Field::Resources | Field::Bases)) {
                let scanned = self.files.get(&edge.path).map(|scanned| &scanned.class);
                let Some(Class::Sops(sops)) = scanned else { continue };
                if sops.objects.is_empty() {
                    continue;
                }
                let message = format!("{} is encrypted", Printable::new(&edge.path));
                let finding = Finding::new(&rules::CIPHERTEXT_IN_RESOURCES, &visited.file, edge.position, message);
                findings.push(finding.excerpt(self.excerpts.line(&visited.file, edge.position)));
            }
        }
    }
}

/// More names than this are not compared one by one: what is asked for is taken to be among them.
const MANY: usize = 1000;

/// Largest patch whose words are looked at, in bytes.
const PATCH_BYTES: usize = 256 << 10;

fn made_in<'a>(build: &'a [(&'a Part, &'a Visited)]) -> impl Iterator<Item = &'a Made> {
    build.iter().flat_map(|(part, _)| part.made.iter())
}

/// A kustomization and all below it, each once; `None` when the steps are used up.
fn members(parts: &[Part], start: usize, steps: &mut usize) -> Option<Vec<usize>> {
    let mut members = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![start];
    while let Some(at) = waiting.pop() {
        if !seen.insert(at) {
            continue;
        }
        members.push(at);
        let part = parts.get(at)?;
        *steps = steps.checked_sub(1 + part.children.len() + part.made.len())?;
        waiting.extend(part.children.iter().rev().copied());
    }
    Some(members)
}

fn duplicates(build: &[(&Part, &Visited)], findings: &mut Vec<Finding>) {
    let renames = build.iter().any(|(part, _)| part.renames);
    let mut seen: HashMap<(&str, &str), &Made> = HashMap::new();
    for (part, _) in build {
        if renames {
            // Prefixes and namespaces below may tell them apart: only what one kustomization makes itself counts.
            seen.clear();
        }
        for made in part.made.iter().filter(|made| made.behavior.is_none() && !made.name.is_empty()) {
            match seen.insert((&made.name, &made.namespace), made) {
                Some(first) if (&first.file, first.position) != (&made.file, made.position) => {
                    let (later, earlier) = if made.is_ours { (made, first) } else { (first, made) };
                    if !later.is_ours {
                        continue;
                    }
                    let message = format!(
                        "Secret {} is also made in {}",
                        Printable::new(&made.name),
                        Printable::new(&earlier.file)
                    );
                    findings.push(Finding::new(&rules::DUPLICATE_NAME, &later.file, later.position, message));
                }
                _ => {}
            }
        }
    }
}

fn merges(build: &[(&Part, &Visited)], findings: &mut Vec<Finding>) {
    let renames = build.iter().any(|(part, _)| part.renames);
    let is_open = build.iter().any(|(part, _)| part.is_open);
    let mut bases: HashMap<&str, Vec<&Made>> = HashMap::new();
    for made in made_in(build).filter(|made| made.behavior.is_none()) {
        bases.entry(&made.name).or_default().push(made);
    }
    for made in made_in(build).filter(|made| made.is_ours && !made.name.is_empty()) {
        let Some(behavior) = made.behavior.as_deref() else { continue };
        let same = bases.get(made.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let has_base =
            !same.is_empty() || renames && (bases.len() > MANY || bases.keys().any(|name| made.name.contains(name)));
        let name = Printable::new(&made.name);
        if !has_base && !is_open && !bases.contains_key("") {
            let message =
                format!("behavior {} of {name}, but nothing in this build makes it", Printable::new(behavior));
            findings.push(Finding::new(&rules::MERGE_WITHOUT_BASE, &made.file, made.position, message));
        }
        if let Some(base) = same.iter().find(|base| base.has_string_data && behavior == "merge") {
            let message = format!("{name} merges into the stringData of {}", Printable::new(&base.file));
            findings.push(Finding::new(&rules::MERGE_LOSES_KEYS, &made.file, made.position, message));
        }
    }
}

fn count_words(text: &[u8], words: &mut HashMap<u64, usize>) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    for word in text.split(|byte| !is_word(byte)).filter(|word| (1..=253).contains(&word.len())) {
        if let Ok(word) = std::str::from_utf8(word) {
            let count: &mut usize = words.entry(mention(word)).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// One or two letters apart, or the same but for `-` and `_`.
fn is_near(one: &str, other: &str) -> bool {
    if other.len() < 4 || one.len().abs_diff(other.len()) > 2 {
        return false;
    }
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str| text.len().saturating_sub(shared);
    let tail = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    rest(one).saturating_sub(tail) <= 2 && rest(other).saturating_sub(tail) <= 2
}

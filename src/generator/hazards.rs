//! Variables that readers of dotenv files take differently, for `check`.

use std::collections::BTreeMap;

use super::dotenv::{self, Change};
use crate::secret::SecretBytes;
use crate::sops::Cleartext;
use crate::sops::store::Format;
use crate::sops::tree::{Item, Value};

/// A variable, and how it is taken differently.
pub struct Hazard {
    key: SecretBytes,
    /// Words that follow its name.
    pub words: &'static str,
    /// Whether the value is lost or replaced; else it only loses its quotes or escapes, as many want.
    pub is_loss: bool,
}

impl Hazard {
    /// Whether it is about the variable of that name, as a line of the file has it.
    pub fn is_about(&self, name: &str) -> bool {
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim);
        self.key.expose().as_slice() == name.as_bytes()
    }
}

/// Compares what godotenv (KSOPS) makes of a decrypted dotenv file with what is written there. Nothing for other formats
/// and for what godotenv refuses, which `render` says.
pub fn dotenv_hazards(cleartext: &Cleartext) -> Vec<Hazard> {
    if cleartext.format() != Format::Dotenv {
        return Vec::new();
    }
    let Ok(text) = cleartext.text() else { return Vec::new() };
    let Ok(variables) = dotenv::parse(text.expose()) else { return Vec::new() };
    let items = cleartext.tree().documents.iter().flat_map(|document| &document.items);
    let written: BTreeMap<&[u8], &[u8]> = items
        .filter_map(|item| match item {
            Item::Entry(entry) => match &entry.value {
                Value::Str(value) => Some((plain_name(&entry.key).as_bytes(), value.expose().as_slice())),
                _ => None,
            },
            Item::Comment(_) => None,
        })
        .collect();
    variables
        .into_iter()
        .filter_map(|variable| {
            let (words, is_loss) = match variable.change {
                Some(Change::Comment) => {
                    ("holds ' #': KSOPS drops the rest of the line, sops and docker keep it", true)
                }
                Some(Change::Expansion) => {
                    ("holds '$' and a name: KSOPS puts another variable there, sops and docker keep it", true)
                }
                None => {
                    let literal = written.get(variable.key.as_slice())?;
                    if *literal == variable.value.expose().as_slice() {
                        return None;
                    }
                    ("has quotes, escapes or blanks: KSOPS takes them away, sops and docker keep them", false)
                }
            };
            Some(Hazard { key: SecretBytes::new(variable.key), words, is_loss })
        })
        .collect()
}

fn plain_name(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix("export ").map_or(name, str::trim)
}

//! Tags in front of nodes.

use super::page::Page;
use crate::yaml::{Kind, Node, ScalarStyle};

/// The tag that is written before a node.
pub(super) struct Tag<'n> {
    handle: &'static str,
    suffix: &'n str,
}

impl<'n> Tag<'n> {
    pub fn of(node: &'n Node) -> Option<Self> {
        let tag = match node.tag.as_deref() {
            Some("" | "!") | None => {
                // yaml.v3 tags a plain `<<` when it reads or makes the node.
                let is_merge = matches!(&node.kind, Kind::Scalar(text, ScalarStyle::Plain) if text == "<<");
                return is_merge.then_some(Tag { handle: "!!", suffix: "merge" });
            }
            Some(tag) => tag,
        };
        let core = tag.strip_prefix("!!").or_else(|| tag.strip_prefix("tag:yaml.org,2002:"));
        Some(match (core, tag.strip_prefix('!')) {
            (Some(suffix), _) => Tag { handle: "!!", suffix },
            (None, Some(suffix)) => Tag { handle: "!", suffix },
            (None, None) => Tag { handle: "", suffix: tag },
        })
    }

    pub fn len(&self) -> usize {
        self.handle.len() + self.suffix.len()
    }
}

impl Page {
    pub fn write_tag(&mut self, node: &Node) {
        let Some(Tag { handle, suffix }) = Tag::of(node) else { return };
        self.write_space();
        if handle.is_empty() {
            self.put_str("!<");
            self.put_tag_suffix(suffix);
            self.put('>');
        } else {
            self.put_str(handle);
            self.put_tag_suffix(suffix);
        }
        self.write_closing("");
    }

    fn put_tag_suffix(&mut self, suffix: &str) {
        let mut buffer = [0; 4];
        for c in suffix.chars() {
            if c.is_ascii_alphanumeric() || "-_;/?:@&=+$,.~*'()[]".contains(c) {
                self.put(c);
                continue;
            }
            for byte in c.encode_utf8(&mut buffer).bytes() {
                self.put_str(&format!("%{byte:02X}"));
            }
        }
    }
}

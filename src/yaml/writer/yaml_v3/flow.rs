//! Collections within `[]` and `{}`.

use super::{Collection, Place, Printer};
use crate::yaml::Node;

impl<'n> Printer<'n> {
    pub(super) fn flow_item(&mut self, item: Option<&'n Node>, mut collection: Collection<'n>, is_first: bool) {
        match item {
            Some(item) => self.announce(item, "", false),
            None => self.announce_end(&collection, ""),
        }
        if is_first {
            self.page.write_opening("[");
            self.enter(&mut collection, true);
        }
        let Some(item) = item else {
            self.flow_level = self.flow_level.saturating_sub(1);
            self.page.indent = collection.outer_indent;
            if self.page.is_at_line_start() {
                self.page.write_indent();
            }
            self.page.write_closing("]");
            self.write_end_comments();
            return;
        };
        self.write_comma_between(&collection, is_first);
        self.write_head_comment();
        if self.page.is_at_line_start() {
            self.page.write_indent();
        }
        collection.has_comma = self.comments.has_trailing();
        self.open.push(collection);
        self.begin(item, Place::Other, false);
        if self.comments.has_trailing() {
            self.page.write_closing(",");
        }
        self.write_end_comments();
    }

    pub(super) fn flow_key(&mut self, mut collection: Collection<'n>, is_first: bool) {
        let key = self.next_key(&mut collection);
        if is_first {
            self.page.write_opening("{");
            self.enter(&mut collection, true);
        }
        let Some((key, is_simple)) = key else {
            let comments = &self.comments;
            let has_comments = !(comments.head.is_empty() && comments.foot.is_empty() && comments.tail.is_empty());
            if has_comments && !is_first && !collection.has_comma {
                self.page.write_closing(",");
            }
            self.write_head_comment();
            self.flow_level = self.flow_level.saturating_sub(1);
            self.page.indent = collection.outer_indent;
            self.page.write_closing("}");
            self.write_end_comments();
            return;
        };
        self.write_comma_between(&collection, is_first);
        self.write_head_comment();
        if self.page.is_at_line_start() {
            self.page.write_indent();
        }
        if !is_simple {
            self.page.write_word("?");
        }
        self.open.push(collection);
        self.begin(key, if is_simple { Place::SimpleKey } else { Place::Other }, true);
    }

    pub(super) fn flow_value(&mut self, value: &'n Node, is_simple: bool, mut collection: Collection<'n>) {
        self.announce(value, "", false);
        if is_simple {
            self.page.write_closing(":");
        } else {
            self.page.write_word(":");
        }
        collection.has_comma = self.comments.has_trailing();
        self.open.push(collection);
        self.begin(value, Place::Other, false);
        if self.comments.has_trailing() {
            self.page.write_closing(",");
        }
        self.write_end_comments();
    }

    fn write_comma_between(&mut self, collection: &Collection<'n>, is_first: bool) {
        if !is_first && !collection.has_comma {
            self.page.write_closing(",");
        }
    }
}

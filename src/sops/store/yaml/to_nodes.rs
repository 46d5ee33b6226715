//! Tree to nodes: `appendTreeBranch` and `appendSequence` of sops.

use crate::sops::tree::{Branch, Comment, Item, Value};
use crate::yaml::{CollectionStyle, Comments, Document, Kind, Node};

/// A branch as a document.
pub(super) fn document(branch: &Branch) -> Document {
    Document { root: mapping(branch), comments: Comments::default() }
}

fn mapping(branch: &Branch) -> Node {
    let mut waiting = Waiting::default();
    let mut comments = Comments::default();
    let mut entries: Vec<(Node, Node)> = Vec::with_capacity(branch.items.len());
    for item in &branch.items {
        match item {
            Item::Comment(comment) => waiting.push(comment),
            Item::Entry(entry) => {
                if entries.is_empty() {
                    add_head(&mut comments, &mut waiting.head);
                }
                let (mut key, mut value) = (Node::from_str_like_go(&entry.key), node(&entry.value));
                edit_comments(&mut key, |comments| add_head(comments, &mut waiting.head));
                edit_comments(&mut value, |comments| add_line(comments, &mut waiting.inline));
                entries.push((key, value));
            }
        }
    }
    match entries.last_mut() {
        Some((key, _)) => edit_comments(key, |comments| add_foot(comments, waiting.rest())),
        None => add_head(&mut comments, &mut waiting.rest()),
    }
    with_comments(Kind::Mapping(entries, CollectionStyle::Block), comments)
}

fn sequence(list: &[Value]) -> Node {
    let mut waiting = Waiting::default();
    let mut comments = Comments::default();
    let mut elements: Vec<Node> = Vec::with_capacity(list.len());
    for value in list {
        if let Value::Comment(comment) = value {
            waiting.push(comment);
            continue;
        }
        if elements.is_empty() {
            add_head(&mut comments, &mut waiting.head);
        }
        let mut element = node(value);
        edit_comments(&mut element, |comments| add_head(comments, &mut waiting.head));
        edit_comments(&mut element, |comments| add_line(comments, &mut waiting.inline));
        elements.push(element);
    }
    match elements.last_mut() {
        Some(element) => edit_comments(element, |comments| add_foot(comments, waiting.rest())),
        None => add_head(&mut comments, &mut waiting.rest()),
    }
    with_comments(Kind::Sequence(elements, CollectionStyle::Block), comments)
}

fn node(value: &Value) -> Node {
    match value {
        Value::Bool(value) => Node::from_bool_like_go(*value),
        Value::Branch(branch) => mapping(branch),
        // A comment outside of a list is no value, and no store makes one.
        Value::Comment(_) | Value::Null => Node::null_like_go(),
        Value::Float(value) => Node::from_float_like_go(*value),
        Value::Int(value) => Node::from_int_like_go(*value),
        Value::List(list) => sequence(list),
        Value::Str(text) => Node::from_bytes_like_go(text.expose()),
        Value::Time(time) => Node::from_time_like_go(time),
    }
}

fn with_comments(kind: Kind, comments: Comments) -> Node {
    let mut node = Node { kind, ..Node::default() };
    edit_comments(&mut node, |own| *own = comments);
    node
}

/// Changes a node's comments; a node without any keeps none.
fn edit_comments(node: &mut Node, edit: impl FnOnce(&mut Comments)) {
    let mut comments = node.comments.take().unwrap_or_default();
    edit(&mut comments);
    node.comments = (*comments != Comments::default()).then_some(comments);
}

/// Comments that no node has taken yet.
#[derive(Default)]
struct Waiting {
    head: Vec<String>,
    inline: Vec<String>,
}

impl Waiting {
    fn push(&mut self, comment: &Comment) {
        let text = String::from_utf8_lossy(comment.text.expose()).into_owned();
        if comment.is_inline { self.inline.push(text) } else { self.head.push(text) }
    }

    /// Everything, after the last entry.
    fn rest(&mut self) -> Vec<String> {
        let mut rest = std::mem::take(&mut self.head);
        rest.append(&mut self.inline);
        rest
    }
}

fn add_head(comments: &mut Comments, texts: &mut Vec<String>) {
    if let Some(mut head) = take_joined(texts) {
        if !comments.head.is_empty() {
            head.push('\n');
            head.push_str(&comments.head);
        }
        comments.head = head;
    }
}

fn add_line(comments: &mut Comments, texts: &mut Vec<String>) {
    if let Some(line) = take_joined(texts) {
        append(&mut comments.line, &line);
    }
}

fn add_foot(comments: &mut Comments, mut texts: Vec<String>) {
    if let Some(foot) = take_joined(&mut texts) {
        append(&mut comments.foot, &foot);
    }
}

fn append(to: &mut String, text: &str) {
    if !to.is_empty() {
        to.push('\n');
    }
    to.push_str(text);
}

fn take_joined(texts: &mut Vec<String>) -> Option<String> {
    let texts = std::mem::take(texts);
    (!texts.is_empty()).then(|| format!("#{}", texts.join("\n#")))
}

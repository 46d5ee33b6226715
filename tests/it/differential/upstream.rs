//! Bugs of sops' printer (yaml.v3) and of its lists, which we do not copy: what sops 3.13.3 prints for some values does not
//! say what the file holds. KSOPS puts such text into Secrets.

/// Whether two texts differ only where sops' printer is wrong.
///
/// * A multi-line string that starts with a blank or a line break, inside a list, gets the indentation digit 4 beside
///   an indentation of 2: read back, it is another string or an error.
/// * A multi-line string that starts with a tab becomes `null`.
pub fn is_misprint(ours: &[u8], theirs: &[u8]) -> bool {
    let (ours, theirs) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
    let (ours, theirs): (Vec<_>, Vec<_>) = (content(&ours).collect(), content(&theirs).collect());
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| is_same_line(ours, theirs))
}

/// The lines. sops turns empty comments of lists into empty elements: where there are any, both are left out, and so are
/// the dashes, whose place they change.
fn content(text: &str) -> impl Iterator<Item = &str> {
    let bare = |line: &str| line.trim_start_matches([' ', '-']).to_owned();
    let has_empty = text.lines().any(|line| matches!(bare(line).as_str(), "#" | "\"\""));
    let lines = text.lines().map(move |line| if has_empty { line.trim_start_matches([' ', '-']) } else { line });
    lines.filter(move |line| !has_empty || !matches!(*line, "#" | "\"\""))
}

fn is_same_line(ours: &str, theirs: &str) -> bool {
    let is_null = || {
        let start = theirs.strip_suffix("null");
        start.is_some_and(|start| ours.strip_prefix(start).is_some_and(|value| value.starts_with("\"\\t")))
    };
    ours == theirs || ours == theirs.replace("|4", "|2") || is_null()
}

#[test]
fn misprints_are_told_from_other_differences() {
    assert!(is_misprint(b"a:\n    - |2-\n\n      x\n", b"a:\n    - |4-\n\n      x\n"));
    assert!(is_misprint(b"a: \"\\tx\\ny\"\n", b"a: null\n"));
    assert!(is_misprint(b"a:\n    #\n    - b: 1\n", b"a:\n    - \"\"\n    - b: 1\n"));
    assert!(!is_misprint(b"a: 1\n", b"a: null\n"));
    assert!(!is_misprint(b"a: |2\n    x\n", b"a: |3\n    x\n"));
}

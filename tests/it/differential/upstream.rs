//! Bugs of sops' printer (yaml.v3), which we do not copy: what sops 3.13.3 prints for some values does not
//! say what the file holds. KSOPS puts such text into Secrets.

/// Whether two texts differ only where sops' printer is wrong.
///
/// * A multi-line string that starts with a blank or a line break, inside a list, gets the indentation digit 4 beside
///   an indentation of 2: read back, it is another string or an error.
/// * A multi-line string that starts with a tab becomes `null`.
pub fn is_misprint(ours: &[u8], theirs: &[u8]) -> bool {
    let (ours, theirs) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| is_same_line(ours, theirs))
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
    assert!(!is_misprint(b"a: 1\n", b"a: null\n"));
    assert!(!is_misprint(b"a: |2\n    x\n", b"a: |3\n    x\n"));
}

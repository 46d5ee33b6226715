//! Bugs of sops' printer (yaml.v3), which we do not copy: what sops 3.13.3 prints for some values does not
//! say what the file holds. KSOPS puts such text into Secrets.

/// Whether two texts differ only where sops' printer is wrong.
///
/// * A multi-line string that starts with a blank or a line break, inside a list, gets the indentation digit 4 beside
///   an indentation of 2: read back, it is another string or an error.
/// * A multi-line string that starts with a tab becomes `null`, as a key too.
pub fn is_misprint(ours: &[u8], theirs: &[u8]) -> bool {
    let (ours, theirs) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
    let mut ours = ours.lines();
    let is_same = theirs.lines().all(|theirs| {
        let Some(line) = ours.next() else { return false };
        if line == theirs || line == theirs.replace("|4", "|2") {
            return true;
        }
        let value = |wrong| theirs.strip_suffix(wrong).and_then(|start| line.strip_prefix(start));
        if value("null").is_some_and(|value| value.starts_with("\"\\t")) {
            return true;
        }
        let Some((indent, rest)) = theirs.split_once("null:") else { return false };
        let is_key = line.strip_prefix(indent).is_some_and(|key| key.starts_with("? \"\\t"));
        is_key && ours.next().is_some_and(|line| line.trim_start() == format!(":{rest}"))
    });
    is_same && ours.next().is_none()
}

#[test]
fn misprints_are_told_from_other_differences() {
    assert!(is_misprint(b"a:\n    - |2-\n\n      x\n", b"a:\n    - |4-\n\n      x\n"));
    assert!(is_misprint(b"a: \"\\tx\\ny\"\n", b"a: null\n"));
    assert!(is_misprint(b"? \"\\tx\\ny\"\n: 1\n", b"null: 1\n"));
    assert!(!is_misprint(b"a: 1\nb: 2\n", b"a: 1\n"));
    assert!(!is_misprint(b"a: 1\n", b"a: null\n"));
    assert!(!is_misprint(b"a: |2\n    x\n", b"a: |3\n    x\n"));
}

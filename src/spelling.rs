//! What a misspelt name was meant to be.

/// The known name that is at most two typing errors away; letter case, `-` and `_` do not count.
pub fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let name = plain(name);
    if name.len() > 40 {
        return None;
    }
    known
        .iter()
        .map(|candidate| (distance(name.as_bytes(), plain(candidate).as_bytes()), *candidate))
        .filter(|&(distance, candidate)| distance <= 2 && 2 * distance <= candidate.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, l) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (r, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(l != r)).min(before + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            before = best;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = ["projects", "repositories", "paths", "age"];
        for (name, want) in [
            ("project", Some("projects")),
            ("Repositories", Some("repositories")),
            ("repositorys", Some("repositories")),
            ("repositores", Some("repositories")),
            ("path", Some("paths")),
            ("aeg", None),
            ("namespace", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), want, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(100), &known), None);
    }
}

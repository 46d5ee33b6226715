//! Makes what shows a disagreement smaller while it still does.

use std::time::{Duration, Instant};

use crate::oracle::Options;

/// Takes away lines, then shorter and shorter pieces.
pub fn text(text: &[u8], mut shows_it: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(8);
    let mut smallest = text.to_vec();
    let mut length = smallest.len();
    loop {
        let before = smallest.len();
        let mut at = 0;
        while at < smallest.len() {
            if Instant::now() > deadline {
                return smallest;
            }
            // Whole lines first.
            let end = if length > 64 {
                let end = (at + length).min(smallest.len());
                end + smallest[end..].iter().position(|&byte| byte == b'\n').map_or(0, |rest| rest + 1)
            } else {
                (at + length).min(smallest.len())
            };
            let smaller = [&smallest[..at], &smallest[end..]].concat();
            if shows_it(&smaller) {
                smallest = smaller;
            } else {
                at = end;
            }
        }
        if length > 1 {
            length /= 2;
        } else if smallest.len() == before {
            return smallest;
        }
    }
}

/// Leaves out one option after the other.
pub fn options(options: &Options, mut shows_it: impl FnMut(&Options) -> bool) -> Options {
    let plainer: [fn(&mut Options); 8] = [
        |options| options.groups = vec![vec![options.groups[0][0].clone()]],
        |options| options.mac_only_encrypted = false,
        |options| options.unencrypted_suffix.clear(),
        |options| options.encrypted_suffix.clear(),
        |options| options.unencrypted_regex.clear(),
        |options| options.encrypted_regex.clear(),
        |options| options.unencrypted_comment_regex.clear(),
        |options| options.encrypted_comment_regex.clear(),
    ];
    let mut plainest = options.clone();
    for change in plainer {
        let mut candidate = plainest.clone();
        change(&mut candidate);
        if candidate != plainest && shows_it(&candidate) {
            plainest = candidate;
        }
    }
    plainest
}

#[test]
fn finds_the_byte_that_matters() {
    let long = format!("{}needle{}", "hay\n".repeat(500), "straw\n".repeat(300));
    let found = text(long.as_bytes(), |text| text.windows(2).any(|pair| pair == b"ee"));
    assert_eq!(found, b"ee");
}

//! Clocks that are wrong: when a request was signed, and what a service answers that thinks it is another time.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Seconds since 1970, so many from now.
pub fn now(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    now.saturating_add_signed(seconds)
}

/// Whether a time like `20261123T151344Z` is more than five minutes from that of a clock so many seconds ahead of ours.
pub fn is_skewed(time: &str, ahead: i64) -> bool {
    if time.is_empty() {
        return false;
    }
    let number = |from: usize, to: usize| time.get(from..to).and_then(|text| text.parse::<i64>().ok()).expect("a time");
    let days = days_since_1970(number(0, 4), number(4, 6), number(6, 8));
    let seconds = ((days * 24 + number(9, 11)) * 60 + number(11, 13)) * 60 + number(13, 15);
    now(ahead).abs_diff(u64::try_from(seconds).expect("after 1970")) > 300
}

/// When the assertion in a form was issued, in seconds since 1970.
pub fn time_of_assertion(form: &[u8]) -> Option<u64> {
    let form = std::str::from_utf8(form).ok()?;
    let assertion = form.split('&').find_map(|field| field.split_once("assertion=").map(|(_, value)| value))?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<serde_json::Value>(&claims).ok()?["iat"].as_u64()
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = if month > 2 { month - 3 } else { month + 9 };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// As in the header `Date`.
pub fn http_date(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).expect("a date");
    let year = (1970..).find(|year| days_since_1970(year + 1, 1, 1) > days).expect("a year");
    let month = (1..=12).rev().find(|month| days_since_1970(year, *month, 1) <= days).expect("a month");
    let day = days - days_since_1970(year, month, 1) + 1;
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).expect("small")];
    let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [usize::try_from(month - 1).expect("small")];
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[test]
fn dates_are_those_of_the_standards() {
    assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(days_since_1970(2000, 2, 29), 11_016);
    let seconds = i64::try_from(now(0)).expect("a time");
    assert!(is_skewed("19941106T084937Z", 0));
    assert!(!is_skewed("19941106T084937Z", 784_111_777 - seconds));
}

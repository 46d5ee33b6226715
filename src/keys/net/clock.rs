//! Whether this machine's clock is right, as far as the `Date` of an answer tells. Signed assertions are refused where it
//! is not, and the services' codes for that say many other things too.

use std::time::SystemTime;

/// Difference from which on services refuse an assertion, in seconds: Google and Entra allow five minutes.
const ALLOWED: u64 = 300;

/// The next step where the clocks differ too much; `date` is the header of a refusal.
#[expect(clippy::disallowed_methods, reason = "compared with another clock; no output of a success depends on it")]
pub(in crate::keys) fn clock_hint(date: Option<&str>) -> Option<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    hint(date?, now)
}

fn hint(date: &str, now: u64) -> Option<String> {
    let theirs = parse(date)?;
    let difference = theirs.abs_diff(now);
    let side = if now > theirs { "ahead of" } else { "behind" };
    (difference > ALLOWED)
        .then(|| format!("set the clock of this machine: it is {} minutes {side} that of the service", difference / 60))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn parse(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut fields = date.split(' ').skip(1);
    let number = |field: Option<&str>| field.filter(|field| field.len() <= 4)?.parse::<u64>().ok();
    let day = number(fields.next())?;
    let name = fields.next()?;
    let month = u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()?;
    let year = number(fields.next())?;
    let mut time = fields.next()?.split(':');
    let (hour, minute, second) = (number(time.next())?, number(time.next())?, number(time.next())?);
    // Years that begin in March have the odd day at their end.
    let (year, month) = if month < 2 { (year.checked_sub(1)?, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 + year / 400 + (153 * month + 2) / 5 + day;
    let days = days.checked_sub(year / 100)?.checked_sub(719_469)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_date_of_an_answer() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse("Tue, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600));
        for nonsense in
            ["", "now", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 99999999999 08:49:37", "x 1 Jan 1 1:1:1"]
        {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn names_the_side_and_keeps_still_about_little() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(hint(date, 784_111_777 + 299), None);
        let ahead = hint(date, 784_111_777 + 3600).unwrap();
        assert!(ahead.contains("60 minutes ahead of"), "{ahead}");
        let behind = hint(date, 784_111_777 - 3600).unwrap();
        assert!(behind.contains("60 minutes behind"), "{behind}");
    }
}

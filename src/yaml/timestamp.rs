//! Points in time, as Go's `time.Time` reads and prints them.

/// A date and time with its offset from UTC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Year, 0 to 9999.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Nanosecond.
    pub nanosecond: u32,
    /// Offset from UTC in minutes; 0 prints as `Z`.
    pub offset_minutes: i16,
}

impl Timestamp {
    /// Reads RFC 3339 as Go `time.Parse(time.RFC3339, …)` does, for `lastmodified` and `type:time`.
    ///
    /// Go is a little wider than the RFC: an hour of one digit, a comma before the fraction, offsets up to 24:60. So is
    /// Go's `UnmarshalText`, whose strict mode is switched off (golang/go#54580).
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        Layout { separator: b'T', has_short_fields: false, zone: true }.parse(text)
    }

    /// Reads the forms that yaml.v3 takes for a timestamp (`resolve.go`, `parseTimestamp`).
    pub fn parse_yaml(text: &str) -> Option<Self> {
        let leading_digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if leading_digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
            return None;
        }
        let date_and_time = |separator, zone| Layout { separator, has_short_fields: true, zone }.parse(text);
        date_and_time(b'T', true)
            .or_else(|| date_and_time(b't', true))
            .or_else(|| date_and_time(b' ', false))
            .or_else(|| Self::parse_date(text))
    }

    /// RFC 3339 with up to nine fractional digits, trailing zeros trimmed (Go `time.RFC3339Nano`, `MarshalText`).
    pub fn rfc3339_nano(&self) -> String {
        self.format(true)
    }

    /// RFC 3339 to the second (Go `time.RFC3339`): additional data of the MAC.
    pub fn rfc3339(&self) -> String {
        self.format(false)
    }

    fn parse_date(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let date = rest.date(true)?;
        (rest.0.is_empty() && date.is_on_calendar()).then_some(date)
    }

    /// Gregorian calendar, also before 1582 as in Go.
    fn is_on_calendar(&self) -> bool {
        let is_leap_year =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            2 if is_leap_year => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=days).contains(&self.day)
    }

    fn format(&self, with_fraction: bool) -> String {
        let Self { year, month, day, hour, minute, second, nanosecond, offset_minutes } = *self;
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if with_fraction && nanosecond != 0 {
            let fraction = format!(".{nanosecond:09}");
            text.push_str(fraction.trim_end_matches('0'));
        }
        if offset_minutes == 0 {
            text.push('Z');
        } else {
            let sign = if offset_minutes < 0 { '-' } else { '+' };
            let minutes = offset_minutes.unsigned_abs();
            text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        text
    }
}

/// A date with a time, written in one of the ways that Go layouts describe.
struct Layout {
    /// Between date and time; a blank stands for one or more.
    separator: u8,
    /// Month, day, minute and second may have one digit (the hour always may).
    has_short_fields: bool,
    /// `Z` or an offset ends the text; otherwise the time is UTC.
    zone: bool,
}

impl Layout {
    fn parse(&self, text: &str) -> Option<Timestamp> {
        let mut rest = Rest(text.as_bytes());
        let mut time = rest.date(self.has_short_fields)?;
        rest.expect(self.separator)?;
        if self.separator == b' ' {
            while rest.0.first() == Some(&b' ') {
                rest.expect(b' ')?;
            }
        }
        time.hour = rest.number(true, 0, 23)?;
        rest.expect(b':')?;
        time.minute = rest.number(self.has_short_fields, 0, 59)?;
        rest.expect(b':')?;
        time.second = rest.number(self.has_short_fields, 0, 59)?;
        time.nanosecond = rest.fraction();
        if self.zone {
            time.offset_minutes = rest.zone()?;
        }
        (rest.0.is_empty() && time.is_on_calendar()).then_some(time)
    }
}

/// The text not yet read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        (first == byte).then_some(())
    }

    fn digit(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        let digit = first.is_ascii_digit().then(|| first - b'0')?;
        self.0 = rest;
        Some(digit)
    }

    /// Two digits, or one where `may_be_short` and no second digit follows.
    fn number(&mut self, may_be_short: bool, min: u8, max: u8) -> Option<u8> {
        let first = self.digit()?;
        let number = match self.digit() {
            Some(second) => first * 10 + second,
            None if may_be_short => first,
            None => return None,
        };
        (min..=max).contains(&number).then_some(number)
    }

    fn date(&mut self, may_be_short: bool) -> Option<Timestamp> {
        let mut year = 0;
        for _ in 0..4 {
            year = year * 10 + u16::from(self.digit()?);
        }
        self.expect(b'-')?;
        let month = self.number(may_be_short, 1, 12)?;
        self.expect(b'-')?;
        // The calendar bounds the day once the whole text is read.
        let day = self.number(may_be_short, 0, 99)?;
        Some(Timestamp { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0, offset_minutes: 0 })
    }

    /// `.` or `,` and digits, of which nine count; without any, zero.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else { return 0 };
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return 0;
        }
        let (digits, rest) = digits.split_at(count);
        self.0 = rest;
        let nine = digits.iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0)).take(9);
        nine.fold(0, |sum, digit| sum * 10 + digit)
    }

    fn zone(&mut self) -> Option<i16> {
        let (&sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let direction = match sign {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        // Go allows the two bounds themselves, as some people write them.
        let hours = i16::from(self.number(false, 0, 24)?);
        self.expect(b':')?;
        let minutes = i16::from(self.number(false, 0, 60)?);
        Some(direction * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nano(time: Option<Timestamp>) -> Option<String> {
        time.map(|time| time.rfc3339_nano())
    }

    #[test]
    fn reads_rfc3339_as_go_does() {
        for (text, want) in [
            ("2024-01-02T03:04:05Z", Some("2024-01-02T03:04:05Z")),
            ("2024-01-02T03:04:05+00:00", Some("2024-01-02T03:04:05Z")),
            ("2024-01-02T03:04:05.120Z", Some("2024-01-02T03:04:05.12Z")),
            ("2024-01-02T03:04:05.1234567899-05:30", Some("2024-01-02T03:04:05.123456789-05:30")),
            ("2024-01-02T3:04:05,5Z", Some("2024-01-02T03:04:05.5Z")),
            ("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("2023-02-29T00:00:00Z", None),
            ("2024-1-02T03:04:05Z", None),
            ("2024-01-02t03:04:05Z", None),
            ("2024-01-02 03:04:05Z", None),
            ("2024-01-02T03:04:60Z", None),
            ("2024-01-02T24:04:00Z", None),
            ("2024-01-02T03:04:05", None),
            ("2024-01-02T03:04:05Z ", None),
            ("2024-01-02T03:04:05.Z", None),
            ("", None),
        ] {
            assert_eq!(nano(Timestamp::parse_rfc3339(text)).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn reads_the_forms_of_yaml() {
        for (text, want) in [
            ("2001-12-14", Some("2001-12-14T00:00:00Z")),
            ("2001-1-2", Some("2001-01-02T00:00:00Z")),
            ("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.1-05:00")),
            ("2001-12-14 21:59:43.10", Some("2001-12-14T21:59:43.1Z")),
            ("2001-12-14   1:2:3", Some("2001-12-14T01:02:03Z")),
            ("2001-12-14 21:59:43.10 -5", None),
            ("2001-12-14 21:59:43Z", None),
            ("2001-12-32", None),
            ("2024-04-31", None),
            ("2024-06-30", Some("2024-06-30T00:00:00Z")),
            ("2001-0-1", None),
            ("2001-1-0", None),
            ("01-12-14", None),
            ("20011-12-14", None),
        ] {
            assert_eq!(nano(Timestamp::parse_yaml(text)).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn prints_seconds_without_fraction() {
        let time = Timestamp::parse_rfc3339("2024-01-02T03:04:05.9+02:00").map(|time| time.rfc3339());
        assert_eq!(time.as_deref(), Some("2024-01-02T03:04:05+02:00"));
    }
}

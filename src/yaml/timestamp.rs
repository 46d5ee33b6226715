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
    /// Reads strict RFC 3339 (Go `time.Parse(time.RFC3339, …)`, as for `lastmodified` and `type:time`).
    pub fn parse_rfc3339(_text: &str) -> Option<Self> {
        unimplemented!()
    }

    /// Reads the forms that yaml.v3 takes for a timestamp (`yaml/resolve.go`, `parseTimestamp`).
    pub fn parse_yaml(_text: &str) -> Option<Self> {
        unimplemented!()
    }

    /// RFC 3339 with up to nine fractional digits, trailing zeros trimmed (Go `time.RFC3339Nano`, `MarshalText`).
    pub fn rfc3339_nano(&self) -> String {
        unimplemented!()
    }

    /// RFC 3339 to the second (Go `time.RFC3339`): additional data of the MAC.
    pub fn rfc3339(&self) -> String {
        unimplemented!()
    }
}

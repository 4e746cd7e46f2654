//! Points in time as captures give them.

use serde::{Serialize, Serializer};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. Displays as RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A point in time from nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date and time.
    ///
    /// # Errors
    /// The text of `jiff`'s error where `text` is no RFC 3339 time or out of range.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        i64::try_from(parsed.as_nanosecond()).map(Self).map_err(|_| "time out of range".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Civil date from days, Hinnant's algorithm; a general formatter costs ten times as much per line of output.
        let micros = self.0.div_euclid(1_000);
        let (days, of_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
        if let Ok(year @ 0..=9_999) = u16::try_from(year) {
            let mut text = *b"0000-00-00T00:00:00.000000Z";
            let fields = [
                (0, 4, i64::from(year)),
                (5, 7, month),
                (8, 10, day),
                (11, 13, seconds / 3_600),
                (14, 16, seconds / 60 % 60),
                (17, 19, seconds % 60),
                (20, 26, micros),
            ];
            for (start, end, mut left) in fields {
                for digit in text[start..end].iter_mut().rev() {
                    *digit = b'0' + (left % 10) as u8;
                    left /= 10;
                }
            }
            return f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?);
        }
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_time_is_shown_as_it_is_read() {
        for text in ["1970-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z", "1969-12-31T23:59:59.500000Z"] {
            assert_eq!(Timestamp::parse(text).map(|t| t.to_string()), Ok(text.to_owned()));
        }
    }
}

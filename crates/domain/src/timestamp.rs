//! Points in time, in the service's own spelling.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time: microseconds since the Unix epoch, UTC.
///
/// Written as the cloud service writes it: RFC 3339, `Z`, seven fractional digits (MicrosoftDocs/azure-docs:
/// articles/iot-dps/concepts-custom-allocation.md). The seventh digit is always 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved by `millis`; saturates.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000)))
    }

    /// The month as `YYYY-MM`, the unit in which operations are metered.
    pub fn month(self) -> String {
        let date = self.to_date_time();
        format!("{:04}-{:02}", date.year(), u8::from(date.month()))
    }

    /// The spelling of HTTP dates, for example `Sat, 31 Dec 2039 23:59:59 GMT` (RFC 9110 section 5.6.7), as Azure Resource Manager
    /// writes dates of certificates.
    pub fn http_date(self) -> String {
        let d = self.to_date_time();
        let (day, month) = (d.weekday().to_string(), d.month().to_string());
        let (day, month) = (day.get(..3).unwrap_or_default(), month.get(..3).unwrap_or_default());
        format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", d.day(), d.year(), d.hour(), d.minute(), d.second())
    }

    fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.to_date_time();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}0Z",
            d.year(),
            u8::from(d.month()),
            d.day(),
            d.hour(),
            d.minute(),
            d.second(),
            d.microsecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        i64::try_from(parsed.unix_timestamp_nanos() / 1_000).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn is_written_with_seven_digits_and_read_back() {
        let t = Timestamp::from_micros(1_657_056_436_812_323);
        let text = serde_json::to_string(&t).unwrap();
        assert_eq!(text, "\"2022-07-05T21:27:16.8123230Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), t);
        assert_eq!(t.month(), "2022-07");
    }

    #[test]
    fn http_dates_are_spelled_as_http_does() {
        assert_eq!(Timestamp::from_secs(2_208_988_799).http_date(), "Sat, 31 Dec 2039 23:59:59 GMT");
    }

    #[test]
    fn extremes_do_not_panic() {
        assert!(!Timestamp::from_micros(i64::MAX).to_string().is_empty());
        assert!(!Timestamp::from_micros(i64::MIN).to_string().is_empty());
    }
}

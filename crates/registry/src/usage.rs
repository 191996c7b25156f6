//! The meter: how many operations a service has done, by calendar month (UTC).
//!
//! The cloud bills a device's registration and every call of the service API; polls, a device's look-up of its registration and the
//! management API are free (MicrosoftDocs/azure-docs: articles/iot-dps/about-iot-dps.md, "Billable service operations and pricing"). A
//! counter is added to in the same commit as the change that it counts, so that nothing is counted twice or missed, whatever crashes.

use usher_domain::Timestamp;
use usher_records::RecordError;
use usher_store::{Key, Op};

use crate::{Registry, spaces};

/// Months told in one go.
const MONTHS_MAX: usize = 36;

impl Registry {
    /// Counts one operation at `now`, as part of a commit.
    pub fn meter(&self, now: Timestamp) -> Op {
        Op::Add { key: self.month_key(&now.month()), delta: 1 }
    }

    /// The operations of a month, given as `YYYY-MM`.
    pub async fn usage(&self, month: &str) -> Result<i64, RecordError> {
        self.vault.counter(&self.month_key(month)).await
    }

    /// The operations of the last `count` months (at most 36), the month of `now` first.
    pub async fn usage_by_months(&self, now: Timestamp, count: usize) -> Result<Vec<(String, i64)>, RecordError> {
        let mut months = Vec::new();
        let mut month = now.month();
        for _ in 0..count.min(MONTHS_MAX) {
            let used = self.usage(&month).await?;
            let earlier = month_before(&month);
            months.push((month, used));
            month = earlier;
        }
        Ok(months)
    }

    fn month_key(&self, month: &str) -> Key {
        self.vault.key(spaces::USAGE, month)
    }
}

fn month_before(month: &str) -> String {
    let (year, number) = month.split_once('-').unwrap_or((month, "1"));
    let (year, number): (i32, u8) = (year.parse().unwrap_or(1970), number.parse().unwrap_or(1));
    if number > 1 { format!("{year:04}-{:02}", number - 1) } else { format!("{:04}-12", year.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_count_back_over_the_year() {
        assert_eq!(month_before("2026-11"), "2026-10");
        assert_eq!(month_before("2026-01"), "2025-12");
    }
}

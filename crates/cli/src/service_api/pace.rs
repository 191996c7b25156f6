//! When to ask again. A refusal for its rate makes everybody wait who shares the client, for as long as the service says.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;
use usher_outbound::OutboundError;

use super::Answer;

/// How long a command keeps trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries after a request that is told "later" (429 or 503).
    later: u32,
    /// Tries after a request that got no answer.
    lost: u32,
}

impl Patience {
    /// Of a command with one request: throttling is waited out a few times. What got no answer is told, since it may have been done.
    pub const OF_ONE: Self = Self { later: 3, lost: 0 };
    /// Of long work, which may all be sent twice: what was done already is told as a conflict and compared. The pauses after lost
    /// answers make about a minute, in which a server restarts; those that services name, many more.
    pub const OF_MANY: Self = Self { later: 60, lost: 8 };
}

/// The first pause where the service tells none; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause of our own choice.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Shared by all requests of a client.
#[derive(Default)]
pub struct Pace {
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits until the service wants to be asked again.
    pub async fn wait(&self) {
        let until = *self.not_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// The pause before an answered request is sent again; `None` where its answer stands.
    pub fn pause_after(&self, patience: Patience, tries: u32, answer: &Answer) -> Option<Duration> {
        let pause = pause_after_answer(patience, tries, answer)?;
        let until = Instant::now().checked_add(pause)?;
        let mut not_before = self.not_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
        Some(pause)
    }
}

fn pause_after_answer(patience: Patience, tries: u32, answer: &Answer) -> Option<Duration> {
    let later = matches!(answer.status, 429 | 503) && tries < patience.later;
    later.then(|| answer.retry_after.unwrap_or_else(|| backed_off(tries)))
}

/// The pause before a request is sent again that got no answer; `None` where that would not help.
pub fn pause_after_failure(patience: Patience, tries: u32, why: &OutboundError) -> Option<Duration> {
    let passing = matches!(why, OutboundError::CannotConnect { .. } | OutboundError::TimedOut { .. } | OutboundError::Broken { .. });
    (passing && tries < patience.lost).then(|| backed_off(tries))
}

fn backed_off(tries: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << tries.min(10)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(status: u16, retry_after_s: Option<u64>) -> Answer {
        Answer { status, retry_after: retry_after_s.map(Duration::from_secs), continuation: None, body: Value::Null }
    }

    #[test]
    fn the_services_word_goes_before_our_own() {
        let pause = |tries, answer: &Answer| pause_after_answer(Patience::OF_MANY, tries, answer);
        assert_eq!(pause(0, &answer(429, Some(7))), Some(Duration::from_secs(7)));
        assert_eq!(pause(1, &answer(503, None)), Some(PAUSE_MIN * 2));
        assert_eq!(pause(20, &answer(503, None)), Some(PAUSE_MAX));
        assert_eq!(pause(60, &answer(429, Some(7))), None);
        for status in [200, 400, 409, 500] {
            assert_eq!(pause(0, &answer(status, Some(7))), None);
        }
    }

    #[test]
    fn lost_answers_are_asked_for_again_by_long_work_only() {
        let lost = OutboundError::Broken { server: "s".into(), why: "w".into() };
        assert_eq!(pause_after_failure(Patience::OF_ONE, 0, &lost), None);
        assert_eq!(pause_after_failure(Patience::OF_MANY, 0, &lost), Some(PAUSE_MIN));
        assert_eq!(pause_after_failure(Patience::OF_MANY, 8, &lost), None);
        assert_eq!(pause_after_failure(Patience::OF_MANY, 0, &OutboundError::Refused("r")), None);
    }

    #[tokio::test]
    async fn everybody_waits_for_as_long_as_one_was_told() {
        let (pace, began) = (Pace::default(), Instant::now());
        let told = |ms| Answer { retry_after: Some(Duration::from_millis(ms)), ..answer(429, None) };
        let _ = pace.pause_after(Patience::OF_MANY, 0, &told(300));
        let _ = pace.pause_after(Patience::OF_MANY, 0, &told(20));
        pace.wait().await;
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}

//! How often and how long something is tried again.

use std::time::Duration;

use tokio::time::Instant;

/// First pause.
const FIRST: Duration = Duration::from_millis(10);
/// Longest pause.
const LONGEST: Duration = Duration::from_millis(500);
/// Tries, whatever time they take: a database that refuses at once is not asked without end.
const TRIES_MAX: u32 = 60;

/// What is left of it.
pub struct Patience {
    until: Instant,
    tries: u32,
}

impl Patience {
    /// Lasts for a time.
    pub fn new(lasting: Duration) -> Self {
        Self { until: Instant::now() + lasting, tries: 0 }
    }

    /// Pauses, longer each time, and by chance, so that those who met do not meet again. False once there is none left.
    pub async fn pause(&mut self) -> bool {
        match self.next(Instant::now()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            None => false,
        }
    }

    fn next(&mut self, now: Instant) -> Option<Duration> {
        let pause = (FIRST * 2_u32.pow(self.tries.min(10))).min(LONGEST).mul_f64(chance());
        self.tries += 1;
        (self.tries <= TRIES_MAX && now + pause <= self.until).then_some(pause)
    }
}

/// From a half to one.
fn chance() -> f64 {
    let mut byte = [0_u8];
    // Without randomness all pause alike, which is only slower.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    0.5 + f64::from(byte[0]) / 512.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_time_and_by_tries() {
        let started = Instant::now();
        let (mut patience, mut now, mut pauses) = (Patience::new(Duration::from_secs(5)), started, 0);
        while let Some(pause) = patience.next(now) {
            assert!(pause <= LONGEST);
            now += pause;
            pauses += 1;
        }
        assert!(now <= started + Duration::from_secs(5) && (10..30).contains(&pauses), "{pauses}");
        let mut patience = Patience::new(Duration::from_secs(1000));
        assert_eq!(std::iter::from_fn(|| patience.next(started)).count() as u32, TRIES_MAX);
    }
}

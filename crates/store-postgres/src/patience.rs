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
        let pause = (FIRST * 2_u32.pow(self.tries.min(10))).min(LONGEST).mul_f64(chance());
        self.tries += 1;
        if self.tries > TRIES_MAX || Instant::now() + pause > self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
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

    #[tokio::test]
    async fn it_ends_in_time() {
        let (started, mut patience, mut pauses) = (Instant::now(), Patience::new(Duration::from_millis(300)), 0);
        while patience.pause().await {
            pauses += 1;
        }
        assert!(started.elapsed() < Duration::from_millis(600) && pauses >= 3, "{pauses} in {:?}", started.elapsed());
    }
}

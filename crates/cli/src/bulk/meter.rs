//! What is told of long work while it runs.

use std::time::Duration;

/// The bar's width, in characters.
const BAR_CHARS: u64 = 24;

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Items done, those of earlier runs included.
    pub items: u64,
    /// Items done by this run.
    pub items_now: u64,
    /// Items refused.
    pub failed: u64,
    /// Bytes done by this run and all bytes before it; and how many there are, where that is known.
    pub bytes: Option<Bytes>,
    /// Since this run began.
    pub elapsed: Duration,
}

/// Bytes of an input.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// Where this run began.
    pub from: u64,
    /// Where it is.
    pub at: u64,
    /// Where it ends.
    pub total: u64,
}

/// One line for people.
pub fn line(progress: &Progress, with_bar: bool) -> String {
    let Progress { items, items_now, failed, bytes, elapsed } = *progress;
    let rate = per_second(items_now, elapsed);
    let mut parts = Vec::new();
    if let Some(Bytes { at, total, .. }) = bytes.filter(|bytes| bytes.total > 0) {
        let at = at.min(total);
        if with_bar {
            let full = at.saturating_mul(BAR_CHARS) / total;
            let bar: String = (0..BAR_CHARS).map(|n| if n < full { '#' } else { '-' }).collect();
            parts.push(format!("[{bar}]"));
        }
        parts.push(format!("{:3} %", at.saturating_mul(100) / total));
    }
    parts.push(format!("{} done", grouped(items)));
    parts.push(format!("{}/s", grouped(rate)));
    if let Some(left) = bytes.and_then(|bytes| time_left(bytes, elapsed)) {
        parts.push(format!("{} left", span(left)));
    }
    if failed > 0 {
        parts.push(format!("{} refused", grouped(failed)));
    }
    parts.join("  ")
}

/// Items by second, rounded down.
pub fn per_second(items: u64, elapsed: Duration) -> u64 {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    items.saturating_mul(1_000) / ms
}

/// By the bytes of this run so far; `None` before there is anything to go by.
fn time_left(bytes: Bytes, elapsed: Duration) -> Option<Duration> {
    let done = bytes.at.checked_sub(bytes.from).filter(|done| *done > 0)?;
    let left = bytes.total.saturating_sub(bytes.at);
    let seconds = elapsed.as_secs().saturating_mul(left) / done;
    (elapsed >= Duration::from_secs(1)).then(|| Duration::from_secs(seconds))
}

/// A duration in the two largest units that it has.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_how_fast_and_how_long() {
        let bytes = Some(Bytes { from: 100, at: 600, total: 1_100 });
        let progress = Progress { items: 61_000, items_now: 50_000, failed: 3, bytes, elapsed: Duration::from_secs(100) };
        assert_eq!(line(&progress, true), "[#############-----------]   54 %  61,000 done  500/s  1 min 40 s left  3 refused");
        assert_eq!(line(&Progress { bytes: None, failed: 0, ..progress }, true), "61,000 done  500/s");
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let bytes = Some(Bytes { from: 0, at: 0, total: 0 });
        assert_eq!(line(&Progress { items: 0, items_now: 0, failed: 0, bytes, elapsed: Duration::ZERO }, true), "0 done  0/s");
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((span(Duration::from_secs(59)), span(Duration::from_secs(7_384))), ("59 s".into(), "2 h 3 min".into()));
    }
}

//! Whether a certificate is valid now, and if not, by how much the clock is off.

use usher_domain::Timestamp;

use crate::{CLOCK_SKEW_S, Certificate, Check, Refusal};

/// A certificate counts as valid [`CLOCK_SKEW_S`] before its start, to allow for one made a moment ago on another machine; its end is
/// strict.
pub(super) fn check_validity(certificate: &Certificate, label: &str, now: Timestamp) -> Result<(), Refusal> {
    let info = certificate.info();
    let early_s = info.not_before_utc.secs().saturating_sub(now.secs());
    if early_s > CLOCK_SKEW_S {
        let detail = format!("In {} by the server's clock ({now}), {label} becomes valid ({}).", span(early_s), info.not_before_utc);
        return Err(Refusal::new(Check::NotYetValid, detail));
    }
    let late_s = now.secs().saturating_sub(info.not_after_utc.secs());
    if late_s > 0 {
        let detail = format!("By the server's clock ({now}), {label} expired {} ago ({}).", span(late_s), info.not_after_utc);
        return Err(Refusal::new(Check::Expired, detail));
    }
    Ok(())
}

/// A span of time in its two largest units.
fn span(seconds: i64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds % 86_400 / 3_600, seconds % 3_600 / 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_two_largest_units() {
        assert_eq!(span(7), "7 s");
        assert_eq!(span(61), "1 min 1 s");
        assert_eq!(span(3 * 3_600 + 120), "3 h 2 min");
        assert_eq!(span(86_400 * 400 + 3_600), "400 d 1 h");
    }
}

//! A session: from signing in to signing out, or to one of its two limits. It is a record that all nodes see, so that signing out counts
//! everywhere at once; the browser holds nothing but its random ID.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use usher_domain::{Secret, Timestamp, clock::Entropy, ids::hex};

/// A session that is not used for this long is over, in seconds.
pub const IDLE_S: i64 = 30 * 60;
/// The longest that a session lasts however much it is used, in seconds: a working day with its breaks.
pub const ABSOLUTE_S: i64 = 12 * 3600;
/// Sessions of an installation; the one that was used longest ago ends when another begins. An administrator's browsers are few, and a
/// list that is read at every sign-in has to be short.
pub const SESSIONS_MAX: usize = 100;
/// Use is noted at most this often, in seconds, so that reading pages does not mean writing records.
const NOTED_EVERY_S: i64 = 60;

/// What is kept of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// When it was last seen in use.
    pub seen: Timestamp,
    /// When it is over whatever happens.
    pub ends: Timestamp,
    /// What every change must show, beside the cookie: pages of other sites cannot read it.
    pub csrf: Secret,
}

/// What a session is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts; its use need not be noted.
    Good,
    /// It counts, and its use is to be noted.
    Note,
    /// It is over.
    Over,
}

impl Session {
    /// A session that begins now, opened with this token. A token that says when it expires cannot open one that lasts longer.
    pub fn begin(token: &str, now: Timestamp, entropy: &dyn Entropy) -> Self {
        let longest = now.plus_millis(ABSOLUTE_S.saturating_mul(1_000));
        let ends = expiry(token).map_or(longest, |expiry| expiry.min(longest));
        Self { seen: now, ends, csrf: random(entropy) }
    }

    /// What it is worth now.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let unused_s = now.secs().saturating_sub(self.seen.secs());
        if now >= self.ends || unused_s >= IDLE_S {
            return Standing::Over;
        }
        // A clock that was put back is noted too, so that it costs nobody a session later.
        if (0..NOTED_EVERY_S).contains(&unused_s) { Standing::Good } else { Standing::Note }
    }

    /// Whether a request shows the session's token against forgery.
    pub fn is_shown(&self, header: Option<&str>) -> bool {
        header.is_some_and(|shown| verify_slices_are_equal(shown.as_bytes(), self.csrf.expose().as_bytes()).is_ok())
    }
}

/// A fresh session ID, or another secret of its kind: 256 bits in hex.
pub fn random(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Secret::new(hex(&bytes))
}

/// Which sessions end so that another can begin: those that are over, and the longest unused beyond [`SESSIONS_MAX`] less one.
pub fn to_end<K: Clone>(sessions: &[(K, Session)], now: Timestamp) -> Vec<K> {
    let (mut good, over): (Vec<_>, Vec<_>) = sessions.iter().partition(|(_, session)| session.standing(now) != Standing::Over);
    good.sort_by_key(|(_, session)| session.seen);
    let surplus = good.len().saturating_sub(SESSIONS_MAX.saturating_sub(1));
    over.iter().chain(good.iter().take(surplus)).map(|(key, _)| key.clone()).collect()
}

/// When a token says that it expires, if it is a JSON web token. It was verified before; this only reads it.
fn expiry(token: &str) -> Option<Timestamp> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let seconds = claims.get("exp")?;
    seconds.as_i64().or_else(|| seconds.as_f64().map(|seconds| seconds as i64)).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_domain::clock::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_secs(1_780_272_000);

    fn after(seconds: i64) -> Timestamp {
        NOW.plus_millis(seconds * 1_000)
    }

    fn session() -> Session {
        Session::begin("token", NOW, &SeededEntropy::new(1))
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_at_its_last_hour() {
        let mut session = session();
        assert_eq!(session.standing(after(59)), Standing::Good);
        assert_eq!(session.standing(after(60)), Standing::Note);
        assert_eq!(session.standing(after(-5)), Standing::Note);
        assert_eq!(session.standing(after(IDLE_S)), Standing::Over);
        session.seen = after(ABSOLUTE_S - 1);
        assert_eq!(session.standing(after(ABSOLUTE_S - 1)), Standing::Good);
        assert_eq!(session.standing(after(ABSOLUTE_S)), Standing::Over);
    }

    #[test]
    fn a_token_that_expires_takes_its_session_along() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let ends = |token: &str| Session::begin(token, NOW, &SeededEntropy::new(1)).ends;
        assert_eq!(ends(&token(&format!("{{\"exp\":{}}}", NOW.secs() + 300))), after(300));
        for without in [token("{}"), token("{\"exp\":\"soon\"}"), "a.b.c".into(), String::new(), token("{\"exp\":9e18}")] {
            assert_eq!(ends(&without), after(ABSOLUTE_S), "{without}");
        }
    }

    #[test]
    fn the_longest_unused_makes_room() {
        let of_age = |seconds: i64| Session { seen: after(-seconds), ..session() };
        let mut sessions: Vec<_> = (0..100).map(|n| (n, of_age(n))).collect();
        sessions.push((100, of_age(IDLE_S)));
        assert_eq!(to_end(&sessions, NOW), [100, 99]);
        assert!(to_end(&sessions[..99], NOW).is_empty());
    }

    #[test]
    fn only_its_own_token_is_taken() {
        let session = session();
        let own = session.csrf.expose().to_owned();
        assert!(session.is_shown(Some(&own)));
        assert!(!session.is_shown(None) && !session.is_shown(Some("")) && !session.is_shown(Some(&own[1..])));
    }
}

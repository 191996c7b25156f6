//! The SAS token of a hub, made once and used until it is nearly over.

use std::sync::{Mutex, PoisonError};

use usher_domain::Timestamp;

use crate::Connection;

/// How long a token is valid, in seconds (SDKs: one hour).
const LIFETIME_S: i64 = 3_600;
/// A token is not used in its last minutes: clocks differ, and a request takes time.
const RENEW_BEFORE_S: i64 = 600;

/// The present token.
#[derive(Default)]
pub struct Tokens(Mutex<Option<Token>>);

struct Token {
    text: String,
    made_s: i64,
}

impl Tokens {
    /// A token that is good for a while from `now`. A clock that was set back makes a new one as well.
    pub fn current(&self, connection: &Connection, now: Timestamp) -> String {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = 0..LIFETIME_S.saturating_sub(RENEW_BEFORE_S);
        if let Some(token) = held.as_ref().filter(|token| fresh.contains(&now.secs().saturating_sub(token.made_s))) {
            return token.text.clone();
        }
        let text = connection.sign(now.secs().saturating_add(LIFETIME_S));
        *held = Some(Token { text: text.clone(), made_s: now.secs() });
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_kept_while_it_is_good_and_then_renewed() {
        let connection = Connection::parse("HostName=h;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0IQ==").unwrap();
        let tokens = Tokens::default();
        let at = |secs| tokens.current(&connection, Timestamp::from_secs(secs));
        let first = at(1_000_000);
        assert_eq!(at(1_000_000 + LIFETIME_S - RENEW_BEFORE_S - 1), first);
        let second = at(1_000_000 + LIFETIME_S - RENEW_BEFORE_S);
        assert_ne!(second, first);
        assert!(second.contains(&format!("se={}", 1_000_000 + 2 * LIFETIME_S - RENEW_BEFORE_S)), "{second}");
        assert_ne!(at(500_000), second, "the clock was set back by days");
    }
}

//! The client's side, and the mechanisms that need no rounds.

use bytes::{BufMut, Bytes, BytesMut};

use super::{SaslError, SaslFrame, server::SASL_ROUNDS_MAX};
use crate::codec::types::{SecretBytes, Symbol};

/// How a client authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslChoice {
    /// The mechanism.
    pub mechanism: Symbol,
    /// What it begins with.
    pub initial_response: SecretBytes,
    /// Whom the client means to speak to.
    pub hostname: Option<String>,
}

impl SaslChoice {
    /// PLAIN (RFC 4616), without an identity to act as.
    pub fn plain(user: &str, password: &str) -> Self {
        let mut response = BytesMut::new();
        response.put_u8(0);
        response.put_slice(user.as_bytes());
        response.put_u8(0);
        response.put_slice(password.as_bytes());
        Self::custom("PLAIN", response.freeze())
    }

    /// ANONYMOUS (RFC 4505), without a trace.
    pub fn anonymous() -> Self {
        Self::custom("ANONYMOUS", Bytes::new())
    }

    /// EXTERNAL (RFC 4422, appendix A): who one is, TLS has shown.
    pub fn external() -> Self {
        Self::custom("EXTERNAL", Bytes::new())
    }

    /// Any mechanism; challenges are the driver's to answer.
    pub fn custom(mechanism: &str, initial_response: impl Into<Bytes>) -> Self {
        Self { mechanism: mechanism.into(), initial_response: initial_response.into().into(), hostname: None }
    }
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Mechanisms,
    ChallengeOrOutcome,
    Answer,
    Nothing,
}

/// A client's side of one exchange.
#[derive(Clone, Debug)]
pub struct SaslClient {
    choice: SaslChoice,
    expect: Expect,
    rounds: u8,
}

impl SaslClient {
    /// Begins.
    pub fn new(choice: SaslChoice) -> Self {
        Self { choice, expect: Expect::Mechanisms, rounds: 0 }
    }

    /// Takes the server's frame; returns what to send at once.
    pub fn handle(&mut self, frame: &SaslFrame) -> Result<Option<SaslFrame>, SaslError> {
        match (self.expect, frame) {
            (Expect::Mechanisms, SaslFrame::Mechanisms(offered)) => {
                if !offered.contains(&self.choice.mechanism) {
                    return Err(SaslError::Mechanism);
                }
                self.expect = Expect::ChallengeOrOutcome;
                let SaslChoice { mechanism, initial_response, hostname } = self.choice.clone();
                Ok(Some(SaslFrame::Init { mechanism, initial_response, hostname }))
            }
            (Expect::ChallengeOrOutcome, SaslFrame::Challenge(_)) => {
                self.rounds = self.rounds.saturating_add(1);
                if self.rounds > SASL_ROUNDS_MAX {
                    return Err(SaslError::Rounds);
                }
                self.expect = Expect::Answer;
                Ok(None)
            }
            (Expect::ChallengeOrOutcome, SaslFrame::Outcome(_)) => {
                self.expect = Expect::Nothing;
                Ok(None)
            }
            _ => Err(SaslError::OutOfOrder),
        }
    }

    /// Whether the driver owes a response.
    pub fn expects_answer(&self) -> bool {
        self.expect == Expect::Answer
    }

    /// The next response.
    pub fn respond(&mut self, bytes: SecretBytes) -> Result<SaslFrame, SaslError> {
        if self.expect != Expect::Answer {
            return Err(SaslError::OutOfOrder);
        }
        self.expect = Expect::ChallengeOrOutcome;
        Ok(SaslFrame::Response(bytes))
    }
}

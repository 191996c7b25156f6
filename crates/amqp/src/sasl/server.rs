//! The server's side: mechanisms, then the client's choice, then rounds, then the outcome.

use super::{SaslCode, SaslError, SaslFrame};
use crate::codec::types::{SecretBytes, Symbol};

/// Challenges in one exchange. `TPM` needs three, SCRAM one.
pub const SASL_ROUNDS_MAX: u8 = 8;

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Init,
    Verdict,
    Response,
    Nothing,
}

/// A server's side of one exchange.
#[derive(Clone, Debug)]
pub struct SaslServer {
    offered: Vec<Symbol>,
    expect: Expect,
    rounds: u8,
}

impl SaslServer {
    /// Begins; the second value is to be sent.
    pub fn new(offered: Vec<Symbol>) -> (Self, SaslFrame) {
        let mechanisms = SaslFrame::Mechanisms(offered.clone());
        (Self { offered, expect: Expect::Init, rounds: 0 }, mechanisms)
    }

    /// Takes the client's frame. Only what may come now, and only a mechanism that was offered.
    pub fn handle(&mut self, frame: &SaslFrame) -> Result<(), SaslError> {
        match (self.expect, frame) {
            (Expect::Init, SaslFrame::Init { mechanism, .. }) if !self.offered.contains(mechanism) => Err(SaslError::Mechanism),
            (Expect::Init, SaslFrame::Init { .. }) | (Expect::Response, SaslFrame::Response(_)) => {
                self.expect = Expect::Verdict;
                Ok(())
            }
            _ => Err(SaslError::OutOfOrder),
        }
    }

    /// Whether the driver owes a challenge or an outcome.
    pub fn expects_verdict(&self) -> bool {
        self.expect == Expect::Verdict
    }

    /// The next challenge.
    pub fn challenge(&mut self, bytes: SecretBytes) -> Result<SaslFrame, SaslError> {
        if self.expect != Expect::Verdict {
            return Err(SaslError::OutOfOrder);
        }
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > SASL_ROUNDS_MAX {
            return Err(SaslError::Rounds);
        }
        self.expect = Expect::Response;
        Ok(SaslFrame::Challenge(bytes))
    }

    /// The end.
    pub fn outcome(&mut self, code: SaslCode) -> Result<SaslFrame, SaslError> {
        if self.expect != Expect::Verdict {
            return Err(SaslError::OutOfOrder);
        }
        self.expect = Expect::Nothing;
        Ok(SaslFrame::Outcome(code))
    }
}

//! Why a request was turned away: what the log says in full, and the few words that go out.

use usher_attestation::Refusal;
use usher_domain::{ErrorCode, ServiceError};
use usher_records::RecordError;

/// A request turned away, with the check that failed and its mend for the log, and the answer for the device.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The failed check, a stable word to search for.
    pub check: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub mend: String,
    /// What the device is told. An unproven device never learns which check it failed, nor whether an enrollment exists.
    pub answer: ServiceError,
}

impl Denial {
    /// A denial whose answer is plain `Unauthorized`.
    pub fn unauthorized(check: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.into(), detail: detail.into(), mend: mend.into(), answer: ServiceError::new(ErrorCode::Unauthorized) }
    }

    /// A denial that tells the device as much as the log.
    pub fn open(check: &str, answer: ServiceError) -> Self {
        Self { check: check.into(), detail: answer.message.clone(), mend: "Correct the request.".into(), answer }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { check: refusal.check.name().to_owned(), answer: refusal.outward(), detail: refusal.detail, mend: refusal.mend }
    }
}

impl From<RecordError> for Denial {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::Conflict { .. } => ErrorCode::ConcurrentChange,
            RecordError::Unavailable(_) => ErrorCode::Unavailable,
            _ => ErrorCode::Internal,
        };
        Self {
            check: "store".into(),
            detail: error.to_string(),
            mend: "See the store's own log lines; the device will try again.".into(),
            answer: ServiceError::new(code),
        }
    }
}

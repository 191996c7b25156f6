//! What a client is told when records cannot be read or written.

use tracing::error;
use usher_domain::{ErrorCode, ServiceError};
use usher_records::RecordError;

/// The error for the client. Faults of ours are logged in full here; the client is told no more than whether to try again.
pub(crate) fn service_error(fault: RecordError) -> ServiceError {
    match fault {
        RecordError::Conflict { .. } => {
            ServiceError::with(ErrorCode::ConcurrentChange, "The record was changed by another request meanwhile. Try again.")
        }
        RecordError::Unavailable(detail) => {
            error!(check = "store.unavailable", detail, mend = "See that the store runs and has room.", "the store cannot be reached");
            ServiceError::new(ErrorCode::Unavailable)
        }
        other => {
            error!(check = "store.fault", detail = %other, mend = "Restore the record from a backup, or report the fault.", "a record cannot be used");
            ServiceError::new(ErrorCode::Internal)
        }
    }
}

//! Decides who a device is: it judges what a device presents (a SAS token, a certificate chain, a TPM's keys) against what an
//! operator has enrolled, and answers with a [`ProvenIdentity`] or with a [`Refusal`] that names the check that failed.
//!
//! Nothing here does I/O or reads a clock: the time is an argument, look-ups are the caller's. A [`ProvenIdentity`] can be made in
//! this crate alone, so that code which takes one cannot be reached by a device that has proved nothing. Cryptography is AWS-LC's;
//! X.509 is read by `x509-parser`.

pub mod certificate;
pub mod csr;
pub mod findings;
pub mod proof;
pub mod refusal;
pub mod sas;
pub mod symmetric;
pub mod tpm;
pub mod x509;

pub use certificate::Certificate;
pub use csr::{CsrError, SigningRequest};
pub use proof::{KeyPlace, Means, ProvenIdentity};
pub use refusal::{Check, Refusal};
pub use sas::{SasError, SasToken};

/// How far a peer's clock, or an issuing CA's, may run apart from ours, in seconds. A SAS token counts as expired this long after
/// its `se`, and a certificate as valid this long before its start: devices without a battery-backed clock, and certificates made a
/// moment ago on another machine, would fail otherwise. The end of a certificate's validity is taken strictly, since it is far away
/// in all but faulty cases and there the operator wants to be told.
pub const CLOCK_SKEW_S: i64 = 300;

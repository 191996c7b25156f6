//! Certificates for devices: signed by a CA whose key usher holds ([`held`]), or by one outside, through the port
//! [`ExternalAuthority`]. What comes from outside is checked before it is believed ([`assemble`]).
//!
//! A signature is no act upon the world: until the operation that it is for has saved it, nobody has seen it, and a repeated try makes
//! another one. Keys never leave this crate and the record they are kept in.

mod assemble;
mod error;
pub mod fake;
pub mod held;

use std::{future::Future, pin::Pin};

use usher_domain::credential_policy::EstAuthority;

pub use assemble::assemble;
pub use error::IssueError;

/// A boxed future, so that the port can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A CA outside of usher. Implementations bound their own waiting.
pub trait ExternalAuthority: Send + Sync + 'static {
    /// Has a request certified, given as DER of PKCS#10. Answers with the certificates that the authority sent, DER, in any order.
    ///
    /// # Errors
    /// [`IssueError::Later`] where the same may succeed another time.
    fn enroll<'a>(&'a self, authority: &'a EstAuthority, request: &'a [u8]) -> BoxFuture<'a, Result<Vec<Vec<u8>>, IssueError>>;
}

/// Stands where no authority outside can be asked.
pub struct NoExternalAuthority;

impl ExternalAuthority for NoExternalAuthority {
    fn enroll<'a>(&'a self, _: &'a EstAuthority, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<Vec<u8>>, IssueError>> {
        Box::pin(async { Err(IssueError::Never("This node was set up to ask no certificate authority outside.".into())) })
    }
}

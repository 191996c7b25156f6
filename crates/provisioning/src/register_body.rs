//! Reading what a device sends with register.

use usher_domain::{
    ErrorCode, ServiceError,
    document::RegisterDocument,
    limits::{NESTING_MAX, nests_within_limit},
};

use crate::{claim::Claim, denial::Denial};

/// Reads the body of register. Absent, blank and `null` mean "nothing to say".
pub fn read(claim: &Claim, body: &[u8]) -> Result<RegisterDocument, Denial> {
    let text = body.trim_ascii();
    if text.is_empty() || text == b"null" {
        return Ok(RegisterDocument::default());
    }
    let refuse = |why: String| Denial::open("body.json", ServiceError::with(ErrorCode::InvalidBody, why));
    // An array would pass as a document whose members are all left out.
    if !text.starts_with(b"{") {
        return Err(refuse("The body is not a JSON object.".into()));
    }
    let document: RegisterDocument =
        serde_json::from_slice(text).map_err(|why| refuse(format!("The body is not a register document: {why}.")))?;
    match &document.registration_id {
        Some(id) if !claim.claimed_id.same_as(id) => {
            let why = "The body names another registration ID than the connection.";
            Err(Denial::open("body.registrationId", ServiceError::with(ErrorCode::InvalidBody, why)))
        }
        _ if !document.payload.as_ref().is_none_or(nests_within_limit) => {
            let answer = ServiceError::with(ErrorCode::InvalidBody, format!("The payload nests deeper than {NESTING_MAX} levels."));
            Err(Denial::open("body.payload", answer))
        }
        _ => Ok(document),
    }
}

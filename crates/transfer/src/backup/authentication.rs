//! The key that authenticates a backup: of the system's own tenant, so that it can be had with a master key in a token, too.

use aws_lc_rs::hmac;
use usher_records::Opener;
use usher_seal::MasterKeys;
use usher_store::Entry;

use crate::CopyError;

/// What the system's tenant authenticates backups as.
const PURPOSE: &str = "usher backup";

/// The key, by the first entry of all: the system's wrapped keys. `None` where it is something else.
pub async fn key(first: &Entry, masters: &MasterKeys) -> Result<Option<hmac::Key>, CopyError> {
    let Entry::Record { key, etag, body } = first else { return Ok(None) };
    let mut opener = Opener::new(masters.clone());
    opener.open(key, *etag, body).await.map_err(|error| CopyError::sealed(&error))?;
    Ok(opener.authentication_key(PURPOSE))
}

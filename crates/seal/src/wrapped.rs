//! A tenant's keys wrapped under a master key, as they lie in the store. Two shapes, told apart by their first byte:
//!
//! - under a key in memory: `1 || master key's check (8) || nonce (24) || ring || tag (16)`, sealed with XAES-256-GCM;
//! - under a key in a token: `2 || check (8) || length (2) || wrapping key, wrapped by the token || nonce (24) || ring || tag (16)`. The
//!   wrapping key is new each time and seals the ring as above, so that the token has 32 bytes to encrypt, however long the ring is.

use zeroize::Zeroizing;

use crate::{
    HeldKey, MasterKey, SealError, SecretBytes,
    master::{CHECK_BYTES, MasterKind},
    tenant::{ENTRY_BYTES, RING_HEAD_BYTES},
    xaes::{self, NONCE_BYTES, TAG_BYTES},
};

/// First byte of what a key in memory wrapped.
const PLAIN_VERSION: u8 = 1;
/// First byte of what a token wrapped.
const HELD_VERSION: u8 = 2;
/// Longest wrapping key as a token gives it back, in bytes: 32, an IV, a tag, and room for headers of a maker's own.
const TOKEN_BYTES_MAX: usize = 1024;

/// What can be told of wrapped keys without opening them. Nothing vouches for it until they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The check of the master key that wrapped them.
    pub check: [u8; CHECK_BYTES],
    /// Whether that key is in a token.
    pub held: bool,
    /// The data keys among them.
    pub data_keys: usize,
}

struct Parts<'a> {
    check: &'a [u8; CHECK_BYTES],
    /// The wrapping key as the token gave it; none where the master key itself sealed the ring.
    token: Option<&'a [u8]>,
    nonce: &'a [u8; NONCE_BYTES],
    body: &'a [u8],
}

fn split(wrapped: &[u8]) -> Result<Parts<'_>, SealError> {
    let parts = || {
        let (version, rest) = wrapped.split_first()?;
        let (check, rest) = rest.split_first_chunk::<CHECK_BYTES>()?;
        let (token, rest) = match *version {
            PLAIN_VERSION => (None, rest),
            HELD_VERSION => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let (token, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                (Some(token), rest)
            }
            _ => return None,
        };
        let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>()?;
        Some(Parts { check, token, nonce, body })
    };
    parts().ok_or(SealError::Malformed)
}

/// Tells what wrapped these keys.
///
/// # Errors
/// [`SealError::Malformed`] where they are of neither shape.
pub fn inspect(wrapped: &[u8]) -> Result<Inspected, SealError> {
    let parts = split(wrapped)?;
    let entries = parts.body.len().checked_sub(RING_HEAD_BYTES + TAG_BYTES).ok_or(SealError::Malformed)?;
    Ok(Inspected { check: *parts.check, held: parts.token.is_some(), data_keys: entries / ENTRY_BYTES })
}

/// Wraps a ring under `master` for `place`. The ring's buffer has room for a tag, so that no plain copy is left behind by growing.
pub(crate) fn wrap(master: &MasterKey, place: &[u8], mut ring: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, SealError> {
    let check = master.check();
    match &master.kind {
        MasterKind::Plain(bytes) => {
            let nonce = xaes::seal(bytes, place, &mut ring)?;
            Ok([[PLAIN_VERSION].as_slice(), &check, &nonce, &ring].concat())
        }
        MasterKind::Held(held) => {
            let key = SecretBytes::generate()?;
            let token = held.wrap(place, &key)?;
            let length = u16::try_from(token.len()).ok().filter(|length| usize::from(*length) <= TOKEN_BYTES_MAX);
            let length = length.ok_or_else(|| SealError::Unreachable(format!("the token made {} bytes of 32", token.len())))?;
            let nonce = xaes::seal(&key, place, &mut ring)?;
            Ok([[HELD_VERSION].as_slice(), &check, &length.to_be_bytes(), &token, &nonce, &ring].concat())
        }
    }
}

/// The ring that `master` wrapped for `place`.
pub(crate) fn unwrap(master: &MasterKey, place: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let parts = split(wrapped)?;
    let opened = match (&master.kind, parts.token) {
        (MasterKind::Plain(key), None) => xaes::open(key, parts.nonce, place, parts.body.to_vec()),
        (MasterKind::Held(held), Some(token)) => through_token(held.as_ref(), place, token, &parts),
        _ => Err(SealError::WrongMasterKey),
    };
    // The check is not sealed. It only explains why the keys do not open; where they do, it does not matter.
    opened.map(Zeroizing::new).map_err(|error| match error {
        SealError::NotAuthentic if *parts.check != master.check() => SealError::WrongMasterKey,
        other => other,
    })
}

fn through_token(held: &dyn HeldKey, place: &[u8], token: &[u8], parts: &Parts<'_>) -> Result<Vec<u8>, SealError> {
    let key = held.unwrap(place, token)?;
    xaes::open(&key, parts.nonce, place, parts.body.to_vec())
}

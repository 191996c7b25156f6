//! How keys and values lie on disk: part of the format, never to change without a new format version.

use usher_store::{Key, Space, StoreError, Stored, TenantId};

/// `space (1) || tenant (4, big-endian)`, so that a tenant's table is one range.
pub fn full_prefix(space: Space, tenant: TenantId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + 32);
    bytes.push(space.0);
    bytes.extend_from_slice(&tenant.0.to_be_bytes());
    bytes
}

/// The prefix, then the key.
pub fn full_key(key: &Key) -> Vec<u8> {
    let mut bytes = full_prefix(key.space, key.tenant);
    bytes.extend_from_slice(&key.key);
    bytes
}

/// `etag (8, big-endian) || body`.
pub fn encode_value(etag: u64, body: &[u8]) -> Vec<u8> {
    [etag.to_be_bytes().as_slice(), body].concat()
}

/// The reverse of [`encode_value`].
pub fn decode_value(space: Space, bytes: &[u8]) -> Result<Stored, StoreError> {
    let (etag, body) = bytes.split_first_chunk::<8>().ok_or_else(|| corrupt(space, "a record shorter than its ETag"))?;
    Ok(Stored { etag: u64::from_be_bytes(*etag), body: body.to_vec() })
}

/// The ETag alone.
pub fn decode_etag(space: Space, bytes: &[u8]) -> Result<u64, StoreError> {
    bytes.first_chunk::<8>().map(|etag| u64::from_be_bytes(*etag)).ok_or_else(|| corrupt(space, "a record shorter than its ETag"))
}

/// A counter: 8 bytes, big-endian.
pub fn decode_counter(space: Space, bytes: &[u8]) -> Result<i64, StoreError> {
    bytes.try_into().map(i64::from_be_bytes).map_err(|_| corrupt(space, "a counter that is not 8 bytes"))
}

fn corrupt(space: Space, what: &str) -> StoreError {
    StoreError::Corrupt { space, detail: what.to_owned() }
}

//! Entries as bytes: part of the format of backups and of the digest, never to change without a new version of both.
//!
//! `kind (1) || tenant (4) || space (1) || key's length (1) || key`, then for a record `etag (8) || body's length (4) || body`, for a
//! counter `value (8)`. Numbers are big-endian.

use usher_store::{BODY_BYTES_MAX, Entry, KEY_BYTES_MAX, Key, Space, TenantId};

const RECORD: u8 = 1;
const COUNTER: u8 = 2;

/// Appends an entry.
pub fn encode(entry: &Entry, into: &mut Vec<u8>) {
    into.push(if matches!(entry, Entry::Record { .. }) { RECORD } else { COUNTER });
    let key = entry.key();
    into.extend_from_slice(&key.tenant.0.to_be_bytes());
    into.push(key.space.0);
    // Keys are at most 64 bytes: the store port's limit.
    into.push(u8::try_from(key.key.len()).unwrap_or(u8::MAX));
    into.extend_from_slice(&key.key);
    match entry {
        Entry::Record { etag, body, .. } => {
            into.extend_from_slice(&etag.to_be_bytes());
            into.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            into.extend_from_slice(body);
        }
        Entry::Counter { value, .. } => into.extend_from_slice(&value.to_be_bytes()),
    }
}

/// Takes an entry off the front; `None` where there is no whole one, or none within the store port's limits.
pub fn decode(bytes: &mut &[u8]) -> Option<Entry> {
    let [kind] = take(bytes)?;
    let tenant = TenantId(u32::from_be_bytes(take(bytes)?));
    let [space, length] = take(bytes)?;
    if usize::from(length) > KEY_BYTES_MAX {
        return None;
    }
    let key = Key { space: Space(space), tenant, key: take_slice(bytes, usize::from(length))?.to_vec() };
    match kind {
        RECORD => {
            let etag = u64::from_be_bytes(take(bytes)?);
            let length = u32::from_be_bytes(take(bytes)?) as usize;
            if length > BODY_BYTES_MAX {
                return None;
            }
            Some(Entry::Record { key, etag, body: take_slice(bytes, length)?.to_vec() })
        }
        COUNTER => Some(Entry::Counter { key, value: i64::from_be_bytes(take(bytes)?) }),
        _ => None,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn take_slice<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_half_ones_do_not() {
        let key = |n: u8| Key { space: Space(n), tenant: TenantId(u32::from(n) << 20), key: vec![n; usize::from(n)] };
        let entries = [
            Entry::Record { key: key(64), etag: u64::MAX, body: vec![7; 300] },
            Entry::Record { key: key(0), etag: 0, body: Vec::new() },
            Entry::Counter { key: key(9), value: -5 },
        ];
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| encode(entry, &mut bytes));
        let mut rest = bytes.as_slice();
        for entry in &entries {
            assert_eq!(decode(&mut rest).as_ref(), Some(entry));
        }
        assert!(rest.is_empty() && decode(&mut rest).is_none());
        for entry in &entries {
            let mut bytes = Vec::new();
            encode(entry, &mut bytes);
            for length in 0..bytes.len() {
                assert_eq!(decode(&mut &bytes[..length]), None, "{length} bytes");
            }
        }
        assert_eq!(decode(&mut [3; 40].as_slice()), None, "an unknown kind");
        let too_long = [[1, 0, 0, 0, 0, 0, 0].as_slice(), &[0; 8], &u32::MAX.to_be_bytes()].concat();
        assert_eq!(decode(&mut too_long.as_slice()), None);
    }
}

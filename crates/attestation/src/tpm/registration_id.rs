//! The registration ID that clients give a TPM where the operator chose none.

use aws_lc_rs::digest;

use super::StorageKey;

/// RFC 4648 section 6, in the lower case that clients use.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Lower-case base32, without padding, of the SHA-256 of the endorsement key (TPM2B_PUBLIC): 52 characters
/// (azure-iot-sdk-node: azure-iot-security-tpm/dist/tpm.js; azure-iot-sdk-c: prov_auth_client.c). Devices may use another ID.
pub fn registration_id(endorsement_key: &StorageKey) -> String {
    base32(digest::digest(&digest::SHA256, &endorsement_key.to_bytes()).as_ref())
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(8).div_ceil(5));
    for group in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded.iter_mut().skip(3).zip(group).for_each(|(to, from)| *to = *from);
        let bits = u64::from_be_bytes(padded);
        let digits = (group.len() * 8).div_ceil(5);
        text.extend((0..digits).filter_map(|n| ALPHABET.get((bits >> (35 - 5 * n) & 31) as usize).copied().map(char::from)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base32;

    #[test]
    fn base32_follows_the_test_vectors_of_rfc_4648() {
        for (plain, encoded) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"), ("foobar", "mzxw6ytboi")]
        {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
    }
}

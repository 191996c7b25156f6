//! What a device shows in SASL: PLAIN with a SAS token, or the mechanism TPM in its steps.
//!
//! TPM, seen in azure-iot-sdk-c prov_sasl_tpm.c and azure-iot-sdk-java AmqpsProvisioningSaslHandler.java: init `00 scope 00 id 00 EK`,
//! challenge `00`, response `00 SRK`, the activation blob in two challenges, response `00 token`. Java takes exactly two, the first with
//! the control byte 80, the second with C1; C and .NET check the sequence number in its low bits.

/// What is asked of a device before its storage root key.
pub const READY: &[u8] = &[0];
/// Control byte of the first half of a blob: more follows, sequence 0.
const FIRST: u8 = 0x80;
/// Control byte of the second half: the last, sequence 1.
const LAST: u8 = 0xC1;

/// A PLAIN response (RFC 4616): `authzid NUL authcid NUL password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Who.
    pub user: &'a str,
    /// The SAS token.
    pub password: &'a str,
}

impl<'a> Plain<'a> {
    /// Reads a response; `None` where it has another form.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split('\0');
        let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { user, password })
    }
}

/// The first step of TPM: who, and the endorsement key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmInit<'a> {
    /// The ID scope.
    pub id_scope: &'a str,
    /// The registration ID.
    pub registration_id: &'a str,
    /// TPM2B_PUBLIC.
    pub endorsement_key: &'a [u8],
}

impl<'a> TpmInit<'a> {
    /// Reads an initial response.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[0])?;
        let (id_scope, rest) = cut(rest)?;
        let (registration_id, endorsement_key) = cut(rest)?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(Self { id_scope: text(id_scope)?, registration_id: text(registration_id)?, endorsement_key })
    }
}

fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// What follows the control byte of a response.
pub fn content(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&[0])
}

/// A blob in two challenges.
pub fn segments(blob: &[u8]) -> [Vec<u8>; 2] {
    let (first, last) = blob.split_at(blob.len() / 2);
    [[&[FIRST], first].concat(), [&[LAST], last].concat()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plain_is_read_with_and_without_an_authorisation_identity() {
        let plain = Plain::parse(b"\0scope/registrations/d\0token").unwrap();
        assert_eq!((plain.user, plain.password), ("scope/registrations/d", "token"));
        assert!(Plain::parse(b"x\0user\0token").is_some());
        assert!(Plain::parse(b"user\0token").is_none());
        assert!(Plain::parse(b"\0a\0b\0c").is_none());
        assert!(Plain::parse(b"\xFF\0a\0b").is_none());
    }

    #[test]
    fn tpm_init_keeps_the_key_whole_zero_bytes_included() {
        let init = TpmInit::parse(b"\0scope\0device\0\x01\x3A\0\x01").unwrap();
        assert_eq!((init.id_scope, init.registration_id, init.endorsement_key), ("scope", "device", &b"\x01\x3A\0\x01"[..]));
        assert!(TpmInit::parse(b"scope\0device\0key").is_none());
        assert!(TpmInit::parse(b"\0scope").is_none());
    }

    #[test]
    fn a_blob_goes_in_two_numbered_halves() {
        assert_eq!(segments(&[1, 2, 3]), [vec![0x80, 1], vec![0xC1, 2, 3]]);
    }
}

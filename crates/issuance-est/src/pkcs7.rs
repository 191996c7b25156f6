//! The certificates in a PKCS#7 that holds nothing else ("certs-only", RFC 5652 section 5.1 and RFC 7030 section 4.1.3). What it is
//! signed with, if anything, does not matter: the certificates are judged by their own signatures.

use x509_parser::asn1_rs::{Any, Class, FromDer as _, Tag};

/// Certificates taken from one message.
const CERTIFICATES_MAX: usize = 16;
/// DER of the object identifier 1.2.840.113549.1.7.2, without its tag and length: signedData.
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The certificates, DER; `None` where this is no such message.
pub fn certificates(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (message, _) = next(der)?;
    let (kind, content) = next(inside(&message, Class::Universal, Tag::Sequence)?)?;
    if inside(&kind, Class::Universal, Tag::Oid)? != SIGNED_DATA {
        return None;
    }
    let (content, _) = next(content)?;
    let (signed, _) = next(inside(&content, Class::ContextSpecific, Tag(0))?)?;
    let mut members = inside(&signed, Class::Universal, Tag::Sequence)?;
    while !members.is_empty() {
        let (member, rest) = next(members)?;
        if let Some(set) = inside(&member, Class::ContextSpecific, Tag(0)) {
            return split(set);
        }
        members = rest;
    }
    Some(Vec::new())
}

fn split(mut set: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !set.is_empty() && found.len() < CERTIFICATES_MAX {
        let (one, rest) = next(set)?;
        // Other forms than X.509 certificates have tags of their own (RFC 5652 section 10.2.2).
        if one.class() == Class::Universal && one.tag() == Tag::Sequence {
            found.push(set.get(..set.len().checked_sub(rest.len())?)?.to_vec());
        }
        set = rest;
    }
    Some(found)
}

fn next(bytes: &[u8]) -> Option<(Any<'_>, &[u8])> {
    Any::from_der(bytes).ok().map(|(rest, any)| (any, rest))
}

fn inside<'a>(any: &Any<'a>, class: Class, tag: Tag) -> Option<&'a [u8]> {
    (any.class() == class && any.tag() == tag).then_some(any.data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// SEQUENCE { signedData, [0] { SEQUENCE { 1, SET {}, SEQUENCE { data }, [0] { two sequences }, SET {} } } }
    fn message() -> Vec<u8> {
        let certificates = [0xa0, 7, 0x30, 3, 2, 1, 9, 0x30, 0];
        let signed = [&[2, 1, 1, 0x31, 0, 0x30, 2, 6, 0][..], &certificates, &[0x31, 0]].concat();
        let content = [&[0x30, u8::try_from(signed.len()).unwrap()][..], &signed].concat();
        let tagged = [&[0xa0, u8::try_from(content.len()).unwrap()][..], &content].concat();
        let inner = [&[6, 9][..], &SIGNED_DATA, &tagged].concat();
        [&[0x30, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
    }

    #[test]
    fn certificates_are_cut_out_whole() {
        assert_eq!(certificates(&message()), Some(vec![vec![0x30, 3, 2, 1, 9], vec![0x30, 0]]));
    }

    #[test]
    fn no_beginning_of_a_message_panics_or_passes() {
        let message = message();
        for end in 0..message.len() {
            assert_eq!(certificates(&message[..end]), None, "{end}");
        }
        assert_eq!(certificates(&[0x30, 0]), None);
    }
}

//! The proof that a CA's key is held: a certificate with the service's code as its common name, signed with that key.

use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use usher_device::Failure;

/// Signs a proof for a code. `authority` is the CA's certificate, `key` its private key as PEM: PKCS#8, SEC 1 or PKCS#1.
///
/// # Errors
/// A key that cannot be read or is not the certificate's.
pub fn signed(authority: &CertificateDer<'_>, key: &str, code: &str) -> Result<String, Failure> {
    let unreadable = |why: rcgen::Error| {
        let next = "Give the CA's private key as unencrypted PEM; `openssl pkey -in KEY -out PLAIN` makes one.";
        Failure::new("key", format!("the key cannot be read: {why}"), next)
    };
    let key = KeyPair::from_pem(key).map_err(unreadable)?;
    let broken = |why: rcgen::Error| {
        Failure::new("proof", why.to_string(), "See `usher certificate generate-code --help` for proving by other tools.")
    };
    let issuer = Issuer::from_ca_cert_der(authority, &key).map_err(broken)?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, code);
    params.distinguished_name = name;
    let own = KeyPair::generate().map_err(broken)?;
    let proof = params.signed_by(&own, &issuer).map_err(broken)?;
    let read = |der: &[u8]| usher_attestation::Certificate::from_der(der);
    match (read(proof.der()), read(authority)) {
        (Ok(proof_read), Ok(authority)) if proof_read.is_signed_by(&authority) => Ok(proof.pem()),
        _ => Err(Failure::new(
            "key",
            "the key is not that of the uploaded certificate",
            "Give the key that the CA's certificate was made with.",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{BasicConstraints, IsCa, PKCS_ECDSA_P384_SHA384};

    use super::*;

    fn authority(key: &KeyPair) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "Plant");
        params.self_signed(key).unwrap().der().clone()
    }

    #[test]
    fn the_proof_is_signed_by_the_authority_and_carries_the_code() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let pem = signed(&authority(&key), &key.serialize_pem(), "CODE-1").unwrap();
        assert_eq!(usher_attestation::Certificate::from_text(&pem).unwrap().common_name(), Some("CODE-1"));
    }

    #[test]
    fn another_key_and_no_key_are_told_apart() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let authority = authority(&key);
        let refused = |key: &str| signed(&authority, key, "c").unwrap_err().what;
        assert!(refused(&other.serialize_pem()).contains("not that of the uploaded certificate"));
        assert!(refused("nothing").contains("cannot be read"));
    }
}

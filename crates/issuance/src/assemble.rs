//! From the certificates that an authority outside has sent to the chain that a device is told. Nothing is believed unseen: the leaf has to
//! be for the key and the name that were asked for, and each certificate signed by the next.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_attestation::{Certificate, SigningRequest};
use usher_domain::{certification::IssuedChain, credential_policy::ISSUED_CHAIN_MAX, enrollment::StoredCertificate};

use crate::IssueError;

/// The chain of the certificate that `answered` has for the request, completed from `known` up to the root, as far as they lead.
///
/// # Errors
/// [`IssueError::Never`] where there is no such certificate.
pub fn assemble(
    request: &SigningRequest,
    common_name: &str,
    answered: &[Vec<u8>],
    known: &[StoredCertificate],
) -> Result<IssuedChain, IssueError> {
    let mut pool = Vec::new();
    for der in answered {
        pool.push(Certificate::from_der(der).map_err(|why| wrong(&why.to_string()))?);
    }
    let leaf = pool.iter().find(|found| found.public_key_der() == request.public_key());
    let leaf = leaf.cloned().ok_or_else(|| wrong("none of its certificates is for the device's key"))?;
    if leaf.common_name() != Some(common_name) {
        return Err(wrong("the certificate's common name is not the registration ID"));
    }
    pool.extend(known.iter().filter_map(|stored| Certificate::from_stored(stored).ok()));
    Ok(tell(&climb(leaf, &pool)))
}

/// From the leaf to its issuer and so on.
fn climb(leaf: Certificate, pool: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last()
        && !last.is_self_issued()
        && chain.len() < ISSUED_CHAIN_MAX
    {
        let issuer = pool.iter().find(|above| above.subject_der() == last.issuer_der() && above.is_ca() && last.is_signed_by(above));
        match issuer {
            Some(issuer) => chain.push(issuer.clone()),
            None => break,
        }
    }
    chain
}

/// The chain as it is kept and told.
pub fn tell(chain: &[Certificate]) -> IssuedChain {
    IssuedChain {
        certificates: chain.iter().map(|certificate| STANDARD.encode(certificate.der())).collect(),
        sha256_thumbprint: chain.first().map(|leaf| leaf.info().sha256_thumbprint.clone()).unwrap_or_default(),
    }
}

fn wrong(what: &str) -> IssueError {
    IssueError::Never(format!("The certificate authority's answer cannot be used: {what}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_domain::Timestamp;

    use super::*;
    use crate::{fake::request, held};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_chain_is_put_in_order_and_completed_from_what_is_known() {
        let ca = held::generate("plant CA", NOW).unwrap();
        let device = request("press-7");
        let issued = held::issue(&ca, &device, "press-7", 30, [1; 16], NOW).unwrap();
        let leaf = STANDARD.decode(&issued.certificates[0]).unwrap();
        let other = STANDARD.decode(&held::issue(&ca, &request("x"), "x", 30, [2; 16], NOW).unwrap().certificates[0]).unwrap();
        let put = assemble(&device, "press-7", &[other.clone(), leaf.clone()], &ca.chain).unwrap();
        assert_eq!(put, issued);
        assert_eq!(assemble(&device, "press-7", std::slice::from_ref(&leaf), &[]).unwrap().certificates.len(), 1);
        assert!(matches!(assemble(&device, "press-8", &[leaf], &ca.chain), Err(IssueError::Never(_))));
        assert!(matches!(assemble(&device, "press-7", &[other], &ca.chain), Err(IssueError::Never(_))));
        assert!(matches!(assemble(&device, "press-7", &[vec![0]], &ca.chain), Err(IssueError::Never(_))));
    }
}

//! Proof that an operator holds a CA's private key: a certificate signed with it whose common name is a code told to the operator alone
//! (MicrosoftDocs/azure-docs: articles/iot-dps/how-to-verify-certificates.md).

use usher_domain::Timestamp;

use super::{
    issuer::{check_constraints, check_signature},
    presented::Named,
    validity::check_validity,
};
use crate::{Certificate, Check, Refusal};

/// Checks that `authority`'s key signed `proof` for this `code`. Both must be valid now, the authority a CA with a sound key.
pub fn prove_possession(authority: &Certificate, proof: &Certificate, code: &str, now: Timestamp) -> Result<(), Refusal> {
    let (authority, proof) =
        (Named::new(authority.clone(), "the CA certificate"), Named::new(proof.clone(), "the verification certificate"));
    if proof.certificate.issuer_der() != authority.certificate.subject_der() {
        let detail = format!("The issuer of {} is not {}.", proof.label, authority.label);
        return Err(refused(Check::IssuerMissing, detail, "Sign the verification certificate with the key of the CA that was uploaded."));
    }
    check_constraints(&authority, &proof, 0, now)?;
    check_signature(&authority, &proof)?;
    if !proof.certificate.common_name().is_some_and(|name| name.eq_ignore_ascii_case(code)) {
        let detail = format!("The common name of {} is not the verification code.", proof.label);
        return Err(refused(Check::CommonName, detail, "Issue it with exactly one common name: the code that was generated last."));
    }
    check_validity(&proof.certificate, &proof.label, now)
}

fn refused(check: Check, detail: String, mend: &str) -> Refusal {
    Refusal { mend: mend.into(), ..Refusal::new(check, detail) }
}

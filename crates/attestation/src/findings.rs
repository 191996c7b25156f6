//! What a device showed, in sentences for whoever must find out why it was believed or not. They describe and judge nothing.

use usher_domain::{Timestamp, enrollment::CertificateInfo};

use crate::{CLOCK_SKEW_S, Certificate, SasToken};

/// A presented certificate, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whether it can be read and is valid now.
    pub usable: bool,
    /// A sentence.
    pub text: String,
}

/// Each certificate of a chain (DER, leaf first), as presented.
pub fn chain(chain: &[Vec<u8>], now: Timestamp) -> Vec<Described> {
    chain.iter().enumerate().map(|(place, der)| certificate(place, der, now)).collect()
}

fn certificate(place: usize, der: &[u8], now: Timestamp) -> Described {
    let called = if place == 0 { "The leaf".to_owned() } else { format!("Certificate {place} of the chain") };
    match Certificate::from_der(der) {
        Err(error) => Described { usable: false, text: format!("{called} cannot be read: {error}.") },
        Ok(certificate) => {
            let info = certificate.info();
            let (usable, validity) = validity(info, now);
            let (subject, issuer) = (info.subject_name.escape_debug(), info.issuer_name.escape_debug());
            let signer = if info.subject_name == info.issuer_name { "itself".to_owned() } else { format!("'{issuer}'") };
            Described {
                usable,
                text: format!("{called} is '{subject}', issued by {signer}, {validity}; SHA-256 thumbprint {}.", info.sha256_thumbprint),
            }
        }
    }
}

fn validity(info: &CertificateInfo, now: Timestamp) -> (bool, String) {
    let (from, to) = (info.not_before_utc, info.not_after_utc);
    if now > to {
        return (false, format!("expired {} ago, on {to}", span(now.secs().saturating_sub(to.secs()))));
    }
    if now.secs().saturating_add(CLOCK_SKEW_S) < from.secs() {
        return (false, format!("not valid for another {}, until {from}", span(from.secs().saturating_sub(now.secs()))));
    }
    (true, format!("valid from {from} to {to}"))
}

/// A token's resource and expiry. The signature is never told.
pub fn token(token: &SasToken, now: Timestamp) -> String {
    let left = token.expiry_s().saturating_sub(now.secs());
    let expiry = Timestamp::from_secs(token.expiry_s());
    let when = if left >= 0 {
        format!("expires in {}, at {expiry}", span(left))
    } else {
        format!("expired {} ago by this server's clock, at {expiry}", span(left.saturating_neg()))
    };
    let key = token.key_name().map(|name| format!(", key name '{}'", name.escape_debug())).unwrap_or_default();
    format!("The device showed a SAS token for '{}'{key}; it {when}.", token.resource().escape_debug())
}

/// A span of time in the unit that people would choose.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sas;

    #[test]
    fn a_token_is_told_without_its_signature() {
        let text = sas::sign("0neX/registrations/d", b"0123456789abcdef", 1_000, Some("registration"));
        let parsed = SasToken::parse(&text).unwrap();
        let told = token(&parsed, Timestamp::from_secs(900));
        assert!(told.contains("'0neX/registrations/d', key name 'registration'; it expires in 100 s"), "{told}");
        assert!(token(&parsed, Timestamp::from_secs(8_300)).contains("expired 2 h ago by this server's clock"));
        let signature = text.split("sig=").nth(1).unwrap().split('&').next().unwrap();
        assert!(!told.contains(signature) && !token(&parsed, Timestamp::from_secs(i64::MAX / 2_000_000)).contains(signature));
    }

    #[test]
    fn what_is_no_certificate_is_told_as_such() {
        let told = chain(&[b"nonsense".to_vec(), Vec::new()], Timestamp::from_secs(0));
        assert!(told.iter().all(|one| !one.usable));
        assert!(told[1].text.starts_with("Certificate 1 of the chain cannot be read"), "{told:?}");
    }
}

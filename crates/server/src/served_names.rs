//! The names that the server answers to by TLS: one certificate carries them all, and is issued anew when a service is made.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use usher_domain::clock::Clock;

use crate::dev_ca::DevCa;

/// Names in one certificate: some KiB of them. Clients and middleboxes have trouble with handshakes that are much larger.
const NAMES_MAX: usize = 1100;

/// The certificate and how to get another.
pub struct ServedNames {
    ca: DevCa,
    clock: Arc<dyn Clock>,
    current: RwLock<Served>,
}

struct Served {
    names: Vec<String>,
    identity: Arc<CertifiedKey>,
}

impl ServedNames {
    /// Answers to `names`: DNS names and IP addresses.
    ///
    /// # Errors
    /// In words, where no certificate can be issued for them.
    pub fn new(ca: DevCa, clock: Arc<dyn Clock>, mut names: Vec<String>) -> Result<Self, String> {
        names.sort();
        names.dedup();
        let identity = issue(&ca, &names, clock.as_ref())?;
        Ok(Self { ca, clock, current: RwLock::new(Served { names, identity }) })
    }

    /// Answers to one more name, for new connections.
    ///
    /// # Errors
    /// In words, where no certificate can be issued for it; the others are still served.
    pub fn add(&self, name: &str) -> Result<(), String> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.names.iter().any(|served| served.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        let mut names = current.names.clone();
        names.push(name.to_owned());
        let identity = issue(&self.ca, &names, self.clock.as_ref())?;
        *current = Served { names, identity };
        Ok(())
    }
}

fn issue(ca: &DevCa, names: &[String], clock: &dyn Clock) -> Result<Arc<CertifiedKey>, String> {
    if names.len() > NAMES_MAX {
        return Err(format!("one certificate carries at most {NAMES_MAX} names"));
    }
    let issued = ca.issue_server(names, clock.now()).map_err(|why| why.to_string())?;
    let key = aws_lc_rs::sign::any_supported_type(&issued.key).map_err(|why| why.to_string())?;
    Ok(Arc::new(CertifiedKey::new(issued.chain, key)))
}

impl ResolvesServerCert for ServedNames {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).identity))
    }
}

impl std::fmt::Debug for ServedNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServedNames").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use usher_domain::{Timestamp, clock::ManualClock};

    #[test]
    fn a_new_name_is_in_the_next_certificate_and_old_ones_stay() {
        let now = Timestamp::from_secs(1_780_272_000);
        let ca = DevCa::generate("1", now).unwrap();
        let served = ServedNames::new(ca, Arc::new(ManualClock::at(now)), vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let names = |served: &ServedNames| {
            let held = served.current.read().unwrap();
            let der = held.identity.cert.first().unwrap().to_vec();
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len()
        };
        assert_eq!(names(&served), 2);
        served.add("second.localhost").unwrap();
        served.add("Second.localhost").unwrap();
        assert_eq!(names(&served), 3);
        assert!(served.add("not a name \u{e9}").is_err());
        assert_eq!(names(&served), 3);
    }
}

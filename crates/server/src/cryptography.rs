//! Which cryptographic module does the work, and whether TLS keeps to what is approved for it.

use std::sync::Arc;

use rustls::{ServerConfig, server::ResolvesServerCertUsingSni};
use serde::Serialize;
use usher_seal::Module;

use crate::{StartError, tls};

/// The module, and TLS upon it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cryptography {
    /// The module.
    #[serde(flatten)]
    pub module: Module,
    /// Whether TLS offers approved suites, groups and signatures only, and demands extended master secrets (rustls `ServerConfig::fips`).
    pub tls_fips: bool,
}

impl Cryptography {
    /// As this configuration has it.
    pub fn of(tls: &ServerConfig) -> Self {
        Self { module: Module::in_use(), tls_fips: tls.fips() }
    }

    /// As any server of this program has it.
    ///
    /// # Errors
    /// Where the module cannot set up TLS.
    pub fn of_this_program() -> Result<Self, StartError> {
        let nobody = Arc::new(ResolvesServerCertUsingSni::new());
        tls::server_config(nobody).map(|tls| Self::of(&tls)).map_err(|error| StartError::internal("setting up TLS", &error))
    }

    /// Tells the log, and refuses to go on where FIPS mode is required and something lacks it.
    pub(crate) fn check(&self, required: bool) -> Result<(), StartError> {
        let Module { name, version, fips } = &self.module;
        tracing::info!(module = name, version, fips, tls_fips = self.tls_fips, "cryptographic module");
        if !required || (*fips && self.tls_fips) {
            return Ok(());
        }
        let what =
            format!("require_fips is set, and {name} {version} is {}", if *fips { "without approved TLS" } else { "not in FIPS mode" });
        Err(StartError::new(what, "Use a build with `--features fips` (docs/fips.md), or leave out require_fips."))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fips_is_all_or_nothing_and_can_be_required() {
        let told = Cryptography::of_this_program().unwrap();
        assert_eq!((told.module.fips, told.tls_fips), (cfg!(feature = "fips"), cfg!(feature = "fips")));
        assert!(told.check(false).is_ok());
        assert_eq!(told.check(true).is_ok(), cfg!(feature = "fips"));
    }
}

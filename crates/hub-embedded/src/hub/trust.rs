//! CAs that the hub trusts for devices that authenticate by a certificate authority. Which chains they vouch for is judged by
//! the caller; here they are only kept.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use usher_domain::enrollment::StoredCertificate;
use usher_records::RecordError;
use usher_store::Expect;

use super::{ATTEMPTS_MAX, EmbeddedHub, Settings, contended};
use crate::{Code, Fault};

/// CAs of one hub (IoT Hub: 25).
pub const AUTHORITIES_MAX: usize = 25;

/// A CA that the hub trusts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Authority {
    /// The operator's name for it.
    pub name: String,
    /// The certificate.
    pub certificate: StoredCertificate,
}

impl EmbeddedHub {
    /// The CAs that the hub trusts.
    pub fn authorities(&self) -> Vec<Authority> {
        self.settings().authorities.clone()
    }

    /// Trusts a CA, in place of an earlier one of the same name.
    pub async fn add_authority(&self, authority: Authority) -> Result<(), Fault> {
        if authority.name.is_empty() || authority.name.len() > 64 {
            return Err(Fault::invalid("A certificate's name must have 1 to 64 bytes."));
        }
        self.change_settings(|settings| {
            settings.authorities.retain(|known| known.name != authority.name);
            if settings.authorities.len() >= AUTHORITIES_MAX {
                return Err(Fault::invalid(format!("A hub holds {AUTHORITIES_MAX} certificates.")));
            }
            settings.authorities.push(authority.clone());
            Ok(())
        })
        .await
    }

    /// Trusts a CA no longer. Connections that rest on it stay until they end.
    pub async fn remove_authority(&self, name: &str) -> Result<(), Fault> {
        self.change_settings(|settings| {
            settings.authorities.retain(|known| known.name != name);
            Ok(())
        })
        .await
    }

    async fn change_settings(&self, mut change: impl FnMut(&mut Settings) -> Result<(), Fault>) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let gone = || Fault::new(Code::ServerError, "The hub's settings are gone.");
            let found = self.vault.get::<Settings>(&self.keys.hub()).await?.ok_or_else(gone)?;
            let mut settings = found.value;
            change(&mut settings)?;
            let (put, _) = self.vault.put(self.keys.hub(), Expect::Etag(found.etag), &settings)?;
            match self.vault.commit(vec![put]).await {
                Ok(()) => {
                    *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
                    return Ok(());
                }
                Err(RecordError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }
}

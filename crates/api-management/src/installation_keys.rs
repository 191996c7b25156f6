//! The keys that the store is sealed under, for `usher keys`: usher's own addition to the management API. It tells which there are and
//! sets rotations going; no key ever passes through it.

use serde_json::{Value, json};
use usher_domain::ids::hex;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    route::Place,
};

impl ManagementApi {
    /// The master keys that this node has, and those that wrap something in the store, whether it has them or not.
    pub(crate) async fn master_keys(&self) -> Result<Answer, Refused> {
        let directory = &self.ports.directory;
        let (known, mut under) = (directory.master_keys(), directory.under_masters().await?);
        let mut keys = Vec::<Value>::new();
        for (at, key) in known.iter().enumerate() {
            let found = under.iter().position(|one| one.check == key.check() && one.held == key.is_held()).map(|at| under.swap_remove(at));
            let (tenants, data_keys) = found.map_or((0, 0), |one| (one.tenants, one.data_keys));
            let role = if at == 0 { "current" } else { "other" };
            keys.push(json!({ "id": hex(&key.check()), "origin": key.origin(), "inToken": key.is_held(), "role": role, "tenants": tenants,
                "dataKeys": data_keys }));
        }
        // Only here where another node has one that this node lacks: its tenants cannot be opened by this node.
        keys.extend(under.into_iter().map(|one| {
            json!({ "id": hex(&one.check), "origin": null, "inToken": one.held, "role": "unknown", "tenants": one.tenants,
                "dataKeys": one.data_keys })
        }));
        Ok(Answer::ok(json!({ "value": keys, "cryptography": self.cryptography })))
    }

    /// Wraps everything under the current master key.
    pub(crate) async fn rotate_master_key(&self) -> Result<Answer, Refused> {
        let directory = &self.ports.directory;
        let current = directory.master_keys().into_iter().next();
        let done = directory.rotate_master().await.map_err(|error| {
            tracing::error!(check = "master_key.rotation", detail = %error, mend = MEND, "the rotation stopped before its end");
            Refused { status: 500, code: "RotationStopped", message: format!("The rotation stopped: {error}."), mend: MEND, allow: None }
        })?;
        tracing::info!(rewrapped = done.rewrapped, already = done.already, "master key rotated");
        let (id, origin) = current.map_or_else(Default::default, |key| (hex(&key.check()), key.origin().to_owned()));
        Ok(Answer::ok(json!({ "id": id, "origin": origin, "rewrapped": done.rewrapped, "already": done.already })))
    }

    /// A fresh data key for a service's records.
    pub(crate) async fn renew_data_key(&self, place: &Place) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let count = self.ports.directory.renew_data_key(&tenant.service.name).await?;
        let count = count.ok_or_else(|| Refused::missing("The service is gone."))?;
        Ok(Answer::ok(json!({ "service": tenant.service.name, "dataKeys": count })))
    }

    /// A fresh data key for the system's own records.
    pub(crate) async fn renew_system_data_key(&self) -> Result<Answer, Refused> {
        Ok(Answer::ok(json!({ "service": null, "dataKeys": self.ports.directory.renew_system_data_key().await? })))
    }
}

const MEND: &str = "Nothing is lost: keep all master keys that `usher keys list` shows, give this node those it lacks, and rotate again.";

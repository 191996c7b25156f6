//! Making a device, or bringing an existing one to its specification, safely repeated after any crash or lost answer.
//!
//! A new device is made together with its twin by one request. A hub may still make the device alone and say so, and usher may die
//! before it has set the twin by a second request; so the first request also leaves a mark in the identity ([`identity::MADE_WITH_TWIN`]),
//! which IoT Hub keeps. A later call that finds the mark beside a twin that nobody has ever written to knows that the twin is owed,
//! and sets it on the condition that this is still so. Without the mark the device is not this connector's making, and its twin is
//! left alone.

use serde_json::Value;
use usher_domain::hub_device::{DeviceSpec, InitialTwin};
use usher_hub::{HubError, TwinWrite};

use crate::{
    IotHub,
    answer::{Answer, Created},
    call::unexpected,
    identity, twin,
};

/// How often a device is looked at anew when others change, make or remove it at the same time.
const ATTEMPTS_MAX: usize = 4;

/// How an attempt at an existing device ended.
enum Brought {
    Done,
    /// It was changed or removed meanwhile: look again.
    Again,
}

impl IotHub {
    pub(crate) async fn ensure(&self, spec: &DeviceSpec, write: TwinWrite<'_>) -> Result<(), HubError> {
        let (TwinWrite::IfCreated(given) | TwinWrite::Replace(given)) = write;
        let initial = &twin::without_nulls(given);
        let write = match write {
            TwinWrite::IfCreated(_) => TwinWrite::IfCreated(initial),
            TwinWrite::Replace(_) => TwinWrite::Replace(initial),
        };
        let body = identity::create_body(spec, initial);
        for _ in 0..ATTEMPTS_MAX {
            let brought = match self.create(&body).await? {
                Created::Whole => Brought::Done,
                Created::WithoutTwin => self.put_twin(spec, initial, "*").await?,
                Created::Exists => self.bring(spec, write).await?,
            };
            if matches!(brought, Brought::Done) {
                return Ok(());
            }
        }
        Err(HubError::Unavailable("others keep changing the device".into()))
    }

    async fn bring(&self, spec: &DeviceSpec, write: TwinWrite<'_>) -> Result<Brought, HubError> {
        let Some(found) = self.get_device(&spec.device_id).await? else { return Ok(Brought::Again) };
        if let Some(body) = identity::update_body(&found, spec) {
            match self.update_device(&spec.device_id, &body, identity::etag(&found).unwrap_or("*")).await? {
                Answer::Done(_) => {}
                Answer::NoDevice | Answer::Changed => return Ok(Brought::Again),
                other @ Answer::Exists => return Err(unexpected(&other)),
            }
        }
        match write {
            TwinWrite::Replace(initial) => self.put_twin(spec, initial, "*").await,
            TwinWrite::IfCreated(initial) => self.settle_owed_twin(spec, &found, initial).await,
        }
    }

    async fn settle_owed_twin(&self, spec: &DeviceSpec, found: &Value, initial: &InitialTwin) -> Result<Brought, HubError> {
        if identity::is_empty(initial) || !identity::is_made_with_twin(found) {
            return Ok(Brought::Done);
        }
        match self.get_twin(&spec.device_id).await? {
            Some(there) if there.is_untouched() => self.put_twin(spec, initial, &there.etag).await,
            Some(_) => Ok(Brought::Done),
            None => Ok(Brought::Again),
        }
    }

    async fn put_twin(&self, spec: &DeviceSpec, initial: &InitialTwin, etag: &str) -> Result<Brought, HubError> {
        match self.replace_twin(&spec.device_id, &twin::replace_body(initial), etag).await? {
            Answer::Done(_) => Ok(Brought::Done),
            Answer::NoDevice | Answer::Changed => Ok(Brought::Again),
            other @ Answer::Exists => Err(unexpected(&other)),
        }
    }
}

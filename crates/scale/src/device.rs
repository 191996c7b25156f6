//! The devices: each is made from its number alone, so that any run can be any of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use usher_attestation::sas;
use usher_domain::{
    IdScope, RegistrationId, Secret, Timestamp, TrackingId,
    document::EnrollmentDocument,
    hub_device::{DeviceCredential, InitialTwin},
};
use usher_provisioning::{Claim, Evidence, Transport};

use crate::Outcome;

/// What each device's keys are derived from. They protect nothing: these devices exist for measurements only.
const FLEET_KEY: &[u8] = b"the keys of a fleet that exists for measurements only";
/// For how long a device's token is valid, in seconds.
const TOKEN_LIFETIME_S: i64 = 3_600;

/// Which part of the fleet a device belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Enrolled and registered.
    Registered,
    /// Enrolled only: measured registrations make them new.
    Fresh,
}

/// A device with an individual enrollment by symmetric keys.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its registration ID.
    pub id: RegistrationId,
    primary: String,
    secondary: String,
}

impl Device {
    /// The device of this number.
    pub fn new(part: Part, number: u64) -> Outcome<Self> {
        let id = registration_id(part, number)?;
        let key = |which: &str| STANDARD.encode(sas::derive_device_key(FLEET_KEY, &format!("{id}{which}")));
        Ok(Self { primary: key(""), secondary: key("-2"), id })
    }

    /// Its enrollment, as an operator would send it.
    pub fn enrollment(&self) -> Outcome<EnrollmentDocument> {
        let twin = self.twin();
        Ok(serde_json::from_value(json!({
            "registrationId": self.id.as_str(),
            "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": self.primary, "secondaryKey": self.secondary } },
            "initialTwin": { "tags": twin.tags, "properties": { "desired": twin.desired } },
        }))?)
    }

    /// The twin that it begins with.
    pub fn twin(&self) -> InitialTwin {
        let object = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
        InitialTwin { tags: object(json!({ "site": "north", "line": 7 })), desired: object(json!({ "intervalS": 60 })) }
    }

    /// How it proves itself at its hub.
    pub fn credential(&self) -> DeviceCredential {
        DeviceCredential::SymmetricKeys { primary: Secret::new(self.primary.clone()), secondary: Secret::new(self.secondary.clone()) }
    }

    /// Its request to register.
    pub fn claim(&self, id_scope: &IdScope, tracking_id: TrackingId, now: Timestamp) -> Outcome<Claim> {
        let key = STANDARD.decode(&self.primary)?;
        let resource = format!("{id_scope}/registrations/{}", self.id);
        let token = sas::sign(&resource, &key, now.secs() + TOKEN_LIFETIME_S, Some("registration"));
        Ok(Claim {
            id_scope: id_scope.clone(),
            claimed_id: self.id.clone(),
            api_version: "2019-03-31".into(),
            evidence: Evidence { certificates: Vec::new(), sas_token: Some(token), tpm: None },
            tracking_id,
            transport: Transport::Mqtt,
            peer: None,
        })
    }
}

/// The registration ID of the device of this number.
pub fn registration_id(part: Part, number: u64) -> Outcome<RegistrationId> {
    let prefix = match part {
        Part::Registered => "device",
        Part::Fresh => "fresh",
    };
    Ok(RegistrationId::parse(&format!("{prefix}-{number:08}")).map_err(|why| why.0)?)
}

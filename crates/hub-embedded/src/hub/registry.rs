//! The identity registry.

use serde::Serialize;
use serde_json::Value;
use usher_domain::DeviceId;
use usher_records::RecordError;
use usher_store::{Expect, Op};

use super::{ATTEMPTS_MAX, EmbeddedHub, contended};
use crate::{
    Code, Fault,
    cloud_message::Queue,
    device::{Birth, Device, Presence, Status},
    etag::Condition,
    live::{Closing, Notice},
    twin::TwinChange,
};

/// Devices in one bulk request (IoT Hub: 100).
pub const BULK_DEVICES_MAX: usize = 100;

/// An item of a bulk request that failed (azure-iot-sdk-python: DeviceRegistryOperationError).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkError {
    /// The device as the request named it.
    pub device_id: String,
    /// The code's name.
    pub error_code: String,
    /// What happened.
    pub error_status: String,
}

impl EmbeddedHub {
    /// Makes or updates a device from the body of a PUT: without a condition it must be new, with one it must be there.
    pub async fn put_device(&self, id: &DeviceId, body: &Value, condition: &Condition) -> Result<Device, Fault> {
        check_name(body, "deviceId", id)?;
        match condition {
            Condition::None => self.create(id, body, TwinChange::default()).await,
            condition => self.update(id, body, condition).await,
        }
    }

    async fn create(&self, id: &DeviceId, body: &Value, twin: TwinChange) -> Result<Device, Fault> {
        let device = Device::from_request(id.clone(), body, twin, self.birth(&mut || self.new_key()))?;
        if self.insert(&device).await? {
            return Ok(device);
        }
        Err(Fault::new(Code::DeviceAlreadyExists, format!("A device with ID '{id}' is already registered.")))
    }

    async fn update(&self, id: &DeviceId, body: &Value, condition: &Condition) -> Result<Device, Fault> {
        let now = self.now();
        let change = |device: &mut Device| {
            condition.check(&device.etag())?;
            let before = (device.authentication.clone(), device.status);
            device.update(body, &mut || self.new_key(), now)?;
            Ok(before != (device.authentication.clone(), device.status))
        };
        let (device, access_changed) = self.change(id, change).await?;
        if access_changed {
            self.live.disconnect(id, Closing::NoLongerAllowed);
        }
        Ok(device)
    }

    /// Removes a device with its twin, its messages and its session, and ends its connection.
    pub async fn remove_device(&self, id: &DeviceId, condition: &Condition) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let found = self.read(id).await?.ok_or_else(|| Fault::no_device(id.as_str()))?;
            condition.check(&found.value.etag())?;
            let queue = self.vault.get::<Queue>(&self.keys.queue(id)).await?;
            let queued = queue.as_ref().map_or(Expect::Absent, |queue| Expect::Etag(queue.etag));
            let mut ops = self.count_status(found.value.status, Status::Enabled);
            ops.push(Op::Delete { key: self.keys.device(id), expect: Expect::Etag(found.etag) });
            ops.push(Op::Add { key: self.keys.device_count(), delta: -1 });
            ops.push(Op::Delete { key: self.keys.session(id), expect: Expect::Any });
            match &queue {
                Some(_) => ops.push(Op::Delete { key: self.keys.queue(id), expect: queued }),
                None => ops.push(Op::Check { key: self.keys.queue(id), expect: queued }),
            }
            let messages = queue.iter().flat_map(|queue| queue.value.sequences());
            ops.extend(messages.map(|sequence| Op::Delete { key: self.keys.message(id, sequence), expect: Expect::Any }));
            match self.vault.commit(ops).await {
                Ok(()) => {
                    self.live.disconnect(id, Closing::NoLongerAllowed);
                    return Ok(());
                }
                Err(RecordError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Whether a device is connected, when it was last heard, and how many messages wait for it.
    pub async fn presence(&self, id: &DeviceId) -> Result<Presence, Fault> {
        let queue = self.vault.get::<Queue>(&self.keys.queue(id)).await?;
        let messages_waiting = queue.map_or(0, |mut queue| {
            queue.value.drop_expired(self.now());
            queue.value.len()
        });
        Ok(Presence { messages_waiting, ..self.live.presence(id) })
    }

    /// Carries out the items of a bulk request one by one; gives what failed.
    pub async fn bulk(&self, items: &[Value]) -> Result<Vec<BulkError>, Fault> {
        if items.is_empty() || items.len() > BULK_DEVICES_MAX {
            return Err(Fault::invalid(format!("A bulk request must have 1 to {BULK_DEVICES_MAX} devices.")));
        }
        let mut failed = Vec::new();
        for item in items {
            let name = item.get("id").and_then(Value::as_str).unwrap_or_default();
            if let Err(fault) = self.bulk_item(name, item).await {
                failed.push(BulkError {
                    device_id: name.to_owned(),
                    error_code: fault.code.name().to_owned(),
                    error_status: fault.message,
                });
            }
        }
        Ok(failed)
    }

    async fn bulk_item(&self, name: &str, item: &Value) -> Result<(), Fault> {
        if item.get("moduleId").is_some_and(|module| !module.is_null()) {
            return Err(Fault::new(Code::ModuleNotFound, "Modules are not offered by this hub."));
        }
        let id = DeviceId::parse(name).map_err(|error| Fault::invalid(error.0))?;
        let text = |member: &str| item.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mode = text("importMode").unwrap_or("createOrUpdate").to_ascii_lowercase();
        let matching = |member: &str| if mode.ends_with("ifmatchetag") { Condition::from_header(text(member)) } else { Condition::Any };
        match mode.as_str() {
            "create" => self.create(&id, item, TwinChange::parse(item)?).await.map(|_| ()),
            "update" | "updateifmatchetag" => self.update(&id, item, &matching("eTag")).await.map(|_| ()),
            "createorupdate" | "createorupdateifmatchetag" => match self.create(&id, item, TwinChange::parse(item)?).await {
                Err(Fault { code: Code::DeviceAlreadyExists, .. }) => self.update(&id, item, &matching("eTag")).await.map(|_| ()),
                made => made.map(|_| ()),
            },
            "delete" | "deleteifmatchetag" => self.remove_device(&id, &matching("eTag")).await,
            "updatetwin" | "updatetwinifmatchetag" => self.patch_twin(&id, item, &matching("twinETag")).await.map(|_| ()),
            _ => Err(Fault::invalid("importMode is not known.")),
        }
    }

    pub(super) fn birth<'a>(&self, new_key: &'a mut dyn FnMut() -> usher_domain::Secret) -> Birth<'a> {
        let now = self.now();
        Birth { generation_id: now.micros().to_string(), new_key, now }
    }

    pub(super) fn tell(&self, id: &DeviceId, patch: Option<crate::twin::DesiredPatch>) {
        if let Some(patch) = patch {
            self.live.tell(id, Notice::Desired(patch));
        }
    }
}

/// A body may leave the ID out, but must not contradict the path.
fn check_name(body: &Value, member: &str, id: &DeviceId) -> Result<(), Fault> {
    if !body.is_object() {
        return Err(Fault::invalid("The body must be a JSON object."));
    }
    match body.get(member).filter(|name| !name.is_null()) {
        Some(name) if name.as_str() != Some(id.as_str()) => Err(Fault::invalid("deviceId in the body is not the device ID in the path.")),
        _ => Ok(()),
    }
}

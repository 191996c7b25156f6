//! IoT Hub's REST for operators and applications, and the part of it that devices use (Azure/azure-rest-api-specs: data-plane IoT Hub
//! gateway service APIs; azure-iot-sdk-python: azure-iot-hub; azure-iot-sdk-node: azure-iothub).
//!
//! Any `api-version` is taken: what is offered has kept its shape across versions.

mod answer;
mod devices;
mod messages;
mod own;
mod query;
mod request;
mod route;
mod twins;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use usher_domain::{HubName, TrackingId};
use usher_hub_embedded::{Code, EmbeddedHub, EmbeddedHubs, Fault, policy::Permission};

use crate::access::{Refusal, ServiceEvidence, ServiceRefusal, judge_service};
use answer::Refused;
use request::Call;
use route::{Route, Verb};

pub use request::BODY_BYTES_MAX;

/// REST of all embedded hubs.
#[derive(Clone)]
pub struct HubRest {
    hubs: Arc<EmbeddedHubs>,
}

/// What a handler gives.
type Answer = Result<Response<Bytes>, Refused>;

impl HubRest {
    /// REST of these hubs.
    pub fn new(hubs: Arc<EmbeddedHubs>) -> Self {
        Self { hubs }
    }

    /// Whether a path is a hub's, where provisioning and hubs share a host name. Provisioning's paths begin otherwise.
    pub fn owns(path: &str) -> bool {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        route::COLLECTIONS.iter().any(|collection| collection.eq_ignore_ascii_case(first))
    }

    /// Answers a request to `hub`. A device's client certificate is expected as an extension of type
    /// [`PeerEvidence`](crate::PeerEvidence); without it devices can use SAS tokens only.
    pub async fn handle(&self, hub: &HubName, request: Request<Bytes>) -> Response<Bytes> {
        let tracking_id = TrackingId::from_random(self.hubs.random());
        let Some(found) = self.hubs.get(hub) else {
            let fault = Fault::new(Code::ResourceNotFound, format!("There is no hub {hub}."));
            return answer::refuse(&Refused::from(fault), &tracking_id, usher_domain::Timestamp::from_secs(0));
        };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match answer_call(&found, request).await {
            Ok(response) => response,
            Err(refused) => {
                let (fault, check) = (&refused.fault, refused.check());
                let path: String = path.chars().take(300).collect();
                tracing::warn!(tracking_id = %tracking_id, hub = %hub, %method, path, check, %fault, detail = refused.detail(), "a hub request was refused");
                answer::refuse(&refused, &tracking_id, found.now())
            }
        }
    }
}

async fn answer_call(hub: &Arc<EmbeddedHub>, request: Request<Bytes>) -> Answer {
    let call = Call::read(hub, request)?;
    let route = Route::parse(&call.path)?;
    let Some(verb) = route.verb(&call.method) else {
        return Err(Refused::from(Fault::new(
            Code::OperationNotAllowedInCurrentState,
            format!("{} is not allowed on this path, allowed: {}.", call.method, route.allowed().join(", ")),
        ))
        .with_allow(&route.allowed()));
    };
    if let Some(permission) = verb.permission() {
        authorize(&call, permission)?;
    }
    dispatch(&call, &route, verb).await
}

/// Every operation but the devices' own needs a policy's token.
fn authorize(call: &Call, permission: Permission) -> Result<(), Refused> {
    let evidence = ServiceEvidence { authority: &call.authority, path: &call.path, token: call.header("authorization") };
    judge_service(&call.hub, permission, evidence, call.hub.now()).map_err(Refused::from)
}

async fn dispatch(call: &Call, route: &Route, verb: Verb) -> Answer {
    match (verb, route) {
        (Verb::ListDevices, _) => devices::list(call).await,
        (Verb::BulkDevices, _) => devices::bulk(call).await,
        (Verb::GetDevice, Route::Device(id)) => devices::get(call, id).await,
        (Verb::PutDevice, Route::Device(id)) => devices::put(call, id).await,
        (Verb::DeleteDevice, Route::Device(id)) => devices::delete(call, id).await,
        (Verb::ListModules, Route::Modules(id)) => devices::modules(call, id).await,
        (Verb::GetTwin, Route::Twin(id)) => twins::get(call, id).await,
        (Verb::PatchTwin, Route::Twin(id)) => twins::patch(call, id).await,
        (Verb::PutTwin, Route::Twin(id)) => twins::put(call, id).await,
        (Verb::CallMethod, Route::Methods(id)) => twins::call_method(call, id).await,
        (Verb::Query, _) => query::run(call).await,
        (Verb::DeviceStatistics, _) => devices::statistics(call).await,
        (Verb::ServiceStatistics, _) => Ok(devices::connected(call)),
        (Verb::SendByHeader, _) => messages::send_by_header(call).await,
        (Verb::SendToDevice, Route::DeviceBound(id)) => messages::send(call, id).await,
        (Verb::PurgeMessages, Route::Commands(id)) => messages::purge(call, id).await,
        (Verb::SendEvent, Route::Events(id)) => messages::send_event(call, id).await,
        (Verb::ListConfigurations, _) => Ok(answer::json(&serde_json::json!([]))),
        (Verb::ReadTelemetry, _) => own::telemetry(call),
        (Verb::ListAuthorities, _) => Ok(own::authorities(call)),
        (Verb::PutAuthority, Route::Authority(name)) => own::put_authority(call, name).await,
        (Verb::DeleteAuthority, Route::Authority(name)) => own::delete_authority(call, name).await,
        // Routes and verbs come from one table, so no other pair occurs.
        _ => Err(Refused::from(Fault::new(Code::ResourceNotFound, "There is no such path."))),
    }
}

impl From<ServiceRefusal> for Refused {
    fn from(refusal: ServiceRefusal) -> Self {
        match refusal {
            ServiceRefusal::Unauthorized(refusal) => Self::unauthorized(refusal),
            ServiceRefusal::Forbidden(refusal) => {
                let fault = Fault::new(Code::IotHubUnauthorized, "The shared access policy lacks the permission for this operation.");
                Self::checked(fault, refusal)
            }
        }
    }
}

impl Refused {
    /// Not believed. The client learns no more than that: the reason is in the log.
    fn unauthorized(refusal: Refusal) -> Self {
        Self::checked(Fault::new(Code::IotHubUnauthorizedAccess, "Unauthorized"), refusal)
    }
}

//! Decides whether a CONNECT is let in.

use std::sync::Arc;

use usher_domain::Timestamp;
use usher_hub_embedded::{Code, EmbeddedHub, EmbeddedHubs, Fault, device::Device, live::Connection};
use usher_mqtt::packet::{Connect, ConnectCode};

use super::{
    PeerEvidence,
    user_name::{UserName, UserNameError},
};
use crate::access::{Evidence, Refusal, judge_device};

/// A device that was let in.
pub struct Admitted {
    /// Its hub.
    pub hub: Arc<EmbeddedHub>,
    /// As it named itself.
    pub user: UserName,
    /// Its connection on the hub.
    pub connection: Connection,
    /// When its token expires.
    pub until: Option<Timestamp>,
}

/// Why a device was not let in: the code that it hears, and what the log hears.
pub struct NotAdmitted {
    /// MQTT's code.
    pub code: ConnectCode,
    /// The failed check.
    pub refusal: Refusal,
}

/// Judges a CONNECT.
pub async fn admit(hubs: &EmbeddedHubs, connect: &Connect, peer: &PeerEvidence) -> Result<Admitted, NotAdmitted> {
    let text = connect.user_name.as_deref().unwrap_or_default();
    let user = UserName::parse(text).map_err(|error| refuse_user_name(error, text))?;
    let no_hub = || not_authorized(Refusal::new("Hub", format!("there is no hub {}", user.hub)));
    let hub = hubs.get(&user.hub).ok_or_else(no_hub)?;
    if connect.client_id != user.device_id.as_str() {
        let detail = format!("the client ID {:?} is not the device ID {}", connect.client_id, user.device_id);
        return Err(NotAdmitted { code: ConnectCode::BadClientId, refusal: Refusal::new("ClientId", detail) });
    }
    let device = hub.device(&user.device_id).await.map_err(|fault| refuse_fault(&fault))?;
    let until = judge(&hub, &device, connect, peer, text)?;
    let connection = hub.connect(&device).await.map_err(|fault| refuse_fault(&fault))?;
    Ok(Admitted { hub, user, connection, until })
}

fn judge(
    hub: &EmbeddedHub,
    device: &Device,
    connect: &Connect,
    peer: &PeerEvidence,
    user_name: &str,
) -> Result<Option<Timestamp>, NotAdmitted> {
    let password = connect.password.as_deref().filter(|password| !password.is_empty());
    let token = password.map(std::str::from_utf8).transpose();
    let token = token.map_err(|_| not_authorized(Refusal::new("TokenForm", "the password is not UTF-8")))?;
    let authority = user_name.split('/').next().unwrap_or_default();
    let evidence = Evidence { authority, token, chain: &peer.chain };
    judge_device(hub, device, evidence, hub.now()).map(|admission| admission.until).map_err(not_authorized)
}

fn refuse_user_name(error: UserNameError, text: &str) -> NotAdmitted {
    let detail = match error {
        UserNameError::Form => format!("{:?} is not {{hub}}/{{deviceId}}/?api-version=…", text.chars().take(200).collect::<String>()),
        UserNameError::Module => "modules are not offered by this hub".to_owned(),
    };
    NotAdmitted { code: ConnectCode::NotAuthorized, refusal: Refusal::new("UserName", detail) }
}

fn refuse_fault(fault: &Fault) -> NotAdmitted {
    let code = match fault.code {
        Code::ServiceUnavailable | Code::ServerError | Code::ConcurrentChange => ConnectCode::Unavailable,
        _ => ConnectCode::NotAuthorized,
    };
    NotAdmitted { code, refusal: Refusal::new(fault.code.name(), fault.message.clone()) }
}

fn not_authorized(refusal: Refusal) -> NotAdmitted {
    NotAdmitted { code: ConnectCode::NotAuthorized, refusal }
}

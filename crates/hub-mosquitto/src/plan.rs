//! Decisions: from what the broker has of a device, what is to be written and commanded. Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use usher_domain::{
    Secret,
    hub_device::{DeviceCredential, DeviceSpec},
};
use usher_hub::{HubError, TwinWrite};

use crate::{
    answer::Answer,
    command::{self, OURS, Rule},
    names::Names,
    twin,
};

/// A device's client on the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// There is none of that name.
    Absent,
    /// It was made by someone else.
    Stranger,
    /// Usher made it.
    Ours {
        /// Whether it has its role.
        has_role: bool,
    },
}

/// A device's role on the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// There is none of that name.
    Absent,
    /// Its rules are others than they should be.
    Strayed,
    /// As it should be.
    AsWanted,
}

/// What the broker has of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its client.
    pub client: Client,
    /// Its role.
    pub role: Role,
    /// Its retained desired properties.
    pub desired: Option<Bytes>,
    /// Its retained tags.
    pub tags: Option<Bytes>,
}

/// Reads the answer to [`command::get_client`].
pub fn client(names: &Names, answer: &Answer) -> Result<Client, HubError> {
    if answer.is_not_found() {
        return Ok(Client::Absent);
    }
    let client = data(answer, "client")?;
    if client.get("textname").and_then(Value::as_str) != Some(OURS) {
        return Ok(Client::Stranger);
    }
    let mut roles = client.get("roles").and_then(Value::as_array).into_iter().flatten();
    let has_role = roles.any(|role| role.get("rolename").and_then(Value::as_str) == Some(names.role().as_str()));
    Ok(Client::Ours { has_role })
}

/// Reads the answer to [`command::get_role`].
pub fn role(names: &Names, answer: &Answer) -> Result<Role, HubError> {
    if answer.is_not_found() {
        return Ok(Role::Absent);
    }
    let acls = data(answer, "role")?.get("acls").and_then(Value::as_array).into_iter().flatten();
    let found: BTreeSet<Rule> = acls.map(rule).collect();
    let wanted: BTreeSet<Rule> = command::rules(names).into_iter().collect();
    Ok(if found == wanted { Role::AsWanted } else { Role::Strayed })
}

fn rule(acl: &Value) -> Rule {
    let text = |name: &str| acl.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Rule { kind: text("acltype"), topic: text("topic"), allow: acl.get("allow").and_then(Value::as_bool).unwrap_or_default() }
}

fn data<'a>(answer: &'a Answer, name: &str) -> Result<&'a Value, HubError> {
    match (&answer.error, answer.data.get(name)) {
        (None, Some(found)) => Ok(found),
        (error, _) => Err(HubError::Unavailable(format!("the broker gives a strange answer when asked for a {name}: {error:?}"))),
    }
}

/// The password of the device's client: its primary key as it knows it, in base64. A device with a certificate needs none, and gets
/// `unknown`, which nobody knows, so that an earlier one of its own holds no longer.
///
/// # Errors
/// Where the device could not use what it would get.
pub fn password(spec: &DeviceSpec, unknown: Secret) -> Result<Secret, HubError> {
    if spec.iot_edge {
        let why =
            "a broker cannot serve an IoT Edge device, which needs an IoT Hub. Enroll it without that capability, or for another hub.";
        return Err(HubError::Rejected(why.into()));
    }
    match &spec.credential {
        DeviceCredential::SymmetricKeys { primary, .. } => Ok(primary.clone()),
        DeviceCredential::Thumbprints { .. } | DeviceCredential::CertificateAuthority => Ok(unknown),
        DeviceCredential::TpmKeys { .. } => Err(HubError::Rejected(
            "a TPM signs with its key and never shows it, and a broker asks for a password. Enroll the device with a certificate or a \
             symmetric key, or for another hub."
                .into(),
        )),
    }
}

/// The messages to retain before the client is made or changed. Where a client is there and its twin is not, the broker has lost it
/// (its messages are saved more seldom than its clients): it is set again.
pub fn messages(names: &Names, seen: &Seen, write: TwinWrite<'_>) -> Vec<(String, Bytes)> {
    let (TwinWrite::IfCreated(initial) | TwinWrite::Replace(initial)) = write;
    let desired = || (names.desired(), twin::desired(initial));
    let tags = || (names.tags(), twin::tags(initial));
    match (write, seen.client) {
        (TwinWrite::IfCreated(_), Client::Ours { .. }) => {
            let lost = [seen.desired.is_none().then(desired), seen.tags.is_none().then(tags)];
            lost.into_iter().flatten().collect()
        }
        // What the device reported belongs to its former life.
        _ => vec![desired(), tags(), (names.reported(), Bytes::new())],
    }
}

/// The commands that bring role and client to what they should be. The client comes after the twin and the role; one that a broker's
/// crash leaves without its role can do nothing, and is given it by the next run.
pub fn commands(names: &Names, seen: &Seen, password: &Secret) -> Vec<Value> {
    let role = match seen.role {
        Role::Absent => Some(command::create_role(names)),
        Role::Strayed => Some(command::modify_role(names)),
        Role::AsWanted => None,
    };
    let client = match seen.client {
        Client::Absent | Client::Stranger => vec![command::create_client(names, password), command::add_client_role(names)],
        Client::Ours { has_role: true } => vec![command::modify_client(names, password)],
        Client::Ours { has_role: false } => vec![command::add_client_role(names), command::modify_client(names, password)],
    };
    role.into_iter().chain(client).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use usher_domain::{DeviceId, hub_device::InitialTwin};

    use super::*;

    fn names() -> Names {
        Names::of(&DeviceId::parse("d").unwrap()).unwrap()
    }

    fn told(data: Value) -> Answer {
        Answer { error: None, data }
    }

    fn seen(client: Client, role: Role) -> Seen {
        Seen { client, role, desired: Some(Bytes::from_static(b"old")), tags: Some(Bytes::from_static(b"old")) }
    }

    fn names_of(commands: &[Value]) -> Vec<&str> {
        commands.iter().map(|command| command["command"].as_str().unwrap()).collect()
    }

    #[test]
    fn only_marked_clients_are_ours() {
        let found = |client: Value| super::client(&names(), &told(json!({ "client": client }))).unwrap();
        assert_eq!(found(json!({"username": "d"})), Client::Stranger);
        assert_eq!(found(json!({"username": "d", "textname": "Usher"})), Client::Stranger);
        assert_eq!(found(json!({"textname": "usher", "roles": [{"rolename": "usher-device/d"}]})), Client::Ours { has_role: true });
        assert_eq!(found(json!({"textname": "usher", "roles": [{"rolename": "x"}]})), Client::Ours { has_role: false });
        let absent = Answer { error: Some("Client not found".into()), data: Value::Null };
        assert_eq!(super::client(&names(), &absent).unwrap(), Client::Absent);
        for strange in [told(Value::Null), Answer { error: Some("Internal error".into()), data: Value::Null }] {
            assert!(super::client(&names(), &strange).unwrap_err().is_transient());
        }
    }

    #[test]
    fn a_role_is_as_wanted_whatever_the_order_of_its_rules() {
        let made = command::create_role(&names());
        let mut acls = made["acls"].as_array().unwrap().clone();
        acls.reverse();
        assert_eq!(role(&names(), &told(json!({"role": {"acls": acls}}))).unwrap(), Role::AsWanted);
        acls.push(json!({"acltype": "publishClientSend", "topic": "#", "allow": true}));
        assert_eq!(role(&names(), &told(json!({"role": {"acls": acls}}))).unwrap(), Role::Strayed);
        acls.pop();
        acls[0]["allow"] = json!(false);
        assert_eq!(role(&names(), &told(json!({"role": {"acls": acls}}))).unwrap(), Role::Strayed);
    }

    #[test]
    fn what_is_there_is_brought_and_what_is_not_is_made() {
        let commands = |client, role| super::commands(&names(), &seen(client, role), &Secret::new("k"));
        assert_eq!(names_of(&commands(Client::Absent, Role::Absent)), ["createRole", "createClient", "addClientRole"]);
        assert_eq!(names_of(&commands(Client::Absent, Role::Strayed)), ["modifyRole", "createClient", "addClientRole"]);
        assert_eq!(names_of(&commands(Client::Ours { has_role: true }, Role::AsWanted)), ["modifyClient"]);
        assert_eq!(names_of(&commands(Client::Ours { has_role: false }, Role::Absent)), ["createRole", "addClientRole", "modifyClient"]);
    }

    #[test]
    fn a_twin_that_is_there_is_kept_and_one_that_was_lost_is_set_again() {
        let initial = InitialTwin::default();
        let topics = |seen: &Seen, write| messages(&names(), seen, write).into_iter().map(|(topic, _)| topic).collect::<Vec<_>>();
        let there = seen(Client::Ours { has_role: true }, Role::AsWanted);
        assert!(topics(&there, TwinWrite::IfCreated(&initial)).is_empty());
        let lost = Seen { desired: None, ..there.clone() };
        assert_eq!(topics(&lost, TwinWrite::IfCreated(&initial)), ["devices/d/twin/desired"]);
        let all = ["devices/d/twin/desired", "devices/d/twin/tags", "devices/d/twin/reported"];
        assert_eq!(topics(&there, TwinWrite::Replace(&initial)), all);
        assert_eq!(topics(&seen(Client::Absent, Role::Absent), TwinWrite::IfCreated(&initial)), all);
    }

    #[test]
    fn a_password_is_what_the_device_can_show() {
        let spec = |credential, iot_edge| DeviceSpec { device_id: DeviceId::parse("d").unwrap(), credential, iot_edge };
        let (primary, secondary) = (Secret::new("first"), Secret::new("second"));
        let password = |credential, edge| super::password(&spec(credential, edge), Secret::new("unknown"));
        let keys = DeviceCredential::SymmetricKeys { primary: primary.clone(), secondary: secondary.clone() };
        assert_eq!(password(keys.clone(), false).unwrap().expose(), "first");
        assert_eq!(password(DeviceCredential::CertificateAuthority, false).unwrap().expose(), "unknown");
        assert!(matches!(password(DeviceCredential::TpmKeys { primary, secondary }, false), Err(HubError::Rejected(_))));
        assert!(matches!(password(keys, true), Err(HubError::Rejected(_))));
    }
}

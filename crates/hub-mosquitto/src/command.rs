//! Commands to the dynamic-security plugin, as JSON (mosquitto: plugins/dynamic-security/README.md). Only such as version 2.0.11 has.

use bytes::Bytes;
use serde_json::{Value, json};
use usher_domain::Secret;

use crate::names::Names;

/// The mark of clients that usher made, in `textname`. Others are left alone.
pub const OURS: &str = "usher";

/// One access rule of a device's role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What may be done.
    pub kind: String,
    /// On which topics.
    pub topic: String,
    /// Whether it may be done or not.
    pub allow: bool,
}

/// What a device may do: send telemetry, report, hear its desired properties and its messages. The same topics with their wildcards may
/// be subscribed to, and nothing that covers more; the plugin's defaults decide about all else. No rule is superfluous: at each change
/// the plugin writes a file with the rules of all devices.
pub fn rules(names: &Names) -> Vec<Rule> {
    let (desired, messages) = (names.desired(), names.topic("messages/devicebound/#"));
    let rule = |kind: &str, topic: &str| Rule { kind: kind.into(), topic: topic.into(), allow: true };
    vec![
        rule("publishClientSend", &names.topic("messages/events/#")),
        rule("publishClientSend", &names.reported()),
        rule("publishClientReceive", &desired),
        rule("publishClientReceive", &messages),
        rule("subscribeLiteral", &desired),
        rule("subscribePattern", &messages),
    ]
}

/// Asks for a device's client.
pub fn get_client(names: &Names) -> Value {
    json!({ "command": "getClient", "username": names.user() })
}

/// Asks for a device's role.
pub fn get_role(names: &Names) -> Value {
    json!({ "command": "getRole", "rolename": names.role() })
}

/// Makes a device's role.
pub fn create_role(names: &Names) -> Value {
    role("createRole", names)
}

/// Brings a device's role to its rules.
pub fn modify_role(names: &Names) -> Value {
    role("modifyRole", names)
}

fn role(command: &str, names: &Names) -> Value {
    let acls: Vec<Value> = rules(names)
        .into_iter()
        .map(|rule| json!({ "acltype": rule.kind, "topic": rule.topic, "priority": 0, "allow": rule.allow }))
        .collect();
    json!({ "command": command, "rolename": names.role(), "textname": OURS, "acls": acls })
}

/// Makes a device's client, without a role, since the plugin does not note with the role who was given it here: were the role removed
/// before the client, the broker would go on reading its memory (seen in 2.0.11; the same code is in 2.0.20).
pub fn create_client(names: &Names, password: &Secret) -> Value {
    json!({
        "command": "createClient",
        "username": names.user(),
        "clientid": names.user(),
        "password": password.expose(),
        "textname": OURS,
    })
}

/// Brings a device's client to its password and client ID. Roles, groups and whether it is enabled are left as they are. The plugin
/// closes the client's connection.
pub fn modify_client(names: &Names, password: &Secret) -> Value {
    json!({ "command": "modifyClient", "username": names.user(), "clientid": names.user(), "password": password.expose() })
}

/// Gives a device's client its role. Both must be there.
pub fn add_client_role(names: &Names) -> Value {
    json!({ "command": "addClientRole", "username": names.user(), "rolename": names.role(), "priority": 0 })
}

/// Removes a device's client. The plugin closes its connection.
pub fn delete_client(names: &Names) -> Value {
    json!({ "command": "deleteClient", "username": names.user() })
}

/// Removes a device's role.
pub fn delete_role(names: &Names) -> Value {
    json!({ "command": "deleteRole", "rolename": names.role() })
}

/// The message that carries commands, each told apart in its answer by `correlation` and its place.
pub fn message(commands: Vec<Value>, correlation: &str) -> Bytes {
    let commands: Vec<Value> = commands
        .into_iter()
        .enumerate()
        .map(|(place, mut command)| {
            if let Some(members) = command.as_object_mut() {
                members.insert("correlationData".into(), format!("{correlation}.{place}").into());
            }
            command
        })
        .collect();
    Bytes::from(json!({ "commands": commands }).to_string())
}

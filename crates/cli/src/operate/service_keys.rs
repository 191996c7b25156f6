//! `usher service keys`: the shared access policies of a service.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use usher_device::Failure;

use super::{Session, arguments::Reach, service::connection_string, text};
use crate::near::nearest;

#[derive(Args)]
pub struct ServiceKeys {
    /// The service's name
    pub name: String,
    /// One policy [default: all]
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Make a key anew; what uses the old one is refused at once
    #[arg(long, value_enum, requires = "policy", conflicts_with_all = ["delete"])]
    pub regenerate: Option<WhichKey>,
    /// Make the policy, or change what it may; repeat for several
    #[arg(long = "right", value_name = "RIGHT", value_enum, requires = "policy", conflicts_with_all = ["delete"])]
    pub rights: Vec<RightWord>,
    /// Delete the policy
    #[arg(long, requires = "policy")]
    pub delete: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// Which of a policy's keys.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhichKey {
    /// The first
    Primary,
    /// The second
    Secondary,
    /// Both
    Both,
}

/// What a policy may.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RightWord {
    /// Change the service
    ServiceConfig,
    /// Read enrollments
    EnrollmentRead,
    /// Write enrollments and read their keys
    EnrollmentWrite,
    /// Be a device
    DeviceConnect,
    /// Read where devices are
    RegistrationStatusRead,
    /// Delete registrations
    RegistrationStatusWrite,
}

impl RightWord {
    /// The management API's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::DeviceConnect => "DeviceConnect",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
        }
    }
}

/// `usher service keys`
pub async fn run(arguments: &ServiceKeys) -> Result<(), Failure> {
    let session = Session::open(&arguments.reach)?;
    let mut service = session.service(Some(&arguments.name)).await?;
    let mut policies = session.policies(&service).await?;
    if arguments.delete || arguments.regenerate.is_some() || !arguments.rights.is_empty() {
        change(arguments, &mut policies)?;
        service["properties"]["authorizationPolicies"] = Value::Array(policies);
        let changed = session.write_back(&service).await?;
        policies = session.policies(&changed).await?;
    }
    let shown: Vec<Value> = match (&arguments.policy, arguments.delete) {
        (Some(name), false) => vec![found(&policies, name, &arguments.name)?.clone()],
        _ => policies,
    };
    if arguments.reach.json {
        say!("{:#}", Value::Array(shown));
        return Ok(());
    }
    let host = text(&service["properties"]["serviceOperationsHostName"]);
    for policy in &shown {
        say!("policy {} ({})", text(&policy["keyName"]), text(&policy["rights"]));
        for key in ["primaryKey", "secondaryKey"] {
            say!("  {}", connection_string(&host, policy, key));
        }
    }
    Ok(())
}

fn is_named(policy: &Value, name: &str) -> bool {
    policy["keyName"].as_str().is_some_and(|there| there.eq_ignore_ascii_case(name))
}

fn found<'a>(policies: &'a [Value], name: &str, service: &str) -> Result<&'a Value, Failure> {
    policies.iter().find(|policy| is_named(policy, name)).ok_or_else(|| {
        let names = || policies.iter().filter_map(|policy| policy["keyName"].as_str());
        let near = nearest(name, names()).map(|near| format!("is {near} meant? ")).unwrap_or_default();
        let what = format!("{service} has no access policy {name}; {near}there are {}", names().collect::<Vec<_>>().join(", "));
        Failure::new("policy", what, "Make one: --right says what it may.")
    })
}

/// Changes the list as was said. A key left out is made anew by the service.
fn change(arguments: &ServiceKeys, policies: &mut Vec<Value>) -> Result<(), Failure> {
    let name = arguments.policy.as_deref().unwrap_or_default();
    let rights: Vec<&str> = arguments.rights.iter().map(|right| right.word()).collect();
    if !rights.is_empty() && !policies.iter().any(|policy| is_named(policy, name)) {
        policies.push(json!({ "keyName": name, "rights": rights.join(", ") }));
        return Ok(());
    }
    found(policies, name, &arguments.name)?;
    if arguments.delete {
        policies.retain(|policy| !is_named(policy, name));
        return Ok(());
    }
    for policy in policies.iter_mut().filter(|policy| is_named(policy, name)) {
        if !rights.is_empty() {
            policy["rights"] = json!(rights.join(", "));
        }
        for (key, which) in [("primaryKey", WhichKey::Primary), ("secondaryKey", WhichKey::Secondary)] {
            if arguments.regenerate.is_some_and(|wanted| wanted == which || wanted == WhichKey::Both) {
                policy[key] = Value::Null;
            }
        }
    }
    Ok(())
}

//! Resource groups: labels with a location and tags. One is there once it is made, or once a service is in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use usher_domain::resource::ResourceGroup;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    describe,
    incoming::{checked_location, checked_tags},
};

/// A resource group as clients send it. What else they send, such as `managedBy`, is not kept.
#[derive(Deserialize)]
struct Body {
    location: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

impl ManagementApi {
    /// Everything that is done with one group.
    pub(crate) async fn of_group(&self, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        match request.method().as_str() {
            "GET" => Ok(Answer::ok(describe::group(&self.group(name).await?.ok_or_else(|| absent(name))?))),
            // Existence, and nothing else (azure-mgmt-resource: resource_groups.check_existence).
            "HEAD" => self.group(name).await?.map(|_| Answer { status: 204, body: None }).ok_or_else(|| absent(name)),
            "PUT" => self.put_group(name, request.body(), Needed::Location).await,
            "PATCH" => self.put_group(name, request.body(), Needed::Group).await,
            "DELETE" => self.delete_group(name).await,
            _ => Err(Refused::method("GET, HEAD, PUT, PATCH, DELETE")),
        }
    }

    /// All groups: those that were made, and those that services are in.
    pub(crate) async fn groups(&self) -> Result<Answer, Refused> {
        let services = self.ports.directory.services().await?;
        let implied = services.iter().map(|service| implied(&service.resource.group, &service.resource.location));
        let made = self.ports.directory.resource_groups().await?;
        let all: BTreeMap<String, ResourceGroup> = implied.chain(made).map(|group| (group.name.to_lowercase(), group)).collect();
        Ok(Answer::ok(json!({ "value": all.values().map(describe::group).collect::<Vec<_>>() })))
    }

    /// What is in the subscription or in one group: services.
    pub(crate) async fn resources(&self, group: Option<&str>) -> Result<Answer, Refused> {
        if let Some(name) = group {
            self.group(name).await?.ok_or_else(|| absent(name))?;
        }
        let services = self.ports.directory.services().await?;
        let wanted = services.iter().filter(|service| group.is_none_or(|group| service.resource.group.eq_ignore_ascii_case(group)));
        Ok(Answer::ok(json!({ "value": wanted.map(|service| describe::resource(service)).collect::<Vec<Value>>() })))
    }

    async fn group(&self, name: &str) -> Result<Option<ResourceGroup>, Refused> {
        if let Some(made) = self.ports.directory.resource_group(name).await? {
            return Ok(Some(made.value));
        }
        let services = self.ports.directory.services().await?;
        let first = services.iter().find(|service| service.resource.group.eq_ignore_ascii_case(name));
        Ok(first.map(|service| implied(&service.resource.group, &service.resource.location)))
    }

    async fn put_group(&self, name: &str, body: &[u8], needed: Needed) -> Result<Answer, Refused> {
        let invalid = || Refused::bad("InvalidRequestContent", "The body must be a resource group as a JSON object, with a location.");
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(invalid());
        }
        let body: Body = serde_json::from_slice(body).map_err(|_| invalid())?;
        let old = self.group(name).await?;
        let location = match (body.location, &old, needed) {
            (_, None, Needed::Group) => return Err(absent(name)),
            (Some(location), ..) => checked_location(&location)?,
            (None, Some(old), _) => old.location.clone(),
            (None, None, Needed::Location) => return Err(Refused::bad("LocationRequired", "A new resource group needs a location.")),
        };
        let kept = old.map(|old| old.tags).unwrap_or_default();
        let tags = body.tags.map(|tags| checked_tags(&tags)).transpose()?.unwrap_or(kept);
        let wanted = ResourceGroup { name: name.to_owned(), location, tags };
        let (group, created) = self.ports.directory.put_resource_group(&wanted).await?;
        // To whom it was there already, as a service's group, it was changed.
        Ok(Answer::written(describe::group(&group), created && matches!(needed, Needed::Location)))
    }

    /// Refused while services are in it: in the cloud they would go with their group, and their devices' enrollments with them.
    async fn delete_group(&self, name: &str) -> Result<Answer, Refused> {
        let services = self.ports.directory.services().await?;
        let inside: Vec<&str> =
            services.iter().filter(|it| it.resource.group.eq_ignore_ascii_case(name)).map(|it| it.name.as_str()).take(5).collect();
        if !inside.is_empty() {
            let message = format!("The resource group {name} holds provisioning services: {}. Delete them first.", inside.join(", "));
            return Err(Refused { status: 409, ..Refused::bad("ResourceGroupNotEmpty", message) });
        }
        if self.ports.directory.delete_resource_group(name).await? { Ok(Answer::deleted(true)) } else { Err(absent(name)) }
    }
}

/// What a change of a group cannot do without.
#[derive(Clone, Copy)]
enum Needed {
    Location,
    Group,
}

/// A group that nobody made, but a service names.
fn implied(name: &str, location: &str) -> ResourceGroup {
    ResourceGroup { name: name.to_owned(), location: location.to_owned(), tags: BTreeMap::new() }
}

fn absent(name: &str) -> Refused {
    let message = format!("Resource group '{name}' could not be found: it was not made, and no service is in it.");
    Refused { code: "ResourceGroupNotFound", ..Refused::missing(message) }
}

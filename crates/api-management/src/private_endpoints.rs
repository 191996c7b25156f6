//! Private endpoints: usher has none and says so. Lists are empty, what is named is not there, and what would make one is refused, so that
//! nobody relies on a protection that is not given.

use http::Method;
use serde_json::json;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    route::{Part, Place},
};

impl ManagementApi {
    /// Answers for private links and private endpoint connections of a service that must be there.
    pub(crate) async fn private(&self, place: &Place, part: &Part, method: &Method) -> Result<Answer, Refused> {
        self.found(place).await?;
        match (part, method.as_str()) {
            (Part::PrivateLinks, "GET") => Ok(Answer::ok(json!({ "value": [] }))),
            // A bare list (azure-rest-api-specs: PrivateEndpointConnectionsList).
            (Part::PrivateConnections, "GET") => Ok(Answer::ok(json!([]))),
            (Part::PrivateLink(name), "GET") => Err(Refused::missing(format!("There is no private link resource {name:.64}."))),
            (Part::PrivateConnection(name), "GET" | "DELETE") => {
                Err(Refused::missing(format!("There is no private endpoint connection {name:.64}.")))
            }
            (Part::PrivateConnection(_), "PUT") => Err(Refused {
                mend: "Limit who reaches the server's addresses by its network.",
                ..Refused::bad("PrivateEndpointsNotSupported", "There are no private endpoints here: a network outside limits access.")
            }),
            (Part::PrivateConnection(_), _) => Err(Refused::method("GET, PUT, DELETE")),
            _ => Err(Refused::method("GET")),
        }
    }
}

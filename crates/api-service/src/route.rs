//! The paths of the service API, in one table, with the right that each demands.

use http::Method;
use percent_encoding::percent_decode_str;
use usher_domain::{ErrorCode, ServiceError, service::Right};
use usher_registry::Kind;

use crate::{Denial, refuse};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    GetEnrollment(Kind),
    PutEnrollment(Kind),
    DeleteEnrollment(Kind),
    QueryEnrollments(Kind),
    Bulk(Kind),
    AttestationMechanism(Kind),
    GetRegistration,
    DeleteRegistration,
    QueryRegistrations,
}

/// A method on a path, and what it takes to pass.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The method.
    pub method: &'static str,
    /// The path; `{id}` stands for any one segment.
    pub path: &'static str,
    /// The right that the token's policy must hold.
    pub right: Right,
    pub(crate) endpoint: Endpoint,
}

const fn door(method: &'static str, path: &'static str, right: Right, endpoint: Endpoint) -> Door {
    Door { method, path, right, endpoint }
}

/// Literal segments stand before `{id}`: `query` is also a legal ID, for the methods that no literal path has.
///
/// `attestationmechanism` answers with keys, so a policy that may only read does not open it.
const DOORS: &[Door] = {
    use Endpoint::{
        AttestationMechanism, Bulk, DeleteEnrollment, DeleteRegistration, GetEnrollment, GetRegistration, PutEnrollment, QueryEnrollments,
        QueryRegistrations,
    };
    use Kind::{Group, Individual};
    use Right::{EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite};
    &[
        door("POST", "/enrollments", EnrollmentWrite, Bulk(Individual)),
        door("POST", "/enrollments/query", EnrollmentRead, QueryEnrollments(Individual)),
        door("GET", "/enrollments/{id}", EnrollmentRead, GetEnrollment(Individual)),
        door("PUT", "/enrollments/{id}", EnrollmentWrite, PutEnrollment(Individual)),
        door("DELETE", "/enrollments/{id}", EnrollmentWrite, DeleteEnrollment(Individual)),
        door("POST", "/enrollments/{id}/attestationmechanism", EnrollmentWrite, AttestationMechanism(Individual)),
        door("POST", "/enrollmentGroups", EnrollmentWrite, Bulk(Group)),
        door("POST", "/enrollmentGroups/query", EnrollmentRead, QueryEnrollments(Group)),
        door("GET", "/enrollmentGroups/{id}", EnrollmentRead, GetEnrollment(Group)),
        door("PUT", "/enrollmentGroups/{id}", EnrollmentWrite, PutEnrollment(Group)),
        door("DELETE", "/enrollmentGroups/{id}", EnrollmentWrite, DeleteEnrollment(Group)),
        door("POST", "/enrollmentGroups/{id}/attestationmechanism", EnrollmentWrite, AttestationMechanism(Group)),
        door("GET", "/registrations/{id}", RegistrationStatusRead, GetRegistration),
        door("DELETE", "/registrations/{id}", RegistrationStatusWrite, DeleteRegistration),
        door("POST", "/registrations/{id}/query", RegistrationStatusRead, QueryRegistrations),
    ]
};

/// First segments that are ours.
const FIRST_SEGMENTS: [&str; 3] = ["enrollments", "enrollmentGroups", "registrations"];

/// All doors, so that a test can try each of them.
pub fn doors() -> &'static [Door] {
    DOORS
}

/// A door with the ID in its path.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub door: Door,
    /// Decoded; empty where the path has none.
    pub id: String,
}

pub(crate) fn is_ours(path: &str) -> bool {
    segments(path).first().is_some_and(|first| FIRST_SEGMENTS.iter().any(|ours| ours.eq_ignore_ascii_case(first)))
}

/// Finds the door. Case and a trailing slash do not matter: the Node SDK writes `enrollmentgroups` and `/enrollments/`
/// (azure-iot-provisioning-service: provisioningserviceclient.js).
pub(crate) fn find(method: &Method, path: &str) -> Result<Route, Denial> {
    let segments = segments(path);
    let mut allowed = Vec::new();
    for door in DOORS {
        let Some(id) = match_path(door.path, &segments) else { continue };
        if door.method == method.as_str() {
            let id = percent_decode_str(id).decode_utf8().map_err(|_| refuse(ErrorCode::InvalidId, "The ID in the path is not UTF-8."))?;
            return Ok(Route { door: *door, id: id.into_owned() });
        }
        allowed.push(door.method);
    }
    match (allowed.is_empty(), segments.as_slice()) {
        (false, _) => Err(Denial::method(allowed)),
        // The collection itself: an ID is missing (MicrosoftDocs/azure-docs: articles/iot-dps/how-to-troubleshoot-dps.md, 405).
        (true, [only]) if is_ours(only) => Err(Denial::method(vec![])),
        (true, _) => Err(Denial::from(ServiceError::new(ErrorCode::PathNotFound))),
    }
}

/// The path's segments; one trailing slash is passed over.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/').collect()
}

/// The ID where the path fits the pattern; empty where the pattern has none.
fn match_path<'a>(pattern: &str, segments: &[&'a str]) -> Option<&'a str> {
    let pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut id = "";
    for (wanted, found) in pattern.iter().zip(segments) {
        match *wanted {
            "{id}" if found.is_empty() => return None,
            "{id}" => id = found,
            literal if literal.eq_ignore_ascii_case(found) => {}
            _ => return None,
        }
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(method: Method, path: &str) -> (Endpoint, String) {
        let route = find(&method, path).unwrap();
        (route.door.endpoint, route.id)
    }

    fn refused(method: Method, path: &str) -> u16 {
        find(&method, path).unwrap_err().status()
    }

    #[test]
    fn paths_are_found_as_clients_write_them() {
        use Endpoint::{AttestationMechanism, Bulk, GetEnrollment, QueryEnrollments, QueryRegistrations};
        use Kind::{Group, Individual};
        assert_eq!(found(Method::POST, "/enrollments/"), (Bulk(Individual), String::new()));
        assert_eq!(found(Method::POST, "/enrollments"), (Bulk(Individual), String::new()));
        assert_eq!(found(Method::POST, "/enrollmentgroups/g/attestationmechanism"), (AttestationMechanism(Group), "g".into()));
        assert_eq!(found(Method::GET, "/ENROLLMENTS/a%3Ab"), (GetEnrollment(Individual), "a:b".into()));
        assert_eq!(found(Method::POST, "/enrollmentGroups/query"), (QueryEnrollments(Group), String::new()));
        assert_eq!(found(Method::POST, "/registrations/g/query"), (QueryRegistrations, "g".into()));
    }

    #[test]
    fn query_is_also_an_id() {
        assert_eq!(found(Method::GET, "/enrollments/query"), (Endpoint::GetEnrollment(Kind::Individual), "query".into()));
    }

    #[test]
    fn a_wrong_method_or_a_missing_id_is_told_apart_from_a_wrong_path() {
        assert_eq!(refused(Method::POST, "/enrollments/d"), 405);
        assert_eq!(refused(Method::PATCH, "/enrollments/query"), 405);
        assert_eq!(refused(Method::GET, "/enrollments/"), 405);
        assert_eq!(refused(Method::GET, "/registrations"), 405);
        assert_eq!(refused(Method::GET, "/enrollments/a/b"), 404);
        assert_eq!(refused(Method::GET, "/enrollments//attestationmechanism"), 404);
        assert_eq!(refused(Method::GET, "/devices/d"), 404);
        assert_eq!(refused(Method::GET, "/enrollments/%FF"), 400);
    }

    #[test]
    fn paths_of_the_device_api_and_of_hubs_are_left_to_others() {
        for ours in ["/enrollments", "/EnrollmentGroups/g", "/registrations/d", "/registrations/g/query"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["/", "", "/0ne1/registrations/d/register", "/devices/d", "/twins/d", "/enrollmentsx"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}

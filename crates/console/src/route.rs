//! Where a request to the console leads.

use percent_encoding::percent_decode_str;

/// What a path below `/console/` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A file of the pages, by its path.
    File(&'a str),
    /// The session: seen, begun, ended.
    Session,
    /// Leads to the OIDC issuer.
    Leave,
    /// Comes back from it.
    Return,
    /// The management API; its own path, with the leading slash.
    Management(&'a str),
    /// A service's service API: the service's name, and the API's own path with the leading slash.
    Service(String, &'a str),
    /// What the console reads of a service beside those APIs.
    Read(String, Read),
    /// Nothing.
    Nowhere,
}

/// What can be read of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// How much it holds.
    Counts,
    /// Its linked hubs with share and health.
    Hubs,
    /// The latest attempts on this node.
    Feed,
    /// The figures for the plots.
    Trends,
    /// Enrollments, groups or registrations by the beginning of their IDs.
    Find,
}

impl<'a> Route<'a> {
    /// Where a path leads; it begins with `/console`.
    pub fn of(path: &'a str) -> Self {
        let Some(below) = path.strip_prefix(crate::PATH) else { return Self::Nowhere };
        let Some(api) = below.strip_prefix("api/") else { return Self::File(below) };
        if api == "session" {
            return Self::Session;
        }
        match api {
            "oidc" => return Self::Leave,
            "oidc/return" => return Self::Return,
            _ => {}
        }
        if let Some(rest) = api.strip_prefix("management").filter(|rest| rest.starts_with('/')) {
            return Self::Management(rest);
        }
        api.strip_prefix("services/").and_then(|rest| rest.split_once('/')).map_or(Self::Nowhere, of_service)
    }
}

fn of_service<'a>((name, rest): (&'a str, &'a str)) -> Route<'a> {
    let Ok(name) = percent_decode_str(name).decode_utf8() else { return Route::Nowhere };
    let name = name.into_owned();
    match rest {
        "counts" => Route::Read(name, Read::Counts),
        "hubs" => Route::Read(name, Read::Hubs),
        "feed" => Route::Read(name, Read::Feed),
        "trends" => Route::Read(name, Read::Trends),
        "find" => Route::Read(name, Read::Find),
        // The slash is kept: the service API's paths begin with one.
        _ => match rest.strip_prefix("api").filter(|path| path.starts_with('/')) {
            Some(path) => Route::Service(name, path),
            None => Route::Nowhere,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        assert_eq!(Route::of("/console/"), Route::File(""));
        assert_eq!(Route::of("/console/pages/feed.js"), Route::File("pages/feed.js"));
        assert_eq!(Route::of("/console/api/session"), Route::Session);
        assert_eq!(Route::of("/console/api/management/subscriptions/x"), Route::Management("/subscriptions/x"));
        assert_eq!(Route::of("/console/api/services/dev/feed"), Route::Read("dev".into(), Read::Feed));
        assert_eq!(Route::of("/console/api/services/dev/api/enrollments/a%2Fb"), Route::Service("dev".into(), "/enrollments/a%2Fb"));
        for nowhere in [
            "/console",
            "/consoles",
            "/console/api/",
            "/console/api/managementx",
            "/console/api/services/dev",
            "/console/api/services/%ff/feed",
            "/console/api/services/dev/apix",
        ] {
            assert_eq!(Route::of(nowhere), Route::Nowhere, "{nowhere}");
        }
    }
}

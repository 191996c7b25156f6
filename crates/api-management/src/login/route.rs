//! The paths of the log-in.

use crate::SUBSCRIPTION;

/// Names for the one tenant, beside its ID, that clients put in its place (Microsoft identity platform: authority URLs).
const TENANT_WORDS: [&str; 3] = ["common", "organizations", "adfs"];

/// What a path of the log-in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginRoute {
    /// The endpoints of this cloud.
    Endpoints,
    /// Which authorities are believed.
    Instances,
    /// A tenant's description.
    OpenId(String),
    /// Where tokens are given.
    Token,
}

impl LoginRoute {
    /// What a path names, if it belongs to the log-in.
    pub fn of(path: &str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').map(str::to_ascii_lowercase).collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["metadata", "endpoints"] => Some(Self::Endpoints),
            [_, "discovery", "instance"] => Some(Self::Instances),
            [tenant, "v2.0", ".well-known", "openid-configuration"] if is_tenant(tenant) => Some(Self::OpenId((*tenant).to_owned())),
            [tenant, "oauth2", "v2.0", "token"] if is_tenant(tenant) => Some(Self::Token),
            _ => None,
        }
    }
}

fn is_tenant(segment: &str) -> bool {
    segment == SUBSCRIPTION || TENANT_WORDS.contains(&segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_tenant_has_a_log_in() {
        assert_eq!(LoginRoute::of(&format!("/{SUBSCRIPTION}/oauth2/v2.0/token")), Some(LoginRoute::Token));
        assert_eq!(LoginRoute::of("/organizations/oauth2/v2.0/token"), Some(LoginRoute::Token));
        for path in ["/", "/someone/oauth2/v2.0/token", "/0ne1/registrations/d", "/metadata", "/metrics"] {
            assert_eq!(LoginRoute::of(path), None, "{path}");
        }
    }
}

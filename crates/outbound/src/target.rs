//! Which URLs may be asked at all.

use std::net::IpAddr;

use http::Uri;

use crate::OutboundError;

/// Checks that `url` is `https`, or `http` to this machine, and gives back the part of it that may be shown: scheme, host and port.
/// The rest can hold keys.
pub fn check(url: &Uri) -> Result<String, OutboundError> {
    let refuse = |why: &'static str| Err(OutboundError::Refused(why));
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return refuse("it is not absolute");
    };
    if authority.as_str().contains('@') {
        return refuse("it has a user name in it, which would not be sent");
    }
    let host = authority.host();
    if host.is_empty() {
        return refuse("it has no host");
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return refuse("it is plain http, which is only for this machine itself; use https"),
        _ => return refuse("its scheme is not https"),
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Whether a host can only be this machine. Names other than `localhost` are not looked up: what they mean may change.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(url: &str) -> Result<String, OutboundError> {
        check(&url.parse().unwrap())
    }

    #[test]
    fn https_goes_anywhere_and_plain_http_stays_here() {
        for url in ["https://a.example/x", "http://localhost:7071/api", "http://127.0.0.9/", "http://[::1]:80/", "http://LOCALHOST/"] {
            assert!(checked(url).is_ok(), "{url}");
        }
        for url in [
            "http://a.example/",
            "http://10.0.0.1/",
            "http://[::2]/",
            "http://127.0.0.1.example/",
            "ftp://localhost/",
            "/path",
            "a.example:443",
        ] {
            assert!(matches!(checked(url), Err(OutboundError::Refused(_))), "{url}");
        }
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        assert_eq!(checked("https://a.example:8443/api/f?code=hidden").unwrap(), "https://a.example:8443");
        let refused = checked("https://user:hidden@a.example/?code=hidden").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hidden"));
    }
}

//! Whether a request comes from the console's own pages, and with which session.

use http::{HeaderMap, Method, header};

/// The cookie with the session's ID. `__Host-` makes browsers hold it to HTTPS, to this very host and to the whole of it.
pub const COOKIE: &str = "__Host-usher-console";
/// The header in which the console's pages show the session's token against forgery.
pub const CSRF_HEADER: &str = "x-usher-csrf";
/// Longest session ID that is looked at, in characters; ours have 64.
const ID_CHARS_MAX: usize = 64;

/// The session ID in a request's cookies.
pub fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let mut named = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(name, _)| *name == COOKIE);
    named.next().map(|(_, id)| id).filter(|id| id.len() == ID_CHARS_MAX && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The cookie that begins a session; the browser forgets it when it is closed.
pub fn begin(id: &str) -> String {
    format!("{COOKIE}={id}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

/// The cookie that ends one.
pub fn end() -> String {
    format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// Whether a method can change anything.
pub fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a request can come from a page of this host. Browsers say where a request comes from (Fetch Metadata, `Sec-Fetch-Site`; RFC
/// 6454, `Origin`); what they say of another site is refused, and clients that are no browsers have nothing to say.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let by_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let by_origin = text("origin").is_none_or(|origin| {
        let host = text("host").unwrap_or_default();
        origin.strip_prefix("https://").is_some_and(|named| named.eq_ignore_ascii_case(host))
    });
    by_site && by_origin
}

/// Whether whoever asks wants a page: a browser that was given the bare host name.
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_session_is_found_among_other_cookies_and_nothing_else_is_taken_for_one() {
        let id = "a".repeat(64);
        assert_eq!(session_id(&headers(&[("cookie", &format!("x=1; {COOKIE}={id}; y=2"))])), Some(id.as_str()));
        for other in
            [format!("usher-console={id}"), format!("{COOKIE}={}", "a".repeat(63)), format!("{COOKIE}={}", "/".repeat(64)), String::new()]
        {
            assert_eq!(session_id(&headers(&[("cookie", &other)])), None, "{other}");
        }
    }

    #[test]
    fn requests_of_other_sites_are_refused() {
        let host = ("host", "usher.example:8443");
        assert!(is_same_origin(&headers(&[host, ("origin", "https://usher.example:8443"), ("sec-fetch-site", "same-origin")])));
        assert!(is_same_origin(&headers(&[host])));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://usher.example:8443"),
            ("origin", "https://usher.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!is_same_origin(&headers(&[host, (name, value)])), "{name}: {value}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_host_alone() {
        for cookie in [begin("x"), end()] {
            for word in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
                assert!(cookie.contains(word), "{cookie}");
            }
        }
    }
}

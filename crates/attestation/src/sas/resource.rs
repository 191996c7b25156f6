//! What a token's resource covers.

/// Whether `granted` names `wanted` or something above it: equal segments from the left, compared without case. A scheme and slashes at
/// either end are left out of account on both sides, since tools write `https://host/` and `host` alike. A question mark is a character
/// like any other, for device IDs may contain it.
pub(super) fn covers(granted: &str, wanted: &str) -> bool {
    let granted = bare(granted);
    let mut wanted = bare(wanted).split('/');
    !granted.is_empty() && granted.split('/').all(|segment| wanted.next().is_some_and(|other| other.eq_ignore_ascii_case(segment)))
}

/// The text without scheme and outer slashes.
fn bare(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(scheme, rest)| {
        let known = ["https", "http", "amqps", "amqp", "mqtts", "wss", "sb"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
        if known { rest } else { text }
    });
    rest.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_a_host_covers_everything_on_it_and_nothing_on_another() {
        assert!(covers("hub.example", "hub.example/devices/d1/messages/events"));
        assert!(covers("https://Hub.Example/", "hub.example/devices/d1"));
        assert!(covers("hub.example/devices/d1", "hub.example/devices/D1/twin"));
        assert!(!covers("hub.example", "hub.example.org/devices/d1"));
        assert!(!covers("hub.example/devices/d1", "hub.example/devices/d10"));
        assert!(!covers("hub.example/devices/d1", "hub.example/devices"));
        assert!(!covers("hub.example/devices/d1?x", "hub.example/devices/d1"), "another device");
    }

    #[test]
    fn an_empty_resource_covers_nothing() {
        for empty in ["", "/", "https://", "https:///"] {
            assert!(!covers(empty, "hub.example"), "{empty}");
        }
    }
}

//! Topic names and filters (section 4.7).

/// Whether `name` can be published to: not empty, without wildcards and U+0000, at most 65,535 bytes (section 4.7.3).
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= crate::codec::FIELD_BYTES_MAX && !name.contains(['+', '#', '\0'])
}

/// Whether `filter` is well formed: `#` only at the end, both wildcards alone in their level.
pub fn is_filter(filter: &str) -> bool {
    let levels = filter.split('/').count();
    !filter.is_empty()
        && filter.split('/').enumerate().all(|(n, level)| match level {
            "+" => true,
            "#" => n + 1 == levels,
            other => !other.contains(['+', '#']),
        })
}

/// Whether a topic falls under a filter. Topics that begin with `$` match no filter that begins with a wildcard (section 4.7.2).
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        match (level, topic_levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(found)) if level == found => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        assert!(matches("a/+/c", "a/b/c"));
        assert!(matches("a/#", "a"));
        assert!(matches("a/#", "a/b/c"));
        assert!(matches("$dps/registrations/res/#", "$dps/registrations/res/200/?$rid=1"));
        assert!(!matches("a/+", "a/b/c"));
        assert!(!matches("a/b", "a/b/"));
        assert!(!matches("#", "$dps/x"));
    }

    #[test]
    fn malformed_filters_are_told_apart() {
        assert!(is_filter("a/+/#"));
        assert!(!is_filter("a/#/b"));
        assert!(!is_filter("a+/b"));
        assert!(!is_filter(""));
    }
}

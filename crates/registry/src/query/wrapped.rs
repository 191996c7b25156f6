//! A query that a client wrapped by mistake, and that the cloud takes all the same.
//!
//! `az iot dps enrollment list` and `enrollment-group list` give their SDK an object where it wants a text; what is sent as the query is
//! the object as Python prints it, `{'additional_properties': {}, 'query': 'SELECT *'}` (azure-iot-cli-extension 0.25.0:
//! azext_iot/operations/dps.py, iot_dps_device_enrollment_list).

/// The query inside such a text; any other text as it is.
pub fn unwrapped(text: &str) -> &str {
    inside(text.trim()).unwrap_or(text)
}

fn inside(text: &str) -> Option<&str> {
    let members = text.strip_prefix('{')?.strip_suffix('}')?;
    let (_, value) = members.split_once("'query': ")?;
    // Python prints a text in double quotes where it holds single ones.
    let quote = value.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let (query, _) = value.strip_prefix(quote)?.split_once(quote)?;
    Some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_taken_out_of_what_python_prints() {
        assert_eq!(unwrapped("{'additional_properties': {}, 'query': 'SELECT *'}"), "SELECT *");
        assert_eq!(unwrapped("{'query': \"SELECT * WHERE deviceId = 'd'\"}"), "SELECT * WHERE deviceId = 'd'");
        for other in ["SELECT *", "", "{", "{}", "{'query': ", "{'query': 'SELECT *}", "{\"query\": \"SELECT *\"}"] {
            assert_eq!(unwrapped(other), other);
        }
    }
}

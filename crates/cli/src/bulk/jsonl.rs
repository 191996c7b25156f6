//! A line of JSON and the enrollment it means.

use serde_json::Value;

use crate::service_api::Kind;

/// What exports of other tools carry beside what an enrollment demands: the service's own, which it would not take back.
const TOLD_BY_THE_SERVICE: [&str; 4] = ["registrationState", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "etag"];

/// Reads a line.
///
/// # Errors
/// What is wrong with it, for people.
pub fn document(line: &str, kind: Kind) -> Result<Value, String> {
    let mut document: Value = serde_json::from_str(line).map_err(|why| format!("it is not JSON: {why}"))?;
    let Some(members) = document.as_object() else { return Err("it is not a JSON object".into()) };
    match members.get(kind.id_member()) {
        Some(Value::String(id)) if !id.is_empty() => {}
        Some(_) => return Err(format!("its {} is not a text", kind.id_member())),
        None => return Err(format!("it has no {}", kind.id_member())),
    }
    strip(&mut document);
    Ok(document)
}

/// Takes out what the service alone tells.
pub fn strip(document: &mut Value) {
    for told in TOLD_BY_THE_SERVICE {
        document.as_object_mut().map(|members| members.remove(told));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_service_alone_tells_is_left_out() {
        let line = r#"{"registrationId":"d","etag":"\"1\"","registrationState":{},"attestation":{"type":"tpm"}}"#;
        assert_eq!(document(line, Kind::Individual), Ok(json!({ "registrationId": "d", "attestation": { "type": "tpm" } })));
    }

    #[test]
    fn lines_without_an_id_are_told_apart() {
        for (line, word) in
            [("{", "not JSON"), ("[]", "not a JSON object"), ("{}", "no enrollmentGroupId"), (r#"{"enrollmentGroupId":1}"#, "not a text")]
        {
            assert!(document(line, Kind::Group).is_err_and(|why| why.contains(word)), "{line}");
        }
    }
}

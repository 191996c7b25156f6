//! The query language of enrollments: `SELECT * [FROM name] [WHERE condition]`.
//!
//! Tools send `SELECT *` (azure-iot-cli-extension) or `SELECT * FROM enrollments` (SDK samples); conditions compare members of the
//! document with literals by `=`, `!=`, `<>`, joined by `AND`, `OR`, `NOT` and parentheses. Records are sealed, so a condition is
//! judged record by record: it saves the client the transfer and not the server the reading.

mod condition;
mod lexer;
mod parser;
mod wrapped;

use serde_json::Value;
use usher_domain::{ErrorCode, ServiceError, document::EnrollmentDocument};

use self::condition::Condition;
use crate::kind::Kind;

/// Longest query, in bytes: room for a full page of conditions, far below a message.
pub const QUERY_CHARS_MAX: usize = 4096;

/// A query that could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Option<Condition>);

impl Filter {
    /// Reads a query over enrollments of `kind`. No text, or a blank one, asks for all.
    pub fn parse(text: Option<&str>, kind: Kind) -> Result<Self, ServiceError> {
        let text = text.unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        if text.len() > QUERY_CHARS_MAX {
            return Err(refused(&format!("it is longer than {QUERY_CHARS_MAX} characters")));
        }
        let tokens = lexer::tokens(wrapped::unwrapped(text)).map_err(|why| refused(&why))?;
        parser::query(&tokens, kind).map(Self).map_err(|why| refused(&why))
    }

    /// Whether a document passes.
    pub fn admits(&self, document: &EnrollmentDocument) -> bool {
        let Some(condition) = &self.0 else { return true };
        let json = serde_json::to_value(document).unwrap_or(Value::Null);
        condition.holds(&json)
    }
}

fn refused(why: &str) -> ServiceError {
    let form = "Use SELECT * [FROM enrollments] [WHERE member = 'value' [AND|OR …]].";
    ServiceError::with(ErrorCode::InvalidBody, format!("The query cannot be read: {why}. {form}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn enrollment() -> EnrollmentDocument {
        serde_json::from_value(serde_json::json!({
            "registrationId": "Device-1", "provisioningStatus": "enabled", "capabilities": {"iotEdge": true},
            "attestation": {"type": "x509"}, "initialTwin": {"tags": {"floor": 3, "site": "O'Hare"}}
        }))
        .unwrap()
    }

    fn admits(query: &str) -> bool {
        Filter::parse(Some(query), Kind::Individual).unwrap().admits(&enrollment())
    }

    #[test]
    fn what_tools_send_asks_for_all() {
        for query in ["SELECT *", "select * from enrollments", "SELECT * FROM Enrollments;", "", "  "] {
            assert!(admits(query), "{query}");
        }
        assert!(Filter::parse(None, Kind::Group).unwrap().admits(&enrollment()));
        assert!(Filter::parse(Some("SELECT * FROM enrollmentGroups"), Kind::Group).is_ok());
    }

    #[test]
    fn conditions_compare_members_with_literals() {
        for (condition, expected) in [
            ("registrationId = 'Device-1'", true),
            ("registrationId = 'device-1'", false),
            ("provisioningStatus != 'disabled'", true),
            ("provisioningStatus <> 'enabled'", false),
            ("capabilities.iotEdge = true", true),
            ("attestation.type = 'x509' AND initialTwin.tags.floor = 3", true),
            ("initialTwin.tags.site = 'O''Hare'", true),
            ("initialTwin.tags.site = \"O'Hare\"", true),
            ("attestation.type = 'tpm' OR provisioningStatus = 'enabled'", true),
            ("attestation.type = 'tpm' AND (provisioningStatus = 'enabled' OR capabilities.iotEdge = true)", false),
            ("NOT attestation.type = 'tpm'", true),
            ("missing = 'x'", false),
            ("missing != 'x'", true),
            ("missing = null", true),
        ] {
            assert_eq!(admits(&format!("SELECT * FROM enrollments WHERE {condition}")), expected, "{condition}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(admits("SELECT * WHERE registrationId = 'Device-1' OR registrationId = 'x' AND attestation.type = 'tpm'"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let deep = format!("SELECT * WHERE {}a = 1{}", "(".repeat(200), ")".repeat(200));
        let long = format!("SELECT * WHERE {}a = 1", "a = 1 AND ".repeat(300));
        let many = format!("SELECT * WHERE {}a = 1", "a = 1 AND ".repeat(100));
        for query in [
            "SELECT registrationId FROM enrollments",
            "SELECT COUNT(*)",
            "DELETE",
            "SELECT",
            "SELECT * FROM",
            "SELECT * FROM devices",
            "SELECT * FROM enrollmentGroups",
            "SELECT * WHERE",
            "SELECT * WHERE a",
            "SELECT * WHERE a =",
            "SELECT * WHERE a = 'x",
            "SELECT * WHERE a > 1",
            "SELECT * WHERE a = 1 b",
            "SELECT * WHERE (a = 1",
            "SELECT * WHERE a = 1)",
            "SELECT * WHERE a = b",
            "SELECT * WHERE a..b = 1",
            "SELECT * WHERE a = 1 AND",
            "SELECT * \u{0}",
            deep.as_str(),
            long.as_str(),
            many.as_str(),
        ] {
            let refused = Filter::parse(Some(query), Kind::Individual).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::InvalidBody), "{query}");
        }
    }
}

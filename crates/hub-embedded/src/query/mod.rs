//! Twin queries: `SELECT * FROM devices WHERE …` over the documents that the service sees (MicrosoftDocs/azure-docs: articles/iot-hub/
//! iot-hub-devguide-query-language.md). Understood: `*`, lists of members with aliases and `COUNT()` in SELECT; `devices` in FROM;
//! comparisons, IN, NIN, AND, OR, NOT and the functions is_defined, is_null, is_string, is_number, is_bool, is_object, starts_with,
//! ends_with and contains in WHERE. GROUP BY, ORDER BY and the jobs and modules collections are refused by name.

mod eval;
mod parse;
mod token;

use serde_json::Value;

pub use parse::{CONDITION_DEPTH_MAX, parse};
pub use token::QUERY_BYTES_MAX;

/// A query.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    select: Select,
    condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Debug)]
enum Select {
    All,
    Members(Vec<Member>),
    Count(String),
}

#[derive(Clone, PartialEq, Debug)]
struct Member {
    path: Vec<String>,
    name: String,
}

#[derive(Clone, PartialEq, Debug)]
enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    Among(Operand, Vec<Operand>),
    Test(Function, Vec<Operand>),
}

#[derive(Clone, PartialEq, Debug)]
enum Operand {
    Path(Vec<String>),
    Literal(Value),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Function {
    IsDefined,
    IsNull,
    IsString,
    IsNumber,
    IsBool,
    IsObject,
    StartsWith,
    EndsWith,
    Contains,
}

impl Query {
    /// The query for all twins.
    pub const fn all() -> Self {
        Self { select: Select::All, condition: None }
    }

    /// Whether a twin belongs to the result.
    pub fn matches(&self, twin: &Value) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(twin))
    }

    /// What the result tells of a twin that belongs to it.
    pub fn project(&self, twin: Value) -> Value {
        match &self.select {
            Select::Members(members) => eval::project(members, &twin),
            Select::All | Select::Count(_) => twin,
        }
    }

    /// The name under which the number of twins is to be told, where that is all that is asked for.
    pub fn counts_as(&self) -> Option<&str> {
        match &self.select {
            Select::Count(name) => Some(name),
            _ => None,
        }
    }

    /// The word in `x-ms-item-type`: what kind of items the result has.
    pub fn item_type(&self) -> &'static str {
        if self.select == Select::All { "twin" } else { "raw" }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn twin() -> Value {
        json!({
            "deviceId": "press-7", "status": "enabled", "connectionState": "Connected",
            "tags": {"site": "Lyon", "floor": 2, "a b": true},
            "properties": {"desired": {}, "reported": {"temperature": {"value": 41.5}, "fw": "1.2.3"}},
        })
    }

    fn matches(condition: &str) -> bool {
        parse(&format!("SELECT * FROM devices WHERE {condition}")).unwrap().matches(&twin())
    }

    #[test]
    fn conditions_are_judged_as_the_cloud_judges_them() {
        for yes in [
            "deviceId = 'press-7'",
            "devices.deviceId = \"press-7\"",
            "tags.site = 'Lyon' AND tags.floor >= 2",
            "properties.reported.temperature.value > 41",
            "properties.reported['fw'] != '1'",
            "tags['a b'] = true",
            "NOT (status = 'disabled') and connectionState = 'Connected'",
            "tags.floor = 1 or tags.floor IN [1, 2, 3]",
            "tags.floor NIN [4]",
            "is_defined(tags.site) AND NOT is_defined(tags.none)",
            "STARTSWITH(deviceId, 'press-') AND ends_with(deviceId, '7') AND contains(deviceId, 'ss')",
            "tags.none != 'x'",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in ["tags.none = 'x'", "tags.none < 1", "tags.floor > 'a'", "tags.floor = '2'", "deviceId = 'PRESS-7'", "tags.none IN ['a']"]
        {
            assert!(!matches(no), "{no}");
        }
    }

    #[test]
    fn members_are_projected_under_their_names() {
        let query = parse("select deviceId, tags.site AS place, tags.none from devices c where c.status = 'enabled'").unwrap();
        assert!(query.matches(&twin()));
        assert_eq!(query.project(twin()), json!({"deviceId": "press-7", "place": "Lyon"}));
        assert_eq!(query.item_type(), "raw");
        assert_eq!(parse("SELECT COUNT() AS n FROM devices").unwrap().counts_as(), Some("n"));
        assert_eq!(parse("SELECT * FROM devices").unwrap(), Query::all());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "SELECT",
            "SELECT * FROM jobs",
            "SELECT * FROM devices.modules",
            "SELECT * FROM devices WHERE",
            "SELECT * FROM devices WHERE tags.a =",
            "SELECT * FROM devices WHERE tags.a = 'x",
            "SELECT * FROM devices GROUP BY tags.a",
            "SELECT * FROM devices WHERE (tags.a = 1",
            "SELECT * FROM devices WHERE f(tags.a)",
            "DROP TABLE devices",
        ] {
            assert_eq!(parse(bad).unwrap_err().code, crate::Code::ArgumentInvalid, "{bad}");
        }
        let deep = format!("SELECT * FROM devices WHERE {}a = 1{}", "(".repeat(2_000), ")".repeat(2_000));
        assert!(parse(&deep).is_err());
        let nots = format!("SELECT * FROM devices WHERE {}a = 1", "NOT ".repeat(1_900));
        assert!(parse(&nots).is_err());
    }
}

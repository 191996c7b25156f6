//! Judges conditions against a twin's document.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Comparison, Condition, Function, Member, Operand};

impl Condition {
    /// Whether it holds. A comparison with a member that is not there holds for `!=` alone; values of different kinds are unequal and
    /// have no order.
    pub fn holds(&self, twin: &Value) -> bool {
        match self {
            Self::And(left, right) => left.holds(twin) && right.holds(twin),
            Self::Or(left, right) => left.holds(twin) || right.holds(twin),
            Self::Not(inner) => !inner.holds(twin),
            Self::Compare(left, comparison, right) => compare(left.value(twin), *comparison, right.value(twin)),
            Self::Among(left, items) => {
                let left = left.value(twin);
                items.iter().any(|item| compare(left, Comparison::Equal, item.value(twin)))
            }
            Self::Test(function, operands) => {
                let mut values = operands.iter().map(|operand| operand.value(twin));
                test(*function, values.next().flatten(), values.next().flatten())
            }
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, twin: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Path(path) => walk(twin, path),
        }
    }
}

/// The members asked for; those that are not there are left out.
pub(super) fn project(members: &[Member], twin: &Value) -> Value {
    let found = members.iter().filter_map(|member| Some((member.name.clone(), walk(twin, &member.path)?.clone())));
    Value::Object(found.collect::<Map<_, _>>())
}

fn walk<'a>(twin: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(twin, |value, step| value.get(step))
}

fn compare(left: Option<&Value>, comparison: Comparison, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return comparison == Comparison::NotEqual };
    let order = order(left, right);
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal) || left == right,
        Comparison::NotEqual => order != Some(Ordering::Equal) && left != right,
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn test(function: Function, first: Option<&Value>, second: Option<&Value>) -> bool {
    let texts = || Some((first?.as_str()?, second?.as_str()?));
    match function {
        Function::IsDefined => first.is_some(),
        Function::IsNull => first.is_some_and(Value::is_null),
        Function::IsString => first.is_some_and(Value::is_string),
        Function::IsNumber => first.is_some_and(Value::is_number),
        Function::IsBool => first.is_some_and(Value::is_boolean),
        Function::IsObject => first.is_some_and(Value::is_object),
        Function::StartsWith => texts().is_some_and(|(text, part)| text.starts_with(part)),
        Function::EndsWith => texts().is_some_and(|(text, part)| text.ends_with(part)),
        Function::Contains => texts().is_some_and(|(text, part)| text.contains(part)),
    }
}

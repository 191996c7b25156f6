//! The plugin's answers. All administrators hear all of them; the correlation tells ours apart.

use serde_json::Value;
use usher_hub::HubError;

/// How much of the plugin's own words is kept, in characters: they go into the log.
const WORDS_MAX: usize = 300;

/// The answer to one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What went wrong, in the plugin's words, cut short.
    pub error: Option<String>,
    /// What was asked for.
    pub data: Value,
}

/// What an error means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// There was none.
    Done,
    /// What was to be changed is not there, or what was to be made is: someone else was at work in between.
    Overtaken,
    /// Anything else.
    Failed(HubError),
}

impl Answer {
    /// Whether what was named is not there.
    pub fn is_not_found(&self) -> bool {
        self.error.as_deref().is_some_and(|error| error.ends_with("not found") || error.ends_with("does not exist"))
    }

    /// Judges a command that changes something.
    pub fn judge(&self) -> Judgement {
        match self.error.as_deref() {
            None => Judgement::Done,
            Some(error) if self.is_not_found() || error.ends_with("already exists") => Judgement::Overtaken,
            Some("Internal error") => Judgement::Failed(HubError::Unavailable("the broker has an internal error; see its log".into())),
            Some(error) => Judgement::Failed(HubError::Rejected(format!("the broker's dynamic-security plugin says: {error}"))),
        }
    }
}

/// Reads a message of answers: correlation without its place, place, answer. What has no correlation of that form is not ours.
pub fn read(payload: &[u8]) -> Vec<(String, usize, Answer)> {
    let Ok(mut document) = serde_json::from_slice::<Value>(payload) else { return Vec::new() };
    let responses = document.get_mut("responses").map(Value::take);
    let Some(Value::Array(responses)) = responses else { return Vec::new() };
    responses.into_iter().filter_map(one).collect()
}

fn one(mut response: Value) -> Option<(String, usize, Answer)> {
    let (correlation, place) = response.get("correlationData")?.as_str()?.rsplit_once('.')?;
    let (correlation, place) = (correlation.to_owned(), place.parse().ok()?);
    let error = response.get("error").map(|error| shown(error.as_str().unwrap_or("an error without words")));
    let data = response.get_mut("data").map(Value::take).unwrap_or_default();
    Some((correlation, place, Answer { error, data }))
}

fn shown(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_cannot_fill_the_log() {
        let response = serde_json::json!({ "correlationData": "a.0", "error": "x\n".repeat(100_000) });
        let answers = read(serde_json::json!({ "responses": [response] }).to_string().as_bytes());
        let words = answers[0].2.error.as_deref().unwrap_or_default();
        assert!(words.len() == WORDS_MAX && !words.contains('\n'), "{}", words.len());
    }

    #[test]
    fn answers_are_told_apart_and_strange_ones_left_out() {
        let payload = br#"{"responses":[{"command":"getClient","correlationData":"a.1","data":{"client":{}}},{"command":"x"},7,
            {"command":"getRole","error":"Role not found","correlationData":"a.0"},{"correlationData":"b"},{"correlationData":"b.x"}]}"#;
        let answers = read(payload);
        assert_eq!(answers.len(), 2);
        assert_eq!((answers[0].0.as_str(), answers[0].1, answers[0].2.error.as_deref()), ("a", 1, None));
        assert!(answers[1].2.is_not_found() && answers[1].1 == 0);
        for strange in ["", "[]", "{}", r#"{"responses":{}}"#] {
            assert_eq!(read(strange.as_bytes()), [], "{strange}");
        }
    }

    #[test]
    fn errors_are_judged_by_what_can_be_done() {
        let judge = |error: &str| Answer { error: Some(error.into()), data: Value::Null }.judge();
        assert_eq!(Answer::default().judge(), Judgement::Done);
        for overtaken in ["Client already exists", "Client not found", "Role not found", "Role does not exist"] {
            assert_eq!(judge(overtaken), Judgement::Overtaken, "{overtaken}");
        }
        assert!(matches!(judge("Internal error"), Judgement::Failed(HubError::Unavailable(_))));
        assert!(matches!(judge("Unknown command"), Judgement::Failed(HubError::Rejected(why)) if why.contains("Unknown command")));
    }
}

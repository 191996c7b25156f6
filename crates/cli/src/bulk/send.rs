//! One batch against the service: made at once, and what is there already compared.

use std::sync::Arc;

use serde_json::Value;
use usher_device::Failure;
use usher_domain::ErrorCode;

use super::{
    batches::{Batch, id_of},
    compare,
    errors::LineError,
    item::Place,
    tally::Tally,
};
use crate::service_api::{Answer, Kind, Refusal, ServiceApi};

/// Tries of an item that collides with another change each time. Collisions are over in milliseconds.
const COLLISIONS_MAX: u32 = 10;

/// What becomes of batches, and where.
#[derive(Clone)]
pub struct Sender {
    /// The service; none where only the file is checked.
    pub api: Option<Arc<ServiceApi>>,
    /// Which of the two.
    pub kind: Kind,
    /// Whether what is there and differs is replaced.
    pub update: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Outcome {
    /// Where the next one begins.
    pub next: Place,
    /// What became of its lines.
    pub tally: Tally,
    /// Those that were not taken, by their lines.
    pub errors: Vec<LineError>,
}

/// What became of a line.
enum Fate {
    Created,
    Unchanged,
    Updated,
    Refused(u64, String),
}

impl Sender {
    /// Carries out a batch. It may be carried out again after any end: what was made is then found as it should be.
    ///
    /// # Errors
    /// What ends the whole import: a service that cannot be reached, does not let us in or has no more room.
    pub async fn carry_out(&self, batch: Batch) -> Result<Outcome, Failure> {
        let failed = batch.unreadable.len() as u64;
        let mut outcome =
            Outcome { next: batch.next.unwrap_or(Place::START), tally: Tally { failed, ..Tally::default() }, errors: batch.unreadable };
        for (line, document, fate) in self.fates(batch.asked).await? {
            let tally = &mut outcome.tally;
            match fate {
                Fate::Created => tally.created += 1,
                Fate::Unchanged => tally.unchanged += 1,
                Fate::Updated => tally.updated += 1,
                Fate::Refused(code, error) => {
                    tally.failed += 1;
                    let id = Some(id_of(self.kind, &document).to_owned());
                    outcome.errors.push(LineError { line, id, error_code: (code > 0).then_some(code), error });
                }
            }
        }
        outcome.errors.sort_by_key(|error| error.line);
        Ok(outcome)
    }

    async fn fates(&self, asked: Vec<(u64, Value)>) -> Result<Vec<(u64, Value, Fate)>, Failure> {
        let (Some(api), false) = (self.api.as_deref(), asked.is_empty()) else {
            return Ok(asked.into_iter().map(|(line, document)| (line, document, Fate::Unchanged)).collect());
        };
        let documents: Vec<Value> = asked.iter().map(|(_, document)| document.clone()).collect();
        let answer = api.bulk(self.kind, "create", &documents).await?;
        let mut fates = Vec::with_capacity(asked.len());
        for (line, document) in asked {
            let fate = match refused_of(&answer, self.kind, &document)? {
                None => Fate::Created,
                Some(refusal) => self.settle(api, &document, refusal).await?,
            };
            fates.push((line, document, fate));
        }
        Ok(fates)
    }

    /// What becomes of an item that was not simply made.
    async fn settle(&self, api: &ServiceApi, document: &Value, mut refusal: Refusal) -> Result<Fate, Failure> {
        for _ in 0..COLLISIONS_MAX {
            let code = refusal.code;
            if is(code, ErrorCode::Conflict) {
                if let Some(fate) = self.compared(api, document).await? {
                    return Ok(fate);
                }
                // Deleted a moment ago: it can be made.
            } else if is(code, ErrorCode::QuotaExceeded) {
                return Err(refusal.failure());
            } else if !is(code, ErrorCode::ConcurrentChange) && refusal.status != WHOLE_BATCH {
                break;
            }
            let alone = api.bulk(self.kind, "create", std::slice::from_ref(document)).await?;
            match refused_of(&alone, self.kind, document)? {
                None => return Ok(Fate::Created),
                Some(again) if again.status == WHOLE_BATCH => return Ok(Fate::Refused(again.code, again.message)),
                Some(again) => refusal = again,
            }
        }
        Ok(Fate::Refused(refusal.code, refusal.message))
    }

    /// Compares with what is there, and replaces it where that is wished; `None` where nothing is there any more.
    async fn compared(&self, api: &ServiceApi, document: &Value) -> Result<Option<Fate>, Failure> {
        let (id, path) = (id_of(self.kind, document), self.kind.path(id_of(self.kind, document)));
        let there = match api.get(&path).await? {
            answer if answer.status == 404 => return Ok(None),
            answer => answer.accepted().map_err(|refusal| refusal.failure())?,
        };
        let mut differing = compare::differences(document, &there);
        if differing.is_empty() && compare::names_keys(document) {
            let mechanism = match api.keys(self.kind, id).await? {
                answer if answer.status == 404 => return Ok(None),
                answer => answer.accepted().map_err(|refusal| refusal.failure())?,
            };
            if compare::keys_differ(document, &mechanism) {
                differing.push("symmetricKey");
            }
        }
        if differing.is_empty() {
            return Ok(Some(Fate::Unchanged));
        }
        if !self.update {
            let what = differing.join(", ");
            let why = format!("it is there already and differs in {what}; --update replaces it");
            return Ok(Some(Fate::Refused(ErrorCode::Conflict.code().into(), why)));
        }
        match api.put(&path, document, there["etag"].as_str()).await?.accepted() {
            Ok(_) => Ok(Some(Fate::Updated)),
            Err(refusal) if (400..500).contains(&refusal.status) && !is_fatal(refusal.status) => {
                Ok(Some(Fate::Refused(refusal.code, refusal.message)))
            }
            Err(refusal) => Err(refusal.failure()),
        }
    }
}

/// Marks a refusal of the whole batch, of which each item may be good alone.
const WHOLE_BATCH: u16 = 0;

/// Why an item of a bulk request was not taken; `None` where it was.
fn refused_of(answer: &Answer, kind: Kind, document: &Value) -> Result<Option<Refusal>, Failure> {
    if answer.status != 200 {
        let refusal = answer.refusal();
        if matches!(answer.status, 400 | 413) {
            return Ok(Some(Refusal { status: WHOLE_BATCH, ..refusal }));
        }
        return Err(refusal.failure());
    }
    let id = id_of(kind, document);
    let errors = answer.body["errors"].as_array();
    let found = errors.into_iter().flatten().find(|error| id_of(kind, error).eq_ignore_ascii_case(id));
    Ok(found.map(|error| {
        let code = error["errorCode"].as_u64().unwrap_or_default();
        let message = error["errorStatus"].as_str().unwrap_or("no message").to_owned();
        let status = u16::try_from(code / 1_000).unwrap_or(500).max(1);
        Refusal { status, code, message, tracking_id: String::new() }
    }))
}

fn is(code: u64, known: ErrorCode) -> bool {
    code == u64::from(known.code())
}

/// Statuses that would meet every line.
fn is_fatal(status: u16) -> bool {
    matches!(status, 401 | 403 | 405 | 429)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status, retry_after: None, continuation: None, body }
    }

    #[test]
    fn items_find_their_own_error() {
        let answered = answer(
            200,
            json!({ "isSuccessful": false, "errors": [{ "registrationId": "B", "errorCode": 409201, "errorStatus": "there" }] }),
        );
        let of = |id: &str| refused_of(&answered, Kind::Individual, &json!({ "registrationId": id })).unwrap();
        assert_eq!(of("a"), None);
        assert_eq!(of("b").map(|refusal| (refusal.status, refusal.code)), Some((409, 409_201)));
    }

    #[test]
    fn a_refusal_of_the_whole_is_told_from_one_that_meets_every_line() {
        let item = json!({ "registrationId": "a" });
        let whole = refused_of(&answer(400, json!({ "errorCode": 400004, "message": "m" })), Kind::Individual, &item).unwrap().unwrap();
        assert_eq!((whole.status, whole.code), (WHOLE_BATCH, 400_004));
        for status in [401, 403, 404, 500, 503] {
            assert!(refused_of(&answer(status, json!({})), Kind::Individual, &item).is_err(), "{status}");
        }
    }

    #[tokio::test]
    async fn without_a_service_lines_are_only_read() {
        let sender = Sender { api: None, kind: Kind::Individual, update: false };
        let batch = Batch {
            asked: vec![(2, json!({ "registrationId": "a" }))],
            unreadable: vec![LineError::of_file(1, "bad".into())],
            next: Some(Place { offset: 9, line: 3 }),
        };
        let outcome = sender.carry_out(batch).await.unwrap();
        assert_eq!((outcome.tally.all(), outcome.tally.failed, outcome.errors.len(), outcome.next.line), (2, 1, 1, 3));
    }
}

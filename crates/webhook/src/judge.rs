//! What is to be done about what came back. The statuses and their codes are the cloud's (MicrosoftDocs/azure-docs:
//! articles/iot-dps/tutorial-custom-allocation-policies.md, "Troubleshooting custom allocation policies").

use usher_domain::{ErrorCode, HubName};

use crate::{
    AskError, Reply,
    answer::{self, Answer, Unusable},
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The webhook has decided.
    Decided(Box<Answer>),
    /// It is to be asked again later.
    Later {
        /// What it comes to if there is no later.
        fault: Fault,
        /// The webhook's own wish, in seconds.
        retry_after_s: Option<u32>,
        /// Whether it was really asked: waiting in vain for a turn is nobody's failure.
        asked: bool,
    },
    /// Asking again will not help.
    Never(Fault),
}

/// Why a webhook chose no hub: what the log says in full, and what the device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The failed check, a stable word to search for.
    pub check: &'static str,
    /// A row of the error table.
    pub code: ErrorCode,
    /// What the device is told.
    pub message: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub mend: &'static str,
}

/// From this status on, the webhook is asked again.
const AGAIN_FROM_STATUS: u16 = 429;

/// Judges what came back from a webhook that had `hubs` to choose from.
pub fn judge(outcome: Result<Reply, AskError>, hubs: &[HubName]) -> Verdict {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(error) => return unanswered(&error),
    };
    match reply.status {
        200 => match answer::read(&reply.body, hubs) {
            Ok(answer) => Verdict::Decided(Box::new(answer)),
            Err(why) => Verdict::Never(unusable(why)),
        },
        status if status >= AGAIN_FROM_STATUS => Verdict::Later { fault: refused(status), retry_after_s: reply.retry_after_s, asked: true },
        status => Verdict::Never(refused(status)),
    }
}

fn unanswered(error: &AskError) -> Verdict {
    let fault = |check, message: &str, mend| Fault {
        check,
        code: ErrorCode::CustomAllocationFailed,
        message: format!("Custom allocation failed: {message}"),
        detail: error.to_string(),
        mend,
    };
    match error {
        AskError::Busy => {
            let mend = "Let the webhook answer faster, or run more instances of it.";
            let fault = fault("webhook.busy", "the webhook is busy.", mend);
            Verdict::Later { fault, retry_after_s: None, asked: false }
        }
        AskError::Unavailable(_) => {
            let mend = "Start the webhook, correct the enrollment's webhookUrl, or let the webhook answer faster.";
            let fault = fault("webhook.unavailable", "the webhook gave no answer.", mend);
            Verdict::Later { fault, retry_after_s: None, asked: true }
        }
        AskError::Refused(_) => {
            let mend =
                "Correct the enrollment's webhookUrl, or trust the CA of the webhook's certificate (usher dev --webhook-trust FILE).";
            Verdict::Never(fault("webhook.refused", "the webhook cannot be asked.", mend))
        }
        AskError::TooLarge(_) => {
            Verdict::Never(fault("webhook.size", "the webhook's answer is too large.", "Let the webhook answer with less."))
        }
    }
}

/// The text of the message is the cloud's (azure-sdk-for-c: test_az_iot_provisioning_client_parser.c).
fn refused(status: u16) -> Fault {
    let message = format!("Custom allocation failed with status code: {status}");
    let detail = format!("the webhook answered with status {status}");
    let (code, mend) = match status {
        300..400 => (ErrorCode::CustomAllocationFailed, "Redirects are not followed: set webhookUrl to where the webhook really is."),
        401 => (ErrorCode::HubUnauthorized, "Put the webhook's current function key into the enrollment's webhookUrl (?code=…)."),
        404 => (ErrorCode::CustomAllocationFailed, "Correct the path in the enrollment's webhookUrl."),
        400..429 => (ErrorCode::CustomAllocationFailed, "The webhook turned the device away: its own log says why."),
        429.. => (ErrorCode::CustomAllocationFailed, "See the webhook's own log; the device may register again once it works."),
        _ => (ErrorCode::CustomAllocationFailed, "Let the webhook answer with status 200 and its choice."),
    };
    Fault { check: "webhook.status", code, message, detail, mend }
}

fn unusable(why: Unusable) -> Fault {
    let fault = |check, message: &str, detail: String, mend| Fault {
        check,
        code: ErrorCode::CustomAllocationFailed,
        message: format!("Custom allocation failed: {message}"),
        detail,
        mend,
    };
    match why {
        Unusable::NotJson(why) => {
            let mend = "Let the webhook answer with a JSON object that has an iotHubHostName.";
            fault("webhook.json", "the webhook's answer is not a JSON object.", format!("the answer cannot be read: {why}"), mend)
        }
        Unusable::NoHub => Fault {
            check: "webhook.hub",
            code: ErrorCode::NoHubAvailable,
            message: "Custom allocation failed: the webhook named no IoT hub.".into(),
            detail: "the answer has no iotHubHostName".into(),
            mend: "Let the webhook set iotHubHostName to one of the request's linkedHubs.",
        },
        Unusable::OtherHub(named) => {
            let mend = "Let the webhook choose one of the request's linkedHubs, or link the hub and name it in the enrollment.";
            let detail = format!("the answer names {named}, which is not among the request's linkedHubs");
            fault("webhook.hub", "the webhook named a hub that the device may not go to.", detail, mend)
        }
        Unusable::Twin(why) => {
            let detail = format!("the answer's initialTwin: {why}");
            fault("webhook.initialTwin", "the webhook's initial twin is not valid.", detail, "Correct the webhook's initialTwin.")
        }
        Unusable::Payload(why) => fault("webhook.payload", "the webhook's payload is not valid.", why, "Let the webhook send less."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn reply(status: u16, body: &str) -> Result<Reply, AskError> {
        Ok(Reply { status, retry_after_s: Some(7), body: body.into() })
    }

    fn verdict(outcome: Result<Reply, AskError>) -> Verdict {
        judge(outcome, &[HubName::parse("a").unwrap()])
    }

    fn never(outcome: Result<Reply, AskError>) -> (u32, &'static str) {
        match verdict(outcome) {
            Verdict::Never(fault) => (fault.code.code(), fault.check),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_documented_statuses_have_the_documented_codes() {
        assert!(matches!(verdict(reply(200, r#"{"iotHubHostName":"a"}"#)), Verdict::Decided(_)));
        assert_eq!(never(reply(200, r#"{"iotHubHostName":""}"#)), (400_208, "webhook.hub"));
        assert_eq!(never(reply(401, "")), (400_209, "webhook.status"));
        for status in [100, 201, 204, 302, 307, 400, 403, 404, 428] {
            assert_eq!(never(reply(status, r#"{"iotHubHostName":"a"}"#)), (400_207, "webhook.status"), "{status}");
        }
        for status in [429, 500, 503, 599, 999] {
            let Verdict::Later { fault, retry_after_s, asked } = verdict(reply(status, "")) else { panic!("{status}") };
            assert_eq!((fault.code.code(), retry_after_s, asked), (400_207, Some(7), true));
            assert_eq!(fault.message, format!("Custom allocation failed with status code: {status}"));
        }
    }

    #[test]
    fn answers_that_cannot_be_used_end_the_matter() {
        assert_eq!(never(reply(200, "no")), (400_207, "webhook.json"));
        assert_eq!(never(reply(200, r#"{"iotHubHostName":"b"}"#)), (400_207, "webhook.hub"));
        assert_eq!(never(reply(200, r#"{"iotHubHostName":"a","initialTwin":1}"#)), (400_207, "webhook.initialTwin"));
        assert_eq!(never(Err(AskError::Refused("trust".into()))), (400_207, "webhook.refused"));
        assert_eq!(never(Err(AskError::TooLarge("large".into()))), (400_207, "webhook.size"));
    }

    #[test]
    fn who_cannot_be_reached_is_asked_again() {
        assert!(matches!(verdict(Err(AskError::Unavailable("down".into()))), Verdict::Later { asked: true, .. }));
        assert!(matches!(verdict(Err(AskError::Busy)), Verdict::Later { asked: false, .. }));
    }
}

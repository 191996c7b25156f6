//! Asks allocation webhooks over HTTPS: the adapter of the port [`AllocationWebhook`].
//!
//! The URL goes out as the operator wrote it, function key and all, and is never shown. How many questions to one server are under way at
//! a time is bounded, so that a slow webhook is not buried under a fleet that comes back from a power cut, and neither are others.

mod turns;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use usher_domain::Secret;
use usher_outbound::{Bounds, Client, OutboundError};
use usher_webhook::{ANSWER_BYTES_MAX, AllocationWebhook, AskError, BoxFuture, Reply};

use turns::Turns;

/// The longest that a webhook may take to answer. The cloud's own limit is not documented; a function that is started by the question
/// takes some seconds. With [`TURN_MAX`] it stays within [`ASK_MAX`](usher_webhook::ASK_MAX).
pub const ANSWER_MAX: Duration = Duration::from_secs(15);
/// The longest wait for a turn. Short, since whoever waits holds a place that devices of other webhooks could have; they come back later.
const TURN_MAX: Duration = Duration::from_secs(2);
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Asks webhooks through one client. Cheap to clone.
#[derive(Clone)]
pub struct HttpWebhook {
    client: Client,
    turns: Arc<Turns>,
    answer_max: Duration,
}

impl HttpWebhook {
    /// Asks through `client`, which says whom to trust.
    pub fn new(client: Client) -> Self {
        Self { client, turns: Arc::default(), answer_max: ANSWER_MAX }
    }

    /// The same with other patience.
    #[must_use]
    pub fn with_answer_max(self, answer_max: Duration) -> Self {
        Self { answer_max, ..self }
    }

    async fn post(&self, url: &Secret, request: Vec<u8>) -> Result<Reply, AskError> {
        let request = Request::post(url.expose())
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .body(Bytes::from(request))
            .map_err(|_| AskError::Refused("the URL is not one".into()))?;
        let _turn = self.turn(&request).await?;
        let bounds = Bounds { within: self.answer_max, body_bytes_max: ANSWER_BYTES_MAX };
        self.client.send(request, bounds).await.map(reply).map_err(ask_error)
    }

    async fn turn(&self, request: &Request<Bytes>) -> Result<OwnedSemaphorePermit, AskError> {
        let server = request.uri().authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        let turns = self.turns.of(&server);
        match timeout(TURN_MAX, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(AskError::Busy),
        }
    }
}

impl AllocationWebhook for HttpWebhook {
    fn ask<'a>(&'a self, url: &'a Secret, request: Vec<u8>) -> BoxFuture<'a, Result<Reply, AskError>> {
        Box::pin(self.post(url, request))
    }
}

fn reply(response: Response<Bytes>) -> Reply {
    let retry_after_s = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    Reply { status: response.status().as_u16(), retry_after_s, body: response.into_body().to_vec() }
}

/// The texts of these errors name scheme, host and port, nothing else of the URL.
fn ask_error(error: OutboundError) -> AskError {
    let why = error.to_string();
    match error {
        OutboundError::Refused(_) | OutboundError::Trust(_) | OutboundError::Untrusted { .. } => AskError::Refused(why),
        OutboundError::TooLarge { .. } => AskError::TooLarge(why),
        OutboundError::CannotConnect { .. } | OutboundError::TimedOut { .. } | OutboundError::Broken { .. } => AskError::Unavailable(why),
    }
}

//! What a remote hub answers: a byte for the status, one for a header, then a body.
#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use usher_hub::HubError;
use usher_hub_iothub::{answer, twin};

const STATUSES: [u16; 12] = [200, 400, 204, 401, 403, 404, 409, 412, 413, 429, 500, 302];
/// How long what is said of a hub's words may be, in bytes: 300 characters and a few words around.
const WORDS_MAX: usize = 2_000;

fn check(error: &HubError) {
    let words = error.to_string();
    assert!(words.len() < WORDS_MAX && !words.contains(char::is_control), "{words:?}");
    if let HubError::Throttled { retry_after_s } = error {
        assert!(*retry_after_s <= 300);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([status, header], body)) = bytes.split_first_chunk::<2>() else { return };
    let mut response = Response::builder().status(STATUSES[usize::from(*status) % STATUSES.len()]);
    if let (true, Some(text)) = (*header % 2 == 1, body.get(..body.len().min(usize::from(*header)))) {
        response = response.header("iothub-errorcode", text).header("retry-after", text);
    }
    let Ok(response) = response.body(Bytes::copy_from_slice(body)) else { return };
    match answer::read(&response) {
        Ok(answer::Answer::Done(body)) => {
            let twin = twin::Twin::read(&body);
            let _ = (twin.is_untouched(), twin::replace_body(&twin::without_nulls(&twin.settings)));
        }
        Ok(_) => {}
        Err(error) => check(&error),
    }
    if let Err(error) = answer::read_created(&response) {
        check(&error);
    }
});

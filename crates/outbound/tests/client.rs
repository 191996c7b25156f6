//! The client against real servers on this machine, most of them over TLS.
#![allow(clippy::unwrap_used)]

mod bed;

use std::time::Duration;

use bed::{Bed, Behaviour};
use bytes::Bytes;
use http::{Request, StatusCode};
use usher_outbound::{Bounds, Client, OutboundError};

const BOUNDS: Bounds = Bounds { within: Duration::from_secs(5), body_bytes_max: 1_000 };

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).header("authorization", "hidden-token").body(Bytes::new()).unwrap()
}

/// No error may show what stands in paths, queries and headers.
fn shows_no_secret(error: &OutboundError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hidden"), "{text}");
}

async fn fails(client: &Client, url: &str, bounds: Bounds) -> OutboundError {
    let error = client.send(get(url), bounds).await.unwrap_err();
    shows_no_secret(&error);
    error
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_clones() {
    let bed = Bed::start(Behaviour::Answer("200 OK", 5)).await;
    let client = Client::new(&[bed.root()]).unwrap();
    for client in [client.clone(), client] {
        let answer = client.send(get(&bed.url()), BOUNDS).await.unwrap();
        assert_eq!((answer.status(), answer.body().as_ref()), (StatusCode::OK, b"xxxxx".as_ref()));
    }
    assert_eq!(bed.connections(), 1);
    let head = bed.last_head();
    assert!(head.starts_with("GET /api?code=hidden HTTP/1.1"), "{head}");
    assert!(head.contains("user-agent: usher/") && head.contains(&format!("host: localhost:{}", bed.port())), "{head}");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let bed = Bed::start(Behaviour::AnswerOnceThenClose).await;
    let client = Client::new(&[bed.root()]).unwrap();
    for _ in 0..3 {
        assert_eq!(client.send(get(&bed.url()), BOUNDS).await.unwrap().status(), StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bed.connections(), 3);
}

#[tokio::test]
async fn redirects_are_answers_not_followed() {
    let bed = Bed::start(Behaviour::Answer("307 Temporary Redirect\r\nlocation: https://localhost:1/", 0)).await;
    let answer = Client::new(&[bed.root()]).unwrap().send(get(&bed.url()), BOUNDS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn unknown_roots_and_wrong_names_are_not_trusted() {
    let (bed, other) = (Bed::start(Behaviour::Answer("200 OK", 0)).await, Bed::start(Behaviour::Hang).await);
    let stranger = fails(&Client::new(&[other.root()]).unwrap(), &bed.url(), BOUNDS).await;
    assert!(matches!(stranger, OutboundError::Untrusted { .. }), "{stranger}");
    let by_address = format!("https://127.0.0.1:{}/?code=hidden", bed.port());
    let misnamed = fails(&Client::new(&[bed.root()]).unwrap(), &by_address, BOUNDS).await;
    assert!(matches!(misnamed, OutboundError::Untrusted { .. }), "{misnamed}");
}

#[tokio::test]
async fn bodies_are_bounded_whether_or_not_their_length_is_told() {
    for behaviour in [Behaviour::Answer("200 OK", 1_001), Behaviour::EndlessChunks] {
        let bed = Bed::start(behaviour).await;
        let error = fails(&Client::new(&[bed.root()]).unwrap(), &bed.url(), BOUNDS).await;
        assert!(matches!(error, OutboundError::TooLarge { .. }), "{error}");
    }
    let bed = Bed::start(Behaviour::Answer("200 OK", 1_000)).await;
    assert_eq!(Client::new(&[bed.root()]).unwrap().send(get(&bed.url()), BOUNDS).await.unwrap().body().len(), 1_000);
}

#[tokio::test]
async fn time_is_bounded_in_handshake_head_and_body() {
    for behaviour in [Behaviour::NoHandshake, Behaviour::Hang, Behaviour::Trickle] {
        let bed = Bed::start(behaviour).await;
        let bounds = Bounds { within: Duration::from_millis(300), ..BOUNDS };
        let error = fails(&Client::new(&[bed.root()]).unwrap(), &bed.url(), bounds).await;
        assert!(matches!(error, OutboundError::TimedOut { .. }), "{error}");
    }
}

#[tokio::test]
async fn refused_connections_and_broken_answers_are_told_apart() {
    let bed = Bed::start(Behaviour::CloseInBody).await;
    let client = Client::new(&[bed.root()]).unwrap();
    assert!(matches!(fails(&client, &bed.url(), BOUNDS).await, OutboundError::Broken { .. }));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = fails(&client, &format!("https://localhost:{free}/?code=hidden"), BOUNDS).await;
    assert!(matches!(nobody, OutboundError::CannotConnect { .. }), "{nobody}");
    let unknown = fails(&client, "https://no-such-host.invalid/?code=hidden", BOUNDS).await;
    assert!(matches!(unknown, OutboundError::CannotConnect { .. }), "{unknown}");
}

#[tokio::test]
async fn plain_http_reaches_this_machine_only() {
    let bed = Bed::start(Behaviour::Plain).await;
    let client = Client::new(&[]).unwrap();
    let url = format!("http://127.0.0.1:{}/api?code=hidden", bed.port());
    assert_eq!(client.send(get(&url), BOUNDS).await.unwrap().status(), StatusCode::OK);
    assert!(matches!(fails(&client, "http://a.example/?code=hidden", BOUNDS).await, OutboundError::Refused(_)));
}

#[test]
fn a_root_that_is_none_is_told() {
    let garbage = rustls::pki_types::CertificateDer::from(vec![1, 2, 3]);
    assert!(matches!(Client::new(&[garbage]), Err(OutboundError::Trust(_))));
}

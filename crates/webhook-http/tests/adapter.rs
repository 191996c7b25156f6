//! The adapter against a real server on this machine: TLS itself is the client's matter and tested there.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use usher_domain::Secret;
use usher_outbound::Client;
use usher_webhook::{ANSWER_BYTES_MAX, AllocationWebhook, AskError, Reply};
use usher_webhook_http::HttpWebhook;

#[derive(Default)]
struct Seen {
    request: Mutex<String>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Serves one answer for every connection after a pause; gives its URL, with a key in it.
async fn serve(answer: String, pause: Duration) -> (Secret, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Secret::new(format!("http://127.0.0.1:{}/api/x?code=hidden", listener.local_addr().unwrap().port()));
    let seen = Arc::new(Seen::default());
    let witness = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(receive(socket, answer.clone(), pause, Arc::clone(&witness)));
        }
    });
    (url, seen)
}

async fn receive(mut socket: TcpStream, answer: String, pause: Duration, seen: Arc<Seen>) {
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        match socket.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => return,
        }
    }
    seen.most.fetch_max(seen.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    *seen.request.lock().unwrap() = String::from_utf8(text).unwrap();
    tokio::time::sleep(pause).await;
    seen.now.fetch_sub(1, Ordering::SeqCst);
    let _ = socket.write_all(answer.as_bytes()).await;
    let _ = socket.shutdown().await;
}

fn webhook() -> HttpWebhook {
    HttpWebhook::new(Client::new(&[]).unwrap()).with_answer_max(Duration::from_millis(500))
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_request_is_posted_as_json_to_the_url_as_it_is() {
    let (url, seen) = serve(answer("429 Slow Down\r\nretry-after: 7", "{}"), Duration::ZERO).await;
    let reply = webhook().ask(&url, b"{\"a\":1}".to_vec()).await.unwrap();
    assert_eq!(reply, Reply { status: 429, retry_after_s: Some(7), body: b"{}".to_vec() });
    let request = seen.request.lock().unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /api/x?code=hidden http/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json") && request.ends_with("{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_dates_are_no_patience() {
    let head = "307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT";
    let (url, _) = serve(answer(head, ""), Duration::ZERO).await;
    let reply = webhook().ask(&url, b"{}".to_vec()).await.unwrap();
    assert_eq!((reply.status, reply.retry_after_s), (307, None));
}

#[tokio::test]
async fn what_cannot_be_asked_or_read_is_sorted_and_shows_no_key() {
    let (slow, _) = serve(answer("200 OK", "{}"), Duration::from_secs(5)).await;
    let (large, _) = serve(answer("200 OK", &"x".repeat(ANSWER_BYTES_MAX + 1)), Duration::ZERO).await;
    let (broken, _) = serve("nonsense".into(), Duration::ZERO).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let kind = |error: &AskError| match error {
        AskError::Busy => "busy",
        AskError::Unavailable(_) => "unavailable",
        AskError::Refused(_) => "refused",
        AskError::TooLarge(_) => "too large",
    };
    for (url, wanted) in [
        (slow, "unavailable"),
        (large, "too large"),
        (broken, "unavailable"),
        (Secret::new(format!("http://127.0.0.1:{free}/?code=hidden")), "unavailable"),
        (Secret::new("http://f.example/?code=hidden"), "refused"),
        (Secret::new("https://user:hidden@f.example/?code=hidden"), "refused"),
        (Secret::new("https:// hidden"), "refused"),
        (Secret::new("hidden"), "refused"),
    ] {
        let error = webhook().ask(&url, b"{}".to_vec()).await.unwrap_err();
        assert_eq!(kind(&error), wanted, "{error}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn questions_to_one_server_take_turns() {
    let (url, seen) = serve(answer("200 OK", "{}"), Duration::from_millis(50)).await;
    let webhook = HttpWebhook::new(Client::new(&[]).unwrap());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (webhook, url) = (webhook.clone(), url.clone());
            tokio::spawn(async move { webhook.ask(&url, b"{}".to_vec()).await.unwrap().status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
    let most = seen.most.load(Ordering::SeqCst);
    assert!((2..=32).contains(&most), "{most} at a time");
}

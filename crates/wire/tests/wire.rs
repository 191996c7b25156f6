//! A wire and a link over a pipe of four bytes.

#![allow(clippy::unwrap_used)]

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    time::Instant,
};
use usher_wire::{Broken, Link, Machine, Wire};

/// An engine that tells what it hears and says what it is given.
#[derive(Default)]
struct Echo {
    heard: VecDeque<Vec<u8>>,
    to_say: VecDeque<Bytes>,
    due_ms: Option<u64>,
    woken_ms: Option<u64>,
    is_lost: bool,
}

impl Machine for Echo {
    type Event = Vec<u8>;

    fn handle_bytes(&mut self, bytes: &[u8], _now_ms: u64) {
        self.heard.push_back(bytes.to_vec());
    }

    fn poll_event(&mut self) -> Option<Vec<u8>> {
        self.heard.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.to_say.pop_front()
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.due_ms
    }

    fn handle_timeout(&mut self, now_ms: u64) {
        (self.due_ms, self.woken_ms) = (None, Some(now_ms));
    }

    fn handle_lost(&mut self) {
        self.is_lost = true;
    }

    fn is_closed(&self) -> bool {
        self.is_lost
    }
}

fn saying(texts: &[&'static str]) -> Echo {
    Echo { to_say: texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect(), ..Echo::default() }
}

#[tokio::test]
async fn bytes_go_both_ways_at_once_and_the_end_is_told() {
    let (ours, mut theirs) = duplex(4);
    let mut link = Link::new(ours, saying(&["much more than four bytes"]));
    theirs.write_all(b"hi").await.unwrap();
    assert_eq!(link.next_event().await.unwrap(), b"hi", "though the peer has read nothing yet");
    let peer = tokio::spawn(async move {
        let mut all = [0; 25];
        theirs.read_exact(&mut all).await.map(|_| all)
    });
    assert_eq!(link.next_event().await, None);
    assert_eq!(&peer.await.unwrap().unwrap(), b"much more than four bytes");
    assert!(link.machine().is_lost);
}

#[tokio::test]
async fn a_farewell_is_written_whole_before_the_stream_is_closed() {
    let (ours, mut theirs) = duplex(4);
    let link = Link::new(ours, saying(&["first, ", "second, ", "third"]));
    let farewell = tokio::spawn(link.finish());
    let mut all = String::new();
    theirs.read_to_string(&mut all).await.unwrap();
    farewell.await.unwrap();
    assert_eq!(all, "first, second, third");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up_after_20_s_without_progress() {
    let (ours, mut theirs) = duplex(4);
    let (mut wire, mut machine) = (Wire::new(ours, Instant::now()), saying(&["twelve bytes"]));
    let began = Instant::now();
    wire.turn(&mut machine).await.unwrap();
    tokio::time::advance(Duration::from_secs(19)).await;
    theirs.read_exact(&mut [0; 4]).await.unwrap();
    wire.turn(&mut machine).await.unwrap();
    assert!(matches!(wire.turn(&mut machine).await, Err(Broken::Unread)));
    assert_eq!(began.elapsed().as_secs(), 19 + 20);
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_woken_by_its_own_clock() {
    let (ours, _theirs) = duplex(4);
    let (mut wire, mut machine) = (Wire::new(ours, Instant::now()), Echo { due_ms: Some(1_500), ..Echo::default() });
    wire.turn(&mut machine).await.unwrap();
    assert_eq!(machine.woken_ms, Some(1_500));
}

//! The load under which the store is killed: what each commit writes can be told from its writer and number, so that it can be judged
//! afterwards.

use std::{io::Write as _, path::Path, sync::Arc, time::Duration};

use usher_store::{Expect, Key, Op, Store as _, Stored, conformance};
use usher_store_embedded::EmbeddedStore;

/// Writers, each with one commit on its way.
pub const WRITERS: u64 = 16;
/// Records that each of a writer's commits changes.
pub const SLOTS: u64 = 4;
/// Longest body, in bytes.
const BODY_MAX: u64 = 4_000;

/// Counts a writer's commits.
pub fn counter_key(writer: u64) -> Key {
    conformance::key(&format!("n/{writer:02}"))
}

/// A record that each commit changes.
pub fn slot_key(writer: u64, slot: u64) -> Key {
    conformance::key(&format!("s/{writer:02}/{slot}"))
}

/// Where a writer's entries are.
pub fn entry_prefix(writer: u64) -> Vec<u8> {
    format!("e/{writer:02}/").into_bytes()
}

/// A record that the commit of this number adds.
pub fn entry_key(writer: u64, number: u64) -> Key {
    conformance::key(&format!("e/{writer:02}/{number:012}"))
}

/// What a slot holds after a commit; nothing before the first, and after those that delete it.
pub fn slot_value(writer: u64, number: u64, slot: u64) -> Option<Stored> {
    if number == 0 || (number + slot).is_multiple_of(7) {
        return None;
    }
    let mix = (writer << 40 ^ number << 8 ^ slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let body = (0..mix % BODY_MAX).map(|at| (mix.rotate_left((at % 64) as u32) ^ at) as u8).collect();
    Some(Stored { etag: number, body })
}

fn commit(writer: u64, number: u64) -> Vec<Op> {
    let slot = |slot| {
        let (key, before) = (slot_key(writer, slot), slot_value(writer, number - 1, slot));
        let expect = before.map_or(Expect::Absent, |stored| Expect::Etag(stored.etag));
        match slot_value(writer, number, slot) {
            Some(Stored { etag, body }) => Op::Put { key, expect, etag, body },
            None => Op::Delete { key, expect },
        }
    };
    let mut ops: Vec<Op> = (0..SLOTS).map(slot).collect();
    ops.push(Op::Put { key: entry_key(writer, number), expect: Expect::Absent, etag: number, body: Vec::new() });
    ops.push(Op::Add { key: counter_key(writer), delta: 1 });
    ops
}

/// Goes on where the last round ended, and prints each acknowledgement once it is there.
pub async fn write_until_killed(folder: &Path) {
    let store = Arc::new(EmbeddedStore::open(folder).unwrap());
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let done = store.counter(&counter_key(writer)).await.unwrap().unsigned_abs();
            for number in done + 1.. {
                store.commit(commit(writer, number)).await.unwrap();
                // One write for one line, so that a kill cuts none in two.
                std::io::stdout().lock().write_all(format!("ack {writer} {number}\n").as_bytes()).unwrap();
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
}

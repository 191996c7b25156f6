//! Writing a backup.

use aws_lc_rs::hmac;
use tokio::io::AsyncWrite;
use usher_seal::MasterKey;
use usher_store::{Entry, Snapshot};

use super::{FRAME_BYTES, Header, Kind, PURPOSE, frame::Frames};
use crate::{CopyError, Progress, Stage, Summary, Walk, entry};

/// Writes everything from `source` to `sink`, authenticated by `master`; with the master key itself in it, readable by anyone, where
/// `with_key` says so. `proved` opens each record with the key on the way.
///
/// # Errors
/// Where the source cannot be read, a record does not open, or `sink` takes no more.
pub async fn write<S: AsyncWrite + Unpin>(
    source: &mut dyn Snapshot,
    header: &Header,
    master: &MasterKey,
    (with_key, proved): (bool, bool),
    sink: S,
    progress: &mut dyn Progress,
) -> Result<(S, Summary), CopyError> {
    let mut frames = Frames::begin(sink).await?;
    frames.write(Kind::Header, &json(header)).await?;
    if with_key {
        frames.write(Kind::MasterKey, master.to_base64().as_bytes()).await?;
    }
    let mut walk = Walk::new(source, proved.then_some(master), Stage::Copying, None);
    loop {
        let step = walk.step(progress).await?;
        if step.is_empty() {
            break;
        }
        write_entries(&mut frames, &step).await?;
    }
    let summary = walk.summary();
    frames.write(Kind::End, &json(&summary)).await?;
    let tag = hmac::sign(&master.authentication_key(PURPOSE), &frames.so_far());
    frames.write(Kind::Tag, tag.as_ref()).await?;
    Ok((frames.end().await?, summary))
}

async fn write_entries<S: AsyncWrite + Unpin>(frames: &mut Frames<S>, step: &[Entry]) -> Result<(), CopyError> {
    let mut payload = Vec::new();
    for each in step {
        if payload.len() >= FRAME_BYTES {
            frames.write(Kind::Entries, &payload).await?;
            payload.clear();
        }
        entry::encode(each, &mut payload);
    }
    frames.write(Kind::Entries, &payload).await
}

/// Structs of texts and numbers: this cannot fail.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

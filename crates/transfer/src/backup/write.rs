//! Writing a backup.

use aws_lc_rs::hmac;
use tokio::io::AsyncWrite;
use usher_seal::MasterKeys;
use usher_store::{Entry, Snapshot};

use super::{FRAME_BYTES, Header, Kind, authentication, frame::Frames};
use crate::{CopyError, Progress, Stage, Summary, Walk, entry};

/// Writes everything from `source` to `sink`, authenticated by a key that `masters` open; with the current master key itself in it,
/// readable by anyone, where `with_key` says so. `proved` opens each record on the way.
///
/// # Errors
/// Where the source cannot be read, a record does not open, a key in a token is asked for, or `sink` takes no more.
pub async fn write<S: AsyncWrite + Unpin>(
    source: &mut dyn Snapshot,
    header: &Header,
    masters: &MasterKeys,
    (with_key, proved): (bool, bool),
    sink: S,
    progress: &mut dyn Progress,
) -> Result<(S, Summary), CopyError> {
    let mut frames = Frames::begin(sink).await?;
    frames.write(Kind::Header, &json(header)).await?;
    if with_key {
        frames.write(Kind::MasterKey, masters.current().to_base64().ok_or_else(held)?.as_bytes()).await?;
    }
    let mut walk = Walk::new(source, proved.then_some(masters), Stage::Copying, None);
    let mut authentication = None::<hmac::Key>;
    loop {
        let step = walk.step(progress).await?;
        let Some(first) = step.first() else { break };
        if authentication.is_none() {
            authentication = Some(authentication::key(first, masters).await?.ok_or_else(nothing)?);
        }
        write_entries(&mut frames, &step).await?;
    }
    let summary = walk.summary();
    frames.write(Kind::End, &json(&summary)).await?;
    let tag = hmac::sign(&authentication.ok_or_else(nothing)?, &frames.so_far());
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

fn held() -> CopyError {
    let what = "the master key is in a token, which does not give it away";
    CopyError::new(what, "Take the backup without it (--with-master-key): a restore asks the token, or a copy of it.")
}

fn nothing() -> CopyError {
    CopyError::new("the store is empty: no server was ever started on it", "Say which store is meant: --state, --config or --store.")
}

/// Structs of texts and numbers: this cannot fail.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

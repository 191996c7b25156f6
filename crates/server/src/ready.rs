//! Readiness: `/ready` for load balancers, a file for scripts, and a word to systemd. `/health` only says that the process lives.

use std::{
    io,
    os::{linux::net::SocketAddrExt as _, unix::net},
    path::Path,
    sync::atomic::Ordering,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use tokio::time::timeout;

use crate::doors::Doors;

/// Time for the store to answer. Load balancers ask every few seconds.
const STORE_MAX: Duration = Duration::from_secs(2);

/// Whether this node can do its work now: whether its store answers, and it is not about to stop.
pub async fn answer(doors: &Doors) -> Response<Bytes> {
    let answers = matches!(timeout(STORE_MAX, doors.directory.services()).await, Ok(Ok(_)));
    let (status, body) = match (answers, doors.leaving.load(Ordering::Relaxed)) {
        (true, false) => (StatusCode::OK, "{\"status\":\"ready\"}"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"about to stop\"}"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"the store does not answer\"}"),
    };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    response.body(Bytes::from_static(body.as_bytes())).unwrap_or_default()
}

/// Writes the file that says so, whole or not at all.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

/// Tells systemd, where it has started this process with `Type=notify` (sd_notify(3)). Nobody else listens.
pub fn tell_systemd(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => net::SocketAddr::from_abstract_name(name),
        None => net::SocketAddr::from_pathname(Path::new(&path)),
    };
    let told = address.and_then(|address| net::UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(check = "systemd", detail = %error, "systemd cannot be told: {state}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn the_file_is_written_whole() {
        let path = std::env::temp_dir().join(format!("usher-ready-{}.json", std::process::id()));
        super::write_file(&path, "{}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
        std::fs::remove_file(path).unwrap();
    }
}

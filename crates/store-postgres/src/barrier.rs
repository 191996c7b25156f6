//! The barrier that each connection passes before it is used: a commit of its own, confirmed by as many standbys as the database demands.
//!
//! A commit is not visible before its standbys have confirmed it, with two exceptions. A primary that restarts, and a standby that is
//! promoted, show all that they have, whether or not another server has it too. Whatever is there at that moment comes before the
//! barrier in the log, so once the barrier is confirmed, so is all of that. And a primary that was left behind by its standbys never
//! confirms one, so that nothing is read from it or written to it, whatever it believes to be.
//!
//! Without synchronous standbys it is one more small write.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use tokio_postgres::Client;

use crate::{
    fault::{Fault, Kind},
    session::{CALL_MAX, within},
    sql,
};

/// Passes it.
pub async fn pass(client: &Client) -> Result<(), Fault> {
    // A server process that waits for a standby does not notice that its client has gone, so another one would be added with each try.
    // Databases that cannot tell refuse the question, which does no harm.
    let stuck = within(CALL_MAX, async { Ok(client.query(sql::STUCK, &[]).await.map(|rows| !rows.is_empty())) }).await?;
    if matches!(stuck, Ok(true)) {
        return Err(Fault::passing(
            "the primary waits for a synchronous standby to confirm what it has written; see that one is connected",
        ));
    }
    let mut id = [0; 16];
    rand::fill(&mut id).map_err(|_| Fault { kind: Kind::Lasting, text: "there is no randomness".into() })?;
    let hex = id.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    within(CALL_MAX, async { Ok(client.batch_execute(&sql::barrier(&hex)).await?) }).await
}
